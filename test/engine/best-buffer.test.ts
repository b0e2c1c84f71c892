/** Min, max, argmin and argmax when their best rows go, one after another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Row } from '../../host/value/value.ts';
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

const ARITIES = { t: 2 };
const ROWS = 20_000;
const DELETES = 300;
const CANDIDATES_OFF = 4;
const SEED = 97;

/** Steps for `DELETES` transactions, each of which takes the smallest row of a large group away. */
async function stepsOf(text: string, sabotage: number): Promise<number> {
  const engine = await createEngine();
  engine.core.exports.sabotage(sabotage);
  const rows = intRows(Array.from({ length: ROWS }, (_, value) => [1, value]));
  const changes = [inserts('s:t', 2, shuffled(randomFrom(SEED), rows))];
  succeeded(await engine.transact({ plan: planFor(text, ARITIES), changes }));
  const before = engine.core.exports.stepsDone();
  for (const row of rows.slice(0, DELETES)) {
    succeeded(await engine.transact({ changes: [deletes('s:t', 2, [row])] }));
  }
  return Number(engine.core.exports.stepsDone() - before);
}

for (const text of [
  'best(k, min(v)) :- s:t(k, v).',
  'best(min(v)) :- s:t(_, v).',
  'best(k, argmin(w, v)) :- s:t(k, v), w = v % 7.',
]) {
  test(`the next best of a group is at hand: ${text}`, async () => {
    const steps = await stepsOf(text, 0);
    // One look through the group for each 64 that went, and some steps for each of them.
    assert.ok(steps < (DELETES / 64 + 2) * ROWS + DELETES * 50, `${steps} steps`);
    const without = await stepsOf(text, CANDIDATES_OFF);
    assert.ok(
      without > 0.9 * DELETES * ROWS,
      `negative control: ${without} steps without candidates`,
    );
  });
}

const ALL = `
  range(k, min(v), max(v), avg(v)) :- s:t(k, v).
  ends(argmin(k, v), argmax(k, v)) :- s:t(k, v).
  odd(k, argmax(v, w)) :- s:t(k, v), w = v % 3.
`;

test('groups grow and shrink as in the reference, with failures in between', async () => {
  const random = randomFrom(SEED);
  const pair = new EnginePair(await createDebugEngine());
  await pair.transact([], 'empty', planFor(ALL, ARITIES));
  let present: Row[] = [];
  for (let step = 0; step < 120; step++) {
    const isGrowing = step % 40 < 20;
    const count = 1 + random.int(isGrowing ? 30 : 8);
    const rows = intRows(
      Array.from({ length: count }, () => [random.int(2), random.int(200) - 100]),
    );
    const sorted = [...present].sort((a, b) => Number((a[1] as bigint) - (b[1] as bigint)));
    // The smallest go first, then the largest.
    const gone = (random.chance(0.5) ? sorted : sorted.reverse()).slice(0, count);
    const changes = isGrowing ? [inserts('s:t', 2, rows)] : [deletes('s:t', 2, gone)];
    const trial = { changes: [{ table: 's:t', replace: true }], dryRun: true };
    if (random.chance(0.2)) succeeded(await pair.engine.transact(trial));
    await pair.transact(changes, `step ${step}`);
    const key = (row: Row): string => row.join();
    const lost = new Set(gone.map(key));
    present = isGrowing
      ? [...new Map([...present, ...rows].map((row) => [key(row), row])).values()]
      : present.filter((row) => !lost.has(key(row)));
  }
});
