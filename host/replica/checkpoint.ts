/**
 * A checkpoint: the replicated state at a revision and the base rows, as bytes. Logical: values by
 * table, no ids of an engine, so any engine can load it; derived tables are computed again.
 *
 *   header length u32 | header, JSON in UTF-8 | the bytes that the header's lengths name, in order
 *
 * The store of checkpoints guards the whole with a checksum.
 */
import type { TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import { decodeRecord, encodeRecord } from '../log/records.ts';
import type { PolicyRecord } from '../log/records.ts';
import type { RowBlock } from '../value/row-block.ts';
import { Births } from './births.ts';
import type { FailureRoot } from './failures.ts';
import type { FencedBatch, FencedState } from './fenced-source.ts';
import type { SourceKind } from './registration.ts';
import { newSource } from './replicated-state.ts';
import type {
  PolicyState,
  ReplicatedState,
  SourceState,
  UnfinishedBatch,
} from './replicated-state.ts';
import type { BatchIdEntry } from './batch-ids.ts';
import type { TopicEnd } from './sequencer.ts';

export const CHECKPOINT_FORMAT = 2;
/** Without sources of one writer. What is in it can be loaded, its digest is made otherwise. */
const FORMAT_OF_PUSHES = 1;

export interface Checkpoint {
  readonly state: ReplicatedState;
  readonly base: ReadonlyMap<TableKey, RowBlock>;
  /** What the digest was when it was saved: a restored replica must come to the same. */
  readonly digest: string;
}

interface UnfinishedHeader {
  readonly owner: string;
  readonly first: number;
  readonly parts: number;
  readonly appendTimeMs: number;
  /** Lengths of its records, each with one change. */
  readonly records: readonly number[];
}
interface SourceHeader {
  readonly name: string;
  readonly incarnation: number;
  readonly kind?: SourceKind;
  readonly tables: readonly (readonly [string, number])[];
  readonly batchIds: readonly (readonly [string, string, number, number])[];
  readonly unfinished: readonly UnfinishedHeader[];
  readonly fenced?: FencedHeader;
}

interface FencedHeader {
  /** Without what stands behind the header. */
  readonly state: Omit<FencedState, 'unfinished' | 'broken' | 'trouble'> & {
    readonly broken: FencedState['broken'] | null;
    readonly trouble: string | null;
  };
  readonly unfinished: {
    readonly first: number;
    readonly kind: FencedBatch['kind'];
    /** Lengths of its records, each with one change. */
    readonly records: readonly number[];
  } | null;
}
interface Header {
  readonly format: number;
  readonly logId: string;
  /** Absent: 1. */
  readonly semantics?: number;
  readonly revision: number;
  readonly timeMs: number;
  readonly ends: readonly (readonly [string, TopicEnd])[];
  readonly policyVersion: number;
  readonly policyHash: string;
  readonly lastPolicyRecord: PolicyRecord | null;
  readonly policies: readonly PolicyState[];
  readonly sources: readonly SourceHeader[];
  readonly failures: readonly FailureRoot[];
  readonly counters: readonly [
    ignoredPolicyRecords: number,
    rejectedBatches: number,
    ignoredRecords?: number,
  ];
  readonly rejectedPolicyVersions: readonly number[];
  readonly digest: string;
  readonly base: readonly {
    readonly table: TableKey;
    readonly arity: number;
    readonly count: number;
    readonly length: number;
  }[];
  readonly births: readonly {
    readonly table: TableKey;
    readonly lengths: readonly number[];
    readonly revisions: readonly number[];
  }[];
}

/** In pieces, which may be written one after another. */
export function encodeCheckpoint({ state, base, digest }: Checkpoint): Uint8Array[] {
  const blobs: Uint8Array[] = [];
  const sources = [...state.sources.values()].map((source) => encodeSource(source, blobs));
  const baseHeaders = [...base].map(([table, block]) => {
    blobs.push(block.bytes);
    return { table, arity: block.arity, count: block.count, length: block.bytes.length };
  });
  const births = state.births.tables().map((table) => {
    const rows = state.births.inAnyOrder(table);
    const keys = [...rows.keys()];
    blobs.push(fromLatin1(keys));
    return { table, lengths: keys.map((key) => key.length), revisions: [...rows.values()] };
  });
  const header: Header = {
    format: CHECKPOINT_FORMAT,
    logId: state.logId,
    semantics: state.semantics,
    revision: state.revision,
    timeMs: state.timeMs,
    ends: [...state.ends],
    policyVersion: state.policyVersion,
    policyHash: state.policyHash,
    lastPolicyRecord: state.lastPolicyRecord ?? null,
    policies: [...state.policies.values()],
    sources,
    failures: [...state.failures.values()],
    counters: [state.ignoredPolicyRecords, state.rejectedBatches, state.ignoredRecords],
    rejectedPolicyVersions: state.rejectedPolicyVersions,
    digest,
    base: baseHeaders,
    births,
  };
  const headerBytes = new TextEncoder().encode(JSON.stringify(header));
  return [u32(headerBytes.length), headerBytes, ...blobs];
}

/** Throws `log_damaged` for bytes that are no checkpoint. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) throw damaged('too short');
  const headerLength = view.getUint32(0, true);
  if (headerLength > bytes.length - 4) throw damaged('header cut short');
  let header: Header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerLength))) as Header;
  } catch {
    throw damaged('unreadable header');
  }
  if (header.format !== CHECKPOINT_FORMAT && header.format !== FORMAT_OF_PUSHES)
    throw damaged(`format ${header.format} is not known`);
  let offset = 4 + headerLength;
  const take = (length: number): Uint8Array => {
    if (offset + length > bytes.length) throw damaged('cut short');
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  const sources = header.sources.map((source) => decodeSource(source, take));
  const base = new Map<TableKey, RowBlock>();
  for (const { table, arity, count, length } of header.base) {
    base.set(table, { arity, count, bytes: take(length) });
  }
  const births = new Births();
  for (const { table, lengths, revisions } of header.births) {
    let end = 0;
    const ends = lengths.map((length) => (end += length));
    births.restore(table, take(end), ends, revisions);
  }
  if (offset !== bytes.length) throw damaged('bytes after the end');
  const [ignoredPolicyRecords, rejectedBatches, ignoredRecords = 0] = header.counters;
  const state: ReplicatedState = {
    logId: header.logId,
    semantics: header.semantics ?? 1,
    revision: header.revision,
    timeMs: header.timeMs,
    ends: new Map(header.ends),
    policyVersion: header.policyVersion,
    policyHash: header.policyHash,
    lastPolicyRecord: header.lastPolicyRecord ?? undefined,
    policies: new Map(header.policies.map((policy) => [policy.name, policy])),
    sources: new Map(sources.map((source) => [source.name, source])),
    failures: new Map(header.failures.map((root) => [root.policy, root])),
    births,
    ignoredPolicyRecords,
    rejectedPolicyVersions: header.rejectedPolicyVersions,
    rejectedBatches,
    ignoredRecords,
  };
  return { state, base, digest: header.format === FORMAT_OF_PUSHES ? '' : header.digest };
}

function encodeSource(source: SourceState, blobs: Uint8Array[]): SourceHeader {
  const unfinished = [...source.unfinished].map(([owner, batch]) => {
    const records = batch.changes.map((change) =>
      encodeRecord({ ...batch.head, changes: [change] }),
    );
    // The first record carries owner, batch and id even when nothing has changed so far.
    if (records.length === 0) records.push(encodeRecord({ ...batch.head, changes: [] }));
    blobs.push(...records);
    const { first, parts, appendTimeMs } = batch;
    return { owner, first, parts, appendTimeMs, records: records.map((record) => record.length) };
  });
  return {
    name: source.name,
    incarnation: source.incarnation,
    kind: source.kind,
    tables: [...source.tables],
    batchIds: [...source.batchIds.entries()].map(
      ({ key, bodyDigest, revision, appendTimeMs }) =>
        [key, bodyDigest, revision, appendTimeMs] as const,
    ),
    unfinished,
    ...(source.kind === 'fenced' ? { fenced: encodeFenced(source.fenced, blobs) } : {}),
  };
}

function encodeFenced(fenced: FencedState, blobs: Uint8Array[]): FencedHeader {
  const { unfinished, broken, trouble, ...rest } = fenced;
  const state = { ...rest, broken: broken ?? null, trouble: trouble ?? null };
  if (unfinished === undefined) return { state, unfinished: null };
  const { first, kind, changes } = unfinished;
  const { generation, owner, sequence, batch } = fenced;
  const head = { kind, generation, owner, sequence, batch, lastOfBatch: false };
  const records = changes.map((change) => encodeRecord({ ...head, changes: [change] }));
  blobs.push(...records);
  return { state, unfinished: { first, kind, records: records.map((record) => record.length) } };
}

function decodeFenced(header: FencedHeader, take: (length: number) => Uint8Array): FencedState {
  const { broken, trouble, ...rest } = header.state;
  const state = { ...rest, broken: broken ?? undefined, trouble: trouble ?? undefined };
  if (header.unfinished === null) return { ...state, unfinished: undefined };
  const { first, kind, records } = header.unfinished;
  const changes = records.flatMap((length) => {
    const record = decodeRecord(take(length));
    if (record.kind !== kind) throw damaged(`\`${record.kind}\` record in an unfinished ${kind}`);
    return record.changes;
  });
  return { ...state, unfinished: { first, kind, changes } };
}

function decodeSource(header: SourceHeader, take: (length: number) => Uint8Array): SourceState {
  const { incarnation, kind = 'push' } = header;
  const source = newSource(header.name, { incarnation, kind });
  for (const [table, arity] of header.tables) source.tables.set(table, arity);
  for (const [key, bodyDigest, revision, appendTimeMs] of header.batchIds) {
    const entry: BatchIdEntry = { key, bodyDigest, revision, appendTimeMs };
    source.batchIds.add(entry);
  }
  for (const { owner, first, parts, appendTimeMs, records } of header.unfinished) {
    const decoded = records.map((length) => {
      const record = decodeRecord(take(length));
      if (record.kind !== 'push') throw damaged(`\`${record.kind}\` record in an unfinished batch`);
      return record;
    });
    const [head] = decoded;
    if (head === undefined) throw damaged('unfinished batch without a record');
    const changes = decoded.flatMap((record) => record.changes);
    const batch: UnfinishedBatch = { first, head, parts, changes, appendTimeMs };
    source.unfinished.set(owner, batch);
  }
  if (header.fenced !== undefined) source.fenced = decodeFenced(header.fenced, take);
  return source;
}

function damaged(message: string): CaucusError {
  return new CaucusError('log_damaged', `checkpoint: ${message}`, {
    remedy: 'remove the checkpoint: the one before it or the log is used',
  });
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** One after another, as one piece: each is a write, and there may be millions of keys. */
function fromLatin1(texts: readonly string[]): Uint8Array {
  const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + text.length, 0));
  let at = 0;
  for (const text of texts) at += bytes.write(text, at, 'latin1');
  return bytes;
}
