/**
 * A whole cluster on loopback: Kafka, MariaDB, three replicas, a datasource node, HAProxy in front.
 * A directory that was used before is taken up again: its topics, its policies, its checkpoints.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lockDataDirectory } from '../../host/log/data-lock.ts';
import { exists } from './cache.ts';
import { startHaproxy } from './haproxy.ts';
import type { Backend } from './haproxy.ts';
import { startKafka } from './kafka.ts';
import { startMariadb } from './mariadb.ts';
import { askJson, isReady, nodeProcess, writeSharedConfig } from './nodes.ts';
import type { Role } from './nodes.ts';
import { freePort, freePorts, LOOPBACK } from './ports.ts';
import { startAll } from './processes.ts';
import type { ComponentProcess, ProcessState, Progress } from './processes.ts';

export interface ClusterOptions {
  readonly directory: string;
  readonly brokers: 1 | 3;
  /** Where HAProxy listens. */
  readonly port: number;
  /** Gives a start up that is under way: it rejects once everything is stopped. */
  readonly signal?: AbortSignal;
  readonly onProgress?: Progress;
}

/** One part of it, as a table shows it. */
export interface PartState {
  readonly name: string;
  readonly kind: 'kafka' | 'mariadb' | Role | 'haproxy';
  /** `host:port`. */
  readonly address: string;
  readonly state: ProcessState;
  /** Of replicas. */
  readonly phase?: string;
  readonly revision?: number;
}

export interface RunningCluster {
  /** Where clients go. */
  readonly url: string;
  readonly directory: string;
  state(): Promise<readonly PartState[]>;
  stop(): Promise<void>;
}

/** What has to be the same when a directory is used again. */
interface Kept {
  readonly brokers: 1 | 3;
  readonly clusterSecret: string;
}

const REPLICA_IDS = ['pe1', 'pe2', 'pe3'];
const DATASOURCE_ID = 'ds1';
const SECRET_BYTES = 24;
const EXAMPLE = 'examples/network';

interface Part {
  readonly name: string;
  readonly kind: PartState['kind'];
  readonly address: string;
  /** Asked for its phase; undefined for what is no replica. */
  readonly statusPort?: number;
  readonly process: { readonly state: ProcessState };
}

/** Resolves when the replicas take requests through HAProxy. */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const starting = new Starting(options);
  const { signal } = options;
  // What waits for a replica sees its end.
  const stop = (): void => void starting.stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await starting.run();
    signal?.throwIfAborted();
  } catch (error) {
    await starting.stop();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  return {
    url: `http://${LOOPBACK}:${options.port}`,
    directory: starting.directory,
    state: () => Promise.all(starting.parts.map(stateOf)),
    stop: () => starting.stop(),
  };
}

/** Starts parts in an order in which each finds what it needs; stops them in the opposite one. */
class Starting {
  readonly directory: string;
  readonly parts: Part[] = [];
  readonly #options: ClusterOptions;
  readonly #progress: Progress;
  readonly #stops: (() => Promise<void>)[] = [];

  constructor(options: ClusterOptions) {
    this.directory = path.resolve(options.directory);
    this.#options = options;
    this.#progress = options.onProgress ?? (() => undefined);
  }

  async run(): Promise<void> {
    this.#stops.push(lockDirectory(this.directory));
    const { clusterSecret } = await keptOf(this.directory, this.#options.brokers);
    const [brokers, databaseUrl] = await settled([this.#startKafka(), this.#startMariadb()]);
    this.#options.signal?.throwIfAborted();
    const configFile = await writeSharedConfig({
      directory: this.directory,
      brokers: brokers.split(','),
      replicationFactor: this.#options.brokers,
      databaseUrl,
      clusterSecret,
      balancerPort: this.#options.port,
      policies: [path.join(EXAMPLE, 'network.policy')],
      sources: [{ name: 'net', path: EXAMPLE }],
    });
    const backends = await this.#startReplicas(configFile);
    await this.#startDatasources(configFile);
    this.#options.signal?.throwIfAborted();
    await this.#startHaproxy(backends);
  }

  async stop(): Promise<void> {
    for (let next = this.#stops.pop(); next !== undefined; next = this.#stops.pop()) await next();
  }

  async #startKafka(): Promise<string> {
    const { brokers: nodes } = this.#options;
    const { directory } = this;
    const kafka = await startKafka({ directory, nodes, onProgress: this.#progress });
    this.#onStop('kafka', () => kafka.stop());
    for (const process of kafka.nodes) {
      const { id, address } = process;
      this.parts.push({ name: `kafka-${id}`, kind: 'kafka', address, process });
    }
    return kafka.brokers.join(',');
  }

  async #startMariadb(): Promise<string> {
    const { directory } = this;
    const process = await startMariadb({ directory, onProgress: this.#progress });
    this.#onStop('mariadb', () => process.stop());
    const address = `${process.host}:${process.port}`;
    this.parts.push({ name: 'mariadb', kind: 'mariadb', address, process });
    return process.url;
  }

  async #startReplicas(configFile: string): Promise<Backend[]> {
    const ports = await freePorts(REPLICA_IDS.length);
    const backends = REPLICA_IDS.map((name, index) => {
      return { name, host: LOOPBACK, port: ports[index] as number };
    });
    const processes = backends.map(({ name, port }) => {
      const process = this.#node(name, 'replica', port, configFile);
      const address = `${LOOPBACK}:${port}`;
      this.parts.push({ name, kind: 'replica', address, statusPort: port, process });
      return process;
    });
    this.#onStop('replicas', () => stopAll(processes));
    this.#progress(`replicas: starting ${REPLICA_IDS.join(', ')}`);
    await startAll(processes);
    this.#progress('replicas: ready');
    return backends;
  }

  /** Replicas serve without it, so its failure is shown, not passed on. */
  async #startDatasources(configFile: string): Promise<void> {
    const port = await freePort();
    const process = this.#node(DATASOURCE_ID, 'datasources', port, configFile);
    const address = `${LOOPBACK}:${port}`;
    this.parts.push({ name: DATASOURCE_ID, kind: 'datasources', address, process });
    this.#onStop('datasources', () => process.stop());
    this.#progress(`datasources: starting ${DATASOURCE_ID}`);
    try {
      await process.start();
      this.#progress('datasources: ready');
    } catch (error) {
      this.#progress(`datasources: ${(error as Error).message}`);
    }
  }

  async #startHaproxy(backends: readonly Backend[]): Promise<void> {
    const { port } = this.#options;
    const { directory } = this;
    const haproxy = await startHaproxy({ directory, port, backends, onProgress: this.#progress });
    this.#onStop('haproxy', () => haproxy.stop());
    const address = `${LOOPBACK}:${port}`;
    this.parts.push({ name: 'haproxy', kind: 'haproxy', address, process: haproxy });
    await haproxy.until(() => isReady(port), 'passes no request to a replica');
  }

  #node(nodeId: string, role: Role, port: number, configFile: string): ComponentProcess {
    const directory = path.join(this.directory, nodeId);
    return nodeProcess({ nodeId, role, port, configFile, directory });
  }

  #onStop(what: string, stop: () => Promise<void>): void {
    this.#stops.push(async () => {
      this.#progress(`${what}: stopping`);
      await stop();
    });
  }
}

/** All, or the first failure once each is decided. */
async function settled<T extends readonly unknown[]>(promises: {
  readonly [Index in keyof T]: Promise<T[Index]>;
}): Promise<T> {
  await Promise.allSettled(promises);
  return (await Promise.all(promises)) as T;
}

async function stopAll(processes: readonly ComponentProcess[]): Promise<void> {
  await Promise.all(processes.map((process) => process.stop()));
}

async function stateOf({ name, kind, address, statusPort, process }: Part): Promise<PartState> {
  const { state } = process;
  const status = statusPort === undefined ? undefined : await askJson(statusPort, '/healthz/ready');
  const phase = status?.['phase'];
  const revision = status?.['revision'];
  return {
    name,
    kind,
    address,
    state,
    ...(typeof phase === 'string' ? { phase } : {}),
    ...(typeof revision === 'number' ? { revision } : {}),
  };
}

/** Of two clusters in one directory each would write over what the other has; gives it back. */
function lockDirectory(directory: string): () => Promise<void> {
  try {
    const lock = lockDataDirectory(directory);
    return () => Promise.resolve(lock.release());
  } catch (error) {
    throw new Error(`${(error as Error).message}; give another one with \`--keep\``, {
      cause: error,
    });
  }
}

/** Read from the directory, or made for it. */
async function keptOf(directory: string, brokers: 1 | 3): Promise<Kept> {
  const file = path.join(directory, 'cluster.json');
  if (!(await exists(file))) {
    await mkdir(directory, { recursive: true });
    const clusterSecret = randomBytes(SECRET_BYTES).toString('base64url');
    const kept: Kept = { brokers, clusterSecret };
    await writeFile(file, `${JSON.stringify(kept)}\n`, { mode: 0o600 });
    return kept;
  }
  const kept = JSON.parse(await readFile(file, 'utf8')) as Kept;
  if (kept.brokers !== brokers) {
    throw new Error(`\`${directory}\` holds a cluster of ${kept.brokers} brokers, not ${brokers}`);
  }
  return kept;
}
