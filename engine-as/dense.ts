/*
 * Recursive units from scratch over bit matrices: semi-naive rounds in which one step adds up to
 * 512 rows. What a round finds is appended to the relations as rows, ranked by the round, so that
 * afterwards nothing tells how they came: updates, queries and checkpoints know rows only.
 *
 *   collect   the cells of all rows get numbers      lists   of rows outside the component
 *   load      the component's rows become bits       run     one round      turn   new bits → rows
 *   list      in the end, the new rows come into sets and indexes (listing.ts)
 *   merge     or, where rows stand, they are brought to what was found (dense-merge.ts)
 *
 * Rounds and turns are counted, and the number of the one in which a row comes is its rank: more
 * than the ranks in the body that gave it (row-store.ts).
 *
 * Where rows need no ranks, one row of bits after another goes through the rules instead, in an
 * order in which most come once (dense-sweep.ts), and what nobody needs as rows stays bits
 * (dense-end.ts).
 *
 * Between two rounds it can be left for the general one, where bits lie too sparse.
 */
import {
  ROW_LIVE,
  ROW_PENDING,
  ROW_RECENT,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
} from './abi';
import { Arena, releaseArena } from './arena';
import {
  attachRow,
  BitMatrix,
  BITS_CURSOR_BYTES,
  clearMatrix,
  countBits,
  createMatrix,
  destroyMatrix,
  detachRow,
  dropPool,
  freeRecord,
  isWhole,
  mergeRow,
  nextBit,
  NO_BIT,
  openBits,
  openPool,
  poolBytes,
  poolEnded,
  recordBytesOf,
  recordOf,
  setBit,
} from './bit-matrix';
import { KEPT_FAILED, KEPT_NOTHING, keepTables, makeRows } from './dense-end';
import {
  countDenseUnit,
  isForcedToBits,
  layout,
  LAYOUT_AGAIN,
  LAYOUT_AUTO,
  LAYOUT_BITS,
  LAYOUT_LEAVE,
  LAYOUT_ROWS,
} from './bits-choice';
import {
  beginLists,
  collectValues,
  dropLists,
  listsEnded,
  makeLists,
  takeNumber,
} from './dense-list';
import { beginMerge, createFound, dropMerge, stepMerge } from './dense-merge';
import {
  DensePlan,
  DenseTable,
  DenseVersion,
  denseVersionAt,
  matrixOf,
  needBit,
  tableAt,
} from './dense-plan';
import { driveBy, runVersion, startVersion } from './dense-run';
import {
  beginSweep,
  endSweep,
  isSweeping,
  letWait,
  maySweep,
  noteDriven,
  takeWaiting,
  waitingRows,
  wasDriven,
} from './dense-sweep';
import { planDense } from './dense-translate';
import { countAppended, placeNew } from './emit';
import { NOT_FOUND } from './id-set';
import { mayKeep } from './kept-bits';
import { countSteps, stepCount } from './steps';
import {
  beginListing,
  dropListing,
  isUnlisted,
  leaveUnlisted,
  mustBeListed,
  stepListing,
} from './listing';
import { allocateZeroed, release } from './memory';
import { cellAt, createNumbering, destroyNumbering, numberOf, Numbering } from './numbering';
import { Unit } from './program';
import { appendRow, destroyRelation } from './relation';
import { rowAddress } from './row-store';
import { clearVector, push, wordAt } from './vector';

const SLICE_ROWS: u32 = 4096;
/** Below, a unit is done before its lists are made. */
const ROWS_MIN: u32 = 64;
/** Bits may take so much, and so much more for each row. */
const POOL_BYTES_MIN: u32 = 32 << 20;
const POOL_BYTES_ROW: u32 = 64;

/** Rows that had their turn before an evaluation row by row is left. */
const LEAVE_TURNS: u32 = 3;

const STAGE_COLLECT: u32 = 0;
const STAGE_VALUES: u32 = 1;
const STAGE_LISTS: u32 = 2;
const STAGE_LOAD: u32 = 3;
const STAGE_RUN: u32 = 4;
const STAGE_MERGE: u32 = 5;
const STAGE_TURN: u32 = 6;
const STAGE_NEXT: u32 = 7;
const STAGE_LIST: u32 = 8;
const STAGE_STANDING: u32 = 9;
const STAGE_SWEEP: u32 = 10;

let plan: DensePlan = changetype<DensePlan>(0);
let arena: Arena = changetype<Arena>(0);
let stage: u32 = 0;
/** Table, list or version under way, and the row or operation in it. */
let at: u32 = 0;
let rowAt: u32 = 0;
let round: u32 = 0;
let hasNew: bool = false;
let running: bool = false;

const cellBuffer: u32 = memory.data(64 * 4, 8) as u32;
const walk: u32 = memory.data(BITS_CURSOR_BYTES, 8) as u32;

/** Rows stand: they are compared with what is found. */
let isAgain: bool = false;

/** The domain: cells by number. */
let numbering: Numbering = changetype<Numbering>(0);

/* Beginning and end. */

/**
 * True when the unit begins over bits: go on with `stepDense`. All of its rows are recent, or,
 * where it is evaluated `again`, those that are held without a rule of the component.
 */
export function beginDense(unit: Unit, rows: u32, again: bool): bool {
  dropDense();
  if (layout == LAYOUT_ROWS || (layout == LAYOUT_AUTO && rows < ROWS_MIN)) return false;
  arena = changetype<Arena>(allocateZeroed(offsetof<Arena>() as u32) as usize);
  if (changetype<usize>(arena) == 0) return false;
  plan = planDense(unit, arena);
  numbering = createNumbering();
  if (changetype<usize>(plan) == 0 || changetype<usize>(numbering) == 0) {
    dropDense();
    return false;
  }
  isAgain = again;
  for (let i: u32 = 0; again && i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    table.found = createFound(table.relation);
    if (changetype<usize>(table.found) != 0) continue;
    dropDense();
    return false;
  }
  stage = STAGE_COLLECT;
  at = 0;
  rowAt = 0;
  round = 0;
  running = false;
  return true;
}

/** Gives everything back, wherever the evaluation is. */
export function dropDense(): void {
  if (changetype<usize>(plan) != 0) {
    for (let i: u32 = 0; i < plan.tableCount; i++) {
      const table = tableAt(plan, i);
      destroyMatrix(table.all0);
      destroyMatrix(table.all1);
      destroyMatrix(table.recent0);
      destroyMatrix(table.recent1);
      destroyMatrix(table.next0);
      destroyMatrix(table.next1);
      if (changetype<usize>(table.found) != 0) destroyRelation(table.found);
    }
    endSweep();
    dropLists(plan);
    dropMerge();
  }
  plan = changetype<DensePlan>(0);
  if (changetype<usize>(arena) != 0) {
    releaseArena(arena);
    release(changetype<usize>(arena) as u32, offsetof<Arena>() as u32);
  }
  arena = changetype<Arena>(0);
  destroyNumbering(numbering);
  numbering = changetype<Numbering>(0);
  dropPool();
  dropListing();
}

/** What `stepDense` came to when it is done: nothing is left to do. */
export let denseFinished: bool = false;
/** Otherwise: rounds were made, and the rows of the last one are pending. */
export let denseLoaded: bool = false;

/**
 * Works until `limit` steps were done: STATUS_MORE; STATUS_DONE with `denseFinished`, or without it
 * to be gone on with in rounds of rows; or a failure.
 */
export function stepDense(limit: u64): u32 {
  while (true) {
    let status: u32 = STATUS_DONE;
    switch (stage as i32) {
      case STAGE_COLLECT:
        if (!collectRows()) return leave();
        break;
      case STAGE_VALUES:
        if (!collectValues()) return leave();
        if (listsEnded) {
          if (isTooSparse()) return leave();
          stage = STAGE_LISTS;
        }
        break;
      case STAGE_LISTS:
        status = makeLists();
        if (status == STATUS_DONE && listsEnded) status = startLoad();
        break;
      case STAGE_LOAD:
        status = loadRows();
        break;
      case STAGE_RUN:
        status = runRound(limit);
        break;
      case STAGE_SWEEP:
        status = sweep(limit);
        break;
      case STAGE_MERGE:
        mergeTables();
        break;
      case STAGE_TURN:
        status = turnTable();
        break;
      case STAGE_NEXT:
        if (!hasNew || isToBeLeft()) {
          if (hasNew && isAgain) return leave();
          if (hasNew && !makeRows(plan, numbering, round + 1)) return STATUS_OUT_OF_MEMORY;
          stage = isAgain ? STAGE_STANDING : STAGE_LIST;
          at = 0;
          rowAt = 0;
          break;
        }
        for (let i: u32 = 0; i < plan.tableCount; i++) {
          clearVector(tableAt(plan, i).relation.pending);
        }
        beginRound();
        break;
      case STAGE_STANDING:
        status = mergeStanding();
        if (status == STATUS_DONE && at == plan.tableCount) return finish();
        break;
      default:
        status = listTables();
        if (status == STATUS_DONE && at == plan.tableCount) return hasNew ? leave() : finish();
    }
    if (poolEnded) return STATUS_OUT_OF_MEMORY;
    if (status != STATUS_DONE) return status;
    if (stepCount >= limit) return STATUS_MORE;
  }
}

function finish(): u32 {
  const kept = keepTables(plan, numbering);
  if (kept != KEPT_NOTHING) numbering = changetype<Numbering>(0);
  if (kept == KEPT_FAILED) return STATUS_OUT_OF_MEMORY;
  countDenseUnit();
  dropDense();
  denseFinished = true;
  return STATUS_DONE;
}

/** New rows come into sets and indexes: all of them where rounds of rows follow. */
function listTables(): u32 {
  if (at == plan.tableCount) return STATUS_DONE;
  const relation = tableAt(plan, at).relation;
  if (rowAt == 0) {
    if (!isUnlisted(relation) || (!hasNew && !mustBeListed(relation))) {
      at += 1;
      return STATUS_DONE;
    }
    beginListing(relation);
    rowAt = 1;
  }
  const status = stepListing();
  if (status == STATUS_MORE) return STATUS_DONE;
  at += 1;
  rowAt = 0;
  return status;
}

/** The tables' rows become what was found. */
function mergeStanding(): u32 {
  const table = tableAt(plan, at);
  if (rowAt == 0) {
    if (!beginMerge(table.relation, table.found, numbering)) return STATUS_OUT_OF_MEMORY;
    rowAt = 1;
  }
  const status = stepMerge();
  if (status == STATUS_MORE) return STATUS_DONE;
  table.relation.maxRank = table.found.maxRank;
  at += 1;
  rowAt = 0;
  return status;
}

/** Rows go on as rows: of a round that ended, its rows wait as pending ones. */
function leave(): u32 {
  denseFinished = false;
  denseLoaded = stage > STAGE_LOAD && !isAgain;
  if (denseLoaded) {
    for (let i: u32 = 0; i < plan.tableCount; i++) {
      const table = tableAt(plan, i);
      const relation = table.relation;
      const pending = relation.pending;
      for (let id = table.newFrom; id < relation.top; id++) {
        if (!push(pending, (id << 1) | 1)) return STATUS_OUT_OF_MEMORY;
      }
      for (let j: u32 = 0; j < pending.length; j++) {
        const row = rowAddress(relation, wordAt(pending, j) >> 1);
        store<u32>(row, load<u32>(row) | ROW_PENDING);
      }
    }
  }
  dropDense();
  return STATUS_DONE;
}

function isToBeLeft(): bool {
  if (layout == LAYOUT_LEAVE) return true;
  if (layout == LAYOUT_BITS || layout == LAYOUT_AGAIN) return false;
  let rows: u32 = 0;
  for (let i: u32 = 0; i < plan.tableCount; i++) rows += tableAt(plan, i).relation.liveNew;
  return poolBytes > POOL_BYTES_MIN && (poolBytes - POOL_BYTES_MIN) / POOL_BYTES_ROW > rows;
}

/** True where the rows to begin with alone would take more than bits may. */
function isTooSparse(): bool {
  if (isForcedToBits()) return false;
  let rows: u32 = 0;
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const relation = tableAt(plan, i).relation;
    if (relation.arity == 2) rows += min(relation.recent.length, numbering.length);
  }
  const bytes = (rows as u64) * (recordBytesOf(numbering.length) as u64);
  return bytes > (POOL_BYTES_MIN as u64) + (rows as u64) * (POOL_BYTES_ROW as u64);
}

/* Numbers for the cells of the component's rows, of constants and of rows outside. */

function collectRows(): bool {
  if (at == plan.tableCount) {
    for (let i: u32 = 0; i < plan.versionCount; i++) {
      const version = denseVersionAt(plan, i);
      for (let j: u32 = 0; j < version.constantCount; j++) {
        if (!takeNumber(numbering, load<u32>(version.constants + (j << 3), 4))) return false;
      }
    }
    stage = STAGE_VALUES;
    beginLists(plan, numbering);
    return true;
  }
  const relation = tableAt(plan, at).relation;
  const recent = relation.recent;
  const end = min(recent.length, rowAt + SLICE_ROWS);
  countSteps(end - rowAt);
  for (; rowAt < end; rowAt++) {
    const row = rowAddress(relation, wordAt(recent, rowAt) >> 1) + relation.cellsAt;
    if (!takeNumber(numbering, load<u32>(row))) return false;
    if (relation.arity == 2 && !takeNumber(numbering, load<u32>(row, 4))) return false;
  }
  if (rowAt == recent.length) {
    at += 1;
    rowAt = 0;
  }
  return true;
}

/* The component's rows as bits. */

function makeMatrices(goesByRow: bool): bool {
  if (!openPool(numbering.length)) return false;
  for (let i: u32 = 0; i < plan.tableCount; i++) {
    const table = tableAt(plan, i);
    table.keeps = !isAgain && mayKeep(table.relation);
    if (goesByRow) table.needsRecent = 0;
    if ((table.needsAll & 1) != 0) table.all0 = createMatrix();
    if ((table.needsAll & 2) != 0) table.all1 = createMatrix();
    if ((table.needsRecent & 1) != 0) table.recent0 = createMatrix();
    if ((table.needsRecent & 2) != 0) table.recent1 = createMatrix();
    if ((table.needsNext & 1) != 0) table.next0 = createMatrix();
    if ((table.needsNext & 2) != 0) table.next1 = createMatrix();
    const isMissing =
      ((table.needsAll & 1) != 0 && !isWhole(table.all0)) ||
      ((table.needsAll & 2) != 0 && !isWhole(table.all1)) ||
      ((table.needsRecent & 1) != 0 && !isWhole(table.recent0)) ||
      ((table.needsRecent & 2) != 0 && !isWhole(table.recent1)) ||
      ((table.needsNext & 1) != 0 && !isWhole(table.next0)) ||
      ((table.needsNext & 2) != 0 && !isWhole(table.next1));
    if (isMissing) return false;
  }
  return true;
}

function startLoad(): u32 {
  stage = STAGE_LOAD;
  at = 0;
  rowAt = 0;
  const goesByRow = maySweep(plan, isAgain);
  if (!makeMatrices(goesByRow)) return STATUS_OUT_OF_MEMORY;
  return !goesByRow || beginSweep(plan, numbering.length) ? STATUS_DONE : STATUS_OUT_OF_MEMORY;
}

function loadRows(): u32 {
  if (at == plan.tableCount) {
    if (!isSweeping) beginRound();
    else beginTurns();
    return STATUS_DONE;
  }
  const table = tableAt(plan, at);
  const relation = table.relation;
  const recent = relation.recent;
  const end = min(recent.length, rowAt + SLICE_ROWS);
  countSteps(end - rowAt);
  for (; rowAt < end; rowAt++) {
    const row = rowAddress(relation, wordAt(recent, rowAt) >> 1);
    store<u32>(row, load<u32>(row) & ~ROW_RECENT);
    const from = row + relation.cellsAt;
    const isPair = relation.arity == 2;
    const left = isPair ? numberOf(numbering, load<u32>(from)) : 0;
    const right = numberOf(numbering, load<u32>(from + (isPair ? 4 : 0)));
    if (isSweeping) letWait(table, table.main == 0 ? left : right);
    if ((table.needsAll & 1) != 0) setBit(table.all0, left, right);
    if ((table.needsAll & 2) != 0) setBit(table.all1, right, left);
    if ((table.needsRecent & 1) != 0) setBit(table.recent0, left, right);
    if ((table.needsRecent & 2) != 0) setBit(table.recent1, right, left);
    if (isAgain && !appendRow(table.found, left, right, 0)) return STATUS_OUT_OF_MEMORY;
  }
  if (rowAt < recent.length) return STATUS_DONE;
  clearVector(recent);
  at += 1;
  rowAt = 0;
  return STATUS_DONE;
}

/* A round. */

function beginRound(): void {
  stage = STAGE_RUN;
  at = 0;
  rowAt = 0;
  round += 1;
  hasNew = false;
  running = false;
}

function runRound(limit: u64): u32 {
  while (at < plan.versionCount) {
    const status = runRule(denseVersionAt(plan, at), limit);
    if (running) return status;
    at += 1;
  }
  stage = STAGE_MERGE;
  at = 0;
  rowAt = 0;
  return STATUS_DONE;
}

/** Begins a rule or goes on with it; it is `running` until its end. */
function runRule(version: DenseVersion, limit: u64): u32 {
  if (!running) startVersion(version, numbering);
  const status = runVersion(version, limit);
  running = status != STATUS_DONE || poolEnded;
  return status;
}

/* Its end: what came by the other column joins the main one, then new bits become rows. */

function mergeTables(): void {
  if (at == plan.tableCount) {
    stage = STAGE_TURN;
    at = 0;
    rowAt = 0;
    return;
  }
  const table = tableAt(plan, at);
  const other = 1 - table.main;
  if ((table.needsNext & needBit(other)) != 0) {
    const from = matrixOf(table.next0, table.next1, other);
    const to = matrixOf(table.next0, table.next1, table.main);
    let work: u32 = 0;
    while (rowAt < from.filled.length && work < SLICE_ROWS) {
      const column = wordAt(from.filled, rowAt);
      openBits(walk, recordOf(from, column));
      for (let row = nextBit(walk); row != NO_BIT; row = nextBit(walk)) {
        setBit(to, row, column);
        work += 1;
      }
      rowAt += 1;
    }
    countSteps(work);
    if (rowAt < from.filled.length) return;
    clearMatrix(from);
  }
  at += 1;
  rowAt = 0;
}

/** What is new in a table becomes known, recent, and rows. */
function turnTable(): u32 {
  if (at == plan.tableCount) {
    stage = STAGE_NEXT;
    return STATUS_DONE;
  }
  const table = tableAt(plan, at);
  const main = table.main;
  const next = matrixOf(table.next0, table.next1, main);
  const all = matrixOf(table.all0, table.all1, main);
  if (rowAt == 0) {
    table.newFrom = table.relation.top;
    if ((table.needsRecent & 1) != 0) clearMatrix(table.recent0);
    if ((table.needsRecent & 2) != 0) clearMatrix(table.recent1);
  }
  let work: u32 = 0;
  while (rowAt < next.filled.length && work < SLICE_ROWS) {
    const row = wordAt(next.filled, rowAt);
    const record = recordOf(next, row);
    const found = mergeRow(all, row, record);
    const status = takeFound(table, row, record, found);
    if (status != 0) return status;
    work += found;
    rowAt += 1;
  }
  countSteps(work);
  if (work != 0) hasNew = true;
  if (rowAt < next.filled.length) return STATUS_DONE;
  // What was next is recent now, and the former recent one, empty by now, is next.
  if (main == 0) {
    const former = table.recent0;
    table.recent0 = table.next0;
    table.next0 = former;
  } else {
    const former = table.recent1;
    table.recent1 = table.next1;
    table.next1 = former;
  }
  at += 1;
  rowAt = 0;
  return STATUS_DONE;
}

/** The `found` new bits of a row come into the matrices by the other column, and become rows. */
function takeFound(table: DenseTable, row: u32, record: u32, found: u32): u32 {
  const main = table.main;
  const other = needBit(1 - main);
  const otherAll = matrixOf(table.all0, table.all1, 1 - main);
  const otherRecent = matrixOf(table.recent0, table.recent1, 1 - main);
  const hasOtherAll = (table.needsAll & other) != 0;
  const hasOtherRecent = (table.needsRecent & other) != 0;
  const relation = table.relation;
  const to = isAgain ? table.found : relation;
  // In a new relation nothing stands but what is LIVE, so what is new here is new there.
  const appends = relation.fresh && !table.keeps;
  const isUnary = relation.arity == 1;
  const rowCell = cellAt(numbering, row);
  if (appends) leaveUnlisted(relation);
  const isWalked = hasOtherAll || hasOtherRecent || !table.keeps;
  table.foundRows += found;
  openBits(walk, isWalked ? record : 0);
  for (let column = nextBit(walk); column != NO_BIT; column = nextBit(walk)) {
    if (hasOtherAll) setBit(otherAll, column, row);
    if (hasOtherRecent) setBit(otherRecent, column, row);
    if (table.keeps) continue;
    if (isAgain) {
      const first = main == 0 ? row : column;
      if (!appendRow(to, first, main == 0 ? column : row, round)) return STATUS_OUT_OF_MEMORY;
      continue;
    }
    const columnCell = cellAt(numbering, column);
    const firstCell = isUnary || main != 0 ? columnCell : rowCell;
    const secondCell = main != 0 ? rowCell : columnCell;
    if (appends) {
      if (!appendRow(relation, firstCell, secondCell, round)) return STATUS_OUT_OF_MEMORY;
    } else {
      store<u32>(cellBuffer, firstCell);
      store<u32>(cellBuffer, secondCell, 4);
      const status = placeNew(relation, cellBuffer, round);
      if (status != 0) return status;
    }
  }
  return relation.fresh || isAgain ? countAppended(to, found, round) : 0;
}

/* Row by row (dense-sweep.ts), instead of rounds. */

/** The row whose turn it is, which is to be given back behind it; else 0. */
let ownRecord: u32 = 0;

function beginTurns(): void {
  stage = STAGE_SWEEP;
  at = 0;
  round = 0;
  running = false;
  versionAt = plan.versionCount;
  ownRecord = 0;
}

/** Rules of the row at hand: the next one of them. */
let versionAt: u32 = 0;

function sweep(limit: u64): u32 {
  while (true) {
    while (versionAt < plan.versionCount) {
      const version = denseVersionAt(plan, versionAt);
      if (changetype<usize>(version.source) == changetype<usize>(tableAt(plan, at))) {
        const status = runRule(version, limit);
        if (running) return status;
      }
      versionAt += 1;
    }
    if (ownRecord != 0) freeRecord(ownRecord);
    ownRecord = 0;
    if (waitingRows == 0 || isSweepToBeLeft()) {
      hasNew = waitingRows != 0;
      stage = STAGE_NEXT;
      return STATUS_DONE;
    }
    if (stepCount >= limit) return STATUS_MORE;
    const status = takeTurn();
    if (status != 0) return status;
  }
}

/** The next row that waits becomes known, and drives the rules; tables take turns. */
function takeTurn(): u32 {
  let row = takeWaiting(tableAt(plan, at));
  while (row == NO_BIT) {
    at = at + 1 == plan.tableCount ? 0 : at + 1;
    row = takeWaiting(tableAt(plan, at));
  }
  round += 1;
  const table = tableAt(plan, at);
  const next = matrixOf(table.next0, table.next1, table.main);
  const all = matrixOf(table.all0, table.all1, table.main);
  const added = detachRow(next, row);
  const isFirst = !wasDriven(table, row);
  noteDriven(table, row);
  versionAt = 0;
  countSteps(1);
  let status: u32 = 0;
  if (added == 0) driveBy(row, recordOf(all, row));
  else if (recordOf(all, row) == 0) {
    attachRow(all, row, added);
    driveBy(row, added);
    status = takeFound(table, row, added, countBits(added));
  } else {
    status = takeFound(table, row, added, mergeRow(all, row, added));
    // What stood from the start has not gone through the rules before.
    driveBy(row, isFirst ? recordOf(all, row) : added);
    ownRecord = added;
  }
  if (next.filled.length > numbering.length) clearVector(next.filled);
  return status;
}

/** Where bits lie too sparse. */
function isSweepToBeLeft(): bool {
  if (layout == LAYOUT_LEAVE) return round >= LEAVE_TURNS;
  return (round & 255) == 0 && isToBeLeft();
}
