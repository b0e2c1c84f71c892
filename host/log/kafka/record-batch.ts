/**
 * Kafka's record batches, format 2: what a topic's segments hold and what produce and fetch carry.
 *
 *    0  base offset     i64      27  base timestamp   i64
 *    8  length          i32      35  max timestamp    i64
 *   12  leader epoch    i32      43  producer id      i64
 *   16  magic           i8, 2    51  producer epoch   i16
 *   17  checksum        u32      53  base sequence    i32
 *   21  attributes      i16      57  record count     i32
 *   23  last offset     i32      61  records
 *
 * The length counts from byte 12, the checksum (CRC-32C) from byte 21. Attributes: bits 0 to 2
 * codec, 3 the broker's append time, 4 of a transaction, 5 control. The header says which offsets a
 * batch covers even where its records are gone (compaction, a transaction's marker): a reader that
 * goes by the records stands still there for ever.
 */
import { gunzipSync } from 'node:zlib';
import { CaucusError } from '../../errors.ts';
import { KAFKA_INFLATED_BYTES_MAX } from '../../limits.ts';
import { crc32c } from '../crc32c.ts';
import type { LogRecord } from '../log.ts';
import { BrokenWire, varintBytes, WireReader, writeVarint } from './wire.ts';

export const BATCH_HEADER_BYTES = 61;
/** Around a record's bytes in a batch: at most five lengths and numbers. */
export const RECORD_FRAME_BYTES_MAX = 24;

const MAGIC = 2;
const LENGTH_FROM = 12;
const CHECKSUM_FROM = 21;
const CODEC_BITS = 7;
const APPEND_TIME_BIT = 8;
const TRANSACTION_BIT = 16;
const CONTROL_BIT = 32;
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const GZIP = 1;
const CONTROL_ABORT = 0;

/** Who appends, so that the broker drops what comes a second time. */
export interface Sequence {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly base: number;
}

export function batchBytes(records: readonly Uint8Array[]): number {
  let bytes = BATCH_HEADER_BYTES;
  records.forEach((record, index) => {
    const body = recordBodyBytes(record, index);
    bytes += varintBytes(body) + body;
  });
  return bytes;
}

/** Without key and headers: attributes, time, offset, no key, value, no headers. */
function recordBodyBytes(record: Uint8Array, index: number): number {
  return 1 + 1 + varintBytes(index) + 1 + varintBytes(record.length) + record.length + 1;
}

/** Writes one batch of `batchBytes(records)` bytes. The broker gives offsets, epoch and time. */
export function writeBatch(
  target: Buffer,
  start: number,
  records: readonly Uint8Array[],
  sequence: Sequence,
  timeMs: number,
): number {
  let at = start + BATCH_HEADER_BYTES;
  records.forEach((record, index) => {
    at = writeVarint(target, at, recordBodyBytes(record, index));
    target[at++] = 0;
    target[at++] = 0;
    at = writeVarint(target, at, index);
    target[at++] = 1;
    at = writeVarint(target, at, record.length);
    target.set(record, at);
    at += record.length;
    target[at++] = 0;
  });
  target.writeBigInt64BE(0n, start);
  target.writeInt32BE(at - start - LENGTH_FROM, start + 8);
  target.writeInt32BE(-1, start + 12);
  target.writeInt8(MAGIC, start + 16);
  target.writeInt16BE(0, start + 21);
  target.writeInt32BE(records.length - 1, start + 23);
  target.writeBigInt64BE(BigInt(timeMs), start + 27);
  target.writeBigInt64BE(BigInt(timeMs), start + 35);
  target.writeBigInt64BE(BigInt(sequence.producerId), start + 43);
  target.writeInt16BE(sequence.producerEpoch, start + 51);
  target.writeInt32BE(sequence.base, start + 53);
  target.writeInt32BE(records.length, start + 57);
  target.writeUInt32BE(crc32c(target, 0, start + CHECKSUM_FROM, at), start + 17);
  return at;
}

/** A transaction that was given up: its records from `firstOffset` on do not count. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface DecodedRecords {
  /** From the wanted offset on. Their bytes are views. */
  readonly records: readonly LogRecord[];
  /** Behind the last whole batch, whatever it holds; the wanted offset if there is none. */
  readonly next: number;
  /** Of the last whole batch, and the lowest step down that was seen; −1 if there is none. */
  readonly leaderEpoch: number;
  readonly isEpochLower: boolean;
}

/**
 * The records that count, of the batches in `bytes`; a batch that is cut off at the end is left.
 * Throws `log_damaged` for a wrong checksum and what is no batch, `log_misconfigured` for codecs
 * other than gzip.
 */
export function decodeRecords(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[] = [],
  epochBefore = -1,
): DecodedRecords {
  const records: LogRecord[] = [];
  const waiting = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const givenUp = new Set<number>();
  let next = from;
  let leaderEpoch = epochBefore;
  let isEpochLower = false;
  for (let at = 0; at + BATCH_HEADER_BYTES <= bytes.length;) {
    // A length that fits first: the rest of a batch that is cut off says nothing.
    const length = bytes.readInt32BE(at + 8);
    if (at + LENGTH_FROM + length > bytes.length) break;
    const batch = whole(bytes, at, () => {
      const read = readBatch(bytes, at);
      while ((waiting[0]?.firstOffset ?? Infinity) <= read.lastOffset) {
        givenUp.add((waiting.shift() as AbortedTransaction).producerId);
      }
      if (read.isControl) {
        if (isAbort(bytes, at, read)) givenUp.delete(read.producerId);
      } else if (read.lastOffset >= from && !(read.isTransaction && givenUp.has(read.producerId))) {
        readRecords(bytes, at, read, from, records);
      }
      return read;
    });
    if (batch.leaderEpoch < leaderEpoch) isEpochLower = true;
    leaderEpoch = batch.leaderEpoch;
    next = Math.max(next, batch.lastOffset + 1);
    at += batch.bytes;
  }
  return { records, next, leaderEpoch, isEpochLower };
}

interface Batch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly bytes: number;
  readonly leaderEpoch: number;
  readonly codec: number;
  readonly isTransaction: boolean;
  readonly isControl: boolean;
  /** Of all records; null: each has its own. */
  readonly appendTimeMs: number | null;
  readonly baseTimeMs: number;
  readonly producerId: number;
  readonly count: number;
}

/** Names the batch where its bytes break off. */
function whole<T>(bytes: Buffer, at: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BrokenWire)) throw error;
    throw damaged(`the batch at offset ${bytes.readBigInt64BE(at)} is broken: ${error.message}`);
  }
}

/** The header, once the checksum has proven it. */
function readBatch(bytes: Buffer, at: number): Batch {
  const header = new WireReader(bytes, at);
  const baseOffset = header.i64();
  const length = header.i32();
  const leaderEpoch = header.i32();
  const magic = header.i8();
  if (magic !== MAGIC) throw new BrokenWire(`format ${magic}, not ${MAGIC}`);
  if (length < BATCH_HEADER_BYTES - LENGTH_FROM) throw new BrokenWire(`a length of ${length}`);
  const checksum = header.u32();
  const end = at + LENGTH_FROM + length;
  if (crc32c(bytes, 0, at + CHECKSUM_FROM, end) !== checksum) throw new BrokenWire('the checksum');
  const attributes = header.i16();
  const lastOffset = baseOffset + header.i32();
  if (lastOffset < baseOffset) throw new BrokenWire('its last offset');
  const baseTimeMs = header.i64();
  const maxTimeMs = header.i64();
  const producerId = header.i64();
  header.i16();
  header.i32();
  return {
    baseOffset,
    lastOffset,
    bytes: LENGTH_FROM + length,
    leaderEpoch,
    codec: attributes & CODEC_BITS,
    isTransaction: (attributes & TRANSACTION_BIT) !== 0,
    isControl: (attributes & CONTROL_BIT) !== 0,
    appendTimeMs: (attributes & APPEND_TIME_BIT) === 0 ? null : maxTimeMs,
    baseTimeMs,
    producerId,
    count: header.i32(),
  };
}

function readRecords(
  bytes: Buffer,
  at: number,
  batch: Batch,
  from: number,
  records: LogRecord[],
): void {
  const reader = recordsOf(bytes, at, batch);
  for (let index = 0; index < batch.count; index++) {
    const length = reader.varint();
    const end = reader.at + length;
    reader.i8();
    const timeDeltaMs = reader.varint();
    const offset = batch.baseOffset + reader.varint();
    const keyBytes = reader.varint();
    if (keyBytes > 0) reader.raw(keyBytes);
    const valueBytes = reader.varint();
    const value = valueBytes > 0 ? reader.raw(valueBytes) : NO_BYTES;
    if (end > reader.end || end < reader.at) throw new BrokenWire('the length of a record');
    // Headers are passed over.
    reader.at = end;
    if (offset < from) continue;
    const appendTimeMs = batch.appendTimeMs ?? batch.baseTimeMs + timeDeltaMs;
    records.push({ offset, bytes: value, appendTimeMs });
  }
}

const NO_BYTES = new Uint8Array(0);

function recordsOf(bytes: Buffer, at: number, batch: Batch): WireReader {
  const packed = bytes.subarray(at + BATCH_HEADER_BYTES, at + batch.bytes);
  if (batch.codec === 0) return new WireReader(packed);
  if (batch.codec !== GZIP) {
    const codec = CODECS[batch.codec] ?? `codec ${batch.codec}`;
    throw new CaucusError(
      'log_misconfigured',
      `the records at offset ${batch.baseOffset} are compressed with \`${codec}\``,
      { remedy: 'set `compression.type` of the topic to `producer`; only Caucus may write to it' },
    );
  }
  try {
    return new WireReader(gunzipSync(packed, { maxOutputLength: KAFKA_INFLATED_BYTES_MAX }));
  } catch {
    throw new BrokenWire('the gzip stream');
  }
}

/** What a control batch says: version, then type. */
function isAbort(bytes: Buffer, at: number, batch: Batch): boolean {
  const reader = recordsOf(bytes, at, batch);
  reader.varint();
  reader.i8();
  reader.varint();
  reader.varint();
  if (batch.count === 0 || reader.varint() < 4) throw new BrokenWire('a control record');
  reader.i16();
  return reader.i16() === CONTROL_ABORT;
}

function damaged(what: string): CaucusError {
  return new CaucusError('log_damaged', what, {
    remedy: 'check the disks of the brokers; another replica of the partition may be whole',
  });
}
