import { RowBlockReader } from '../value/row-block-reader.ts';
import type { RowBlock } from '../value/row-block.ts';

// One character a byte, so equal rows and only they give equal keys.
const decoder = new TextDecoder('latin1');

/**
 * Each row of a block as a map key and as its bytes, a view into the block. Each value has one
 * encoding, so equal keys are equal rows.
 */
export function* blockRowBytes(
  block: RowBlock,
): Generator<readonly [key: string, bytes: Uint8Array], void, undefined> {
  const reader = new RowBlockReader(block);
  for (let index = 0; index < block.count; index++) {
    const start = reader.offset;
    reader.skipRow();
    const bytes = block.bytes.subarray(start, reader.offset);
    yield [decoder.decode(bytes), bytes];
  }
}
