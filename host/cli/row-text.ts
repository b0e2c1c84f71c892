/**
 * Row blocks → tab-separated text, the inverse of `field-reader.ts`. Bytes go from the block to the
 * file; a string is copied unless it holds one of the four characters that are escaped.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { Document, List } from '../value/composite.ts';
import { stringifyJson } from '../value/json.ts';
import {
  TAG_FALSE,
  TAG_FLOAT,
  TAG_INT32,
  TAG_INT64,
  TAG_NULL,
  TAG_SHORT_STRING,
  TAG_STRING,
  TAG_TRUE,
  valueBytes,
} from '../value/value-tags.ts';
import { RowBlockReader } from '../value/row-block-reader.ts';
import type { RowBlock } from '../value/row-block.ts';
import { formatFloat } from '../value/value.ts';

const FLUSH_BYTES = 1 << 20;
const TAB = 0x09;
const LF = 0x0a;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
/** `-2147483648`. */
const INT32_CHARS_MAX = 11;
/** Letter after the backslash, by byte; 0 where the byte stands for itself. */
const ESCAPE_LETTERS = escapeLetters();

/** Appends text; the caller flushes. */
export class RowText {
  private buffer = Buffer.allocUnsafe(FLUSH_BYTES);
  private length = 0;

  get byteLength(): number {
    return this.length;
  }

  /** Text that needs no escapes. */
  text(text: string): void {
    this.reserve(text.length * 3);
    this.length += this.buffer.write(text, this.length, 'utf8');
  }

  tab(): void {
    this.reserve(1);
    this.buffer[this.length++] = TAB;
  }

  endLine(): void {
    this.reserve(1);
    this.buffer[this.length++] = LF;
  }

  /** Writes the value at `cursor` and steps over it. */
  value(cursor: BlockCursor): void {
    const { bytes, view } = cursor;
    const at = cursor.offset;
    switch (bytes[at]) {
      case TAG_NULL:
        cursor.offset += 1;
        return this.text('\\N');
      case TAG_FALSE:
        cursor.offset += 1;
        return this.text('false');
      case TAG_TRUE:
        cursor.offset += 1;
        return this.text('true');
      case TAG_INT64:
        cursor.offset += 9;
        return this.text(view.getBigInt64(at + 1, true).toString());
      case TAG_INT32:
        cursor.offset += 5;
        return this.int32(view.getInt32(at + 1, true));
      case TAG_FLOAT:
        cursor.offset += 9;
        return this.text(formatFloat(view.getFloat64(at + 1, true)));
      case TAG_SHORT_STRING: {
        const end = at + 2 + (bytes[at + 1] as number);
        cursor.offset = end;
        return this.string(bytes, at + 2, end);
      }
      case TAG_STRING: {
        const end = at + 5 + view.getUint32(at + 1, true);
        cursor.offset = end;
        return this.string(bytes, at + 5, end);
      }
      default: {
        const end = at + valueBytes(bytes, at);
        const block = { arity: 1, count: 1, bytes: bytes.subarray(at, end) };
        const value = new RowBlockReader(block).readValue();
        cursor.offset = end;
        // Lists and documents as JSON, the others as their JSON strings say inside the quotes.
        const isText = !(value instanceof List) && !(value instanceof Document);
        const json = Buffer.from(isText ? String(value) : stringifyJson(value));
        // JSON escapes tabs and line ends itself, and its backslashes are its own.
        this.reserve(json.length);
        this.buffer.set(json, this.length);
        this.length += json.length;
        return;
      }
    }
  }

  /** Digit by digit: most values of large tables are small ints, and a text each is slow. */
  private int32(value: number): void {
    this.reserve(INT32_CHARS_MAX);
    const buffer = this.buffer;
    if (value < 0) buffer[this.length++] = MINUS;
    let rest = Math.abs(value);
    let digits = 1;
    for (let bound = 10; rest >= bound; bound *= 10) digits++;
    const end = this.length + digits;
    for (let index = end - 1; index >= this.length; index--) {
      const next = Math.floor(rest / 10);
      buffer[index] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.length = end;
  }

  /** The row at `cursor`, without a line's end. */
  row(cursor: BlockCursor): void {
    for (let column = 0; column < cursor.arity; column++) {
      if (column > 0) this.tab();
      this.value(cursor);
    }
  }

  take(): Buffer {
    const bytes = Buffer.from(this.buffer.subarray(0, this.length));
    this.length = 0;
    return bytes;
  }

  private string(bytes: Uint8Array, start: number, end: number): void {
    this.reserve((end - start) * 2);
    const buffer = this.buffer;
    let at = this.length;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      const letter = byte <= BACKSLASH ? (ESCAPE_LETTERS[byte] as number) : 0;
      if (letter === 0) {
        buffer[at++] = byte;
      } else {
        buffer[at++] = BACKSLASH;
        buffer[at++] = letter;
      }
    }
    this.length = at;
  }

  private reserve(size: number): void {
    if (this.length + size <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + size));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

/** A place in a block that the engine made; nothing is verified. */
export class BlockCursor {
  readonly arity: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  offset = 0;

  constructor(block: RowBlock) {
    this.arity = block.arity;
    this.count = block.count;
    this.bytes = block.bytes;
    this.view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
  }
}

/** A file that grows by lines, written in large pieces. */
export class TextFileWriter {
  readonly text = new RowText();
  private readonly file: FileHandle;

  private constructor(file: FileHandle) {
    this.file = file;
  }

  static async create(path: string): Promise<TextFileWriter> {
    return new TextFileWriter(await open(path, 'w'));
  }

  /** One line a row. */
  async block(block: RowBlock): Promise<void> {
    const cursor = new BlockCursor(block);
    for (let row = 0; row < cursor.count; row++) {
      this.text.row(cursor);
      this.text.endLine();
      if (this.text.byteLength >= FLUSH_BYTES) await this.flush();
    }
  }

  async flush(): Promise<void> {
    if (this.text.byteLength > 0) await this.file.writeFile(this.text.take());
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.file.close();
    }
  }
}

function escapeLetters(): Uint8Array {
  const letters = new Uint8Array(BACKSLASH + 1);
  letters[TAB] = 0x74;
  letters[LF] = 0x6e;
  letters[0x0d] = 0x72;
  letters[BACKSLASH] = BACKSLASH;
  return letters;
}
