/** Runs the blocks of a case against an engine; each block is one transaction. */
import { compile } from '../../host/compiler/compile.ts';
import type { Catalog, CatalogTable } from '../../host/compiler/catalog.ts';
import { DiagnosticList } from '../../host/compiler/diagnostic.ts';
import type { Diagnostic } from '../../host/compiler/diagnostic.ts';
import { KEY_VIOLATIONS_TABLE } from '../../host/compiler/key-violations.ts';
import { parseQuery } from '../../host/compiler/parser.ts';
import { constantOf } from '../../host/compiler/resolve-call.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import type { ColumnType } from '../../host/value/column-type.ts';
import type { Engine, TableChange, TableDelta } from '../../host/engine/engine.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import type { EngineKind } from '../fuzz/engine-kind.ts';
import { acquireEngine, releaseEngine } from '../fuzz/engine-pool.ts';
import { aritiesOf } from '../oracle/naive-engine.ts';
import { ERRORS_TABLE } from '../oracle/naive-evaluator.ts';
import { RowSet } from '../oracle/row-set.ts';
import type { Block, Input, QueryInput, RowsInput, SourceInput } from './script.ts';

export interface Atom {
  readonly table: TableKey;
  readonly row: Row;
}

type Policies = ReadonlyMap<string, string>;
type Sources = ReadonlyMap<string, SourceInput>;

interface Setting {
  readonly policies: Policies;
  readonly sources: Sources;
  /** Arity of tables that rows were sent to. */
  readonly pushed: ReadonlyMap<TableKey, number>;
}

export class CaseRun {
  readonly #kind: EngineKind;
  readonly #engine: Engine;
  #setting: Setting = { policies: new Map(), sources: new Map(), pushed: new Map() };
  #catalog: Catalog = { policies: [], sources: [] };
  #program: StratifiedProgram | undefined;
  #contents = new Map<TableKey, RowSet>();

  private constructor(kind: EngineKind, engine: Engine) {
    this.#kind = kind;
    this.#engine = engine;
  }

  static async start(kind: EngineKind): Promise<CaseRun> {
    return new CaseRun(kind, await acquireEngine(kind));
  }

  close(): Promise<void> {
    return releaseEngine(this.#kind, this.#engine);
  }

  get policies(): Policies {
    return this.#setting.policies;
  }

  get sources(): Sources {
    return this.#setting.sources;
  }

  /** What the block prints. Base rows that only come and go are not shown. */
  async block(inputs: Block['inputs']): Promise<string[]> {
    const lines = await this.#apply(inputs.filter((input) => input.kind !== 'query'));
    for (const input of inputs)
      if (input.kind === 'query') lines.push(...(await this.query(input)));
    return lines;
  }

  /** Rows of all tables now, printed. */
  contents(): Map<TableKey, string[]> {
    const printed = new Map<TableKey, string[]>();
    for (const [table, rows] of this.#contents) {
      if (rows.size > 0) printed.set(table, rows.sorted().map(printRow));
    }
    return printed;
  }

  /** Base rows now. */
  async baseRows(): Promise<Atom[]> {
    const atoms: Atom[] = [];
    for (const table of this.#program?.tables ?? []) {
      const rows = await this.#engine.rows(tableKey(table), { base: true });
      for (const row of decodeRows(rows)) atoms.push({ table: tableKey(table), row });
    }
    return atoms;
  }

  async query({ text, policy }: QueryInput): Promise<string[]> {
    const lines = [`? ${text}`];
    const program = this.#program ?? { tables: [], rules: [], strata: [] };
    const options = policy === undefined ? {} : { policy };
    const { query, diagnostics } = compileQuery(program, this.#catalog, text, options);
    lines.push(...printDiagnostics(diagnostics));
    if (query === undefined) return lines;
    const { rows } = await this.#engine.query(
      this.#kind.lowerQuery(this.#kind.lower(program, {}), query),
    );
    return [...lines, ...decodeRows(rows).map((row) => `  ${printRow(row)}`)];
  }

  async #apply(inputs: readonly Input[]): Promise<string[]> {
    if (inputs.length === 0) return [];
    const setting = settingAfter(this.#setting, inputs);
    const catalog = catalogOf(setting);
    const isNewCatalog = JSON.stringify(catalog) !== JSON.stringify(this.#catalog);
    // A table of a policy may exist by its rows alone.
    const isNewProgram = isNewCatalog || setting.pushed.size !== this.#setting.pushed.size;
    const external = { externalTables: new Set(setting.pushed.keys()) };
    const { program, diagnostics } = compile(catalog, external);
    const lines = isNewCatalog ? printDiagnostics(diagnostics) : [];
    if (program === undefined) return lines;
    const plan = this.#kind.lower(program, { watched: 'all' });
    const result = await this.#engine.transact({
      ...(isNewProgram || this.#program === undefined ? { plan } : {}),
      changes: inputs.flatMap((input) => (isRows(input) ? changesOf(input) : [])),
    });
    if (!result.ok) return [...lines, `failed ${result.code}`];
    this.#setting = setting;
    this.#catalog = catalog;
    this.#program = program;
    return [...lines, ...(await this.#changes(program, result.deltas))];
  }

  /** The difference to the contents before; the engine's deltas must say the same. */
  async #changes(program: StratifiedProgram, deltas: readonly TableDelta[]): Promise<string[]> {
    const keys = aritiesOf(program, {}).keys();
    const derived = new Set<TableKey>([ERRORS_TABLE, KEY_VIOLATIONS_TABLE]);
    for (const { head } of program.rules) {
      const table = program.tables[head];
      if (table !== undefined) derived.add(tableKey(table));
    }
    const before = this.#contents;
    const after = new Map<TableKey, RowSet>();
    for (const key of keys) after.set(key, new RowSet(decodeRows(await this.#engine.rows(key))));
    this.#contents = after;
    const lines: string[] = [];
    const byTable = new Map(deltas.map((delta) => [delta.table, delta]));
    for (const key of [...new Set([...before.keys(), ...after.keys()])].sort()) {
      const [old, rows] = [before.get(key) ?? new RowSet(), after.get(key) ?? new RowSet()];
      const [gone, come] = [old.minus(rows), rows.minus(old)];
      if (after.has(key)) {
        const delta = byTable.get(key);
        expectRows(`- ${key}`, delta === undefined ? [] : decodeRows(delta.delete), gone);
        expectRows(`+ ${key}`, delta === undefined ? [] : decodeRows(delta.insert), come);
      }
      if (!derived.has(key) && after.has(key)) continue;
      lines.push(...gone.map((row) => `- ${key}${printRow(row)}`));
      lines.push(...come.map((row) => `+ ${key}${printRow(row)}`));
    }
    return lines;
  }
}

function settingAfter(setting: Setting, inputs: readonly Input[]): Setting {
  const policies = new Map(setting.policies);
  const sources = new Map(setting.sources);
  const pushed = new Map(setting.pushed);
  for (const input of inputs) {
    if (input.kind === 'policy') {
      if (input.text === undefined) policies.delete(input.name);
      else policies.set(input.name, input.text);
    } else if (input.kind === 'source') {
      sources.set(input.name, input);
    } else if (isRows(input)) {
      for (const { table, row } of parseAtoms(input.atoms)) pushed.set(table, row.length);
    }
  }
  return { policies, sources, pushed };
}

/** Rows for a table that nobody has declared make its source, as a push does. */
function catalogOf({ policies, sources, pushed }: Setting): Catalog {
  const names = new Set(sources.keys());
  for (const key of pushed.keys()) {
    const owner = key.slice(0, key.indexOf(':'));
    if (!policies.has(owner)) names.add(owner);
  }
  return {
    policies: [...policies].map(([name, text]) => ({ name, text })),
    sources: [...names].sort().map((name) => {
      const source = sources.get(name);
      const tables = (source?.tables ?? []).map(parseTable);
      for (const [key, arity] of pushed) {
        const table = key.slice(name.length + 1);
        const isOwn = key === `${name}:${table}`;
        if (isOwn && !tables.some((one) => one.name === table)) tables.push({ name: table, arity });
      }
      return { name, declared: source?.declared === true, tables };
    }),
  };
}

/** `servers/2` or `servers(id: string key, n)`. */
function parseTable(text: string): CatalogTable {
  const bare = /^(.+)\/(\d+)$/.exec(text);
  if (bare !== null) return { name: bare[1] as string, arity: Number(bare[2]) };
  const [, name = '', inner = ''] = /^([^(]+)\((.*)\)$/.exec(text) ?? [];
  const columns = inner.split(/,\s*/).map((column) => {
    const [columnName = '', type = 'any', ...marks] = column.split(/[:\s]\s*/);
    return {
      name: columnName,
      type: type as ColumnType,
      ...(marks.includes('key') ? { key: true as const } : {}),
      ...(marks.includes('nullable') ? { nullable: true as const } : {}),
    };
  });
  return { name, arity: columns.length, columns };
}

export function parseAtoms(text: string): Atom[] {
  const diagnostics = new DiagnosticList(text);
  const tree = parseQuery(text, diagnostics);
  if (tree === undefined || diagnostics.errorCount > 0) throw new Error(`no rows: \`${text}\``);
  return tree.body.map((literal) => {
    if (literal.kind !== 'atom') throw new Error(`no row in \`${text}\``);
    const { name } = literal.atom;
    const row = literal.atom.arguments.map(({ value: node }): Value => {
      const value = constantOf(node);
      if (value === undefined) throw new Error(`rows hold values: \`${text}\``);
      return value;
    });
    if (name.owner === undefined)
      throw new Error(`rows name the owner of their table: \`${text}\``);
    return { table: tableKey({ owner: name.owner, name: name.name }), row };
  });
}

function changesOf({ kind, atoms }: RowsInput): TableChange[] {
  const replaced = new Set<TableKey>();
  return parseAtoms(atoms).map(({ table, row }) => {
    const block = encodeRows(row.length, [row]);
    if (kind === 'delete') return { table, delete: block };
    if (kind === 'insert' || replaced.has(table)) return { table, insert: block };
    replaced.add(table);
    return { table, replace: true, insert: block };
  });
}

function isRows(input: Input): input is RowsInput {
  return input.kind === 'insert' || input.kind === 'delete' || input.kind === 'replace';
}

function printDiagnostics(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(({ severity, code, source, line, column }) => {
    const place = source === undefined ? '' : `${source} `;
    return `${severity} ${code} at ${place}${line}:${column}`;
  });
}

export function printAtom({ table, row }: Atom): string {
  return `${table}${printRow(row)}`;
}

function printRow(row: Row): string {
  return `(${row.map(formatValue).join(', ')})`;
}

function expectRows(what: string, actual: readonly Row[], expected: readonly Row[]): void {
  const [found, wanted] = [actual, expected].map((rows) => rows.map(printRow).join(' '));
  if (found !== wanted)
    throw new Error(`the delta \`${what}\` is [${found}], the tables say [${wanted}]`);
}
