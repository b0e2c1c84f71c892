/** The payload of each kind of record, field by field; `docs/LOG.md` draws them. */
import { compareStrings } from '../value/string-order.ts';
import { verifyBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import type {
  AnnounceRecord,
  CaucusRecord,
  CutRecord,
  DigestEntry,
  PolicyChange,
  PolicyOp,
  PolicyRecord,
  PushRecord,
  RecordChange,
  RecordKind,
  SnapshotRecord,
  DeltaRecord,
  Vector,
  VectorEntry,
} from './records.ts';

const HASH_BYTES = 32;
/** What a record takes besides row blocks and policy texts, roughly. */
const OVERHEAD_BYTES = 256;
const CHANGE_OVERHEAD_BYTES = 128;
const UNITS_TO_BYTES = 3;

const FLAG_LAST = 1;
const FLAG_ID = 2;
const FLAG_DIGEST = 4;
const FLAG_SNAPSHOT = 8;
const FLAG_REPLACE = 1;
const FLAG_DELETE = 2;
const FLAG_INSERT = 4;

const POLICY_OPS: readonly PolicyOp[] = ['put', 'delete', 'source', 'semantics'];

/** Enough bytes for the payload of big records, so that row blocks are copied once. */
export function payloadCapacity(record: CaucusRecord): number {
  let capacity = OVERHEAD_BYTES;
  if (record.kind === 'policy') {
    for (const { name, text } of record.changes) {
      capacity += (name.length + (text?.length ?? 0)) * UNITS_TO_BYTES;
    }
  } else if ('changes' in record) {
    for (const change of record.changes) capacity += changeBytes(change);
  }
  return capacity;
}

/** An upper bound of what a change takes in a record. */
export function changeBytes(change: RecordChange): number {
  const rows = (change.delete?.bytes.length ?? 0) + (change.insert?.bytes.length ?? 0);
  return CHANGE_OVERHEAD_BYTES + change.table.length * UNITS_TO_BYTES + rows;
}

export function writePayload(writer: ByteWriter, record: CaucusRecord): void {
  switch (record.kind) {
    case 'open':
      writer.u64(record.generation);
      writer.text(record.owner);
      writer.text(record.source);
      writer.u64(record.incarnation);
      return;
    case 'snapshot':
    case 'delta':
      writer.u64(record.generation);
      writer.text(record.owner);
      writer.u64(record.sequence);
      writer.u64(record.batch);
      writer.u8(record.lastOfBatch ? FLAG_LAST : 0);
      writeChanges(writer, record.changes);
      return;
    case 'heartbeat':
      writer.u64(record.generation);
      writer.text(record.owner);
      writer.u64(record.sequence);
      return;
    case 'stale':
      writer.u64(record.generation);
      writer.text(record.owner);
      writer.u64(record.sequence);
      writer.text(record.reason);
      return;
    case 'refused':
      writer.u64(record.generation);
      writer.text(record.reason);
      return;
    case 'push':
      writePush(writer, record);
      return;
    case 'policy':
      writePolicyBody(writer, record);
      writer.raw(hashBytes(record.hash));
      return;
    case 'genesis':
      writer.text(record.logId);
      writer.u32(record.format);
      writer.u32(record.semantics);
      return;
    case 'cut':
      writeCut(writer, record);
      return;
    case 'fork':
      writer.text(record.logId);
      writer.text(record.previousLogId);
      writer.u64(record.base);
      writer.u8(record.offset === null ? 0 : 1);
      if (record.offset !== null) writer.u64(record.offset);
      return;
    case 'announce':
      writeAnnounce(writer, record);
  }
}

export function readPayload(reader: ByteReader, kind: RecordKind): CaucusRecord {
  switch (kind) {
    case 'open': {
      const generation = reader.u64();
      const owner = reader.text();
      const source = reader.text();
      return { kind, generation, owner, source, incarnation: reader.u64() };
    }
    case 'snapshot':
    case 'delta':
      return readSourcePart(reader, kind);
    case 'heartbeat': {
      const generation = reader.u64();
      const owner = reader.text();
      return { kind, generation, owner, sequence: reader.u64() };
    }
    case 'stale': {
      const generation = reader.u64();
      const owner = reader.text();
      const sequence = reader.u64();
      return { kind, generation, owner, sequence, reason: reader.text() };
    }
    case 'refused': {
      const generation = reader.u64();
      return { kind, generation, reason: reader.text() };
    }
    case 'push':
      return readPush(reader);
    case 'policy':
      return readPolicy(reader);
    case 'genesis': {
      const logId = reader.text();
      const format = reader.u32();
      return { kind, logId, format, semantics: reader.u32() };
    }
    case 'cut':
      return readCut(reader);
    case 'fork': {
      const logId = reader.text();
      const previousLogId = reader.text();
      const base = reader.u64();
      const offset = readFlags(reader, 1) === 1 ? reader.u64() : null;
      return { kind, logId, previousLogId, base, offset };
    }
    case 'announce':
      return readAnnounce(reader);
  }
}

/** All of a policy record but its own hash: what the hash is taken over. */
export function writePolicyBody(
  writer: ByteWriter,
  record: Omit<PolicyRecord, 'kind' | 'hash'>,
): void {
  writer.u64(record.version);
  writer.raw(hashBytes(record.previousHash));
  writer.u8(POLICY_OPS.indexOf(record.op));
  writer.u32(record.changes.length);
  for (const change of record.changes) {
    writer.text(change.name);
    writer.u8(change.text === null ? 0 : 1);
    if (change.text !== null) writer.text(change.text);
  }
}

function readPolicy(reader: ByteReader): PolicyRecord {
  const version = reader.u64();
  const previousHash = hexOf(reader.raw(HASH_BYTES));
  const opByte = reader.u8();
  const op = POLICY_OPS[opByte] ?? reader.fail(`policy op ${opByte}`);
  const count = reader.u32();
  const changes: PolicyChange[] = [];
  for (let index = 0; index < count; index++) {
    const name = reader.text();
    changes.push({ name, text: readFlags(reader, 1) === 1 ? reader.text() : null });
  }
  const hash = hexOf(reader.raw(HASH_BYTES));
  return { kind: 'policy', version, previousHash, hash, op, changes };
}

function readSourcePart(
  reader: ByteReader,
  kind: 'snapshot' | 'delta',
): SnapshotRecord | DeltaRecord {
  const generation = reader.u64();
  const owner = reader.text();
  const sequence = reader.u64();
  const batch = reader.u64();
  const lastOfBatch = readFlags(reader, FLAG_LAST) === FLAG_LAST;
  return { kind, generation, owner, sequence, batch, lastOfBatch, changes: readChanges(reader) };
}

function writePush(writer: ByteWriter, record: PushRecord): void {
  writer.text(record.owner);
  writer.u64(record.batch);
  writer.u32(record.part);
  writer.u8(
    (record.lastOfBatch ? FLAG_LAST : 0) |
      (record.batchId === null ? 0 : FLAG_ID) |
      (record.bodyDigest === null ? 0 : FLAG_DIGEST) |
      (record.snapshot ? FLAG_SNAPSHOT : 0),
  );
  if (record.batchId !== null) writer.text(record.batchId);
  if (record.bodyDigest !== null) writer.text(record.bodyDigest);
  writeChanges(writer, record.changes);
}

function readPush(reader: ByteReader): PushRecord {
  const owner = reader.text();
  const batch = reader.u64();
  const part = reader.u32();
  const flags = readFlags(reader, FLAG_LAST | FLAG_ID | FLAG_DIGEST | FLAG_SNAPSHOT);
  const batchId = (flags & FLAG_ID) === 0 ? null : reader.text();
  const bodyDigest = (flags & FLAG_DIGEST) === 0 ? null : reader.text();
  const lastOfBatch = (flags & FLAG_LAST) !== 0;
  const snapshot = (flags & FLAG_SNAPSHOT) !== 0;
  const changes = readChanges(reader);
  return { kind: 'push', owner, batch, part, lastOfBatch, batchId, bodyDigest, snapshot, changes };
}

function writeChanges(writer: ByteWriter, changes: readonly RecordChange[]): void {
  writer.u32(changes.length);
  for (const change of changes) {
    // An empty block says nothing, and its arity may not be known: it is left out.
    const deletes = change.delete !== undefined && change.delete.count > 0 ? change.delete : null;
    const inserts = change.insert !== undefined && change.insert.count > 0 ? change.insert : null;
    writer.text(change.table);
    writer.u8(
      (change.replace === true ? FLAG_REPLACE : 0) |
        (deletes === null ? 0 : FLAG_DELETE) |
        (inserts === null ? 0 : FLAG_INSERT),
    );
    if (deletes !== null) writeBlock(writer, deletes);
    if (inserts !== null) writeBlock(writer, inserts);
  }
}

function readChanges(reader: ByteReader): RecordChange[] {
  const count = reader.u32();
  const changes: RecordChange[] = [];
  for (let index = 0; index < count; index++) {
    const table = reader.text();
    const flags = readFlags(reader, FLAG_REPLACE | FLAG_DELETE | FLAG_INSERT);
    changes.push({
      table,
      ...((flags & FLAG_REPLACE) === 0 ? {} : { replace: true }),
      ...((flags & FLAG_DELETE) === 0 ? {} : { delete: readBlock(reader) }),
      ...((flags & FLAG_INSERT) === 0 ? {} : { insert: readBlock(reader) }),
    });
  }
  return changes;
}

function writeBlock(writer: ByteWriter, block: RowBlock): void {
  writer.u16(block.arity);
  writer.u32(block.count);
  writer.u32(block.bytes.length);
  writer.raw(block.bytes);
}

function readBlock(reader: ByteReader): RowBlock {
  const arity = reader.u16();
  const count = reader.u32();
  if (count === 0) reader.fail('empty row block');
  const block = { arity, count, bytes: reader.raw(reader.u32()) };
  verifyBlock(block);
  return block;
}

function writeCut(writer: ByteWriter, cut: CutRecord): void {
  writeVector(writer, cut.vector);
  writer.u64(cut.timeMs);
  writer.u8(cut.asOf === null ? 0 : 1);
  if (cut.asOf === null) return;
  writer.u64(cut.asOf.offset);
  writer.u64(cut.asOf.timeMs);
  writeVector(writer, cut.asOf.vector);
}

function readCut(reader: ByteReader): CutRecord {
  const vector = readVector(reader);
  const timeMs = reader.u64();
  if (readFlags(reader, 1) === 0) return { kind: 'cut', vector, timeMs, asOf: null };
  const offset = reader.u64();
  const asOfTimeMs = reader.u64();
  const asOf = { offset, timeMs: asOfTimeMs, vector: readVector(reader) };
  return { kind: 'cut', vector, timeMs, asOf };
}

function writeAnnounce(writer: ByteWriter, record: AnnounceRecord): void {
  writer.text(record.nodeId);
  writer.text(record.owner);
  writer.text(record.url);
  writer.text(record.phase);
  writer.u64(record.revision);
  writer.u64(record.checkpointRevision);
  writer.u32(record.semantics);
  writer.u32(record.digests.length);
  for (const { revision, digest } of record.digests) {
    writer.u64(revision);
    writer.text(digest);
  }
}

function readAnnounce(reader: ByteReader): AnnounceRecord {
  const nodeId = reader.text();
  const owner = reader.text();
  const url = reader.text();
  const phase = reader.text();
  const revision = reader.u64();
  const checkpointRevision = reader.u64();
  const semantics = reader.u32();
  const count = reader.u32();
  const digests: DigestEntry[] = [];
  for (let index = 0; index < count; index++) {
    digests.push({ revision: reader.u64(), digest: reader.text() });
  }
  return {
    kind: 'announce',
    nodeId,
    owner,
    url,
    phase,
    revision,
    checkpointRevision,
    semantics,
    digests,
  };
}

function writeVector(writer: ByteWriter, vector: Vector): void {
  writer.u32(vector.length);
  let before: string | undefined;
  for (const { topic, end, checksum } of vector) {
    if (before !== undefined && compareStrings(before, topic) >= 0) {
      throw new Error(`vector: topic ${topic} comes after ${before}`);
    }
    before = topic;
    writer.text(topic);
    writer.u64(end);
    writer.u32(checksum);
  }
}

function readVector(reader: ByteReader): Vector {
  const count = reader.u32();
  const vector: VectorEntry[] = [];
  let before: string | undefined;
  for (let index = 0; index < count; index++) {
    const topic = reader.text();
    if (before !== undefined && compareStrings(before, topic) >= 0)
      reader.fail('vector not sorted');
    before = topic;
    const end = reader.u64();
    vector.push({ topic, end, checksum: reader.u32() });
  }
  return vector;
}

/** A byte of flags, of which only those in `known` may be set. */
function readFlags(reader: ByteReader, known: number): number {
  const flags = reader.u8();
  if ((flags & ~known) !== 0) reader.fail(`unknown flags ${flags}`);
  return flags;
}

function hashBytes(hash: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new Error(`no SHA-256 in hex: ${hash}`);
  return Uint8Array.from({ length: HASH_BYTES }, (_, index) =>
    Number.parseInt(hash.slice(index * 2, index * 2 + 2), 16),
  );
}

function hexOf(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}
