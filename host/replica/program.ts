/**
 * The policies as one program. A policy that compiled when it was written can cease to when the
 * tables that it reads come to be (another arity): then it is left out and failed, nothing else is.
 */
import { DERIVED_SYSTEM_TABLES, SYSTEM_TABLES } from '../compiler/catalog.ts';
import type { Catalog, CatalogPolicy } from '../compiler/catalog.ts';
import { compile } from '../compiler/compile.ts';
import { CompileMemory } from '../compiler/compile-memory.ts';
import type { Diagnostic } from '../compiler/diagnostic.ts';
import type { StratifiedProgram, Table, TableKey } from '../compiler/stratified.ts';
import { tableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { TableShape } from './row-check.ts';

export interface Compiled {
  readonly catalog: Catalog;
  readonly program: StratifiedProgram;
  /** Policies that had to be left out, with the first error of each. */
  readonly invalid: ReadonlyMap<string, string>;
  readonly shapes: ReadonlyMap<TableKey, TableShape>;
  /** For the compilation after this one. */
  readonly memory: CompileMemory;
}

/** Compiles what compiles; policies with errors are left out, one round after another. */
export function compilePolicies(catalog: Catalog, memory = new CompileMemory()): Compiled {
  const invalid = new Map<string, string>();
  for (;;) {
    const policies = catalog.policies.filter((policy) => !invalid.has(policy.name));
    const valid: Catalog = { policies, sources: catalog.sources };
    const { program, diagnostics } = compile(valid, { memory });
    if (program !== undefined) return compiledProgram(valid, program, memory, invalid);
    const errors = errorsOf(diagnostics);
    for (const { source, message } of errors) {
      if (source !== undefined && !invalid.has(source)) invalid.set(source, message);
    }
    if (policies.every((policy) => !invalid.has(policy.name))) {
      throw new Error(`no policy is to blame for: ${errors[0]?.message}`);
    }
  }
}

/** The tables that policies declare, by key. The mere use in a rule fixes nothing: the rows do. */
export function declaredShapes(
  policies: readonly CatalogPolicy[],
  sources: readonly string[],
): ReadonlyMap<TableKey, TableShape> {
  const { shapes } = compilePolicies({
    policies,
    sources: sources.map((name) => ({ name, declared: false, tables: [] })),
  });
  return new Map([...shapes].filter(([, { columns }]) => columns !== undefined));
}

/** A program with all tables that the engine keeps rows of, named by a rule or not. */
export function compiledProgram(
  catalog: Catalog,
  compiled: StratifiedProgram,
  memory: CompileMemory,
  invalid: ReadonlyMap<string, string> = new Map(),
): Compiled {
  const program = withBaseTables(catalog, compiled);
  return { catalog, program, invalid, shapes: shapesOf(program), memory };
}

function withBaseTables(catalog: Catalog, program: StratifiedProgram): StratifiedProgram {
  const keys = new Set(program.tables.map(tableKey));
  const missing: Table[] = [];
  const add = (table: Table): void => {
    if (!keys.has(tableKey(table))) missing.push(table);
  };
  for (const table of SYSTEM_KEPT) add(table);
  for (const source of catalog.sources) {
    for (const table of source.tables) add({ owner: source.name, ...table, kind: 'source' });
  }
  return missing.length === 0 ? program : { ...program, tables: [...program.tables, ...missing] };
}

/** Rows of the state itself: kept whether a rule names them or not. */
const SYSTEM_KEPT: readonly Table[] = SYSTEM_TABLES.filter(
  ({ name }) => !DERIVED_SYSTEM_TABLES.has(name),
).map((table) => ({ owner: 'system', ...table, kind: 'system' }));

export function errorsOf(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
}

/** What is known of the tables that a program names, declared columns above all. */
function shapesOf(program: StratifiedProgram): Map<TableKey, TableShape> {
  const shapes = new Map<TableKey, TableShape>();
  for (const table of program.tables) {
    const { arity, columns } = table;
    shapes.set(tableKey(table), columns === undefined ? { arity } : { arity, columns });
  }
  return shapes;
}

export function invalidPolicy(what: string, diagnostics: readonly Diagnostic[]): CaucusError {
  const errors = errorsOf(diagnostics);
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const where = first === undefined ? '' : ` at line ${first.line}, column ${first.column}`;
  const text =
    first === undefined ? `${what} has errors` : `${what}${where}: ${first.message}${more}`;
  return new CaucusError(codeOf(errors), text, {
    ...(first?.note === undefined ? {} : { remedy: first.note }),
    details: { diagnostics },
  });
}

/** A name that is ambiguous or missing has a code of its own, where it is all that is wrong. */
function codeOf(errors: readonly Diagnostic[]): ErrorCode {
  const codes = new Set(errors.map((error) => error.code));
  // A query in a policy that is not there: what else is wrong follows from that.
  if (codes.has('unknown-policy')) return 'unknown_policy';
  if (codes.size !== 1) return 'invalid_policy';
  if (codes.has('ambiguous')) return 'ambiguous';
  if (codes.has('unknown-table')) return 'unknown_table';
  return 'invalid_policy';
}
