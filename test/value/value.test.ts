import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { Document, List } from '../../host/value/composite.ts';
import { DateTime } from '../../host/value/datetime.ts';
import { IpAddress, IpNetwork } from '../../host/value/ip.ts';
import {
  compareRows,
  compareValues,
  formatFloat,
  formatValue,
  normalizeFloat,
} from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';

/** Ascending; every pair is compared both ways. */
const ASCENDING: readonly Value[] = [
  null,
  false,
  true,
  -Number.MAX_VALUE,
  -(2n ** 63n),
  -(2 ** 63),
  -1n,
  -1,
  -0.5,
  0n,
  0,
  Number.MIN_VALUE,
  1n,
  1,
  1.5,
  2n,
  2n ** 53n,
  2 ** 53,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2 ** 63,
  '',
  '\0',
  'a',
  'a\0',
  'aa',
  'b',
  '\u{7ff}',
  '\u{d7ff}',
  '\u{e000}',
  '\u{ffff}',
  '\u{10000}',
  '\u{10000}a',
  '\u{10ffff}',
  new DateTime(-1n),
  new DateTime(0n),
  new DateTime(1n),
  new IpAddress(4, 0n),
  new IpAddress(4, 0xffffffffn),
  new IpAddress(6, 0n),
  new IpAddress(6, 2n ** 127n),
  new IpNetwork(4, 0n, 0),
  new IpNetwork(4, 0n, 8),
  new IpNetwork(4, 0x0a000000n, 8),
  new IpNetwork(6, 0n, 0),
  new List([]),
  new List([null]),
  new List([1n]),
  new List([1n, null]),
  new List([1]),
  new List(['a']),
  new List([new List([])]),
  new Document([]),
  new Document([['', 0n]]),
  new Document([['a', 1n]]),
  new Document([
    ['b', 0n],
    ['a', 1n],
  ]),
  new Document([['a', 1]]),
  new Document([['b', null]]),
];

test('the order is total, and strings follow their UTF-8 bytes', () => {
  ASCENDING.forEach((a, i) => {
    ASCENDING.forEach((b, j) => {
      assert.equal(
        compareValues(a, b),
        Math.sign(i - j),
        `${formatValue(a)} and ${formatValue(b)}`,
      );
    });
  });
});

test('the string order is the byte order, and not the one of `<`', () => {
  const strings = ASCENDING.filter((value): value is string => typeof value === 'string');
  const byBytes = strings.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(strings, byBytes);
  // Negative control: with JavaScript's own order the list is another one.
  assert.notDeepEqual(strings.toSorted(), byBytes);
});

test('rows compare column by column', () => {
  assert.equal(compareRows([1n, 'b'], [1n, 'a']), 1);
  assert.equal(compareRows([1n], [1n, 'a']), -1);
  assert.equal(compareRows([], []), 0);
  assert.equal(compareRows([2n, 'a'], [10n, 'a']), -1);
});

test('floats print shortest, and never like an int', () => {
  const expected: readonly [number, string][] = [
    [1, '1.0'],
    [0, '0.0'],
    [-0, '0.0'],
    [0.1, '0.1'],
    [-2.5, '-2.5'],
    [1e21, '1e21'],
    [1.5e300, '1.5e300'],
    [1e-7, '1e-7'],
    [123456789012345680000, '123456789012345680000.0'],
    [5e-324, '5e-324'],
    [Number.MAX_VALUE, '1.7976931348623157e308'],
  ];
  for (const [value, text] of expected) {
    assert.equal(formatFloat(value), text);
    assert.equal(Number(text), value === 0 ? 0 : value);
  }
});

test('values print as the policy language writes them', () => {
  assert.equal(formatValue('a\n"\\\t\r\u0001é\u{10000}'), '"a\\n\\"\\\\\\t\\r\\u0001é\u{10000}"');
  assert.equal(formatValue(-1n), '-1');
  assert.equal(formatValue(1), '1.0');
  assert.equal(formatValue(true), 'true');
  assert.equal(formatValue(null), 'null');
  assert.equal(formatValue(2n ** 63n - 1n), '9223372036854775807');
});

test('normalizeFloat drops the sign of zero and refuses what is no value', () => {
  assert.ok(Object.is(normalizeFloat(-0), 0));
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.throws(
      () => normalizeFloat(value),
      (error: unknown) => error instanceof CaucusError && error.code === 'invalid_row',
    );
  }
});
