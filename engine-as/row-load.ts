/*
 * Many base rows into a new table. They are appended as they come, and looked for afterwards, all
 * together: by shard of their hash, so that the buckets of one shard and little else is in the
 * cache while its rows are put there. A row that is there already is dropped again. Indexes are
 * built behind that (listing.ts).
 *
 * Between its first row and the end of `stepLoads` a table that loads has rows that its set does
 * not know; only this file and `appendBase` touch it then.
 */
import { STATUS_DONE, STATUS_MORE, STATUS_OUT_OF_MEMORY } from './abi';
import { hashCells } from './hash';
import { NOT_FOUND, putId, putIfFirst, reserveShard, spreadSet } from './id-set';
import { countSteps } from './steps';
import { allocate, release } from './memory';
import { findRow, freeRow, indexAt } from './relation';
import { Relation, rowAddress } from './row-store';
import { clearVector, createVector, push, Vector, wordAt } from './vector';

/** Fewer rows are looked for one by one. */
const ROWS_MIN: u32 = 0x1000;
const SLICE_ROWS: u32 = 0x4000;
const SHARD_COUNT: u32 = 256;

const STAGE_START: u32 = 0;
const STAGE_COUNT: u32 = 1;
const STAGE_SORT: u32 = 2;
const STAGE_FILL: u32 = 3;

/** Tables that load. */
let loads: Vector = changetype<Vector>(0);
let stage: u32 = STAGE_START;
let at: u32 = 0;
/** Pairs of id and hash, by shard. */
let pairs: u32 = 0;
let pairBytes: u32 = 0;
/** Per shard: first its rows, then the address behind its last pair so far. */
const shardWords: u32 = memory.data(256 * 4, 4) as u32;

export function initLoads(): bool {
  loads = createVector();
  return changetype<usize>(loads) != 0;
}

/** Before `rows` rows for a table without rows, made in this transaction. */
export function beginLoad(relation: Relation, rows: u32): bool {
  if (rows < ROWS_MIN) return true;
  if (!push(loads, changetype<usize>(relation) as u32)) return false;
  relation.loading = true;
  relation.indexesWait = true;
  for (let i: u32 = 0; i < relation.indexCount; i++) indexAt(relation, i).ready = false;
  return true;
}

/** The transaction ends: no table loads. */
export function dropLoads(): void {
  dropPairs();
  clearVector(loads);
}

function dropPairs(): void {
  release(pairs, pairBytes);
  pairs = 0;
  stage = STAGE_START;
}

/** Before a table is looked at otherwise: ends all loads at once. False without memory. */
export function endLoads(): bool {
  let status = STATUS_MORE as u32;
  while (status == STATUS_MORE) status = stepLoads();
  return status == STATUS_DONE;
}

/** A slice of what is left to do: STATUS_MORE, STATUS_DONE, or STATUS_OUT_OF_MEMORY. */
export function stepLoads(): u32 {
  if (loads.length == 0) return STATUS_DONE;
  const relation = changetype<Relation>(wordAt(loads, loads.length - 1) as usize);
  switch (stage as i32) {
    case STAGE_START:
      return start(relation);
    case STAGE_COUNT:
      return countRows(relation);
    case STAGE_SORT:
      return sortRows(relation);
    default:
      return fillShards(relation);
  }
}

function start(relation: Relation): u32 {
  pairBytes = relation.top << 3;
  pairs = allocate(pairBytes);
  if (pairs == 0 || !spreadSet(relation.set)) return STATUS_OUT_OF_MEMORY;
  memory.fill(shardWords, 0, SHARD_COUNT << 2);
  stage = STAGE_COUNT;
  at = 0;
  return STATUS_MORE;
}

function countRows(relation: Relation): u32 {
  const arity = relation.arity;
  const end = min(relation.top, at + SLICE_ROWS);
  countSteps(end - at);
  for (; at < end; at++) {
    const hash = hashCells(rowAddress(relation, at) + relation.cellsAt, arity);
    const word = shardWords + ((hash >> 24) << 2);
    store<u32>(word, load<u32>(word) + 1);
  }
  if (at < relation.top) return STATUS_MORE;
  let first = pairs;
  for (let i: u32 = 0; i < SHARD_COUNT; i++) {
    const rows = load<u32>(shardWords + (i << 2));
    if (!reserveShard(relation.set, i, rows)) return STATUS_OUT_OF_MEMORY;
    store<u32>(shardWords + (i << 2), first);
    first += rows << 3;
  }
  stage = STAGE_SORT;
  at = 0;
  return STATUS_MORE;
}

function sortRows(relation: Relation): u32 {
  const arity = relation.arity;
  const end = min(relation.top, at + SLICE_ROWS);
  countSteps(end - at);
  for (; at < end; at++) {
    const hash = hashCells(rowAddress(relation, at) + relation.cellsAt, arity);
    const word = shardWords + ((hash >> 24) << 2);
    const pair = load<u32>(word);
    store<u32>(pair, at);
    store<u32>(pair, hash, 4);
    store<u32>(word, pair + 8);
  }
  if (at < relation.top) return STATUS_MORE;
  stage = STAGE_FILL;
  at = 0;
  return STATUS_MORE;
}

/** Pairs in their order; of equal rows the first one stays. */
function fillShards(relation: Relation): u32 {
  const end = min(pairBytes, at + (SLICE_ROWS << 3));
  for (; at < end; at += 8) {
    const id = load<u32>(pairs + at);
    const hash = load<u32>(pairs + at, 4);
    if (putIfFirst(relation.set, hash, id)) continue;
    const cells = rowAddress(relation, id) + relation.cellsAt;
    if (findRow(relation, cells, hash) == NOT_FOUND) putId(relation.set, hash, id);
    else freeRow(relation, id);
  }
  if (at < pairBytes) return STATUS_MORE;
  relation.loading = false;
  dropPairs();
  loads.length -= 1;
  return STATUS_MORE;
}
