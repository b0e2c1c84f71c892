import { formatValue } from '../value/value.ts';
import type { Value } from '../value/value.ts';

/** A value as the language writes it; reading it back gives the same value. */
export function printValue(value: Value): string {
  if (typeof value === 'string') return printString(value);
  if (typeof value !== 'number') return formatValue(value);
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

// Control characters, line separators and characters that reorder what is shown.
// oxlint-disable-next-line no-control-regex
const ESCAPED = /[\u0000-\u001f"\\\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const SHORT: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
};

function printString(text: string): string {
  const escaped = text.replace(
    ESCAPED,
    (char) => SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `"${escaped}"`;
}
