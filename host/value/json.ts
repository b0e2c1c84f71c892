/**
 * Lossless JSON. A number without `.` or `e` is an int (`bigint`, 64 bits), any other a float
 * (`number`), in both directions: 1 and 1.0 stay what they were sent as. The platform's `JSON`
 * would round ints beyond 2^53, keep the last of two equal names, and cannot say where a text is
 * broken.
 *
 * `JsonReader` pulls from UTF-8 bytes, so that a body with a million rows becomes a row block
 * without an object in between.
 */
import { CaucusError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { JSON_DEPTH_MAX } from '../limits.ts';
import { Document, List } from './composite.ts';
import { DateTime } from './datetime.ts';
import { IpAddress, IpNetwork } from './ip.ts';
import type { RowBlockWriter } from './row-block.ts';
import { isUtf8, textOf } from './utf8.ts';
import { formatFloat, INT_MAX, INT_MIN, isWellFormed } from './value.ts';
import type { Value } from './value.ts';

/** Objects have no prototype, so `__proto__` is a name like any other. */
export type JsonObject = { readonly [name: string]: JsonValue };
export type JsonValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | readonly JsonValue[]
  | JsonObject;

export interface JsonLimits {
  /** Levels of nesting; default `JSON_DEPTH_MAX`. */
  readonly depthMax?: number;
}

export type JsonKind =
  | 'object'
  | 'array'
  | 'string'
  | 'number'
  | 'boolean'
  | 'null'
  | 'end'
  | 'other';

/**
 * One JSON text, nothing after it. Throws `invalid_request` with `details` `offset` (bytes), `line`
 * and `column` (characters), both from 1.
 */
export function parseJson(input: string | Uint8Array, limits: JsonLimits = {}): JsonValue {
  const reader = new JsonReader(typeof input === 'string' ? utf8Of(input) : input, limits);
  const value = reader.readValue();
  reader.expectEnd();
  return value;
}

/** Reads `[[…],…]` into the writer, nothing after it; see `JsonReader.readRows`. */
export function parseJsonRows(bytes: Uint8Array, writer: RowBlockWriter): void {
  const reader = new JsonReader(bytes);
  reader.readRows(writer);
  reader.expectEnd();
}

/** A piece of JSON text that `stringifyJson` copies as it is. */
export class RawJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type JsonInput =
  | Value
  | RawJson
  | readonly JsonInput[]
  | { readonly [name: string]: JsonInput | undefined };

/** The value that a JSON text means: an array is a list, an object a document. */
export function valueOfJson(json: JsonValue): Value {
  if (json === null || typeof json !== 'object') return json;
  if (isArray(json)) return new List(json.map(valueOfJson));
  return new Document(Object.entries(json).map(([name, member]) => [name, valueOfJson(member)]));
}

/**
 * Ints (`bigint`) as digits, every `number` as a float (`1.0`); lists and documents as arrays and
 * objects, addresses, networks and date-times as strings; members that are `undefined` are left
 * out.
 */
export function stringifyJson(value: JsonInput): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'number':
      return formatFloat(value);
    case 'string':
      return JSON.stringify(value);
    default:
  }
  if (value instanceof RawJson) return value.text;
  if (value instanceof List) return stringifyJson(value.items);
  if (value instanceof Document) return membersText(value.members);
  if (isPrinted(value)) return JSON.stringify(value.toString());
  if (isArray(value)) return `[${value.map(stringifyJson).join(',')}]`;
  return membersText(Object.entries(value));
}

function membersText(entries: Iterable<readonly [string, JsonInput | undefined]>): string {
  const members: string[] = [];
  for (const [name, member] of entries) {
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${stringifyJson(member)}`);
  }
  return `{${members.join(',')}}`;
}

/** What JSON has only as a string. */
function isPrinted(value: object): value is DateTime | IpAddress | IpNetwork {
  return value instanceof DateTime || value instanceof IpAddress || value instanceof IpNetwork;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const END = -1;
/** So many digits always fit a 32-bit int. */
const INT32_DIGITS_MAX = 9;

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, '\\'],
  [0x2f, '/'],
  [0x62, '\b'],
  [0x66, '\f'],
  [0x6e, '\n'],
  [0x72, '\r'],
  [0x74, '\t'],
]);

/** Pulls values out of a UTF-8 text from front to back. All errors carry the position. */
export class JsonReader {
  readonly #bytes: Uint8Array;
  readonly #depthMax: number;
  readonly #firstLine: number;
  #offset = 0;
  #depth = 0;

  /** `firstLine`: the number of the first line, for a text that is one line of a longer one. */
  constructor(bytes: Uint8Array, options: JsonLimits & { readonly firstLine?: number } = {}) {
    this.#bytes = bytes;
    this.#depthMax = options.depthMax ?? JSON_DEPTH_MAX;
    this.#firstLine = options.firstLine ?? 1;
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.#offset = 3;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** What comes next, without reading it. */
  peek(): JsonKind {
    const byte = this.#next();
    if (byte === MINUS || isDigit(byte)) return 'number';
    switch (byte) {
      case END:
        return 'end';
      case OPEN_BRACE:
        return 'object';
      case OPEN_BRACKET:
        return 'array';
      case QUOTE:
        return 'string';
      case 0x74:
      case 0x66:
        return 'boolean';
      case 0x6e:
        return 'null';
      default:
        return 'other';
    }
  }

  readValue(): JsonValue {
    switch (this.peek()) {
      case 'object': {
        const object = Object.create(null) as Record<string, JsonValue>;
        this.readObject((name) => {
          object[name] = this.readValue();
        });
        return object;
      }
      case 'array': {
        const items: JsonValue[] = [];
        this.readArray(() => items.push(this.readValue()));
        return items;
      }
      case 'string':
        return this.readString();
      case 'number':
        return this.#readNumber();
      case 'boolean':
        return this.#readWord(this.#next() === 0x74 ? 'true' : 'false') === 'true';
      case 'null':
        this.#readWord('null');
        return null;
      case 'end':
        return this.fail('the text ends where a value should stand', 'send the whole JSON text');
      default:
        return this.#unexpected('a value');
    }
  }

  /**
   * Calls `member` for each name; it must read exactly the member's value. Repeated names are
   * refused.
   */
  readObject(member: (name: string) => void): void {
    const names = new Set<string>();
    this.#open(OPEN_BRACE, 'an object');
    if (this.#next() !== CLOSE_BRACE) {
      for (;;) {
        if (this.#next() !== QUOTE) this.#unexpected('a name in double quotes');
        const at = this.#offset;
        const name = this.readString();
        if (names.has(name))
          this.fail(`the name \`${name}\` stands twice in one object`, 'keep one of them', at);
        names.add(name);
        if (this.#next() !== COLON) this.#unexpected('`:`');
        this.#offset++;
        member(name);
        if (!this.#another(CLOSE_BRACE, '`,` or `}`')) break;
      }
    }
    this.#close();
  }

  /** Calls `item` for each element; it must read exactly that. */
  readArray(item: (index: number) => void): void {
    this.#open(OPEN_BRACKET, 'an array');
    if (this.#next() !== CLOSE_BRACKET) {
      for (let index = 0; ; index++) {
        item(index);
        if (!this.#another(CLOSE_BRACKET, '`,` or `]`')) break;
      }
    }
    this.#close();
  }

  readString(): string {
    if (this.#next() !== QUOTE) this.#unexpected('a string in double quotes');
    const start = this.#offset + 1;
    const end = this.#plainStringEnd();
    if (end >= 0) return textOf(this.#bytes, start, end);
    return this.#readEscaped();
  }

  /**
   * Reads `[[…],…]`, arrays of values, as rows. Errors are `invalid_row` and carry also `rowIndex`
   * (in this array) and `columnIndex`. The writer holds the rows before the error.
   */
  readRows(writer: RowBlockWriter): void {
    this.readArray((rowIndex) => this.readRow(writer, rowIndex));
  }

  /** One row, `[…]`. */
  readRow(writer: RowBlockWriter, rowIndex = 0): void {
    if (this.#next() !== OPEN_BRACKET) {
      this.#failRow(this.#offset, rowIndex, undefined, 'a row is an array of values');
    }
    const start = this.#offset++;
    let columns = 0;
    if (this.#next() !== CLOSE_BRACKET) {
      for (;;) {
        this.#readCell(writer, rowIndex, columns++);
        if (!this.#another(CLOSE_BRACKET, '`,` or `]`')) break;
      }
    }
    this.#offset++;
    if (writer.arity >= 0 && columns !== writer.arity) {
      const wrong = `it has ${columns} ${columns === 1 ? 'value' : 'values'}, not ${writer.arity}`;
      this.#failRow(start, rowIndex, undefined, wrong);
    }
    writer.endRow();
  }

  /** Throws unless only white space is left. */
  expectEnd(): void {
    if (this.#next() !== END) this.#unexpected('the end of the text');
  }

  /** Throws `invalid_request` (or `code`) at `offset`, by default where the reader stands. */
  fail(
    message: string,
    remedy: string,
    offset = this.#offset,
    details: Record<string, unknown> = {},
    code: ErrorCode = 'invalid_request',
  ): never {
    const { line, column } = this.#position(offset);
    throw new CaucusError(code, `${message}, line ${line}, column ${column}`, {
      remedy,
      details: { offset, line, column, ...details },
    });
  }

  #readCell(writer: RowBlockWriter, rowIndex: number, columnIndex: number): void {
    const at = this.#skipSpace();
    const byte = at < this.#bytes.length ? (this.#bytes[at] as number) : END;
    try {
      if (byte === QUOTE) {
        const end = this.#plainStringEnd();
        if (end >= 0) writer.appendUtf8(this.#bytes, at + 1, end);
        else writer.appendString(this.#readEscaped());
      } else if (byte === MINUS || isDigit(byte)) {
        this.#readNumberInto(writer);
      } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
        writer.appendValue(valueOfJson(this.readValue()));
      } else {
        const value = this.readValue();
        if (value === null) writer.appendNull();
        else writer.appendBoolean(value === true);
      }
    } catch (error) {
      if (!(error instanceof CaucusError) || error.details['rowIndex'] !== undefined) throw error;
      const { offset } = error.details;
      const where = typeof offset === 'number' ? offset : at;
      this.#failRow(where, rowIndex, columnIndex, withoutPosition(error), error.remedy);
    }
  }

  #failRow(
    offset: number,
    rowIndex: number,
    columnIndex: number | undefined,
    what: string,
    remedy = 'send each row as an array with one value for each column',
  ): never {
    const place =
      columnIndex === undefined ? `row ${rowIndex}` : `row ${rowIndex}, column ${columnIndex}`;
    const details = columnIndex === undefined ? { rowIndex } : { rowIndex, columnIndex };
    this.fail(`${place}: ${what}`, remedy, offset, details, 'invalid_row');
  }

  #readNumberInto(writer: RowBlockWriter): void {
    const bytes = this.#bytes;
    let index = this.#offset;
    const negative = bytes[index] === MINUS;
    if (negative) index++;
    const digits = index;
    let value = 0;
    while (
      index < bytes.length &&
      isDigit(bytes[index] as number) &&
      index - digits <= INT32_DIGITS_MAX
    ) {
      value = value * 10 + (bytes[index++] as number) - ZERO;
    }
    const length = index - digits;
    const after = bytes[index] ?? END;
    const short =
      length > 0 && length <= INT32_DIGITS_MAX && (length === 1 || bytes[digits] !== ZERO);
    if (short && after !== DOT && (after | 0x20) !== 0x65) {
      this.#offset = index;
      writer.appendInt32(negative ? -value : value);
      return;
    }
    const number = this.#readNumber();
    if (typeof number === 'bigint') writer.appendInt(number);
    else writer.appendFloat(number);
  }

  #readNumber(): bigint | number {
    const start = this.#next() === END ? this.#bytes.length : this.#offset;
    let index = start;
    if (this.#bytes[index] === MINUS) index++;
    const first = index;
    index = this.#digitsEnd(index);
    if (this.#bytes[first] === ZERO && index > first + 1) {
      this.fail(
        'a number starts with a needless `0`',
        'write it without the zero, or as a string',
        start,
      );
    }
    let isFloat = false;
    if (this.#bytes[index] === DOT) {
      isFloat = true;
      index = this.#digitsEnd(index + 1);
    }
    if (((this.#bytes[index] ?? 0) | 0x20) === 0x65) {
      isFloat = true;
      const sign = this.#bytes[index + 1];
      index = this.#digitsEnd(index + (sign === 0x2b || sign === MINUS ? 2 : 1));
    }
    this.#offset = index;
    return this.#numberOf(textOf(this.#bytes, start, index), isFloat, start);
  }

  #numberOf(text: string, isFloat: boolean, start: number): bigint | number {
    if (isFloat) {
      const float = Number(text);
      if (Number.isFinite(float)) return float === 0 ? 0 : float;
      return this.fail(
        `\`${shorten(text)}\` is beyond the range of floats`,
        'send it as a string',
        start,
      );
    }
    // 20 characters hold every 64-bit int; converting more digits than that would only cost time.
    const int = text.length <= 20 ? BigInt(text) : INT_MAX + 1n;
    if (int >= INT_MIN && int <= INT_MAX) return int;
    const remedy = 'send it as a string, or with a `.` as a float';
    return this.fail(`\`${shorten(text)}\` does not fit 64 bits`, remedy, start);
  }

  #digitsEnd(from: number): number {
    let index = from;
    while (isDigit(this.#bytes[index] ?? END)) index++;
    if (index === from) {
      this.#offset = from;
      this.#unexpected('a digit');
    }
    return index;
  }

  /**
   * At a quote: steps over the string and returns its end if it has no escape; else −1, not moved.
   */
  #plainStringEnd(): number {
    const bytes = this.#bytes;
    const start = this.#offset + 1;
    let index = start;
    let seen = 0;
    while (index < bytes.length) {
      const byte = bytes[index] as number;
      if (byte === QUOTE) {
        if (seen >= 0x80) this.#checkUtf8(start, index);
        this.#offset = index + 1;
        return index;
      }
      if (byte === BACKSLASH) return -1;
      if (byte < 0x20) this.#failControl(index, byte);
      seen |= byte;
      index++;
    }
    return this.fail('a string does not end', 'close it with a double quote', this.#offset);
  }

  /** At the quote of a string that holds an escape. */
  #readEscaped(): string {
    const bytes = this.#bytes;
    const open = this.#offset;
    let text = '';
    let from = open + 1;
    for (let index = from; index < bytes.length; index++) {
      const byte = bytes[index] as number;
      if (byte < 0x20) this.#failControl(index, byte);
      if (byte !== QUOTE && byte !== BACKSLASH) continue;
      this.#checkUtf8(from, index);
      text += textOf(bytes, from, index);
      if (byte === QUOTE) {
        this.#offset = index + 1;
        if (isWellFormed(text)) return text;
        return this.fail(
          'a string holds half of a surrogate pair',
          'send both halves or none',
          open,
        );
      }
      const escape = bytes[++index] ?? END;
      text += escape === 0x75 ? this.#readHex(index + 1) : this.#shortEscape(index, escape);
      if (escape === 0x75) index += 4;
      from = index + 1;
    }
    return this.fail('a string does not end', 'close it with a double quote', open);
  }

  #shortEscape(index: number, escape: number): string {
    const character = ESCAPES.get(escape);
    if (character !== undefined) return character;
    const remedy = 'JSON knows \\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hex digits';
    return this.fail('a string has an unknown escape', remedy, index - 1);
  }

  #readHex(from: number): string {
    const digits = String.fromCharCode(...this.#bytes.subarray(from, from + 4));
    if (/^[0-9a-fA-F]{4}$/.test(digits)) return String.fromCharCode(Number.parseInt(digits, 16));
    return this.fail('an escape `\\u` needs four hex digits', 'write \\u0041 for `A`', from - 2);
  }

  #checkUtf8(from: number, to: number): void {
    if (!isUtf8(this.#bytes, from, to))
      this.fail('a string is not valid UTF-8', 'send text in UTF-8', from);
  }

  #failControl(index: number, byte: number): never {
    const escape = `\\u${byte.toString(16).padStart(4, '0')}`;
    return this.fail('a string holds a bare control character', `write it as ${escape}`, index);
  }

  #readWord(word: string): string {
    const start = this.#offset;
    for (let index = 0; index < word.length; index++) {
      if (this.#bytes[start + index] !== word.charCodeAt(index)) this.#unexpected('a value');
    }
    this.#offset = start + word.length;
    return word;
  }

  #open(byte: number, what: string): void {
    if (this.#next() !== byte) this.#unexpected(what);
    if (++this.#depth > this.#depthMax) {
      this.fail(`more than ${this.#depthMax} levels of nesting`, 'send a flatter value');
    }
    this.#offset++;
  }

  #close(): void {
    this.#depth--;
    this.#offset++;
  }

  /** After an element: true behind a comma, false in front of the closing byte. */
  #another(close: number, expected: string): boolean {
    const byte = this.#next();
    if (byte === close) return false;
    if (byte !== COMMA) this.#unexpected(expected);
    this.#offset++;
    if (this.#next() === close)
      this.fail('a comma stands in front of the end', 'remove it', this.#offset);
    return true;
  }

  #next(): number {
    const at = this.#skipSpace();
    return at < this.#bytes.length ? (this.#bytes[at] as number) : END;
  }

  #skipSpace(): number {
    const bytes = this.#bytes;
    let at = this.#offset;
    while (at < bytes.length) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
      at++;
    }
    this.#offset = at;
    return at;
  }

  #unexpected(expected: string): never {
    if (this.#offset >= this.#bytes.length) {
      return this.fail(`the text ends where ${expected} should stand`, 'send the whole JSON text');
    }
    const character = characterAt(this.#bytes, this.#offset);
    return this.fail(
      `\`${character}\` stands where ${expected} should stand`,
      `write ${expected} here`,
    );
  }

  #position(offset: number): { line: number; column: number } {
    let line = this.#firstLine;
    let column = 1;
    for (let index = 0; index < offset; index++) {
      const byte = this.#bytes[index] as number;
      if (byte === 0x0a) {
        line++;
        column = 1;
      } else if ((byte & 0xc0) !== 0x80) {
        column++;
      }
    }
    return { line, column };
  }
}

function isArray(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}

/** The message of an error of this file, of which a longer one with the same position is made. */
function withoutPosition(error: CaucusError): string {
  return error.message.replace(/, line \d+, column \d+$/, '');
}

function characterAt(bytes: Uint8Array, offset: number): string {
  let end = offset + 1;
  while (end < bytes.length && ((bytes[end] as number) & 0xc0) === 0x80) end++;
  return isUtf8(bytes, offset, end) ? textOf(bytes, offset, end) : `byte ${bytes[offset]}`;
}

function utf8Of(text: string): Uint8Array {
  if (isWellFormed(text)) return new TextEncoder().encode(text);
  throw new CaucusError('invalid_request', 'the text holds half of a surrogate pair', {
    remedy: 'send valid Unicode text',
  });
}
