/**
 * At which revision each row of an `execute` table appeared. A row that goes and comes back is born
 * again; a restart changes no birth, so a key made of (log, rule, row, birth) names one request.
 */
import type { TableKey } from '../compiler/stratified.ts';
import type { TableDelta } from '../engine/engine.ts';
import { crc32c } from '../log/crc32c.ts';
import { RowBlockReader } from '../value/row-block-reader.ts';
import type { RowBlock } from '../value/row-block.ts';

/** Rows as the text of their bytes (one character a byte) → revision. */
type RowBirths = Map<string, number>;

/** Bytes of rows that share one string, unless a single row has more. */
const SHARED_BYTES_MAX = 4096;

export class Births {
  readonly #tables = new Map<TableKey, RowBirths>();
  #sum = 0;

  apply(delta: TableDelta, revision: number): void {
    const { table } = delta;
    let rows = this.#tables.get(table);
    if (rows === undefined) this.#tables.set(table, (rows = new Map()));
    const hash = new BirthHash(table);
    for (const key of rowKeys(delta.delete)) {
      const born = rows.get(key);
      if (born === undefined) continue;
      this.#sum = (this.#sum - hash.of(key, born)) >>> 0;
      rows.delete(key);
    }
    for (const key of rowKeys(delta.insert)) this.#add(rows, hash, key, revision);
    if (rows.size === 0) this.#tables.delete(table);
  }

  /** Forgets a table that is no longer derived. */
  dropTable(table: TableKey): void {
    const hash = new BirthHash(table);
    for (const [key, born] of this.#tables.get(table) ?? []) {
      this.#sum = (this.#sum - hash.of(key, born)) >>> 0;
    }
    this.#tables.delete(table);
  }

  /** A sum that does not depend on the order in which rows were born. */
  digest(): number {
    return this.#sum;
  }

  tables(): TableKey[] {
    return [...this.#tables.keys()].sort();
  }

  /** Sorted by the bytes of the row, so that equal births print equally. */
  rows(table: TableKey): [key: string, revision: number][] {
    const rows = [...(this.#tables.get(table) ?? [])];
    return rows.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  inAnyOrder(table: TableKey): ReadonlyMap<string, number> {
    return this.#tables.get(table) ?? new Map<string, number>();
  }

  of(table: TableKey, row: RowBlock): number | undefined {
    const [key] = rowKeys(row);
    return key === undefined ? undefined : this.#tables.get(table)?.get(key);
  }

  /** `keys`: the bytes of the rows one after another; `ends`: where each ends in them. */
  restore(
    table: TableKey,
    keys: Uint8Array,
    ends: readonly number[],
    revisions: readonly number[],
  ): void {
    const restored: RowBirths = new Map();
    const hash = new BirthHash(table);
    this.#tables.set(table, restored);
    let index = 0;
    for (const key of pieces(keys, ends)) {
      this.#add(restored, hash, key, revisions[index++] ?? 0);
    }
  }

  /** Whether exactly the rows of `block` have births in `table`. */
  covers(table: TableKey, block: RowBlock): boolean {
    const rows = this.#tables.get(table);
    if ((rows?.size ?? 0) !== block.count) return false;
    for (const key of rowKeys(block)) if (rows?.has(key) !== true) return false;
    return true;
  }

  /** A row that is there keeps its birth. */
  #add(rows: RowBirths, hash: BirthHash, key: string, revision: number): void {
    if (rows.has(key)) return;
    rows.set(key, revision);
    this.#sum = (this.#sum + hash.of(key, revision)) >>> 0;
  }
}

/** CRC-32C of `table\nrevision\nkey` in UTF-8: one call for the table, one for each row. */
class BirthHash {
  readonly #ofTable: number;
  #revision = -1;
  #ofRevision = 0;

  constructor(table: TableKey) {
    this.#ofTable = crc32c(new TextEncoder().encode(`${table}\n`));
  }

  of(key: string, revision: number): number {
    if (revision !== this.#revision) {
      this.#ofRevision = crc32c(utf8(`${revision}\n`), this.#ofTable);
      this.#revision = revision;
    }
    return crc32c(utf8(key), this.#ofRevision);
  }
}

let encoded = new Uint8Array(256);

/** Of a text of characters below 256; valid until the next call. */
function utf8(text: string): Uint8Array {
  const { length } = text;
  if (encoded.length < length * 2) encoded = new Uint8Array(length * 4);
  let at = 0;
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) encoded[at++] = unit;
    else {
      encoded[at++] = 0xc0 | (unit >> 6);
      encoded[at++] = 0x80 | (unit & 0x3f);
    }
  }
  return encoded.subarray(0, at);
}

/** Each row's bytes as a string: rows have one encoding, so equal rows have equal keys. */
export function* rowKeys(block: RowBlock): Generator<string, void, undefined> {
  yield* pieces(block.bytes, rowEnds(block));
}

/** With the place of the row's bytes in the block. */
export function* keyedRows(
  block: RowBlock,
): Generator<
  { readonly key: string; readonly from: number; readonly to: number },
  void,
  undefined
> {
  let from = 0;
  for (const key of rowKeys(block)) {
    const to = from + key.length;
    yield { key, from, to };
    from = to;
  }
}

function rowEnds(block: RowBlock): number[] {
  const reader = new RowBlockReader(block);
  const ends: number[] = [];
  for (let index = 0; index < block.count; index++) {
    reader.skipRow();
    ends.push(reader.offset);
  }
  return ends;
}

/**
 * Pieces of `bytes`, one character a byte. Several are cut out of one string, which lives as long
 * as one of them does: hence the bound.
 */
function* pieces(bytes: Uint8Array, ends: readonly number[]): Generator<string, void, undefined> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [from, first] = [0, 0];
  while (first < ends.length) {
    let last = first;
    while (last + 1 < ends.length && (ends[last + 1] as number) - from <= SHARED_BYTES_MAX) last++;
    const text = buffer.toString('latin1', from, ends[last]);
    for (let at = 0; first <= last; first++) {
      const to = (ends[first] as number) - from;
      yield text.slice(at, to);
      at = to;
    }
    from = ends[last] as number;
  }
}
