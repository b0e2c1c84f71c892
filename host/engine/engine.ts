/**
 * The contract of an engine: tables, rules, exact deltas. `wasm-engine.ts` implements it over the
 * WASM core; the naive reference evaluator of the tests implements it too.
 *
 * Callers guarantee: one transaction at a time; blocks have the arity of their table. The engine
 * guarantees: a transaction is applied whole or not at all; queries during one see the state before
 * it; nothing a caller passes traps it (limits and memory come back as `TransactionFailure`).
 */
import type { Plan, QueryPlan } from '../compiler/plan.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { Value } from '../value/value.ts';

/**
 * Base rows of one table. `replace` first removes every base row of the table. Deletes go before
 * inserts.
 */
export interface TableChange {
  readonly table: TableKey;
  readonly replace?: boolean;
  readonly delete?: RowBlock;
  readonly insert?: RowBlock;
}

/** What really changed in one watched table over one transaction; both blocks sorted, disjoint. */
export interface TableDelta {
  readonly table: TableKey;
  readonly insert: RowBlock;
  readonly delete: RowBlock;
}

export interface Transaction {
  /** A new program; absent: the program stays. Base rows of tables that are in both stay. */
  readonly plan?: Plan;
  /** Applied in order: a table may have several. */
  readonly changes: readonly TableChange[];
  /** Nobody wants the deltas of this transaction: none are returned. */
  readonly withoutDeltas?: boolean;
  /** Compute, return the deltas, and roll everything back: nobody sees the state. */
  readonly dryRun?: boolean;
}

/** `table`: the table whose limit was exceeded, where one is to blame. The state is as before. */
export interface TransactionFailure {
  readonly ok: false;
  readonly code: 'rows_per_table' | 'steps' | 'out_of_memory' | 'values' | 'bad_program';
  readonly table?: TableKey;
  readonly message: string;
  /** A table of the stratum under way, which need not be to blame. */
  readonly during?: TableKey;
}
export interface TransactionSuccess {
  readonly ok: true;
  /**
   * Changed tables only; a table that a new plan begins to watch appears with all its rows as
   * inserts.
   */
  readonly deltas: readonly TableDelta[];
}
export type TransactionResult = TransactionSuccess | TransactionFailure;

export interface QueryOptions {
  /** At most so many result rows; `truncated` says that there were more. */
  readonly rowsMax?: number;
  /** Effort limit in engine steps (about 10 ns each); exceeded: throws `limit_exceeded`. */
  readonly stepsMax?: number;
  /** Rows that the plan bounds by rank count only below this one (engine-as/maintenance.ts). */
  readonly rankBelow?: number;
}
export interface RowsOptions {
  /** Base rows only. */
  readonly base?: boolean;
  /** Not sorted by the total order, which takes most of the time of a large table. */
  readonly inAnyOrder?: boolean;
}
export interface QueryResult {
  /** Distinct rows, sorted by the total order. */
  readonly rows: RowBlock;
  readonly truncated: boolean;
  /**
   * 1 + the largest rank of rows of ranked tables in the body of the row found last; 0 without.
   */
  readonly bodyRank?: number;
  /** Steps that it took, in whole slices; absent where nobody counts. */
  readonly steps?: number;
}

/** Of one table, for as long as the engine is open; whatever plan runs. */
export interface PointCheck {
  /**
   * Whether the table has this row at the last committed state; a table that is not there has none.
   * One value for each column, and 1n is not 1 (`Value`). Throws `invalid_row` for another number
   * of values or what is no value, `invalid_request` for a table that is kept on demand only.
   */
  has(...values: readonly Value[]): boolean;
}

export interface EngineStats {
  readonly tables: Readonly<Record<TableKey, number>>;
  /** Bytes of WASM memory now, which only grows. */
  readonly memoryBytes: number;
  /** Bytes of it that rows, indexes, values and programs take. */
  readonly usedBytes: number;
  /** Head rows that rules gave since the engine started, repeated ones included. */
  readonly derivations: number;
  readonly liveValues: number;
  /** Rows visited by maintenance in the last transaction (inserted, deleted, checked). */
  readonly touchedRows: number;
  readonly strata: readonly {
    readonly tables: readonly TableKey[];
    readonly ms: number;
    readonly rounds: number;
    /** Evaluated from scratch over bits to the end. */
    readonly overBits: boolean;
  }[];
}

export interface Engine {
  /**
   * Resolves once the transaction is committed or has failed; yields to the event loop between
   * steps.
   */
  transact(transaction: Transaction): Promise<TransactionResult>;
  /** Read-only, at the last committed state; may run while a transaction is being computed. */
  query(plan: QueryPlan, options?: QueryOptions): Promise<QueryResult>;
  /** All rows of a table. Read-only, like `query`. */
  rows(table: TableKey, options?: RowsOptions): Promise<RowBlock>;
  /** Many rows of a table are to be looked for, one by one; synchronous, and without a query. */
  prepareCheck(table: TableKey): PointCheck;
  /** Number of rows at the last committed state; 0 for a table that is not there. */
  count(table: TableKey): number;
  /**
   * Order-independent sum over canonical values of the base rows and of the tables in
   * `digestTables` of the plan; hex.
   */
  digest(): string;
  /**
   * Adds up one table's rows anew, another table with each call; between transactions only. Its
   * name if the sum is not the one that was kept: memory is not what was written to it.
   */
  scrub(): TableKey | undefined;
  stats(): EngineStats;
  close(): void;
}
