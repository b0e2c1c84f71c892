/**
 * Takes out of a body what only asks whether something is there. Each such part becomes a relation
 * of its own, its rows projected to the variables that the rest needs, so that a weight counts the
 * ways to satisfy a part and never a product of them:
 *
 *   c(g, u) :- j(_, g), j(u, g).       c(g, u) :- j(u, g), some(g).     some(g) :- j(_, g).
 *   alarm() :- a(x), b(y), c(z).       three parts without columns
 *   h(x) :- r(x, y), s(y, z), t(z, _). h(x) :- r(x, y), p(y).           p(y) :- s(y, z), t(z, _).
 *
 * A part binds variables (or wildcards) that nothing else uses, while what it shares with the rest
 * is bound there as well, so that it is only asked. It gains nothing where the rest has one row for
 * a binding of what they share (`p(x) :- a(x), e(x, y)`), and is left alone then. It is found with
 * no more derivations than one of its tables has rows, and takes the place of the index that asking
 * would need: about as many bytes where each row has a key of its own, far fewer where rows share
 * keys.
 */
import { operandsOf, variablesOf } from './core-rule.ts';
import type { CoreAtom, CoreLiteral, CoreRule } from './core-rule.ts';
import { bindable } from './failing-calls.ts';

export interface BodyPart {
  readonly literals: readonly CoreLiteral[];
  /** Variables that the rest of the rule needs of it. */
  readonly outputs: readonly number[];
}

export interface SplitBody {
  /** To be made relations; each may be split again. */
  readonly parts: readonly BodyPart[];
  /** The literals that stay. */
  readonly rest: readonly CoreLiteral[];
}

/**
 * Undefined where a split gains nothing. `isMember`: relations of the rule's own component, which
 * no part may read.
 */
export function splitBody(
  rule: CoreRule,
  isMember: (relation: number) => boolean = () => false,
): SplitBody | undefined {
  // One row of one relation: there is no rest.
  if (rule.body.filter(isRow).length < 2) return undefined;
  const split = new Splitter(rule, isMember).run();
  return split.parts.length === 0 ? undefined : split;
}

class Splitter {
  readonly #isMember: (relation: number) => boolean;
  /** Variables of the head, and those that they are computed from. */
  readonly #needed: ReadonlySet<number>;
  readonly #parts: BodyPart[] = [];
  #rest: readonly CoreLiteral[];

  constructor(rule: CoreRule, isMember: (relation: number) => boolean) {
    this.#isMember = isMember;
    this.#needed = neededVariables(rule);
    this.#rest = rule.body;
  }

  run(): SplitBody {
    this.#splitGroups();
    for (const group of connectedGroups(this.#rest, this.#needed)) this.#splitInside(group);
    for (const literal of this.#rest) {
      if (isRow(literal) && this.#hasOwn(literal)) this.#take([literal], this.#rest);
    }
    return { parts: this.#parts, rest: this.#rest };
  }

  /** Groups that share no variable but those of the head. */
  #splitGroups(): void {
    const body = this.#rest;
    const groups = connectedGroups(body, this.#needed);
    if (groups.length === 1) return;
    for (const group of groups) this.#take(group, body);
    // Two that bind variables of their own make a product, even if each has a share in the head.
    const multiple = groups.filter(
      (group) => group.every((literal) => this.#rest.includes(literal)) && this.#isPart(group),
    );
    if (multiple.length > 1) for (const group of multiple) this.#add(group);
  }

  /** Within a group: what hangs on the rows that the head needs, and is not needed itself. */
  #splitInside(group: readonly CoreLiteral[]): void {
    const rows = group.filter(isRow);
    if (rows.length < 2) return;
    const roots = rows.filter(
      (row) =>
        this.#isMember(row.relation) || variablesOf(row).some((one) => this.#needed.has(one)),
    );
    if (roots.length === 0) roots.push(rows[0] as CoreAtom);
    const kept = new Set([...this.#needed, ...roots.flatMap(variablesOf)]);
    const others = group.filter((literal) => !roots.some((root) => root === literal));
    for (const part of connectedGroups(others, kept)) this.#take(part, this.#rest);
  }

  /** True for a literal with a wildcard or a variable that occurs once, which most have not. */
  #hasOwn(literal: CoreAtom): boolean {
    return literal.terms.some(
      (term) =>
        term.kind === 'wildcard' ||
        (term.kind === 'variable' && !this.#needed.has(term.index) && this.#isAlone(term.index)),
    );
  }

  #isAlone(variable: number): boolean {
    return (
      this.#rest.filter((literal) => variablesOf(literal).includes(variable)).length === 1 &&
      !this.#parts.some((part) => part.outputs.includes(variable))
    );
  }

  /** Makes the literals a part if they are only asked, by a rest with several rows an answer. */
  #take(literals: readonly CoreLiteral[], body: readonly CoreLiteral[]): void {
    if (!this.#isPart(literals)) return;
    const outputs = this.#outputsOf(literals);
    const outside = body.filter((literal) => isRow(literal) && !literals.includes(literal));
    const bound = new Set([
      ...outside.flatMap(variablesOf),
      ...(body === this.#rest ? this.#parts.flatMap((part) => part.outputs) : []),
    ]);
    if (!outputs.every((one) => bound.has(one))) return;
    const isMultiple =
      outside.some((row) => hasWildcard(row)) || [...bound].some((one) => !outputs.includes(one));
    if (isMultiple && isLinear(literals, outputs)) this.#add(literals);
  }

  #add(literals: readonly CoreLiteral[]): void {
    this.#parts.push({ literals, outputs: this.#outputsOf(literals) });
    this.#rest = this.#rest.filter((literal) => !literals.includes(literal));
  }

  /** True for literals that bind something of their own and can be evaluated alone. */
  #isPart(literals: readonly CoreLiteral[]): boolean {
    const outputs = this.#outputsOf(literals);
    const bindsAlone = literals.some(
      (literal) =>
        isRow(literal) &&
        (hasWildcard(literal) || variablesOf(literal).some((one) => !outputs.includes(one))),
    );
    if (!bindsAlone) return false;
    if (literals.some((literal) => literal.kind === 'atom' && this.#isMember(literal.relation)))
      return false;
    const bound = bindable(literals);
    return literals.every((literal) => variablesOf(literal).every((one) => bound.has(one)));
  }

  #outputsOf(literals: readonly CoreLiteral[]): number[] {
    const own = new Set(literals.flatMap(variablesOf));
    const isUsed = (one: number): boolean =>
      this.#needed.has(one) ||
      this.#parts.some((part) => part.outputs.includes(one)) ||
      this.#rest.some(
        (literal) => !literals.includes(literal) && variablesOf(literal).includes(one),
      );
    return [...own].filter(isUsed).sort((a, b) => a - b);
  }
}

/**
 * True where one row of the literals binds the `outputs`, and all others hang on it in the same
 * way: split on and on, each relation has no more derivations than a table has rows. Without
 * outputs there is nothing that the rest could narrow.
 */
function isLinear(literals: readonly CoreLiteral[], outputs: readonly number[]): boolean {
  const rows = literals.filter(isRow);
  if (rows.length < 2 || outputs.length === 0) return true;
  return rows.some((root) => {
    const bound = new Set(variablesOf(root));
    if (!outputs.every((one) => bound.has(one))) return false;
    const others = literals.filter((literal) => literal !== root);
    return connectedGroups(others, bound).every((group) => {
      const shared = group.flatMap(variablesOf).filter((one) => bound.has(one));
      return group.every((literal) => !isRow(literal)) || isLinear(group, [...new Set(shared)]);
    });
  });
}

function isRow(literal: CoreLiteral): literal is CoreAtom {
  return literal.kind === 'atom' && !literal.negated;
}

function hasWildcard(literal: CoreLiteral): boolean {
  return literal.kind === 'atom' && literal.terms.some((term) => term.kind === 'wildcard');
}

function neededVariables(rule: CoreRule): Set<number> {
  const needed = new Set(
    rule.headTerms.flatMap((term) => (term.kind === 'variable' ? [term.index] : [])),
  );
  for (let size = -1; size !== needed.size;) {
    size = needed.size;
    for (const literal of rule.body) {
      if (literal.kind === 'atom' || !bindsOne(literal, needed)) continue;
      for (const one of variablesOf(literal)) needed.add(one);
    }
  }
  return needed;
}

/** True where one of the variables may be computed or moved by the literal. */
function bindsOne(
  literal: Exclude<CoreLiteral, CoreAtom>,
  variables: ReadonlySet<number>,
): boolean {
  if (literal.kind === 'comparison') {
    return literal.operator === '=' && variablesOf(literal).some((one) => variables.has(one));
  }
  const { output } = operandsOf(literal);
  return output?.kind === 'variable' && variables.has(output.index);
}

/** Literals that share variables other than the `kept` ones, directly or through others. */
function connectedGroups(body: readonly CoreLiteral[], kept: ReadonlySet<number>): CoreLiteral[][] {
  const groups: { literals: CoreLiteral[]; variables: Set<number> }[] = [];
  for (const literal of body) {
    const own = variablesOf(literal).filter((one) => !kept.has(one));
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
