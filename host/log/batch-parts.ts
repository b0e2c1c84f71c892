/**
 * A batch is atomic and may be larger than a record: it is split into parts and joined again by the
 * fold.
 */
import { CaucusError } from '../errors.ts';
import { RECORD_BYTES_TARGET } from '../limits.ts';
import { concatBlocks, splitBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { changeBytes } from './record-payloads.ts';
import { encodeRecord } from './records.ts';
import type { PushRecord, RecordChange, SnapshotRecord } from './records.ts';

export interface PushBatch {
  readonly owner: string;
  readonly batch: number;
  readonly batchId: string | null;
  readonly bodyDigest: string | null;
  readonly snapshot: boolean;
  readonly changes: readonly RecordChange[];
}

export interface SourceBatch {
  readonly kind: 'snapshot' | 'delta';
  readonly generation: number;
  readonly owner: string;
  /** Of its first record. */
  readonly sequence: number;
  readonly batch: number;
  readonly changes: readonly RecordChange[];
}

/** The records of a push batch; at least one. */
export function encodePushBatch(batch: PushBatch, bytesTarget = RECORD_BYTES_TARGET): Uint8Array[] {
  const parts = [...splitChanges(batch.changes, bytesTarget)];
  return parts.map((changes, part) => {
    const record: PushRecord = {
      kind: 'push',
      owner: batch.owner,
      batch: batch.batch,
      part,
      lastOfBatch: part === parts.length - 1,
      batchId: batch.batchId,
      bodyDigest: batch.bodyDigest,
      snapshot: batch.snapshot,
      changes,
    };
    return encodeRecord(record);
  });
}

/** The records of a batch of a source with one writer; they take as many sequence numbers. */
export function encodeSourceBatch(
  batch: SourceBatch,
  bytesTarget = RECORD_BYTES_TARGET,
): Uint8Array[] {
  const parts = [...splitChanges(batch.changes, bytesTarget)];
  return parts.map((changes, part) =>
    encodeRecord({
      kind: batch.kind as SnapshotRecord['kind'],
      generation: batch.generation,
      owner: batch.owner,
      sequence: batch.sequence + part,
      batch: batch.batch,
      lastOfBatch: part === parts.length - 1,
      changes,
    }),
  );
}

/**
 * Groups of changes that take about `bytesTarget` bytes each; one empty group if there are no
 * changes.
 */
export function* splitChanges(
  changes: readonly RecordChange[],
  bytesTarget: number,
): Generator<RecordChange[], void, undefined> {
  let group: RecordChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    for (const piece of splitChange(change, bytesTarget)) {
      const pieceBytes = changeBytes(piece);
      if (group.length > 0 && bytes + pieceBytes > bytesTarget) {
        yield group;
        group = [];
        bytes = 0;
      }
      group.push(piece);
      bytes += pieceBytes;
    }
  }
  yield group;
}

/**
 * Undoes `splitChanges`, given the groups one after another: one change a table where that means
 * the same.
 */
export function joinChanges(pieces: Iterable<RecordChange>): RecordChange[] {
  const joined: Joining[] = [];
  const open = new Map<string, Joining>();
  for (const piece of pieces) {
    let change = open.get(piece.table);
    // Within a change deletes go before inserts, so a delete after an insert begins another change.
    if (
      change === undefined ||
      piece.replace === true ||
      (piece.delete && change.inserts.length > 0)
    ) {
      change = { table: piece.table, replace: piece.replace === true, deletes: [], inserts: [] };
      open.set(piece.table, change);
      joined.push(change);
    }
    if (piece.delete) change.deletes.push(piece.delete);
    if (piece.insert) change.inserts.push(piece.insert);
  }
  return joined.map(({ table, replace, deletes, inserts }) => ({
    table,
    ...(replace ? { replace } : {}),
    ...(deletes.length === 0 ? {} : { delete: joinBlocks(table, deletes) }),
    ...(inserts.length === 0 ? {} : { insert: joinBlocks(table, inserts) }),
  }));
}

interface Joining {
  readonly table: string;
  readonly replace: boolean;
  readonly deletes: RowBlock[];
  readonly inserts: RowBlock[];
}

function joinBlocks(table: string, blocks: readonly RowBlock[]): RowBlock {
  const { arity } = blocks[0] as RowBlock;
  if (blocks.every((block) => block.arity === arity)) return concatBlocks(arity, blocks);
  throw new CaucusError(
    'log_damaged',
    `a batch has rows of several arities for table \`${table}\``,
    {
      remedy: 'restore the data directory from a copy, or move it away to start with an empty log',
    },
  );
}

function* splitChange(
  change: RecordChange,
  bytesTarget: number,
): Generator<RecordChange, void, undefined> {
  const { table } = change;
  if (changeBytes(change) <= bytesTarget) {
    yield change;
    return;
  }
  if (change.replace === true) yield { table, replace: true };
  for (const piece of change.delete ? splitBlock(change.delete, bytesTarget) : []) {
    yield { table, delete: piece };
  }
  for (const piece of change.insert ? splitBlock(change.insert, bytesTarget) : []) {
    yield { table, insert: piece };
  }
}
