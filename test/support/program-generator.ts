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
import { atomText, BodyGenerator } from './body-generator.ts';
import { COMPOSITE_VALUES } from './function-literals.ts';
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
  /** Bodies in which variables go round in a circle. */
  readonly cycles?: boolean;
  /** Functions and values of all kinds, all aggregates, tables with keys. */
  readonly calls?: boolean;
}

const SOURCE = 's';
const POLICIES = ['p', 'q'];

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
  readonly #calls: boolean;
  readonly #hasCycles: boolean;
  readonly #values: readonly Value[];
  readonly #statements = new Map<string, string[]>(POLICIES.map((name) => [name, []]));
  readonly #lower: GeneratedTable[] = [];

  constructor(random: Random, options: ProgramOptions, values?: readonly Value[]) {
    this.#random = random;
    this.#isPlain = options.plain === true;
    this.#isLarge = options.large === true;
    this.#asks = options.questions === true;
    this.#hasBest = options.best === true;
    this.#calls = options.calls === true;
    this.#hasCycles = options.cycles === true;
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
    if (this.#calls) this.#declareKeys();
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
    const hasObjects = this.#values.some((value) => typeof value === 'object' && value !== null);
    if (hasObjects && this.#random.chance(0.3)) body.call(false);
    return body.literals.join(', ');
  }

  /** A key is never null, in facts too. */
  #declareKeys(): void {
    if (this.#values.includes(null)) return;
    for (const { owner, name, arity } of this.#lower) {
      if (arity < 2 || this.#random.chance(0.6)) continue;
      const key = this.#random.int(arity);
      const columns = Array.from(
        { length: arity },
        (_, at) => `c${at}${at === key ? ': any key' : ''}`,
      );
      const declared = owner === SOURCE ? `${SOURCE}:${name}` : name;
      const statements = this.#statements.get(owner === SOURCE ? 'p' : owner);
      statements?.push(`table ${declared}(${columns.join(', ')}).`);
    }
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
        else if (this.#hasCycles && random.chance(0.6)) statements.push(this.#cycle(table, []));
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
        else if (this.#hasCycles && random.chance(0.6)) statements.push(this.#cycle(table, tables));
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
    if (this.#calls && random.chance(0.6)) body.call(isRecursive);
    const isAggregate = !this.#isPlain && !isRecursive && head.arity > 0 && random.chance(0.3);
    const aggregated = isAggregate ? random.int(head.arity) : -1;
    let column = 0;
    const term = (): string => {
      const isAggregated = column === aggregated || (isAggregate && random.chance(0.2));
      column++;
      return isAggregated
        ? body.aggregate(this.#hasBest || this.#calls)
        : this.#headTerm(body, isRecursive);
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
   * `d(x0, x1, x2) :- t(x0, x1), u(x1, x2), v(x0, x2), not w(x1, x0)`: circles of three or four,
   * with chords, some of them negated.
   */
  #cycle(head: GeneratedTable, component: readonly GeneratedTable[]): string {
    const random = this.#random;
    const body = new BodyGenerator(random, this.#values, head.owner);
    const length = this.#isLarge ? 3 : between(random, 3, 4);
    const own = component.length > 0 ? random.int(length) : -1;
    const wide = this.#lower.filter(({ arity }) => arity > 1);
    const any = wide.length > 0 ? wide : this.#lower;
    for (let at = 0; at < length; at++) {
      const table = random.pick(at === own ? component : any);
      body.edge(table, at, (at + 1) % length);
    }
    if (random.chance(0.4)) body.edge(random.pick(any), random.int(length), random.int(length));
    if (random.chance(0.5)) {
      body.edge(random.pick(any), random.int(length), random.int(length), 'not ');
    }
    const text = atomText(head, head.owner, body.cornerTerms());
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
    const term = (): string =>
      column-- === 0 ? body.aggregate(this.#hasBest || this.#calls) : body.operand();
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
    if (this.#calls) values.push(...sample(random, COMPOSITE_VALUES, between(random, 2, 5)));
    if (random.chance(0.5)) values.push(...sample(random, SPECIAL_VALUES, between(random, 1, 3)));
    return values;
  }
}
