/**
 * Engines with one defect each, over the reference: what a fuzzer must find, or it proves nothing.
 * A defect shows only under some circumstance, as real ones do.
 */
import { KEY_VIOLATIONS_TABLE } from '../../host/compiler/key-violations.ts';
import type { Plan, QueryPlan } from '../../host/compiler/plan.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import type {
  Engine,
  PointCheck,
  QueryOptions,
  QueryResult,
  TableChange,
  Transaction,
  TransactionResult,
} from '../../host/engine/engine.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';
import { ERRORS_TABLE } from '../oracle/naive-evaluator.ts';
import { NAIVE } from './engine-kind.ts';
import type { EngineKind } from './engine-kind.ts';

/** Passes everything on; the defects override. */
class PassingEngine implements Engine {
  protected readonly inner = new NaiveEngine();

  transact(transaction: Transaction): Promise<TransactionResult> {
    return this.inner.transact(transaction);
  }
  query(plan: QueryPlan, options?: QueryOptions): Promise<QueryResult> {
    return this.inner.query(plan, options);
  }
  rows(table: TableKey, options?: { readonly base?: boolean }): Promise<RowBlock> {
    return this.inner.rows(table, options);
  }
  prepareCheck(table: TableKey): PointCheck {
    return this.inner.prepareCheck(table);
  }
  count(table: TableKey): number {
    return this.inner.count(table);
  }
  digest(): string {
    return this.inner.digest();
  }
  scrub(): undefined {
    return undefined;
  }
  stats(): ReturnType<Engine['stats']> {
    return this.inner.stats();
  }
  close(): void {
    this.inner.close();
  }
}

/** Of three deltas of a transaction the last one is lost. */
class DropsDelta extends PassingEngine {
  override async transact(transaction: Transaction): Promise<TransactionResult> {
    const result = await super.transact(transaction);
    if (!result.ok || result.deltas.length < 3) return result;
    return { ok: true, deltas: result.deltas.slice(0, -1) };
  }
}

/** Of several rows that a change deletes the last one stays. */
class ForgetsDelete extends PassingEngine {
  override transact(transaction: Transaction): Promise<TransactionResult> {
    const changes = transaction.changes.map((change): TableChange => {
      if (change.delete === undefined || change.delete.count < 2) return change;
      return { ...change, delete: editRows(change.delete, (rows) => rows.slice(0, -1)) };
    });
    return super.transact({ ...transaction, changes });
  }
}

/** A row that was there already is reported as new. */
class ReportsNoChange extends PassingEngine {
  override async transact(transaction: Transaction): Promise<TransactionResult> {
    const result = await super.transact(transaction);
    const [change] = transaction.changes;
    if (!result.ok || result.deltas.length > 0 || transaction.dryRun === true) return result;
    if (change?.insert === undefined || change.insert.count !== 1) return result;
    const none = encodeRows(change.insert.arity, []);
    return { ok: true, deltas: [{ table: change.table, insert: change.insert, delete: none }] };
  }
}

/** 1.0 is stored as 1. */
class ConfusesNumbers extends PassingEngine {
  override transact(transaction: Transaction): Promise<TransactionResult> {
    const toInts = (rows: Row[]): Row[] =>
      rows.map((row) => row.map((value) => (value === 1 ? 1n : value)));
    const edited = (block: RowBlock): RowBlock => editRows(block, toInts);
    const changes = transaction.changes.map((change) => ({
      ...change,
      ...(change.insert === undefined ? {} : { insert: edited(change.insert) }),
      ...(change.delete === undefined ? {} : { delete: edited(change.delete) }),
    }));
    return super.transact({ ...transaction, changes });
  }
}

/** A dry run with a single change stays. */
class KeepsDryRun extends PassingEngine {
  override transact(transaction: Transaction): Promise<TransactionResult> {
    const { dryRun, ...rest } = transaction;
    return super.transact(rest.changes.length === 1 ? rest : { ...rest, dryRun: dryRun === true });
  }
}

/** `replace` only adds. */
class IgnoresReplace extends PassingEngine {
  override transact(transaction: Transaction): Promise<TransactionResult> {
    const changes = transaction.changes.map(({ replace: _, ...change }) => change);
    return super.transact({ ...transaction, changes });
  }
}

/** Inserts go before deletes. */
class InsertsFirst extends PassingEngine {
  override transact(transaction: Transaction): Promise<TransactionResult> {
    const changes = transaction.changes.flatMap((change): TableChange[] => {
      const { delete: remove, ...rest } = change;
      return remove === undefined ? [change] : [rest, { table: change.table, delete: remove }];
    });
    return super.transact({ ...transaction, changes });
  }
}

/** The second failure and those after it are not there. */
class LosesFailures extends PassingEngine {
  override async rows(table: TableKey, options?: { readonly base?: boolean }): Promise<RowBlock> {
    const block = await super.rows(table, options);
    return table === ERRORS_TABLE ? editRows(block, (rows) => rows.slice(0, 1)) : block;
  }
}

/** Of several keys with more than one row each the last is not told. */
class ForgetsKeys extends PassingEngine {
  override async rows(table: TableKey, options?: { readonly base?: boolean }): Promise<RowBlock> {
    const block = await super.rows(table, options);
    if (table !== KEY_VIOLATIONS_TABLE || block.count < 2) return block;
    return editRows(block, (rows) => rows.slice(0, -1));
  }
}

/** An answer to a query with more than three rows lacks the last one. */
class CutsAnswers extends PassingEngine {
  override async query(plan: QueryPlan, options?: QueryOptions): Promise<QueryResult> {
    const result = await super.query(plan, options);
    if (result.rows.count <= 3) return result;
    return { ...result, rows: editRows(result.rows, (rows) => rows.slice(0, -1)) };
  }
}

/** A new program does not see that a rule is gone. */
class KeepsOldRules extends PassingEngine {
  #program: StratifiedProgram | undefined;

  override transact(transaction: Transaction): Promise<TransactionResult> {
    const { plan } = transaction;
    if (plan === undefined) return super.transact(transaction);
    const old = this.#program;
    if (transaction.dryRun !== true) this.#program = plan.program;
    const isSubset =
      old !== undefined &&
      plan.program.rules.length < old.rules.length &&
      plan.program.tables.map(tableKey).join() === old.tables.map(tableKey).join();
    if (!isSubset) return super.transact(transaction);
    const kept: Plan = { ...plan, program: old };
    return super.transact({ ...transaction, plan: kept });
  }
}

const BROKEN = {
  DropsDelta,
  ForgetsDelete,
  ReportsNoChange,
  ConfusesNumbers,
  KeepsDryRun,
  IgnoresReplace,
  InsertsFirst,
  LosesFailures,
  ForgetsKeys,
  CutsAnswers,
  KeepsOldRules,
};

export const BROKEN_ENGINES: readonly EngineKind[] = Object.entries(BROKEN).map(
  ([name, Defective]) => ({ ...NAIVE, name, create: async () => new Defective() }),
);

function editRows(block: RowBlock, edit: (rows: Row[]) => Row[]): RowBlock {
  return encodeRows(block.arity, edit(decodeRows(block)));
}
