/**
 * The row of `system:now(time, seconds)`: the time in force, the only clock that rules see. It is
 * there whether a rule reads it or not: base rows are part of the digest, and what is asked once
 * reads it as well. It changes at most once each `TIME_STEP_MS`.
 */
import type { StratifiedQuery, Table, TableKey } from '../compiler/stratified.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { TableChange } from '../engine/engine.ts';
import { encodeRows } from '../value/row-block.ts';
import type { Row } from '../value/value.ts';

export const NOW_TABLE: TableKey = 'system:now';
/** The last second with a year of four digits: what is later has no `YYYY-MM-DD HH:MM:SS`. */
const TIME_MS_MAX = Date.UTC(9999, 11, 31, 23, 59, 59);

/**
 * As a change that replaces it. `timeMs`: milliseconds since the epoch; 0, as before the first cut,
 * is no time, and no row.
 */
export function nowTableChange(timeMs: number): TableChange {
  const rows: Row[] = timeMs === 0 ? [] : [nowRow(Math.min(timeMs, TIME_MS_MAX))];
  return { table: NOW_TABLE, replace: true, insert: encodeRows(ARITY, rows) };
}

const ARITY = 2;

function nowRow(timeMs: number): Row {
  const text = new Date(timeMs).toISOString();
  return [`${text.slice(0, 10)} ${text.slice(11, 19)}`, BigInt(Math.floor(timeMs / 1000))];
}

/** Whether something of it changes when only the time does. */
export function readsNow(
  tables: readonly Table[],
  bodies: readonly Pick<StratifiedQuery, 'body'>[],
): boolean {
  const now = tables.findIndex((table) => tableKey(table) === NOW_TABLE);
  if (now < 0) return false;
  return bodies.some(({ body }) =>
    body.some((literal) => literal.kind === 'atom' && literal.table === now),
  );
}
