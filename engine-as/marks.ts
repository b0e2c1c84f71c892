/*
 * The values that a group of rows has in one column, each with its row: a hash set that is made for
 * one run, so that a loop over other rows can ask for them at the cost of a load or two.
 *
 *   | value | row id |  × 2^n     open addressing, most of it empty (NOT_FOUND): a value that is not
 *                                there should be told by one load, and so by a branch that is foreseen
 *
 * A version has up to SLOTS such sets at a time; their memory is used again from run to run.
 */
import { NOT_FOUND } from './id-set';
import { allocate, release } from './memory';

export const SLOTS: u32 = 8;
/** More values are looked for row by row: their marks would not stay in the cache. */
export const VALUES_MAX: u32 = 0x8000;
/** Larger sets are given back at the end of a transaction or query. */
const KEPT_BYTES: u32 = 0x2000;
const FIRST_ENTRIES: u32 = 64;
/** A set has so many times as many places as values. */
const EMPTY_SHIFT: u32 = 3;
const HASH: u32 = 0x9e3779b1;

/** Per slot: address, bytes. */
const slots: u32 = memory.data(8 * 8, 8) as u32;

/** Of the set that `openMarks` emptied: its address, and how a hash becomes a place. */
export let marksShift: u32 = 0;

/** An empty set for so many values in a slot; 0 without memory. */
export function openMarks(slot: u32, values: u32): u32 {
  let entries = FIRST_ENTRIES;
  while (entries >> EMPTY_SHIFT < values) entries <<= 1;
  const bytes = entries << 3;
  const at = slots + (slot << 3);
  let marks = load<u32>(at);
  if (load<u32>(at, 4) < bytes) {
    release(marks, load<u32>(at, 4));
    marks = allocate(bytes);
    store<u32>(at, marks);
    store<u32>(at, marks == 0 ? 0 : bytes, 4);
    if (marks == 0) return 0;
  }
  const none = i32x4.splat(-1);
  for (let place = marks; place < marks + bytes; place += 16) v128.store(place, none);
  marksShift = clz(entries) + 1;
  return marks;
}

/** Adds a value that is not there. */
export function mark(marks: u32, shift: u32, value: u32, id: u32): void {
  const mask: u32 = (1 << (32 - shift)) - 1;
  let place = (value * HASH) >> shift;
  while (load<u32>(marks + (place << 3), 4) != NOT_FOUND) place = (place + 1) & mask;
  store<u32>(marks + (place << 3), value);
  store<u32>(marks + (place << 3), id, 4);
}

/** The row of a value, or NOT_FOUND. */
export function markedRow(marks: u32, shift: u32, value: u32): u32 {
  let place = (value * HASH) >> shift;
  let id = load<u32>(marks + (place << 3), 4);
  if (id == NOT_FOUND || load<u32>(marks + (place << 3)) == value) return id;
  const mask: u32 = (1 << (32 - shift)) - 1;
  do {
    place = (place + 1) & mask;
    id = load<u32>(marks + (place << 3), 4);
  } while (id != NOT_FOUND && load<u32>(marks + (place << 3)) != value);
  return id;
}

/** Copies those of the values in [at, end) that are marked; answers where their copies end. */
export function filterMarked(marks: u32, shift: u32, at: u32, end: u32, to: u32): u32 {
  for (; at < end; at += 4) {
    const value = load<u32>(at);
    const place = marks + (((value * HASH) >> shift) << 3);
    const there = load<u32>(place);
    const used = load<u32>(place, 4) != NOT_FOUND;
    store<u32>(to, value);
    // A place that another value took is rare.
    if (used && there != value) {
      if (markedRow(marks, shift, value) != NOT_FOUND) to += 4;
    } else to += (used ? 1 : 0) << 2;
  }
  return to;
}

/** What is large is given back. */
export function dropMarks(): void {
  for (let at = slots; at < slots + (SLOTS << 3); at += 8) {
    if (load<u32>(at, 4) <= KEPT_BYTES) continue;
    release(load<u32>(at), load<u32>(at, 4));
    store<u32>(at, 0);
    store<u32>(at, 0, 4);
  }
}
