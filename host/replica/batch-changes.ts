/** From the parts of batches to what the engine is to change. */
import { tableKey } from '../compiler/stratified.ts';
import type { TableChange } from '../engine/engine.ts';
import { UNFINISHED_BATCH_MS_MAX } from '../limits.ts';
import type { PushRecord, RecordChange } from '../log/records.ts';
import type { LoggedRecord } from './cut-reader.ts';
import type { UnfinishedBatch } from './replicated-state.ts';

/**
 * Adds a part to the unfinished batches of a push source, by writer; returns the batch that it
 * completes.
 */
export function collectPart(
  unfinished: Map<string, UnfinishedBatch>,
  { record, offset, appendTimeMs }: LoggedRecord<PushRecord>,
): UnfinishedBatch | undefined {
  for (const [owner, batch] of unfinished) {
    if (batch.appendTimeMs < appendTimeMs - UNFINISHED_BATCH_MS_MAX) unfinished.delete(owner);
  }
  const before = unfinished.get(record.owner);
  unfinished.delete(record.owner);
  let batch: UnfinishedBatch;
  if (record.part === 0) {
    batch = { first: offset, head: record, parts: 1, changes: record.changes, appendTimeMs };
  } else if (before?.head.batch === record.batch && before.parts === record.part) {
    const changes = [...before.changes, ...record.changes];
    batch = { ...before, parts: before.parts + 1, changes };
  } else {
    // The rest of a batch whose beginning is not there: it never counts.
    return undefined;
  }
  if (record.lastOfBatch) return batch;
  unfinished.set(record.owner, batch);
  return undefined;
}

/**
 * With full table names; a snapshot also empties the tables that it does not name. `known`: tables
 * of the source that have an arity.
 */
export function engineChanges(
  source: string,
  known: ReadonlySet<string>,
  changes: readonly TableChange[],
  snapshot: boolean,
): TableChange[] {
  const result: TableChange[] = [];
  for (const change of changes) {
    // An empty snapshot of a table that never had a row: nothing is known of it, nothing changes.
    if (!known.has(change.table)) continue;
    result.push({ ...change, table: tableKey({ owner: source, name: change.table }) });
  }
  if (!snapshot) return result;
  const named = new Set(changes.map((change) => change.table));
  for (const name of known) {
    if (!named.has(name)) {
      result.push({ table: tableKey({ owner: source, name }), replace: true });
    }
  }
  return result;
}

/** A snapshot tells all rows of the tables that it names. */
export function replacing(changes: readonly RecordChange[]): RecordChange[] {
  const named = new Set<string>();
  return changes.map((change) => {
    if (named.has(change.table)) return change;
    named.add(change.table);
    return { ...change, replace: true };
  });
}
