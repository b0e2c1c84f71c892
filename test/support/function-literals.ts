/**
 * Random literals with functions. Each has inputs of several kinds to meet, so that some calls hold
 * and some fail, and functions of one, no and several outputs, in expressions and as literals.
 */
import { Document, List } from '../../host/value/composite.ts';
import { DateTime } from '../../host/value/datetime.ts';
import { IpAddress, IpNetwork } from '../../host/value/ip.ts';
import type { Value } from '../../host/value/value.ts';
import type { Random } from './random.ts';

/** `$` is an input, `@` an output, of rows the second one `%`. */
const TESTS = [
  'starts_with($, $)',
  'contains($, $)',
  'not contains($, $)',
  'has($, $)',
  'has_path($, "a")',
  'in_network($, $)',
  'not in_network($, "10.0.0.0/8")',
  'is_a($, "list")',
  'matches($, "^a")',
  'ip_in_network($, $)',
  'length($) > 1',
  'upper($) != $',
  'min($, $) < 2',
];
const VALUES = [
  'length($, @)',
  '@ = length($)',
  '@ = upper($)',
  '@ = concat($, $)',
  '@ = [$, $]',
  '@ = {"a": $, "b": [$]}',
  '@ = path($, "a")',
  '@ = path($, "b.0")',
  '@ = get($, $)',
  '@ = item($, 0)',
  '@ = max($, $)',
  'max($, $, @)',
  '@ = append($, $)',
  '@ = sort($)',
  '@ = type_of($)',
  '@ = to_json($)',
  '@ = split($, "a")',
  '@ = first_address($)',
  '@ = address_add($, 1)',
  '@ = year($)',
  '@ = add_seconds($, $)',
  '@ = length(keys($))',
  '@ = abs($) + 1',
  'member($, @)',
  'items($, %, @)',
  'entries($, %, @)',
  'unpack_date($, @, %, _)',
];

export const COMPOSITE_VALUES: readonly Value[] = [
  new List([]),
  new List([0n]),
  new List([1n, 'a', null]),
  new List([1, new List([1n])]),
  new Document([]),
  new Document([['a', 1n]]),
  new Document([
    ['b', new List([0n, 'a'])],
    ['a', new Document([['a', null]])],
  ]),
  new IpAddress(4, 0x0a000001n),
  new IpAddress(6, 1n),
  new IpNetwork(4, 0x0a000000n, 8),
  new IpNetwork(4, 0x0a000000n, 9),
  new IpNetwork(6, 0n, 0),
  new DateTime(0n),
  new DateTime(1_000_000n * 86_400n * 400n + 1n),
  '10.0.0.0/9',
  '2001-02-03',
  'ab',
];

/** A literal over these variables; `outputs`: new names for what it binds. */
export function functionLiteral(
  random: Random,
  inputs: readonly string[],
  outputs: () => string,
  isTest: boolean,
): { text: string; bound: string[] } {
  const template = random.pick(isTest ? TESTS : VALUES);
  const bound: string[] = [];
  const text = template.replace(/[$@%]/g, (mark) => {
    if (mark === '$') return random.pick(inputs);
    const name = outputs();
    bound.push(name);
    return name;
  });
  return { text, bound };
}
