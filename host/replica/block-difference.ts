import type { RowBlock } from '../value/row-block.ts';
import { concatBlocks, emptyBlock } from '../value/row-block.ts';
import { keyedRows } from './births.ts';

/** The rows of `block` that `other` does not have, in the order of `block`. */
export function blockDifference(block: RowBlock, other: RowBlock): RowBlock {
  if (block.count === 0 || other.count === 0 || block.arity !== other.arity) return block;
  const known = new Set<string>();
  for (const { key } of keyedRows(other)) known.add(key);
  const kept: RowBlock[] = [];
  for (const { key, from, to } of keyedRows(block)) {
    if (known.has(key)) continue;
    kept.push({ arity: block.arity, count: 1, bytes: block.bytes.subarray(from, to) });
  }
  return kept.length === 0 ? emptyBlock(block.arity) : concatBlocks(block.arity, kept);
}
