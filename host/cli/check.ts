/** `caucus check`: all errors of all files, which are compiled together as one catalog. */
import { compileTexts } from './compile-files.ts';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { readPolicyText } from './policy-file.ts';
import type { PolicyText } from './policy-file.ts';
import { problemsOfError } from './problem.ts';
import type { Problem } from './problem.ts';
import { problemObject } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export async function check(files: readonly string[], terminal: Terminal): Promise<number> {
  const sources: PolicyText[] = [];
  const problems: Problem[] = [];
  for (const file of files) {
    try {
      const source = await readPolicyText(file);
      const other = sources.find(({ name }) => name === source.name);
      if (other === undefined) sources.push(source);
      else problems.push(sameName(other, source));
    } catch (error) {
      const found = problemsOfError(error);
      if (found === undefined) throw error;
      problems.push(...found);
    }
  }
  problems.push(...compileTexts(sources).problems);
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  if (terminal.json) {
    terminal.print(JSON.stringify({ diagnostics: problems.map(problemObject) }));
  } else {
    terminal.problems(problems);
    terminal.print(summary(errors, problems.length - errors, files.length, terminal));
  }
  return errors > 0 ? EXIT_BAD_INPUT : EXIT_OK;
}

function sameName(first: PolicyText, second: PolicyText): Problem {
  return {
    severity: 'error',
    code: 'duplicate-name',
    file: second.file,
    message: `\`${first.file}\` and \`${second.file}\` are both the policy \`${second.name}\``,
    note: 'rename one of the files; the base name is the name of the policy',
  };
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
