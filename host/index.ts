/**
 * The library: compile policies, run an engine over them, or run a whole replica. What is not
 * exported here is not promised. `core.wasm` is the package's `caucus/core.wasm`.
 */
export { CaucusError, ERROR_KINDS, type ErrorCode } from './errors.ts';

export { INT_MAX, INT_MIN, type Row, type Value } from './value/value.ts';
export { blockRows, decodeRows, encodeRows, type RowBlock } from './value/row-block.ts';

export type { Catalog, CatalogPolicy, CatalogSource, CatalogTable } from './compiler/catalog.ts';
export { compile, type Compilation, type CompileOptions } from './compiler/compile.ts';
export type { Diagnostic } from './compiler/diagnostic.ts';
export { lower, lowerQuery } from './compiler/lower.ts';
export type { Plan, PlanOptions, QueryPlan } from './compiler/plan.ts';
export { compileQuery, type QueryCompilation } from './compiler/query.ts';
export {
  tableKey,
  type StratifiedProgram,
  type StratifiedQuery,
  type Table,
  type TableKey,
} from './compiler/stratified.ts';

export type {
  Engine,
  EngineStats,
  PointCheck,
  QueryResult,
  TableChange,
  TableDelta,
  Transaction,
  TransactionFailure,
  TransactionResult,
  TransactionSuccess,
} from './engine/engine.ts';
export { createWasmEngine } from './engine/wasm-engine.ts';

export { createReplica } from './replica/create-replica.ts';
export type { ReplicaDependencies, ReplicaSettings } from './replica/dependencies.ts';
export type { Replica } from './replica/replica.ts';
