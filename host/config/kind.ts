/**
 * Kinds of values that an option can have: how people call them, and how text becomes a value. A
 * flag, a variable and a YAML scalar are all read from their text, so that one value is written the
 * same way everywhere.
 */
import path from 'node:path';

export interface Kind<T> {
  /** As the manual and the sample call it. */
  readonly type: string;
  /** How `config show --json` prints it; text without it. */
  readonly json?: 'number' | 'boolean';
  /** Throws `BadValue`. `folder`: what relative paths start from. */
  read(text: string, folder: string): T;
}

/** `what` is said after the value: `is no port`. */
export class BadValue extends Error {
  readonly what: string;
  readonly remedy: string;
  /** Names that the user may have meant. */
  readonly names: readonly string[];

  constructor(what: string, remedy: string, names: readonly string[] = []) {
    super(what);
    this.name = 'BadValue';
    this.what = what;
    this.remedy = remedy;
    this.names = names;
  }
}

export function text(type: string, pattern: RegExp, what: string, remedy: string): Kind<string> {
  return {
    type,
    read(value) {
      if (!pattern.test(value)) throw new BadValue(what, remedy);
      return value;
    },
  };
}

export const FILE_PATH: Kind<string> = {
  type: 'path',
  read(value, folder) {
    if (value === '') throw new BadValue('names nothing', 'name a file or directory');
    // oxlint-disable-next-line no-control-regex
    if (/\u0000/.test(value)) throw new BadValue('is no path', 'name a file or directory');
    return path.isAbsolute(value) || folder === '' ? value : path.join(folder, value);
  },
};

export const BOOLEAN: Kind<boolean> = {
  type: 'true or false',
  json: 'boolean',
  read(value) {
    if (/^true$/i.test(value)) return true;
    if (/^false$/i.test(value)) return false;
    throw new BadValue('is neither true nor false', 'write `true` or `false`');
  },
};

export function integer(min: number, max: number): Kind<number> {
  return {
    type: `integer from ${min} to ${max}`,
    json: 'number',
    read(value) {
      const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= min && number <= max) return number;
      const what = Number.isNaN(number) ? 'is no integer' : 'is out of range';
      throw new BadValue(what, `give a number from ${min} to ${max}`);
    },
  };
}

export function choice<const T extends string>(names: readonly T[]): Kind<T> {
  const list = names.map((name) => `\`${name}\``).join(', ');
  return {
    type: names.join(' | '),
    read(value) {
      const found = names.find((name) => name === value);
      if (found !== undefined) return found;
      throw new BadValue('is not one of the choices', `choose one of ${list}`, names);
    },
  };
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds; `min` and `max` as people write them. */
export function duration(min: string, max: string): Kind<number> {
  return {
    type: `duration from ${min} to ${max}`,
    read(value) {
      const ms = millisecondsOf(value);
      if (ms === undefined) {
        throw new BadValue(
          'is no duration',
          'give a number with `ms`, `s`, `m` or `h`; without a unit it is seconds',
        );
      }
      if (ms >= (millisecondsOf(min) ?? 0) && ms <= (millisecondsOf(max) ?? 0)) return ms;
      throw new BadValue('is out of range', `give a duration from ${min} to ${max}`);
    },
  };
}

function millisecondsOf(value: string): number | undefined {
  const match = /^(\d{1,10}(?:\.\d{1,6})?) ?(ms|s|m|h)?$/.exec(value);
  if (match === null) return undefined;
  const ms = Number(match[1]) * (DURATION_UNITS[match[2] ?? 's'] as number);
  return Math.abs(ms - Math.round(ms)) < 1e-6 ? Math.round(ms) : undefined;
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Bytes; `min` and `max` as people write them. */
export function size(min: string, max: string): Kind<number> {
  return {
    type: `size from ${min} to ${max}`,
    read(value) {
      const bytes = bytesOf(value);
      if (bytes === undefined) {
        throw new BadValue(
          'is no size',
          'give a number with `KiB`, `MiB` or `GiB`; without a unit it is bytes',
        );
      }
      if (bytes >= (bytesOf(min) ?? 0) && bytes <= (bytesOf(max) ?? 0)) return bytes;
      throw new BadValue('is out of range', `give a size from ${min} to ${max}`);
    },
  };
}

function bytesOf(value: string): number | undefined {
  const match = /^(\d{1,12}) ?(KiB|MiB|GiB)?$/.exec(value);
  return match === null ? undefined : Number(match[1]) * (SIZE_UNITS[match[2] ?? ''] ?? 1);
}
