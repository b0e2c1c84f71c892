/*
 * Rows of best tables: of each group (all columns but one) the row with the smallest, or largest,
 * value is LIVE, and nothing else. Rows that are held (base rows, exit rules) stay behind it, not
 * LIVE, until they are the best.
 *
 * What is to be done with rows waits in a heap, the best value first, of equal values the smaller
 * rank: an OFFER may become its group's row, a CHECK asks whether a LIVE row still has support.
 * A rule never gives a better value than those it reads, so all rows before the first entry are
 * settled. best.ts takes the entries out.
 */
import { ROW_LIVE, ROW_QUEUED, STATUS_OUT_OF_MEMORY } from './abi';
import {
  findGroup,
  GROUP_ID_MASK,
  groupChunk,
  groupEnd,
  groupIds,
  openChunk,
} from './column-index';
import { ColumnIndex } from './index-store';
import { NOT_FOUND } from './id-set';
import { findRow, insertRow, touch } from './relation';
import { rankAt, Relation, rowAddress } from './row-store';
import { sabotage, SABOTAGE_TIES } from './sabotage';
import { compareCells } from './value-table';
import { clearVector, createVector, push, reserveWords, setWordAt, Vector, wordAt } from './vector';

export const CHECK: u32 = 0;
export const OFFER: u32 = 1;

/** Words of an entry: value, rank, kind, relation, id. */
const ENTRY_WORDS: u32 = 5;

let heap: Vector = changetype<Vector>(0);
/** All best tables of a unit look for the same end. */
let isMax: bool = false;
/** Support of a row must stay under these (`isUnderBound`). */
let boundValue: u32 = 0;
let boundRank: u32 = 0;
const keyBuffer: u32 = memory.data(64 * 4, 8) as u32;

export function initBestRows(): bool {
  heap = createVector();
  return changetype<usize>(heap) != 0;
}

export function setDirection(largest: bool): void {
  isMax = largest;
}

export function entryCount(): u32 {
  return heap.length / ENTRY_WORDS;
}
export function firstValue(): u32 {
  return wordAt(heap, 0);
}
export function firstRank(): u32 {
  return wordAt(heap, 1);
}
export function firstKind(): u32 {
  return wordAt(heap, 2);
}
export function firstRelation(): Relation {
  return changetype<Relation>(wordAt(heap, 3) as usize);
}
export function firstId(): u32 {
  return wordAt(heap, 4);
}

/** Below 0 for the better value; 0 only for equal cells. */
export function compareBest(a: u32, b: u32): i32 {
  if (a == b) return 0;
  const order = compareCells(a, b);
  return isMax ? -order : order;
}

function isBefore(value: u32, rank: u32, kind: u32, other: u32): bool {
  const at = other * ENTRY_WORDS;
  const order = compareBest(value, wordAt(heap, at));
  if (order != 0) return order < 0;
  const otherRank = wordAt(heap, at + 1);
  return rank != otherRank ? rank < otherRank : kind < wordAt(heap, at + 2);
}

function moveEntry(from: u32, to: u32): void {
  for (let i: u32 = 0; i < ENTRY_WORDS; i++)
    setWordAt(heap, to * ENTRY_WORDS + i, wordAt(heap, from * ENTRY_WORDS + i));
}

export function addEntry(kind: u32, relation: Relation, id: u32, rank: u32): bool {
  if (!reserveWords(heap, ENTRY_WORDS)) return false;
  const value = valueOfRow(relation, rowAddress(relation, id));
  let at = entryCount();
  for (let i: u32 = 0; i < ENTRY_WORDS; i++) push(heap, 0);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(value, rank, kind, parent)) break;
    moveEntry(parent, at);
    at = parent;
  }
  const to = at * ENTRY_WORDS;
  setWordAt(heap, to, value);
  setWordAt(heap, to + 1, rank);
  setWordAt(heap, to + 2, kind);
  setWordAt(heap, to + 3, changetype<usize>(relation) as u32);
  setWordAt(heap, to + 4, id);
  return true;
}

/** Takes the first entry out; a row that waits for a check is no longer marked. */
export function dropEntry(): void {
  if (firstKind() == CHECK) unmark(0);
  const last = entryCount() - 1;
  let at: u32 = 0;
  while (true) {
    let child = (at << 1) + 1;
    if (child >= last) break;
    if (child + 1 < last && isEntryBefore(child + 1, child)) child += 1;
    if (!isEntryBefore(child, last)) break;
    moveEntry(child, at);
    at = child;
  }
  moveEntry(last, at);
  heap.length -= ENTRY_WORDS;
}

function isEntryBefore(entry: u32, other: u32): bool {
  const at = entry * ENTRY_WORDS;
  return isBefore(wordAt(heap, at), wordAt(heap, at + 1), wordAt(heap, at + 2), other);
}

function unmark(entry: u32): void {
  const at = entry * ENTRY_WORDS;
  const relation = changetype<Relation>(wordAt(heap, at + 3) as usize);
  const row = rowAddress(relation, wordAt(heap, at + 4));
  store<u32>(row, load<u32>(row) & ~ROW_QUEUED);
}

/** Gives up: no row waits any more. */
export function dropEntries(): void {
  for (let entry: u32 = 0; entry < entryCount(); entry++)
    if (wordAt(heap, entry * ENTRY_WORDS + 2) == CHECK) unmark(entry);
  clearVector(heap);
}

export function valueOfRow(relation: Relation, row: u32): u32 {
  return load<u32>(row + relation.cellsAt + ((relation.bestColumn - 1) << 2));
}

export function setBound(value: u32, rank: u32): void {
  boundValue = value;
  boundRank = rank;
}

/** True for a row that may support the bound: of a better value, or of a smaller rank with it. */
export function isUnderBound(relation: Relation, row: u32, rank: u32): bool {
  const order = compareBest(valueOfRow(relation, row), boundValue);
  if (order != 0) return order < 0;
  return rank < boundRank || sabotage == SABOTAGE_TIES;
}

/* The rows of a group: chunks of an index, or all rows of a table that is one group. */

let walked: Relation = changetype<Relation>(0);
/** The next id, for a table that is one group; else its address, the end there, and the chunk. */
let place: u32 = 0;
let end: u32 = 0;
let chunk: u32 = 0;
let only: u32 = NOT_FOUND;
let left: u32 = 0;

/** Starts a walk over the rows of the group that these cells belong to; answers their number. */
export function walkGroup(relation: Relation, cells: u32): u32 {
  walked = relation;
  place = 0;
  end = 0;
  only = NOT_FOUND;
  left = relation.top;
  if (relation.groupIndex == 0) return left;
  const index = changetype<ColumnIndex>(relation.groupIndex as usize);
  for (let i: u32 = 0; i < index.columnCount; i++) {
    const column = load<u32>(index.columns + (i << 2));
    store<u32>(keyBuffer + (i << 2), load<u32>(cells + (column << 2)));
  }
  left = findGroup(index, keyBuffer);
  place = groupIds;
  end = groupEnd;
  chunk = groupChunk;
  if (left == 1) only = load<u32>(place);
  return left;
}

/** The next row's id, or NOT_FOUND; no row may come in between. */
export function nextOfGroup(): u32 {
  if (left == 0) return NOT_FOUND;
  left -= 1;
  if (end == 0) return place++;
  if (only != NOT_FOUND) return only;
  if (place == end) {
    openChunk(load<u32>(chunk));
    place = groupIds;
    end = groupEnd;
    chunk = groupChunk;
  }
  const id = load<u32>(place) & GROUP_ID_MASK;
  place += 4;
  return id;
}

/** The LIVE row of a group; NOT_FOUND where it has none. */
export function bestOfGroup(relation: Relation, cells: u32): u32 {
  walkGroup(relation, cells);
  let id = nextOfGroup();
  while (id != NOT_FOUND && (load<u32>(rowAddress(walked, id)) & ROW_LIVE) == 0) id = nextOfGroup();
  return id;
}

/** A rule gave a row: it waits, unless the group has one as good. */
export function offerRow(relation: Relation, cells: u32, hash: u32, rank: u32): u32 {
  const best = bestOfGroup(relation, cells);
  const value = load<u32>(cells + ((relation.bestColumn - 1) << 2));
  if (best != NOT_FOUND) {
    if (compareBest(value, valueOfRow(relation, rowAddress(relation, best))) >= 0) return 0;
  }
  let id = findRow(relation, cells, hash);
  if (id == NOT_FOUND) {
    id = insertRow(relation, cells, hash);
    if (id == NOT_FOUND) return STATUS_OUT_OF_MEMORY;
    if (!touch(relation, id, rowAddress(relation, id))) return STATUS_OUT_OF_MEMORY;
  }
  return addEntry(OFFER, relation, id, rank) ? 0 : STATUS_OUT_OF_MEMORY;
}

/** An instance is lost: its head may have lost its support. */
export function doubtRow(relation: Relation, cells: u32, hash: u32): u32 {
  const id = findRow(relation, cells, hash);
  if (id == NOT_FOUND) return 0;
  const row = rowAddress(relation, id);
  return checkRow(relation, id, row);
}

export function checkRow(relation: Relation, id: u32, row: u32): u32 {
  const meta = load<u32>(row);
  if ((meta & (ROW_LIVE | ROW_QUEUED)) != ROW_LIVE) return 0;
  if (!addEntry(CHECK, relation, id, rankAt(relation, row))) return STATUS_OUT_OF_MEMORY;
  store<u32>(row, meta | ROW_QUEUED);
  return 0;
}
