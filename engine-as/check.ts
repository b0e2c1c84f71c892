/*
 * Point checks: is this row there, as readers see it? The host puts the row's cells into the check
 * area, or asks here for those of values that are no small ints; nothing is interned, so a check
 * leaves nothing behind. Cells hold until the next call that collects.
 *
 *   check area  | cells: ARITY_MAX words | text: CHECK_TEXT_BYTES |
 */
import {
  ARITY_MAX,
  CHECK_TEXT_BYTES,
  TAG_FLOAT,
  TAG_INT32,
  TAG_INT64,
  TAG_SHORT_STRING,
  TAG_STRING,
  VIEW_READ,
} from './abi';
import { relationOf } from './catalog';
import { hashCells } from './hash';
import { NOT_FOUND } from './id-set';
import { listAll } from './listing';
import { findRow } from './relation';
import { rowAddress } from './row-store';
import { findEncoded, findFloat, findInt, findString, NO_CELL } from './value-table';
import { isVisible } from './views';

const CELLS_BYTES: i32 = ARITY_MAX * 4;
const area: u32 = memory.data(ARITY_MAX * 4 + CHECK_TEXT_BYTES, 8) as u32;

export function checkAreaAddress(): u32 {
  return area;
}

/** The cell of the text in the area, which is UTF-8; NO_CELL if nothing refers to such a text. */
export function textCell(length: u32): u32 {
  return length > (CHECK_TEXT_BYTES as u32) ? NO_CELL : findString(area + CELLS_BYTES, length);
}

/** The cell of a value in a row block's bytes, but for null and booleans; or NO_CELL. */
export function valueCell(pointer: u32, length: u32): u32 {
  if (length < 2) return NO_CELL;
  switch (load<u8>(pointer) as i32) {
    case TAG_INT32:
      return length == 5 ? findInt(load<i32>(pointer, 1) as i64) : NO_CELL;
    case TAG_INT64:
      return length == 9 ? findInt(load<i64>(pointer, 1)) : NO_CELL;
    case TAG_FLOAT:
      return length == 9 ? findFloat(load<f64>(pointer, 1)) : NO_CELL;
    case TAG_SHORT_STRING:
      return findString(pointer + 2, length - 2);
    case TAG_STRING:
      return length < 5 ? NO_CELL : findString(pointer + 5, length - 5);
    default:
      return findEncoded(pointer, length);
  }
}

/** 1 when the row of the cells in the area is there, 2 without memory to look for it, else 0. */
export function checkRow(handle: u32): u32 {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0) return 0;
  // What a batch left unlisted; in the middle of a transaction nothing that readers see is.
  if (!listAll(relation)) return 2;
  const id = findRow(relation, area, hashCells(area, relation.arity));
  return id != NOT_FOUND && isVisible(load<u32>(rowAddress(relation, id)), VIEW_READ) ? 1 : 0;
}
