/*
 * Sorts ids of a relation's rows by the total order of their cells, in slices: blocks by keys
 * (key-sort.ts), then a bottom-up merge sort of the blocks between two lists. Where keys leave rows
 * undecided, and for a few rows, the merge sort begins with single rows.
 */
import {
  compareRows,
  createKeySort,
  destroyKeySort,
  KEY_SORT_ROWS,
  KeySort,
  stepKeySort,
} from './key-sort';
import { Relation } from './row-store';
import { createVector, destroyVector, push, setWordAt, Vector, wordAt } from './vector';
import { allocateZeroed, release } from './memory';

@unmanaged
export class Sorter {
  relation: Relation;
  ids: Vector;
  spare: Vector;
  /** Rows of a run that is in order; 0 while blocks are sorted. */
  width: u32;
  /** Of the block that is sorted by keys, else 0. */
  keySort: KeySort;
  /** A block was not decided by its keys. */
  undecided: bool;
  /** Start of the pair of runs under way, and the places in it. */
  start: u32;
  left: u32;
  right: u32;
  /** Place to read from when the sorted ids are written out. */
  next: u32;
}

const MERGES_PER_SLICE: u32 = 16384;
const KEY_SORT_ROWS_MIN: u32 = 32;

/** `isSorting` false: the ids stay in the order in which they are added. */
export function createSorter(relation: Relation, isSorting: bool): Sorter {
  const sorter = changetype<Sorter>(allocateZeroed(offsetof<Sorter>() as u32) as usize);
  if (changetype<usize>(sorter) == 0) return sorter;
  sorter.relation = relation;
  sorter.ids = createVector();
  sorter.spare = createVector();
  sorter.width = isSorting ? 0 : 0xffffffff;
  return sorter;
}

export function addId(sorter: Sorter, id: u32): bool {
  return push(sorter.ids, id) && push(sorter.spare, 0);
}

/** A slice of a block; behind the last one the merge sort begins. */
function sortBlock(sorter: Sorter): void {
  const total = sorter.ids.length;
  const end = min(total, sorter.start + KEY_SORT_ROWS);
  if (changetype<usize>(sorter.keySort) == 0 && total >= KEY_SORT_ROWS_MIN)
    sorter.keySort = createKeySort(sorter.relation, sorter.ids, sorter.start, end);
  const sort = sorter.keySort;
  if (changetype<usize>(sort) == 0) sorter.undecided = true;
  else {
    if (!stepKeySort(sort)) return;
    if (sort.undecided) sorter.undecided = true;
    dropKeySort(sorter);
  }
  sorter.start = end;
  if (end < total) return;
  sorter.start = 0;
  sorter.width = sorter.undecided ? 1 : KEY_SORT_ROWS;
}

function dropKeySort(sorter: Sorter): void {
  destroyKeySort(sorter.keySort);
  sorter.keySort = changetype<KeySort>(0);
}

/** A slice of work; true when the ids are sorted. */
export function sortSlice(sorter: Sorter): bool {
  const total = sorter.ids.length;
  if (sorter.width == 0) {
    sortBlock(sorter);
    if (sorter.width == 0) return false;
  }
  let work: u32 = 0;
  while (sorter.width < total) {
    while (sorter.start < total) {
      const middle = min(sorter.start + sorter.width, total);
      const end = min(middle + sorter.width, total);
      if (sorter.left == 0 && sorter.right == 0) {
        sorter.left = sorter.start;
        sorter.right = middle;
      }
      let to = sorter.left + sorter.right - middle;
      while (to < end) {
        if (work++ == MERGES_PER_SLICE) return false;
        const takeLeft =
          sorter.left < middle &&
          (sorter.right >= end ||
            compareRows(
              sorter.relation,
              wordAt(sorter.ids, sorter.left),
              wordAt(sorter.ids, sorter.right),
            ) <= 0);
        setWordAt(sorter.spare, to, wordAt(sorter.ids, takeLeft ? sorter.left++ : sorter.right++));
        to += 1;
      }
      sorter.start = end;
      sorter.left = 0;
      sorter.right = 0;
    }
    const sorted = sorter.spare;
    sorter.spare = sorter.ids;
    sorter.ids = sorted;
    sorter.start = 0;
    sorter.width <<= 1;
  }
  return true;
}

export function destroySorter(sorter: Sorter): void {
  dropKeySort(sorter);
  destroyVector(sorter.ids);
  destroyVector(sorter.spare);
  release(changetype<usize>(sorter) as u32, offsetof<Sorter>() as u32);
}
