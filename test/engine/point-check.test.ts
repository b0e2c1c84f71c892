/** Point checks: what they find is what the table has, at every moment, and they leave no trace. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import type { ErrorCode } from '../../host/errors.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { lower } from '../../host/compiler/lower.ts';
import { formatValue, INT_MAX, INT_MIN } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { RowSet } from '../oracle/row-set.ts';
import { randomValue } from '../support/random-value.ts';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  inserts,
  intRows,
  planFor,
  programFor,
  queryFor,
  succeeded,
} from './engine-pair.ts';

const SEED = 4711;
const ARITIES = { e: 2, t: 1, w: 5 };
const TEXT = `
  one(x) :- s:t(x).
  path(x, y) :- s:e(x, y).
  path(x, z) :- path(x, y), s:e(y, z).
  wide(v, w, x, y, z) :- s:w(v, w, x, y, z).
`;
const PLAN = planFor(TEXT, ARITIES, { watched: new Set() });

/** Neighbours of what is represented in another way. */
function edges(): Value[] {
  const values: Value[] = [null, false, true, '', 0, 0.5, -1, 1, 2 ** 31, 2 ** 53];
  for (const power of [0n, 29n, 30n, 31n, 32n, 53n, 62n, 63n]) {
    for (const value of [2n ** power - 1n, 2n ** power, -(2n ** power), -(2n ** power) - 1n]) {
      if (value >= INT_MIN && value <= INT_MAX) values.push(value);
    }
  }
  for (const length of [1, 7, 8, 9, 63, 64, 65, 255, 256, 1024, 1025, 70_000]) {
    values.push('x'.repeat(length), `${'x'.repeat(length - 1)}y`, `${'x'.repeat(length - 1)}é`);
  }
  return values;
}

test('a check of any value finds it if and only if it is there', async () => {
  const random = randomFrom(SEED);
  const values = [...edges(), ...Array.from({ length: 300 }, () => randomValue(random))];
  for (const create of [createEngine, createDebugEngine]) {
    const engine = await create();
    const there = new RowSet(values.filter((_, index) => index % 3 !== 0).map((value) => [value]));
    const wide = new RowSet(
      Array.from({ length: 200 }, () => Array.from({ length: 5 }, () => random.pick(values))),
    );
    const changes = [inserts('s:t', 1, [...there]), inserts('s:w', 5, [...wide])];
    succeeded(await engine.transact({ plan: PLAN, changes }));
    const one = engine.prepareCheck('p:one');
    let found = 0;
    for (const value of values) {
      const has = one.has(value);
      assert.equal(has, there.has([value]), `seed ${SEED}: ${formatValue(value)}`);
      found += Number(has);
    }
    assert.ok(found >= there.size && found < values.length, `${found} are there`);
    const five = engine.prepareCheck('p:wide');
    for (const row of wide) {
      assert.equal(five.has(...row), true);
      const other = row.with(random.int(5), random.pick(values));
      assert.equal(five.has(...other), wide.has(other), other.map(formatValue).join());
    }
    engine.close();
  }
});

test('a check interns nothing', async () => {
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:t', 1, [['known']])] }));
  const check = engine.prepareCheck('p:one');
  const { exports } = engine.core;
  // The first value of the longest kind makes the request area as large as it gets.
  check.has('x'.repeat(5000));
  const before = [exports.internedCount(), exports.memoryInUse()];
  for (let number = 0; number < 3000; number++) {
    assert.equal(check.has(`fresh ${number}`), false);
    assert.equal(check.has(`fresh and longer than most of them: ${number}`), false);
    assert.equal(check.has(number + 0.25), false);
    assert.equal(check.has(2n ** 40n + BigInt(number)), false);
    assert.equal(check.has(`${'é'.repeat(100)}${number}`), false);
  }
  assert.deepEqual([exports.internedCount(), exports.memoryInUse()], before);
  // Negative control: a query does.
  await engine.query(queryFor(TEXT, ARITIES, PLAN, 'one("fresh in a query")'));
  assert.notEqual(exports.internedCount(), before[0]);
});

test('during a transaction a check sees the state before it, from its commit on the new one', async () => {
  let onTurn = (): void => undefined;
  const engine = await createEngine({
    yield: async () => {
      onTurn();
    },
  });
  const chain = (from: number, to: number): Row[] =>
    intRows(Array.from({ length: to - from }, (_, index) => [from + index + 1, from + index]));
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:e', 2, chain(0, 500))] }));
  const check = engine.prepareCheck('p:path');
  const commits = engine.core.exports.commitCount();
  const seen = { before: 0, behind: 0 };
  onTurn = () => {
    const isBehind = engine.core.exports.commitCount() !== commits;
    seen[isBehind ? 'behind' : 'before'] += 1;
    assert.equal(check.has(400n, 100n), !isBehind);
    assert.equal(check.has(600n, 550n), isBehind);
    assert.equal(check.has(200n, 100n), true);
  };
  const changes = [deletes('s:e', 2, chain(300, 301)), inserts('s:e', 2, chain(500, 1000))];
  succeeded(await engine.transact({ changes: [...changes] }));
  onTurn = () => undefined;
  assert.ok(seen.before > 3 && seen.behind > 0, JSON.stringify(seen));
  // A rollback changes nothing.
  succeeded(await engine.transact({ changes: [inserts('s:e', 2, chain(300, 301))], dryRun: true }));
  assert.equal(check.has(400n, 100n), false);
});

async function failure(act: () => unknown): Promise<CaucusError> {
  try {
    act();
  } catch (error) {
    if (error instanceof CaucusError) return error;
    throw error;
  }
  return assert.fail('it must fail');
}

async function fails(act: () => unknown, code: ErrorCode, message: RegExp): Promise<void> {
  const error = await failure(act);
  assert.equal(error.code, code);
  assert.match(error.message, message);
}

test('a check of what is no row of the table is an error, and no wrong answer', async () => {
  const engine = await createEngine();
  const early = engine.prepareCheck('p:one');
  assert.equal(early.has(1n), false, 'nothing runs yet');
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:t', 1, [[5n]])] }));
  assert.equal(early.has(5n), true);
  assert.equal(engine.prepareCheck('p:nothing').has(1n, 2n, 3n), false);
  await fails(() => early.has(), 'invalid_row', /`p:one` has 1 values, not 0/);
  await fails(() => early.has(5n, 5n), 'invalid_row', /not 2/);
  // Its low 64 bits are those of 5.
  await fails(() => early.has(2n ** 64n + 5n), 'invalid_row', /does not fit 64 bits/);
  await fails(() => early.has(Number.NaN), 'invalid_row', /is not a value/);
  await fails(() => early.has('\ud800'), 'invalid_row', /surrogate/);
});

test('a check follows the plan: other columns, no table, a table on demand', async () => {
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:t', 1, [[5n]])] }));
  const check = engine.prepareCheck('p:one');
  assert.equal(check.has(5n), true);
  const other = planFor('one(x, x) :- s:t(x).', ARITIES);
  succeeded(await engine.transact({ plan: other, changes: [] }));
  assert.equal(check.has(5n, 5n), true);
  assert.equal(check.has(5n, 6n), false);
  succeeded(await engine.transact({ plan: planFor('two(x) :- s:t(x).', ARITIES), changes: [] }));
  assert.equal(check.has(5n), false);
  const text = 'table one(x) on demand. one(x) :- s:t(x).';
  const onDemand = lower(programFor(text, ARITIES), { leavesOut: true });
  succeeded(await engine.transact({ plan: onDemand, changes: [] }));
  await fails(() => check.has(5n), 'invalid_request', /`p:one` is `on demand`/);
  await fails(() => check.has(5n), 'invalid_request', /keeps no rows/);
  succeeded(await engine.transact({ plan: PLAN, changes: [] }));
  assert.equal(check.has(5n), true);
});

test('checks go on where memory grows and values are collected', async () => {
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [] }));
  const check = engine.prepareCheck('p:one');
  const name = (number: number): string => `a name of some length, number ${number}`;
  const sizes = new Set<number>();
  let known: Row[] = [];
  let from = 0;
  for (let round = 1; round <= 12; round++) {
    const before = from;
    from += known.length;
    const rows = Array.from({ length: 10_000 * round }, (_, at): Row => [name(from + at)]);
    const changes = [deletes('s:t', 1, known), inserts('s:t', 1, rows)];
    succeeded(await engine.transact({ changes }));
    for (let at = 0; at < rows.length; at += 97) {
      assert.equal(check.has(name(from + at)), true);
      assert.equal(check.has(name(before + at)), before + at >= from);
      assert.equal(check.has(BigInt(at)), false);
    }
    sizes.add(engine.stats().memoryBytes);
    known = rows;
  }
  assert.ok(engine.core.exports.collectionCount() > 0, 'values were collected');
  assert.ok(sizes.size > 1, 'memory grew');
});

test('rows that a batch left unlisted are found', async () => {
  const check = async (engine: WasmEngine): Promise<boolean> => {
    const plan = planFor(TEXT, ARITIES, { batchOnly: true });
    const ring = Array.from({ length: 300 }, (_, node) => [node, (node + 1) % 300]);
    succeeded(await engine.transact({ plan, changes: [inserts('s:e', 2, intRows(ring))] }));
    assert.equal(engine.prepareCheck('p:path').has(5n, 300n), false);
    return engine.prepareCheck('p:path').has(5n, 4n);
  };
  assert.equal(await check(await createEngine({ layout: 'bits' })), true);
  assert.equal(await check(await createEngine({ layout: 'rows' })), true);
});
