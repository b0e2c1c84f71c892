/**
 * Views that differ in constants only share one plan, with the constants as a table:
 *
 *   allow("u1", "read", f)    $view:all.1(k0, k1, f) :- $keys:all.1(k0, k1), allow(k0, k1, f).
 *
 * A subscriber more is a row more of `$keys`, one less a row less; no rule is planned for either.
 * The rows of the shared table begin with their subscriber's constants, and so do its deltas. Keys
 * are local to this replica, like the views: no log, digest or checkpoint has them.
 */
import { ARITY_MAX } from '../limits.ts';
import { tableKey, withOperands } from '../compiler/stratified.ts';
import type { Operand, StratifiedQuery, Table, TableKey } from '../compiler/stratified.ts';
import { SHARED_VIEW_PREFIX } from '../engine/slices.ts';
import type { TableChange } from '../engine/engine.ts';
import { encodeRows } from '../value/row-block.ts';
import type { Row } from '../value/value.ts';

export const KEYS_OWNER = '$keys';

export interface ViewShape {
  /** `all.1`, of the table `$view:all.1`. */
  readonly name: string;
  /** Columns: the constants, then those of the query. */
  readonly table: TableKey;
  /** The constants of each view. */
  readonly keys: Table;
  readonly arity: number;
}

export function createShape(number: number, keyArity: number, query: StratifiedQuery): ViewShape {
  const name = `${number}`;
  return {
    name: `all.${name}`,
    table: `${SHARED_VIEW_PREFIX}${name}`,
    keys: { owner: KEYS_OWNER, name: `all.${name}`, arity: keyArity, kind: 'source' },
    arity: keyArity + query.outputs.length,
  };
}

/** A change of the constants that are asked for. */
export function keyChange(
  { keys }: ViewShape,
  kind: 'insert' | 'delete' | 'replace',
  rows: readonly Row[],
): TableChange {
  const block = encodeRows(keys.arity, rows);
  const table = tableKey(keys);
  if (kind === 'replace') return { table, replace: true, insert: block };
  return { table, [kind]: block };
}

/** The constants of a query in the order of its body; undefined where it cannot share a plan. */
export function constantsOf(query: StratifiedQuery): Row | undefined {
  const constants: Row[number][] = [];
  for (const literal of query.body) {
    withOperands(literal, (one) => {
      if (one.kind === 'constant') constants.push(one.value);
      return one;
    });
  }
  const isShared = constants.length > 0 && constants.length + query.outputs.length <= ARITY_MAX;
  return isShared && query.shape !== undefined ? constants : undefined;
}

/** The query with variables for its constants, bound by the table of keys. */
export function sharedQuery<Q extends StratifiedQuery>(query: Q, keysTable: number): Q {
  const first = query.variables.length;
  let next = first;
  const open = (one: Operand): Operand =>
    one.kind === 'constant' ? { kind: 'variable', index: next++ } : one;
  const body = query.body.map((literal) => withOperands(literal, open));
  const keys = Array.from({ length: next - first }, (_, place) => first + place);
  const span = { start: 0, end: 0 };
  const terms = keys.map((index): Operand => ({ kind: 'variable', index }));
  const names = keys.map((_, place) => `$k${place}`);
  return {
    ...query,
    columns: [...names, ...query.columns],
    outputs: [...keys, ...query.outputs],
    body: [{ kind: 'atom', table: keysTable, negated: false, terms, span }, ...body],
    variables: [...query.variables, ...names],
  };
}

/** Reads the rows of one key. */
export function keyQuery(
  { name, arity }: ViewShape,
  constants: Row,
): StratifiedQuery & {
  readonly tables: readonly Table[];
} {
  const outputs = Array.from({ length: arity - constants.length }, (_, index) => index);
  const names = outputs.map((index) => `c${index}`);
  const terms = [
    ...constants.map((value): Operand => ({ kind: 'constant', value })),
    ...outputs.map((index): Operand => ({ kind: 'variable', index })),
  ];
  const span = { start: 0, end: 0 };
  return {
    columns: names,
    outputs,
    body: [{ kind: 'atom', table: 0, negated: false, terms, span }],
    variables: names,
    text: name,
    tables: [{ owner: '$view', name, arity, kind: 'policy' }],
  };
}
