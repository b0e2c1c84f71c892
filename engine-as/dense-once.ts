/*
 * Units outside recursion that are evaluated from scratch: each rule goes once over numbers in
 * place of cells (dense-run.ts). Heads of a counting unit are rows of bits; what is left of them
 * after the tests that wait for finished rows is appended as rows. Deletes need weights, which a
 * batch does without: then bits are counted (dense-count.ts). An aggregate takes solutions as they
 * come, a whole list at once where it only counts.
 *
 *   rows     what others left as bits becomes rows
 *   base     base rows of the head get numbers       values, lists   as of dense.ts
 *   load     base rows become bits                   run, turn       rule by rule: bits → rows
 *   distinct in place of all these, for p(x) :- t(…, x, …): a value without a number is a new row
 */
import {
  ROW_LIVE,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
  UNIT_AGGREGATE,
  UNIT_COUNTING,
  WEIGHT_SHIFT,
} from './abi';
import { Arena, releaseArena } from './arena';
import {
  BitMatrix,
  BITS_CURSOR_BYTES,
  clearMatrix,
  createMatrix,
  destroyMatrix,
  dropPool,
  isWhole,
  mergeRow,
  nextBit,
  NO_BIT,
  openBits,
  openPool,
  poolEnded,
  recordOf,
  setBit,
} from './bit-matrix';
import { countDenseUnit, isForcedToBits, LAYOUT_LEAVE, LAYOUT_ROWS, layout } from './bits-choice';
import {
  beginLists,
  collectValues,
  dropLists,
  isListed,
  listsEnded,
  makeLists,
  nextRow,
  openRows,
  takeNumber,
} from './dense-list';
import { KEPT_FAILED, KEPT_NOTHING, keepTables } from './dense-end';
import { passes } from './dense-filter';
import { beginCount, countEnded, dropCount, isCounting, mayCount, weightOf } from './dense-count';
import { isDenseEnough, isWorthwhile } from './dense-choice';
import { needsWeights, planOnce } from './dense-once-translate';
import {
  DENSE_EMIT_BIT,
  DENSE_SCAN,
  DenseList,
  DensePlan,
  denseVersionAt,
  FORM_SCAN,
  listAt,
  matrixOf,
  operationAt,
  ROW_ZERO,
  tableAt,
} from './dense-plan';
import { runVersion, startVersion } from './dense-run';
import { countAppended, countRepeated } from './emit';
import { NOT_FOUND } from './id-set';
import { leaveUnlisted } from './listing';
import { appendKept, isKeptBy, keptFirst, mayKeep, nextKeptGroup, openKept } from './kept-bits';
import { allocateZeroed, memoryLow, release } from './memory';
import {
  addNumber,
  cellAt,
  createNumbering,
  destroyNumbering,
  numberOf,
  Numbering,
} from './numbering';
import { Unit, unitRelation } from './program';
import { appendFound, appendRow, hasRoom } from './relation';
import { Relation, rowAddress } from './row-store';
import { countSteps, stepCount } from './steps';
import { wordAt } from './vector';

const SLICE_ROWS: u32 = 4096;
/** Values that get numbers of their own, without bits. */
const DISTINCT_MAX: u32 = 1 << 20;

const STAGE_ROWS: u32 = 0;
const STAGE_BASE: u32 = 1;
const STAGE_VALUES: u32 = 2;
const STAGE_LISTS: u32 = 3;
const STAGE_LOAD: u32 = 4;
const STAGE_RUN: u32 = 5;
const STAGE_TURN: u32 = 6;
const STAGE_DISTINCT: u32 = 7;

let plan: DensePlan = changetype<DensePlan>(0);
let arena: Arena = changetype<Arena>(0);
let numbering: Numbering = changetype<Numbering>(0);
let head: Relation = changetype<Relation>(0);
let isAggregate: bool = false;
let isDistinct: bool = false;
/** Rows are to have the number of their derivations. */
let isWeighted: bool = false;
let stage: u32 = 0;
/** Rule under way, and the row in it. */
let at: u32 = 0;
let rowAt: u32 = 0;
let running: bool = false;
let budget: u64 = 0;

const walk: u32 = memory.data(BITS_CURSOR_BYTES, 8) as u32;

/** True when the unit, fresh and with its base rows LIVE, begins so: go on with `stepOnce`. */
export function beginOnce(unit: Unit): bool {
  dropOnce();
  if (layout == LAYOUT_ROWS || unit.versionCount == 0 || !unit.fresh) return false;
  if (unit.kind != UNIT_COUNTING && unit.kind != UNIT_AGGREGATE) return false;
  arena = changetype<Arena>(allocateZeroed(offsetof<Arena>() as u32) as usize);
  if (changetype<usize>(arena) == 0) return false;
  plan = planOnce(unit, arena);
  numbering = createNumbering();
  if (
    changetype<usize>(plan) == 0 ||
    changetype<usize>(numbering) == 0 ||
    (!isForcedToBits() && !isWorthwhile(plan))
  ) {
    dropOnce();
    return false;
  }
  isAggregate = unit.kind == UNIT_AGGREGATE;
  head = isAggregate ? changetype<Relation>(0) : unitRelation(unit, 0);
  isWeighted = !isAggregate && needsWeights(head);
  isDistinct = !isAggregate && !isWeighted && areDistinct();
  if (isWeighted && !mayCount(plan, head)) {
    dropOnce();
    return false;
  }
  stage = STAGE_ROWS;
  at = 0;
  rowAt = 0;
  running = false;
  return true;
}

/** True when each rule only passes on a column of a table. */
function areDistinct(): bool {
  if (head.arity != 1) return false;
  for (let i: u32 = 0; i < plan.versionCount; i++) {
    const version = denseVersionAt(plan, i);
    if (version.count != 2 || version.filterCount != 0) return false;
    const scan = operationAt(version, 0);
    const end = operationAt(version, 1);
    if (scan.kind != DENSE_SCAN || end.kind != DENSE_EMIT_BIT) return false;
    if (scan.list.pairCount != 1 || load<u32>(scan.list.pairs, 4) != end.output) return false;
  }
  return true;
}

/** Gives everything back, wherever the evaluation is. */
export function dropOnce(): void {
  if (changetype<usize>(plan) != 0) {
    if (plan.tableCount != 0) {
      destroyMatrix(tableAt(plan, 0).all0);
      destroyMatrix(tableAt(plan, 0).next0);
    }
    dropCount();
    dropLists(plan);
    dropPool();
  }
  plan = changetype<DensePlan>(0);
  if (changetype<usize>(arena) != 0) {
    releaseArena(arena);
    release(changetype<usize>(arena) as u32, offsetof<Arena>() as u32);
  }
  arena = changetype<Arena>(0);
  destroyNumbering(numbering);
  numbering = changetype<Numbering>(0);
}

/** What `stepOnce` came to when it is done; otherwise all is to be done over rows. */
export let onceFinished: bool = false;

/** Works until `limit` steps were done: STATUS_MORE, STATUS_DONE, or a failure. */
export function stepOnce(limit: u64): u32 {
  budget = limit;
  while (true) {
    let status: u32 = STATUS_DONE;
    switch (stage as i32) {
      case STAGE_ROWS:
        if (at != plan.listCount) status = appendRows();
        else {
          at = 0;
          stage = STAGE_BASE;
        }
        break;
      case STAGE_BASE:
        if (isAggregate ? !startValues() : !takeBase()) return leave();
        break;
      case STAGE_VALUES:
        if (!collectValues()) return leave();
        if (listsEnded) {
          if (!isDenseEnough(plan, head, numbering.length)) return leave();
          stage = STAGE_LISTS;
          if (!openPool(numbering.length)) return STATUS_OUT_OF_MEMORY;
        }
        break;
      case STAGE_LISTS:
        status = makeLists();
        if (status == STATUS_DONE && listsEnded) status = startLoad();
        break;
      case STAGE_LOAD:
        loadBase();
        break;
      case STAGE_RUN:
        if (at == plan.versionCount) return finish();
        status = runRule();
        if (isCounting && countEnded) return leave();
        break;
      case STAGE_TURN:
        status = turnRows();
        break;
      default:
        if (at == plan.versionCount) return finish();
        if (isToBeLeft()) return leave();
        status = takeDistinct();
    }
    if (status != STATUS_DONE) return status;
    if (poolEnded) return STATUS_OUT_OF_MEMORY;
    if (stepCount >= limit) return STATUS_MORE;
  }
}

function finish(): u32 {
  if (!isAggregate && !isDistinct) {
    const kept = keepTables(plan, numbering);
    if (kept != KEPT_NOTHING) numbering = changetype<Numbering>(0);
    if (kept == KEPT_FAILED) return STATUS_OUT_OF_MEMORY;
  }
  // Its time is this unit's, even where it comes in a slice of its own.
  countSteps(1);
  countDenseUnit();
  dropOnce();
  onceFinished = true;
  return STATUS_DONE;
}

function leave(): u32 {
  dropOnce();
  onceFinished = false;
  return STATUS_DONE;
}

/** What stayed bits (kept-bits.ts) and is to be scanned becomes rows. */
function appendRows(): u32 {
  const list = listAt(plan, at);
  const relation = list.relation;
  if (relation.kept == 0 || isDistinct || list.form != FORM_SCAN) {
    at += 1;
    return STATUS_DONE;
  }
  countSteps(SLICE_ROWS);
  const isDone = appendKept(relation, SLICE_ROWS) && !memoryLow;
  return isDone ? (STATUS_DONE as u32) : (STATUS_OUT_OF_MEMORY as u32);
}

/* Numbers for base rows and constants. */

function takeBase(): bool {
  const end = min(head.top, rowAt + SLICE_ROWS);
  countSteps(end - rowAt);
  for (; rowAt < end; rowAt++) {
    const row = rowAddress(head, rowAt);
    if ((load<u32>(row) & ROW_LIVE) == 0) continue;
    if (!takeNumber(numbering, load<u32>(row + head.cellsAt))) return false;
    if (head.arity == 2 && !takeNumber(numbering, load<u32>(row + head.cellsAt, 4))) return false;
  }
  if (rowAt < head.top) return true;
  rowAt = 0;
  if (!isDistinct) return startValues();
  stage = STAGE_DISTINCT;
  return true;
}

function startValues(): bool {
  stage = STAGE_VALUES;
  beginLists(plan, numbering);
  for (let i: u32 = 0; i < plan.versionCount; i++) {
    const version = denseVersionAt(plan, i);
    for (let j: u32 = 0; j < version.constantCount; j++) {
      if (!takeNumber(numbering, load<u32>(version.constants + (j << 3), 4))) return false;
    }
  }
  return true;
}

/* Base rows as bits: no rule gives them again. */

function startLoad(): u32 {
  at = 0;
  rowAt = 0;
  stage = STAGE_RUN;
  if (isAggregate) return STATUS_DONE;
  stage = STAGE_LOAD;
  const table = tableAt(plan, 0);
  const all = createMatrix();
  const next = createMatrix();
  if (table.main == 0) {
    table.all0 = all;
    table.next0 = next;
  } else {
    table.all1 = all;
    table.next1 = next;
  }
  table.keeps = mayKeep(head);
  if (isWeighted) beginCount();
  const isMade = isWhole(all) && isWhole(next);
  return isMade ? (STATUS_DONE as u32) : (STATUS_OUT_OF_MEMORY as u32);
}

/** Bits of the head: all that are known. */
function allBits(): BitMatrix {
  const table = tableAt(plan, 0);
  return matrixOf(table.all0, table.all1, table.main);
}

function loadBase(): void {
  const all = allBits();
  const isByFirst = tableAt(plan, 0).main == 0;
  const end = min(head.top, rowAt + SLICE_ROWS);
  countSteps(end - rowAt);
  for (; rowAt < end; rowAt++) {
    const row = rowAddress(head, rowAt);
    if ((load<u32>(row) & ROW_LIVE) == 0) continue;
    const cells = row + head.cellsAt;
    const isPair = head.arity == 2;
    const left = isPair ? numberOf(numbering, load<u32>(cells)) : 0;
    const right = numberOf(numbering, load<u32>(cells + (isPair ? 4 : 0)));
    setBit(all, isByFirst ? left : right, isByFirst ? right : left);
  }
  if (rowAt < head.top) return;
  rowAt = 0;
  stage = STAGE_RUN;
  if (!tableAt(plan, 0).keeps) leaveUnlisted(head);
}

/* A rule. */

function runRule(): u32 {
  const version = denseVersionAt(plan, at);
  if (!running) {
    startVersion(version, numbering);
    running = true;
  }
  const status = runVersion(version, budget);
  if (status != STATUS_DONE) return status;
  running = false;
  if (isAggregate || (isCounting && at + 1 < plan.versionCount)) at += 1;
  else stage = STAGE_TURN;
  return STATUS_DONE;
}

/** What a rule found becomes rows, and known to the rules behind it. */
function turnRows(): u32 {
  const version = denseVersionAt(plan, at);
  const table = tableAt(plan, 0);
  const next = matrixOf(table.next0, table.next1, table.main);
  const isByFirst = table.main == 0;
  const isLast = at + 1 == plan.versionCount;
  const isUnary = head.arity == 1;
  let work: u32 = 0;
  let looked: u32 = 0;
  while (rowAt < next.filled.length && work + looked < SLICE_ROWS) {
    const row = wordAt(next.filled, rowAt);
    const record = recordOf(next, row);
    rowAt += 1;
    looked += 1;
    if (!passes(version, row, record)) continue;
    if (table.keeps) {
      work += mergeRow(allBits(), row, record);
      continue;
    }
    if (!isLast) mergeRow(allBits(), row, record);
    const rowCell = cellAt(numbering, row);
    openBits(walk, record);
    for (let column = nextBit(walk); column != NO_BIT; column = nextBit(walk)) {
      const cell = cellAt(numbering, column);
      if (!hasRoom(head)) return STATUS_OUT_OF_MEMORY;
      let weight: u32 = 0;
      if (isCounting) {
        weight = weightOf(row, column);
        countRepeated(weight - 1);
      }
      const first = isUnary || !isByFirst ? cell : rowCell;
      const second = isByFirst ? cell : rowCell;
      appendFound(head, first, second, ROW_LIVE | (weight << WEIGHT_SHIFT));
      work += 1;
    }
  }
  const status = countAppended(head, work, 0);
  if (status != 0) return status;
  if (table.keeps) table.foundRows += work;
  countSteps(work + looked);
  if (rowAt < next.filled.length) return STATUS_DONE;
  clearMatrix(next);
  rowAt = 0;
  at += 1;
  stage = STAGE_RUN;
  return STATUS_DONE;
}

/* Values of a column. */

function isToBeLeft(): bool {
  return numbering.length > DISTINCT_MAX || (layout == LAYOUT_LEAVE && at != 0);
}

function takeDistinct(): u32 {
  leaveUnlisted(head);
  const list: DenseList = operationAt(denseVersionAt(plan, at), 0).list;
  const relation = list.relation;
  const column = load<u32>(list.pairs);
  if (!running) openRows();
  const isGrouped = relation.top == 0 && list.filterCount == 0 && isKeptBy(relation, column);
  if (!running && isGrouped) openKept(relation);
  running = true;
  countSteps(SLICE_ROWS);
  const known = numbering.length;
  let isEnd: bool = false;
  let last: u32 = 0;
  for (let i: u32 = 0; i < SLICE_ROWS && !isEnd; i++) {
    let cell: u32;
    if (isGrouped) {
      isEnd = nextKeptGroup(relation) == 0;
      if (isEnd) continue;
      cell = keptFirst;
    } else {
      const row = nextRow(relation);
      isEnd = row == 0;
      if (isEnd || !isListed(list, row)) continue;
      cell = load<u32>(row + relation.cellsAt + (column << 2));
      // Rows of one value tend to come together.
      if (cell == last && i != 0) continue;
      last = cell;
    }
    const length = numbering.length;
    if (addNumber(numbering, cell) == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
    if (numbering.length == length) continue;
    if (!appendRow(head, cell, 0, 0)) return STATUS_OUT_OF_MEMORY;
  }
  if (isEnd) {
    running = false;
    at += 1;
  }
  return countAppended(head, numbering.length - known, 0);
}
