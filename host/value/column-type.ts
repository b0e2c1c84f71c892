/** Types of declared columns, and the values that a text in such a column stands for. */
import { CaucusError } from '../errors.ts';
import { VALUE_DEPTH_MAX } from '../limits.ts';
import { Document, List } from './composite.ts';
import { parseDateTime } from './datetime.ts';
import { parseIp, parseNetwork } from './ip.ts';
import { parseJson, valueOfJson } from './json.ts';
import type { Value, ValueKind } from './value.ts';

/** `any` and `json` take every value; they differ in how a text of a file is read. */
export type ColumnType = Exclude<ValueKind, 'null'> | 'any' | 'json';
/** What a file writes as a text of its own, and JSON (but for the last three) as a string. */
export type TextType = 'datetime' | 'ip' | 'network' | 'list' | 'document' | 'json';

export const COLUMN_TYPES: readonly ColumnType[] = [
  'string',
  'int',
  'float',
  'bool',
  'datetime',
  'ip',
  'network',
  'list',
  'document',
  'json',
  'any',
];

/** Takes every value. */
export function isOpenType(type: ColumnType): type is 'any' | 'json' {
  return type === 'any' || type === 'json';
}

export function isTextType(type: ColumnType): type is TextType {
  return COLUMN_TYPES.indexOf(type) >= 4 && type !== 'any';
}

/** How a value of the type is written. */
export const TEXT_FORMS: Readonly<Record<TextType, string>> = {
  datetime: 'write an RFC 3339 time with `Z` or an offset, such as `2031-05-01T10:20:30Z`',
  ip: 'write an address, such as `10.0.0.1` or `2001:db8::1`',
  network: 'write a network, such as `10.0.0.0/8`',
  list: 'write a JSON array',
  document: 'write a JSON object',
  json: 'write a JSON text',
};

/** The value of the type that a text stands for; undefined for none. */
export function valueOfText(text: string, type: TextType): Value | undefined {
  switch (type) {
    case 'datetime':
      return parseDateTime(text);
    case 'ip':
      return parseIp(text);
    case 'network':
      return parseNetwork(text);
    default: {
      const value = jsonValue(text);
      if (type === 'list') return value instanceof List ? value : undefined;
      if (type === 'document') return value instanceof Document ? value : undefined;
      return value;
    }
  }
}

function jsonValue(text: string): Value | undefined {
  try {
    return valueOfJson(parseJson(text, { depthMax: VALUE_DEPTH_MAX }));
  } catch (error) {
    if (error instanceof CaucusError) return undefined;
    throw error;
  }
}
