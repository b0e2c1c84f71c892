/**
 * A query's bytes over the relations that run now. A lookup by columns that no index covers becomes
 * a scan; when such a query comes again over a larger table, the index is built.
 */
import type { QueryPlan, Step, Version } from '../compiler/plan.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { encodeProgram } from './program-encoder.ts';
import type { EncodedRelation } from './program-encoder.ts';
import type { Binding } from './relation-binding.ts';

const DEMANDS_BEFORE_INDEX = 2;
const ROWS_WORTH_INDEX = 512;
const INDEXES_PER_TABLE_MAX = 8;

/** Indexes that queries would have used. */
export class IndexDemand {
  readonly #counts = new Map<string, number>();
  readonly #wanted = new Map<TableKey, (readonly number[])[]>();
  #isDue = false;

  /** True when an index was earned since the last `take`. */
  get isDue(): boolean {
    return this.#isDue;
  }

  note(table: TableKey, columns: readonly number[], rows: number): void {
    if (rows < ROWS_WORTH_INDEX) return;
    const key = `${table} ${columns.join()}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (count !== DEMANDS_BEFORE_INDEX) return;
    const list = this.#wanted.get(table) ?? [];
    list.push(columns);
    // The oldest goes; it may earn its place again.
    if (list.length > INDEXES_PER_TABLE_MAX) {
      this.#counts.delete(`${table} ${list.shift()?.join() ?? ''}`);
    }
    this.#wanted.set(table, list);
    this.#isDue = true;
  }

  take(): ReadonlyMap<TableKey, readonly (readonly number[])[]> {
    this.#isDue = false;
    return this.#wanted;
  }
}

/** A version over the indexes that are there, for one binding. */
interface FittedVersion {
  readonly binding: Binding | undefined;
  readonly version: Version;
  /** Lookups that became scans. */
  readonly missed: readonly { readonly relation: number; readonly columns: readonly number[] }[];
}

/** By the version of the template, which stays from query to query. */
const fittedVersions = new WeakMap<Version, FittedVersion>();

/**
 * One version of a query, by its place. `own`: handles of the answer and of the query's own
 * relations, by number; `stands`: empty relations for tables that are not there; `rowsOf`: rows of
 * a handle.
 */
export function encodeQuery(
  { plan, place }: { readonly plan: QueryPlan; readonly place: number },
  own: ReadonlyMap<number, number>,
  binding: Binding | undefined,
  stands: ReadonlyMap<TableKey, number>,
  demand: IndexDemand,
  rowsOf: (handle: number) => number,
): Uint8Array {
  const relations = plan.relations.map(({ table }, number) => {
    const known = own.get(number);
    if (known !== undefined) return { handle: known, indexes: [] };
    const stand = stands.get(table);
    if (stand !== undefined) return { handle: stand, indexes: [] };
    const handle = binding?.byName.get(table)?.handle ?? -1;
    return { handle, indexes: binding?.indexes.get(handle) ?? [] };
  });
  const { constants } = plan.versions[place] as Version;
  const shared = (plan.template ?? plan).versions[place] as Version;
  let fitted = fittedVersions.get(shared);
  if (fitted === undefined || fitted.binding !== binding) {
    fitted = fit(plan, shared, relations, binding);
    fittedVersions.set(shared, fitted);
  }
  for (const { relation, columns } of fitted.missed) {
    const { handle } = relations[relation] as EncodedRelation;
    demand.note(plan.relations[relation]?.table ?? '', columns, rowsOf(handle));
  }
  const versions = [fitted.version];
  const unit = { kind: 'counting', relations: [shared.head], versions } as const;
  return encodeProgram(relations, [{ unit, isFresh: true, constants }]);
}

function fit(
  plan: QueryPlan,
  version: Version,
  relations: readonly EncodedRelation[],
  binding: Binding | undefined,
): FittedVersion {
  const missed: { relation: number; columns: readonly number[] }[] = [];
  const steps = version.steps.map((step): Step => {
    if (step.op !== 'lookup') return step;
    const columns = plan.indexes[step.relation]?.[step.index] ?? [];
    const indexes = relations[step.relation]?.indexes ?? [];
    const index = indexes.findIndex((one) => one.join() === columns.join());
    if (index >= 0) return { ...step, index };
    missed.push({ relation: step.relation, columns });
    const { index: _, keys, ...iteration } = step;
    const keyChecks = columns.map((column, place) => ({ column, register: keys[place] ?? 0 }));
    return { ...iteration, op: 'scan', checks: [...keyChecks, ...iteration.checks] };
  });
  return { binding, version: { ...version, steps }, missed };
}
