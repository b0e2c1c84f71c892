/** Recursion through min and max against the reference, and what holds it up. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Row } from '../../host/value/value.ts';
import { sample } from '../support/prng.ts';
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

const ARITIES = { e: 3, n: 1 };
const SEED = 3131;
const TIES_OFF = 5;
const RECOMPUTE_OFF = 2;

const DISTANCES = `
  dist(x, min(d)) :- s:n(x), d = 0.
  dist(y, min(d + c)) :- dist(x, d), s:e(x, y, c), c >= 0.
`;
const PROGRAMS: Readonly<Record<string, string>> = {
  'shortest paths': `${DISTANCES} far(x) :- dist(x, d), d > 2. sum(sum(d)) :- dist(_, d).`,
  'all pairs, legs put together': `
    leg(x, y, min(c)) :- s:e(x, y, c), c >= 0.
    leg(x, z, min(c + d)) :- leg(x, y, c), leg(y, z, d), c >= 0, d >= 0.
  `,
  'largest, over two tables': `
    a(x, max(v)) :- s:n(x), v = 9.
    b(max(v - c), y) :- a(x, v), s:e(x, y, c), c >= 0.
    a(y, max(v)) :- b(v, x), s:e(x, y, _), not s:n(y).
    a(y, max(w)) :- b(v, x), s:e(x, y, w), w <= v.
  `,
  'one group': `
    least(min(c)) :- s:e(_, _, c).
    least(min(d)) :- least(c), s:e(x, y, d), s:n(x), c <= d.
  `,
};

function randomEdges(seed: number, nodes: number, count: number, costs: number): number[][] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => [
    random.int(nodes),
    random.int(nodes),
    random.int(costs),
  ]);
}

/** Edges come and go, many of them free, then all goes and comes back. */
async function walk(pair: EnginePair, text: string, seed: number, nodes: number): Promise<void> {
  const random = randomFrom(seed);
  let present: Row[] = [];
  const what = (step: string): string => `seed ${seed}: ${step}`;
  await pair.transact([inserts('s:n', 1, ints([0]))], what('start'), planFor(text, ARITIES));
  for (let step = 0; step < 12; step++) {
    const come = intRows(randomEdges(seed + step * 7, nodes, 1 + random.int(nodes * 2), 3));
    const gone = sample(random, present, Math.min(present.length, random.int(nodes)));
    const node = random.chance(0.3) ? [[BigInt(random.int(nodes))]] : [];
    const flip = random.chance(0.5) ? inserts : deletes;
    const changes = [deletes('s:e', 3, gone), inserts('s:e', 3, come), flip('s:n', 1, node)];
    if (random.chance(0.2)) succeeded(await pair.engine.transact({ changes, dryRun: true }));
    await pair.transact(changes, what(`step ${step}`));
    const key = (row: Row): string => row.join();
    const lost = new Set(gone.map(key));
    const kept = present.filter((row) => !lost.has(key(row)));
    present = [...new Map([...kept, ...come].map((row) => [key(row), row])).values()];
  }
  await pair.transact([{ table: 's:e', replace: true }], what('empty'));
}

for (const [name, text] of Object.entries(PROGRAMS)) {
  test(`edges come and go: ${name}`, async () => {
    for (let seed = SEED; seed < SEED + 12; seed++) {
      const engine = await (seed % 2 === 0 ? createEngine() : createDebugEngine());
      await walk(new EnginePair(engine), text, seed, 3 + (seed % 5));
    }
  });
}

test('ranks tell rows of one value apart: without them free cycles hold themselves up', async () => {
  const found = async (sabotage: number): Promise<boolean> => {
    for (let seed = SEED; seed < SEED + 12; seed++) {
      const engine = await createEngine();
      engine.core.exports.sabotage(sabotage);
      try {
        await walk(new EnginePair(engine), DISTANCES, seed, 5);
      } catch {
        return true;
      }
    }
    return false;
  };
  assert.equal(await found(0), false);
  assert.equal(await found(TIES_OFF), true, 'negative control');
});

test('rows from outside and rows that are not the best stay for later', async () => {
  const pair = new EnginePair(await createDebugEngine());
  await pair.transact([inserts('s:n', 1, ints([1]))], 'start', planFor(DISTANCES, ARITIES));
  const rows = ints([2, 7], [2, 5], [3, 9], [1, 4]);
  await pair.transact([inserts('p:dist', 2, rows)], 'rows of the table itself');
  await pair.transact([inserts('s:e', 3, ints([1, 2, 3], [2, 3, 1]))], 'better ones');
  await pair.transact([deletes('s:e', 3, ints([1, 2, 3]))], 'the next best are back');
  await pair.transact([deletes('p:dist', 2, ints([2, 5]))], 'one of them goes');
  await pair.transact([deletes('s:n', 1, ints([1]))], 'the source goes');
  await pair.transact([], 'another program', planFor(`${DISTANCES} d(x) :- dist(x, _).`, ARITIES));
  await pair.transact([], 'no recursion', planFor('dist(x, min(c)) :- s:e(x, _, c).', ARITIES));
  await pair.transact([], 'and back', planFor(DISTANCES, ARITIES));
  await pair.transact([{ table: 'p:dist', replace: true }], 'none is left');
});

/** A chain with shortcuts: `side` nodes in each of two rows. */
function ladder(side: number): number[][] {
  return Array.from({ length: side }, (_, x) => [
    [x, x + 1, 2],
    [x, x + 1000, 1],
    [x + 1000, x + 1001, 2],
    [x + 1000, x, 0],
  ]).flat();
}

test('a change costs what it changes; from scratch each node is settled once', async () => {
  const engine = await createEngine();
  const plan = planFor(DISTANCES, ARITIES);
  const edges = intRows(ladder(400));
  succeeded(await engine.transact({ plan, changes: [inserts('s:e', 3, edges)] }));
  succeeded(await engine.transact({ changes: [inserts('s:n', 1, ints([0]))] }));
  assert.equal(engine.count('p:dist'), 802);
  const scratch = await createEngine();
  const all = [inserts('s:e', 3, edges), inserts('s:n', 1, ints([0]))];
  const before = scratch.core.exports.derivationCount();
  succeeded(await scratch.transact({ plan, changes: all }));
  const derived = Number(scratch.core.exports.derivationCount() - before);
  // Two for the node itself: its row, and what the aggregate makes of it.
  assert.ok(derived <= edges.length + 10, `${derived} derivations of ${edges.length} edges`);
  succeeded(await engine.transact({ changes: [deletes('s:e', 3, ints([399, 400, 2]))] }));
  const near = engine.stats().touchedRows;
  assert.ok(near < 20, `${near} rows touched at the end of the chain`);
  succeeded(await engine.transact({ changes: [deletes('s:e', 3, ints([0, 1, 2]))] }));
  const far = engine.stats().touchedRows;
  assert.ok(far > 400, `control: ${far} rows touched at its start`);
});

test('where most rows fall they are computed again: the same rows', async () => {
  for (const sabotage of [0, RECOMPUTE_OFF]) {
    const engine = await createEngine();
    engine.core.exports.sabotage(sabotage);
    const pair = new EnginePair(engine);
    const edges = intRows(
      ladder(60).concat(ladder(60).map(([x, y, c]) => [y, x, (c ?? 0) + 1]) as number[][]),
    );
    const changes = [inserts('s:e', 3, edges), inserts('s:n', 1, ints([0], [30]))];
    const text = `${DISTANCES} p(x, y, min(c)) :- s:e(x, y, c). p(x, y, min(c)) :- p(y, x, c), c < 1.`;
    await pair.transact(changes, 'start', planFor(text, ARITIES));
    await pair.transact([deletes('s:n', 1, ints([0]))], 'one source goes');
    await pair.transact([inserts('s:n', 1, ints([59])), deletes('s:n', 1, ints([30]))], 'another');
    await pair.transact([deletes('s:n', 1, ints([59]))], 'all fall');
    await pair.transact([inserts('s:n', 1, ints([7]))], 'and stand again');
  }
});

test('an endless table ends in the limit of rows, and the state is as before', async () => {
  const engine = await createEngine({ rowsPerTableMax: 500 });
  const pair = new EnginePair(engine);
  await pair.transact([], 'start', planFor(DISTANCES, ARITIES));
  const text = `${DISTANCES} count(x, min(d)) :- dist(x, d). count(x + 1, min(d)) :- count(x, d).`;
  const change = inserts('s:n', 1, ints([1]));
  const result = await engine.transact({ plan: planFor(text, ARITIES), changes: [change] });
  assert.ok(!result.ok);
  assert.equal(result.code, 'rows_per_table');
  assert.equal(result.table, 'p:count');
  await pair.transact([change], 'after it');
});

test('slices of a few steps, a digest and a rollback in between', async () => {
  const plan = planFor(PROGRAMS['shortest paths'] ?? '', ARITIES, {
    digest: new Set(['p:dist']),
  });
  const engine = await createEngine();
  const edges = intRows(randomEdges(SEED, 40, 160, 4));
  succeeded(await engine.transact({ plan, changes: [inserts('s:e', 3, edges)] }));
  const { exports } = engine.core;
  const empty = engine.digest();
  const node = [inserts('s:n', 1, ints([0]))];
  succeeded(await engine.transact({ changes: node }));
  const full = engine.digest();
  assert.notEqual(full, empty);
  // By hand, seven steps at a time; given up in the middle, then at the end.
  for (const slices of [3, 40, 100_000]) {
    assert.equal(exports.begin(), 0);
    const change = deletes('s:e', 3, edges.slice(0, 20)).delete;
    assert.ok(change !== undefined);
    const handle = handleOf(engine, 160);
    exports.changeBaseRows(handle, engine.core.write(change.bytes), change.bytes.length, 20, 0);
    for (let slice = 0; slice < slices && exports.step(7) === 1; slice++);
    while (exports.rollBack() === 1);
    assert.equal(engine.digest(), full);
    assert.equal(engine.scrub(), undefined);
  }
  succeeded(await engine.transact({ changes: [{ table: 's:n', replace: true }] }));
  assert.equal(engine.digest(), empty);
});

/** The relation with so many rows at least. */
function handleOf(engine: Awaited<ReturnType<typeof createEngine>>, rows: number): number {
  for (let handle = 0; handle < 20; handle++) {
    if (engine.core.exports.liveRows(handle) > rows * 0.8) return handle;
  }
  assert.fail('no such relation');
}
