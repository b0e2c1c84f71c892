/**
 * Safety: an order of the body in which each literal finds its inputs bound. The order is stable: a
 * literal moves back only as far as it must. A positive atom binds its variables, `=` the side
 * that is not bound, a computation its output; everything else only reads.
 */
import { literalOperands } from './stratified.ts';
import type { Literal, Operand, Term } from './stratified.ts';

export interface BodyOrder {
  /** All literals; those that find no place stand last, as written. */
  readonly ordered: readonly Literal[];
  readonly stuck: readonly Literal[];
  readonly bound: ReadonlySet<number>;
}

export function orderBody(body: readonly Literal[], assumedBound: ReadonlySet<number>): BodyOrder {
  const bound = new Set(assumedBound);
  const ordered: Literal[] = [];
  let waiting: Literal[] = [];
  for (const literal of body) {
    if (!isReady(literal, bound)) {
      waiting.push(literal);
      continue;
    }
    ordered.push(literal);
    bind(literal, bound);
    waiting = placeWaiting(waiting, ordered, bound);
  }
  return { ordered: ordered.concat(waiting), stuck: waiting, bound };
}

/** Places what became ready, in text order, until nothing more does. */
function placeWaiting(waiting: Literal[], ordered: Literal[], bound: Set<number>): Literal[] {
  let rest = waiting;
  for (;;) {
    const at = rest.findIndex((literal) => isReady(literal, bound));
    const literal = rest[at];
    if (literal === undefined) return rest;
    ordered.push(literal);
    bind(literal, bound);
    rest = rest.filter((_, index) => index !== at);
  }
}

function isReady(literal: Literal, bound: ReadonlySet<number>): boolean {
  switch (literal.kind) {
    case 'atom':
      return !literal.negated || literal.terms.every((term) => isKnown(term, bound));
    case 'comparison': {
      const left = isKnown(literal.left, bound);
      const right = isKnown(literal.right, bound);
      return literal.operator === '=' ? left || right : left && right;
    }
    default:
      return inputs(literal).every((input) => isKnown(input, bound));
  }
}

function isKnown(term: Term, bound: ReadonlySet<number>): boolean {
  return term.kind !== 'variable' || bound.has(term.index);
}

function bind(literal: Literal, bound: Set<number>): void {
  for (const term of outputs(literal)) if (term.kind === 'variable') bound.add(term.index);
}

function outputs(literal: Literal): readonly Term[] {
  if (literal.kind === 'atom') return literal.negated ? [] : literal.terms;
  if (literal.kind !== 'comparison') return [literal.output];
  return literal.operator === '=' ? [literal.left, literal.right] : [];
}

function inputs(literal: Literal): readonly Operand[] {
  if (literal.kind === 'atom') return literal.terms.filter((term) => term.kind !== 'wildcard');
  return literalOperands(literal).inputs;
}

export interface Unbound {
  /** The variables to blame. */
  readonly roots: ReadonlySet<number>;
  /** Those that would be bound if the roots were. */
  readonly derived: ReadonlySet<number>;
}

/** Of literals that found no place. Where they wait for each other, all are to blame. */
export function unboundVariables(order: BodyOrder): Unbound {
  const missing = new Set<number>();
  const derived = new Set<number>();
  for (const literal of order.stuck) {
    const needed = inputs(literal).filter((term) => !isKnown(term, order.bound));
    for (const term of needed) if (term.kind === 'variable') missing.add(term.index);
    const output = literal.kind === 'atom' ? undefined : literalOperands(literal).output;
    if (output?.kind === 'variable') derived.add(output.index);
  }
  const roots = new Set([...missing].filter((index) => !derived.has(index)));
  return roots.size > 0 ? { roots, derived } : { roots: missing, derived: new Set() };
}
