/**
 * Functions over strings. Lengths and positions are in code points, from 0. Case is Unicode's
 * simple mapping (`case-table.ts`); blanks are the ASCII ones.
 */
import { List } from '../value/composite.ts';
import { toLower, toUpper } from './case-table.ts';
import { FUNCTION_BYTES_MAX } from '../limits.ts';
import { compareStrings } from '../value/string-order.ts';
import { gives, group, TEST } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { ANY, INT, LIST, TEXT, TEXT_OR_LIST } from './kinds.ts';
import { sameValue } from '../value/value.ts';

const define = group('strings');
const BLANKS = ' \t\n\r\f\v';

export const STRING_FUNCTIONS: readonly FunctionDefinition[] = [
  define('lower(s)', gives('string'), 'every letter as its small one', [TEXT], (s) =>
    mapped(s, toLower),
  ),
  define('upper(s)', gives('string'), 'every letter as its capital', [TEXT], (s) =>
    mapped(s, toUpper),
  ),
  define('trim(s)', gives('string'), 'without blanks at both ends', [TEXT], (s) =>
    s.slice(blankEnd(s), blankStart(s)),
  ),
  define('trim_start(s)', gives('string'), 'without blanks at the start', [TEXT], (s) =>
    s.slice(blankEnd(s)),
  ),
  define('trim_end(s)', gives('string'), 'without blanks at the end', [TEXT], (s) =>
    s.slice(0, blankStart(s)),
  ),
  define(
    'substring(s, start, count?)',
    gives('string'),
    '`count` characters from `start`, or all from there; fewer where the string ends; a negative ' +
      'number fails',
    [TEXT, INT, INT],
    (s: string, start: bigint, count?: bigint) => {
      if (start < 0n || (count !== undefined && count < 0n)) return undefined;
      const points = [...s];
      const from = Math.min(Number(start), points.length);
      return points.slice(from, count === undefined ? undefined : from + Number(count)).join('');
    },
  ),
  define(
    'split(s, separator)',
    gives('list'),
    'the parts between the separators; an empty separator gives the characters',
    [TEXT, TEXT],
    (s, separator) => new List(separator === '' ? [...s] : s.split(separator)),
  ),
  define(
    'join(parts, separator)',
    gives('string'),
    'the strings of a list with the separator between them; anything else in the list fails',
    [LIST, TEXT],
    (parts, separator) => {
      if (!parts.items.every((one) => typeof one === 'string')) return undefined;
      return bounded(parts.items.join(separator));
    },
  ),
  define(
    'replace(s, part, other)',
    gives('string'),
    '`other` for every `part`, from left to right; an empty `part` fails',
    [TEXT, TEXT, TEXT],
    (s, part, other) => {
      if (part === '') return undefined;
      const parts = s.split(part);
      if (s.length + (parts.length - 1) * other.length > FUNCTION_BYTES_MAX) return undefined;
      return parts.join(other);
    },
  ),
  define(
    'repeat(s, count)',
    gives('string'),
    'the string so many times; a negative count fails',
    [TEXT, INT],
    (s, count) => {
      if (count < 0n || count * BigInt(s.length) > FUNCTION_BYTES_MAX) return undefined;
      return s === '' ? '' : s.repeat(Number(count));
    },
  ),
  define('starts_with(s, prefix)', TEST, 'begins with it', [TEXT, TEXT], (s, prefix) =>
    s.startsWith(prefix),
  ),
  define('ends_with(s, suffix)', TEST, 'ends with it', [TEXT, TEXT], (s, suffix) =>
    s.endsWith(suffix),
  ),
  define(
    'contains(s, part)',
    TEST,
    'a string has the part in it; a list has the value as an item',
    [TEXT_OR_LIST, ANY],
    (s, part) => {
      if (typeof s !== 'string') return s.items.some((item) => sameValue(item, part));
      return typeof part === 'string' ? s.includes(part) : undefined;
    },
  ),
  define(
    'index_of(s, part)',
    gives('int'),
    'where the part, or the item of a list, stands first; -1 for nowhere',
    [TEXT_OR_LIST, ANY],
    (s, part) => {
      if (typeof s !== 'string') {
        return BigInt(s.items.findIndex((item) => sameValue(item, part)));
      }
      if (typeof part !== 'string') return undefined;
      const at = s.indexOf(part);
      return BigInt(at < 0 ? at : pointCount(s.slice(0, at)));
    },
  ),
  define(
    'code_points(s)',
    gives('list'),
    'the numbers of its characters in Unicode',
    [TEXT],
    (s) => new List([...s].map((one) => BigInt(one.codePointAt(0) ?? 0))),
  ),
  define(
    'compare(x, y)',
    gives('int'),
    '-1, 0 or 1: how two strings stand to each other by their UTF-8 bytes',
    [TEXT, TEXT],
    (x, y) => BigInt(compareStrings(x, y)),
  ),
];

export function pointCount(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0xdc00 || unit > 0xdfff) count++;
  }
  return count;
}

function mapped(text: string, map: ReadonlyMap<number, number>): string {
  let result = '';
  for (const one of text) {
    const code = one.codePointAt(0) ?? 0;
    const other = map.get(code);
    result += other === undefined ? one : String.fromCodePoint(other);
  }
  return result;
}

function blankEnd(text: string): number {
  let at = 0;
  while (at < text.length && BLANKS.includes(text[at] as string)) at++;
  return at;
}

function blankStart(text: string): number {
  let at = text.length;
  const from = blankEnd(text);
  while (at > from && BLANKS.includes(text[at - 1] as string)) at--;
  return at;
}

function bounded(text: string): string | undefined {
  return text.length > FUNCTION_BYTES_MAX ? undefined : text;
}
