/** The bodies of random rules and queries: see program-generator.ts. */
import { formatValue } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';
import { functionLiteral } from './function-literals.ts';
import { shuffled } from './prng.ts';
import type { GeneratedTable } from './program-generator.ts';
import type { Random } from './random.ts';

/** Arithmetic in a recursion stays between 0 and this. */
const RECURSION_BOUND = 4;
const AGGREGATES = ['count', 'sum', 'min', 'max'];
const ALL_AGGREGATES = [...AGGREGATES, 'avg', 'argmin', 'argmax', 'collect', 'collect'];

/** The literals of one body; every variable it hands out is bound by one of its positive atoms. */
export class BodyGenerator {
  readonly literals: string[] = [];
  readonly #random: Random;
  readonly #values: readonly Value[];
  readonly #policy: string;
  readonly #bound: string[] = [];
  #outputs = 0;

  constructor(random: Random, values: readonly Value[], policy: string) {
    this.#random = random;
    this.#values = values;
    this.#policy = policy;
  }

  atoms(tables: readonly GeneratedTable[]): void {
    for (const table of tables) {
      this.literals.push(atomText(table, this.#policy, () => this.#bindingTerm()));
    }
  }

  /** An atom that leads from variable x`link` to the next one, or the other way. */
  link(table: GeneratedTable, link: number, isReversed: boolean): void {
    const ends = [`x${link}`, `x${link + 1}`];
    if (isReversed) ends.reverse();
    let column = 0;
    const term = (): string => {
      const end = ends[column++];
      if (end === undefined) return this.#bindingTerm();
      if (!this.#bound.includes(end)) this.#bound.push(end);
      return end;
    };
    this.literals.push(atomText(table, this.#policy, term));
  }

  /** An atom over variables x`from` and x`to`, either way; more columns take what there is. */
  edge(table: GeneratedTable, from: number, to: number, sign: '' | 'not ' = ''): void {
    const ends = shuffled(this.#random, [`x${from}`, `x${to}`]);
    let column = 0;
    const term = (): string => {
      const end = ends[column++];
      if (end === undefined || (sign !== '' && !this.#bound.includes(end))) {
        return sign === '' ? this.#bindingTerm() : this.operand();
      }
      if (!this.#bound.includes(end)) this.#bound.push(end);
      return end;
    };
    this.literals.push(`${sign}${atomText(table, this.#policy, term)}`);
  }

  /** The terms of a head: the corners of a circle, then any. */
  cornerTerms(): () => string {
    const corners = this.#bound.filter((name) => /^x\d$/.test(name)).sort();
    return () => corners.shift() ?? this.operand();
  }

  /** The terms of a head: the chain's first and last variable, then any. */
  chainTerms(): () => string {
    const ends = this.#bound.filter((name) => /^x\d$/.test(name)).sort();
    const [first, last] = [ends[0], ends.at(-1)];
    const terms = this.#random.chance(0.15) ? [last, first] : [first, last];
    if (this.#random.chance(0.3)) terms.shift();
    return () => terms.shift() ?? this.operand();
  }

  negation(table: GeneratedTable): void {
    const term = (): string => (this.#random.chance(0.3) ? '_' : this.operand());
    this.literals.push(`not ${atomText(table, this.#policy, term)}`);
  }

  /** An atom over one or two bound variables whose other columns matter to nobody. */
  question(table: GeneratedTable): void {
    const random = this.#random;
    const asked = random.int(Math.max(1, table.arity));
    let column = 0;
    const term = (): string => {
      if (column++ === asked || random.chance(0.1)) return this.operand();
      return random.chance(0.3) ? this.#unused() : '_';
    };
    this.literals.push(atomText(table, this.#policy, term));
  }

  /** Two atoms that share a variable of their own; the first one is asked, too. */
  chainQuestion(tables: readonly GeneratedTable[]): void {
    const random = this.#random;
    const link = this.#unused();
    for (const end of [() => this.operand(), () => (random.chance(0.7) ? '_' : this.operand())]) {
      const table = random.pick(tables);
      const linked = random.int(Math.max(1, table.arity));
      let column = 0;
      const term = (): string => (column++ === linked ? link : end());
      this.literals.push(atomText(table, this.#policy, term));
    }
  }

  comparison(): void {
    const operator = this.#random.pick(['=', '!=', '<', '<=', '>', '>=', '!=', '<']);
    if (operator === '=' && this.#random.chance(0.5)) {
      const output = this.#output();
      this.literals.push(`${output} = ${this.operand()}`);
      this.#bound.push(output);
      return;
    }
    const not = this.#random.chance(0.1) ? 'not ' : '';
    this.literals.push(`${not}${this.operand()} ${operator} ${this.operand()}`);
  }

  /** One computation, which may fail; sometimes a second one on its result. */
  arithmetic(): void {
    const random = this.#random;
    const kind = random.int(4);
    if (kind === 0) {
      this.literals.push(`${this.expression()} ${random.pick(['<', '>', '!='])} ${this.operand()}`);
      return;
    }
    const inputs = `${this.operand()}, ${this.operand()}`;
    // A result that is compared with what an atom has bound, now and then.
    const output = random.chance(0.15) ? this.operand() : this.#output();
    if (kind === 1) {
      const builtin = random.pick(['plus', 'minus', 'mul', 'div']);
      this.literals.push(`${builtin}(${inputs}, ${output})`);
    } else {
      this.literals.push(`${output} = ${this.expression()}`);
    }
    if (!this.#bound.includes(output) && isVariable(output)) this.#bound.push(output);
    if (random.chance(0.3)) this.literals.push(`${output} ${random.pick(['<', '>='])} 2`);
  }

  /** A counter: finite, because it moves upwards between two bounds. */
  boundedArithmetic(): void {
    const from = this.#variable();
    if (from === undefined) return;
    const output = this.#output();
    const step = this.#random.pick(['1', '2', '1.5']);
    this.literals.push(`${from} >= 0`, `${output} = ${from} + ${step}`);
    this.literals.push(`${output} <= ${RECURSION_BOUND}`);
    this.#bound.push(output);
  }

  /** Outputs come from non-recursive rules only, or a recursion might have no end. */
  call(isTest: boolean): void {
    const inputs = this.#bound.filter((name) => /^[wxyz]\d*$/.test(name));
    if (inputs.length === 0) return;
    const isChosen = isTest || this.#random.chance(0.3);
    const made = functionLiteral(this.#random, inputs, () => this.#output(), isChosen);
    this.literals.push(made.text);
    this.#bound.push(...made.bound);
  }

  aggregate(isAny: boolean): string {
    const name = this.#random.pick(isAny ? ALL_AGGREGATES : AGGREGATES);
    const argument = this.#variable();
    if (name.startsWith('arg')) {
      return argument === undefined ? 'count()' : `${name}(${argument}, ${this.operand()})`;
    }
    return name === 'count' || argument === undefined ? 'count()' : `${name}(${argument})`;
  }

  expression(): string {
    const operator = this.#random.pick(['+', '-', '*', '/', '%']);
    const left = this.#random.chance(0.15)
      ? `(${this.operand()} ${this.#random.pick(['+', '*'])} ${this.operand()})`
      : this.operand();
    return `${left} ${operator} ${this.operand()}`;
  }

  /** A variable that is bound, or a constant. */
  operand(): string {
    const variable = this.#variable();
    return variable === undefined || this.#random.chance(0.15) ? this.#constant() : variable;
  }

  #variable(): string | undefined {
    return this.#bound.length === 0 ? undefined : this.#random.pick(this.#bound);
  }

  #bindingTerm(): string {
    const kind = this.#random.next();
    if (kind < 0.08) return '_';
    if (kind < 0.16) return this.#constant();
    const variable = this.#random.pick(['x', 'y', 'z', 'w']);
    if (!this.#bound.includes(variable)) this.#bound.push(variable);
    return variable;
  }

  /** A variable that no other literal knows. */
  #unused(): string {
    return `o${++this.#outputs}`;
  }

  #output(): string {
    return `n${++this.#outputs}`;
  }

  #constant(): string {
    return formatValue(this.#random.pick(this.#values));
  }
}

export function atomText(table: GeneratedTable, policy: string, term: () => string): string {
  const name = table.owner === policy ? table.name : `${table.owner}:${table.name}`;
  return `${name}(${Array.from({ length: table.arity }, term).join(', ')})`;
}

function isVariable(term: string): boolean {
  return /^[a-z]\d*$/.test(term);
}
