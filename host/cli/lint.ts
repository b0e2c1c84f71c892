/** `caucus lint`: what is allowed in policies and probably not meant. */
import { lint as findings } from '../compiler/lint.ts';
import { problemsOfDiagnostics } from './compile-files.ts';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { readPolicyTexts } from './policy-imports.ts';
import { problemObject } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export async function lint(files: readonly string[], terminal: Terminal): Promise<number> {
  const sources = await readPolicyTexts(files);
  const policies = sources.map(({ name, text }) => ({ name, text }));
  const problems = problemsOfDiagnostics(findings({ policies, sources: [] }), sources);
  if (terminal.json) {
    terminal.print(JSON.stringify({ findings: problems.map(problemObject) }));
  } else {
    terminal.problems(problems);
    const count = problems.length === 1 ? '1 finding' : `${problems.length} findings`;
    terminal.print(problems.length === 0 ? terminal.out.green('no findings') : count);
  }
  return problems.length > 0 ? EXIT_BAD_INPUT : EXIT_OK;
}
