/**
 * The reference: what a program means, written to be read, not to be fast. It shares nothing with
 * the engine but the compiler's output and the order of values.
 *
 * Stratum by stratum, all rules are applied to whole tables until nothing is added. A rule's body
 * is solved by nested loops. Failures (`system:errors`) are found afterwards, when every table is
 * complete, by solving a rule's body once more for each of its computations, without what depends
 * on it.
 */
import { canFail, literalOperands, tableKey } from '../../host/compiler/stratified.ts';
import type {
  AtomLiteral,
  CallLiteral,
  BestTables,
  ComparisonLiteral,
  ComputeLiteral,
  Literal,
  Operand,
  Rule,
  StratifiedProgram,
  StratifiedQuery,
  Stratum,
  Table,
  TableKey,
  Term,
} from '../../host/compiler/stratified.ts';
import { callFunction } from '../../host/functions/registry.ts';
import { List } from '../../host/value/composite.ts';
import { stringifyJson } from '../../host/value/json.ts';
import { compareValues, sameValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { aggregateGroups } from './aggregate.ts';
import { compute } from './arithmetic.ts';
import { RowSet } from './row-set.ts';

export type Tables = ReadonlyMap<TableKey, RowSet>;
/** Value by variable index; `undefined` while unbound. */
export type Binding = (Value | undefined)[];

export const ERRORS_TABLE: TableKey = 'system:errors';
export const KEY_VIOLATIONS_TABLE: TableKey = 'system:key_violations';

/**
 * All tables of the program over these base rows: base rows, derived rows, facts, and what the
 * system tells of them.
 */
export function evaluate(program: StratifiedProgram, base: Tables): Map<TableKey, RowSet> {
  // Rules that read failures have none of their own, so that a second pass has them right. Their
  // readers may be read by calls again, hence as many passes as there are strata, and one to see
  // it.
  let errors = new RowSet();
  let violations = new RowSet();
  for (let pass = 0; pass <= program.strata.length + 1; pass++) {
    const tables = new Map<TableKey, RowSet>([
      [ERRORS_TABLE, errors],
      [KEY_VIOLATIONS_TABLE, violations],
    ]);
    for (const table of program.tables) {
      const key = tableKey(table);
      if (!REPORTS.includes(key)) tables.set(key, new RowSet(base.get(key) ?? []));
    }
    const evaluation = new Evaluation(program, tables);
    for (const stratum of program.strata) evaluation.complete(stratum);
    const found = new RowSet(program.rules.flatMap((rule) => evaluation.failures(rule)));
    const wrong = new RowSet(program.tables.flatMap((table) => keyViolations(table, tables)));
    const isStable = isSame(found, errors) && isSame(wrong, violations);
    [errors, violations] = [found, wrong];
    tables.set(ERRORS_TABLE, found).set(KEY_VIOLATIONS_TABLE, wrong);
    if (isStable || !program.tables.some((table) => REPORTS.includes(tableKey(table))))
      return tables;
  }
  throw new Error('a rule that reads what the system tells decides about it');
}

const REPORTS: readonly TableKey[] = [ERRORS_TABLE, KEY_VIOLATIONS_TABLE];

function isSame(a: RowSet, b: RowSet): boolean {
  return a.minus(b).length + b.minus(a).length === 0;
}

/** Rows of `system:key_violations`: each key that more than one row has. */
export function keyViolations(table: Table, tables: Tables): Row[] {
  const { columns = [] } = table;
  const isKey = columns.map((column) => column.key === true);
  if (!isKey.includes(true)) return [];
  const seen = new RowSet();
  const keys = [...(tables.get(tableKey(table)) ?? [])].map((row) =>
    row.filter((_, column) => isKey[column] === true),
  );
  return keys
    .filter((key) => !seen.add(key))
    .map((key) => [tableKey(table), `[${key.map(stringifyJson).join(',')}]`]);
}

/**
 * The distinct rows of a query over complete tables, sorted. A computation that fails gives no row.
 */
export function evaluateQuery(
  program: StratifiedProgram,
  query: StratifiedQuery,
  tables: Tables,
): Row[] {
  const rows = new RowSet();
  // A query may name tables behind those of the program: not there yet, so empty.
  const known = query.tables ?? program.tables;
  new Evaluation({ ...program, tables: known }, tables).solve(query.body, (binding) => {
    rows.add(query.outputs.map((index) => binding[index] as Value));
  });
  return rows.sorted();
}

/** A program over tables; `complete` adds to them. */
export class Evaluation {
  readonly #program: StratifiedProgram;
  readonly #tables: Tables;

  constructor(program: StratifiedProgram, tables: Tables) {
    this.#program = program;
    this.#tables = tables;
  }

  table(index: number): RowSet {
    const table = this.#program.tables[index];
    if (table === undefined) throw new Error(`no table ${index}`);
    return this.#tables.get(tableKey(table)) ?? new RowSet();
  }

  /** Applies the rules of a stratum until they add nothing. */
  complete(stratum: Stratum): void {
    if (stratum.best !== undefined) return this.#completeBest(stratum, stratum.best);
    for (let isChanged = true; isChanged;) {
      isChanged = false;
      for (const index of stratum.rules) {
        const rule = this.#program.rules[index] as Rule;
        const head = this.table(rule.head);
        for (const row of this.derive(rule)) isChanged = head.add(row) || isChanged;
      }
    }
  }

  /**
   * Best tables: of all that the rules give, the best value of groups without a row is taken, and
   * again until there is none. No value is better than those it comes from, so what is taken stays.
   */
  #completeBest(stratum: Stratum, best: BestTables): void {
    const isMin = best.function === 'min';
    const isBetter = (a: Value, b: Value): boolean => {
      const order = compareValues(a, b);
      return isMin ? order < 0 : order > 0;
    };
    // Rows that are there from outside are no better than others.
    const outside = new Map(stratum.tables.map((table) => [table, [...this.table(table)]]));
    for (const [table, rows] of outside) for (const row of rows) this.table(table).delete(row);
    const groups = new Map(stratum.tables.map((table) => [table, new RowSet()]));
    for (;;) {
      const found = stratum.tables.flatMap((table) => {
        const column = best.columns.get(table) as number;
        const own = stratum.rules
          .map((index) => this.#program.rules[index] as Rule)
          .filter((rule) => rule.head === table)
          .flatMap((rule) => this.#values(rule, best, isBetter));
        return [...(outside.get(table) ?? []), ...own]
          .map((row) => ({ table, row, value: row[column] as Value, group: without(row, column) }))
          .filter(({ group }) => groups.get(table)?.has(group) !== true);
      });
      if (found.length === 0) return;
      const { value } = found.reduce((a, b) => (isBetter(b.value, a.value) ? b : a));
      for (const { table, row, group } of found.filter((one) => one.value === value)) {
        this.table(table).add(row);
        groups.get(table)?.add(group);
      }
    }
  }

  /** Head rows with their values, but for those that are better than what they come from. */
  #values(rule: Rule, best: BestTables, isBetter: (a: Value, b: Value) => boolean): Row[] {
    const rows: Row[] = [];
    const column = best.columns.get(rule.head) as number;
    this.solve(rule.body, (binding) => {
      const row = rule.headTerms.map((term) =>
        valueOf(term.kind === 'aggregate' ? (term.argument as Operand) : term, binding),
      );
      const isRefused = rule.body.some((literal) => {
        if (literal.kind !== 'atom' || literal.negated) return false;
        const term = literal.terms[best.columns.get(literal.table) ?? -1];
        const from = term?.kind === 'variable' ? binding[term.index] : undefined;
        return from !== undefined && isBetter(row[column] as Value, from);
      });
      if (!isRefused) rows.push(row);
    });
    return rows;
  }

  derive(rule: Rule): Row[] {
    if (hasAggregate(rule)) return this.#aggregate(rule).rows;
    const rows: Row[] = [];
    this.solve(rule.body, (binding) => {
      rows.push(rule.headTerms.map((term) => valueOf(term as Operand, binding)));
    });
    return rows;
  }

  /** Rows of `system:errors`: policy, rule, literal, inputs. */
  failures(rule: Rule): Row[] {
    const rows: Row[] = [];
    const fail = (literal: string, inputs: readonly Value[]): void => {
      rows.push([
        rule.policy,
        BigInt(rule.ordinal),
        literal,
        `[${inputs.map(stringifyJson).join(',')}]`,
      ]);
    };
    for (const call of rule.body) {
      if (!canFail(call)) continue;
      this.solve(literalsBefore(call, rule.body), (binding) => {
        const inputs = literalOperands(call).inputs.map((one) => valueOf(one, binding));
        if (callOf(call, inputs) === undefined) fail(call.text, inputs);
      });
    }
    if (hasAggregate(rule)) {
      for (const { text, group } of this.#aggregate(rule).failures) fail(text, group);
    }
    return rows;
  }

  /**
   * Calls `found` for each binding that satisfies all literals; one binding may come several times.
   */
  solve(body: readonly Literal[], found: (binding: Binding) => void): void {
    const ordered = evaluationOrder(body);
    const step = (position: number, binding: Binding): void => {
      const literal = ordered[position];
      if (literal === undefined) found(binding);
      else this.#satisfy(literal, binding, (next) => step(position + 1, next));
    };
    step(0, []);
  }

  #satisfy(literal: Literal, binding: Binding, next: (binding: Binding) => void): void {
    switch (literal.kind) {
      case 'atom':
        return this.#satisfyAtom(literal, binding, next);
      case 'comparison':
        return satisfyComparison(literal, binding, next);
      case 'each': {
        const list = valueOf(literal.list, binding);
        for (const item of list instanceof List ? list.items : []) {
          const extended = match(literal.output, item, binding);
          if (extended !== undefined) next(extended);
        }
        return;
      }
      case 'compute':
      case 'call': {
        const inputs = literalOperands(literal).inputs.map((one) => valueOf(one, binding));
        const output = callOf(literal, inputs);
        if (output === undefined) return;
        const extended = match(literal.output, output, binding);
        if (extended !== undefined) next(extended);
      }
    }
  }

  #satisfyAtom(atom: AtomLiteral, binding: Binding, next: (binding: Binding) => void): void {
    for (const row of this.table(atom.table)) {
      let extended: Binding | undefined = binding;
      for (let column = 0; column < row.length && extended !== undefined; column++) {
        extended = match(atom.terms[column] as Term, row[column] as Value, extended);
      }
      if (extended === undefined) continue;
      if (atom.negated) return;
      next(extended);
    }
    if (atom.negated) next(binding);
  }

  #aggregate(rule: Rule): ReturnType<typeof aggregateGroups> {
    const named = rule.variables.flatMap((name, index) => (name.startsWith('$') ? [] : [index]));
    const seen = new RowSet();
    const solutions: Binding[] = [];
    this.solve(rule.body, (binding) => {
      // What is bound nowhere else than inside `not` makes no solution distinct.
      if (seen.add(named.map((index) => binding[index] ?? null))) solutions.push(binding);
    });
    return aggregateGroups(rule, solutions as Value[][]);
  }
}

/** Undefined: it fails. */
function callOf(
  literal: ComputeLiteral | CallLiteral,
  inputs: readonly Value[],
): Value | undefined {
  if (literal.kind === 'call') return callFunction(literal.function, inputs);
  const [left, right] = inputs;
  return compute(literal.operator, left as Value, right as Value);
}

function satisfyComparison(
  { operator, left, right }: ComparisonLiteral,
  binding: Binding,
  next: (binding: Binding) => void,
): void {
  if (operator === '=') {
    // One side may be unbound; the order of evaluation sees to it that the other is bound.
    const isLeftBound = isBound(left, binding);
    const value = valueOf(isLeftBound ? left : right, binding);
    const extended = match(isLeftBound ? right : left, value, binding);
    if (extended !== undefined) next(extended);
    return;
  }
  const [a, b] = [valueOf(left, binding), valueOf(right, binding)];
  const order = compareForOperators(a, b);
  const holds = {
    '!=': !sameValue(a, b),
    '<': order < 0,
    '<=': order <= 0,
    '>': order > 0,
    '>=': order >= 0,
  }[operator];
  if (holds) next(binding);
}

/** The total order, but for numbers by value alone: neither of 1 and 1.0 is less than the other. */
function compareForOperators(a: Value, b: Value): number {
  if (!isNumber(a) || !isNumber(b)) return compareValues(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The binding under which the term is the value, or nothing. */
function match(term: Term, value: Value, binding: Binding): Binding | undefined {
  if (term.kind === 'wildcard') return binding;
  if (term.kind === 'constant') return sameValue(term.value, value) ? binding : undefined;
  const bound = binding[term.index];
  if (bound !== undefined) return sameValue(bound, value) ? binding : undefined;
  const extended = binding.slice();
  extended[term.index] = value;
  return extended;
}

/** Literals in an order in which each has what it needs; those that bind no row first. */
function evaluationOrder(body: readonly Literal[]): Literal[] {
  const waiting = [...body];
  const ordered: Literal[] = [];
  const bound = new Set<number>();
  while (waiting.length > 0) {
    const isReady = (literal: Literal): boolean =>
      inputsOf(literal, bound).every((v) => bound.has(v));
    const isGenerator = (literal: Literal): boolean => literal.kind === 'atom' && !literal.negated;
    let at = waiting.findIndex((literal) => !isGenerator(literal) && isReady(literal));
    if (at < 0) at = waiting.findIndex(isGenerator);
    const literal = waiting[at];
    if (literal === undefined) throw new Error('the rule is not safe');
    waiting.splice(at, 1);
    ordered.push(literal);
    for (const variable of variablesOf(literal)) bound.add(variable);
  }
  return ordered;
}

/** Variables that must be bound before a literal can be evaluated. */
function inputsOf(literal: Literal, bound: ReadonlySet<number>): number[] {
  if (literal.kind === 'atom') return literal.negated ? indexes(literal.terms) : [];
  if (literal.kind !== 'comparison') return indexes(literalOperands(literal).inputs);
  const sides = [literal.left, literal.right].map((side) => indexes([side]));
  if (literal.operator !== '=') return sides.flat();
  const isEitherBound = sides.some((side) => side.every((variable) => bound.has(variable)));
  return isEitherBound ? [] : sides.flat();
}

/**
 * What a binding must satisfy for `call` to be made: all other literals but those that use its
 * output, directly or through variables that only such literals can bind. A variable of a positive
 * atom is nobody's output: there the call compares, and all other literals come before it.
 */
function literalsBefore(call: ComputeLiteral | CallLiteral, body: readonly Literal[]): Literal[] {
  const others = body.filter((literal) => literal !== call);
  const rows = others.filter((literal) => literal.kind === 'atom' && !literal.negated);
  const inRows = new Set(rows.flatMap(variablesOf));
  const output = indexes([call.output]).filter((variable) => !inRows.has(variable));
  if (output.length === 0) return others;
  let rest = others.filter((literal) => !variablesOf(literal).some((v) => output.includes(v)));
  for (;;) {
    const bound = bindable(rest);
    const kept = rest.filter((literal) => variablesOf(literal).every((v) => bound.has(v)));
    if (kept.length === rest.length) {
      // A call whose inputs come from its own output is a check of what others bind.
      return inputsOf(call, bound).every((variable) => bound.has(variable)) ? rest : others;
    }
    rest = kept;
  }
}

/** Variables that these literals can bind on their own. */
function bindable(literals: readonly Literal[]): Set<number> {
  const bound = new Set<number>();
  for (let size = -1; size !== bound.size;) {
    size = bound.size;
    for (const literal of literals) {
      if (!inputsOf(literal, bound).every((variable) => bound.has(variable))) continue;
      for (const variable of variablesOf(literal)) bound.add(variable);
    }
  }
  return bound;
}

function variablesOf(literal: Literal): number[] {
  if (literal.kind === 'atom') return indexes(literal.terms);
  const { inputs, output } = literalOperands(literal);
  return indexes(output === undefined ? inputs : [...inputs, output]);
}

function indexes(terms: readonly Term[]): number[] {
  return terms.flatMap((term) => (term.kind === 'variable' ? [term.index] : []));
}

function isBound(operand: Operand, binding: Binding): boolean {
  return operand.kind === 'constant' || binding[operand.index] !== undefined;
}

function valueOf(operand: Operand, binding: Binding): Value {
  if (operand.kind === 'constant') return operand.value;
  const value = binding[operand.index];
  if (value === undefined) throw new Error(`variable ${operand.index} is not bound`);
  return value;
}

function without(row: Row, column: number): Row {
  return row.filter((_, index) => index !== column);
}

function isNumber(value: Value): value is bigint | number {
  return typeof value === 'bigint' || typeof value === 'number';
}

function hasAggregate(rule: Rule): boolean {
  return rule.headTerms.some((term) => term.kind === 'aggregate');
}
