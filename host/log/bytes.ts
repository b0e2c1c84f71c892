/**
 * Little-endian fields one after another: what record payloads are made of.
 *
 *   u8 u16 u32    unsigned
 *   u64           unsigned, at most 2^53 − 1, so that it is exact as a JavaScript number
 *   text          u32 byte length, UTF-8
 *   raw           bytes, their length known from elsewhere
 */
import { isUtf8, textOf } from '../value/utf8.ts';

const encoder = new TextEncoder();

export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** `capacity`: expected size in bytes; it grows when that is passed. */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#assert(value, 0xff);
    const at = this.#take(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    this.#assert(value, 0xffff);
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    this.#assert(value, 0xffff_ffff);
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    this.#assert(value, Number.MAX_SAFE_INTEGER);
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  text(value: string): void {
    const bytes = encoder.encode(value);
    this.u32(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Overwrites four bytes written before. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** The bytes written; they stay the writer's own. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Comes before the view is looked at: growing replaces it. */
  #take(length: number): number {
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return at;
  }

  #assert(value: number, max: number): void {
    if (Number.isInteger(value) && value >= 0 && value <= max) return;
    throw new Error(`ByteWriter: ${value} is no integer from 0 to ${max}`);
  }
}

/** Throws `BrokenBytes` where the bytes are not what they should be. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.fail('number beyond 2^53');
    return Number(value);
  }

  text(): string {
    const length = this.u32();
    const at = this.#take(length);
    if (!isUtf8(this.#bytes, at, this.#offset)) this.fail('text is not UTF-8');
    return textOf(this.#bytes, at, this.#offset);
  }

  /** A view, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  expectEnd(): void {
    if (this.#offset !== this.#bytes.length) this.fail('bytes after the end');
  }

  fail(what: string): never {
    throw new BrokenBytes(what, this.#offset);
  }

  /** Comes before the view is looked at: growing replaces it. */
  #take(length: number): number {
    const at = this.#offset;
    if (length > this.#bytes.length - at) this.fail('cut short');
    this.#offset = at + length;
    return at;
  }
}

export class BrokenBytes extends Error {
  readonly byteOffset: number;

  constructor(what: string, byteOffset: number) {
    super(what);
    this.name = 'BrokenBytes';
    this.byteOffset = byteOffset;
  }
}
