/*
 * Rows of a relation by some of their columns. The set of keys holds, for each key, 28 bits:
 *
 *   row id                  the only row of its key
 *   SHARED | run            2 to 32 ids: a run (run-store.ts)
 *   SHARED | record         more: chunks (index-store.ts)
 *
 * The key itself is read from the first row. Chunks are never moved, and a run that grew leaves its
 * ids behind until the transaction ends: rows that come leave cursors valid. Nothing is removed
 * while a cursor is under way (relation.ts).
 */
import { hashCells } from './hash';
import {
  bucketAt,
  bucketBehind,
  bucketCount,
  createIdSet,
  destroyIdSet,
  homeBucket,
  homeOf,
  idAt,
  isPassed,
  NOT_FOUND,
  placesOf,
  putId,
  removeId,
  reserveId,
  setIdAt,
  shardCount,
  shardNumber,
  shardOf,
  usedPlaces,
} from './id-set';
import {
  appendToChunks,
  CHUNK_HEADER,
  ColumnIndex,
  destroyChunks,
  destroyPositions,
  RECORD_SIZE,
  removeFromChunks,
  startChunks,
} from './index-store';
import { allocate, allocateZeroed, release } from './memory';
import { Relation, rowAddress } from './row-store';
import {
  createRunStore,
  destroyRunStore,
  freeRun,
  freeRunLater,
  reserveRun,
  RUN_ID_BITS,
  RUN_ID_MASK,
  RUN_IDS_MAX,
  runAddress,
  runSize,
  takeRun,
} from './run-store';

/** In what a key has: a run, not a row. */
const SHARED: u32 = 1 << RUN_ID_BITS;
const ONE: u32 = 1 << RUN_ID_BITS;
/** Of an id in a run or chunk: the bits above belong to the run. */
export const GROUP_ID_MASK: u32 = RUN_ID_MASK;
/** A group with chunks becomes a run again when so many ids are left. */
const RUN_IDS_AGAIN: u32 = 16;

const keyBuffer: u32 = memory.data(64 * 4, 8) as u32;

export function createIndex(
  relation: Relation,
  columns: u32,
  columnCount: u32,
  hasPositions: bool,
): ColumnIndex {
  const none = changetype<ColumnIndex>(0);
  const index = changetype<ColumnIndex>(allocateZeroed(offsetof<ColumnIndex>()) as usize);
  if (changetype<usize>(index) == 0) return index;
  index.relation = relation;
  index.columnCount = columnCount;
  index.columns = allocate(columnCount << 2);
  index.hasPositions = hasPositions;
  index.set = createIdSet(changetype<usize>(index) as u32, hashKeys);
  index.runs = createRunStore();
  if (
    index.columns != 0 &&
    changetype<usize>(index.set) != 0 &&
    changetype<usize>(index.runs) != 0
  ) {
    memory.copy(index.columns, columns, columnCount << 2);
    return index;
  }
  destroyIndex(index);
  return none;
}

/* Keys. */

/** Copies the key columns of a row into the key buffer and hashes them. */
function hashKey(index: ColumnIndex, cells: u32): u32 {
  const count = index.columnCount;
  for (let i: u32 = 0; i < count; i++) {
    const column = load<u32>(index.columns + (i << 2));
    store<u32>(keyBuffer + (i << 2), load<u32>(cells + (column << 2)));
  }
  return hashCells(keyBuffer, count);
}

/** Address of the cells of the first row of a key. */
function firstCells(index: ColumnIndex, entry: u32): u32 {
  const row = (entry & SHARED) == 0 ? entry : firstRow(index, entry);
  return rowAddress(index.relation, row) + index.relation.cellsAt;
}

function firstRow(index: ColumnIndex, entry: u32): u32 {
  const run = runOf(index, entry);
  const word = load<u32>(run);
  return (
    (word >> RUN_ID_BITS != 0 ? word : load<u32>(load<u32>(run, 4), CHUNK_HEADER)) & RUN_ID_MASK
  );
}

function runOf(index: ColumnIndex, entry: u32): u32 {
  return runAddress(index.runs, entry & RUN_ID_MASK);
}

function hashKeys(owner: u32, entries: u32, count: u32, hashes: u32): void {
  const index = changetype<ColumnIndex>(owner as usize);
  for (let i: u32 = 0; i < count << 2; i += 4)
    store<u32>(hashes + i, hashKey(index, firstCells(index, load<u32>(entries + i))));
}

function hasKey(index: ColumnIndex, entry: u32, key: u32): bool {
  const cells = firstCells(index, entry);
  const count = index.columnCount;
  for (let i: u32 = 0; i < count; i++) {
    const column = load<u32>(index.columns + (i << 2));
    if (load<u32>(cells + (column << 2)) != load<u32>(key + (i << 2))) return false;
  }
  return true;
}

/** Address of the bucket where the search for a row's key begins. */
export function keyBucket(index: ColumnIndex, cells: u32): u32 {
  return homeBucket(index.set, hashKey(index, cells));
}

/** Where the last search found its key. */
let foundBucket: u32 = 0;
let foundPlace: u32 = 0;

/** What the set has for a key (cells in the index's column order), or NOT_FOUND. */
function findEntry(index: ColumnIndex, key: u32, hash: u32): u32 {
  const shard = shardOf(index.set, hash);
  const home = homeOf(shard, hash);
  let number = home;
  while (true) {
    const bucket = bucketAt(shard, number);
    for (let places = placesOf(bucket, hash); places != 0; places &= places - 1) {
      const place = ctz(places);
      const entry = idAt(bucket, place);
      if (!hasKey(index, entry, key)) continue;
      foundBucket = bucket;
      foundPlace = place;
      return entry;
    }
    if (!isPassed(bucket)) return NOT_FOUND;
    number = bucketBehind(shard, number);
    if (number == home) return NOT_FOUND;
  }
}

/* Reading. */

/** Of the group that `findGroup` found: address of its first id, end of these ids, chunk or 0. */
export let groupIds: u32 = 0;
export let groupEnd: u32 = 0;
export let groupChunk: u32 = 0;
const onlyId: u32 = memory.data(4, 4) as u32;

/**
 * Rows of a key (cells in the index's column order). Their ids, under GROUP_ID_MASK, stand at
 * `groupIds`, then in the chunks behind `groupChunk`; a single one until the next call.
 */
export function findGroup(index: ColumnIndex, key: u32): u32 {
  const entry = findEntry(index, key, hashCells(key, index.columnCount));
  if (entry == NOT_FOUND) return 0;
  groupChunk = 0;
  if ((entry & SHARED) == 0) {
    store<u32>(onlyId, entry);
    groupIds = onlyId;
    groupEnd = onlyId + 4;
    return 1;
  }
  const run = runOf(index, entry);
  const word = load<u32>(run);
  const more = word >> RUN_ID_BITS;
  if (more != 0) {
    groupIds = run;
    groupEnd = run + ((more + 1) << 2);
    return more + 1;
  }
  openChunk(load<u32>(run, 4));
  return word;
}

/**
 * Writes a cursor over the rows of a key, whose ids are under GROUP_ID_MASK: | rows left | address
 * of the next id | end of its chunk | chunk, or the id itself |.
 */
export function openCursor(index: ColumnIndex, key: u32, cursor: u32): void {
  const count = findGroup(index, key);
  store<u32>(cursor, count);
  if (count == 0) return;
  if (count == 1) {
    store<u32>(cursor, load<u32>(groupIds), 12);
    store<u32>(cursor, cursor + 12, 4);
    store<u32>(cursor, cursor + 16, 8);
    return;
  }
  store<u32>(cursor, groupIds, 4);
  store<u32>(cursor, groupEnd, 8);
  store<u32>(cursor, groupChunk, 12);
}

/** Goes on with the ids of the next chunk of a group. */
export function openChunk(chunk: u32): void {
  groupChunk = chunk;
  groupIds = chunk + CHUNK_HEADER;
  groupEnd = groupIds + (load<u32>(chunk, 8) << 2);
}

/* Adding. */

/** Room for one more row; false without memory. */
export function reserveInIndex(index: ColumnIndex, cells: u32): bool {
  return reserveId(index.set, hashKey(index, cells)) && reserveRun(index.runs);
}

function setFound(entry: u32): void {
  setIdAt(foundBucket, foundPlace, entry);
}

/** Adds a row whose room `reserveInIndex` and `reservePositions` made. */
export function addToIndex(index: ColumnIndex, id: u32, cells: u32): void {
  if (!index.ready) return;
  const hash = hashKey(index, cells);
  const entry = findEntry(index, keyBuffer, hash);
  if (entry == NOT_FOUND) {
    putId(index.set, hash, id);
    return;
  }
  if ((entry & SHARED) == 0) {
    const run = takeRun(index.runs, 0);
    const address = runAddress(index.runs, run);
    store<u32>(address, ONE | entry);
    store<u32>(address, id, 4);
    setFound(SHARED | run);
    return;
  }
  const address = runOf(index, entry);
  const more = load<u32>(address) >> RUN_ID_BITS;
  if (more == 0) appendToChunks(index, address, id, 1);
  else if (more + 1 == RUN_IDS_MAX) moveToChunks(index, entry & RUN_ID_MASK, id);
  else appendToRun(index, entry & RUN_ID_MASK, id);
}

function appendToRun(index: ColumnIndex, run: u32, id: u32): void {
  const runs = index.runs;
  let address = runAddress(runs, run);
  const count = (load<u32>(address) >> RUN_ID_BITS) + 1;
  const size = runSize(count);
  if (count == 2 << size) {
    const larger = takeRun(runs, size + 1);
    const to = runAddress(runs, larger);
    for (let i: u32 = 0; i < count << 2; i += 4) store<u32>(to + i, load<u32>(address + i));
    setFound(SHARED | larger);
    leaveRun(index, run, size);
    address = to;
  }
  store<u32>(address + (count << 2), id);
  store<u32>(address, load<u32>(address) + ONE);
}

/** Of an index that is being built nobody reads. */
function leaveRun(index: ColumnIndex, run: u32, size: u32): void {
  if (index.ready) freeRunLater(index.runs, run, size);
  else freeRun(index.runs, run, size);
}

/** From a full run of the largest size to chunks, with one id more. */
function moveToChunks(index: ColumnIndex, run: u32, id: u32): void {
  const record = startChunks(index, RUN_IDS_MAX + 1);
  const group = runAddress(index.runs, record);
  const address = runAddress(index.runs, run);
  for (let i: u32 = 0; i < RUN_IDS_MAX << 2; i += 4)
    appendToChunks(index, group, load<u32>(address + i) & RUN_ID_MASK, 1);
  appendToChunks(index, group, id, 1);
  setFound(SHARED | record);
  leaveRun(index, run, runSize(RUN_IDS_MAX));
}

/**
 * Adds rows of one key that are not there, whose positions have room; false without memory.
 */
export function addRowsToIndex(index: ColumnIndex, ids: u32, count: u32): bool {
  if (!index.ready) return true;
  const cells = rowAddress(index.relation, load<u32>(ids)) + index.relation.cellsAt;
  const hash = hashKey(index, cells);
  if (!reserveId(index.set, hash) || !reserveRun(index.runs)) return false;
  const entry = findEntry(index, keyBuffer, hash);
  if (entry == NOT_FOUND) {
    putId(
      index.set,
      hash,
      count == 1 ? load<u32>(ids) : SHARED | groupOf(index, ids, 0, ids, count),
    );
    return true;
  }
  if ((entry & SHARED) == 0) {
    store<u32>(onlyId, entry);
    setFound(SHARED | groupOf(index, onlyId, 1, ids, count));
    return true;
  }
  const run = runOf(index, entry);
  const present = load<u32>(run) >> RUN_ID_BITS;
  if (present == 0) {
    appendAll(index, run, ids, count);
    return true;
  }
  const size = runSize(present + 1);
  if (present + 1 + count <= 2 << size) {
    memory.copy(run + ((present + 1) << 2), ids, count << 2);
    store<u32>(run, load<u32>(run) + (count << RUN_ID_BITS));
    return true;
  }
  setFound(SHARED | groupOf(index, run, present + 1, ids, count));
  leaveRun(index, entry & RUN_ID_MASK, size);
  return true;
}

/** The run of a new group of ids in two parts. */
function groupOf(index: ColumnIndex, first: u32, present: u32, ids: u32, count: u32): u32 {
  const total = present + count;
  if (total > RUN_IDS_MAX) {
    const record = startChunks(index, total);
    const group = runAddress(index.runs, record);
    for (let i: u32 = 0; i < present << 2; i += 4)
      appendToChunks(index, group, load<u32>(first + i) & RUN_ID_MASK, 1);
    appendAll(index, group, ids, count);
    return record;
  }
  const run = takeRun(index.runs, runSize(total));
  const address = runAddress(index.runs, run);
  memory.copy(address, first, present << 2);
  memory.copy(address + (present << 2), ids, count << 2);
  store<u32>(address, (load<u32>(address) & RUN_ID_MASK) | ((total - 1) << RUN_ID_BITS));
  return run;
}

function appendAll(index: ColumnIndex, group: u32, ids: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++)
    appendToChunks(index, group, load<u32>(ids + (i << 2)), count - i);
}

/* Removing. */

/** Takes a row out; its cells are still in place. */
export function removeFromIndex(index: ColumnIndex, id: u32, cells: u32): void {
  if (!index.ready) return;
  const hash = hashKey(index, cells);
  const entry = findEntry(index, keyBuffer, hash);
  if ((entry & SHARED) == 0) {
    removeId(index.set, hash, entry);
    return;
  }
  const run = entry & RUN_ID_MASK;
  if (load<u32>(runAddress(index.runs, run)) >> RUN_ID_BITS != 0) removeFromRun(index, run, id);
  else {
    const count = removeFromChunks(index, runAddress(index.runs, run), id);
    if (count == RUN_IDS_AGAIN && reserveRun(index.runs)) moveToRun(index, run);
  }
}

function removeFromRun(index: ColumnIndex, run: u32, id: u32): void {
  const address = runAddress(index.runs, run);
  const rest = load<u32>(address) >> RUN_ID_BITS;
  const size = runSize(rest + 1);
  let gap = address;
  while ((load<u32>(gap) & RUN_ID_MASK) != id) gap += 4;
  const last = load<u32>(address + (rest << 2)) & RUN_ID_MASK;
  store<u32>(gap, (load<u32>(gap) & ~RUN_ID_MASK) | last);
  store<u32>(address, load<u32>(address) - ONE);
  if (rest == 1) {
    setFound(load<u32>(address) & RUN_ID_MASK);
    freeRun(index.runs, run, size);
  } else if (runSize(rest) != size && reserveRun(index.runs)) {
    const smaller = takeRun(index.runs, size - 1);
    memory.copy(runAddress(index.runs, smaller), address, rest << 2);
    setFound(SHARED | smaller);
    freeRun(index.runs, run, size);
  }
}

/** From chunks to a run. */
function moveToRun(index: ColumnIndex, record: u32): void {
  const group = runAddress(index.runs, record);
  const run = takeRun(index.runs, runSize(RUN_IDS_AGAIN));
  const address = runAddress(index.runs, run);
  let to = address;
  for (let chunk = load<u32>(group, 4); chunk != 0; chunk = load<u32>(chunk)) {
    const bytes = load<u32>(chunk, 12) << 2;
    memory.copy(to, chunk + CHUNK_HEADER, bytes);
    to += bytes;
  }
  destroyChunks(index, group);
  store<u32>(address, load<u32>(address) | ((RUN_IDS_AGAIN - 1) << RUN_ID_BITS));
  setFound(SHARED | run);
  freeRun(index.runs, record, RECORD_SIZE);
}

/** Also one that was made by half. */
export function destroyIndex(index: ColumnIndex): void {
  if (changetype<usize>(index.set) != 0) destroyGroups(index);
  destroyPositions(index);
  destroyIdSet(index.set);
  destroyRunStore(index.runs);
  release(index.columns, index.columnCount << 2);
  release(changetype<usize>(index) as u32, offsetof<ColumnIndex>() as u32);
}

function destroyGroups(index: ColumnIndex): void {
  const shards = shardCount(index.set);
  for (let i: u32 = 0; i < shards && index.chunkGroups > 0; i++) {
    const shard = shardNumber(index.set, i);
    for (let number: u32 = 0; number < bucketCount(shard); number++) {
      const bucket = bucketAt(shard, number);
      for (let places = usedPlaces(bucket); places != 0; places &= places - 1)
        destroyGroup(index, idAt(bucket, ctz(places)));
    }
  }
}

function destroyGroup(index: ColumnIndex, entry: u32): void {
  if ((entry & SHARED) == 0) return;
  const group = runOf(index, entry);
  if (load<u32>(group) >> RUN_ID_BITS == 0) destroyChunks(index, group);
}
