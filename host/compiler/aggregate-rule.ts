/** Of a rule with aggregates: what makes a solution distinct, and where the values go. */
import { variable, variablesOfHead } from './core-rule.ts';
import type { CoreRule } from './core-rule.ts';
import type { HeadTerm, Rule } from './stratified.ts';

/** Named variables of the rule, and temporaries of its head: what makes a solution distinct. */
export function solutionVariables(rule: Rule): number[] {
  const inHead = new Set(rule.headTerms.flatMap(variablesOfHead));
  return [...rule.variables.keys()].filter(
    (index) => inHead.has(index) || !rule.variables[index]?.startsWith('$'),
  );
}

/** `t(head…) :- $agg(groups…, aggregates…)`. */
export function outputRule(
  head: number,
  output: number,
  headTerms: readonly HeadTerm[],
  groups: readonly number[],
): CoreRule {
  let next = groups.length;
  const terms = headTerms.map((term) => {
    if (term.kind === 'aggregate') return variable(next++);
    return term.kind === 'constant' ? term : variable(groups.indexOf(term.index));
  });
  const columns = Array.from({ length: next }, (_, index) => variable(index));
  return {
    head,
    headTerms: terms,
    body: [{ kind: 'atom', relation: output, negated: false, terms: columns }],
    variableCount: next,
  };
}
