/**
 * Real brokers, a real MariaDB and three real replicas, all on this machine, all gone afterwards.
 * Each replica is a process of its own, started the way a user starts it.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import { startMariadb } from '../../deploy/loopback/mariadb.ts';
import { askJson, nodeProcess } from '../../deploy/loopback/nodes.ts';
import { freePort, LOOPBACK } from '../../deploy/loopback/ports.ts';
import type { ComponentProcess, Progress } from '../../deploy/loopback/processes.ts';
import { openKafkaLog } from '../../host/log/kafka-log.ts';
import type { KafkaLog } from '../../host/log/kafka-log.ts';
import { HttpClient } from './http-client.ts';

export interface BenchClusterOptions {
  readonly brokers: 1 | 3;
  /** Further members of the YAML file. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly onProgress: Progress;
}

/** What the bench reads of `GET /v1/status`. */
export interface Status {
  readonly revision: number;
  readonly digest: string;
  readonly phase: string;
}

const REPLICAS = ['pe1', 'pe2', 'pe3'] as const;
const BUS = 'bench';
const SECRET = 'only for as long as the benchmark';
const PROBE_MS = 20;
const REST_LIMIT_MS = 120_000;

export class BenchReplica {
  readonly id: string;
  readonly port: number;
  readonly client: HttpClient;
  readonly #directory: string;
  readonly #process: ComponentProcess;

  constructor(id: string, port: number, directory: string, configFile: string) {
    this.id = id;
    this.port = port;
    this.#directory = directory;
    this.#process = nodeProcess({ nodeId: id, role: 'replica', port, directory, configFile });
    this.client = new HttpClient(port);
  }

  get url(): string {
    return `http://${LOOPBACK}:${this.port}`;
  }

  get dataDirectory(): string {
    return path.join(this.#directory, 'data');
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error(`${this.id} does not run`);
    return pid;
  }

  /** Resolves when it takes requests. */
  start(): Promise<void> {
    return this.#process.start();
  }

  /** SIGTERM: it saves a checkpoint. */
  async stop(): Promise<void> {
    this.client.close();
    await this.#process.stop();
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.client.close();
    await this.#process.kill();
  }

  /** Of its disk nothing is left. */
  forget(): void {
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  async status(): Promise<Status> {
    const status = await askJson(this.port, '/v1/status');
    if (status === undefined) throw new Error(`${this.id} does not answer`);
    return status as unknown as Status;
  }
}

export class BenchCluster {
  readonly replicas: readonly BenchReplica[];
  readonly #brokers: readonly string[];
  readonly #replicationFactor: number;
  readonly #stops: (() => Promise<void> | void)[];

  private constructor(
    replicas: readonly BenchReplica[],
    brokers: readonly string[],
    stops: (() => Promise<void> | void)[],
  ) {
    this.replicas = replicas;
    this.#brokers = brokers;
    this.#replicationFactor = brokers.length;
    this.#stops = stops;
  }

  /** Components run; the replicas do not yet. */
  static async open(options: BenchClusterOptions): Promise<BenchCluster> {
    const { brokers: nodes, settings = {}, onProgress } = options;
    const directory = mkdtempSync(path.join(tmpdir(), 'caucus-bench-cluster-'));
    // The database runs as a user of its own.
    chmodSync(directory, 0o755);
    // What was just killed may still write.
    const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    const stops: (() => Promise<void> | void)[] = [remove];
    // Interrupted: what runs is killed at our exit, and then the directory goes.
    process.once('exit', remove);
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => process.exit(1));
    try {
      const kafka = await startKafka({ directory, nodes, onProgress });
      stops.push(() => kafka.kill());
      const mariadb = await startMariadb({ directory, onProgress });
      stops.push(() => mariadb.kill());
      const config = path.join(directory, 'caucus.yaml');
      const options = {
        bus_id: BUS,
        kafka: { brokers: kafka.brokers, replication_factor: nodes },
        database: { connection: mariadb.url },
        cluster: { secret: SECRET },
        ...settings,
      };
      // JSON is YAML.
      writeFileSync(config, JSON.stringify(options), { mode: 0o600 });
      const replicas: BenchReplica[] = [];
      for (const id of REPLICAS) {
        const own = path.join(directory, id);
        await mkdir(own);
        replicas.push(new BenchReplica(id, await freePort(), own, config));
      }
      stops.push(async () => {
        await Promise.all(replicas.map((replica) => replica.kill()));
      });
      return new BenchCluster(replicas, kafka.brokers, stops);
    } catch (error) {
      await runAll(stops);
      throw error;
    }
  }

  /** Resolves when all of them take requests. */
  async startReplicas(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.start()));
  }

  /** The log as the replicas see it; it is closed with the cluster. */
  async openLog(): Promise<KafkaLog> {
    const log = await openKafkaLog({
      brokers: this.#brokers,
      bus: BUS,
      replicationFactor: this.#replicationFactor,
      clientId: 'bench',
      now: Date.now,
      onProblem: () => undefined,
      onEvent: () => undefined,
    });
    this.#stops.push(() => log.close());
    return log;
  }

  /** All at one revision, which is `revision` or later; throws where their digests differ. */
  async rest(revision = 0): Promise<Status> {
    const untilMs = performance.now() + REST_LIMIT_MS;
    while (performance.now() < untilMs) {
      const [first, ...others] = await Promise.all(this.replicas.map((one) => one.status()));
      const isResting =
        first !== undefined &&
        first.revision >= revision &&
        others.every((other) => other.revision === first.revision);
      if (isResting) {
        if (others.every(({ digest }) => digest === first.digest)) return first;
        throw new Error(`the replicas have different digests at revision ${first.revision}`);
      }
      await delay(PROBE_MS);
    }
    throw new Error(`the replicas did not come to rest at revision ${revision}`);
  }

  async close(): Promise<void> {
    await runAll(this.#stops);
  }
}

/** Last in, first out; what fails does not keep the others. */
async function runAll(stops: readonly (() => Promise<void> | void)[]): Promise<void> {
  for (const stop of stops.toReversed()) {
    try {
      await stop();
    } catch {
      // It ends with this process.
    }
  }
}
