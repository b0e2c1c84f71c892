/*
 * Rows in the order of the shards that their hashes belong to (id-set.ts): who puts many ids into a
 * set goes shard by shard, so that the buckets of one shard and little else is in the cache.
 */
import { STATUS_DONE, STATUS_MORE, STATUS_OUT_OF_MEMORY } from './abi';
import { hashCells } from './hash';
import { reserveShard, SHARD_COUNT, spreadSet } from './id-set';
import { allocate, allocateZeroed, release } from './memory';
import { Relation, rowAddress } from './row-store';
import { countSteps } from './steps';

const SLICE_ROWS: u32 = 0x4000;
const WORDS_BYTES: u32 = SHARD_COUNT << 2;

@unmanaged
export class ShardOrder {
  relation: Relation;
  from: u32;
  to: u32;
  at: u32;
  isCounted: bool;
  /** Pairs of id and hash, by shard; in the end all are there. */
  pairs: u32;
  pairBytes: u32;
  /** Per shard: first its rows, then the address behind its last pair so far. */
  words: u32;
}

/**
 * Of the rows `from` … `to` − 1, all of which are in use; the set gets all of its shards. Null
 * without memory.
 */
export function createShardOrder(relation: Relation, from: u32, to: u32): ShardOrder {
  const order = changetype<ShardOrder>(allocateZeroed(offsetof<ShardOrder>() as u32) as usize);
  if (changetype<usize>(order) == 0) return order;
  order.relation = relation;
  order.from = from;
  order.to = to;
  order.at = from;
  order.pairBytes = max<u32>((to - from) << 3, 4);
  order.pairs = allocate(order.pairBytes);
  order.words = allocateZeroed(WORDS_BYTES);
  if (order.pairs != 0 && order.words != 0 && spreadSet(relation.set)) return order;
  destroyShardOrder(order);
  return changetype<ShardOrder>(0);
}

export function destroyShardOrder(order: ShardOrder): void {
  if (changetype<usize>(order) == 0) return;
  release(order.pairs, order.pairBytes);
  release(order.words, WORDS_BYTES);
  release(changetype<usize>(order) as u32, offsetof<ShardOrder>() as u32);
}

/**
 * A slice: STATUS_MORE, STATUS_DONE when the pairs are in order and there is room for them in the
 * set, or STATUS_OUT_OF_MEMORY.
 */
export function stepShardOrder(order: ShardOrder): u32 {
  const relation = order.relation;
  const arity = relation.arity;
  const words = order.words;
  const end = min(order.to, order.at + SLICE_ROWS);
  countSteps(end - order.at);
  let at = order.at;
  order.at = end;
  if (!order.isCounted) {
    for (; at < end; at++) {
      const word = words + (shardOfRow(relation, at, arity) << 2);
      store<u32>(word, load<u32>(word) + 1);
    }
    if (end < order.to) return STATUS_MORE;
    order.isCounted = true;
    order.at = order.from;
    return placeShards(order) ? STATUS_MORE : STATUS_OUT_OF_MEMORY;
  }
  for (; at < end; at++) {
    const hash = hashCells(rowAddress(relation, at) + relation.cellsAt, arity);
    const word = words + ((hash >> 24) << 2);
    const pair = load<u32>(word);
    store<u32>(pair, at);
    store<u32>(pair, hash, 4);
    store<u32>(word, pair + 8);
  }
  return end < order.to ? STATUS_MORE : STATUS_DONE;
}

function shardOfRow(relation: Relation, id: u32, arity: u32): u32 {
  return hashCells(rowAddress(relation, id) + relation.cellsAt, arity) >> 24;
}

function placeShards(order: ShardOrder): bool {
  let first = order.pairs;
  for (let i: u32 = 0; i < SHARD_COUNT; i++) {
    const word = order.words + (i << 2);
    const rows = load<u32>(word);
    if (!reserveShard(order.relation.set, i, rows)) return false;
    store<u32>(word, first);
    first += rows << 3;
  }
  return true;
}
