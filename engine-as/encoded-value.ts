/*
 * Values as the bytes of a row block (host/value/row-block.ts): what is verified before such bytes
 * are interned, and their order. Lists and documents hold values in the same form.
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
} from './abi';
import { compareIntFloat } from './number-order';
import { isUtf8 } from './utf8';

const MICROS_MIN: i64 = -62135596800000000;
const MICROS_MAX: i64 = 253402300799999999;

/** Bytes of a value that is known to be one. */
export function encodedBytes(pointer: u32): u32 {
  switch (load<u8>(pointer) as i32) {
    case TAG_INT32:
      return 5;
    case TAG_INT64:
    case TAG_FLOAT:
    case TAG_DATETIME:
      return 9;
    case TAG_SHORT_STRING:
    case TAG_IP:
      return 2 + (load<u8>(pointer, 1) as u32);
    case TAG_NETWORK:
      return 3 + (load<u8>(pointer, 1) as u32);
    case TAG_STRING:
    case TAG_LIST:
    case TAG_DOCUMENT:
      return 5 + load<u32>(pointer, 1);
    default:
      return 1;
  }
}

/**
 * Bytes of the canonical value that begins at `pointer` and ends before `end`; 0 where there is
 * none. `levels`: of lists and documents that it may have.
 */
export function verifyEncoded(pointer: u32, end: u32, levels: u32): u32 {
  if (pointer >= end) return 0;
  const left = end - pointer;
  switch (load<u8>(pointer) as i32) {
    case TAG_NULL:
    case TAG_FALSE:
    case TAG_TRUE:
      return 1;
    case TAG_INT32:
      return left < 5 ? 0 : 5;
    case TAG_INT64: {
      if (left < 9) return 0;
      const value = load<i64>(pointer, 1);
      return value == (value as i32 as i64) ? 0 : 9;
    }
    case TAG_FLOAT: {
      if (left < 9) return 0;
      const isMinusZero = load<u64>(pointer, 1) == 0x8000000000000000;
      return isMinusZero || !isFinite(load<f64>(pointer, 1)) ? 0 : 9;
    }
    case TAG_SHORT_STRING:
      return left < 2 ? 0 : verifyText(pointer, left, 2, load<u8>(pointer, 1));
    case TAG_STRING: {
      if (left < 5 || load<u32>(pointer, 1) <= 255) return 0;
      return verifyText(pointer, left, 5, load<u32>(pointer, 1));
    }
    case TAG_DATETIME: {
      if (left < 9) return 0;
      const micros = load<i64>(pointer, 1);
      return micros < MICROS_MIN || micros > MICROS_MAX ? 0 : 9;
    }
    case TAG_IP:
    case TAG_NETWORK:
      return verifyAddress(pointer, left, load<u8>(pointer) == TAG_NETWORK);
    case TAG_LIST:
    case TAG_DOCUMENT:
      return verifyNested(pointer, left, levels, load<u8>(pointer) == TAG_DOCUMENT);
    default:
      return 0;
  }
}

function verifyText(pointer: u32, left: u32, header: u32, length: u32): u32 {
  if (length > (STRING_BYTES_MAX as u32) || header + length > left) return 0;
  return isUtf8(pointer + header, length) ? header + length : 0;
}

function verifyAddress(pointer: u32, left: u32, isNetwork: bool): u32 {
  if (left < 2) return 0;
  const width = load<u8>(pointer, 1) as u32;
  if (width != 4 && width != 16) return 0;
  const bytes: u32 = 2 + width + (isNetwork ? 1 : 0);
  if (left < bytes) return 0;
  if (!isNetwork) return bytes;
  const prefix = load<u8>(pointer + 2 + width) as u32;
  if (prefix > width * 8) return 0;
  for (let i: u32 = 0; i < width; i++) {
    const kept = prefix <= i * 8 ? 0 : min<u32>(8, prefix - i * 8);
    if ((load<u8>(pointer + 2 + i) & (0xff >> kept)) != 0) return 0;
  }
  return bytes;
}

function verifyNested(pointer: u32, left: u32, levels: u32, isDocument: bool): u32 {
  if (levels == 0 || left < 5) return 0;
  const length = load<u32>(pointer, 1);
  if (length > (STRING_BYTES_MAX as u32) || length > left - 5) return 0;
  const end = pointer + 5 + length;
  let at = pointer + 5;
  let before: u32 = 0;
  while (at < end) {
    if (isDocument) {
      const tag = load<u8>(at) as i32;
      const bytes = verifyEncoded(at, end, 0);
      if (bytes == 0 || (tag != TAG_SHORT_STRING && tag != TAG_STRING)) return 0;
      if (before != 0 && compareEncoded(before, at) >= 0) return 0;
      before = at;
      at += bytes;
    }
    const bytes = verifyEncoded(at, end, levels - 1);
    if (bytes == 0) return 0;
    at += bytes;
  }
  return 5 + length;
}

/** Place of a tag in the order; strings and ints have two tags each. */
function rankOf(tag: i32): i32 {
  switch (tag) {
    case TAG_INT64:
    case TAG_FLOAT:
    case TAG_INT32:
      return 3;
    case TAG_STRING:
    case TAG_SHORT_STRING:
      return 4;
    default:
      return tag;
  }
}

function intAt(pointer: u32): i64 {
  return load<u8>(pointer) == TAG_INT32 ? (load<i32>(pointer, 1) as i64) : load<i64>(pointer, 1);
}

function compareNumbers(a: u32, b: u32): i32 {
  const aFloat = load<u8>(a) == TAG_FLOAT;
  const bFloat = load<u8>(b) == TAG_FLOAT;
  if (!aFloat && !bFloat) {
    const x = intAt(a);
    const y = intAt(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (aFloat && bFloat) {
    const x = load<f64>(a, 1);
    const y = load<f64>(b, 1);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const order = aFloat
    ? -compareIntFloat(intAt(b), load<f64>(a, 1))
    : compareIntFloat(intAt(a), load<f64>(b, 1));
  return order != 0 ? order : aFloat ? 1 : -1;
}

function compareTexts(a: u32, b: u32): i32 {
  const aHeader: u32 = load<u8>(a) == TAG_STRING ? 5 : 2;
  const bHeader: u32 = load<u8>(b) == TAG_STRING ? 5 : 2;
  const aLength = encodedBytes(a) - aHeader;
  const bLength = encodedBytes(b) - bHeader;
  const order = memory.compare(a + aHeader, b + bHeader, min(aLength, bLength));
  if (order != 0) return order;
  return aLength < bLength ? -1 : aLength > bLength ? 1 : 0;
}

/** Item by item, where one ends first it is less; a document's items are its names and values. */
function compareNested(a: u32, b: u32): i32 {
  const aEnd = a + encodedBytes(a);
  const bEnd = b + encodedBytes(b);
  a += 5;
  b += 5;
  while (a < aEnd && b < bEnd) {
    const order = compareEncoded(a, b);
    if (order != 0) return order;
    a += encodedBytes(a);
    b += encodedBytes(b);
  }
  return a < aEnd ? 1 : b < bEnd ? -1 : 0;
}

/** The total order of the values at two addresses, which are known to be values. */
export function compareEncoded(a: u32, b: u32): i32 {
  const tag = load<u8>(a) as i32;
  const rank = rankOf(tag);
  const other = rankOf(load<u8>(b));
  if (rank != other) return rank < other ? -1 : 1;
  switch (rank) {
    case 3:
      return compareNumbers(a, b);
    case 4:
      return compareTexts(a, b);
    case TAG_DATETIME: {
      const x = load<i64>(a, 1);
      const y = load<i64>(b, 1);
      return x < y ? -1 : x > y ? 1 : 0;
    }
    case TAG_IP:
    case TAG_NETWORK: {
      // The width comes first, then the bits, then the prefix: all as unsigned bytes.
      const bytes = min(encodedBytes(a), encodedBytes(b));
      return memory.compare(a + 1, b + 1, bytes - 1);
    }
    case TAG_LIST:
    case TAG_DOCUMENT:
      return compareNested(a, b);
    default:
      return 0;
  }
}
