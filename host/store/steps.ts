/**
 * What a database does for its callers, as a generator that yields statements and is given what
 * they brought. So the rules stand in one place and know no driver: SQLite runs the steps at once,
 * MariaDB over its connections, as often as a transaction has to be repeated.
 */
export type SqlValue = null | number | string;
export type SqlRow = Readonly<Record<string, unknown>>;

export interface Statement {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  /** Else it returns rows. */
  readonly writes: boolean;
}

export interface Outcome {
  readonly rows: readonly SqlRow[];
  /** Rows that a writing statement found, changed or not. */
  readonly changed: number;
}

export type Steps<T> = Generator<Statement, T, Outcome>;

export function* all(sql: string, ...values: SqlValue[]): Steps<readonly SqlRow[]> {
  return (yield { sql, values, writes: false }).rows;
}

/** Returns how many rows were changed. */
export function* run(sql: string, ...values: SqlValue[]): Steps<number> {
  return (yield { sql, values, writes: true }).changed;
}

export function numberOf(row: SqlRow, column: string): number {
  return Number(row[column]);
}

export function textOf(row: SqlRow, column: string): string {
  return String(row[column]);
}
