/*
 * Rows of a relation by some of their columns.
 *
 *   key hash ─► id set ─► group:  | count | head | tail | next free |
 *                                    │
 *        count = 1: head is the row's id
 *        count > 1: head ─► chunk | next | previous | capacity | fill | id id id … | ─► … ◄─ tail
 *
 * Ids of a group stand in chunks of 4 to 252, so a join reads them in order. Where rows can be
 * deleted, `positions` holds for each row the address of its place in a chunk; the last id of the
 * group moves into the gap, and removal costs the same in a group of a million. Nothing is removed
 * while a cursor is under way (relation.ts).
 */
import { hashCells } from './hash';
import {
  createIdSet,
  destroyIdSet,
  IdSet,
  idSetBytes,
  NOT_FOUND,
  putId,
  removeId,
  reserveId,
  shardOf,
} from './id-set';
import { allocate, allocateZeroed, release } from './memory';
import { Relation, rowAddress } from './row-store';

const GROUP_BYTES: u32 = 16;
/**
 * Groups stand in segments of 64, positions in segments of 256, so that a small table stays small.
 */
const GROUP_SHIFT: u32 = 6;
const GROUP_MASK: u32 = (1 << GROUP_SHIFT) - 1;
const POSITION_SHIFT: u32 = 8;
const POSITION_MASK: u32 = (1 << POSITION_SHIFT) - 1;
const POSITION_COUNT: u32 = 1 << POSITION_SHIFT;
const CHUNK_HEADER: u32 = 16;
const FIRST_IDS: u32 = 4;
const CHUNK_IDS_MAX: u32 = 252;

@unmanaged
export class ColumnIndex {
  columnCount: u32;
  /** Address of the column numbers, ascending. */
  columns: u32;
  set: IdSet;
  /** Segments of groups. */
  groups: u32;
  groupSegments: u32;
  groupTop: u32;
  groupFree: u32;
  /** Directory of positions and the rows there is room for; unused without deletes. */
  positions: u32;
  positionRows: u32;
  hasPositions: bool;
  /** Bytes of chunks. */
  chunkBytes: u32;
  /** Rows below this id are in; while it is built it lags behind the relation. */
  builtTo: u32;
  ready: bool;
  /** Address of the last program that named it. */
  program: u32;
}

const GROUP_SEGMENTS_MAX: u32 = 0x400000;
const keyBuffer: u32 = memory.data(64 * 4, 8) as u32;

export function createIndex(columns: u32, columnCount: u32, hasPositions: bool): ColumnIndex {
  const index = changetype<ColumnIndex>(allocateZeroed(offsetof<ColumnIndex>()) as usize);
  if (changetype<usize>(index) == 0) return index;
  index.columnCount = columnCount;
  index.columns = allocate(columnCount << 2);
  if (index.columns == 0) return changetype<ColumnIndex>(0);
  memory.copy(index.columns, columns, columnCount << 2);
  index.set = createIdSet();
  index.groupFree = NOT_FOUND;
  index.hasPositions = hasPositions;
  if (changetype<usize>(index.set) == 0) return changetype<ColumnIndex>(0);
  return index;
}

function groupAddress(index: ColumnIndex, id: u32): u32 {
  return load<u32>(index.groups + ((id >> GROUP_SHIFT) << 2)) + ((id & GROUP_MASK) << 4);
}

/** Copies the key columns of a row into the key buffer and hashes them. */
function hashKey(index: ColumnIndex, cells: u32): u32 {
  const count = index.columnCount;
  for (let i: u32 = 0; i < count; i++) {
    const column = load<u32>(index.columns + (i << 2));
    store<u32>(keyBuffer + (i << 2), load<u32>(cells + (column << 2)));
  }
  return hashCells(keyBuffer, count);
}

function firstRow(group: u32): u32 {
  const head = load<u32>(group, 4);
  return load<u32>(group) == 1 ? head : load<u32>(head, CHUNK_HEADER);
}

/** Of a group whose key has the hash of another one; of one column that is enough. */
function hasKey(relation: Relation, index: ColumnIndex, group: u32, key: u32): bool {
  if (index.columnCount == 1) return true;
  const cells = rowAddress(relation, firstRow(group)) + relation.cellsAt;
  const count = index.columnCount;
  for (let i: u32 = 0; i < count; i++) {
    const column = load<u32>(index.columns + (i << 2));
    if (load<u32>(cells + (column << 2)) != load<u32>(key + (i << 2))) return false;
  }
  return true;
}

/** Address of the group of a key (cells in the index's column order), or 0. */
export function findGroup(relation: Relation, index: ColumnIndex, key: u32): u32 {
  const id = findGroupId(relation, index, key, hashCells(key, index.columnCount));
  return id == NOT_FOUND ? 0 : groupAddress(index, id);
}

function findGroupId(relation: Relation, index: ColumnIndex, key: u32, hash: u32): u32 {
  const shard = shardOf(index.set, hash);
  let slot = hash & shard.mask;
  while (true) {
    const at = shard.slots + (slot << 3);
    const entry = load<u32>(at, 4);
    if (entry == 0) return NOT_FOUND;
    if (load<u32>(at) == hash && hasKey(relation, index, groupAddress(index, entry - 1), key))
      return entry - 1;
    slot = (slot + 1) & shard.mask;
  }
}

/** Room for one more key and group; false without memory. */
export function reserveInIndex(index: ColumnIndex, cells: u32): bool {
  if (!reserveId(index.set, hashKey(index, cells))) return false;
  if (index.groupFree != NOT_FOUND || index.groupTop >> GROUP_SHIFT < index.groupSegments)
    return true;
  // First what the directory will hold: a directory without it would have an unknown size.
  const segment = allocate(GROUP_BYTES << GROUP_SHIFT);
  if (segment == 0) return false;
  if (!growDirectory(index)) {
    release(segment, GROUP_BYTES << GROUP_SHIFT);
    return false;
  }
  store<u32>(index.groups + (index.groupSegments << 2), segment);
  index.groupSegments += 1;
  return true;
}

/** Room for one more segment of groups in the directory, which starts small and doubles. */
function growDirectory(index: ColumnIndex): bool {
  if (index.groupSegments == 0) {
    index.groups = allocateZeroed(16);
    if (index.groups == 0) return false;
  } else if (index.groupSegments >= 4 && (index.groupSegments & (index.groupSegments - 1)) == 0) {
    if (index.groupSegments == GROUP_SEGMENTS_MAX) return false;
    const wider = allocateZeroed(index.groupSegments << 3);
    if (wider == 0) return false;
    memory.copy(wider, index.groups, index.groupSegments << 2);
    release(index.groups, index.groupSegments << 2);
    index.groups = wider;
  }
  return true;
}

/** Room for the positions of `rows` rows. */
export function reservePositions(index: ColumnIndex, rows: u32): bool {
  if (!index.hasPositions) return true;
  while (index.positionRows < rows) {
    const at = index.positionRows >> POSITION_SHIFT;
    const segment = allocate(POSITION_COUNT << 2);
    if (segment == 0) return false;
    if (index.positions == 0) {
      index.positions = allocateZeroed(16);
      if (index.positions == 0) {
        release(segment, POSITION_COUNT << 2);
        return false;
      }
    } else if (at >= 4 && (at & (at - 1)) == 0) {
      const wider = allocateZeroed(at << 3);
      if (wider == 0) {
        release(segment, POSITION_COUNT << 2);
        return false;
      }
      memory.copy(wider, index.positions, at << 2);
      release(index.positions, at << 2);
      index.positions = wider;
    }
    store<u32>(index.positions + (at << 2), segment);
    index.positionRows += POSITION_COUNT;
  }
  return true;
}

function setPosition(index: ColumnIndex, id: u32, address: u32): void {
  if (!index.hasPositions) return;
  const segment = load<u32>(index.positions + ((id >> POSITION_SHIFT) << 2));
  store<u32>(segment + ((id & POSITION_MASK) << 2), address);
}

function positionOf(index: ColumnIndex, id: u32): u32 {
  return load<u32>(
    load<u32>(index.positions + ((id >> POSITION_SHIFT) << 2)) + ((id & POSITION_MASK) << 2),
  );
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

function appendToChunk(index: ColumnIndex, chunk: u32, id: u32): void {
  const fill = load<u32>(chunk, 12);
  const at = chunk + CHUNK_HEADER + (fill << 2);
  store<u32>(at, id);
  store<u32>(chunk, fill + 1, 12);
  setPosition(index, id, at);
}

/** Adds a row whose room `reserveInIndex` and `reservePositions` made. */
export function addToIndex(relation: Relation, index: ColumnIndex, id: u32, cells: u32): void {
  if (!index.ready && id >= index.builtTo) return;
  const hash = hashKey(index, cells);
  const found = findGroupId(relation, index, keyBuffer, hash);
  if (found == NOT_FOUND) {
    let groupId = index.groupFree;
    if (groupId != NOT_FOUND) {
      index.groupFree = load<u32>(groupAddress(index, groupId), 12);
    } else {
      groupId = index.groupTop;
      index.groupTop += 1;
    }
    const group = groupAddress(index, groupId);
    store<u32>(group, 1);
    store<u32>(group, id, 4);
    putId(index.set, hash, groupId);
    return;
  }
  const group = groupAddress(index, found);
  const count = load<u32>(group);
  if (count == 1) {
    const chunk = createChunk(index, FIRST_IDS, 0);
    appendToChunk(index, chunk, load<u32>(group, 4));
    appendToChunk(index, chunk, id);
    store<u32>(group, chunk, 4);
    store<u32>(group, chunk, 8);
  } else {
    let tail = load<u32>(group, 8);
    if (load<u32>(tail, 12) == load<u32>(tail, 8)) {
      const next = createChunk(index, min(load<u32>(tail, 8) << 1, CHUNK_IDS_MAX), tail);
      store<u32>(tail, next);
      store<u32>(group, next, 8);
      tail = next;
    }
    appendToChunk(index, tail, id);
  }
  store<u32>(group, count + 1);
}

/**
 * Adds rows of one key that are not there, whose positions have room; false without memory.
 */
export function addRowsToIndex(relation: Relation, index: ColumnIndex, ids: u32, count: u32): bool {
  if (!index.ready && load<u32>(ids) >= index.builtTo) return true;
  const cells = rowAddress(relation, load<u32>(ids)) + relation.cellsAt;
  if (!reserveInIndex(index, cells)) return false;
  addToIndex(relation, index, load<u32>(ids), cells);
  if (count == 1) return true;
  const group = groupAddress(index, findGroupId(relation, index, keyBuffer, hashKey(index, cells)));
  const end = ids + (count << 2);
  let at = ids + 4;
  if (load<u32>(group) == 1) {
    const chunk = createChunk(index, chunkRoom(count), 0);
    appendToChunk(index, chunk, load<u32>(group, 4));
    store<u32>(group, chunk, 4);
    store<u32>(group, chunk, 8);
  }
  store<u32>(group, load<u32>(group) + count - 1);
  let tail = load<u32>(group, 8);
  while (at < end) {
    let room = load<u32>(tail, 8) - load<u32>(tail, 12);
    if (room == 0) {
      const next = createChunk(index, chunkRoom((end - at) >> 2), tail);
      store<u32>(tail, next);
      store<u32>(group, next, 8);
      tail = next;
      room = load<u32>(next, 8);
    }
    const stop = min(end, at + (room << 2));
    for (; at < stop; at += 4) appendToChunk(index, tail, load<u32>(at));
  }
  return true;
}

/** Places of a chunk for `count` ids: as growth one by one would have made them. */
function chunkRoom(count: u32): u32 {
  let room = FIRST_IDS;
  while (room < count && room < CHUNK_IDS_MAX) room <<= 1;
  return min(room, CHUNK_IDS_MAX);
}

/** Takes a row out; its cells are still in place. */
export function removeFromIndex(relation: Relation, index: ColumnIndex, id: u32, cells: u32): void {
  if (!index.ready && id >= index.builtTo) return;
  const hash = hashKey(index, cells);
  const groupId = findGroupId(relation, index, keyBuffer, hash);
  const group = groupAddress(index, groupId);
  const count = load<u32>(group);
  if (count == 1) {
    removeId(index.set, hash, groupId);
    store<u32>(group, 0);
    store<u32>(group, index.groupFree, 12);
    index.groupFree = groupId;
    return;
  }
  const tail = load<u32>(group, 8);
  const fill = load<u32>(tail, 12) - 1;
  const last = load<u32>(tail + CHUNK_HEADER + (fill << 2));
  const gap = index.hasPositions ? positionOf(index, id) : searchChunks(load<u32>(group, 4), id);
  store<u32>(gap, last);
  setPosition(index, last, gap);
  store<u32>(tail, fill, 12);
  if (fill == 0) {
    const previous = load<u32>(tail, 4);
    store<u32>(group, previous, 8);
    store<u32>(previous, 0);
    destroyChunk(index, tail);
  }
  store<u32>(group, count - 1);
  if (count == 2) {
    const chunk = load<u32>(group, 4);
    store<u32>(group, load<u32>(chunk, CHUNK_HEADER), 4);
    destroyChunk(index, chunk);
  }
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
    index.chunkBytes +
    ((index.groupSegments * GROUP_BYTES) << GROUP_SHIFT) +
    (index.positionRows << 2)
  );
}

export function destroyIndex(index: ColumnIndex): void {
  for (let i: u32 = 0; i < index.groupTop; i++) {
    const group = groupAddress(index, i);
    if (load<u32>(group) < 2) continue;
    let chunk = load<u32>(group, 4);
    while (chunk != 0) {
      const next = load<u32>(chunk);
      destroyChunk(index, chunk);
      chunk = next;
    }
  }
  for (let i: u32 = 0; i < index.groupSegments; i++) {
    release(load<u32>(index.groups + (i << 2)), GROUP_BYTES << GROUP_SHIFT);
  }
  if (index.groups != 0) release(index.groups, directoryBytes(index.groupSegments));
  const positionSegments = index.positionRows >> POSITION_SHIFT;
  for (let i: u32 = 0; i < positionSegments; i++) {
    release(load<u32>(index.positions + (i << 2)), POSITION_COUNT << 2);
  }
  if (index.positions != 0) release(index.positions, directoryBytes(positionSegments));
  destroyIdSet(index.set);
  release(index.columns, index.columnCount << 2);
  release(changetype<usize>(index) as u32, offsetof<ColumnIndex>() as u32);
}

/** Size of a directory of `segments` entries that starts with 4 and doubles when it is full. */
function directoryBytes(segments: u32): u32 {
  if (segments <= 4) return 16;
  return (1 << (32 - clz<u32>(segments - 1))) << 2;
}
