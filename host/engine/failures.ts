/** What the core's status codes mean to callers. */
import * as abi from '../../engine-as/abi.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import type { Core } from './core.ts';
import { outOfMemory } from './core.ts';
import type { TransactionFailure } from './engine.ts';
import type { Binding } from './relation-binding.ts';
import { unitTable } from './slices.ts';

/** A status that ends a transaction. */
export class CoreFailure extends Error {
  readonly status: number;
  readonly table: TableKey | undefined;
  /** A table of the stratum under way. */
  readonly during: TableKey | undefined;

  constructor(status: number, table?: TableKey, during?: TableKey) {
    super(`status ${status}`);
    this.status = status;
    this.table = table;
    this.during = during;
  }

  asFailure(): TransactionFailure {
    const failure = transactionFailure(this.status, this.table);
    return this.during === undefined ? failure : { ...failure, during: this.during };
  }
}

/** The failure of a step that the core just took. */
export function coreFailure({ exports }: Core, binding: Binding, status: number): CoreFailure {
  const during = unitTable(binding.plan, exports.unitUnderWay());
  if (status === abi.STATUS_STEPS_LIMIT) return new CoreFailure(status, during, during);
  const handle = exports.limitedRelation();
  const limited = binding.bound.find((one) => one.handle === handle);
  return new CoreFailure(status, limited?.relation.table, during);
}

const FAILURES: Readonly<Record<number, [TransactionFailure['code'], string]>> = {
  [abi.STATUS_OUT_OF_MEMORY]: ['out_of_memory', 'the engine has no memory left'],
  [abi.STATUS_ROWS_LIMIT]: ['rows_per_table', 'a table has more rows than its limit'],
  [abi.STATUS_STEPS_LIMIT]: ['steps', 'the evaluation takes more steps than its limit'],
  [abi.STATUS_VALUES_LIMIT]: ['values', 'there are more values than the limit'],
  [abi.STATUS_BAD_PROGRAM]: ['bad_program', 'the core refuses the program'],
  [abi.STATUS_BAD_ROWS]: ['bad_program', 'the core refuses the rows'],
  [abi.STATUS_BAD_CALL]: ['bad_program', 'the core was called out of order'],
};

export function transactionFailure(
  status: number,
  table: TableKey | undefined,
): TransactionFailure {
  const [code, message] = FAILURES[status] ?? ['bad_program', `the core answered ${status}`];
  return { ok: false, code, message, ...(table === undefined ? {} : { table }) };
}

export function queryError(status: number): CaucusError {
  if (status === abi.STATUS_OUT_OF_MEMORY) return outOfMemory();
  return new CaucusError('internal', `the core refuses the query: status ${status}`);
}
