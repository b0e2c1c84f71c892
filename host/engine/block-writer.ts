/** Row blocks into the core, piece by piece. */
import { STATUS_BAD_ROWS, STATUS_DONE } from '../../engine-as/abi.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { Core } from './core.ts';
import { CoreFailure } from './failures.ts';
import type { BoundRelation } from './relation-binding.ts';

const CHUNK_BYTES = 1 << 20;

/**
 * Makes base rows of the rows of a block, or takes them away; `pause` runs between pieces. Throws
 * `CoreFailure`, after which the transaction is to be rolled back.
 */
export async function changeRows(
  core: Core,
  { relation, handle }: BoundRelation,
  { arity, bytes, count }: RowBlock,
  isInsert: boolean,
  pause: () => Promise<void>,
): Promise<void> {
  if (arity !== relation.arity) {
    const arities = `${arity} columns, not ${relation.arity}`;
    throw new Error(`rows of \`${relation.name}\` have ${arities}`);
  }
  const { exports } = core;
  if (isInsert && arity > 0) {
    // A value has at least a byte: no number of rows is believed that the bytes cannot hold.
    const rowsMax = Math.min(count, Math.floor(bytes.length / arity));
    const status = exports.expectRows(handle, rowsMax);
    if (status !== STATUS_DONE) throw new CoreFailure(status, relation.table);
  }
  let [rows, offset, room] = [0, 0, CHUNK_BYTES];
  for (;;) {
    const chunk = bytes.subarray(offset, offset + room);
    const pointer = core.write(chunk);
    const insert = Number(isInsert);
    const status = exports.changeBaseRows(handle, pointer, chunk.length, count - rows, insert);
    if (status === STATUS_DONE) return;
    // The core says where the last row in the chunk begins; a row may be larger than a chunk.
    const isCut = status === STATUS_BAD_ROWS && exports.isCutShort() !== 0;
    if (!isCut || offset + chunk.length === bytes.length) {
      throw new CoreFailure(status, relation.table);
    }
    rows += exports.rowsTaken() >>> 0;
    const taken = exports.bytesTaken() >>> 0;
    offset += taken;
    room = taken === 0 ? room * 2 : CHUNK_BYTES;
    await pause();
  }
}
