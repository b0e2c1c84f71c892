/** Which files of a directory hold facts, and which tables they may fill. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { TableKey } from '../compiler/stratified.ts';

export const FACTS_SUFFIX = '.facts';

/** Names of the files, sorted. */
export async function listFacts(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.name.endsWith(FACTS_SUFFIX) && !entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Tables that the files may fill; the program need not say more of them than to use them. */
export function externalTables(policy: string, files: readonly string[]): Set<TableKey> {
  const keys = new Set<TableKey>();
  for (const file of files) {
    const name = path.basename(file, FACTS_SUFFIX);
    keys.add(`${policy}:${name}`);
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const rest = name.slice(dot + 1);
      keys.add(`${name.slice(0, dot)}:${rest}`);
      // Further colons of a name are dots in the file's name, too.
      keys.add(`${name.slice(0, dot)}:${rest.replaceAll('.', ':')}`);
    }
  }
  return keys;
}
