import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchBuilder, BatchLines, readJsonBatch } from '../../host/api/batch-body.ts';
import { CaucusError } from '../../host/errors.ts';
import type { Batch } from '../../host/replica/replica.ts';
import { jsonOf } from '../../host/api/json-text.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';

function json(text: string): Batch {
  const builder = new BatchBuilder();
  readJsonBatch(Buffer.from(text), builder);
  return builder.finish('inv');
}

function lines(text: string, pieceBytes = 7, lineBytesMax = 1_000): Batch {
  const builder = new BatchBuilder();
  const reader = new BatchLines(builder, lineBytesMax);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes)
    reader.add(bytes.subarray(at, at + pieceBytes));
  reader.end();
  return builder.finish('inv');
}

function shown(batch: Batch): unknown {
  return batch.changes.map(({ table, replace, insert, delete: gone }) => ({
    table,
    replace: replace === true,
    insert:
      insert === undefined ? [] : decodeRows(insert).map((row) => row.map(formatValue).join()),
    delete: gone === undefined ? [] : decodeRows(gone).map((row) => row.map(formatValue).join()),
  }));
}

test('JSON: inserts and deletes, every type as it was sent', () => {
  const batch = json(
    '{"delete":{"a":[[1]]},"insert":{"a":[[9007199254740993],[1.0],["é"],[null],[true]],"b":[]}}',
  );
  assert.deepEqual(shown(batch), [
    {
      table: 'a',
      replace: false,
      insert: ['9007199254740993', '1.0', '"é"', 'null', 'true'],
      delete: ['1'],
    },
    { table: 'b', replace: false, insert: [], delete: [] },
  ]);
  assert.equal(batch.id, undefined);
});

test('JSON: a snapshot replaces, also by nothing', () => {
  assert.deepEqual(shown(json('{"snapshot":{"a":[[1]],"b":[]}}')), [
    { table: 'a', replace: true, insert: ['1'], delete: [] },
    { table: 'b', replace: true, insert: [], delete: [] },
  ]);
});

test('NDJSON: the last operation on a row counts', () => {
  const batch = lines(
    '["+","a",[1]]\n["-","a",[1]]\n["-","a",[2]]\r\n["+","a",[2]]\n\n["+","a",[3]]\n["-","a",[3]]\n["+","a",[3]]',
  );
  assert.deepEqual(shown(batch), [
    { table: 'a', replace: false, insert: ['2', '3'], delete: ['1', '2', '3'] },
  ]);
});

test('NDJSON: random operations end in the state that the operations one by one give', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomFrom(seed);
    const state = new Set([0n, 1n]);
    const wanted = new Set(state);
    const text: string[] = [];
    for (let index = 0; index < random.int(12); index++) {
      const value = BigInt(random.int(4));
      if (random.chance(0.5)) {
        text.push(`["+","a",[${value}]]`);
        wanted.add(value);
      } else {
        text.push(`["-","a",[${value}]]`);
        wanted.delete(value);
      }
    }
    const [change] = lines(`${text.join('\n')}\n`, 1 + random.int(30)).changes;
    for (const [value] of change?.delete === undefined ? [] : decodeRows(change.delete))
      state.delete(value as bigint);
    for (const [value] of change?.insert === undefined ? [] : decodeRows(change.insert))
      state.add(value as bigint);
    assert.deepEqual([...state].sort(), [...wanted].sort(), `seed ${seed}: ${text.join(' ')}`);
  }
});

test('the body digest is one for both forms, and another for other rows', () => {
  const a = json('{"id":"1","insert":{"a":[[1],["x"]]},"delete":{"b":[[2]]}}');
  const b = lines('{"id":"1"}\n["-","b",[2]]\n["+","a",[1]]\n["+","a",["x"]]\n');
  assert.equal(a.id?.bodyDigest, b.id?.bodyDigest);
  for (const other of [
    '{"id":"1","insert":{"a":[[1],["y"]]},"delete":{"b":[[2]]}}',
    '{"id":"1","insert":{"a":[[1],["x"],[2]]}}',
    '{"id":"1","snapshot":{"a":[[1],["x"]]}}',
  ]) {
    assert.notEqual(a.id?.bodyDigest, json(other).id?.bodyDigest);
  }
  assert.notEqual(
    json('{"id":"1","insert":{"a":[[1]]}}').id?.bodyDigest,
    json('{"id":"1","snapshot":{"a":[[1]]}}').id?.bodyDigest,
  );
});

const REFUSED: readonly (readonly [form: 'json' | 'lines', text: string, error: RegExp])[] = [
  ['json', '', /ends where a value|an object/],
  ['json', '[]', /an object/],
  ['json', '{}', /no rows/],
  ['json', '{"inserts":{}}', /no member `inserts`/],
  ['json', '{"insert":{},"snapshot":{}}', /not both/],
  ['json', '{"insert":{"a":[[1],[1,2]]}}', /table `a`, insert: row 1/],
  ['json', '{"insert":{"a":[[1],[1e999]]}}', /line 1/],
  ['json', '{"insert":{"a":[[9223372036854775808]]}}', /does not fit 64 bits/],
  ['json', '{"insert":{"a":[["\\ud800"]]}}', /surrogate/],
  ['json', '{"insert":{"a":[1]}}', /a row is an array/],
  ['json', '{"insert":{"":[]}}', /a name of 1 to/],
  ['json', '{"id":"","insert":{}}', /an id has/],
  ['json', '{"id":1,"insert":{}}', /a string/],
  ['json', '{"insert":{}} x', /end of the text/],
  ['json', '{"insert":{"a":[[NaN]]}}', /column 0/],
  ['lines', '1', /a line is an array/],
  ['lines', '["+","a",[1]]\n{"id":"late"}', /a line is an array, line 2/],
  ['lines', '{"uid":"x"}', /no member `uid`/],
  ['lines', '["*","a",[1]]', /neither/],
  ['lines', '["+","a"]', /three items/],
  ['lines', '["+","a",[1],2]', /three items/],
  ['lines', '["+","a",1]', /a row is an array/],
  ['lines', '["+","a",[1]]\n["+","a",[1,2]]', /line 2/],
  ['lines', '{"snapshot":["a"]}\n["+","b",[1]]', /not in the snapshot/],
  ['lines', '{"snapshot":["a"]}\n["-","a",[1]]', /no deletes/],
  ['lines', `["+","a",["${'x'.repeat(2_000)}"]]`, /line 1 is longer/],
  ['lines', '["+","a",[1]', /line 1/],
];

for (const [form, text, pattern] of REFUSED) {
  test(`refused with place and remedy: ${form} ${text.slice(0, 50)}`, () => {
    assert.throws(
      () => (form === 'json' ? json(text) : lines(text)),
      (error) => {
        assert.ok(error instanceof CaucusError, String(error));
        assert.match(error.message, pattern);
        assert.notEqual(error.remedy, undefined);
        assert.ok(typeof error.details['line'] === 'number', jsonOf(error.details));
        return true;
      },
    );
  });
}
