/*
 * Keeps tables up to date that depend on their own min or max: shortest paths and their like.
 *
 *   dist(y, min(d)) :- dist(x, e), edge(x, y, c), c >= 0, d = e + c.
 *
 * No rule gives a better value than the rows of the component that it reads; the compiler sees to
 * it, and a comparison in each version. So whatever is taken in the order of (value, rank) is final
 * (Dijkstra 1959; Knuth, A Generalization of Dijkstra's Algorithm, 1977), for deletes as well
 * (Ramalingam and Reps, J. Algorithms 21, 1996). The rank is 1 + the largest rank in the body that
 * gave the row (0 for a base row or an exit rule). Invariant: each LIVE row is held, or has an
 * instance whose rows of the component come before it, by value, of equal values by rank. So rows
 * of one value cannot hold each other up in a circle.
 *
 *   1 exits counted   2 heads of lost instances are to be checked   3 heads of new ones are offered
 *   4 the heap's first entry, again and again:
 *       check: no support before the row → it falls, its heads are checked, its group's other rows
 *              are offered
 *       offer: the group's row is as good → dropped; else it takes its place (where rows fell, if
 *              it still has support), and its heads are offered
 *
 * Evaluated from scratch, each group is settled once. When more than a quarter of the rows fall,
 * the component is evaluated from scratch.
 */
import {
  ROW_LIVE,
  ROW_PENDING,
  ROW_QUEUED,
  ROW_RECENT,
  ROW_USED,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
  VERSION_CANDIDATE,
  VERSION_DELTA,
  VERSION_FULL,
  VERSION_GROUP,
  VERSION_INSERT,
  VERSION_ROUND,
  VERSION_SUPPORT,
  WEIGHT_SHIFT,
} from './abi';
import {
  addEntry,
  bestOfGroup,
  CHECK,
  checkRow,
  compareBest,
  dropEntries,
  dropEntry,
  entryCount,
  firstId,
  firstKind,
  firstRank,
  firstRelation,
  firstValue,
  initBestRows,
  nextOfGroup,
  OFFER,
  setBound,
  setDirection,
  valueOfRow,
  walkGroup,
} from './best-rows';
import { countNew, MODE_COUNT, MODE_DOUBT, MODE_OFFER, MODE_SUPPORT } from './emit';
import { NOT_FOUND } from './id-set';
import { runMachine, startMachine, TAKE_ADDED, TAKE_ALL, TAKE_REMOVED } from './interpreter';
import { Machine } from './machine';
import { allocateZeroed, memoryLow } from './memory';
import { BestPlan, Unit, unitRelation, Version, versionAt } from './program';
import { touch } from './relation';
import { Relation, rowAddress, setRankAt } from './row-store';
import { sabotage, SABOTAGE_RECOMPUTE } from './sabotage';
import { dropSideWeights, isHeld } from './side-weights';
import { countSteps, stepCount } from './steps';
import { clearVector, push, Vector, wordAt } from './vector';

const PHASE_FULL: u32 = 0;
const PHASE_HELD: u32 = 1;
const PHASE_EXITS: u32 = 2;
const PHASE_TOUCHED: u32 = 3;
const PHASE_LOST: u32 = 4;
const PHASE_GAINED: u32 = 5;
const PHASE_NEXT: u32 = 6;
const PHASE_SUPPORT: u32 = 7;
const PHASE_GROUP: u32 = 8;
const PHASE_FALLEN: u32 = 9;
const PHASE_ROUND: u32 = 10;
const PHASE_RESET: u32 = 11;
const PHASE_END: u32 = 12;

const SLICE_ROWS: u32 = 4096;
/** A component of fewer rows is never worth computing again. */
const RECOMPUTE_ROWS_MIN: u32 = 256;

let machine: Machine = changetype<Machine>(0);
let unit: Unit = changetype<Unit>(0);
let phase: u32 = 0;
let versionIndex: u32 = 0;
let relationIndex: u32 = 0;
let cursor: u32 = 0;
/** Rows settled in this block, and rows that fell or were replaced: their heads wait for them. */
let settledRows: u32 = 0;
let fallenRows: u32 = 0;
let blockValue: u32 = 0;
let blockRank: u32 = 0;
/** A LIVE row went: what was offered before may rest on it. */
let hasFallen: bool = false;
let isFromScratch: bool = false;
let fallenTotal: u32 = 0;
/** The entry under way. */
let checked: Relation = changetype<Relation>(0);
let checkedId: u32 = 0;
let checkedRank: u32 = 0;
let checkedKind: u32 = 0;
/** Since `startBest`. */
export let bestRounds: u32 = 0;
let touchedCount: u32 = 0;

export function initBest(): bool {
  machine = changetype<Machine>(allocateZeroed(offsetof<Machine>() as u32) as usize);
  return changetype<usize>(machine) != 0 && initBestRows();
}

/** Rows inserted, deleted or checked since the last call. */
export function takeTouched(): u32 {
  const count = touchedCount;
  touchedCount = 0;
  return count;
}

export function startBest(next: Unit): void {
  unit = next;
  const plan = changetype<BestPlan>(unit.best as usize);
  setDirection(plan.isMax);
  for (let i: u32 = 0; i < unit.relationCount; i++) {
    const relation = unitRelation(unit, i);
    relation.bestColumn = load<u32>(plan.columns + (i << 3)) + 1;
    relation.groupIndex = load<u32>(plan.columns + (i << 3), 4);
  }
  machine.running = false;
  dropEntries();
  settledRows = 0;
  fallenRows = 0;
  fallenTotal = 0;
  hasFallen = false;
  isFromScratch = unit.fresh;
  bestRounds = 0;
  enter(unit.fresh ? PHASE_FULL : PHASE_EXITS);
}

function enter(next: u32): void {
  phase = next;
  versionIndex = 0;
  relationIndex = 0;
  cursor = 0;
}

/** STATUS_DONE: the rows that are LIVE are those that shall be; STATUS_MORE, or a failure. */
export function stepBest(limit: u64): u32 {
  while (phase != PHASE_END) {
    const status = stepPhase(limit);
    if (status != STATUS_DONE) return status;
    if (memoryLow) return STATUS_OUT_OF_MEMORY;
    if (stepCount >= limit && phase != PHASE_END) return STATUS_MORE;
  }
  return STATUS_DONE;
}

function stepPhase(limit: u64): u32 {
  switch (phase as i32) {
    case PHASE_FULL:
      return runAll(VERSION_FULL, MODE_COUNT, TAKE_ALL, limit, PHASE_HELD);
    case PHASE_HELD:
      return offerHeld();
    case PHASE_EXITS:
      return runAll(VERSION_DELTA, MODE_COUNT, TAKE_ALL, limit, PHASE_TOUCHED);
    case PHASE_TOUCHED:
      return takeTouchedRows();
    case PHASE_LOST:
      return runAll(VERSION_CANDIDATE, MODE_DOUBT, TAKE_REMOVED, limit, PHASE_GAINED);
    case PHASE_GAINED:
      return runAll(VERSION_INSERT, MODE_OFFER, TAKE_ADDED, limit, PHASE_NEXT);
    case PHASE_NEXT:
      return takeEntry();
    case PHASE_SUPPORT:
      return searchSupport(limit);
    case PHASE_GROUP:
      return offerGroup(limit);
    case PHASE_FALLEN:
      return runFallen(limit);
    case PHASE_ROUND:
      return runRound(limit);
    default:
      return resetRows();
  }
}

/* Versions. */

/** Runs the version at hand over a list of changed rows (null: from scratch), if it has any. */
function runOver(version: Version, mode: u32, take: u32, delta: Vector, limit: u64): u32 {
  if (!machine.running) {
    const isDriven = changetype<usize>(delta) != 0;
    if (isDriven && delta.length == 0) return STATUS_DONE;
    startMachine(machine, version, mode);
    machine.take = take;
    machine.delta = delta;
    machine.deltaFrom = 0;
    machine.deltaTo = isDriven ? delta.length : 0;
  }
  return runSlice(limit);
}

function runSlice(limit: u64): u32 {
  return stepCount >= limit ? STATUS_MORE : runMachine(machine, limit - stepCount);
}

/** Versions of a purpose that no row of the component drives. */
function runAll(purpose: u32, mode: u32, take: u32, limit: u64, next: u32): u32 {
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == purpose && !version.inComponent) {
      const source = version.source;
      const delta = changetype<usize>(source) == 0 ? changetype<Vector>(0) : source.delta;
      const status = runOver(version, mode, take, delta, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  enter(next);
  return STATUS_DONE;
}

/* Rows that the transaction touched, or from scratch all. */

function offerHeld(): u32 {
  if (relationIndex == unit.relationCount) {
    enter(PHASE_NEXT);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  const end = min(relation.top, cursor + SLICE_ROWS);
  countSteps(end - cursor);
  for (; cursor < end; cursor++) {
    const meta = load<u32>(rowAddress(relation, cursor));
    if ((meta & ROW_USED) == 0 || !isHeld(relation, cursor, meta)) continue;
    if (!addEntry(OFFER, relation, cursor, 0)) return STATUS_OUT_OF_MEMORY;
  }
  if (cursor == relation.top) {
    relationIndex += 1;
    cursor = 0;
  }
  return STATUS_DONE;
}

/** Rows that lost what held them are checked; those that are held now are offered. */
function takeTouchedRows(): u32 {
  for (let r: u32 = 0; r < unit.relationCount; r++) {
    const relation = unitRelation(unit, r);
    countSteps(relation.touched.length / 3);
    for (let i: u32 = 0; i < relation.touched.length; i += 3) {
      const id = wordAt(relation.touched, i);
      const row = rowAddress(relation, id);
      const meta = load<u32>(row);
      const held = isHeld(relation, id, meta);
      if ((meta & ROW_LIVE) == 0) {
        if (held && !addEntry(OFFER, relation, id, 0)) return STATUS_OUT_OF_MEMORY;
      } else if (!held && checkRow(relation, id, row) != 0) return STATUS_OUT_OF_MEMORY;
    }
  }
  enter(PHASE_LOST);
  return STATUS_DONE;
}

/* The first entry, again and again. */

function isBeyondBlock(): bool {
  if (entryCount() == 0 || compareBest(firstValue(), blockValue) != 0) return true;
  // Where nothing is checked, rows of one value may go on together, whatever their ranks.
  return !isFromScratch && firstRank() != blockRank;
}

function takeEntry(): u32 {
  if (settledRows + fallenRows != 0 && isBeyondBlock()) {
    enter(fallenRows != 0 ? PHASE_FALLEN : PHASE_ROUND);
    return STATUS_DONE;
  }
  if (entryCount() == 0) {
    enter(PHASE_END);
    return STATUS_DONE;
  }
  if (isWorthRecomputing()) {
    enter(PHASE_RESET);
    return STATUS_DONE;
  }
  countSteps(1);
  blockValue = firstValue();
  blockRank = firstRank();
  checked = firstRelation();
  checkedId = firstId();
  checkedRank = blockRank;
  checkedKind = firstKind();
  dropEntry();
  touchedCount += 1;
  const row = rowAddress(checked, checkedId);
  const meta = load<u32>(row);
  if (checkedKind == CHECK) {
    if ((meta & ROW_LIVE) == 0 || isHeld(checked, checkedId, meta)) return STATUS_DONE;
    enter(PHASE_SUPPORT);
    return STATUS_DONE;
  }
  const best = bestOfGroup(checked, row + checked.cellsAt);
  if (best != NOT_FOUND) {
    const other = valueOfRow(checked, rowAddress(checked, best));
    if (compareBest(blockValue, other) >= 0) return STATUS_DONE;
  }
  if (!hasFallen || isHeld(checked, checkedId, meta)) return settleRow(best);
  enter(PHASE_SUPPORT);
  return STATUS_DONE;
}

function isWorthRecomputing(): bool {
  if (isFromScratch || sabotage == SABOTAGE_RECOMPUTE) return false;
  let rows: u32 = 0;
  for (let i: u32 = 0; i < unit.relationCount; i++) rows += unitRelation(unit, i).live;
  return rows >= RECOMPUTE_ROWS_MIN && fallenTotal > rows >> 2;
}

/** The offered row takes its group's place from `former`, if there is one. */
function settleRow(former: u32): u32 {
  if (former != NOT_FOUND && !fell(checked, former)) return STATUS_OUT_OF_MEMORY;
  const row = rowAddress(checked, checkedId);
  if (!touch(checked, checkedId, row) || !push(checked.recent, (checkedId << 1) | 1))
    return STATUS_OUT_OF_MEMORY;
  store<u32>(row, load<u32>(row) | ROW_LIVE | ROW_RECENT);
  setRankAt(checked, row, checkedRank);
  settledRows += 1;
  return countNew(checked);
}

/** A row is its group's no longer; its heads wait for the end of the block. */
function fell(relation: Relation, id: u32): bool {
  const row = rowAddress(relation, id);
  if (!touch(relation, id, row) || !push(relation.pending, (id << 1) | 1)) return false;
  store<u32>(row, load<u32>(row) & ~ROW_LIVE);
  relation.liveNew -= 1;
  fallenRows += 1;
  fallenTotal += 1;
  hasFallen = true;
  return true;
}

/** Looks for an instance of the row whose rows of the component all come before it. */
function searchSupport(limit: u64): u32 {
  const row = rowAddress(checked, checkedId);
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (isOfChecked(version, VERSION_SUPPORT)) {
      if (!machine.running) {
        startMachine(machine, version, MODE_SUPPORT);
        machine.headCells = row + checked.cellsAt;
        setBound(valueOfRow(checked, row), checkedRank);
      }
      const status = runSlice(limit);
      if (status != STATUS_DONE) return status;
      if (machine.found) break;
    }
    versionIndex += 1;
  }
  const isFound = versionIndex < unit.versionCount;
  enter(isFound ? PHASE_NEXT : PHASE_GROUP);
  if (checkedKind == CHECK) {
    if (!isFound && !fell(checked, checkedId)) return STATUS_OUT_OF_MEMORY;
    return STATUS_DONE;
  }
  return isFound ? settleRow(bestOfGroup(checked, row + checked.cellsAt)) : STATUS_DONE;
}

function isOfChecked(version: Version, purpose: u32): bool {
  return (
    version.purpose == purpose && changetype<usize>(version.head) == changetype<usize>(checked)
  );
}

/** Offers what else there is for the group: rows that are held, and heads of instances. */
function offerGroup(limit: u64): u32 {
  const cells = rowAddress(checked, checkedId) + checked.cellsAt;
  if (versionIndex == 0 && !machine.running) {
    countSteps(walkGroup(checked, cells));
    for (let id = nextOfGroup(); id != NOT_FOUND; id = nextOfGroup()) {
      const meta = load<u32>(rowAddress(checked, id));
      if ((meta & (ROW_USED | ROW_LIVE)) != ROW_USED || !isHeld(checked, id, meta)) continue;
      if (!addEntry(OFFER, checked, id, 0)) return STATUS_OUT_OF_MEMORY;
    }
  }
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (isOfChecked(version, VERSION_GROUP)) {
      if (!machine.running) {
        startMachine(machine, version, MODE_OFFER);
        machine.headCells = cells;
      }
      const status = runSlice(limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  enter(PHASE_NEXT);
  return STATUS_DONE;
}

/* The end of a block. */

/** Heads of instances that a fallen row took part in are checked. */
function runFallen(limit: u64): u32 {
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == VERSION_CANDIDATE && version.inComponent) {
      const status = runOver(version, MODE_DOUBT, TAKE_ALL, version.source.pending, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  for (let i: u32 = 0; i < unit.relationCount; i++) clearVector(unitRelation(unit, i).pending);
  fallenRows = 0;
  enter(PHASE_ROUND);
  return STATUS_DONE;
}

/** Heads of instances that a settled row takes part in are offered. */
function runRound(limit: u64): u32 {
  while (versionIndex < unit.versionCount && settledRows != 0) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == VERSION_ROUND) {
      const status = runOver(version, MODE_OFFER, TAKE_ALL, version.source.recent, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  for (let i: u32 = 0; i < unit.relationCount; i++) {
    const relation = unitRelation(unit, i);
    for (let j: u32 = 0; j < relation.recent.length; j++) {
      const row = rowAddress(relation, wordAt(relation.recent, j) >> 1);
      store<u32>(row, load<u32>(row) & ~ROW_RECENT);
    }
    clearVector(relation.recent);
  }
  settledRows = 0;
  bestRounds += 1;
  enter(PHASE_NEXT);
  return STATUS_DONE;
}

/* Again from scratch: no row is LIVE, weights are counted anew. */

function resetRows(): u32 {
  if (relationIndex == unit.relationCount) {
    dropEntries();
    settledRows = 0;
    fallenRows = 0;
    hasFallen = false;
    isFromScratch = true;
    enter(PHASE_FULL);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  if (cursor == 0) {
    clearVector(relation.recent);
    clearVector(relation.pending);
    dropSideWeights(relation);
    relation.maxRank = 0;
  }
  const end = min(relation.top, cursor + SLICE_ROWS);
  touchedCount += end - cursor;
  countSteps(end - cursor);
  const kept = ((1 << WEIGHT_SHIFT) - 1) & ~(ROW_LIVE | ROW_QUEUED | ROW_PENDING | ROW_RECENT);
  for (; cursor < end; cursor++) {
    const row = rowAddress(relation, cursor);
    if ((load<u32>(row) & ROW_USED) == 0) continue;
    if (!touch(relation, cursor, row)) return STATUS_OUT_OF_MEMORY;
    store<u32>(row, load<u32>(row) & kept);
  }
  if (cursor == relation.top) {
    relation.liveNew = 0;
    relationIndex += 1;
    cursor = 0;
  }
  return STATUS_DONE;
}
