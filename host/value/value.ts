/**
 * The values of the language, as the host holds them.
 *
 * `bigint` is a 64-bit signed integer and `number` is a finite float: the JavaScript type *is* the
 * language type, so 1n and 1 are different values (`1 ≠ 1.0`). −0, NaN and infinities are no
 * values.
 */
import { CaucusError } from '../errors.ts';

export type Value = null | boolean | bigint | number | string;
export type Row = readonly Value[];

export const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 63n - 1n;

/**
 * The total order: null < false < true < numbers by value (an int before an equal float) < strings
 * by UTF-8 bytes. Returns −1, 0 or 1; 0 only for identical values.
 */
export function compareValues(a: Value, b: Value): -1 | 0 | 1 {
  const rankA = typeRank(a);
  const rankB = typeRank(b);
  if (rankA !== rankB) return rankA < rankB ? -1 : 1;
  if (rankA === RANK_STRING) return compareStrings(a as string, b as string);
  if (rankA !== RANK_NUMBER) return 0;
  return compareNumbers(a as bigint | number, b as bigint | number);
}

/** Column by column; a row that is a prefix of another comes first. */
export function compareRows(a: Row, b: Row): -1 | 0 | 1 {
  const shared = Math.min(a.length, b.length);
  for (let column = 0; column < shared; column++) {
    const order = compareValues(a[column] as Value, b[column] as Value);
    if (order !== 0) return order;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

/**
 * By code point, which is the order of the UTF-8 bytes. Not JavaScript's `<`: that one compares
 * UTF-16 units.
 */
export function compareStrings(a: string, b: string): -1 | 0 | 1 {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const unitA = a.charCodeAt(index);
    const unitB = b.charCodeAt(index);
    if (unitA !== unitB) return byteOrderOfUnit(unitA) < byteOrderOfUnit(unitB) ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

/**
 * Numbers by value; where they are equal, the int comes first. JavaScript compares a bigint with a
 * number exactly (no rounding of 2^53 + 1), which is what is needed here.
 */
export function compareNumbers(a: bigint | number, b: bigint | number): -1 | 0 | 1 {
  if (a < b) return -1;
  if (a > b) return 1;
  if (typeof a === typeof b) return 0;
  return typeof a === 'bigint' ? -1 : 1;
}

/** −0 becomes 0. NaN and infinities are no values: throws `invalid_row`. */
export function normalizeFloat(value: number): number {
  if (!Number.isFinite(value)) {
    throw new CaucusError('invalid_row', `\`${value}\` is not a value`, {
      remedy: 'use a finite number, or null for a number that is not known',
    });
  }
  return value === 0 ? 0 : value;
}

/**
 * The shortest text that reads back as the same float; always with `.` or `e`, so never read as an
 * int.
 */
export function formatFloat(value: number): string {
  const text = String(normalizeFloat(value));
  const exponent = text.indexOf('e');
  if (exponent >= 0) return text.replace('e+', 'e');
  return text.includes('.') ? text : `${text}.0`;
}

/** As written in the policy language: `null`, `true`, `-1`, `1.0`, `"a\n"`. */
export function formatValue(value: Value): string {
  switch (typeof value) {
    case 'string':
      return formatString(value);
    case 'number':
      return formatFloat(value);
    case 'bigint':
      return value.toString();
    default:
      return String(value);
  }
}

/** False when a surrogate stands alone: such a string has no UTF-8 form and is no value. */
export function isWellFormed(text: string): boolean {
  // Node 20 has the method; the ES2023 library types do not.
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

const RANK_NUMBER = 3;
const RANK_STRING = 4;

function typeRank(value: Value): number {
  if (typeof value === 'string') return RANK_STRING;
  if (typeof value === 'boolean') return value ? 2 : 1;
  return value === null ? 0 : RANK_NUMBER;
}

/** Moves the surrogates (code points from 0x10000 on) behind the rest of the basic plane. */
function byteOrderOfUnit(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

// Control characters are the subject of this pattern.
const ESCAPED = /["\\\u0000-\u001f\u007f\u2028\u2029]/g;
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function formatString(text: string): string {
  const escaped = text.replace(ESCAPED, (character) => {
    const short = SHORT_ESCAPES[character];
    return short ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}
