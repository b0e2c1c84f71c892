/**
 * Random recursion through `min` or `max`: weighted graphs with cycles and free edges, values that
 * are compared, capped, added to each other, over one table or two that need each other.
 */
import { formatValue } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';
import { weighted } from './prng.ts';
import type { GeneratedTable } from './program-generator.ts';
import type { Random } from './random.ts';

/** The columns of a table that its rules fill. */
interface Shape {
  readonly table: GeneratedTable;
  readonly value: number;
}

/** Rules by the policy of their head. */
export type Statements = ReadonlyMap<string, string[]>;

/** Adds the rules of `tables`, which have at least one column each; `lower`: what they may read. */
export function addBestLayer(
  random: Random,
  tables: readonly GeneratedTable[],
  lower: readonly GeneratedTable[],
  values: readonly Value[],
  statements: Statements,
): void {
  const isMax = random.chance(0.3);
  const shapes = tables.map((table) => ({ table, value: random.int(table.arity) }));
  const layer = new BestLayer(random, isMax, shapes, lower, values);
  for (const shape of shapes) {
    const own = statements.get(shape.table.owner) as string[];
    own.push(layer.exit(shape, true));
    if (random.chance(0.5)) own.push(layer.exit(shape, false));
    const recursive = weighted(random, [
      [5, 1],
      [4, 2],
      [1, 3],
    ]);
    // The aggregate in the cycle is what makes it one of best tables.
    own.push(layer.step(shape, shape));
    for (let count = recursive; count > 1; count--) own.push(layer.step(shape));
  }
  // Two tables are one component only if each reads the other.
  const [first, second] = shapes;
  if (first === undefined || second === undefined) return;
  (statements.get(first.table.owner) as string[]).push(layer.step(first, second));
  (statements.get(second.table.owner) as string[]).push(layer.step(second, first));
}

class BestLayer {
  readonly #random: Random;
  readonly #isMax: boolean;
  readonly #shapes: readonly Shape[];
  readonly #lower: readonly GeneratedTable[];
  readonly #values: readonly Value[];

  constructor(
    random: Random,
    isMax: boolean,
    shapes: readonly Shape[],
    lower: readonly GeneratedTable[],
    values: readonly Value[],
  ) {
    this.#random = random;
    this.#isMax = isMax;
    this.#shapes = shapes;
    this.#lower = lower;
    this.#values = values;
  }

  /** `isAggregate`: so that the table is a best one, whatever its other rules are. */
  exit(shape: Shape, isAggregate: boolean): string {
    const random = this.#random;
    if (!isAggregate && random.chance(0.4))
      return `${this.#head(shape, () => this.#constant(), this.#constant())}.`;
    const bound: string[] = [];
    const body = [this.#generator(bound, 'x')];
    if (random.chance(0.3)) body.push(this.#generator(bound, 'y'));
    const pick = (): string => this.#pick(bound);
    const value = random.chance(0.25) ? this.#constant() : pick();
    const aggregate = isAggregate || random.chance(0.5) ? this.#best(value) : value;
    return `${this.#head(shape, pick, aggregate)} :- ${body.join(', ')}.`;
  }

  /** One way on from a row of the component; of `from` if it is given, and then aggregated. */
  step(shape: Shape, from?: Shape): string {
    const random = this.#random;
    const source = from ?? random.pick(this.#shapes);
    const bound: string[] = [];
    const key = (): string => this.#bind(bound, 'k');
    const body = [this.#atom(source, key, 'd')];
    body.push(this.#generator(bound, 'k'));
    const ways = [
      () => this.#plus(body, bound),
      () => this.#same(),
      () => this.#capped(body, bound),
      () => this.#other(bound),
      () => this.#times(body, bound),
    ];
    if (!this.#isMax) ways.push(() => this.#sum(body, bound));
    const way = weighted(random, [
      [6, 0],
      [3, 1],
      [2, 2],
      [2, 3],
      [3, 4],
      [1, 5],
    ]);
    const value = (ways[way] ?? (() => this.#same()))();
    if (random.chance(0.2)) {
      const compare = random.chance(0.5) ? '' : '=';
      body.push(`d ${this.#isMax ? '>' : '<'}${compare} ${this.#constant()}`);
    }
    if (random.chance(0.15)) body.push(`not ${this.#generator(bound, undefined)}`);
    // Always an aggregate: where it is the only rule left, nothing else would end the recursion.
    const head = this.#head(shape, () => this.#pick(bound), this.#best(value));
    return `${head} :- ${body.join(', ')}.`;
  }

  #same(): string {
    return 'd';
  }

  /** What is added has a known sign: a constant, or a variable behind a guard. */
  #plus(body: string[], bound: readonly string[]): string {
    const random = this.#random;
    const isVariable = bound.length > 0 && random.chance(0.7);
    const cost = isVariable ? random.pick(bound) : random.pick(['0', '1', '2', '0.5']);
    if (isVariable) body.push(random.chance(0.8) ? `${cost} >= 0` : `0 < ${cost}`);
    return `d ${this.#isMax ? '-' : '+'} ${cost}`;
  }

  /** The worse of the value and another one. */
  #other(bound: readonly string[]): string {
    return `${this.#isMax ? 'min' : 'max'}(d, ${this.#pick(bound)})`;
  }

  /** By a factor that makes nothing better; what is negative is left out. */
  #times(body: string[], bound: readonly string[]): string {
    const random = this.#random;
    body.push('d >= 0');
    const isVariable = bound.length > 0 && random.chance(0.7);
    const constants = this.#isMax ? ['0', '0.5', '1'] : ['1', '1.5', '2'];
    const factor = isVariable ? random.pick(bound) : random.pick(constants);
    if (isVariable)
      body.push(...(this.#isMax ? [`${factor} >= 0`, `1 >= ${factor}`] : [`${factor} >= 1`]));
    return random.chance(0.5) ? `d * ${factor}` : `${factor} * d`;
  }

  /** Some other value that is no better. */
  #capped(body: string[], bound: string[]): string {
    const other = this.#pickVariable(body, bound);
    body.push(this.#isMax ? `${other} <= d` : `d <= ${other}`);
    return other;
  }

  /** Two values of the component. */
  #sum(body: string[], bound: string[]): string {
    body.push(this.#atom(this.#random.pick(this.#shapes), () => this.#bind(bound, 'k'), 'e'));
    body.push('d >= 0', 'e >= 0');
    return 'd + e';
  }

  #pickVariable(body: string[], bound: string[]): string {
    if (bound.length === 0) body.push(this.#generator(bound, 'k'));
    if (bound.length > 0) return this.#random.pick(bound);
    body.push('w = 3');
    return 'w';
  }

  #best(value: string): string {
    return `${this.#isMax ? 'max' : 'min'}(${value})`;
  }

  #head(shape: Shape, term: () => string, valueTerm: string): string {
    return this.#atom(shape, term, valueTerm).slice(shape.table.owner.length + 1);
  }

  #atom({ table, value }: Shape, term: () => string, valueTerm: string): string {
    const terms = Array.from({ length: table.arity }, (_, column) =>
      column === value ? valueTerm : term(),
    );
    return `${table.owner}:${table.name}(${terms.join(', ')})`;
  }

  /** An atom of a lower table; without a name for new variables it asks for bound ones. */
  #generator(bound: string[], name: string | undefined): string {
    const table = this.#random.pick(this.#lower);
    const terms = Array.from({ length: table.arity }, () =>
      name === undefined ? this.#asked(bound) : this.#bind(bound, name),
    );
    return `${table.owner}:${table.name}(${terms.join(', ')})`;
  }

  #asked(bound: readonly string[]): string {
    return this.#random.chance(0.3) ? '_' : this.#pick(bound);
  }

  #bind(bound: string[], name: string): string {
    if (bound.length > 0 && this.#random.chance(0.4)) return this.#random.pick(bound);
    const variable = `${name}${bound.length}`;
    if (!bound.includes(variable)) bound.push(variable);
    return variable;
  }

  #pick(bound: readonly string[]): string {
    return bound.length === 0 || this.#random.chance(0.1)
      ? this.#constant()
      : this.#random.pick(bound);
  }

  #constant(): string {
    return formatValue(this.#random.pick(this.#values));
  }
}
