/**
 * Every table that the policies and sources of a catalog have or mention: who owns it, how wide
 * it is, whether it exists. Filled in a fixed order (sources, declarations, each policy's own
 * statements, then references between policies; policies by name), because the first use fixes an
 * arity.
 */
import { ARITY_MAX, SUGGESTIONS_MAX } from '../limits.ts';
import { BUILTIN_NAMES } from './builtins.ts';
import { RESERVED_OWNERS, SYSTEM_TABLES } from './catalog.ts';
import type { CatalogSource } from './catalog.ts';
import { nearestName } from './nearest-name.ts';
import type { Span } from './source-text.ts';
import { tableKey } from './stratified.ts';
import type { Column, Table, TableKey } from './stratified.ts';
import type { AtomNode } from './syntax-tree.ts';

export interface TableEntry {
  readonly owner: string;
  readonly name: string;
  arity: number | undefined;
  columns: readonly Column[] | undefined;
  description: string | undefined;
  /** Declared so. */
  onDemand: boolean;
  /** A rule, fact, declaration, file or source gives it rows, or can. */
  exists: boolean;
  /** Its owner mentions it, so that others may. */
  mentionedByOwner: boolean;
  /** Where the arity was fixed. */
  origin: Origin | undefined;
  /** Columns that references name while nobody has declared any. */
  readonly referencedColumns: Set<string>;
  referencedWidth: number;
  index: number;
}

/**
 * `declared`: a declaration in the text of a policy; `used`: a rule or fact; `catalog`: a source
 * has it.
 */
export type Origin =
  | { readonly kind: 'declared' | 'used'; readonly policy: string; readonly span: Span }
  | { readonly kind: 'catalog' };

export type OwnerKind = 'policy' | 'source' | 'system' | 'execute' | 'unknown';

export class TableRegistry {
  readonly #entries = new Map<TableKey, TableEntry>();
  readonly #policies: ReadonlySet<string>;
  readonly #sources = new Set<string>();
  /** Sources whose tables are all known. */
  readonly #complete = new Set<string>();
  /** By number, once they have one. */
  readonly #numbered: TableEntry[] = [];
  readonly #external: ReadonlySet<TableKey>;
  #suggestions = 0;
  #namesByOwner: Map<string, string[]> | undefined;

  constructor(
    policies: ReadonlySet<string>,
    sources: readonly CatalogSource[],
    external: ReadonlySet<TableKey>,
  ) {
    this.#policies = policies;
    this.#external = external;
    for (const source of [...sources].sort(byName)) {
      this.#sources.add(source.name);
      if (source.declared) this.#complete.add(source.name);
      for (const table of [...source.tables].sort(byName)) {
        this.#fix(source.name, table.name, table.arity, { kind: 'catalog' }, table.columns);
      }
    }
  }

  ownerKind(owner: string): OwnerKind {
    if (owner === 'execute' || owner === 'system') return owner;
    if (this.#policies.has(owner)) return 'policy';
    return this.#sources.has(owner) ? 'source' : 'unknown';
  }

  /** A source without a table of the name cannot get one. */
  isComplete(owner: string): boolean {
    return this.#complete.has(owner);
  }

  isExternal(entry: TableEntry): boolean {
    return this.#external.has(tableKey(entry));
  }

  get(owner: string, name: string): TableEntry | undefined {
    return this.#entries.get(`${owner}:${name}`);
  }

  /** By the number that `finish` gave it. */
  at(index: number): TableEntry | undefined {
    return this.#numbered[index];
  }

  /** Something gives it rows, or can. */
  isDefined(owner: string, name: string): boolean {
    return this.get(owner, name)?.exists === true || this.#external.has(`${owner}:${name}`);
  }

  /** A declaration in a policy's text. A source that has one is complete. */
  declare(
    owner: string,
    name: string,
    columns: readonly Column[],
    origin: Origin,
    description?: string,
  ): void {
    if (!this.#policies.has(owner)) {
      this.#sources.add(owner);
      this.#complete.add(owner);
    }
    this.#fix(owner, name, columns.length, origin, columns);
    const entry = this.#entry(owner, name);
    entry.description ??= description;
  }

  /** Of a table that is declared. */
  putOnDemand(owner: string, name: string): void {
    this.#entry(owner, name).onDemand = true;
  }

  /** Columns of a table that nobody declares itself, without keys. */
  shape(owner: string, name: string, columns: readonly Column[], origin: Origin): void {
    const entry = this.#entry(owner, name);
    if (entry.columns !== undefined) return;
    this.#use(entry, columns.length, origin);
    if (entry.arity === columns.length) entry.columns = columns.map(({ key: _, ...rest }) => rest);
  }

  /** A rule or fact with the table in its head. */
  define(owner: string, name: string, arity: number, origin: Origin): void {
    const entry = this.#entry(owner, name);
    entry.exists = true;
    entry.mentionedByOwner = true;
    this.#use(entry, arity, origin);
  }

  /** An atom in a body. */
  mention(owner: string, atom: AtomNode, origin: Origin, byOwner: boolean): void {
    if (owner === 'system') this.#addSystemTable(atom.name.name);
    const entry = this.#entry(owner, atom.name.name);
    if (byOwner) entry.mentionedByOwner = true;
    const args = atom.arguments;
    if (args.every((one) => one.column === undefined)) return this.#use(entry, args.length, origin);
    let width = 0;
    args.forEach(({ column }, position) => {
      if (typeof column === 'string') entry.referencedColumns.add(column);
      else width = Math.max(width, (column ?? position) + 1);
    });
    entry.referencedWidth = Math.max(entry.referencedWidth, width);
  }

  /** Numbers the tables in the order of their keys. */
  finish(): Table[] {
    const keys = [...this.#entries.keys()].sort();
    return keys.map((key, index) => {
      const entry = this.#entries.get(key);
      if (entry === undefined) throw new Error('a key of the map');
      entry.index = index;
      this.#numbered[index] = entry;
      const shape = entry.referencedWidth + entry.referencedColumns.size;
      entry.arity ??= Math.min(shape, ARITY_MAX);
      const { owner, name, arity, columns, description, onDemand } = entry;
      const kind = this.tableKind(entry);
      return {
        owner,
        name,
        arity,
        ...(columns === undefined ? {} : { columns }),
        ...(description === undefined ? {} : { description }),
        ...(onDemand ? { onDemand } : {}),
        kind,
      };
    });
  }

  tableKind(entry: TableEntry): Table['kind'] {
    const owner = this.ownerKind(entry.owner);
    if (owner === 'policy' || owner === 'execute' || owner === 'system') return owner;
    return entry.exists ? 'source' : 'unresolved';
  }

  /**
   * What was meant by `name` of `owner`; a bare name where the owner is there, else with an
   * owner.
   */
  suggestion(owner: string, name: string, unqualified: boolean): string | undefined {
    if (this.#suggestions++ >= SUGGESTIONS_MAX) return undefined;
    this.#namesByOwner ??= this.#collectNames();
    const known = this.#namesByOwner.get(owner);
    if (known !== undefined) {
      return nearestName(name, unqualified ? [...known, ...BUILTIN_NAMES] : known);
    }
    const owners = [...this.#namesByOwner.keys()].filter((one) => !RESERVED_OWNERS.has(one));
    const nearest = nearestName(owner, owners);
    return nearest === undefined ? undefined : `${nearest}:${name}`;
  }

  #collectNames(): Map<string, string[]> {
    const names = new Map<string, string[]>();
    for (const owner of [...this.#policies, ...this.#sources].sort()) names.set(owner, []);
    for (const key of [...this.#entries.keys()].sort()) {
      const entry = this.#entries.get(key);
      if (entry?.exists === true) names.get(entry.owner)?.push(entry.name);
    }
    return names;
  }

  #addSystemTable(name: string): void {
    const table = SYSTEM_TABLES.find((one) => one.name === name);
    if (table === undefined || this.get('system', name) !== undefined) return;
    this.#fix('system', name, table.arity, { kind: 'catalog' }, table.columns);
  }

  #entry(owner: string, name: string): TableEntry {
    const key = `${owner}:${name}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = {
        owner,
        name,
        arity: undefined,
        columns: undefined,
        description: undefined,
        onDemand: false,
        exists: this.#external.has(key),
        mentionedByOwner: false,
        origin: undefined,
        referencedColumns: new Set(),
        referencedWidth: 0,
        index: -1,
      };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #use(entry: TableEntry, arity: number, origin: Origin): void {
    if (entry.arity !== undefined) return;
    entry.arity = arity;
    entry.origin = origin;
  }

  #fix(
    owner: string,
    name: string,
    arity: number,
    origin: Origin,
    columns: readonly Column[] | undefined,
  ): void {
    const entry = this.#entry(owner, name);
    entry.arity = arity;
    entry.columns = columns;
    entry.exists = true;
    entry.mentionedByOwner = true;
    entry.origin = origin;
  }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
