/** The rows of `system:sources(name, kind, generation, owner, stale, reason)`: who fills what, and
 * whether the rows are those of the outside. Rules read it to know what they may rely on.
 */
import type { TableKey } from '../compiler/stratified.ts';
import type { TableChange } from '../engine/engine.ts';
import { encodeRows } from '../value/row-block.ts';
import type { Row } from '../value/value.ts';
import { staleReason } from './fenced-source.ts';
import type { SourceState } from './replicated-state.ts';

export const SOURCES_TABLE: TableKey = 'system:sources';
const ARITY = 6;

/** One row a source, sorted by name. A push source has no writer of its own and is never stale. */
export function sourceRows(
  sources: Iterable<Pick<SourceState, 'name' | 'kind' | 'fenced'>>,
  timeMs: number,
): Row[] {
  const rows = [...sources].map(({ name, kind, fenced }): Row => {
    if (kind === 'push') return [name, kind, null, null, false, null];
    const { generation, owner } = fenced;
    const reason = staleReason(fenced, timeMs);
    const writer = generation === 0 ? [null, null] : [BigInt(generation), owner];
    return [name, kind, ...writer, reason !== undefined, reason ?? null];
  });
  return rows.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}

/** As a change that replaces them. */
export function sourcesTableChange(rows: readonly Row[]): TableChange {
  return { table: SOURCES_TABLE, replace: true, insert: encodeRows(ARITY, rows) };
}

export function sameRows(a: readonly Row[], b: readonly Row[]): boolean {
  return (
    a.length === b.length &&
    a.every((row, index) => row.every((value, column) => value === b[index]?.[column]))
  );
}
