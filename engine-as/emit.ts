/*
 * What happens to a head row that a rule derived: counted, inserted, queued as a candidate, or
 * taken as the answer to "is there support?". Which of these is the machine's mode, set by whoever
 * runs it.
 */
import {
  ARITY_MAX,
  ROW_BASE,
  ROW_LIVE,
  ROW_PENDING,
  ROW_QUEUED,
  ROW_USED,
  STATUS_OUT_OF_MEMORY,
  STATUS_ROWS_LIMIT,
  WEIGHT_BITS,
  WEIGHT_SHIFT,
} from './abi';
import { streamRow } from './aggregate-stream';
import { doubtRow, offerRow } from './best-rows';
import { hashCells } from './hash';
import { CACHED_IDS, firstIn, homeBucket, NOT_FOUND } from './id-set';
import { memoryLow } from './memory';
import { nearAddresses } from './near';
import { queueCandidate } from './candidates';
import { appendRows, findRow, freeRowAfter, hasCells, insertRow, touch } from './relation';
import { rankAt, Relation, rowAddress, setRankAt } from './row-store';
import { sabotage, SABOTAGE_FIRST_FOUND } from './sabotage';
import { push } from './vector';
import { addToSideWeight } from './side-weights';

/** Counting stratum: the weight changes by the sign; LIVE follows at the end of the unit. */
export const MODE_COUNT: u32 = 0;
/** Counting stratum from scratch: the row is LIVE at once. */
export const MODE_COUNT_FRESH: u32 = 1;
/** Exit rule of a recursive stratum from scratch: weight up, LIVE and pending at rank 0. */
export const MODE_EXIT_FRESH: u32 = 2;
/** Recursive rule: a row that is not LIVE becomes so, pending, ranked above its body. */
export const MODE_INSERT: u32 = 3;
/** A derivation is lost: its head may have lost its support. */
export const MODE_CANDIDATE: u32 = 4;
/** The first derivation ends the run. */
export const MODE_SUPPORT: u32 = 5;
/** Distinct rows of an answer. */
export const MODE_RESULT: u32 = 6;
/** Rows from outside: the BASE flag is set, or taken away. */
export const MODE_BASE: u32 = 7;
export const MODE_NO_BASE: u32 = 8;
/** Best tables: a row that may become its group's, and one that may have lost its support. */
export const MODE_OFFER: u32 = 9;
export const MODE_DOUBT: u32 = 10;
/** A solution that an aggregate takes as it is; the head has no rows. */
export const MODE_AGGREGATE: u32 = 11;
/** Counting stratum from scratch by one rule that gives each row once: they are only appended. */
export const MODE_APPEND: u32 = 12;

const WEIGHT_ONE: u32 = 1 << WEIGHT_SHIFT;
const WEIGHT_TOP: u32 = 0xffffffff << WEIGHT_SHIFT;
const FLAGS: u32 = (1 << WEIGHT_SHIFT) - 1;
/** Step of the side table: a whole low weight. */
const CARRY: i64 = 1 << WEIGHT_BITS;

/** Head rows that rules gave since the engine started; for benchmarks. */
export let derivations: u64 = 0;
/** Set by `emit` for MODE_SUPPORT. */
export let supportRank: u32 = 0;
/** Relation whose limit was exceeded. */
export let limitRelation: u32 = 0;

/** Adds ±1 to a weight; what does not fit 24 bits is carried into the side table. */
function addWeight(relation: Relation, id: u32, row: u32, sign: i32): bool {
  const meta = load<u32>(row);
  if (sign > 0) {
    if ((meta & WEIGHT_TOP) == WEIGHT_TOP) {
      if (!addToSideWeight(relation, id, CARRY)) return false;
      store<u32>(row, meta & FLAGS);
      return true;
    }
    store<u32>(row, meta + WEIGHT_ONE);
    return true;
  }
  if (meta >> WEIGHT_SHIFT == 0) {
    if (!addToSideWeight(relation, id, -CARRY)) return false;
    store<u32>(row, meta | WEIGHT_TOP);
    return true;
  }
  store<u32>(row, meta - WEIGHT_ONE);
  return true;
}

export function countNew(relation: Relation): u32 {
  relation.liveNew += 1;
  return checkRows(relation);
}

/** 0, or STATUS_ROWS_LIMIT for a relation with more rows than its limit. */
export function checkRows(relation: Relation): u32 {
  if (relation.liveNew <= relation.rowsMax) return 0;
  limitRelation = relation.handle;
  return STATUS_ROWS_LIMIT;
}

/** The id of a row with these cells, inserted if need be; NOT_FOUND without memory. */
function findOrInsert(relation: Relation, cells: u32, hash: u32): u32 {
  const id = findRow(relation, cells, hash);
  return id != NOT_FOUND ? id : insertNew(relation, cells, hash);
}

function insertNew(relation: Relation, cells: u32, hash: u32): u32 {
  const id = insertRow(relation, cells, hash);
  if (id == NOT_FOUND) return id;
  return touch(relation, id, rowAddress(relation, id)) ? id : NOT_FOUND;
}

function emitCount(relation: Relation, cells: u32, hash: u32, sign: i32, fresh: bool): u32 {
  const id = findOrInsert(relation, cells, hash);
  if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
  const row = rowAddress(relation, id);
  if (!touch(relation, id, row) || !addWeight(relation, id, row, sign)) return STATUS_OUT_OF_MEMORY;
  if (!fresh) return 0;
  const meta = load<u32>(row);
  if ((meta & ROW_LIVE) != 0) return 0;
  store<u32>(row, meta | ROW_LIVE);
  return countNew(relation);
}

/** Makes a row LIVE with a rank and queues it for the next round. */
export function reviveRow(relation: Relation, id: u32, row: u32, rank: u32): u32 {
  if (!touch(relation, id, row) || !push(relation.pending, (id << 1) | 1))
    return STATUS_OUT_OF_MEMORY;
  store<u32>(row, load<u32>(row) | ROW_LIVE | ROW_PENDING);
  setRankAt(relation, row, rank);
  return countNew(relation);
}

/** Counts head rows that were given again, and are there. */
export function countRepeated(rows: u32): void {
  derivations += rows;
}

/** Counts LIVE rows that were appended as they are. */
export function countAppended(relation: Relation, rows: u32, rank: u32): u32 {
  derivations += rows;
  relation.liveNew += rows;
  if (rank > relation.maxRank) relation.maxRank = rank;
  return memoryLow ? STATUS_OUT_OF_MEMORY : checkRows(relation);
}

/**
 * A row that is not LIVE and that an evaluation over bits found: LIVE with its rank, and in the
 * list of pending rows, but without that flag.
 */
export function placeNew(relation: Relation, cells: u32, rank: u32): u32 {
  const hash = hashCells(cells, relation.arity);
  const id = findOrInsert(relation, cells, hash);
  if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
  const row = rowAddress(relation, id);
  if (!touch(relation, id, row) || !push(relation.pending, (id << 1) | 1))
    return STATUS_OUT_OF_MEMORY;
  store<u32>(row, load<u32>(row) | ROW_LIVE);
  setRankAt(relation, row, rank);
  derivations += 1;
  return memoryLow ? STATUS_OUT_OF_MEMORY : countNew(relation);
}

function emitExitFresh(relation: Relation, cells: u32, hash: u32): u32 {
  const id = findOrInsert(relation, cells, hash);
  if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
  const row = rowAddress(relation, id);
  if (!touch(relation, id, row) || !addWeight(relation, id, row, 1)) return STATUS_OUT_OF_MEMORY;
  if ((load<u32>(row) & ROW_LIVE) != 0) return 0;
  return reviveRow(relation, id, row, 0);
}

function emitInsert(relation: Relation, cells: u32, hash: u32, rank: u32): u32 {
  let id = findRow(relation, cells, hash);
  if (id == NOT_FOUND) {
    id = insertNew(relation, cells, hash);
    if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
    return reviveRow(relation, id, rowAddress(relation, id), rank);
  }
  const row = rowAddress(relation, id);
  if ((load<u32>(row) & ROW_LIVE) != 0) return 0;
  return reviveRow(relation, id, row, rank);
}

function emitCandidate(relation: Relation, cells: u32, hash: u32, bodyRank: u32): u32 {
  const id = findRow(relation, cells, hash);
  if (id == NOT_FOUND) return 0;
  const row = rowAddress(relation, id);
  const meta = load<u32>(row);
  if ((meta & (ROW_LIVE | ROW_QUEUED)) != ROW_LIVE) return 0;
  const rank = rankAt(relation, row);
  // `bodyRank` is 1 + the largest rank in the body: an instance supports only heads from there on.
  if (rank < bodyRank) return 0;
  store<u32>(row, meta | ROW_QUEUED);
  return queueCandidate(relation, id, rank) ? 0 : STATUS_OUT_OF_MEMORY;
}

/** Of the last row of an answer: 1 + the largest rank in the body that gave it first. */
export let resultRank: u32 = 0;

function emitResult(relation: Relation, cells: u32, hash: u32, rank: u32): u32 {
  if (findRow(relation, cells, hash) != NOT_FOUND) return 0;
  const id = insertRow(relation, cells, hash);
  if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
  resultRank = rank;
  const row = rowAddress(relation, id);
  store<u32>(row, load<u32>(row) | ROW_LIVE);
  return countNew(relation);
}

function changeBase(relation: Relation, cells: u32, hash: u32, isBase: bool): u32 {
  const id = isBase ? findOrInsert(relation, cells, hash) : findRow(relation, cells, hash);
  if (id == NOT_FOUND) return isBase ? STATUS_OUT_OF_MEMORY : 0;
  const row = rowAddress(relation, id);
  if (((load<u32>(row) & ROW_BASE) != 0) == isBase) return 0;
  if (!touch(relation, id, row)) return STATUS_OUT_OF_MEMORY;
  store<u32>(row, load<u32>(row) ^ ROW_BASE);
  return 0;
}

function place(mode: u32, relation: Relation, cells: u32, hash: u32, sign: i32, rank: u32): u32 {
  switch (mode as i32) {
    case MODE_COUNT:
      return emitCount(relation, cells, hash, sign, false);
    case MODE_COUNT_FRESH:
      return emitCount(relation, cells, hash, 1, true);
    case MODE_EXIT_FRESH:
      return emitExitFresh(relation, cells, hash);
    case MODE_INSERT:
      return emitInsert(relation, cells, hash, rank);
    case MODE_CANDIDATE:
      return emitCandidate(relation, cells, hash, rank);
    case MODE_OFFER:
      return offerRow(relation, cells, hash, rank);
    case MODE_DOUBT:
      return doubtRow(relation, cells, hash);
    case MODE_BASE:
    case MODE_NO_BASE:
      return changeBase(relation, cells, hash, mode == MODE_BASE);
    default:
      return emitResult(relation, cells, hash, rank);
  }
}

/*
 * Head rows are placed in blocks: a probe of a large set waits for memory twice, for the bucket and
 * for the row behind it. All buckets of a block are touched first, then all rows, so that waits
 * overlap (wasm has no prefetch instruction). No step of a run sees rows that it emitted, so late
 * is as good.
 */
export const BLOCK_ROWS: u32 = 64;
const blockCells: u32 = memory.data(BLOCK_ROWS * ARITY_MAX * 4, 8) as u32;
/**
 * Per row: hash, rank, sign, the address that is brought near next (its bucket, then a row), the id
 * that its hash finds first.
 */
const RECORD_BYTES: u32 = 20;
const blockRows: u32 = memory.data(64 * 20, 8) as u32;
let blockLength: u32 = 0;

/** Where the cells of the next head row go. */
export function nextCells(arity: u32): u32 {
  return blockCells + blockLength * (arity << 2);
}

/**
 * Takes the row at `nextCells`. `rank`: 1 + the largest rank of the body's component rows, 0
 * for a body without any. 0: go on; any other status ends the run.
 */
export function emit(mode: u32, relation: Relation, sign: i32, rank: u32): u32 {
  if (mode < MODE_BASE || mode > MODE_NO_BASE) derivations += 1;
  if (mode == MODE_SUPPORT) {
    supportRank = rank;
    return 0;
  }
  const at = blockRows + blockLength * RECORD_BYTES;
  store<u32>(at, rank, 4);
  store<i32>(at, sign, 8);
  blockLength += 1;
  return blockLength == BLOCK_ROWS ? flushBlock(mode, relation) : 0;
}

/** Hashes the block's rows and, for a large set, brings their buckets and then their rows near. */
function hashBlock(relation: Relation): void {
  const arity = relation.arity;
  const set = relation.set;
  const end = blockRows + blockLength * RECORD_BYTES;
  const isNear = set.used < CACHED_IDS;
  let cells = blockCells;
  for (let at = blockRows; at < end; at += RECORD_BYTES) {
    const hash = hashCells(cells, arity);
    store<u32>(at, hash);
    if (!isNear) store<u32>(at, homeBucket(set, hash), 12);
    store<u32>(at, NOT_FOUND, 16);
    cells += arity << 2;
  }
  if (isNear) return;
  nearAddresses(blockRows, end, RECORD_BYTES, 12);
  let missing: u32 = 0;
  for (let at = blockRows; at < end; at += RECORD_BYTES) {
    const found = firstIn(load<u32>(at, 12), load<u32>(at));
    if (found == 0) {
      // A row to be inserted, most likely: its place is the next one that is free.
      store<u32>(at, freeRowAfter(relation, missing), 12);
      missing += 1;
      continue;
    }
    store<u32>(at, rowAddress(relation, found - 1), 12);
    store<u32>(at, found - 1, 16);
  }
  nearAddresses(blockRows, end, RECORD_BYTES, 12);
}

/** The id of a row of the block: what its hash found first, or after another search. */
function findOfBlock(relation: Relation, cells: u32, at: u32): u32 {
  const first = load<u32>(at, 16);
  if (first != NOT_FOUND) {
    if (hasCells(relation, first, cells) || sabotage == SABOTAGE_FIRST_FOUND) return first;
  }
  return findRow(relation, cells, load<u32>(at));
}

/** Most head rows of recursive rules are known: these are dropped here, the others are inserted. */
function insertBlock(relation: Relation): u32 {
  const bytes = relation.arity << 2;
  let cells = blockCells;
  const end = blockRows + blockLength * RECORD_BYTES;
  for (let at = blockRows; at < end; at += RECORD_BYTES) {
    const id = findOfBlock(relation, cells, at);
    if (id == NOT_FOUND || (load<u32>(rowAddress(relation, id)) & ROW_LIVE) == 0) {
      const status = emitInsert(relation, cells, load<u32>(at), load<u32>(at, 4));
      if (status != 0) return status;
      if (memoryLow) return STATUS_OUT_OF_MEMORY;
    }
    cells += bytes;
  }
  return 0;
}

/** The same for counting from scratch, where most rows are new or are counted once more. */
function countBlock(relation: Relation): u32 {
  const bytes = relation.arity << 2;
  let cells = blockCells;
  const end = blockRows + blockLength * RECORD_BYTES;
  for (let at = blockRows; at < end; at += RECORD_BYTES, cells += bytes) {
    const hash = load<u32>(at);
    let id = findOfBlock(relation, cells, at);
    if (id == NOT_FOUND) {
      id = insertRow(relation, cells, hash);
      if (id == NOT_FOUND || memoryLow) return STATUS_OUT_OF_MEMORY;
      store<u32>(rowAddress(relation, id), ROW_USED | ROW_LIVE | WEIGHT_ONE);
      relation.liveNew += 1;
      continue;
    }
    const row = rowAddress(relation, id);
    const meta = load<u32>(row);
    if ((meta & ROW_LIVE) != 0 && (meta & WEIGHT_TOP) != WEIGHT_TOP) {
      store<u32>(row, meta + WEIGHT_ONE);
      continue;
    }
    const status = emitCount(relation, cells, hash, 1, true);
    if (status != 0) return status;
    if (memoryLow) return STATUS_OUT_OF_MEMORY;
  }
  return checkRows(relation);
}

/** The same for changes: each row's weight by its sign. */
function changeBlock(relation: Relation): u32 {
  const bytes = relation.arity << 2;
  let cells = blockCells;
  const end = blockRows + blockLength * RECORD_BYTES;
  for (let at = blockRows; at < end; at += RECORD_BYTES, cells += bytes) {
    let id = findOfBlock(relation, cells, at);
    if (id == NOT_FOUND) id = insertNew(relation, cells, load<u32>(at));
    if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
    const row = rowAddress(relation, id);
    if (!touch(relation, id, row) || !addWeight(relation, id, row, load<i32>(at, 8)))
      return STATUS_OUT_OF_MEMORY;
    if (memoryLow) return STATUS_OUT_OF_MEMORY;
  }
  return 0;
}

function aggregateBlock(relation: Relation): u32 {
  const bytes = relation.arity << 2;
  for (let i: u32 = 0; i < blockLength; i++) {
    const status = streamRow(blockCells + i * bytes, load<i32>(blockRows + i * RECORD_BYTES, 8));
    if (status != 0) return status;
    if (memoryLow) return STATUS_OUT_OF_MEMORY;
  }
  return 0;
}

function appendBlock(relation: Relation): u32 {
  const meta = ROW_USED | ROW_LIVE | WEIGHT_ONE;
  if (!appendRows(relation, blockCells, blockLength, meta)) return STATUS_OUT_OF_MEMORY;
  relation.liveNew += blockLength;
  return memoryLow ? STATUS_OUT_OF_MEMORY : checkRows(relation);
}

function placeBlock(mode: u32, relation: Relation): u32 {
  const bytes = relation.arity << 2;
  for (let i: u32 = 0; i < blockLength; i++) {
    const at = blockRows + i * RECORD_BYTES;
    const cells = blockCells + i * bytes;
    const status = place(mode, relation, cells, load<u32>(at), load<i32>(at, 8), load<u32>(at, 4));
    if (status != 0) return status;
    if (memoryLow) return STATUS_OUT_OF_MEMORY;
  }
  return 0;
}

/** Forgets the rows that wait: the run has failed, and the next one has other rows. */
export function dropBlock(): void {
  blockLength = 0;
}

/** Places the rows that wait; called before a run ends or pauses. */
export function flushBlock(mode: u32, relation: Relation): u32 {
  if (blockLength == 0) return 0;
  let status: u32;
  if (mode == MODE_AGGREGATE || mode == MODE_APPEND) {
    status = mode == MODE_APPEND ? appendBlock(relation) : aggregateBlock(relation);
    blockLength = 0;
    return status;
  }
  hashBlock(relation);
  if (mode == MODE_INSERT) status = insertBlock(relation);
  else if (mode == MODE_COUNT) status = changeBlock(relation);
  else if (mode == MODE_COUNT_FRESH && relation.fresh) status = countBlock(relation);
  else status = placeBlock(mode, relation);
  blockLength = 0;
  return status;
}

/** Places one row at once. */
export function emitNow(mode: u32, relation: Relation, cells: u32, sign: i32): u32 {
  const status = place(mode, relation, cells, hashCells(cells, relation.arity), sign, 0);
  return status == 0 && memoryLow ? STATUS_OUT_OF_MEMORY : status;
}
