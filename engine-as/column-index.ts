/*
 * Rows of a relation by some of their columns. The set of keys holds, for each key, 28 bits:
 *
 *   row id                  the only row of its key
 *   SHARED | run            2 to 32 ids: a run (run-store.ts)
 *   SHARED | run of 16 B    more: | count | head | tail | unused |
 *                              head ─► chunk | next | previous | capacity | fill | id id … | ─► …
 *
 * The key itself is read from the first row. Chunks have up to 252 ids and are never moved, and a
 * run that grew leaves its ids behind until the transaction ends: rows that come leave cursors
 * valid. Where rows can be deleted, `positions` holds for each row in a chunk the address of its
 * place; the last id of the group moves into the gap, so removal costs the same in a group of a
 * million. Nothing is removed while a cursor is under way (relation.ts).
 */
import { hashCells } from './hash';
import {
  bucketAt,
  bucketBehind,
  bucketCount,
  createIdSet,
  destroyIdSet,
  homeOf,
  idAt,
  IdSet,
  idSetBytes,
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
  RunStore,
  runStoreBytes,
  takeRun,
} from './run-store';

/** In what a key has: a run, not a row. */
const SHARED: u32 = 1 << RUN_ID_BITS;
const ONE: u32 = 1 << RUN_ID_BITS;
/** Of an id in a run or chunk: the bits above belong to the run. */
export const GROUP_ID_MASK: u32 = RUN_ID_MASK;
/** Size of the record of a group with chunks, as of a run. */
const RECORD_SIZE: u32 = 1;
/** A group with chunks becomes a run again when so many ids are left. */
const RUN_IDS_AGAIN: u32 = 16;

/** Positions stand in segments of 256, made where a row needs one. */
const POSITION_SHIFT: u32 = 8;
const POSITION_MASK: u32 = (1 << POSITION_SHIFT) - 1;
const POSITION_BYTES: u32 = 4 << POSITION_SHIFT;
export const CHUNK_HEADER: u32 = 16;
/** With its header a chunk has 256, 512 or 1024 bytes. */
const FIRST_IDS: u32 = 60;
const CHUNK_IDS_MAX: u32 = 252;

@unmanaged
export class ColumnIndex {
  relation: Relation;
  columnCount: u32;
  /** Address of the column numbers, ascending. */
  columns: u32;
  set: IdSet;
  runs: RunStore;
  /** Directory of positions, the segments that it has room for, and how many there are. */
  positions: u32;
  positionRoom: u32;
  positionSegments: u32;
  hasPositions: bool;
  /** Bytes of chunks. */
  chunkBytes: u32;
  /** Groups with chunks. */
  chunkGroups: u32;
  /** Rows below this id are in; while it is built it lags behind the relation. */
  builtTo: u32;
  ready: bool;
  /** Address of the last program that named it. */
  program: u32;
}

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
  if (index.columns != 0 && changetype<usize>(index.set) != 0 && changetype<usize>(index.runs) != 0) {
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
  return (word >> RUN_ID_BITS != 0 ? word : load<u32>(load<u32>(run, 4), CHUNK_HEADER)) & RUN_ID_MASK;
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

/** Where the last search found its key. */
let foundBucket: u32 = 0;
let foundPlace: u32 = 0;

/** What the set has for a key (cells in the index's column order), or NOT_FOUND. */
function findEntry(index: ColumnIndex, key: u32, hash: u32): u32 {
  const shard = shardOf(index.set, hash);
  let number = homeOf(shard, hash);
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
  }
}

/* Reading. */

/** Of the group that `findGroup` found: address of its first id, end of the ids there, chunk or 0. */
export let groupIds: u32 = 0;
export let groupEnd: u32 = 0;
export let groupChunk: u32 = 0;
const onlyId: u32 = memory.data(4, 4) as u32;

/**
 * Rows of a key (cells in the index's column order). Their ids, under GROUP_ID_MASK, stand at
 * `groupIds`, then in the chunks behind `groupChunk`; a single one stands there until the next call.
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

/** Room in the directory for the positions of `rows` rows. */
export function reservePositions(index: ColumnIndex, rows: u32): bool {
  const segments = (rows + POSITION_MASK) >> POSITION_SHIFT;
  if (!index.hasPositions || segments <= index.positionRoom) return true;
  const room = max(segments, index.positionRoom << 1);
  const wider = allocateZeroed(room << 2);
  if (wider == 0) return false;
  memory.copy(wider, index.positions, index.positionRoom << 2);
  release(index.positions, index.positionRoom << 2);
  index.positions = wider;
  index.positionRoom = room;
  return true;
}

/** A small block; the reserve of memory.ts stands behind it. Without it the place is searched for. */
function setPosition(index: ColumnIndex, id: u32, address: u32): void {
  if (!index.hasPositions) return;
  const place = index.positions + ((id >> POSITION_SHIFT) << 2);
  let segment = load<u32>(place);
  if (segment == 0) {
    segment = allocateZeroed(POSITION_BYTES);
    if (segment == 0) return;
    store<u32>(place, segment);
    index.positionSegments += 1;
  }
  store<u32>(segment + ((id & POSITION_MASK) << 2), address);
}

function positionOf(index: ColumnIndex, id: u32): u32 {
  if (!index.hasPositions) return 0;
  const segment = load<u32>(index.positions + ((id >> POSITION_SHIFT) << 2));
  return segment == 0 ? 0 : load<u32>(segment + ((id & POSITION_MASK) << 2));
}

/** A small block; the reserve of memory.ts stands behind it, so it is always there. */
function createChunk(index: ColumnIndex, capacity: u32, previous: u32): u32 {
  const bytes = CHUNK_HEADER + (capacity << 2);
  const chunk = allocate(bytes);
  index.chunkBytes += bytes;
  store<u32>(chunk, 0);
  store<u32>(chunk, previous, 4);
  store<u32>(chunk, capacity, 8);
  store<u32>(chunk, 0, 12);
  return chunk;
}

function destroyChunk(index: ColumnIndex, chunk: u32): void {
  const bytes = CHUNK_HEADER + (load<u32>(chunk, 8) << 2);
  index.chunkBytes -= bytes;
  release(chunk, bytes);
}

/** Adds an id behind the others of a group with chunks; `expected`: it and as many as will follow. */
function appendToChunks(index: ColumnIndex, group: u32, id: u32, expected: u32): void {
  let tail = load<u32>(group, 8);
  const capacity = load<u32>(tail, 8);
  if (load<u32>(tail, 12) == capacity) {
    const next = createChunk(index, chunkRoom(max(expected, capacity + 1)), tail);
    store<u32>(tail, next);
    store<u32>(group, next, 8);
    tail = next;
  }
  const fill = load<u32>(tail, 12);
  const at = tail + CHUNK_HEADER + (fill << 2);
  store<u32>(at, id);
  store<u32>(tail, fill + 1, 12);
  store<u32>(group, load<u32>(group) + 1);
  setPosition(index, id, at);
}

/** Places of a chunk for `count` ids, or of one of several. */
function chunkRoom(count: u32): u32 {
  let room = FIRST_IDS;
  while (room < count && room < CHUNK_IDS_MAX) room = (room << 1) + 4;
  return room;
}

/** The record of a group with an empty chunk; its run. */
function startChunks(index: ColumnIndex, expected: u32): u32 {
  const run = takeRun(index.runs, RECORD_SIZE);
  const group = runAddress(index.runs, run);
  const chunk = createChunk(index, chunkRoom(expected), 0);
  store<u32>(group, 0);
  store<u32>(group, chunk, 4);
  store<u32>(group, chunk, 8);
  index.chunkGroups += 1;
  return run;
}

function setFound(entry: u32): void {
  setIdAt(foundBucket, foundPlace, entry);
}

/** Adds a row whose room `reserveInIndex` and `reservePositions` made. */
export function addToIndex(index: ColumnIndex, id: u32, cells: u32): void {
  if (!index.ready && id >= index.builtTo) return;
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
  const record = startChunks(index, FIRST_IDS);
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
  if (!index.ready && load<u32>(ids) >= index.builtTo) return true;
  const cells = rowAddress(index.relation, load<u32>(ids)) + index.relation.cellsAt;
  const hash = hashKey(index, cells);
  if (!reserveId(index.set, hash) || !reserveRun(index.runs)) return false;
  const entry = findEntry(index, keyBuffer, hash);
  if (entry == NOT_FOUND) {
    putId(index.set, hash, count == 1 ? load<u32>(ids) : SHARED | groupOf(index, ids, 0, ids, count));
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
  if (!index.ready && id >= index.builtTo) return;
  const hash = hashKey(index, cells);
  const entry = findEntry(index, keyBuffer, hash);
  if ((entry & SHARED) == 0) {
    removeId(index.set, hash, entry);
    return;
  }
  const run = entry & RUN_ID_MASK;
  if (load<u32>(runAddress(index.runs, run)) >> RUN_ID_BITS != 0) removeFromRun(index, run, id);
  else removeFromChunks(index, run, id);
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

function removeFromChunks(index: ColumnIndex, run: u32, id: u32): void {
  const group = runAddress(index.runs, run);
  const tail = load<u32>(group, 8);
  const fill = load<u32>(tail, 12) - 1;
  const last = load<u32>(tail + CHUNK_HEADER + (fill << 2));
  let gap = positionOf(index, id);
  if (gap == 0) gap = searchChunks(load<u32>(group, 4), id);
  store<u32>(gap, last);
  setPosition(index, last, gap);
  store<u32>(tail, fill, 12);
  if (fill == 0) {
    const previous = load<u32>(tail, 4);
    store<u32>(group, previous, 8);
    store<u32>(previous, 0);
    destroyChunk(index, tail);
  }
  const count = load<u32>(group) - 1;
  store<u32>(group, count);
  if (count == RUN_IDS_AGAIN && reserveRun(index.runs)) moveToRun(index, run);
}

/** From chunks to a run. */
function moveToRun(index: ColumnIndex, record: u32): void {
  const group = runAddress(index.runs, record);
  const run = takeRun(index.runs, runSize(RUN_IDS_AGAIN));
  const address = runAddress(index.runs, run);
  let to = address;
  for (let chunk = load<u32>(group, 4); chunk != 0;) {
    const bytes = load<u32>(chunk, 12) << 2;
    memory.copy(to, chunk + CHUNK_HEADER, bytes);
    to += bytes;
    const next = load<u32>(chunk);
    destroyChunk(index, chunk);
    chunk = next;
  }
  store<u32>(address, load<u32>(address) | ((RUN_IDS_AGAIN - 1) << RUN_ID_BITS));
  setFound(SHARED | run);
  freeRun(index.runs, record, RECORD_SIZE);
  index.chunkGroups -= 1;
}

/** Address of an id in the chunks from `chunk` on; it is there. */
function searchChunks(chunk: u32, id: u32): u32 {
  while (true) {
    const end = chunk + CHUNK_HEADER + (load<u32>(chunk, 12) << 2);
    for (let at = chunk + CHUNK_HEADER; at < end; at += 4) {
      if (load<u32>(at) == id) return at;
    }
    chunk = load<u32>(chunk);
  }
}

export function indexBytes(index: ColumnIndex): u32 {
  return (
    idSetBytes(index.set) +
    runStoreBytes(index.runs) +
    index.chunkBytes +
    index.positionSegments * POSITION_BYTES +
    (index.positionRoom << 2)
  );
}

/** Also one that was made by half. */
export function destroyIndex(index: ColumnIndex): void {
  if (changetype<usize>(index.set) != 0) destroyChunks(index);
  const segments = index.positionRoom;
  for (let i: u32 = 0; i < segments; i++)
    release(load<u32>(index.positions + (i << 2)), POSITION_BYTES);
  release(index.positions, segments << 2);
  destroyIdSet(index.set);
  destroyRunStore(index.runs);
  release(index.columns, index.columnCount << 2);
  release(changetype<usize>(index) as u32, offsetof<ColumnIndex>() as u32);
}

function destroyChunks(index: ColumnIndex): void {
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
  if (load<u32>(group) >> RUN_ID_BITS != 0) return;
  for (let chunk = load<u32>(group, 4); chunk != 0;) {
    const next = load<u32>(chunk);
    destroyChunk(index, chunk);
    chunk = next;
  }
  index.chunkGroups -= 1;
}
