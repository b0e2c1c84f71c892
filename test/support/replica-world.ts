/** A replica with its log on a disk that the test may crash, a fake clock and no other machine. */
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import { openFileLog } from '../../host/log/file-log.ts';
import type { FileLog } from '../../host/log/file-log.ts';
import type { Plan, PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import type { StratifiedProgram } from '../../host/compiler/stratified.ts';
import type { Engine, Transaction, TransactionResult } from '../../host/engine/engine.ts';
import type { PolicyRecord } from '../../host/log/records.ts';
import { NO_HASH } from '../../host/log/policy-hash.ts';
import { createReplica } from '../../host/replica/create-replica.ts';
import type { ReplicaDependencies } from '../../host/replica/dependencies.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import type { CompiledQuery } from '../../host/replica/planner.ts';
import type { PolicyLedger } from '../../host/replica/policy-ledger.ts';
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

type Outcome = 'proposed' | 'accepted' | 'rejected' | 'superseded';

export class MemoryLedger implements PolicyLedger {
  entries: { record: PolicyRecord; outcome: Outcome }[] = [];
  adopted: { version: number; hash: string } = { version: 0, hash: NO_HASH };
  policies: readonly { name: string; text: string }[] = [];

  head(): Promise<{ version: number; hash: string }> {
    const last = this.entries.filter((entry) => entry.outcome !== 'superseded').at(-1);
    return Promise.resolve(
      last === undefined ? this.adopted : { version: last.record.version, hash: last.record.hash },
    );
  }
  async propose(record: PolicyRecord): Promise<boolean> {
    const head = await this.head();
    if (record.version !== head.version + 1 || record.previousHash !== head.hash) return false;
    this.entries.push({ record, outcome: 'proposed' });
    return true;
  }
  outbox(): Promise<readonly PolicyRecord[]> {
    return Promise.resolve(
      this.entries.filter((entry) => entry.outcome === 'proposed').map((entry) => entry.record),
    );
  }
  settle(record: PolicyRecord, outcome: Outcome): Promise<void> {
    for (const entry of this.entries)
      if (entry.record.hash === record.hash) entry.outcome = outcome;
    return Promise.resolve();
  }
  isFollowed(record: PolicyRecord): Promise<boolean> {
    return Promise.resolve(this.entries.some((entry) => entry.record.previousHash === record.hash));
  }
  adopt(state: {
    version: number;
    hash: string;
    policies: readonly { name: string; text: string }[];
  }): Promise<void> {
    this.adopted = { version: state.version, hash: state.hash };
    this.policies = state.policies;
    this.entries = [];
    return Promise.resolve();
  }
}

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
  readonly ledger: MemoryLedger;
  nowMs: number;
  problems: Error[];
  phases: string[];
}

export function newWorld(): World {
  return {
    disk: new FaultyDisk(),
    ledger: new MemoryLedger(),
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
    policies: world.ledger,
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
