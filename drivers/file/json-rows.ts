/**
 * JSON: an array of rows (arrays or objects of scalars), and NDJSON: one row a line. A JSON file is
 * held as bytes while it is read, never as a tree; NDJSON streams. What is nested deeper than a row
 * is a problem that names its path.
 */
import { readFile, stat } from 'node:fs/promises';
import { CaucusError } from '../../host/errors.ts';
import { JsonReader, valueOfJson } from '../../host/value/json.ts';
import type { Value } from '../../host/value/value.ts';
import type { SourceProblem } from '../driver.ts';
import { SourceError } from '../driver.ts';
import { JSON_FILE_BYTES_MAX, RECORD_UNITS_MAX } from '../limits.ts';
import { readLines } from './file-text.ts';
import type { RecordPlace, TypedRows } from './typed-rows.ts';

export async function readNdjson(
  path: string,
  rows: TypedRows,
  signal: AbortSignal,
): Promise<void> {
  await readLines(path, RECORD_UNITS_MAX, signal, (text, line) => {
    if (text.trim() === '') return;
    const bytes = Buffer.from(text);
    const reader = new JsonReader(bytes, { firstLine: line });
    try {
      const row = readRow(reader);
      reader.expectEnd();
      addRow(rows, row, (offset) => placeIn(bytes, offset, line));
    } catch (error) {
      const problem = syntaxProblem(error);
      rows.problem(problem.message, problem, 0, problem);
    }
  });
}

export async function readJson(path: string, rows: TypedRows, signal: AbortSignal): Promise<void> {
  const { size } = await stat(path);
  if (size > JSON_FILE_BYTES_MAX) {
    throw new SourceError([
      {
        message: `\`${path}\` has ${size} bytes, more than ${JSON_FILE_BYTES_MAX}`,
        remedy: 'write one row a line and name the file `.ndjson`: such a file may have any size',
        file: path,
      },
    ]);
  }
  const bytes = await readFile(path, { signal });
  const reader = new JsonReader(bytes);
  try {
    if (reader.peek() !== 'array') {
      reader.fail(
        'a JSON file is an array of rows',
        'write `[[…], …]` or `[{…}, …]`, or name the file `.ndjson` if each line is a row',
      );
    }
    reader.readArray(() => {
      addRow(rows, readRow(reader), (offset) => placeIn(bytes, offset, 1));
    });
    reader.expectEnd();
  } catch (error) {
    // The rest cannot be read, so the rows before it are no whole table.
    throw new SourceError([{ ...syntaxProblem(error), file: path }], { cause: error });
  }
}

interface JsonRow {
  /** Absent: an array. */
  readonly keys: readonly string[] | undefined;
  readonly values: readonly Value[];
  /** Offset of the row, then of each value. */
  readonly start: number;
  readonly offsets: readonly number[];
}

type PlaceOf = (offset: number) => { readonly line: number; readonly column: number };

function addRow(rows: TypedRows, row: JsonRow, placeOf: PlaceOf): void {
  const place: RecordPlace = {
    get line() {
      return placeOf(row.start).line;
    },
    columnOf: (field) => placeOf(row.offsets[field] ?? row.start).column,
  };
  if (row.keys === undefined) rows.array(row.values, place);
  else rows.object(row.keys, row.values, place);
}

function readRow(reader: JsonReader): JsonRow {
  const kind = reader.peek();
  const start = reader.offset;
  const keys: string[] = [];
  const values: Value[] = [];
  const offsets: number[] = [];
  const value = (): void => {
    reader.peek();
    offsets.push(reader.offset);
    values.push(valueOfJson(reader.readValue()));
  };
  if (kind === 'array') {
    reader.readArray(value);
  } else if (kind === 'object') {
    reader.readObject((name) => {
      keys.push(name);
      value();
    });
  } else {
    reader.fail(
      'a row is an array or an object',
      'write `["web-1", 4]` or `{"name": "web-1", "cpus": 4}`',
    );
  }
  return { keys: kind === 'object' ? keys : undefined, values, start, offsets };
}

function syntaxProblem(
  error: unknown,
): SourceProblem & { readonly line: number; readonly column: number } {
  const details = error instanceof CaucusError ? error.details : {};
  const { line, column } = details;
  if (!(error instanceof CaucusError) || typeof line !== 'number' || typeof column !== 'number') {
    throw error;
  }
  const remedy = error.remedy === undefined ? {} : { remedy: error.remedy };
  return { message: error.message.replace(/, line \d+, column \d+$/, ''), line, column, ...remedy };
}

/** Only on the way to a problem. */
function placeIn(
  bytes: Buffer,
  offset: number,
  firstLine: number,
): { line: number; column: number } {
  const before = bytes.subarray(0, offset);
  let line = firstLine;
  for (let at = before.indexOf(0x0a); at >= 0; at = before.indexOf(0x0a, at + 1)) line++;
  const lineText = before.subarray(before.lastIndexOf(0x0a) + 1).toString();
  return { line, column: [...lineText].length + 1 };
}
