/** A set of rows by identity of type and value (1 and 1.0 are two rows). */
import { compareRows, valueKey } from '../../host/value/value.ts';
import type { Row } from '../../host/value/value.ts';

export class RowSet {
  readonly #rows = new Map<string, Row>();

  constructor(rows: Iterable<Row> = []) {
    for (const row of rows) this.add(row);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** False when it was there. */
  add(row: Row): boolean {
    const key = rowKey(row);
    if (this.#rows.has(key)) return false;
    this.#rows.set(key, row);
    return true;
  }

  /** False when it was not there. */
  delete(row: Row): boolean {
    return this.#rows.delete(rowKey(row));
  }

  has(row: Row): boolean {
    return this.#rows.has(rowKey(row));
  }

  [Symbol.iterator](): IterableIterator<Row> {
    return this.#rows.values();
  }

  sorted(): Row[] {
    return [...this].sort(compareRows);
  }

  /** The rows of this set that `other` has not, sorted. */
  minus(other: RowSet | undefined): Row[] {
    const rows = other === undefined ? [...this] : [...this].filter((row) => !other.has(row));
    return rows.sort(compareRows);
  }
}

/** Equal keys, equal rows. */
export function rowKey(row: Row): string {
  let key = '';
  for (const value of row) key += valueKey(value);
  return key;
}
