/**
 * Random stratified programs as text, so that they go through the compiler as any policy does.
 * Small on purpose: two policies, a source, a handful of values, so that rows meet, vanish and come
 * back.
 *
 * Tables are made layer by layer. A rule reads lower layers; positive atoms of a recursive layer
 * may read the layer itself. What grows by arithmetic inside a recursion is held between two
 * bounds.
 */
import { formatValue } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';
import { addBestLayer } from './best-layer.ts';
import { between, sample, shuffled, weighted } from './prng.ts';
import type { Random } from './random.ts';

export interface GeneratedTable {
  readonly owner: string;
  readonly name: string;
  readonly arity: number;
}

export interface GeneratedPolicy {
  readonly name: string;
  /** One rule or fact each, with its full stop. */
  readonly statements: readonly string[];
}

export interface GeneratedProgram {
  readonly policies: readonly GeneratedPolicy[];
  /** The tables of source `s`. */
  readonly sourceTables: readonly GeneratedTable[];
  /** All tables: those of the source and those that rules or facts define. */
  readonly tables: readonly GeneratedTable[];
  /** The values that occur in facts and rows. */
  readonly values: readonly Value[];
}

export interface ProgramOptions {
  /** More values, so larger tables; fewer and shorter rules, for the reference's sake. */
  readonly large?: boolean;
  /**
   * No arithmetic, aggregates, floats, booleans or null, and ints of 31 bits: what others know too.
   */
  readonly plain?: boolean;
  /** Rules that ask whether there is any row, beside rows with the same variables. */
  readonly questions?: boolean;
  /** All aggregates, and recursion through min and max. */
  readonly best?: boolean;
}

const SOURCE = 's';
const POLICIES = ['p', 'q'];
/** Arithmetic in a recursion stays between 0 and this. */
const RECURSION_BOUND = 4;

const ONE_OR_TWO: readonly (readonly [number, number])[] = [
  [1, 0],
  [2, 1],
];

const SPECIAL_VALUES: readonly Value[] = [
  2n ** 31n - 1n,
  -(2n ** 31n),
  2n ** 31n,
  2n ** 53n,
  2n ** 53n + 1n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  -1n,
  0,
  1,
  2,
  0.5,
  -1.5,
  1e308,
  2 ** 53,
  '',
  'a',
  'b',
  'é',
  '\u{1f600}',
  '\uffff',
  'a "quoted"\n\\text',
  'a string that does not fit into a few bytes, twice as long as it should be, and then some',
  true,
  false,
  null,
];

const AGGREGATES = ['count', 'sum', 'min', 'max'];
const ALL_AGGREGATES = [...AGGREGATES, 'avg', 'argmin', 'argmax', 'collect', 'collect'];

export function generateProgram(random: Random, options: ProgramOptions = {}): GeneratedProgram {
  return new ProgramGenerator(random, options).generate();
}

/** The text of a policy. */
export function policyText(policy: GeneratedPolicy): string {
  return `${policy.statements.join('\n')}\n`;
}

/** A body for a query over the program's tables, with the variables in order of appearance. */
export function generateQuery(random: Random, program: GeneratedProgram): string {
  return new ProgramGenerator(random, {}, program.values).query(program.tables);
}

class ProgramGenerator {
  readonly #random: Random;
  readonly #isPlain: boolean;
  readonly #isLarge: boolean;
  readonly #asks: boolean;
  readonly #hasBest: boolean;
  readonly #values: readonly Value[];
  readonly #statements = new Map<string, string[]>(POLICIES.map((name) => [name, []]));
  readonly #lower: GeneratedTable[] = [];

  constructor(random: Random, options: ProgramOptions, values?: readonly Value[]) {
    this.#random = random;
    this.#isPlain = options.plain === true;
    this.#isLarge = options.large === true;
    this.#asks = options.questions === true;
    this.#hasBest = options.best === true;
    this.#values = values ?? this.#chooseValues();
  }

  generate(): GeneratedProgram {
    const random = this.#random;
    for (let index = between(random, 1, 3); index > 0; index--) {
      this.#lower.push({ owner: SOURCE, name: `b${index}`, arity: this.#arity() });
    }
    const sourceTables = [...this.#lower];
    for (let layer = between(random, 1, this.#isLarge ? 3 : 4), next = 0; layer > 0; layer--) {
      const tables: GeneratedTable[] = [];
      for (let count = random.chance(0.3) ? 2 : 1; count > 0; count--) {
        tables.push({ owner: random.pick(POLICIES), name: `d${next++}`, arity: this.#arity() });
      }
      if (this.#hasBest && tables.every(({ arity }) => arity > 0) && random.chance(0.5)) {
        addBestLayer(random, tables, this.#lower, this.#values, this.#statements);
      } else this.#layer(tables, random.chance(0.6));
      this.#lower.push(...tables);
    }
    const policies = [...this.#statements].map(([name, statements]) => ({
      name,
      statements: shuffled(random, statements),
    }));
    return { policies, sourceTables, tables: this.#lower, values: this.#values };
  }

  query(tables: readonly GeneratedTable[]): string {
    const body = new BodyGenerator(this.#random, this.#values, 'query');
    body.atoms(sample(this.#random, tables, between(this.#random, 1, 2)));
    if (this.#random.chance(0.3)) body.negation(this.#random.pick(tables));
    if (this.#random.chance(0.3)) body.comparison();
    return body.literals.join(', ');
  }

  #layer(tables: readonly GeneratedTable[], isRecursive: boolean): void {
    const random = this.#random;
    const isChain = random.chance(isRecursive ? 0.6 : 0.1);
    for (const table of tables) {
      const statements = this.#statements.get(table.owner) as string[];
      if (random.chance(0.25)) {
        for (let count = between(random, 1, 3); count > 0; count--) {
          statements.push(`${atomText(table, table.owner, () => this.#constant())}.`);
        }
      }
      for (let count = between(random, 1, 2); count > 0; count--) {
        if (this.#asks && random.chance(0.5)) statements.push(this.#question(table, []));
        else statements.push(isChain ? this.#chain(table, []) : this.#rule(table, []));
      }
      for (
        let count = weighted(random, [
          [6, 1],
          [3, 2],
        ]);
        isRecursive && count > 0;
        count--
      ) {
        if (this.#asks && random.chance(0.5)) statements.push(this.#question(table, tables));
        else statements.push(isChain ? this.#chain(table, tables) : this.#rule(table, tables));
      }
    }
  }

  /** `component`: tables of the layer; one of them at least is in the body of a recursive rule. */
  #rule(head: GeneratedTable, component: readonly GeneratedTable[]): string {
    const random = this.#random;
    const isRecursive = component.length > 0;
    const body = new BodyGenerator(random, this.#values, head.owner);
    const atoms = isRecursive ? [random.pick(component)] : [random.pick(this.#lower)];
    for (
      let more = weighted(
        random,
        this.#isLarge
          ? ONE_OR_TWO
          : [
              [3, 0],
              [5, 1],
              [2, 2],
            ],
      );
      more > 0;
      more--
    ) {
      const isSelfJoin = random.chance(0.25);
      const isNonLinear = isRecursive && random.chance(0.3);
      const choices = isNonLinear ? component : this.#lower;
      atoms.push(isSelfJoin ? random.pick(atoms) : random.pick(choices));
    }
    body.atoms(shuffled(random, atoms));
    for (
      let count = weighted(random, [
        [6, 0],
        [3, 1],
        [1, 2],
      ]);
      count > 0;
      count--
    ) {
      body.negation(random.pick(this.#lower));
    }
    if (random.chance(0.25)) body.comparison();
    if (!this.#isPlain && random.chance(0.25)) {
      if (isRecursive) body.boundedArithmetic();
      else body.arithmetic();
    }
    const isAggregate = !this.#isPlain && !isRecursive && head.arity > 0 && random.chance(0.3);
    const aggregated = isAggregate ? random.int(head.arity) : -1;
    let column = 0;
    const term = (): string => {
      const isAggregated = column === aggregated || (isAggregate && random.chance(0.2));
      column++;
      return isAggregated ? body.aggregate(this.#hasBest) : this.#headTerm(body, isRecursive);
    };
    const text = atomText(head, head.owner, term);
    return `${text} :- ${shuffled(random, body.literals).join(', ')}.`;
  }

  /**
   * `d(x0, x2) :- t(x0, x1), u(x1, x2)`: closures, same generation, mutual recursion; the shapes in
   * which rows hold each other up in cycles.
   */
  #chain(head: GeneratedTable, component: readonly GeneratedTable[]): string {
    const random = this.#random;
    const isRecursive = component.length > 0;
    const body = new BodyGenerator(random, this.#values, head.owner);
    const length = isRecursive ? between(random, 1, this.#isLarge ? 2 : 3) : 1;
    const own = random.int(length);
    for (let link = 0; link < length; link++) {
      const isOwn = isRecursive && (link === own || random.chance(0.25));
      body.link(random.pick(isOwn ? component : this.#lower), link, random.chance(0.2));
    }
    if (random.chance(0.15)) body.negation(random.pick(this.#lower));
    if (random.chance(0.1)) body.comparison();
    const text = atomText(head, head.owner, body.chainTerms());
    return `${text} :- ${shuffled(random, body.literals).join(', ')}.`;
  }

  /**
   * `d(x, count()) :- t(x, y), t(_, y), u(y, o1), v(o1, _), not t(_, x)`: rows that are only asked
   * for, beside rows that are used.
   */
  #question(head: GeneratedTable, component: readonly GeneratedTable[]): string {
    const random = this.#random;
    const isRecursive = component.length > 0;
    const body = new BodyGenerator(random, this.#values, head.owner);
    body.atoms([random.pick(isRecursive ? component : this.#lower)]);
    // The reference joins what it is asked for: few questions where tables are large.
    const questionsMax = this.#isLarge ? 1 : 3;
    if (!this.#isLarge && random.chance(0.3)) body.atoms([random.pick(this.#lower)]);
    for (let count = between(random, 1, questionsMax); count > 0; count--) {
      body.question(random.pick(isRecursive && random.chance(0.2) ? component : this.#lower));
    }
    if (random.chance(0.3)) body.chainQuestion(this.#lower);
    if (random.chance(0.3)) body.negation(random.pick(this.#lower));
    if (random.chance(0.15)) body.comparison();
    if (!this.#isPlain && !isRecursive && random.chance(0.1)) body.arithmetic();
    const isAggregate = !this.#isPlain && !isRecursive && head.arity > 0 && random.chance(0.4);
    let column = isAggregate ? random.int(head.arity) : -1;
    const term = (): string => (column-- === 0 ? body.aggregate(this.#hasBest) : body.operand());
    const text = atomText(head, head.owner, term);
    return `${text} :- ${shuffled(random, body.literals).join(', ')}.`;
  }

  #headTerm(body: BodyGenerator, isRecursive: boolean): string {
    const isExpression = !this.#isPlain && !isRecursive && this.#random.chance(0.06);
    return isExpression ? body.expression() : body.operand();
  }

  #arity(): number {
    if (this.#isLarge) return this.#random.chance(0.2) ? 1 : 2;
    return weighted(this.#random, [
      [1, 0],
      [5, 1],
      [9, 2],
      [3, 3],
      [1, 4],
    ]);
  }

  #constant(): string {
    return formatValue(this.#random.pick(this.#values));
  }

  #chooseValues(): Value[] {
    const random = this.#random;
    const count = this.#isLarge ? between(random, 10, 30) : between(random, 2, 5);
    const values = Array.from({ length: count }, (_, index): Value => BigInt(index));
    if (this.#isPlain) return [...values, ...sample(random, ['', 'a', 'b', 'é'], random.int(3))];
    if (random.chance(0.5)) values.push(...sample(random, SPECIAL_VALUES, between(random, 1, 3)));
    return values;
  }
}

/** The literals of one body; every variable it hands out is bound by one of its positive atoms. */
class BodyGenerator {
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

function atomText(table: GeneratedTable, policy: string, term: () => string): string {
  const name = table.owner === policy ? table.name : `${table.owner}:${table.name}`;
  return `${name}(${Array.from({ length: table.arity }, term).join(', ')})`;
}

function isVariable(term: string): boolean {
  return /^[a-z]\d*$/.test(term);
}
