/**
 * The `Engine` contract over the naive evaluator: base rows are kept, everything else is computed
 * anew in every transaction, and deltas are differences of whole tables. It knows no limits.
 */
import { KEY_VIOLATIONS_TABLE, keyColumns } from '../../host/compiler/key-violations.ts';
import type { PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { Rule, StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import type {
  Engine,
  EngineStats,
  PointCheck,
  QueryOptions,
  QueryResult,
  TableChange,
  TableDelta,
  Transaction,
  TransactionResult,
} from '../../host/engine/engine.ts';
import { blockRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { ERRORS_TABLE, evaluate, evaluateQuery } from './naive-evaluator.ts';
import type { Tables } from './naive-evaluator.ts';
import { rowKey, RowSet } from './row-set.ts';

const ERRORS_ARITY = 4;

interface State {
  readonly program: StratifiedProgram;
  readonly options: PlanOptions;
  readonly base: ReadonlyMap<TableKey, RowSet>;
  readonly tables: ReadonlyMap<TableKey, RowSet>;
  /** Of tables and views; fixed by the plan. */
  readonly arities: ReadonlyMap<TableKey, number>;
}

const EMPTY: State = {
  program: { tables: [], rules: [], strata: [] },
  options: {},
  base: new Map(),
  tables: new Map(),
  arities: new Map(),
};

/** `before`: the tables as they were, all of them as this function gave them. */
export type EvaluateTables = (
  program: StratifiedProgram,
  base: Tables,
  before: Tables,
) => Map<TableKey, RowSet>;

export class NaiveEngine implements Engine {
  readonly #evaluate: EvaluateTables;
  #state = EMPTY;

  constructor(evaluateTables: EvaluateTables = evaluate) {
    this.#evaluate = evaluateTables;
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const before = this.#state;
    const program = transaction.plan?.program ?? before.program;
    const options = transaction.plan?.options ?? before.options;
    const arities = aritiesOf(program, options);
    const base = new Map<TableKey, RowSet>();
    for (const [table, rows] of before.base) {
      if (arities.get(table) === before.arities.get(table)) base.set(table, new RowSet(rows));
    }
    for (const change of transaction.changes) {
      if (!arities.has(change.table)) throw new Error(`no table \`${change.table}\``);
      applyChange(base, change);
    }
    const tables = this.#evaluate(program, base, before.tables);
    for (const { name, query } of options.views ?? []) {
      tables.set(viewKey(name), new RowSet(evaluateQuery(program, query, tables)));
    }
    const after: State = { program, options, base, tables, arities };
    if (transaction.dryRun !== true) this.#state = after;
    const isSilent = transaction.withoutDeltas === true;
    return { ok: true, deltas: isSilent ? [] : deltasBetween(before, after) };
  }

  async query(plan: QueryPlan, options: QueryOptions = {}): Promise<QueryResult> {
    const rows = evaluateQuery(plan.program, plan.query, this.#state.tables);
    const kept = rows.slice(0, options.rowsMax ?? rows.length);
    return {
      rows: encodeRows(plan.query.outputs.length, kept),
      truncated: kept.length < rows.length,
    };
  }

  async rows(table: TableKey, options: { readonly base?: boolean } = {}): Promise<RowBlock> {
    const tables = options.base === true ? this.#state.base : this.#state.tables;
    const rows = tables.get(table)?.sorted() ?? [];
    return encodeRows(this.#state.arities.get(table) ?? 0, rows);
  }

  prepareCheck(table: TableKey): PointCheck {
    return { has: (...values) => this.#state.tables.get(table)?.has(values) === true };
  }

  count(table: TableKey): number {
    return this.#state.tables.get(table)?.size ?? 0;
  }

  /** Not copied. */
  get tables(): Tables {
    return this.#state.tables;
  }

  get baseTables(): Tables {
    return this.#state.base;
  }

  digest(): string {
    let sum = 0n;
    for (const [table, rows] of this.#state.base) {
      if (table.startsWith('$')) continue;
      for (const row of rows) sum += hash(`base ${table} ${rowKey(row)}`);
    }
    for (const table of this.#state.options.digest ?? []) {
      for (const row of this.#state.tables.get(table) ?? []) sum += hash(`${table} ${rowKey(row)}`);
    }
    return BigInt.asUintN(64, sum).toString(16).padStart(16, '0');
  }

  scrub(): undefined {
    return undefined;
  }

  stats(): EngineStats {
    const tables = [...this.#state.tables].map(([table, rows]) => [table, rows.size] as const);
    return {
      tables: Object.fromEntries(tables),
      memoryBytes: 0,
      usedBytes: 0,
      derivations: 0,
      liveValues: 0,
      touchedRows: 0,
      strata: this.#state.program.strata.map((stratum) => ({
        tables: stratum.tables.map((index) => keyOf(this.#state.program, index)),
        ms: 0,
        rounds: 0,
        overBits: false,
      })),
    };
  }

  close(): void {
    this.#state = EMPTY;
  }
}

/** The last operation on a row counts; within one change, deletes come before inserts. */
function applyChange(base: Map<TableKey, RowSet>, change: TableChange): void {
  const isNew = change.replace === true || !base.has(change.table);
  const rows = isNew ? new RowSet() : (base.get(change.table) as RowSet);
  base.set(change.table, rows);
  if (change.delete !== undefined) for (const row of blockRows(change.delete)) rows.delete(row);
  if (change.insert !== undefined) for (const row of blockRows(change.insert)) rows.add(row);
}

function deltasBetween(before: State, after: State): TableDelta[] {
  const deltas: TableDelta[] = [];
  for (const [table, arity] of after.arities) {
    if (!isWatched(after.options, table)) continue;
    const rows = after.tables.get(table) ?? new RowSet();
    const wasSeen = isWatched(before.options, table) && before.arities.get(table) === arity;
    const old = wasSeen ? (before.tables.get(table) ?? new RowSet()) : new RowSet();
    const [insert, remove] = [rows.minus(old), old.minus(rows)];
    if (insert.length + remove.length === 0) continue;

    deltas.push({ table, insert: encodeRows(arity, insert), delete: encodeRows(arity, remove) });
  }
  return deltas.sort((a, b) => (a.table < b.table ? -1 : 1));
}

function isWatched(options: PlanOptions, table: TableKey): boolean {
  if (options.watched === 'all' || options.watched?.has(table) === true) return true;
  return options.views?.some(({ name }) => viewKey(name) === table) === true;
}

/** Arity of each table and view that an engine with this plan has. */
export function aritiesOf(program: StratifiedProgram, options: PlanOptions): Map<TableKey, number> {
  const arities = new Map<TableKey, number>();
  if (program.rules.some(canFail)) arities.set(ERRORS_TABLE, ERRORS_ARITY);
  if (program.tables.some((table) => keyColumns(table).length > 0)) {
    arities.set(KEY_VIOLATIONS_TABLE, 2);
  }
  for (const table of program.tables) arities.set(tableKey(table), table.arity);
  for (const { name, query } of options.views ?? []) {
    arities.set(viewKey(name), query.outputs.length);
  }
  return arities;
}

const FAILING: readonly string[] = ['sum', 'avg', 'collect'];

/** A program whose rules cannot fail has no `system:errors`, unless a rule reads it. */
function canFail(rule: Rule): boolean {
  return (
    rule.body.some(({ kind }) => kind === 'compute' || kind === 'call') ||
    rule.headTerms.some((term) => 'function' in term && FAILING.includes(term.function))
  );
}

function keyOf(program: StratifiedProgram, index: number): TableKey {
  const table = program.tables[index];
  if (table === undefined) throw new Error(`no table ${index}`);
  return tableKey(table);
}

export function viewKey(name: string): TableKey {
  return `$view:${name}`;
}

/** FNV-1a over UTF-16 units, 64 bits. */
function hash(text: string): bigint {
  let state = 0xcbf29ce484222325n;
  for (let index = 0; index < text.length; index++) {
    state = BigInt.asUintN(64, (state ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n);
  }
  return state;
}
