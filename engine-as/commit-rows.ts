/*
 * Behind the commit point: what a transaction did to rows is made final, and rows that went lose
 * their places. Each of those costs a wait for its row, its bucket in the set, and its bucket in
 * every index: rows are taken in blocks, so that the waits overlap.
 */
import {
  RELATION_DIGEST_ALL,
  RELATION_DIGEST_BASE,
  ROW_LIVE,
  ROW_OLD,
  ROW_PENDING,
  ROW_QUEUED,
  ROW_RECENT,
  ROW_TOUCHED,
  ROW_USED,
} from './abi';
import { keyBucket, removeFromIndex } from './column-index';
import { digestRow } from './digest';
import { hashCells } from './hash';
import { CACHED_IDS, homeBucket, removeId } from './id-set';
import { ColumnIndex } from './index-store';
import { NEAR_ROWS, nearAddresses, nearRows } from './near';
import { freeRow, indexAt } from './relation';
import { Relation, rowAddress } from './row-store';
import { isHeld } from './side-weights';
import { wordAt } from './vector';

const PASSING_FLAGS: u32 = ROW_TOUCHED | ROW_PENDING | ROW_RECENT | ROW_QUEUED;

/** Rows of a block that go: id, hash, the address of a bucket. */
const RECORD_BYTES: u32 = 12;
const going: u32 = memory.data(64 * 12, 4) as u32;
let goingEnd: u32 = going;

/** What becomes of a row: its flags, or it is put with those that go. */
function settleRow(relation: Relation, id: u32, before: u32): void {
  const row = rowAddress(relation, id);
  const meta = load<u32>(row);
  const cells = row + relation.cellsAt;
  digestRow(relation, cells, before, meta);
  if ((meta & ROW_LIVE) != 0) store<u32>(row, (meta & ~PASSING_FLAGS) | ROW_OLD);
  // Of a best table rows stay that are the next best when the best one goes.
  else if (relation.bestColumn != 0 && isHeld(relation, id, meta))
    store<u32>(row, meta & ~(PASSING_FLAGS | ROW_OLD));
  else {
    store<u32>(goingEnd, id);
    store<u32>(goingEnd, hashCells(cells, relation.arity), 4);
    goingEnd += RECORD_BYTES;
  }
}

function removeFromIndexes(relation: Relation): void {
  for (let i: u32 = 0; !relation.indexesWait && i < relation.indexCount; i++) {
    const index = indexAt(relation, i);
    if (index.set.used >= CACHED_IDS) bringKeysNear(relation, index);
    for (let at = going; at < goingEnd; at += RECORD_BYTES) {
      const id = load<u32>(at);
      removeFromIndex(index, id, rowAddress(relation, id) + relation.cellsAt);
    }
  }
}

function bringKeysNear(relation: Relation, index: ColumnIndex): void {
  for (let at = going; at < goingEnd; at += RECORD_BYTES) {
    const cells = rowAddress(relation, load<u32>(at)) + relation.cellsAt;
    store<u32>(at, keyBucket(index, cells), 8);
  }
  nearAddresses(going, goingEnd, RECORD_BYTES, 8);
}

/** Takes the rows that go out of the set and all indexes; answers how many there were. */
function removeGoing(relation: Relation): u32 {
  if (goingEnd == going) return 0;
  removeFromIndexes(relation);
  if (relation.set.used >= CACHED_IDS) {
    for (let at = going; at < goingEnd; at += RECORD_BYTES)
      store<u32>(at, homeBucket(relation.set, load<u32>(at, 4)), 8);
    nearAddresses(going, goingEnd, RECORD_BYTES, 8);
  }
  for (let at = going; at < goingEnd; at += RECORD_BYTES) {
    removeId(relation.set, load<u32>(at, 4), load<u32>(at));
    freeRow(relation, load<u32>(at));
  }
  const removed = (goingEnd - going) / RECORD_BYTES;
  goingEnd = going;
  return removed;
}

/**
 * Makes the touched rows of [from, to) final, places in the list of triples; answers how many rows
 * were removed.
 */
export function commitTouched(relation: Relation, from: u32, to: u32): u32 {
  let removed: u32 = 0;
  for (let at = from; at < to;) {
    const end = min(to, at + NEAR_ROWS * 3);
    nearRows(relation, relation.touched, at, end, 3, 0);
    for (; at < end; at += 3)
      settleRow(relation, wordAt(relation.touched, at), wordAt(relation.touched, at + 1));
    removed += removeGoing(relation);
  }
  return removed;
}

/** The same for the rows [from, to) of a relation that is new. */
export function commitFresh(relation: Relation, from: u32, to: u32): u32 {
  const isPlain = (relation.flags & (RELATION_DIGEST_BASE | RELATION_DIGEST_ALL)) == 0;
  let removed: u32 = 0;
  for (let id = from; id < to; id++) {
    const row = rowAddress(relation, id);
    const meta = load<u32>(row);
    if (isPlain && (meta & ROW_LIVE) != 0) {
      store<u32>(row, (meta & ~PASSING_FLAGS) | ROW_OLD);
      continue;
    }
    if ((meta & ROW_USED) == 0) continue;
    settleRow(relation, id, 0);
    removed += removeGoing(relation);
  }
  return removed;
}
