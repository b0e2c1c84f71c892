/**
 * The files of the repository as text, for the tests of this folder. Paths are relative, with `/`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export type SourceTree = ReadonlyMap<string, string>;

/** What is wrong and where, one line each. */
export type Findings = readonly string[];

const SKIPPED = new Set(['.git', 'node_modules', 'build', 'dist']);
const TEXT =
  /(^|\/)(\.ci\/run|LICENSE)$|\.(ts|js|mjs|json|md|txt|dl|yaml|yml|toml|sh|cfg|conf|sql|html)$/;

export function readTree(root = '.'): SourceTree {
  const tree = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const file = path.posix.join(folder, entry.name);
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) visit(file);
      else if (entry.isFile() && TEXT.test(file)) {
        tree.set(file, readFileSync(path.join(root, file), 'utf8'));
      }
    }
  };
  visit('');
  return tree;
}

/** A tree for a negative control. */
export function treeOf(files: Readonly<Record<string, string>>): SourceTree {
  return new Map(Object.entries(files));
}

export function isInside(file: string, place: string): boolean {
  return file === place || file.startsWith(`${place}/`);
}
