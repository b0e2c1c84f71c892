/** One file → the rows of one table. What a file is, its name's ending says. */
import { basename, extname } from 'node:path';
import type { DriverColumn } from '../driver.ts';
import { problemsOf, SourceError } from '../driver.ts';
import { readCsv, readTsv } from './delimited.ts';
import { readJson, readNdjson } from './json-rows.ts';
import type { HeaderOption, TableRead } from './typed-rows.ts';
import { TypedRows } from './typed-rows.ts';

export type FileFormat = 'csv' | 'tsv' | 'json' | 'ndjson';

const FORMATS: Readonly<Record<string, FileFormat>> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.facts': 'tsv',
  '.json': 'json',
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
};

export const FILE_ENDINGS = Object.keys(FORMATS).join(', ');

/** Undefined for an ending that is no format. */
export function formatOf(path: string): FileFormat | undefined {
  return FORMATS[extname(path).toLowerCase()];
}

/** `servers` of `/data/servers.csv`. */
export function tableNameOf(path: string): string {
  return basename(path, extname(path));
}

export interface ReadTableOptions {
  readonly path: string;
  readonly table: string;
  readonly format: FileFormat;
  readonly declared: readonly DriverColumn[] | undefined;
  readonly header: HeaderOption;
  readonly signal: AbortSignal;
}

/** Throws `SourceError` with everything that is wrong, up to `FILE_PROBLEMS_MAX` places. */
export async function readTable(options: ReadTableOptions): Promise<TableRead> {
  const { path, table, format, signal } = options;
  const rows = new TypedRows({
    file: path,
    table,
    declared: options.declared,
    header: options.header,
    headerUsual: format === 'csv',
    emptyIsNull: format === 'csv',
  });
  try {
    await READERS[format](path, rows, signal);
    return rows.finish();
  } catch (error) {
    if (!(error instanceof SourceError)) throw fileError(error, path, table);
    throw new SourceError(
      error.problems.map((problem) => ({ table, ...problem })),
      { cause: error },
    );
  }
}

const READERS = { csv: readCsv, tsv: readTsv, json: readJson, ndjson: readNdjson } as const;

/** What the operating system said, with the file. */
export function fileError(error: unknown, path: string, table?: string): SourceError {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const known = code === undefined ? undefined : SYSTEM_ERRORS[code];
  const named = table === undefined ? {} : { table };
  if (known !== undefined) {
    return new SourceError(
      [{ message: `\`${path}\` ${known[0]}`, remedy: known[1], file: path, ...named }],
      {
        cause: error,
      },
    );
  }
  const problems = problemsOf(error).map((problem) => ({ ...problem, file: path, ...named }));
  return new SourceError(problems, { cause: error });
}

const SYSTEM_ERRORS: Readonly<Record<string, readonly [message: string, remedy: string]>> = {
  ENOENT: ['is not there', 'put it back; to empty a table leave a file without rows'],
  EACCES: ['may not be read', 'give the user that runs caucus the right to read it'],
  EISDIR: ['is a directory', 'name a file'],
};
