/**
 * Splits a counted rule whose body falls into parts that share no variable but those of the head.
 *
 *   alarm() :- a(x), b(y), c(z).
 *
 * counts |a|·|b|·|c| derivations of one row. Each part that binds variables of its own becomes a
 * relation of the head's variables in it, so a weight counts the ways to satisfy a part, never a
 * product of them.
 */
import { variablesOf } from './core-rule.ts';
import type { CoreLiteral, CoreRule } from './core-rule.ts';
import { bindable } from './failing-calls.ts';

export interface BodyPart {
  readonly literals: readonly CoreLiteral[];
  /** Variables that the rest of the rule needs of it. */
  readonly outputs: readonly number[];
}

/**
 * The parts to be made relations, and the literals that stay; undefined where a split gains
 * nothing.
 */
export function splitBody(rule: CoreRule): { parts: BodyPart[]; rest: CoreLiteral[] } | undefined {
  const headVariables = new Set(
    rule.headTerms.flatMap((term) => (term.kind === 'variable' ? [term.index] : [])),
  );
  const groups = connectedGroups(rule.body, headVariables);
  const parts: BodyPart[] = [];
  const rest: CoreLiteral[] = [];
  for (const literals of groups) {
    if (hasOwnBindings(literals, headVariables) && isSafeAlone(literals)) {
      const used = new Set(literals.flatMap(variablesOf));
      parts.push({ literals, outputs: [...headVariables].filter((one) => used.has(one)) });
    } else rest.push(...literals);
  }
  return parts.length < 2 ? undefined : { parts, rest };
}

/** Literals that share variables outside the head, directly or through others. */
function connectedGroups(
  body: readonly CoreLiteral[],
  headVariables: ReadonlySet<number>,
): CoreLiteral[][] {
  const groups: { literals: CoreLiteral[]; variables: Set<number> }[] = [];
  for (const literal of body) {
    const own = variablesOf(literal).filter((one) => !headVariables.has(one));
    const joined = groups.filter((group) => own.some((one) => group.variables.has(one)));
    const merged = {
      literals: [...joined.flatMap((group) => group.literals), literal],
      variables: new Set([...joined.flatMap((group) => [...group.variables]), ...own]),
    };
    for (const group of joined) groups.splice(groups.indexOf(group), 1);
    groups.push(merged);
  }
  return groups.map((group) => group.literals);
}

function hasOwnBindings(
  literals: readonly CoreLiteral[],
  headVariables: ReadonlySet<number>,
): boolean {
  return literals.some(
    (literal) =>
      literal.kind === 'atom' &&
      !literal.negated &&
      literal.terms.some(
        (term) =>
          term.kind === 'wildcard' || (term.kind === 'variable' && !headVariables.has(term.index)),
      ),
  );
}

function isSafeAlone(literals: readonly CoreLiteral[]): boolean {
  const bound = bindable(literals);
  return literals.every((literal) => variablesOf(literal).every((one) => bound.has(one)));
}
