/** Equal content, equal digest, whatever the history; one row makes a difference. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TableChange } from '../../host/engine/engine.ts';
import type { WasmEngine } from '../../host/engine/wasm-engine.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { sample, shuffled } from '../support/prng.ts';
import { randomFrom } from '../support/random.ts';
import {
  createEngine,
  deletes,
  inserts,
  ints,
  planFor,
  queryFor,
  succeeded,
} from './engine-pair.ts';

const SEED = 99;
const ARITIES = { e: 2, n: 1 };
const TEXT = 'path(x, y) :- s:e(x, y). path(x, z) :- path(x, y), s:e(y, z).';
const DIGEST = new Set(['p:path']);
const PLAN = planFor(TEXT, ARITIES, { digest: DIGEST });

async function withRows(changes: readonly TableChange[], plan = PLAN): Promise<WasmEngine> {
  const engine = await createEngine();
  succeeded(await engine.transact({ plan, changes: [] }));
  for (const change of changes) succeeded(await engine.transact({ changes: [change] }));
  return engine;
}

const EDGES = ints([1, 2], [2, 3], [3, 1], [7, 8]);

test('order and history do not show', async () => {
  const one = await withRows([inserts('s:e', 2, EDGES)]);
  const other = await withRows([
    inserts('s:e', 2, ints([9, 9], [3, 1])),
    inserts('s:e', 2, ints([7, 8], [2, 3])),
    deletes('s:e', 2, ints([9, 9], [2, 3])),
    inserts('s:e', 2, ints([2, 3], [1, 2], [1, 2])),
  ]);
  assert.equal(other.digest(), one.digest());
  assert.match(one.digest(), /^[0-9a-f]{64}$/);
});

test('one row, one value, one type, one table make a difference', async () => {
  const contents: TableChange[][] = [
    [],
    [inserts('s:n', 1, [[1n]])],
    [inserts('s:n', 1, [[1.0]])],
    [inserts('s:n', 1, [['1']])],
    [inserts('s:n', 1, [[true]])],
    [inserts('s:n', 1, [[null]])],
    [inserts('s:n', 1, [[false]])],
    [inserts('s:n', 1, [[0n]])],
    [inserts('s:n', 1, [[2n]])],
    [inserts('s:n', 1, [[6n]])],
    [inserts('s:n', 1, [[7n]])],
    [inserts('s:n', 1, [[0.0]])],
    [inserts('s:n', 1, [['\0']])],
    [inserts('s:n', 1, [['']])],
    [inserts('s:n', 1, [[2n ** 40n]])],
    [inserts('s:n', 1, [[2 ** 40]])],
    [inserts('p:path', 2, ints([1, 2]))],
    [inserts('s:e', 2, ints([1, 2]))],
    [inserts('s:e', 2, ints([2, 1]))],
    [inserts('s:e', 2, [['a', 'bc']])],
    [inserts('s:e', 2, [['ab', 'c']])],
    // A base row that is derived as well: the same rows, another content.
    [inserts('s:e', 2, ints([1, 2])), inserts('p:path', 2, ints([1, 2]))],
  ];
  const digests = new Map<string, number>();
  for (const [index, changes] of contents.entries()) {
    const digest = (await withRows(changes)).digest();
    assert.equal(digests.get(digest), undefined, `${index} is as ${digests.get(digest)}`);
    digests.set(digest, index);
  }
});

test('the plan says which derived tables count', async () => {
  const text = 'a(x) :- s:n(x), x > 5. b(x) :- s:n(x).';
  const other = 'a(x) :- s:n(x), x > 6. b(x) :- s:n(x).';
  const rows = [inserts('s:n', 1, ints([6], [7]))];
  const digestOf = async (policy: string, digest: string[]): Promise<string> =>
    (await withRows(rows, planFor(policy, ARITIES, { digest: new Set(digest) }))).digest();
  assert.notEqual(await digestOf(text, ['p:a']), await digestOf(other, ['p:a']));
  assert.equal(await digestOf(text, ['p:b']), await digestOf(other, ['p:b']));
  assert.notEqual(await digestOf(text, ['p:b']), await digestOf(text, []));
  // A change of what counts, over rows that stay.
  const engine = await withRows(rows, planFor(text, ARITIES, { digest: new Set() }));
  const plan = planFor(text, ARITIES, { digest: new Set(['p:a']) });
  succeeded(await engine.transact({ plan, changes: [] }));
  assert.equal(engine.digest(), await digestOf(text, ['p:a']));
  succeeded(await engine.transact({ plan: planFor(text, ARITIES), changes: [] }));
  assert.equal(BigInt(`0x${engine.digest()}`), 0n, 'no digest is kept');
});

test('queries, views, dry runs and failures leave it alone', async () => {
  const engine = await createEngine({ rowsPerTableMax: 100 });
  succeeded(await engine.transact({ plan: PLAN, changes: [inserts('s:e', 2, EDGES)] }));
  const before = engine.digest();
  const query = queryFor(TEXT, ARITIES, PLAN, 'path(x, y), not s:n(x)');
  await engine.query(query);
  const more = [inserts('s:e', 2, ints([3, 4]))];
  succeeded(await engine.transact({ changes: more, dryRun: true }));
  const many = Array.from({ length: 40 }, (_, x): Value[] => [BigInt(x), BigInt(x + 1)]);
  assert.equal((await engine.transact({ changes: [inserts('s:e', 2, many)] })).ok, false);
  const views = [{ name: 'v', query: query.query }];
  const plan = planFor(TEXT, ARITIES, { digest: DIGEST, views });
  succeeded(await engine.transact({ plan, changes: [] }));
  assert.equal(engine.count('$view:v'), 10);
  assert.equal(engine.digest(), before);
  succeeded(await engine.transact({ changes: more }));
  assert.notEqual(engine.digest(), before, 'negative control: a commit shows');
});

test('a random history has the digest of its content', async () => {
  const random = randomFrom(SEED);
  const value = (): Value => random.pick([1n, 2n, 3n, 4n, 'a', 'a longer string', 0.5, null]);
  for (let round = 0; round < 10; round++) {
    const engine = await withRows([]);
    for (let step = 0; step < 12; step++) {
      const rows: Row[] = Array.from({ length: 4 }, () => [value(), value()]);
      const table = random.pick(['s:e', 's:e', 'p:path']);
      const there = decodeRows(await engine.rows(table, { base: true }));
      const change = random.chance(0.6)
        ? inserts(table, 2, rows)
        : deletes(table, 2, sample(random, there, 3));
      const dryRun = random.chance(0.2);
      succeeded(await engine.transact({ changes: [change], dryRun }));
    }
    const changes: TableChange[] = [];
    for (const table of ['p:path', 's:e']) {
      const rows = shuffled(random, decodeRows(await engine.rows(table, { base: true })));
      changes.push(inserts(table, 2, rows));
    }
    const fresh = await withRows(changes);
    assert.equal(engine.digest(), fresh.digest(), `seed ${SEED}, round ${round}`);
  }
});

test('scrubbing finds a row that changed in memory, and nothing where none did', async () => {
  const [mark, other] = [123_456_789n, 98_765_432n];
  const engine = await withRows([inserts('s:e', 2, [[mark, other]])]);
  const scrubAll = (): (string | undefined)[] => [1, 2, 3].map(() => engine.scrub());
  assert.deepEqual(scrubAll(), [undefined, undefined, undefined]);
  const words = new Uint32Array(engine.core.exports.memory.buffer);
  // Where the row stands: small ints stand in their cells, next to each other, with some tag.
  const places = [...words.keys()].filter((place) =>
    [0, 1, 2, 3].some(
      (shift) =>
        (words[place] as number) >>> shift === Number(mark) &&
        (words[place + 1] as number) >>> shift === Number(other),
    ),
  );
  assert.ok(places.length > 0, 'the row is found in memory');
  for (const place of places) {
    const before = words[place] as number;
    // Another small int, of the same tag.
    words[place] = before ^ 0x80;
    const found = scrubAll();
    words[place] = before;
    engine.scrub();
    if (found.includes('s:e')) return;
  }
  assert.fail('no changed copy of the row was noticed');
});
