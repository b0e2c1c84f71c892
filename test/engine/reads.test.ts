/**
 * Reads while a transaction is computed, committed or rolled back. A gate stands where the engine
 * gives the event loop a turn, so a test says what happens between which two slices.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import {
  createEngine,
  deletes,
  inserts,
  intRows,
  ints,
  planFor,
  queryFor,
  succeeded,
} from './engine-pair.ts';

const ARITIES = { e: 2, t: 1, w: 2 };
const PATHS = 'path(x, y) :- s:e(x, y). path(x, z) :- path(x, y), s:e(y, z).';
const PATH_PLAN = planFor(PATHS, ARITIES, { watched: new Set() });

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/** Edges that all lead to node 0 in the end. */
function chain(from: number, to: number): Row[] {
  return intRows(range(from, to).map((node) => [node + 1, node]));
}

/** Turns of the event loop, counted; `onTurn` runs in each. */
class Turns {
  count = 0;
  onTurn: (() => void) | undefined;

  readonly yield = async (): Promise<void> => {
    this.count += 1;
    this.onTurn?.();
    // A few microtasks, so that others' work interleaves.
    for (let i = 0; i < 8; i++) await Promise.resolve();
  };
}

async function world(): Promise<{ turns: Turns; engine: WasmEngine }> {
  const turns = new Turns();
  return { turns, engine: await createEngine({ yield: turns.yield }) };
}

test('during an evaluation of many slices reads give the state before it', async () => {
  const { turns, engine } = await world();
  succeeded(await engine.transact({ plan: PATH_PLAN, changes: [inserts('s:e', 2, chain(0, 10))] }));
  const query = queryFor(PATHS, ARITIES, PATH_PLAN, 'path(x, 0)');
  const during: Promise<void>[] = [];
  let slices = 0;
  const commitsBefore = engine.core.exports.commitCount();
  turns.onTurn = () => {
    const { exports } = engine.core;
    if (exports.isOpen() === 0 || exports.commitCount() !== commitsBefore) return;
    slices += 1;
    if (slices % 7 !== 0) return;
    assert.equal(engine.count('p:path'), 55);
    const ask = async (): Promise<void> => {
      const { rows } = await engine.query(query);
      // It is answered at once, so at the old state.
      assert.equal(rows.count, 10);
    };
    during.push(ask());
    if (slices === 7) {
      during.push(engine.rows('p:path').then((rows) => assert.equal(rows.count, 55)));
    }
  };
  succeeded(await engine.transact({ changes: [inserts('s:e', 2, chain(10, 1500))] }));
  turns.onTurn = undefined;
  assert.ok(slices > 30, `${slices} slices`);
  assert.ok(during.length > 5);
  await Promise.all(during);
  assert.equal(engine.count('p:path'), (1500 * 1501) / 2);
  assert.equal((await engine.query(query)).rows.count, 1500);
});

/** Tables in lock-step: whatever one revision holds, these queries find nothing. */
const LOCKED = `
  a(x) :- s:t(x).
  b(x) :- s:t(x).
  c(x, y) :- s:w(x, y).
  d(x, y) :- s:w(x, y).
`;

test('a query that a commit overtakes answers from one revision, never from two', async () => {
  const { turns, engine } = await world();
  const plan = planFor(LOCKED, ARITIES, { watched: new Set() });
  const first = inserts('s:t', 1, intRows(range(0, 40_000).map((x) => [x])));
  succeeded(await engine.transact({ plan, changes: [first] }));
  const mixed = queryFor(LOCKED, ARITIES, plan, 'a(x), not b(x)');
  const all = queryFor(LOCKED, ARITIES, plan, 'a(x), b(x), x >= 0');
  let running = 0;
  const answers: Promise<void>[] = [];
  const sizes = new Set<number>();
  const startQueries = (): void => {
    if (running > 3) return;
    running += 1;
    const ask = async (): Promise<void> => {
      assert.equal((await engine.query(mixed)).rows.count, 0);
      const { rows } = await engine.query(all);
      sizes.add(rows.count);
      running -= 1;
    };
    answers.push(ask());
  };
  turns.onTurn = startQueries;
  const allowed = new Set([40_000]);
  for (let round = 0; round < 6; round++) {
    const rows = intRows(range(round * 5000, round * 5000 + 20_000).map((x) => [x]));
    const change = round % 2 === 0 ? deletes('s:t', 1, rows) : inserts('s:t', 1, rows);
    startQueries();
    succeeded(await engine.transact({ changes: [change] }));
    allowed.add(engine.count('p:a'));
  }
  turns.onTurn = undefined;
  await Promise.all(answers);
  assert.ok(sizes.size > 1, 'queries fell on several revisions');
  for (const size of sizes) assert.ok(allowed.has(size), `${size} rows in no revision`);
});

/**
 * One group of an index holds all rows; a query stands in the middle of it while the commit or the
 * rollback behind it takes rows out.
 */
async function readGroup(dryRun: boolean): Promise<void> {
  const { turns, engine } = await world();
  const text = `${LOCKED} joined(x, y) :- s:t(x), s:w(x, y).`;
  const plan = planFor(text, ARITIES, { watched: new Set() });
  const count = 60_000;
  const rows = intRows(range(0, count).map((y) => [1, y]));
  const setUp = [inserts('s:t', 1, ints([1])), inserts('s:w', 2, rows)];
  succeeded(await engine.transact({ plan, changes: setUp }));
  const gone = rows.filter((_, index) => index % 2 === 0);
  const more = intRows(range(count, count * 2).map((y) => [1, y]));
  // Each row of the group costs several steps, so that the query takes many slices.
  const query = queryFor(text, ARITIES, plan, 's:t(x), s:w(x, y), c(x, y), d(x, y)');
  const full = Array.from({ length: count }, (_, index) => index);
  const expected = dryRun ? [full] : [full, full.filter((y) => y % 2 === 1)];
  const answers: Promise<void>[] = [];
  let asked = 0;
  turns.onTurn = () => {
    if (engine.core.exports.isOpen() === 0 || asked >= 12) return;
    asked += 1;
    const ask = async (): Promise<void> => {
      const { rows: found } = await engine.query(query);
      const got = decodeRows(found).map((row) => Number(row[1]));
      const isOne = expected.some(
        (list) => list.length === got.length && list.every((y, index) => y === got[index]),
      );
      assert.ok(isOne, `${got.length} rows are no revision's`);
    };
    answers.push(ask());
  };
  const changes = dryRun ? [inserts('s:w', 2, more)] : [deletes('s:w', 2, gone)];
  succeeded(await engine.transact({ changes, dryRun }));
  turns.onTurn = undefined;
  await Promise.all(answers);
  assert.ok(asked > 3, `${asked} queries in between`);
}

test('a query that begins while rows are taken out behind the commit point misses none', () =>
  readGroup(false));

test('a query under way while a dry run is taken back misses none', () => readGroup(true));

/** Starts a query at the first turn that fits, over one group of an index. */
async function readAt(
  phase: 'committing' | 'rolling back',
): Promise<{ got: number; expected: number[] }> {
  const { turns, engine } = await world();
  // `big` is the first relation, so its rows are the first to go; `other` gives it an index.
  const text = 'big(x, y) :- s:w(x, y). other(x, y) :- s:t(x), big(x, y).';
  const plan = planFor(text, ARITIES, { watched: new Set() });
  const count = 250_000;
  const rows = intRows(range(0, count).map((y) => [y % 2, y]));
  const setUp = [inserts('s:t', 1, ints([0], [1])), inserts('s:w', 2, rows)];
  succeeded(await engine.transact({ plan, changes: setUp }));
  const query = queryFor(text, ARITIES, plan, 's:t(x), big(x, y), y < 1000000, y >= 0');
  const before = engine.core.exports.commitCount();
  let answer: Promise<number> | undefined;
  let isAsked = false;
  turns.onTurn = () => {
    const { exports } = engine.core;
    const isCommitting = exports.isOpen() === 1 && exports.commitCount() !== before;
    const isRollingBack = exports.isOpen() === 1 && exports.deltaRows(0) > 0;
    const isNow = phase === 'committing' ? isCommitting : isRollingBack;
    if (!isNow || isAsked) return;
    isAsked = true;
    answer = engine.query(query).then((result) => result.rows.count);
  };
  const isCommit = phase === 'committing';
  const gone = rows.filter((_, index) => index % 10 !== 0);
  const more = intRows(range(count, count + 100_000).map((y) => [y % 2, y]));
  const changes = isCommit ? [deletes('s:w', 2, gone)] : [inserts('s:w', 2, more)];
  succeeded(await engine.transact({ changes, dryRun: !isCommit }));
  turns.onTurn = undefined;
  assert.ok(answer !== undefined, `no query while ${phase}`);
  return { got: await answer, expected: isCommit ? [count / 10] : [count] };
}

for (const phase of ['committing', 'rolling back'] as const) {
  test(`a long lookup that begins while the engine is ${phase} is whole`, async () => {
    const { got, expected } = await readAt(phase);
    assert.ok(expected.includes(got), `${got} rows, expected ${expected.join(' or ')}`);
  });
}

test('a dry run leaves no trace', async () => {
  const engine = await createEngine();
  const digest = new Set(['p:path']);
  const plan = planFor(PATHS, ARITIES, { watched: 'all', digest });
  succeeded(await engine.transact({ plan, changes: [inserts('s:e', 2, chain(0, 60))] }));
  const state = async () => ({
    digest: engine.digest(),
    path: decodeRows(await engine.rows('p:path')),
    edges: decodeRows(await engine.rows('s:e', { base: true })),
    count: engine.count('p:path'),
    slots: engine.core.exports.relationSlots(),
  });
  const other = planFor('path(x, x) :- s:e(x, _). q(x, count()) :- s:t(x).', ARITIES);
  const runs = [
    { changes: [inserts('s:e', 2, chain(60, 90)), inserts('s:t', 1, [['long string here']])] },
    { changes: [deletes('s:e', 2, chain(20, 40))] },
    { plan: other, changes: [inserts('s:t', 1, ints([5]))] },
    { changes: [{ table: 's:e', replace: true }] },
  ];
  while (engine.core.exports.fitTables(1 << 20) === 1);
  // What a first run leaves behind (room in lists, values to be collected) the next ones reuse.
  for (const run of runs) succeeded(await engine.transact({ ...run, dryRun: true }));
  const before = await state();
  const memory = engine.core.exports.memoryInUse();
  for (let round = 0; round < 30; round++) {
    for (const run of runs) {
      const result = await engine.transact({ ...run, dryRun: true });
      succeeded(result);
      assert.ok(result.deltas.length > 0);
    }
  }
  assert.deepEqual(await state(), before);
  assert.equal(engine.core.exports.memoryInUse(), memory);
  // Negative control: the same without `dryRun`.
  succeeded(await engine.transact(runs[0] ?? assert.fail()));
  assert.notDeepEqual(await state(), before);
});

test('limits of a query: rows, steps', async () => {
  const engine = await createEngine();
  const plan = planFor('p(x) :- s:t(x).', ARITIES);
  const rows = intRows(range(0, 2000).map((x) => [x]));
  succeeded(await engine.transact({ plan, changes: [inserts('s:t', 1, rows)] }));
  const ask = (text: string) => queryFor('p(x) :- s:t(x).', ARITIES, plan, text);
  const some = await engine.query(ask('p(x)'), { rowsMax: 10 });
  assert.equal(some.rows.count, 10);
  assert.equal(some.truncated, true);
  const exact = await engine.query(ask('p(x)'), { rowsMax: 2000 });
  assert.deepEqual([exact.rows.count, exact.truncated], [2000, false]);
  const cross = ask('p(x), p(y), p(z), x = 3000');
  const long = ask('p(x), p(y), x > y, x + y < 0');
  assert.equal((await engine.query(cross)).rows.count, 0);
  await assert.rejects(
    engine.query(long, { stepsMax: 200_000 }),
    (error: unknown) => error instanceof CaucusError && error.code === 'limit_exceeded',
  );
  assert.equal((await engine.query(long)).rows.count, 0);
  const bytes = engine.core.exports.memoryInUse();
  for (let round = 0; round < 20; round++) {
    await engine.query(ask('p(x), x > 5'), { rowsMax: 3 });
    await engine.query(long, { stepsMax: 200_000 }).catch(() => undefined);
  }
  assert.equal(engine.core.exports.memoryInUse(), bytes, 'queries give their memory back');
});

test('rows in any order are the rows', async () => {
  const { engine } = await world();
  const edges = chain(0, 3_000).reverse();
  succeeded(await engine.transact({ plan: PATH_PLAN, changes: [inserts('s:e', 2, edges)] }));
  const gone = edges.filter((_, index) => index % 3 === 0);
  succeeded(await engine.transact({ changes: [deletes('s:e', 2, gone)] }));
  for (const base of [true, false]) {
    const sorted = decodeRows(await engine.rows('s:e', { base }));
    const found = decodeRows(await engine.rows('s:e', { base, inAnyOrder: true }));
    assert.notDeepEqual(found, sorted, 'they are not sorted in vain');
    const byNode = (a: Row, b: Row): number => Number((a[0] as bigint) - (b[0] as bigint));
    assert.deepEqual(found.toSorted(byNode), sorted);
  }
});
