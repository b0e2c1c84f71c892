/** An evaluation that a limit or the memory ended, in the words of the program. */
import type { StratifiedProgram, TableKey } from '../compiler/stratified.ts';
import type { TableDelta, TransactionFailure, TransactionResult } from '../engine/engine.ts';
import { inputError } from './problem.ts';
import { growingRule } from './run-limits.ts';
import type { RowsMaxOf } from './run-limits.ts';
import type { TableNames } from './table-names.ts';

export interface Evaluated {
  /** The program, or the updates whose batch it was; absent in a shell. */
  readonly file?: string;
  readonly names: TableNames;
  readonly rowsMax: RowsMaxOf;
  /** From 1. */
  readonly batch?: number;
}

/** The deltas; throws a problem that names the table, the rule to blame, and what to do. */
export function expectSuccess(
  result: TransactionResult,
  evaluated: Evaluated,
): readonly TableDelta[] {
  if (result.ok) return result.deltas;
  if (result.code === 'bad_program') throw new Error(result.message);
  const { file, names } = evaluated;
  const table = result.table ?? result.during;
  const growth = growthNote(names.program, table);
  const note =
    file !== undefined && result.code === 'rows_per_table'
      ? [...(growth === undefined ? [] : [growth]), 'give more with `--max-rows`'].join(', or ')
      : (growth ?? 'evaluate fewer rows, or split the program');
  const place = file === undefined ? {} : { file };
  const code = result.code.replaceAll('_', '-');
  throw inputError(code, whatHappened(result, evaluated), { ...place, note });
}

function whatHappened(
  { code, message, table: limited, during }: TransactionFailure,
  { names, rowsMax, batch }: Evaluated,
): string {
  const where = batch === undefined ? '' : ` in batch ${batch}`;
  const table = limited ?? during;
  if (table === undefined) return `${message}${where}`;
  const printed = `\`${names.find(table)?.printed ?? table}\``;
  const most = rowsMax(table);
  if (code !== 'rows_per_table') return `${message}${where}; it was evaluating ${printed}`;
  return most === undefined
    ? `${message}${where}; it is ${printed}`
    : `${printed} has more than ${most} rows${where}`;
}

/** Why a recursion may never end: a rule of it computes a value for its own head. */
function growthNote(program: StratifiedProgram, key: TableKey | undefined): string | undefined {
  const rule = growingRule(program, key);
  if (rule === undefined) return undefined;
  const text = rule.text.replace(/\.$/, '');
  return `\`${text}\` may make new values for ever; bound them with a comparison such as \`x < 1000\``;
}
