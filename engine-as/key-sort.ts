/*
 * Sorts row ids by the total order, by keys that stand beside the ids: the comparisons of a merge
 * sort would wait for two rows and their values each time.
 *
 * Each column gives a word whose order is that of the cells, as far as it tells them apart
 * (key-column.ts). Of each word only the bits count that differ among the rows; those of the first
 * columns, as many as fit 64, are a row's key. The keys are sorted digit by digit (Knuth, TAOCP
 * 5.2.5, Algorithm R). All of it goes in slices.
 *
 *   entry (16 bytes):  | key u64 | id u32 | unused |
 */
import { allocate, allocateZeroed, release } from './memory';
import { NEAR_ROWS, nearRows } from './near';
import { Relation, rowAddress } from './row-store';
import {
  beginColumn,
  beginValues,
  beginWords,
  collectValue,
  columnWord,
  dropValues,
  endColumn,
  isSmallColumn,
  KeyColumn,
  lookAtCell,
  lookAtWord,
  orderValues,
  takeBits,
} from './key-column';
import { compareCells } from './value-table';
import { setWordAt, Vector, wordAt } from './vector';

/** Rows that are sorted together: 64 MiB of entries. */
export const KEY_SORT_ROWS: u32 = 0x200000;

const ENTRY_BYTES: u32 = 16;
/** Columns that a key rarely has more of. */
const COPIED_COLUMNS: u32 = 4;
const KEY_BITS: u32 = 64;
/** Rows with one key that are put in order here. */
const INSERTIONS_MAX: u32 = 16;
/** With fewer rows, clearing wide counters takes longer than another pass. */
const WIDE_DIGIT_ROWS: u32 = 4096;
const WIDE_DIGIT_BITS: u32 = 11;
const NARROW_DIGIT_BITS: u32 = 8;
/** Looks at a row in one slice. */
const SLICE_LOOKS: u32 = 0x40000;

/* Stages: each goes over all rows, those of columns and digits several times. */
const STAGE_COPY: u32 = 0;
const STAGE_LOOK: u32 = 1;
const STAGE_VALUES: u32 = 2;
const STAGE_WORDS: u32 = 3;
const STAGE_KEYS: u32 = 4;
const STAGE_COUNT: u32 = 5;
const STAGE_MOVE: u32 = 6;
const STAGE_EQUAL: u32 = 7;
const STAGE_WRITE: u32 = 8;
const STAGE_END: u32 = 9;

@unmanaged
export class KeySort {
  relation: Relation;
  ids: Vector;
  /** Place of the first row in the list, and how many there are. */
  from: u32;
  count: u32;
  /** One block of memory: entries twice, cells, columns, counters. */
  area: u32;
  room: u32;
  entries: u32;
  other: u32;
  /** The first cells of each row, row by row, and how many of each. */
  cells: u32;
  cellsEach: u32;
  columns: u32;
  counters: u32;
  digitBits: u32;
  stage: u32;
  /** Rows that the stage is done with. */
  at: u32;
  /** The column that is looked at; later how many are in the key. */
  number: u32;
  bits: u32;
  /** Equal keys are equal rows. */
  exact: bool;
  /** Too many rows have one key: their order is open. */
  undecided: bool;
  shift: u32;
  /** Address of the first entry with the key of the one before. */
  group: u32;
}

/** For the ids of [from, to), at most KEY_SORT_ROWS; null (0) without memory. */
export function createKeySort(relation: Relation, ids: Vector, from: u32, to: u32): KeySort {
  const sort = changetype<KeySort>(allocateZeroed(offsetof<KeySort>() as u32) as usize);
  if (changetype<usize>(sort) == 0) return sort;
  const count = to - from;
  sort.relation = relation;
  sort.ids = ids;
  sort.from = from;
  sort.count = count;
  sort.cellsEach = min(relation.arity, COPIED_COLUMNS);
  sort.digitBits = count < WIDE_DIGIT_ROWS ? NARROW_DIGIT_BITS : WIDE_DIGIT_BITS;
  const columnBytes = relation.arity * (offsetof<KeyColumn>() as u32);
  const entryBytes = count * ENTRY_BYTES;
  const cellBytes = (count * (sort.cellsEach << 2) + 7) & ~7;
  sort.room = (entryBytes << 1) + cellBytes + columnBytes + (4 << sort.digitBits);
  sort.area = allocate(sort.room);
  if (sort.area == 0) {
    release(changetype<usize>(sort) as u32, offsetof<KeySort>() as u32);
    return changetype<KeySort>(0);
  }
  sort.entries = sort.area;
  sort.other = sort.area + entryBytes;
  sort.cells = sort.other + entryBytes;
  sort.columns = sort.cells + cellBytes;
  sort.counters = sort.columns + columnBytes;
  memory.fill(sort.columns, 0, columnBytes);
  return sort;
}

export function destroyKeySort(sort: KeySort): void {
  if (changetype<usize>(sort) == 0) return;
  for (let i: u32 = 0; i < sort.relation.arity; i++) dropValues(columnAt(sort, i));
  release(sort.area, sort.room);
  release(changetype<usize>(sort) as u32, offsetof<KeySort>() as u32);
}

/** A slice of work; true when the ids are in order, or `undecided`. */
export function stepKeySort(sort: KeySort): bool {
  let left = SLICE_LOOKS;
  while (sort.stage != STAGE_END) {
    if (left == 0) return false;
    const end = min(sort.count, sort.at + left);
    left -= end - sort.at;
    work(sort, sort.at, end);
    // Some stages end before their last row.
    if (sort.at != sort.count) sort.at = end;
    if (sort.at < sort.count) return false;
    sort.at = 0;
    turn(sort);
  }
  return true;
}

function work(sort: KeySort, from: u32, to: u32): void {
  switch (sort.stage as i32) {
    case STAGE_COPY:
      return copyCells(sort, from, to);
    case STAGE_LOOK:
      return lookAtCells(sort, from, to);
    case STAGE_VALUES:
      return collectValues(sort, from, to);
    case STAGE_WORDS:
      return lookAtWords(sort, from, to);
    case STAGE_KEYS:
      return writeKeys(sort, from, to);
    case STAGE_COUNT:
      return countDigits(sort, from, to);
    case STAGE_MOVE:
      return moveEntries(sort, from, to);
    case STAGE_EQUAL:
      return sortEqualKeys(sort, from, to);
    default:
      return writeIds(sort, from, to);
  }
}

/** Behind the last row of a stage. */
function turn(sort: KeySort): void {
  switch (sort.stage as i32) {
    case STAGE_COPY:
      return nextColumn(sort);
    case STAGE_LOOK: {
      const column = columnAt(sort, sort.number);
      if (isSmallColumn(column)) return takeColumn(sort);
      beginValues(column);
      sort.stage = STAGE_VALUES;
      return;
    }
    case STAGE_VALUES: {
      const column = columnAt(sort, sort.number);
      if (orderValues(column)) return takeColumn(sort);
      beginWords(column);
      sort.stage = STAGE_WORDS;
      return;
    }
    case STAGE_WORDS:
      return takeColumn(sort);
    case STAGE_KEYS:
      return nextDigit(sort);
    case STAGE_COUNT:
      return placeDigits(sort);
    case STAGE_MOVE: {
      const moved = sort.other;
      sort.other = sort.entries;
      sort.entries = moved;
      sort.shift += sort.digitBits;
      return nextDigit(sort);
    }
    case STAGE_EQUAL:
      sort.stage = STAGE_WRITE;
      return;
    default:
      sort.stage = STAGE_END;
  }
}

/* Columns. */

function columnAt(sort: KeySort, number: u32): KeyColumn {
  return changetype<KeyColumn>((sort.columns + number * (offsetof<KeyColumn>() as u32)) as usize);
}

/**
 * Copies the first columns of all rows: whatever looks at them from then on finds them in a line,
 * not where the rows stand.
 */
function copyCells(sort: KeySort, from: u32, to: u32): void {
  const relation = sort.relation;
  const each = sort.cellsEach << 2;
  let target = sort.cells + from * each;
  let near = from;
  for (let place = from; place < to; place++, target += each) {
    if (place == near) {
      near = min(to, place + NEAR_ROWS);
      nearRows(relation, sort.ids, sort.from + place, sort.from + near, 1, 0);
    }
    const cells = rowAddress(relation, wordAt(sort.ids, sort.from + place)) + relation.cellsAt;
    for (let i: u32 = 0; i < each; i += 4) store<u32>(target + i, load<u32>(cells + i));
  }
}

function cellAt(sort: KeySort, place: u32, number: u32): u32 {
  if (number < sort.cellsEach)
    return load<u32>(sort.cells + ((place * sort.cellsEach + number) << 2));
  const row = rowAddress(sort.relation, wordAt(sort.ids, sort.from + place));
  return load<u32>(row + sort.relation.cellsAt + (number << 2));
}

/** The next column is looked at, unless the key tells rows apart no further. */
function nextColumn(sort: KeySort): void {
  const isMore = sort.number < sort.relation.arity;
  if (isMore && sort.bits < KEY_BITS && (sort.exact || sort.number == 0)) {
    beginColumn(columnAt(sort, sort.number), cellAt(sort, 0, sort.number));
    sort.stage = STAGE_LOOK;
    return;
  }
  if (isMore) sort.exact = false;
  sort.stage = STAGE_KEYS;
}

function takeColumn(sort: KeySort): void {
  const column = columnAt(sort, sort.number);
  endColumn(column);
  sort.exact = takeBits(column, KEY_BITS - sort.bits);
  sort.bits += column.taken;
  sort.number += 1;
  nextColumn(sort);
}

function lookAtCells(sort: KeySort, from: u32, to: u32): void {
  const column = columnAt(sort, sort.number);
  for (let place = from; place < to; place++) lookAtCell(column, cellAt(sort, place, sort.number));
}

/** Too many values end the stage at once. */
function collectValues(sort: KeySort, from: u32, to: u32): void {
  const column = columnAt(sort, sort.number);
  for (let place = from; place < to; place++) {
    if (collectValue(column, cellAt(sort, place, sort.number), sort.count)) continue;
    sort.at = sort.count;
    return;
  }
}

function lookAtWords(sort: KeySort, from: u32, to: u32): void {
  const column = columnAt(sort, sort.number);
  for (let place = from; place < to; place++) lookAtWord(column, cellAt(sort, place, sort.number));
}

/* Keys. */

function keyOf(sort: KeySort, place: u32): u64 {
  let key: u64 = 0;
  for (let number: u32 = 0; number < sort.number; number++) {
    const column = columnAt(sort, number);
    const taken = column.taken;
    if (taken == 0) continue;
    const word = columnWord(cellAt(sort, place, number), column) >> (column.low as u64);
    // Of all 64 bits nothing is left of what was there before.
    key =
      taken == KEY_BITS
        ? word
        : (key << (taken as u64)) | (word & (((1 as u64) << (taken as u64)) - 1));
  }
  return key;
}

function writeKeys(sort: KeySort, from: u32, to: u32): void {
  for (let place = from; place < to; place++) {
    const at = sort.entries + place * ENTRY_BYTES;
    store<u64>(at, keyOf(sort, place));
    store<u64>(at, wordAt(sort.ids, sort.from + place) as u64, 8);
  }
}

/* Digits: two passes each, stable. */

function nextDigit(sort: KeySort): void {
  if (sort.shift < sort.bits) {
    memory.fill(sort.counters, 0, 4 << sort.digitBits);
    sort.stage = STAGE_COUNT;
    return;
  }
  sort.group = sort.entries;
  sort.stage = sort.exact ? STAGE_WRITE : STAGE_EQUAL;
}

function countDigits(sort: KeySort, from: u32, to: u32): void {
  const counters = sort.counters;
  const shift = sort.shift as u64;
  const mask: u32 = (1 << sort.digitBits) - 1;
  const end = sort.entries + to * ENTRY_BYTES;
  for (let at = sort.entries + from * ENTRY_BYTES; at < end; at += ENTRY_BYTES) {
    const counter = counters + ((((load<u64>(at) >> shift) as u32) & mask) << 2);
    store<u32>(counter, load<u32>(counter) + 1);
  }
}

/** From how many entries have a digit to where the first of them goes. */
function placeDigits(sort: KeySort): void {
  let place = sort.other;
  const end = sort.counters + (4 << sort.digitBits);
  for (let counter = sort.counters; counter < end; counter += 4) {
    const before = place;
    place += load<u32>(counter) * ENTRY_BYTES;
    store<u32>(counter, before);
  }
  sort.stage = STAGE_MOVE;
}

function moveEntries(sort: KeySort, from: u32, to: u32): void {
  const counters = sort.counters;
  const shift = sort.shift as u64;
  const mask: u32 = (1 << sort.digitBits) - 1;
  const end = sort.entries + to * ENTRY_BYTES;
  for (let at = sort.entries + from * ENTRY_BYTES; at < end; at += ENTRY_BYTES) {
    const key = load<u64>(at);
    const counter = counters + ((((key >> shift) as u32) & mask) << 2);
    const target = load<u32>(counter);
    store<u32>(counter, target + ENTRY_BYTES);
    store<u64>(target, key);
    store<u64>(target, load<u64>(at, 8), 8);
  }
}

/* Rows with one key. */

export function compareRows(relation: Relation, a: u32, b: u32): i32 {
  const x = rowAddress(relation, a) + relation.cellsAt;
  const y = rowAddress(relation, b) + relation.cellsAt;
  for (let i: u32 = 0; i < relation.arity; i++) {
    const order = compareCells(load<u32>(x + (i << 2)), load<u32>(y + (i << 2)));
    if (order != 0) return order;
  }
  return 0;
}

/** By insertion; many of them are left as they are, and so are all behind them. */
function sortEqualKeys(sort: KeySort, from: u32, to: u32): void {
  const end = sort.entries + to * ENTRY_BYTES;
  let first = sort.group;
  for (let at = sort.entries + from * ENTRY_BYTES; at < end; at += ENTRY_BYTES) {
    if (load<u64>(at) != load<u64>(first)) first = at;
    if (at == first) continue;
    if (at - first > INSERTIONS_MAX * ENTRY_BYTES) {
      sort.undecided = true;
      sort.at = sort.count;
      return;
    }
    const id = load<u32>(at, 8);
    let target = at;
    while (target > first) {
      const before = load<u32>(target - ENTRY_BYTES, 8);
      if (compareRows(sort.relation, before, id) <= 0) break;
      store<u32>(target, before, 8);
      target -= ENTRY_BYTES;
    }
    store<u32>(target, id, 8);
  }
  sort.group = first;
}

function writeIds(sort: KeySort, from: u32, to: u32): void {
  for (let place = from; place < to; place++)
    setWordAt(sort.ids, sort.from + place, load<u32>(sort.entries + place * ENTRY_BYTES, 8));
}
