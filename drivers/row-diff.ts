/**
 * The difference between two states of a table, on the bytes of row blocks. A value has exactly one
 * encoding, so equal rows are equal bytes and no row is ever decoded here.
 *
 * A driver keeps the previous rows of each table for as long as it runs, so what is kept is small:
 * the block itself, 4 bytes a row for where it starts, 8 to 16 bytes a row of hash slots:
 *
 *   slots   u32[2^k]     row index + 1, or 0; open addressing, linear probing, at most half full
 *   starts  u32[rows]    offset of each distinct row
 *   bytes   u8[…]        the block as it came (a repeated row stays in it and is not referred to)
 *
 * A million rows take about a second, in a process that also answers queries: all loops over rows
 * give way to other work every `ROWS_PER_TURN` rows.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { valueBytes } from '../host/value/value-tags.ts';
import type { RowBlock } from '../host/value/row-block.ts';

export interface RowDifference {
  readonly insert: RowBlock;
  readonly delete: RowBlock;
}

/** Some milliseconds of work. */
const ROWS_PER_TURN = 1 << 14;

/** The distinct rows of a block; made by `RowSet.of`. */
export class RowSet {
  readonly arity: number;
  readonly #bytes: Uint8Array;
  readonly #slots: Uint32Array;
  #starts: Uint32Array;
  #count = 0;

  private constructor(block: RowBlock) {
    this.arity = block.arity;
    this.#bytes = block.bytes;
    this.#slots = new Uint32Array(slotCountFor(block.count));
    this.#starts = new Uint32Array(block.count);
  }

  static async of(block: RowBlock): Promise<RowSet> {
    const set = new RowSet(block);
    let start = 0;
    for (let row = 0; row < block.count; row++) {
      if (row % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
      start = set.#add(start);
    }
    if (set.#count < block.count) set.#starts = set.#starts.slice(0, set.#count);
    return set;
  }

  /** Distinct rows. */
  get count(): number {
    return this.#count;
  }

  /** Index of the row `bytes[start, end)`, or −1. */
  indexOf(bytes: Uint8Array, start: number, end: number): number {
    return (this.#slots[this.#probe(bytes, start, end)] as number) - 1;
  }

  /** The rows that `other` does not have, in their order. Both have the same arity. */
  async without(other: RowSet): Promise<RowBlock> {
    return this.#select((start, end) => other.indexOf(this.#bytes, start, end) < 0);
  }

  /** The distinct rows as a block. */
  async block(): Promise<RowBlock> {
    return this.#select(() => true);
  }

  async #select(wanted: (start: number, end: number) => boolean): Promise<RowBlock> {
    const chosen: number[] = [];
    let byteCount = 0;
    for (let row = 0; row < this.#count; row++) {
      if (row % ROWS_PER_TURN === ROWS_PER_TURN - 1) await nextTurn();
      const start = this.#starts[row] as number;
      const end = rowEnd(this.#bytes, start, this.arity);
      if (!wanted(start, end)) continue;
      chosen.push(start, end);
      byteCount += end - start;
    }
    const count = chosen.length / 2;
    if (byteCount === this.#bytes.byteLength)
      return { arity: this.arity, count, bytes: this.#bytes };
    const bytes = new Uint8Array(byteCount);
    let at = 0;
    for (let index = 0; index < chosen.length; index += 2) {
      const start = chosen[index] as number;
      const end = chosen[index + 1] as number;
      bytes.set(this.#bytes.subarray(start, end), at);
      at += end - start;
    }
    return { arity: this.arity, count, bytes };
  }

  /** Takes the row that starts there, unless it is known; returns where the next one starts. */
  #add(start: number): number {
    const end = rowEnd(this.#bytes, start, this.arity);
    const slot = this.#probe(this.#bytes, start, end);
    if (this.#slots[slot] === 0) {
      this.#starts[this.#count] = start;
      this.#slots[slot] = ++this.#count;
    }
    return end;
  }

  /** The slot that holds the row, or the empty one where it belongs. */
  #probe(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashBytes(bytes, start, end) & mask;
    for (;;) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return slot;
      if (this.#rowEquals(this.#starts[entry - 1] as number, bytes, start, end)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /**
   * No row is a proper prefix of another of the same arity, so comparing `end − start` bytes is
   * enough.
   */
  #rowEquals(own: number, bytes: Uint8Array, start: number, end: number): boolean {
    const mine = this.#bytes;
    for (let at = start, to = own; at < end; at++, to++) {
      if (mine[to] !== bytes[at]) return false;
    }
    return true;
  }
}

/**
 * What turns `previous` into `next`. A change of arity deletes every old row and inserts every new
 * one.
 */
export async function diffRows(previous: RowSet, next: RowSet): Promise<RowDifference> {
  if (previous.arity !== next.arity) {
    return { insert: await next.block(), delete: await previous.block() };
  }
  return { insert: await next.without(previous), delete: await previous.without(next) };
}

/** Offset behind the row that starts at `start`. */
function rowEnd(bytes: Uint8Array, start: number, arity: number): number {
  let at = start;
  for (let column = 0; column < arity; column++) at += valueBytes(bytes, at);
  return at;
}

/**
 * FNV-1a with a final mix; rows are short and come from our own encoder, so no keyed hash is
 * needed.
 */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function slotCountFor(rowCount: number): number {
  let slots = 8;
  while (slots < rowCount * 2) slots *= 2;
  return slots;
}
