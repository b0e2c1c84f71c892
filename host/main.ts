/**
 * A server: configuration → parts → run. Parts are opened in this order and closed in the opposite
 * one, also when a later part cannot be opened:
 *
 *   data lock → log → store → [ API → engine → replica → policies of `--policy` → drivers ]
 *
 * What stands in brackets is a round: a replica of a cluster that turns out to differ from the
 * others closes its round and opens another. The API listens first in it and tells how far the
 * start is; clients are let go before the replica is. An evaluation that is under way when the
 * server closes is abandoned after `DRAIN_EVALUATION_MS`.
 */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Driver } from '../drivers/driver.ts';
import { createDriver } from '../drivers/registry.ts';
import { DriverRunner } from '../drivers/runner.ts';
import type { SourceHealth } from '../drivers/runner.ts';
import type { ApiServer } from './api/server.ts';
import { DeclaredTables } from './cli/declared-tables.ts';
import { readPolicyTexts } from './cli/policy-imports.ts';
import type { PolicyText } from './cli/policy-file.ts';
import { inputError } from './cli/problem.ts';
import { servedReplica } from './cli/served-replica.ts';
import { lower, lowerQuery } from './compiler/lower.ts';
import type {
  DatasourceNodeConfig,
  ReplicaConfig,
  ServeConfig,
  SingleConfig,
  SourcePath,
} from './config.ts';
import { createWasmEngine } from './engine/wasm-engine.ts';
import { CaucusError } from './errors.ts';
import {
  DRAIN_EVALUATION_MS,
  ROWS_PER_TABLE_MAX,
  VIEW_ROWS_MAX,
  VIEW_STEPS_MAX,
} from './limits.ts';
import { CheckpointStore } from './log/checkpoint-store.ts';
import { nodeDisk } from './log/node-disk.ts';
import type { Logger } from './observe/log.ts';
import { Closers } from './parts/closers.ts';
import { openDatasourceServer } from './parts/datasource-server.ts';
import { fetchCheckpoint } from './parts/fetch-checkpoint.ts';
import { listen } from './parts/listen.ts';
import { lockData, openData } from './parts/open-data.ts';
import type { Data } from './parts/open-data.ts';
import { putPolicies } from './parts/policy-files.ts';
import { logHealth } from './parts/source-health.ts';
import { createReplica } from './replica/create-replica.ts';
import { StartPatience } from './parts/start-patience.ts';
import type { ReplicaDependencies } from './replica/dependencies.ts';
import type { LocalReplica } from './replica/local-replica.ts';
import type { Suspect } from './replica/peers.ts';
import { ReplicaGate } from './replica/replica-gate.ts';
import type { Replica, ReplicaStatus } from './replica/replica.ts';
import { Turns } from './replica/turns.ts';

export interface ServerParts {
  readonly coreWasm: Uint8Array;
  readonly logger: Logger;
  readonly version: string;
  /** Besides the sources of the configuration. */
  readonly drivers?: readonly Driver[];
  readonly onHealth?: (health: SourceHealth) => void;
  /** Gives a start up that is under way; it rejects with `not_ready`. */
  readonly signal?: AbortSignal;
}

export interface RunningServer {
  readonly url: string;
  status(): ServerStatus;
  /** Resolves with the reason if the replica stops by itself. */
  readonly failed: Promise<Error>;
  /** Drains, then closes every part; once is enough. */
  close(): Promise<void>;
}

/** What both kinds of servers have to say; a datasource node has no policies and no revision. */
export interface ServerStatus {
  readonly revision: number;
  readonly policies?: ReplicaStatus['policies'];
  readonly sources: readonly { readonly name?: string; readonly source?: string }[];
}

/** Bytes of an id that no other process has. */
const ID_BYTES = 16;

/** Resolves when requests are answered and the policies of the configuration are in force. */
export async function startServer(config: ServeConfig, parts: ServerParts): Promise<RunningServer> {
  if (config.shape === 'datasources') return await startDatasources(config, parts);
  const server = new ReplicaServer(config, parts);
  await server.start();
  return server;
}

async function startDatasources(
  config: DatasourceNodeConfig,
  { logger, version, signal }: ServerParts,
): Promise<RunningServer> {
  const closers = new Closers();
  try {
    const data = path.resolve(config.dataDirectory);
    logger.info('server-starting', 'connecting', { version, data });
    const { url, node } = await openDatasourceServer(config, logger, closers, signal);
    logger.info('server-ready', 'the datasource node runs', { url });
    return {
      url,
      failed: new Promise(() => undefined),
      status: () => ({ revision: 0, ...node.health() }),
      close: () => closers.close(),
    };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

class ReplicaServer implements RunningServer {
  readonly failed: Promise<Error>;
  readonly #config: SingleConfig | ReplicaConfig;
  readonly #parts: ServerParts;
  readonly #closers = new Closers();
  readonly #turns = new Turns(yieldToEventLoop);
  #fail: (reason: Error) => void = () => undefined;
  #texts: readonly PolicyText[] = [];
  #data: Data | undefined;
  #round: Round | undefined;
  /** The address that clients know: a further round listens there again. */
  #port: number;
  #rebuilding: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: SingleConfig | ReplicaConfig, parts: ServerParts) {
    this.#config = config;
    this.#parts = parts;
    this.#port = config.port;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  get url(): string {
    return this.#current.url;
  }

  status(): ReplicaStatus {
    return this.#current.status();
  }

  async start(): Promise<void> {
    const { logger, version, signal } = this.#parts;
    const { policies, sources, dataDirectory } = this.#config;
    const directory = path.resolve(dataDirectory);
    const stopStart = (): void => this.#turns.stop(stopping());
    signal?.addEventListener('abort', stopStart, { once: true });
    try {
      logger.info('server-starting', 'opening the data', { version, data: directory });
      this.#texts = await readPolicyTexts(policies.map(({ file }) => file));
      for (const source of sources) await expectPath(source);
      lockData(directory, this.#closers);
      await this.#openRound(undefined);
    } catch (error) {
      await this.#round?.close();
      await this.#closers.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stopStart);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  get #current(): Round {
    if (this.#round === undefined) throw new Error('the server has not started');
    return this.#round;
  }

  async #close(): Promise<void> {
    await this.#rebuilding;
    const patience = setInterval(() => {
      if (this.#round?.isEvaluating === true) this.#turns.stop(stopping());
    }, DRAIN_EVALUATION_MS);
    await this.#round?.close();
    clearInterval(patience);
    await this.#closers.close();
  }

  async #openRound(suspect: Suspect | undefined): Promise<void> {
    const round = new Round({
      config: this.#config,
      parts: this.#parts,
      turns: this.#turns,
      texts: this.#texts,
      suspect,
      openData: async (patience) => {
        const { logger } = this.#parts;
        this.#data ??= await openData(this.#config, logger, this.#closers, patience);
        return this.#data;
      },
      onRebuild: (found) => this.#rebuild(found),
      onStopped: (reason) => {
        if (round === this.#round && this.#closing === undefined) this.#fail(reason);
      },
    });
    this.#round = round;
    await round.open(this.#port);
    this.#port = round.port;
  }

  /** Closes the round, and opens one whose state is made anew. */
  #rebuild(suspect: Suspect | undefined): void {
    if (this.#rebuilding !== undefined || this.#closing !== undefined) return;
    const { logger } = this.#parts;
    const reason =
      suspect === undefined
        ? 'the others have trimmed the log past this replica'
        : `the replicas differ at revision ${suspect.revision}`;
    logger.warn('replica-rebuilding', `${reason}: its state is built anew`, { ...suspect });
    this.#rebuilding = (async () => {
      const round = this.#round;
      this.#round = undefined;
      await round?.close();
      await this.#openRound(suspect);
    })()
      .catch((error: unknown) => {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => {
        this.#rebuilding = undefined;
      });
  }
}

interface RoundOptions {
  readonly config: SingleConfig | ReplicaConfig;
  readonly parts: ServerParts;
  readonly turns: Turns;
  readonly texts: readonly PolicyText[];
  readonly suspect: Suspect | undefined;
  readonly openData: (patience: StartPatience) => Promise<Data>;
  /** The state is to be made anew; because of the suspect, or as the log went past it. */
  readonly onRebuild: (suspect: Suspect | undefined) => void;
  readonly onStopped: (reason: Error) => void;
}

/** API, engine, replica and drivers over log and store: from an empty memory to a live replica. */
class Round {
  readonly #options: RoundOptions;
  readonly #closers = new Closers();
  readonly #gate = new ReplicaGate();
  readonly #declared = new DeclaredTables();
  readonly #checkpoints: CheckpointStore;
  readonly #served: Replica;
  readonly #patience: StartPatience;
  #api: ApiServer | undefined;
  #replica: LocalReplica | undefined;
  #runner: DriverRunner | undefined;
  #lastProblem: Error | undefined;

  constructor(options: RoundOptions) {
    this.#options = options;
    const directory = path.resolve(options.config.dataDirectory);
    this.#patience = new StartPatience({
      logger: options.parts.logger,
      signal: options.parts.signal,
      onWait: (reason) => this.#gate.waitOnChange(reason),
    });
    this.#checkpoints = new CheckpointStore(nodeDisk, path.join(directory, 'checkpoints'));
    this.#served = servedReplica(this.#gate, this.#declared, () => this.#runner?.health() ?? []);
  }

  get url(): string {
    return this.#listening.address.url;
  }

  get port(): number {
    return this.#listening.address.port;
  }

  get isEvaluating(): boolean {
    return this.#replica?.isEvaluating === true;
  }

  status(): ReplicaStatus {
    return this.#served.status();
  }

  close(): Promise<void> {
    return this.#closers.close();
  }

  async open(port: number): Promise<void> {
    const { config, parts, turns, texts, openData: open } = this.#options;
    const { logger } = parts;
    const api = await listen(
      { replica: this.#served, expectStarted: () => this.#gate.expectOpen(), ...this.#access() },
      config,
      logger,
      port,
    );
    this.#api = api;
    this.#closers.add(() => api.close());
    const { address } = api;
    logger.info('server-listening', 'the state is being restored', { ...address });
    const replica = await this.#openReplica(await open(this.#patience));
    this.#replica = replica;
    if (replica.status().phase === 'live') {
      await this.#declared.load(replica);
      await putPolicies(replica, this.#declared, texts, logger);
    }
    if (turns.isStopped) throw stopping();
    this.#gate.open(replica);
    // Clients go first: what they asked is answered before the replica stops.
    this.#closers.add(() => api.close());
    this.#startDrivers(replica);
    const { revision } = replica.status();
    logger.info('server-ready', 'requests are answered', { ...address, revision });
  }

  get #listening(): ApiServer {
    if (this.#api === undefined) throw new Error('the server does not listen');
    return this.#api;
  }

  /** What other nodes may ask of this one. */
  #access(): Pick<Parameters<typeof listen>[0], 'cluster'> {
    const { config } = this.#options;
    if (config.shape === 'single') return {};
    const newestCheckpoint = async () => (await this.#checkpoints.loadNewest()).checkpoint;
    return { cluster: { secret: config.clusterSecret, newestCheckpoint } };
  }

  /** A node of a cluster waits for the others where it cannot start without them. */
  async #openReplica(data: Data): Promise<LocalReplica> {
    if (this.#options.config.shape === 'single') return await this.#tryReplica(data);
    return await this.#patience.retry(() => this.#tryReplica(data));
  }

  async #tryReplica({ log, store }: Data): Promise<LocalReplica> {
    const { config, parts, turns } = this.#options;
    const engine = await createWasmEngine(parts.coreWasm, {
      yield: turns.next,
      now: () => performance.now(),
      rowsPerTableMax: ROWS_PER_TABLE_MAX,
      viewRowsMax: VIEW_ROWS_MAX,
      viewStepsMax: VIEW_STEPS_MAX,
    });
    this.#closers.add(() => engine.close());
    const { checkpointRevisions, checkpointRecordBytes } = config;
    const isAlone = config.shape === 'single';
    const replica = await createReplica({
      engine,
      lower,
      lowerQuery,
      log,
      store,
      leases: store,
      checkpoints: this.#checkpoints,
      settings: { checkpointRevisions, checkpointRecordBytes, memoryFailsPolicies: isAlone },
      ...this.#clusterParts(),
      now: Date.now,
      setTimer: (callback, ms) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
      random: Math.random,
      randomId: () => randomBytes(ID_BYTES).toString('hex'),
      yield: turns.next,
      ...this.#listeners(),
    });
    this.#closers.add(() => replica.close());
    return replica;
  }

  #clusterParts(): Pick<
    ReplicaDependencies,
    'node' | 'fetchCheckpoint' | 'onDiverged' | 'onOvertaken'
  > {
    const { config, suspect, onRebuild, parts } = this.#options;
    if (config.shape === 'single') return {};
    const url = config.publicUrl ?? ownUrl(config, this.url);
    if (url === '') {
      parts.logger.warn('replica-event', 'other nodes cannot get a checkpoint from this one', {
        remedy: 'say with `api.public_url` under which address they reach it',
      });
    }
    const { nodeId, digestRevisions, clusterSecret, syncPeriodMs: repairMs } = config;
    const doubt = suspect === undefined ? {} : { suspect };
    return {
      node: { nodeId, url, digestRevisions, repairMs, ...doubt },
      fetchCheckpoint: (peer) => fetchCheckpoint(peer, clusterSecret),
      onDiverged: onRebuild,
      onOvertaken: () => onRebuild(undefined),
    };
  }

  #listeners(): Pick<ReplicaDependencies, 'onPhase' | 'onProblem' | 'onProgress'> {
    const { parts, turns, onStopped } = this.#options;
    const { logger } = parts;
    return {
      onProblem: (error) => {
        if (turns.isStopped) return;
        this.#lastProblem = error;
        const remedy = error instanceof CaucusError ? error.remedy : undefined;
        logger.warn('replica-event', error.message, { remedy });
      },
      onPhase: (phase) => {
        this.#gate.phaseOnChange(phase);
        logger.debug('replica-event', `the replica is ${phase}`, { phase });
        if (phase === 'stopped') onStopped(this.#lastProblem ?? new Error('the replica stopped'));
      },
      onProgress: (progress) => this.#gate.progressOnChange(progress),
    };
  }

  #startDrivers(replica: LocalReplica): void {
    const { config, parts } = this.#options;
    const { logger, drivers = [], onHealth } = parts;
    const configured = config.datasources
      .filter(({ driver }) => driver !== 'push')
      .map((source) => createDriver(source, (table) => this.#declared.columns(source.name, table)));
    const runner = new DriverRunner({
      drivers: [...drivers, ...configured],
      writeBatch: (batch) => replica.writeBatch(batch),
      ...(config.shape === 'single' ? { heldRows: replica.baseRows.bind(replica) } : {}),
      onHealth: (health) => {
        logHealth(health, logger);
        onHealth?.(health);
      },
    });
    this.#runner = runner;
    for (const { name, path: target } of config.sources) {
      logger.info('source-started', `\`${name}\` is filled from \`${target}\``, { source: name });
    }
    runner.start();
    this.#closers.add(() => runner.stop());
  }
}

/** Where it listens, unless that is every address of the machine. */
function ownUrl({ host }: ServeConfig, url: string): string {
  return ['0.0.0.0', '::', '[::]'].includes(host) ? '' : url;
}

/** What those hear whose work the end of the server cut short. */
function stopping(): CaucusError {
  return new CaucusError('not_ready', 'the server is stopping', {
    remedy: 'ask again when it is back; a batch without an answer may have been kept',
  });
}

async function expectPath({ name, path: target }: SourcePath): Promise<void> {
  await stat(target).catch(() => {
    throw inputError('enoent', `\`${target}\` of the source \`${name}\` does not exist`, {
      note: 'name a file or directory after `--source NAME=`',
    });
  });
}

/** Between two steps of a long evaluation: signals, timers and requests get their turn. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
