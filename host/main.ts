/**
 * The server of one process: configuration → parts → run. Parts are opened in this order and closed
 * in the opposite one, also when a later part cannot be opened:
 *
 *   data lock → API → log → store → engine → replica → policies of `--policy` → drivers
 *
 * The API listens first and tells how far the start is; clients are let go before the replica is.
 * An evaluation that is under way when the server closes is abandoned after `DRAIN_EVALUATION_MS`.
 */
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Driver } from '../drivers/driver.ts';
import { DriverRunner } from '../drivers/runner.ts';
import type { SourceHealth } from '../drivers/runner.ts';
import { fileDriver } from '../drivers/file/file-driver.ts';
import { createApiServer } from './api/server.ts';
import type { ApiServer } from './api/server.ts';
import { DeclaredTables } from './cli/declared-tables.ts';
import { problemsOfDiagnostics } from './cli/compile-files.ts';
import { readPolicyText } from './cli/policy-file.ts';
import type { PolicyText } from './cli/policy-file.ts';
import { inputError, ProblemsError } from './cli/problem.ts';
import { servedReplica } from './cli/served-replica.ts';
import { renderDiagnostic } from './compiler/diagnostic.ts';
import type { Diagnostic } from './compiler/diagnostic.ts';
import { lower, lowerQuery } from './compiler/lower.ts';
import type { ServeConfig, SourcePath } from './config.ts';
import { createWasmEngine } from './engine/wasm-engine.ts';
import { CaucusError } from './errors.ts';
import {
  DRAIN_EVALUATION_MS,
  ROWS_PER_TABLE_MAX,
  VIEW_ROWS_MAX,
  VIEW_STEPS_MAX,
} from './limits.ts';
import { CheckpointStore } from './log/checkpoint-store.ts';
import { lockDataDirectory } from './log/data-lock.ts';
import { openFileLog } from './log/file-log.ts';
import type { FileLog } from './log/file-log.ts';
import { nodeDisk } from './log/node-disk.ts';
import type { Logger } from './observe/log.ts';
import { createReplica } from './replica/create-replica.ts';
import type { ReplicaDependencies } from './replica/dependencies.ts';
import type { LocalReplica } from './replica/local-replica.ts';
import { ReplicaGate } from './replica/replica-gate.ts';
import type { Replica, ReplicaStatus } from './replica/replica.ts';
import { Turns } from './replica/turns.ts';
import { openSqliteStore } from './store/sqlite-store.ts';
import type { Store } from './store/store.ts';

export interface ServerParts {
  readonly coreWasm: Uint8Array;
  readonly logger: Logger;
  readonly version: string;
  /** Besides the file sources of the configuration. */
  readonly drivers?: readonly Driver[];
  readonly onHealth?: (health: SourceHealth) => void;
  /** Gives a start up that is under way; it rejects with `not_ready`. */
  readonly signal?: AbortSignal;
}

export interface RunningServer {
  readonly url: string;
  status(): ReplicaStatus;
  /** Resolves with the reason if the replica stops by itself. */
  readonly failed: Promise<Error>;
  /** Drains, then closes every part; once is enough. */
  close(): Promise<void>;
}

/** Bytes of an id that no other process has. */
const ID_BYTES = 16;

/** Resolves when requests are answered and the policies of the configuration are in force. */
export async function startServer(config: ServeConfig, parts: ServerParts): Promise<RunningServer> {
  const closers = new Closers();
  try {
    return await openParts(config, parts, closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function openParts(
  config: ServeConfig,
  parts: ServerParts,
  closers: Closers,
): Promise<RunningServer> {
  const { coreWasm, logger, version, signal } = parts;
  const directory = path.resolve(config.dataDirectory);
  logger.info('server-starting', 'opening the data', { version, data: directory });
  const texts = await Promise.all(config.policies.map(({ file }) => readPolicyText(file)));
  for (const source of config.sources) await expectPath(source);

  const turns = new Turns(yieldToEventLoop);
  const stopStart = (): void => turns.stop(stopping());
  signal?.addEventListener('abort', stopStart, { once: true });
  const lock = lockData(directory);
  closers.add(() => lock.release());
  const gate = new ReplicaGate();
  const declared = new DeclaredTables();
  let runner: DriverRunner | undefined;
  const served = servedReplica(gate, declared, () => runner?.health() ?? []);
  const api = await listen(served, config, logger, () => gate.expectOpen());
  closers.add(() => api.close());
  const { url, host, port } = api.address;
  logger.info('server-listening', 'the state is being restored', { url, host, port });

  const { log, store } = await openData(directory, closers);
  const engine = await createWasmEngine(coreWasm, {
    yield: turns.next,
    now: () => performance.now(),
    rowsPerTableMax: ROWS_PER_TABLE_MAX,
    viewRowsMax: VIEW_ROWS_MAX,
    viewStepsMax: VIEW_STEPS_MAX,
  });
  closers.add(() => engine.close());
  let fail: (reason: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  let lastProblem: Error | undefined;
  const replica = await openReplica({
    engine,
    log,
    store,
    directory,
    yield: turns.next,
    onProblem: (error) => {
      if (turns.isStopped) return;
      lastProblem = error;
      logger.warn('replica-event', error.message);
    },
    onPhase: (phase) => {
      gate.phaseOnChange(phase);
      logger.debug('replica-event', `the replica is ${phase}`, { phase });
      if (phase === 'stopped') fail(lastProblem ?? new Error('the replica stopped'));
    },
    onProgress: (progress) => gate.progressOnChange(progress),
  });
  closers.add(() => replica.close());
  await declared.load(replica);
  await putPolicies(replica, declared, texts, logger);
  signal?.removeEventListener('abort', stopStart);
  if (turns.isStopped) throw stopping();

  gate.open(replica);
  // Clients go first: what they asked is answered before the replica stops.
  closers.add(() => api.close());
  runner = startDrivers(replica, config.sources, declared, parts);
  closers.add(() => runner?.stop());
  const { revision } = replica.status();
  logger.info('server-ready', 'requests are answered', { url, host, port, revision });
  const close = async (): Promise<void> => {
    const patience = setInterval(() => {
      if (replica.isEvaluating) turns.stop(stopping());
    }, DRAIN_EVALUATION_MS);
    await closers.close();
    clearInterval(patience);
  };
  return { url, failed, status: () => served.status(), close };
}

/** What those hear whose work the end of the server cut short. */
function stopping(): CaucusError {
  return new CaucusError('not_ready', 'the server is stopping', {
    remedy: 'ask again when it is back; a batch without an answer may have been kept',
  });
}

/** What to undo, last first. */
class Closers {
  private readonly closers: (() => unknown)[] = [];
  private closing: Promise<void> | undefined;

  add(closer: () => unknown): void {
    this.closers.push(closer);
  }

  close(): Promise<void> {
    this.closing ??= (async () => {
      for (const closer of this.closers.reverse()) await closer();
    })();
    return this.closing;
  }
}

async function openData(
  directory: string,
  closers: Closers,
): Promise<{ readonly log: FileLog; readonly store: Store }> {
  try {
    const log = await openFileLog({
      disk: nodeDisk,
      directory: path.join(directory, 'log'),
      now: Date.now,
    });
    closers.add(() => log.close());
    const store = await openSqliteStore({ file: path.join(directory, 'store.sqlite') });
    closers.add(() => store.close());
    return { log, store };
  } catch (error) {
    throw dataProblem(error, directory);
  }
}

function lockData(directory: string): ReturnType<typeof lockDataDirectory> {
  try {
    return lockDataDirectory(directory);
  } catch (error) {
    throw dataProblem(error, directory);
  }
}

function dataProblem(error: unknown, directory: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof CaucusError || code === undefined) return error;
  return inputError(
    'data-unusable',
    `the data directory \`${directory}\` cannot be used: ${code}`,
    {
      note:
        code === 'ENOSPC'
          ? 'the disk is full: free some space, then start again'
          : 'name a directory that this user may write with `--data`',
    },
  );
}

type ReplicaParts = Pick<
  ReplicaDependencies,
  'engine' | 'log' | 'store' | 'yield' | 'onPhase' | 'onProblem' | 'onProgress'
> & {
  readonly directory: string;
};

function openReplica({ directory, ...parts }: ReplicaParts): Promise<LocalReplica> {
  return createReplica({
    ...parts,
    lower,
    lowerQuery,
    settings: { memoryFailsPolicies: true },
    checkpoints: new CheckpointStore(nodeDisk, path.join(directory, 'checkpoints')),
    now: Date.now,
    setTimer: (callback, ms) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    randomId: () => randomBytes(ID_BYTES).toString('hex'),
  });
}

async function expectPath({ name, path: target }: SourcePath): Promise<void> {
  await stat(target).catch(() => {
    throw inputError('enoent', `\`${target}\` of the source \`${name}\` does not exist`, {
      note: 'name a file or directory after `--source NAME=`',
    });
  });
}

/** All in one revision; those that are in force already are left out. */
async function putPolicies(
  replica: Replica,
  declared: DeclaredTables,
  texts: readonly PolicyText[],
  logger: Logger,
): Promise<void> {
  const inForce = new Set(replica.status().policies.map(({ name }) => name));
  const writes: PolicyText[] = [];
  for (const policy of texts) {
    const { name, file, text } = policy;
    const isSame = inForce.has(name) && (await replica.readPolicy(name)).text === text;
    if (isSame) logger.debug('policy-file-ignored', `\`${name}\` is in force already`, { file });
    else writes.push(policy);
  }
  if (writes.length === 0) return;
  const { revision } = await declared
    .write(
      replica,
      writes.map(({ name, text }) => ({ name, text })),
    )
    .catch((error: unknown) => {
      const diagnostics = error instanceof CaucusError ? error.details['diagnostics'] : undefined;
      if (!Array.isArray(diagnostics)) throw error;
      throw new ProblemsError(problemsOfDiagnostics(diagnostics as Diagnostic[], writes));
    });
  const names = writes.map(({ name }) => name);
  const message =
    names.length === 1 ? '1 policy is in force' : `${names.length} policies are in force`;
  logger.info('policies-loaded', message, { names, revision });
}

async function listen(
  replica: Replica,
  config: ServeConfig,
  logger: Logger,
  expectStarted: () => void,
): Promise<ApiServer> {
  try {
    return await createApiServer({
      replica,
      expectStarted,
      host: config.host.replace(/^\[|\]$/g, ''),
      port: config.port,
      allowedHosts: config.allowHosts,
      allowedOrigins: config.allowOrigins,
      renderDiagnostic,
      log: (level, message, fields) => {
        if (level === 'error') logger.error('request-failed', message, textFields(fields));
        else logger.debug('replica-event', message, textFields(fields));
      },
    });
  } catch (error) {
    throw listenProblem(error as NodeJS.ErrnoException, config);
  }
}

function listenProblem(error: NodeJS.ErrnoException, { host, port }: ServeConfig): unknown {
  const place = `${host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return inputError('port-in-use', `another program listens on \`${place}\``, {
        note: 'stop it, or take another port with `--port`; `--port 0` takes a free one',
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return inputError('no-address', `this machine has no address \`${host}\``, {
        note: 'name one of its own addresses with `--host`',
      });
    case 'EACCES':
      return inputError('port-refused', `this user may not listen on \`${place}\``, {
        note: 'take a port from 1024 on with `--port`',
      });
    default:
      return error;
  }
}

function startDrivers(
  replica: Replica,
  sources: readonly SourcePath[],
  declared: DeclaredTables,
  { logger, drivers = [], onHealth }: ServerParts,
): DriverRunner {
  const fileDrivers = sources.map(({ name, path: target }) =>
    fileDriver({
      source: name,
      path: path.resolve(target),
      declared: (table) => declared.columns(name, table),
    }),
  );
  const runner = new DriverRunner({
    drivers: [...drivers, ...fileDrivers],
    writeBatch: (batch) => replica.writeBatch(batch),
    onHealth: (health) => {
      logHealth(health, logger);
      onHealth?.(health);
    },
  });
  for (const { name, path: target } of sources) {
    logger.info('source-started', `\`${name}\` is filled from \`${target}\``, { source: name });
  }
  runner.start();
  return runner;
}

function logHealth({ source, state, problems }: SourceHealth, logger: Logger): void {
  if (state === 'fresh') logger.info('source-fresh', `\`${source}\` is up to date`, { source });
  if (state !== 'stale') return;
  for (const problem of problems) {
    const { file, line, column } = problem;
    const place = [file, line, column].filter((part) => part !== undefined).join(':');
    const remedy = problem.remedy;
    logger.warn('source-stale', problem.message, { source, place, remedy });
  }
}

function textFields(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Error ? (value.stack ?? value.message) : String(value),
    ]),
  );
}

/** Between two steps of a long evaluation: signals, timers and requests get their turn. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
