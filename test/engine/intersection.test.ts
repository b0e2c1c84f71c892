/** Cyclic bodies: groups that are intersected, against the reference and against probes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { randomFrom } from '../support/random.ts';
import type { Intersections } from '../../host/engine/engine-options.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  EnginePair,
  inserts,
  intRows,
  planFor,
  queryFor,
  succeeded,
} from './engine-pair.ts';

const SEED = 20265;
const ARITIES = { e: 2, f: 2, n: 1, w: 3 };
const E = { e: 2 };
const TRIANGLE = 'tri(x, y, z) :- s:e(x, y), s:e(y, z), s:e(x, z).';
const STALE_MARKS = 11;

const PROGRAMS: Readonly<Record<string, string>> = {
  'a triangle': TRIANGLE,
  'a triangle, turned': 'tri(x, y, z) :- s:e(x, y), s:e(x, z), s:e(y, z).',
  'a triangle of which one corner is seen': 'tri(x) :- s:e(x, y), s:e(y, z), s:e(z, x).',
  'two tables': 'q(x, z) :- s:e(x, y), s:f(y, z), s:e(x, z), s:f(x, z).',
  'a circle of four': 'q(a, b, c, d) :- s:e(a, b), s:e(b, c), s:e(c, d), s:e(d, a).',
  'four, each with each': `
    q(a, b, c, d) :- s:e(a, b), s:e(a, c), s:e(b, c), s:e(a, d), s:e(b, d), s:e(c, d).
  `,
  'none between': 'q(x, z) :- s:e(x, y), s:e(y, z), not s:e(x, z).',
  'one, but not another': 'q(x, y, z) :- s:e(x, y), s:e(y, z), s:f(x, z), not s:e(z, x), x != z.',
  'three columns': 'q(x, y, z) :- s:e(x, y), s:w(y, z, v), s:w(x, y, z), s:e(v, x).',
  'a key of two': 'q(x, y, z) :- s:e(x, y), s:e(y, z), s:w(x, y, z).',
  'a key that is given': 'q(x, z) :- s:e(x, y), s:e(y, z), not s:f(3, z).',
  'a recursion': `
    p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z), s:f(x, z).
    p(x, z) :- p(x, y), p(y, z), p(z, x).
  `,
  'a wide recursion': `
    t(x, y, z) :- s:w(x, y, z). t(x, y, u) :- t(x, y, z), s:e(z, u), s:e(x, u), not s:f(y, u).
    t(z, x, u) :- t(x, y, z), t(y, z, u), t(x, z, u).
  `,
  counted:
    'c(x, count()) :- s:e(x, y), s:e(y, z), s:e(x, z). s(x, sum(z)) :- s:e(x, z), s:e(x, 1).',
  'the shortest': `
    d(x, min(c)) :- s:n(x), c = 0.
    d(z, min(c)) :- d(x, b), s:e(x, y), s:e(y, z), s:e(x, z), c = b + 1.
  `,
};

test('a value that a row has twice is no group', async () => {
  const text = 'q(x, y) :- s:e(x, y), s:e(y, z), s:w(z, x, z).';
  assert.equal(await walk('always', text, 'twice'), 0n);
});

async function engineWith(intersections: Intersections) {
  return createDebugEngine({ intersections });
}

/** Evaluates from some rows, then changes a few at a time; answers the intersections. */
async function walk(intersections: Intersections, text: string, label: string): Promise<bigint> {
  const random = randomFrom(SEED);
  const rowsOf = (arity: number, count: number): number[][] =>
    Array.from({ length: count }, () => Array.from({ length: arity }, () => random.int(8)));
  let found = 0n;
  for (let i = 0; i < 3; i++) {
    const engine = await engineWith(intersections);
    const pair = new EnginePair(engine);
    try {
      const tables = Object.entries(ARITIES).map(([table, arity]) =>
        inserts(`s:${table}`, arity, intRows(rowsOf(arity, 6 + i * 12))),
      );
      await pair.transact(tables, `${label} ${i}`, planFor(text, ARITIES));
      for (let j = 0; j < 10; j++) {
        const table = random.int(2) === 0 ? 'e' : 'f';
        const change = random.int(2) === 0 ? deletes : inserts;
        const rows = intRows(rowsOf(2, 1 + random.int(3)));
        await pair.transact([change(`s:${table}`, 2, rows)], `${label} ${i}.${j}`);
      }
      found += engine.core.exports.intersectionCount();
    } finally {
      engine.close();
    }
  }
  return found;
}

for (const [name, text] of Object.entries(PROGRAMS)) {
  test(`intersections: ${name}`, async () => {
    assert.ok((await walk('always', text, name)) > 0n, 'groups are intersected');
    await walk('auto', text, `${name}, auto`);
    assert.equal(await walk('never', text, `${name}, never`), 0n);
  });
}

test('control: marks that stay when the key changes give other rows', async () => {
  const engine = await engineWith('always');
  engine.core.exports.sabotage(STALE_MARKS);
  const pair = new EnginePair(engine);
  const edges = intRows([...ring(40, 1), ...ring(40, 2), ...ring(40, 3)]);
  const plan = planFor(TRIANGLE, E);
  await assert.rejects(pair.transact([inserts('s:e', 2, edges)], 'stale', plan));
  engine.close();
});

/** n nodes, each with an edge to the one so many further on. */
function ring(nodes: number, step: number): number[][] {
  return Array.from({ length: nodes }, (_, node) => [node, (node + step) % nodes]);
}

/** Engine steps of an evaluation from scratch. */
async function stepsOf(
  text: string,
  edges: readonly number[][],
  intersections: Intersections,
  batchOnly: boolean,
): Promise<{ readonly steps: number; readonly rows: number }> {
  const engine = await createEngine({ intersections });
  try {
    const changes = [inserts('s:e', 2, intRows(edges))];
    succeeded(await engine.transact({ plan: planFor('', E, { batchOnly }), changes }));
    const before = engine.core.exports.stepsDone();
    succeeded(await engine.transact({ plan: planFor(text, E, { batchOnly }), changes: [] }));
    const rows = engine.count('p:tri');
    return { steps: Number(engine.core.exports.stepsDone() - before), rows };
  } finally {
    engine.close();
  }
}

/** Many into one, one into many, and few triangles: two of three atoms have n² solutions. */
function hourglass(n: number): number[][] {
  const edges = [[0, 1]];
  for (let i = 0; i < n; i++) edges.push([10 + i, 0], [0, 10 + n + i]);
  for (let i = 0; i < n; i += 10) edges.push([10 + i, 10 + n + i]);
  return edges;
}

test('worst case: triangles cost what their rows do, where pairs are quadratic', async () => {
  const bodies = [
    TRIANGLE,
    'tri(x, y, z) :- s:e(x, z), s:e(y, z), s:e(x, y).',
    'tri(x, y, z) :- s:e(y, z), s:e(x, z), s:e(x, y).',
  ];
  for (const text of bodies) {
    for (const batchOnly of [true, false]) {
      const edges = hourglass(2000);
      const joined = await stepsOf(text, edges, 'auto', batchOnly);
      assert.equal(joined.rows, 200);
      assert.ok(joined.steps < edges.length * 60, `${text}: ${joined.steps} steps`);
      const probed = await stepsOf(text, edges, 'never', batchOnly);
      assert.equal(probed.rows, 200);
      assert.ok(probed.steps > 2000 * 2000, `control, ${text}: ${probed.steps} steps`);
    }
  }
});

test('worst case: twice as many edges cost about twice as many steps', async () => {
  const [one, two] = [
    await stepsOf(TRIANGLE, hourglass(1000), 'auto', true),
    await stepsOf(TRIANGLE, hourglass(2000), 'auto', true),
  ];
  assert.ok(two.steps < one.steps * 3, `${one.steps}, ${two.steps} steps`);
});

test('runs that pause, beside queries that use the same marks', async () => {
  const random = randomFrom(SEED);
  const edges = Array.from({ length: 6000 }, () => [random.int(300), random.int(300)]);
  const text = `${TRIANGLE} open(x, z) :- s:e(x, y), s:e(y, z), not s:e(x, z).`;
  const expected = await rowsOf('never', false);
  for (const intersections of ['auto', 'always'] as const) {
    for (const batchOnly of [true, false]) {
      assert.deepEqual(await rowsOf(intersections, batchOnly), expected);
    }
  }

  async function rowsOf(intersections: Intersections, batchOnly: boolean): Promise<number[]> {
    let turns = 0;
    const yieldTurn = async (): Promise<void> => {
      turns++;
      await new Promise((resolve) => setImmediate(resolve));
    };
    const engine = await createEngine({ intersections, yield: yieldTurn });
    const before = planFor('', E, { batchOnly });
    const plan = planFor(text, E, { batchOnly });
    succeeded(
      await engine.transact({ plan: before, changes: [inserts('s:e', 2, intRows(edges))] }),
    );
    const query = queryFor('', E, before, 's:e(x, y), s:e(y, z), s:e(x, z), x < 9');
    const done = engine.transact({ plan, changes: [] });
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) counts.push((await engine.query(query)).rows.count);
    succeeded(await done);
    assert.ok(turns > 10, `${turns} turns`);
    counts.push((await engine.query(query)).rows.count);
    counts.push(engine.count('p:tri'), engine.count('p:open'));
    engine.close();
    return counts;
  }
});

test('a batch whose indexes were not needed answers queries and takes changes', async () => {
  const engine = await createEngine();
  const pair = new EnginePair(engine);
  const edges = [1, 2, 3, 4, 5, 6].flatMap((step) => ring(300, step));
  const before = planFor('', E, { batchOnly: true });
  await pair.transact([inserts('s:e', 2, intRows(edges))], 'rows', before);
  const plan = planFor(TRIANGLE, E, { batchOnly: true });
  await pair.transact([], 'triangles', plan);
  assert.ok(engine.core.exports.intersectionCount() > 0n);
  const used = engine.stats().usedBytes;
  const query = queryFor(TRIANGLE, E, plan, 's:e(5, y)');
  assert.equal((await engine.query(query)).rows.count, 6);
  assert.ok(engine.stats().usedBytes > used + edges.length * 4, 'the index came with the query');
  const more = planFor(`${TRIANGLE} two(x, z) :- s:e(x, y), s:e(y, z), x < 10.`, E, {
    batchOnly: true,
  });
  await pair.transact([inserts('s:e', 2, intRows([[5, 200]]))], 'more', more);
  engine.close();
});
