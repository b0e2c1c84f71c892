/**
 * Fields of tab-separated lines → values of a row block. One byte loop a line; strings without
 * escapes are copied as they are.
 *
 *   field        declared type       value
 *   `\N`         any                 null
 *   digits       int                 int, `-?(0|[1-9][0-9]*)`, not `-0`, within 64 bits
 *   decimal      float               float; a whole number is one too
 *   true false   bool                boolean
 *   its text     ip, network, datetime, list, document, json   that value; JSON has its own escapes
 *   anything     string              string; `\t \n \r \\` are escapes, empty is the empty string
 *   anything     any or undeclared   int where it has the form of one, else string
 */
import type { Column } from '../compiler/stratified.ts';
import { VALUE_STRING_BYTES_MAX } from '../limits.ts';
import { isTextType, TEXT_FORMS, valueOfText } from '../value/column-type.ts';
import type { ColumnType, TextType } from '../value/column-type.ts';
import { RowBlockWriter } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { INT_MAX, INT_MIN } from '../value/value.ts';
import { codePointCount } from './line-reader.ts';
import type { Problem } from './problem.ts';

const TAB = 0x09;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
/** Integers of so many digits are exact as JavaScript numbers. */
const SAFE_DIGITS = 15;
/** Longest part of a field that an error repeats, in code points. */
const QUOTED_MAX = 40;

export interface TableShape {
  /** As people write it: `servers`, `nova:servers`. */
  readonly name: string;
  readonly arity: number;
  readonly columns?: readonly Column[];
}

/** What is wrong with a line, without the file's name. */
export type OnProblem = (problem: Problem) => void;

export class FieldReader {
  private readonly types: readonly ColumnType[];
  private readonly shape: TableShape;
  private rows: RowBlockWriter;
  private readonly onProblem: OnProblem;
  private scratch = Buffer.allocUnsafe(256);

  constructor(shape: TableShape, onProblem: OnProblem) {
    this.shape = shape;
    this.rows = new RowBlockWriter(shape.arity);
    this.onProblem = onProblem;
    this.types = Array.from({ length: shape.arity }, (_, i) => shape.columns?.[i]?.type ?? 'any');
  }

  get rowCount(): number {
    return this.rows.count;
  }

  get byteLength(): number {
    return this.rows.byteLength;
  }

  /** The rows read since the last call. */
  take(): RowBlock {
    const block = this.rows.finish();
    this.rows = new RowBlockWriter(this.shape.arity);
    return block;
  }

  /**
   * Appends the row of `bytes[start, end)`, whose fields begin at `start`. Where it is wrong the
   * problem is reported and the rows read so far are dropped: whoever reports gives up the file,
   * and reads on only to find more problems. `lineStart` is for positions.
   */
  read(bytes: Buffer, start: number, end: number, line: number, lineStart = start): boolean {
    const ok = this.fields(bytes, start, end, line, lineStart);
    if (ok) this.rows.endRow();
    else this.rows = new RowBlockWriter(this.shape.arity);
    return ok;
  }

  private fields(
    bytes: Buffer,
    start: number,
    end: number,
    line: number,
    lineStart: number,
  ): boolean {
    const { arity } = this.shape;
    const at: Place = { bytes, line, lineStart, lineEnd: end };
    if (arity === 0) {
      if (start === end) return true;
      this.wrongCount(at, start, countFields(bytes, start, end));
      return false;
    }
    let ok = true;
    let column = 0;
    let fieldStart = start;
    for (;;) {
      let fieldEnd = fieldStart;
      let escaped = false;
      while (fieldEnd < end) {
        const byte = bytes[fieldEnd];
        if (byte === TAB) break;
        if (byte === BACKSLASH) escaped = true;
        fieldEnd++;
      }
      if (column === arity || (fieldEnd === end && column < arity - 1)) {
        const place = column === arity ? fieldStart : fieldEnd;
        this.wrongCount(at, place, countFields(bytes, start, end));
        return false;
      }
      if (!this.field(at, column, fieldStart, fieldEnd, escaped)) ok = false;
      column++;
      if (fieldEnd === end) return ok;
      fieldStart = fieldEnd + 1;
    }
  }

  private field(at: Place, column: number, start: number, end: number, escaped: boolean): boolean {
    const { bytes } = at;
    if (escaped && end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === 0x4e) {
      this.rows.appendNull();
      return true;
    }
    if (end - start > VALUE_STRING_BYTES_MAX) {
      const message = `the field has ${end - start} bytes, at most ${VALUE_STRING_BYTES_MAX} are allowed`;
      this.report(at, 'limit-exceeded', message, start, start, 'split the text over rows');
      return false;
    }
    const type = this.types[column] as ColumnType;
    if (isTextType(type)) return this.textValue(at, column, start, end, type);
    switch (type) {
      case 'string':
        return escaped ? this.escapedString(at, start, end) : this.plainString(bytes, start, end);
      case 'any':
        if (escaped) return this.escapedString(at, start, end);
        return this.int(bytes, start, end) || this.plainString(bytes, start, end);
      case 'int':
        return this.int(bytes, start, end) || this.misfit(at, column, start, end, type);
      case 'float':
        return this.float(bytes, start, end) || this.misfit(at, column, start, end, type);
      case 'bool':
        return this.bool(bytes, start, end) || this.misfit(at, column, start, end, type);
    }
  }

  /** Not unescaped: JSON has escapes of its own, and the other texts need none. */
  private textValue(
    at: Place,
    column: number,
    start: number,
    end: number,
    type: TextType,
  ): boolean {
    const value = valueOfText(at.bytes.toString('utf8', start, end), type);
    if (value === undefined) return this.misfit(at, column, start, end, type);
    this.rows.appendValue(value);
    return true;
  }

  private plainString(bytes: Buffer, start: number, end: number): true {
    this.rows.appendUtf8(bytes, start, end);
    return true;
  }

  private escapedString(at: Place, start: number, end: number): boolean {
    const { bytes } = at;
    if (this.scratch.length < end - start) this.scratch = Buffer.allocUnsafe((end - start) * 2);
    let length = 0;
    for (let i = start; i < end; i++) {
      let byte = bytes[i] as number;
      if (byte === BACKSLASH) {
        const escape = i + 1 < end ? unescaped(bytes[i + 1] as number) : -1;
        if (escape < 0) {
          this.badEscape(at, i, end);
          return false;
        }
        byte = escape;
        i++;
      }
      this.scratch[length++] = byte;
    }
    this.rows.appendUtf8(this.scratch, 0, length);
    return true;
  }

  private int(bytes: Buffer, start: number, end: number): boolean {
    const negative = bytes[start] === MINUS && start < end;
    const first = negative ? start + 1 : start;
    const digits = end - first;
    if (digits <= 0 || digits > 19) return false;
    const lead = bytes[first] as number;
    if (lead === ZERO && (digits > 1 || negative)) return false;
    let value = 0;
    for (let i = first; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte < ZERO || byte > NINE) return false;
      value = value * 10 + (byte - ZERO);
    }
    if (digits <= SAFE_DIGITS) {
      const signed = negative ? -value : value;
      if (signed === (signed | 0)) this.rows.appendInt32(signed);
      else this.rows.appendInt(BigInt(signed));
      return true;
    }
    const exact = BigInt(bytes.toString('latin1', start, end));
    if (exact < INT_MIN || exact > INT_MAX) return false;
    this.rows.appendInt(exact);
    return true;
  }

  private float(bytes: Buffer, start: number, end: number): boolean {
    const text = bytes.toString('latin1', start, end);
    if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return false;
    const value = Number(text);
    if (!Number.isFinite(value)) return false;
    this.rows.appendFloat(value);
    return true;
  }

  private bool(bytes: Buffer, start: number, end: number): boolean {
    const text = end - start <= 5 ? bytes.toString('latin1', start, end) : '';
    if (text !== 'true' && text !== 'false') return false;
    this.rows.appendBoolean(text === 'true');
    return true;
  }

  private misfit(at: Place, column: number, start: number, end: number, type: ColumnType): false {
    const name = this.shape.columns?.[column]?.name;
    const where = `column ${column + 1}${name === undefined ? '' : ` (\`${name}\`)`}`;
    const message = `${quoted(at.bytes, start, end)} is no ${type}; ${where} of \`${this.shape.name}\` is declared ${type}`;
    this.report(at, 'invalid-field', message, start, end, NOTES[type]);
    return false;
  }

  private wrongCount(at: Place, position: number, found: number): void {
    const { name, arity } = this.shape;
    const expected = arity === 1 ? '1 field' : `${arity} fields`;
    const message = `\`${name}\` has ${expected}, this line has ${found}`;
    const note = 'fields are separated by one tab each; a tab inside a string is written `\\t`';
    this.report(at, 'wrong-field-count', message, position, at.lineEnd, note);
  }

  private badEscape(at: Place, position: number, end: number): void {
    const next = Math.min(end, position + 1 + characterBytes(at.bytes, position + 1, end));
    const alone = position + 1 >= end;
    const text = at.bytes.toString('utf8', position, next);
    const message = alone
      ? 'a `\\` at the end of a field escapes nothing'
      : `\`${text}\` is no escape`;
    const note =
      'escapes are `\\t`, `\\n`, `\\r` and `\\\\`; `\\N` alone in a field is null; write a backslash as `\\\\`';
    this.report(at, 'unknown-escape', message, position, next, note);
  }

  private report(
    at: Place,
    code: string,
    message: string,
    start: number,
    end: number,
    note: string | undefined,
  ): void {
    this.onProblem({
      severity: 'error',
      code,
      message,
      line: at.line,
      column: codePointCount(at.bytes, at.lineStart, start) + 1,
      length: Math.max(1, codePointCount(at.bytes, start, end)),
      ...excerptOf(at),
      ...(note === undefined ? {} : { note }),
    });
  }
}

/** Longer lines are not shown. */
const EXCERPT_BYTES_MAX = 1 << 20;

function excerptOf(at: Place): { excerpt?: string } {
  if (at.lineEnd - at.lineStart > EXCERPT_BYTES_MAX) return {};
  return { excerpt: at.bytes.toString('utf8', at.lineStart, at.lineEnd) };
}

interface Place {
  readonly bytes: Buffer;
  readonly line: number;
  readonly lineStart: number;
  readonly lineEnd: number;
}

const NOTES: Partial<Record<ColumnType, string>> = {
  int: 'an int is written in decimal digits, without leading zeros, and fits 64 bits',
  float: 'a float is a finite decimal number such as `1.5`, `2` or `1e-3`',
  bool: 'a bool is `true` or `false`',
  ...TEXT_FORMS,
};

function unescaped(byte: number): number {
  switch (byte) {
    case 0x74:
      return 0x09;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case BACKSLASH:
      return BACKSLASH;
    default:
      return -1;
  }
}

function countFields(bytes: Buffer, start: number, end: number): number {
  let count = 1;
  for (let i = start; i < end; i++) if (bytes[i] === TAB) count++;
  return count;
}

function characterBytes(bytes: Buffer, start: number, end: number): number {
  let length = 1;
  while (start + length < end && ((bytes[start + length] as number) & 0xc0) === 0x80) length++;
  return length;
}

/** A field in backticks, cut where it is long. */
function quoted(bytes: Buffer, start: number, end: number): string {
  const points = [...bytes.toString('utf8', start, Math.min(end, start + QUOTED_MAX * 4))];
  const cut = points.length > QUOTED_MAX;
  return `\`${points.slice(0, QUOTED_MAX).join('')}${cut ? '…' : ''}\``;
}
