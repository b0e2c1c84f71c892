/**
 * A transaction as frames of the protocol: `txBegin`, `rows` in pieces, `txEnd`. See
 * docs/PROTOCOL.md.
 */
import { blockToJsonBytes } from '../value/block-json.ts';
import { splitBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import type { OutboundTransaction } from './outbox.ts';

const encoder = new TextEncoder();
const ROWS_END = encoder.encode('}');

/**
 * The last frame built of a block that fits one frame. A change reaches every subscriber of its
 * view as the same block, and clients that run the same program use the same id: then the frame is
 * built once for all of them.
 */
const built = new WeakMap<RowBlock, { readonly head: string; readonly frame: Uint8Array }>();

/**
 * Built one by one as they are asked for, so that a large snapshot is never in memory as JSON.
 * `isLive`: rows of a subscription that ended meanwhile are left out.
 */
export function* transactionFrames(
  transaction: OutboundTransaction,
  rowsBytesMax: number,
  isLive: (id: string) => boolean,
): Generator<Uint8Array, void, undefined> {
  const { from, position, parts } = transaction;
  const tx = position.revision;
  const idsOf = (key: 'snapshot' | 'conflated'): string[] | undefined => {
    const ids = parts.filter((part) => part[key]).map((part) => part.id);
    return ids.length === 0 ? undefined : ids;
  };
  const begin = { tx, from, to: tx, snapshotFor: idsOf('snapshot'), conflated: idsOf('conflated') };
  yield encodeFrame('txBegin', begin);
  for (const { id, change } of parts) {
    yield* rowsFrames(tx, id, -1, change.delete, rowsBytesMax, isLive);
    yield* rowsFrames(tx, id, 1, change.insert, rowsBytesMax, isLive);
  }
  yield encodeFrame('txEnd', { tx, to: position.token, revision: tx });
}

function* rowsFrames(
  tx: number,
  id: string,
  sign: 1 | -1,
  block: RowBlock,
  rowsBytesMax: number,
  isLive: (id: string) => boolean,
): Generator<Uint8Array, void, undefined> {
  if (block.count === 0) return;
  const head = `{"type":"rows","tx":${tx},"id":${JSON.stringify(id)},"sign":${sign},"rows":`;
  // Rows without columns have no bytes to split by; a set holds at most one of them.
  const whole = block.arity === 0 || block.bytes.length <= rowsBytesMax;
  for (const piece of whole ? [block] : splitBlock(block, rowsBytesMax)) {
    if (!isLive(id)) return;
    const held = whole ? built.get(block) : undefined;
    if (held?.head === head) {
      yield held.frame;
      continue;
    }
    const frame = joinBytes([encoder.encode(head), blockToJsonBytes(piece), ROWS_END]);
    if (whole) built.set(block, { head, frame });
    yield frame;
  }
}

/** Members that are undefined are left out. */
export function encodeFrame(type: string, members: Readonly<Record<string, unknown>>): Uint8Array {
  return encoder.encode(JSON.stringify({ type, ...members }));
}

export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0));
  let position = 0;
  for (const piece of pieces) {
    bytes.set(piece, position);
    position += piece.length;
  }
  return bytes;
}
