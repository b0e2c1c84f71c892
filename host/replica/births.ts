/**
 * At which revision each row of an `execute` table appeared. A row that goes and comes back is born
 * again; a restart changes no birth, so a key made of (log, rule, row, birth) names one request.
 */
import type { TableKey } from '../compiler/stratified.ts';
import type { TableDelta } from '../engine/engine.ts';
import { crc32c } from '../log/crc32c.ts';
import { RowBlockReader } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';

/** Rows as the text of their bytes (one character a byte) → revision. */
type RowBirths = Map<string, number>;

export class Births {
  readonly #tables = new Map<TableKey, RowBirths>();
  #sum = 0;

  apply(delta: TableDelta, revision: number): void {
    const { table } = delta;
    let rows = this.#tables.get(table);
    if (rows === undefined) this.#tables.set(table, (rows = new Map()));
    for (const key of rowKeys(delta.delete)) {
      const born = rows.get(key);
      if (born === undefined) continue;
      this.#sum = (this.#sum - birthHash(table, key, born)) >>> 0;
      rows.delete(key);
    }
    for (const key of rowKeys(delta.insert)) this.#add(table, rows, key, revision);
    if (rows.size === 0) this.#tables.delete(table);
  }

  /** Forgets a table that is no longer derived. */
  dropTable(table: TableKey): void {
    for (const [key, born] of this.#tables.get(table) ?? []) {
      this.#sum = (this.#sum - birthHash(table, key, born)) >>> 0;
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

  of(table: TableKey, row: RowBlock): number | undefined {
    const [key] = rowKeys(row);
    return key === undefined ? undefined : this.#tables.get(table)?.get(key);
  }

  restore(table: TableKey, rows: Iterable<readonly [key: string, revision: number]>): void {
    const restored: RowBirths = new Map();
    this.#tables.set(table, restored);
    for (const [key, revision] of rows) this.#add(table, restored, key, revision);
  }

  /** Whether exactly the rows of `block` have births in `table`. */
  covers(table: TableKey, block: RowBlock): boolean {
    const rows = this.#tables.get(table);
    if ((rows?.size ?? 0) !== block.count) return false;
    for (const key of rowKeys(block)) if (rows?.has(key) !== true) return false;
    return true;
  }

  /** A row that is there keeps its birth. */
  #add(table: TableKey, rows: RowBirths, key: string, revision: number): void {
    if (rows.has(key)) return;
    rows.set(key, revision);
    this.#sum = (this.#sum + birthHash(table, key, revision)) >>> 0;
  }
}

function birthHash(table: TableKey, key: string, revision: number): number {
  return crc32c(new TextEncoder().encode(`${table}\n${revision}\n${key}`));
}

/** Each row's bytes as a string: rows have one encoding, so equal rows have equal keys. */
export function* rowKeys(block: RowBlock): Generator<string, void, undefined> {
  for (const { key } of keyedRows(block)) yield key;
}

/** With the place of the row's bytes in the block. */
export function* keyedRows(
  block: RowBlock,
): Generator<
  { readonly key: string; readonly from: number; readonly to: number },
  void,
  undefined
> {
  const reader = new RowBlockReader(block);
  for (let index = 0; index < block.count; index++) {
    const from = reader.offset;
    reader.skipRow();
    yield { key: latin1(block.bytes, from, reader.offset), from, to: reader.offset };
  }
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let index = from; index < to; index++) text += String.fromCharCode(bytes[index] as number);
  return text;
}
