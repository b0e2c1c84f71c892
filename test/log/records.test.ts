import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { RECORD_BYTES_MAX } from '../../host/limits.ts';
import { encodePushBatch, encodeSourceBatch, joinChanges } from '../../host/log/batch-parts.ts';
import { crc32c } from '../../host/log/crc32c.ts';
import { NO_HASH, policyHash } from '../../host/log/policy-hash.ts';
import {
  decodeRecord,
  encodeRecord,
  RECORD_KINDS,
  recordChecksum,
} from '../../host/log/records.ts';
import type { CaucusRecord, PushRecord, RecordChange } from '../../host/log/records.ts';
import { decodeRows, emptyBlock, encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';

interface RecordVector {
  readonly name: string;
  readonly record: CaucusRecord;
  readonly hex: string;
}

/** Row blocks stand in the file with their bytes in hex. */
function readVectors(): RecordVector[] {
  const text = readFileSync('test/log/record-vectors.json', 'utf8');
  return JSON.parse(text, (name, value: unknown) =>
    name === 'bytes' && typeof value === 'string'
      ? new Uint8Array(Buffer.from(value, 'hex'))
      : value,
  ) as RecordVector[];
}

function plainBytes(record: CaucusRecord): unknown {
  return JSON.parse(
    JSON.stringify(record, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ),
  );
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CaucusError, String(error));
    assert.ok(error.remedy);
    return error.code;
  }
  return 'none';
}

/** Makes the checksum right again after a change of the other bytes. */
function resealed(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes, crc32c(bytes, 0, 0, 12), 16);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(12, crc, true);
  return bytes;
}

const vectors = readVectors();

test('every kind has a vector, and each is read and written byte for byte', () => {
  const kinds = new Set(vectors.map(({ record }) => record.kind));
  assert.deepEqual([...kinds].sort(), Object.keys(RECORD_KINDS).sort());
  for (const { name, record, hex } of vectors) {
    assert.equal(Buffer.from(encodeRecord(record)).toString('hex'), hex, name);
    const decoded = decodeRecord(new Uint8Array(Buffer.from(hex, 'hex')));
    assert.deepEqual(plainBytes(decoded), plainBytes(record), name);
  }
});

test('one flipped bit anywhere is noticed', () => {
  for (const { name, hex } of vectors) {
    const bytes = Buffer.from(hex, 'hex');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.notEqual(
        codeOf(() => decodeRecord(flipped)),
        'none',
        `${name}, bit ${bit}`,
      );
    }
  }
});

test('control: without the checksum flipped bits do pass', () => {
  let passed = 0;
  for (const { hex } of vectors) {
    const bytes = Buffer.from(hex, 'hex');
    for (let bit = 16 * 8; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      if (codeOf(() => decodeRecord(resealed(flipped))) === 'none') passed++;
    }
  }
  assert.ok(passed > 100);
});

test('cut, prolonged and random bytes are refused, whatever their checksum', () => {
  const seed = 501;
  const random = randomFrom(seed);
  for (const { name, hex } of vectors) {
    const bytes = Buffer.from(hex, 'hex');
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(
        codeOf(() => decodeRecord(bytes.subarray(0, length))),
        'log_damaged',
        `${name}, ${length}`,
      );
    }
    assert.equal(
      codeOf(() => decodeRecord(Buffer.concat([bytes, Buffer.of(0)]))),
      'log_damaged',
      name,
    );
  }
  for (let round = 0; round < 20_000; round++) {
    const { hex } = random.pick(vectors);
    const bytes = Uint8Array.from(Buffer.from(hex, 'hex'));
    for (let change = 0; change < 3; change++)
      bytes[16 + random.int(bytes.length - 16)] = random.int(256);
    // What decodes must be a record in its own right: it encodes to the same bytes.
    try {
      const record = decodeRecord(resealed(bytes));
      assert.deepEqual(encodeRecord(record), bytes, `seed ${seed}, round ${round}`);
    } catch (error) {
      assert.ok(error instanceof CaucusError, `seed ${seed}, round ${round}: ${String(error)}`);
    }
    assert.equal(
      codeOf(() => decodeRecord(random.bytes(random.int(64)))),
      'log_damaged',
    );
  }
});

test('a version or kind that is not known is never skipped', () => {
  const bytes = encodeRecord({ kind: 'heartbeat', generation: 1, owner: 'o', sequence: 1 });
  const altered = (at: number, value: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy[at] = value;
    return resealed(copy);
  };
  assert.equal(
    codeOf(() => decodeRecord(altered(4, 2))),
    'unsupported_record',
  );
  assert.equal(
    codeOf(() => decodeRecord(altered(5, 99))),
    'unsupported_record',
  );
  assert.equal(
    codeOf(() => decodeRecord(altered(6, 1))),
    'unsupported_record',
  );
  assert.equal(
    codeOf(() => decodeRecord(altered(0, 0))),
    'log_damaged',
  );
});

test('records above the limit are refused before the log', () => {
  const insert = encodeRows(1, [['x'.repeat(RECORD_BYTES_MAX)]]);
  const batch = { owner: 'o', batch: 1, batchId: null, bodyDigest: null, snapshot: false };
  assert.equal(
    codeOf(() => encodePushBatch({ ...batch, changes: [{ table: 't', insert }] })),
    'too_large',
  );
});

test('a big batch is split over records and joined again', () => {
  const rows = Array.from({ length: 5000 }, (_, i): Row => [BigInt(i), `row ${i}`]);
  const changes: RecordChange[] = [
    { table: 'a', insert: encodeRows(1, [[1n]]) },
    {
      table: 'big',
      replace: true,
      delete: encodeRows(2, rows.slice(0, 2000)),
      insert: encodeRows(2, rows),
    },
    { table: 'b', delete: encodeRows(1, [[2n]]), insert: emptyBlock(1) },
    { table: 'gone', replace: true },
  ];
  const head = { owner: 'o', batch: 3, batchId: 'id', bodyDigest: 'd', snapshot: true };
  const encoded = encodePushBatch({ ...head, changes }, 4096);
  assert.ok(encoded.length > 20);
  assert.ok(encoded.every((bytes) => bytes.length <= 4096 + 512));
  const records = encoded.map((bytes) => decodeRecord(bytes) as PushRecord);
  records.forEach((record, part) => {
    const { kind, owner, batch, batchId, bodyDigest, snapshot } = record;
    assert.deepEqual(
      { kind, owner, batch, batchId, bodyDigest, snapshot },
      { kind: 'push', ...head },
    );
    assert.equal(record.part, part);
    assert.equal(record.lastOfBatch, part === records.length - 1);
  });
  const joined = joinChanges(records.flatMap((record) => record.changes));
  assert.deepEqual(
    joined.map((change) => change.table),
    ['a', 'big', 'b', 'gone'],
  );
  const big = joined[1] as RecordChange;
  assert.equal(big.replace, true);
  assert.deepEqual(decodeRows(big.delete ?? emptyBlock(2)), rows.slice(0, 2000));
  assert.deepEqual(decodeRows(big.insert ?? emptyBlock(2)), rows);
  assert.deepEqual(joined[2], { table: 'b', delete: encodeRows(1, [[2n]]) });
});

test('an empty batch is one record, and sequence numbers count the records', () => {
  const source = { kind: 'snapshot', generation: 1, owner: 'o', sequence: 7, batch: 2 } as const;
  const empty = encodeSourceBatch({ ...source, changes: [] }).map(decodeRecord);
  assert.deepEqual(empty, [{ ...source, lastOfBatch: true, changes: [] }]);
  const rows = Array.from({ length: 100 }, (_, i): Row => [BigInt(i)]);
  const parts = encodeSourceBatch(
    { ...source, changes: [{ table: 't', insert: encodeRows(1, rows) }] },
    200,
  );
  const sequences = parts.map((bytes) => (decodeRecord(bytes) as { sequence: number }).sequence);
  assert.deepEqual(
    sequences,
    parts.map((_, index) => 7 + index),
  );
});

test('joining keeps the order of inserts and later deletes of one table', () => {
  const one = encodeRows(1, [[1n]]);
  const joined = joinChanges([
    { table: 't', insert: one },
    { table: 't', delete: one },
    { table: 't', insert: one },
  ]);
  assert.deepEqual(joined, [
    { table: 't', insert: one },
    { table: 't', delete: one, insert: one },
  ]);
  assert.throws(
    () =>
      joinChanges([
        { table: 't', insert: one },
        { table: 't', insert: encodeRows(2, [[1n, 1n]]) },
      ]),
    /several arities/,
  );
});

test('the policy hash covers every field of a record', () => {
  const record = {
    version: 1,
    previousHash: NO_HASH,
    op: 'put',
    changes: [{ name: 'p', text: 'q(1)' }],
  } as const;
  const hashes = [
    policyHash(record),
    policyHash({ ...record, version: 2 }),
    policyHash({ ...record, previousHash: '1'.repeat(64) }),
    policyHash({ ...record, op: 'delete' }),
    policyHash({ ...record, changes: [{ name: 'p', text: null }] }),
    policyHash({ ...record, changes: [{ name: 'p', text: 'q(2)' }] }),
    policyHash({ ...record, changes: [...record.changes, ...record.changes] }),
  ];
  assert.equal(new Set(hashes).size, hashes.length);
  assert.equal(hashes[0], policyHash({ ...record }));
});

test('recordChecksum is the stored checksum', () => {
  const bytes = encodeRecord({ kind: 'genesis', logId: 'l', format: 1, semantics: 1 });
  assert.equal(
    recordChecksum(bytes),
    new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true),
  );
});
