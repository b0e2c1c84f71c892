/**
 * The policies as one program. A policy that compiled when it was written can cease to when the
 * tables that it reads come to be (another arity): then it is left out and failed, nothing else is.
 */
import type { Diagnostic } from '../compiler/diagnostic.ts';
import type { StratifiedProgram, StratifiedQuery, TableKey } from '../compiler/stratified.ts';
import { tableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { TableShape } from './row-check.ts';
import type { PolicyState } from './replicated-state.ts';

/** What the compiler is given: plain values, sorted by name. */
export interface CatalogInput {
  readonly policies: readonly PolicyState[];
  readonly sources: readonly {
    readonly name: string;
    readonly tables: readonly { readonly name: string; readonly arity: number }[];
  }[];
}

/** The compiler as the replica uses it; `create-replica.ts` puts the real one behind it. */
export interface PolicyCompiler {
  compile(catalog: CatalogInput): {
    readonly program: StratifiedProgram;
    readonly diagnostics: readonly Diagnostic[];
  };
  compileQuery(
    program: StratifiedProgram,
    catalog: CatalogInput,
    text: string,
    policy: string | undefined,
  ): { readonly query: StratifiedQuery | undefined; readonly diagnostics: readonly Diagnostic[] };
}

export interface Compiled {
  readonly catalog: CatalogInput;
  readonly program: StratifiedProgram;
  /** Policies that had to be left out, with the first error of each. */
  readonly invalid: ReadonlyMap<string, string>;
  readonly shapes: ReadonlyMap<TableKey, TableShape>;
}

/** Compiles what compiles; policies with errors are left out, one round after another. */
export function compilePolicies(compiler: PolicyCompiler, catalog: CatalogInput): Compiled {
  const invalid = new Map<string, string>();
  for (;;) {
    const policies = catalog.policies.filter((policy) => !invalid.has(policy.name));
    const valid = { policies, sources: catalog.sources };
    const { program, diagnostics } = compiler.compile(valid);
    const errors = errorsOf(diagnostics);
    if (errors.length === 0) {
      return { catalog: valid, program, invalid, shapes: shapesOf(program) };
    }
    const before = invalid.size;
    for (const { source, message } of errors) {
      const names = source === undefined ? policies.map((policy) => policy.name) : [source];
      for (const name of names) if (!invalid.has(name)) invalid.set(name, message);
    }
    // An error that names no policy of the catalog: leave all out rather than loop for ever.
    if (invalid.size === before) for (const { name } of policies) invalid.set(name, 'does not compile');
    if (policies.length === 0) throw new Error(`an empty catalog does not compile: ${errors[0]?.message}`);
  }
}

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
  const text = first === undefined ? `${what} has errors` : `${what}${where}: ${first.message}${more}`;
  return new CaucusError(codeOf(errors), text, {
    ...(first?.note === undefined ? {} : { remedy: first.note }),
    details: { diagnostics },
  });
}

/** A name that is ambiguous or missing has a code of its own, where it is all that is wrong. */
function codeOf(errors: readonly Diagnostic[]): ErrorCode {
  const codes = new Set(errors.map((error) => error.code));
  if (codes.size !== 1) return 'invalid_policy';
  if (codes.has('ambiguous-name') || codes.has('ambiguous')) return 'ambiguous';
  if (codes.has('unknown-table')) return 'unknown_table';
  if (codes.has('unknown-policy')) return 'unknown_policy';
  return 'invalid_policy';
}
