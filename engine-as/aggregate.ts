/*
 * Aggregates with group state: output(group…, aggregate…) over the distinct rows of input.
 *
 * The input is a relation or a stream (aggregate-stream.ts), aggregate-output.ts writes the output.
 * The groups are rows of a relation of their own; beside each stands its state:
 *
 *   | rows u32 | flags u32 | state of aggregate 0 (32 bytes) | … | output cells |
 *   state:  | – | non-numbers | floats | exact sum or buffer | int sum, 128 bits |
 *
 * Counts, sums and means take deletes back exactly (ints in 128 bits, floats in a fixed-point
 * number). Of the smallest and largest the best few are kept (best-buffer.ts); when all of them
 * went the group is looked through once. Collected values are kept in order (collected-values.ts).
 */
import {
  AGGREGATE_ARGMAX,
  AGGREGATE_AVG,
  AGGREGATE_COLLECT,
  AGGREGATE_COUNT,
  AGGREGATE_MAX,
  AGGREGATE_SUM,
  ROW_LIVE,
  ROW_USED,
  STATUS_OUT_OF_MEMORY,
} from './abi';
import {
  addCandidate,
  bestValue,
  destroyBuffer,
  firstBuffer,
  knowsBest,
  markBuffer,
  refilledBuffer,
  takeCandidate,
} from './best-buffer';
import {
  changeValue,
  countValues,
  destroyValues,
  firstValues,
  listOfValues,
  markValues,
  settleValues,
} from './collected-values';
import {
  findGroup,
  GROUP_ID_MASK,
  groupChunk,
  groupEnd,
  groupIds,
  openChunk,
} from './column-index';
import { FAILED } from './compute';
import { destroyExactSum } from './exact-sum';
import { addToSum, sumCell } from './group-sum';
import { hashCells } from './hash';
import { NOT_FOUND } from './id-set';
import { countSteps } from './steps';
import { allocateZeroed, release } from './memory';
import { AggregatePlan } from './program';
import { createRelation, destroyRelation, findRow, insertRow, removeRow } from './relation';
import { Relation, rowAddress } from './row-store';
import { internInt, markCell, NO_CELL } from './value-table';
import {
  clearVector,
  createVector,
  destroyVector,
  push,
  reserveWords,
  setWordAt,
  Vector,
  wordAt,
} from './vector';

@unmanaged
export class AggregateState {
  groups: Relation;
  /** By group id: address of the state. */
  states: Vector;
  /** Groups of the running transaction: id, hadOutput, then the former output cells. */
  touched: Vector;
  /** Entries of the input's delta that the running transaction took in. */
  taken: u32;
  /** What it took from a stream, to take it back: sign, then the cells. */
  log: Vector;
  /** Id of the group that came last, plus 1: solutions of a group come together. */
  lastGroup: u32;
  aggregateCount: u32;
  /** A bit for each aggregate that has a buffer, and for each that collects. */
  buffered: u64;
  collecting: u64;
  stateBytes: u32;
}

const HEADER_BYTES: u32 = 8;
const SLOT_BYTES: u32 = 32;
export const FLAG_OUTPUT: u32 = 1;
const FLAG_TOUCHED: u32 = 2;
/** Bytes of one aggregate in the plan. */
const PLAN_BYTES: u32 = 12;
const keyBuffer: u32 = memory.data(64 * 4, 8) as u32;

function bufferedBy(plan: AggregatePlan): u64 {
  let buffered: u64 = 0;
  for (let i: u32 = 0; i < plan.aggregateCount; i++)
    if (isBest(kindAt(plan, i))) buffered |= (<u64>1) << (i as u64);
  return buffered;
}

function collectingBy(plan: AggregatePlan): u64 {
  let collecting: u64 = 0;
  for (let i: u32 = 0; i < plan.aggregateCount; i++)
    if (kindAt(plan, i) == AGGREGATE_COLLECT) collecting |= (<u64>1) << (i as u64);
  return collecting;
}

/** False for a plan whose output has a state that another plan made. */
export function fitsState(plan: AggregatePlan): bool {
  if (plan.output.aggregateState == 0) return true;
  const state = changetype<AggregateState>(plan.output.aggregateState as usize);
  return (
    state.groups.arity == plan.groupCount &&
    state.aggregateCount == plan.aggregateCount &&
    state.buffered == bufferedBy(plan) &&
    state.collecting == collectingBy(plan)
  );
}

/** The state behind a plan's output, made at first use; null without memory. */
export function aggregateStateOf(plan: AggregatePlan): AggregateState {
  if (plan.output.aggregateState != 0)
    return changetype<AggregateState>(plan.output.aggregateState as usize);
  const state = changetype<AggregateState>(
    allocateZeroed(offsetof<AggregateState>() as u32) as usize,
  );
  if (changetype<usize>(state) == 0) return state;
  state.groups = createRelation(plan.groupCount, 0, 0x0fffffff, 0, 0);
  state.states = createVector();
  state.touched = createVector();
  state.log = createVector();
  state.aggregateCount = plan.aggregateCount;
  state.buffered = bufferedBy(plan);
  state.collecting = collectingBy(plan);
  state.stateBytes = HEADER_BYTES + plan.aggregateCount * (SLOT_BYTES + 4);
  plan.output.aggregateState = changetype<usize>(state) as u32;
  return state;
}

function kindAt(plan: AggregatePlan, aggregate: u32): u32 {
  return load<u32>(plan.aggregates + aggregate * PLAN_BYTES);
}

/** True for what has one row of the group for its value. */
function isBest(kind: u32): bool {
  return (
    kind != AGGREGATE_COUNT &&
    kind != AGGREGATE_SUM &&
    kind != AGGREGATE_AVG &&
    kind != AGGREGATE_COLLECT
  );
}

function isLargest(kind: u32): bool {
  return kind == AGGREGATE_MAX || kind == AGGREGATE_ARGMAX;
}

function hasBuffer(state: AggregateState, aggregate: u32): bool {
  return (state.buffered & ((<u64>1) << (aggregate as u64))) != 0;
}

function isCollecting(state: AggregateState, aggregate: u32): bool {
  return (state.collecting & ((<u64>1) << (aggregate as u64))) != 0;
}

function slotAt(group: u32, aggregate: u32): u32 {
  return group + HEADER_BYTES + aggregate * SLOT_BYTES;
}

export function destroyAggregateState(address: u32): void {
  if (address == 0) return;
  const state = changetype<AggregateState>(address as usize);
  for (let id: u32 = 0; id < state.states.length; id++)
    destroyGroup(state, wordAt(state.states, id));
  destroyRelation(state.groups);
  destroyVector(state.states);
  destroyVector(state.touched);
  destroyVector(state.log);
  release(address, offsetof<AggregateState>() as u32);
}

function destroyGroup(state: AggregateState, group: u32): void {
  if (group == 0) return;
  for (let i: u32 = 0; i < state.aggregateCount; i++) {
    const address = load<u32>(slotAt(group, i), 12);
    if (hasBuffer(state, i)) destroyBuffer(address);
    else if (isCollecting(state, i)) destroyValues(address);
    else if (address != 0) destroyExactSum(address);
  }
  release(group, state.stateBytes);
}

export function outputAt(state: AggregateState, group: u32): u32 {
  return group + HEADER_BYTES + state.aggregateCount * SLOT_BYTES;
}

/** True for a row of the same group as the one before. */
function isOfLastGroup(plan: AggregatePlan, state: AggregateState, cells: u32): bool {
  if (state.lastGroup == 0) return false;
  const key = rowAddress(state.groups, state.lastGroup - 1) + state.groups.cellsAt;
  for (let i: u32 = 0; i < plan.groupCount; i++) {
    const column = load<u32>(plan.groupColumns + (i << 2));
    if (load<u32>(key + (i << 2)) != load<u32>(cells + (column << 2))) return false;
  }
  return true;
}

/** The group id of an input row, made if need be; NOT_FOUND without memory. */
function groupOf(plan: AggregatePlan, state: AggregateState, cells: u32): u32 {
  if (isOfLastGroup(plan, state, cells)) return state.lastGroup - 1;
  for (let i: u32 = 0; i < plan.groupCount; i++) {
    const column = load<u32>(plan.groupColumns + (i << 2));
    store<u32>(keyBuffer + (i << 2), load<u32>(cells + (column << 2)));
  }
  const hash = hashCells(keyBuffer, plan.groupCount);
  const found = findRow(state.groups, keyBuffer, hash);
  if (found != NOT_FOUND) return found;
  const group = allocateZeroed(state.stateBytes);
  if (group == 0 || !reserveWords(state.states, 1)) return NOT_FOUND;
  const id = insertRow(state.groups, keyBuffer, hash);
  if (id == NOT_FOUND) {
    release(group, state.stateBytes);
    return id;
  }
  if (id == state.states.length) push(state.states, group);
  else setWordAt(state.states, id, group);
  return id;
}

/** Notes a group's output before its first change. */
function touchGroup(state: AggregateState, id: u32, group: u32): bool {
  const flags = load<u32>(group, 4);
  if ((flags & FLAG_TOUCHED) != 0) return true;
  if (!reserveWords(state.touched, 2 + state.aggregateCount)) return false;
  push(state.touched, id);
  push(state.touched, flags & FLAG_OUTPUT);
  const output = outputAt(state, group);
  for (let i: u32 = 0; i < state.aggregateCount; i++)
    push(state.touched, load<u32>(output + (i << 2)));
  store<u32>(group, flags | FLAG_TOUCHED, 4);
  return true;
}

/** `isFirst`: the group has no other row. Without memory the group is looked through later. */
function addToBest(slot: u32, key: u32, value: u32, isMax: bool, isFirst: bool): void {
  let buffer = load<u32>(slot, 12);
  if (isFirst) {
    destroyBuffer(buffer);
    buffer = firstBuffer();
  }
  if (buffer != 0) buffer = addCandidate(buffer, key, value, isMax);
  store<u32>(slot, buffer, 12);
}

/** As above; of a buffer that was given up nothing is known. */
function addToValues(slot: u32, cell: u32, takeAway: bool, isFirst: bool): void {
  let values = load<u32>(slot, 12);
  if (isFirst) {
    destroyValues(values);
    values = firstValues();
  }
  if (values != 0) values = changeValue(values, cell, takeAway ? -1 : 1);
  store<u32>(slot, values, 12);
}

function valueCell(plan: AggregatePlan, aggregate: u32, cells: u32): u32 {
  return load<u32>(cells + (load<u32>(plan.aggregates + aggregate * PLAN_BYTES, 4) << 2));
}

/** What orders the rows: of min and max the value itself. */
function keyCell(plan: AggregatePlan, aggregate: u32, cells: u32): u32 {
  return load<u32>(cells + (load<u32>(plan.aggregates + aggregate * PLAN_BYTES, 8) << 2));
}

/** Takes one changed row of the input into its group's state. */
export function aggregateRow(
  plan: AggregatePlan,
  state: AggregateState,
  cells: u32,
  takeAway: bool,
): u32 {
  const id = groupOf(plan, state, cells);
  if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
  state.lastGroup = id + 1;
  const group = wordAt(state.states, id);
  if (!touchGroup(state, id, group)) return STATUS_OUT_OF_MEMORY;
  const rows = load<u32>(group);
  for (let i: u32 = 0; i < plan.aggregateCount; i++) {
    const kind = kindAt(plan, i);
    const slot = slotAt(group, i);
    if (isBest(kind)) {
      const key = keyCell(plan, i, cells);
      const value = valueCell(plan, i, cells);
      if (!takeAway) addToBest(slot, key, value, isLargest(kind), rows == 0);
      else if (load<u32>(slot, 12) != 0)
        takeCandidate(load<u32>(slot, 12), key, value, isLargest(kind));
    } else if (kind == AGGREGATE_COLLECT) {
      addToValues(slot, valueCell(plan, i, cells), takeAway, rows == 0);
    } else if (kind != AGGREGATE_COUNT && !addToSum(slot, valueCell(plan, i, cells), takeAway)) {
      return STATUS_OUT_OF_MEMORY;
    }
  }
  store<u32>(group, takeAway ? rows - 1 : rows + 1);
  return 0;
}

/** Takes `count` rows at once of which nothing but their number matters. */
export function countRows(plan: AggregatePlan, state: AggregateState, cells: u32, count: u32): u32 {
  const id = groupOf(plan, state, cells);
  if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
  state.lastGroup = id + 1;
  const group = wordAt(state.states, id);
  if (!touchGroup(state, id, group)) return STATUS_OUT_OF_MEMORY;
  store<u32>(group, load<u32>(group) + count);
  return 0;
}

/** The list of a group's values, or FAILED; NO_CELL without memory. */
function collectedCell(plan: AggregatePlan, aggregate: u32, key: u32, slot: u32): u32 {
  if (load<u32>(slot, 12) == 0) {
    store<u32>(slot, firstValues(), 12);
    searchGroup(plan, aggregate, key, slot);
  }
  const values = load<u32>(slot, 12);
  const settled = values == 0 ? 0 : settleValues(values);
  if (settled == 0) return NO_CELL;
  store<u32>(slot, settled, 12);
  countSteps(countValues(settled));
  return listOfValues(settled);
}

/** Fills a group's buffer by a look through its rows; false without memory. */
function searchBest(plan: AggregatePlan, aggregate: u32, key: u32, slot: u32, rows: u32): bool {
  const buffer = refilledBuffer(load<u32>(slot, 12), rows);
  if (buffer == 0) return false;
  store<u32>(slot, buffer, 12);
  searchGroup(plan, aggregate, key, slot);
  return true;
}

/** Takes all rows of a group into the buffer of one aggregate. */
function searchGroup(plan: AggregatePlan, aggregate: u32, key: u32, slot: u32): void {
  const input = plan.input;
  if (changetype<usize>(plan.index) == 0) {
    for (let id: u32 = 0; id < input.top; id++) addRow(plan, aggregate, slot, id);
    countSteps(input.top);
    return;
  }
  const count = findGroup(plan.index, key);
  countSteps(count);
  for (let i: u32 = 0, at = groupIds; i < count; i++, at += 4) {
    if (at == groupEnd) {
      openChunk(load<u32>(groupChunk));
      at = groupIds;
    }
    addRow(plan, aggregate, slot, load<u32>(at) & GROUP_ID_MASK);
  }
}

function addRow(plan: AggregatePlan, aggregate: u32, slot: u32, id: u32): void {
  const row = rowAddress(plan.input, id);
  if ((load<u32>(row) & ROW_LIVE) == 0) return;
  const cells = row + plan.input.cellsAt;
  const kind = kindAt(plan, aggregate);
  const value = valueCell(plan, aggregate, cells);
  if (kind == AGGREGATE_COLLECT) return addToValues(slot, value, false, false);
  const isMax = isLargest(kind);
  const key = keyCell(plan, aggregate, cells);
  store<u32>(slot, addCandidate(load<u32>(slot, 12), key, value, isMax), 12);
}

/**
 * Fills the output cells of a group, FAILED for an aggregate without a value; false without memory.
 */
export function computeOutput(
  plan: AggregatePlan,
  state: AggregateState,
  id: u32,
  group: u32,
): bool {
  const output = outputAt(state, group);
  const key = rowAddress(state.groups, id) + state.groups.cellsAt;
  for (let i: u32 = 0; i < plan.aggregateCount; i++) {
    const slot = slotAt(group, i);
    const kind = kindAt(plan, i);
    const rows = load<u32>(group);
    let cell: u32;
    if (kind == AGGREGATE_COUNT) cell = internInt(rows as i64);
    else if (kind == AGGREGATE_COLLECT) cell = collectedCell(plan, i, key, slot);
    else if (!isBest(kind)) cell = sumCell(slot, rows, kind == AGGREGATE_AVG);
    else {
      if (!knowsBest(load<u32>(slot, 12)) && !searchBest(plan, i, key, slot, rows)) return false;
      cell = bestValue(load<u32>(slot, 12));
    }
    if (cell == NO_CELL) return false;
    store<u32>(output + (i << 2), cell);
  }
  return true;
}

export function touchedGroups(state: AggregateState): u32 {
  return state.touched.length / (2 + state.aggregateCount);
}

/** Ends a transaction: empty groups go, marks are cleared. */
export function settleGroups(state: AggregateState): void {
  const count = touchedGroups(state);
  const words = 2 + state.aggregateCount;
  for (let place: u32 = 0; place < count; place++) {
    const id = wordAt(state.touched, place * words);
    const group = wordAt(state.states, id);
    store<u32>(group, load<u32>(group, 4) & ~FLAG_TOUCHED, 4);
    if (load<u32>(group) != 0) continue;
    destroyGroup(state, group);
    setWordAt(state.states, id, 0);
    removeRow(state.groups, id);
  }
  clearVector(state.touched);
  clearVector(state.log);
  state.taken = 0;
  state.lastGroup = 0;
}

/** Puts the former outputs back; the counts and sums were taken back row by row before. */
export function restoreGroups(state: AggregateState): void {
  const count = touchedGroups(state);
  const words = 2 + state.aggregateCount;
  for (let place: u32 = 0; place < count; place++) {
    const group = wordAt(state.states, wordAt(state.touched, place * words));
    const output = outputAt(state, group);
    const flags = load<u32>(group, 4) & ~FLAG_OUTPUT;
    store<u32>(group, flags | wordAt(state.touched, place * words + 1), 4);
    for (let i: u32 = 0; i < state.aggregateCount; i++) {
      store<u32>(output + (i << 2), wordAt(state.touched, place * words + 2 + i));
    }
  }
  settleGroups(state);
}

/** Marks the cells that states hold; called for groups [from, to). */
export function markGroups(state: AggregateState, from: u32, to: u32): void {
  const groups = state.groups;
  for (let id = from; id < to && id < groups.top; id++) {
    const row = rowAddress(groups, id);
    if ((load<u32>(row) & ROW_USED) == 0) continue;
    for (let i: u32 = 0; i < groups.arity; i++)
      markCell(load<u32>(row + groups.cellsAt + (i << 2)));
    const group = wordAt(state.states, id);
    const output = outputAt(state, group);
    for (let i: u32 = 0; i < state.aggregateCount; i++) {
      if (hasBuffer(state, i)) markBuffer(load<u32>(slotAt(group, i), 12));
      else if (isCollecting(state, i)) markValues(load<u32>(slotAt(group, i), 12));
      const cell = load<u32>(output + (i << 2));
      if (cell != FAILED) markCell(cell);
    }
  }
}
