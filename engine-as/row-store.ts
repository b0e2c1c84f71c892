/*
 * One relation: its rows, the set that finds them, its indexes, and what a transaction did to it.
 *
 * Rows stand in segments of 4096 (the first one doubles up to that size) and have an id, their
 * place:
 *
 *   | meta u32 | rank u32, if ranked | cell 0 | cell 1 | …
 *
 * meta holds the flags of abi.ts and, above them, the weight: the number of derivations that are
 * counted (all of them in a counting stratum, those of exit rules in a recursive one).
 *
 * LIVE is the state after the running transaction, OLD the state before it; readers see OLD until
 * the commit point. A row that a transaction changed for the first time is logged in `touched` with
 * its former meta and rank, which is all that a rollback needs. Rows are removed at commit or
 * rollback only, so ids stay valid and cells readable throughout a transaction.
 */
import { RELATION_RANKED } from './abi';
import { IdSet } from './id-set';
import { SEGMENT_MASK, SEGMENT_SHIFT } from './layout';
import { Vector } from './vector';

@unmanaged
export class Relation {
  arity: u32;
  flags: u32;
  stride: u32;
  /** Offset of the first cell in a row. */
  cellsAt: u32;
  directory: u32;
  directoryWords: u32;
  /** Rows there is room for. */
  capacity: u32;
  /** Ids below are in use or in the free list. */
  top: u32;
  /** Ids that are free; those beyond FREE_IDS_MAX are linked, from row to row. */
  free: Vector;
  freeHead: u32;
  /** Rows that readers see (committed) and rows after the running transaction. */
  live: u32;
  liveNew: u32;
  rowsMax: u32;
  set: IdSet;
  indexes: u32;
  indexCount: u32;
  /** Triples: id, former meta, former rank. */
  touched: Vector;
  /** id << 1 | 1 for a row that appeared, id << 1 for one that vanished. */
  delta: Vector;
  pending: Vector;
  recent: Vector;
  /** Of the first relation of a recursive unit: steps of its last evaluation from scratch. */
  scratchSteps: u64;
  /** And whether that was over bits. */
  scratchOverBits: bool;
  /** Made in the running transaction: no undo, no delta, dropped on rollback. */
  fresh: bool;
  /** Base rows are appended that its set does not know yet (row-load.ts). */
  loading: bool;
  /** Rows from here on are in neither the set nor an index yet (listing.ts); NOT_FOUND: none. */
  unlistedFrom: u32;
  /** Its indexes are built when all of its first rows are there (listing.ts). */
  indexesWait: bool;
  /** A program finds rows by their cells or by an index, besides what evaluates the relation. */
  isSearched: bool;
  /** And it goes through all of them. */
  isRead: bool;
  /** Address of the bits that stand for the rest of its rows (kept-bits.ts), else 0. */
  kept: u32;
  /** In the list of what the transaction changed (changes.ts). */
  noted: bool;
  /** Address of the ranks of before, by id, where all may have got others; else 0. */
  formerRanks: u32;
  formerRankCount: u32;
  /** Position in the host's list, for error reports. */
  handle: u32;
  maxRank: u32;
  /** Address of the AggregateState behind an aggregate's output, else 0. */
  aggregateState: u32;
  /** Of a best table (best.ts): the column of its value, plus 1. Else 0. */
  bestColumn: u32;
  /** Address of its index by all other columns; 0 where there are none. */
  groupIndex: u32;
  /** Seed of the digest: hash of the table's name. */
  seed: u64;
  baseSum: u64;
  baseSum2: u64;
  liveSum: u64;
  liveSum2: u64;
}

export function rowAddress(relation: Relation, id: u32): u32 {
  return (
    load<u32>(relation.directory + ((id >> SEGMENT_SHIFT) << 2)) +
    (id & SEGMENT_MASK) * relation.stride
  );
}

export function rankAt(relation: Relation, row: u32): u32 {
  return (relation.flags & RELATION_RANKED) != 0 ? load<u32>(row, 4) : 0;
}

export function setRankAt(relation: Relation, row: u32, rank: u32): void {
  if ((relation.flags & RELATION_RANKED) == 0) return;
  store<u32>(row, rank, 4);
  if (rank > relation.maxRank) relation.maxRank = rank;
}
