/** Row blocks → values; the layout is in `row-block.ts`. */
import { CaucusError } from '../errors.ts';
import { VALUE_DEPTH_MAX, VALUE_STRING_BYTES_MAX } from '../limits.ts';
import { Document, List } from './composite.ts';
import { DATETIME_MAX, DATETIME_MIN, DateTime } from './datetime.ts';
import { IpAddress, IpNetwork } from './ip.ts';
import type { IpVersion } from './ip.ts';
import type { RowBlock } from './row-block.ts';
import { compareStrings } from './string-order.ts';
import { isUtf8, textOf } from './utf8.ts';
import type { Value } from './value.ts';
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
  valueBytes,
} from './value-tags.ts';

/**
 * Reads values one after another; throws `invalid_row` with `details.byteOffset` where the bytes
 * are no block.
 */
export class RowBlockReader {
  readonly #block: RowBlock;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(block: RowBlock) {
    this.#block = block;
    this.#bytes = block.bytes;
    this.#view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  readValue(): Value {
    const at = this.#offset;
    this.#verifyValue();
    return this.#valueAt(at, this.#offset);
  }

  /** The verified value of bytes `at` to `end`. */
  #valueAt(at: number, end: number): Value {
    const tag = this.#bytes[at];
    switch (tag) {
      case TAG_NULL:
        return null;
      case TAG_FALSE:
        return false;
      case TAG_TRUE:
        return true;
      case TAG_INT32:
        return BigInt(this.#view.getInt32(at + 1, true));
      case TAG_INT64:
        return this.#view.getBigInt64(at + 1, true);
      case TAG_FLOAT:
        return this.#view.getFloat64(at + 1, true);
      case TAG_SHORT_STRING:
        return textOf(this.#bytes, at + 2, end);
      case TAG_STRING:
        return textOf(this.#bytes, at + 5, end);
      case TAG_DATETIME:
        return new DateTime(this.#view.getBigInt64(at + 1, true));
      case TAG_IP:
      case TAG_NETWORK: {
        const width = this.#bytes[at + 1] as number;
        const version: IpVersion = width === 4 ? 4 : 6;
        let bits = 0n;
        for (let index = at + 2; index < at + 2 + width; index++) {
          bits = (bits << 8n) | BigInt(this.#bytes[index] as number);
        }
        if (tag === TAG_IP) return new IpAddress(version, bits);
        return new IpNetwork(version, bits, this.#bytes[end - 1] as number);
      }
      default:
        return this.#nestedAt(at, end);
    }
  }

  #nestedAt(at: number, end: number): List | Document {
    const values: Value[] = [];
    for (let from = at + 5; from < end;) {
      const next = from + valueBytes(this.#bytes, from);
      values.push(this.#valueAt(from, next));
      from = next;
    }
    if (this.#bytes[at] === TAG_LIST) return new List(values);
    const entries: [string, Value][] = [];
    for (let index = 0; index < values.length; index += 2) {
      entries.push([values[index] as string, values[index + 1] as Value]);
    }
    return new Document(entries);
  }

  skipRow(): void {
    this.skipValues(this.#block.arity);
  }

  skipValues(count: number): void {
    for (let value = 0; value < count; value++) this.#verifyValue();
  }

  expectEnd(): void {
    if (this.#offset !== this.#bytes.length) this.#fail('bytes after the last row', this.#offset);
  }

  /** Verifies one value and steps over it. `levels`: of lists and documents that it may have. */
  #verifyValue(levels = VALUE_DEPTH_MAX): void {
    const at = this.#offset;
    const bytes = this.#bytes;
    if (at >= bytes.length) this.#fail('cut short', at);
    const tag = bytes[at];
    switch (tag) {
      case TAG_NULL:
      case TAG_FALSE:
      case TAG_TRUE:
        this.#offset = at + 1;
        return;
      case TAG_INT32:
        this.#advance(at, 5);
        return;
      case TAG_INT64: {
        this.#advance(at, 9);
        const low = this.#view.getInt32(at + 1, true);
        if (this.#view.getInt32(at + 5, true) === low >> 31)
          this.#fail('int is not in its short form', at);
        return;
      }
      case TAG_FLOAT: {
        this.#advance(at, 9);
        const value = this.#view.getFloat64(at + 1, true);
        if (!Number.isFinite(value)) this.#fail('float is not finite', at);
        if (Object.is(value, -0)) this.#fail('float is −0', at);
        return;
      }
      case TAG_SHORT_STRING: {
        if (at + 2 > bytes.length) this.#fail('cut short', at);
        return this.#verifyText(at, 2, bytes[at + 1] as number);
      }
      case TAG_STRING: {
        if (at + 5 > bytes.length) this.#fail('cut short', at);
        const length = this.#view.getUint32(at + 1, true);
        if (length <= SHORT_STRING_BYTES_MAX) this.#fail('string is not in its short form', at);
        return this.#verifyText(at, 5, length);
      }
      case TAG_DATETIME: {
        this.#advance(at, 9);
        const micros = this.#view.getBigInt64(at + 1, true);
        if (micros < DATETIME_MIN || micros > DATETIME_MAX)
          this.#fail('date-time beyond years', at);
        return;
      }
      case TAG_IP:
      case TAG_NETWORK:
        return this.#verifyAddress(at, tag === TAG_NETWORK);
      case TAG_LIST:
      case TAG_DOCUMENT:
        return this.#verifyNested(at, tag === TAG_DOCUMENT, levels);
      default:
        return this.#fail(`unknown tag ${tag}`, at);
    }
  }

  #verifyAddress(at: number, isNetwork: boolean): void {
    const bytes = this.#bytes;
    const width = bytes[at + 1];
    if (width !== 4 && width !== 16) return this.#fail('address of no known width', at);
    this.#advance(at, 2 + width + (isNetwork ? 1 : 0));
    if (!isNetwork) return;
    const prefix = bytes[at + 2 + width] as number;
    if (prefix > width * 8) this.#fail('prefix longer than its address', at);
    for (let index = 0; index < width; index++) {
      const kept = Math.min(8, Math.max(0, prefix - index * 8));
      if (((bytes[at + 2 + index] as number) & (0xff >> kept)) !== 0) {
        this.#fail('network with host bits', at);
      }
    }
  }

  #verifyNested(at: number, isDocument: boolean, levels: number): void {
    if (levels === 0) this.#fail(`more than ${VALUE_DEPTH_MAX} levels`, at);
    if (at + 5 > this.#bytes.length) this.#fail('cut short', at);
    const length = this.#view.getUint32(at + 1, true);
    if (length > VALUE_STRING_BYTES_MAX) this.#fail('list or document too long', at);
    this.#advance(at, 5 + length);
    const end = this.#offset;
    this.#offset = at + 5;
    let before: string | undefined;
    while (this.#offset < end) {
      if (isDocument) before = this.#verifyName(end, before);
      this.#verifyValue(levels - 1);
    }
    if (this.#offset !== end) this.#fail('value beyond the end of its list', at);
  }

  /** A name of a document, behind the one before it; the value must follow. */
  #verifyName(end: number, before: string | undefined): string {
    const at = this.#offset;
    const tag = this.#bytes[at];
    if (tag !== TAG_SHORT_STRING && tag !== TAG_STRING) this.#fail('name is no string', at);
    this.#verifyValue();
    if (this.#offset >= end) this.#fail('name without a value', at);
    const name = textOf(this.#bytes, at + (tag === TAG_STRING ? 5 : 2), this.#offset);
    if (before !== undefined && compareStrings(before, name) >= 0) {
      this.#fail('names out of order', at);
    }
    return name;
  }

  #verifyText(at: number, header: number, length: number): void {
    this.#advance(at, header + length);
    if (!isUtf8(this.#bytes, at + header, this.#offset)) this.#fail('string is not UTF-8', at);
  }

  #advance(at: number, length: number): void {
    if (at + length > this.#bytes.length) this.#fail('cut short', at);
    this.#offset = at + length;
  }

  #fail(what: string, byteOffset: number): never {
    throw new CaucusError('invalid_row', `row block: ${what} at byte ${byteOffset}`, {
      details: { byteOffset },
    });
  }
}
