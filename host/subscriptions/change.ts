/**
 * What came and went in a view between two revisions, and the sum of two such changes.
 *
 * A view is a set, so over any span of revisions each row came, went, or did neither: an insert and
 * a delete of the same row cancel. That is what makes a slow subscriber cheap.
 */
import { blockRowBytes } from './row-bytes.ts';
import type { RowBlock } from '../value/row-block.ts';

/** Disjoint blocks. `TableDelta` and `ViewDelta` are changes. */
export interface Change {
  readonly insert: RowBlock;
  readonly delete: RowBlock;
}

/** What a row of a `NetChange` costs besides its bytes: key, map entry, object headers. */
const ROW_OVERHEAD_BYTES = 96;

export function changeBytes(change: Change): number {
  return change.insert.bytes.length + change.delete.bytes.length;
}

interface NetRow {
  readonly sign: 1 | -1;
  readonly bytes: Uint8Array;
}

/** A change that grows by changes that follow it. */
export class NetChange {
  readonly #rows = new Map<string, NetRow>();
  readonly #arity: number;
  #bytes = 0;

  constructor(arity: number) {
    this.#arity = arity;
  }

  /** Memory held, in bytes, about. */
  get byteLength(): number {
    return this.#bytes;
  }

  /**
   * Callers guarantee that `change` follows: it inserts only absent rows and deletes only present
   * ones.
   */
  add(change: Change): this {
    for (const [key, bytes] of blockRowBytes(change.delete)) this.#addRow(key, bytes, -1);
    for (const [key, bytes] of blockRowBytes(change.insert)) this.#addRow(key, bytes, 1);
    return this;
  }

  finish(): Change {
    return { insert: this.#block(1), delete: this.#block(-1) };
  }

  #addRow(key: string, bytes: Uint8Array, sign: 1 | -1): void {
    const held = this.#rows.get(key);
    if (held === undefined) {
      // A copy: a view into the delta would keep the whole delta alive.
      const copy = bytes.slice();
      this.#rows.set(key, { sign, bytes: copy });
      this.#bytes += copy.length + ROW_OVERHEAD_BYTES;
      return;
    }
    if (held.sign === sign) throw new Error(`NetChange: a row was ${signName(sign)} twice`);
    this.#rows.delete(key);
    this.#bytes -= held.bytes.length + ROW_OVERHEAD_BYTES;
  }

  #block(sign: 1 | -1): RowBlock {
    let length = 0;
    let count = 0;
    for (const row of this.#rows.values()) {
      if (row.sign !== sign) continue;
      length += row.bytes.length;
      count++;
    }
    const bytes = new Uint8Array(length);
    let position = 0;
    for (const row of this.#rows.values()) {
      if (row.sign !== sign) continue;
      bytes.set(row.bytes, position);
      position += row.bytes.length;
    }
    return { arity: this.#arity, count, bytes };
  }
}

function signName(sign: 1 | -1): string {
  return sign === 1 ? 'inserted' : 'deleted';
}

/** The net change of changes that follow each other. Rows come in no promised order. */
export function sumChanges(arity: number, changes: readonly Change[]): Change {
  const only = changes.length === 1 ? changes[0] : undefined;
  if (only !== undefined) return only;
  const net = new NetChange(arity);
  for (const change of changes) net.add(change);
  return net.finish();
}

/** The rows after the changes. */
export function applyChanges(rows: RowBlock, changes: readonly Change[]): RowBlock {
  if (changes.length === 0) return rows;
  const start: Change = { insert: rows, delete: { ...rows, count: 0, bytes: new Uint8Array(0) } };
  const result = sumChanges(rows.arity, [start, ...changes]);
  if (result.delete.count > 0)
    throw new Error('applyChanges: a row that was not there was deleted');
  return result.insert;
}
