/**
 * What the topics hold. `docs/LOG.md` draws every byte; `test/log/record-vectors.json` pins them.
 *
 * A record is an envelope and a payload:
 *
 *   0   magic      4 bytes, "CAUC"
 *   4   version    u8, 1
 *   5   kind       u8, see RECORD_KINDS
 *   6   reserved   u16, 0
 *   8   length     u32, of the payload
 *   12  checksum   u32, CRC-32C over bytes 0 to 11 and the payload
 *   16  payload
 *
 * A reader never skips: a version or kind that it does not know is `unsupported_record`, anything
 * else that does not fit is `log_damaged`.
 */
import { CaucusError } from '../errors.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import type { RowBlock } from '../value/row-block.ts';
import { BrokenBytes, ByteReader, ByteWriter } from './bytes.ts';
import { crc32c } from './crc32c.ts';
import { payloadCapacity, readPayload, writePayload } from './record-payloads.ts';

/**
 * Rows of one table. `replace` first empties it; deletes go before inserts. Table names are bare.
 */
export interface RecordChange {
  readonly table: string;
  readonly replace?: boolean;
  readonly delete?: RowBlock;
  readonly insert?: RowBlock;
}

/** A datasource node begins to write. The first `open` of a generation in the log wins. */
export interface OpenRecord {
  readonly kind: 'open';
  readonly generation: number;
  /** Random per start of the writer. */
  readonly owner: string;
  readonly source: string;
  readonly incarnation: number;
}

interface SourcePart {
  readonly generation: number;
  readonly owner: string;
  /** Counts the writer's records after its `open`, from 1, without gaps. */
  readonly sequence: number;
  /** Counts its batches, from 1. */
  readonly batch: number;
  readonly lastOfBatch: boolean;
  readonly changes: readonly RecordChange[];
}

/**
 * A part of a snapshot: with its last part, the tables of the source are those of the snapshot and
 * no others.
 */
export interface SnapshotRecord extends SourcePart {
  readonly kind: 'snapshot';
}

/** A part of a batch of changes. */
export interface DeltaRecord extends SourcePart {
  readonly kind: 'delta';
}

/** The writer lives, and the rows of all tables are those of the outside. */
export interface HeartbeatRecord {
  readonly kind: 'heartbeat';
  readonly generation: number;
  readonly owner: string;
  readonly sequence: number;
}

/** The writer lives and cannot read the outside, or not all of it: the rows are the last good. */
export interface StaleRecord {
  readonly kind: 'stale';
  readonly generation: number;
  readonly owner: string;
  readonly sequence: number;
  /** In the words of error texts. */
  readonly reason: string;
}

/**
 * A replica cannot use what this generation wrote from some record on: a batch does not fit, or one
 * is missing. Its writer is to tell all rows anew. Anyone may write it; it has no sequence number.
 */
export interface RefusedRecord {
  readonly kind: 'refused';
  readonly generation: number;
  /** In the words of error texts. */
  readonly reason: string;
}

/** What a source with one writer at a time is made of. */
export type FencedRecord =
  | OpenRecord
  | SnapshotRecord
  | DeltaRecord
  | HeartbeatRecord
  | StaleRecord
  | RefusedRecord;

/**
 * A part of a batch of a push source. Its writers share the topic, so parts of several batches may
 * alternate.
 */
export interface PushRecord {
  readonly kind: 'push';
  /** Random per start of the writer; with `batch` it names the batch that the part belongs to. */
  readonly owner: string;
  readonly batch: number;
  /** From 0, without gaps. */
  readonly part: number;
  readonly lastOfBatch: boolean;
  /** The client's idempotency key and the digest of the body that it came with; in every part. */
  readonly batchId: string | null;
  readonly bodyDigest: string | null;
  /** Whether the batch is a snapshot: tables that it does not name become empty. */
  readonly snapshot: boolean;
  readonly changes: readonly RecordChange[];
}

/** `semantics`: raises the level of meaning; the text of its one change is the level. */
export type PolicyOp = 'put' | 'delete' | 'source' | 'semantics';

export interface PolicyChange {
  readonly name: string;
  /** null deletes. */
  readonly text: string | null;
}

/** One accepted proposal of the policy database; accepted here only if it continues the chain. */
export interface PolicyRecord {
  readonly kind: 'policy';
  /** From 1. */
  readonly version: number;
  /**
   * SHA-256 in hex: of the record before (64 zeros for the first one), and of this one; see
   * policy-hash.ts.
   */
  readonly previousHash: string;
  readonly hash: string;
  readonly op: PolicyOp;
  readonly changes: readonly PolicyChange[];
}

/** The identity of a log: the first record of `cuts`. */
export interface GenesisRecord {
  readonly kind: 'genesis';
  readonly logId: string;
  readonly format: number;
  readonly semantics: number;
}

/**
 * An operator's way on where the log has lost acknowledged records: the cuts after `base` and
 * before this record count for nothing, and the state of `base` goes on under a new log id.
 */
export interface ForkRecord {
  readonly kind: 'fork';
  /** The new one. */
  readonly logId: string;
  readonly previousLogId: string;
  /** Offset of the last cut whose records the log still has. */
  readonly base: number;
  /** In the list of forks: the offset of its record among the cuts; null in that record. */
  readonly offset: number | null;
}

export interface VectorEntry {
  readonly topic: string;
  /** One past the last offset that counts. */
  readonly end: number;
  /** `recordChecksum` of the record at `end − 1`; 0 when `end` is 0. */
  readonly checksum: number;
}

/** Sorted by topic (UTF-8 order), each once. */
export type Vector = readonly VectorEntry[];

export interface CutRecord {
  readonly kind: 'cut';
  readonly vector: Vector;
  /** Proposed time, ms since the epoch. */
  readonly timeMs: number;
  /**
   * The last cut that the proposer had applied, and what was in force there; null for the first
   * one.
   */
  readonly asOf: {
    readonly offset: number;
    readonly timeMs: number;
    readonly vector: Vector;
  } | null;
}

export interface DigestEntry {
  readonly revision: number;
  readonly digest: string;
}

/**
 * What a replica says of itself, on the topic `replicas`. No cut names it and no fold reads it: it
 * tells who lives, where, how far, and with which state.
 */
export interface AnnounceRecord {
  readonly kind: 'announce';
  readonly nodeId: string;
  /** Random per start. */
  readonly owner: string;
  /** Under which other nodes reach its API; empty: they do not. */
  readonly url: string;
  readonly phase: string;
  readonly revision: number;
  /** The newest revision of which it holds a checkpoint; 0: none. */
  readonly checkpointRevision: number;
  /** The highest semantics level that its code knows. */
  readonly semantics: number;
  /** Of the revisions since its last announcement that all replicas compare. */
  readonly digests: readonly DigestEntry[];
}

export type CaucusRecord =
  | FencedRecord
  | PushRecord
  | PolicyRecord
  | GenesisRecord
  | CutRecord
  | ForkRecord
  | AnnounceRecord;

export type RecordKind = CaucusRecord['kind'];

/** The byte of each kind. Numbers are never used again. */
export const RECORD_KINDS: Readonly<Record<RecordKind, number>> = {
  open: 1,
  snapshot: 2,
  delta: 3,
  heartbeat: 4,
  push: 5,
  stale: 6,
  refused: 7,
  policy: 16,
  genesis: 32,
  cut: 33,
  fork: 34,
  announce: 48,
};

export const RECORD_VERSION = 1;
export const ENVELOPE_BYTES = 16;
/** "CAUC", little-endian. */
const MAGIC = 0x43554143;
const CHECKSUM_AT = 12;

const KIND_NAMES: ReadonlyMap<number, RecordKind> = new Map(
  Object.entries(RECORD_KINDS).map(([name, byte]) => [byte, name as RecordKind]),
);

/** The record's bytes, a buffer of their own. Throws `too_large` above `RECORD_BYTES_MAX`. */
export function encodeRecord(record: CaucusRecord): Uint8Array {
  const writer = new ByteWriter(ENVELOPE_BYTES + payloadCapacity(record));
  writer.u32(MAGIC);
  writer.u8(RECORD_VERSION);
  writer.u8(RECORD_KINDS[record.kind]);
  writer.u16(0);
  writer.u32(0);
  writer.u32(0);
  writePayload(writer, record);
  const bytes = writer.finish();
  if (bytes.length > RECORD_BYTES_MAX) {
    throw new CaucusError(
      'too_large',
      `a record of ${bytes.length} bytes exceeds the limit of ${RECORD_BYTES_MAX}`,
      { remedy: 'make the row or text smaller, or send fewer of them at once' },
    );
  }
  writer.patchU32(8, bytes.length - ENVELOPE_BYTES);
  writer.patchU32(CHECKSUM_AT, checksumOf(bytes));
  return bytes;
}

/** Verifies everything, row blocks included; these are views into `bytes`. */
export function decodeRecord(bytes: Uint8Array): CaucusRecord {
  const kind = decodeEnvelope(bytes);
  const reader = new ByteReader(bytes.subarray(ENVELOPE_BYTES));
  try {
    const record = readPayload(reader, kind);
    reader.expectEnd();
    return record;
  } catch (error) {
    if (error instanceof BrokenBytes) {
      const byteOffset = ENVELOPE_BYTES + error.byteOffset;
      throw damaged(`${kind} record: ${error.message} at byte ${byteOffset}`, { byteOffset });
    }
    // A row block inside; its own message says where in the block.
    if (error instanceof CaucusError)
      throw damaged(`${kind} record: ${error.message}`, error.details);
    throw error;
  }
}

/**
 * The stored checksum, for vectors. The record must be one that `decodeRecord` or `encodeRecord`
 * has seen.
 */
export function recordChecksum(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(CHECKSUM_AT, true);
}

/** Checks envelope and checksum and returns the kind. */
function decodeEnvelope(bytes: Uint8Array): RecordKind {
  if (bytes.length < ENVELOPE_BYTES) throw damaged(`record of ${bytes.length} bytes`, {});
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw damaged('record without the mark `CAUC`', {});
  const version = bytes[4] as number;
  // Version before checksum: another version may lay out the rest differently.
  if (version !== RECORD_VERSION) throw unsupported(`record version ${version}`, { version });
  const length = view.getUint32(8, true);
  if (length !== bytes.length - ENVELOPE_BYTES) {
    throw damaged(
      `record of ${bytes.length - ENVELOPE_BYTES} payload bytes that says ${length}`,
      {},
    );
  }
  if (view.getUint32(CHECKSUM_AT, true) !== checksumOf(bytes)) {
    throw damaged('record with a wrong checksum', {});
  }
  const kind = KIND_NAMES.get(bytes[5] as number);
  if (kind === undefined) throw unsupported(`record kind ${bytes[5]}`, { kind: bytes[5] });
  if (view.getUint16(6, true) !== 0) throw unsupported('record with reserved bits', {});
  return kind;
}

function checksumOf(bytes: Uint8Array): number {
  return crc32c(bytes, crc32c(bytes, 0, 0, CHECKSUM_AT), ENVELOPE_BYTES);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function damaged(message: string, details: Record<string, unknown>): CaucusError {
  return new CaucusError('log_damaged', message, {
    remedy: 'restore the data directory from a copy, or move it away to start with an empty log',
    details,
  });
}

function unsupported(what: string, details: Record<string, unknown>): CaucusError {
  return new CaucusError('unsupported_record', `${what} is not known to this version of caucus`, {
    remedy: 'run the version of caucus that wrote it, or a later one',
    details,
  });
}
