/** Row blocks as JSON text, byte to byte, without values in between. */
import { DateTime } from './datetime.ts';
import { stringifyJson } from './json.ts';
import {
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
  valueBytes,
} from './value-tags.ts';
import { RowBlockReader } from './row-block-reader.ts';
import type { RowBlock } from './row-block.ts';
import { formatFloat } from './value.ts';

/** `[[…],…]`, as lossless as `stringifyJson`. Throws `invalid_row` for bytes that are no block. */
export function blockToJson(block: RowBlock): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(blockToJsonBytes(block));
}

/** The same as UTF-8, for answers that may pass the longest string. */
export function blockToJsonBytes(block: RowBlock): Uint8Array {
  const writer = new BlockJsonWriter(block);
  return writer.write();
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const MINUS = 0x2d;
const ZERO = 0x30;
/** No escape is longer: `\u001f` for one byte. */
const ESCAPE_BYTES_MAX = 6;
/** Longest scalar without a length of its own: an IPv6 network of 45 characters, and more. */
const SCALAR_BYTES_MAX = 64;
const HEX = '0123456789abcdef';
const SHORT_ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x08, 0x62],
  [0x0c, 0x66],
  [0x0a, 0x6e],
  [0x0d, 0x72],
  [0x09, 0x74],
]);

class BlockJsonWriter {
  readonly #block: RowBlock;
  readonly #view: DataView;
  #out: Uint8Array;
  #length = 0;

  constructor(block: RowBlock) {
    this.#block = block;
    this.#view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
    this.#out = new Uint8Array(block.bytes.length + block.count * (block.arity + 3) + 64);
  }

  write(): Uint8Array {
    const { arity, count } = this.#block;
    const reader = new RowBlockReader(this.#block);
    this.#out[this.#length++] = OPEN_BRACKET;
    for (let row = 0; row < count; row++) {
      let at = reader.offset;
      reader.skipRow();
      this.#reserve(SCALAR_BYTES_MAX);
      if (row > 0) this.#out[this.#length++] = COMMA;
      this.#out[this.#length++] = OPEN_BRACKET;
      for (let column = 0; column < arity; column++) {
        if (column > 0) this.#out[this.#length++] = COMMA;
        at = this.#writeValue(at);
      }
      this.#out[this.#length++] = CLOSE_BRACKET;
    }
    reader.expectEnd();
    this.#reserve(1);
    this.#out[this.#length++] = CLOSE_BRACKET;
    return this.#out.subarray(0, this.#length);
  }

  /**
   * Writes the verified value at `at` and returns where the next one starts. Leaves room for a
   * separator.
   */
  #writeValue(at: number): number {
    switch (this.#block.bytes[at]) {
      case TAG_NULL:
        return this.#writeText('null', at + 1);
      case TAG_FALSE:
        return this.#writeText('false', at + 1);
      case TAG_TRUE:
        return this.#writeText('true', at + 1);
      case TAG_INT32:
        this.#writeInt32(this.#view.getInt32(at + 1, true));
        return at + 5;
      case TAG_INT64:
        return this.#writeText(this.#view.getBigInt64(at + 1, true).toString(), at + 9);
      case TAG_FLOAT:
        return this.#writeText(formatFloat(this.#view.getFloat64(at + 1, true)), at + 9);
      case TAG_STRING:
        return this.#writeString(at + 5, this.#view.getUint32(at + 1, true));
      case TAG_SHORT_STRING:
        return this.#writeString(at + 2, this.#block.bytes[at + 1] as number);
      case TAG_DATETIME:
        return this.#writeText(
          `"${new DateTime(this.#view.getBigInt64(at + 1, true)).toString()}"`,
          at + 9,
        );
      case TAG_IP:
      case TAG_NETWORK:
        return this.#writeAddress(at);
      case TAG_LIST:
        return this.#writeNested(at, OPEN_BRACKET, CLOSE_BRACKET);
      case TAG_DOCUMENT:
        return this.#writeNested(at, OPEN_BRACE, CLOSE_BRACE);
      default:
        throw new Error('blockToJson: a value passed verification with an unknown tag');
    }
  }

  #writeAddress(at: number): number {
    const end = at + valueBytes(this.#block.bytes, at);
    const bytes = this.#block.bytes.subarray(at, end);
    const value = new RowBlockReader({ arity: 1, count: 1, bytes }).readValue();
    return this.#writeText(stringifyJson(value), end);
  }

  /** Items with commas between; of a document every other one is a name. */
  #writeNested(at: number, open: number, close: number): number {
    const end = at + valueBytes(this.#block.bytes, at);
    this.#reserve(SCALAR_BYTES_MAX);
    this.#out[this.#length++] = open;
    let from = at + 5;
    for (let place = 0; from < end; place++) {
      const isValue = open === OPEN_BRACE && place % 2 === 1;
      if (place > 0) this.#out[this.#length++] = isValue ? COLON : COMMA;
      from = this.#writeValue(from);
    }
    this.#reserve(SCALAR_BYTES_MAX);
    this.#out[this.#length++] = close;
    return end;
  }

  #writeText(text: string, next: number): number {
    this.#reserve(SCALAR_BYTES_MAX);
    for (let index = 0; index < text.length; index++) {
      this.#out[this.#length++] = text.charCodeAt(index);
    }
    return next;
  }

  #writeInt32(value: number): void {
    this.#reserve(SCALAR_BYTES_MAX);
    let rest = Math.abs(value);
    let digits = 1;
    for (let bound = 10; rest >= bound; bound *= 10) digits++;
    if (value < 0) this.#out[this.#length++] = MINUS;
    for (let index = this.#length + digits - 1; index >= this.#length; index--) {
      const next = Math.floor(rest / 10);
      this.#out[index] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.#length += digits;
  }

  #writeString(from: number, length: number): number {
    this.#reserve(length * ESCAPE_BYTES_MAX + SCALAR_BYTES_MAX);
    const source = this.#block.bytes;
    const out = this.#out;
    const end = from + length;
    let at = this.#length;
    out[at++] = QUOTE;
    for (let index = from; index < end; index++) {
      const byte = source[index] as number;
      if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
        out[at++] = byte;
        continue;
      }
      out[at++] = BACKSLASH;
      const short = SHORT_ESCAPES.get(byte);
      if (short !== undefined) {
        out[at++] = short;
        continue;
      }
      const hex = `u00${HEX[byte >> 4]}${HEX[byte & 15]}`;
      for (let digit = 0; digit < hex.length; digit++) out[at++] = hex.charCodeAt(digit);
    }
    out[at++] = QUOTE;
    this.#length = at;
    return end;
  }

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#out.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#out.length * 2));
    grown.set(this.#out.subarray(0, this.#length));
    this.#out = grown;
  }
}
