/*
 * Sorts a block of row ids by the total order, by keys that stand beside the ids: the comparisons
 * of a merge sort would wait for two rows and their values each time.
 *
 * Each column gives a word whose order is that of the cells, as far as it tells them apart: a small
 * int as it is; else the kind, then the number as a float, or seven bytes of the string behind the
 * beginning that all strings of the column share. Of each word only the bits count that differ
 * among the rows; those of the first columns, as many as fit 64, are a row's key. The keys are
 * sorted digit by digit (Knuth, TAOCP 5.2.5, Algorithm R).
 *
 *   entry (16 bytes):  | key u64 | id u32 | unused |
 *   column (20 bytes): | lowest bit in the key u32 | bits that differ u32 | bits in the key u32
 *                      | bytes that all strings begin with u32 | COLUMN_… u32 |
 */
import { ARITY_MAX } from './abi';
import { allocate, release } from './memory';
import { NEAR_ROWS, nearRows } from './near';
import { Relation, rowAddress } from './row-store';
import { shortWord } from './hash';
import {
  CLASS_ENCODED,
  CLASS_NUMBER,
  CLASS_STRING,
  classOfCell,
  compareCells,
  floatOf,
  intOf,
  isFloat,
  stringBytes,
  stringLength,
} from './value-table';
import { setWordAt, Vector, wordAt } from './vector';

/** Rows of one block: 8 MiB of entries, and some twenty milliseconds. */
export const KEY_SORT_ROWS: u32 = 0x40000;

const ENTRY_BYTES: u32 = 16;
const COLUMN_BYTES: u32 = 20;
/** Columns that a key rarely has more of. */
const COPIED_COLUMNS: u32 = 4;
const SIGN: u32 = 0x80000000;
const KEY_BITS: u32 = 64;
/** Rows with one key that are put in order here. */
const INSERTIONS_MAX: u32 = 16;
/** With fewer rows, clearing wide counters takes longer than another pass. */
const WIDE_DIGIT_ROWS: u32 = 4096;
const WIDE_DIGIT_BITS: u32 = 11;
const NARROW_DIGIT_BITS: u32 = 8;
const counters: u32 = memory.data(4 << 11, 4) as u32;
const columns: u32 = memory.data(ARITY_MAX * 20, 4) as u32;

/** What one call works on. */
@unmanaged
class Block {
  relation: Relation;
  ids: Vector;
  from: u32;
  to: u32;
  /** The first cells of each row, row by row, and how many of each. */
  cells: u32;
  cellsEach: u32;
  columnCount: u32;
  bits: u32;
  exact: bool;
}

const block: Block = changetype<Block>(memory.data(40, 8));

/** All cells of the column are small ints. */
const COLUMN_SMALL: u32 = 1;
/** Its words tell all cells apart that differ. */
const COLUMN_EXACT: u32 = 2;

const CLASS_SHIFT: u64 = 61;
/** Bytes of a string in its word; behind them stands how many there are. */
const WORD_BYTES: u32 = 7;

function isSmall(cell: u32): bool {
  return (cell & 1) != 0;
}

/** `kind`: the cell's class. */
function wordOf(cell: u32, kind: u32, prefix: u32): u64 {
  if (kind < CLASS_NUMBER) return (kind as u64) << CLASS_SHIFT;
  if (kind == CLASS_NUMBER) return numberWord(isFloat(cell) ? floatOf(cell) : (intOf(cell) as f64));
  if (kind == CLASS_ENCODED) return (CLASS_ENCODED as u64) << CLASS_SHIFT;
  const length = stringLength(cell) - prefix;
  const bytes = stringBytes(cell) + prefix;
  const word = length >= 8 ? load<u64>(bytes) : shortWord(bytes, length);
  const text = (bswap<u64>(word) >> 8) << 4;
  return ((CLASS_STRING as u64) << CLASS_SHIFT) | text | (min(length, WORD_BYTES + 1) as u64);
}

function numberWord(value: f64): u64 {
  const bits = reinterpret<u64>(value == 0 ? 0 : value);
  const ordered = bits >> 63 != 0 ? ~bits : bits | ((1 as u64) << 63);
  return ((CLASS_NUMBER as u64) << CLASS_SHIFT) | (ordered >> 3);
}

/** No two cells that differ have the word of this one. */
function isExact(cell: u32, kind: u32, prefix: u32): bool {
  if (kind == CLASS_STRING) return stringLength(cell) - prefix <= WORD_BYTES;
  return kind < CLASS_NUMBER || isSmall(cell);
}

/** The bytes that two strings begin with alike, at most `most`. */
function sharedBytes(a: u32, b: u32, most: u32): u32 {
  const end = min(most, min(stringLength(a), stringLength(b)));
  const x = stringBytes(a);
  const y = stringBytes(b);
  let shared: u32 = 0;
  while (shared < end && load<u8>(x + shared) == load<u8>(y + shared)) shared += 1;
  return shared;
}

/**
 * Copies the first columns of all rows: whatever looks at them from then on finds them in a line,
 * not where the rows stand.
 */
function copyCells(block: Block): void {
  const relation = block.relation;
  const each = block.cellsEach;
  let to = block.cells;
  let near = block.from;
  for (let place = block.from; place < block.to; place++, to += each << 2) {
    if (place == near) {
      near = min(block.to, place + NEAR_ROWS);
      nearRows(relation, block.ids, place, near, 1, 0);
    }
    const cells = rowAddress(relation, wordAt(block.ids, place)) + relation.cellsAt;
    for (let i: u32 = 0; i < each << 2; i += 4) store<u32>(to + i, load<u32>(cells + i));
  }
}

function cellAt(block: Block, place: u32, number: u32): u32 {
  if (number < block.cellsEach)
    return load<u32>(block.cells + (((place - block.from) * block.cellsEach + number) << 2));
  const row = rowAddress(block.relation, wordAt(block.ids, place));
  return load<u32>(row + block.relation.cellsAt + (number << 2));
}

/** Small ints are words themselves, in their unsigned order. */
function columnWord(cell: u32, column: u32): u64 {
  if ((load<u32>(column, 16) & COLUMN_SMALL) != 0) return (cell ^ SIGN) as u64;
  return wordOf(cell, classOfCell(cell), load<u32>(column, 12));
}

/** Finds what the cells of a column have in common; its record tells how to make words of them. */
function lookAtColumn(block: Block, number: u32, column: u32): void {
  const first = cellAt(block, block.from, number);
  let isAllSmall = true;
  let bits: u32 = 0;
  let prefix: u32 = 0xffffffff;
  let text: u32 = 0;
  for (let place = block.from; place < block.to; place++) {
    const cell = cellAt(block, place, number);
    bits |= cell ^ first;
    if (isSmall(cell)) continue;
    isAllSmall = false;
    if (classOfCell(cell) != CLASS_STRING) continue;
    if (text == 0) text = cell;
    prefix = sharedBytes(text, cell, prefix);
  }
  store<u32>(column, prefix, 12);
  if (isAllSmall) return noteColumn(column, bits as u64, COLUMN_SMALL | COLUMN_EXACT);
  store<u32>(column, 0, 16);
  const word = columnWord(first, column);
  let kinds = COLUMN_EXACT;
  let differ: u64 = 0;
  for (let place = block.from; place < block.to; place++) {
    const cell = cellAt(block, place, number);
    differ |= columnWord(cell, column) ^ word;
    if (kinds != 0 && !isExact(cell, classOfCell(cell), prefix)) kinds = 0;
  }
  noteColumn(column, differ, kinds);
}

/** Above and below the bits that differ all words are alike. */
function noteColumn(column: u32, differ: u64, kinds: u32): void {
  const low: u32 = differ == 0 ? 0 : (ctz(differ) as u32);
  store<u32>(column, low);
  store<u32>(column, differ == 0 ? 0 : 64 - (clz(differ) as u32) - low, 4);
  store<u32>(column, kinds, 16);
}

/** The columns that make up the key; sets its bits, and whether equal keys are equal rows. */
function layOutKey(block: Block): void {
  let bits: u32 = 0;
  let number: u32 = 0;
  block.exact = true;
  for (; number < block.relation.arity && bits < KEY_BITS && block.exact; number++) {
    const column = columns + number * COLUMN_BYTES;
    lookAtColumn(block, number, column);
    const width = load<u32>(column, 4);
    const taken = min(width, KEY_BITS - bits);
    store<u32>(column, load<u32>(column) + width - taken);
    store<u32>(column, taken, 8);
    bits += taken;
    block.exact = taken == width && (load<u32>(column, 16) & COLUMN_EXACT) != 0;
  }
  if (number < block.relation.arity) block.exact = false;
  block.columnCount = number;
  block.bits = bits;
}

function keyOf(block: Block, place: u32): u64 {
  let key: u64 = 0;
  for (let number: u32 = 0; number < block.columnCount; number++) {
    const column = columns + number * COLUMN_BYTES;
    const taken = load<u32>(column, 8);
    if (taken == 0) continue;
    const word = columnWord(cellAt(block, place, number), column) >> (load<u32>(column) as u64);
    // Of all 64 bits nothing is left of what was there before.
    key =
      taken == KEY_BITS
        ? word
        : (key << (taken as u64)) | (word & (((1 as u64) << (taken as u64)) - 1));
  }
  return key;
}

export function compareRows(relation: Relation, a: u32, b: u32): i32 {
  const x = rowAddress(relation, a) + relation.cellsAt;
  const y = rowAddress(relation, b) + relation.cellsAt;
  for (let i: u32 = 0; i < relation.arity; i++) {
    const order = compareCells(load<u32>(x + (i << 2)), load<u32>(y + (i << 2)));
    if (order != 0) return order;
  }
  return 0;
}

/** Rows with one key, by insertion; false where there are many of them. */
function sortEqualKeys(entries: u32, count: u32): bool {
  const end = entries + count * ENTRY_BYTES;
  let first = entries;
  for (let at = entries + ENTRY_BYTES; at < end; at += ENTRY_BYTES) {
    if (load<u64>(at) != load<u64>(first)) {
      first = at;
      continue;
    }
    if (at - first > INSERTIONS_MAX * ENTRY_BYTES) return false;
    const id = load<u32>(at, 8);
    let to = at;
    while (to > first && compareRows(block.relation, load<u32>(to - ENTRY_BYTES, 8), id) > 0) {
      store<u32>(to, load<u32>(to - ENTRY_BYTES, 8), 8);
      to -= ENTRY_BYTES;
    }
    store<u32>(to, id, 8);
  }
  return true;
}

/** One pass: stable by the digit at `shift`. */
function sortByDigit(from: u32, to: u32, count: u32, shift: u32, digitBits: u32): void {
  const mask: u32 = (1 << digitBits) - 1;
  memory.fill(counters, 0, 4 << digitBits);
  const end = from + count * ENTRY_BYTES;
  for (let at = from; at < end; at += ENTRY_BYTES) {
    const digit = ((load<u64>(at) >> (shift as u64)) as u32) & mask;
    const counter = counters + (digit << 2);
    store<u32>(counter, load<u32>(counter) + 1);
  }
  let place = to;
  for (let counter = counters; counter <= counters + (mask << 2); counter += 4) {
    const before = place;
    place += load<u32>(counter) * ENTRY_BYTES;
    store<u32>(counter, before);
  }
  for (let at = from; at < end; at += ENTRY_BYTES) {
    const key = load<u64>(at);
    const counter = counters + ((((key >> (shift as u64)) as u32) & mask) << 2);
    const target = load<u32>(counter);
    store<u32>(counter, target + ENTRY_BYTES);
    store<u64>(target, key);
    store<u64>(target, load<u64>(at, 8), 8);
  }
}

/**
 * Sorts `ids[from, to)`, at most KEY_SORT_ROWS of them. False when they need not be in order: too
 * many rows have one key, or there was no memory.
 */
export function sortByKeys(relation: Relation, ids: Vector, from: u32, to: u32): bool {
  const count = to - from;
  const cellsEach = min(relation.arity, COPIED_COLUMNS);
  const room = count * (ENTRY_BYTES * 2 + (cellsEach << 2));
  const area = allocate(room);
  if (area == 0) return false;
  block.relation = relation;
  block.ids = ids;
  block.from = from;
  block.to = to;
  block.cells = area + count * (ENTRY_BYTES * 2);
  block.cellsEach = cellsEach;
  copyCells(block);
  layOutKey(block);
  let entries = area;
  let other = area + count * ENTRY_BYTES;
  for (let place = from; place < to; place++) {
    const at = entries + (place - from) * ENTRY_BYTES;
    store<u64>(at, keyOf(block, place));
    store<u64>(at, wordAt(ids, place) as u64, 8);
  }
  const digitBits = count < WIDE_DIGIT_ROWS ? NARROW_DIGIT_BITS : WIDE_DIGIT_BITS;
  for (let shift: u32 = 0; shift < block.bits; shift += digitBits) {
    sortByDigit(entries, other, count, shift, digitBits);
    const sorted = other;
    other = entries;
    entries = sorted;
  }
  const isSorted = block.exact || sortEqualKeys(entries, count);
  for (let place = from; place < to; place++) {
    setWordAt(ids, place, load<u32>(entries + (place - from) * ENTRY_BYTES, 8));
  }
  release(area, room);
  return isSorted;
}
