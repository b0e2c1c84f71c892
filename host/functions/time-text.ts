/**
 * The texts that the date-time builtins of Congress read. The original takes whatever a free-form
 * parser makes of a text; here are the forms that mean one instant:
 *
 *   2031-05-01            2031-5-1              midnight in UTC
 *   2031-05-01 10:20      2031-05-01T10:20:30.5 in UTC, or with `Z`, `+02:00`, `-0500`
 *   10:20:30              on 1970-01-01
 *   May 1 2031, 1 May 2031, May 1, 2031, Thu, 1 May 2031, with a time behind it or without
 */
import { datetimeOf, microsOf } from '../value/datetime.ts';
import type { DateTime } from '../value/datetime.ts';

const TEXT_UNITS_MAX = 64;

const ISO_DATE = /^(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[Tt ] *|$)/;
const MONTH_FIRST = /^([A-Za-z]{3,9})\.? +(\d{1,2}),? +(\d{4})(?:,? +|$)/;
const DAY_FIRST = /^(\d{1,2}) +([A-Za-z]{3,9})\.?,? +(\d{4})(?:,? +|$)/;
const WEEKDAY = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +/i;
const TIME =
  /^(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,9}))?)? *(?:([Zz]|UTC|GMT)|([+-])(\d\d):?(\d\d))?$/;

interface DayParts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export function readTime(text: string): DateTime | undefined {
  if (text.length > TEXT_UNITS_MAX) return undefined;
  const rest = text.trim().replace(WEEKDAY, '');
  const found = readDate(rest);
  const date = found?.date ?? { year: 1970, month: 1, day: 1 };
  const time = found?.rest ?? rest;
  if (time === '') return found === undefined ? undefined : datetimeOf({ ...date, ...MIDNIGHT });
  const match = TIME.exec(time);
  if (match === null) return undefined;
  const number = (group: number): number => Number(match[group] ?? '0');
  if (number(7) > 23 || number(8) > 59) return undefined;
  const offset = (number(7) * 60 + number(8)) * (match[6] === '-' ? -1 : 1);
  const [hour, minute, second] = [number(1), number(2), number(3)];
  return datetimeOf({ ...date, hour, minute, second, micros: microsOf(match[4]) }, offset);
}

const MIDNIGHT = { hour: 0, minute: 0, second: 0, micros: 0 };

function readDate(text: string): { date: DayParts; rest: string } | undefined {
  const iso = ISO_DATE.exec(text);
  if (iso !== null) return dateOf(text, iso, iso[1], Number(iso[2]), iso[3]);
  const monthFirst = MONTH_FIRST.exec(text);
  if (monthFirst !== null) {
    return dateOf(text, monthFirst, monthFirst[3], monthOf(monthFirst[1]), monthFirst[2]);
  }
  const dayFirst = DAY_FIRST.exec(text);
  if (dayFirst === null) return undefined;
  return dateOf(text, dayFirst, dayFirst[3], monthOf(dayFirst[2]), dayFirst[1]);
}

function dateOf(
  text: string,
  match: RegExpExecArray,
  year: string | undefined,
  month: number,
  day: string | undefined,
): { date: DayParts; rest: string } {
  const date = { year: Number(year), month, day: Number(day) };
  return { date, rest: text.slice(match[0].length) };
}

/** 0 for what is no month. */
function monthOf(name = ''): number {
  const lower = name.toLowerCase();
  return FULL_NAMES.findIndex((full) => full === lower || full.slice(0, 3) === lower) + 1;
}

const FULL_NAMES =
  'january february march april may june july august september october november december'.split(
    ' ',
  );
