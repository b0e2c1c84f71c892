/** Builtins that are operators of the language: the core computes them itself. */

export type ComparisonSign = '=' | '<' | '<=' | '>' | '>=';
export type ComputeSign = '+' | '-' | '*' | '/' | '%';

export interface OperatorDefinition {
  readonly name: string;
  /** Two inputs; a computation has an output behind them. */
  readonly operator:
    | { readonly kind: 'comparison'; readonly sign: ComparisonSign }
    | { readonly kind: 'compute'; readonly sign: ComputeSign };
}

const comparison = (name: string, sign: ComparisonSign): OperatorDefinition => ({
  name,
  operator: { kind: 'comparison', sign },
});
const compute = (name: string, sign: ComputeSign): OperatorDefinition => ({
  name,
  operator: { kind: 'compute', sign },
});

export const OPERATORS: readonly OperatorDefinition[] = [
  comparison('lt', '<'),
  comparison('lteq', '<='),
  comparison('gt', '>'),
  comparison('gteq', '>='),
  comparison('equal', '='),
  compute('plus', '+'),
  compute('minus', '-'),
  compute('mul', '*'),
  compute('div', '/'),
  compute('mod', '%'),
];
