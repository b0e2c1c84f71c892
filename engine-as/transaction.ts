/*
 * One transaction: begin, a new program perhaps, base rows, the units, then commit or rollback.
 * Each long part goes in slices. Readers see the state before it until `commit` passes the commit
 * point, which is one assignment; the bookkeeping behind that point is sliced too.
 */
import {
  ROW_BASE,
  ROW_USED,
  STATUS_BAD_CALL,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
  UNIT_AGGREGATE,
} from './abi';
import { aggregateRow, AggregateState, restoreGroups, settleGroups } from './aggregate';
import { takeBackStream } from './aggregate-stream';
import { dropEntries } from './best-rows';
import { dropCandidates } from './candidates';
import { dropIndex, keepIndexes, sharedRelationOf } from './catalog';
import { changedCount, changedHandle, keepChanges, setChangedHandle } from './changes';
import { commitFresh, commitTouched } from './commit-rows';
import { listIndexes, settleBuilt } from './index-build';
import { ColumnIndex } from './index-store';
import { dropDense } from './dense';
import { dropOnce } from './dense-once';
import { BLOCK_ROWS, emit, emitNow, flushBlock, MODE_BASE, MODE_NO_BASE, nextCells } from './emit';
import { fitLater } from './fitting';
import { NOT_FOUND } from './id-set';
import { stepCount } from './steps';
import { anyUnlisted, beginListing, listAll, stepListing } from './listing';
import { beginUnits, stepUnits } from './maintenance';
import { dropMarks } from './marks';
import { memoryLow, refillReserve } from './memory';
import { AggregatePlan, Program, Unit, unitAt } from './program';
import { decodeProgram, decodeStatus, destroyProgram, mayWait } from './program-decoder';
import {
  appendRows,
  dropRanks,
  isNeeded,
  removeRow,
  restoreRanks,
  settleIndexes,
  touch,
} from './relation';
import { Relation, rowAddress, setRankAt } from './row-store';
import { forgetCut } from './row-codec';
import { beginLoad, dropLoads, endLoads, stepLoads } from './row-load';
import { readRows, rowsRead, rowsReadBytes } from './row-reader';
import { restoreSideWeights, saveSideWeights } from './side-weights';
import { dropLists } from './value-lists';
import { clearVector, wordAt } from './vector';
import { showNew, showOld } from './views';

const IDLE: u32 = 0;
const OPEN: u32 = 1;
const COMPUTED: u32 = 2;
const COMMITTING: u32 = 3;
const ROLLING_BACK: u32 = 4;

const SLICE_ROWS: u32 = 4096;

let state: u32 = IDLE;
let current: Program = changetype<Program>(0);
let next: Program = changetype<Program>(0);
let unitsBegun: bool = false;
let isNewProgram: bool = false;
let buildAt: u32 = 0;
let building: bool = false;
/** Place in the list of changed relations. */
let changeAt: u32 = 0;
let rowAt: u32 = 0;

/**
 * Counts what voids a reader's cursors: commit points, and rows taken out behind one or in a
 * rollback (the last row of a group moves into the gap). Whoever paused across one starts again.
 */
export let commits: u32 = 0;

export function isOpen(): bool {
  return state != IDLE;
}

export function currentProgram(): Program {
  return current;
}

export function begin(): u32 {
  if (state != IDLE) return STATUS_BAD_CALL;
  if (!refillReserve() || !saveSideWeights() || !listRelations()) return STATUS_OUT_OF_MEMORY;
  state = OPEN;
  unitsBegun = false;
  buildAt = 0;
  building = false;
  return STATUS_DONE;
}

/** What a batch left unlisted is found from now on. */
function listRelations(): bool {
  if (changetype<usize>(current) == 0 || !(anyUnlisted || current.isBatch)) return true;
  for (let i: u32 = 0; i < current.relationCount; i++) {
    const relation = changetype<Relation>(load<u32>(current.relations + (i << 2)) as usize);
    if (anyUnlisted && !listAll(relation)) return false;
    if (!listIndexes(relation)) return false;
  }
  return true;
}

/** Takes a new program; its relations were made by the host inside this transaction. */
export function setProgram(pointer: u32, bytes: u32): u32 {
  if (state != OPEN || unitsBegun) return STATUS_BAD_CALL;
  if (changetype<usize>(next) != 0) destroyProgram(next);
  next = decodeProgram(pointer, bytes, false);
  return decodeStatus;
}

/**
 * Takes the BASE flag off rows of a relation, from row `from` on; answers where to go on, or `top`.
 */
export function clearBaseRows(relation: Relation, from: u32): u32 {
  if (relation.loading && !endLoads()) return NOT_FOUND;
  const end = min(relation.top, from + SLICE_ROWS);
  for (let id = from; id < end; id++) {
    const row = rowAddress(relation, id);
    if ((load<u32>(row) & ROW_BASE) == 0) continue;
    if (!touch(relation, id, row)) return NOT_FOUND;
    store<u32>(row, load<u32>(row) & ~ROW_BASE);
  }
  return end;
}

/** Before many rows of a relation that is new: they are looked for afterwards, all at once. */
export function expectRows(relation: Relation, rows: u32): u32 {
  const isNew = state == OPEN && !unitsBegun && relation.fresh && relation.top == 0;
  return !isNew || beginLoad(relation, rows) ? STATUS_DONE : STATUS_OUT_OF_MEMORY;
}

/** Whole rows that the last `changeBaseRows` took, and their bytes. */
export let rowsTaken: u32 = 0;
export let bytesTaken: u32 = 0;

/**
 * Sets or takes the BASE flag of `rows` encoded rows. After STATUS_BAD_ROWS where the bytes end
 * within a row (`isCutShort`) the caller may go on behind the rows that were taken; after any other
 * failure it rolls back.
 */
export function changeBaseRows(
  relation: Relation,
  pointer: u32,
  bytes: u32,
  rows: u32,
  insert: bool,
): u32 {
  const end = pointer + bytes;
  const mode = insert ? MODE_BASE : MODE_NO_BASE;
  if (!insert && relation.loading && !endLoads()) return STATUS_OUT_OF_MEMORY;
  forgetCut();
  rowsTaken = 0;
  bytesTaken = 0;
  let status: u32 = 0;
  while (rowsTaken < rows && status == 0) {
    const count = min(rows - rowsTaken, BLOCK_ROWS);
    const arity = relation.arity;
    const read = readRows(pointer + bytesTaken, end, arity, count, nextCells(arity));
    rowsTaken += rowsRead;
    bytesTaken += rowsReadBytes;
    if (relation.loading) {
      const flags = ROW_USED | ROW_BASE;
      const ok = appendRows(relation, nextCells(arity), rowsRead, flags) && !memoryLow;
      status = ok ? read : (STATUS_OUT_OF_MEMORY as u32);
      continue;
    }
    for (let i: u32 = 0; i < rowsRead && status == 0; i++) status = emit(mode, relation, 1, 0);
    if (status == 0) status = flushBlock(mode, relation);
    if (status == 0) status = read;
  }
  return status;
}

/**
 * Copies the base rows of a relation that goes to the one that takes its place; from row `from` on.
 */
export function copyBaseRows(from: Relation, to: Relation, start: u32): u32 {
  if ((from.loading || to.loading) && !endLoads()) return NOT_FOUND;
  const end = min(from.top, start + SLICE_ROWS);
  for (let id = start; id < end; id++) {
    const row = rowAddress(from, id);
    if ((load<u32>(row) & ROW_BASE) == 0) continue;
    if (emitNow(MODE_BASE, to, row + from.cellsAt, 1) != 0) return NOT_FOUND;
  }
  return end;
}

/** Of rows that stand; all indexes of a relation that are not built yet come together. */
function buildIndexes(program: Program): u32 {
  while (buildAt < program.builds.length) {
    const relation = changetype<Relation>(wordAt(program.builds, buildAt) as usize);
    const index = changetype<ColumnIndex>(wordAt(program.builds, buildAt + 1) as usize);
    if (!mayWait(program, relation) && !index.ready && !building) {
      beginListing(relation);
      building = true;
    }
    const status: u32 = building ? stepListing() : STATUS_DONE;
    if (status != STATUS_DONE) return status;
    // No reader of this program has begun.
    if (building) settleBuilt(index);
    building = false;
    buildAt += 2;
  }
  return STATUS_DONE;
}

/**
 * Works for about `budget` steps: STATUS_MORE, STATUS_DONE when all units are up to date, or a
 * failure.
 */
export function step(budget: u64): u32 {
  if (state != OPEN) return STATUS_BAD_CALL;
  const loaded = stepLoads();
  if (loaded != STATUS_DONE) return loaded;
  const program = changetype<usize>(next) != 0 ? next : current;
  if (changetype<usize>(program) == 0) {
    state = COMPUTED;
    return STATUS_DONE;
  }
  const built = buildIndexes(program);
  if (built != STATUS_DONE) return built;
  if (!unitsBegun) {
    beginUnits(program, changetype<usize>(next) != 0);
    unitsBegun = true;
  }
  const status = stepUnits(stepCount + budget);
  if (status == STATUS_DONE) state = COMPUTED;
  return status;
}

/* Commit. */

/** The next slice of a relation; true when all of it is committed. */
function commitRelation(relation: Relation): bool {
  if (relation.fresh) {
    const end = min(relation.top, rowAt + SLICE_ROWS);
    commits += commitFresh(relation, rowAt, end);
    rowAt = end;
    if (rowAt < relation.top) return false;
    relation.fresh = false;
    fitLater(relation);
  } else {
    const touched = relation.touched;
    const end = min(touched.length, rowAt + SLICE_ROWS * 3);
    commits += commitTouched(relation, rowAt, end);
    rowAt = end;
    if (rowAt < touched.length) return false;
  }
  dropRanks(relation);
  clearVector(relation.touched);
  clearVector(relation.delta);
  clearVector(relation.pending);
  clearVector(relation.recent);
  if (relation.aggregateState != 0)
    settleGroups(changetype<AggregateState>(relation.aggregateState as usize));
  settleIndexes(relation);
  rowAt = 0;
  return true;
}

function startCommit(): void {
  state = COMMITTING;
  commits += 1;
  changeAt = 0;
  rowAt = 0;
  for (let i: u32 = 0; i < changedCount(); i++) {
    const relation = sharedRelationOf(changedHandle(i));
    if (changetype<usize>(relation) != 0) relation.live = relation.liveNew;
  }
  showNew();
  isNewProgram = changetype<usize>(next) != 0;
  if (!isNewProgram) return;
  destroyProgram(current);
  current = next;
  next = changetype<Program>(0);
  for (let i: u32 = 0; i < current.unitCount; i++) unitAt(current, i).fresh = false;
}

/** Commits in slices; the first call passes the commit point. */
export function commit(): u32 {
  if (state == COMPUTED) startCommit();
  if (state != COMMITTING) return STATUS_BAD_CALL;
  let slices = 0;
  while (changeAt < changedCount()) {
    const relation = sharedRelationOf(changedHandle(changeAt));
    if (changetype<usize>(relation) == 0 || commitRelation(relation)) changeAt += 1;
    slices += 1;
    if (slices == 256 || rowAt != 0) return STATUS_MORE;
  }
  if (isNewProgram) {
    const program = changetype<usize>(current) as u32;
    for (let i: u32 = 0; i < current.relationCount; i++) {
      const relation = changetype<Relation>(load<u32>(current.relations + (i << 2)) as usize);
      keepIndexes(relation, program);
    }
    clearVector(current.builds);
  }
  forgetChanges();
  dropMarks();
  dropLists();
  showOld();
  state = IDLE;
  return STATUS_DONE;
}

/** The list begins anew; a relation that a rollback leaves fresh still waits for its commit. */
function forgetChanges(): void {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < changedCount(); i++) {
    const relation = sharedRelationOf(changedHandle(i));
    if (changetype<usize>(relation) == 0) continue;
    relation.noted = relation.fresh;
    if (!relation.fresh) continue;
    setChangedHandle(kept, relation.handle);
    kept += 1;
  }
  keepChanges(kept);
}

/* Rollback. */

function takeBackAggregates(): void {
  const program = changetype<usize>(next) != 0 ? next : current;
  if (changetype<usize>(program) == 0) return;
  for (let i: u32 = 0; i < program.unitCount; i++) {
    const unit: Unit = unitAt(program, i);
    if (unit.kind != UNIT_AGGREGATE || unit.fresh) continue;
    const plan = changetype<AggregatePlan>(unit.aggregate as usize);
    if (plan.output.aggregateState == 0) continue;
    const aggregates = changetype<AggregateState>(plan.output.aggregateState as usize);
    for (let j: u32 = 0; j < aggregates.taken; j++) {
      const entry = wordAt(plan.input.delta, j);
      const row = rowAddress(plan.input, entry >> 1);
      aggregateRow(plan, aggregates, row + plan.input.cellsAt, (entry & 1) != 0);
    }
    takeBackStream(plan, aggregates);
    restoreGroups(aggregates);
  }
}

function rollBackRelation(relation: Relation): bool {
  restoreRanks(relation);
  const touched = relation.touched;
  const end = min(touched.length, rowAt + SLICE_ROWS * 3);
  for (; rowAt < end; rowAt += 3) {
    const id = wordAt(touched, rowAt);
    const before = wordAt(touched, rowAt + 1);
    if (isNeeded(before)) {
      const row = rowAddress(relation, id);
      store<u32>(row, before);
      setRankAt(relation, row, wordAt(touched, rowAt + 2));
    } else {
      removeRow(relation, id);
      commits += 1;
    }
  }
  if (rowAt < touched.length) return false;
  clearVector(relation.touched);
  clearVector(relation.delta);
  clearVector(relation.pending);
  clearVector(relation.recent);
  settleIndexes(relation);
  relation.liveNew = relation.live;
  rowAt = 0;
  return true;
}

/** The indexes that a program had built: the former one has no use for them. */
function dropBuilds(program: Program): void {
  for (let i: u32 = 0; i < program.builds.length; i += 2) {
    dropIndex(
      changetype<Relation>(wordAt(program.builds, i) as usize),
      changetype<ColumnIndex>(wordAt(program.builds, i + 1) as usize),
    );
  }
}

/**
 * Undoes an open or computed transaction in slices. Fresh relations are left for the host to drop.
 */
export function rollBack(): u32 {
  if (state == OPEN || state == COMPUTED) {
    state = ROLLING_BACK;
    changeAt = 0;
    rowAt = 0;
    takeBackAggregates();
    dropCandidates();
    dropDense();
    dropOnce();
    dropLoads();
    dropEntries();
    if (changetype<usize>(next) != 0) {
      dropBuilds(next);
      destroyProgram(next);
    }
    next = changetype<Program>(0);
  }
  if (state != ROLLING_BACK) return STATUS_BAD_CALL;
  let slices = 0;
  while (changeAt < changedCount()) {
    const relation = sharedRelationOf(changedHandle(changeAt));
    if (changetype<usize>(relation) == 0 || rollBackRelation(relation)) changeAt += 1;
    slices += 1;
    if (slices == 256 || rowAt != 0) return STATUS_MORE;
  }
  forgetChanges();
  dropMarks();
  dropLists();
  restoreSideWeights();
  refillReserve();
  state = IDLE;
  return STATUS_DONE;
}
