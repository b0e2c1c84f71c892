/**
 * Rules in place of the tables that they define, for tables that are not kept:
 *
 *   allow("u1", a, f)     role("u1", r), perm(r, a, f), not denied("u1", f)
 *
 * What the body has bound is bound in the rule, so only what the question needs is computed. Each
 * rule of a table makes a body of its own; together they have the solutions. What is under `not`
 * stays.
 */
import { CaucusError } from '../errors.ts';
import { RULE_VALUES_MAX, UNFOLDED_BODIES_MAX } from '../limits.ts';
import { variableOrConstant } from './core-rule.ts';
import { withOperands } from './stratified.ts';
import { sameValue, valueKey } from '../value/value.ts';
import type { AtomLiteral, Literal, Operand, Rule, StratifiedProgram, Term } from './stratified.ts';

export interface UnfoldedBody {
  readonly body: readonly Literal[];
  readonly variableCount: number;
}

export class Unfolding {
  readonly #onDemand: ReadonlySet<number>;
  readonly #rules = new Map<number, Rule[]>();

  constructor({ rules }: Pick<StratifiedProgram, 'rules'>, onDemand: ReadonlySet<number>) {
    this.#onDemand = onDemand;
    if (onDemand.size === 0) return;
    for (const rule of rules) {
      if (!onDemand.has(rule.head)) continue;
      const known = this.#rules.get(rule.head);
      if (known === undefined) this.#rules.set(rule.head, [rule]);
      else known.push(rule);
    }
  }

  rulesOf(table: number): readonly Rule[] {
    return this.#rules.get(table) ?? [];
  }

  /** True for an atom whose table has no rows of its own. */
  isOpen(literal: Literal): literal is AtomLiteral {
    return literal.kind === 'atom' && this.#onDemand.has(literal.table);
  }

  /** Throws `limit_exceeded` where there would be too many bodies, or too long ones. */
  bodies(body: readonly Literal[], variableCount: number): UnfoldedBody[] {
    const finished: UnfoldedBody[] = [];
    const waiting: UnfoldedBody[] = [{ body, variableCount }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const place = next.body.findIndex((one) => this.isOpen(one) && !one.negated);
      const atom = next.body[place];
      if (atom?.kind !== 'atom') {
        finished.push(next);
        continue;
      }
      for (const rule of this.rulesOf(atom.table)) {
        const inside = instantiate(rule, atom, next.variableCount);
        if (inside === undefined) continue;
        const longer = {
          body: [...next.body.slice(0, place), ...inside, ...next.body.slice(place + 1)],
          variableCount: next.variableCount + rule.variables.length,
        };
        const isLong = longer.variableCount + constantCount(longer.body) > RULE_VALUES_MAX;
        if (isLong || finished.length + waiting.length >= UNFOLDED_BODIES_MAX) throw tooMuch();
        waiting.push(longer);
      }
    }
    return finished;
  }

  /** Throws `limit_exceeded` where unfolding the body, or what it has under `not`, would. */
  check(body: readonly Literal[], variableCount: number, checked = new Set<number>()): void {
    for (const one of this.bodies(body, variableCount)) {
      for (const literal of one.body) {
        if (!this.isOpen(literal) || checked.has(literal.table)) continue;
        checked.add(literal.table);
        for (const rule of this.rulesOf(literal.table)) {
          this.check(rule.body, rule.variables.length, checked);
        }
      }
    }
  }
}

/** The body of the rule for the rows that the atom asks for; undefined where there are none. */
function instantiate(rule: Rule, atom: AtomLiteral, firstVariable: number): Literal[] | undefined {
  const { span } = atom;
  const given = new Map<number, Operand>();
  const equalities: Literal[] = [];
  const equate = (left: Operand, right: Operand): void => {
    equalities.push({ kind: 'comparison', operator: '=', left, right, span });
  };
  for (const [column, head] of rule.headTerms.entries()) {
    const term = atom.terms[column] as Term;
    if (term.kind === 'wildcard' || head.kind === 'aggregate') continue;
    if (head.kind === 'variable') {
      const known = given.get(head.index);
      if (known === undefined) given.set(head.index, term);
      else equate(known, term);
    } else if (term.kind === 'variable' || term.parameter !== undefined) equate(term, head);
    else if (!sameValue(term.value, head.value)) return undefined;
  }
  const operand = (one: Operand): Operand => {
    if (one.kind === 'constant') return one;
    return given.get(one.index) ?? { kind: 'variable', index: firstVariable + one.index };
  };
  const inside = rule.body.map((literal): Literal => {
    return withOperands(literal, operand);
  });
  return [...equalities, ...inside];
}

function constantCount(body: readonly Literal[]): number {
  const terms = body.flatMap(variableOrConstant);
  const keys = terms.flatMap((term) => {
    if (term.kind !== 'constant') return [];
    return [term.parameter === undefined ? valueKey(term.value) : `$${term.parameter}`];
  });
  return new Set(keys).size;
}

function tooMuch(): CaucusError {
  return new CaucusError('limit_exceeded', 'tables on demand make the question too long', {
    remedy: 'declare the tables that it asks for without `on demand`',
    details: { limit: 'unfolded_bodies' },
  });
}
