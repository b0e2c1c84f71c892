/** Recursive tables evaluated over bits: rules of every shape against the reference. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  EnginePair,
  deletes,
  inserts,
  intRows,
  planFor,
} from './engine-pair.ts';

const SEED = 20261;
const ARITIES = { e: 2, f: 2, n: 1, w: 3 };

/** The core's numbers of `layout`. */
const ROWS = 1;
const BITS = 2;
const BITS_LEFT = 3;

/** Each with the units that go over bits: those of recursion, and projections beside them. */
const PROGRAMS: Readonly<Record<string, { readonly text: string; readonly units: number }>> = {
  'a list at the end': { units: 1, text: 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z).' },
  'a column at once': { units: 1, text: 'p(x, y) :- s:e(x, y). p(x, z) :- s:e(x, y), p(y, z).' },
  'two of its own': { units: 1, text: 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), p(y, z).' },
  'turned round': { units: 1, text: 'p(x, y) :- s:e(x, y). p(z, x) :- p(x, y), p(y, z).' },
  'same generation': {
    units: 1,
    text: `
      p(x, y) :- s:e(a, x), s:e(a, y), x != y.
      p(x, y) :- s:e(a, x), p(a, b), s:e(b, y).
    `,
  },
  'points to': {
    units: 1,
    text: `
      p(y, x) :- s:e(y, x), s:n(x).
      p(y, x) :- s:f(y, z), p(z, x).
      p(y, w) :- s:e(y, x), p(x, z), p(z, w).
      p(z, w) :- s:f(y, x), p(y, z), p(x, w).
    `,
  },
  'three at once': {
    units: 1,
    text: `
      v(y, x) :- s:e(y, x). v(x, y) :- s:e(x, z), m(z, y). v(x, y) :- v(x, z), v(z, y).
      m(x, w) :- s:f(y, x), a(y, z), s:f(z, w).
      a(x, y) :- v(z, x), v(z, y). a(x, y) :- v(z, x), m(z, w), v(w, y).
      v(x, x) :- s:e(x, _). m(x, x) :- s:e(_, x).
    `,
  },
  'one column': { units: 1, text: 'r(1). r(y) :- r(x), s:e(x, y). r(x) :- s:n(x).' },
  'one column beside two': {
    units: 1,
    text: `
      r(x) :- s:n(x). p(x, y) :- s:f(x, y).
      p(x, y) :- r(x), s:e(x, y). r(y) :- p(x, y), s:e(y, x), r(x).
    `,
  },
  'the same twice': {
    units: 1,
    text: 'p(x, y) :- s:e(x, y). p(x, x) :- p(x, y), p(y, x). p(y, z) :- p(x, x), s:e(x, y), p(y, z).',
  },
  'constants and comparisons': {
    units: 1,
    text: `
      p(x, y) :- s:e(x, y).
      p(x, 3) :- p(x, 2), s:n(x). p(0, y) :- p(y, 1), y != 4.
      p(x, z) :- p(x, y), s:e(y, z), z < 5. p(z, 7) :- p(3, z), s:w(z, 1, _).
    `,
  },
  'wide rows outside': {
    units: 1,
    text: 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:w(2, y, z).',
  },
  // What rows alone can do: a search by two columns at once, a sum in the head.
  'not over bits': {
    units: 0,
    text: `
      p(x, y) :- s:e(x, y). p(x, y) :- p(y, x), s:w(x, y, _).
      q(x, y) :- s:e(x, y). q(x, y + 1) :- q(x, y), y < 5.
    `,
  },
  // No list tells which rows have two equal columns.
  'equal columns outside': {
    units: 0,
    text: `
      p(x, y) :- s:f(x, y). p(x, x) :- s:e(x, x), p(z, z), z >= 0.
      q(x, y) :- s:f(x, y). q(x, z) :- q(x, y), s:w(y, z, z).
    `,
  },
  'negation outside': {
    units: 2,
    text: `
      p(x, y) :- s:e(x, y).
      p(x, z) :- p(x, y), s:e(y, z), not s:n(z), not s:f(x, z), not s:w(x, z, _).
    `,
  },
  'what does not matter': {
    units: 2,
    text: `
      p(x, y) :- s:e(x, y).
      p(x, x) :- p(x, _), s:n(_). p(y, x) :- p(x, y), p(y, _).
      p(x, y) :- p(x, z), s:n(y), s:f(z, _).
    `,
  },
  'two units': {
    units: 2,
    text: `
      p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z).
      q(x, y) :- p(x, y), not p(y, x). q(x, z) :- q(x, y), q(y, z), not s:n(y).
    `,
  },
};

/** Evaluates again and again from other rows, then changes a few at a time. */
async function walk(layout: number, text: string, label: string): Promise<number> {
  const random = randomFrom(SEED);
  const rowsOf = (arity: number, count: number): number[][] =>
    Array.from({ length: count }, () => Array.from({ length: arity }, () => random.int(9)));
  let units = 0;
  for (let i = 0; i < 4; i++) {
    const engine = await createDebugEngine();
    engine.core.exports.chooseLayout(layout);
    const pair = new EnginePair(engine);
    try {
      const tables = Object.entries(ARITIES).map(([table, arity]) =>
        inserts(`s:${table}`, arity, intRows(rowsOf(arity, 4 + i * 8))),
      );
      await pair.transact(tables, `${label} ${i}`, planFor(text, ARITIES));
      units = engine.core.exports.denseUnitCount();
      for (let j = 0; j < 12; j++) {
        const table = random.int(2) === 0 ? 'e' : 'f';
        const change = random.int(2) === 0 ? deletes : inserts;
        const rows = intRows(rowsOf(2, 1 + random.int(3)));
        await pair.transact([change(`s:${table}`, 2, rows)], `${label} ${i}.${j}`);
      }
    } finally {
      engine.close();
    }
  }
  return units;
}

for (const [name, { text, units }] of Object.entries(PROGRAMS)) {
  test(`bits: ${name}`, async () => {
    assert.equal(await walk(BITS, text, name), units, 'units over bits');
    await walk(BITS_LEFT, text, `${name}, left`);
    assert.equal(await walk(ROWS, text, `${name}, rows`), 0, 'units over bits');
  });
}
