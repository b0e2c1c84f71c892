/** Row blocks out of the core, piece by piece. */
import { STATUS_DONE, STATUS_MORE } from '../../engine-as/abi.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { Core } from './core.ts';
import { outOfMemory } from './core.ts';

const CHUNK_BYTES = 1 << 18;

/**
 * Chooses and sorts the rows of an output, then reads at most `rowsMax` of them. `pause` runs
 * between slices; it answers false when the output is void (a commit passed): the result is
 * undefined then.
 */
export async function readBlock(
  core: Core,
  request: { readonly kind: number; readonly handle: number; readonly other?: number },
  arity: number,
  pause: () => Promise<boolean>,
  rowsMax = Number.MAX_SAFE_INTEGER,
): Promise<RowBlock | undefined> {
  const output = core.exports.openOutput(request.kind, request.handle, request.other ?? -1) >>> 0;
  if (output === 0) return { arity, count: 0, bytes: new Uint8Array() };
  let isVoid = false;
  try {
    for (;;) {
      const status = core.exports.prepareRows(output);
      if (status === STATUS_DONE) break;
      if (status !== STATUS_MORE) throw outOfMemory();
      if (!(await pause())) {
        isVoid = true;
        return undefined;
      }
    }
    return await readPrepared(core, output, arity, rowsMax, async () => {
      isVoid = !(await pause());
      return !isVoid;
    });
  } finally {
    core.exports.closeOutput(output);
  }
}

async function readPrepared(
  core: Core,
  output: number,
  arity: number,
  rowsMax: number,
  pause: () => Promise<boolean>,
): Promise<RowBlock | undefined> {
  const total = Math.min(core.exports.rowCount(output) >>> 0, rowsMax);
  const chunks: Uint8Array[] = [];
  let [count, length] = [0, 0];
  while (count < total) {
    if (arity === 0) {
      count = total;
      break;
    }
    const room = Math.max(CHUNK_BYTES, core.exports.rowBytesNext(output) >>> 0);
    const pointer = core.area(room);
    const bytes = core.exports.readRows(output, pointer, room, total - count) >>> 0;
    const rows = core.exports.rowsRead() >>> 0;
    const chunk = core.read(pointer, bytes);
    chunks.push(chunk);
    count += rows;
    length += bytes;
    if (count < total && !(await pause())) return undefined;
  }
  return { arity, count, bytes: joined(chunks, length) };
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
