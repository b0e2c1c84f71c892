/**
 * How many rows views may have. One alone has its limit; views that share a plan (see
 * `host/replica/view-shape.ts`) may have several times as many, and grow in one transaction by no
 * more than one view may have.
 */
import type { TableKey } from '../compiler/stratified.ts';
import type { Core } from './core.ts';
import type { Binding } from './relation-binding.ts';
import { isSharedView, isView } from './slices.ts';

/** So many views of one plan may have as many rows as a view may. */
const SHARED_VIEWS_FULL_MAX = 16;

/** Undefined: as any table. */
export function viewLimit(name: TableKey, viewRowsMax: number | undefined): number | undefined {
  if (viewRowsMax === undefined || !isView(name)) return undefined;
  return isSharedView(name) ? viewRowsMax * SHARED_VIEWS_FULL_MAX : viewRowsMax;
}

/** Before a transaction. */
export function limitSharedViews(
  { exports }: Core,
  binding: Binding | undefined,
  viewRowsMax: number | undefined,
): void {
  if (viewRowsMax === undefined) return;
  for (const { relation, handle } of binding?.bound ?? []) {
    if (!isSharedView(relation.name)) continue;
    const rows = (exports.liveRows(handle) >>> 0) + viewRowsMax;
    exports.limitRows(handle, Math.min(rows, viewRowsMax * SHARED_VIEWS_FULL_MAX));
  }
}
