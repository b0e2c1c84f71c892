/** Rows that begin alike, taken apart by their beginning. */
import { RowBlockReader } from './row-block-reader.ts';
import { encodeRows } from './row-block.ts';
import type { RowBlock } from './row-block.ts';
import type { Row } from './value.ts';

// One character a byte, so equal rows and only they give equal keys.
const decoder = new TextDecoder('latin1');

/** What `groupRows` calls the rows that begin with these values. */
export function groupKey(values: Row): string {
  return decoder.decode(encodeRows(values.length, [values]).bytes);
}

/**
 * The rest of the rows of a sorted block, by their first `keyArity` columns; sorted as they were.
 */
export function groupRows(block: RowBlock, keyArity: number): Map<string, RowBlock> {
  const groups = new Map<string, RowBlock>();
  const reader = new RowBlockReader(block);
  const arity = block.arity - keyArity;
  let rests: Uint8Array[] = [];
  let key: Uint8Array | undefined;
  const close = (): void => {
    if (key === undefined) return;
    groups.set(decoder.decode(key), { arity, count: rests.length, bytes: joined(rests) });
    rests = [];
  };
  for (let row = 0; row < block.count; row++) {
    const start = reader.offset;
    reader.skipValues(keyArity);
    const middle = reader.offset;
    reader.skipValues(arity);
    const own = block.bytes.subarray(start, middle);
    if (key === undefined || !isEqual(key, own)) {
      close();
      key = own;
    }
    rests.push(block.bytes.subarray(middle, reader.offset));
  }
  close();
  return groups;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, place) => byte === b[place]);
}
