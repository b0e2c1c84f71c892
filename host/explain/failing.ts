/**
 * Why a body has no solution: the fewest of its literals that have to go so that the others hold
 * together, and one way in which those hold.
 */
import { orderBody } from '../compiler/safety.ts';
import type { Literal } from '../compiler/stratified.ts';
import { WHY_NOT_QUESTIONS_MAX } from '../limits.ts';
import type { Row } from '../value/value.ts';
import { nameWildcards, substitute } from './evidence.ts';
import type { Body, Evidence, Known } from './evidence.ts';

export interface FailingLiteral {
  /** With the values that are known of the partial match; the others are variables still. */
  readonly literal: Literal;
  /**
   * `missing`: no row matches; `present`: this row does, and must not; `false`: a comparison or
   * computation that does not hold; `unbound`: it needs values that only failing literals give.
   */
  readonly why: 'missing' | 'present' | 'false' | 'unbound';
  readonly row?: Row;
}

export interface Failing {
  readonly failing: readonly FailingLiteral[];
  /** Literals that hold together, with the values of one way. */
  readonly holding: readonly Literal[];
  readonly values: Known;
  /** Names of the variables that literals mention. */
  readonly variables: readonly string[];
  /** No smaller set fails: not said where that took too many questions to find out. */
  readonly isShortest: boolean;
}

/** Literals of the text, each with the computations of its expressions, in text order. */
export function groupLiterals(body: readonly Literal[]): Literal[][] {
  const groups = new Map<number, Literal[]>();
  for (const literal of body) {
    const group = groups.get(literal.span.start);
    if (group === undefined) groups.set(literal.span.start, [literal]);
    else group.push(literal);
  }
  return [...groups.entries()].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** Undefined where the body has a solution. */
export async function failingLiterals(
  evidence: Evidence,
  body: Body,
  known: Known,
): Promise<Failing | undefined> {
  return new Search(evidence, body, known).run();
}

class Search {
  readonly #evidence: Evidence;
  readonly #body: Body;
  readonly #known: Known;
  readonly #groups: readonly (readonly Literal[])[];
  #questions = 0;

  constructor(evidence: Evidence, body: Body, known: Known) {
    this.#evidence = evidence;
    this.#body = body;
    this.#known = known;
    this.#groups = groupLiterals(body.literals);
  }

  async run(): Promise<Failing | undefined> {
    const all = this.#groups.map((_, index) => index);
    if (await this.#holds(all)) return undefined;
    let best = await this.#greedy();
    const isShortest = await this.#improve(all, (kept) => {
      if (kept.length > best.length) best = kept;
      return all.length - best.length;
    });
    return this.#describe(best, isShortest);
  }

  /** Keeps each literal in turn if it holds together with those before. */
  async #greedy(): Promise<readonly number[]> {
    let kept: readonly number[] = [];
    // Those that waited for a value of a later one get another turn.
    let waiting = [...this.#groups.keys()];
    for (let before = -1; before !== kept.length;) {
      before = kept.length;
      const again: number[] = [];
      for (const index of waiting) {
        const more = this.#evaluable([...kept, index]);
        if (more.length === kept.length) again.push(index);
        else if (await this.#holds(more)) kept = more;
      }
      waiting = again;
    }
    return kept;
  }

  /** Tries to leave out one literal, then two …, later ones first; true when none was left. */
  async #improve(
    all: readonly number[],
    found: (kept: readonly number[]) => number,
  ): Promise<boolean> {
    let smallest = found([]);
    for (let size = 1; size < smallest; size++) {
      for (const removed of subsetsOf(all.length, size)) {
        if (this.#questions >= WHY_NOT_QUESTIONS_MAX) return false;
        const kept = this.#evaluable(all.filter((index) => !removed.includes(index)));
        if (all.length - kept.length >= smallest) continue;
        if (await this.#holds(kept)) smallest = found(kept);
        if (size >= smallest) break;
      }
    }
    return true;
  }

  #literals(groups: readonly number[]): Literal[] {
    return groups.flatMap((index) => this.#groups[index] ?? []);
  }

  /** Without the literals that have to wait for what others would bind. */
  #evaluable(groups: readonly number[]): number[] {
    let rest = [...groups];
    for (;;) {
      const literals = this.#literals(rest).map((one) => substitute(one, this.#known));
      const stuck = new Set(orderBody(literals, new Set()).stuck.map((one) => one.span.start));
      if (stuck.size === 0) return rest;
      rest = rest.filter((index) => !stuck.has(this.#groups[index]?.[0]?.span.start ?? -1));
    }
  }

  async #holds(groups: readonly number[]): Promise<boolean> {
    if (groups.length === 0) return true;
    this.#questions++;
    const body = { literals: this.#literals(groups), variables: this.#body.variables };
    return this.#evidence.isSatisfiable(body, this.#known);
  }

  async #describe(kept: readonly number[], isShortest: boolean): Promise<Failing> {
    const holding = this.#literals(kept);
    const body = { literals: holding, variables: this.#body.variables };
    const values = (await this.#evidence.solve(body, this.#known)) ?? this.#known;
    const failing: FailingLiteral[] = [];
    for (const [index, group] of this.#groups.entries()) {
      if (kept.includes(index)) continue;
      failing.push(await this.#failing(group, values));
    }
    return {
      failing,
      holding: holding.map((one) => substitute(one, values)),
      values,
      variables: this.#body.variables,
      isShortest,
    };
  }

  /** The literal of a group that is to blame: the last one, which its computations are for. */
  async #failing(group: readonly Literal[], values: Known): Promise<FailingLiteral> {
    const { variables } = this.#body;
    const computed = await this.#computed(group, values);
    const main = group.find((one) => one.kind === 'atom') ?? (group.at(-1) as Literal);
    const literal = substitute(main, computed);
    const order = orderBody(
      group.map((one) => substitute(one, values)),
      new Set(),
    );
    if (order.stuck.length > 0) return { literal, why: 'unbound' };
    if (literal.kind !== 'atom') return { literal, why: 'false' };
    if (!literal.negated) return { literal, why: 'missing' };
    const positive = nameWildcards({ literals: [{ ...literal, negated: false }], variables });
    const row = await this.#evidence.solve(positive, computed);
    const [atom] = positive.literals;
    if (row === undefined || atom?.kind !== 'atom') return { literal, why: 'false' };
    const cells = substitute(atom, row).terms.map((term) =>
      term.kind === 'constant' ? term.value : null,
    );
    return { literal, why: 'present', row: cells };
  }

  /** With what the computations of the group give, as far as they can be made. */
  async #computed(group: readonly Literal[], values: Known): Promise<Known> {
    const literals = group.filter((one) => isTemporary(one, this.#body));
    const order = orderBody(
      literals.map((one) => substitute(one, values)),
      new Set(),
    );
    if (literals.length === 0 || order.stuck.length > 0) return values;
    const body = { literals, variables: this.#body.variables };
    return (await this.#evidence.solve(body, values)) ?? values;
  }
}

function isTemporary(literal: Literal, { variables }: Body): boolean {
  const isCall = literal.kind === 'compute' || literal.kind === 'call' || literal.kind === 'each';
  if (!isCall || literal.output.kind !== 'variable') return false;
  return variables[literal.output.index]?.startsWith('$') === true;
}

/** Subsets of 0 … count−1 of one size; those of large numbers first. */
function* subsetsOf(count: number, size: number): Generator<readonly number[]> {
  const pick = function* (below: number, left: number): Generator<number[]> {
    if (left === 0) return yield [];
    for (let index = below - 1; index >= left - 1; index--) {
      for (const rest of pick(index, left - 1)) yield [index, ...rest];
    }
  };
  yield* pick(count, size);
}
