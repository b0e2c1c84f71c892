/*
 * Many base rows into a new table. They are appended as they come, and looked for afterwards, all
 * together: by shard of their hash, so that the buckets of one shard and little else is in the
 * cache while its rows are put there. A row that is there already is dropped again. Indexes are
 * built behind that (listing.ts).
 *
 * Between its first row and the end of `stepLoads` a table that loads has rows that its set does
 * not know; only this file and `appendRows` touch it then.
 */
import { STATUS_DONE, STATUS_MORE, STATUS_OUT_OF_MEMORY } from './abi';
import { NOT_FOUND, putId, putIfFirst } from './id-set';
import { findRow, freeRow, indexAt } from './relation';
import { Relation, rowAddress } from './row-store';
import { createShardOrder, destroyShardOrder, ShardOrder, stepShardOrder } from './shard-order';
import { clearVector, createVector, push, Vector, wordAt } from './vector';

/** Fewer rows are looked for one by one. */
const ROWS_MIN: u32 = 0x1000;
const SLICE_ROWS: u32 = 0x4000;

/** Tables that load. */
let loads: Vector = changetype<Vector>(0);
/** The rows of the one under way. */
let order: ShardOrder = changetype<ShardOrder>(0);
let isOrdered: bool = false;
let at: u32 = 0;

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
  destroyShardOrder(order);
  order = changetype<ShardOrder>(0);
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
  if (changetype<usize>(order) == 0) {
    order = createShardOrder(relation, 0, relation.top);
    isOrdered = false;
    at = 0;
    return changetype<usize>(order) != 0 ? STATUS_MORE : STATUS_OUT_OF_MEMORY;
  }
  if (isOrdered) return fillShards(relation);
  const status = stepShardOrder(order);
  isOrdered = status == STATUS_DONE;
  return isOrdered ? STATUS_MORE : status;
}

/** Pairs in their order; of equal rows the first one stays. */
function fillShards(relation: Relation): u32 {
  const pairBytes = relation.top << 3;
  const end = min(pairBytes, at + (SLICE_ROWS << 3));
  for (; at < end; at += 8) {
    const id = load<u32>(order.pairs + at);
    const hash = load<u32>(order.pairs + at, 4);
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
