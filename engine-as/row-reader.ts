/*
 * Rows between bytes and cells, many at once. A new string costs three waits for memory: the bucket
 * of its hash, the entry behind it, the bytes behind that. So the strings of a block of rows wait
 * for each other: first all of them are hashed and verified, then each kind of memory is touched
 * for all of them, then they are interned (wasm has no prefetch instruction).
 */
import { STATUS_BAD_ROWS, STATUS_OUT_OF_MEMORY, TAG_INT32 } from './abi';
import { BAD_CELL, readBytes, readValue, TEXT_CELL, textAt, textBytes } from './row-codec';
import {
  hashString,
  internHashed,
  liveValues,
  nearBytes,
  nearEntry,
  nearBucket,
  NO_CELL,
} from './value-table';

const INT32_BYTES: u32 = 5;
/** Ints from −2^30 on and below 2^30 are their own cells. */
const SMALL_INT: i32 = 0x40000000;
const TEXTS_MAX: u32 = 256;
/** Per text: address of its cell, address, bytes, hash, id + 1 of what its first slot holds. */
const TEXT_WORDS_BYTES: u32 = 20;
const texts: u32 = memory.data(TEXTS_MAX * TEXT_WORDS_BYTES, 4) as u32;
let textsEnd: u32 = texts;
/** Values of a table that is in the cache anyway. */
const CACHED_VALUES: u32 = 0x4000;
/** Keeps the touching loads alive. */
let touchSum: u32 = 0;

/** Whole rows that the last `readRows` read, and their bytes. */
export let rowsRead: u32 = 0;
export let rowsReadBytes: u32 = 0;

/** Reads `rows` rows into `cells`. After STATUS_BAD_ROWS those of `rowsRead` are whole. */
export function readRows(pointer: u32, end: u32, arity: u32, rows: u32, cells: u32): u32 {
  textsEnd = texts;
  let at = pointer;
  let status: u32 = 0;
  rowsRead = 0;
  while (rowsRead < rows) {
    const next = readRow(at, end, arity, cells);
    if (next == 0) {
      status = rowStatus;
      break;
    }
    at = next;
    cells += arity << 2;
    rowsRead += 1;
  }
  rowsReadBytes = at - pointer;
  if (status != STATUS_OUT_OF_MEMORY && internTexts()) return status;
  rowsRead = 0;
  rowsReadBytes = 0;
  return STATUS_OUT_OF_MEMORY;
}

let rowStatus: u32 = 0;

/** The address behind the row at `at`, 0 after a failure. */
function readRow(at: u32, end: u32, arity: u32, cells: u32): u32 {
  for (let i: u32 = 0; i < arity; i++) {
    const to = cells + (i << 2);
    const quick = smallIntCell(at, end);
    if (quick != 0) {
      store<u32>(to, quick);
      at += INT32_BYTES;
      continue;
    }
    const cell = readValue(at, end);
    at += readBytes;
    if (cell == TEXT_CELL) {
      rowStatus = STATUS_OUT_OF_MEMORY;
      if (textsEnd == texts + TEXTS_MAX * TEXT_WORDS_BYTES && !internTexts()) return 0;
      addText(to);
      continue;
    }
    rowStatus = cell == BAD_CELL ? STATUS_BAD_ROWS : STATUS_OUT_OF_MEMORY;
    if (cell == BAD_CELL || cell == NO_CELL) return 0;
    store<u32>(to, cell);
  }
  return at;
}

/** The cell of an int that most are like, or 0. */
function smallIntCell(at: u32, end: u32): u32 {
  if (end - at < INT32_BYTES || load<u8>(at) != TAG_INT32) return 0;
  const value = load<i32>(at, 1);
  return value >= -SMALL_INT && value < SMALL_INT ? ((value << 1) as u32) | 1 : 0;
}

function addText(to: u32): void {
  store<u32>(textsEnd, to);
  store<u32>(textsEnd, textAt, 4);
  store<u32>(textsEnd, textBytes, 8);
  store<u32>(textsEnd, hashString(textAt, textBytes), 12);
  textsEnd += TEXT_WORDS_BYTES;
}

/** Interns the texts that wait; false without memory. */
function internTexts(): bool {
  if (liveValues >= CACHED_VALUES) touchTexts();
  for (let at = texts; at < textsEnd; at += TEXT_WORDS_BYTES) {
    const cell = internHashed(load<u32>(at, 4), load<u32>(at, 8), load<u32>(at, 12));
    if (cell == NO_CELL) return false;
    store<u32>(load<u32>(at), cell);
  }
  textsEnd = texts;
  return true;
}

function touchTexts(): void {
  for (let at = texts; at < textsEnd; at += TEXT_WORDS_BYTES) {
    store<u32>(at, nearBucket(load<u32>(at, 12)), 16);
  }
  let sum: u32 = 0;
  for (let at = texts; at < textsEnd; at += TEXT_WORDS_BYTES) {
    const found = load<u32>(at, 16);
    if (found != 0) sum += nearEntry(found);
  }
  for (let at = texts; at < textsEnd; at += TEXT_WORDS_BYTES) {
    const found = load<u32>(at, 16);
    if (found != 0) sum += nearBytes(found);
  }
  touchSum = sum;
}
