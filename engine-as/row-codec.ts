/*
 * Rows between bytes (host/value/row-block.ts) and cells. The reader verifies every byte, for bytes
 * come from the log and from callers; the writer asserts nothing, for cells are the core's own.
 */
import {
  STRING_BYTES_MAX,
  TAG_DATETIME,
  TAG_DOCUMENT,
  TAG_FALSE,
  TAG_FLOAT,
  TAG_INT32,
  TAG_INT64,
  TAG_IP,
  TAG_LIST,
  TAG_NETWORK,
  TAG_NULL,
  TAG_SHORT_STRING,
  TAG_STRING,
  TAG_TRUE,
  VALUE_DEPTH_MAX,
} from './abi';
import { encodedBytes, verifyEncoded } from './encoded-value';
import { isUtf8 } from './utf8';
import {
  CELL_FALSE,
  CELL_NULL,
  CELL_TRUE,
  floatOf,
  internEncoded,
  internFloat,
  internInt,
  internString,
  intOf,
  isEncoded,
  isFloat,
  isInt,
  stringBytes,
  stringLength,
} from './value-table';

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
      return readEncoded(pointer, end);
  }
}

/** A date-time, address, network, list or document. */
function readEncoded(pointer: u32, end: u32): u32 {
  const left = end - pointer;
  const header = headerBytes(load<u8>(pointer));
  if (header == 0) return BAD_CELL;
  if (left < header) return cutShort();
  const bytes = encodedBytes(pointer);
  if (bytes > (STRING_BYTES_MAX as u32) + 5) return BAD_CELL;
  if (bytes > left) return cutShort();
  readBytes = verifyEncoded(pointer, end, VALUE_DEPTH_MAX);
  return readBytes == 0 ? BAD_CELL : internEncoded(pointer, readBytes);
}

/** Bytes that tell how long such a value is; 0 for a tag that is none. */
function headerBytes(tag: i32): u32 {
  if (tag == TAG_LIST || tag == TAG_DOCUMENT) return 5;
  if (tag == TAG_IP || tag == TAG_NETWORK) return 2;
  return tag == TAG_DATETIME ? 1 : 0;
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
  if (isEncoded(cell)) return length;
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
  if (isEncoded(cell)) {
    memory.copy(to, stringBytes(cell), length);
    return to + length;
  }
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
