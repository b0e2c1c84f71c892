/** Policy texts → a program, with the compiler's findings as problems of their files. */
import { compileWithTests } from '../compiler/compile-tests.ts';
import type { PolicyTest } from '../compiler/compile-tests.ts';
import { compile } from '../compiler/compile.ts';
import type { Diagnostic } from '../compiler/diagnostic.ts';
import type { StratifiedProgram, TableKey } from '../compiler/stratified.ts';
import type { PolicyText } from './policy-file.ts';
import { problemOfDiagnostic, ProblemsError } from './problem.ts';
import type { Problem } from './problem.ts';

export interface CompiledProgram {
  readonly program: StratifiedProgram;
  readonly warnings: readonly Problem[];
}

/** The files together as one catalog; `program` is undefined where there are errors. */
export function compileTexts(
  sources: readonly PolicyText[],
  externalTables: ReadonlySet<TableKey> = new Set(),
): { readonly program: StratifiedProgram | undefined; readonly problems: readonly Problem[] } {
  const policies = sources.map(({ name, text }) => ({ name, text }));
  const { program, diagnostics } = compile({ policies, sources: [] }, { externalTables });
  return { program, problems: problemsOfDiagnostics(diagnostics, sources) };
}

/** As `compileTexts`, with the tests in the texts. */
export function compileTestTexts(sources: readonly PolicyText[]): {
  readonly program: StratifiedProgram | undefined;
  readonly tests: readonly PolicyTest[];
  readonly problems: readonly Problem[];
} {
  const policies = sources.map(({ name, text }) => ({ name, text }));
  const { program, tests, diagnostics } = compileWithTests({ policies, sources: [] });
  return { program, tests, problems: problemsOfDiagnostics(diagnostics, sources) };
}

/** Throws all errors and warnings where there are errors. */
export function compileProgram(
  sources: readonly PolicyText[],
  externalTables: ReadonlySet<TableKey>,
): CompiledProgram {
  const { program, problems } = compileTexts(sources, externalTables);
  if (program === undefined) throw new ProblemsError(problems);
  return { program, warnings: problems };
}

export function problemsOfDiagnostics(
  diagnostics: readonly Diagnostic[],
  sources: readonly PolicyText[],
): Problem[] {
  const byName = new Map(sources.map((source) => [source.name, source]));
  return diagnostics.map((diagnostic) => {
    const source = byName.get(diagnostic.source ?? '') ?? sources[0];
    return problemOfDiagnostic(diagnostic, source?.file ?? 'text', source?.text ?? '');
  });
}
