/** Placeholder types until the lowering lands: a plan carries the program it was made from. */
import type { StratifiedProgram, StratifiedQuery, TableKey } from './stratified.ts';

export interface PlanOptions {
  /** Tables whose deltas a transaction returns. */
  readonly watched?: 'all' | ReadonlySet<TableKey>;
  /** Tables that the digest covers besides base rows. */
  readonly digest?: ReadonlySet<TableKey>;
  /** Queries kept as tables `$view:<name>`, watched; their columns are the query's. */
  readonly views?: readonly { readonly name: string; readonly query: StratifiedQuery }[];
  /** Leave out what only maintenance needs: one transaction, no updates after it. */
  readonly batchOnly?: boolean;
}

export interface Plan {
  readonly program: StratifiedProgram;
  readonly options: PlanOptions;
}

export interface QueryPlan {
  readonly program: StratifiedProgram;
  readonly query: StratifiedQuery;
}
