/**
 * A cluster of real processes: replicas and datasource nodes over Kafka and MariaDB, a tap on the
 * log, and the history of all of it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openKafkaLog } from '../../host/log/kafka-log.ts';
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import type { FaultEvent, NodeEvent } from '../support/history.ts';
import { ClusterClient } from './cluster-client.ts';
import type { ClientOptions } from './cluster-client.ts';
import { ClusterNode } from './cluster-node.ts';
import type { Role } from './cluster-node.ts';
import type { Links } from './links.ts';
import { LogTap } from './log-tap.ts';
import { Recorder } from './recorder.ts';

export interface ClusterOptions {
  /** Of data and configuration. */
  readonly directory: string;
  /** What the names of the topics begin with. */
  readonly bus: string;
  /** Not through any link. */
  readonly brokers: readonly string[];
  readonly replicationFactor: 1 | 3;
  /** One for all, or one for each node, in their order. */
  readonly databaseUrls: readonly string[];
  readonly replicas: number;
  readonly datasources?: number;
  /** One for each node, in their order; with the brokers that they lead to. */
  readonly links?: { readonly of: readonly Links[]; readonly kafka: RunningKafka };
  /** Further members of the YAML file of the node. */
  readonly settings?: (id: string) => NodeSettings;
  /** Variables of its process. */
  readonly env?: (id: string) => Readonly<Record<string, string>>;
  readonly seed?: number;
  /** Of the first line of the history. */
  readonly note?: string;
}

export interface NodeSettings {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly [section: string]: unknown;
}

export const CLUSTER_SECRET = 'a secret of thirty-two characters';
const PROBE_MS = 50;
const READY_MS = 120_000;

export class Cluster {
  readonly replicas: readonly ClusterNode[];
  readonly datasources: readonly ClusterNode[];
  readonly recorder = new Recorder();
  readonly #options: ClusterOptions;
  #tap: LogTap | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { replicas, datasources = 0, seed = 1, note = '' } = options;
    const ids = (prefix: string, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
    const nodes = [...ids('pe', replicas), ...ids('ds', datasources)].map((id, index) =>
      this.#node(id, index, index < replicas ? 'replica' : 'datasources'),
    );
    this.replicas = nodes.slice(0, replicas);
    this.datasources = nodes.slice(replicas);
    const names = this.replicas.map(({ id }) => id);
    this.recorder.push({ event: 'run', seed, nodes: names, note });
  }

  get nodes(): readonly ClusterNode[] {
    return [...this.replicas, ...this.datasources];
  }

  get tap(): LogTap {
    if (this.#tap === undefined) throw new Error('the cluster was not started');
    return this.#tap;
  }

  /** Resolves when all replicas take requests and the datasource nodes run. */
  async start(): Promise<void> {
    const { brokers, bus, replicationFactor } = this.#options;
    // The first one makes the log; the others may as well.
    await Promise.all(this.nodes.map((node) => node.start()));
    const log = await openKafkaLog({
      brokers,
      bus,
      replicationFactor,
      clientId: 'tap',
      now: Date.now,
      onProblem: () => undefined,
      onEvent: () => undefined,
    });
    this.#tap = new LogTap(log, () => this.recorder.atMs);
    this.#tap.follow();
  }

  /** A further node, which is not started. */
  addNode(id: string, role: Role, directory = id): ClusterNode {
    return this.#node(id, 0, role, directory);
  }

  client(name: string, options: Partial<ClientOptions> = {}): ClusterClient {
    return new ClusterClient({ recorder: this.recorder, ...options, name });
  }

  fault(what: FaultEvent['what']): void {
    this.recorder.add({ event: 'fault', what });
  }

  /** False: the replicas that run did not come to the newest revision in time. */
  async rest(limitMs = READY_MS): Promise<boolean> {
    const untilMs = performance.now() + limitMs;
    let quiet = 0;
    let newest = -1;
    while (performance.now() < untilMs) {
      await this.tap.caughtUp();
      const running = this.replicas.filter(({ state }) => state === 'running');
      const statuses = await Promise.all(running.map((node) => node.status()));
      const { revision } = this.tap;
      const areThere = statuses.every(
        (status) => status?.['ready'] === true && Number(status['revision']) === revision,
      );
      quiet = areThere && revision === newest ? quiet + 1 : 0;
      newest = revision;
      if (quiet >= REST_PROBES) return true;
      await delay(PROBE_MS);
    }
    return false;
  }

  /** What keeps it from resting, in words. */
  async unrest(): Promise<string> {
    const states = await Promise.all(
      this.nodes.map(async (node) => {
        const status = await node.status();
        const said = status === undefined ? 'no answer' : `${status['phase'] ?? status['role']}`;
        return `${node.id} ${node.state} ${said} ${status?.['revision'] ?? ''}`;
      }),
    );
    return `the log is at ${this.tap.revision}: ${states.join(', ')}`;
  }

  /** The history with what the log holds. */
  async finish(isAtRest: boolean, note = ''): Promise<Recorder> {
    await this.tap.caughtUp();
    for (const event of this.tap.commitEvents()) this.recorder.push(event);
    for (const event of this.tap.recordEvents()) this.recorder.push(event);
    this.recorder.add({ event: 'end', isAtRest, note });
    return this.recorder;
  }

  /** Kills what runs; the links are left to who opened them. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.#tap?.close();
  }

  /** Logs of the nodes and the history, for people. */
  writeDown(directory: string): void {
    mkdirSync(directory, { recursive: true });
    for (const node of this.nodes) {
      for (const [index, { log, stderr }] of node.processes.entries()) {
        const lines = log.map((line) => `${JSON.stringify(line)}\n`).join('');
        writeFileSync(path.join(directory, `${node.id}-${index + 1}.log`), `${lines}${stderr}`);
      }
    }
    writeFileSync(path.join(directory, 'history.jsonl'), this.recorder.lines());
  }

  #node(id: string, index: number, role: Role, folder = id): ClusterNode {
    const { directory, bus, brokers, replicationFactor, databaseUrls, settings } = this.#options;
    const links = this.#options.links?.of[index];
    if (links !== undefined) links.leadToKafka(this.#options.links?.kafka as RunningKafka, index);
    const url = databaseUrls[index % databaseUrls.length] as string;
    const own = settings?.(id) ?? {};
    return new ClusterNode({
      id,
      role,
      directory: path.join(directory, folder),
      links,
      env: this.#options.env?.(id),
      config: {
        bus_id: bus,
        kafka: { brokers: links?.brokers ?? brokers, replication_factor: replicationFactor },
        database: { connection: links?.leadToDatabase(url) ?? url },
        ...own,
        cluster: { secret: CLUSTER_SECRET, digest_interval: 1, ...own.cluster },
      },
      onEvent: (event: Omit<NodeEvent, 'event' | 'atMs'>) =>
        this.recorder.add({ event: 'node', ...event }),
    });
  }
}

/** So often in a row nothing has moved. */
const REST_PROBES = 5;
