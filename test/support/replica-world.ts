/** A replica with its log on a disk that the test may crash, a fake clock and no other machine. */
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { openFileLog } from '../../host/log/file-log.ts';
import type { FileLog } from '../../host/log/file-log.ts';
import type { Log } from '../../host/log/log.ts';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import type { Engine, Transaction, TransactionResult } from '../../host/engine/engine.ts';
import { createReplica } from '../../host/replica/create-replica.ts';
import type { ReplicaDependencies } from '../../host/replica/dependencies.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import type { Commit } from '../../host/replica/replica.ts';
import { CaucusError } from '../../host/errors.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import type { Store } from '../../host/store/store.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';
import { naivePlan, naiveQueryPlan } from '../oracle/naive-plan.ts';
import { FaultyDisk } from './faulty-disk.ts';

export const rows = (...list: Row[]): RowBlock => encodeRows(list[0]?.length ?? 0, list);
export const ints = (...list: number[]): RowBlock =>
  encodeRows(
    1,
    list.map((n) => [BigInt(n)]),
  );
export const shown = (block: RowBlock): Row[] => decodeRows(block);

export type EngineName = 'wasm' | 'naive';
export const ENGINE_NAMES: readonly EngineName[] = ['wasm', 'naive'];

/** Runs a test once with each engine; its worlds have that one. */
export function replicaTest(name: string, body: () => Promise<void>): void {
  for (const engineName of ENGINE_NAMES) {
    test(`${name} (${engineName})`, async () => {
      currentEngine = engineName;
      await body();
    });
  }
}

let currentEngine: EngineName = 'wasm';

/** The engine of the worlds made from here on. */
export function useEngine(name: EngineName): void {
  currentEngine = name;
}
const CORE = 'build/core.wasm';

export const yieldToLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface EngineFactory {
  readonly create: (rowsPerTableMax: number) => Promise<Engine>;
  readonly lower: ReplicaDependencies['lower'];
  readonly lowerQuery: ReplicaDependencies['lowerQuery'];
}

const FACTORIES: Readonly<Record<EngineName, EngineFactory>> = {
  wasm: {
    create: async (rowsPerTableMax) =>
      await createWasmEngine(await readFile(CORE), {
        yield: yieldToLoop,
        ...(rowsPerTableMax === Infinity ? {} : { rowsPerTableMax }),
      }),
    lower,
    lowerQuery,
  },
  naive: {
    create: (rowsPerTableMax) => Promise.resolve(new LimitedNaiveEngine(rowsPerTableMax)),
    lower: naivePlan,
    lowerQuery: naiveQueryPlan,
  },
};

/** The naive engine with a limit that is a function of the state. */
class LimitedNaiveEngine extends NaiveEngine {
  readonly #rowsPerTableMax: number;
  readonly #committed: Transaction[] = [];

  constructor(rowsPerTableMax: number) {
    super();
    this.#rowsPerTableMax = rowsPerTableMax;
  }

  override async transact(transaction: Transaction): Promise<TransactionResult> {
    if (this.#rowsPerTableMax < Infinity) {
      for (const [table, size] of await this.#sizesAfter(transaction)) {
        if (size <= this.#rowsPerTableMax || table.startsWith('system:')) continue;
        const message = `${size} rows, ${this.#rowsPerTableMax} are allowed`;
        return { ok: false, code: 'rows_per_table', table, message };
      }
      if (transaction.dryRun !== true) this.#committed.push(transaction);
    }
    return await super.transact(transaction);
  }

  /** On an engine of its own, which has seen the same transactions. */
  async #sizesAfter(transaction: Transaction): Promise<[string, number][]> {
    const copy = new NaiveEngine();
    for (const before of this.#committed) await copy.transact(before);
    await copy.transact({ ...transaction, dryRun: false });
    return Object.entries(copy.stats().tables);
  }
}

/** An engine whose transactions a test can count, hold up and let fail. */
export class TestEngine implements Engine {
  readonly inner: Engine;
  /** Fails the next transactions with this code, without a table. */
  failWith: 'out_of_memory' | 'values' | undefined;
  /** How many of them. */
  failures = Infinity;
  transactions = 0;
  /** Those of them with a plan. */
  plans = 0;
  /** Changes what the engine is given. */
  alter: (transaction: Transaction) => Transaction = (transaction) => transaction;
  /** Changes what the engine answers. */
  alterResult: (result: TransactionResult) => TransactionResult = (result) => result;
  /** Awaited before each transaction is computed. */
  gate: Promise<void> = Promise.resolve();

  constructor(inner: Engine) {
    this.inner = inner;
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.transactions++;
    if (transaction.plan !== undefined) this.plans++;
    await this.gate;
    if (this.failWith !== undefined && this.failures-- > 0) {
      return { ok: false, code: this.failWith, message: 'a fault of the test' };
    }
    return this.alterResult(await this.inner.transact(this.alter(transaction)));
  }

  query(...args: Parameters<Engine['query']>): ReturnType<Engine['query']> {
    return this.inner.query(...args);
  }
  rows(...args: Parameters<Engine['rows']>): ReturnType<Engine['rows']> {
    return this.inner.rows(...args);
  }
  prepareCheck(...args: Parameters<Engine['prepareCheck']>): ReturnType<Engine['prepareCheck']> {
    return this.inner.prepareCheck(...args);
  }
  count(table: string): number {
    return this.inner.count(table);
  }
  digest(): string {
    return this.inner.digest();
  }
  scrub(): ReturnType<Engine['scrub']> {
    return this.inner.scrub();
  }
  stats(): ReturnType<Engine['stats']> {
    return this.inner.stats();
  }
  close(): void {
    this.inner.close();
  }
}

export interface World {
  readonly engineName: EngineName;
  readonly disk: FaultyDisk;
  readonly store: Store;
  nowMs: number;
  problems: Error[];
  phases: string[];
}

export async function newWorld(): Promise<World> {
  return {
    engineName: currentEngine,
    disk: new FaultyDisk(),
    store: await openSqliteStore({ file: ':memory:' }),
    nowMs: 1_700_000_000_000,
    problems: [],
    phases: [],
  };
}

export interface Node {
  readonly replica: LocalReplica;
  readonly engine: TestEngine;
  readonly log: FileLog;
  readonly checkpoints: ReplicaDependencies['checkpoints'];
  readonly stop: () => Promise<void>;
}

export type NodeOptions = Partial<ReplicaDependencies> & {
  readonly segmentBytes?: number;
  readonly rowsPerTableMax?: number;
  /** What the replica sees in place of the log. */
  readonly wrapLog?: (log: Log) => Log;
};

let ids = 0;

export async function startNode(world: World, options: NodeOptions = {}): Promise<Node> {
  const disk = world.disk.attach();
  const log = await openFileLog({
    disk,
    directory: '/data/log',
    now: () => world.nowMs,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  });
  return await startOn(world, log, () => log.close(), {
    checkpoints: new CheckpointStore(disk, '/data/checkpoints'),
    ...options,
  });
}

/** Another replica over the log of `first`, which has to stop last. Its disk is its own. */
export function joinNode(world: World, first: Node, options: NodeOptions = {}): Promise<Node> {
  return startOn(world, first.log, () => Promise.resolve(), {
    checkpoints: new CheckpointStore(new FaultyDisk().attach(), '/data/checkpoints'),
    ...options,
  });
}

async function startOn(
  world: World,
  log: FileLog,
  closeLog: () => Promise<void>,
  options: NodeOptions & Pick<ReplicaDependencies, 'checkpoints'>,
): Promise<Node> {
  const factory = FACTORIES[world.engineName];
  const engine = new TestEngine(await factory.create(options.rowsPerTableMax ?? Infinity));
  const { segmentBytes: _bytes, rowsPerTableMax: _rows, wrapLog, ...given } = options;
  const replica = await createReplica({
    engine,
    lower: factory.lower,
    lowerQuery: factory.lowerQuery,
    log: wrapLog === undefined ? log : wrapLog(log),
    store: world.store,
    now: () => world.nowMs,
    setTimer: (callback, ms) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
    random: Math.random,
    randomId: () => `id-${ids++}`,
    yield: yieldToLoop,
    onProblem: (error) => world.problems.push(error),
    onPhase: (phase) => world.phases.push(phase),
    ...given,
  });
  const stop = async (): Promise<void> => {
    await replica.close();
    await closeLog();
    engine.close();
  };
  return { replica, engine, log, checkpoints: options.checkpoints, stop };
}

/** For `assert.rejects`: an operating error with this code. */
export function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof CaucusError && error.code === expected) return true;
    throw new Error(`expected ${expected}, got ${String(error)}`, { cause: error });
  };
}

/** Collects the commits from here on. */
export function commits(node: Node): Commit[] {
  const seen: Commit[] = [];
  node.replica.onCommit((commit) => seen.push(commit));
  return seen;
}
