import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  NetChange,
  applyChanges,
  changeBytes,
  sumChanges,
} from '../../host/subscriptions/change.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';

const change = (insert: readonly Row[], gone: readonly Row[]) => ({
  insert: encodeRows(1, insert),
  delete: encodeRows(1, gone),
});
const keys = (rows: readonly Row[]): string[] =>
  rows.map((row) => row.map(formatValue).join()).sort();

test('an insert and a delete of the same row cancel, in both orders', () => {
  const net = sumChanges(1, [change([[1n], [2n]], [[3n]]), change([[3n]], [[1n]])]);
  assert.deepEqual(decodeRows(net.insert), [[2n]]);
  assert.equal(net.delete.count, 0);
});

test('rows that only look alike are different rows', () => {
  const rows: Row[] = [[1n], [1], ['1'], [true], [null], ['é'], ['e\u0301']];
  const net = sumChanges(1, [change(rows, []), change([], [[1]])]);
  assert.equal(net.insert.count, rows.length - 1);
  assert.deepEqual(keys(decodeRows(net.insert)), keys(rows.filter((row) => row[0] !== 1)));
});

test('a change that does not follow is refused', () => {
  assert.throws(() => new NetChange(1).add(change([[1n]], [])).add(change([[1n]], [])), /twice/);
  assert.throws(() => applyChanges(encodeRows(1, []), [change([], [[1n]])]), /was not there/);
});

test('bytes held go back to none when everything cancels', () => {
  const net = new NetChange(1).add(change([['a long text'], [2n]], []));
  assert.ok(net.byteLength > changeBytes(change([['a long text'], [2n]], [])));
  net.add(change([], [['a long text'], [2n]]));
  assert.equal(net.byteLength, 0);
});

test('the sum of random changes is the difference of the states', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomFrom(seed);
    const first = new Set<number>(Array.from({ length: random.int(6) }, () => random.int(8)));
    const state = new Set(first);
    const changes = Array.from({ length: 1 + random.int(10) }, () => {
      const insert: Row[] = [];
      const gone: Row[] = [];
      for (let value = 0; value < 8; value++) {
        if (!random.chance(0.3)) continue;
        if (state.delete(value)) gone.push([BigInt(value)]);
        else {
          state.add(value);
          insert.push([BigInt(value)]);
        }
      }
      return change(insert, gone);
    });
    const net = sumChanges(1, changes);
    const rowsOf = (values: Iterable<number>): string[] =>
      keys([...values].map((v): Row => [BigInt(v)]));
    const added = [...state].filter((value) => !first.has(value));
    const removed = [...first].filter((value) => !state.has(value));
    assert.deepEqual(keys(decodeRows(net.insert)), rowsOf(added), `seed ${seed}`);
    assert.deepEqual(keys(decodeRows(net.delete)), rowsOf(removed), `seed ${seed}`);
    const start = encodeRows(
      1,
      [...first].map((value): Row => [BigInt(value)]),
    );
    assert.deepEqual(keys(decodeRows(applyChanges(start, changes))), rowsOf(state), `seed ${seed}`);
  }
});
