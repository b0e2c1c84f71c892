/**
 * Reports of failures as rules: `system:errors(policy, rule, literal, inputs)` has a row for each
 * binding under which a computation is made and has no value. It is made for bindings that satisfy
 * all other literals of the body but those that use its output, so the rows do not depend on any
 * plan.
 */
import { constant, operandsOf, variable, variablesOf } from './core-rule.ts';
import type { CoreLiteral, CoreRule } from './core-rule.ts';
import { canFail } from './stratified.ts';
import type { Operand, Rule } from './stratified.ts';

type Call = Extract<CoreLiteral, { kind: 'compute' | 'call' }>;

/** One rule for each computation of `body`, which is the rule's in the form of core rules. */
export function failureRules(
  rule: Rule,
  body: readonly CoreLiteral[],
  errors: number,
  variableCount: number,
): CoreRule[] {
  const rules: CoreRule[] = [];
  for (const [position, call] of body.entries()) {
    const source = rule.body[position];
    if (source === undefined || !canFail(source)) continue;
    if (call.kind !== 'compute' && call.kind !== 'call') continue;
    const { inputs } = operandsOf(call);
    rules.push({
      ...failureHead(rule, source.text, errors, variableCount),
      body: [
        ...literalsBefore(call, body),
        failureOf(call),
        { kind: 'format', inputs, output: variable(variableCount) },
      ],
      variableCount: variableCount + 1,
    });
  }
  return rules;
}

function failureOf(call: Call): CoreLiteral {
  if (call.kind === 'call') {
    return { kind: 'callFails', function: call.function, inputs: call.inputs };
  }
  const { operator, left, right } = call;
  return { kind: 'fails', operator, left, right };
}

/** Head of a rule about `text`; the inputs' text is variable `inputsVariable`. */
export function failureHead(
  rule: Rule,
  text: string,
  errors: number,
  inputsVariable: number,
): { readonly head: number; readonly headTerms: Operand[] } {
  const headTerms = [
    constant(rule.policy),
    constant(BigInt(rule.ordinal)),
    constant(text),
    variable(inputsVariable),
  ];
  return { head: errors, headTerms };
}

/**
 * The literals that a binding must satisfy before the call. A variable of a positive atom is
 * nobody's output: a call that only compares with it is made whenever all others hold.
 */
function literalsBefore(call: Call, body: readonly CoreLiteral[]): CoreLiteral[] {
  const others = body.filter((literal) => literal !== call);
  const output = call.output.kind === 'variable' ? call.output.index : undefined;
  if (output === undefined || others.some((literal) => isRow(literal) && uses(literal, output))) {
    return others;
  }
  let rest = others.filter((literal) => !uses(literal, output));
  for (;;) {
    const bound = bindable(rest);
    const kept = rest.filter((literal) => variablesOf(literal).every((one) => bound.has(one)));
    if (kept.length < rest.length) {
      rest = kept;
      continue;
    }
    const isMade = inputVariables(call).every((one) => bound.has(one));
    return isMade ? rest : others;
  }
}

function isRow(literal: CoreLiteral): boolean {
  return literal.kind === 'atom' && !literal.negated;
}

function uses(literal: CoreLiteral, index: number): boolean {
  return variablesOf(literal).includes(index);
}

function inputVariables(literal: Exclude<CoreLiteral, { kind: 'atom' }>): number[] {
  return operandsOf(literal).inputs.flatMap((one) => (one.kind === 'variable' ? [one.index] : []));
}

/** Variables that these literals bind on their own. */
export function bindable(literals: readonly CoreLiteral[]): Set<number> {
  const bound = new Set<number>();
  for (let size = -1; size !== bound.size;) {
    size = bound.size;
    for (const literal of literals) {
      if (isReady(literal, bound)) for (const one of variablesOf(literal)) bound.add(one);
    }
  }
  return bound;
}

function isReady(literal: CoreLiteral, bound: ReadonlySet<number>): boolean {
  if (literal.kind === 'atom') {
    return !literal.negated || variablesOf(literal).every((one) => bound.has(one));
  }
  const inputs = operandsOf(literal).inputs;
  const isBound = (one: Operand): boolean => one.kind === 'constant' || bound.has(one.index);
  const isUnification = literal.kind === 'comparison' && literal.operator === '=';
  return isUnification ? inputs.some(isBound) : inputs.every(isBound);
}
