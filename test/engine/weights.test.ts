/** Weights beyond 24 bits, and bodies that fall into parts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeRows } from '../../host/value/row-block.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import {
  createEngine,
  deletes,
  inserts,
  intRows,
  ints,
  planFor,
  succeeded,
} from './engine-pair.ts';

const ARITIES = { a: 2, b: 2, c: 1, d: 1, f: 1 };
/** SIDE² is more than 2^24. */
const SIDE = 4200;

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/** Rows (1, 0 …) of `a` and (0 …, 1) of `b`: all of them meet in `p(1)` through `on`. */
const A = intRows(range(0, SIDE).map((y) => [1, y]));
const B = intRows(range(0, SIDE).map((z) => [1, z]));

async function pairs(): Promise<WasmEngine> {
  const engine = await createEngine();
  // The comparison keeps both atoms in one part, so that each pair of rows is a derivation.
  const plan = planFor('p(x) :- s:a(x, y), s:b(x, z), y < z + 10000.', ARITIES);
  succeeded(await engine.transact({ plan, changes: [inserts('s:a', 2, A)] }));
  const before = engine.core.exports.derivationCount();
  succeeded(await engine.transact({ changes: [inserts('s:b', 2, B)] }));
  const derived = Number(engine.core.exports.derivationCount() - before);
  assert.ok(derived > 2 ** 24, `${derived} derivations of one row`);
  return engine;
}

/** The delta of `p` over one transaction: rows that came, rows that went. */
async function deltaOf(
  engine: WasmEngine,
  changes: Parameters<WasmEngine['transact']>[0]['changes'],
  dryRun = false,
): Promise<[number, number]> {
  const result = await engine.transact({ changes, dryRun });
  succeeded(result);
  const delta = result.deltas.find(({ table }) => table.startsWith('p:'));
  return [delta?.insert.count ?? 0, delta?.delete.count ?? 0];
}

test('a row with more than 2^24 derivations goes with the last of them', async () => {
  const engine = await pairs();
  assert.equal(engine.count('p:p'), 1);
  // Rolled back, the weight is whole again.
  assert.deepEqual(await deltaOf(engine, [{ table: 's:b', replace: true }], true), [0, 1]);
  assert.equal(engine.count('p:p'), 1);
  assert.deepEqual(await deltaOf(engine, [deletes('s:b', 2, B.slice(1))]), [0, 0]);
  assert.deepEqual(await deltaOf(engine, [deletes('s:a', 2, A.slice(0, -1))]), [0, 0]);
  assert.equal(engine.count('p:p'), 1, 'one derivation is left');
  assert.deepEqual(await deltaOf(engine, [deletes('s:a', 2, A.slice(-1))]), [0, 1]);
  assert.equal(engine.count('p:p'), 0);
  // And the count started from zero again.
  const back = [inserts('s:a', 2, A.slice(0, 1))];
  assert.deepEqual(await deltaOf(engine, back), [1, 0]);
  assert.deepEqual(await deltaOf(engine, [deletes('s:b', 2, B.slice(0, 1))]), [0, 1]);
});

test('an alarm over three tables costs few derivations and stays to the last row', async () => {
  const engine = await createEngine();
  const text = 'alarm() :- s:c(x), s:d(y), s:f(z).';
  const rows = intRows(range(0, 2000).map((x) => [x]));
  const { exports } = engine.core;
  const tables = ['s:c', 's:d', 's:f'];
  const first = tables.map((table) => inserts(table, 1, rows));
  succeeded(await engine.transact({ plan: planFor(text, ARITIES), changes: first }));
  const cost = Number(exports.derivationCount());
  assert.ok(cost < 20_000, `${cost} derivations, not 8 000 000 000`);
  assert.deepEqual(decodeRows(await engine.rows('p:alarm')), [[]]);
  for (const table of tables) {
    assert.deepEqual(await deltaOf(engine, [deletes(table, 1, rows.slice(1))]), [0, 0]);
  }
  for (const table of tables) {
    assert.deepEqual(await deltaOf(engine, [deletes(table, 1, ints([0]))]), [0, 1]);
    assert.deepEqual(await deltaOf(engine, [inserts(table, 1, ints([7]))]), [1, 0]);
    assert.deepEqual(await deltaOf(engine, [inserts(table, 1, ints([0]))]), [0, 0]);
    assert.deepEqual(await deltaOf(engine, [deletes(table, 1, ints([7]))]), [0, 0]);
  }
});

test('negative control: a body that hangs together costs the product', async () => {
  const engine = await createEngine();
  const text = 'alarm() :- s:c(x), s:d(y), x + y >= 0.';
  const rows = intRows(range(0, 200).map((x) => [x]));
  const changes = ['s:c', 's:d'].map((table) => inserts(table, 1, rows));
  succeeded(await engine.transact({ plan: planFor(text, ARITIES), changes }));
  assert.ok(engine.core.exports.derivationCount() >= 40_000n);
});

/** 20 000 rows in 20 groups. */
const GROUPED = intRows(range(0, 20_000).map((x) => [x, x % 20]));

for (const batchOnly of [false, true]) {
  test(`rows that are only asked for cost no product, ${batchOnly ? 'batch' : 'maintained'}`, async () => {
    for (const text of [
      'n(g, count()) :- s:a(_, g), s:a(x, g).',
      'n(x) :- s:a(x, g), s:a(_, g), not s:b(g, _).',
      'n(x) :- s:a(x, g), s:a(y, g), s:b(y, _). n(g) :- s:a(_, g), s:a(x, g), x < 0.',
    ]) {
      const engine = await createEngine();
      const plan = planFor(text, ARITIES, { batchOnly });
      succeeded(await engine.transact({ plan, changes: [inserts('s:a', 2, GROUPED)] }));
      const cost = Number(engine.core.exports.derivationCount());
      assert.ok(cost < 100_000, `${cost} derivations: ${text}`);
      if (batchOnly) continue;
      const change = [deletes('s:a', 2, ints([7, 7])), inserts('s:a', 2, ints([-7, 7]))];
      succeeded(await engine.transact({ changes: change }));
      const more = Number(engine.core.exports.derivationCount()) - cost;
      assert.ok(more < 50, `${more} derivations for two rows: ${text}`);
    }
  });
}

test('negative control: the same rows, used, cost the product', async () => {
  // Over bits a count takes the length of a list at once.
  const engine = await createEngine({ layout: 'rows' });
  const plan = planFor('n(g, count()) :- s:a(y, g), s:a(x, g).', ARITIES);
  const rows = GROUPED.slice(0, 2000);
  succeeded(await engine.transact({ plan, changes: [inserts('s:a', 2, rows)] }));
  assert.ok(engine.core.exports.derivationCount() >= 200_000n);
});
