/**
 * Functions over documents. A path is written `a.b[0].c`; a name that is not
 * `[A-Za-z_][A-Za-z0-9_-]*` is written `["a.b"]`. Or it is a list of names and positions.
 */
import { Document, List } from '../value/composite.ts';
import { parseJson, stringifyJson, valueOfJson } from '../value/json.ts';
import type { Value } from '../value/value.ts';
import { gives, group, rows, TEST } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { ANY, DOCUMENT, NESTED, TEXT, TEXT_OR_LIST } from './kinds.ts';
import { VALUE_DEPTH_MAX } from '../limits.ts';

const define = group('documents');
const ANY_OUT = gives('any');
const DOCUMENT_OUT = gives('document');

export const DOCUMENT_FUNCTIONS: readonly FunctionDefinition[] = [
  define(
    'document(entries)',
    DOCUMENT_OUT,
    'names and values by turns: `{"a": x}` is `document("a", x)`; a name that stands twice fails',
    [ANY],
    documentOf,
    { isVariadic: true },
  ),
  define(
    'get(d, key)',
    ANY_OUT,
    'the member of a document by its name, the item of a list by its position; fails where there ' +
      'is none',
    [NESTED, ANY],
    (d, key) => stepInto(d, key),
  ),
  define(
    'get_or(d, key, other)',
    ANY_OUT,
    'as `get`, and `other` where there is none',
    [NESTED, ANY, ANY],
    (d, key, other) => {
      const found = stepInto(d, key);
      return found === undefined ? other : found;
    },
  ),
  define(
    'has(d, key)',
    TEST,
    'a document has the name, a list the position',
    [NESTED, ANY],
    (d, key) => stepInto(d, key) !== undefined,
  ),
  define(
    'path(d, p)',
    ANY_OUT,
    'what stands at a path; fails where nothing does',
    [NESTED, TEXT_OR_LIST],
    (d, p) => follow(d, p),
  ),
  define('has_path(d, p)', TEST, 'something stands at the path', [NESTED, TEXT_OR_LIST], (d, p) =>
    stepsOf(p) === undefined ? undefined : follow(d, p) !== undefined,
  ),
  define('keys(d)', rows('name'), 'each name', [DOCUMENT], (d) => new List([...d.members.keys()])),
  define(
    'entries(d)',
    rows('name', 'value'),
    'each name with its value',
    [DOCUMENT],
    (d) => new List([...d.members].map((entry) => new List(entry))),
  ),
  define(
    'put(d, name, value)',
    DOCUMENT_OUT,
    'the document with one member set',
    [DOCUMENT, TEXT, ANY],
    (d, name, value) => new Document([...d.members, [name, value]]),
  ),
  define(
    'remove(d, name)',
    DOCUMENT_OUT,
    'the document without a member',
    [DOCUMENT, TEXT],
    (d, name) => new Document([...d.members].filter(([other]) => other !== name)),
  ),
  define(
    'merge(d, e)',
    DOCUMENT_OUT,
    'the members of both; where both have a name, that of the second',
    [DOCUMENT, DOCUMENT],
    (d, e) => new Document([...d.members, ...e.members]),
  ),
  define('parse_json(s)', ANY_OUT, 'the value of a JSON text', [TEXT], (s) =>
    valueOfJson(parseJson(s, { depthMax: VALUE_DEPTH_MAX })),
  ),
  define('to_json(x)', gives('string'), 'the JSON text of a value', [ANY], (x) => stringifyJson(x)),
];

function documentOf(...values: readonly Value[]): Document | undefined {
  if (values.length % 2 !== 0) return undefined;
  const entries: [string, Value][] = [];
  for (let index = 0; index < values.length; index += 2) {
    const name = values[index];
    if (typeof name !== 'string') return undefined;
    entries.push([name, values[index + 1] as Value]);
  }
  const document = new Document(entries);
  return document.members.size === entries.length ? document : undefined;
}

function stepInto(value: Value, key: Value): Value | undefined {
  if (value instanceof Document) {
    return typeof key === 'string' ? value.members.get(key) : undefined;
  }
  if (!(value instanceof List) || typeof key !== 'bigint') return undefined;
  return key >= -0x7fffffffn && key <= 0x7fffffffn ? value.items.at(Number(key)) : undefined;
}

function follow(value: Value, path: string | List): Value | undefined {
  const steps = stepsOf(path);
  if (steps === undefined) return undefined;
  let at: Value | undefined = value;
  for (const step of steps) {
    if (at === undefined) return undefined;
    at = stepInto(at, step);
  }
  return at;
}

const STEP = /(?:^|\.)([A-Za-z_][A-Za-z0-9_-]*)|\[(-?\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]/y;

/** Undefined for a text that is no path. */
function stepsOf(path: string | List): readonly Value[] | undefined {
  if (path instanceof List) return path.items;
  const steps: Value[] = [];
  STEP.lastIndex = 0;
  for (let at = 0; at < path.length; at = STEP.lastIndex) {
    const match = STEP.exec(path);
    if (match === null) return undefined;
    const [, name, index, quoted] = match;
    if (name !== undefined) steps.push(name);
    else if (index !== undefined) steps.push(BigInt(index));
    else steps.push(valueOfJson(parseJson(quoted as string)));
  }
  return steps;
}
