/**
 * Base rows on their way into the core: pieces of a large block, texts of all lengths, bytes that
 * are no text. The references are independent: `TextDecoder`, and the hash written down again.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import * as abi from '../../engine-as/abi.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { createEngine, deletes, inserts, planFor, queryFor, succeeded } from './engine-pair.ts';

const SEED = 271;
const ARITIES = { t: 2, n: 1 };
const TEXT = 'same(x) :- s:t(x, x).';
const PLAN = planFor(TEXT, ARITIES, { digest: new Set() });
const MEBIBYTE = 1 << 20;

test('a block of many pieces, with rows that are larger than one', async () => {
  const random = randomFrom(SEED);
  const rows = new Map<string, Row>();
  for (let index = 0; index < 60_000; index++) {
    const text = 'x'.repeat(index % 9_000 === 5 ? 2.5 * MEBIBYTE : random.int(90)) + String(index);
    rows.set(text, [text, random.chance(0.5) ? `group ${random.int(50)}` : BigInt(index)]);
  }
  const block = encodeRows(2, [...rows.values()]);
  assert.ok(block.bytes.length > 16 * MEBIBYTE);
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [{ table: 's:t', insert: block }] }));
  const found = decodeRows(await engine.rows('s:t', { inAnyOrder: true }));
  assert.equal(found.length, rows.size);
  for (const row of found) assert.deepEqual(row, rows.get(row[0] as string));
  succeeded(await engine.transact({ changes: [{ table: 's:t', delete: block }] }));
  assert.equal(engine.count('s:t'), 0);
});

test('a block that ends within a row, or has fewer rows than it says, changes nothing', async () => {
  const rows = Array.from({ length: 30_000 }, (_, index): Row => [
    `a text that makes a row of some bytes, ${index}`,
    BigInt(index),
  ]);
  const block = encodeRows(2, rows);
  assert.ok(block.bytes.length > MEBIBYTE);
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:t', 2, [['kept', 1n]])] }));
  const broken = [
    { ...block, bytes: block.bytes.subarray(0, -1) },
    { ...block, count: block.count + 1 },
    { ...block, bytes: Uint8Array.from(block.bytes, (byte, at) => (at === MEBIBYTE ? 255 : byte)) },
  ];
  for (const insert of broken) {
    const result = await engine.transact({ changes: [{ table: 's:t', insert }] });
    assert.ok(!result.ok);
    assert.match(result.message, /refuses the rows/);
    assert.deepEqual(decodeRows(await engine.rows('s:t')), [['kept', 1n]]);
  }
  succeeded(await engine.transact({ changes: [{ table: 's:t', insert: block }] }));
  assert.equal(engine.count('s:t'), 30_001);
});

const JOINS = 'left(x, n) :- s:t(x, n), s:n(x). right(x, n) :- s:t(x, n), s:n(n).';
const JOIN_PLAN = planFor(JOINS, ARITIES, { digest: new Set() });

/** Many rows with equal ones among them; one column is nearly a key, the other is not. */
function manyRows(random: Random, count: number): Row[] {
  return Array.from({ length: count }, (): Row => [
    `row ${random.int(count)}`,
    BigInt(random.int(40)),
  ]);
}

test('indexes of a new table that is filled at a stroke are those of one that grew', async () => {
  const random = randomFrom(SEED);
  const probes: Row[] = [...Array.from({ length: 30 }, (_, n): Row => [`row ${n}`]), [3n], [7n]];
  for (const count of [4_095, 4_096, 30_000]) {
    const rows = manyRows(random, count);
    const filled = await createEngine();
    const all = [inserts('s:t', 2, rows), inserts('s:n', 1, probes)];
    succeeded(await filled.transact({ plan: JOIN_PLAN, changes: all }));
    const grown = await createEngine();
    succeeded(await grown.transact({ plan: JOIN_PLAN, changes: [inserts('s:n', 1, probes)] }));
    for (let from = 0; from < count; from += 1_000) {
      const some = inserts('s:t', 2, rows.slice(from, from + 1_000));
      succeeded(await grown.transact({ changes: [some] }));
    }
    const expectSame = async (isEmptied = false): Promise<void> => {
      for (const table of ['s:t', 'p:left', 'p:right']) {
        const found = await filled.rows(table);
        assert.deepEqual(found, await grown.rows(table), `${table} of ${count} rows`);
        if (!isEmptied) assert.ok(found.count > 0);
      }
      assert.equal(filled.digest(), grown.digest());
    };
    await expectSame();
    const gone = deletes('s:t', 2, [...rows.slice(0, 500), ['row 3', 3n]]);
    for (const engine of [filled, grown]) succeeded(await engine.transact({ changes: [gone] }));
    await expectSame();
    const probe = deletes('s:n', 1, probes.slice(5));
    for (const engine of [filled, grown]) succeeded(await engine.transact({ changes: [probe] }));
    await expectSame(true);
  }
});

test('rows come and go in a small table whose buckets are full', async () => {
  const random = randomFrom(SEED);
  const engine = await createEngine();
  const present = new Set<number>();
  succeeded(await engine.transact({ plan: PLAN, changes: [] }));
  // About as many rows as two buckets hold, and searches for rows that are not there.
  for (let round = 0; round < 3000; round++) {
    const value = random.int(60);
    const rows = [[BigInt(value)]];
    const isGoing = present.has(value) ? random.chance(0.5) : present.size >= 25;
    succeeded(
      await engine.transact({
        changes: [isGoing ? deletes('s:n', 1, rows) : inserts('s:n', 1, rows)],
      }),
    );
    if (isGoing) present.delete(value);
    else present.add(value);
    assert.equal(engine.count('s:n'), present.size, `round ${round}, seed ${SEED}`);
  }
});

test('rows that were promised and do not come, or come broken, leave no trace', async () => {
  const random = randomFrom(SEED);
  const rows = manyRows(random, 20_000);
  const block = encodeRows(2, rows);
  const engine = await createEngine();
  const probes = inserts('s:n', 1, [['row 1'], [7n]]);
  const cut = { table: 's:t', insert: { ...block, bytes: block.bytes.subarray(0, -3) } };
  const failed = await engine.transact({ plan: JOIN_PLAN, changes: [probes, cut] });
  assert.ok(!failed.ok);
  assert.equal(engine.count('s:t'), 0);
  // Nine of ten rows are the same: the promise was far too high.
  const few = Array.from({ length: 20_000 }, (_, index) => rows[index % 2_000] as Row);
  const changes = [probes, inserts('s:t', 2, few)];
  succeeded(await engine.transact({ plan: JOIN_PLAN, changes }));
  const distinct = new Set(few.map(([x, n]) => `${x} ${n}`));
  assert.equal(engine.count('s:t'), distinct.size);
  const sevens = [...distinct].filter((text) => text.endsWith(' 7')).length;
  assert.equal(engine.count('p:right'), sevens);
  const limited = await createEngine({ rowsPerTableMax: 10_000 });
  const over = await limited.transact({
    plan: JOIN_PLAN,
    changes: [probes, inserts('s:t', 2, rows)],
  });
  assert.ok(!over.ok && over.code === 'rows_per_table');
  succeeded(await limited.transact({ plan: JOIN_PLAN, changes }));
  assert.deepEqual(await limited.rows('p:left'), await engine.rows('p:left'));
});

test('equal texts are one value and others are not, whatever their lengths', async () => {
  const engine = await createEngine();
  // More than are taken at once, and more than the core thinks to be in the cache.
  const texts = Array.from({ length: 20_000 }, (_, index) => `${'é'.repeat(index % 20)}${index}`);
  for (let length = 0; length < 300; length++) texts.push('y'.repeat(length));
  // The same but for one byte, at every place.
  for (let at = 0; at < 40; at++) texts.push(`${'z'.repeat(at)}Z${'z'.repeat(39 - at)}`);
  const rows = texts.flatMap((text, index): Row[] => [
    [text, text],
    [text, texts[(index + 1) % texts.length] as string],
  ]);
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:t', 2, rows)] }));
  assert.equal(engine.count('s:t'), rows.length);
  const same = await engine.query(queryFor(TEXT, ARITIES, PLAN, 'same(x)'));
  assert.equal(same.rows.count, texts.length);
  assert.deepEqual(new Set(decodeRows(same.rows).map(([text]) => text)), new Set(texts));
});

/* The digest of a text outlives the version of the core: it is in checkpoints. */

const MASK = (1n << 64n) - 1n;
const PRIME_1 = 0x9e3779b97f4a7c15n;
const PRIME_2 = 0xd6e8feb86659fd93n;
const STRING_SEED = 0xeb44accab455d165n;

function mix(state: bigint, word: bigint): bigint {
  const product = ((state ^ word) * PRIME_1) & MASK;
  return product ^ (product >> 32n);
}

/** One text in a table of one column, as the first lane of its base rows. */
function laneOf(text: string, seed: bigint): bigint {
  const bytes = Buffer.from(text);
  let state = STRING_SEED ^ ((BigInt(bytes.length) * PRIME_2) & MASK);
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) state = mix(state, bytes.readBigUInt64LE(at));
  let tail = 0n;
  for (let last = bytes.length - 1; last >= at; last--) {
    tail = (tail << 8n) | BigInt(bytes[last] as number);
  }
  return mix(seed, mix(state, tail));
}

test('the digest of a text of any length is that of every version', async () => {
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [] }));
  const lane = (): bigint => BigInt(`0x${engine.digest().slice(0, 16)}`);
  // FNV-1a of the table's name.
  let seed = 0xcbf29ce484222325n;
  for (const byte of Buffer.from('s:n')) seed = ((seed ^ BigInt(byte)) * 0x100000001b3n) & MASK;
  for (let length = 0; length < 45; length++) {
    const text = Array.from({ length }, (_, at) => String.fromCharCode(33 + ((at * 7) % 90))).join(
      '',
    );
    const before = lane();
    succeeded(await engine.transact({ changes: [inserts('s:n', 1, [[text]])] }));
    assert.equal((lane() - before) & MASK, laneOf(text, seed), `${length} bytes`);
  }
});

/** Bytes that are UTF-8, or were until one of them was changed, left out or doubled. */
function nearlyText(random: Random): Uint8Array {
  const letters = ['a', '\u007f', 'é', '€', '\ud7ff', '\ue000', '😀', '\u{10ffff}', '\0'];
  let text = '';
  for (let count = random.int(12); count > 0; count--) {
    text += random.chance(0.6) ? 'b' : random.pick(letters);
  }
  const bytes = [...Buffer.from(text)];
  if (bytes.length > 0 && random.chance(0.7)) {
    const at = random.int(bytes.length);
    const byte = bytes[at] as number;
    bytes.splice(at, 1, ...random.pick([[], [byte, byte], [byte ^ (1 << random.int(8))]]));
  }
  return Uint8Array.from(bytes);
}

test('the core takes exactly what is UTF-8', async () => {
  const random = randomFrom(SEED);
  const engine = await createEngine();
  succeeded(await engine.transact({ plan: PLAN, changes: [] }));
  const { core } = engine;
  const [refused, taken] = [new Set<string>(), new Set<string>()];
  for (let round = 0; round < 20_000; round++) {
    const bytes = nearlyText(random);
    let isText = true;
    try {
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      isText = false;
    }
    const row = Uint8Array.of(abi.TAG_SHORT_STRING, bytes.length, ...bytes);
    (isText ? taken : refused).add(Buffer.from(bytes).toString('hex'));
    assert.equal(core.exports.begin(), abi.STATUS_DONE);
    const handle = core.exports.createRelation(1, 0, 0, 0n);
    const status = core.exports.changeBaseRows(handle, core.write(row), row.length, 1, 1);
    const why = `round ${round} of seed ${SEED}: ${Buffer.from(bytes).toString('hex')}`;
    assert.equal(status, isText ? abi.STATUS_DONE : abi.STATUS_BAD_ROWS, why);
    assert.equal(core.exports.isCutShort(), 0, why);
    assert.equal(core.exports.rowsTaken(), Number(isText), why);
    while (core.exports.rollBack() === abi.STATUS_MORE) assert.equal(core.exports.isOpen(), 1);
    core.exports.destroyRelation(handle);
  }
  assert.ok(refused.size > 2_000 && taken.size > 2_000, `${refused.size}, ${taken.size}`);
});
