/*
 * The values of one column of a binary relation by those of the other, without rows and ids between
 * them: what an index leads to over three places in memory stands in one. Made for a run that goes
 * through the groups of an index again and again, in small steps of that run, and dropped with it.
 *
 *   keys: number of a key     starts: by number, where its values begin     values
 */
import { NOT_FOUND } from './id-set';
import { ColumnIndex } from './index-store';
import { allocate, allocateZeroed, release } from './memory';
import { addNumber, createNumbering, destroyNumbering, Numbering, numberOf } from './numbering';
import { rowAddress } from './row-store';
import { countSteps } from './steps';
import { viewMask, viewValue } from './views';

/** Relations with more rows keep to their indexes. */
export const LISTED_ROWS_MAX: u32 = 0x400000;
const LISTS_MAX: u32 = 4;

const STAGE_KEYS: u32 = 0;
const STAGE_COUNT: u32 = 1;
const STAGE_SUM: u32 = 2;
/** Behind these the values are filled in. */
const STAGE_READY: u32 = 4;

@unmanaged
export class ValueLists {
  index: ColumnIndex;
  view: u32;
  /** What is done next: STAGE_… */
  stage: u32;
  /** Row or number under way. */
  at: u32;
  /** Rows there are: none come while the run goes on. */
  rows: u32;
  keys: Numbering;
  /** By row: the number of its key, or NOT_FOUND for one that is not seen. */
  numbers: u32;
  starts: u32;
  startBytes: u32;
  values: u32;
  /** There was no memory: they are never ready. */
  hasFailed: bool;
}

const all: u32 = memory.data(4 * 4, 4) as u32;
let count: u32 = 0;
/** Counts when they were dropped. */
export let listsEpoch: u32 = 0;

/** Those of an index under a view, begun if need be; null without room or memory. */
export function listsOf(index: ColumnIndex, view: u32): ValueLists {
  for (let i: u32 = 0; i < count; i++) {
    const known = changetype<ValueLists>(load<u32>(all + (i << 2)) as usize);
    if (changetype<usize>(known.index) == changetype<usize>(index) && known.view == view)
      return known;
  }
  const none = changetype<ValueLists>(0);
  if (count == LISTS_MAX) return none;
  const made = changetype<ValueLists>(allocateZeroed(offsetof<ValueLists>() as u32) as usize);
  if (changetype<usize>(made) == 0) return none;
  made.index = index;
  made.view = view;
  made.rows = index.relation.top;
  made.keys = createNumbering();
  made.numbers = allocate(made.rows << 2);
  made.values = allocate(made.rows << 2);
  if (changetype<usize>(made.keys) == 0 || made.numbers == 0 || made.values == 0) {
    destroyLists(made);
    return none;
  }
  store<u32>(all + (count << 2), changetype<usize>(made) as u32);
  count += 1;
  return made;
}

function destroyLists(dead: ValueLists): void {
  destroyNumbering(dead.keys);
  release(dead.numbers, dead.rows << 2);
  release(dead.values, dead.rows << 2);
  release(dead.starts, dead.startBytes);
  release(changetype<usize>(dead) as u32, offsetof<ValueLists>() as u32);
}

/** The run ended, or another one begins. */
export function dropLists(): void {
  for (let i: u32 = 0; i < count; i++)
    destroyLists(changetype<ValueLists>(load<u32>(all + (i << 2)) as usize));
  if (count != 0) listsEpoch += 1;
  count = 0;
}

/** Makes them for some rows more; true when they can be read. */
export function advance(lists: ValueLists, rows: u32): bool {
  if (lists.stage == STAGE_READY || lists.hasFailed) return !lists.hasFailed;
  const from = lists.at;
  const last = lists.stage == STAGE_SUM ? lists.keys.length : lists.rows;
  const end = min(last, from + rows);
  countSteps(end - from);
  if (lists.stage == STAGE_KEYS) {
    lists.hasFailed = !takeKeys(lists, from, end);
  } else if (lists.stage == STAGE_COUNT) countKeys(lists, from, end);
  else if (lists.stage == STAGE_SUM) sumCounts(lists, from, end);
  else fill(lists, from, end);
  lists.at = end;
  if (lists.hasFailed || end != last) return false;
  if (lists.stage == STAGE_KEYS) lists.hasFailed = !openStarts(lists);
  lists.stage += 1;
  lists.at = 0;
  return lists.stage == STAGE_READY;
}

function takeKeys(lists: ValueLists, from: u32, end: u32): bool {
  const relation = lists.index.relation;
  const column = relation.cellsAt + (load<u32>(lists.index.columns) << 2);
  const mask = viewMask(lists.view);
  const visible = viewValue(lists.view);
  for (let at = from; at < end; at++) {
    const row = rowAddress(relation, at);
    let number = NOT_FOUND;
    if ((load<u32>(row) & mask) == visible) {
      number = addNumber(lists.keys, load<u32>(row + column));
      if (number == NOT_FOUND) return false;
    }
    store<u32>(lists.numbers + (at << 2), number);
  }
  return true;
}

function openStarts(lists: ValueLists): bool {
  lists.startBytes = (lists.keys.length + 2) << 2;
  lists.starts = allocateZeroed(lists.startBytes);
  return lists.starts != 0;
}

/** `starts[number + 2]`: its values. */
function countKeys(lists: ValueLists, from: u32, end: u32): void {
  for (let at = from; at < end; at++) {
    const number = load<u32>(lists.numbers + (at << 2));
    if (number == NOT_FOUND) continue;
    const place = lists.starts + ((number + 2) << 2);
    store<u32>(place, load<u32>(place) + 1);
  }
}

/** `starts[number + 1]`: where its values begin. */
function sumCounts(lists: ValueLists, from: u32, end: u32): void {
  for (let number = from; number < end; number++) {
    const place = lists.starts + ((number + 1) << 2);
    store<u32>(place, load<u32>(place) + load<u32>(place, 4), 4);
  }
}

/** `starts[number + 1]`: where the next value goes, in the end where the next key's begin. */
function fill(lists: ValueLists, from: u32, end: u32): void {
  const relation = lists.index.relation;
  const column = relation.cellsAt + ((load<u32>(lists.index.columns) ^ 1) << 2);
  for (let at = from; at < end; at++) {
    const number = load<u32>(lists.numbers + (at << 2));
    if (number == NOT_FOUND) continue;
    const place = lists.starts + ((number + 1) << 2);
    const to = load<u32>(place);
    store<u32>(place, to + 1);
    store<u32>(lists.values + (to << 2), load<u32>(rowAddress(relation, at) + column));
  }
}

/** Of the key that `findValues` found: address of its values. */
export let foundValues: u32 = 0;

/** How many values a key has. */
export function findValues(lists: ValueLists, key: u32): u32 {
  const number = numberOf(lists.keys, key);
  if (number == NOT_FOUND) return 0;
  const place = lists.starts + (number << 2);
  const from = load<u32>(place);
  foundValues = lists.values + (from << 2);
  return load<u32>(place, 4) - from;
}
