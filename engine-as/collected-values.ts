/*
 * The distinct values of a group in order, for collect:
 *
 *   | sorted u32 | changes u32 | capacity u32 | – |  entry: | cell | rows i32 | …
 *
 * First the `sorted` entries in the total order, each with the number of its rows, which is not 0;
 * behind them the changes since, a row more (1) or less (−1) each, in any order. They are worked in
 * when the list is asked for, or when there are as many of them as values: what a change costs does
 * not grow with the group.
 *
 * Where memory ends the buffer is given up (0), and the group is looked through again.
 */
import { STRING_BYTES_MAX, TAG_DOCUMENT, TAG_LIST, VALUE_DEPTH_MAX } from './abi';
import { FAILED } from './compute';
import { verifyEncoded } from './encoded-value';
import { allocate, release } from './memory';
import { cellBytes, writeCell } from './row-codec';
import { sabotage, SABOTAGE_COLLECTED } from './sabotage';
import {
  compareCells,
  internEncoded,
  isEncoded,
  markCell,
  NO_CELL,
  stringBytes,
  stringLength,
} from './value-table';

const HEADER_BYTES: u32 = 16;
const ENTRY_BYTES: u32 = 8;
const ENTRIES_MIN: u32 = 2;
/** So many changes are worked in one by one; more are sorted first. */
const SINGLE_CHANGES_MAX: u32 = 8;
/** A full buffer with so many changes, and as many as values, is settled instead of grown. */
const CHANGES_MIN: u32 = 64;
const LIST_HEADER_BYTES: u32 = 5;

function entryAt(buffer: u32, place: u32): u32 {
  return buffer + HEADER_BYTES + (place << 3);
}

function createValues(capacity: u32): u32 {
  const buffer = allocate(HEADER_BYTES + capacity * ENTRY_BYTES);
  if (buffer == 0) return 0;
  store<u32>(buffer, 0);
  store<u32>(buffer, 0, 4);
  store<u32>(buffer, capacity, 8);
  return buffer;
}

export function destroyValues(buffer: u32): void {
  if (buffer != 0) release(buffer, HEADER_BYTES + load<u32>(buffer, 8) * ENTRY_BYTES);
}

/** For a group without rows; 0 without memory. */
export function firstValues(): u32 {
  return createValues(ENTRIES_MIN);
}

export function countValues(buffer: u32): u32 {
  return load<u32>(buffer);
}

/** Notes a row more (1) or less (−1); answers the buffer, which may have moved or be given up. */
export function changeValue(buffer: u32, cell: u32, rows: i32): u32 {
  const sorted = load<u32>(buffer);
  const changes = load<u32>(buffer, 4);
  if (sorted + changes == load<u32>(buffer, 8)) {
    const isSettled = changes >= CHANGES_MIN && changes >= sorted;
    const larger = isSettled ? settleValues(buffer) : grow(buffer);
    if (larger == 0) {
      destroyValues(buffer);
      return 0;
    }
    if (isSettled) return changeValue(larger, cell, rows);
    buffer = larger;
  }
  const entry = entryAt(buffer, sorted + changes);
  store<u32>(entry, cell);
  store<i32>(entry, rows, 4);
  store<u32>(buffer, changes + 1, 4);
  return buffer;
}

/** A copy with twice the room, in the buffer's place; 0 without memory, the buffer stays. */
function grow(buffer: u32): u32 {
  const larger = createValues(load<u32>(buffer, 8) << 1);
  if (larger == 0) return 0;
  const sorted = load<u32>(buffer);
  const changes = load<u32>(buffer, 4);
  store<u32>(larger, sorted);
  store<u32>(larger, changes, 4);
  memory.copy(entryAt(larger, 0), entryAt(buffer, 0), (sorted + changes) * ENTRY_BYTES);
  destroyValues(buffer);
  return larger;
}

/** Works the changes in; answers the buffer, which may have moved; 0 without memory: it stays. */
export function settleValues(buffer: u32): u32 {
  const changes = load<u32>(buffer, 4);
  if (changes > SINGLE_CHANGES_MAX) return mergeChanges(buffer);
  for (let left = changes; left > 0; left--) {
    const last = entryAt(buffer, load<u32>(buffer) + left - 1);
    const cell = load<u32>(last);
    const rows = load<i32>(last, 4);
    store<u32>(buffer, left - 1, 4);
    workIn(buffer, cell, rows, left - 1);
  }
  return buffer;
}

/** One change; `behind`: entries behind the sorted ones, which move with them. */
function workIn(buffer: u32, cell: u32, rows: i32, behind: u32): void {
  const sorted = load<u32>(buffer);
  let from: u32 = 0;
  let to = sorted;
  while (from < to) {
    const middle = (from + to) >> 1;
    const order = compareCells(load<u32>(entryAt(buffer, middle)), cell);
    if (order == 0) {
      from = middle;
      break;
    }
    if (order < 0) from = middle + 1;
    else to = middle;
  }
  const entry = entryAt(buffer, from);
  const bytes = (sorted + behind - from) * ENTRY_BYTES;
  if (from == sorted || load<u32>(entry) != cell) {
    memory.copy(entry + ENTRY_BYTES, entry, bytes);
    store<u32>(entry, cell);
    store<i32>(entry, rows, 4);
    store<u32>(buffer, sorted + 1);
    return;
  }
  const all = sabotage == SABOTAGE_COLLECTED ? max<i32>(rows, 0) : load<i32>(entry, 4) + rows;
  store<i32>(entry, all, 4);
  if (all != 0) return;
  memory.copy(entry, entry + ENTRY_BYTES, bytes - ENTRY_BYTES);
  store<u32>(buffer, sorted - 1);
}

/** The changes in order, merged with the sorted entries into a buffer of its own. */
function mergeChanges(buffer: u32): u32 {
  const sorted = load<u32>(buffer);
  const changes = load<u32>(buffer, 4);
  const merged = createValues(sorted + changes);
  if (merged == 0) return 0;
  sortEntries(entryAt(buffer, sorted), changes);
  let left = entryAt(buffer, 0);
  const leftEnd = entryAt(buffer, sorted);
  let right = leftEnd;
  const rightEnd = entryAt(buffer, sorted + changes);
  let to = entryAt(merged, 0);
  while (left < leftEnd || right < rightEnd) {
    let order: i32 = left == leftEnd ? 1 : -1;
    if (left < leftEnd && right < rightEnd) order = compareCells(load<u32>(left), load<u32>(right));
    const cell = order <= 0 ? load<u32>(left) : load<u32>(right);
    let rows: i32 = 0;
    if (order <= 0) {
      rows = load<i32>(left, 4);
      left += ENTRY_BYTES;
    }
    for (; right < rightEnd && load<u32>(right) == cell; right += ENTRY_BYTES)
      rows += load<i32>(right, 4);
    if (rows == 0) continue;
    store<u32>(to, cell);
    store<i32>(to, rows, 4);
    to += ENTRY_BYTES;
  }
  store<u32>(merged, (to - entryAt(merged, 0)) >> 3);
  destroyValues(buffer);
  return merged;
}

/** Heap sort: in place, and never worse than n log n. */
function sortEntries(start: u32, count: u32): void {
  for (let root = count >> 1; root > 0; root--) sift(start, root - 1, count);
  for (let end = count - 1; end > 0; end--) {
    const largest = load<u64>(start);
    store<u64>(start, load<u64>(start + (end << 3)));
    store<u64>(start + (end << 3), largest);
    sift(start, 0, end);
  }
}

function sift(start: u32, root: u32, count: u32): void {
  const entry = load<u64>(start + (root << 3));
  while (true) {
    let child = (root << 1) + 1;
    if (child >= count) break;
    const next = start + (child << 3);
    if (child + 1 < count && compareCells(load<u32>(next), load<u32>(next, 8)) < 0) child += 1;
    const larger = load<u64>(start + (child << 3));
    if (compareCells(entry as u32, larger as u32) >= 0) break;
    store<u64>(start + (root << 3), larger);
    root = child;
  }
  store<u64>(start + (root << 3), entry);
}

/**
 * The list of a settled buffer; FAILED for one with more bytes or levels than a value can have,
 * NO_CELL without memory.
 */
export function listOfValues(buffer: u32): u32 {
  const from = entryAt(buffer, 0);
  const end = entryAt(buffer, load<u32>(buffer));
  let bytes: u32 = 0;
  for (let entry = from; entry < end; entry += ENTRY_BYTES) {
    const cell = load<u32>(entry);
    bytes += cellBytes(cell);
    if (bytes > (STRING_BYTES_MAX as u32) || !mayBeItem(cell)) return FAILED;
  }
  const list = allocate(LIST_HEADER_BYTES + bytes);
  if (list == 0) return NO_CELL;
  store<u8>(list, TAG_LIST);
  store<u32>(list, bytes, 1);
  let at = list + LIST_HEADER_BYTES;
  for (let entry = from; entry < end; entry += ENTRY_BYTES) at = writeCell(load<u32>(entry), at);
  const cell = internEncoded(list, LIST_HEADER_BYTES + bytes);
  release(list, LIST_HEADER_BYTES + bytes);
  return cell;
}

/** False for a list or document with as many levels as a value can have. */
function mayBeItem(cell: u32): bool {
  if (!isEncoded(cell)) return true;
  const bytes = stringBytes(cell);
  const tag = load<u8>(bytes) as i32;
  if (tag != TAG_LIST && tag != TAG_DOCUMENT) return true;
  return verifyEncoded(bytes, bytes + stringLength(cell), VALUE_DEPTH_MAX - 1) != 0;
}

export function markValues(buffer: u32): void {
  if (buffer == 0) return;
  const end = entryAt(buffer, load<u32>(buffer) + load<u32>(buffer, 4));
  for (let entry = entryAt(buffer, 0); entry < end; entry += ENTRY_BYTES)
    markCell(load<u32>(entry));
}
