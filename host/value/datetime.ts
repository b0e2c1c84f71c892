/**
 * Instants: microseconds since 1970-01-01T00:00:00Z in the proleptic Gregorian calendar, without
 * leap seconds (a `:60` is the second after it). Read and written as RFC 3339, by arithmetic alone:
 * no `Date`, no locale, no time zone table.
 */
import { CaucusError } from '../errors.ts';

export const MICROS_PER_SECOND = 1_000_000n;
export const SECONDS_PER_DAY = 86_400n;
/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: what RFC 3339 can write. */
export const DATETIME_MIN = -62_135_596_800n * MICROS_PER_SECOND;
export const DATETIME_MAX = 253_402_300_800n * MICROS_PER_SECOND - 1n;

export class DateTime {
  /** Since 1970, negative before. */
  readonly micros: bigint;

  /** Throws `invalid_row` outside the years 1 to 9999. */
  constructor(micros: bigint) {
    if (micros < DATETIME_MIN || micros > DATETIME_MAX) {
      throw new CaucusError('invalid_row', 'a date-time lies outside the years 1 to 9999', {
        remedy: 'send it as an int of seconds, or as a string',
      });
    }
    this.micros = micros;
  }

  /** RFC 3339 in UTC, with as many digits of a second as there are: `2031-05-01T00:00:00Z`. */
  toString(): string {
    const { year, month, day, hour, minute, second, micros } = partsOf(this);
    const fraction = micros === 0 ? '' : `.${digits(micros, 6).replace(/0+$/, '')}`;
    const date = `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`;
    return `${date}T${digits(hour, 2)}:${digits(minute, 2)}:${digits(second, 2)}${fraction}Z`;
  }
}

export interface DateTimeParts {
  readonly year: number;
  /** From 1, as is `day`. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly micros: number;
}

export function partsOf(time: DateTime): DateTimeParts {
  const seconds = floorDivide(time.micros, MICROS_PER_SECOND);
  const micros = Number(time.micros - seconds * MICROS_PER_SECOND);
  const days = floorDivide(seconds, SECONDS_PER_DAY);
  const rest = Number(seconds - days * SECONDS_PER_DAY);
  return {
    ...dateOfDays(Number(days)),
    hour: Math.floor(rest / 3600),
    minute: Math.floor(rest / 60) % 60,
    second: rest % 60,
    micros,
  };
}

/** Undefined where a part is out of its range: no 30 February, no hour 24; a second may be 60. */
export function datetimeOf(parts: DateTimeParts, offsetMinutes = 0): DateTime | undefined {
  const { year, month, day, hour, minute, second, micros } = parts;
  if (year < 1 || year > 9999 || month < 1 || month > 12) return undefined;
  if (day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const days = daysOfDate(year, month, day);
  const seconds = days * 86_400 + hour * 3600 + (minute - offsetMinutes) * 60 + second;
  const total = BigInt(seconds) * MICROS_PER_SECOND + BigInt(micros);
  return total < DATETIME_MIN || total > DATETIME_MAX ? undefined : new DateTime(total);
}

const DATETIME_FORM =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))$/;

/**
 * RFC 3339 with an offset from UTC, or undefined. A blank may stand for the `T`. Digits behind the
 * sixth of a second are cut off.
 */
export function parseDateTime(text: string): DateTime | undefined {
  const match = text.length > 40 ? null : DATETIME_FORM.exec(text);
  if (match === null) return undefined;
  const number = (group: number): number => Number(match[group] ?? '0');
  const [offsetHours, offsetMinutes] = [number(10), number(11)];
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offset = (offsetHours * 60 + offsetMinutes) * (match[9] === '-' ? -1 : 1);
  const parts = {
    year: number(1),
    month: number(2),
    day: number(3),
    hour: number(4),
    minute: number(5),
    second: number(6),
    micros: microsOf(match[7]),
  };
  return datetimeOf(parts, offset);
}

/** Digits behind the point of a second, at most six of which count. */
export function microsOf(fraction: string | undefined): number {
  return Number((fraction ?? '').slice(0, 6).padEnd(6, '0'));
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/**
 * Days since 1970-01-01 of a date, and back: eras of 400 years, years that begin in March (Hinnant,
 * chrono-compatible low-level date algorithms).
 */
export function daysOfDate(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leaps = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * 146_097 + yearOfEra * 365 + leaps + dayOfYear - 719_468;
}

export function dateOfDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const leaps = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  const dayOfYear = dayOfEra - (365 * yearOfEra + leaps);
  const monthOfYear = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthOfYear + 2) / 5) + 1;
  const month = monthOfYear < 10 ? monthOfYear + 3 : monthOfYear - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

/** BigInt division rounds towards zero. */
export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
