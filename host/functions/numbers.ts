/**
 * Functions over numbers. Ints are exact within 64 bits and fail beyond them; floats are IEEE 754
 * doubles, and only operations that every machine rounds alike are used.
 */
import { INT_MAX, INT_MIN, compareValues } from '../value/value.ts';
import type { Value } from '../value/value.ts';
import { gives, group } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { ANY, INT, NUMBER, TEXT_OR_NUMBER } from './kinds.ts';

const define = group('numbers');
const RESERVED = { isReserved: true };
const NUMBER_OUT = gives('number');

export const NUMBER_FUNCTIONS: readonly FunctionDefinition[] = [
  define('abs(x)', NUMBER_OUT, 'without its sign', [NUMBER], (x) => {
    if (typeof x === 'bigint') return fit(x < 0n ? -x : x);
    return Math.abs(x);
  }),
  define('sign(x)', gives('int'), '-1, 0 or 1', [NUMBER], (x) => (x < 0 ? -1n : x > 0 ? 1n : 0n)),
  define(
    'min(x, y)',
    gives('any'),
    'the smaller of two values, in the order of all values',
    [ANY, ANY],
    (x, y) => (compareValues(y, x) < 0 ? y : x),
  ),
  define(
    'max(x, y)',
    gives('any'),
    'the larger of two values, in the order of all values',
    [ANY, ANY],
    (x, y) => (compareValues(y, x) > 0 ? y : x),
    RESERVED,
  ),
  define('floor(x)', gives('int'), 'the next int at or below', [NUMBER], (x) =>
    typeof x === 'bigint' ? x : toInt(Math.floor(x)),
  ),
  define('ceil(x)', gives('int'), 'the next int at or above', [NUMBER], (x) =>
    typeof x === 'bigint' ? x : toInt(Math.ceil(x)),
  ),
  define(
    'round(x)',
    gives('int'),
    'the nearest int, of two the one farther from 0',
    [NUMBER],
    (x) => (typeof x === 'bigint' ? x : toInt(roundAway(x))),
  ),
  define(
    'sqrt(x)',
    gives('float'),
    'the square root, correctly rounded; of a negative number fails',
    [NUMBER],
    (x) => (x < 0 ? undefined : Math.sqrt(Number(x))),
  ),
  define('power(x, n)', gives('int'), 'an int to the power of an int from 0', [INT, INT], (x, n) =>
    power(x, n),
  ),
  define(
    'int(x)',
    gives('int'),
    'a float without its fraction, a string of digits as an int',
    [TEXT_OR_NUMBER],
    (x) => {
      if (typeof x === 'bigint') return x;
      if (typeof x === 'number') return toInt(Math.trunc(x));
      const text = trimmed(x);
      return /^[+-]?\d{1,40}$/.test(text) ? fit(BigInt(text.replace(/^\+/, ''))) : undefined;
    },
    { ...RESERVED, aliases: ['to_int'] },
  ),
  define(
    'float(x)',
    gives('float'),
    'an int or a decimal number as a float, rounded to the nearest one',
    [TEXT_OR_NUMBER],
    (x) => {
      if (typeof x !== 'string') return finite(Number(x));
      const text = trimmed(x);
      const isDecimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text);
      return isDecimal ? finite(Number(text)) : undefined;
    },
    { ...RESERVED, aliases: ['to_float'] },
  ),
];

export function fit(value: bigint): bigint | undefined {
  return value >= INT_MIN && value <= INT_MAX ? value : undefined;
}

export function finite(value: number): Value | undefined {
  return Number.isFinite(value) ? value : undefined;
}

/** The whole float as an int. */
function toInt(whole: number): bigint | undefined {
  return fit(BigInt(whole));
}

function roundAway(x: number): number {
  const whole = Math.trunc(x);
  return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole;
}

function power(x: bigint, n: bigint): bigint | undefined {
  if (n < 0n) return undefined;
  if (x === 0n || x === 1n) return n === 0n ? 1n : x;
  if (x === -1n) return n % 2n === 0n ? 1n : -1n;
  // No other base fits 64 bits so often multiplied.
  return n > 64n ? undefined : fit(x ** n);
}

/** ASCII blanks around a number are no part of it. */
function trimmed(text: string): string {
  return text.length > 400 ? '' : text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
}
