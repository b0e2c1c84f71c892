/*
 * The digest of a relation: the sum, modulo 2^64 in two lanes, of the hashes of its rows. It does
 * not depend on order, ids, ranks or weights, and follows each inserted or deleted row in constant
 * time.
 */
import { RELATION_DIGEST_ALL, RELATION_DIGEST_BASE, ROW_BASE, ROW_LIVE, ROW_USED } from './abi';
import { mix } from './hash';
import { Relation, rowAddress } from './row-store';
import { canonicalHash } from './value-table';

const SECOND_LANE: u64 = 0xa0761d6478bd642f;

/** Adds a row's share to the sums when its flags went from `before` to `after`. */
export function digestRow(relation: Relation, cells: u32, before: u32, after: u32): void {
  const base = (relation.flags & RELATION_DIGEST_BASE) != 0 && ((before ^ after) & ROW_BASE) != 0;
  const live = (relation.flags & RELATION_DIGEST_ALL) != 0 && ((before ^ after) & ROW_LIVE) != 0;
  if (!base && !live) return;
  let hash = relation.seed;
  const end = cells + (relation.arity << 2);
  for (; cells < end; cells += 4) hash = mix(hash, canonicalHash(load<u32>(cells)));
  const second = mix(hash, SECOND_LANE);
  if (base) {
    const gained = (after & ROW_BASE) != 0;
    relation.baseSum += gained ? hash : 0 - hash;
    relation.baseSum2 += gained ? second : 0 - second;
  }
  if (live) {
    const gained = (after & ROW_LIVE) != 0;
    relation.liveSum += gained ? hash : 0 - hash;
    relation.liveSum2 += gained ? second : 0 - second;
  }
}

/** Computes a relation's sums anew from its rows, for other digest flags or to check them. */
export function digestAnew(relation: Relation, flags: u32): void {
  relation.flags = (relation.flags & ~(RELATION_DIGEST_BASE | RELATION_DIGEST_ALL)) | flags;
  relation.baseSum = 0;
  relation.baseSum2 = 0;
  relation.liveSum = 0;
  relation.liveSum2 = 0;
  for (let id: u32 = 0; id < relation.top; id++) {
    const row = rowAddress(relation, id);
    const meta = load<u32>(row);
    if ((meta & ROW_USED) != 0) digestRow(relation, row + relation.cellsAt, 0, meta);
  }
}
