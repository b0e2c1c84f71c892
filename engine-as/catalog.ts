/*
 * The relations of the engine by handle. A handle is given out by the host's call and never reused
 * while its relation lives.
 */
import {
  ARITY_MAX,
  INDEXES_PER_RELATION_MAX,
  RELATION_LOCAL,
  RELATION_POSITIONS,
  ROWS_MAX,
} from './abi';
import { noteChange } from './changes';
import { createIndex, destroyIndex } from './column-index';
import { ColumnIndex, reservePositions } from './index-store';
import { dropKept } from './kept-bits';
import { createRelation, destroyRelation, hasMemory, indexAt } from './relation';
import { Relation } from './row-store';
import { destroyAggregateState } from './aggregate';
import { dropSideWeights } from './side-weights';
import { createVector, push, setWordAt, Vector, wordAt } from './vector';

let relations: Vector = changetype<Vector>(0);
/** No handle below is free. */
let firstFree: u32 = 0;

export function initCatalog(): bool {
  relations = createVector();
  return changetype<usize>(relations) != 0;
}

export function relationCount(): u32 {
  return relations.length;
}

/** The relation of a handle, or null. */
export function relationOf(handle: u32): Relation {
  const address: u32 = handle < relations.length ? wordAt(relations, handle) : 0;
  return changetype<Relation>(address as usize);
}

/** The relation of a handle, or null; answers of queries are none of a transaction's business. */
export function sharedRelationOf(handle: u32): Relation {
  const relation = relationOf(handle);
  const isShared = changetype<usize>(relation) != 0 && (relation.flags & RELATION_LOCAL) == 0;
  return isShared ? relation : changetype<Relation>(0);
}

/** A new relation's handle, or −1 without memory or for a bad arity. */
export function addRelation(arity: u32, flags: u32, rowsMax: u32, seed: u64): i32 {
  if (arity > (ARITY_MAX as u32)) return -1;
  let handle = firstFree;
  while (handle < relations.length && wordAt(relations, handle) != 0) handle += 1;
  if (handle == relations.length && !push(relations, 0)) return -1;
  const limit = rowsMax == 0 || rowsMax > (ROWS_MAX as u32) ? (ROWS_MAX as u32) : rowsMax;
  const relation = createRelation(arity, flags, limit, handle, seed);
  if (!hasMemory(relation)) return -1;
  if ((flags & RELATION_LOCAL) == 0 && !noteChange(relation)) {
    destroyRelation(relation);
    return -1;
  }
  setWordAt(relations, handle, changetype<usize>(relation) as u32);
  firstFree = handle + 1;
  return handle as i32;
}

export function dropRelation(handle: u32): void {
  const relation = relationOf(handle);
  if (changetype<usize>(relation) == 0) return;
  dropSideWeights(relation);
  destroyAggregateState(relation.aggregateState);
  dropKept(relation);
  destroyRelation(relation);
  setWordAt(relations, handle, 0);
  firstFree = min(firstFree, handle);
}

/** The relation's index by these columns, made (to be built) if it has none; null without room. */
export function addIndex(relation: Relation, columns: u32, columnCount: u32): ColumnIndex {
  for (let i: u32 = 0; i < relation.indexCount; i++) {
    const index = indexAt(relation, i);
    if (
      index.columnCount == columnCount &&
      memory.compare(index.columns, columns, columnCount << 2) == 0
    ) {
      return index;
    }
  }
  const none = changetype<ColumnIndex>(0);
  if (relation.indexCount >= (INDEXES_PER_RELATION_MAX as u32)) return none;
  const index = createIndex(
    relation,
    columns,
    columnCount,
    (relation.flags & RELATION_POSITIONS) != 0,
  );
  if (changetype<usize>(index) == 0) return none;
  if (!reservePositions(index, relation.capacity)) {
    destroyIndex(index);
    return none;
  }
  index.ready = relation.top == 0 && !relation.indexesWait;
  store<u32>(relation.indexes + (relation.indexCount << 2), changetype<usize>(index) as u32);
  relation.indexCount += 1;
  return index;
}

/** Removes an index, if the relation still has it. */
export function dropIndex(relation: Relation, dead: ColumnIndex): void {
  let to: u32 = 0;
  for (let i: u32 = 0; i < relation.indexCount; i++) {
    const index = indexAt(relation, i);
    if (changetype<usize>(index) == changetype<usize>(dead)) {
      destroyIndex(index);
      continue;
    }
    store<u32>(relation.indexes + (to << 2), changetype<usize>(index) as u32);
    to += 1;
  }
  relation.indexCount = to;
}

/** Removes the indexes that a program does not name. */
export function keepIndexes(relation: Relation, program: u32): void {
  let to: u32 = 0;
  for (let i: u32 = 0; i < relation.indexCount; i++) {
    const index = indexAt(relation, i);
    if (index.program == program) {
      store<u32>(relation.indexes + (to << 2), changetype<usize>(index) as u32);
      to += 1;
    } else destroyIndex(index);
  }
  relation.indexCount = to;
}
