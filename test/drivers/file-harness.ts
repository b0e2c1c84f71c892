/**
 * A directory as the outside of the driver suite, in each format. Written without the driver's
 * code.
 */
import { renameSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileDriver } from '../../drivers/file/file-driver.ts';
import type { Row, Value } from '../../host/value/value.ts';
import type { DriverHarness } from '../suites/driver-suite.ts';

export type Ending = 'csv' | 'tsv' | 'json' | 'ndjson';

/** Short enough that tests do not wait, long enough that two writes of one edit are seen as one. */
export const TEST_SETTLE_MS = 15;
export const TEST_POLL_MS = 10;

const BROKEN: Readonly<Record<Ending, readonly [text: string, expected: RegExp]>> = {
  csv: ['a,"b\n', /not closed.*wide\.csv/],
  tsv: ['a\tb\tc\nd\n', /has 3, this record has 1 field.*wide\.tsv","line":2,"column":2/],
  json: ['[["a", 1, 2], ["b", 2', /wide\.json/],
  ndjson: ['["a", 1, 2]\n{"b": }\n', /"line":2,"column":7/],
};

export async function fileHarness(ending: Ending): Promise<DriverHarness> {
  const folder = await mkdtemp(join(tmpdir(), 'caucus-file-'));
  const driver = fileDriver({
    source: 'inv',
    path: folder,
    header: false,
    pollMs: TEST_POLL_MS,
    settleMs: TEST_SETTLE_MS,
  });
  /** All files at one stroke: however busy the machine is, nobody sees half of an edit settle. */
  const replace = async (texts: readonly (readonly [table: string, text: string])[]) => {
    const besideOf = (table: string): string => join(folder, `.${table}.part`);
    for (const [table, text] of texts) await writeFile(besideOf(table), text);
    for (const [table] of texts) renameSync(besideOf(table), join(folder, `${table}.${ending}`));
  };
  return {
    driver,
    tables: new Map([
      ['narrow', 2],
      ['wide', 3],
    ]),
    hold: async (outside) => {
      await replace([...outside].map(([table, rows]) => [table, fileText(ending, rows)]));
    },
    damage: async () => {
      const [text, expected] = BROKEN[ending];
      await replace([['wide', text]]);
      return expected;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

export function fileText(ending: Ending, rows: readonly Row[]): string {
  switch (ending) {
    case 'csv':
      return rows.map((row) => `${row.map(csvField).join(',')}\r\n`).join('');
    case 'tsv':
      return rows.map((row) => `${row.map(tsvField).join('\t')}\n`).join('');
    case 'json':
      return `[${rows.map(jsonRow).join(',\n ')}]\n`;
    case 'ndjson':
      return rows.map((row) => `${jsonRow(row)}\n`).join('');
  }
}

function csvField(value: Value): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function tsvField(value: Value): string {
  return String(value).replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n');
}

function jsonRow(row: Row): string {
  return `[${row.map((value) => (typeof value === 'bigint' ? String(value) : JSON.stringify(value))).join(', ')}]`;
}
