/*
 * Rows that were appended to a new relation without being found by anything: they come into its set
 * and its indexes afterwards, all at once. The set has its size from the start, and an index takes
 * the rows of a key together, so that each group is found once and filled in one go.
 *
 * Where a plan has no use for finding rows (a batch whose rows are only read out), they stay
 * unlisted until somebody asks.
 */
import {
  RELATION_POSITIONS,
  ROW_USED,
  STATUS_DONE,
  STATUS_MORE,
  STATUS_OUT_OF_MEMORY,
} from './abi';
import { addRowsToIndex } from './column-index';
import { ColumnIndex } from './index-store';
import { hashCells } from './hash';
import { NOT_FOUND, putId, reserveId, reserveIds } from './id-set';
import { countSteps } from './steps';
import { allocate, allocateZeroed, memoryLow, release } from './memory';
import { addNumber, createNumbering, destroyNumbering, Numbering } from './numbering';
import { appendAllKept } from './kept-bits';
import { indexAt } from './relation';
import { Relation, rowAddress } from './row-store';
import { createShardOrder, destroyShardOrder, ShardOrder, stepShardOrder } from './shard-order';

const SLICE_ROWS: u32 = 4096;

const STAGE_SET: u32 = 0;
const STAGE_ROWS: u32 = 1;
const STAGE_INDEX: u32 = 2;
const STAGE_KEYS: u32 = 3;
const STAGE_SORT: u32 = 4;
const STAGE_GROUPS: u32 = 5;
const STAGE_ORDER: u32 = 6;
const STAGE_SHARDS: u32 = 7;

/** More rows come into the set shard by shard. */
const ORDERED_ROWS: u32 = 0x8000;

/** Some relation has rows that are not listed. */
export let anyUnlisted: bool = false;

let listed: Relation = changetype<Relation>(0);
let stage: u32 = 0;
let at: u32 = 0;
let indexNumber: u32 = 0;
let order: ShardOrder = changetype<ShardOrder>(0);
let keys: Numbering = changetype<Numbering>(0);
/** Rows by key: starts as in dense.ts, then ids; and the key of each row. */
let starts: u32 = 0;
let startRoom: u32 = 0;
let ids: u32 = 0;
let rowKeys: u32 = 0;
/** The first row that the index under way takes, and how many. */
let indexedFrom: u32 = 0;
let rowCount: u32 = 0;

/** From here on rows of a new relation are appended without being listed. */
export function leaveUnlisted(relation: Relation): void {
  if (relation.unlistedFrom == NOT_FOUND) relation.unlistedFrom = relation.top;
}

/** Rows are not in the set, or in no index yet. */
export function isUnlisted(relation: Relation): bool {
  return relation.unlistedFrom != NOT_FOUND || relation.indexesWait || relation.kept != 0;
}

/** Rows were appended that the set does not know. */
export function hasUnlistedRows(relation: Relation): bool {
  return relation.unlistedFrom != NOT_FOUND;
}

/** True when rows wait, and anything may look for them. */
export function mustBeListed(relation: Relation): bool {
  if (!isUnlisted(relation)) return false;
  if (relation.isSearched || (relation.flags & RELATION_POSITIONS) != 0) return true;
  anyUnlisted = true;
  return false;
}

export function beginListing(relation: Relation): void {
  dropListing();
  listed = relation;
  stage = STAGE_SET;
}

/** Gives back what a listing under way took; its relation is about to be dropped. */
export function dropListing(): void {
  dropOrder();
  dropSort();
  listed = changetype<Relation>(0);
}

function dropOrder(): void {
  destroyShardOrder(order);
  order = changetype<ShardOrder>(0);
}

function dropSort(): void {
  if (changetype<usize>(keys) != 0) destroyNumbering(keys);
  keys = changetype<Numbering>(0);
  release(starts, startRoom);
  release(ids, rowCount << 2);
  release(rowKeys, rowCount << 2);
  starts = 0;
  ids = 0;
  rowKeys = 0;
}

/** A slice: STATUS_MORE, STATUS_DONE when all rows are listed, or STATUS_OUT_OF_MEMORY. */
export function stepListing(): u32 {
  const relation = listed;
  switch (stage as i32) {
    case STAGE_SET:
      at = min(relation.top, relation.unlistedFrom);
      return startRows(relation);
    case STAGE_ORDER:
      return orderRows();
    case STAGE_SHARDS:
      return listShards(relation);
    case STAGE_ROWS:
      return listRows(relation);
    case STAGE_INDEX:
      return startIndex(relation);
    case STAGE_KEYS:
      return takeKeys(relation);
    case STAGE_SORT:
      return sortRows(relation);
    default:
      return fillGroups(relation);
  }
}

/** All at once, for who cannot wait. */
export function listAll(relation: Relation): bool {
  if (!isUnlisted(relation)) return true;
  if (!appendAllKept(relation)) return false;
  beginListing(relation);
  let status = STATUS_MORE as u32;
  while (status == STATUS_MORE) status = stepListing();
  return status == STATUS_DONE;
}

function startRows(relation: Relation): u32 {
  if (relation.top - at >= ORDERED_ROWS) {
    order = createShardOrder(relation, at, relation.top);
    stage = STAGE_ORDER;
    if (changetype<usize>(order) != 0) return STATUS_MORE;
  }
  stage = STAGE_ROWS;
  return reserveIds(relation.set, relation.top - at) ? STATUS_MORE : STATUS_OUT_OF_MEMORY;
}

function listRows(relation: Relation): u32 {
  const end = min(relation.top, at + SLICE_ROWS);
  const arity = relation.arity;
  const set = relation.set;
  countSteps(end - at);
  for (; at < end; at++) {
    const hash = hashCells(rowAddress(relation, at) + relation.cellsAt, arity);
    if (!reserveId(set, hash)) return STATUS_OUT_OF_MEMORY;
    putId(set, hash, at);
  }
  return at < relation.top ? (STATUS_MORE as u32) : startIndexes();
}

function orderRows(): u32 {
  const status = stepShardOrder(order);
  if (status != STATUS_DONE) return status;
  stage = STAGE_SHARDS;
  at = 0;
  return STATUS_MORE;
}

/** The same as `listRows`, shard by shard. */
function listShards(relation: Relation): u32 {
  const set = relation.set;
  const end = min(order.pairBytes, at + (SLICE_ROWS << 3));
  countSteps((end - at) >> 3);
  for (; at < end; at += 8) {
    const hash = load<u32>(order.pairs + at, 4);
    if (!reserveId(set, hash)) return STATUS_OUT_OF_MEMORY;
    putId(set, hash, load<u32>(order.pairs + at));
  }
  if (at < order.pairBytes) return STATUS_MORE;
  dropOrder();
  return startIndexes();
}

function startIndexes(): u32 {
  stage = STAGE_INDEX;
  indexNumber = 0;
  return STATUS_MORE;
}

function startIndex(relation: Relation): u32 {
  if (indexNumber == relation.indexCount) {
    relation.unlistedFrom = NOT_FOUND;
    relation.indexesWait = false;
    dropListing();
    return STATUS_DONE;
  }
  const index = indexAt(relation, indexNumber);
  // One that waits takes all rows, one that others found already the new ones.
  indexedFrom = index.ready ? min(relation.top, relation.unlistedFrom) : 0;
  index.ready = true;
  rowCount = relation.top - indexedFrom;
  if (rowCount == 0) return nextIndex();
  keys = createNumbering();
  rowKeys = allocate(rowCount << 2);
  if (changetype<usize>(keys) == 0 || rowKeys == 0) return STATUS_OUT_OF_MEMORY;
  at = indexedFrom;
  stage = STAGE_KEYS;
  return STATUS_MORE;
}

function takeKeys(relation: Relation): u32 {
  const index = indexAt(relation, indexNumber);
  const end = min(relation.top, at + SLICE_ROWS);
  countSteps(end - at);
  if (index.columnCount != 1) {
    for (; at < end; at++) {
      if ((load<u32>(rowAddress(relation, at)) & ROW_USED) == 0) continue;
      store<u32>(oneId, at);
      if (!addRowsToIndex(index, oneId, 1)) return STATUS_OUT_OF_MEMORY;
    }
    if (at < relation.top) return STATUS_MORE;
    return nextIndex();
  }
  const column = load<u32>(index.columns) << 2;
  const from = indexedFrom;
  for (; at < end; at++) {
    const row = rowAddress(relation, at);
    // Of rows that were loaded, those that were there already left holes.
    let key = NOT_FOUND;
    if ((load<u32>(row) & ROW_USED) != 0) {
      key = addNumber(keys, load<u32>(row + relation.cellsAt + column));
      if (key == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
    }
    store<u32>(rowKeys + ((at - from) << 2), key);
  }
  if (at < relation.top) return STATUS_MORE;
  return countKeys();
}

const oneId: u32 = memory.data(4, 4) as u32;

function nextIndex(): u32 {
  dropSort();
  indexNumber += 1;
  stage = STAGE_INDEX;
  return STATUS_MORE;
}

/** `starts[key + 1]` is where the key's next row goes; in the end, where the next key's begin. */
function countKeys(): u32 {
  startRoom = (keys.length + 2) << 2;
  starts = allocateZeroed(startRoom);
  ids = allocate(rowCount << 2);
  if (starts == 0 || ids == 0) return STATUS_OUT_OF_MEMORY;
  for (let i: u32 = 0; i < rowCount; i++) {
    const key = load<u32>(rowKeys + (i << 2));
    if (key == NOT_FOUND) continue;
    const place = starts + ((key + 2) << 2);
    store<u32>(place, load<u32>(place) + 1);
  }
  let sum: u32 = 0;
  for (let place = starts + 8; place < starts + startRoom; place += 4) {
    sum += load<u32>(place);
    store<u32>(place, sum);
  }
  stage = STAGE_SORT;
  at = 0;
  return STATUS_MORE;
}

function sortRows(relation: Relation): u32 {
  const end = min(rowCount, at + SLICE_ROWS);
  countSteps(end - at);
  for (; at < end; at++) {
    const key = load<u32>(rowKeys + (at << 2));
    if (key == NOT_FOUND) continue;
    const place = starts + ((key + 1) << 2);
    const to = load<u32>(place);
    store<u32>(place, to + 1);
    store<u32>(ids + (to << 2), indexedFrom + at);
  }
  if (at < rowCount) return STATUS_MORE;
  stage = STAGE_GROUPS;
  at = 0;
  return STATUS_MORE;
}

function fillGroups(relation: Relation): u32 {
  const index: ColumnIndex = indexAt(relation, indexNumber);
  let work: u32 = 0;
  while (at < keys.length && work < SLICE_ROWS) {
    const from = load<u32>(starts + (at << 2));
    const count = load<u32>(starts + ((at + 1) << 2)) - from;
    if (!addRowsToIndex(index, ids + (from << 2), count)) return STATUS_OUT_OF_MEMORY;
    if (memoryLow) return STATUS_OUT_OF_MEMORY;
    work += count;
    at += 1;
  }
  countSteps(work);
  return at < keys.length ? (STATUS_MORE as u32) : nextIndex();
}
