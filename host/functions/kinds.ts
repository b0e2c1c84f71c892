/**
 * What a function takes: kinds of values, and what stands for them. A string stands for the
 * address, network or date-time that it is the text of.
 */
import { Document, List } from '../value/composite.ts';
import { DateTime, parseDateTime } from '../value/datetime.ts';
import { IpAddress, IpNetwork, parseIp, parseNetwork } from '../value/ip.ts';
import type { Value, ValueKind } from '../value/value.ts';
import { readTime } from './time-text.ts';

/** `read` answers undefined for a value that is none of the kind: the call fails. */
export interface Kind<V extends Value> {
  /** As the documentation has it. */
  readonly name: string;
  /** Kinds of values that may be one of these; absent: any. */
  readonly kinds?: ReadonlySet<ValueKind>;
  readonly read: (value: Value) => V | undefined;
}

function kind<V extends Value>(
  name: string,
  kinds: readonly ValueKind[],
  read: (value: Value) => V | undefined,
): Kind<V> {
  return { name, kinds: new Set(kinds), read };
}

export const ANY: Kind<Value> = { name: 'any', read: (value) => value };
export const TEXT = kind('string', ['string'], (value) =>
  typeof value === 'string' ? value : undefined,
);
export const INT = kind('int', ['int'], (value) => (typeof value === 'bigint' ? value : undefined));
export const NUMBER = kind('number', ['int', 'float'], (value) =>
  typeof value === 'bigint' || typeof value === 'number' ? value : undefined,
);
export const LIST = kind('list', ['list'], (value) => (value instanceof List ? value : undefined));
export const DOCUMENT = kind('document', ['document'], (value) =>
  value instanceof Document ? value : undefined,
);
export const NESTED = kind('document or list', ['document', 'list'], (value) =>
  value instanceof List || value instanceof Document ? value : undefined,
);
/** Has a length. */
export const SIZED = kind('string, list or document', ['string', 'list', 'document'], (value) =>
  typeof value === 'string' || value instanceof List || value instanceof Document
    ? value
    : undefined,
);
export const TEXT_OR_LIST = kind('string or list', ['string', 'list'], (value) =>
  typeof value === 'string' || value instanceof List ? value : undefined,
);
export const TEXT_OR_NUMBER = kind('string or number', ['string', 'int', 'float'], (value) =>
  typeof value === 'string' || typeof value === 'bigint' || typeof value === 'number'
    ? value
    : undefined,
);
export const IP = kind('ip', ['ip', 'string'], (value) => {
  if (typeof value === 'string') return parseIp(value);
  return value instanceof IpAddress ? value : undefined;
});
/** An address is the network of that one address. */
export const NETWORK = kind('network', ['network', 'ip', 'string'], (value) => {
  if (typeof value === 'string') return parseNetwork(value);
  if (value instanceof IpAddress) {
    return new IpNetwork(value.version, value.bits, value.version === 4 ? 32 : 128);
  }
  return value instanceof IpNetwork ? value : undefined;
});
export const DATETIME = kind('datetime', ['datetime', 'string'], (value) => {
  if (typeof value === 'string') return parseDateTime(value);
  return value instanceof DateTime ? value : undefined;
});
/** A date-time, or one of the texts that Congress reads. */
export const TIME_TEXT = kind('time', ['datetime', 'string'], (value) => {
  if (typeof value === 'string') return readTime(value);
  return value instanceof DateTime ? value : undefined;
});
