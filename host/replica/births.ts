/**
 * At which revision each row of an `execute` table appeared. A row that goes and comes back is born
 * again; a restart changes no birth, so a key made of (log, rule, row, birth) names one request.
 */
import type { TableKey } from '../compiler/stratified.ts';
import type { TableDelta } from '../engine/engine.ts';
import { RowBlockReader } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';

/** Rows as the text of their bytes (one character a byte) → revision. */
type RowBirths = Map<string, number>;

export class Births {
  readonly #tables = new Map<TableKey, RowBirths>();

  apply(delta: TableDelta, revision: number): void {
    let rows = this.#tables.get(delta.table);
    if (rows === undefined) this.#tables.set(delta.table, (rows = new Map()));
    for (const key of rowKeys(delta.delete)) rows.delete(key);
    for (const key of rowKeys(delta.insert)) rows.set(key, revision);
    if (rows.size === 0) this.#tables.delete(delta.table);
  }

  /** Forgets a table that is no longer derived. */
  dropTable(table: TableKey): void {
    this.#tables.delete(table);
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
    this.#tables.set(table, new Map(rows));
  }

  /** Whether exactly the rows of `block` have births in `table`. */
  covers(table: TableKey, block: RowBlock): boolean {
    const rows = this.#tables.get(table);
    if ((rows?.size ?? 0) !== block.count) return false;
    for (const key of rowKeys(block)) if (rows?.has(key) !== true) return false;
    return true;
  }
}

/** Each row's bytes as a string: rows have one encoding, so equal rows have equal keys. */
export function* rowKeys(block: RowBlock): Generator<string, void, undefined> {
  const reader = new RowBlockReader(block);
  for (let index = 0; index < block.count; index++) {
    const start = reader.offset;
    reader.skipRow();
    yield latin1(block.bytes, start, reader.offset);
  }
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let index = from; index < to; index++) text += String.fromCharCode(bytes[index] as number);
  return text;
}
