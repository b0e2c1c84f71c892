/**
 * Policy files with the files that they import. A path is relative to the file that imports it, and
 * each file is read once, whoever imports it. The compiler sees names and texts only.
 */
import path from 'node:path';
import { DiagnosticList } from '../compiler/diagnostic.ts';
import { importsOf } from '../compiler/imports.ts';
import { parsePolicy } from '../compiler/parser.ts';
import type { ImportNode } from '../compiler/syntax-tree.ts';
import { readPolicyText, STDIN } from './policy-file.ts';
import type { PolicyText } from './policy-file.ts';
import { problemOfDiagnostic, problemsOfError, ProblemsError } from './problem.ts';
import type { Problem } from './problem.ts';

export interface PolicyFiles {
  /** Those that were asked for, in their order, then those that they import. */
  readonly texts: readonly PolicyText[];
  /** Files that cannot be read, imports that lead nowhere, files of one name. */
  readonly problems: readonly Problem[];
}

/** Throws the problems where there are any. */
export async function readPolicyTexts(files: readonly string[]): Promise<readonly PolicyText[]> {
  const { texts, problems } = await readPolicyFiles(files);
  if (problems.length > 0) throw new ProblemsError(problems);
  return texts;
}

export async function readPolicyFiles(files: readonly string[]): Promise<PolicyFiles> {
  const reader = new ImportReader();
  for (const file of files) await reader.read(file);
  await reader.readImports();
  return { texts: reader.texts, problems: reader.problems };
}

class ImportReader {
  readonly texts: PolicyText[] = [];
  readonly problems: Problem[] = [];
  readonly #byName = new Map<string, { readonly resolved: string; readonly file: string }>();

  async read(file: string): Promise<void> {
    try {
      const text = await readPolicyText(file);
      const resolved = file === STDIN ? STDIN : path.resolve(file);
      const other = this.#byName.get(text.name);
      if (other === undefined) this.#add(text, resolved);
      else this.problems.push(sameName(other.file, text));
    } catch (error) {
      const found = problemsOfError(error);
      if (found === undefined) throw error;
      this.problems.push(...found);
    }
  }

  /** Texts are added while the loop runs: imports of imports. */
  async readImports(): Promise<void> {
    for (const text of this.texts) {
      const tree = parsePolicy(text.text, new DiagnosticList(text.text));
      for (const node of importsOf(tree)) {
        if (node.path !== undefined) await this.#import(text, node, node.path);
      }
    }
  }

  async #import(by: PolicyText, node: ImportNode, target: string): Promise<void> {
    const folder = this.#byName.get(by.name)?.resolved ?? STDIN;
    const resolved = path.resolve(folder === STDIN ? '.' : path.dirname(folder), target);
    const other = this.#byName.get(node.policy);
    const file = path.relative('.', resolved);
    if (other?.resolved === resolved) return;
    if (other !== undefined) {
      const { message, note } = sameName(other.file, { file, name: node.policy });
      this.#report(by, node, 'duplicate-name', message, note);
      return;
    }
    try {
      const { text } = await readPolicyText(resolved);
      this.#add({ file, name: node.policy, text }, resolved);
    } catch (error) {
      const [problem] = problemsOfError(error) ?? [];
      if (problem === undefined) throw error;
      if (problem.file !== undefined) this.problems.push(problem);
      else {
        const message = problem.message.replace(`\`${resolved}\``, `\`${file}\``);
        const note = 'the path is relative to the file that imports it';
        this.#report(by, node, 'unknown-import', message, note);
      }
    }
  }

  #add(text: PolicyText, resolved: string): void {
    this.#byName.set(text.name, { resolved, file: text.file });
    this.texts.push(text);
  }

  #report(
    { file, text }: PolicyText,
    { targetSpan }: ImportNode,
    code: 'duplicate-name' | 'unknown-import',
    message: string,
    note: string,
  ): void {
    const diagnostics = new DiagnosticList(text);
    diagnostics.error(code, targetSpan, message, note);
    const found = diagnostics.finish();
    this.problems.push(...found.map((one) => problemOfDiagnostic(one, file, text)));
  }
}

function sameName(
  first: string,
  second: Pick<PolicyText, 'file' | 'name'>,
): Problem & { readonly note: string } {
  return {
    severity: 'error',
    code: 'duplicate-name',
    file: second.file,
    message: `\`${first}\` and \`${second.file}\` are both the policy \`${second.name}\``,
    note: 'rename one of the files; the base name is the name of the policy',
  };
}
