/**
 * Updates of tables that are larger than what the core takes to be in the cache: rows are looked
 * for, and taken out, in blocks. What stands afterwards, and each delta, is computed here a second
 * time from the base rows.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TableChange } from '../../host/engine/engine.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  inserts,
  intRows,
  planFor,
  sameBlock,
  succeeded,
} from './engine-pair.ts';

const SEED = 7311;
const ARITIES = { member: 2, reads: 2, banned: 1, open: 1 };
/** An index of `may` by its second column; a row of `may` has up to a few derivations. */
const TEXT = `
  may(u, f) :- s:member(u, g), s:reads(g, f), not s:banned(u).
  seen(f, u) :- s:open(f), may(u, f).
`;
const [USERS, GROUPS, FILES] = [400, 60, 2000];
const SABOTAGE_FIRST_FOUND = 8;

type Pair = readonly [number, number];

/** A set of pairs of ints as one of numbers. */
const numberOf = ([a, b]: Pair): number => a * 65_536 + b;
const pairOf = (number: number): Pair => [Math.floor(number / 65_536), number % 65_536];

function blockOf(numbers: Iterable<number>): RowBlock {
  return encodeRows(2, intRows([...numbers].sort((a, b) => a - b).map(pairOf)));
}

class World {
  readonly random = randomFrom(SEED);
  readonly tables: Record<'member' | 'reads' | 'banned' | 'open', Set<number>> = {
    member: new Set(),
    reads: new Set(),
    banned: new Set(),
    open: new Set(),
  };

  /** Takes some rows out and puts others in, at random. */
  change(table: keyof typeof this.tables, gone: number, come: number): TableChange[] {
    const rows = this.tables[table];
    const all = [...rows];
    const out = new Set<number>();
    while (out.size < Math.min(gone, all.length)) {
      out.add(all[this.random.int(all.length)] as number);
    }
    for (const row of out) rows.delete(row);
    const into = new Set<number>();
    while (into.size < come) {
      const row = this.row(table);
      if (!rows.has(row)) into.add(row);
    }
    for (const row of into) rows.add(row);
    const arity = ARITIES[table];
    const values = (numbers: Set<number>) =>
      intRows([...numbers].map((number) => (arity === 1 ? [number] : pairOf(number))));
    return [deletes(`s:${table}`, arity, values(out)), inserts(`s:${table}`, arity, values(into))];
  }

  row(table: keyof typeof this.tables): number {
    const { random } = this;
    if (table === 'member') return numberOf([random.int(USERS), random.int(GROUPS)]);
    if (table === 'reads') return numberOf([random.int(GROUPS), random.int(FILES)]);
    return random.int(table === 'banned' ? USERS : FILES);
  }

  derived(): Record<string, Set<number>> {
    const users = new Map<number, number[]>();
    for (const row of this.tables.member) {
      const [user, group] = pairOf(row);
      users.set(group, [...(users.get(group) ?? []), user]);
    }
    const may = new Set<number>();
    const seen = new Set<number>();
    for (const row of this.tables.reads) {
      const [group, file] = pairOf(row);
      for (const user of users.get(group) ?? []) {
        if (this.tables.banned.has(user)) continue;
        may.add(numberOf([user, file]));
        if (this.tables.open.has(file)) seen.add(numberOf([file, user]));
      }
    }
    return { 'p:may': may, 'p:seen': seen };
  }
}

function without(rows: Set<number>, others: Set<number>): number[] {
  return [...rows].filter((row) => !others.has(row));
}

/** A stream of updates, each checked whole. */
async function runUpdates(engine: WasmEngine): Promise<void> {
  const world = new World();
  const start = [
    ...world.change('member', 0, 1200),
    ...world.change('reads', 0, 4000),
    ...world.change('banned', 0, 10),
    ...world.change('open', 0, 500),
  ];
  const plan = planFor(TEXT, ARITIES, { watched: new Set(['p:may', 'p:seen']) });
  succeeded(await engine.transact({ plan, changes: start }));
  let before = world.derived();
  assert.ok((before['p:may'] as Set<number>).size > 30_000, 'as large as it is meant to be');
  const updates: readonly (() => TableChange[])[] = [
    () => world.change('reads', 300, 300),
    () => world.change('member', 5, 5),
    () => world.change('banned', 5, 30),
    () => [...world.change('reads', 2500, 0), ...world.change('open', 100, 50)],
    () => [...world.change('reads', 0, 2700), ...world.change('banned', 30, 2)],
    () => [...world.change('reads', 1, 1), ...world.change('member', 1, 1)],
  ];
  for (const [step, update] of updates.entries()) {
    const result = await engine.transact({ changes: update() });
    succeeded(result);
    const after = world.derived();
    for (const { table, insert, delete: gone } of result.deltas) {
      const [was, is] = [before[table], after[table]];
      assert.ok(was !== undefined && is !== undefined);
      sameBlock(insert, blockOf(without(is, was)), `seed ${SEED}, ${step}: inserts of ${table}`);
      sameBlock(gone, blockOf(without(was, is)), `seed ${SEED}, ${step}: deletes of ${table}`);
    }
    for (const [table, rows] of Object.entries(after)) {
      sameBlock(await engine.rows(table), blockOf(rows), `seed ${SEED}, ${step}: ${table}`);
    }
    before = after;
  }
}

test('large tables: updates in blocks', async () => {
  await runUpdates(await createDebugEngine());
});

test('large tables: a row is not what its hash finds first', async () => {
  const engine = await createEngine();
  engine.core.exports.sabotage(SABOTAGE_FIRST_FOUND);
  await assert.rejects(runUpdates(engine), /expected/u);
});

test('large tables: rows that come take the places of those that went', async () => {
  const ROWS = 150_000;
  const engine = await createEngine();
  const rows = (from: number) =>
    encodeRows(2, intRows(Array.from({ length: ROWS }, (_, index) => [from + index, index])));
  const plan = planFor('copy(x, y) :- s:t(x, y).', { t: 2 }, { watched: new Set() });
  succeeded(await engine.transact({ plan, changes: [{ table: 's:t', insert: rows(0) }] }));
  const used: number[] = [];
  for (let round = 0; round < 4; round++) {
    const from = round * ROWS;
    succeeded(await engine.transact({ changes: [{ table: 's:t', delete: rows(from) }] }));
    assert.equal(engine.count('p:copy'), 0);
    succeeded(await engine.transact({ changes: [{ table: 's:t', insert: rows(from + ROWS) }] }));
    sameBlock(await engine.rows('p:copy'), rows(from + ROWS), `round ${round}`);
    used.push(engine.stats().usedBytes);
  }
  const [first = 0, ...later] = used;
  for (const bytes of later) assert.ok(bytes <= first * 1.02, `${used.join()} bytes`);
  // What the bound is for: as many rows more need places of their own.
  succeeded(await engine.transact({ changes: [{ table: 's:t', insert: rows(0) }] }));
  assert.ok(engine.stats().usedBytes > first * 1.2);
});
