/** `collect`: groups that grow and shrink, lists that cannot be, memory that ends. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { List } from '../../host/value/composite.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { shuffled } from '../support/prng.ts';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  EnginePair,
  inserts,
  intRows,
  ints,
  planFor,
  succeeded,
} from './engine-pair.ts';

const ARITIES = { t: 3 };
const MIB = 1 << 20;
const SEED = 89;
const TEXT = `
  all(g, collect(v), count()) :- s:t(g, v, w).
  both(collect(v), collect(w), min(w)) :- s:t(_, v, w).
`;
const COLLECTED_OFF = 6;

/** Steps of a few rows and of many, up and down; some are tried before, without effect. */
async function growAndShrink(pair: EnginePair): Promise<void> {
  const random = randomFrom(SEED);
  await pair.transact([], 'empty', planFor(TEXT, ARITIES));
  let present: Row[] = [];
  const keyOf = (row: Row): string => row.join();
  for (let step = 0; step < 80; step++) {
    const isGrowing = step % 20 < 12;
    const count = 1 + random.int(random.chance(0.4) ? 90 : 6);
    const rows = intRows(
      Array.from({ length: count }, () => [random.int(2), random.int(60), random.int(3)]),
    );
    const gone = shuffled(random, present).slice(0, count);
    const added = isGrowing ? rows : rows.slice(0, 2);
    const changes = [inserts('s:t', 3, added)];
    if (!isGrowing || random.chance(0.3)) changes.unshift(deletes('s:t', 3, gone));
    const trial = { changes: [{ table: 's:t', replace: true }, ...changes], dryRun: true };
    if (random.chance(0.3)) succeeded(await pair.engine.transact(trial));
    await pair.transact(changes, `step ${step}`);
    const lost = new Set(changes.length === 2 ? gone.map(keyOf) : []);
    const kept = present.filter((row) => !lost.has(keyOf(row)));
    present = [...new Map([...kept, ...added].map((row) => [keyOf(row), row])).values()];
  }
}

test('lists grow and shrink as in the reference', async () => {
  await growAndShrink(new EnginePair(await createDebugEngine()));
});

test('negative control: without the number of rows that have a value', async () => {
  const engine = await createEngine();
  engine.core.exports.sabotage(COLLECTED_OFF);
  await assert.rejects(growAndShrink(new EnginePair(engine)), assert.AssertionError);
});

test('a large group: a row more or less costs what its list costs, not a search', async () => {
  const engine = await createEngine();
  const rows = intRows(Array.from({ length: 50_000 }, (_, value) => [1, value, value % 2]));
  const changes = [inserts('s:t', 3, shuffled(randomFrom(SEED), rows))];
  const plan = planFor('all(g, collect(v)) :- s:t(g, v, _).', ARITIES);
  succeeded(await engine.transact({ plan, changes }));
  const before = engine.core.exports.stepsDone();
  const result = await engine.transact({ changes: [deletes('s:t', 3, [rows[7] as Row])] });
  succeeded(result);
  assert.deepEqual(
    result.deltas.map(({ table }) => table),
    ['p:all', 's:t'],
  );
  assert.ok(Number(engine.core.exports.stepsDone() - before) < rows.length * 1.5);
});

test('a list of more than 16 MiB, or of too many levels, is a failed call', async () => {
  const pair = new EnginePair(await createEngine());
  await pair.transact([], 'empty', planFor(TEXT, ARITIES));
  const long = (letter: string): Value => letter.repeat(6 * MIB);
  const large = ['a', 'b', 'c'].map((letter): Row => [1n, long(letter), 0n]);
  await pair.transact([inserts('s:t', 3, large.slice(0, 2))], 'two long strings');
  await pair.transact([inserts('s:t', 3, large.slice(2))], 'three long strings');
  assert.equal(pair.engine.count('p:all'), 0);
  assert.equal(pair.engine.count('system:errors'), 2);
  await pair.transact([deletes('s:t', 3, large.slice(0, 1))], 'two again');
  assert.equal(pair.engine.count('p:all'), 1);

  let deep: Value = 1n;
  for (let level = 0; level < 31; level++) deep = new List([deep]);
  await pair.transact([inserts('s:t', 3, [[2n, deep, 0n]])], '31 levels');
  assert.equal(pair.engine.count('p:all'), 2);
  await pair.transact([inserts('s:t', 3, [[2n, new List([deep]), 0n]])], '32 levels');
  assert.equal(pair.engine.count('p:all'), 1);
  await pair.transact([deletes('s:t', 3, [[2n, new List([deep]), 0n]])], '31 levels again');
  assert.equal(pair.engine.count('p:all'), 2);
});

test('out of memory while a list is made: nothing has changed, and the next one fits', async () => {
  const pair = new EnginePair(await createEngine({ memoryBytesMax: 24 * MIB }));
  await pair.transact([], 'empty', planFor('all(collect(v)) :- s:t(_, v, _).', ARITIES));
  await pair.transact([inserts('s:t', 3, ints([1, 1, 1], [1, 2, 1]))], 'two');
  const strings = Array.from({ length: 12 }, (_, index): Row => [
    1n,
    `${index}${'x'.repeat(MIB)}`,
    0n,
  ]);
  for (let round = 0; round < 4; round++) {
    await pair.fails([inserts('s:t', 3, strings)], 'out_of_memory');
    await pair.transact([inserts('s:t', 3, ints([2, 10 + round, 1]))], 'one more');
    await pair.transact([inserts('s:t', 3, strings.slice(0, 2))], 'two long ones');
    await pair.transact([deletes('s:t', 3, strings.slice(0, 2))], 'without them');
  }
});

test('lists that were are collected by their bytes', async () => {
  const engine = await createEngine();
  const plan = planFor('all(collect(v)) :- s:t(_, v, _).', ARITIES);
  const rows = intRows(Array.from({ length: 400_000 }, (_, value) => [1, value, 0]));
  succeeded(await engine.transact({ plan, changes: [inserts('s:t', 3, rows)] }));
  const before = engine.core.exports.memoryInUse();
  // Each of them has 2 MB.
  for (const row of rows.slice(0, 50)) {
    succeeded(await engine.transact({ changes: [deletes('s:t', 3, [row])] }));
  }
  assert.ok(engine.core.exports.collectionCount() > 0);
  const grown = engine.core.exports.memoryInUse() - before;
  assert.ok(grown < BigInt(80 * MIB), `${grown} bytes more`);
});
