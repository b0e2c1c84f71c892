/**
 * Rules as the planner sees them: over relations instead of tables, without aggregates, negation
 * only of whole rows, and with the two steps that reports of failures need.
 */
import type { Value } from '../value/value.ts';
import type { ComparisonOperator, ComputeOperator, Operand, Term } from './stratified.ts';

export interface CoreAtom {
  readonly kind: 'atom';
  readonly relation: number;
  readonly negated: boolean;
  /** Wildcards in positive atoms only, but for queries. */
  readonly terms: readonly Term[];
}

export type CoreLiteral =
  | CoreAtom
  | {
      readonly kind: 'comparison';
      readonly operator: ComparisonOperator;
      readonly left: Operand;
      readonly right: Operand;
    }
  | {
      readonly kind: 'compute';
      readonly operator: ComputeOperator;
      readonly left: Operand;
      readonly right: Operand;
      readonly output: Operand;
    }
  /** Holds where the call fails. */
  | {
      readonly kind: 'fails';
      readonly operator: ComputeOperator;
      readonly left: Operand;
      readonly right: Operand;
    }
  /** The text of a JSON array of the inputs. */
  | { readonly kind: 'format'; readonly inputs: readonly Operand[]; readonly output: Operand };

export interface CoreRule {
  readonly head: number;
  readonly headTerms: readonly Operand[];
  readonly body: readonly CoreLiteral[];
  readonly variableCount: number;
}

export function constant(value: Value): Operand {
  return { kind: 'constant', value };
}

export function variable(index: number): Operand {
  return { kind: 'variable', index };
}

export function variablesOfTerms(terms: readonly Term[]): number[] {
  return terms.flatMap((term) => (term.kind === 'variable' ? [term.index] : []));
}

/** Operands that a literal needs bound before it can run, and those that it may bind. */
export function operandsOf(literal: Exclude<CoreLiteral, CoreAtom>): {
  inputs: readonly Operand[];
  output?: Operand;
} {
  switch (literal.kind) {
    case 'comparison':
    case 'fails':
      return { inputs: [literal.left, literal.right] };
    case 'compute':
      return { inputs: [literal.left, literal.right], output: literal.output };
    case 'format':
      return { inputs: literal.inputs, output: literal.output };
  }
}

export function variablesOf(literal: CoreLiteral): number[] {
  if (literal.kind === 'atom') return variablesOfTerms(literal.terms);
  const { inputs, output } = operandsOf(literal);
  return variablesOfTerms(output === undefined ? inputs : [...inputs, output]);
}
