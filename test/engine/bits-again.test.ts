/**
 * Updates so large that a recursive unit is evaluated anew over bits while its rows stand: the
 * reference has the same deltas, and what comes next finds ranks, sets and indexes as they must be.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TableChange } from '../../host/engine/engine.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import {
  createDebugEngine,
  deletes,
  EnginePair,
  inserts,
  intRows,
  planFor,
} from './engine-pair.ts';

const SEED = 5120;
const ARITIES = { e: 2, f: 2, t: 1 };
const NODES = 26;

const PROGRAMS: Readonly<Record<string, string>> = {
  closure: 'p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z).',
  'two of its own, base rows and facts': `
    p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), p(y, z). p(3, 4). p(100, 101).
    q(x) :- p(x, y), s:f(y, x).
  `,
  'two tables': `
    v(y, x) :- s:e(y, x). v(x, y) :- v(x, z), m(z, y). m(x, y) :- s:f(x, y). m(x, y) :- v(y, x).
    n(x, count()) :- v(x, _).
  `,
  'one column beside two': `
    r(x, x) :- s:f(x, _). r(x, y) :- r(x, z), s:e(z, y), u(z). u(x) :- s:e(x, _). u(x) :- r(_, x).
  `,
};

class Edges {
  readonly #random: Random;
  readonly #there = new Map<string, Set<string>>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Out of what is there, so many of 8 rows. */
  some(table: string, eighths: number): TableChange {
    const rows = [...(this.#there.get(table) ?? [])].filter(() => this.#random.int(8) < eighths);
    for (const row of rows) this.#there.get(table)?.delete(row);
    return deletes(`s:${table}`, 2, intRows(rows.map((row) => row.split(' ').map(Number))));
  }

  more(table: string, count: number): TableChange {
    const there = this.#there.get(table) ?? new Set();
    this.#there.set(table, there);
    const rows = Array.from({ length: count }, () => [
      this.#random.int(NODES),
      this.#random.int(NODES),
    ]);
    for (const row of rows) there.add(row.join(' '));
    return inserts(`s:${table}`, 2, intRows(rows));
  }
}

for (const [name, text] of Object.entries(PROGRAMS)) {
  test(`bits again: ${name}`, async () => {
    const engine = await createDebugEngine();
    engine.core.exports.chooseLayout(2);
    const pair = new EnginePair(engine);
    const edges = new Edges(randomFrom(SEED));
    const units = (): number => engine.core.exports.denseUnitCount();
    await pair.transact(
      [edges.more('e', 70), edges.more('f', 40)],
      'start',
      planFor(text, ARITIES),
    );
    let again = 0;
    for (let round = 0; round < 6; round++) {
      const before = units();
      await pair.transact([edges.some('e', 5)], `${round}: most edges go`);
      await pair.transact([edges.more('e', 2), edges.some('f', 1)], `${round}: few`);
      await pair.transact([edges.more('e', 60), edges.more('f', 20)], `${round}: many come`);
      await pair.transact([edges.some('e', 1)], `${round}: some go`);
      await pair.transact([edges.some('f', 7), edges.more('e', 3)], `${round}: the others go`);
      again += units() - before;
    }
    assert.ok(again >= 6, `evaluated anew ${again} times`);
    engine.close();
  });
}

test('bits again: what fails in or behind it leaves rows and ranks as they were', async () => {
  const text = `
    p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z).
    late(x) :- p(x, x). late(y) :- late(x), y = x + 1, s:t(_).
  `;
  const engine = await createDebugEngine({ rowsPerTableMax: 800 });
  engine.core.exports.chooseLayout(2);
  const pair = new EnginePair(engine);
  const edges = new Edges(randomFrom(SEED + 1));
  const units = (): number => engine.core.exports.denseUnitCount();
  const first = [edges.more('e', 70), edges.more('f', 1)];
  await pair.transact(first, 'start', planFor(text, ARITIES));
  const endless = inserts('s:t', 1, intRows([[1]]));
  for (let round = 0; round < 3; round++) {
    const before = units();
    const kept = new Edges(randomFrom(SEED + 2 + round));
    // The closure is done when the other table runs over.
    await pair.fails([kept.more('e', 60), endless], 'rows_per_table');
    assert.ok(units() > before, 'the closure was evaluated anew');
    // Every pair of 40 nodes is too much for the closure itself.
    const ring = Array.from({ length: 40 }, (_, index) => [index, (index + 1) % 40]);
    await pair.fails([inserts('s:e', 2, intRows(ring))], 'rows_per_table');
    await pair.transact([edges.some('e', 2)], `${round}: some go`);
    await pair.transact([edges.more('e', 12)], `${round}: some come`);
  }
  engine.close();
});
