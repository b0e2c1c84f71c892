/** Builtins as tables: comparisons take two inputs, computations two inputs and one output. */
import type { AggregateFunction, ComparisonOperator, ComputeOperator } from './stratified.ts';
import type { AtomNode } from './syntax-tree.ts';

export type Builtin =
  | { readonly kind: 'comparison'; readonly operator: ComparisonOperator; readonly arity: 2 }
  | { readonly kind: 'compute'; readonly operator: ComputeOperator; readonly arity: 3 };

const comparison = (operator: ComparisonOperator): Builtin => ({
  kind: 'comparison',
  operator,
  arity: 2,
});
const compute = (operator: ComputeOperator): Builtin => ({ kind: 'compute', operator, arity: 3 });

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map([
  ['lt', comparison('<')],
  ['lteq', comparison('<=')],
  ['gt', comparison('>')],
  ['gteq', comparison('>=')],
  ['equal', comparison('=')],
  ['plus', compute('+')],
  ['minus', compute('-')],
  ['mul', compute('*')],
  ['div', compute('/')],
  ['mod', compute('%')],
]);

/**
 * Builtins that are no calls but columns of a system table: what they say is a row like any other,
 * which the fold replaces.
 */
const TABLE_BUILTINS: ReadonlyMap<string, { readonly columns: readonly string[] }> = new Map([
  ['now', { columns: ['time'] }],
]);

export const BUILTIN_NAMES: readonly string[] = [...BUILTINS.keys(), ...TABLE_BUILTINS.keys()];

/** `now(t)` and `builtin:now(t)` as the atom `system:now(time=t)`; undefined for any other atom. */
export function systemAtom(atom: AtomNode): AtomNode | undefined {
  const { owner, name, span } = atom.name;
  if (atom.modal !== undefined || (owner !== undefined && owner !== 'builtin')) return undefined;
  const table = TABLE_BUILTINS.get(name);
  if (table === undefined) return undefined;
  const args = atom.arguments.map((one, index) => {
    const column = one.column ?? table.columns[index];
    return column === undefined ? one : { ...one, column };
  });
  return { ...atom, name: { owner: 'system', name, span }, arguments: args };
}

/** What is wrong with the arguments of a builtin that is a table. */
export function tableMisuse({ name: { name }, arguments: args }: AtomNode): Misuse | undefined {
  const arity = TABLE_BUILTINS.get(name)?.columns.length ?? 0;
  const note = `its columns have names as those of \`system:${name}\``;
  if (args.some((one) => one.column !== undefined)) {
    return {
      code: 'column-arguments',
      message: `the builtin \`${name}\` has no named columns`,
      note,
    };
  }
  if (args.length === arity) return undefined;
  const takes = `takes ${arity} argument${arity === 1 ? '' : 's'}`;
  return {
    code: 'arity',
    message: `the builtin \`${name}\` ${takes}, found ${args.length}`,
    note,
  };
}

interface Misuse {
  readonly code: 'arity' | 'column-arguments';
  readonly message: string;
  readonly note: string;
}

/** The other builtins of Congress: no table may take their names. */
const CONGRESS_BUILTINS: ReadonlySet<string> = new Set(
  (
    'max float int concat len unpack_date unpack_time unpack_datetime pack_time pack_date ' +
    'pack_datetime extract_date extract_time datetime_to_seconds datetime_plus datetime_minus ' +
    'datetime_lt datetime_lteq datetime_gt datetime_gteq datetime_equal ips_equal ips_lt ' +
    'ips_lteq ' +
    'ips_gt ips_gteq networks_equal networks_overlap ip_in_network validate_int validate_float ' +
    'validate_string'
  ).split(' '),
);

export function isBuiltinName(name: string): boolean {
  return BUILTINS.has(name) || TABLE_BUILTINS.has(name) || CONGRESS_BUILTINS.has(name);
}

export const AGGREGATES: ReadonlySet<string> = new Set<AggregateFunction>([
  'count',
  'sum',
  'min',
  'max',
]);

export function isAggregate(name: string): name is AggregateFunction {
  return AGGREGATES.has(name);
}

/** The comparison that holds exactly where the other does not. */
export const NEGATED: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '=': '!=',
  '!=': '=',
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
};
