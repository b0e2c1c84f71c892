/**
 * Lines of a file as byte ranges, in bounded memory: LF or CRLF ends a line, the last one may lack
 * it. UTF-8 is checked over whole chunks (a newline byte is never inside a character), so that
 * valid text costs one native call a chunk and only a bad line is looked at byte by byte.
 */
import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { withPath } from './problem.ts';

const CHUNK_BYTES = 1 << 20;

const LF = 0x0a;
const CR = 0x0d;

/** `end` is exclusive, without the line's end. The buffer is reused: read it before returning. */
export type OnLine = (bytes: Buffer, start: number, end: number, line: number) => void;

export interface LineReaderOptions {
  readonly onLine: OnLine;
  /** Called instead of `onLine` for a line that is not UTF-8; `offset` of its first bad byte. */
  readonly onBadUtf8: (
    bytes: Buffer,
    start: number,
    end: number,
    line: number,
    offset: number,
  ) => void;
  readonly onProgress?: (bytesRead: number) => void;
  readonly chunkBytes?: number;
}

/** Reads a file; resolves with its number of lines. */
export async function readLines(path: string, options: LineReaderOptions): Promise<number> {
  const splitter = new LineSplitter(options);
  const file = await open(path, 'r');
  try {
    let buffer = Buffer.allocUnsafe(options.chunkBytes ?? CHUNK_BYTES);
    let held = 0;
    let bytesRead = 0;
    for (;;) {
      if (held === buffer.length) {
        const larger = Buffer.allocUnsafe(buffer.length * 2);
        buffer.copy(larger, 0, 0, held);
        buffer = larger;
      }
      const chunk = file.read(buffer, held, buffer.length - held);
      const read = (await chunk.catch(withPath(path))).bytesRead;
      if (read === 0) break;
      bytesRead += read;
      const total = held + read;
      const consumed = splitter.split(buffer, total);
      buffer.copyWithin(0, consumed, total);
      held = total - consumed;
      options.onProgress?.(bytesRead);
    }
    splitter.finish(buffer, held);
    return splitter.line - 1;
  } finally {
    await file.close();
  }
}

class LineSplitter {
  /** Number of the line to come. */
  line = 1;
  private readonly options: LineReaderOptions;

  constructor(options: LineReaderOptions) {
    this.options = options;
  }

  /** Takes all whole lines of `bytes[0, total)`; returns where the rest begins. */
  split(bytes: Buffer, total: number): number {
    const wholeEnd = bytes.subarray(0, total).lastIndexOf(LF) + 1;
    if (wholeEnd === 0) return 0;
    const valid = isUtf8(bytes.subarray(0, wholeEnd));
    let start = 0;
    while (start < wholeEnd) {
      const newline = bytes.indexOf(LF, start);
      const end = newline > start && bytes[newline - 1] === CR ? newline - 1 : newline;
      this.emit(bytes, start, end, valid);
      start = newline + 1;
    }
    return wholeEnd;
  }

  /** The rest without a newline is a line unless it is empty. */
  finish(bytes: Buffer, total: number): void {
    if (total > 0) this.emit(bytes, 0, total, false);
  }

  private emit(bytes: Buffer, start: number, end: number, valid: boolean): void {
    const line = this.line++;
    const bad = valid ? -1 : firstBadUtf8(bytes, start, end);
    if (bad < 0) this.options.onLine(bytes, start, end, line);
    else this.options.onBadUtf8(bytes, start, end, line, bad);
  }
}

/** Offset of the first byte that begins no whole character; −1 where all is UTF-8. */
export function firstBadUtf8(bytes: Buffer, start: number, end: number): number {
  if (isUtf8(bytes.subarray(start, end))) return -1;
  let position = start;
  while (position < end) {
    const lead = bytes[position] as number;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (!isUtf8(bytes.subarray(position, Math.min(end, position + length)))) return position;
    position += length;
  }
  return -1;
}

/** Code points of valid UTF-8 between two offsets: what stands before a column. */
export function codePointCount(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let i = start; i < end; i++) {
    if (((bytes[i] as number) & 0xc0) !== 0x80) count++;
  }
  return count;
}
