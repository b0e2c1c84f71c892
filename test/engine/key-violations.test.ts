/** `system:key_violations`: what it costs where keys are right, and where they are wrong. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { shuffled } from '../support/prng.ts';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  EnginePair,
  inserts,
  intRows,
  planFor,
  succeeded,
} from './engine-pair.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import type { TableChange } from '../../host/engine/engine.ts';

const ARITIES = { n: 1 };
const TABLE = 'p:t';
const PLAN = planFor('table t(k: int key, a: int, b: int) q(k) :- t(k, _, _), s:n(k).', ARITIES);
const SEED = 61;
const ROWS = 20_000;

async function stepsOf(engine: WasmEngine, changes: readonly TableChange[]): Promise<number> {
  const before = engine.core.exports.stepsDone();
  succeeded(await engine.transact({ changes }));
  return Number(engine.core.exports.stepsDone() - before);
}

function rowsOf(count: number, keyOf: (row: number) => number): ReturnType<typeof intRows> {
  return intRows(Array.from({ length: count }, (_, row) => [keyOf(row), row, row % 3]));
}

test('rows come and go as in the reference', async () => {
  const random = randomFrom(SEED);
  const pair = new EnginePair(await createDebugEngine());
  await pair.transact([], 'empty', PLAN);
  for (let step = 0; step < 60; step++) {
    const rows = (): ReturnType<typeof intRows> =>
      intRows(Array.from({ length: 1 + random.int(6) }, () => [random.int(4), random.int(3), 0]));
    const changes = [deletes(TABLE, 3, rows()), inserts(TABLE, 3, rows())];
    await pair.transact(random.chance(0.5) ? changes : changes.reverse(), `step ${step}`);
  }
});

for (const [what, keyOf] of [
  ['right keys', (row: number) => row],
  ['one key for all', () => 1],
  ['pairs', (row: number) => row >> 1],
] as const) {
  test(`the work is linear in the rows: ${what}`, async () => {
    const engine = await createEngine();
    succeeded(await engine.transact({ plan: PLAN, changes: [] }));
    const rows = shuffled(randomFrom(SEED), rowsOf(ROWS, keyOf));
    const loaded = await stepsOf(engine, [inserts(TABLE, 3, rows)]);
    assert.ok(loaded < ROWS * 25, `${loaded} steps to load`);
    const keys = engine.count('system:key_violations');
    assert.equal(keys, what === 'pairs' ? ROWS / 2 : what === 'right keys' ? 0 : 1);
    const one = await stepsOf(engine, [inserts(TABLE, 3, intRows([[7, -1, 0]]))]);
    assert.ok(one < 100, `${one} steps for a row`);
    const gone = await stepsOf(engine, [{ table: TABLE, replace: true }]);
    assert.ok(gone < ROWS * 30, `${gone} steps to empty it`);
    assert.equal(engine.count('system:key_violations'), 0);
  });
}
