/** Rows come in the total order, whatever they are made of and however many there are. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { decodeRows, RowBlockWriter } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { compareRows, formatValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { RowSet } from '../oracle/row-set.ts';
import { randomValue } from '../support/random-value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { createDebugEngine, createEngine, inserts, planFor, succeeded } from './engine-pair.ts';

const SEED = 90_125;

type Column = (random: Random) => Value;

const smallInt: Column = (random) => BigInt(random.int(2000) - 1000);
const anyInt: Column = (random) => {
  return (
    BigInt.asIntN(64, new DataView(random.bytes(8).buffer).getBigInt64(0)) >>
    random.pick([0n, 20n, 40n, 60n])
  );
};
const number: Column = (random) =>
  random.pick([BigInt(random.int(9)), random.int(9), random.int(99) / 8 - 5]);
const name: Column = (random) => `server-${random.int(3000)}`;
const word: Column = (random) =>
  random.pick([
    '',
    'a',
    'a\0',
    'a\0\0',
    'ab',
    'é',
    '\u{10000}',
    '\u{ffff}',
    'abcdefg',
    'abcdefgh',
    'abcdefghi',
  ]);
const long: Column = (random) => `the same beginning${'x'.repeat(random.int(20))}${random.int(50)}`;
/** The differences lie behind what a key holds, in hundreds of rows. */
const late: Column = (random) =>
  `${random.pick(['a', 'b'])}${'-'.repeat(20)}${random.int(100_000)}`;
const constant: Column = () => 'one';
const anything: Column = (random) => randomValue(random);

const TABLES: readonly (readonly Column[])[] = [
  [smallInt],
  [anyInt],
  [number],
  [name],
  [word],
  [late],
  [anything],
  [smallInt, smallInt],
  [name, constant, name],
  [number, word],
  [word, long, smallInt, anyInt],
  [anything, smallInt, anything],
  [constant, late, number],
  Array.from({ length: 12 }, () => smallInt),
  Array.from({ length: 9 }, () => word),
];

async function sorted(
  engine: WasmEngine,
  columns: readonly Column[],
  size: number,
  random: Random,
) {
  const rows = new RowSet();
  for (let tries = 0; tries < size * 2 && rows.size < size; tries++) {
    rows.add(columns.map((column) => column(random)));
  }
  const plan = planFor('p(x) :- s:one(x).', { one: 1, t: columns.length });
  const change = inserts('s:t', columns.length, [...rows]);
  succeeded(await engine.transact({ plan, changes: [{ ...change, replace: true }] }));
  return { found: decodeRows(await engine.rows('s:t')), expected: rows.sorted() };
}

function sameOrder(found: readonly Row[], expected: readonly Row[], what: string): void {
  assert.equal(found.length, expected.length, what);
  for (const [place, row] of found.entries()) {
    if (compareRows(row, expected[place] as Row) === 0) continue;
    assert.fail(`${what}: place ${place} has (${row.map(formatValue).join(', ')})`);
  }
}

for (const [create, sizes] of [
  [createEngine, [1, 2, 31, 32, 33, 300, 5000]],
  [createDebugEngine, [40, 700]],
] as const) {
  test(`rows of ${TABLES.length} tables in order, ${sizes.join(', ')} of them`, async () => {
    const engine = await create();
    for (const [index, columns] of TABLES.entries()) {
      for (const size of sizes) {
        const { found, expected } = await sorted(engine, columns, size, randomFrom(SEED + index));
        sameOrder(found, expected, `seed ${SEED + index}, table ${index}, ${size} rows`);
      }
    }
  });
}

test('blocks of rows are merged, decided by their keys or not', async () => {
  const engine = await createEngine();
  for (const columns of [[smallInt, smallInt], [late]]) {
    const { found, expected } = await sorted(engine, columns, 70_000, randomFrom(SEED));
    assert.ok(found.length > 65_536, `${found.length} rows`);
    sameOrder(found, expected, `seed ${SEED}, ${columns.length} columns`);
  }
});

test('more rows than are sorted together', async () => {
  const [ROWS, STEP, PRIME] = [2_200_000, 7919, 2_200_013];
  const engine = await createEngine();
  const writer = new RowBlockWriter(1);
  for (let row = 1; row <= ROWS; row++) writer.appendRow([BigInt((row * STEP) % PRIME)]);
  const plan = planFor('p(x) :- s:one(x).', { one: 1, t: 1 });
  succeeded(await engine.transact({ plan, changes: [{ table: 's:t', insert: writer.finish() }] }));
  const { bytes, count } = await engine.rows('s:t');
  assert.equal(count, ROWS);
  // An int of 32 bits has a tag and four bytes.
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 5; at < bytes.length; at += 5) {
    const isAscending = view.getInt32(at - 4, true) < view.getInt32(at + 1, true);
    if (!isAscending) assert.fail(`row ${at / 5} is not behind the one before`);
  }
});

test('rows of two tables are put in order at the same time', async () => {
  const random = randomFrom(SEED);
  const rows = Array.from({ length: 60_000 }, () => [name(random), smallInt(random)]);
  const others = Array.from({ length: 60_000 }, () => [smallInt(random), anyInt(random)]);
  let turns = 0;
  const engine = await createEngine({
    yield: async () => {
      turns += 1;
    },
  });
  const plan = planFor('p(x) :- s:one(x).', { one: 1, t: 2, u: 2 });
  const changes = [inserts('s:t', 2, rows), inserts('s:u', 2, others)];
  succeeded(await engine.transact({ plan, changes }));
  turns = 0;
  const found = await Promise.all([engine.rows('s:t'), engine.rows('s:u')]);
  assert.ok(turns > 4, `${turns} turns`);
  for (const [index, expected] of [rows, others].entries()) {
    const set = new RowSet();
    for (const row of expected) set.add(row);
    sameOrder(decodeRows(found[index] as RowBlock), set.sorted(), `seed ${SEED}, ${index}`);
  }
});
