import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffRows, RowSet } from '../../drivers/row-diff.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

function randomValue(random: Random): Value {
  switch (random.int(8)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return BigInt(random.int(4)) * 2n ** 40n;
    case 3:
      return random.int(3) / 2;
    case 4:
      return 'long'.repeat(70 + random.int(2));
    case 5:
      return `é${random.int(3)}`;
    default:
      return BigInt(random.int(3));
  }
}

function texts(block: RowBlock): string[] {
  return decodeRows(block)
    .map((row) => row.map(formatValue).join())
    .toSorted();
}

test('the difference of random states is that of sets of row texts', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomFrom(seed);
    const arity = 1 + random.int(3);
    const state = (): Row[] =>
      Array.from({ length: random.int(60) }, () =>
        Array.from({ length: arity }, () => randomValue(random)),
      );
    const [before, after] = [encodeRows(arity, state()), encodeRows(arity, state())];
    const [old, now] = [new Set(texts(before)), new Set(texts(after))];
    const { insert, delete: removed } = await diffRows(
      await RowSet.of(before),
      await RowSet.of(after),
    );
    assert.deepEqual(
      texts(insert),
      [...now].filter((row) => !old.has(row)).toSorted(),
      `seed ${seed}`,
    );
    assert.deepEqual(
      texts(removed),
      [...old].filter((row) => !now.has(row)).toSorted(),
      `seed ${seed}`,
    );
    assert.deepEqual(
      texts(await (await RowSet.of(after)).block()),
      [...now].toSorted(),
      `seed ${seed}`,
    );
  }
});

test('rows of no columns, and a change of arity', async () => {
  const none = await RowSet.of(encodeRows(0, []));
  const one = await RowSet.of(encodeRows(0, [[], []]));
  assert.equal(one.count, 1);
  assert.equal((await diffRows(none, one)).insert.count, 1);
  assert.equal((await diffRows(one, one)).insert.count, 0);
  const wide = await RowSet.of(encodeRows(1, [['a'], ['b']]));
  const change = await diffRows(one, wide);
  assert.deepEqual([change.insert.count, change.delete.count], [2, 1]);
});

test('what is kept of 200 000 rows is a few bytes a row more than the rows', async () => {
  const block = encodeRows(
    2,
    Array.from({ length: 200_000 }, (_, index) => [`row-${index}`, BigInt(index)]),
  );
  const before = process.memoryUsage().arrayBuffers;
  const set = await RowSet.of(block);
  const kept = process.memoryUsage().arrayBuffers - before;
  assert.equal(set.count, 200_000);
  assert.ok(kept <= 200_000 * 20, `${kept / 200_000} bytes a row`);
});

test('other work goes on while large states are compared', async () => {
  const block = encodeRows(
    1,
    Array.from({ length: 200_000 }, (_, index) => [BigInt(index)]),
  );
  let turns = 0;
  const count = setInterval(() => turns++, 0);
  const set = await RowSet.of(block);
  await set.without(set);
  clearInterval(count);
  assert.ok(turns > 0, 'no other work was done');
});
