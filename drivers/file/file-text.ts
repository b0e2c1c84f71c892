/** The text of a file, piece by piece, as valid UTF-8 or an error that names the line. */
import { createReadStream } from 'node:fs';
import { SourceError } from '../driver.ts';

const CHUNK_BYTES = 1 << 18;
const LF = 0x0a;

/**
 * Pieces of the text, a leading byte order mark removed. Throws `SourceError` where bytes are no
 * UTF-8.
 */
export async function* readText(
  path: string,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES, signal });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    yield await decodePart(path, () => decoder.decode(chunk, { stream: true }));
  }
  const rest = await decodePart(path, () => decoder.decode());
  if (rest !== '') yield rest;
}

/** A line without its end (LF or CRLF), and its number from 1. */
export type OnLine = (text: string, line: number) => void;

/** Calls back for each line; a last one without a newline counts unless it is empty. */
export async function readLines(
  path: string,
  lineUnitsMax: number,
  signal: AbortSignal,
  onLine: OnLine,
): Promise<void> {
  let rest = '';
  let line = 0;
  for await (const piece of readText(path, signal)) {
    const text = rest + piece;
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      onLine(text.slice(start, end > start && text[end - 1] === '\r' ? end - 1 : end), ++line);
      start = end + 1;
    }
    rest = text.slice(start);
    if (rest.length > lineUnitsMax) {
      throw new SourceError([
        {
          message: `the line is longer than ${lineUnitsMax} characters`,
          remedy: 'split it, or give the file the ending of its real format',
          file: path,
          line: line + 1,
        },
      ]);
    }
  }
  if (rest !== '') onLine(rest, line + 1);
}

async function decodePart(path: string, decode: () => string): Promise<string> {
  try {
    return decode();
  } catch (error) {
    const place = await firstBadLine(path);
    throw new SourceError(
      [
        {
          message: 'the bytes are not UTF-8',
          remedy: 'convert the file, for example with `iconv -t UTF-8`',
          file: path,
          ...place,
        },
      ],
      { cause: error },
    );
  }
}

/** Reads the file again, line by line: only on the way to an error. */
async function firstBadLine(path: string): Promise<{ line?: number; column?: number }> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      line++;
      const column = firstBadColumn(bytes.subarray(start, end));
      if (column > 0) return { line, column };
      start = end + 1;
    }
    rest = bytes.subarray(start);
  }
  const column = firstBadColumn(rest);
  return column > 0 ? { line: line + 1, column } : {};
}

/** Column (from 1) of the first character of a line that is none; 0: the line is UTF-8. */
function firstBadColumn(line: Buffer): number {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let good = '';
  try {
    for (let at = 0; at < line.length; at++) {
      good += decoder.decode(line.subarray(at, at + 1), { stream: true });
    }
    decoder.decode();
    return 0;
  } catch {
    return [...good].length + 1;
  }
}
