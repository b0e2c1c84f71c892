/**
 * A directory that is read by datasource nodes: two files, each row with the version of the whole.
 * Each revision shows all rows of one version in both tables, and versions only grow: a half batch,
 * an empty table between two writers, or rows of a writer that was replaced would show.
 */
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Row } from '../../host/value/value.ts';
import type { RecordEvent } from '../support/history.ts';
import { Reference } from '../simulation/reference.ts';
import type { Violation } from '../simulation/checkers/violation.ts';

export const FILE_SOURCE = 'file';
export const FILE_ROWS = 20;
const TABLES = ['item', 'twin'] as const;

/** Replaces one file after the other. */
export function writeVersion(directory: string, version: number): void {
  const rows = Array.from({ length: FILE_ROWS }, (_, row) => `k${row}\t${version}\n`);
  for (const table of TABLES) {
    const file = path.join(directory, `${table}.facts`);
    // Not in the directory, where a draft would be a table.
    const draft = `${directory}.${table}`;
    writeFileSync(draft, rows.join(''));
    renameSync(draft, file);
  }
}

/** What the log means for both tables. `last`: the version outside in the end; undefined: any. */
export function checkFiles(records: readonly RecordEvent[], last: number | undefined): Violation[] {
  const { states } = new Reference(records);
  return TABLES.flatMap((table) => {
    const key = `${FILE_SOURCE}:${table}` as const;
    return checkVersions(
      key,
      states.map(({ base }) => [...(base.get(key) ?? [])]),
      last,
    );
  });
}

/** `shown`: the rows of one table at each revision. */
export function checkVersions(
  table: string,
  shown: readonly (readonly Row[])[],
  last: number | undefined,
): Violation[] {
  const violations: Violation[] = [];
  let newest: bigint | undefined;
  for (const [revision, rows] of shown.entries()) {
    // Before the first batch.
    if (newest === undefined && rows.length === 0) continue;
    const where = `revision ${revision}: \`${table}\``;
    const version = versionOf(rows);
    if (version === undefined) {
      const message = `${where} has ${rows.length} rows, not all of one version`;
      violations.push({ invariant: 'I2', message });
    } else if (newest !== undefined && version < newest) {
      const message = `${where} went back from version ${newest} to ${version}`;
      violations.push({ invariant: 'I3', message });
    } else newest = version;
  }
  if (last !== undefined && newest !== BigInt(last)) {
    const message = `in the end \`${table}\` is of version ${newest}, outside ${last}`;
    violations.push({ invariant: 'I4', message });
  }
  return violations;
}

/** Undefined: not the rows of one version. */
function versionOf(rows: readonly Row[]): bigint | undefined {
  const versions = new Set(rows.map(([, version]) => version));
  const [version] = versions;
  if (rows.length !== FILE_ROWS || versions.size !== 1) return undefined;
  return typeof version === 'bigint' ? version : undefined;
}
