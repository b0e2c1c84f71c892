/**
 * Rows as bytes: the one encoding that the log stores, the engine reads and the engine answers in.
 *
 * A block is `count` rows of `arity` values one after another, nothing between them. A value:
 *
 *   tag u8   payload
 *   0        null          (none)
 *   1        false         (none)
 *   2        true          (none)
 *   3        int           i64 little-endian; only when it does not fit tag 6
 *   4        float         f64 little-endian; finite, never −0
 *   5        string        u32 little-endian byte length, UTF-8 bytes; only when longer than 255 bytes
 *   6        int           i32 little-endian
 *   7        string        u8 byte length, UTF-8 bytes
 *   8        date-time     i64 little-endian, microseconds since 1970
 *   9        address       u8 4 or 16, so many bytes, the highest first
 *   10       network       u8 4 or 16, so many bytes, u8 length of the prefix; host bits are zero
 *   11       list          u32 little-endian byte length of what follows, the items as values
 *   12       document      u32 as before, each name (5 or 7) and its value, in the order of names
 *
 * Each value has exactly one encoding, so equal blocks are equal bytes. The writer asserts that it
 * writes such bytes; the reader verifies all it reads and names the byte where a block is broken.
 */
import { CaucusError } from '../errors.ts';
import { VALUE_STRING_BYTES_MAX } from '../limits.ts';
import { Document, List } from './composite.ts';
import { DateTime } from './datetime.ts';
import { IpAddress, IpNetwork } from './ip.ts';
import { RowBlockReader } from './row-block-reader.ts';
import { ASCII_LOOP_UNITS_MAX, isUtf8 } from './utf8.ts';
import { INT_MAX, INT_MIN, isWellFormed, normalizeFloat } from './value.ts';
import type { Row, Scalar, Value } from './value.ts';
import {
  SHORT_STRING_BYTES_MAX,
  TAG_DATETIME,
  TAG_DOCUMENT,
  TAG_FALSE,
  TAG_FLOAT,
  TAG_INT32,
  TAG_INT64,
  TAG_IP,
  TAG_LIST,
  TAG_NETWORK,
  TAG_NULL,
  TAG_SHORT_STRING,
  TAG_STRING,
  TAG_TRUE,
} from './value-tags.ts';

export interface RowBlock {
  readonly arity: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

const INITIAL_BYTES = 256;
/** V8 and WASM both address a block with 32 bits. */
const BLOCK_BYTES_MAX = 2 ** 32 - 1;

const encoder = new TextEncoder();

/** A block of no rows. */
export function emptyBlock(arity: number): RowBlock {
  return { arity, count: 0, bytes: new Uint8Array(0) };
}

/**
 * Throws `invalid_row` (with `details.rowIndex`) for a row of another arity or a value that is
 * none.
 */
export function encodeRows(arity: number, rows: Iterable<Row>): RowBlock {
  const writer = new RowBlockWriter(arity);
  for (const row of rows) writer.appendRow(row);
  return writer.finish();
}

/** Verifies the whole block; see `RowBlockReader`. */
export function decodeRows(block: RowBlock): Row[] {
  return [...blockRows(block)];
}

/** The rows one by one; verifies as it goes, the tail of the block after the last row. */
export function* blockRows(block: RowBlock): Generator<Row, void, undefined> {
  const reader = new RowBlockReader(block);
  for (let index = 0; index < block.count; index++) {
    const row: Value[] = [];
    for (let column = 0; column < block.arity; column++) row.push(reader.readValue());
    yield row;
  }
  reader.expectEnd();
}

/** The rows of all blocks, in order. The blocks must have one arity. */
export function concatBlocks(arity: number, blocks: readonly RowBlock[]): RowBlock {
  let length = 0;
  let count = 0;
  for (const block of blocks) {
    if (block.arity !== arity) {
      throw new Error(`concatBlocks: arity ${block.arity} among blocks of arity ${arity}`);
    }
    length += block.bytes.length;
    count += block.count;
  }
  const only = blocks.length === 1 ? blocks[0] : undefined;
  if (only !== undefined) return only;
  const bytes = new Uint8Array(length);
  let position = 0;
  for (const block of blocks) {
    bytes.set(block.bytes, position);
    position += block.bytes.length;
  }
  return { arity, count, bytes };
}

/**
 * Consecutive pieces, views into the block, each of at most `bytesMax` bytes unless one row alone
 * is larger. An empty block gives no piece.
 */
export function* splitBlock(
  block: RowBlock,
  bytesMax: number,
): Generator<RowBlock, void, undefined> {
  if (block.count === 0) return;
  if (block.bytes.length <= bytesMax) {
    yield block;
    return;
  }
  const reader = new RowBlockReader(block);
  let start = 0;
  let rows = 0;
  for (let index = 0; index < block.count; index++) {
    const before = reader.offset;
    reader.skipRow();
    if (rows > 0 && reader.offset - start > bytesMax) {
      yield { arity: block.arity, count: rows, bytes: block.bytes.subarray(start, before) };
      start = before;
      rows = 0;
    }
    rows++;
  }
  yield { arity: block.arity, count: rows, bytes: block.bytes.subarray(start, reader.offset) };
}

/** Walks the whole block without building values; throws like the reader where it is broken. */
export function verifyBlock(block: RowBlock): void {
  const reader = new RowBlockReader(block);
  if (block.arity > 0) for (let index = 0; index < block.count; index++) reader.skipRow();
  reader.expectEnd();
}

/** Grows as values are appended: `append…` once per column, then `endRow`. */
export class RowBlockWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #columns = 0;
  #arity: number;
  #count = 0;

  /** Without `arity` the first row sets it. */
  constructor(arity = -1) {
    this.#arity = arity;
  }

  /** Rows ended so far. */
  get count(): number {
    return this.#count;
  }

  /** −1 while no row has fixed it. */
  get arity(): number {
    return this.#arity;
  }

  get byteLength(): number {
    return this.#length;
  }

  /** Columns of the row that has not ended yet. */
  get columns(): number {
    return this.#columns;
  }

  appendNull(): void {
    this.#appendTag(TAG_NULL);
  }

  appendBoolean(value: boolean): void {
    this.#appendTag(value ? TAG_TRUE : TAG_FALSE);
  }

  /** Throws `invalid_row` outside 64 bits. */
  appendInt(value: bigint): void {
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) {
      this.appendInt32(Number(value));
      return;
    }
    if (value < INT_MIN || value > INT_MAX) {
      throw new CaucusError('invalid_row', `\`${value}\` does not fit 64 bits`, {
        remedy: 'send it as a string or as a float',
      });
    }
    this.#reserve(9);
    this.#bytes[this.#length] = TAG_INT64;
    this.#view.setBigInt64(this.#length + 1, value, true);
    this.#length += 9;
    this.#columns++;
  }

  /** An int of the language, given as a JavaScript number within 32 bits (saves the bigint). */
  appendInt32(value: number): void {
    this.#reserve(5);
    this.#bytes[this.#length] = TAG_INT32;
    this.#view.setInt32(this.#length + 1, value, true);
    this.#length += 5;
    this.#columns++;
  }

  /** −0 is written as 0; NaN and infinities throw `invalid_row`. */
  appendFloat(value: number): void {
    const normal = normalizeFloat(value);
    this.#reserve(9);
    this.#bytes[this.#length] = TAG_FLOAT;
    this.#view.setFloat64(this.#length + 1, normal, true);
    this.#length += 9;
    this.#columns++;
  }

  /** Throws `invalid_row` for a lone surrogate. */
  appendString(text: string): void {
    if (text.length <= ASCII_LOOP_UNITS_MAX && this.#appendAscii(text)) return;
    if (!isWellFormed(text)) {
      throw new CaucusError('invalid_row', 'a string holds half of a surrogate pair', {
        remedy: 'send valid Unicode text',
      });
    }
    // At most three bytes a unit, so the header's size may be known before the text is encoded.
    const header = text.length * 3 <= SHORT_STRING_BYTES_MAX ? 2 : 5;
    this.#reserve(header + text.length * 3);
    const start = this.#length + header;
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(start));
    this.#endString(start, written);
  }

  /**
   * A string given as bytes `from`..`to` of `source`. Throws `invalid_row` if they are no UTF-8.
   */
  appendUtf8(source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    const header = length <= SHORT_STRING_BYTES_MAX ? 2 : 5;
    this.#reserve(header + length);
    const start = this.#length + header;
    if (length <= ASCII_LOOP_UNITS_MAX) {
      for (let index = 0; index < length; index++) {
        this.#bytes[start + index] = source[from + index] as number;
      }
    } else {
      this.#bytes.set(source.subarray(from, to), start);
    }
    if (!isUtf8(this.#bytes, start, start + length)) {
      throw new CaucusError('invalid_row', 'a string is not valid UTF-8', {
        remedy: 'send text in UTF-8',
      });
    }
    this.#endString(start, length);
  }

  appendValue(value: Value): void {
    switch (typeof value) {
      case 'string':
        return this.appendString(value);
      case 'bigint':
        return this.appendInt(value);
      case 'number':
        return this.appendFloat(value);
      case 'boolean':
        return this.appendBoolean(value);
      default:
        return value === null ? this.appendNull() : this.#appendObject(value);
    }
  }

  appendRow(row: Row): void {
    for (let column = 0; column < row.length; column++) {
      try {
        this.appendValue(row[column] as Value);
      } catch (error) {
        throw atCell(error, this.#count, column);
      }
    }
    this.endRow();
  }

  /** Throws `invalid_row` when the row has not as many columns as the rows before it. */
  endRow(): void {
    if (this.#columns !== this.#arity) {
      if (this.#arity >= 0) {
        throw new CaucusError(
          'invalid_row',
          `row ${this.#count} has ${this.#columns} columns, not ${this.#arity}`,
          {
            remedy: 'send rows with as many values as the table has columns',
            details: { rowIndex: this.#count, columns: this.#columns, arity: this.#arity },
          },
        );
      }
      this.#arity = this.#columns;
    }
    this.#columns = 0;
    this.#count++;
  }

  /** The block; its bytes are the writer's own, so the writer must not be used afterwards. */
  finish(): RowBlock {
    if (this.#columns !== 0) throw new Error('RowBlockWriter.finish inside a row');
    const bytes = this.#bytes.subarray(0, this.#length);
    return { arity: Math.max(this.#arity, 0), count: this.#count, bytes };
  }

  #appendObject(value: Exclude<Value, Scalar>): void {
    if (value instanceof List) {
      this.#appendNested(TAG_LIST, () => {
        for (const item of value.items) this.appendValue(item);
      });
    } else if (value instanceof Document) {
      this.#appendNested(TAG_DOCUMENT, () => {
        for (const [name, member] of value.members) {
          this.appendString(name);
          this.appendValue(member);
        }
      });
    } else if (value instanceof DateTime) {
      this.#reserve(9);
      this.#bytes[this.#length] = TAG_DATETIME;
      this.#view.setBigInt64(this.#length + 1, value.micros, true);
      this.#length += 9;
      this.#columns++;
    } else this.#appendAddress(value);
  }

  #appendAddress(value: IpAddress | IpNetwork): void {
    const width = value.version === 4 ? 4 : 16;
    this.#reserve(width + 3);
    const bytes = this.#bytes;
    bytes[this.#length++] = value instanceof IpAddress ? TAG_IP : TAG_NETWORK;
    bytes[this.#length++] = width;
    for (let shift = (width - 1) * 8; shift >= 0; shift -= 8) {
      bytes[this.#length++] = Number((value.bits >> BigInt(shift)) & 255n);
    }
    if (value instanceof IpNetwork) bytes[this.#length++] = value.prefix;
    this.#columns++;
  }

  /** A header with the length of what `write` appends, which counts as one column. */
  #appendNested(tag: number, write: () => void): void {
    const columns = this.#columns;
    this.#reserve(5);
    const at = this.#length;
    this.#bytes[at] = tag;
    this.#length += 5;
    write();
    const length = this.#length - at - 5;
    if (length > VALUE_STRING_BYTES_MAX) {
      throw new CaucusError('invalid_row', `a value has ${length} bytes`, {
        remedy: `a list or document has at most ${VALUE_STRING_BYTES_MAX} bytes`,
      });
    }
    this.#view.setUint32(at + 1, length, true);
    this.#columns = columns + 1;
  }

  #appendTag(tag: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = tag;
    this.#columns++;
  }

  /** False, with nothing appended, when the text is not ASCII. */
  #appendAscii(text: string): boolean {
    const length = text.length;
    this.#reserve(2 + length);
    const bytes = this.#bytes;
    const start = this.#length + 2;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) return false;
      bytes[start + index] = unit;
    }
    bytes[start - 2] = TAG_SHORT_STRING;
    bytes[start - 1] = length;
    this.#length = start + length;
    this.#columns++;
    return true;
  }

  /**
   * The text lies at `start`, behind room for either header; writes the header that its length asks
   * for.
   */
  #endString(start: number, length: number): void {
    const at = this.#length;
    if (length <= SHORT_STRING_BYTES_MAX) {
      if (start !== at + 2) this.#bytes.copyWithin(at + 2, start, start + length);
      this.#bytes[at] = TAG_SHORT_STRING;
      this.#bytes[at + 1] = length;
      this.#length = at + 2 + length;
    } else {
      this.#bytes[at] = TAG_STRING;
      this.#view.setUint32(at + 1, length, true);
      this.#length = at + 5 + length;
    }
    this.#columns++;
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#bytes.length) return;
    if (needed > BLOCK_BYTES_MAX) {
      throw new CaucusError('too_large', 'a batch has more than 4 GiB of rows', {
        remedy: 'send it in several batches',
      });
    }
    const grown = new Uint8Array(
      Math.min(Math.max(needed, this.#bytes.length * 2), BLOCK_BYTES_MAX),
    );
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function atCell(error: unknown, rowIndex: number, column: number): unknown {
  if (!(error instanceof CaucusError)) return error;
  return new CaucusError(error.code, `row ${rowIndex}, column ${column}: ${error.message}`, {
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    details: { ...error.details, rowIndex, columnIndex: column },
    cause: error,
  });
}
