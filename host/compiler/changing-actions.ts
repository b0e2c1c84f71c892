/**
 * Arguments of actions that come from `now`. A row of an `execute` table is a request: an argument
 * that changes with the time would make another request each second. What a body compares with
 * `now` decides when a row is there, not what is in it, and is welcome.
 *
 * A variable changes with the time if all that binds it does; a column of a table, if some rule
 * puts such a variable there, in whatever policy.
 */
import { KEY_VIOLATIONS_TABLE, keyColumns, VIOLATED_KEY_COLUMN } from './key-violations.ts';
import { literalOperands, tableKey } from './stratified.ts';
import type { HeadTerm, Literal, Operand, Rule, Table } from './stratified.ts';

export interface ChangingArgument {
  readonly rule: Rule;
  /** Position in the head. */
  readonly argument: number;
}

/** In the order of the rules. */
export function changingActions(
  tables: readonly Table[],
  rules: readonly Rule[],
): ChangingArgument[] {
  const columns = changingColumns(tables, rules);
  if (columns === undefined) return [];
  const found: ChangingArgument[] = [];
  for (const rule of rules) {
    if (tables[rule.head]?.kind !== 'execute') continue;
    const fixed = fixedVariables(rule.body, columns);
    rule.headTerms.forEach((term, argument) => {
      if (isChanging(term, fixed)) found.push({ rule, argument });
    });
  }
  return found;
}

/** Table → columns that change with the time. */
type Columns = Map<number, Set<number>>;

/** Undefined where nothing reads the time. */
function changingColumns(tables: readonly Table[], rules: readonly Rule[]): Columns | undefined {
  const now = tables.findIndex((table) => tableKey(table) === 'system:now');
  if (now < 0) return undefined;
  const errors = tables.findIndex((table) => tableKey(table) === 'system:errors');
  const violations = tables.findIndex((table) => tableKey(table) === KEY_VIOLATIONS_TABLE);
  const readers = readersOf(rules);
  const columns: Columns = new Map([[now, new Set([0, 1])]]);
  const pending = [now];
  const add = (table: number, column: number): void => {
    const known = columns.get(table) ?? new Set();
    if (known.has(column)) return;
    columns.set(table, known.add(column));
    pending.push(table);
    // Two rows with one key are reported with it, and the others decide whether there are two.
    const key = keyColumns(tables[table] as Table);
    if (violations >= 0 && key.includes(column)) add(violations, VIOLATED_KEY_COLUMN);
  };
  for (let table = pending.pop(); table !== undefined; table = pending.pop()) {
    for (const { head, headTerms, body } of readers.get(table) ?? []) {
      const fixed = fixedVariables(body, columns);
      headTerms.forEach((term, column) => {
        if (isChanging(term, fixed)) add(head, column);
      });
      // A call that fails is reported with its inputs.
      const fails = body.some(
        (one) =>
          (one.kind === 'compute' || one.kind === 'call') &&
          literalOperands(one).inputs.some((term) => !isFixed(term, fixed)),
      );
      if (fails && errors >= 0) add(errors, INPUTS_COLUMN);
    }
  }
  return columns;
}

/** `inputs` of `system:errors`. */
const INPUTS_COLUMN = 3;

function readersOf(rules: readonly Rule[]): Map<number, Rule[]> {
  const readers = new Map<number, Rule[]>();
  for (const rule of rules) {
    const read = new Set(rule.body.flatMap((one) => (one.kind === 'atom' ? [one.table] : [])));
    for (const table of read) {
      const known = readers.get(table);
      if (known === undefined) readers.set(table, [rule]);
      else known.push(rule);
    }
  }
  return readers;
}

/** Variables that something binds to what stays the same. */
function fixedVariables(body: readonly Literal[], columns: Columns): Set<number> {
  const fixed = new Set<number>();
  for (let size = -1; size !== fixed.size;) {
    size = fixed.size;
    for (const literal of body) fix(literal, columns, fixed);
  }
  return fixed;
}

function fix(literal: Literal, columns: Columns, fixed: Set<number>): void {
  const add = (term: Operand): void => {
    if (term.kind === 'variable') fixed.add(term.index);
  };
  switch (literal.kind) {
    case 'atom': {
      if (literal.negated) return;
      const changing = columns.get(literal.table);
      literal.terms.forEach((term, column) => {
        if (term.kind === 'variable' && changing?.has(column) !== true) add(term);
      });
      return;
    }
    case 'comparison': {
      const { operator, left, right } = literal;
      if (operator !== '=') return;
      if (isFixed(left, fixed)) add(right);
      else if (isFixed(right, fixed)) add(left);
      return;
    }
    default:
      if (literalOperands(literal).inputs.every((one) => isFixed(one, fixed))) add(literal.output);
  }
}

function isFixed(term: Operand, fixed: ReadonlySet<number>): boolean {
  return term.kind === 'constant' || fixed.has(term.index);
}

/** A count has no argument: it changes when its rows do. */
function isChanging(term: HeadTerm, fixed: ReadonlySet<number>): boolean {
  const values = term.kind === 'aggregate' ? [term.argument, term.key] : [term];
  return values.some((value) => value !== undefined && !isFixed(value, fixed));
}
