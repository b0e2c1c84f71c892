/*
 * What can be done to a relation's rows: find, insert, remove, log a change. Layout: row-store.ts.
 */
import {
  ROW_BASE,
  ROW_LIVE,
  ROW_OLD,
  ROW_QUEUED,
  ROW_TOUCHED,
  ROW_USED,
  RELATION_RANKED,
  WEIGHT_SHIFT,
} from './abi';
import { addToIndex, destroyIndex, reserveInIndex, removeFromIndex } from './column-index';
import { ColumnIndex, reservePositions } from './index-store';
import { noteChange } from './changes';
import { hashCells } from './hash';
import {
  bucketAt,
  bucketBehind,
  createIdSet,
  destroyIdSet,
  homeOf,
  idAt,
  isPassed,
  NOT_FOUND,
  placesOf,
  putId,
  removeId,
  reserveId,
  shardOf,
} from './id-set';
import { SEGMENT_COUNT, SEGMENT_SHIFT } from './layout';
import { allocate, allocateZeroed, memoryLow, release } from './memory';
import { rankAt, Relation, rowAddress, setRankAt } from './row-store';
import { settleRuns } from './run-store';
import { createVector, destroyVector, push, pushThree, wordAt } from './vector';
import { markCell, marking } from './value-table';

const FIRST_ROWS: u32 = 8;
const INDEX_SLOTS: u32 = 64;

export function createRelation(
  arity: u32,
  flags: u32,
  rowsMax: u32,
  handle: u32,
  seed: u64,
): Relation {
  const relation = changetype<Relation>(allocateZeroed(offsetof<Relation>()) as usize);
  if (changetype<usize>(relation) == 0) return relation;
  const ranked: u32 = (flags & RELATION_RANKED) != 0 ? 1 : 0;
  relation.arity = arity;
  relation.flags = flags;
  relation.cellsAt = 4 + (ranked << 2);
  relation.stride = max<u32>(8, relation.cellsAt + (arity << 2));
  relation.freeHead = NOT_FOUND;
  relation.unlistedFrom = NOT_FOUND;
  relation.rowsMax = rowsMax;
  relation.handle = handle;
  relation.seed = seed;
  relation.fresh = true;
  relation.indexesWait = true;
  relation.set = createIdSet(changetype<usize>(relation) as u32, hashRows);
  relation.indexes = allocateZeroed(INDEX_SLOTS << 2);
  relation.free = createVector();
  relation.touched = createVector();
  relation.delta = createVector();
  relation.pending = createVector();
  relation.recent = createVector();
  return relation;
}

export function hasMemory(relation: Relation): bool {
  return (
    changetype<usize>(relation) != 0 &&
    changetype<usize>(relation.set) != 0 &&
    relation.indexes != 0 &&
    changetype<usize>(relation.recent) != 0
  );
}

export function indexAt(relation: Relation, index: u32): ColumnIndex {
  return changetype<ColumnIndex>(load<u32>(relation.indexes + (index << 2)) as usize);
}

/** Keeps the touching loads alive. */
let touchSum: u32 = 0;

function hashRows(owner: u32, ids: u32, count: u32, hashes: u32): void {
  const relation = changetype<Relation>(owner as usize);
  const arity = relation.arity;
  const end = count << 2;
  // Addresses first, then the cells behind them: so many waits for memory overlap.
  let sum: u32 = 0;
  for (let i: u32 = 0; i < end; i += 4) {
    const cells = rowAddress(relation, load<u32>(ids + i)) + relation.cellsAt;
    store<u32>(hashes + i, cells);
    sum += load<u32>(cells);
  }
  touchSum = sum;
  for (let i: u32 = 0; i < end; i += 4)
    store<u32>(hashes + i, hashCells(load<u32>(hashes + i), arity));
}

export function hasCells(relation: Relation, id: u32, cells: u32): bool {
  const row = rowAddress(relation, id) + relation.cellsAt;
  const arity = relation.arity;
  if (arity == 2) return load<u64>(row) == load<u64>(cells);
  let i: u32 = 0;
  while (i < arity && load<u32>(row + (i << 2)) == load<u32>(cells + (i << 2))) i += 1;
  return i == arity;
}

/** Id of the row with these cells, whatever its state, or NOT_FOUND. */
export function findRow(relation: Relation, cells: u32, hash: u32): u32 {
  const shard = shardOf(relation.set, hash);
  const home = homeOf(shard, hash);
  let number = home;
  while (true) {
    const bucket = bucketAt(shard, number);
    let places = placesOf(bucket, hash);
    while (places != 0) {
      const id = idAt(bucket, ctz(places));
      if (hasCells(relation, id, cells)) return id;
      places &= places - 1;
    }
    if (!isPassed(bucket)) return NOT_FOUND;
    number = bucketBehind(shard, number);
    if (number == home) return NOT_FOUND;
  }
}

function growRows(relation: Relation): bool {
  const stride = relation.stride;
  if (relation.capacity < SEGMENT_COUNT) {
    const rows = relation.capacity == 0 ? FIRST_ROWS : relation.capacity << 1;
    if (relation.directory == 0) {
      relation.directory = allocateZeroed(16);
      if (relation.directory == 0) return false;
      relation.directoryWords = 4;
    }
    if (!reserveAllPositions(relation, rows)) return false;
    const segment = allocate(rows * stride);
    if (segment == 0) return false;
    const old = load<u32>(relation.directory);
    memory.copy(segment, old, relation.capacity * stride);
    release(old, relation.capacity * stride);
    store<u32>(relation.directory, segment);
    relation.capacity = rows;
    return true;
  }
  const at = relation.capacity >> SEGMENT_SHIFT;
  if (at == relation.directoryWords) {
    const wider = allocate(at << 3);
    if (wider == 0) return false;
    memory.copy(wider, relation.directory, at << 2);
    release(relation.directory, at << 2);
    relation.directory = wider;
    relation.directoryWords = at << 1;
  }
  if (!reserveAllPositions(relation, relation.capacity + SEGMENT_COUNT)) return false;
  const segment = allocate(stride << SEGMENT_SHIFT);
  if (segment == 0) return false;
  store<u32>(relation.directory + (at << 2), segment);
  relation.capacity += SEGMENT_COUNT;
  return true;
}

function reserveAllPositions(relation: Relation, rows: u32): bool {
  for (let i: u32 = 0; i < relation.indexCount; i++) {
    if (!reservePositions(indexAt(relation, i), rows)) return false;
  }
  return true;
}

/**
 * A list of free ids, and not links alone: the next one is known without waiting for the row of the
 * one before.
 */
const FREE_IDS_MAX: u32 = 0x10000;

function takeFree(relation: Relation): u32 {
  const free = relation.free;
  if (free.length != 0) {
    free.length -= 1;
    return wordAt(free, free.length);
  }
  const id = relation.freeHead;
  if (id != NOT_FOUND) relation.freeHead = load<u32>(rowAddress(relation, id), 4);
  return id;
}

/** Address of the row that an insert takes after `later` others; 0 where that is not known. */
export function freeRowAfter(relation: Relation, later: u32): u32 {
  const free = relation.free;
  if (later >= free.length) return 0;
  return rowAddress(relation, wordAt(free, free.length - 1 - later));
}

/**
 * Adds a row that `findRow` did not find, with meta 0 flags but USED, and puts it into the
 * set and every index. NOT_FOUND, and nothing changed, without memory.
 */
export function insertRow(relation: Relation, cells: u32, hash: u32): u32 {
  if (!reserveId(relation.set, hash)) return NOT_FOUND;
  const indexCount: u32 = relation.indexesWait ? 0 : relation.indexCount;
  for (let i: u32 = 0; i < indexCount; i++) {
    if (!reserveInIndex(indexAt(relation, i), cells)) return NOT_FOUND;
  }
  let id = takeFree(relation);
  let row: u32;
  if (id != NOT_FOUND) row = rowAddress(relation, id);
  else {
    id = relation.top;
    if (id == relation.capacity && !growRows(relation)) return NOT_FOUND;
    relation.top = id + 1;
    row = rowAddress(relation, id);
  }
  store<u32>(row, ROW_USED);
  const to = row + relation.cellsAt;
  if (relation.cellsAt == 8) store<u32>(row, 0, 4);
  const arity = relation.arity;
  for (let i: u32 = 0; i < arity; i++) {
    const cell = load<u32>(cells + (i << 2));
    store<u32>(to + (i << 2), cell);
    if (marking) markCell(cell);
  }
  putId(relation.set, hash, id);
  for (let i: u32 = 0; i < indexCount; i++) {
    addToIndex(indexAt(relation, i), id, to);
  }
  return id;
}

/**
 * Appends a LIVE row of one or two cells that nothing holds yet, for `listing.ts` to put into the
 * set and the indexes; false without memory. The caller counts it.
 */
export function appendRow(relation: Relation, first: u32, second: u32, rank: u32): bool {
  if (!hasRoom(relation)) return false;
  const row = appendFound(relation, first, second, ROW_LIVE);
  if (relation.cellsAt == 8) store<u32>(row, rank, 4);
  return true;
}

/** True when one more row can be appended. */
export function hasRoom(relation: Relation): bool {
  return relation.top != relation.capacity || growRows(relation);
}

/** Appends a row, for which there is room, under some flags; answers its address. */
export function appendFound(relation: Relation, first: u32, second: u32, flags: u32): u32 {
  const row = rowAddress(relation, relation.top);
  relation.top += 1;
  store<u32>(row, ROW_USED | flags);
  const to = row + relation.cellsAt;
  store<u32>(to, first);
  if (relation.arity == 2) store<u32>(to, second, 4);
  if (marking) {
    markCell(first);
    markCell(second);
  }
  return row;
}

/** Appends rows that neither the set nor an index knows yet; false without memory. */
export function appendRows(relation: Relation, cells: u32, rows: u32, meta: u32): bool {
  const bytes = relation.arity << 2;
  for (let i: u32 = 0; i < rows; i++, cells += bytes) {
    const id = relation.top;
    if (id == relation.capacity && !growRows(relation)) return false;
    relation.top = id + 1;
    const row = rowAddress(relation, id);
    store<u32>(row, meta);
    if (relation.cellsAt == 8) store<u32>(row, 0, 4);
    const to = row + relation.cellsAt;
    for (let at: u32 = 0; at < bytes; at += 4) store<u32>(to + at, load<u32>(cells + at));
    if (marking) for (let at: u32 = 0; at < bytes; at += 4) markCell(load<u32>(cells + at));
  }
  return true;
}

/** Gives back the place of a row that neither the set nor an index holds. */
export function freeRow(relation: Relation, id: u32): void {
  const row = rowAddress(relation, id);
  store<u32>(row, 0);
  if (relation.free.length < FREE_IDS_MAX && !memoryLow && push(relation.free, id)) return;
  store<u32>(row, relation.freeHead, 4);
  relation.freeHead = id;
}

/** Takes a row out of the set and all indexes and gives its place back. */
export function removeRow(relation: Relation, id: u32): void {
  const cells = rowAddress(relation, id) + relation.cellsAt;
  for (let i: u32 = 0; !relation.indexesWait && i < relation.indexCount; i++) {
    removeFromIndex(indexAt(relation, i), id, cells);
  }
  removeId(relation.set, hashCells(cells, relation.arity), id);
  freeRow(relation, id);
}

/** No cursor of the time before is valid. */
export function settleIndexes(relation: Relation): void {
  for (let i: u32 = 0; i < relation.indexCount; i++) settleRuns(indexAt(relation, i).runs);
}

/** Logs the former state of a row before its first change in this transaction. */
export function touch(relation: Relation, id: u32, row: u32): bool {
  if (relation.fresh) return true;
  const meta = load<u32>(row);
  if ((meta & ROW_TOUCHED) != 0) return true;
  if (!noteChange(relation)) return false;
  // A row may wait as a candidate by now; before the transaction no row does.
  const before = meta & ~ROW_QUEUED;
  if (!pushThree(relation.touched, id, before, rankAt(relation, row))) return false;
  store<u32>(row, meta | ROW_TOUCHED);
  return true;
}

/** Keeps the ranks of all rows for a rollback: a row with another one need not be touched. */
export function saveRanks(relation: Relation): bool {
  if (relation.formerRanks != 0) return true;
  const block = allocate(max<u32>(relation.top << 2, 4));
  if (block == 0 || !noteChange(relation)) return false;
  relation.formerRanks = block;
  relation.formerRankCount = relation.top;
  for (let id: u32 = 0; id < relation.top; id++)
    store<u32>(block + (id << 2), rankAt(relation, rowAddress(relation, id)));
  return true;
}

/** A place without a row has the next free one where a row has its rank. */
export function restoreRanks(relation: Relation): void {
  for (let id: u32 = 0; id < relation.formerRankCount; id++) {
    const row = rowAddress(relation, id);
    if ((load<u32>(row) & ROW_USED) == 0) continue;
    setRankAt(relation, row, load<u32>(relation.formerRanks + (id << 2)));
  }
  dropRanks(relation);
}

export function dropRanks(relation: Relation): void {
  if (relation.formerRanks == 0) return;
  release(relation.formerRanks, max<u32>(relation.formerRankCount << 2, 4));
  relation.formerRanks = 0;
  relation.formerRankCount = 0;
}

/** True for a row that must stay: readers or the state after the transaction know it. */
export function isNeeded(meta: u32): bool {
  return (meta & (ROW_LIVE | ROW_OLD | ROW_BASE)) != 0 || meta >> WEIGHT_SHIFT != 0;
}

/** Bytes of rows and sets; indexes count their own. */
export function rowBytes(relation: Relation): u32 {
  return relation.capacity * relation.stride;
}

export function destroyRelation(relation: Relation): void {
  dropRanks(relation);
  let rows = relation.capacity;
  let at: u32 = 0;
  while (rows > 0) {
    const count = min(rows, SEGMENT_COUNT);
    release(load<u32>(relation.directory + (at << 2)), count * relation.stride);
    rows -= count;
    at += 1;
  }
  release(relation.directory, relation.directoryWords << 2);
  destroyIdSet(relation.set);
  for (let i: u32 = 0; i < relation.indexCount; i++) destroyIndex(indexAt(relation, i));
  release(relation.indexes, INDEX_SLOTS << 2);
  destroyVector(relation.free);
  destroyVector(relation.touched);
  destroyVector(relation.delta);
  destroyVector(relation.pending);
  destroyVector(relation.recent);
  release(changetype<usize>(relation) as u32, offsetof<Relation>() as u32);
}
