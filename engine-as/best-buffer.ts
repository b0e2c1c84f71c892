/*
 * The best few rows of a group, for min, max, argmin and argmax: when the best one goes, the next
 * is known, and the group is looked through again only when all of them went.
 *
 *   | entries u32 | capacity u32 | complete u32 | – |  entry: | key | value | rows | …
 *
 * Entries stand in order, the best first: by key (downwards for max), of equal keys the smallest
 * value. Of min and max the value is the key. Several rows may have one entry. `complete`: there is
 * no row but those of the entries; else all others are worse than the last entry.
 */
import { allocate, release } from './memory';
import { sabotage, SABOTAGE_CANDIDATES } from './sabotage';
import { compareCells, markCell } from './value-table';

const HEADER_BYTES: u32 = 16;
const ENTRY_BYTES: u32 = 12;
const ENTRIES_MIN: u32 = 2;
/** A buffer that rows fill, and one that a look through the group fills. */
const ENTRIES_MAX: u32 = 8;
const ENTRIES_REFILLED: u32 = 64;

function entryAt(buffer: u32, place: u32): u32 {
  return buffer + HEADER_BYTES + place * ENTRY_BYTES;
}

/** An empty, complete buffer; 0 without memory. */
function createBuffer(capacity: u32): u32 {
  const buffer = allocate(HEADER_BYTES + capacity * ENTRY_BYTES);
  if (buffer == 0) return 0;
  store<u32>(buffer, 0);
  store<u32>(buffer, capacity, 4);
  store<u32>(buffer, 1, 8);
  return buffer;
}

export function destroyBuffer(buffer: u32): void {
  if (buffer != 0) release(buffer, HEADER_BYTES + load<u32>(buffer, 4) * ENTRY_BYTES);
}

/** For a group without rows so far; 0 without memory, which stands for a group to look through. */
export function firstBuffer(): u32 {
  return createBuffer(sabotage == SABOTAGE_CANDIDATES ? 1 : ENTRIES_MIN);
}

/** The buffer emptied, with room for what a look through a group of `rows` rows will find. */
export function refilledBuffer(buffer: u32, rows: u32): u32 {
  let capacity = rows > ENTRIES_MAX ? ENTRIES_REFILLED : ENTRIES_MAX;
  if (sabotage == SABOTAGE_CANDIDATES) capacity = 1;
  if (buffer != 0 && load<u32>(buffer, 4) >= capacity) {
    store<u32>(buffer, 0);
    store<u32>(buffer, 1, 8);
    return buffer;
  }
  const larger = createBuffer(capacity);
  if (larger != 0) destroyBuffer(buffer);
  return larger;
}

/** True where the best entry is known. */
export function knowsBest(buffer: u32): bool {
  return buffer != 0 && load<u32>(buffer) != 0;
}

export function bestValue(buffer: u32): u32 {
  return load<u32>(buffer, HEADER_BYTES + 4);
}

/** Below 0: entry a goes before (key, value). */
function compareEntry(entry: u32, key: u32, value: u32, isMax: bool): i32 {
  const order = compareCells(load<u32>(entry), key);
  if (order != 0) return isMax ? -order : order;
  return compareCells(load<u32>(entry, 4), value);
}

let isFound: bool = false;

/** The place of an entry (`isFound`), or where it would go. */
function placeOf(buffer: u32, key: u32, value: u32, isMax: bool): u32 {
  let from: u32 = 0;
  let to = load<u32>(buffer);
  while (from < to) {
    const middle = (from + to) >> 1;
    const order = compareEntry(entryAt(buffer, middle), key, value, isMax);
    if (order == 0) {
      isFound = true;
      return middle;
    }
    if (order < 0) from = middle + 1;
    else to = middle;
  }
  isFound = false;
  return from;
}

/** Takes a row in; answers the buffer, which may have moved. */
export function addCandidate(buffer: u32, key: u32, value: u32, isMax: bool): u32 {
  const place = placeOf(buffer, key, value, isMax);
  if (isFound) {
    const entry = entryAt(buffer, place);
    store<u32>(entry, load<u32>(entry, 8) + 1, 8);
    return buffer;
  }
  let count = load<u32>(buffer);
  const isComplete = load<u32>(buffer, 8) != 0;
  if (place == count && !isComplete) return buffer;
  if (count == load<u32>(buffer, 4)) {
    const larger = count < ENTRIES_MAX && sabotage != SABOTAGE_CANDIDATES ? grow(buffer) : 0;
    if (larger != 0) buffer = larger;
    else {
      store<u32>(buffer, 0, 8);
      if (place == count) return buffer;
      count -= 1;
    }
  }
  const entry = entryAt(buffer, place);
  memory.copy(entry + ENTRY_BYTES, entry, (count - place) * ENTRY_BYTES);
  store<u32>(entry, key);
  store<u32>(entry, value, 4);
  store<u32>(entry, 1, 8);
  store<u32>(buffer, count + 1);
  return buffer;
}

/** A copy with twice the room; 0 without memory. */
function grow(buffer: u32): u32 {
  const larger = createBuffer(load<u32>(buffer, 4) << 1);
  if (larger == 0) return 0;
  const count = load<u32>(buffer);
  store<u32>(larger, count);
  store<u32>(larger, load<u32>(buffer, 8), 8);
  memory.copy(entryAt(larger, 0), entryAt(buffer, 0), count * ENTRY_BYTES);
  destroyBuffer(buffer);
  return larger;
}

/** Takes a row out; one without an entry was none of the best. */
export function takeCandidate(buffer: u32, key: u32, value: u32, isMax: bool): void {
  const place = placeOf(buffer, key, value, isMax);
  if (!isFound) return;
  const entry = entryAt(buffer, place);
  const rows = load<u32>(entry, 8) - 1;
  store<u32>(entry, rows, 8);
  if (rows != 0) return;
  const count = load<u32>(buffer) - 1;
  memory.copy(entry, entry + ENTRY_BYTES, (count - place) * ENTRY_BYTES);
  store<u32>(buffer, count);
}

export function markBuffer(buffer: u32): void {
  if (buffer == 0) return;
  const end = entryAt(buffer, load<u32>(buffer));
  for (let entry = entryAt(buffer, 0); entry < end; entry += ENTRY_BYTES) {
    markCell(load<u32>(entry));
    markCell(load<u32>(entry, 4));
  }
}
