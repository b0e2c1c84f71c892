/*
 * Sorts ids of a relation's rows by the total order of their cells: bottom-up merge sort between
 * two lists, in slices.
 */
import { Relation, rowAddress } from './row-store';
import { compareCells } from './value-table';
import { createVector, destroyVector, push, setWordAt, Vector, wordAt } from './vector';
import { allocateZeroed, release } from './memory';

@unmanaged
export class Sorter {
  relation: Relation;
  ids: Vector;
  spare: Vector;
  width: u32;
  /** Start of the pair of runs under way, and the places in it. */
  start: u32;
  left: u32;
  right: u32;
  /** Place to read from when the sorted ids are written out. */
  next: u32;
}

const MERGES_PER_SLICE: u32 = 16384;

/** `isSorting` false: the ids stay in the order in which they are added. */
export function createSorter(relation: Relation, isSorting: bool): Sorter {
  const sorter = changetype<Sorter>(allocateZeroed(offsetof<Sorter>() as u32) as usize);
  if (changetype<usize>(sorter) == 0) return sorter;
  sorter.relation = relation;
  sorter.ids = createVector();
  sorter.spare = createVector();
  sorter.width = isSorting ? 1 : 0xffffffff;
  return sorter;
}

export function addId(sorter: Sorter, id: u32): bool {
  return push(sorter.ids, id) && push(sorter.spare, 0);
}

function compareRows(relation: Relation, a: u32, b: u32): i32 {
  const x = rowAddress(relation, a) + relation.cellsAt;
  const y = rowAddress(relation, b) + relation.cellsAt;
  for (let i: u32 = 0; i < relation.arity; i++) {
    const order = compareCells(load<u32>(x + (i << 2)), load<u32>(y + (i << 2)));
    if (order != 0) return order;
  }
  return 0;
}

/** A slice of work; true when the ids are sorted. */
export function sortSlice(sorter: Sorter): bool {
  const total = sorter.ids.length;
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
  destroyVector(sorter.ids);
  destroyVector(sorter.spare);
  release(changetype<usize>(sorter) as u32, offsetof<Sorter>() as u32);
}
