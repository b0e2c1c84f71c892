/*
 * Rows outside the component as lists (dense.ts): the numbers of one column's values by the number
 * of another's, counted first, then filled. While a list is filled, `starts[key + 1]` is where the
 * key's next value goes; in the end, where the next key's values begin.
 */
import { ROW_LIVE, STATUS_DONE, STATUS_OUT_OF_MEMORY } from './abi';
import { createMatrix, destroyMatrix, DOMAIN_MAX, isWhole, poolEnded, setBit } from './bit-matrix';
import { DenseList, DensePlan, FORM_IMAGE, FORM_LIST, FORM_SCAN, listAt, NONE } from './dense-plan';
import { NOT_FOUND } from './id-set';
import { isKeptBy, keptFirst, keptSecond, nextKept, nextKeptGroup, openKept } from './kept-bits';
import { countSteps } from './steps';
import { allocate, allocateZeroed, release } from './memory';
import { addNumber, Numbering, numberOf } from './numbering';
import { Relation, rowAddress } from './row-store';

const SLICE_ROWS: u32 = 4096;

let plan: DensePlan = changetype<DensePlan>(0);
let numbering: Numbering = changetype<Numbering>(0);
let at: u32 = 0;
/** The last of what was asked for is done. */
export let listsEnded: bool = false;

export function beginLists(dense: DensePlan, domain: Numbering): void {
  plan = dense;
  numbering = domain;
  at = 0;
  openRows();
  store<u32>(keptRow, ROW_LIVE);
}

/** False when there are too many numbers, or no memory for another one. */
export function takeNumber(domain: Numbering, cell: u32): bool {
  return domain.length < DOMAIN_MAX && addNumber(domain, cell) != NOT_FOUND;
}

export function dropLists(dense: DensePlan): void {
  for (let i: u32 = 0; i < dense.listCount; i++) {
    const list = listAt(dense, i);
    if (list.starts != 0) release(list.starts, startBytes(list));
    release(list.values, list.valueBytes);
    destroyMatrix(list.matrix);
  }
}

function startBytes(list: DenseList): u32 {
  return ((list.keyColumn == NONE ? 1 : numbering.length) + 2) << 2;
}

/** True for a row that the list holds. */
export function isListed(list: DenseList, row: u32): bool {
  if ((load<u32>(row) & ROW_LIVE) == 0) return false;
  const from = row + list.relation.cellsAt;
  for (let i: u32 = 0; i < list.filterCount; i++) {
    const pair = list.filters + (i << 3);
    if (load<u32>(from + (load<u32>(pair) << 2)) != load<u32>(pair, 4)) return false;
  }
  return true;
}

/* Rows of a relation as they stand, then those that are bits still (kept-bits.ts). */

let walkedRows: u32 = 0;
let walksKept: bool = false;
const keptRow: u32 = memory.data(16, 8) as u32;

export function openRows(): void {
  walkedRows = 0;
  walksKept = false;
}

/** Address of the next row, or of what stands for it until the next call; 0 behind the last one. */
export function nextRow(relation: Relation): u32 {
  if (walkedRows < relation.top) {
    walkedRows += 1;
    return rowAddress(relation, walkedRows - 1);
  }
  if (relation.kept == 0) return 0;
  if (!walksKept) openKept(relation);
  walksKept = true;
  if (!nextKept(relation)) return 0;
  const isUnary = relation.arity == 1;
  store<u32>(keptRow + relation.cellsAt, isUnary ? keptSecond : keptFirst);
  if (!isUnary) store<u32>(keptRow + relation.cellsAt, keptSecond, 4);
  return keptRow;
}

function nextList(): void {
  at += 1;
  openRows();
}

/**
 * Gives numbers to a slice of the lists' values; `listsEnded` behind the last one. False when there
 * are too many of them, or no memory.
 */
export function collectValues(): bool {
  listsEnded = at == plan.listCount;
  if (listsEnded) {
    at = 0;
    return true;
  }
  const list = listAt(plan, at);
  const relation = list.relation;
  const isScan = list.form == FORM_SCAN;
  const isSkipped = isScan
    ? list.pairCount == 0
    : list.form == FORM_IMAGE || list.valueColumn == NONE;
  if (isSkipped) {
    nextList();
    return true;
  }
  countSteps(SLICE_ROWS);
  for (let i: u32 = 0; i < SLICE_ROWS; i++) {
    const row = nextRow(relation);
    if (row == 0) {
      nextList();
      return true;
    }
    if (!isListed(list, row)) continue;
    const cells = row + relation.cellsAt;
    if (isScan) {
      for (let i: u32 = 0; i < list.pairCount; i++) {
        const column = load<u32>(list.pairs + (i << 3)) << 2;
        if (!takeNumber(numbering, load<u32>(cells + column))) return false;
      }
    } else if (!takeNumber(numbering, load<u32>(cells + (list.valueColumn << 2)))) return false;
  }
  return true;
}

function keyOf(list: DenseList, row: u32): u32 {
  if (list.keyColumn == NONE) return 0;
  return numberOf(numbering, load<u32>(row + list.relation.cellsAt + (list.keyColumn << 2)));
}

/** Makes a slice of the lists; `listsEnded` behind the last one. */
export function makeLists(): u32 {
  listsEnded = at == plan.listCount;
  if (listsEnded) return STATUS_DONE;
  const list = listAt(plan, at);
  if (list.form == FORM_IMAGE) return fillImage(list);
  if (list.form == FORM_SCAN) {
    nextList();
    return STATUS_DONE;
  }
  if (list.values != 0) {
    fillList(list);
    return STATUS_DONE;
  }
  const relation = list.relation;
  if (list.starts == 0) {
    list.starts = allocateZeroed(startBytes(list));
    if (list.starts == 0) return STATUS_OUT_OF_MEMORY;
  }
  const isCounted = list.valueColumn == NONE && list.filterCount == 0 && relation.top == 0;
  const isGrouped = isCounted && isKeptBy(relation, list.keyColumn);
  if (isGrouped ? countGroups(list) : countRows(list)) return STATUS_DONE;
  const startsEnd = list.starts + startBytes(list);
  let sum: u32 = 0;
  for (let place = list.starts + 8; place < startsEnd; place += 4) {
    sum += load<u32>(place);
    store<u32>(place, sum);
  }
  if (list.valueColumn == NONE) {
    // How many there are is all: each key's place is where its last one ends.
    memory.copy(list.starts, list.starts + 4, startBytes(list) - 4);
    nextList();
    return STATUS_DONE;
  }
  openRows();
  list.valueBytes = max<u32>(sum << 2, 4);
  list.values = allocate(list.valueBytes);
  return list.values == 0 ? (STATUS_OUT_OF_MEMORY as u32) : (STATUS_DONE as u32);
}

/** A slice of rows; false behind the last one. */
function countRows(list: DenseList): bool {
  const relation = list.relation;
  countSteps(SLICE_ROWS);
  for (let i: u32 = 0; i < SLICE_ROWS; i++) {
    const row = nextRow(relation);
    if (row == 0) return false;
    if (!isListed(list, row)) continue;
    const key = keyOf(list, row);
    if (key == NOT_FOUND) continue;
    const place = list.starts + ((key + 2) << 2);
    store<u32>(place, load<u32>(place) + 1);
  }
  return true;
}

/** The same of kept rows of one key each time. */
function countGroups(list: DenseList): bool {
  const relation = list.relation;
  countSteps(SLICE_ROWS);
  if (!walksKept) openKept(relation);
  walksKept = true;
  for (let i: u32 = 0; i < SLICE_ROWS; i++) {
    const count = nextKeptGroup(relation);
    if (count == 0) return false;
    const key = numberOf(numbering, keptFirst);
    if (key == NOT_FOUND) continue;
    const place = list.starts + ((key + 2) << 2);
    store<u32>(place, load<u32>(place) + count);
  }
  return true;
}

/** The rows whose cells have numbers as bits. */
function fillImage(list: DenseList): u32 {
  if (changetype<usize>(list.matrix) == 0) {
    list.matrix = createMatrix();
    if (!isWhole(list.matrix)) return STATUS_OUT_OF_MEMORY;
  }
  const relation = list.relation;
  const column = list.valueColumn << 2;
  countSteps(SLICE_ROWS);
  for (let i: u32 = 0; i < SLICE_ROWS; i++) {
    const row = nextRow(relation);
    if (row == 0) {
      nextList();
      break;
    }
    if (!isListed(list, row)) continue;
    const key = keyOf(list, row);
    if (key == NOT_FOUND) continue;
    const value = numberOf(numbering, load<u32>(row + relation.cellsAt + column));
    if (value != NOT_FOUND) setBit(list.matrix, key, value);
  }
  return poolEnded ? (STATUS_OUT_OF_MEMORY as u32) : (STATUS_DONE as u32);
}

function fillList(list: DenseList): void {
  const relation = list.relation;
  countSteps(SLICE_ROWS);
  for (let i: u32 = 0; i < SLICE_ROWS; i++) {
    const row = nextRow(relation);
    if (row == 0) {
      nextList();
      return;
    }
    if (!isListed(list, row)) continue;
    const key = keyOf(list, row);
    if (key == NOT_FOUND) continue;
    const place = list.starts + ((key + 1) << 2);
    const to = load<u32>(place);
    store<u32>(place, to + 1);
    const cell = load<u32>(row + relation.cellsAt + (list.valueColumn << 2));
    store<u32>(list.values + (to << 2), numberOf(numbering, cell));
  }
}

/** Address of the first value of a key; behind the last one: of the next key. */
export function valuesFrom(list: DenseList, key: u32): u32 {
  return list.values + (load<u32>(list.starts + (key << 2)) << 2);
}
