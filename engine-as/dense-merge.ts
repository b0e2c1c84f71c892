/*
 * The end of an evaluation over bits (dense.ts) of tables whose rows stand: the rows that were
 * found, by number, against those that are there. Both are sorted by their first column, so that a
 * group is compared through an array by the second one and no row is searched. Only rows that come
 * or go are touched; of all others the ranks are kept (relation.ts).
 */
import {
  RELATION_RANKED,
  ROW_LIVE,
  ROW_USED,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
} from './abi';
import { countNew, placeNew } from './emit';
import { NOT_FOUND } from './id-set';
import { allocate, allocateZeroed, release } from './memory';
import { cellAt, numberOf, Numbering } from './numbering';
import { createRelation, hasMemory, saveRanks, touch } from './relation';
import { rankAt, Relation, rowAddress, setRankAt } from './row-store';
import { sabotage, SABOTAGE_STANDING } from './sabotage';
import { countSteps } from './steps';
import { clearVector } from './vector';

const SLICE_ROWS: u32 = 4096;

/** Ids by the number of their first column: where each number's begin, then the ids. */
@unmanaged
class Groups {
  starts: u32;
  startBytes: u32;
  ids: u32;
  idBytes: u32;
}

const STAGE_COUNT_FOUND: u32 = 0;
const STAGE_SORT_FOUND: u32 = 1;
const STAGE_COUNT_STANDING: u32 = 2;
const STAGE_SORT_STANDING: u32 = 3;

let stage: u32 = 0;
let at: u32 = 0;
let relation: Relation = changetype<Relation>(0);
let found: Relation = changetype<Relation>(0);
let numbering: Numbering = changetype<Numbering>(0);
const ofFound: Groups = changetype<Groups>(memory.data(16, 4));
const ofStanding: Groups = changetype<Groups>(memory.data(16, 4));
/** By the number of the last column: id + 1 of the group's row that stands. */
let standing: u32 = 0;
let standingBytes: u32 = 0;
const cellBuffer: u32 = memory.data(8, 8) as u32;
/** Rows that came or went since the engine started. */
export let mergedRows: u64 = 0;

/** Where the found rows of a table go, as pairs of numbers; null (0) without memory. */
export function createFound(table: Relation): Relation {
  const rows = createRelation(2, RELATION_RANKED, table.rowsMax, table.handle, 0);
  return hasMemory(rows) ? rows : changetype<Relation>(0);
}

function groupCount(): u32 {
  return relation.arity == 1 ? 1 : numbering.length;
}

export function beginMerge(table: Relation, foundRows: Relation, domain: Numbering): bool {
  dropMerge();
  relation = table;
  found = foundRows;
  numbering = domain;
  stage = STAGE_COUNT_FOUND;
  at = 0;
  standingBytes = max<u32>(numbering.length << 2, 4);
  standing = allocateZeroed(standingBytes);
  if (!saveRanks(relation)) return false;
  return standing != 0 && openGroups(ofFound) && openGroups(ofStanding);
}

function openGroups(groups: Groups): bool {
  groups.startBytes = (groupCount() + 2) << 2;
  groups.starts = allocateZeroed(groups.startBytes);
  return groups.starts != 0;
}

function dropGroups(groups: Groups): void {
  release(groups.starts, groups.startBytes);
  release(groups.ids, groups.idBytes);
  groups.starts = 0;
  groups.ids = 0;
}

export function dropMerge(): void {
  dropGroups(ofFound);
  dropGroups(ofStanding);
  release(standing, standingBytes);
  standing = 0;
}

/** A slice: STATUS_MORE, STATUS_DONE when the table has the rows that were found, or a failure. */
export function stepMerge(): u32 {
  switch (stage as i32) {
    case STAGE_COUNT_FOUND:
    case STAGE_COUNT_STANDING:
      return countRows(stage == STAGE_COUNT_FOUND);
    case STAGE_SORT_FOUND:
    case STAGE_SORT_STANDING:
      return sortRows(stage == STAGE_SORT_FOUND);
    default:
      return mergeGroups();
  }
}

/** The group of a row; NOT_FOUND for one that was not found again, or is none. */
function groupOf(isFound: bool, id: u32): u32 {
  if (isFound) return load<u32>(rowAddress(found, id) + found.cellsAt);
  const row = rowAddress(relation, id);
  if ((load<u32>(row) & ROW_USED) == 0) return NOT_FOUND;
  if (lastNumber(row) == NOT_FOUND) return NOT_FOUND;
  return relation.arity == 1 ? 0 : numberOf(numbering, load<u32>(row + relation.cellsAt));
}

function lastNumber(row: u32): u32 {
  return numberOf(numbering, load<u32>(row + relation.cellsAt + ((relation.arity - 1) << 2)));
}

/**
 * `starts[group + 1]` is where the group's next id goes; in the end, where the next group's begin.
 */
function countRows(isFound: bool): u32 {
  const groups = isFound ? ofFound : ofStanding;
  const top = isFound ? found.top : relation.top;
  const end = min(top, at + SLICE_ROWS);
  countSteps(end - at);
  for (; at < end; at++) {
    const group = groupOf(isFound, at);
    if (group == NOT_FOUND) {
      if (!goes(at)) return STATUS_OUT_OF_MEMORY;
      continue;
    }
    const place = groups.starts + ((group + 2) << 2);
    store<u32>(place, load<u32>(place) + 1);
  }
  if (at < top) return STATUS_MORE;
  let sum: u32 = 0;
  const startsEnd = groups.starts + groups.startBytes;
  for (let place = groups.starts + 8; place < startsEnd; place += 4) {
    sum += load<u32>(place);
    store<u32>(place, sum);
  }
  groups.idBytes = max<u32>(sum << 2, 4);
  groups.ids = allocate(groups.idBytes);
  if (groups.ids == 0) return STATUS_OUT_OF_MEMORY;
  stage += 1;
  at = 0;
  return STATUS_MORE;
}

function sortRows(isFound: bool): u32 {
  const groups = isFound ? ofFound : ofStanding;
  const top = isFound ? found.top : relation.top;
  const end = min(top, at + SLICE_ROWS);
  countSteps(end - at);
  for (; at < end; at++) {
    const group = groupOf(isFound, at);
    if (group == NOT_FOUND) continue;
    const place = groups.starts + ((group + 1) << 2);
    const to = load<u32>(place);
    store<u32>(place, to + 1);
    store<u32>(groups.ids + (to << 2), at);
  }
  if (at < top) return STATUS_MORE;
  stage += 1;
  at = 0;
  return STATUS_MORE;
}

function mergeGroups(): u32 {
  const count = groupCount();
  let work: u32 = 0;
  while (at < count && work < SLICE_ROWS) {
    const from = load<u32>(ofStanding.starts + (at << 2));
    const to = load<u32>(ofStanding.starts + (at << 2), 4);
    const foundFrom = load<u32>(ofFound.starts + (at << 2));
    const foundTo = load<u32>(ofFound.starts + (at << 2), 4);
    work += to - from + foundTo - foundFrom + 1;
    const status = mergeGroup(from, to, foundFrom, foundTo);
    if (status != 0) return status;
    at += 1;
  }
  countSteps(work);
  if (at < count) return STATUS_MORE;
  // `placeNew` took them for rows of a round.
  clearVector(relation.pending);
  dropMerge();
  return STATUS_DONE;
}

function mergeGroup(from: u32, to: u32, foundFrom: u32, foundTo: u32): u32 {
  for (let i = from; i < to; i++) {
    const id = load<u32>(ofStanding.ids + (i << 2));
    store<u32>(standing + (lastNumber(rowAddress(relation, id)) << 2), id + 1);
  }
  let missing = to - from;
  for (let i = foundFrom; i < foundTo; i++) {
    const row = rowAddress(found, load<u32>(ofFound.ids + (i << 2)));
    const column = load<u32>(row + found.cellsAt, 4);
    const entry = load<u32>(standing + (column << 2));
    const rank = rankAt(found, row);
    let status: u32;
    if (entry == 0) status = comes(column, rank);
    else {
      store<u32>(standing + (column << 2), 0);
      missing -= 1;
      status = stays(entry - 1, rank);
    }
    if (status != 0) return status;
  }
  for (let i = from; i < to && missing != 0; i++) {
    const id = load<u32>(ofStanding.ids + (i << 2));
    const place = standing + (lastNumber(rowAddress(relation, id)) << 2);
    if (load<u32>(place) == 0) continue;
    store<u32>(place, 0);
    missing -= 1;
    if (!goes(id)) return STATUS_OUT_OF_MEMORY;
  }
  return 0;
}

/** A row of the group `at` that does not stand. */
function comes(column: u32, rank: u32): u32 {
  const last = cellAt(numbering, column);
  store<u32>(cellBuffer, relation.arity == 1 ? last : cellAt(numbering, at));
  store<u32>(cellBuffer, last, 4);
  mergedRows += 1;
  return placeNew(relation, cellBuffer, rank);
}

function stays(id: u32, rank: u32): u32 {
  const row = rowAddress(relation, id);
  if ((load<u32>(row) & ROW_LIVE) != 0) {
    if (sabotage != SABOTAGE_STANDING) setRankAt(relation, row, rank);
    return 0;
  }
  if (!touch(relation, id, row)) return STATUS_OUT_OF_MEMORY;
  mergedRows += 1;
  setRankAt(relation, row, rank);
  store<u32>(row, load<u32>(row) | ROW_LIVE);
  return countNew(relation);
}

/** False without memory. */
function goes(id: u32): bool {
  const row = rowAddress(relation, id);
  if ((load<u32>(row) & ROW_LIVE) == 0) return true;
  if (!touch(relation, id, row)) return false;
  mergedRows += 1;
  store<u32>(row, load<u32>(row) & ~ROW_LIVE);
  relation.liveNew -= 1;
  return true;
}
