/**
 * CSV (RFC 4180, by csv-parse) and tab-separated text (one record a line, `\t \n \r \\` escapes,
 * `\N` for null: the form of the `.facts` files of `caucus run`).
 */
import { CsvError, parse } from 'csv-parse';
import { SourceError } from '../driver.ts';
import type { SourceProblem } from '../driver.ts';
import { RECORD_UNITS_MAX } from '../limits.ts';
import { readLines, readText } from './file-text.ts';
import type { TypedRows } from './typed-rows.ts';

interface CsvRecord {
  readonly record: readonly string[];
  readonly raw: string;
  readonly info: { readonly lines: number };
}

export async function readCsv(path: string, rows: TypedRows, signal: AbortSignal): Promise<void> {
  const parser = parse({
    delimiter: ',',
    record_delimiter: ['\r\n', '\n'],
    info: true,
    raw: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: RECORD_UNITS_MAX,
  });
  const take = (): void => {
    for (;;) {
      const entry = parser.read() as CsvRecord | null;
      if (entry === null) return;
      const line = firstLineOf(entry);
      rows.text(entry.record, { line, columnOf: (field) => csvColumn(entry.raw, field) });
    }
  };
  try {
    await new Promise<void>((resolve, reject) => {
      parser.on('readable', take);
      parser.on('error', reject);
      parser.on('end', resolve);
      feed(path, parser, signal).catch(reject);
    });
  } catch (error) {
    parser.destroy();
    throw error instanceof CsvError
      ? new SourceError([csvProblem(path, error)], { cause: error })
      : error;
  }
}

async function feed(
  path: string,
  parser: ReturnType<typeof parse>,
  signal: AbortSignal,
): Promise<void> {
  for await (const piece of readText(path, signal)) {
    if (parser.destroyed) return;
    if (!parser.write(piece)) {
      await new Promise<void>((resolve) => {
        const goOn = (): void => {
          parser.off('drain', goOn);
          parser.off('close', goOn);
          resolve();
        };
        parser.on('drain', goOn);
        parser.on('close', goOn);
      });
    }
  }
  parser.end();
}

/** csv-parse counts lines up to the end of the record. */
function firstLineOf(entry: CsvRecord): number {
  let inside = 0;
  const body = entry.raw.replace(/\r?\n$/, '');
  for (let at = body.indexOf('\n'); at >= 0; at = body.indexOf('\n', at + 1)) inside++;
  return entry.info.lines - inside;
}

/**
 * Column of the first character of a field, in characters of the record's first line or of its own.
 */
function csvColumn(raw: string, field: number): number {
  let at = 0;
  for (let left = field, quoted = false; at < raw.length && left > 0; at++) {
    if (raw[at] === '"') quoted = !quoted;
    else if (raw[at] === ',' && !quoted) left--;
  }
  const lineStart = raw.slice(0, at).trimStart() === '' ? 0 : raw.lastIndexOf('\n', at - 1) + 1;
  return [...raw.slice(lineStart, at)].length + 1;
}

const CSV_MESSAGES: Readonly<Record<string, readonly [message: string, remedy: string]>> = {
  CSV_QUOTE_NOT_CLOSED: [
    'a quoted field is not closed',
    'close it with `"`; a quote inside a field is written `""`',
  ],
  CSV_INVALID_CLOSING_QUOTE: [
    'a closing quote is followed by text',
    'write a quote inside a field as `""`',
  ],
  INVALID_OPENING_QUOTE: [
    'a quote stands inside a field that does not begin with one',
    'put the whole field into quotes and write the quote as `""`',
  ],
  CSV_MAX_RECORD_SIZE: [
    `a record is longer than ${RECORD_UNITS_MAX} characters`,
    'look for a quote that is not closed',
  ],
};

function csvProblem(path: string, error: CsvError): SourceProblem {
  const known = CSV_MESSAGES[error.code];
  const line = (error as { lines?: unknown }).lines;
  return {
    message: known?.[0] ?? error.message,
    ...(known === undefined ? {} : { remedy: known[1] }),
    file: path,
    ...(typeof line === 'number' ? { line } : {}),
  };
}

export async function readTsv(path: string, rows: TypedRows, signal: AbortSignal): Promise<void> {
  await readLines(path, RECORD_UNITS_MAX, signal, (text, line) => {
    const parts = text.split('\t');
    const columnOf = (field: number): number => {
      if (field === 0 || field >= parts.length) return (field === 0 ? 0 : [...text].length) + 1;
      return [...parts.slice(0, field).join('\t')].length + 2;
    };
    const fields: (string | null)[] = parts;
    if (text.includes('\\')) {
      for (const [index, part] of parts.entries()) {
        if (part === '\\N') {
          fields[index] = null;
          continue;
        }
        const bad = /\\(?![tnr\\])/.exec(part.replaceAll('\\\\', '  '));
        if (bad !== null) {
          return rows.problem(
            `\`${part.slice(bad.index, bad.index + 2)}\` is no escape`,
            { line, column: columnOf(index) + [...part.slice(0, bad.index)].length },
            index,
            {
              remedy: 'escapes are `\\t`, `\\n`, `\\r` and `\\\\`; `\\N` alone in a field is null',
            },
          );
        }
        fields[index] = part.replace(/\\(.)/g, (_all, letter: string) => ESCAPES[letter] as string);
      }
    }
    rows.text(fields, { line, columnOf });
  });
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '\\': '\\' };
