/*
 * Cells and the values behind them.
 *
 * A cell is 4 bytes and describes itself:
 *
 *   …1   int −2^30 … 2^30−1, shifted left by one
 *   0    null        2  false        4  true
 *   …0   from 16 on: value (cell >> 1) − 8 of the value table
 *
 * Equal values have equal cells: what fits a small int is never in the table, and the table
 * interns. An entry has 16 bytes:
 *
 *   | hash u32 | kind (3 bits), length (29 bits) | payload 8 bytes |
 *
 * The payload is an i64, an f64, or text: up to 8 bytes of it, or the address of more. A date-time,
 * address, network, list or document is kept as the bytes that a row block has of it, whose first
 * is the tag (`encoded-value.ts`).
 *
 * Values are collected by marking what rows, programs and groups refer to, in slices; an intern and
 * a row insertion during a collection mark what they touch (`collector.ts`).
 */
import { allocate, allocateZeroed, release } from './memory';
import { copyBytes, sameBytes } from './bytes';
import { compareEncoded } from './encoded-value';
import { compareIntFloat } from './number-order';
import { finish, hashBytes64, mix, shortWord } from './hash';
import {
  bucketAt,
  bucketBehind,
  createIdSet,
  firstIn,
  homeBucket,
  homeOf,
  idAt,
  IdSet,
  isPassed,
  NOT_FOUND,
  placesOf,
  putId,
  removeId,
  reserveId,
  shardOf,
} from './id-set';
import { ID_CELL_BASE, SEGMENT_MASK, SEGMENT_SHIFT } from './layout';

export const CELL_NULL: u32 = 0;
export const CELL_FALSE: u32 = 2;
export const CELL_TRUE: u32 = 4;
/** The answer of an intern without memory; no cell has it, for the table ends long before. */
export const NO_CELL: u32 = 0xfffffffe;

const KIND_FREE: u32 = 0;
const KIND_STRING: u32 = 1;
const KIND_INT: u32 = 2;
const KIND_FLOAT: u32 = 3;
const KIND_ENCODED: u32 = 4;
const KIND_SHIFT: u32 = 29;

/**
 * Far apart: `mix` begins with ^, so near seeds would give 0 of one type and 2 of another one hash.
 */
const OTHER_SEED: u64 = 0x8ebc6af09c88c6e3;
const INT_SEED: u64 = 0x589965cc75374cc3;
const FLOAT_SEED: u64 = 0x1d8e4e27c47d124f;
const STRING_SEED: u64 = 0xeb44accab455d165;
const ENCODED_SEED: u64 = 0x2f9c3b8e5d7a4161;

const ENTRY_BYTES: u32 = 16;
const SEGMENT_BYTES: u32 = ENTRY_BYTES << SEGMENT_SHIFT;
const SEGMENTS_MAX: u32 = 0x10000;
const INLINE_BYTES_MAX: u32 = 8;
const LENGTH_MASK: u32 = 0x1fffffff;
const SMALL_INT_MIN: i64 = -0x40000000;
const SMALL_INT_MAX: i64 = 0x3fffffff;

let directory: u32 = 0;
let segments: u32 = 0;
let top: u32 = 0;
let freeHead: u32 = NOT_FOUND;
let set: IdSet = changetype<IdSet>(0);
let marks: u32 = 0;
/** True while a collection runs: whatever is interned or looked up is alive. */
export let marking: bool = false;
export let liveValues: u32 = 0;
/** Values interned anew since the last collection began, and their bytes beside the table. */
export let freshValues: u32 = 0;
export let freshBytes: u64 = 0;
/** Values interned anew since the engine started; a long one counts once more each 64 bytes. */
export let internedValues: u64 = 0;

export function initValues(): bool {
  directory = allocateZeroed(SEGMENTS_MAX << 2);
  marks = allocateZeroed(SEGMENTS_MAX << 2);
  set = createIdSet(0, hashEntries);
  if (directory == 0 || marks == 0 || changetype<usize>(set) == 0) return false;
  set.filling = false;
  set.growthShift = 1;
  return true;
}

function entryOf(id: u32): u32 {
  return load<u32>(directory + ((id >> SEGMENT_SHIFT) << 2)) + ((id & SEGMENT_MASK) << 4);
}

/** An entry keeps its hash. */
function hashEntries(_owner: u32, ids: u32, count: u32, hashes: u32): void {
  for (let i: u32 = 0; i < count << 2; i += 4)
    store<u32>(hashes + i, load<u32>(entryOf(load<u32>(ids + i))));
}

export function isSmallInt(cell: u32): bool {
  return (cell & 1) != 0;
}

function smallInt(cell: u32): i32 {
  return (cell as i32) >> 1;
}

function isTableCell(cell: u32): bool {
  return (cell & 1) == 0 && cell >= ID_CELL_BASE;
}

function idOfCell(cell: u32): u32 {
  return (cell - ID_CELL_BASE) >> 1;
}

/** KIND_… of a cell; only for cells of the table. */
function kindOf(cell: u32): u32 {
  return load<u32>(entryOf(idOfCell(cell)), 4) >> KIND_SHIFT;
}

/** Length and address of the bytes of a string, or of an encoded value. */
export function stringLength(cell: u32): u32 {
  return load<u32>(entryOf(idOfCell(cell)), 4) & LENGTH_MASK;
}

export function stringBytes(cell: u32): u32 {
  const entry = entryOf(idOfCell(cell));
  return (load<u32>(entry, 4) & LENGTH_MASK) <= INLINE_BYTES_MAX ? entry + 8 : load<u32>(entry, 8);
}

export function intOf(cell: u32): i64 {
  return isSmallInt(cell) ? (smallInt(cell) as i64) : load<i64>(entryOf(idOfCell(cell)), 8);
}

export function floatOf(cell: u32): f64 {
  return load<f64>(entryOf(idOfCell(cell)), 8);
}

export function isInt(cell: u32): bool {
  return isSmallInt(cell) || (isTableCell(cell) && kindOf(cell) == KIND_INT);
}

export function isFloat(cell: u32): bool {
  return isTableCell(cell) && kindOf(cell) == KIND_FLOAT;
}

/** A date-time, address, network, list or document. */
export function isEncoded(cell: u32): bool {
  return isTableCell(cell) && kindOf(cell) == KIND_ENCODED;
}

/**
 * Canonical 64-bit hash of the value behind a cell: the same on every replica, whatever the ids.
 */
export function canonicalHash(cell: u32): u64 {
  if (isSmallInt(cell)) return mix(INT_SEED, smallInt(cell) as i64 as u64);
  if (cell < ID_CELL_BASE) return mix(OTHER_SEED, cell as u64);
  const kind = kindOf(cell);
  if (kind == KIND_INT) return mix(INT_SEED, intOf(cell) as u64);
  if (kind == KIND_FLOAT) return mix(FLOAT_SEED, reinterpret<u64>(floatOf(cell)));
  const seed = kind == KIND_STRING ? STRING_SEED : ENCODED_SEED;
  return hashBytes64(stringBytes(cell), stringLength(cell), seed);
}

function newEntry(hash: u32): u32 {
  if (!reserveId(set, hash)) return NOT_FOUND;
  let id = freeHead;
  if (id != NOT_FOUND) {
    freeHead = load<u32>(entryOf(id), 8);
  } else {
    if (top >> SEGMENT_SHIFT == segments) {
      if (segments == SEGMENTS_MAX) return NOT_FOUND;
      const segment = allocate(SEGMENT_BYTES);
      const bits = allocateZeroed(1 << (SEGMENT_SHIFT - 3));
      if (segment == 0 || bits == 0) {
        release(segment, SEGMENT_BYTES);
        release(bits, 1 << (SEGMENT_SHIFT - 3));
        return NOT_FOUND;
      }
      store<u32>(directory + (segments << 2), segment);
      store<u32>(marks + (segments << 2), bits);
      segments += 1;
    }
    id = top;
    top += 1;
  }
  putId(set, hash, id);
  liveValues += 1;
  freshValues += 1;
  internedValues += 1;
  if (marking) markId(id);
  return id;
}

function cellOfId(id: u32): u32 {
  return ID_CELL_BASE + (id << 1);
}

/** Id of an int or float of the table, or NOT_FOUND. */
function findWord(kind: u32, bits: u64, hash: u32): u32 {
  const shard = shardOf(set, hash);
  const home = homeOf(shard, hash);
  let number = home;
  while (true) {
    const bucket = bucketAt(shard, number);
    for (let places = placesOf(bucket, hash); places != 0; places &= places - 1) {
      const id = idAt(bucket, ctz(places));
      const entry = entryOf(id);
      if (load<u32>(entry, 4) >> KIND_SHIFT == kind && load<u64>(entry, 8) == bits) return id;
    }
    if (!isPassed(bucket)) return NOT_FOUND;
    number = bucketBehind(shard, number);
    if (number == home) return NOT_FOUND;
  }
}

function hashWord(kind: u32, bits: u64): u32 {
  return finish(mix(kind as u64, bits));
}

function internWord(kind: u32, bits: u64): u32 {
  const hash = hashWord(kind, bits);
  const known = findWord(kind, bits, hash);
  if (known != NOT_FOUND) {
    if (marking) markId(known);
    return cellOfId(known);
  }
  const id = newEntry(hash);
  if (id == NOT_FOUND) return NO_CELL;
  const entry = entryOf(id);
  store<u32>(entry, hash);
  store<u32>(entry, kind << KIND_SHIFT, 4);
  store<u64>(entry, bits, 8);
  return cellOfId(id);
}

export function internInt(value: i64): u32 {
  if (value >= SMALL_INT_MIN && value <= SMALL_INT_MAX) return ((value as u32) << 1) | 1;
  return internWord(KIND_INT, value as u64);
}

/** The caller made sure that the float is finite; −0 becomes 0. */
export function internFloat(value: f64): u32 {
  return internWord(KIND_FLOAT, reinterpret<u64>(value == 0 ? 0 : value));
}

export function hashString(pointer: u32, length: u32): u32 {
  return finish(hashBytes64(pointer, length, KIND_STRING as u64));
}

/**
 * One more than the id that a hash finds first, else 0. With `nearEntry` and `nearBytes` it brings
 * near what `internHashed` will look at: the waits for the memory of many strings overlap when each
 * is called for all of them before the next.
 */
export function nearBucket(hash: u32): u32 {
  return firstIn(homeBucket(set, hash), hash);
}

export function nearEntry(found: u32): u32 {
  return load<u32>(entryOf(found - 1), 4);
}

export function nearBytes(found: u32): u32 {
  const entry = entryOf(found - 1);
  const isLong = (load<u32>(entry, 4) & LENGTH_MASK) > INLINE_BYTES_MAX;
  return isLong ? load<u8>(load<u32>(entry, 8)) : 0;
}

export function internString(pointer: u32, length: u32): u32 {
  return internHashed(pointer, length, hashString(pointer, length));
}

/** With the hash that `hashString` gave. */
export function internHashed(pointer: u32, length: u32, hash: u32): u32 {
  return internBytes(KIND_STRING, pointer, length, hash);
}

/** The caller made sure that the bytes are one canonical value. */
export function internEncoded(pointer: u32, length: u32): u32 {
  return internBytes(KIND_ENCODED, pointer, length, hashEncoded(pointer, length));
}

function hashEncoded(pointer: u32, length: u32): u32 {
  return finish(hashBytes64(pointer, length, ENCODED_SEED));
}

/** Id of a string or encoded value, or NOT_FOUND. */
function findBytes(tag: u32, pointer: u32, length: u32, hash: u32): u32 {
  const isLong = length > INLINE_BYTES_MAX;
  const word: u64 = isLong ? 0 : shortWord(pointer, length);
  const kind = (tag << KIND_SHIFT) | length;
  const shard = shardOf(set, hash);
  const home = homeOf(shard, hash);
  let number = home;
  while (true) {
    const bucket = bucketAt(shard, number);
    for (let places = placesOf(bucket, hash); places != 0; places &= places - 1) {
      const id = idAt(bucket, ctz(places));
      const entry = entryOf(id);
      if (load<u32>(entry) != hash || load<u32>(entry, 4) != kind) continue;
      const payload = load<u64>(entry, 8);
      if (isLong ? sameBytes(payload as u32, pointer, length) : payload == word) return id;
    }
    if (!isPassed(bucket)) return NOT_FOUND;
    number = bucketBehind(shard, number);
    if (number == home) return NOT_FOUND;
  }
}

function internBytes(tag: u32, pointer: u32, length: u32, hash: u32): u32 {
  const known = findBytes(tag, pointer, length, hash);
  if (known != NOT_FOUND) {
    if (marking) markId(known);
    return cellOfId(known);
  }
  const isLong = length > INLINE_BYTES_MAX;
  let copy: u32 = 0;
  if (isLong) {
    copy = allocate(length);
    if (copy == 0) return NO_CELL;
    copyBytes(copy, pointer, length);
    freshBytes += length as u64;
    internedValues += (length >> 6) as u64;
  }
  const id = newEntry(hash);
  if (id == NOT_FOUND) {
    if (copy != 0) release(copy, length);
    return NO_CELL;
  }
  const entry = entryOf(id);
  store<u32>(entry, hash);
  store<u32>(entry, (tag << KIND_SHIFT) | length, 4);
  store<u64>(entry, isLong ? (copy as u64) : shortWord(pointer, length), 8);
  return cellOfId(id);
}

/*
 * Cells of values that may be in the table, without putting them there: NO_CELL for those that are
 * not. A cell may be collected in the next slice of a collection.
 */

export function findInt(value: i64): u32 {
  if (value >= SMALL_INT_MIN && value <= SMALL_INT_MAX) return ((value as u32) << 1) | 1;
  return cellOrNone(findWord(KIND_INT, value as u64, hashWord(KIND_INT, value as u64)));
}

export function findFloat(value: f64): u32 {
  const bits = reinterpret<u64>(value == 0 ? 0 : value);
  return cellOrNone(findWord(KIND_FLOAT, bits, hashWord(KIND_FLOAT, bits)));
}

export function findString(pointer: u32, length: u32): u32 {
  return cellOrNone(findBytes(KIND_STRING, pointer, length, hashString(pointer, length)));
}

export function findEncoded(pointer: u32, length: u32): u32 {
  return cellOrNone(findBytes(KIND_ENCODED, pointer, length, hashEncoded(pointer, length)));
}

function cellOrNone(id: u32): u32 {
  return id == NOT_FOUND ? NO_CELL : cellOfId(id);
}

/*
 * The order: null < false < true < numbers by value, an int before an equal float < strings <
 * encoded values, by their tags.
 */

export const CLASS_NUMBER: u32 = 3;
export const CLASS_STRING: u32 = 4;
export const CLASS_ENCODED: u32 = 5;

/** Place of a cell's kind in the order: null, false and true are 0, 1 and 2. */
export function classOfCell(cell: u32): u32 {
  if (isSmallInt(cell)) return CLASS_NUMBER;
  if (cell < ID_CELL_BASE) return cell >> 1;
  const kind = kindOf(cell);
  return kind == KIND_ENCODED ? CLASS_ENCODED : kind == KIND_STRING ? CLASS_STRING : CLASS_NUMBER;
}

/** Numbers by value: 1 and 1.0 are 0 apart. Both cells are numbers. */
function compareNumbers(a: u32, b: u32): i32 {
  const aFloat = isFloat(a);
  const bFloat = isFloat(b);
  if (!aFloat && !bFloat) {
    const x = intOf(a);
    const y = intOf(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (aFloat && bFloat) {
    const x = floatOf(a);
    const y = floatOf(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  return aFloat ? -compareIntFloat(intOf(b), floatOf(a)) : compareIntFloat(intOf(a), floatOf(b));
}

function compareStrings(a: u32, b: u32): i32 {
  const aLength = stringLength(a);
  const bLength = stringLength(b);
  const order = memory.compare(stringBytes(a), stringBytes(b), min(aLength, bLength));
  if (order != 0) return order;
  return aLength < bLength ? -1 : aLength > bLength ? 1 : 0;
}

/** As `<` sees it: like the total order, but a float and an int of one value are equal. */
export function compareByValue(a: u32, b: u32): i32 {
  if (a == b) return 0;
  if ((a & b & 1) != 0) return (a as i32) < (b as i32) ? -1 : 1;
  const aClass = classOfCell(a);
  const bClass = classOfCell(b);
  if (aClass != bClass) return aClass < bClass ? -1 : 1;
  if (aClass == CLASS_NUMBER) return compareNumbers(a, b);
  if (aClass == CLASS_STRING) return compareStrings(a, b);
  return aClass == CLASS_ENCODED ? compareEncoded(stringBytes(a), stringBytes(b)) : 0;
}

/** The total order; 0 only for equal cells. */
export function compareCells(a: u32, b: u32): i32 {
  const order = compareByValue(a, b);
  if (order != 0 || a == b) return order;
  // Only an int and a float of one value are equal by it and differ.
  return isFloat(a) ? 1 : -1;
}

/* Collection: see collector.ts, which decides when and what to mark. */

function markId(id: u32): void {
  const at = load<u32>(marks + ((id >> SEGMENT_SHIFT) << 2)) + ((id & SEGMENT_MASK) >> 3);
  store<u8>(at, (load<u8>(at) as u32) | (1 << (id & 7)));
}

export function markCell(cell: u32): void {
  if (isTableCell(cell) && idOfCell(cell) < top) markId(idOfCell(cell));
}

export function beginMarking(): void {
  marking = true;
  freshValues = 0;
  freshBytes = 0;
}

export function valueTop(): u32 {
  return top;
}

/** Frees the unmarked ids of [from, to) and clears the marks; marking ends with the last slice. */
export function sweep(from: u32, to: u32): void {
  for (let id = from; id < to; id++) {
    const at = load<u32>(marks + ((id >> SEGMENT_SHIFT) << 2)) + ((id & SEGMENT_MASK) >> 3);
    const bits = load<u8>(at);
    const bit: u8 = 1 << ((id & 7) as u8);
    if ((bits & bit) != 0) {
      store<u8>(at, bits & ~bit);
      continue;
    }
    const entry = entryOf(id);
    const info = load<u32>(entry, 4);
    if (info >> KIND_SHIFT == KIND_FREE) continue;
    removeId(set, load<u32>(entry), id);
    const length = info & LENGTH_MASK;
    const kind = info >> KIND_SHIFT;
    if ((kind == KIND_STRING || kind == KIND_ENCODED) && length > INLINE_BYTES_MAX)
      release(load<u32>(entry, 8), length);
    store<u32>(entry, 0, 4);
    store<u32>(entry, freeHead, 8);
    freeHead = id;
    liveValues -= 1;
  }
}

export function endMarking(): void {
  marking = false;
}
