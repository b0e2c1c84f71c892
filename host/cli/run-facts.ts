/** Which files of a directory hold facts, which tables they may fill, and what is in them. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { nearestName } from '../compiler/nearest-name.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { TableChange } from '../engine/engine.ts';
import { readFactsFile } from './facts-file.ts';
import type { Problem } from './problem.ts';
import type { NamedTable, TableNames } from './table-names.ts';

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

/** The rows of the files, a change for each table. */
export async function readFacts(
  directory: string,
  files: readonly string[],
  names: TableNames,
  onProgress: (text: string) => void,
): Promise<{ readonly changes: TableChange[]; readonly problems: Problem[] }> {
  const changes: TableChange[] = [];
  const problems: Problem[] = [];
  for (const name of files) {
    const file = path.join(directory, name);
    const table = names.findByFile(name.slice(0, -FACTS_SUFFIX.length));
    if (table === undefined) {
      problems.push(warningOfUnused(file, name, names));
      continue;
    }
    if (table.kind === 'system') {
      problems.push(systemTable(table, { file }));
      continue;
    }
    const { size } = await stat(file);
    const read = await readFactsFile(file, shapeOf(table), (bytes) => {
      onProgress(`reading ${file} ${percent(bytes, size)}`);
    });
    problems.push(...read.problems);
    changes.push({ table: table.key, insert: read.content });
  }
  return { changes, problems };
}

export function shapeOf(table: NamedTable): {
  name: string;
  arity: number;
  columns?: NamedTable['columns'] & {};
} {
  return {
    name: table.printed,
    arity: table.arity,
    ...(table.columns === undefined ? {} : { columns: table.columns }),
  };
}

export function systemTable(table: NamedTable, place: Partial<Problem>): Problem {
  return {
    severity: 'error',
    code: 'system-table',
    message: `\`${table.printed}\` is kept by the engine and takes no rows`,
    note: 'leave it out',
    ...place,
  };
}

function warningOfUnused(file: string, name: string, names: TableNames): Problem {
  const table = name.slice(0, -FACTS_SUFFIX.length);
  const files = names.tables.map((known) => known.file);
  const nearest = nearestName(table, files);
  return {
    severity: 'warning',
    code: 'unused-file',
    file,
    message: `the program has no table for \`${name}\`, which is not read`,
    ...(nearest === undefined ? {} : { note: `did you mean \`${nearest}${FACTS_SUFFIX}\`?` }),
  };
}

export function percent(bytes: number, size: number): string {
  return size === 0 ? '' : `${Math.floor((bytes / size) * 100)} %`;
}
