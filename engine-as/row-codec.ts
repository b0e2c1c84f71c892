/*
 * Rows between bytes (host/value/row-block.ts) and cells. The reader verifies every byte, for bytes
 * come from the log and from callers; the writer asserts nothing, for cells are the core's own.
 */
import {
  STRING_BYTES_MAX,
  TAG_FALSE,
  TAG_FLOAT,
  TAG_INT32,
  TAG_INT64,
  TAG_NULL,
  TAG_SHORT_STRING,
  TAG_STRING,
  TAG_TRUE,
} from './abi';
import {
  CELL_FALSE,
  CELL_NULL,
  CELL_TRUE,
  floatOf,
  internFloat,
  internInt,
  internString,
  intOf,
  isFloat,
  isInt,
  stringBytes,
  stringLength,
} from './value-table';
import { shortWord } from './hash';

/** Bytes that the last `readValue` took. */
export let readBytes: u32 = 0;
/** The answer of `readValue` and `readCell` for bytes that are no value. */
export const BAD_CELL: u32 = 0xfffffffa;
/** The answer of `readValue` for a string: `textAt` and `textBytes` tell which. */
export const TEXT_CELL: u32 = 0xfffffff6;
export let textAt: u32 = 0;
export let textBytes: u32 = 0;
/** Set when a value is bad because the bytes end in it, and only then. */
export let isCutShort: bool = false;

export function forgetCut(): void {
  isCutShort = false;
}

function cutShort(): u32 {
  isCutShort = true;
  return BAD_CELL;
}

function readString(pointer: u32, end: u32, header: u32, length: u32): u32 {
  if (length > (STRING_BYTES_MAX as u32)) return BAD_CELL;
  if (header + length > end - pointer) return cutShort();
  if (!isUtf8(pointer + header, length)) return BAD_CELL;
  readBytes = header + length;
  textAt = pointer + header;
  textBytes = length;
  return TEXT_CELL;
}

/**
 * Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing past
 * U+10FFFF.
 */
function isUtf8(pointer: u32, length: u32): bool {
  if (length <= 8 && (shortWord(pointer, length) & 0x8080808080808080) == 0) return true;
  const start = pointer;
  const end = pointer + length;
  while (pointer < end) {
    // What is left of a text of ASCII letters is in its last word.
    const last = pointer + 8 > end && pointer >= start + 8;
    if (last && (load<u64>(end - 8) & 0x8080808080808080) == 0) return true;
    if (pointer + 8 <= end && (load<u64>(pointer) & 0x8080808080808080) == 0) {
      pointer += 8;
      continue;
    }
    const lead = load<u8>(pointer) as u32;
    pointer += 1;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    let low: u32 = 0x80;
    let high: u32 = 0xbf;
    if (lead == 0xe0) low = 0xa0;
    else if (lead == 0xed) high = 0x9f;
    else if (lead == 0xf0) low = 0x90;
    else if (lead == 0xf4) high = 0x8f;
    const more: u32 = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (pointer + more > end) return false;
    for (let i: u32 = 0; i < more; i++) {
      const byte = load<u8>(pointer + i) as u32;
      if (byte < low || byte > high) return false;
      low = 0x80;
      high = 0xbf;
    }
    pointer += more;
  }
  return true;
}

/** The cell of the value at `pointer`; BAD_CELL, or NO_CELL without memory. */
export function readCell(pointer: u32, end: u32): u32 {
  const cell = readValue(pointer, end);
  return cell == TEXT_CELL ? internString(textAt, textBytes) : cell;
}

/** The same, but for a string, which is verified and left to the caller. */
export function readValue(pointer: u32, end: u32): u32 {
  if (pointer >= end) return cutShort();
  const tag = load<u8>(pointer) as i32;
  const left = end - pointer;
  readBytes = 1;
  switch (tag) {
    case TAG_NULL:
      return CELL_NULL;
    case TAG_FALSE:
      return CELL_FALSE;
    case TAG_TRUE:
      return CELL_TRUE;
    case TAG_INT32:
      readBytes = 5;
      return left < 5 ? cutShort() : internInt(load<i32>(pointer, 1) as i64);
    case TAG_INT64:
      readBytes = 9;
      return left < 9 ? cutShort() : internInt(load<i64>(pointer, 1));
    case TAG_FLOAT: {
      readBytes = 9;
      if (left < 9) return cutShort();
      const value = load<f64>(pointer, 1);
      return isFinite(value) ? internFloat(value) : BAD_CELL;
    }
    case TAG_SHORT_STRING:
      return left < 2 ? cutShort() : readString(pointer, end, 2, load<u8>(pointer, 1));
    case TAG_STRING:
      return left < 5 ? cutShort() : readString(pointer, end, 5, load<u32>(pointer, 1));
    default:
      return BAD_CELL;
  }
}

/** Bytes of a cell's value. */
export function cellBytes(cell: u32): u32 {
  if (cell == CELL_NULL || cell == CELL_FALSE || cell == CELL_TRUE) return 1;
  if (isInt(cell)) {
    const value = intOf(cell);
    return value == (value as i32 as i64) ? 5 : 9;
  }
  if (isFloat(cell)) return 9;
  const length = stringLength(cell);
  return length > 255 ? 5 + length : 2 + length;
}

/** Writes a cell's value; answers the address behind it. */
export function writeCell(cell: u32, to: u32): u32 {
  if (cell == CELL_NULL || cell == CELL_FALSE || cell == CELL_TRUE) {
    store<u8>(to, cell >> 1);
    return to + 1;
  }
  if (isInt(cell)) {
    const value = intOf(cell);
    if (value == (value as i32 as i64)) {
      store<u8>(to, TAG_INT32);
      store<i32>(to, value as i32, 1);
      return to + 5;
    }
    store<u8>(to, TAG_INT64);
    store<i64>(to, value, 1);
    return to + 9;
  }
  if (isFloat(cell)) {
    store<u8>(to, TAG_FLOAT);
    store<f64>(to, floatOf(cell), 1);
    return to + 9;
  }
  const length = stringLength(cell);
  const header: u32 = length > 255 ? 5 : 2;
  if (header == 2) {
    store<u8>(to, TAG_SHORT_STRING);
    store<u8>(to, length, 1);
  } else {
    store<u8>(to, TAG_STRING);
    store<u32>(to, length, 1);
  }
  memory.copy(to + header, stringBytes(cell), length);
  return to + header + length;
}
