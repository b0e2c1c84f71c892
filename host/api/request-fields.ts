/** Members of JSON objects that clients send, checked: in bodies and in frames. */
import { CaucusError } from '../errors.ts';
import { QUERY_ROWS_MAX, QUERY_UNITS_MAX, WAIT_MS_MAX } from '../limits.ts';
import type { Consistency } from '../replica/replica.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';

/** Longer than any token. */
const TOKEN_CHARS_MAX = 1_000;

/** Throws `invalid_request` unless `value` is an object with no other members than `known`. */
export function objectOf(value: JsonValue, what: string, known: readonly string[]): JsonObject {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalid(`${what} is an object`, `send \`{…}\` with ${listOf(known)}`);
  }
  const object = value as JsonObject;
  for (const name of Object.keys(object)) {
    if (!known.includes(name)) {
      throw invalid(`${what} has no member \`${name}\``, `it has ${listOf(known)}`);
    }
  }
  return object;
}

export function stringOf(object: JsonObject, name: string, what: string): string {
  const value = optionalString(object, name, what);
  if (value === undefined) throw invalid(`${what} lacks \`${name}\``, 'send it, as a string');
  return value;
}

export function optionalString(
  object: JsonObject,
  name: string,
  what: string,
  charsMax = QUERY_UNITS_MAX,
): string | undefined {
  const value = object[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw invalid(`\`${name}\` of ${what} is a string`, 'send text');
  if (value.length > charsMax) {
    throw new CaucusError('too_large', `\`${name}\` of ${what} is longer than ${charsMax}`, {
      remedy: 'send a shorter one',
    });
  }
  return value;
}

/** A whole number from 1 (or `min`) to `max`. */
export function optionalCount(
  object: JsonObject,
  name: string,
  what: string,
  max: number,
  min = 1,
): number | undefined {
  const value = object[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'bigint' || value < BigInt(min) || value > BigInt(max)) {
    throw invalid(
      `\`${name}\` of ${what} is a whole number from ${min} to ${max}`,
      'send a number in this range, or leave it out',
    );
  }
  return Number(value);
}

/** How much of an answer is wanted and how long to wait for it. */
export function queryOptionsOf(
  object: JsonObject,
  what: string,
): { consistency?: Consistency; rowsMax?: number; waitMs?: number } {
  const consistency = consistencyOf(object['consistency'], what);
  const rowsMax = optionalCount(object, 'rowsMax', what, QUERY_ROWS_MAX);
  const waitMs = optionalCount(object, 'waitMs', what, WAIT_MS_MAX, 0);
  return {
    ...(consistency === undefined ? {} : { consistency }),
    ...(rowsMax === undefined ? {} : { rowsMax }),
    ...(waitMs === undefined ? {} : { waitMs }),
  };
}

export function consistencyOf(value: JsonValue | undefined, what: string): Consistency | undefined {
  if (value === undefined) return undefined;
  if (value === 'any' || value === 'latest') return value;
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    const object = value as JsonObject;
    const [name, ...rest] = Object.keys(object);
    const token = name === undefined ? undefined : object[name];
    if (rest.length === 0 && typeof token === 'string') {
      if (token.length > TOKEN_CHARS_MAX) {
        throw new CaucusError('token_invalid', 'the token is too long to be one', {
          remedy: 'send the `token` of an answer as it came',
        });
      }
      if (name === 'atLeast') return { atLeast: token };
      if (name === 'exact') return { exact: token };
    }
  }
  throw invalid(
    `\`consistency\` of ${what} is none that there is`,
    'use `"any"`, `"latest"`, `{"atLeast": token}` or `{"exact": token}`',
  );
}

export function invalid(
  message: string,
  remedy: string,
  details: Record<string, unknown> = {},
): CaucusError {
  return new CaucusError('invalid_request', message, { remedy, details });
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'no members' : names.map((name) => `\`${name}\``).join(', ');
}
