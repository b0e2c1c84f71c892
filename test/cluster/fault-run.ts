/**
 * One run of a whole cluster with faults on everything: three brokers (two must have a record), a
 * MariaDB or three Galera nodes, three replicas, two datasource nodes, and clients all the while.
 * Then everything is healed and comes to rest; what the history says is checked by others.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startGalera } from '../../deploy/loopback/galera.ts';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import { startMariadb } from '../../deploy/loopback/mariadb.ts';
import type { RunningMariadb } from '../../deploy/loopback/mariadb.ts';
import type { Progress } from '../../deploy/loopback/processes.ts';
import { QUERIES } from '../simulation/world.ts';
import { randomOf } from '../support/prng.ts';
import { Cluster } from './cluster.ts';
import { FILE_SOURCE, writeVersion } from './file-source.ts';
import { Links } from './links.ts';
import { Nemesis, relaunch } from './nemesis.ts';
import { prepare, work } from './workload.ts';
import type { WorkloadOptions } from './workload.ts';

export interface FaultRunOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly isGalera: boolean;
  /** The negative control: clients name tokens and do not send them. */
  readonly ignoresTokens: boolean;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly onProgress: Progress;
}

export interface FaultRun {
  readonly cluster: Cluster;
  /** By what was done. */
  readonly faults: ReadonlyMap<string, number>;
  /** The newest version of the files. */
  readonly version: number;
  readonly restMs: number;
}

const BROKERS = 3;
const REPLICAS = 3;
const DATASOURCES = 2;
const CLIENTS = 4;
const WORKERS = 2;
const THINK_MS = 150;
const PAUSE_MS = 2_500;
const FILES_MS = 1_500;
const REST_MS = 180_000;
const PROGRESS_MS = 10_000;

/** What has to be closed, newest first. */
type Closers = (() => Promise<unknown>)[];

export async function faultRun(options: FaultRunOptions): Promise<FaultRun> {
  const closers: Closers = [];
  try {
    return await play(options, closers);
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function play(options: FaultRunOptions, closers: Closers): Promise<FaultRun> {
  const { seed, directory, signal, minutes, onProgress } = options;
  const { cluster, kafka, databases } = await startAll(options, closers);
  const stop = new AbortController();
  const { ignoresTokens } = options;
  const { replicas } = cluster;
  const workloads = Array.from({ length: CLIENTS }, (_, index): WorkloadOptions => {
    const client = cluster.client(`c${index}`, { ignoresTokens });
    const random = randomOf(seed, 20 + index);
    return { client, replicas, random, signal: stop.signal, thinkMs: THINK_MS };
  });
  await prepare(workloads[0] as WorkloadOptions);
  const nemesis = new Nemesis({
    cluster,
    components: [
      ...kafka.nodes.map((controls) => {
        return { name: `kafka-${controls.id}`, controls, kind: 'broker' as const };
      }),
      ...databases.map((controls, index) => {
        return { name: `database-${index + 1}`, controls, kind: 'database' as const };
      }),
    ],
    randoms: Array.from({ length: WORKERS }, (_, index) => randomOf(seed, 40 + index)),
    pauseMs: PAUSE_MS,
  });
  nemesis.start();
  const files = changeFiles(path.join(directory, 'files'), seed, stop.signal);
  const working = Promise.all(workloads.map(work));
  const untilMs = performance.now() + minutes * 60_000;
  let shownMs = performance.now();
  while (performance.now() < untilMs && !signal.aborted) {
    await delay(200);
    if (performance.now() - shownMs < PROGRESS_MS) continue;
    shownMs = performance.now();
    const faults = [...nemesis.counts.values()].reduce((sum, count) => sum + count, 0);
    onProgress(`revision ${cluster.tap.revision}, ${faults} faults`);
  }
  stop.abort();
  await nemesis.end();
  const version = await files;
  await working;
  onProgress('faults are over, coming to rest');
  const restMs = await endOf(cluster);
  return { cluster, faults: nemesis.counts, version, restMs };
}

interface Started {
  readonly cluster: Cluster;
  readonly kafka: RunningKafka;
  readonly databases: readonly RunningMariadb[];
}

async function startAll(options: FaultRunOptions, closers: Closers): Promise<Started> {
  const { seed, directory, isGalera, onProgress } = options;
  const files = path.join(directory, 'files');
  mkdirSync(files, { recursive: true });
  writeVersion(files, 1);
  const links = await Promise.all(
    Array.from({ length: REPLICAS + DATASOURCES }, (_, index) =>
      Links.open(BROKERS, seed + index * (BROKERS + 1)),
    ),
  );
  closers.push(() => Promise.all(links.map((one) => one.close())));
  const linkPorts = links.map(({ ports }) => ports);
  const kafka = await startKafka({ directory, nodes: BROKERS, linkPorts, onProgress });
  closers.push(() => kafka.kill());
  const databases = await startDatabases(directory, isGalera, onProgress, closers);
  const cluster = new Cluster({
    directory,
    bus: 'run',
    brokers: kafka.brokers,
    replicationFactor: BROKERS,
    databaseUrls: databases.map(({ url }) => url),
    replicas: REPLICAS,
    datasources: DATASOURCES,
    links: { of: links, kafka },
    seed,
    note: JSON.stringify({ isGalera, minutes: options.minutes }),
    settings: (id) => ({
      checkpoint: { revisions: 200 },
      cluster: id.startsWith('ds') ? { lease_ttl: '2s' } : {},
      ...(id.startsWith('ds')
        ? {
            datasources: [
              { name: FILE_SOURCE, driver: 'file', path: files, poll_interval: '200ms' },
            ],
          }
        : {}),
    }),
  });
  closers.push(() => cluster.close());
  onProgress('replicas and datasource nodes: starting');
  await cluster.start();
  return { cluster, kafka, databases };
}

async function startDatabases(
  directory: string,
  isGalera: boolean,
  onProgress: Progress,
  closers: Closers,
): Promise<readonly RunningMariadb[]> {
  if (isGalera) {
    const galera = await startGalera({ directory, onProgress });
    closers.push(() => galera.kill());
    return galera.nodes;
  }
  const mariadb = await startMariadb({ directory, onProgress });
  closers.push(() => mariadb.kill());
  return [mariadb];
}

/** Resolves to the newest version, when the signal says so. */
async function changeFiles(directory: string, seed: number, signal: AbortSignal): Promise<number> {
  const random = randomOf(seed, 50);
  let version = 1;
  while (!signal.aborted) {
    await delay(random.next() * FILES_MS);
    writeVersion(directory, ++version);
  }
  return version;
}

/** All nodes run and agree; every replica is asked everything once more. Resolves to how long. */
async function endOf(cluster: Cluster): Promise<number> {
  const startMs = performance.now();
  for (const node of cluster.nodes) {
    node.links?.heal();
    node.resume();
    if (node.state === 'stopped') await relaunch(node);
  }
  const isAtRest = await cluster.rest(REST_MS);
  const note = isAtRest ? '' : await cluster.unrest();
  const restMs = performance.now() - startMs;
  const client = cluster.client('end');
  for (const node of cluster.replicas) {
    for (const query of [...QUERIES, `${FILE_SOURCE}:item(k, v)`]) {
      await client.query(node, query, 'latest');
    }
  }
  await cluster.finish(isAtRest, note);
  return restMs;
}
