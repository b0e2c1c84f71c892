import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchIds } from '../../host/replica/batch-ids.ts';
import { Births, keyedRows } from '../../host/replica/births.ts';
import { blockDifference } from '../../host/replica/block-difference.ts';
import { retryRevision } from '../../host/replica/failures.ts';
import { checkRows, findMisfit } from '../../host/replica/row-check.ts';
import { Document, List } from '../../host/value/composite.ts';
import { DateTime } from '../../host/value/datetime.ts';
import { IpAddress, IpNetwork } from '../../host/value/ip.ts';
import { emptyBlock, encodeRows } from '../../host/value/row-block.ts';
import type { Column } from '../../host/compiler/stratified.ts';
import type { ColumnType } from '../../host/value/column-type.ts';
import type { Value } from '../../host/value/value.ts';
import { code, ints, rows, shown } from '../support/replica-world.ts';

const id = (key: number, appendTimeMs: number) => ({
  key: String(key),
  bodyDigest: 'd',
  revision: key,
  appendTimeMs,
});

test('batch ids stay for the longer of the age and the count', () => {
  const ids = new BatchIds({ ageMsMin: 100, countMin: 3 });
  for (let key = 0; key < 10; key++) ids.add(id(key, key * 10));
  assert.equal(ids.size, 10, 'young ones stay, however many');
  ids.add(id(10, 150));
  assert.deepEqual([...ids.entries()].map((entry) => entry.key).slice(0, 2), ['5', '6']);
  ids.add(id(11, 10_000));
  assert.deepEqual(
    [...ids.entries()].map((entry) => entry.key),
    ['9', '10', '11'],
    'few stay, however old',
  );
  assert.equal(ids.find('8'), undefined);
  assert.equal(ids.find('9')?.revision, 9);
});

test('each type takes its own values, any takes all, null where it may be', () => {
  const values: Record<ColumnType, Value> = {
    string: 'x',
    int: 1n,
    float: 1,
    bool: true,
    datetime: new DateTime(0n),
    ip: new IpAddress(4, 1n),
    network: new IpNetwork(4, 0n, 8),
    list: new List([]),
    document: new Document([]),
    json: null,
    any: null,
  };
  const k = { name: 'k', type: 'any' as const };
  for (const type of Object.keys(values) as ColumnType[]) {
    const strict: Column = { name: 'v', type };
    const columns: Column[] = [strict, { ...strict, nullable: true }, { ...strict, key: true }];
    for (const [other, value] of Object.entries(values)) {
      const isOpen = type === 'any' || type === 'json';
      for (const v of columns) {
        const takesNull =
          v.nullable === true || ((type === 'any' || type === 'json') && v.key !== true);
        const fits = value === null ? takesNull : isOpen || other === type;
        const block = rows(['long '.repeat(100), value], [2n ** 40n, value]);
        const misfit = findMisfit({ arity: 2, columns: [k, v] }, block);
        assert.equal(misfit === undefined, fits, `${String(value)} in ${JSON.stringify(v)}`);
        if (misfit !== undefined) assert.equal(misfit.isNull, value === null);
      }
    }
  }
  const shape = { arity: 1, columns: [{ name: 'v', type: 'int' as const }] };
  assert.throws(() => checkRows('s:t', shape, rows([1n], ['x'])), code('invalid_row'));
  assert.throws(() => checkRows('s:t', { arity: 2 }, ints(1)), code('invalid_row'));
  const broken = { arity: 1, count: 1, bytes: new Uint8Array([99]) };
  assert.throws(() => checkRows('s:t', { arity: 1 }, broken), code('invalid_row'));
});

test('the digest of births depends on rows and revisions, not on the order', () => {
  const births = (...list: [row: number, revision: number][]): Births => {
    const made = new Births();
    for (const [row, revision] of list) {
      made.apply({ table: 'execute:a', insert: ints(row), delete: emptyBlock(1) }, revision);
    }
    return made;
  };
  const digest = births([1, 5], [2, 6]).digest();
  assert.equal(births([2, 6], [1, 5]).digest(), digest);
  assert.notEqual(births([1, 6], [2, 5]).digest(), digest);
  assert.notEqual(births([1, 5]).digest(), digest);
  const gone = births([1, 5], [2, 6], [3, 7]);
  gone.apply({ table: 'execute:a', insert: emptyBlock(1), delete: ints(3) }, 9);
  assert.equal(gone.digest(), digest);
  const restored = new Births();
  for (const table of gone.tables()) {
    const rows = gone.rows(table);
    const keys = Buffer.from(rows.map(([key]) => key).join(''), 'latin1');
    let end = 0;
    const ends = rows.map(([key]) => (end += key.length));
    restored.restore(
      table,
      keys,
      ends,
      rows.map(([, revision]) => revision),
    );
  }
  assert.equal(restored.digest(), digest);
  assert.ok(restored.covers('execute:a', ints(1, 2)));
  assert.ok(!restored.covers('execute:a', ints(1, 3)));
  assert.equal(restored.of('execute:a', ints(2)), 6);
  restored.dropTable('execute:a');
  assert.equal(restored.digest(), 0);
});

test('the digest of births is the same in every version', () => {
  const births = new Births();
  const rows = encodeRows(2, [
    [300n, 'grün'],
    [-1n, 'x'.repeat(300)],
    [2n ** 40n, null],
  ]);
  births.apply({ table: 'execute:svc:späte', insert: rows, delete: emptyBlock(2) }, 12_345);
  assert.equal(births.digest(), 2_871_513_464);
  births.apply({ table: 'execute:b', insert: ints(7, 255), delete: emptyBlock(1) }, 1);
  assert.equal(births.digest(), 2_803_576_168);
});

test('keys of births are the bytes of the rows, however many share a string', () => {
  const rows = encodeRows(
    1,
    Array.from({ length: 400 }, (_, index) => ['é'.repeat(index === 200 ? 9_000 : index % 50)]),
  );
  const found = [...keyedRows(rows)];
  assert.equal(found.length, 400);
  for (const { key, from, to } of found) {
    assert.deepEqual(Buffer.from(key, 'latin1'), Buffer.from(rows.bytes.subarray(from, to)));
  }
  assert.equal(found.at(-1)?.to, rows.bytes.length);
});

test('the difference of two blocks keeps the order', () => {
  assert.deepEqual(shown(blockDifference(ints(1, 2, 3, 4), ints(2, 4, 9))), [[1n], [3n]]);
  assert.equal(blockDifference(ints(1), ints(1)).count, 0);
  assert.equal(blockDifference(ints(1), rows([1n, 1n])).count, 1);
});

test('retries are 1, 2, 4 … revisions after the failure', () => {
  const root = { policy: 'p', table: null, code: 'values', message: '', failedAt: 100 };
  assert.deepEqual(
    [0, 1, 2, 3].map((retries) => retryRevision({ ...root, retries })),
    [101, 102, 104, 108],
  );
});
