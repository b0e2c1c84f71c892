/** `caucus fmt`: policy files in the one layout that the printer writes. */
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DiagnosticList } from '../compiler/diagnostic.ts';
import { parsePolicy } from '../compiler/parser.ts';
import { printPolicy } from '../compiler/printer.ts';
import { EXIT_BAD_INPUT, EXIT_OK } from './exit-code.ts';
import { readPolicyText, STDIN } from './policy-file.ts';
import type { PolicyText } from './policy-file.ts';
import { problemOfDiagnostic, problemsOfError, ProblemsError } from './problem.ts';
import type { Problem } from './problem.ts';
import type { Terminal } from './terminal.ts';

/** Files with errors stay as they are; the others are written. */
export async function format(
  files: readonly string[],
  options: { readonly check: boolean },
  terminal: Terminal,
): Promise<number> {
  const problems: Problem[] = [];
  const changed: string[] = [];
  for (const file of files) {
    try {
      const source = await readPolicyText(file);
      const formatted = formatText(source);
      if (file === STDIN && !options.check) process.stdout.write(formatted);
      if (formatted === source.text) continue;
      changed.push(source.file);
      if (!options.check && file !== STDIN) await replaceFile(file, formatted);
    } catch (error) {
      const found = problemsOfError(error);
      if (found === undefined) throw error;
      problems.push(...found);
    }
  }
  terminal.problems(problems);
  report(changed, options.check, files, terminal);
  const unformatted = options.check && changed.length > 0;
  return problems.length > 0 || unformatted ? EXIT_BAD_INPUT : EXIT_OK;
}

export function formatText(source: PolicyText): string {
  const diagnostics = new DiagnosticList(source.text, source.file);
  const tree = parsePolicy(source.text, diagnostics);
  if (diagnostics.errorCount > 0) {
    throw new ProblemsError(
      diagnostics
        .finish()
        .filter((diagnostic) => diagnostic.severity === 'error')
        .map((diagnostic) => problemOfDiagnostic(diagnostic, source.file, source.text)),
    );
  }
  return printPolicy(tree);
}

function report(
  changed: readonly string[],
  check: boolean,
  files: readonly string[],
  terminal: Terminal,
): void {
  if (files.includes(STDIN) && !check) return;
  if (terminal.json) {
    terminal.print(JSON.stringify({ changed }));
    return;
  }
  for (const file of changed)
    terminal.print(check ? `${file} is not formatted` : `formatted ${file}`);
}

/** The old text stays whole until the new one is. */
async function replaceFile(file: string, text: string): Promise<void> {
  const target = await realpath(file);
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.tmp`);
  try {
    await writeFile(temporary, text, { mode: (await stat(target)).mode });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
