/** What exceeds a limit fails with a code, leaves the state as it was, and the engine goes on. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import type { TableChange } from '../../host/engine/engine.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import type { Row } from '../../host/value/value.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  EnginePair,
  inserts,
  intRows,
  ints,
  planFor,
  queryFor,
  succeeded,
} from './engine-pair.ts';

const ARITIES = { e: 2, n: 1, t: 1, w: 3 };
const MIB = 1 << 20;
const TEXT = `
  path(x, y) :- s:e(x, y).
  path(x, z) :- path(x, y), s:e(y, z).
  out(x, count()) :- s:e(x, _).
  sums(x, count(), sum(y)) :- s:e(x, y).
  top(max(y)) :- s:e(_, y).
  n(x) :- s:n(x).
  n(y) :- n(x), y = x + 1, s:t(_).
  lonely(x) :- s:n(x), not s:e(x, _).
`;
const PLAN = planFor(TEXT, ARITIES);

function range(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

async function started(engine: WasmEngine): Promise<EnginePair> {
  const pair = new EnginePair(engine);
  const edges = ints([1, 2], [2, 3], [3, 1], [3, 4], [7, 8]);
  await pair.transact(
    [inserts('s:e', 2, edges), inserts('s:n', 1, ints([1], [9]))],
    'set up',
    PLAN,
  );
  return pair;
}

/** The next transactions have exact deltas: whatever a failure left behind would show. */
async function goesOn(pair: EnginePair): Promise<void> {
  await pair.transact([inserts('s:e', 2, ints([4, 7], [8, 9]))], 'goes on');
  await pair.transact([deletes('s:e', 2, ints([2, 3], [8, 9]))], 'goes on, deletes');
  await pair.transact([deletes('s:e', 2, ints([4, 7])), inserts('s:e', 2, ints([2, 3]))], 'back');
}

const UNBOUNDED: TableChange = inserts('s:t', 1, ints([0]));

for (const [name, create] of [
  ['release', createEngine],
  ['debug', createDebugEngine],
] as const) {
  test(`rows of a base table, a derived table, an unbounded recursion (${name})`, async () => {
    const pair = await started(await create({ rowsPerTableMax: 500 }));
    const many = inserts('s:e', 2, intRows(range(600).map((x) => [x, x + 10_000])));
    const base = await pair.fails([many], 'rows_per_table');
    assert.equal(base.table, 's:e');
    await goesOn(pair);
    const chain = inserts('s:e', 2, intRows(range(80, 100).map((x) => [x, x + 1])));
    assert.equal((await pair.fails([chain], 'rows_per_table')).table, 'p:path');
    await goesOn(pair);
    assert.equal((await pair.fails([UNBOUNDED], 'rows_per_table')).table, 'p:n');
    await goesOn(pair);
    // Rows that come and go within the limit are none too many.
    const full = intRows(range(450).map((x) => [x, x + 10_000]));
    await pair.transact([inserts('s:e', 2, full)], 'almost full');
    const other = intRows(range(450, 1000).map((x) => [x, x + 10_000]));
    await pair.transact([deletes('s:e', 2, full), inserts('s:e', 2, other)], 'exchanged');
  });
}

test('a new program over the limit leaves the former one running', async () => {
  const pair = await started(await createEngine({ rowsPerTableMax: 500 }));
  const cross = `${TEXT} cross(a, b, c, d) :- s:e(a, b), s:e(c, d), s:e(b, _), s:e(_, a).
    big(a, b, c, d) :- s:e(a, _), s:e(b, _), s:e(c, _), path(d, _), s:e(_, x), x > 0.
    huge(a, b, c, d, e) :- big(a, b, c, d), s:e(_, e).`;
  const result = await pair.engine.transact({ plan: planFor(cross, ARITIES), changes: [] });
  assert.ok(!result.ok);
  assert.equal(result.code, 'rows_per_table');
  assert.equal(result.table, 'p:huge');
  await pair.compare('after the failed program');
  await goesOn(pair);
});

test('steps of a transaction', async () => {
  const pair = await started(await createEngine({ stepsMax: 300_000 }));
  const result = await pair.fails([UNBOUNDED], 'steps');
  assert.equal(result.table, 'p:n');
  await goesOn(pair);
  // Negative control: the same without the program's unbounded rule is no failure.
  const bounded = TEXT.replace(/n\(y\).*/, '');
  await pair.transact([UNBOUNDED], 'bounded', planFor(bounded, ARITIES));
});

const MEMORY = 12 * MIB;
/** Of two failures: blocks that a list took on its way to more. */
const LEAK_MAX = 8n * 1024n;

/** What needs more memory than there is, one kind each. */
const GREEDY: Readonly<Record<string, () => TableChange[]>> = {
  'rows of a base table': () => [inserts('s:w', 3, intRows(range(900_000).map((x) => [x, x, x])))],
  'short strings': () => [
    inserts(
      's:t',
      1,
      range(500_000).map((x) => [`value ${x}`]),
    ),
  ],
  'strings that need blocks': () => [
    inserts(
      's:t',
      1,
      range(60_000).map((x) => [`${x} ${'long '.repeat(40)}`]),
    ),
  ],
  'one long string': () => [inserts('s:t', 1, [['x'.repeat(15 * MIB)]])],
  'a recursion': () => [UNBOUNDED],
  'the rows of a closure': () => [
    inserts('s:e', 2, intRows(range(1500, 100).map((x) => [x, x + 1]))),
  ],
};

for (const [what, changes] of Object.entries(GREEDY)) {
  test(`out of memory: ${what}`, async () => {
    const pair = await started(await createEngine({ memoryBytesMax: MEMORY }));
    const { exports } = pair.engine.core;
    const greedy = changes();
    const levels: number[] = [];
    for (let round = 0; round < 8; round++) {
      await pair.fails(greedy, 'out_of_memory');
      await goesOn(pair);
      // Values of the failed loads are collected as new ones come.
      while (exports.collectValues(1 << 20) === 1);
      levels.push(Number(exports.memoryInUse()));
    }
    assert.ok(exports.memory.buffer.byteLength <= MEMORY, 'memory stays below its limit');
    const [late, last] = [levels[3] ?? 0, levels[7] ?? 0];
    assert.ok(Math.abs(last - late) <= 64 * 1024, `memory after each round: ${levels.join()}`);
  });
}

test('out of memory while an index is built, and while a program is made', async () => {
  const pair = new EnginePair(await createEngine({ memoryBytesMax: MEMORY }));
  const rows = intRows(range(115_000).map((x) => [x, x + 1, x + 2]));
  await pair.transact([inserts('s:w', 3, rows)], 'rows', planFor('', ARITIES));
  const { exports } = pair.engine.core;
  const joined = planFor('j(x) :- s:w(x, y, z), s:w(z, x, y), s:w(y, _, x), s:n(x).', ARITIES);
  const levels: bigint[] = [];
  for (let round = 0; round < 5; round++) {
    const result = await pair.engine.transact({ plan: joined, changes: [] });
    assert.ok(!result.ok, 'the index does not fit');
    assert.equal(result.code, 'out_of_memory');
    await pair.transact([inserts('s:n', 1, ints([round]))], 'goes on');
    levels.push(exports.memoryInUse());
  }
  assert.ok((levels[4] ?? 0n) - (levels[2] ?? 0n) <= LEAK_MAX, `memory: ${levels.join()}`);
  // Room again, and the index fits.
  for (let from = 0; from < rows.length; from += 5000) {
    await pair.transact([deletes('s:w', 3, rows.slice(from, from + 5000))], 'emptied');
  }
  await pair.transact([inserts('s:w', 3, rows.slice(0, 1000))], 'with indexes', joined);
});

test('out of memory while base rows move to a table of another kind', async () => {
  const pair = new EnginePair(await createEngine({ memoryBytesMax: MEMORY }));
  const rows = intRows(range(200_000).map((x) => [x, x + 1, x + 2]));
  const text = 'p(a, b, c) :- s:w(a, b, c), s:n(_).';
  await pair.transact([inserts('p:p', 3, rows)], 'rows', planFor(text, ARITIES));
  const other = planFor('p(a, b, c) :- s:w(b, a, c), s:n(_).', ARITIES);
  const { exports } = pair.engine.core;
  const levels: bigint[] = [];
  for (let round = 0; round < 5; round++) {
    const result = await pair.engine.transact({ plan: other, changes: [] });
    assert.ok(!result.ok, 'two copies do not fit');
    assert.equal(result.code, 'out_of_memory');
    await pair.transact([inserts('s:n', 1, ints([round]))], 'goes on');
    levels.push(exports.memoryInUse());
  }
  assert.ok((levels[4] ?? 0n) - (levels[2] ?? 0n) <= LEAK_MAX, `memory: ${levels.join()}`);
});

test('out of memory in a query: an error, and room again behind it', async () => {
  const engine = await createEngine({ memoryBytesMax: 12 * MIB });
  const text = 'q(x) :- s:n(x).';
  const plan = planFor(text, ARITIES);
  const rows: Row[] = intRows(range(2000).map((x) => [x]));
  succeeded(await engine.transact({ plan, changes: [inserts('s:n', 1, rows)] }));
  const cross = queryFor(text, ARITIES, plan, 'q(x), q(y)');
  const texts = queryFor(text, ARITIES, plan, 'q(x), q(y), z = x * 10000000000 + y');
  for (let round = 0; round < 6; round++) {
    for (const query of [cross, texts]) {
      await assert.rejects(
        engine.query(query),
        (error: unknown) => error instanceof CaucusError && error.code === 'out_of_memory',
      );
    }
    assert.equal((await engine.rows('p:q')).count, 2000 + round);
    const next = inserts('s:n', 1, ints([5000 + round]));
    const result = await engine.transact({ changes: [next] });
    succeeded(result);
    assert.deepEqual(
      result.deltas.map((delta) => [delta.table, delta.insert.count, delta.delete.count]),
      [
        ['p:q', 1, 0],
        ['s:n', 1, 0],
      ],
    );
  }
});

/** Head rows that wait to be placed when memory ends must not fall into the next table. */
test('out of memory in the middle of a computation leaves nothing for the next one', async () => {
  for (const size of [120_000, 200_000, 260_000]) {
    const pair = await started(await createEngine({ memoryBytesMax: MEMORY }));
    const text = `${TEXT} wide(x, z) :- s:w(x, y, _), z = y * 10000000000 + x.
      named(x, z) :- s:w(x, y, _), z = y * 20000000000 + x, z > 5.`;
    await pair.transact([], 'wide', planFor(text, ARITIES));
    for (let round = 0; round < 4; round++) {
      const rows = intRows(range(size, 1000).map((x) => [x, x % 1000, 0]));
      await pair.fails([inserts('s:w', 3, rows)], 'out_of_memory');
      await goesOn(pair);
      await pair.transact([inserts('s:w', 3, ints([round, 2, 3]))], 'a row');
    }
  }
});

test('negative control: with enough memory the same loads succeed', async () => {
  const engine = await createEngine({ memoryBytesMax: 512 * MIB });
  succeeded(await engine.transact({ plan: PLAN, changes: [] }));
  for (const [what, changes] of Object.entries(GREEDY)) {
    if (what === 'a recursion') continue;
    const result = await engine.transact({ changes: changes(), dryRun: true });
    assert.ok(result.ok, what);
  }
});
