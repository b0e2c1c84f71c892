/**
 * Which rules and literals tests have tried. A rule has *fired* once its body had a solution. A
 * literal has *held* once the body up to it had one, and *failed* once a solution of what stands
 * before it had none with it: a literal that never failed could be left out without any test
 * noticing.
 */
import { variableOrConstant } from '../compiler/core-rule.ts';
import { orderBody } from '../compiler/safety.ts';
import type { Literal, Rule } from '../compiler/stratified.ts';
import { COVERAGE_ROWS_MAX } from '../limits.ts';
import type { Evidence } from '../explain/evidence.ts';
import { groupLiterals } from '../explain/failing.ts';

export interface LiteralCoverage {
  /** Place of the literal in the text of the policy. */
  readonly span: Rule['span'];
  held: boolean;
  /** Undefined where it cannot: it begins the body, or nothing before it narrows it. */
  failed: boolean | undefined;
}

export interface RuleCoverage {
  readonly rule: Rule;
  fired: boolean;
  readonly literals: readonly LiteralCoverage[];
}

interface Literals {
  readonly before: readonly Literal[];
  readonly upTo: readonly Literal[];
  /** Variables of the literal that are bound before it. */
  readonly inputs: readonly number[];
  readonly coverage: LiteralCoverage;
}

export class Coverage {
  /** Rules with a body, in the order of the program. */
  readonly rules: readonly RuleCoverage[];
  readonly #evidence: Evidence;
  readonly #literals = new Map<RuleCoverage, readonly Literals[]>();

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
    this.rules = evidence.program.rules
      .filter((rule) => rule.body.length > 0)
      .map((rule) => {
        const literals = literalsOf(rule);
        const covered = { rule, fired: false, literals: literals.map((one) => one.coverage) };
        this.#literals.set(covered, literals);
        return covered;
      });
  }

  /** Adds what the state of the engine tries. What is covered already is not asked again. */
  async add(): Promise<void> {
    for (const covered of this.rules) {
      const { rule, literals } = covered;
      if (!covered.fired) covered.fired = await this.#holds(rule, rule.body);
      if (literals.every((one) => one.held && one.failed !== false)) continue;
      for (const one of this.#literals.get(covered) ?? []) await this.#addLiteral(rule, one);
    }
  }

  async #addLiteral(rule: Rule, { before, upTo, inputs, coverage }: Literals): Promise<void> {
    if (!coverage.held) coverage.held = await this.#holds(rule, upTo);
    if (coverage.failed !== false) return;
    const { variables } = rule;
    const tried = await this.#count({ literals: before, variables }, inputs);
    if (tried === 0) return;
    // Distinct inputs: as many solutions with the literal as without, or it failed for one.
    coverage.failed = (await this.#count({ literals: upTo, variables }, inputs)) < tried;
  }

  #holds({ variables }: Rule, literals: readonly Literal[]): Promise<boolean> {
    return this.#evidence.isSatisfiable({ literals, variables }, new Map());
  }

  async #count(
    body: { readonly literals: readonly Literal[]; readonly variables: readonly string[] },
    inputs: readonly number[],
  ): Promise<number> {
    const rows = await this.#evidence.solutions(body, new Map(), inputs, COVERAGE_ROWS_MAX);
    return rows.length;
  }
}

/** Each literal of the text with what stands before it, in an order in which all can be asked. */
function literalsOf(rule: Rule): Literals[] {
  const found: Literals[] = [];
  const placed: Literal[] = [];
  let waiting = groupLiterals(rule.body);
  while (waiting.length > 0) {
    const next =
      waiting.find((group) => orderBody([...placed, ...group], new Set()).stuck.length === 0) ??
      waiting.flat();
    waiting = waiting.filter((group) => group !== next && !next.includes(group[0] as Literal));
    const bound = orderBody(placed, new Set()).bound;
    const inputs = [...new Set(next.flatMap(variablesOf))].filter((one) => bound.has(one));
    const before = [...placed];
    placed.push(...next);
    const span = next[0]?.span ?? rule.span;
    const failed = inputs.length > 0 || !next.some(isPositive) ? false : undefined;
    const coverage = { span, held: false, failed };
    found.push({ before, upTo: [...placed], inputs, coverage });
  }
  return found.sort((a, b) => a.coverage.span.start - b.coverage.span.start);
}

function isPositive(literal: Literal): boolean {
  return literal.kind === 'atom' && !literal.negated;
}

function variablesOf(literal: Literal): number[] {
  return variableOrConstant(literal).flatMap((term) =>
    term.kind === 'variable' ? [term.index] : [],
  );
}

export interface CoverageCounts {
  readonly covered: number;
  readonly total: number;
}

/** A rule counts once, each of its literals that it held, and that it failed where it can. */
export function coverageCounts(rules: readonly RuleCoverage[]): CoverageCounts {
  let [covered, total] = [0, 0];
  for (const { fired, literals } of rules) {
    total += 1;
    covered += Number(fired);
    for (const { held, failed } of literals) {
      total += failed === undefined ? 1 : 2;
      covered += Number(held) + Number(failed === true);
    }
  }
  return { covered, total };
}

/** Rounded down: 100 is all. */
export function percentOf(covered: number, total: number): number {
  return total === 0 ? 100 : Math.floor((covered * 100) / total);
}
