/**
 * One version of a rule: chooses the order of the body and writes its steps.
 *
 * The order is greedy: whatever only filters comes as soon as its variables are bound; of the atoms
 * the one that is expected to match fewest rows comes next, ties in text order.
 */
import { operandsOf, variablesOf, variablesOfTerms } from './core-rule.ts';
import type { CoreAtom, CoreLiteral, CoreRule } from './core-rule.ts';
import { columnsBeside, commonColumn } from './intersections.ts';
import type { ColumnUse, Match, Purpose, Step, Version, View } from './plan.ts';
import type { Operand, Term } from './stratified.ts';
import { sameValue } from '../value/value.ts';
import type { Value } from '../value/value.ts';

export interface VersionRequest {
  readonly purpose: Purpose;
  /** Body position of the literal that drives it. */
  readonly source?: number;
  readonly inComponent?: boolean;
  readonly isExit?: boolean;
  /** Derivations are not counted: one of a row is as good as all. */
  readonly isSet?: boolean;
  /** What the atom at a body position sees. */
  readonly view: (position: number) => View;
  /** Rows that a relation has or is expected to have. */
  readonly size: (relation: number) => number;
  /** Rows of the relation carry ranks. */
  readonly isRanked: (relation: number) => boolean;
  /** The ranks must stay under the bound of the run, as those of `support` always must. */
  readonly isBounded?: boolean;
  /** Column of the head's value, for the purpose `group`. */
  readonly valueColumn?: number;
  /** An index of a relation by these columns, or at least some of them; asks for it. */
  readonly index: (
    relation: number,
    columns: readonly number[],
  ) => { readonly index: number; readonly columns: readonly number[] } | undefined;
}

/** What a constant narrows, measured in bound variables. */
const CONSTANT_SHARE = 0.5;
/** How much worse it is to begin with rows that may repeat what is needed of them. */
const REPETITION_FACTOR = 32;
/** Purposes for which one match of a literal is as good as all. */
const SET_PURPOSES: ReadonlySet<Purpose> = new Set([
  'candidate',
  'insert',
  'round',
  'support',
  'group',
]);

export function buildVersion(rule: CoreRule, request: VersionRequest): Version {
  return new VersionBuilder(rule, request).build();
}

/**
 * Rows of a relation that an atom is expected to match: size^(free share of its columns), each
 * bound variable narrowing by a whole column, a constant by half of one (it may be what most rows
 * have).
 */
export function expectedRows(
  size: number,
  arity: number,
  constants: number,
  variables: number,
): number {
  const bound = constants * CONSTANT_SHARE + variables;
  return Math.max(2, size) ** (1 - bound / Math.max(1, arity));
}

class VersionBuilder {
  readonly #rule: CoreRule;
  readonly #request: VersionRequest;
  readonly #isSet: boolean;
  readonly #bound = new Set<number>();
  /** Place of the last iterating step that a variable depends on. */
  readonly #origins = new Map<number, number>();
  readonly #steps: Step[] = [];
  readonly #constants: { register: number; value: Value; parameter?: number }[] = [];
  readonly #ranks: number[] = [];
  /** Two instances may have other ranks: an atom that takes one has several rows to match. */
  #ranksVary = false;
  /** How often the steps so far are expected to go on. */
  #passes = 1;
  #registerCount: number;

  constructor(rule: CoreRule, request: VersionRequest) {
    this.#rule = rule;
    this.#request = request;
    this.#isSet = request.isSet === true || SET_PURPOSES.has(request.purpose);
    this.#registerCount = rule.variableCount;
  }

  build(): Version {
    const { purpose, source } = this.#request;
    const waiting = this.#rule.body.map((literal, position) => ({ literal, position }));
    let sourceAtom: CoreAtom | undefined;
    if (source !== undefined) {
      const driver = waiting.splice(source, 1)[0]?.literal;
      if (driver?.kind !== 'atom') throw new Error('a version is driven by an atom');
      sourceAtom = driver;
      this.#openDelta(driver);
    } else if (purpose === 'support' || purpose === 'group') this.#openHead();
    while (waiting.length > 0) {
      const next = this.#choose(waiting);
      waiting.splice(waiting.indexOf(next), 1);
      this.#write(next.literal, next.position, waiting);
    }
    const registers = this.#rule.headTerms.map((term) => this.#register(term));
    this.#steps.push({ op: 'emit', ranks: this.#ranks, registers, ...this.#emitBack() });
    return {
      purpose,
      head: this.#rule.head,
      ...(sourceAtom === undefined ? {} : { source: sourceAtom.relation }),
      isNegative: sourceAtom?.negated ?? false,
      inComponent: this.#request.inComponent ?? false,
      isExit: this.#request.isExit ?? false,
      registerCount: this.#registerCount,
      rankCount: this.#ranks.length,
      constants: this.#constants,
      steps: this.#steps,
    };
  }

  #openDelta(atom: CoreAtom): void {
    const uses = this.#columnUses(atom.terms, () => true);
    const rank = this.#takeRank(atom);
    this.#steps.push({ op: 'delta', ...rank, binds: uses.binds, checks: uses.checks });
  }

  #openHead(): void {
    const { valueColumn } = this.#request;
    const uses = this.#columnUses(this.#rule.headTerms, (column) => column !== valueColumn);
    // There is one head: nothing iterates over its columns.
    for (const { register } of uses.binds) this.#origins.set(register, -1);
    this.#steps.push({ op: 'head', binds: uses.binds, checks: uses.checks });
  }

  #isBound(term: Term): boolean {
    return term.kind === 'constant' || (term.kind === 'variable' && this.#bound.has(term.index));
  }

  /** Where rows are not counted, the head's row is given once for each of what it depends on. */
  #emitBack(): { back?: number } {
    const { purpose } = this.#request;
    // Each instance of a candidate tells by its ranks whether it was the one that supported it.
    if (!this.#isSet || (purpose === 'candidate' && this.#ranksVary) || purpose === 'support')
      return {};
    return { back: this.#originOf(this.#rule.headTerms) };
  }

  #originOf(terms: readonly Operand[]): number {
    const origins = variablesOfTerms(terms).map((one) => this.#origins.get(one) ?? -1);
    return Math.max(-1, ...origins);
  }

  /** The next literal: a filter that is ready, else the atom with the fewest rows to expect. */
  #choose(waiting: readonly Waiting[]): Waiting {
    const intersected = waiting.find(({ literal }) => this.#commonColumn(literal) !== undefined);
    if (intersected !== undefined) return intersected;
    const filter = waiting.find(
      ({ literal }) =>
        literal.kind !== 'each' && (this.#isFilter(literal) || this.#isQuestion(literal, waiting)),
    );
    if (filter !== undefined) return filter;
    // What goes through a list comes behind all that only filters.
    const each = waiting.find(({ literal }) => literal.kind === 'each' && this.#isFilter(literal));
    if (each !== undefined) return each;
    let best: Waiting | undefined;
    let fewest = Infinity;
    for (const one of waiting) {
      if (one.literal.kind !== 'atom' || one.literal.negated) continue;
      const rows = this.#expectedRows(one.literal) * this.#repetition(one.literal, waiting);
      if (rows < fewest) [best, fewest] = [one, rows];
    }
    if (best === undefined) throw new Error('the rule is not safe');
    return best;
  }

  /** Of an atom that is asked right behind a lookup: where it reads the one value of that. */
  #commonColumn(literal: CoreLiteral): number | undefined {
    if (literal.kind !== 'atom' || !literal.terms.every((term) => this.#isBound(term))) {
      return undefined;
    }
    const lookup = this.#steps.findLast((step) => step.op !== 'probe');
    const registers = literal.terms.map((term) => (term.kind === 'variable' ? term.index : -1));
    return commonColumn(lookup, registers);
  }

  #expectedRows(atom: CoreAtom): number {
    let [constants, variables] = [0, 0];
    for (const term of atom.terms) {
      if (term.kind === 'constant') constants++;
      else if (this.#isBound(term)) variables++;
    }
    const size = this.#request.size(atom.relation);
    return expectedRows(size, atom.terms.length, constants, variables);
  }

  /** True for an atom that is only asked by now, and answered by its first match. */
  #isQuestion(literal: CoreLiteral, waiting: readonly Waiting[]): boolean {
    return (
      literal.kind === 'atom' &&
      !literal.negated &&
      literal.terms.some((term) => this.#isBound(term)) &&
      this.#match(literal, waiting) === 'once'
    );
  }

  #repetition(atom: CoreAtom, waiting: readonly Waiting[]): number {
    if (!this.#isSet) return 1;
    const needed = this.#neededBy(waiting.filter(({ literal }) => literal !== atom));
    const hasOwn = atom.terms.some(
      (term) =>
        term.kind === 'wildcard' ||
        (term.kind === 'variable' && !this.#bound.has(term.index) && !needed.has(term.index)),
    );
    return hasOwn ? REPETITION_FACTOR : 1;
  }

  /** Variables of the head and of these literals. */
  #neededBy(waiting: readonly Waiting[]): Set<number> {
    const needed = new Set(variablesOfTerms(this.#rule.headTerms));
    for (const { literal } of waiting) for (const one of variablesOf(literal)) needed.add(one);
    return needed;
  }

  /** True for a literal that needs no iteration now. */
  #isFilter(literal: CoreLiteral): boolean {
    if (literal.kind === 'atom') {
      if (!literal.negated) return literal.terms.every((term) => this.#isBound(term));
      return literal.terms.every((term) => term.kind === 'wildcard' || this.#isBound(term));
    }
    const { inputs } = operandsOf(literal);
    if (literal.kind === 'comparison' && literal.operator === '=') {
      return inputs.some((term) => this.#isBound(term));
    }
    return inputs.every((term) => this.#isBound(term));
  }

  #write(literal: CoreLiteral, position: number, waiting: readonly Waiting[]): void {
    switch (literal.kind) {
      case 'atom':
        return this.#writeAtom(literal, position, waiting);
      case 'comparison':
        return this.#writeComparison(literal);
      case 'differ': {
        const left = literal.left.map((one) => this.#register(one));
        const right = literal.right.map((one) => this.#register(one));
        this.#steps.push({ op: 'differ', left, right });
        return;
      }
      case 'compute': {
        const [left, right] = [this.#register(literal.left), this.#register(literal.right)];
        const isCheck = this.#isBound(literal.output);
        const output = this.#register(literal.output);
        if (!isCheck) this.#bind(literal.output, this.#originOf([literal.left, literal.right]));
        const { operator } = literal;
        this.#steps.push({ op: 'compute', operator, left, right, output, isCheck });
        return;
      }
      case 'call': {
        const inputs = literal.inputs.map((input) => this.#register(input));
        const isCheck = this.#isBound(literal.output);
        const output = this.#register(literal.output);
        if (!isCheck) this.#bind(literal.output, this.#originOf(literal.inputs));
        this.#steps.push({ op: 'call', function: literal.function, inputs, output, isCheck });
        return;
      }
      case 'callFails': {
        const inputs = literal.inputs.map((input) => this.#register(input));
        this.#steps.push({ op: 'callFails', function: literal.function, inputs });
        return;
      }
      case 'each': {
        const list = this.#register(literal.list);
        const isCheck = this.#isBound(literal.output);
        const output = this.#register(literal.output);
        if (!isCheck) this.#bind(literal.output, this.#steps.length);
        this.#steps.push({ op: 'each', list, output, isCheck });
        return;
      }
      case 'fails': {
        const [left, right] = [this.#register(literal.left), this.#register(literal.right)];
        this.#steps.push({ op: 'fails', operator: literal.operator, left, right });
        return;
      }
      case 'format': {
        const inputs = literal.inputs.map((input) => this.#register(input));
        this.#bind(literal.output, this.#originOf(literal.inputs));
        this.#steps.push({ op: 'format', inputs, output: this.#register(literal.output) });
      }
    }
  }

  #writeComparison(literal: CoreLiteral & { kind: 'comparison' }): void {
    const { operator, left, right } = literal;
    if (operator === '=' && !(this.#isBound(left) && this.#isBound(right))) {
      const [from, to] = this.#isBound(left) ? [left, right] : [right, left];
      this.#steps.push({ op: 'move', from: this.#register(from), to: this.#register(to) });
      this.#bind(to, this.#originOf([from]));
      return;
    }
    const registers = { left: this.#register(left), right: this.#register(right) };
    this.#steps.push({ op: 'compare', operator, ...registers });
  }

  #writeAtom(atom: CoreAtom, position: number, waiting: readonly Waiting[]): void {
    const view = this.#request.view(position);
    const { relation, negated } = atom;
    if (atom.terms.every((term) => this.#isBound(term))) {
      const registers = atom.terms.map((term) => this.#register(term as Operand));
      this.#askForGroup(atom, registers);
      const rank = negated ? {} : this.#takeRank(atom);
      this.#steps.push({ op: 'probe', relation, view, isAbsent: negated, ...rank, registers });
      return;
    }
    const boundColumns = atom.terms.flatMap((term, column) =>
      this.#isBound(term) ? [column] : [],
    );
    const index =
      boundColumns.length === 0 ? undefined : this.#request.index(relation, boundColumns);
    const expected = this.#expectedRows(atom);
    const keyColumns = index?.columns ?? [];
    const keys = keyColumns.map((column) => this.#register(atom.terms[column] as Operand));
    const isKey = new Set(keyColumns);
    const match = negated ? 'absent' : this.#match(atom, waiting);
    const uses = this.#columnUses(atom.terms, (column) => !isKey.has(column));
    const rank = negated ? {} : this.#takeRank(atom);
    if (match === 'each') this.#passes *= expected;
    const iteration = { relation, view, match, ...rank, ...uses };
    if (index === undefined) this.#steps.push({ op: 'scan', ...iteration });
    else this.#steps.push({ op: 'lookup', index: index.index, keys, ...iteration });
  }

  /**
   * From scratch, where about as many rows are asked for as there are, an index pays that the probe
   * itself does not need.
   */
  #askForGroup({ relation }: CoreAtom, registers: readonly number[]): void {
    if (this.#request.purpose !== 'full' || this.#passes < this.#request.size(relation)) return;
    const column = commonColumn(
      this.#steps.findLast((step) => step.op !== 'probe'),
      registers,
    );
    if (column !== undefined) {
      this.#request.index(relation, columnsBeside(registers.length, column));
    }
  }

  /**
   * One match is enough where nothing that the atom binds is used again and solutions are not
   * counted.
   */
  #match(atom: CoreAtom, waiting: readonly Waiting[]): Match {
    if (!this.#isSet) return 'each';
    // A candidate is found by any of its instances, but the one that supported it decides by its
    // ranks.
    const { purpose, isRanked } = this.#request;
    if (purpose === 'candidate' && isRanked(atom.relation)) return 'each';
    const needed = this.#neededBy(waiting.filter(({ literal }) => literal !== atom));
    const isNeeded = atom.terms.some(
      (term) => term.kind === 'variable' && !this.#bound.has(term.index) && needed.has(term.index),
    );
    return isNeeded ? 'each' : 'once';
  }

  #takeRank({ relation, terms }: CoreAtom): { rank?: number; isBounded?: boolean } {
    const { purpose, isRanked, isBounded } = this.#request;
    if (!isRanked(relation)) return {};
    if (terms.length > 0) this.#ranksVary = true;
    const rank = this.#ranks.length;
    this.#ranks.push(rank);
    return purpose === 'support' || isBounded === true ? { rank, isBounded: true } : { rank };
  }

  /** Columns that bind a new variable, and those that must equal what is bound by then. */
  #columnUses(
    terms: readonly Term[],
    isWanted: (column: number) => boolean,
  ): { binds: ColumnUse[]; checks: ColumnUse[] } {
    const binds: ColumnUse[] = [];
    const checks: ColumnUse[] = [];
    for (const [column, term] of terms.entries()) {
      if (term.kind === 'wildcard' || !isWanted(column)) continue;
      if (this.#isBound(term)) checks.push({ column, register: this.#register(term) });
      else {
        binds.push({ column, register: this.#register(term) });
        this.#bind(term, this.#steps.length);
      }
    }
    return { binds, checks };
  }

  /** `origin`: place of the step that iterates over its values. */
  #bind(term: Operand, origin: number): void {
    if (term.kind !== 'variable') return;
    this.#bound.add(term.index);
    this.#origins.set(term.index, origin);
  }

  #register(term: Operand): number {
    if (term.kind === 'variable') return term.index;
    const { value, parameter } = term;
    const known = this.#constants.find((one) => {
      // Parameters that are alike now need not stay so.
      return (
        one.parameter === parameter && (parameter !== undefined || sameValue(one.value, value))
      );
    });
    if (known !== undefined) return known.register;
    const register = this.#registerCount++;
    this.#constants.push({ register, value, ...(parameter === undefined ? {} : { parameter }) });
    return register;
  }
}

interface Waiting {
  readonly literal: CoreLiteral;
  readonly position: number;
}
