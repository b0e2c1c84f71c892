/** `.facts` files: tab separated, no header, one row a line → a row block. */
import type { RowBlock } from '../value/row-block.ts';
import { FieldReader } from './field-reader.ts';
import type { TableShape } from './field-reader.ts';
import { codePointCount, readLines } from './line-reader.ts';
import type { Problem } from './problem.ts';

/** Reading stops after so many problems of one file. */
export const PROBLEMS_PER_FILE_MAX = 20;

export interface TextFile<T> {
  readonly content: T;
  /** Errors first make the content unusable; warnings do not. */
  readonly problems: readonly Problem[];
  readonly lines: number;
}

export async function readFactsFile(
  path: string,
  shape: TableShape,
  onProgress?: (bytesRead: number) => void,
): Promise<TextFile<RowBlock>> {
  const problems = new ProblemList(path);
  const fields = new FieldReader(shape, (problem) => problems.add(problem));
  const lines = await readProblemLines(path, problems, onProgress, (bytes, start, end, line) => {
    if (line === 1 && shape.arity > 0) warnOfMark(bytes, start, end, problems);
    fields.read(bytes, start, end, line);
  });
  return { content: fields.take(), problems: problems.list, lines };
}

export class ProblemList {
  readonly list: Problem[] = [];
  private readonly file: string;
  private errors = 0;

  constructor(file: string) {
    this.file = file;
  }

  add(problem: Problem): void {
    this.list.push({ ...problem, file: this.file });
    if (problem.severity !== 'error') return;
    this.errors++;
    if (this.errors >= PROBLEMS_PER_FILE_MAX) throw new TooManyProblems();
  }
}

/** Ends the reading of a file; its problems are in the list. */
class TooManyProblems extends Error {}

/** Lines to `onLine`; what is not UTF-8 and the end of patience to `problems`. */
export async function readProblemLines(
  path: string,
  problems: ProblemList,
  onProgress: ((bytesRead: number) => void) | undefined,
  onLine: (bytes: Buffer, start: number, end: number, line: number) => void,
): Promise<number> {
  try {
    return await readLines(path, {
      onLine,
      onBadUtf8: (bytes, start, end, line, offset) => {
        problems.add(badUtf8(bytes, start, end, line, offset));
      },
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  } catch (error) {
    if (error instanceof TooManyProblems) return 0;
    throw error;
  }
}

function badUtf8(bytes: Buffer, start: number, end: number, line: number, offset: number): Problem {
  const byte = (bytes[offset] ?? 0).toString(16).padStart(2, '0');
  return {
    severity: 'error',
    code: 'invalid-utf8',
    message: `byte 0x${byte} is no valid UTF-8 here`,
    line,
    column: codePointCount(bytes, start, offset) + 1,
    excerpt: bytes.toString('utf8', start, end),
    note: 'save the file as UTF-8',
  };
}

function warnOfMark(bytes: Buffer, start: number, end: number, problems: ProblemList): void {
  if (end - start < 3) return;
  if (bytes[start] !== 0xef || bytes[start + 1] !== 0xbb || bytes[start + 2] !== 0xbf) return;
  problems.add({
    severity: 'warning',
    code: 'byte-order-mark',
    message: 'the file begins with a byte order mark, which is read as part of the first field',
    line: 1,
    column: 1,
    note: 'save the file as UTF-8 without a byte order mark',
  });
}
