/**
 * Recursion through `min` and `max`: which components of tables may depend on their own best
 * values, and which literal is in the way of the others.
 *
 *   dist(y, min(d)) :- dist(x, e), edge(x, y, c), c >= 0, d = e + c.
 *
 * Each table keeps one row a group, the best over all its rules. That has a meaning if a better
 * value below never makes anything above worse, and if no value is better than those it comes from.
 * So values pass through `+` of what is not negative (for `max` through `-`), where they are not
 * negative through `*` of factors of at least 1 (for `max` from 0 to 1), and through the function
 * `max` (for `max` through `min`). They are compared only in the direction in which they get
 * better, and end in the `min` or `max` of the head.
 */
import { variablesOfTerms } from './core-rule.ts';
import type { DependencyGraph } from './dependency-graph.ts';
import type { Span } from './source-text.ts';
import { isNumberOf, isWithin } from './ranges.ts';
import type { Side } from './ranges.ts';
import { literalOperands, tableKey } from './stratified.ts';
import type {
  Aggregate,
  AtomLiteral,
  BestTables,
  CallLiteral,
  ComparisonLiteral,
  ComputeLiteral,
  EachLiteral,
  HeadTerm,
  Literal,
  Operand,
  Rule,
  Table,
} from './stratified.ts';

export interface MonotoneProblem {
  /** Of the program's rules. */
  readonly rule: number;
  readonly span: Span;
  readonly message: string;
  readonly note: string;
}

export interface MonotoneComponents {
  /** By component. */
  readonly best: ReadonlyMap<number, BestTables>;
  /** Components with problems are in neither of the lists above. */
  readonly problems: readonly MonotoneProblem[];
  /** Components that are meant to be: their cycles through aggregates are told here or allowed. */
  readonly candidates: ReadonlySet<number>;
}

/** Looks at the components with a cycle through nothing stricter than `min` or `max`. */
export function monotoneComponents(
  graph: DependencyGraph,
  rules: readonly Rule[],
  tables: readonly Table[],
): MonotoneComponents {
  const best = new Map<number, BestTables>();
  const problems: MonotoneProblem[] = [];
  const candidates = new Set<number>();
  for (const [component, members] of graph.components.entries()) {
    const inside = members.flatMap((table) =>
      (graph.dependencies[table] ?? []).filter((edge) => graph.componentOf[edge.to] === component),
    );
    const strict = inside.filter((edge) => edge.strict !== undefined);
    const isCandidate = strict.every(
      (edge) => edge.strict === 'aggregate' && bestOf(rules[edge.rule] as Rule) !== undefined,
    );
    if (strict.length === 0 || !isCandidate) continue;
    candidates.add(component);
    const check = new ComponentCheck(new Set(members), rules, tables);
    const found = check.run();
    problems.push(...check.problems);
    if (found !== undefined) best.set(component, found);
  }
  return { best, problems, candidates };
}

/** The only aggregate of a rule if it is `min` or `max`, and its column. */
function bestOf(rule: Rule): { function: 'min' | 'max'; column: number } | undefined {
  const aggregates = rule.headTerms.filter((term): term is Aggregate => term.kind === 'aggregate');
  const name = aggregates[0]?.function;
  if (aggregates.length !== 1 || (name !== 'min' && name !== 'max')) return undefined;
  return { function: name, column: rule.headTerms.findIndex((term) => term.kind === 'aggregate') };
}

class ComponentCheck {
  readonly problems: MonotoneProblem[] = [];
  readonly #members: ReadonlySet<number>;
  readonly #rules: readonly Rule[];
  readonly #tables: readonly Table[];
  readonly #columns = new Map<number, number>();
  #function: 'min' | 'max' | undefined;

  constructor(members: ReadonlySet<number>, rules: readonly Rule[], tables: readonly Table[]) {
    this.#members = members;
    this.#rules = rules;
    this.#tables = tables;
  }

  run(): BestTables | undefined {
    const own = [...this.#rules.entries()].filter(([, rule]) => this.#members.has(rule.head));
    for (const [index, rule] of own) this.#takeColumn(index, rule);
    for (const [index, rule] of own) {
      if (this.problems.length > 0) break;
      this.#checkHead(index, rule);
    }
    if (this.problems.length > 0 || this.#function === undefined) return undefined;
    const best: BestTables = { function: this.#function, columns: this.#columns };
    for (const [index, rule] of own) {
      const problem = new RuleCheck(rule, best, (table) => this.#name(table, rule)).run();
      if (problem !== undefined) this.problems.push({ rule: index, ...problem });
    }
    return this.problems.length > 0 ? undefined : best;
  }

  #takeColumn(index: number, rule: Rule): void {
    if (!rule.headTerms.some((term) => term.kind === 'aggregate')) return;
    const found = bestOf(rule);
    const name = this.#name(rule.head, rule);
    if (found === undefined) {
      this.#report(
        index,
        rule.span,
        `\`${name}\` depends on its own best value, and this rule gives it other aggregates`,
        'give all rules of the table the same single `min` or `max`',
      );
      return;
    }
    this.#function ??= found.function;
    const column = this.#columns.get(rule.head) ?? found.column;
    this.#columns.set(rule.head, column);
    if (found.function === this.#function && found.column === column) return;
    this.#report(
      index,
      rule.span,
      `\`${name}\` depends on its own best value, and its rules differ in what that is`,
      'write the same `min` or `max` in the same column of all rules of the cycle',
    );
  }

  /** Every table of the cycle has a value of its own. */
  #checkHead(index: number, rule: Rule): void {
    if (this.#columns.has(rule.head)) return;
    const name = this.#name(rule.head, rule);
    this.#report(
      index,
      rule.span,
      `\`${name}\` is between a table and its own \`${this.#function}\`, but has none itself`,
      `give its head the \`${this.#function}\`, or read its body in place of it`,
    );
  }

  #report(rule: number, span: Span, message: string, note: string): void {
    this.problems.push({ rule, span, message, note });
  }

  #name(index: number, rule: Rule): string {
    const table = this.#tables[index];
    if (table === undefined) return '?';
    return table.owner === rule.policy ? table.name : tableKey(table);
  }
}

type RuleProblem = Omit<MonotoneProblem, 'rule'>;

/** Follows the values of the component through one rule. */
class RuleCheck {
  readonly #rule: Rule;
  readonly #best: BestTables;
  readonly #isMin: boolean;
  readonly #nameOf: (table: number) => string;
  /** Values, and what is computed from them: variable → the values of atoms that it comes from. */
  readonly #sources = new Map<number, ReadonlySet<number>>();
  /** Variables that positive atoms bind. */
  readonly #bound = new Set<number>();
  #problem: RuleProblem | undefined;

  constructor(rule: Rule, best: BestTables, nameOf: (table: number) => string) {
    this.#rule = rule;
    this.#best = best;
    this.#isMin = best.function === 'min';
    this.#nameOf = nameOf;
  }

  run(): RuleProblem | undefined {
    const { body } = this.#rule;
    for (const literal of body) if (literal.kind === 'atom') this.#takeAtom(literal);
    if (this.#sources.size === 0) return this.#problem;
    this.#spread();
    for (const literal of body) this.#check(literal);
    this.#checkHead();
    return this.#problem;
  }

  #fail(span: Span, message: string, note: string): void {
    this.#problem ??= { span, message, note };
  }

  #takeAtom(atom: AtomLiteral): void {
    if (atom.negated) return;
    const column = this.#best.columns.get(atom.table);
    atom.terms.forEach((term, place) => {
      if (place !== column) for (const one of variablesOfTerms([term])) this.#bound.add(one);
    });
    if (column === undefined) return;
    const value = atom.terms[column];
    if (value?.kind === 'variable' && !this.#sources.has(value.index)) {
      this.#sources.set(value.index, new Set([value.index]));
      return;
    }
    const name = this.#nameOf(atom.table);
    const why =
      value?.kind === 'wildcard'
        ? `the value of \`${name}\` is not passed on`
        : `the value of \`${name}\` is compared for equality: another one would do as well`;
    this.#fail(
      atom.span,
      why,
      `give the value a variable, and the head its \`${this.#best.function}\``,
    );
  }

  /** What is computed from values is a value, too. */
  #spread(): void {
    for (let size = -1; size !== this.#sources.size;) {
      size = this.#sources.size;
      for (const literal of this.#rule.body) {
        if (literal.kind === 'compute') this.#pass([literal.left, literal.right], literal.output);
        if (this.#isOtherBest(literal)) this.#pass(literal.inputs, literal.output);
        if (literal.kind !== 'comparison' || literal.operator !== '=') continue;
        this.#pass([literal.left], literal.right);
        this.#pass([literal.right], literal.left);
      }
    }
  }

  /** `max(d, c)` is no better for a `min` than `d`, and `min(d, c)` none for a `max`. */
  #isOtherBest(literal: Literal): literal is CallLiteral {
    return literal.kind === 'call' && literal.function === (this.#isMin ? 'max' : 'min');
  }

  #pass(inputs: readonly Operand[], output: Operand): void {
    if (output.kind === 'constant' || this.#bound.has(output.index)) return;
    if (this.#sources.has(output.index)) return;
    const sources = inputs.flatMap((one) => [...this.#sourcesOf(one)]);
    if (sources.length > 0) this.#sources.set(output.index, new Set(sources));
  }

  #sourcesOf(operand: Operand): ReadonlySet<number> {
    return (operand.kind === 'variable' && this.#sources.get(operand.index)) || NONE;
  }

  #isValue(operand: Operand): boolean {
    return this.#sourcesOf(operand).size > 0;
  }

  #check(literal: Literal): void {
    switch (literal.kind) {
      case 'atom':
        return this.#checkAtom(literal);
      case 'comparison':
        return this.#checkComparison(literal);
      case 'compute':
        return this.#checkCompute(literal);
      case 'call':
      case 'each':
        return this.#checkCall(literal);
    }
  }

  #checkAtom(atom: AtomLiteral): void {
    const column = atom.negated ? undefined : this.#best.columns.get(atom.table);
    const joins = atom.terms.some(
      (term, place) => place !== column && term.kind !== 'wildcard' && this.#isValue(term),
    );
    if (!joins) return;
    this.#fail(
      atom.span,
      `\`${this.#nameOf(atom.table)}\` is asked for a value that may still get better`,
      'compare values with `<` or `<=` only, or ask in a rule behind the recursion',
    );
  }

  #checkComparison({ operator, left, right, span }: ComparisonLiteral): void {
    const [isLeft, isRight] = [this.#isValue(left), this.#isValue(right)];
    if (!isLeft && !isRight) return;
    const name = this.#nameOfOperand(isLeft ? left : right);
    if (operator === '=' && isLeft && isRight) {
      // One is the other by another name, unless both come from elsewhere.
      const [a, b] = [this.#sourcesOf(left), this.#sourcesOf(right)];
      if (a.size === b.size && [...a].every((one) => b.has(one))) return;
    }
    const better = this.#isMin ? ['<', '<='] : ['>', '>='];
    const worse = this.#isMin ? ['>', '>='] : ['<', '<='];
    if (isLeft !== isRight) {
      const [improving, limiting] = isLeft ? [better, worse] : [worse, better];
      const other = isLeft ? right : left;
      if (improving.includes(operator)) return;
      // A guard of an increment or factor that is a value itself.
      if (limiting.includes(operator) && isNumberOf(other, 0)) return;
      if (limiting.includes(operator) && isNumberOf(other, 1) && this.#multiplies()) return;
    }
    this.#fail(
      span,
      `\`${name}\` may still get ${this.#direction()}, and then this may no longer hold`,
      `a value of a \`${this.#best.function}\` in its own recursion is compared with \`${better.join('` or `')}\` only`,
    );
  }

  /** Two values by each other: then each is a factor. */
  #multiplies(): boolean {
    return this.#rule.body.some(
      (one) =>
        one.kind === 'compute' &&
        one.operator === '*' &&
        this.#isValue(one.left) &&
        this.#isValue(one.right),
    );
  }

  #checkCompute({ operator, left, right, output, text, span }: ComputeLiteral): void {
    const [isLeft, isRight] = [this.#isValue(left), this.#isValue(right)];
    if (!isLeft && !isRight) {
      if (this.#isValue(output)) this.#failEqual(span, output);
      return;
    }
    if (output.kind === 'constant' || this.#bound.has(output.index)) {
      return this.#failEqual(span, output);
    }
    if (operator === '*') return this.#checkProduct(left, right, text, span);
    const isNegative = operator === '-';
    if ((operator !== '+' && !isNegative) || (isNegative && isRight)) {
      return this.#fail(
        span,
        `\`${text}\` may make the value ${this.#direction()} or worse, as it comes`,
        'a value passes through `+`, `-` and `*` of numbers whose range is known',
      );
    }
    const wanted = this.#isMin === isNegative ? '<=' : '>=';
    for (const [operand, isValue] of [
      [left, isRight],
      [right, isLeft],
    ] as const) {
      if (!isValue || isWithin(this.#rule.body, operand, wanted, 0)) continue;
      return this.#fail(
        span,
        `\`${text}\` may make the value ${this.#direction()} than what it comes from`,
        operand.kind === 'constant'
          ? `a value passes through \`${this.#isMin ? '+' : '-'}\` of what is not negative`
          : `add \`${this.#nameOfOperand(operand)} ${wanted} 0\` to the body`,
      );
    }
  }

  /**
   * `d * f`: with f ≥ 1 not smaller than a d that is not negative, with 0 ≤ f ≤ 1 not larger; and
   * the larger d, the larger the product.
   */
  #checkProduct(left: Operand, right: Operand, text: string, span: Span): void {
    const factor = this.#isMin ? ['>= 1'] : ['>= 0', '<= 1'];
    const isProduct = this.#isValue(left) && this.#isValue(right);
    for (const operand of [left, right]) {
      const isFactor = isProduct || !this.#isValue(operand);
      const wanted = (isFactor ? factor : ['>= 0']).filter((range) => {
        const [operator, limit] = range.split(' ');
        return !isWithin(this.#rule.body, operand, operator as Side, Number(limit));
      });
      if (wanted.length === 0) continue;
      const name = this.#nameOfOperand(operand);
      const guards = wanted.map((range) => `${name} ${range}`).join(', ');
      const range = this.#isMin ? 'of at least 1' : 'from 0 to 1';
      this.#fail(
        span,
        `\`${text}\` may make the value ${this.#direction()} than what it comes from`,
        operand.kind === 'constant'
          ? `a value passes through \`*\` of factors ${range}`
          : `add \`${guards}\` to the body`,
      );
    }
  }

  /** Of other functions nobody knows which way their results go. */
  #checkCall(call: CallLiteral | EachLiteral): void {
    const { inputs, output } = literalOperands(call);
    const isInput = inputs.some((one) => this.#isValue(one));
    if (!isInput && (output === undefined || !this.#isValue(output))) return;
    if (this.#isOtherBest(call)) {
      const isFree = call.output.kind === 'variable' && !this.#bound.has(call.output.index);
      if (!isInput || !isFree) this.#failEqual(call.span, call.output);
      return;
    }
    this.#fail(
      call.span,
      `a function is given a value that may still get ${this.#direction()}`,
      'a value passes through `+`, `-` and `*` of numbers whose range is known, and through ' +
        `\`${this.#isMin ? 'max' : 'min'}\``,
    );
  }

  #failEqual(span: Span, output: Operand): void {
    const name = output.kind === 'variable' ? this.#nameOfOperand(output) : 'the result';
    this.#fail(
      span,
      `a value that may still get ${this.#direction()} is compared with \`${name}\` for equality`,
      'give the result a variable of its own',
    );
  }

  #checkHead(): void {
    const { headTerms, head, span } = this.#rule;
    const column = this.#best.columns.get(head);
    headTerms.forEach((term, place) => {
      if (place === column || term.kind === 'aggregate' || !this.#isValue(term)) return;
      const name = this.#nameOfOperand(term);
      this.#fail(
        span,
        `\`${name}\` may still get ${this.#direction()}, so it cannot tell groups apart`,
        `the value belongs into the \`${this.#best.function}\` of the head only`,
      );
    });
    const value = valueOperand(headTerms[column ?? -1]);
    if (value === undefined) return;
    const covered = new Set(this.#sourcesOf(value));
    for (const literal of this.#rule.body) {
      if (literal.kind === 'comparison') this.#cover(literal, value, covered);
    }
    for (const source of this.#atomValues()) {
      if (covered.has(source)) continue;
      const name = this.#rule.variables[source] ?? '';
      this.#fail(
        span,
        `the value of the head does not come from \`${name}\`, so it might be ${this.#direction()}`,
        `pass \`${name}\` on, or compare it with the value of the head in the body`,
      );
    }
  }

  /** `d <= w` says of the head's value `w` that it is no better than `d`. */
  #cover({ operator, left, right }: ComparisonLiteral, value: Operand, covered: Set<number>): void {
    const isHead = (one: Operand): boolean =>
      value.kind === 'constant'
        ? one.kind === 'constant' && one.value === value.value
        : one.kind === 'variable' && one.index === value.index;
    const [less, greater] = this.#isMin ? [left, right] : [right, left];
    const from = operator === '<' || operator === '<=';
    const to = operator === '>' || operator === '>=';
    if (from && isHead(greater)) for (const one of this.#sourcesOf(less)) covered.add(one);
    if (to && isHead(less)) for (const one of this.#sourcesOf(greater)) covered.add(one);
  }

  #atomValues(): number[] {
    return this.#rule.body.flatMap((literal) => {
      if (literal.kind !== 'atom' || literal.negated) return [];
      const term = literal.terms[this.#best.columns.get(literal.table) ?? -1];
      return term?.kind === 'variable' ? [term.index] : [];
    });
  }

  #direction(): string {
    return this.#isMin ? 'smaller' : 'larger';
  }

  #nameOfOperand(operand: Operand): string {
    if (operand.kind === 'constant') return String(operand.value);
    const name = this.#rule.variables[operand.index] ?? '';
    return name.startsWith('$') ? 'the result' : name;
  }
}

const NONE: ReadonlySet<number> = new Set();

/** What a head puts into a column, aggregated or not. */
export function valueOperand(term: HeadTerm | undefined): Operand | undefined {
  return term?.kind === 'aggregate' ? term.argument : term;
}

/** The value of an atom of a best table; a wildcard or constant is none. */
export function valueOfAtom(literal: Literal, { columns }: BestTables): Operand[] {
  if (literal.kind !== 'atom') return [];
  const column = columns.get(literal.table);
  const term = column === undefined ? undefined : literal.terms[column];
  return term?.kind === 'variable' ? [term] : [];
}
