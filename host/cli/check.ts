/** `caucus check`: all errors of all files, which are compiled together as one catalog. */
import { describePolicies } from '../compiler/describe-policies.ts';
import { compileTestTexts } from './compile-files.ts';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { readPolicyFiles } from './policy-imports.ts';
import type { Problem } from './problem.ts';
import { problemObject } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export async function check(files: readonly string[], terminal: Terminal): Promise<number> {
  const { texts, problems: unread } = await readPolicyFiles(files);
  const { program, problems: found } = compileTestTexts(texts);
  const problems = [...unread, ...found.filter((one) => !unread.some((other) => same(one, other)))];
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  if (terminal.json) {
    const policies = program === undefined ? undefined : describePolicies(program);
    terminal.print(JSON.stringify({ diagnostics: problems.map(problemObject), policies }));
  } else {
    terminal.problems(problems);
    terminal.print(
      summary(errors, problems.length - errors, Math.max(files.length, texts.length), terminal),
    );
  }
  return errors > 0 ? EXIT_BAD_INPUT : EXIT_OK;
}

/** An import that leads nowhere is an import of no policy, too. */
function same(one: Problem, other: Problem): boolean {
  const { code, file, line, column } = one;
  return (
    code === other.code && file === other.file && line === other.line && column === other.column
  );
}

function summary(errors: number, warnings: number, files: number, terminal: Terminal): string {
  const { out } = terminal;
  const checked = `${files} ${files === 1 ? 'file' : 'files'}`;
  const parts = [
    ...(errors > 0 ? [out.red(plural(errors, 'error'))] : []),
    ...(warnings > 0 ? [out.yellow(plural(warnings, 'warning'))] : []),
  ];
  return `${checked}: ${parts.length === 0 ? out.green('no errors') : parts.join(', ')}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
