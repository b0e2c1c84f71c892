/**
 * Functions over date-times: instants in UTC, in microseconds. Where one is wanted its RFC 3339
 * text will do. Parts are those of the proleptic Gregorian calendar in UTC.
 */
import {
  datetimeOf,
  DateTime,
  daysOfDate,
  daysInMonth,
  floorDivide,
  MICROS_PER_SECOND,
  partsOf,
} from '../value/datetime.ts';
import type { DateTimeParts } from '../value/datetime.ts';
import { gives, group } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { DATETIME, INT, NUMBER, TEXT } from './kinds.ts';

const define = group('date-times');
const TIME_OUT = gives('datetime');
const INT_OUT = gives('int');

function part(name: keyof DateTimeParts, signature: string, doc: string): FunctionDefinition {
  return define(signature, INT_OUT, doc, [DATETIME], (t) => BigInt(partsOf(t)[name]));
}

export const TIME_FUNCTIONS: readonly FunctionDefinition[] = [
  define(
    'datetime(s)',
    TIME_OUT,
    'the instant of an RFC 3339 text with `Z` or an offset; digits behind microseconds are cut off',
    [DATETIME],
    (s) => s,
  ),
  define(
    'datetime_of(seconds)',
    TIME_OUT,
    'so many seconds after 1970-01-01T00:00:00Z; of a float to the microsecond below',
    [NUMBER],
    (seconds) => {
      if (typeof seconds === 'bigint') return new DateTime(seconds * MICROS_PER_SECOND);
      const micros = Math.floor(seconds * 1e6);
      return Number.isSafeInteger(micros) ? new DateTime(BigInt(micros)) : undefined;
    },
  ),
  define(
    'epoch(t)',
    INT_OUT,
    'whole seconds since 1970-01-01T00:00:00Z, rounded down',
    [DATETIME],
    (t) => floorDivide(t.micros, MICROS_PER_SECOND),
  ),
  define('epoch_micros(t)', INT_OUT, 'microseconds since then', [DATETIME], (t) => t.micros),
  part('year', 'year(t)', 'its year'),
  part('month', 'month(t)', 'its month, 1 to 12'),
  part('day', 'day(t)', 'its day of the month, from 1'),
  part('hour', 'hour(t)', 'its hour, 0 to 23'),
  part('minute', 'minute(t)', 'its minute'),
  part('second', 'second(t)', 'its second'),
  part('micros', 'microsecond(t)', 'its microseconds behind the second'),
  define(
    'weekday(t)',
    INT_OUT,
    'its day of the week, 1 (Monday) to 7 (ISO 8601)',
    [DATETIME],
    (t) => {
      const { year, month, day } = partsOf(t);
      // 1970-01-01 was a Thursday.
      return BigInt(((((daysOfDate(year, month, day) + 3) % 7) + 7) % 7) + 1);
    },
  ),
  define('day_of_year(t)', INT_OUT, 'its day of the year, from 1', [DATETIME], (t) => {
    const { year, month, day } = partsOf(t);
    return BigInt(daysOfDate(year, month, day) - daysOfDate(year, 1, 1) + 1);
  }),
  define(
    'truncate(t, unit)',
    TIME_OUT,
    'the start of its `"second"`, `"minute"`, `"hour"`, `"day"`, `"month"` or `"year"`',
    [DATETIME, TEXT],
    (t, unit) => truncated(t, unit),
  ),
  define(
    'add_seconds(t, n)',
    TIME_OUT,
    'so many seconds later, or earlier; of a float to the nearest microsecond',
    [DATETIME, NUMBER],
    (t, n) => {
      if (typeof n === 'bigint') return new DateTime(t.micros + n * MICROS_PER_SECOND);
      const micros = Math.round(n * 1e6);
      return Number.isSafeInteger(micros) ? new DateTime(t.micros + BigInt(micros)) : undefined;
    },
  ),
  define(
    'add_months(t, n)',
    TIME_OUT,
    'so many months later, or earlier; a day that the month has not becomes its last',
    [DATETIME, INT],
    (t, n) => {
      const parts = partsOf(t);
      const months = BigInt(parts.year * 12 + parts.month - 1) + n;
      const year = Number(floorDivide(months, 12n));
      const month = Number(months - floorDivide(months, 12n) * 12n) + 1;
      const day = Math.min(parts.day, daysInMonth(year, month));
      return datetimeOf({ ...parts, year, month, day });
    },
  ),
  define(
    'seconds_between(a, b)',
    INT_OUT,
    'whole seconds from the first to the second, towards 0',
    [DATETIME, DATETIME],
    (a, b) => (b.micros - a.micros) / MICROS_PER_SECOND,
  ),
  define('date_text(t)', gives('string'), 'its date, `2031-05-01`', [DATETIME], (t) =>
    t.toString().slice(0, 10),
  ),
  define(
    'time_text(t)',
    gives('string'),
    'as `now` gives it, `2031-05-01 10:20:30`',
    [DATETIME],
    (t) => t.toString().slice(0, 19).replace('T', ' '),
  ),
];

const UNITS = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const;
const FIRST: DateTimeParts = {
  year: 1,
  month: 1,
  day: 1,
  hour: 0,
  minute: 0,
  second: 0,
  micros: 0,
};

function truncated(time: DateTime, unit: string): DateTime | undefined {
  const place = UNITS.findIndex((one) => one === unit);
  if (place < 0) return undefined;
  const parts = partsOf(time);
  const kept = UNITS.slice(0, place + 1).map((one) => [one, parts[one]] as const);
  return datetimeOf({ ...FIRST, ...Object.fromEntries(kept) });
}
