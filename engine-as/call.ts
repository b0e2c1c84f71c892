/*
 * Functions of the language (host/functions) are called through the host: inputs and value go as
 * bytes of a row block. The last calls are kept, by function and input cells, because the versions
 * of a rule ask the same again and again: a cache and no state, for the functions are pure.
 *
 *   entry  | function, or EMPTY | inputs | value | input cells … |
 */
import { CALL_BYTES_MAX } from './abi';
import { FAILED } from './compute';
import { callFunction, callWork, takeValue } from './env';
import { hashCells, mix } from './hash';
import { allocate, release } from './memory';
import { cellBytes, readCell, writeCell } from './row-codec';
import { markCell, marking, NO_CELL } from './value-table';

const ENTRIES: u32 = 0x2000;
const KEPT_INPUTS_MAX: u32 = 5;
const ENTRY_BYTES: u32 = 12 + (KEPT_INPUTS_MAX << 2);
const EMPTY: u32 = 0xffffffff;
const HOST_FAILED: u32 = 0xffffffff;
const BUFFER_BYTES: u32 = 0x1000;
/** A call costs as many steps as this, one for each so many bytes of its inputs, and its work. */
const STEPS: u32 = 8;
const BYTES_PER_STEP: u32 = 16;

let entries: u32 = 0;
let buffer: u32 = 0;
/** Steps that the last call is worth. */
export let callSteps: u32 = 0;

export function initCalls(): bool {
  entries = allocate(ENTRIES * ENTRY_BYTES);
  buffer = allocate(BUFFER_BYTES * 2);
  if (entries == 0 || buffer == 0) return false;
  forgetCalls();
  return true;
}

/** Before values are collected: cells may soon stand for others. */
export function forgetCalls(): void {
  for (let i: u32 = 0; i < ENTRIES; i++) store<u32>(entries + i * ENTRY_BYTES, EMPTY);
}

/** The value's cell, FAILED, or NO_CELL without memory. */
export function call(number: u32, count: u32, cells: u32): u32 {
  callSteps = 1;
  if (count > KEPT_INPUTS_MAX) return ask(number, count, cells);
  const hash = mix(number as u64, hashCells(cells, count) as u64) as u32;
  const entry = entries + (hash & (ENTRIES - 1)) * ENTRY_BYTES;
  if (
    load<u32>(entry) == number &&
    load<u32>(entry, 4) == count &&
    memory.compare(entry + 12, cells, count << 2) == 0
  ) {
    const known = load<u32>(entry, 8);
    if (marking && known != FAILED) markCell(known);
    return known;
  }
  const value = ask(number, count, cells);
  if (value == NO_CELL) return value;
  store<u32>(entry, number);
  store<u32>(entry, count, 4);
  store<u32>(entry, value, 8);
  memory.copy(entry + 12, cells, count << 2);
  return value;
}

function ask(number: u32, count: u32, cells: u32): u32 {
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    bytes += cellBytes(load<u32>(cells + (i << 2)));
    if (bytes > (CALL_BYTES_MAX as u32)) return FAILED;
  }
  const from = bytes <= BUFFER_BYTES ? buffer : allocate(bytes);
  if (from == 0) return NO_CELL;
  let at = from;
  for (let i: u32 = 0; i < count; i++) at = writeCell(load<u32>(cells + (i << 2)), at);
  const room = buffer + BUFFER_BYTES;
  const length = callFunction(number, count, from, bytes, room, BUFFER_BYTES);
  if (from != buffer) release(from, bytes);
  callSteps = STEPS + bytes / BYTES_PER_STEP + callWork();
  if (length == HOST_FAILED) return FAILED;
  if (length <= BUFFER_BYTES) return readCell(room, room + length);
  const to = allocate(length);
  if (to == 0) return NO_CELL;
  takeValue(to);
  const value = readCell(to, to + length);
  release(to, length);
  return value;
}
