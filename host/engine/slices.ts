/**
 * Long calls in slices: how long each is, and whose steps it counts for. Views are what clients ask
 * to be kept up to date; unlike policies they have a limit of effort: one that takes too long fails
 * alone.
 */
import type { Plan } from '../compiler/plan.ts';
import type { TableKey } from '../compiler/stratified.ts';

/** Views that share a plan, see `host/replica/view-shape.ts`. */
export const SHARED_VIEW_PREFIX = '$view:all.';

export function isSharedView(table: TableKey): boolean {
  return table.startsWith(SHARED_VIEW_PREFIX);
}

export function isView(table: TableKey): boolean {
  return table.startsWith('$view:');
}

/** The view that a unit computes, if that is all that it does. */
export function viewOfUnit(plan: Plan, unit: number): TableKey | undefined {
  const [relation, ...others] = plan.units[unit]?.relations ?? [];
  const name = relation === undefined ? undefined : plan.relations[relation]?.name;
  return name !== undefined && others.length === 0 && isView(name) ? name : undefined;
}

/** The first table that a unit computes. */
export function unitTable(plan: Plan, unit: number): TableKey | undefined {
  for (const relation of plan.units[unit]?.relations ?? []) {
    const table = plan.relations[relation]?.table;
    if (table !== undefined) return table;
  }
  return undefined;
}

/** Steps of views in one transaction: effort limits are for what clients ask, not for policies. */
export class StepCounts {
  readonly #max: number;
  readonly #steps = new Map<TableKey, number>();
  #before: bigint | undefined;

  constructor(max = Number.POSITIVE_INFINITY) {
    this.#max = max;
  }

  /** What was done since the last call was for `view`. */
  exceeds(view: TableKey, done: bigint): boolean {
    const steps = (this.#steps.get(view) ?? 0) + Number(done - (this.#before ?? done));
    this.#steps.set(view, steps);
    this.#before = done;
    return steps > this.#max;
  }

  /** What was done since the last call was for no view. */
  pass(done: bigint): void {
    this.#before = done;
  }
}

/** Steps between two turns of the event loop at first; of transactions, fitted to `SLICE_MS`. */
export const SLICE_STEPS = 100_000;
const SLICE_STEPS_MIN = 1_000;
/** A request is answered after a few turns: it waits for some slices of this length. */
export const SLICE_MS = 6;

/** The steps of the next slice, after one that took `ms`. */
export function nextSlice(steps: number, ms: number): number {
  if (ms > SLICE_MS) return Math.max(SLICE_STEPS_MIN, steps >> 1);
  return ms < SLICE_MS / 2 ? Math.min(SLICE_STEPS, steps << 1) : steps;
}

export function isWatched({ options }: Plan, table: TableKey): boolean {
  return options.watched === 'all' || options.watched?.has(table) === true || isView(table);
}
