/*
 * The short lists of an index: 2 to 32 ids of 27 bits each.
 *
 *   run: | count − 1 (5 bits), id (27 bits) | id | id | …      room for 2, 4, 8, 16 or 32 ids
 *
 * Runs stand in segments of 1 KiB and are numbered in units of 8 bytes; a segment never moves. A
 * run that grows out of its room moves to a larger one. Cursors may still be reading the old one,
 * so it waits until the transaction ends (`settleRuns`) before its place is used again.
 */
import { allocate, allocateZeroed, release } from './memory';
import { clearVector, createVector, destroyVector, push, Vector, wordAt } from './vector';

const UNIT_SHIFT: u32 = 3;
const SEGMENT_SHIFT: u32 = 7;
const SEGMENT_UNITS: u32 = 1 << SEGMENT_SHIFT;
const SEGMENT_MASK: u32 = SEGMENT_UNITS - 1;
const SEGMENT_BYTES: u32 = SEGMENT_UNITS << UNIT_SHIFT;
const FIRST_DIRECTORY: u32 = 4;
const SIZE_COUNT: u32 = 5;
/** A run of the largest size, behind what is left of a segment that is too small for it. */
const UNITS_PER_TAKE: u32 = 32;
const UNITS_MAX: u32 = 1 << 27;
const NO_RUN: u32 = 0xffffffff;

export const RUN_IDS_MAX: u32 = 32;
export const RUN_ID_BITS: u32 = 27;
export const RUN_ID_MASK: u32 = (1 << RUN_ID_BITS) - 1;

@unmanaged
export class RunStore {
  /** Addresses of segments. */
  directory: u32;
  directoryWords: u32;
  segments: u32;
  /** Units from here on were never used. */
  top: u32;
  /** Address of the first free run of each size. */
  free: u32;
  /** Runs that wait: size << 27 | number. */
  waiting: Vector;
}

/** Null (0) without memory. */
export function createRunStore(): RunStore {
  const runs = changetype<RunStore>(allocateZeroed(offsetof<RunStore>() as u32) as usize);
  if (changetype<usize>(runs) == 0) return runs;
  runs.free = allocate(SIZE_COUNT << 2);
  runs.waiting = createVector();
  if (runs.free != 0 && changetype<usize>(runs.waiting) != 0) {
    memory.fill(runs.free, 0xff, SIZE_COUNT << 2);
    return runs;
  }
  destroyRunStore(runs);
  return changetype<RunStore>(0);
}

export function destroyRunStore(runs: RunStore): void {
  if (changetype<usize>(runs) == 0) return;
  for (let i: u32 = 0; i < runs.segments; i++)
    release(load<u32>(runs.directory + (i << 2)), SEGMENT_BYTES);
  release(runs.directory, runs.directoryWords << 2);
  release(runs.free, SIZE_COUNT << 2);
  if (changetype<usize>(runs.waiting) != 0) destroyVector(runs.waiting);
  release(changetype<usize>(runs) as u32, offsetof<RunStore>() as u32);
}

export function runStoreBytes(runs: RunStore): u32 {
  return runs.segments * SEGMENT_BYTES + (runs.directoryWords << 2);
}

export function runAddress(runs: RunStore, run: u32): u32 {
  const segment = load<u32>(runs.directory + ((run >> SEGMENT_SHIFT) << 2));
  return segment + ((run & SEGMENT_MASK) << UNIT_SHIFT);
}

/** Logarithm of the units that so many ids take. */
export function runSize(ids: u32): u32 {
  return 31 - clz((ids - 1) | 1);
}

/** Makes sure that the next `takeRun` finds a place; false without memory. */
export function reserveRun(runs: RunStore): bool {
  while ((runs.segments << SEGMENT_SHIFT) - runs.top < UNITS_PER_TAKE) {
    if (runs.top >= UNITS_MAX - (UNITS_PER_TAKE << 2)) return false;
    if (runs.segments == runs.directoryWords && !growDirectory(runs)) return false;
    const segment = allocate(SEGMENT_BYTES);
    if (segment == 0) return false;
    store<u32>(runs.directory + (runs.segments << 2), segment);
    runs.segments += 1;
  }
  return true;
}

function growDirectory(runs: RunStore): bool {
  const words = max(FIRST_DIRECTORY, runs.directoryWords << 1);
  const wider = allocate(words << 2);
  if (wider == 0) return false;
  memory.copy(wider, runs.directory, runs.segments << 2);
  release(runs.directory, runs.directoryWords << 2);
  runs.directory = wider;
  runs.directoryWords = words;
  return true;
}

/** The number of a run; `reserveRun` made the room. */
export function takeRun(runs: RunStore, size: u32): u32 {
  const head = runs.free + (size << 2);
  const free = load<u32>(head);
  if (free != NO_RUN) {
    store<u32>(head, load<u32>(runAddress(runs, free)));
    return free;
  }
  const units: u32 = 1 << size;
  for (let left = SEGMENT_UNITS - (runs.top & SEGMENT_MASK); left < units;) {
    const rest = 31 - clz(left);
    freeRun(runs, runs.top, rest);
    runs.top += 1 << rest;
    left -= 1 << rest;
    if (left == 0) break;
  }
  const run = runs.top;
  runs.top += units;
  return run;
}

/** Gives a run back at once: no cursor is under way. */
export function freeRun(runs: RunStore, run: u32, size: u32): void {
  const head = runs.free + (size << 2);
  store<u32>(runAddress(runs, run), load<u32>(head));
  store<u32>(head, run);
}

/** Gives a run back when the transaction ends. Without memory for the note its place is lost. */
export function freeRunLater(runs: RunStore, run: u32, size: u32): void {
  push(runs.waiting, (size << RUN_ID_BITS) | run);
}

/** Cursors of the time before are void: the runs that wait are free. */
export function settleRuns(runs: RunStore): void {
  const waiting = runs.waiting;
  if (waiting.length == 0) return;
  for (let i: u32 = 0; i < waiting.length; i++) {
    const word = wordAt(waiting, i);
    freeRun(runs, word & RUN_ID_MASK, word >> RUN_ID_BITS);
  }
  clearVector(waiting);
}
