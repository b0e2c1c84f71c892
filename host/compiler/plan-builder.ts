/** Collects relations, indexes and units of a plan, and writes the versions of each rule. */
import { TABLE_INDEXES_MAX } from '../limits.ts';
import { printDefinition } from './core-rule.ts';
import type { CoreLiteral, CoreRule } from './core-rule.ts';
import { fingerprint } from './fingerprint.ts';
import type {
  AggregatePlan,
  Plan,
  PlanOptions,
  PlanRelation,
  Unit,
  Version,
  View,
} from './plan.ts';
import type { IndexRequest, PlanMemory, RuleEntry } from './plan-memory.ts';
import type { TableKey } from './stratified.ts';
import { buildVersion } from './version-builder.ts';
import type { VersionRequest } from './version-builder.ts';

/** Rows of a table of which nothing is known. */
export const UNKNOWN_SIZE = 1000;
/** How much larger a closure is taken to be than what it is made of. */
const CLOSURE_FACTOR = 10;

interface RelationDraft {
  readonly name: string;
  /** Its number and size, as text. */
  readonly key: string;
  readonly arity: number;
  readonly table: TableKey;
  /** Rows that it has or is expected to have. */
  readonly size: number;
  ranked: boolean;
  fingerprint: string;
  /** Columns of each; kept from plan to plan. */
  readonly indexes: number[][];
  /** By place: some version of this plan uses the index. */
  readonly isUsed: boolean[];
  usedCount: number;
}

export class PlanBuilder {
  readonly tables = new Map<TableKey, number>();
  readonly #isBatchOnly: boolean;
  readonly #isExplained: boolean;
  readonly #sizes: ReadonlyMap<TableKey, number>;
  readonly #memory: PlanMemory;
  /** By number. */
  readonly #relations: RelationDraft[] = [];
  readonly #byName = new Map<string, number>();
  readonly #units: Unit[] = [];
  readonly #entries = new Map<CoreRule, RuleEntry>();
  /** Indexes asked for since the versions of a rule were begun. */
  #requests: IndexRequest[] = [];

  /** `sizes`: rows of tables, where known. */
  constructor(options: PlanOptions, sizes: ReadonlyMap<TableKey, number>, memory: PlanMemory) {
    this.#isBatchOnly = options.batchOnly === true;
    this.#isExplained = options.isExplained === true;
    this.#sizes = sizes;
    this.#memory = memory;
    memory.begin();
  }

  addTable(key: TableKey, arity: number, expected = UNKNOWN_SIZE): number {
    const relation = this.addAuxiliary(key, arity, key, expected);
    this.tables.set(key, relation);
    return relation;
  }

  /** `expected`: rows that it may have at most, for the order of joins. */
  addAuxiliary(name: string, arity: number, table: TableKey, expected = UNKNOWN_SIZE): number {
    if (this.#byName.has(name)) throw new Error(`two relations are named \`${name}\``);
    const number = this.#memory.numberOf(name);
    const size = this.#sizes.get(name) ?? expected;
    this.#relations[number] = {
      name,
      key: `${number}/${size}`,
      arity,
      table,
      size,
      ranked: false,
      fingerprint: '',
      indexes: this.#memory.placesOf(number),
      isUsed: [],
      usedCount: 0,
    };
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
    const draft = this.#draft(relation);
    const { indexes, isUsed } = draft;
    let place: number | undefined = indexes.findIndex((one) => isSame(one, columns));
    if (isUsed[place] !== true) {
      if (draft.usedCount >= TABLE_INDEXES_MAX) place = bestOf(indexes, isUsed, columns);
      else {
        if (place < 0) place = indexes.push([...columns]) - 1;
        isUsed[place] = true;
        draft.usedCount++;
      }
    }
    this.#requests.push({ relation, columns, place });
    return place;
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
    const ofRules = rules.map((rule) =>
      this.#remembered(this.ruleEntry(rule), () => this.#countingVersions(rule)),
    );
    this.#addUnit({ kind: 'counting', relations: [relation] }, rules, ofRules);
  }

  addRecursive(members: readonly number[], rules: readonly CoreRule[]): void {
    const local = new Map(members.map((member, index) => [member, `#${index}`]));
    const inComponent = new Set(members);
    const shared = this.#fingerprint(rules, local, inComponent);
    for (const [index, member] of members.entries()) {
      const draft = this.#draft(member);
      draft.ranked = !this.#isBatchOnly;
      draft.fingerprint = `${shared}#${index}`;
    }
    const ofRules = rules.map((rule) =>
      this.#remembered(this.ruleEntry(rule, inComponent), () =>
        this.#recursiveVersions(rule, inComponent),
      ),
    );
    this.#addUnit({ kind: 'recursive', relations: members }, rules, ofRules);
  }

  #addUnit(
    unit: Omit<Unit, 'versions' | 'rules'>,
    rules: readonly CoreRule[],
    ofRules: readonly (readonly Version[])[],
  ): void {
    const told = rules.map((rule, index) => ({ rule, versions: ofRules[index] ?? [] }));
    const explained = this.#isExplained ? { rules: told } : {};
    this.#units.push({ ...unit, versions: ofRules.flat(), ...explained });
  }

  /** Members with the columns of their values; rules with the values in their heads. */
  addBest(members: ReadonlyMap<number, number>, rules: readonly CoreRule[], isMax: boolean): void {
    const relations = [...members.keys()];
    const columns = [...members.values()];
    const local = new Map(relations.map((member, index) => [member, `#${index}`]));
    const shape = `${isMax ? 'max' : 'min'}${columns.join()}`;
    const shared = fingerprint(`${shape}\n${this.#fingerprint(rules, local)}`);
    const values = columns.map((column, index) => {
      const draft = this.#draft(relations[index] as number);
      draft.ranked = !this.#isBatchOnly;
      draft.fingerprint = `${shared}#${index}`;
      const group = Array.from({ length: draft.arity }, (_, place) => place);
      group.splice(column, 1);
      if (group.length === 0) return { column };
      // Readers come later: there is always room.
      return { column, index: this.index(relations[index] as number, group) as number };
    });
    const inComponent = new Set(relations);
    const ofRules = rules.map((rule) => {
      const isInside = rule.body.some(
        (literal) => literal.kind === 'atom' && members.has(literal.relation),
      );
      const known = this.#recursiveVersions(rule, inComponent);
      if (!isInside || this.#isBatchOnly) return known;
      const valueColumn = members.get(rule.head) as number;
      const isRanked = (relation: number): boolean => members.has(relation);
      return [
        ...known,
        this.#version(rule, { purpose: 'group', valueColumn, isRanked, view: () => 'new' }),
      ];
    });
    this.#addUnit({ kind: 'best', relations, best: { isMax, values } }, rules, ofRules);
  }

  /** `stream`: the rule that gives the input, where none of its rows has to be kept. */
  addAggregate(aggregate: AggregatePlan, stream?: CoreRule): void {
    const { input, output, errors, index: _, ...shape } = aggregate;
    const source =
      stream === undefined
        ? this.#draft(input).fingerprint
        : this.#fingerprint([stream], new Map());
    const text = JSON.stringify([source, stream === undefined ? 'rows' : 'stream', shape]);
    const relations = errors === undefined ? [output] : [output, errors];
    if (stream !== undefined) relations.push(input);
    for (const relation of relations) this.#draft(relation).fingerprint = fingerprint(text);
    const versions =
      stream === undefined
        ? []
        : this.#remembered(this.ruleEntry(stream), () => this.#countingVersions(stream, false));
    this.#units.push({ kind: 'aggregate', relations, versions, aggregate });
  }

  /**
   * What the memory has of a rule, by a text of all that its versions depend on. What
   * `buildVersion` is told of relations stands in it or is asked through `index`.
   */
  ruleEntry(rule: CoreRule, members?: ReadonlySet<number>): RuleEntry {
    const known = this.#entries.get(rule);
    if (known !== undefined) return known;
    const nameOf = (relation: number): string => this.#draft(relation).key;
    const kind = this.#isBatchOnly ? 'batch' : 'kept';
    const within = members === undefined ? '' : [...members].join();
    const names = [kind, within, nameOf(rule.head)];
    for (const one of rule.body) if (one.kind === 'atom') names.push(nameOf(one.relation));
    const entry = this.#memory.ruleOf(rule, names, () => {
      const definition = printDefinition(rule.headTerms, rule.body, nameOf);
      return `${kind} ${within} ${nameOf(rule.head)} ${rule.variableCount} ${definition}`;
    });
    this.#entries.set(rule, entry);
    return entry;
  }

  /** The versions of a rule as of the last plan, if its indexes are where they were. */
  #remembered(entry: RuleEntry, make: () => Version[]): readonly Version[] {
    const { planned } = entry;
    if (planned?.requests.every((one) => this.index(one.relation, one.columns) === one.place)) {
      return planned.versions;
    }
    this.#requests = [];
    const versions = make();
    entry.planned = { versions, requests: this.#requests };
    this.#requests = [];
    return versions;
  }

  /**
   * Tables keep their key as name. An auxiliary relation is named after its definition, so that the
   * next plan finds it again wherever its rule stands then; equal definitions are told apart by a
   * number. Undefined where relations or indexes have got other numbers since the last plan: the
   * program has to be planned once more.
   */
  finish(): Pick<Plan, 'relations' | 'units' | 'sizes'> | undefined {
    const isUsed = (relation: number): boolean[] => this.#draft(relation).isUsed;
    if (this.#memory.settle(this.#byName, isUsed)) return undefined;
    const seen = new Map<string, number>();
    const relations: PlanRelation[] = [];
    for (const number of this.#byName.values()) {
      const draft = this.#draft(number);
      const { name: label, arity, ranked, fingerprint: definition, table } = draft;
      const indexes = this.#memory.placesOf(number).slice();
      let name = label;
      if (!this.tables.has(label)) {
        const base = `${label.slice(0, label.indexOf(':'))}:${definition}`;
        const copies = seen.get(base) ?? 0;
        seen.set(base, copies + 1);
        name = `${base}~${copies}`;
      }
      relations[number] = { name, arity, ranked, fingerprint: definition, indexes, table };
    }
    const sizes = this.#isExplained ? { sizes: this.#relations.map(({ size }) => size) } : {};
    return { relations, units: this.#units, ...sizes };
  }

  #draft(relation: number): RelationDraft {
    const draft = this.#relations[relation];
    if (draft === undefined) throw new Error(`no relation ${relation}`);
    return draft;
  }

  /** Definition of a unit: its rules with the definitions of what they read in place of names. */
  #fingerprint(
    rules: readonly CoreRule[],
    local: ReadonlyMap<number, string>,
    members?: ReadonlySet<number>,
  ): string {
    const kind = this.#isBatchOnly ? 'batch' : 'maintained';
    const hashes = rules.map((rule) => this.#ruleHash(rule, local, members));
    const [hash, ...others] = hashes;
    if (hash === undefined || others.length > 0) return fingerprint([kind, ...hashes].join('\n'));
    const entry = this.ruleEntry(rules[0] as CoreRule, members);
    if (entry.unit?.hash !== hash) {
      entry.unit = { hash, fingerprint: fingerprint(`${kind}\n${hash}`) };
    }
    return entry.unit.fingerprint;
  }

  #ruleHash(
    rule: CoreRule,
    local: ReadonlyMap<number, string>,
    members: ReadonlySet<number> | undefined,
  ): string {
    const { head, headTerms, body } = rule;
    const headName = local.get(head) ?? '';
    const reads = [headName];
    for (const literal of body) {
      if (literal.kind !== 'atom') continue;
      const { name, fingerprint: definition } = this.#draft(literal.relation);
      reads.push(this.tables.has(name) ? name : '', local.get(literal.relation) ?? definition);
    }
    const entry = this.ruleEntry(rule, members);
    if (entry.hash !== undefined && isSame(entry.hash.reads, reads)) return entry.hash.hash;
    const nameOf = (relation: number): string => {
      const draft = this.#draft(relation);
      const name = this.tables.has(draft.name) ? `${draft.name}=` : '';
      return local.get(relation) ?? name + draft.fingerprint;
    };
    const hash = fingerprint(`${headName}${printDefinition(headTerms, body, nameOf)}`);
    entry.hash = { reads, hash };
    return hash;
  }

  /** `isSet`: a row that is given twice is no more than a row. */
  #countingVersions(rule: CoreRule, isSet = this.#isBatchOnly): Version[] {
    const versions = [this.#version(rule, { purpose: 'full', view: () => 'new', isSet })];
    if (this.#isBatchOnly) return versions;
    for (const source of atomPositions(rule.body)) {
      const view = viewAround(source);
      versions.push(this.#version(rule, { purpose: 'delta', source, view, isSet }));
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

/** The place of the used index by most of the columns. */
function bestOf(
  indexes: readonly (readonly number[])[],
  isUsed: readonly boolean[],
  columns: readonly number[],
): number | undefined {
  let best: number | undefined;
  let most = 0;
  for (const [place, one] of indexes.entries()) {
    if (isUsed[place] !== true || one.length <= most) continue;
    if (one.every((column) => columns.includes(column))) [best, most] = [place, one.length];
  }
  return best;
}

function isSame<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((one, place) => one === b[place]);
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
