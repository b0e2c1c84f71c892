/**
 * Record batches as bytes: what we write, the reference decoder of kafkajs reads, and the other way
 * round; and the batches over which a reader stumbles that goes by the records alone.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { crc32c } from '../../host/log/crc32c.ts';
import { batchBytes, decodeRecords, writeBatch } from '../../host/log/kafka/record-batch.ts';
import type { AbortedTransaction } from '../../host/log/kafka/record-batch.ts';
import { WireReader, WireWriter } from '../../host/log/kafka/wire.ts';
import { bytesOf, textsOf } from '../suites/log-suite.ts';
import { randomFrom } from '../support/random.ts';

const load = createRequire(import.meta.url);
const StockDecoder = load('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => unknown;
/** Takes what follows the length of a partition's records, as the stock consumer does. */
const decodeStock = load('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (
  decoder: unknown,
) => Promise<{ offset: string; value: Buffer }[]>;
const { RecordBatch } = load('kafkajs/src/protocol/recordBatch/v0/index.js') as {
  RecordBatch: (options: object) => Promise<{ buffer: Buffer }>;
};
const StockRecord = load('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (
  options: object,
) => object;

const IDENTITY = { producerId: -1, producerEpoch: -1, base: -1 };
const APPEND_TIME = 8;
const TRANSACTION = 16;
const CONTROL = 32;

interface Crafted {
  readonly base: number;
  readonly texts?: readonly string[];
  /** Where it differs from the number of records. */
  readonly lastDelta?: number;
  readonly attributes?: number;
  readonly producerId?: number;
  readonly epoch?: number;
  /** Instead of records. */
  readonly body?: Buffer;
  readonly count?: number;
}

/** A batch as a broker would hold it. */
function craft(batch: Crafted): Buffer {
  const { base, texts = [], attributes = 0, producerId = -1, epoch = 0 } = batch;
  const records = texts.map(bytesOf);
  const plain = Buffer.alloc(batchBytes(records));
  writeBatch(plain, 0, records, { ...IDENTITY, producerId }, 1000);
  const bytes = Buffer.concat([plain.subarray(0, 61), batch.body ?? plain.subarray(61)]);
  bytes.writeBigInt64BE(BigInt(base), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt32BE(epoch, 12);
  bytes.writeInt16BE(attributes | APPEND_TIME, 21);
  bytes.writeInt32BE(batch.lastDelta ?? texts.length - 1, 23);
  bytes.writeBigInt64BE(2000n, 35);
  bytes.writeInt32BE(batch.count ?? texts.length, 57);
  bytes.writeUInt32BE(crc32c(bytes, 0, 21), 17);
  return bytes;
}

/** The end of a transaction: 0 gives it up, 1 commits it. */
function marker(base: number, producerId: number, type: 0 | 1): Buffer {
  // Length, attributes, time, offset, key of 4 bytes (version, type), no value, no headers.
  const body = Buffer.from([20, 0, 0, 0, 8, 0, 0, 0, type, 1, 0]);
  const attributes = TRANSACTION | CONTROL;
  return craft({ base, body, count: 1, lastDelta: 0, attributes, producerId });
}

async function stock(bytes: Buffer): Promise<{ offset: string; value: Buffer }[]> {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return await decodeStock(new StockDecoder(Buffer.concat([length, bytes])));
}

function decode(
  bytes: Buffer,
  from = 0,
  aborted: readonly AbortedTransaction[] = [],
): { texts: string[]; offsets: number[]; next: number } {
  const { records, next } = decodeRecords(bytes, from, aborted);
  return { texts: textsOf(records), offsets: records.map(({ offset }) => offset), next };
}

test('what is written reads the same here and in the stock decoder', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = randomFrom(seed);
    const records = Array.from({ length: 1 + random.int(300) }, () =>
      random.bytes(random.chance(0.1) ? random.int(20_000) : random.int(70)),
    );
    const bytes = Buffer.alloc(batchBytes(records));
    const identity = { producerId: 2 ** 40 + seed, producerEpoch: 7, base: 123 };
    assert.equal(writeBatch(bytes, 0, records, identity, 1_700_000_000_000), bytes.length);
    const { records: ours, next } = decodeRecords(bytes, 0);
    const theirs = await stock(bytes);
    assert.equal(next, records.length, `seed ${seed}`);
    assert.equal(theirs.length, records.length, `seed ${seed}`);
    records.forEach((record, index) => {
      assert.equal(Buffer.compare(record, ours[index]?.bytes ?? bytes), 0, `seed ${seed}`);
      assert.equal(Buffer.compare(record, theirs[index]?.value ?? bytes), 0, `seed ${seed}`);
      assert.equal(ours[index]?.appendTimeMs, 1_700_000_000_000);
    });
  }
});

test('what kafkajs writes is read, with keys, headers, times and gzip', async () => {
  const options = (offsetDelta: number): object => ({
    offsetDelta,
    timestampDelta: offsetDelta * 300,
    key: Buffer.from('a key'),
    value: Buffer.from(`value ${offsetDelta}`),
    headers: { one: 'a', two: ['b', 'c'] },
  });
  for (const compression of [0, 1]) {
    const { buffer } = await RecordBatch({
      compression,
      records: [0, 1, 2].map((delta) => StockRecord(options(delta))),
      firstTimestamp: 5000,
      maxTimestamp: 5600,
      lastOffsetDelta: 2,
    });
    const { records, next } = decodeRecords(buffer, 0);
    assert.deepEqual(textsOf(records), ['value 0', 'value 1', 'value 2']);
    assert.deepEqual(
      records.map(({ appendTimeMs }) => appendTimeMs),
      [5000, 5300, 5600],
    );
    assert.equal(next, 3);
  }
});

test('a batch without records moves the reader on; going by the records would not', async () => {
  const bytes = Buffer.concat([
    craft({ base: 10, texts: ['a', 'b'] }),
    craft({ base: 12, lastDelta: 7 }),
  ]);
  assert.deepEqual(decode(bytes, 10), { texts: ['a', 'b'], offsets: [10, 11], next: 20 });
  const only = craft({ base: 12, lastDelta: 7 });
  assert.deepEqual(decode(only, 12), { texts: [], offsets: [], next: 20 });
  assert.deepEqual(await stock(only), []);
});

test('the last offset of a batch counts, not that of its last record', async () => {
  const bytes = craft({ base: 30, texts: ['a'], lastDelta: 9 });
  assert.deepEqual(decode(bytes, 30), { texts: ['a'], offsets: [30], next: 40 });
  assert.equal((await stock(bytes)).at(-1)?.offset, '30');
});

test('records below the wanted offset are left out', () => {
  const bytes = craft({ base: 5, texts: ['5', '6', '7'] });
  assert.deepEqual(decode(bytes, 7), { texts: ['7'], offsets: [7], next: 8 });
  assert.deepEqual(decode(bytes, 9), { texts: [], offsets: [], next: 9 });
});

test('markers are passed over, and what was given up does not count', () => {
  const bytes = Buffer.concat([
    craft({ base: 0, texts: ['given up 0', 'given up 1'], attributes: TRANSACTION, producerId: 8 }),
    craft({ base: 2, texts: ['other'], attributes: TRANSACTION, producerId: 9 }),
    craft({ base: 3, texts: ['plain'], producerId: 8 }),
    marker(4, 8, 0),
    craft({ base: 5, texts: ['again'], attributes: TRANSACTION, producerId: 8 }),
    marker(6, 8, 1),
    marker(7, 9, 1),
  ]);
  const aborted = [{ producerId: 8, firstOffset: 0 }];
  assert.deepEqual(decode(bytes, 0, aborted), {
    texts: ['other', 'plain', 'again'],
    offsets: [2, 3, 5],
    next: 8,
  });
  // The broker's list is what makes the difference.
  assert.equal(decode(bytes, 0).texts.length, 5);
  assert.deepEqual(decode(bytes, 3, aborted).texts, ['plain', 'again']);
});

test('a batch that is cut off at the end is left for the next fetch', () => {
  const first = craft({ base: 0, texts: ['a', 'b'] });
  const bytes = Buffer.concat([first, craft({ base: 2, texts: ['c'] })]);
  for (let length = 0; length <= bytes.length; length++) {
    const { texts, next } = decode(bytes.subarray(0, length));
    const whole = length === bytes.length ? 3 : length >= first.length ? 2 : 0;
    assert.equal(texts.length, whole, `${length} bytes`);
    assert.equal(next, whole);
  }
});

test('a changed bit behind the leader epoch is found', () => {
  const bytes = craft({ base: 0, texts: ['some text', 'more'] });
  assert.equal(decode(bytes).texts.length, 2);
  for (let at = 16; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ (1 << (at % 8));
    assert.throws(() => decode(changed), { code: 'log_damaged' }, `byte ${at}`);
  }
});

test('an older leader epoch behind a newer one is told', () => {
  const newer = craft({ base: 0, texts: ['a'], epoch: 3 });
  const older = craft({ base: 1, texts: ['b'], epoch: 2 });
  assert.deepEqual(epochs(Buffer.concat([newer, older])), [2, true]);
  assert.deepEqual(epochs(older, 3), [2, true]);
  assert.deepEqual(epochs(Buffer.concat([older, newer]), 2), [3, false]);
  assert.deepEqual(epochs(Buffer.alloc(0), 3), [3, false]);

  function epochs(bytes: Buffer, before = -1): [number, boolean] {
    const { leaderEpoch, isEpochLower } = decodeRecords(bytes, 0, [], before);
    return [leaderEpoch, isEpochLower];
  }
});

test('gzip is read; a bomb and other codecs are refused with what to do', () => {
  const texts = ['one', 'two', 'three'];
  const plain = craft({ base: 4, texts }).subarray(61);
  const packed = { base: 4, body: gzipSync(plain), count: 3, lastDelta: 2 };
  assert.deepEqual(decode(craft({ ...packed, attributes: 1 })).texts, texts);
  const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024));
  assert.throws(() => decode(craft({ ...packed, attributes: 1, body: bomb })), {
    code: 'log_damaged',
  });
  for (const [codec, name] of [
    [2, 'snappy'],
    [3, 'lz4'],
    [4, 'zstd'],
  ] as const) {
    assert.throws(() => decode(craft({ ...packed, attributes: codec })), {
      code: 'log_misconfigured',
      message: new RegExp(`offset 4 .*\`${name}\``),
    });
  }
});

test('records with lengths that lie are damage, not a loop', () => {
  const body = craft({ base: 0, texts: ['abc'] }).subarray(61);
  for (let at = 0; at < body.length; at++) {
    for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(body);
      changed[at] = byte;
      for (const count of [1, 2, 2 ** 31 - 1]) {
        const bytes = craft({ base: 0, body: changed, count, lastDelta: 0 });
        try {
          assert.ok(decodeRecords(bytes, 0).records.length <= 1, `byte ${at} = ${byte}`);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'log_damaged', `byte ${at} = ${byte}`);
        }
      }
    }
  }
});

test('fields of the protocol come back as they were written', () => {
  const numbers = [0, 1, 63, 64, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 35];
  const writer = new WireWriter();
  for (const number of numbers) writer.uvarint(number).i64(number).i64(-number);
  writer.string('é').string(null).compactString('x'.repeat(300)).compactString(null);
  writer
    .topicId('00ff'.repeat(8))
    .compactArray(['a', 'b'], (text) => writer.string(text))
    .tags();
  const reader = new WireReader(writer.finish());
  for (const number of numbers) {
    assert.deepEqual(
      [reader.uvarint(), reader.i64(), reader.i64() + 0],
      [number, number, -number + 0],
    );
  }
  assert.deepEqual([reader.string(), reader.string()], ['é', null]);
  assert.deepEqual([reader.compactString(), reader.compactString()], ['x'.repeat(300), null]);
  assert.equal(reader.topicId(), '00ff'.repeat(8));
  assert.deepEqual(
    reader.compactArray(() => reader.string()),
    ['a', 'b'],
  );
  reader.tags();
  assert.equal(reader.left, 0);
  assert.throws(() => reader.i8(), { name: 'BrokenWire' });
});
