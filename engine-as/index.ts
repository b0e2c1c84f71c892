/*
 * The whole ABI. Numbers in, numbers out; rows and programs go through a request area that the host
 * writes and a response area that it reads. No call traps on what it is given by a user; a call in
 * the wrong order answers STATUS_BAD_CALL. u32 results reach JavaScript signed.
 */
import {
  ABI_VERSION,
  RELATION_DIGEST_ALL,
  RELATION_DIGEST_BASE,
  ROWS_MAX,
  STATUS_BAD_CALL,
  STATUS_DONE,
  STATUS_OUT_OF_MEMORY,
} from './abi';
import { initCalls } from './call';
import { checkAreaAddress, checkRow, textCell, valueCell } from './check';
import { addRelation, dropRelation, initCatalog, relationCount, relationOf } from './catalog';
import { changedCount, changedHandle, initChanges } from './changes';
import { initBest } from './best';
import { initCandidates } from './candidates';
import { collect, collections } from './collector';
import { indexBytes } from './index-store';
import { sweeps } from './dense-sweep';
import { denseUnits, setLayout } from './bits-choice';
import { digestAnew } from './digest';
import { derivations, limitRelation, resultRank } from './emit';
import { fit, initFitting } from './fitting';
import { idSetBytes } from './id-set';
import { intersections, setIntersections } from './intersection';
import { appendAllKept, keptBytes, keptTables } from './kept-bits';
import { stepCount } from './steps';
import { currentUnit, initMaintenance, rounds, touchedRows } from './maintenance';
import { allocate, bytesInUse, initMemory, memoryLow, refillReserve, release } from './memory';
import {
  createOutput,
  destroyOutput,
  nextRowBytes,
  Output,
  outputRows,
  prepareOutput,
  readOutput,
  rowsWritten,
} from './output';
import {
  boundQuery,
  createQuery,
  destroyQuery,
  initQueries,
  Query,
  queryStatus,
  stepQuery,
} from './query';
import { indexAt, rowBytes } from './relation';
import { isCutShort as cutShort } from './row-codec';
import { initLoads } from './row-load';
import { setSabotage } from './sabotage';
import { initSideWeights } from './side-weights';
import * as transaction from './transaction';
import { initValues, internedValues, liveValues } from './value-table';
import { initViews } from './views';

const REQUEST_BYTES_KEPT: u32 = 0x100000;
let request: u32 = 0;
let requestBytes: u32 = 0;

export function abiVersion(): i32 {
  return ABI_VERSION;
}

/** First call of all; `pagesMax` 0: up to 4 GiB. */
export function start(pagesMax: u32): u32 {
  initViews();
  const ok =
    initMemory(pagesMax) &&
    initValues() &&
    initCatalog() &&
    initChanges() &&
    initCandidates() &&
    initCalls() &&
    initSideWeights() &&
    initMaintenance() &&
    initBest() &&
    initFitting() &&
    initLoads() &&
    initQueries();
  return ok ? 0 : STATUS_OUT_OF_MEMORY;
}

/** Address of an area of at least `bytes` bytes, valid until the next call; 0 without memory. */
export function requestArea(bytes: u32): u32 {
  if (bytes <= requestBytes) return request;
  release(request, requestBytes);
  request = allocate(bytes);
  requestBytes = request == 0 ? 0 : bytes;
  return request;
}

/** Gives a large request area back. */
export function shrinkRequestArea(): void {
  if (requestBytes <= REQUEST_BYTES_KEPT) return;
  release(request, requestBytes);
  request = 0;
  requestBytes = 0;
}

/* Relations. */

export function createRelation(arity: u32, flags: u32, rowsMax: u32, seed: u64): i32 {
  return addRelation(arity, flags, rowsMax, seed);
}

export function destroyRelation(handle: u32): void {
  dropRelation(handle);
  recover();
}

/** A reader that met the end of memory is gone: the next one may go on. */
function recover(): void {
  if (memoryLow && !transaction.isOpen()) refillReserve();
}

/** Sets how many rows a relation may have; between transactions only. */
export function limitRows(handle: u32, rowsMax: u32): void {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0 || transaction.isOpen()) return;
  relation.rowsMax = min(rowsMax, ROWS_MAX as u32);
}

export function liveRows(handle: u32): u32 {
  const relation = relationOf(handle);
  return changetype<usize>(relation) == 0 ? 0 : relation.live;
}

/** Bytes of a relation's rows, set and indexes. */
export function relationBytes(handle: u32): u32 {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0) return 0;
  let bytes = rowBytes(relation) + idSetBytes(relation.set) + keptBytes(relation);
  for (let i: u32 = 0; i < relation.indexCount; i++) bytes += indexBytes(indexAt(relation, i));
  return bytes;
}

/** Lane of a relation's digest: 0, 1 base rows; 2, 3 all rows. */
export function digestLane(handle: u32, lane: u32): u64 {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0) return 0;
  if (lane == 0) return relation.baseSum;
  if (lane == 1) return relation.baseSum2;
  return lane == 2 ? relation.liveSum : relation.liveSum2;
}

/**
 * Sets which digests a relation keeps and computes them from its rows; between transactions only.
 */
export function setDigest(handle: u32, flags: u32): void {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0 || transaction.isOpen()) return;
  appendAllKept(relation);
  digestAnew(relation, flags & (RELATION_DIGEST_BASE | RELATION_DIGEST_ALL));
}

/** Handle of a relation that the open transaction changed or made, by place; −1 behind the last. */
export function changedRelation(place: u32): i32 {
  return place < changedCount() ? (changedHandle(place) as i32) : -1;
}

/** Entries of a relation's delta in a computed transaction. */
export function deltaRows(handle: u32): u32 {
  const relation = relationOf(handle);
  return changetype<usize>(relation) == 0 ? 0 : relation.delta.length;
}

/* Transactions. */

/** 1 while a transaction is open, also while it commits or rolls back. */
export function isOpen(): u32 {
  return transaction.isOpen() ? 1 : 0;
}

export function begin(): u32 {
  return transaction.begin();
}

export function setProgram(pointer: u32, bytes: u32): u32 {
  return transaction.setProgram(pointer, bytes);
}

/**
 * Answers the row to go on from; `0xffffffff` without memory. Done when that is no more than
 * before.
 */
export function clearBaseRows(handle: u32, from: u32): u32 {
  const relation = relationOf(handle);
  return changetype<usize>(relation) == 0 ? from : transaction.clearBaseRows(relation, from);
}

export function copyBaseRows(handle: u32, to: u32, from: u32): u32 {
  const source = relationOf(handle);
  const target = relationOf(to);
  if (
    changetype<usize>(source) == 0 ||
    changetype<usize>(target) == 0 ||
    source.arity != target.arity
  )
    return from;
  return transaction.copyBaseRows(source, target, from);
}

/** A promise of about so many rows for a new relation, before the first of them. */
export function expectRows(handle: u32, rows: u32): u32 {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0 || !transaction.isOpen()) return STATUS_BAD_CALL;
  return transaction.expectRows(relation, rows);
}

export function changeBaseRows(handle: u32, pointer: u32, bytes: u32, rows: u32, insert: u32): u32 {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0 || !transaction.isOpen()) return STATUS_BAD_CALL;
  return transaction.changeBaseRows(relation, pointer, bytes, rows, insert != 0);
}

/** What the last `changeBaseRows` took, and whether its bytes ended within a row. */
export function rowsTaken(): u32 {
  return transaction.rowsTaken;
}

export function bytesTaken(): u32 {
  return transaction.bytesTaken;
}

export function isCutShort(): u32 {
  return cutShort ? 1 : 0;
}

export function step(budget: u32): u32 {
  return transaction.step(budget as u64);
}

export function commit(): u32 {
  return transaction.commit();
}

export function rollBack(): u32 {
  return transaction.rollBack();
}

/** The unit that the last slice worked at and its round, for progress and statistics. */
export function unitUnderWay(): u32 {
  return currentUnit();
}

export function roundUnderWay(): u32 {
  return rounds;
}

/** Handle of the relation whose limit ended the transaction. */
export function limitedRelation(): u32 {
  return limitRelation;
}

/* Output. */

export function openOutput(kind: u32, handle: u32, other: u32): u32 {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0) return 0;
  return changetype<usize>(createOutput(kind, relation, relationOf(other))) as u32;
}

export function prepareRows(output: u32): u32 {
  return prepareOutput(changetype<Output>(output as usize));
}

export function rowCount(output: u32): u32 {
  return outputRows(changetype<Output>(output as usize));
}

export function readRows(output: u32, to: u32, room: u32, rows: u32): u32 {
  return readOutput(changetype<Output>(output as usize), to, room, rows);
}

export function rowsRead(): u32 {
  return rowsWritten;
}

export function rowBytesNext(output: u32): u32 {
  return nextRowBytes(changetype<Output>(output as usize));
}

export function closeOutput(output: u32): void {
  destroyOutput(changetype<Output>(output as usize));
  recover();
}

/* Queries. */

/**
 * A query's address, or 0: `queryFailure` says why. Its answer's relation was made LOCAL by the
 * host.
 */
export function openQuery(pointer: u32, bytes: u32): u32 {
  return changetype<usize>(createQuery(pointer, bytes)) as u32;
}

export function queryFailure(): u32 {
  return queryStatus;
}

/** Before its first run: its bounded steps see only rows of ranks below this. */
export function boundQueryRank(query: u32, rankBelow: u32): void {
  boundQuery(changetype<Query>(query as usize), rankBelow);
}

/** 1 + the largest rank in the body of the row that the last slice of a query found last. */
export function bodyRankFound(): u32 {
  return resultRank;
}

export function runQuery(query: u32, budget: u32): u32 {
  return stepQuery(changetype<Query>(query as usize), budget as u64);
}

export function isTruncated(query: u32): u32 {
  return changetype<Query>(query as usize).truncated ? 1 : 0;
}

export function closeQuery(query: u32): void {
  destroyQuery(changetype<Query>(query as usize));
}

/** Counts what voids queries and outputs under way: one that sees it change starts again. */
export function commitCount(): u32 {
  return transaction.commits;
}

/* Point checks (check.ts). */

/** Address of the area for the cells and the text of a row; it stays where it is. */
export function checkArea(): u32 {
  return checkAreaAddress();
}

export function findText(length: u32): u32 {
  return textCell(length);
}

export function findValue(pointer: u32, length: u32): u32 {
  return valueCell(pointer, length);
}

/** 1: the row of the cells in the area is there; 0: it is not; 2: memory ended. */
export function hasRow(handle: u32): u32 {
  return checkRow(handle);
}

/* Care and statistics. */

export function collectValues(rows: u32): u32 {
  return collect(rows);
}

/** A slice of making tables fit their rows; to be called between transactions until it is done. */
export function fitTables(ids: u32): u32 {
  return transaction.isOpen() ? STATUS_DONE : fit(ids);
}

export function collectionCount(): u32 {
  return collections;
}

export function valueCount(): u32 {
  return liveValues;
}

/** Values interned anew since the engine started. */
export function internedCount(): u64 {
  return internedValues;
}

export function memoryInUse(): u64 {
  return bytesInUse;
}

export function derivationCount(): u64 {
  return derivations;
}

export function stepsDone(): u64 {
  return stepCount;
}

export function touchedCount(): u64 {
  return touchedRows;
}

export function relationSlots(): u32 {
  return relationCount();
}

/** How recursive units are evaluated from scratch (dense.ts): for tests and measurements. */
export function chooseLayout(choice: u32): void {
  setLayout(choice);
}

/** Where groups are intersected (intersection.ts): for tests and measurements. */
export function chooseIntersections(choice: u32): void {
  setIntersections(choice);
}

/** Openings of intersections that asked for marks. */
export function intersectionCount(): u64 {
  return intersections;
}

/** Recursive units that were evaluated over bits. */
export function denseUnitCount(): u32 {
  return denseUnits;
}

/** Those of them that went row by row (dense-sweep.ts), and tables left as bits (kept-bits.ts). */
export function sweepCount(): u32 {
  return sweeps;
}

export function keptTableCount(): u32 {
  return keptTables;
}

/** Breaks a mechanism on purpose (maintenance.ts): for tests that show what it is for. */
export function sabotage(kind: u32): void {
  setSabotage(kind);
}
