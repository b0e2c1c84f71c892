/*
 * Rows on their way out: chosen by a view, a delta or a difference, sorted by the total order
 * unless any order will do, written as a row block piece by piece. An output is void once a
 * transaction passes its commit point.
 */
import {
  OUTPUT_ADDED,
  OUTPUT_BASE,
  OUTPUT_GAINED,
  OUTPUT_NEW,
  OUTPUT_REMOVED,
  OUTPUT_ROWS,
  OUTPUT_UNSORTED,
  ROW_BASE,
  ROW_LIVE,
  ROW_OLD,
  ROW_TOUCHED,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
  TAG_INT32,
  VIEW_BASE,
  VIEW_READ,
} from './abi';
import { hashCells } from './hash';
import { NOT_FOUND } from './id-set';
import { appendKept, keptRows } from './kept-bits';
import { listAll } from './listing';
import { allocateZeroed, memoryLow, release } from './memory';
import { NEAR_ROWS, nearRows } from './near';
import { findRow } from './relation';
import { Relation, rowAddress } from './row-store';
import { cellBytes, writeCell } from './row-codec';
import { addId, createSorter, destroySorter, Sorter, sortSlice } from './sorter';
import { isSmallInt } from './value-table';
import { wordAt } from './vector';
import { isVisible } from './views';

const SLICE_ROWS: u32 = 8192;
const SMALL_INT_BYTES: u32 = 5;

@unmanaged
export class Output {
  sorter: Sorter;
  kind: u32;
  relation: Relation;
  other: Relation;
  cursor: u32;
  /** Entries or ids to look at; rows that a transaction adds meanwhile are not for this reader. */
  end: u32;
}

export function createOutput(request: u32, relation: Relation, other: Relation): Output {
  const kind = request & ~(OUTPUT_UNSORTED as u32);
  // A difference looks for the rows of the other one.
  if (changetype<usize>(other) != 0 && !listAll(other)) return changetype<Output>(0);
  const output = changetype<Output>(allocateZeroed(offsetof<Output>() as u32) as usize);
  if (changetype<usize>(output) == 0) return output;
  output.sorter = createSorter(relation, kind == request);
  output.kind = kind;
  output.relation = relation;
  output.other = other;
  const isDelta = kind == OUTPUT_ADDED || kind == OUTPUT_REMOVED;
  output.end = isDelta ? relation.delta.length : relation.top + keptRows(relation);
  return output;
}

/** True when a row with these cells stands in the other relation under a flag. */
function standsIn(other: Relation, cells: u32, flag: u32): bool {
  const id = findRow(other, cells, hashCells(cells, other.arity));
  return id != NOT_FOUND && (load<u32>(rowAddress(other, id)) & flag) != 0;
}

/** A base row of a best table that is not its group's best, unless it came just now. */
function isKeptBase(relation: Relation, meta: u32): bool {
  return relation.bestColumn != 0 && (meta & (ROW_BASE | ROW_TOUCHED)) == ROW_BASE;
}

function isChosen(output: Output, id: u32): bool {
  const row = rowAddress(output.relation, id);
  const meta = load<u32>(row);
  const cells = row + output.relation.cellsAt;
  switch (output.kind as i32) {
    case OUTPUT_ROWS:
      return isVisible(meta, VIEW_READ);
    case OUTPUT_BASE:
      return isVisible(meta, VIEW_BASE) || isKeptBase(output.relation, meta);
    case OUTPUT_NEW:
      return (meta & ROW_LIVE) != 0;
    case OUTPUT_GAINED:
      return (meta & ROW_LIVE) != 0 && !standsIn(output.other, cells, ROW_OLD);
    default:
      return (meta & ROW_OLD) != 0 && !standsIn(output.other, cells, ROW_LIVE);
  }
}

/** Fills and sorts in slices. */
export function prepareOutput(output: Output): u32 {
  const relation = output.relation;
  const isDelta = output.kind == OUTPUT_ADDED || output.kind == OUTPUT_REMOVED;
  const total = output.end;
  if (relation.kept != 0) {
    const ok = appendKept(relation, SLICE_ROWS) && !memoryLow;
    return ok ? STATUS_MORE : STATUS_OUT_OF_MEMORY;
  }
  if (output.cursor < total) {
    const end = min(total, output.cursor + SLICE_ROWS);
    for (; output.cursor < end; output.cursor++) {
      let id = output.cursor;
      if (isDelta) {
        const entry = wordAt(relation.delta, id);
        if ((entry & 1) == (output.kind == OUTPUT_REMOVED ? 1 : 0)) continue;
        id = entry >> 1;
      } else if (!isChosen(output, id)) continue;
      if (!addId(output.sorter, id)) return STATUS_OUT_OF_MEMORY;
    }
    if (output.cursor < total) return STATUS_MORE;
  }
  return sortSlice(output.sorter) ? STATUS_DONE : STATUS_MORE;
}

/** Rows that the last `readOutput` wrote. */
export let rowsWritten: u32 = 0;

/** Writes at most `rows` rows, while they fit into [to, to + room); answers the bytes. */
export function readOutput(output: Output, to: u32, room: u32, rows: u32): u32 {
  const relation = output.relation;
  const sorter = output.sorter;
  const end = to + room;
  let at = to;
  rowsWritten = 0;
  let near = sorter.next;
  while (sorter.next < sorter.ids.length && rowsWritten < rows) {
    if (sorter.next == near) {
      near = min(sorter.ids.length, near + NEAR_ROWS);
      nearRows(relation, sorter.ids, sorter.next, near, 1, 0);
    }
    const cells = rowAddress(relation, wordAt(sorter.ids, sorter.next)) + relation.cellsAt;
    const behind = writeRow(cells, relation.arity, at, end);
    if (behind == 0) break;
    at = behind;
    sorter.next += 1;
    rowsWritten += 1;
  }
  return at - to;
}

/** The address behind the row, or 0 where it does not fit. */
function writeRow(cells: u32, arity: u32, to: u32, end: u32): u32 {
  for (let i: u32 = 0; i < arity; i++) {
    const cell = load<u32>(cells + (i << 2));
    if (end - to < SMALL_INT_BYTES || !isSmallInt(cell)) {
      if (end - to < cellBytes(cell)) return 0;
      to = writeCell(cell, to);
      continue;
    }
    store<u8>(to, TAG_INT32);
    store<i32>(to, (cell as i32) >> 1, 1);
    to += SMALL_INT_BYTES;
  }
  return to;
}

export function outputRows(output: Output): u32 {
  return output.sorter.ids.length;
}

/** Bytes of the next row, 0 at the end: for rows larger than the room. */
export function nextRowBytes(output: Output): u32 {
  const sorter = output.sorter;
  if (sorter.next >= sorter.ids.length) return 0;
  const relation = output.relation;
  const cells = rowAddress(relation, wordAt(sorter.ids, sorter.next)) + relation.cellsAt;
  let bytes: u32 = 0;
  for (let i: u32 = 0; i < relation.arity; i++) bytes += cellBytes(load<u32>(cells + (i << 2)));
  return bytes;
}

export function destroyOutput(output: Output): void {
  destroySorter(output.sorter);
  release(changetype<usize>(output) as u32, offsetof<Output>() as u32);
}
