/** A replica with its log on a disk that the test may crash, a fake clock and no other machine. */
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import { openFileLog } from '../../host/log/file-log.ts';
import type { FileLog } from '../../host/log/file-log.ts';
import type { Plan, PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import type { StratifiedProgram } from '../../host/compiler/stratified.ts';
import type { Engine, Transaction, TransactionResult } from '../../host/engine/engine.ts';
import { createReplica } from '../../host/replica/create-replica.ts';
import type { ReplicaDependencies } from '../../host/replica/dependencies.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import type { Commit } from '../../host/replica/replica.ts';
import { CaucusError } from '../../host/errors.ts';
import type { CompiledQuery } from '../../host/replica/planner.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import type { Store } from '../../host/store/store.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';
import { FaultyDisk } from './faulty-disk.ts';

export const rows = (...list: Row[]): RowBlock => encodeRows(list[0]?.length ?? 0, list);
export const ints = (...list: number[]): RowBlock =>
  encodeRows(
    1,
    list.map((n) => [BigInt(n)]),
  );
export const shown = (block: RowBlock): Row[] => decodeRows(block);

/** The naive engine with limits, as functions of the state. */
export class LimitedEngine extends NaiveEngine {
  rowsPerTableMax = Infinity;
  /** Fails the next transactions with this code, without a table. */
  failWith: 'out_of_memory' | 'values' | undefined;
  transactions = 0;
  /** Awaited before each transaction is computed. */
  gate: Promise<void> = Promise.resolve();
  readonly #committed: Transaction[] = [];

  override async transact(transaction: Transaction): Promise<TransactionResult> {
    this.transactions++;
    await this.gate;
    if (this.failWith !== undefined) {
      return { ok: false, code: this.failWith, message: 'a fault of the test' };
    }
    if (this.rowsPerTableMax < Infinity) {
      for (const [table, size] of await this.#sizesAfter(transaction)) {
        if (size <= this.rowsPerTableMax || table.startsWith('system:')) continue;
        const message = `${size} rows, ${this.rowsPerTableMax} are allowed`;
        return { ok: false, code: 'rows_per_table', table, message };
      }
    }
    if (transaction.dryRun !== true) this.#committed.push(transaction);
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

export function lowerNaively(program: StratifiedProgram, options: PlanOptions): Plan {
  return { program, options } as Plan;
}

export function lowerQueryNaively(plan: Plan, query: CompiledQuery): QueryPlan {
  return { program: { ...plan.program, tables: query.tables }, query } as unknown as QueryPlan;
}

export interface World {
  readonly disk: FaultyDisk;
  readonly store: Store;
  nowMs: number;
  problems: Error[];
  phases: string[];
}

export async function newWorld(): Promise<World> {
  return {
    disk: new FaultyDisk(),
    store: await openSqliteStore({ file: ':memory:' }),
    nowMs: 1_700_000_000_000,
    problems: [],
    phases: [],
  };
}

export interface Node {
  readonly replica: LocalReplica;
  readonly engine: LimitedEngine;
  readonly log: FileLog;
  readonly stop: () => Promise<void>;
}

let ids = 0;

export async function startNode(
  world: World,
  options: Partial<ReplicaDependencies> & { engine?: Engine; segmentBytes?: number } = {},
): Promise<Node> {
  const disk = world.disk.attach();
  const log = await openFileLog({
    disk,
    directory: '/data/log',
    now: () => world.nowMs,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  });
  const engine = (options.engine as LimitedEngine | undefined) ?? new LimitedEngine();
  const { segmentBytes: _, ...given } = options;
  const replica = await createReplica({
    engine,
    lower: lowerNaively,
    lowerQuery: lowerQueryNaively,
    log,
    store: world.store,
    checkpoints: new CheckpointStore(disk, '/data/checkpoints'),
    now: () => world.nowMs,
    setTimer: (callback, ms) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
    randomId: () => `id-${ids++}`,
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    onProblem: (error) => world.problems.push(error),
    onPhase: (phase) => world.phases.push(phase),
    ...given,
  });
  const stop = async (): Promise<void> => {
    await replica.close();
    await log.close();
    engine.close();
  };
  return { replica, engine, log, stop };
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
