/** Builtins as tables: comparisons take two inputs, computations two inputs and one output. */
import { OPERATORS } from '../functions/operators.ts';
import { FUNCTION_NAMES, functionNamed, takesCount } from '../functions/registry.ts';
import type { AggregateFunction, ComparisonOperator, ComputeOperator } from './stratified.ts';
import type { AtomNode, CallNode, ExpressionNode } from './syntax-tree.ts';

export type Builtin =
  | { readonly kind: 'comparison'; readonly operator: ComparisonOperator; readonly arity: 2 }
  | { readonly kind: 'compute'; readonly operator: ComputeOperator; readonly arity: 3 };

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  OPERATORS.map(({ name, operator: { kind, sign } }) => [
    name,
    kind === 'comparison' ? { kind, operator: sign, arity: 2 } : { kind, operator: sign, arity: 3 },
  ]),
);

/**
 * Builtins that are no calls but columns of a system table: what they say is a row like any other,
 * which the fold replaces.
 */
const TABLE_BUILTINS: ReadonlyMap<string, { readonly columns: readonly string[] }> = new Map([
  ['now', { columns: ['time'] }],
]);

export const BUILTIN_NAMES: readonly string[] = [
  ...BUILTINS.keys(),
  ...TABLE_BUILTINS.keys(),
  ...FUNCTION_NAMES.filter((name) => functionNamed(name)?.isReserved === true),
];

/** Everything that may stand behind `builtin:`. */
export const CALLABLE_NAMES: readonly string[] = [
  ...new Set([...BUILTIN_NAMES, ...FUNCTION_NAMES]),
];

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

/** Names of Congress: no table may have them. */
export function isBuiltinName(name: string): boolean {
  return BUILTINS.has(name) || TABLE_BUILTINS.has(name) || functionNamed(name)?.isReserved === true;
}

export const AGGREGATES: ReadonlySet<string> = new Set<AggregateFunction>([
  'count',
  'sum',
  'avg',
  'min',
  'max',
  'argmin',
  'argmax',
  'collect',
]);

export function isAggregate(name: string): name is AggregateFunction {
  return AGGREGATES.has(name);
}

/** `max(x, y)` is a function, `max(x)` an aggregate. */
export function isFunctionCall({ name, arguments: args }: CallNode): boolean {
  const definition = functionNamed(name);
  if (definition === undefined) return false;
  return !isAggregate(name) || takesCount(definition, args.length);
}

/**
 * A bare atom that may be a function: other numbers of arguments and column references are those of
 * a table of the same name.
 */
export function looksLikeFunction({ name: { name }, arguments: args }: AtomNode): boolean {
  const definition = functionNamed(name);
  if (definition === undefined || args.some((one) => one.column !== undefined)) return false;
  const { output } = definition;
  const outputs = output.kind === 'test' ? 0 : output.kind === 'value' ? 1 : output.names.length;
  return args.length >= outputs && takesCount(definition, args.length - outputs);
}

/** Of an atom that looks like one. */
export function functionInputs({ name: { name }, arguments: args }: AtomNode): ExpressionNode[] {
  const output = functionNamed(name)?.output;
  const names = output?.kind === 'columns' || output?.kind === 'rows' ? output.names.length : 0;
  const outputs = output?.kind === 'value' ? 1 : names;
  return args.slice(0, args.length - outputs).map((one) => one.value);
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
