/** Collects relations, indexes and units of a plan, and writes the versions of each rule. */
import { TABLE_INDEXES_MAX } from '../limits.ts';
import { printDefinition } from './core-rule.ts';
import type { CoreLiteral, CoreRule } from './core-rule.ts';
import { fingerprint } from './fingerprint.ts';
import type { AggregatePlan, PlanRelation, Unit, Version, View } from './plan.ts';
import type { TableKey } from './stratified.ts';
import { buildVersion } from './version-builder.ts';
import type { VersionRequest } from './version-builder.ts';

/** Rows of a table of which nothing is known. */
export const UNKNOWN_SIZE = 1000;
/** How much larger a closure is taken to be than what it is made of. */
const CLOSURE_FACTOR = 10;

interface RelationDraft {
  readonly name: string;
  readonly arity: number;
  readonly table: TableKey;
  /** Rows that it has or is expected to have. */
  readonly size: number;
  ranked: boolean;
  fingerprint: string;
  readonly indexes: number[][];
}

export class PlanBuilder {
  readonly tables = new Map<TableKey, number>();
  readonly #isBatchOnly: boolean;
  readonly #sizes: ReadonlyMap<TableKey, number>;
  readonly #relations: RelationDraft[] = [];
  readonly #byName = new Map<string, number>();
  readonly #units: Unit[] = [];

  /** `sizes`: rows of tables, where known. */
  constructor(isBatchOnly: boolean, sizes: ReadonlyMap<TableKey, number>) {
    this.#isBatchOnly = isBatchOnly;
    this.#sizes = sizes;
  }

  addTable(key: TableKey, arity: number): number {
    const relation = this.addAuxiliary(key, arity, key);
    this.tables.set(key, relation);
    return relation;
  }

  /** `expected`: rows that it may have at most, for the order of joins. */
  addAuxiliary(name: string, arity: number, table: TableKey, expected = UNKNOWN_SIZE): number {
    const number = this.#relations.length;
    const size = this.#sizes.get(name) ?? expected;
    this.#relations.push({ name, arity, table, size, ranked: false, fingerprint: '', indexes: [] });
    this.#byName.set(name, number);
    return number;
  }

  find(name: string): number | undefined {
    return this.#byName.get(name);
  }

  nameOf(relation: number): string {
    return this.#draft(relation).name;
  }

  /** Rows that a relation has or is expected to have. */
  sizeOf(relation: number): number {
    return this.#draft(relation).size;
  }

  tableOf(relation: number): TableKey {
    return this.#draft(relation).table;
  }

  /**
   * The place of an index in its relation's list; added at first use. Of a relation that has its
   * fill, the one by most of the columns, or undefined.
   */
  index(relation: number, columns: readonly number[]): number | undefined {
    const { indexes } = this.#draft(relation);
    const found = indexes.findIndex((one) => isSame(one, columns));
    if (found >= 0) return found;
    if (indexes.length < TABLE_INDEXES_MAX) return indexes.push([...columns]) - 1;
    let best: number | undefined;
    let most = 0;
    for (const [place, one] of indexes.entries()) {
      if (one.length <= most || !one.every((column) => columns.includes(column))) continue;
      [best, most] = [place, one.length];
    }
    return best;
  }

  indexColumns(relation: number, index: number): readonly number[] {
    return this.#draft(relation).indexes[index] ?? [];
  }

  addBase(relation: number): void {
    this.#draft(relation).fingerprint = `base/${this.#draft(relation).arity}`;
    this.#units.push({ kind: 'counting', relations: [relation], versions: [] });
  }

  addCounting(relation: number, rules: readonly CoreRule[]): void {
    this.#draft(relation).fingerprint = this.#fingerprint(rules, new Map());
    const versions = rules.flatMap((rule) => this.#countingVersions(rule));
    this.#units.push({ kind: 'counting', relations: [relation], versions });
  }

  addRecursive(members: readonly number[], rules: readonly CoreRule[]): void {
    const local = new Map(members.map((member, index) => [member, `#${index}`]));
    const shared = this.#fingerprint(rules, local);
    for (const [index, member] of members.entries()) {
      const draft = this.#draft(member);
      draft.ranked = !this.#isBatchOnly;
      draft.fingerprint = `${shared}#${index}`;
    }
    const inComponent = new Set(members);
    const versions = rules.flatMap((rule) => this.#recursiveVersions(rule, inComponent));
    this.#units.push({ kind: 'recursive', relations: members, versions });
  }

  addAggregate(aggregate: AggregatePlan): void {
    const { input, output, errors, index: _, ...shape } = aggregate;
    const text = JSON.stringify([this.#draft(input).fingerprint, shape]);
    const relations = errors === undefined ? [output] : [output, errors];
    for (const relation of relations) this.#draft(relation).fingerprint = fingerprint(text);
    this.#units.push({ kind: 'aggregate', relations, versions: [], aggregate });
  }

  /**
   * Tables keep their key as name. An auxiliary relation is named after its definition, so that the
   * next plan finds it again wherever its rule stands then; equal definitions are told apart by a
   * number.
   */
  finish(): { relations: PlanRelation[]; units: Unit[] } {
    const seen = new Map<string, number>();
    const relations = this.#relations.map((draft): PlanRelation => {
      if (this.tables.has(draft.name)) return draft;
      const kind = draft.name.slice(0, draft.name.indexOf(':'));
      const base = `${kind}:${draft.fingerprint}`;
      const copies = seen.get(base) ?? 0;
      seen.set(base, copies + 1);
      return { ...draft, name: `${base}~${copies}` };
    });
    return { relations, units: this.#units };
  }

  #draft(relation: number): RelationDraft {
    const draft = this.#relations[relation];
    if (draft === undefined) throw new Error(`no relation ${relation}`);
    return draft;
  }

  /** Definition of a unit: its rules with the definitions of what they read in place of names. */
  #fingerprint(rules: readonly CoreRule[], local: ReadonlyMap<number, string>): string {
    const nameOf = (relation: number): string => {
      const draft = this.#draft(relation);
      const name = this.tables.has(draft.name) ? `${draft.name}=` : '';
      return local.get(relation) ?? name + draft.fingerprint;
    };
    let text = this.#isBatchOnly ? 'batch' : 'maintained';
    for (const { head, headTerms, body } of rules) {
      text += `\n${local.get(head) ?? ''}${printDefinition(headTerms, body, nameOf)}`;
    }
    return fingerprint(text);
  }

  #countingVersions(rule: CoreRule): Version[] {
    const versions = [this.#version(rule, { purpose: 'full', view: () => 'new' })];
    if (this.#isBatchOnly) return versions;
    for (const source of atomPositions(rule.body)) {
      versions.push(this.#version(rule, { purpose: 'delta', source, view: viewAround(source) }));
    }
    return versions;
  }

  #recursiveVersions(rule: CoreRule, members: ReadonlySet<number>): Version[] {
    const isInside = (literal: CoreLiteral): boolean =>
      literal.kind === 'atom' && !literal.negated && members.has(literal.relation);
    if (!rule.body.some(isInside)) {
      return this.#countingVersions(rule).map((version) => ({ ...version, isExit: true }));
    }
    const isMember = (relation: number): boolean => members.has(relation);
    const isRanked = (relation: number): boolean => !this.#isBatchOnly && isMember(relation);
    const size = (relation: number): number =>
      this.sizeOf(relation) * (isMember(relation) ? CLOSURE_FACTOR : 1);
    const versions: Version[] = [];
    for (const source of atomPositions(rule.body)) {
      const inComponent = isInside(rule.body[source] as CoreLiteral);
      const driven = { source, inComponent, size, isRanked };
      if (inComponent) {
        const view = roundView(rule.body, source, isInside);
        versions.push(this.#version(rule, { ...driven, purpose: 'round', view }));
      }
      if (this.#isBatchOnly) continue;
      versions.push(this.#version(rule, { ...driven, purpose: 'candidate', view: () => 'old' }));
      if (inComponent) continue;
      versions.push(this.#version(rule, { ...driven, purpose: 'insert', view: () => 'new' }));
    }
    if (!this.#isBatchOnly) {
      versions.push(
        this.#version(rule, {
          purpose: 'support',
          size,
          isRanked,
          view: () => 'new',
        }),
      );
    }
    return versions;
  }

  #version(
    rule: CoreRule,
    request: Omit<VersionRequest, 'size' | 'isRanked' | 'index'> & Partial<VersionRequest>,
  ): Version {
    return buildVersion(rule, {
      size: (relation) => this.sizeOf(relation),
      isSet: this.#isBatchOnly,
      isRanked: () => false,
      index: (relation, columns) => {
        const index = this.index(relation, columns);
        if (index === undefined) return undefined;
        return { index, columns: this.indexColumns(relation, index) };
      },
      ...request,
    });
  }
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((column, place) => column === b[place]);
}

function atomPositions(body: readonly CoreLiteral[]): number[] {
  return [...body.keys()].filter((position) => body[position]?.kind === 'atom');
}

/** Δ at one position: new on its left, old on its right, so that each change is counted once. */
function viewAround(source: number): (position: number) => View {
  return (position) => (position < source ? 'new' : 'old');
}

function roundView(
  body: readonly CoreLiteral[],
  source: number,
  isInside: (literal: CoreLiteral) => boolean,
): (position: number) => View {
  return (position) => {
    if (!isInside(body[position] as CoreLiteral)) return 'new';
    return position < source ? 'settled' : 'stable';
  };
}
