/** The order and the identity of values in the core are those of host/value. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import {
  compareRows,
  compareValues,
  formatValue,
  INT_MAX,
  INT_MIN,
} from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { rowKey } from '../oracle/row-set.ts';
import { randomValue as anyValue } from '../support/random-value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { createEngine, inserts, planFor, sameBlock, show, succeeded } from './engine-pair.ts';

const SEED = 20_261;

/** Values where representations change: small and large ints, what a float can still tell apart. */
function edgeValues(): Value[] {
  const values: Value[] = [null, false, true, '', '\0', '\0a', 'a', 'a\0', 'aa'];
  for (const power of [0n, 8n, 29n, 30n, 31n, 32n, 52n, 53n, 54n, 62n, 63n]) {
    for (const offset of [-2n, -1n, 0n, 1n, 2n]) {
      for (const value of [2n ** power + offset, -(2n ** power) + offset]) {
        if (value >= INT_MIN && value <= INT_MAX) values.push(value);
      }
    }
    const float = Number(2n ** power);
    values.push(float, -float, float + 0.5, -float - 0.5);
  }
  values.push(0.0, -0.0, Number.MIN_VALUE, -Number.MIN_VALUE, 2 ** -1022, Number.MAX_VALUE, 0.1);
  values.push(2 ** 63, -(2 ** 63), 2 ** 64, 1.5, -1.5);
  // By code point, a surrogate pair comes behind the rest of the basic plane.
  values.push('\u{10000}', '\u{ffff}', '\u{e000}', '\u{d7ff}', '\u{10ffff}', 'é', 'e\u{301}', '中');
  for (const length of [7, 8, 9, 254, 255, 256, 257, 70_000]) {
    values.push('x'.repeat(length), `${'x'.repeat(length - 1)}y`, '中'.repeat(length));
  }
  return values;
}

function randomValue(random: Random): Value {
  switch (random.int(5)) {
    case 0:
      return (
        BigInt.asIntN(64, new DataView(random.bytes(8).buffer).getBigInt64(0)) >>
        BigInt(random.int(64))
      );
    case 1: {
      const float = new DataView(random.bytes(8).buffer).getFloat64(0);
      return Number.isFinite(float) ? float : 0.25;
    }
    case 2:
      return random.int(40) - 20 + random.pick([0, 0.5]);
    case 3:
      return BigInt(random.int(40) - 20);
    default: {
      const point = (): number => random.pick([0, 0x61, 0x7f, 0x80, 0x7ff, 0xe000, 0x10000]);
      const length = random.int(12);
      return String.fromCodePoint(...Array.from({ length }, () => point() + random.int(3)));
    }
  }
}

function distinct(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [rowKey(row), row])).values()];
}

test('a table gives its rows in the order of the host, every value as it was', async () => {
  const random = randomFrom(SEED);
  const engine = await createEngine();
  const arities = { t: 1, u: 2 };
  const single = [
    ...edgeValues(),
    ...Array.from({ length: 2000 }, () => randomValue(random)),
    ...Array.from({ length: 2000 }, () => anyValue(random)),
  ];
  const pool = edgeValues().filter((value) => typeof value !== 'string' || value.length < 300);
  const pairs = Array.from({ length: 3000 }, () => [random.pick(pool), random.pick(pool)]);
  const t = distinct(single.map((value) => [value === 0 ? 0 : value])).sort(compareRows);
  const u = distinct(pairs.map((row) => row.map((one) => (one === 0 ? 0 : one)))).sort(compareRows);
  const result = await engine.transact({
    plan: planFor('', arities),
    changes: [
      inserts(
        's:t',
        1,
        single.map((value) => [value]),
      ),
      inserts('s:u', 2, pairs),
    ],
  });
  succeeded(result);
  sameBlock(await engine.rows('s:t'), encodeRows(1, t), `seed ${SEED}`);
  sameBlock(await engine.rows('s:u'), encodeRows(2, u), `seed ${SEED}`);
  assert.deepEqual(decodeRows(await engine.rows('s:t')), t, 'values survive');
  // Deltas are sorted alike.
  const delta = result.deltas.find((one) => one.table === 's:t');
  assert.ok(delta !== undefined);
  sameBlock(delta.insert, encodeRows(1, t), 'delta');
});

test('negative control: the order of UTF-16 units is another one', () => {
  const [pair, last] = ['\u{10000}', '\u{ffff}'];
  assert.equal(compareValues(pair, last), 1);
  assert.ok(pair < last);
});

test('1 and 1.0 are two rows, and −0 is 0.0', async () => {
  const engine = await createEngine();
  const plan = planFor('q(x) :- s:t(x), s:u(x).', { t: 1, u: 1 });
  const changes = [
    inserts('s:t', 1, [[1n], [1.0], [0.0], [2n], [2 ** 53]]),
    inserts('s:u', 1, [[1.0], [-0.0], [2.0], [2n ** 53n]]),
  ];
  succeeded(await engine.transact({ plan, changes }));
  assert.equal(engine.count('s:t'), 5);
  assert.deepEqual(decodeRows(await engine.rows('p:q')), [[0], [1]], 'a join is by identity');
});

test('`<` and its kin compare numbers by value, all else by the total order', async () => {
  const random = randomFrom(SEED + 1);
  const engine = await createEngine();
  const pool = edgeValues().filter((value) => typeof value !== 'string' || value.length < 20);
  const numbers = Array.from({ length: 60 }, () => randomValue(random));
  numbers.push(...Array.from({ length: 60 }, () => anyValue(random)));
  const values = distinct([...pool, ...numbers].map((value) => [value === 0 ? 0 : value]));
  const text = `
    less(x, y) :- s:t(x), s:t(y), x < y.
    most(x, y) :- s:t(x), s:t(y), x <= y.
    even(x, y) :- s:t(x), s:t(y), x = y.
  `;
  const plan = planFor(text, { t: 1 }, { watched: new Set() });
  succeeded(await engine.transact({ plan, changes: [inserts('s:t', 1, values)] }));
  const compared = new Map<string, number>();
  const isNumber = (value: Value): boolean =>
    typeof value === 'number' || typeof value === 'bigint';
  const byValue = (a: Value, b: Value): number => {
    if (!isNumber(a) || !isNumber(b)) return compareValues(a, b);
    // JavaScript compares a bigint with a number by value, exactly.
    const [x, y] = [a as number, b as number];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  const expected = { less: [] as Row[], most: [] as Row[], even: [] as Row[] };
  for (const [x] of values) {
    for (const [y] of values) {
      const order = byValue(x as Value, y as Value);
      if (order < 0) expected.less.push([x as Value, y as Value]);
      if (order <= 0) expected.most.push([x as Value, y as Value]);
    }
  }
  compared.set('less', expected.less.length);
  for (const name of ['less', 'most'] as const) {
    const rows = encodeRows(2, expected[name].sort(compareRows));
    const actual = await engine.rows(`p:${name}`);
    if (Buffer.compare(actual.bytes, rows.bytes) !== 0) {
      const has = new Set(decodeRows(actual).map(rowKey));
      const wants = new Set(expected[name].map(rowKey));
      const lost = expected[name].find((row) => !has.has(rowKey(row)));
      const more = decodeRows(actual).find((row) => !wants.has(rowKey(row)));
      const told = [lost, more].map((row) => row?.map(formatValue).join(' and ') ?? 'none');
      assert.fail(`${name}, seed ${SEED + 1}: lost ${told[0]}; too much ${told[1]}`);
    }
  }
  const equal = decodeRows(await engine.rows('p:even'));
  assert.equal(equal.length, values.length, show(await engine.rows('p:even')).slice(0, 300));
});
