/**
 * The values of the language, as the host holds them.
 *
 * `bigint` is a 64-bit signed integer and `number` is a finite float: the JavaScript type *is* the
 * language type, so 1n and 1 are different values (`1 ≠ 1.0`). −0, NaN and infinities are no
 * values. The other kinds are immutable objects: two of them with equal content are one value, so
 * values are compared with `sameValue`, never with `===`.
 */
import { CaucusError } from '../errors.ts';
import { Document, List } from './composite.ts';
import { DateTime } from './datetime.ts';
import { IpAddress, IpNetwork } from './ip.ts';
import { compareStrings } from './string-order.ts';

export type Scalar = null | boolean | bigint | number | string;
export type Value = Scalar | DateTime | IpAddress | IpNetwork | List | Document;
export type Row = readonly Value[];

export const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 63n - 1n;

/**
 * The total order: null < false < true < numbers by value (an int before an equal float) < strings
 * by UTF-8 bytes < date-times < addresses (4 before 6) < networks (by first address, then the
 * shorter prefix) < lists (by the first item that differs, then the shorter) < documents (by name,
 * then value, of the first member that differs, then the one with fewer). Returns −1, 0 or 1; 0
 * only for identical values.
 */
export function compareValues(a: Value, b: Value): -1 | 0 | 1 {
  const rankA = typeRank(a);
  const rankB = typeRank(b);
  if (rankA !== rankB) return rankA < rankB ? -1 : 1;
  switch (rankA) {
    case RANK_NUMBER:
      return compareNumbers(a as bigint | number, b as bigint | number);
    case RANK_STRING:
      return compareStrings(a as string, b as string);
    default:
      return typeof a === 'object' && a !== null && a !== b ? compareObjects(a, b) : 0;
  }
}

/** Identity of type and value. */
export function sameValue(a: Value, b: Value): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && compareValues(a, b) === 0);
}

/** Equal keys, equal values; for maps and sets. No key is the beginning of another one. */
export function valueKey(value: Value): string {
  switch (typeof value) {
    case 'string':
      return `s${value.length}:${value};`;
    case 'bigint':
      return `i${value};`;
    case 'number':
      return `f${value};`;
    default:
      return `${formatValue(value)};`;
  }
}

function compareObjects(a: Exclude<Value, Scalar>, b: Value): -1 | 0 | 1 {
  if (a instanceof List && b instanceof List) return compareRows(a.items, b.items);
  if (a instanceof Document && b instanceof Document) {
    return compareRows([...a.members].flat(), [...b.members].flat());
  }
  if (a instanceof DateTime && b instanceof DateTime) return sign(a.micros, b.micros);
  if (a instanceof IpAddress && b instanceof IpAddress) {
    return sign(a.version, b.version) || sign(a.bits, b.bits);
  }
  if (a instanceof IpNetwork && b instanceof IpNetwork) {
    return sign(a.version, b.version) || sign(a.bits, b.bits) || sign(a.prefix, b.prefix);
  }
  throw new Error('values of one rank are of one kind');
}

function sign<T extends bigint | number>(a: T, b: T): -1 | 0 | 1 {
  return a < b ? -1 : a > b ? 1 : 0;
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

/**
 * As written in the policy language: `null`, `true`, `-1`, `1.0`, `"a\n"`, `[1, 2]`, `{"a": 1}`,
 * `ip("10.0.0.1")`, `network("10.0.0.0/8")`, `datetime("2031-05-01T00:00:00Z")`.
 */
export function formatValue(value: Value): string {
  switch (typeof value) {
    case 'string':
      return formatString(value);
    case 'number':
      return formatFloat(value);
    case 'bigint':
      return value.toString();
    case 'boolean':
      return String(value);
    default:
      return value === null ? 'null' : formatObject(value);
  }
}

function formatObject(value: Exclude<Value, Scalar>): string {
  if (value instanceof List) return `[${value.items.map(formatValue).join(', ')}]`;
  if (value instanceof Document) {
    const members = [...value.members].map(
      ([name, member]) => `${formatString(name)}: ${formatValue(member)}`,
    );
    return `{${members.join(', ')}}`;
  }
  return `${kindOf(value)}("${value.toString()}")`;
}

export type ValueKind =
  | 'null'
  | 'bool'
  | 'int'
  | 'float'
  | 'string'
  | 'datetime'
  | 'ip'
  | 'network'
  | 'list'
  | 'document';

export function kindOf(value: Value): ValueKind {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    case 'boolean':
      return 'bool';
    default:
  }
  if (value === null) return 'null';
  if (value instanceof List) return 'list';
  if (value instanceof Document) return 'document';
  if (value instanceof DateTime) return 'datetime';
  return value instanceof IpAddress ? 'ip' : 'network';
}

/** False when a surrogate stands alone: such a string has no UTF-8 form and is no value. */
export function isWellFormed(text: string): boolean {
  // Node 20 has the method; the ES2023 library types do not.
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

const RANK_NUMBER = 3;
const RANK_STRING = 4;
const OBJECT_RANKS = { datetime: 5, ip: 6, network: 7, list: 8, document: 9 } as const;

function typeRank(value: Value): number {
  if (typeof value === 'string') return RANK_STRING;
  if (typeof value === 'boolean') return value ? 2 : 1;
  if (typeof value !== 'object') return RANK_NUMBER;
  if (value === null) return 0;
  return OBJECT_RANKS[kindOf(value) as keyof typeof OBJECT_RANKS];
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
