/*
 * Cells as the text of a JSON array, for the `inputs` column of `system:errors`: `[1,"a",null]`.
 * Strings are escaped as JSON.stringify does it, ints are digits, all else comes from the host.
 */
import { formatEncoded, formatFloat } from './env';
import { allocate, release } from './memory';
import {
  CELL_FALSE,
  CELL_NULL,
  CELL_TRUE,
  internString,
  intOf,
  isEncoded,
  isFloat,
  isInt,
  NO_CELL,
  floatOf,
  stringBytes,
  stringLength,
} from './value-table';

const NUMBER_BYTES_MAX: u32 = 32;
const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;

/** Upper bound of a cell's text with the comma behind it. */
function textBytesMax(cell: u32): u32 {
  if (
    cell == CELL_NULL ||
    cell == CELL_FALSE ||
    cell == CELL_TRUE ||
    isInt(cell) ||
    isFloat(cell)
  ) {
    return NUMBER_BYTES_MAX + 1;
  }
  if (isEncoded(cell)) return stringLength(cell) * 7 + 65;
  return stringLength(cell) * 6 + 3;
}

function writeDigits(value: i64, to: u32): u32 {
  let rest: u64 = value < 0 ? 0 - (value as u64) : (value as u64);
  let length: u32 = value < 0 ? 1 : 0;
  for (let power = rest; power >= 10; power /= 10) length += 1;
  length += 1;
  let at = to + length;
  do {
    at -= 1;
    store<u8>(at, (0x30 + (rest % 10)) as u8);
    rest /= 10;
  } while (rest != 0);
  if (value < 0) store<u8>(to, 0x2d);
  return length;
}

function writeAscii(text: u32, length: u32, to: u32): u32 {
  memory.copy(to, text, length);
  return length;
}

const WORDS: u32 = memory.data<u8>([
  0x6e, 0x75, 0x6c, 0x6c, 0x66, 0x61, 0x6c, 0x73, 0x65, 0x74, 0x72, 0x75, 0x65,
]) as u32;

/** The letter of a short escape (`\n` …), or 0. */
function shortEscape(byte: u8): u8 {
  if (byte == QUOTE || byte == BACKSLASH) return byte;
  if (byte == 8) return 0x62;
  if (byte == 9) return 0x74;
  if (byte == 10) return 0x6e;
  if (byte == 12) return 0x66;
  return byte == 13 ? 0x72 : 0;
}

function hexDigit(nibble: u8): u8 {
  return nibble < 10 ? 0x30 + nibble : 0x57 + nibble;
}

function writeString(cell: u32, to: u32): u32 {
  const from = stringBytes(cell);
  const length = stringLength(cell);
  let at = to;
  store<u8>(at++, QUOTE);
  for (let i: u32 = 0; i < length; i++) {
    const byte = load<u8>(from + i);
    const short = shortEscape(byte);
    if (short != 0) {
      store<u8>(at++, BACKSLASH);
      store<u8>(at++, short);
    } else if (byte < 0x20) {
      store<u8>(at, BACKSLASH);
      store<u8>(at, 0x75, 1);
      store<u8>(at, 0x30, 2);
      store<u8>(at, 0x30, 3);
      store<u8>(at, hexDigit(byte >> 4), 4);
      store<u8>(at, hexDigit(byte & 15), 5);
      at += 6;
    } else store<u8>(at++, byte);
  }
  store<u8>(at++, QUOTE);
  return at - to;
}

function writeCell(cell: u32, to: u32): u32 {
  if (cell == CELL_NULL) return writeAscii(WORDS, 4, to);
  if (cell == CELL_FALSE) return writeAscii(WORDS + 4, 5, to);
  if (cell == CELL_TRUE) return writeAscii(WORDS + 9, 4, to);
  if (isInt(cell)) return writeDigits(intOf(cell), to);
  if (isFloat(cell)) return formatFloat(floatOf(cell), to);
  if (isEncoded(cell)) return formatEncoded(stringBytes(cell), stringLength(cell), to);
  return writeString(cell, to);
}

/** The string cell of `[cell,cell,…]`; NO_CELL without memory. */
export function formatCells(cells: u32, count: u32): u32 {
  let bytes: u32 = 2;
  for (let i: u32 = 0; i < count; i++) bytes += textBytesMax(load<u32>(cells + (i << 2)));
  const buffer = allocate(bytes);
  if (buffer == 0) return NO_CELL;
  let at = buffer;
  store<u8>(at++, 0x5b);
  for (let i: u32 = 0; i < count; i++) {
    if (i > 0) store<u8>(at++, 0x2c);
    at += writeCell(load<u32>(cells + (i << 2)), at);
  }
  store<u8>(at++, 0x5d);
  const cell = internString(buffer, at - buffer);
  release(buffer, bytes);
  return cell;
}
