/*
 * Indexes of rows that stand are built all together (listing.ts): before the units of the program
 * that names them, or, in a batch, before the first unit that goes through one. Intersections from
 * scratch do not: they make lists of the rows as they are (value-lists.ts), so an index that nobody
 * else asks for is never built.
 */
import { STATUS_DONE, STATUS_MORE } from './abi';
import { ColumnIndex } from './index-store';
import { beginListing, isUnlisted, listAll, stepListing } from './listing';
import { indexAt } from './relation';
import { Relation } from './row-store';
import { settleRuns } from './run-store';

/** Behind the last slice of a listing that built an index, of which nobody has a cursor yet. */
export function settleBuilt(index: ColumnIndex): void {
  settleRuns(index.runs);
}

/** Builds what waits in one go, for who cannot wait; false without memory. */
export function listIndexes(relation: Relation): bool {
  let isReady = true;
  for (let i: u32 = 0; i < relation.indexCount; i++)
    if (!indexAt(relation, i).ready) isReady = false;
  if (isReady) return true;
  if (isUnlisted(relation)) return listAll(relation);
  beginListing(relation);
  let status = STATUS_MORE as u32;
  while (status == STATUS_MORE) status = stepListing();
  return status == STATUS_DONE;
}
