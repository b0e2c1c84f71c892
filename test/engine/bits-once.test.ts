/**
 * Tables outside recursion, evaluated over bits, with weights or for a batch: rules of every shape
 * against the reference, from many inputs, in slices of every length.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TableChange } from '../../host/engine/engine.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
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

const SEED = 20262;
const ARITIES = { e: 2, f: 2, n: 1, w: 3 };

/** The core's numbers of `layout`. */
const AUTO = 0;
const ROWS = 1;
const BITS = 2;
const BITS_LEFT = 3;
const SABOTAGE_FILTERS = 9;
const SABOTAGE_WEIGHTS = 10;

interface Sample {
  readonly text: string;
  /** Units over bits. */
  readonly units: number;
  /** And of them those whose weights bits tell, where that is less. */
  readonly weighted?: number;
}

const PROGRAMS: Readonly<Record<string, Sample>> = {
  'a list at the end': { units: 1, text: 'p(x, z) :- s:e(x, y), s:f(y, z).' },
  'by the first column': { units: 1, text: 'p(z, x) :- s:e(x, y), s:f(y, z).' },
  'tests of finished rows': {
    units: 1,
    // Rules with tests of their own.
    weighted: 0,
    text: `
      p(x, z) :- s:e(x, y), s:f(y, z), x != z, z != 3, not s:e(x, z), not s:f(z, x), not s:n(z).
      p(x, z) :- s:f(x, y), s:e(y, z), s:e(z, x), x < z, not s:n(x), not s:e(z, 2), not s:f(1, z).
      p(x, z) :- s:f(x, y), s:f(y, z), not s:w(x, z, 4), not s:e(z, z), x != 2.
    `,
  },
  'tests inside': {
    units: 1,
    text: 'p(x, z) :- s:e(x, y), not s:n(y), s:f(y, z), y < z, not s:w(x, y, z), not s:e(y, z).',
  },
  'one column': {
    units: 3,
    text: `
      p(x) :- s:e(x, y), s:f(y, _), not s:n(x), s:e(y, x).
      q(y) :- s:e(_, y). q(x) :- s:w(x, 2, _). q(7).
    `,
  },
  'values of columns': { units: 1, text: 'p(x) :- s:e(x, _). p(y) :- s:e(_, y). p(z) :- s:n(z).' },
  'the same column twice': {
    units: 1,
    text: 'p(x, x) :- s:e(x, y), s:f(y, x). p(x, 3) :- s:w(x, x, 2). p(4, y) :- s:e(y, y).',
  },
  'no lookup': { units: 1, text: 'p(x, y) :- s:e(x, y). p(y, x) :- s:f(x, y). p(1, 2). p(9, 9).' },
  'by the second column': {
    units: 2,
    weighted: 1,
    text: `
      p(x, y) :- s:e(x, y), not s:e(y, x), x != y. p(x, 5) :- s:n(x), not s:f(x, _).
      p(z, x) :- s:e(x, y), s:f(y, z), not s:w(z, x, 1). p(x, z) :- s:f(x, y), s:e(y, z), x <= z.
    `,
  },
  'a product': {
    units: 1,
    weighted: 0,
    text: 'p(x, y) :- s:n(x), s:n(y), x <= y. p(x, y) :- s:e(x, 1), s:n(y).',
  },
  // Of each `_` there is a table of its own.
  'one table on another': {
    units: 4,
    text: `
      p(x, z) :- s:e(x, y), s:f(y, z).
      q(x, y) :- p(x, y), not p(y, x).
      r(x) :- q(x, y), p(y, _).
    `,
  },
  counts: {
    units: 5,
    text: `
      p(x, z) :- s:e(x, y), s:f(y, z).
      c(x, count()) :- p(x, y).
      d(x, count()) :- s:n(x), p(x, y), s:e(y, z).
    `,
  },
  sums: { units: 1, text: 'c(x, count(), sum(z)) :- s:e(x, y), s:f(y, z), not s:n(z).' },
  // Rows alone can do heads of three columns.
  'not over bits': { units: 0, text: 'q(x, y, z) :- s:e(x, y), s:f(y, z).' },
};

/** What a layout, and perhaps a slice of so many steps, comes to. */
interface Way {
  readonly layout: number;
  readonly sliceSteps?: bigint;
}

async function evaluate(
  { layout, sliceSteps }: Way,
  text: string,
  changes: readonly TableChange[],
  label: string,
): Promise<number> {
  const engine = await createDebugEngine();
  if (sliceSteps !== undefined) cutSlices(engine, sliceSteps);
  engine.core.exports.chooseLayout(layout);
  try {
    const pair = new EnginePair(engine);
    await pair.transact(changes, label, planFor(text, ARITIES, { batchOnly: true }));
    return engine.core.exports.denseUnitCount();
  } finally {
    engine.close();
  }
}

function cutSlices(engine: WasmEngine, steps: bigint): void {
  const { exports } = engine.core;
  const cut = { step: () => exports.step(Number(steps)) };
  Object.defineProperty(engine.core, 'exports', {
    value: new Proxy(exports, {
      get: (target, key) => Reflect.get(key in cut ? cut : target, key) as unknown,
    }),
  });
}

function inputs(rowCount: number, domain: number, seed: number): TableChange[] {
  const random = randomFrom(seed);
  return Object.entries(ARITIES).map(([table, arity]) => {
    const rows = Array.from({ length: rowCount }, () =>
      Array.from({ length: arity }, () => random.int(domain)),
    );
    return inserts(`s:${table}`, arity, intRows(rows));
  });
}

for (const [name, { text, units }] of Object.entries(PROGRAMS)) {
  test(`bits of a batch: ${name}`, async () => {
    for (let i = 0; i < 4; i++) {
      const changes = inputs(2 + i * 9, 9, SEED + i);
      // Rows of the table itself hold, too.
      const isPair = /^\s*p\([^,()]*, [^,()]*\) :-/.test(text);
      if (isPair && i % 2 === 1)
        changes.push(
          inserts(
            'p:p',
            2,
            intRows([
              [1, 2],
              [30, 31],
            ]),
          ),
        );
      const label = `${name} ${i}`;
      assert.equal(await evaluate({ layout: BITS }, text, changes, label), units, label);
      await evaluate({ layout: BITS, sliceSteps: 1n }, text, changes, `${label}, slices`);
      await evaluate({ layout: BITS_LEFT }, text, changes, `${label}, left`);
      assert.equal(await evaluate({ layout: ROWS }, text, changes, `${label}, rows`), 0);
    }
  });
}

/** Kept up to date from there on, which shows whether rows have the weights that they should. */
async function maintain(layout: number, text: string, label: string): Promise<number> {
  const engine = await createDebugEngine();
  engine.core.exports.chooseLayout(layout);
  const random = randomFrom(SEED);
  let units = 0;
  try {
    const pair = new EnginePair(engine);
    await pair.transact(inputs(25, 9, SEED), label, planFor(text, ARITIES));
    units = engine.core.exports.denseUnitCount();
    for (let i = 0; i < 30; i++) {
      const [table, arity] = random.pick(Object.entries(ARITIES));
      const rows = intRows(
        Array.from({ length: 4 }, () => Array.from({ length: arity }, () => random.int(9))),
      );
      const change = random.int(3) === 0 ? inserts : deletes;
      await pair.transact([change(`s:${table}`, arity, rows)], `${label}, step ${i}`);
    }
  } finally {
    engine.close();
  }
  return units;
}

for (const [name, { text, units, weighted = units }] of Object.entries(PROGRAMS)) {
  test(`bits with weights: ${name}`, async () => {
    assert.equal(await maintain(BITS, text, name), weighted, 'units over bits');
    assert.equal(await maintain(ROWS, text, `${name}, rows`), 0, 'units over bits');
  });
}

test('control: without weights rows go too early', async () => {
  const engine = await createDebugEngine();
  engine.core.exports.sabotage(SABOTAGE_WEIGHTS);
  engine.core.exports.chooseLayout(BITS);
  const pair = new EnginePair(engine);
  const rows = inserts(
    's:e',
    2,
    intRows([
      [1, 2],
      [1, 3],
      [2, 4],
      [3, 4],
    ]),
  );
  await pair.transact([rows], 'before', planFor('p(x, z) :- s:e(x, y), s:e(y, z).', ARITIES));
  const gone = deletes('s:e', 2, intRows([[1, 2]]));
  await assert.rejects(pair.transact([gone], 'control'), /p:p/);
});

const PRODUCT = 'p(x, z) :- s:e(x, y), s:f(y, z), x != z, not s:e(x, z).';

test('bits are chosen where there is much to derive, and where they are not mostly empty', async () => {
  const plan = planFor(PRODUCT, ARITIES, { batchOnly: true });
  const unitsOf = async (rows: number, domain: number): Promise<number> => {
    const engine = await createEngine();
    succeeded(await engine.transact({ plan, changes: inputs(rows, domain, SEED) }));
    return engine.core.exports.denseUnitCount();
  };
  assert.equal(await unitsOf(600, 40), 1, 'dense');
  assert.equal(await unitsOf(10, 40), 0, 'few');
  assert.equal(await unitsOf(20_000, 1_000_000), 0, 'sparse');
  await evaluate({ layout: AUTO }, PRODUCT, inputs(200, 20, SEED), 'chosen');
});

test('control: without the tests that wait for finished rows there are too many', async () => {
  const engine = await createDebugEngine();
  engine.core.exports.sabotage(SABOTAGE_FILTERS);
  engine.core.exports.chooseLayout(BITS);
  const plan = planFor(PRODUCT, ARITIES, { batchOnly: true });
  const run = new EnginePair(engine).transact(inputs(20, 9, SEED), 'control', plan);
  await assert.rejects(run, /inserts of p:p/);
});

test('limits of rows and of memory hold, and the engine goes on', async () => {
  const plan = planFor(PRODUCT, ARITIES, { batchOnly: true });
  const few = await createEngine({ rowsPerTableMax: 1000 });
  few.core.exports.chooseLayout(BITS);
  const rows = await few.transact({ plan, changes: inputs(800, 50, SEED) });
  assert.ok(!rows.ok);
  assert.deepEqual([rows.code, rows.table], ['rows_per_table', 'p:p']);
  await new EnginePair(few).transact(inputs(20, 9, SEED), 'goes on', plan);

  const small = await createEngine({ memoryBytesMax: 6 << 20 });
  small.core.exports.chooseLayout(BITS);
  const levels: bigint[] = [];
  for (let i = 0; i < 4; i++) {
    const memory = await small.transact({ plan, changes: inputs(20_000, 4000, SEED) });
    assert.ok(!memory.ok);
    assert.equal(memory.code, 'out_of_memory');
    levels.push(small.core.exports.memoryInUse());
  }
  assert.ok((levels[3] ?? 0n) - (levels[1] ?? 0n) <= 8192n, `memory: ${levels.join()}`);
  await new EnginePair(small).transact(inputs(20, 9, SEED), 'goes on', plan);
});

test('a recursion goes over bits when it has grown, or where bits spare an index', async () => {
  const unitsOf = async (text: string, edges: number[][]): Promise<number> => {
    const engine = await createDebugEngine();
    const plan = planFor(text, ARITIES, { batchOnly: true });
    const nodes = Array.from({ length: 20 }, (_, x) => [x]);
    const changes = [inserts('s:e', 2, intRows(edges)), inserts('s:n', 1, intRows(nodes))];
    await new EnginePair(engine).transact(changes, text, plan);
    return engine.core.exports.denseUnitCount();
  };
  const chain = Array.from({ length: 200 }, (_, x) => [x, x + 1]);
  const wide = Array.from({ length: 40 }, (_, i) => [i % 20, (i * 7 + (i >> 4)) % 20]);
  const all = 'p(x, x) :- s:n(x). p(x, z) :- p(x, y), s:e(y, z).';
  const one = 'p(0). p(y) :- p(x), s:e(x, y).';
  assert.equal(await unitsOf(all, wide), 1, 'it grows');
  assert.equal(await unitsOf(one, wide), 0, 'it stays small');
  assert.equal(await unitsOf(one, chain), 1, 'no index is made');
});

test('rows that stay bits are read by those who can, and become rows for all others', async () => {
  const text = `
    p(x, z) :- s:e(x, y), s:f(y, z). p(1, 3).
    some(x) :- p(x, _). other(z) :- p(_, z).
    c(x, count()) :- s:n(x), p(x, y). d(z, count()) :- s:n(z), p(x, z).
    q(x, z) :- p(x, y), p(y, z), not p(x, z), not p(z, x).
    wide(x, y, z) :- p(x, y), p(y, z), s:n(z).
    t(x, y) :- p(x, y). t(x, z) :- t(x, y), p(y, z).
  `;
  for (const [domain, count] of [
    [9, 30],
    [20, 60],
  ] as const) {
    const changes = inputs(count, domain, SEED + domain);
    const more = [
      ...changes,
      inserts(
        'p:p',
        2,
        intRows([
          [1, 2],
          [30, 31],
        ]),
      ),
    ];
    for (const layout of [AUTO, BITS, BITS_LEFT]) {
      await evaluate({ layout }, text, changes, `layout ${layout}`);
      await evaluate({ layout, sliceSteps: 1n }, text, more, `layout ${layout}, base rows`);
    }
  }
});
