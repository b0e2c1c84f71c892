/** Functions over lists. Positions are from 0; negative ones count from the end. */
import { List } from '../value/composite.ts';
import { FUNCTION_BYTES_MAX } from '../limits.ts';
import { compareValues, valueKey } from '../value/value.ts';
import type { Value } from '../value/value.ts';
import { gives, group, rows } from './definition.ts';
import type { FunctionDefinition } from './definition.ts';
import { ANY, INT, LIST, SIZED } from './kinds.ts';
import { pointCount } from './strings.ts';

const define = group('lists');
const LIST_OUT = gives('list');

export const LIST_FUNCTIONS: readonly FunctionDefinition[] = [
  define('list(values)', LIST_OUT, 'the list of all inputs: `[x, y]`', [ANY], listOf, {
    isVariadic: true,
  }),
  define('member(list)', rows('item'), 'each item of the list, once', [LIST], distinct),
  define(
    'items(list)',
    rows('index', 'item'),
    'each item with its position',
    [LIST],
    (list) => new List(list.items.map((item, index) => new List([BigInt(index), item]))),
  ),
  define(
    'length(x)',
    gives('int'),
    'characters of a string, items of a list, members of a document',
    [SIZED],
    (x) => {
      if (typeof x === 'string') return BigInt(pointCount(x));
      return BigInt(x instanceof List ? x.items.length : x.members.size);
    },
  ),
  define(
    'item(list, index)',
    gives('any'),
    'the item at a position; fails where there is none',
    [LIST, INT],
    (list, index) => list.items.at(placeOf(index)),
  ),
  define(
    'slice(list, start, end?)',
    LIST_OUT,
    'the items from a position to the one before another',
    [LIST, INT, INT],
    (list: List, start: bigint, end?: bigint) =>
      new List(list.items.slice(placeOf(start), end === undefined ? undefined : placeOf(end))),
  ),
  define(
    'append(list, value)',
    LIST_OUT,
    'the list with one more item',
    [LIST, ANY],
    (list, value) => new List([...list.items, value]),
  ),
  define(
    'reverse(list)',
    LIST_OUT,
    'from the end',
    [LIST],
    (list) => new List(list.items.toReversed()),
  ),
  define(
    'sort(list)',
    LIST_OUT,
    'in the order of all values',
    [LIST],
    (list) => new List(list.items.toSorted(compareValues)),
  ),
  define('distinct(list)', LIST_OUT, 'each value once, where it stands first', [LIST], distinct),
  define(
    'flatten(list)',
    LIST_OUT,
    'the items of lists in it in their place, one level',
    [LIST],
    (list) => new List(list.items.flatMap((item) => (item instanceof List ? item.items : [item]))),
  ),
  define(
    'range(from, to)',
    LIST_OUT,
    'the ints from one to before another',
    [INT, INT],
    (from, to) => {
      const count = to - from;
      if (count * 5n > FUNCTION_BYTES_MAX) return undefined;
      return new List(
        Array.from({ length: Math.max(0, Number(count)) }, (_, i) => from + BigInt(i)),
      );
    },
  ),
  define('total(list)', gives('int'), 'the sum of the ints of a list', [LIST], (list) => {
    let total = 0n;
    for (const item of list.items) {
      if (typeof item !== 'bigint') return undefined;
      total += item;
    }
    return BigInt.asIntN(64, total) === total ? total : undefined;
  }),
  define('least(list)', gives('any'), 'its smallest value; of none fails', [LIST], (list) =>
    list.items.toSorted(compareValues).at(0),
  ),
  define('greatest(list)', gives('any'), 'its largest value; of none fails', [LIST], (list) =>
    list.items.toSorted(compareValues).at(-1),
  ),
];

function listOf(...values: readonly Value[]): List {
  return new List(values);
}

function distinct(list: List): List {
  const found = new Map<string, Value>();
  for (const item of list.items) {
    const key = valueKey(item);
    if (!found.has(key)) found.set(key, item);
  }
  return new List([...found.values()]);
}

/** No list is so long that a bound of it is missed. */
function placeOf(index: bigint): number {
  const bound = BigInt(FUNCTION_BYTES_MAX) + 1n;
  return Number(index > bound ? bound : index < -bound ? -bound : index);
}
