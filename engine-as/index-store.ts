/*
 * An index's own: what it is made of, and the groups that have too many rows for a run.
 *
 *   record: | count | head | tail | unused |     a run of 16 bytes (run-store.ts)
 *              head ─► chunk | next | previous | capacity | fill | id id … | ─► … ◄─ tail
 *
 * Chunks have up to 252 ids and never move; all but the last are full. Where rows can be deleted,
 * `positions` holds for each row in a chunk the address of its place; the last id of the group
 * moves into the gap, so removal costs the same in a group of a million.
 */
import { IdSet, idSetBytes } from './id-set';
import { allocate, allocateZeroed, release } from './memory';
import { Relation } from './row-store';
import { RunStore, runAddress, runStoreBytes, takeRun } from './run-store';

/** Size of the record of a group with chunks, as of a run. */
export const RECORD_SIZE: u32 = 1;

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
  /** All rows are in, or are about to be: before, who adds and removes rows passes it over. */
  ready: bool;
  /** Address of the last program that named it. */
  program: u32;
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

/** A small block, with the reserve of memory.ts behind it. Without it the place is searched for. */
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

/** Adds an id behind the others of a group; `expected`: it and as many as will follow. */
export function appendToChunks(index: ColumnIndex, group: u32, id: u32, expected: u32): void {
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
export function startChunks(index: ColumnIndex, expected: u32): u32 {
  const run = takeRun(index.runs, RECORD_SIZE);
  const group = runAddress(index.runs, run);
  const chunk = createChunk(index, chunkRoom(expected), 0);
  store<u32>(group, 0);
  store<u32>(group, chunk, 4);
  store<u32>(group, chunk, 8);
  index.chunkGroups += 1;
  return run;
}

/** Takes an id out; answers how many are left. */
export function removeFromChunks(index: ColumnIndex, group: u32, id: u32): u32 {
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
  return count;
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

/** Gives back the chunks of a group. */
export function destroyChunks(index: ColumnIndex, group: u32): void {
  for (let chunk = load<u32>(group, 4); chunk != 0;) {
    const next = load<u32>(chunk);
    destroyChunk(index, chunk);
    chunk = next;
  }
  index.chunkGroups -= 1;
}

export function destroyPositions(index: ColumnIndex): void {
  for (let i: u32 = 0; i < index.positionRoom; i++)
    release(load<u32>(index.positions + (i << 2)), POSITION_BYTES);
  release(index.positions, index.positionRoom << 2);
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
