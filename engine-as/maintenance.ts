/*
 * Brings the units of a program up to date, one after another, in slices.
 *
 * Counting units (Gupta, Mumick, Subrahmanian, SIGMOD 1993): each derivation of a row counts one. A
 * rule h :- a, b changes by  Δa ⋈ old b  +  new a ⋈ Δb; a row is there while its weight is above 0
 * or it is a base row.
 *
 * Recursive units: a row has a weight for its exit rules (no body row of the component) and a rank,
 * above the largest one in the body that first derived it (0 from an exit rule). Invariant: every
 * row is held by a base row or an exit rule, or by an instance whose component rows all have
 * smaller ranks. Such support is well founded, so rows cannot hold each other up in a circle, and a
 * delete looks only at rows whose support broke (ranks in place of DRed's over-deletion; cf. Motik
 * et al., AAAI 2015):
 *
 *   1 exit weights change   2 heads of lost instances become candidates
 *   3 candidates in ascending rank: no support below the own rank → the row falls, its heads follow
 *   4 a fallen row with any derivation left stands again, ranked above it
 *   5 new exits, new instances, then semi-naive rounds
 *
 * When more than a quarter of the component falls, or the update grows dear, it is computed again
 * instead.
 */
import {
  RELATION_POSITIONS,
  RELATION_RANKED,
  ROW_BASE,
  ROW_LIVE,
  ROW_OLD,
  ROW_PENDING,
  ROW_QUEUED,
  ROW_RECENT,
  ROW_USED,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
  UNIT_AGGREGATE,
  UNIT_BEST,
  UNIT_COUNTING,
  UNIT_RECURSIVE,
  VERSION_CANDIDATE,
  VERSION_DELTA,
  VERSION_FULL,
  VERSION_INSERT,
  VERSION_ROUND,
  VERSION_SUPPORT,
  WEIGHT_SHIFT,
} from './abi';
import { aggregateRow, aggregateStateOf, touchedGroups } from './aggregate';
import { updateGroup } from './aggregate-output';
import { openStream } from './aggregate-stream';
import { bestRounds, startBest, stepBest, takeTouched } from './best';
import { isAgainByTurns, LAYOUT_LATE, layout } from './bits-choice';
import {
  candidateCount,
  clearCandidates,
  dropFirst,
  firstId,
  firstRank,
  firstRelation,
  queueCandidate,
} from './candidates';
import { changedCount, changedHandle, noteChange } from './changes';
import { beginDense, denseFinished, denseLoaded, dropDense, stepDense } from './dense';
import { mergedRows } from './dense-merge';
import { rowsOf } from './dense-translate';
import { beginOnce, dropOnce, onceFinished, stepOnce } from './dense-once';
import {
  checkRows,
  countNew,
  MODE_AGGREGATE,
  MODE_APPEND,
  MODE_CANDIDATE,
  MODE_COUNT,
  MODE_COUNT_FRESH,
  MODE_EXIT_FRESH,
  MODE_INSERT,
  MODE_SUPPORT,
  reviveRow,
  supportRank,
} from './emit';
import { NOT_FOUND } from './id-set';
import { ColumnIndex } from './index-store';
import { runMachine, startMachine, TAKE_ADDED, TAKE_ALL, TAKE_REMOVED } from './interpreter';
import { appendKept } from './kept-bits';
import {
  beginListing,
  hasUnlistedRows,
  isUnlisted,
  leaveUnlisted,
  mustBeListed,
  stepListing,
} from './listing';
import { Machine } from './machine';
import { allocateZeroed, memoryLow } from './memory';
import { NEAR_ROWS, nearRows } from './near';
import {
  AggregatePlan,
  forgetWaiting,
  NEED_ROWS,
  NEED_SET,
  ownerOf,
  Program,
  takeWaiting,
  Unit,
  unitAt,
  unitRelation,
  Version,
  versionAt,
  waitFor,
} from './program';
import { touch } from './relation';
import { rankAt, Relation, rowAddress } from './row-store';
import { sabotage, SABOTAGE_RANKS, SABOTAGE_RECOMPUTE } from './sabotage';
import { dropSideWeights, isHeld } from './side-weights';
import { countSteps, stepCount } from './steps';
import { clearVector, createVector, push, reserveWords, Vector, wordAt } from './vector';

/* Phases of a unit. */
const PHASE_START: u32 = 0;
const PHASE_BASE: u32 = 1;
const PHASE_FULL: u32 = 2;
const PHASE_DELTA: u32 = 3;
const PHASE_SORT: u32 = 4;
const PHASE_LOST: u32 = 5;
const PHASE_CANDIDATES: u32 = 6;
const PHASE_SUPPORT: u32 = 7;
const PHASE_FALLEN: u32 = 8;
const PHASE_REDERIVE: u32 = 9;
const PHASE_SEEDS: u32 = 10;
const PHASE_GAINED: u32 = 11;
const PHASE_TURN: u32 = 12;
const PHASE_ROUND: u32 = 13;
const PHASE_SETTLE: u32 = 14;
const PHASE_RESET: u32 = 15;
const PHASE_AGGREGATE: u32 = 16;
const PHASE_OUTPUT: u32 = 17;
const PHASE_DENSE: u32 = 18;
const PHASE_LIST: u32 = 19;
const PHASE_BEST: u32 = 20;
const PHASE_STANDING: u32 = 21;
const PHASE_ONCE: u32 = 22;
const PHASE_NEEDS: u32 = 23;
const PHASE_END: u32 = 24;

/** Rows of the small work between two looks at the budget. */
const SLICE_ROWS: u32 = 4096;
/** Steps of a run between two looks at what it takes. */
const LOOK_STEPS: u64 = 4096;
/** Rows of a round of which a recursion that began small goes over bits. */
const GROWN_ROWS_MIN: u32 = 64;
/** A component of fewer rows is never worth computing again. */
const RECOMPUTE_ROWS_MIN: u32 = 256;

let program: Program = changetype<Program>(0);
let machine: Machine = changetype<Machine>(0);
let unitIndex: u32 = 0;
let workedUnit: u32 = 0;
let phase: u32 = 0;
/** Place in the list that the phase walks: versions, relations, rows. */
let versionIndex: u32 = 0;
let relationIndex: u32 = 0;
let cursor: u64 = 0;
/** Pairs relation, id: rows that fell, and rows that gained an exit. */
let fallen: Vector = changetype<Vector>(0);
let seeds: Vector = changetype<Vector>(0);
/** Steps when the unit at hand, or its evaluation from scratch, began. */
let unitStarted: u64 = 0;
let scratchStarted: u64 = 0;
/** Transactions that were begun. */
let transactions: u32 = 0;
/** The unit at hand is or was evaluated from scratch in this transaction. */
let isScratch: bool = false;
/** A recursive unit is evaluated from scratch and has not begun its rounds. */
let fromScratch: bool = false;
/** It is over rows, and has not been looked at for bits since. */
let mayGrow: bool = false;
/** A round turned up rows for the next one. */
let hasMore: bool = false;
let blockRank: u32 = 0;
let blockRows: u32 = 0;
let checked: Relation = changetype<Relation>(0);
let checkedId: u32 = 0;
let afterSupport: u32 = 0;
/** Rows that the transaction inserted, deleted or checked. */
export let touchedRows: u64 = 0;
export let rounds: u32 = 0;

export function initMaintenance(): bool {
  machine = changetype<Machine>(allocateZeroed(offsetof<Machine>() as u32) as usize);
  fallen = createVector();
  seeds = createVector();
  return changetype<usize>(machine) != 0 && changetype<usize>(seeds) != 0;
}

/** Units whose relations were changed wait for their turn; of a new program, fresh ones, too. */
export function beginUnits(next: Program, isNew: bool): void {
  program = next;
  forgetWaiting(program);
  for (let i: u32 = 0; isNew && i < program.unitCount; i++) {
    if (unitAt(program, i).fresh) waitFor(program, i);
  }
  for (let i: u32 = 0; i < changedCount(); i++) {
    const owner = ownerOf(program, changedHandle(i));
    if (owner != 0) waitFor(program, owner - 1);
  }
  transactions += 1;
  unitIndex = 0;
  workedUnit = 0;
  phase = PHASE_START;
  touchedRows = 0;
  machine.running = false;
  fromScratch = false;
  isStanding = false;
  dropDense();
  dropOnce();
  clearCandidates();
  clearVector(fallen);
  clearVector(seeds);
}

/** The unit that the last slice worked at. */
export function currentUnit(): u32 {
  return workedUnit;
}

function enter(next: u32): void {
  phase = next;
  versionIndex = 0;
  relationIndex = 0;
  cursor = 0;
  hasMore = false;
}

/**
 * Works until `limit` steps were done: STATUS_MORE, STATUS_DONE after the last unit, or a failure.
 */
export function stepUnits(limit: u64): u32 {
  const started = stepCount;
  while (true) {
    if (phase == PHASE_START) unitIndex = takeWaiting(program, unitIndex);
    if (unitIndex >= program.unitCount) return STATUS_DONE;
    const unit = unitAt(program, unitIndex);
    const wasStarted = phase != PHASE_START;
    const status = stepPhase(unit, limit);
    if (wasStarted || phase != PHASE_END) workedUnit = unitIndex;
    if (status != STATUS_DONE) return status;
    if (phase == PHASE_END) {
      if (isScratch && unit.kind == UNIT_RECURSIVE)
        unitRelation(unit, 0).scratchSteps = stepCount - scratchStarted;
      wakeReaders(unit);
      unitIndex += 1;
      phase = PHASE_START;
      // A unit that did something ends the slice, so that the host can tell what each one costs.
      if (stepCount != started && unitIndex < program.unitCount) return STATUS_MORE;
    }
    if (stepCount >= limit) return STATUS_MORE;
  }
}

/** What reads a relation that changed has work. */
function wakeReaders(unit: Unit): void {
  let hasChanged = false;
  for (let i: u32 = 0; i < unit.relationCount && !hasChanged; i++) {
    hasChanged = unitRelation(unit, i).delta.length != 0;
  }
  if (!hasChanged) return;
  for (let i: u32 = 0; i < unit.readerCount; i++) {
    waitFor(program, load<u32>(unit.readers + (i << 2)));
  }
}

function stepPhase(unit: Unit, limit: u64): u32 {
  switch (phase as i32) {
    case PHASE_START:
      return startUnit(unit);
    case PHASE_BASE:
      return takeBaseRows(unit);
    case PHASE_FULL:
      return runFull(unit, limit);
    case PHASE_DELTA:
      return runDeltas(unit, limit);
    case PHASE_SORT:
      return sortTouched(unit);
    case PHASE_LOST:
      return runChanged(
        unit,
        limit,
        VERSION_CANDIDATE,
        MODE_CANDIDATE,
        TAKE_REMOVED,
        PHASE_CANDIDATES,
      );
    case PHASE_CANDIDATES:
      return takeCandidate(unit);
    case PHASE_SUPPORT:
      return searchSupport(unit, limit);
    case PHASE_FALLEN:
      return runFallen(unit, limit);
    case PHASE_REDERIVE:
      return rederive();
    case PHASE_SEEDS:
      return takeSeeds();
    case PHASE_GAINED:
      return runChanged(unit, limit, VERSION_INSERT, MODE_INSERT, TAKE_ADDED, PHASE_TURN);
    case PHASE_TURN:
      return turnRound(unit);
    case PHASE_ROUND:
      return runRound(unit, limit);
    case PHASE_DENSE:
      return runDense(unit, limit);
    case PHASE_LIST:
      return listRelations(unit);
    case PHASE_SETTLE:
      return settle(unit);
    case PHASE_STANDING:
      return prepareAgain(unit);
    case PHASE_RESET:
      return resetRows(unit);
    case PHASE_AGGREGATE:
      return aggregateRows(unit);
    case PHASE_OUTPUT:
      return writeOutputs(unit);
    case PHASE_BEST:
      return runBest(unit, limit);
    case PHASE_NEEDS:
      return stepNeeds(unit);
    case PHASE_ONCE:
      return runOnce(unit, limit);
    default:
      return STATUS_DONE;
  }
}

/** False for a unit whose inputs and own base rows did not change. */
function hasWork(unit: Unit): bool {
  for (let i: u32 = 0; i < unit.relationCount; i++) {
    if (unitRelation(unit, i).touched.length != 0) return true;
  }
  for (let i: u32 = 0; i < unit.versionCount; i++) {
    const source = versionAt(unit, i).source;
    if (changetype<usize>(source) != 0 && source.delta.length != 0) return true;
  }
  return false;
}

function startUnit(unit: Unit): u32 {
  rounds = 0;
  unitStarted = stepCount;
  scratchStarted = stepCount;
  isScratch = unit.fresh;
  areRoundsReady = false;
  if (unit.kind == UNIT_AGGREGATE) {
    const plan = changetype<AggregatePlan>(unit.aggregate as usize);
    // Its groups change, even if no row of the output does.
    if (!noteChange(plan.output)) return STATUS_OUT_OF_MEMORY;
    if (unit.versionCount != 0) {
      if (unit.fresh) enterScratch(unit);
      else enter(hasWork(unit) ? PHASE_DELTA : PHASE_END);
    } else if (unit.fresh) meetNeeds(unit, PHASE_AGGREGATE);
    else enter(plan.input.delta.length != 0 ? PHASE_AGGREGATE : PHASE_END);
  } else if (unit.kind == UNIT_BEST) {
    const isDue = unit.fresh || hasWork(unit);
    if (isDue) startBest(unit);
    if (unit.fresh) meetNeeds(unit, PHASE_BEST);
    else enter(isDue ? PHASE_BEST : PHASE_END);
  } else if (unit.fresh) enter(PHASE_BASE);
  else enter(hasWork(unit) ? PHASE_DELTA : PHASE_END);
  return STATUS_DONE;
}

/* From scratch. */

function enterScratch(unit: Unit): void {
  if (beginOnce(unit)) enter(PHASE_ONCE);
  else meetNeeds(unit, PHASE_FULL);
}

let afterNeeds: u32 = 0;
/** What is looked at in the chain, and whether its relation is being listed. */
let need: u32 = 0;
let isListing: bool = false;
let areRoundsReady: bool = false;

/** What a unit finds rows by may wait for the first one to need it. */
function meetNeeds(unit: Unit, next: u32): void {
  enter(PHASE_NEEDS);
  afterNeeds = next;
  need = unit.needs;
  isListing = false;
}

/** Nothing but rounds over rows goes by it. */
function isNeededByRounds(one: u32): bool {
  return load<u32>(one, 12) != 0;
}

/** Rounds over rows follow; of a fresh unit, what only they go by is made first. */
function enterRounds(unit: Unit): void {
  if (!unit.fresh || areRoundsReady) return listBefore(PHASE_ROUND);
  areRoundsReady = true;
  meetNeeds(unit, PHASE_ROUND);
}

/** Rows that rounds over rows would have to be given indexes of, if bits were not taken. */
function waitingRows(unit: Unit): f64 {
  let rows: f64 = 0;
  if (!isOfBatch(unit) || areRoundsReady) return rows;
  for (let one = unit.needs; one != 0; one = load<u32>(one)) {
    const how = load<u32>(one, 8);
    if (!isNeededByRounds(one) || how == NEED_ROWS) continue;
    const relation = changetype<Relation>(load<u32>(one, 4) as usize);
    const isReady = changetype<ColumnIndex>(how as usize).ready && !isUnlisted(relation);
    if (!isReady) rows += rowsOf(relation);
  }
  return rows;
}

function stepNeeds(unit: Unit): u32 {
  if (need == 0) {
    // Of rows over bits that were left half-way.
    const isLeft = unit.relationCount != 0 && hasUnlistedRows(unitRelation(unit, 0));
    if (isLeft || afterNeeds == PHASE_ROUND) listBefore(afterNeeds);
    else enter(afterNeeds);
    return STATUS_DONE;
  }
  if (afterNeeds == PHASE_FULL && isNeededByRounds(need)) {
    need = load<u32>(need);
    return STATUS_DONE;
  }
  const relation = changetype<Relation>(load<u32>(need, 4) as usize);
  if (relation.kept != 0) {
    countSteps(SLICE_ROWS);
    const isDone = appendKept(relation, SLICE_ROWS) && !memoryLow;
    return isDone ? (STATUS_DONE as u32) : (STATUS_OUT_OF_MEMORY as u32);
  }
  const how = load<u32>(need, 8);
  if (how == NEED_ROWS) {
    need = load<u32>(need);
    return STATUS_DONE;
  }
  const index = changetype<ColumnIndex>((how == NEED_SET ? 0 : how) as usize);
  if (!isListing && (isUnlisted(relation) || (changetype<usize>(index) != 0 && !index.ready))) {
    beginListing(relation);
    isListing = true;
  }
  if (isListing) {
    const status = stepListing();
    if (status == STATUS_MORE) return STATUS_DONE;
    isListing = false;
    return status;
  }
  need = load<u32>(need);
  return STATUS_DONE;
}

/** Base rows of a fresh (or emptied) unit stand by themselves, in a recursive one at rank 0. */
function takeBaseRows(unit: Unit): u32 {
  if (relationIndex == unit.relationCount) {
    enterScratch(unit);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  const end = min(relation.top as u64, cursor + SLICE_ROWS) as u32;
  for (let id = cursor as u32; id < end; id++) {
    const row = rowAddress(relation, id);
    const meta = load<u32>(row);
    if ((meta & (ROW_BASE | ROW_LIVE)) != ROW_BASE) continue;
    let status: u32;
    if (unit.kind == UNIT_COUNTING) {
      store<u32>(row, meta | ROW_LIVE);
      status = countNew(relation);
    } else status = reviveRow(relation, id, row, 0);
    if (status != 0) return status;
  }
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end == relation.top) {
    relationIndex += 1;
    cursor = 0;
  }
  return STATUS_DONE;
}

function runFull(unit: Unit, limit: u64): u32 {
  if (!openInput(unit)) return STATUS_OUT_OF_MEMORY;
  const mode = modeOfFull(unit);
  if (mode == MODE_APPEND) leaveUnlisted(unitRelation(unit, 0));
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == VERSION_FULL) {
      if (!machine.running) startMachine(machine, version, mode);
      const status = runSlice(limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  fromScratch = unit.kind == UNIT_RECURSIVE;
  mayGrow = fromScratch;
  if (unit.kind == UNIT_AGGREGATE) enter(PHASE_OUTPUT);
  else if (unit.kind == UNIT_COUNTING) listBefore(PHASE_END);
  else enter(PHASE_TURN);
  return STATUS_DONE;
}

/** Each rule once over bits (dense-once.ts); what it leaves is done over rows, from the start. */
function runOnce(unit: Unit, limit: u64): u32 {
  if (!openInput(unit)) return STATUS_OUT_OF_MEMORY;
  const status = stepOnce(limit);
  if (status != STATUS_DONE) return status;
  if (!onceFinished) {
    meetNeeds(unit, PHASE_FULL);
  } else if (unit.kind == UNIT_AGGREGATE) enter(PHASE_OUTPUT);
  else listBefore(PHASE_END);
  return STATUS_DONE;
}

function modeOfFull(unit: Unit): u32 {
  if (unit.kind == UNIT_AGGREGATE) return MODE_AGGREGATE;
  if (givesNewRows(unit)) return MODE_APPEND;
  return unit.kind == UNIT_COUNTING ? MODE_COUNT_FRESH : MODE_EXIT_FRESH;
}

/** In a batch: one rule gives all rows of the unit, and each once. It may be half through. */
function givesNewRows(unit: Unit): bool {
  if (unit.kind != UNIT_COUNTING || unit.relationCount != 1 || !isOfBatch(unit)) return false;
  const relation = unitRelation(unit, 0);
  if (!relation.fresh || min(relation.top, relation.unlistedFrom) != 0) return false;
  let rules = 0;
  for (let i: u32 = 0; i < unit.versionCount; i++) {
    const version = versionAt(unit, i);
    if (version.purpose != VERSION_FULL) continue;
    if (!version.isDistinct || changetype<usize>(version.head) != changetype<usize>(relation))
      return false;
    rules += 1;
  }
  return rules == 1;
}

/** Of an aggregate with rules of its own: where their solutions go. False without memory. */
function openInput(unit: Unit): bool {
  if (unit.kind != UNIT_AGGREGATE) return true;
  const plan = changetype<AggregatePlan>(unit.aggregate as usize);
  const state = aggregateStateOf(plan);
  if (changetype<usize>(state) == 0) return false;
  openStream(plan, state, !unit.fresh);
  return true;
}

function runSlice(limit: u64): u32 {
  return stepCount >= limit ? STATUS_MORE : runMachine(machine, limit - stepCount);
}

/* Deltas. */

/** Runs the current version over a list of changed rows, unless the list is empty. */
function runOver(version: Version, mode: u32, take: u32, delta: Vector, limit: u64): u32 {
  if (!machine.running) {
    if (delta.length == 0) return STATUS_DONE;
    startMachine(machine, version, mode);
    machine.take = take;
    machine.delta = delta;
    machine.deltaFrom = 0;
    machine.deltaTo = delta.length;
  }
  return runSlice(limit);
}

function runDeltas(unit: Unit, limit: u64): u32 {
  if (!openInput(unit)) return STATUS_OUT_OF_MEMORY;
  const mode = unit.kind == UNIT_AGGREGATE ? MODE_AGGREGATE : MODE_COUNT;
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == VERSION_DELTA) {
      const status = runOver(version, mode, TAKE_ALL, version.source.delta, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  if (unit.kind == UNIT_AGGREGATE) enter(PHASE_OUTPUT);
  else enter(unit.kind == UNIT_COUNTING ? PHASE_SETTLE : PHASE_SORT);
  return STATUS_DONE;
}

/** Versions driven by relations outside the component. */
function runChanged(unit: Unit, limit: u64, purpose: u32, mode: u32, take: u32, next: u32): u32 {
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == purpose && !version.inComponent) {
      const status = runOver(version, mode, take, version.source.delta, nextLook(limit));
      if (status == STATUS_MORE) return lookAgain(unit, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  enter(next);
  return STATUS_DONE;
}

/**
 * Touched rows of a recursive unit: those that lost their last exit, those that gained their first.
 */
function sortTouched(unit: Unit): u32 {
  for (let r: u32 = 0; r < unit.relationCount; r++) {
    const relation = unitRelation(unit, r);
    for (let i: u32 = 0; i < relation.touched.length; i += 3) {
      const id = wordAt(relation.touched, i);
      const row = rowAddress(relation, id);
      const meta = load<u32>(row);
      const held = isHeld(relation, id, meta);
      if ((meta & ROW_LIVE) == 0) {
        if (!held) continue;
        if (!reserveWords(seeds, 2)) return STATUS_OUT_OF_MEMORY;
        push(seeds, changetype<usize>(relation) as u32);
        push(seeds, id);
      } else if (!held) {
        store<u32>(row, meta | ROW_QUEUED);
        if (!queueCandidate(relation, id, rankAt(relation, row))) return STATUS_OUT_OF_MEMORY;
      }
    }
  }
  enter(PHASE_LOST);
  return STATUS_DONE;
}

/* Candidates: does a row still have support below its rank? */

function takeCandidate(unit: Unit): u32 {
  if (candidateCount() == 0 || (blockRows != 0 && firstRank() != blockRank)) {
    if (blockRows != 0) enter(PHASE_FALLEN);
    else enter(PHASE_REDERIVE);
    return STATUS_DONE;
  }
  if (isWorthRecomputing(unit)) {
    enter(PHASE_STANDING);
    return STATUS_DONE;
  }
  blockRank = firstRank();
  checked = firstRelation();
  checkedId = firstId();
  dropFirst();
  touchedRows += 1;
  const row = rowAddress(checked, checkedId);
  const meta = load<u32>(row) & ~ROW_QUEUED;
  store<u32>(row, meta);
  if ((meta & ROW_LIVE) == 0 || isHeld(checked, checkedId, meta)) return STATUS_DONE;
  afterSupport = PHASE_CANDIDATES;
  enter(PHASE_SUPPORT);
  return STATUS_DONE;
}

/**
 * True when a quarter of the rows fell, or when the update took half of what the last evaluation
 * from scratch did: whatever is left of it, both together are not much more than one of those.
 */
function isWorthRecomputing(unit: Unit): bool {
  if (sabotage == SABOTAGE_RECOMPUTE || isScratch) return false;
  if (isAgainByTurns() && (transactions & 1) != 0) return true;
  let rows: u32 = 0;
  for (let i: u32 = 0; i < unit.relationCount; i++) rows += unitRelation(unit, i).live;
  if (rows < RECOMPUTE_ROWS_MIN) return false;
  if (fallen.length >> 1 > rows >> 2) return true;
  const first = unitRelation(unit, 0);
  if (first.scratchOverBits) return stepCount - unitStarted > stepsOverBits(rows);
  return stepCount - unitStarted > max(first.scratchSteps >> 1, rows as u64);
}

/**
 * Over bits a row is found, and brought to its place, in about the time of a step. What is left of
 * a delete that got that far tends to be as much again; rows that come are known by then.
 */
function stepsOverBits(rows: u32): u64 {
  const hasFallen = phase != PHASE_GAINED && phase != PHASE_ROUND && phase != PHASE_TURN;
  return (hasFallen ? rows >> 1 : rows) as u64;
}

/** A run of an update stops now and then, to see whether starting again is worth it. */
function nextLook(limit: u64): u64 {
  return isScratch ? limit : min(limit, stepCount + LOOK_STEPS);
}

/** Of a run that stopped: leaves it, or goes on with it at once or in the next slice. */
function lookAgain(unit: Unit, limit: u64): u32 {
  if (!isWorthRecomputing(unit)) return stepCount >= limit ? STATUS_MORE : STATUS_DONE;
  machine.running = false;
  enter(PHASE_STANDING);
  return STATUS_DONE;
}

/** Looks for an instance under `rankBelow`: for a candidate its own rank, for a fallen row any. */
function searchSupport(unit: Unit, limit: u64): u32 {
  const row = rowAddress(checked, checkedId);
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (
      version.purpose == VERSION_SUPPORT &&
      changetype<usize>(version.head) == changetype<usize>(checked)
    ) {
      if (!machine.running) {
        startMachine(machine, version, MODE_SUPPORT);
        machine.headCells = row + checked.cellsAt;
        machine.rankBelow = afterSupport == PHASE_CANDIDATES ? blockRank : NOT_FOUND;
      }
      const status = runSlice(limit);
      if (status != STATUS_DONE) return status;
      if (machine.found) break;
    }
    versionIndex += 1;
  }
  const found = versionIndex < unit.versionCount;
  const next = afterSupport;
  if (next == PHASE_CANDIDATES) {
    if (!found && !fell(row)) return STATUS_OUT_OF_MEMORY;
  } else if (found) {
    const status = reviveRow(checked, checkedId, row, supportRank);
    if (status != 0) return status;
  }
  const place = rederiveAt;
  enter(next);
  if (next == PHASE_REDERIVE) cursor = place;
  return STATUS_DONE;
}

/** The checked row falls: it stays readable, in the block of its rank. */
function fell(row: u32): bool {
  if (!touch(checked, checkedId, row)) return false;
  if (!reserveWords(fallen, 2) || !push(checked.recent, (checkedId << 1) | 1)) return false;
  store<u32>(row, load<u32>(row) & ~ROW_LIVE);
  checked.liveNew -= 1;
  push(fallen, changetype<usize>(checked) as u32);
  push(fallen, checkedId);
  blockRows += 1;
  return true;
}

/** Heads of instances that a row of the fallen block took part in become candidates. */
function runFallen(unit: Unit, limit: u64): u32 {
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == VERSION_CANDIDATE && version.inComponent) {
      const recent = version.source.recent;
      const status = runOver(version, MODE_CANDIDATE, TAKE_ALL, recent, nextLook(limit));
      if (status == STATUS_MORE) return lookAgain(unit, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  for (let i: u32 = 0; i < unit.relationCount; i++) clearVector(unitRelation(unit, i).recent);
  blockRows = 0;
  enter(PHASE_CANDIDATES);
  return STATUS_DONE;
}

let rederiveAt: u64 = 0;

/** Each fallen row once: has it any derivation left? */
function rederive(): u32 {
  while (cursor < (fallen.length as u64)) {
    checked = changetype<Relation>(wordAt(fallen, cursor as u32) as usize);
    checkedId = wordAt(fallen, (cursor as u32) + 1);
    cursor += 2;
    touchedRows += 1;
    if ((load<u32>(rowAddress(checked, checkedId)) & ROW_LIVE) != 0) continue;
    rederiveAt = cursor;
    afterSupport = PHASE_REDERIVE;
    enter(PHASE_SUPPORT);
    return STATUS_DONE;
  }
  clearVector(fallen);
  enter(PHASE_SEEDS);
  return STATUS_DONE;
}

function takeSeeds(): u32 {
  for (let i: u32 = 0; i < seeds.length; i += 2) {
    const relation = changetype<Relation>(wordAt(seeds, i) as usize);
    const id = wordAt(seeds, i + 1);
    const row = rowAddress(relation, id);
    if ((load<u32>(row) & ROW_LIVE) != 0) continue;
    const status = reviveRow(relation, id, row, 0);
    if (status != 0) return status;
  }
  clearVector(seeds);
  enter(PHASE_GAINED);
  return STATUS_DONE;
}

/* Semi-naive rounds. */

/** Recent rows become stable, pending ones recent; without pending rows the fixpoint is reached. */
function turnRound(unit: Unit): u32 {
  if (relationIndex == unit.relationCount) {
    rounds += 1;
    if (hasMore && isWorthRecomputing(unit)) {
      enter(PHASE_STANDING);
      return STATUS_DONE;
    }
    const mayBegin = fromScratch ? !isBegunLate(unit) : hasGrown(unit);
    const isDense = hasMore && mayBegin && beginDense(unit, rowsAhead(unit), false);
    fromScratch = false;
    isStanding = false;
    if (isDense) enter(PHASE_DENSE);
    else if (hasMore) enterRounds(unit);
    else if (unit.fresh) listBefore(PHASE_END);
    else enter(PHASE_SETTLE);
    return memoryLow ? STATUS_OUT_OF_MEMORY : STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  const recent = relation.recent;
  const pending = relation.pending;
  const total = recent.length + pending.length;
  const end = min(total as u64, cursor + SLICE_ROWS) as u32;
  for (let i = cursor as u32; i < end; i++) {
    if (i < recent.length) changeFlags(relation, wordAt(recent, i) >> 1, ROW_RECENT, 0);
    else changeFlags(relation, wordAt(pending, i - recent.length) >> 1, ROW_PENDING, ROW_RECENT);
  }
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end < total) return STATUS_DONE;
  clearVector(recent);
  relation.pending = recent;
  relation.recent = pending;
  touchedRows += pending.length as u64;
  if (pending.length != 0) hasMore = true;
  relationIndex += 1;
  cursor = 0;
  return STATUS_DONE;
}

/** A recursion of a batch grew so much in its first rounds that bits may be worth it now. */
function hasGrown(unit: Unit): bool {
  if (!mayGrow || !isOfBatch(unit)) return false;
  const rows = recentRows(unit);
  if (rows < GROWN_ROWS_MIN && !isBegunLate(unit)) return false;
  mayGrow = false;
  let live: u32 = 0;
  for (let i: u32 = 0; i < unit.relationCount; i++) live += unitRelation(unit, i).liveNew;
  // All rows go through the rules once more.
  return live >> 3 <= rows && takeAllAsRecent(unit);
}

/** For tests: bits are not begun before the second round. */
function isBegunLate(unit: Unit): bool {
  return layout == LAYOUT_LATE && isOfBatch(unit);
}

/** Nothing of the unit has a rank, so a row may be found in any round. */
function isOfBatch(unit: Unit): bool {
  const mask: u32 = RELATION_POSITIONS | RELATION_RANKED;
  for (let i: u32 = 0; i < unit.relationCount; i++)
    if ((unitRelation(unit, i).flags & mask) != 0) return false;
  return unit.fresh;
}

function takeAllAsRecent(unit: Unit): bool {
  for (let i: u32 = 0; i < unit.relationCount; i++) {
    const relation = unitRelation(unit, i);
    clearVector(relation.recent);
    for (let id: u32 = 0; id < relation.top; id++) {
      const row = rowAddress(relation, id);
      const meta = load<u32>(row);
      if ((meta & ROW_LIVE) == 0) continue;
      store<u32>(row, meta | ROW_RECENT);
      if (!push(relation.recent, (id << 1) | 1)) return false;
    }
    countSteps(relation.top);
  }
  return true;
}

/** Rows of the next round, and those that bits would spare an index. */
function rowsAhead(unit: Unit): u32 {
  return min<f64>((recentRows(unit) as f64) + waitingRows(unit), 0x7fffffff) as u32;
}

function recentRows(unit: Unit): u32 {
  let rows: u32 = 0;
  for (let i: u32 = 0; i < unit.relationCount; i++) rows += unitRelation(unit, i).recent.length;
  return rows;
}

/** All rounds at once, over bits (dense.ts); what it leaves goes on in rounds of rows. */
function runDense(unit: Unit, limit: u64): u32 {
  const before = mergedRows;
  const status = stepDense(limit);
  touchedRows += mergedRows - before;
  if (status != STATUS_DONE) return status;
  if (denseFinished) {
    unitRelation(unit, 0).scratchOverBits = true;
    enter(unit.fresh ? PHASE_END : PHASE_SETTLE);
  } else if (isStanding) enter(PHASE_RESET);
  else if (denseLoaded) enter(PHASE_TURN);
  else enterRounds(unit);
  return STATUS_DONE;
}

let afterList: u32 = 0;

/** Indexes that wait for a relation's first rows come before whoever uses them. */
function listBefore(next: u32): void {
  enter(PHASE_LIST);
  afterList = next;
}

/** Relation by relation; rounds need them all, later units those that they search. */
function listRelations(unit: Unit): u32 {
  if (relationIndex == unit.relationCount) {
    enter(afterList);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  if (cursor == 0) {
    const isDue = afterList == PHASE_END ? mustBeListed(relation) : isUnlisted(relation);
    if (!isDue) {
      relationIndex += 1;
      return STATUS_DONE;
    }
    beginListing(relation);
    cursor = 1;
  }
  const status = stepListing();
  if (status == STATUS_MORE) return STATUS_DONE;
  relationIndex += 1;
  cursor = 0;
  return status;
}

function changeFlags(relation: Relation, id: u32, clear: u32, set: u32): void {
  const row = rowAddress(relation, id);
  store<u32>(row, (load<u32>(row) & ~clear) | set);
  if (sabotage == SABOTAGE_RANKS && set == ROW_RECENT && rankAt(relation, row) != 0)
    store<u32>(row, rounds, 4);
}

function runRound(unit: Unit, limit: u64): u32 {
  while (versionIndex < unit.versionCount) {
    const version = versionAt(unit, versionIndex);
    if (version.purpose == VERSION_ROUND) {
      const recent = version.source.recent;
      const status = runOver(version, MODE_INSERT, TAKE_ALL, recent, nextLook(limit));
      if (status == STATUS_MORE) return lookAgain(unit, limit);
      if (status != STATUS_DONE) return status;
    }
    versionIndex += 1;
  }
  enter(PHASE_TURN);
  return STATUS_DONE;
}

/** Nothing is left of the update that went before: from here on steps count as from scratch. */
function forgetUpdate(unit: Unit): void {
  scratchStarted = stepCount;
  unitRelation(unit, 0).scratchOverBits = false;
  clearCandidates();
  clearVector(fallen);
  clearVector(seeds);
  blockRows = 0;
}

/*
 * Again from scratch, over bits: weights are as they should be, so the rows that base rows and exit
 * rules hold are where the rounds begin.
 */

/** The rounds under way find the rows of a unit whose rows stand. */
let isStanding: bool = false;

function prepareAgain(unit: Unit): u32 {
  isScratch = true;
  if (relationIndex == unit.relationCount) {
    forgetUpdate(unit);
    isStanding = beginDense(unit, recentRows(unit), true);
    enter(isStanding ? PHASE_DENSE : PHASE_RESET);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  if (cursor == 0) {
    clearVector(relation.recent);
    clearVector(relation.pending);
  }
  const end = min(relation.top as u64, cursor + SLICE_ROWS) as u32;
  for (let id = cursor as u32; id < end; id++) {
    const row = rowAddress(relation, id);
    const meta = load<u32>(row) & ~(ROW_QUEUED | ROW_PENDING | ROW_RECENT);
    if ((meta & ROW_USED) == 0) continue;
    store<u32>(row, meta);
    if (!isHeld(relation, id, meta)) continue;
    if (!push(relation.recent, (id << 1) | 1)) return STATUS_OUT_OF_MEMORY;
  }
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end == relation.top) {
    relationIndex += 1;
    cursor = 0;
  }
  return STATUS_DONE;
}

/* Again from scratch: all rows of the component down, weights counted anew. */

function resetRows(unit: Unit): u32 {
  isScratch = true;
  if (relationIndex == unit.relationCount) {
    forgetUpdate(unit);
    enter(PHASE_BASE);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  if (cursor == 0) {
    clearVector(relation.recent);
    clearVector(relation.pending);
    dropSideWeights(relation);
    relation.maxRank = 0;
  }
  const end = min(relation.top as u64, cursor + SLICE_ROWS) as u32;
  for (let id = cursor as u32; id < end; id++) {
    const row = rowAddress(relation, id);
    const meta = load<u32>(row);
    if ((meta & ROW_USED) == 0) continue;
    if (!touch(relation, id, row)) return STATUS_OUT_OF_MEMORY;
    store<u32>(
      row,
      load<u32>(row) &
        ((1 << WEIGHT_SHIFT) - 1) &
        ~(ROW_LIVE | ROW_QUEUED | ROW_PENDING | ROW_RECENT),
    );
  }
  touchedRows += (end - cursor) as u64;
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end == relation.top) {
    relation.liveNew = 0;
    relationIndex += 1;
    cursor = 0;
  }
  return STATUS_DONE;
}

/** best.ts does it all, from its first phase to the last. */
function runBest(unit: Unit, limit: u64): u32 {
  const status = stepBest(limit);
  touchedRows += takeTouched() as u64;
  rounds = bestRounds;
  if (status == STATUS_DONE) enter(unit.fresh ? PHASE_END : PHASE_SETTLE);
  return status;
}

/* What changed in the end. */

/** LIVE of a counting row follows its weight; the net changes become the relation's delta. */
function settle(unit: Unit): u32 {
  if (relationIndex == unit.relationCount) {
    enter(PHASE_END);
    return STATUS_DONE;
  }
  const relation = unitRelation(unit, relationIndex);
  const isCounting = unit.kind == UNIT_COUNTING || unit.kind == UNIT_AGGREGATE;
  const status = settleRelation(relation, isCounting);
  if (status == STATUS_MORE) return STATUS_DONE;
  relationIndex += 1;
  cursor = 0;
  return status;
}

function settleRelation(relation: Relation, counting: bool): u32 {
  const end = min(relation.touched.length as u64, cursor + SLICE_ROWS * 3) as u32;
  let near = cursor as u32;
  for (let i = near; i < end; i += 3) {
    if (i == near) {
      near = min(end, i + NEAR_ROWS * 3);
      nearRows(relation, relation.touched, i, near, 3, 0);
    }
    const id = wordAt(relation.touched, i);
    const row = rowAddress(relation, id);
    let meta = load<u32>(row);
    if (counting) {
      const held = isHeld(relation, id, meta);
      if (held && (meta & ROW_LIVE) == 0) {
        store<u32>(row, meta | ROW_LIVE);
        relation.liveNew += 1;
      } else if (!held && (meta & ROW_LIVE) != 0) {
        store<u32>(row, meta & ~ROW_LIVE);
        relation.liveNew -= 1;
      }
      meta = load<u32>(row);
      touchedRows += 1;
    }
    const live: u32 = meta & ROW_LIVE;
    const old: u32 = (meta & ROW_OLD) >> 1;
    if (live != old && !push(relation.delta, (id << 1) | live)) return STATUS_OUT_OF_MEMORY;
  }
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end < relation.touched.length) return STATUS_MORE;
  // The limit holds for what stands in the end, whatever the order of gains and losses.
  return checkRows(relation);
}

/* Aggregates. */

function aggregateRows(unit: Unit): u32 {
  const plan = changetype<AggregatePlan>(unit.aggregate as usize);
  const state = aggregateStateOf(plan);
  if (changetype<usize>(state) == 0) return STATUS_OUT_OF_MEMORY;
  const input = plan.input;
  const total = unit.fresh ? input.top : input.delta.length;
  const end = min(total as u64, cursor + SLICE_ROWS) as u32;
  for (let i = cursor as u32; i < end; i++) {
    const entry = unit.fresh ? (i << 1) | 1 : wordAt(input.delta, i);
    const row = rowAddress(input, entry >> 1);
    if (unit.fresh && (load<u32>(row) & ROW_LIVE) == 0) continue;
    const status = aggregateRow(plan, state, row + input.cellsAt, (entry & 1) == 0);
    if (status != 0) return status;
    if (!unit.fresh) state.taken = i + 1;
  }
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end == total) enter(PHASE_OUTPUT);
  return memoryLow ? STATUS_OUT_OF_MEMORY : STATUS_DONE;
}

function writeOutputs(unit: Unit): u32 {
  const plan = changetype<AggregatePlan>(unit.aggregate as usize);
  const state = aggregateStateOf(plan);
  const total = touchedGroups(state);
  const begun = stepCount;
  let end = min(total as u64, cursor + SLICE_ROWS) as u32;
  for (let i = cursor as u32; i < end; i++) {
    const status = updateGroup(plan, state, i);
    if (status != 0) return status;
    // The rows of a group may be many.
    if (stepCount - begun > (SLICE_ROWS as u64)) end = i + 1;
  }
  countSteps(end - (cursor as u32));
  cursor = end;
  if (end < total) return STATUS_DONE;
  if (unit.fresh) listBefore(PHASE_END);
  else enter(PHASE_SETTLE);
  return STATUS_DONE;
}
