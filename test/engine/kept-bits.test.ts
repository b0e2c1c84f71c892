/**
 * Batches whose rows nothing needs as rows: evaluated row of bits by row of bits, and left as bits
 * until somebody reads them.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  createEngine,
  inserts,
  intRows,
  planFor,
  queryFor,
  sameBlock,
  show,
  succeeded,
} from './engine-pair.ts';

const SEED = 20262;
const ARITIES = { e: 2, f: 2, n: 1 };
const BITS = 2;
const BITS_LEFT = 3;
const CLOSURE = 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z).';

/** Each with what of it can go row by row, and how many tables stay bits. */
const PROGRAMS: Readonly<
  Record<string, { readonly text: string; readonly sweeps: number; readonly kept: number }>
> = {
  'by the second column': { sweeps: 1, kept: 1, text: CLOSURE },
  'by the first column': {
    sweeps: 1,
    kept: 1,
    text: 'p(x, y) :- s:e(x, y). p(x, z) :- s:e(x, y), p(y, z).',
  },
  'from some rows on': {
    sweeps: 1,
    kept: 1,
    text: 'p(x, y) :- s:f(x, y). p(x, z) :- p(x, y), s:e(y, z).',
  },
  'by both columns': {
    sweeps: 0,
    kept: 1,
    text: 'p(x, y) :- s:e(x, y). p(x, z) :- s:f(x, y), p(y, z). p(x, z) :- p(x, y), s:e(y, z).',
  },
  'two of its own': {
    sweeps: 1,
    kept: 1,
    text: 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), p(y, z).',
  },
  'two of its own, turned round': {
    sweeps: 0,
    kept: 1,
    text: 'p(x, y) :- s:e(x, y). p(z, x) :- p(x, y), p(y, z).',
  },
  'two of its own, and others': {
    sweeps: 0,
    kept: 1,
    text: 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), p(y, z). p(x, z) :- p(x, y), s:f(y, z).',
  },
  'same generation': {
    sweeps: 1,
    kept: 1,
    text: 'p(x, y) :- s:e(a, x), s:e(a, y), x != y. p(x, y) :- s:e(a, x), p(a, b), s:e(b, y).',
  },
  'points to': {
    sweeps: 1,
    kept: 1,
    text: `
      p(y, x) :- s:e(y, x). p(y, x) :- s:f(y, z), p(z, x). p(y, w) :- s:e(y, x), p(x, z), p(z, w).
    `,
  },
  'two tables': {
    sweeps: 1,
    kept: 2,
    text: `
      p(x, y) :- s:e(x, y). p(x, z) :- q(x, y), s:e(y, z).
      q(x, y) :- s:f(x, y). q(x, z) :- p(x, y), s:f(y, z).
    `,
  },
  'one column': { sweeps: 1, kept: 1, text: 'p(x) :- s:n(x). p(y) :- p(x), s:e(x, y).' },
  // What reads them stays bits, too.
  'read by a count': {
    sweeps: 1,
    kept: 2,
    text: `${CLOSURE} out(x, count()) :- p(x, y).`,
  },
  'read by negation': {
    sweeps: 1,
    kept: 2,
    text: `${CLOSURE} q(x) :- s:n(x), not p(x, x).`,
  },
};

async function evaluated(
  text: string,
  rows: Readonly<Record<string, readonly (readonly number[])[]>>,
  batchOnly: boolean,
  layout: number,
): Promise<WasmEngine> {
  const engine = await createDebugEngine();
  engine.core.exports.chooseLayout(layout);
  const plan = planFor(text, ARITIES, batchOnly ? { batchOnly, watched: new Set<string>() } : {});
  const changes = Object.entries(rows).map(([table, list]) =>
    inserts(`s:${table}`, list[0]?.length ?? 0, intRows(list)),
  );
  succeeded(await engine.transact({ plan, changes }));
  return engine;
}

for (const [name, { text, sweeps, kept }] of Object.entries(PROGRAMS)) {
  test(`kept bits: ${name}`, async () => {
    const random = randomFrom(SEED);
    const pairs = (count: number): number[][] =>
      Array.from({ length: count }, () => [random.int(40), random.int(40)]);
    for (const size of [3, 30, 90, 200]) {
      const nodes = Array.from({ length: 9 }, (_, node) => [node * 4]);
      const rows = { e: pairs(size), f: pairs(size >> 1), n: nodes };
      const expected = await evaluated(text, rows, false, BITS);
      const tables = [...planFor(text, ARITIES).tables.keys()].filter((key) =>
        key.startsWith('p:'),
      );
      for (const layout of [BITS, BITS_LEFT]) {
        const engine = await evaluated(text, rows, true, layout);
        if (layout === BITS && size > 3) {
          assert.equal(engine.core.exports.sweepCount(), sweeps, 'row by row');
          assert.equal(engine.core.exports.keptTableCount(), kept, 'left as bits');
        }
        for (const table of tables) {
          assert.equal(engine.count(table), expected.count(table), table);
          sameBlock(await engine.rows(table), await expected.rows(table), table);
          assert.equal(engine.count(table), expected.count(table), `${table}, read`);
        }
        engine.close();
      }
      expected.close();
    }
  });
}

/** A ring and its closure: so many rows that they are evaluated over bits by themselves. */
const RING = Array.from({ length: 300 }, (_, node) => [node, (node + 1) % 300]);
const RING_PLAN = planFor(CLOSURE, ARITIES, { batchOnly: true, watched: new Set<string>() });

async function ringEngine(): Promise<WasmEngine> {
  const engine = await createEngine();
  succeeded(
    await engine.transact({ plan: RING_PLAN, changes: [inserts('s:e', 2, intRows(RING))] }),
  );
  assert.equal(engine.core.exports.keptTableCount(), 1);
  assert.equal(engine.count('p:p'), 90_000);
  return engine;
}

test('kept bits: queries, checks and changes find the rows', async () => {
  const asked = await ringEngine();
  const ask = async (engine: WasmEngine, text: string): Promise<string> =>
    show((await engine.query(queryFor(CLOSURE, ARITIES, RING_PLAN, text))).rows);
  assert.equal(await ask(asked, 'p:p(x, 7), p:p(3, x), x < 2'), '(0) (1)');
  const checked = await ringEngine();
  assert.equal(checked.prepareCheck('p:p').has(5n, 4n), true);
  assert.equal(checked.prepareCheck('p:p').has(5n, 300n), false);
  const changed = await ringEngine();
  const more = inserts('s:e', 2, intRows([[7, 1000]]));
  succeeded(await changed.transact({ plan: planFor(CLOSURE, ARITIES), changes: [more] }));
  assert.equal(changed.count('p:p'), 90_300);
  assert.equal(await ask(changed, 'p:p(7, 1000), p:p(x, 1000), x < 2'), '(0) (1)');
});

test('kept bits: rows take less memory as bits, and what they took comes back', async () => {
  const engine = await ringEngine();
  const bytes = (): number => engine.stats().usedBytes;
  const asBits = bytes();
  assert.equal((await engine.rows('p:p')).count, 90_000);
  const asRows = bytes();
  assert.ok(asRows > asBits + 90_000 * 8, `${asBits} bytes, then ${asRows}`);
  const unread = await ringEngine();
  const empty = { ...planFor('', ARITIES, { batchOnly: true }) };
  succeeded(await unread.transact({ plan: empty, changes: [] }));
  const plain = await createEngine();
  succeeded(await plain.transact({ plan: empty, changes: [inserts('s:e', 2, intRows(RING))] }));
  const left = unread.stats().usedBytes - plain.stats().usedBytes;
  assert.ok(Math.abs(left) < 64 << 10, `${left} bytes are left`);
});

test('kept bits: a batch tells what its new plan changes', async () => {
  const engine = await createEngine();
  const options = { batchOnly: true, watched: new Set(['p:p']) };
  const rows = inserts('s:e', 2, intRows(RING));
  const plan = planFor(CLOSURE, ARITIES, options);
  succeeded(await engine.transact({ plan, changes: [rows], withoutDeltas: true }));
  assert.equal(engine.core.exports.keptTableCount(), 1);
  const text = 'p(x, y) :- s:e(x, y), x < 100. p(x, z) :- p(x, y), s:e(y, z), y < 100.';
  const result = await engine.transact({ plan: planFor(text, ARITIES, options), changes: [] });
  succeeded(result);
  assert.equal(engine.count('p:p'), 5050);
  const [delta] = result.deltas;
  assert.deepEqual([delta?.insert.count, delta?.delete.count], [0, 90_000 - 5050]);
});

test('bits that would be mostly empty are not begun', async () => {
  const random = randomFrom(SEED);
  const nodes = 130_000;
  const edges = Array.from({ length: 80_000 }, () => [random.int(nodes), random.int(nodes)]);
  const changes = [inserts('s:e', 2, intRows(edges))];
  const memoryOf = async (layout: 'auto' | 'rows' | 'bits'): Promise<number> => {
    const engine = await createEngine({ layout });
    succeeded(await engine.transact({ plan: RING_PLAN, changes }));
    const { memoryBytes } = engine.stats();
    engine.close();
    return memoryBytes;
  };
  const rows = await memoryOf('rows');
  assert.equal(await memoryOf('auto'), rows);
  assert.ok((await memoryOf('bits')) > rows * 2, 'control');
});
