/**
 * Functions with regular expressions (`regex/syntax.ts` has the syntax). They take time in the
 * product of pattern and text, and never more; a pattern that is none is a failure.
 */
import { Document, List } from '../value/composite.ts';
import type { Value } from '../value/value.ts';
import { FUNCTION_BYTES_MAX } from '../limits.ts';
import { gives, group, rows, TEST } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { TEXT } from './kinds.ts';
import { openRegex } from './regex/regex.ts';
import type { RegexSearch } from './regex/regex.ts';
import type { Slots } from './regex/matcher.ts';

const define = group('regular expressions');

export const REGEX_FUNCTIONS: readonly FunctionDefinition[] = [
  define(
    'matches(s, pattern)',
    TEST,
    'the pattern matches somewhere; `^…$` for the whole string',
    [TEXT, TEXT],
    (s, pattern) => {
      const search = openRegex(pattern, s);
      return search === undefined ? undefined : search.first() !== undefined;
    },
  ),
  define(
    'regex_find(s, pattern)',
    gives('string'),
    'the first match; fails where there is none',
    [TEXT, TEXT],
    (s, pattern) => {
      const search = openRegex(pattern, s);
      const match = search?.first();
      return match === undefined ? undefined : search?.text(match[0], match[1]);
    },
  ),
  define(
    'regex_matches(s, pattern)',
    rows('index', 'match'),
    'each match with its number, from left to right',
    [TEXT, TEXT],
    (s, pattern) => {
      const search = openRegex(pattern, s);
      const found = search?.all();
      if (search === undefined || found === undefined) return undefined;
      const texts = found.map((match) => search.text(match[0], match[1]) as string);
      return new List(texts.map((text, index) => new List([BigInt(index), text])));
    },
  ),
  define(
    'regex_groups(s, pattern)',
    gives('list'),
    'the groups of the first match, the whole match first; null for a group that took no part; ' +
      'fails where nothing matches',
    [TEXT, TEXT],
    (s, pattern) => {
      const search = openRegex(pattern, s);
      const match = search?.first();
      if (search === undefined || match === undefined) return undefined;
      return new List(groupTexts(search, match));
    },
  ),
  define(
    'regex_names(s, pattern)',
    gives('document'),
    'the groups with names of the first match; fails where nothing matches',
    [TEXT, TEXT],
    (s, pattern) => {
      const search = openRegex(pattern, s);
      const match = search?.first();
      if (search === undefined || match === undefined) return undefined;
      const texts = groupTexts(search, match);
      const names = search.program.groups.entries();
      return new Document(
        [...names].flatMap(([index, name]): [string, Value][] =>
          name === undefined ? [] : [[name, texts[index + 1] ?? null]],
        ),
      );
    },
  ),
  define(
    'regex_replace(s, pattern, other)',
    gives('string'),
    '`other` for every match; in it `$1` or `${name}` is a group, `$$` a dollar sign',
    [TEXT, TEXT, TEXT],
    (s, pattern, other) => {
      const search = openRegex(pattern, s);
      const found = search?.all();
      if (search === undefined || found === undefined) return undefined;
      return replaced(search, found, other);
    },
  ),
  define(
    'regex_split(s, pattern)',
    gives('list'),
    'the parts between the matches',
    [TEXT, TEXT],
    (s, pattern) => {
      const search = openRegex(pattern, s);
      const found = search?.all();
      if (search === undefined || found === undefined) return undefined;
      const parts: string[] = [];
      let from = 0;
      for (const [start, end] of found) {
        parts.push(search.text(from, start) as string);
        from = end as number;
      }
      parts.push(search.text(from, undefined) as string);
      return new List(parts);
    },
  ),
  define(
    'regex_quote(s)',
    gives('string'),
    'the pattern that matches exactly this string',
    [TEXT],
    (s) => s.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&'),
  ),
];

function groupTexts(search: RegexSearch, match: Slots): Value[] {
  const texts: Value[] = [];
  for (let slot = 0; slot < match.length; slot += 2) {
    texts.push(search.text(match[slot], match[slot + 1]) ?? null);
  }
  return texts;
}

const REFERENCE = /\$(?:\$|(\d{1,2})|\{(\w{1,64})\})/g;

function replaced(search: RegexSearch, found: readonly Slots[], other: string): string | undefined {
  let text = '';
  let from = 0;
  const { groups } = search.program;
  for (const match of found) {
    text += search.text(from, match[0]) ?? '';
    text += other.replace(REFERENCE, (whole, number?: string, name?: string) => {
      if (whole === '$$') return '$';
      const byName = groups.indexOf(name) + 1;
      const group = Number(number ?? (byName > 0 ? byName : name));
      return search.text(match[group * 2], match[group * 2 + 1]) ?? '';
    });
    if (text.length > FUNCTION_BYTES_MAX) return undefined;
    from = match[1] as number;
  }
  return text + (search.text(from, undefined) ?? '');
}
