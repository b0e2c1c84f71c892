/**
 * Indexes belong to the program that names them: a query that is opened between a new program and
 * its commit uses one and does not take it away.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Plan } from '../../host/compiler/plan.ts';
import { createEngine, inserts, intRows, planFor, queryFor, succeeded } from './engine-pair.ts';

const ARITIES = { e: 2, f: 2 };
/** Both look `s:f` up by its first column. */
const TEXTS = ['p(x, z) :- s:e(x, y), s:f(y, z).', 'q(x, z) :- s:e(x, y), s:f(y, z).'];
const ROWS = Array.from({ length: 40 }, (_, row) => [row, row + 1]);
const ROUNDS = 6;

test('a query beside a change of the program leaves the indexes to the new one', async () => {
  const plans = TEXTS.map((text) => planFor(text, ARITIES, { watched: new Set() }));
  let onTurn: (() => void) | undefined;
  let clockMs = 0;
  const engine = await createEngine({
    // Each slice takes long, so that there is a turn after it.
    now: () => (clockMs += 1_000),
    yield: async () => {
      onTurn?.();
      for (let turn = 0; turn < 8; turn++) await Promise.resolve();
    },
  });
  const changes = [inserts('s:e', 2, intRows(ROWS)), inserts('s:f', 2, intRows(ROWS))];
  succeeded(await engine.transact({ plan: plans[0] as Plan, changes }));
  let asked = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const [before, after] = [(round - 1) % 2, round % 2];
    const ask = (which: number) =>
      engine.query(
        queryFor(TEXTS[which] as string, ARITIES, plans[which] as Plan, 's:e(x, y), s:f(y, z)'),
      );
    const during: Promise<void>[] = [];
    onTurn = () => {
      if (engine.core.exports.isOpen() === 0) return;
      asked++;
      during.push(ask(before).then(({ rows }) => assert.equal(rows.count, ROWS.length - 1)));
    };
    const more = [inserts('s:e', 2, intRows([[1000 + round, 5000]]))];
    succeeded(await engine.transact({ plan: plans[after] as Plan, changes: more }));
    onTurn = undefined;
    await Promise.all(during);
    assert.equal((await ask(after)).rows.count, ROWS.length - 1, `after change ${round}`);
  }
  assert.ok(asked > 0, 'no query came between a program and its commit');
});
