/**
 * The fields of Kafka's protocol: big-endian, with strings, arrays and variable-length integers.
 * Requests of "flexible" versions use the `compact` forms and end each structure with tags.
 *
 * The writer is for what is small: a request without its records. Reading throws `BrokenWire` at
 * the end of the bytes.
 */

/** Bytes that are no answer to what was asked. */
export class BrokenWire extends Error {
  constructor(what: string) {
    super(`broken bytes from the broker: ${what}`);
    this.name = 'BrokenWire';
  }
}

/** A topic's id, 16 bytes, as hex. */
export type TopicId = string;

export class WireWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  i8(value: number): this {
    const at = this.#take(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }

  bool(value: boolean): this {
    return this.i8(value ? 1 : 0);
  }

  i16(value: number): this {
    const at = this.#take(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  i32(value: number): this {
    const at = this.#take(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  i64(value: number): this {
    const at = this.#take(8);
    this.#bytes.writeBigInt64BE(BigInt(value), at);
    return this;
  }

  uvarint(value: number): this {
    let rest = value;
    while (rest >= 0x80) {
      this.#u8((rest % 0x80) + 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.#u8(rest);
  }

  string(value: string | null): this {
    if (value === null) return this.i16(-1);
    this.i16(Buffer.byteLength(value));
    return this.#text(value);
  }

  compactString(value: string | null): this {
    if (value === null) return this.uvarint(0);
    this.uvarint(Buffer.byteLength(value) + 1);
    return this.#text(value);
  }

  topicId(id: TopicId): this {
    const at = this.#take(16);
    this.#bytes.write(id, at, 'hex');
    return this;
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.i32(items.length);
    items.forEach(write);
    return this;
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1);
    items.forEach(write);
    return this;
  }

  /** No tags: the end of a structure. */
  tags(): this {
    return this.uvarint(0);
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #u8(value: number): this {
    const at = this.#take(1);
    this.#bytes[at] = value;
    return this;
  }

  #text(value: string): this {
    const length = Buffer.byteLength(value);
    const at = this.#take(length);
    this.#bytes.write(value, at, 'utf8');
    return this;
  }

  /** Room for so many bytes; `#bytes` may be another buffer afterwards. */
  #take(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    return at;
  }
}

export class WireReader {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  i8(): number {
    return this.bytes.readInt8(this.#take(1));
  }

  bool(): boolean {
    return this.i8() !== 0;
  }

  i16(): number {
    return this.bytes.readInt16BE(this.#take(2));
  }

  i32(): number {
    return this.bytes.readInt32BE(this.#take(4));
  }

  u32(): number {
    return this.bytes.readUInt32BE(this.#take(4));
  }

  /** Offsets, times and ids; exact up to 2^53 − 1, above it is broken. */
  i64(): number {
    const at = this.#take(8);
    const value = this.bytes.readInt32BE(at) * 0x1_0000_0000 + this.bytes.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new BrokenWire(`the integer ${value}`);
    return value;
  }

  uvarint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 42; scale *= 0x80) {
      const byte = this.bytes[this.#take(1)] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new BrokenWire('an integer of more than seven bytes');
  }

  /** Zigzag: 0, −1, 1, −2 … are 0, 1, 2, 3 … */
  varint(): number {
    const value = this.uvarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  string(): string | null {
    const length = this.i16();
    return length < 0 ? null : this.#text(length);
  }

  compactString(): string | null {
    const length = this.uvarint();
    return length === 0 ? null : this.#text(length - 1);
  }

  topicId(): TopicId {
    return this.raw(16).toString('hex');
  }

  /** A view, not a copy. */
  raw(length: number): Buffer {
    if (length < 0) throw new BrokenWire(`the length ${length}`);
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  array<T>(read: () => T): T[] {
    return this.#items(this.i32(), read);
  }

  compactArray<T>(read: () => T): T[] {
    return this.#items(this.uvarint() - 1, read);
  }

  /** The tagged fields at the end of a structure; unknown ones are passed over. */
  tags(known?: (tag: number, field: WireReader) => void): void {
    for (let count = this.uvarint(); count > 0; count--) {
      const tag = this.uvarint();
      const length = this.uvarint();
      const at = this.#take(length);
      known?.(tag, new WireReader(this.bytes, at, at + length));
    }
  }

  /** A null array, of length −1, is empty. An item has at least one byte. */
  #items<T>(count: number, read: () => T): T[] {
    if (count > this.left) throw new BrokenWire(`${count} items in ${this.left} bytes`);
    const items: T[] = [];
    for (let index = 0; index < count; index++) items.push(read());
    return items;
  }

  #text(length: number): string {
    return this.raw(length).toString('utf8');
  }

  #take(length: number): number {
    const at = this.at;
    if (at + length > this.end) throw new BrokenWire(`${length} bytes wanted, ${this.left} there`);
    this.at = at + length;
    return at;
  }
}

/** Bytes of a variable-length zigzag integer that is not negative. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value * 2; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes one, and says where it ends. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value * 2;
  while (rest >= 0x80) {
    bytes[end++] = (rest % 0x80) + 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[end++] = rest;
  return end;
}
