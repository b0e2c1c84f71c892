/**
 * Builtins of OpenStack Congress that are nothing but themselves. Comparisons and arithmetic are
 * operators (`operators.ts`), `now` is a table, `max`, `int` and `float` stand with the numbers.
 * Where the original gave a wrong answer in silence there is a failure or the right answer:
 * `docs/LANGUAGE.md` lists the differences.
 */
import { List } from '../value/composite.ts';
import { DateTime, floorDivide, MICROS_PER_SECOND, partsOf } from '../value/datetime.ts';
import { contains } from '../value/ip.ts';
import type { IpAddress } from '../value/ip.ts';
import type { Value } from '../value/value.ts';
import { formatValue } from '../value/value.ts';
import { columns, gives, group, TEST } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { ANY, INT, IP, NETWORK, TEXT_OR_LIST, TEXT_OR_NUMBER, TIME_TEXT, TEXT } from './kinds.ts';
import { finite, fit } from './numbers.ts';
import { openRegex, regexProblem } from './regex/regex.ts';
import { pointCount } from './strings.ts';

const define = group('Congress', true);
const TEXT_OUT = gives('string');

type Order = (order: number) => boolean;
const ORDERS: readonly (readonly [string, string, Order])[] = [
  ['equal', 'the same', (order) => order === 0],
  ['lt', 'before', (order) => order < 0],
  ['lteq', 'before, or the same', (order) => order <= 0],
  ['gt', 'after', (order) => order > 0],
  ['gteq', 'after, or the same', (order) => order >= 0],
];

export const CONGRESS_FUNCTIONS: readonly FunctionDefinition[] = [
  define('len(s)', gives('int'), 'characters of a string', [TEXT], (s) => BigInt(pointCount(s))),
  define(
    'concat(x, y)',
    gives('any'),
    'two strings, or two lists, behind each other',
    [TEXT_OR_LIST, TEXT_OR_LIST],
    (x, y) => {
      if (typeof x === 'string') return typeof y === 'string' ? x + y : undefined;
      return typeof y === 'string' ? undefined : new List([...x.items, ...y.items]);
    },
  ),
  ...ORDERS.map(([name, doc, holds]) =>
    define(`ips_${name}(x, y)`, TEST, `one address is ${doc}`, [IP, IP], (x, y) =>
      holds(orderOfIps(x, y)),
    ),
  ),
  define(
    'networks_equal(x, y)',
    TEST,
    'the same network, whatever the host bits',
    [NETWORK, NETWORK],
    (x, y) => x.version === y.version && x.bits === y.bits && x.prefix === y.prefix,
  ),
  define(
    'networks_overlap(x, y)',
    TEST,
    'some address lies in both',
    [NETWORK, NETWORK],
    (x, y) => contains(x, y.first) || contains(y, x.first),
  ),
  define('ip_in_network(address, net)', TEST, 'as `in_network`', [IP, NETWORK], (address, net) =>
    contains(net, address),
  ),
  define('unpack_date(t)', columns('year', 'month', 'day'), 'its parts', [TIME_TEXT], (t) =>
    partList(t, ['year', 'month', 'day']),
  ),
  define('unpack_time(t)', columns('hour', 'minute', 'second'), 'its parts', [TIME_TEXT], (t) =>
    partList(t, ['hour', 'minute', 'second']),
  ),
  define(
    'unpack_datetime(t)',
    columns('year', 'month', 'day', 'hour', 'minute', 'second'),
    'its parts',
    [TIME_TEXT],
    (t) => partList(t, ['year', 'month', 'day', 'hour', 'minute', 'second']),
  ),
  define(
    'pack_date(year, month, day)',
    TEXT_OUT,
    '`"2031-5-1"`, without zeros before the digits',
    [INT, INT, INT],
    (...parts) => parts.join('-'),
  ),
  define(
    'pack_time(hour, minute, second)',
    TEXT_OUT,
    '`"1:2:3"`, without zeros before the digits',
    [INT, INT, INT],
    (...parts) => parts.join(':'),
  ),
  define(
    'pack_datetime(year, month, day, hour, minute, second)',
    TEXT_OUT,
    '`"2031-5-1 1:2:3"`, without zeros before the digits',
    [INT, INT, INT, INT, INT, INT],
    (year, month, day, ...time) => `${[year, month, day].join('-')} ${time.join(':')}`,
  ),
  define('extract_date(t)', TEXT_OUT, '`"2031-05-01"`', [TIME_TEXT], (t) =>
    t.toString().slice(0, 10),
  ),
  define(
    'extract_time(t)',
    TEXT_OUT,
    '`"10:20:30"`, with microseconds where there are any',
    [TIME_TEXT],
    (t) => spaced(t).slice(11),
  ),
  define(
    'datetime_to_seconds(t)',
    gives('int'),
    'whole seconds since 1900-01-01',
    [TIME_TEXT],
    (t) => floorDivide(t.micros, MICROS_PER_SECOND) + SECONDS_FROM_1900,
  ),
  define(
    'datetime_plus(t, interval)',
    TEXT_OUT,
    'later by seconds, or by `"weeks:days:hours:minutes:seconds"`, filled from the right: ' +
      '`"2031-05-01 10:20:30"`',
    [TIME_TEXT, TEXT_OR_NUMBER],
    (t, interval) => shifted(t, interval, 1n),
  ),
  define(
    'datetime_minus(t, interval)',
    TEXT_OUT,
    'earlier by an interval',
    [TIME_TEXT, TEXT_OR_NUMBER],
    (t, interval) => shifted(t, interval, -1n),
  ),
  ...ORDERS.map(([name, doc, holds]) =>
    define(
      `datetime_${name}(x, y)`,
      TEST,
      `one instant is ${doc}`,
      [TIME_TEXT, TIME_TEXT],
      (x, y) => holds(x.micros < y.micros ? -1 : x.micros > y.micros ? 1 : 0),
    ),
  ),
  define(
    'validate_int(min, max, x)',
    TEXT_OUT,
    '`""` for an int within the bounds, else what is wrong; a bound of `""` is none',
    [TEXT_OR_NUMBER, TEXT_OR_NUMBER, ANY],
    (min, max, x) => validateNumber(min, max, x, wholeOf),
  ),
  define(
    'validate_float(min, max, x)',
    TEXT_OUT,
    'the same for a number',
    [TEXT_OR_NUMBER, TEXT_OR_NUMBER, ANY],
    (min, max, x) => validateNumber(min, max, x, numberOf),
  ),
  define(
    'validate_string(regex, max_length, quotes, ignore_case, x)',
    TEXT_OUT,
    '`""` for a string that the pattern matches and that is not longer, else what is wrong; `""` ' +
      'or 0 disables a check; with `quotes`, quotes around it are taken off first',
    [TEXT, TEXT_OR_NUMBER, ANY, ANY, ANY],
    validateString,
  ),
];

/** From 1900-01-01 to 1970-01-01. */
const SECONDS_FROM_1900 = 25_567n * 86_400n;

function orderOfIps(x: IpAddress, y: IpAddress): number {
  if (x.version !== y.version) return x.version - y.version;
  return x.bits < y.bits ? -1 : x.bits > y.bits ? 1 : 0;
}

function partList(time: DateTime, names: readonly (keyof ReturnType<typeof partsOf>)[]): List {
  const parts = partsOf(time);
  return new List(names.map((name) => BigInt(parts[name])));
}

/** As Python prints a date-time. */
function spaced(time: DateTime): string {
  const [date, rest = ''] = time.toString().slice(0, -1).split('T');
  const [seconds, fraction] = rest.split('.');
  return `${date} ${seconds}${fraction === undefined ? '' : `.${fraction.padEnd(6, '0')}`}`;
}

const INTERVAL_SECONDS = [1n, 60n, 3600n, 86_400n, 604_800n];

function shifted(
  time: DateTime,
  interval: string | bigint | number,
  sign: bigint,
): Value | undefined {
  const micros = intervalMicros(interval);
  return micros === undefined ? undefined : spaced(new DateTime(time.micros + sign * micros));
}

function intervalMicros(interval: string | bigint | number): bigint | undefined {
  if (typeof interval === 'bigint') return interval * MICROS_PER_SECOND;
  if (typeof interval === 'number') {
    const micros = Math.round(interval * 1e6);
    return Number.isSafeInteger(micros) ? BigInt(micros) : undefined;
  }
  const parts = interval.split(':').toReversed();
  if (parts.length > INTERVAL_SECONDS.length) return undefined;
  let seconds = 0n;
  for (const [index, part] of parts.entries()) {
    if (!/^ *-?\d{1,15} *$/.test(part)) return undefined;
    seconds += BigInt(part.trim()) * (INTERVAL_SECONDS[index] as bigint);
  }
  return seconds * MICROS_PER_SECOND;
}

function wholeOf(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? fit(BigInt(value)) : undefined;
  if (typeof value !== 'string' || !/^ *[+-]?\d{1,30} *$/.test(value)) return undefined;
  return fit(BigInt(value.trim().replace(/^\+/, '')));
}

function numberOf(value: Value): bigint | number | undefined {
  const whole = wholeOf(value);
  if (whole !== undefined || typeof value === 'number') return whole ?? (value as number);
  const isDecimal =
    typeof value === 'string' && /^ *[+-]?\d+\.?\d*(?:[eE][+-]?\d+)? *$/.test(value);
  const float = isDecimal ? finite(Number(value)) : undefined;
  return typeof float === 'number' ? float : undefined;
}

/** Undefined, a failure, for a bound that is no number itself. */
function validateNumber(
  min: Value,
  max: Value,
  x: Value,
  read: (value: Value) => bigint | number | undefined,
): string | undefined {
  const [least, most] = [min, max].map((bound) => (bound === '' ? null : numberOf(bound)));
  if (least === undefined || most === undefined) return undefined;
  const value = read(x);
  const shown = formatValue(x);
  if (value === undefined) return `${shown} is no ${read === wholeOf ? 'int' : 'number'}`;
  if (least !== null && value < least) return `${shown} is less than ${formatValue(least)}`;
  if (most !== null && value > most) return `${shown} is more than ${formatValue(most)}`;
  return '';
}

function validateString(
  regex: string,
  maxLength: Value,
  quotes: Value,
  ignoreCase: Value,
  x: Value,
): string | undefined {
  const most = maxLength === '' ? 0n : wholeOf(maxLength);
  if (most === undefined || regexProblem(regex) !== undefined) return undefined;
  if (typeof x !== 'string') return `${formatValue(x)} is no string`;
  let text = x;
  const quote = text[0];
  if (isSet(quotes) && (quote === '"' || quote === "'")) {
    if (text.length < 2 || !text.endsWith(quote)) return `${formatValue(x)} has no closing quote`;
    text = text.slice(1, -1);
  }
  const length = pointCount(text);
  if (most > 0n && length > most) {
    return `${formatValue(x)} has ${length} characters, more than ${most}`;
  }
  if (regex === '') return '';
  const search = openRegex(regex, text, isSet(ignoreCase));
  if (search === undefined) return undefined;
  return search.first() === undefined
    ? `${formatValue(x)} does not match ${formatValue(regex)}`
    : '';
}

/** As Python takes a value for a condition. */
function isSet(value: Value): boolean {
  return value !== null && value !== false && value !== '' && value !== 0n && value !== 0;
}
