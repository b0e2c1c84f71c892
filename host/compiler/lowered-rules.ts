/**
 * Rules as they were lowered for a plan before. Statements that stay keep the parts of their rules
 * (`compile-memory.ts` changes nothing but table numbers), so what is made of them is found by
 * their identity, and need not be printed to be known. Caches and nothing else: what they give is
 * compared with all that it was made of.
 */
import type { CoreAtom, CoreLiteral, CoreRule } from './core-rule.ts';
import { canFail } from './stratified.ts';
import type { HeadTerm, Literal, Rule, Term } from './stratified.ts';

interface LoweredRule {
  readonly literals: readonly Literal[];
  readonly core: CoreRule;
}

const rules = new WeakMap<readonly HeadTerm[], LoweredRule>();

/** What nothing else is made of beside it: neither failures nor aggregates. */
export function canBeKnown({ headTerms, body }: Rule): boolean {
  return !body.some(canFail) && !headTerms.some((term) => term.kind === 'aggregate');
}

/** The rule over relations, if it was made before over the same ones. */
export function knownRule(
  { headTerms, body }: Rule,
  head: number,
  relationOf: (table: number) => number,
): CoreRule | undefined {
  const known = rules.get(headTerms);
  if (known?.core.head !== head || known.literals.length !== body.length) return undefined;
  const isSame = body.every((literal, place) => {
    const before = known.literals[place] as Literal;
    if (literal.kind !== 'atom') return literal === before;
    const atom = known.core.body[place] as CoreAtom;
    return (
      before.kind === 'atom' &&
      literal.terms === before.terms &&
      literal.negated === before.negated &&
      atom.relation === relationOf(literal.table)
    );
  });
  return isSame ? known.core : undefined;
}

/** `core` has a literal for each of the rule's, in their order. */
export function noteRule({ headTerms, body }: Rule, core: CoreRule): void {
  rules.set(headTerms, { literals: body, core });
}

const splits = new WeakMap<CoreRule, CoreRule>();

/** The rule with another body; the same object as before where the body is the same. */
export function withBody(rule: CoreRule, body: readonly CoreLiteral[]): CoreRule {
  const known = splits.get(rule);
  const isSame =
    known?.body.length === body.length &&
    body.every((literal, place) => isSameLiteral(literal, known.body[place] as CoreLiteral));
  if (known !== undefined && isSame) return known;
  const made = { ...rule, body };
  splits.set(rule, made);
  return made;
}

function isSameLiteral(one: CoreLiteral, other: CoreLiteral): boolean {
  if (one === other) return true;
  if (one.kind !== 'atom' || other.kind !== 'atom') return false;
  return (
    one.relation === other.relation && one.negated === other.negated && one.terms === other.terms
  );
}

/** A definition of its own that literals of a body make. */
export interface LoweredPart {
  /** Variables of the body that are its columns. */
  readonly columns: readonly number[];
  readonly rule: Omit<CoreRule, 'head'>;
  /** Equal for equal definitions. */
  readonly name: string;
}

const partRules = new WeakMap<LoweredPart, CoreRule>();
const partAtoms = new WeakMap<LoweredPart, CoreAtom>();

/** The rule that defines the part. */
export function ruleOf(part: LoweredPart, head: number): CoreRule {
  const known = partRules.get(part);
  if (known?.head === head) return known;
  const made = { head, ...part.rule };
  partRules.set(part, made);
  return made;
}

/** The atom that asks for it. */
export function atomOf(part: LoweredPart, relation: number): CoreAtom {
  const known = partAtoms.get(part);
  if (known?.relation === relation) return known;
  const terms = part.columns.map((index): Term => ({ kind: 'variable', index }));
  const made: CoreAtom = { kind: 'atom', relation, negated: false, terms };
  partAtoms.set(part, made);
  return made;
}

/** Of the relations that a body reads: the fewest rows. */
export function smallest(
  body: readonly CoreLiteral[],
  sizeOf: (relation: number) => number,
): number {
  const sizes = body.flatMap((one) =>
    one.kind === 'atom' && !one.negated ? [sizeOf(one.relation)] : [],
  );
  return Math.min(...sizes);
}

const parts = new WeakMap<
  readonly CoreLiteral[],
  { readonly names: readonly string[]; readonly part: LoweredPart }
>();

/** `make` depends on the literals, and on what their relations are named. */
export function knownPart(
  literals: readonly CoreLiteral[],
  nameOf: (relation: number) => string,
  make: () => LoweredPart,
): LoweredPart {
  const names = literals.flatMap((one) => (one.kind === 'atom' ? [nameOf(one.relation)] : []));
  const known = parts.get(literals);
  const isSame =
    known?.names.length === names.length && names.every((name, at) => name === known.names[at]);
  if (known !== undefined && isSame) return known.part;
  const part = make();
  parts.set(literals, { names, part });
  return part;
}
