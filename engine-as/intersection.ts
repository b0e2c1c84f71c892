/*
 * Lookups whose rows are looked for at once in other relations, as in cyclic bodies:
 *
 *     tri(x, y, z) :- edge(x, y), edge(y, z), edge(x, z)      z is in group y and in group x
 *
 * Where a PROBE behind a LOOKUP reads one value that the lookup binds, and all others were bound
 * before, the values that it lets through are those of a group, too. An intersection has sides: the
 * lookup's group, and the groups of such probes. It goes through the rows of one side and asks the
 * others for their values, so that with the smallest side taken a rule costs no more than what it
 * gives may (worst-case-optimal; Ngo, Porat, Ré, Rudra, PODS 2012).
 *
 * A side is asked by its set of rows, at the price of a probe, or by marks (marks.ts): its values,
 * written down once and asked for at the price of a load. Marks are made where the rows to ask for
 * pay for them; the key of a side that belongs to an outer loop stays the same for many openings,
 * and so do its marks. A negated probe is a side whose values are left out.
 *
 * What is remembered of one opening for the next is void when another run began in between, or when
 * the run itself adds rows to the relation.
 */
import { NO_REGISTER } from './abi';
import { findGroup, GROUP_ID_MASK, groupChunk, groupEnd, groupIds } from './column-index';
import { MODE_RESULT } from './emit';
import { NOT_FOUND } from './id-set';
import { listIndexes } from './index-build';
import { CHUNK_HEADER } from './index-store';
import { EXHAUSTED, FOUND, PAUSED, TRIES_MAX } from './iteration';
import { findCells, gather, Machine, matchRow, takeProbed, takeRank } from './machine';
import { filterMarked, mark, markedRow, marksShift, openMarks, VALUES_MAX } from './marks';
import { Intersection, Side, sideAt, BLOCK_VALUES } from './intersection-sides';
import { rowAddress } from './row-store';
import { sabotage, SABOTAGE_MARKS } from './sabotage';
import { countSteps } from './steps';
import {
  advance,
  findValues,
  foundValues,
  LISTED_ROWS_MAX,
  listsEpoch,
  listsOf,
  ValueLists,
} from './value-lists';
import { viewMask, viewValue } from './views';

const AUTO: u32 = 0;
const NEVER: u32 = 1;
const ALWAYS: u32 = 2;
let choice: u32 = AUTO;

/** For tests and measurements: where they pay, never, or wherever they can be. */
export function setIntersections(next: u32): void {
  choice = next;
}

export function isIntersecting(): bool {
  return choice != NEVER;
}

/** Openings that went through a group with another one marked, since the engine started. */
export let intersections: u64 = 0;

/** With fewer rows to ask for, groups are not even looked for. */
const ROWS_MIN: u32 = 4;
/** What a probe costs, in marked rows. */
const PROBE_ROWS: u32 = 6;
/** Openings that are taken to share marks, if two have done so. */
const SHARED_SHIFT: u32 = 2;
/** A relation of fewer rows stays in the cache anyway. */
const LISTED_ROWS_MIN: u32 = 0x400;
/** Rows that become lists at one opening. */
const LISTED_AT_ONCE: u32 = 256;
const LISTED_FIRST: u32 = 0x1000;
/** In the place of the id of a value's row, which nobody asks for. */
const LISTED: u32 = 0;

let run: u32 = 0;

/** A run begins or goes on: others may have used the marks. */
export function beginRun(): void {
  run += 1;
}

/* Opening. */

/** False without memory. */
function findIds(side: Side): bool {
  if (!side.index.ready && !listIndexes(side.relation)) return false;
  side.rows = findGroup(side.index, side.key);
  side.ids = groupIds;
  side.end = groupEnd;
  side.chunk = groupChunk;
  if (side.rows != 1) return true;
  side.onlyId = load<u32>(groupIds);
  side.ids = (changetype<usize>(side) as u32) + (offsetof<Side>('onlyId') as u32);
  side.end = side.ids + 4;
  return true;
}

/** Brings key and group of a side up to date; false where a positive side has no rows. */
function findSide(side: Side, frame: u32, isStable: bool): bool {
  const count = side.index.columnCount;
  if (side.isKnown) {
    let i: u32 = 0;
    while (
      i < count &&
      load<u32>(side.key + (i << 2)) == load<u32>(frame + load<u32>(side.keys + (i << 2)))
    )
      i += 1;
    side.isRepeated = i == count;
    if (i == count) return side.rows != 0 || side.isAbsent;
  }
  side.isRepeated = false;
  gather(side.keys, count, frame, side.key);
  if (side.isListed) {
    side.rows = findValues(side.lists, load<u32>(side.key));
    side.ids = foundValues;
  } else if (!findIds(side)) {
    hasFailed = true;
    return false;
  }
  if (sabotage != SABOTAGE_MARKS) side.marks = 0;
  side.asked = 0;
  side.isKnown = isStable;
  return side.rows != 0 || side.isAbsent;
}

/** What it costs to ask a side for so many values, in rows. Marks of one that stays are shared. */
function priceOf(side: Side, values: u32): u32 {
  if (side.marks != 0 || side.rows == 0) return 0;
  return min(side.isRepeated ? side.rows >> SHARED_SHIFT : side.rows, values * PROBE_ROWS);
}

/** The usual case: the only other side has its marks, and is not much smaller. */
function isCheap(intersection: Intersection, first: Side): bool {
  if (intersection.count != 2) return false;
  const other = sideAt(intersection, 1);
  return other.marks != 0 && other.rows + (other.rows << 2) >= first.rows;
}

/** The side whose rows are gone through: the one with which all is cheapest. */
function chooseDriver(intersection: Intersection): Side {
  const first = sideAt(intersection, 0);
  if (!intersection.isPure || isCheap(intersection, first)) return first;
  let best = first;
  let lowest: u32 = 0xffffffff;
  for (let i: u32 = 0; i < intersection.count; i++) {
    const driver = sideAt(intersection, i);
    if (driver.isAbsent) continue;
    let price = driver.rows;
    for (let j: u32 = 0; j < intersection.count; j++) {
      if (j != i) price += priceOf(sideAt(intersection, j), driver.rows);
    }
    if (price < lowest) {
      lowest = price;
      best = driver;
    }
  }
  return best;
}

/** Writes down the values of a side's group; false where it has too many, or without memory. */
function markSide(side: Side): bool {
  if (side.rows > VALUES_MAX) return false;
  const marks = openMarks(side.slot, side.rows);
  if (marks == 0) return false;
  const shift = marksShift;
  side.marks = marks;
  side.shift = shift;
  countSteps(side.rows);
  if (side.isListed) {
    for (let i: u32 = 0; i < side.rows; i++)
      mark(marks, shift, load<u32>(side.ids + (i << 2)), LISTED);
    return true;
  }
  side.walked += side.rows;
  const relation = side.relation;
  const column = relation.cellsAt + side.column;
  const mask = viewMask(side.view);
  const visible = viewValue(side.view);
  let at = side.ids;
  let end = side.end;
  let chunk = side.chunk;
  for (let left = side.rows; left > 0; left--) {
    if (at == end) {
      chunk = load<u32>(chunk);
      at = chunk + CHUNK_HEADER;
      end = at + (load<u32>(chunk, 8) << 2);
    }
    const id = load<u32>(at) & GROUP_ID_MASK;
    at += 4;
    const row = rowAddress(relation, id);
    if ((load<u32>(row) & mask) == visible) mark(marks, shift, load<u32>(row + column), id);
  }
  return true;
}

/** Decides how a side is asked for so many values. */
function arrange(intersection: Intersection, side: Side, values: u32): void {
  if (side.rows == 0) return;
  if (side.marks == 0 && side.isKnown) side.asked += values;
  const paid = (side.isKnown ? side.asked : values) * PROBE_ROWS >= side.rows || choice == ALWAYS;
  if (side.marks != 0 || (paid && markSide(side))) {
    side.next = intersection.marked;
    intersection.marked = side;
  } else {
    side.next = intersection.probed;
    intersection.probed = side;
  }
}

/** Few rows: all sides but the lookup's are asked by their sets. */
function askAll(intersection: Intersection): void {
  for (let i: u32 = 1; i < intersection.count; i++) {
    const side = sideAt(intersection, i);
    side.next = intersection.probed;
    intersection.probed = side;
  }
}

/**
 * Once a run has gone through some of a side's rows, with an eighth of all there are, they become
 * lists, bit by bit; at once where its index is not built. False: call again.
 */
function listSide(machine: Machine, side: Side): bool {
  const relation = side.relation;
  const isDue =
    !side.index.ready || choice == ALWAYS || side.walked > max(relation.top >> 3, LISTED_ROWS_MIN);
  if (!isDue || machine.mode == MODE_RESULT || relation.arity != 2) return true;
  if (side.rank != NO_REGISTER || relation.top == 0 || relation.top > LISTED_ROWS_MAX) return true;
  if (changetype<usize>(relation) == changetype<usize>(machine.target)) return true;
  if (changetype<usize>(side.lists) == 0) side.lists = listsOf(side.index, side.view);
  if (changetype<usize>(side.lists) == 0) return true;
  side.isListed = advance(side.lists, side.index.ready ? LISTED_AT_ONCE : LISTED_FIRST);
  if (side.isListed) side.isKnown = false;
  return side.isListed || side.index.ready || side.lists.hasFailed;
}

/** Void is what is remembered of a run that ended, or that others interrupted. */
function remember(machine: Machine, to: Intersection): bool {
  const isNew = to.epoch != listsEpoch;
  let isReady = true;
  for (let i: u32 = 0; i < to.count; i++) {
    const side = sideAt(to, i);
    if (to.run != run) forgetSide(side);
    if (isNew) {
      side.lists = changetype<ValueLists>(0);
      side.isListed = false;
      side.walked = 0;
    }
    // The lookup of an impure one has more to read of its rows.
    if (!side.isListed && (i != 0 || to.isPure) && !listSide(machine, side)) isReady = false;
  }
  to.run = run;
  to.epoch = listsEpoch;
  to.isListed = to.count == 2 && sideAt(to, 0).isListed && sideAt(to, 1).isListed;
  return isReady;
}

/**
 * The usual opening of an inner loop: the other side stays and has its marks, the lookup has
 * another key. True where that is all.
 */
function reopen(to: Intersection, frame: u32): bool {
  if (!to.isListed || to.run != run || to.epoch != listsEpoch) return false;
  const first = sideAt(to, 0);
  const other = sideAt(to, 1);
  if (other.marks == 0 || !other.isKnown) return false;
  if (load<u32>(other.key) != load<u32>(frame + load<u32>(other.keys))) return false;
  const key = load<u32>(frame + load<u32>(first.keys));
  const rows = findValues(first.lists, key);
  if (rows > other.rows + (other.rows << 2)) return false;
  other.isRepeated = true;
  other.next = changetype<Side>(0);
  store<u32>(first.key, key);
  first.rows = rows;
  first.ids = foundValues;
  if (sabotage != SABOTAGE_MARKS) first.marks = 0;
  first.isRepeated = false;
  first.asked = 0;
  to.driver = first;
  to.marked = other;
  to.probed = changetype<Side>(0);
  to.hitAt = to.hitEnd;
  intersections += 1;
  const cursor = frame + to.cursor;
  store<u32>(cursor, rows);
  store<u32>(cursor, foundValues, 4);
  return true;
}

/** The last opening found no memory. */
export let hasFailed: bool = false;

/**
 * Finds the groups for the registers as they are, and how to go through them. False: call again,
 * unless it `hasFailed`.
 */
export function openIntersection(machine: Machine, to: Intersection, frame: u32): bool {
  const count = to.count;
  hasFailed = false;
  if (reopen(to, frame)) return true;
  if (!remember(machine, to)) return false;
  const target = changetype<usize>(machine.target);
  to.marked = changetype<Side>(0);
  to.probed = changetype<Side>(0);
  const first = sideAt(to, 0);
  to.driver = first;
  let isEmpty = !findSide(first, frame, changetype<usize>(first.relation) != target);
  if (!isEmpty && first.rows < ROWS_MIN && choice != ALWAYS) askAll(to);
  else if (!isEmpty) {
    for (let i: u32 = 1; i < count && !isEmpty; i++) {
      const side = sideAt(to, i);
      isEmpty = !findSide(side, frame, changetype<usize>(side.relation) != target);
    }
    if (!isEmpty) {
      const driver = chooseDriver(to);
      to.driver = driver;
      for (let i: u32 = 0; i < count; i++) {
        const side = sideAt(to, i);
        if (changetype<usize>(side) != changetype<usize>(driver)) arrange(to, side, driver.rows);
      }
      if (changetype<usize>(to.marked) != 0) intersections += 1;
    }
  }
  const cursor = frame + to.cursor;
  const driver = to.driver;
  driver.walked += driver.rows;
  store<u32>(cursor, isEmpty ? 0 : driver.rows);
  store<u32>(cursor, driver.ids, 4);
  store<u32>(cursor, driver.end, 8);
  store<u32>(cursor, driver.chunk, 12);
  to.hitAt = to.hitEnd;
  return !hasFailed;
}

function forgetSide(side: Side): void {
  side.isKnown = false;
  side.isRepeated = false;
  side.marks = 0;
  side.asked = 0;
}

/** It was opened before the run paused: marks are void, and whom they stood for is asked itself. */
function goOn(intersection: Intersection): void {
  for (let side = intersection.marked; changetype<usize>(side) != 0;) {
    const next = side.next;
    side.next = intersection.probed;
    intersection.probed = side;
    side = next;
  }
  intersection.marked = changetype<Side>(0);
  for (let i: u32 = 0; i < intersection.count; i++) forgetSide(sideAt(intersection, i));
  intersection.run = run;
}

/* Going through. */

/** True when a side that has marks lets a value through. */
function isMarked(machine: Machine, side: Side, value: u32, frame: u32): bool {
  const id = markedRow(side.marks, side.shift, value);
  if (side.isAbsent || id == NOT_FOUND) return (id == NOT_FOUND) == side.isAbsent;
  if (side.rank == NO_REGISTER) return true;
  const relation = side.relation;
  return takeRank(machine, relation, rowAddress(relation, id), side.rank, side.below, frame);
}

/** True when a side that is asked by its set lets the registers through. */
function isThere(machine: Machine, side: Side, frame: u32): bool {
  const relation = side.relation;
  const id = findCells(relation, side.registers, frame);
  return takeProbed(machine, relation, id, side.view, side.isAbsent, side.rank, side.below, frame);
}

function isLetThrough(machine: Machine, to: Intersection, value: u32, frame: u32): bool {
  for (let side = to.marked; changetype<usize>(side) != 0; side = side.next) {
    if (!isMarked(machine, side, value, frame)) return false;
  }
  return true;
}

function isProbed(machine: Machine, to: Intersection, frame: u32): bool {
  for (let side = to.probed; changetype<usize>(side) != 0; side = side.next) {
    if (!isThere(machine, side, frame)) return false;
  }
  return true;
}

/** The one side that is asked by marks, where nothing else is to be told of its rows; or null. */
function onlyMarked(to: Intersection): Side {
  const side = to.marked;
  const isOnly =
    changetype<usize>(side) != 0 &&
    changetype<usize>(side.next) == 0 &&
    side.rank == NO_REGISTER &&
    !side.isAbsent;
  return isOnly ? side : changetype<Side>(0);
}

/**
 * The next value of a driver with lists. Where marks alone decide, a block of values is tried at
 * once: without a branch for each.
 */
function nextListed(machine: Machine, to: Intersection, frame: u32): u32 {
  const register = frame + to.register;
  if (to.hitAt != to.hitEnd) {
    store<u32>(register, load<u32>(to.hitAt));
    to.hitAt += 4;
    return FOUND;
  }
  const cursor = frame + to.cursor;
  const all = load<u32>(cursor);
  if (all == 0) return EXHAUSTED;
  const only = changetype<usize>(to.probed) == 0 ? onlyMarked(to) : changetype<Side>(0);
  const from = load<u32>(cursor, 4);
  let result = EXHAUSTED;
  let at = from;
  if (changetype<usize>(only) != 0) {
    const end = from + (min(all, BLOCK_VALUES) << 2);
    to.hitEnd = filterMarked(only.marks, only.shift, from, end, to.hits);
    to.hitAt = to.hits;
    at = end;
    if (to.hitAt != to.hitEnd) {
      store<u32>(register, load<u32>(to.hitAt));
      to.hitAt += 4;
      result = FOUND;
    }
  } else {
    const end = from + (min(all, TRIES_MAX) << 2);
    for (; at < end && result == EXHAUSTED; at += 4) {
      const value = load<u32>(at);
      if (!isLetThrough(machine, to, value, frame)) continue;
      store<u32>(register, value);
      if (isProbed(machine, to, frame)) result = FOUND;
    }
  }
  const tried = (at - from) >> 2;
  countSteps(tried);
  store<u32>(cursor, all - tried);
  store<u32>(cursor, at, 4);
  return result == EXHAUSTED && tried < all ? PAUSED : result;
}

/** The next row of the driver that all others let through; `pc` is the lookup's. */
export function nextIntersection(machine: Machine, pc: u32, to: Intersection, frame: u32): u32 {
  if (to.run != run) goOn(to);
  const driver = to.driver;
  if (driver.isListed) return nextListed(machine, to, frame);
  const relation = driver.relation;
  const mask = viewMask(driver.view);
  const visible = viewValue(driver.view);
  const cursor = frame + to.cursor;
  const all = load<u32>(cursor);
  let left = all;
  let at = load<u32>(cursor, 4);
  let end = load<u32>(cursor, 8);
  const pause = left > TRIES_MAX ? left - TRIES_MAX : 0;
  let result = EXHAUSTED;
  while (left > pause) {
    if (at == end) {
      const chunk = load<u32>(load<u32>(cursor, 12));
      store<u32>(cursor, chunk, 12);
      at = chunk + CHUNK_HEADER;
      end = at + (load<u32>(chunk, 8) << 2);
    }
    const row = rowAddress(relation, load<u32>(at) & GROUP_ID_MASK);
    at += 4;
    left -= 1;
    if ((load<u32>(row) & mask) != visible) continue;
    const cells = row + relation.cellsAt;
    const value = load<u32>(cells + driver.column);
    if (!isLetThrough(machine, to, value, frame)) continue;
    if (!takeRank(machine, relation, row, driver.rank, driver.below, frame)) continue;
    if (to.isPure) store<u32>(frame + to.register, value);
    else if (!matchRow(pc + 40, load<u32>(pc, 32), load<u32>(pc, 36), cells, frame)) continue;
    if (!isProbed(machine, to, frame)) continue;
    result = FOUND;
    break;
  }
  countSteps(all - left);
  store<u32>(cursor, left);
  store<u32>(cursor, at, 4);
  store<u32>(cursor, end, 8);
  return result == EXHAUSTED && left > 0 ? PAUSED : result;
}
