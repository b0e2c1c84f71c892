/**
 * From the moment that something is published until a subscriber of every replica has it: rows, one
 * each few milliseconds whether or not those before have arrived, and policies, one after another.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Progress } from '../../deploy/loopback/processes.ts';
import { percentile } from '../measure.ts';
import type { Entry, Figure } from '../report.ts';
import { Arrivals } from './arrivals.ts';
import { BenchCluster } from './bench-cluster.ts';
import type { BenchReplica } from './bench-cluster.ts';
import { SourceLog } from './source-log.ts';

export interface LatencySize {
  readonly rows: number;
  readonly policies: number;
  /** Of each, before what counts. */
  readonly warmUp: number;
  /** Between two rows. */
  readonly paceMs: number;
}

interface Limits {
  readonly p50: number;
  readonly p99: number;
}

/** Of rows; a policy has one of its own. */
const LIMITS_MS: Readonly<Record<1 | 3, Limits>> = {
  1: { p50: 5, p99: 25 },
  3: { p50: 10, p99: 50 },
};
const POLICY_P99_MS = 100;
const POLICY_PAUSE_MS = 20;
const SOURCE = 'feed';
const EVENTS = 'event';
const POLICY = `seen(name, room) :- feed:event(name, place), feed:room(place, room).\n`;
const PLACES = 100;

export async function measureLatency(
  brokers: 1 | 3,
  size: LatencySize,
  onProgress: Progress,
): Promise<Entry[]> {
  const cluster = await BenchCluster.open({ brokers, onProgress });
  try {
    onProgress('starting the replicas');
    await cluster.startReplicas();
    const where = brokers === 1 ? 'one broker' : `${brokers} brokers`;
    const { replicas } = cluster;
    await prepare(cluster);

    onProgress('rows over HTTP');
    const posted = await rowTimes(cluster, size, 'http', async (name, number) => {
      const insert = { [EVENTS]: [[name, `place ${number % PLACES}`]] };
      await replicaOf(replicas, number).client.batch(SOURCE, { insert });
    });

    onProgress('rows as a datasource node writes them');
    const source = new SourceLog(await cluster.openLog(), SOURCE);
    await source.open();
    const written = await rowTimes(cluster, size, 'log', async (name, number) => {
      await source.write(EVENTS, [[name, `place ${number % PLACES}`]]);
    });

    onProgress('policies');
    const policies = await policyTimes(cluster, size);
    await cluster.rest();
    const limits = LIMITS_MS[brokers];
    return [
      entry(`a row over HTTP → all replicas, ${where}`, posted, limits),
      entry(`a row into the log → all replicas, ${where}`, written, {}),
      entry(`a policy over HTTP → all replicas, ${where}`, policies, { p99: POLICY_P99_MS }),
    ];
  } finally {
    await cluster.close();
  }
}

async function prepare(cluster: BenchCluster): Promise<void> {
  const [first] = cluster.replicas;
  if (first === undefined) throw new Error('there is no replica');
  const rooms = Array.from({ length: PLACES }, (_, index) => [`place ${index}`, `room ${index}`]);
  await first.client.batch(SOURCE, { insert: { room: rooms, [EVENTS]: [] } });
  await first.client.policy('rooms', POLICY);
  await first.client.policy('version', versionText(0));
  await cluster.rest();
}

/** What each row took, ms. They go out at their times, whatever becomes of those before. */
async function rowTimes(
  { replicas }: BenchCluster,
  { rows, warmUp, paceMs }: LatencySize,
  prefix: string,
  publish: (name: string, number: number) => Promise<void>,
): Promise<number[]> {
  const arrivals = await Arrivals.open({
    replicas,
    query: 'rooms:seen(name, room)',
    nameOf: ([name]) => String(name),
  });
  try {
    const times: Promise<number>[] = [];
    const beginMs = performance.now();
    for (let number = 0; number < warmUp + rows; number++) {
      await delay(Math.max(0, beginMs + number * paceMs - performance.now()));
      times.push(timeOf(arrivals, `${prefix} ${number}`, (name) => publish(name, number)));
    }
    return (await Promise.all(times)).slice(warmUp);
  } finally {
    await arrivals.close();
  }
}

async function policyTimes(
  { replicas }: BenchCluster,
  { policies, warmUp }: LatencySize,
): Promise<number[]> {
  const arrivals = await Arrivals.open({
    replicas,
    query: 'version:is(name)',
    nameOf: ([name]) => String(name),
  });
  try {
    const times: number[] = [];
    for (let number = 1; number <= warmUp + policies; number++) {
      const { client } = replicaOf(replicas, number);
      const time = await timeOf(arrivals, `version ${number}`, async () => {
        await client.policy('version', versionText(number));
      });
      times.push(time);
      await delay(POLICY_PAUSE_MS);
    }
    return times.slice(warmUp);
  } finally {
    await arrivals.close();
  }
}

async function timeOf(
  arrivals: Arrivals,
  name: string,
  publish: (name: string) => Promise<void>,
): Promise<number> {
  const sentMs = performance.now();
  const [atMs] = await Promise.all([arrivals.of(name), publish(name)]);
  return atMs - sentMs;
}

function versionText(number: number): string {
  return `is("version ${number}").\n`;
}

/** In turn: none is better placed than another. */
function replicaOf(replicas: readonly BenchReplica[], number: number): BenchReplica {
  return replicas[number % replicas.length] as BenchReplica;
}

function entry(name: string, times: readonly number[], limits: Partial<Limits>): Entry {
  const ms = (value: number, atMost?: number): Figure => ({
    value,
    unit: 'ms',
    ...(atMost === undefined ? {} : { target: { atMost } }),
  });
  return {
    name,
    figures: {
      p50: ms(percentile(times, 50), limits.p50),
      p99: ms(percentile(times, 99), limits.p99),
      max: ms(Math.max(...times)),
      samples: { value: times.length, unit: 'count' },
    },
  };
}
