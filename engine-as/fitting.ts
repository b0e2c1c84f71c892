/*
 * Sets that came to their size within one transaction have more room than they need, because they
 * grew fast. Between transactions, in slices, they get what fits.
 */
import { RELATION_POSITIONS, STATUS_DONE, STATUS_MORE } from './abi';
import { relationOf } from './catalog';
import { fitShards, IdSet, shardCount } from './id-set';
import { indexAt } from './relation';
import { Relation } from './row-store';
import { createVector, push, Vector, wordAt } from './vector';

/** Handles of relations that wait. */
let waiting: Vector = changetype<Vector>(0);
/** Set and shard of the last one, where its fitting goes on. */
let setNumber: u32 = 0;
let shard: u32 = 0;

export function initFitting(): bool {
  waiting = createVector();
  return changetype<usize>(waiting) != 0;
}

/** Smaller tables stay as they are. */
const ROWS_MIN: u32 = 0x400;

/** The relation's first rows are committed. Where none will be deleted it stays as it is. */
export function fitLater(relation: Relation): void {
  if ((relation.flags & RELATION_POSITIONS) == 0) return;
  if (relation.top >= ROWS_MIN && push(waiting, relation.handle)) return;
  relation.set.filling = false;
  for (let i: u32 = 0; i < relation.indexCount; i++) indexAt(relation, i).set.filling = false;
}

/** A slice of about `ids` ids: STATUS_MORE, or STATUS_DONE when nothing waits. */
export function fit(ids: u32): u32 {
  if (waiting.length == 0) return STATUS_DONE;
  const relation = relationOf(wordAt(waiting, waiting.length - 1));
  if (changetype<usize>(relation) == 0 || setNumber > relation.indexCount) {
    waiting.length -= 1;
    setNumber = 0;
    shard = 0;
    return STATUS_MORE;
  }
  const set: IdSet = setNumber == 0 ? relation.set : indexAt(relation, setNumber - 1).set;
  shard = fitShards(set, shard, ids);
  if (shard >= shardCount(set)) {
    setNumber += 1;
    shard = 0;
  }
  return STATUS_MORE;
}
