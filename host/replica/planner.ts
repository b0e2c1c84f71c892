/**
 * From compiled policies to what the engine runs: failed rules left out, views added, the tables
 * chosen whose deltas and digest count. Pure.
 */
import type { Plan, PlanOptions } from '../compiler/plan.ts';
import { onDemandTables } from '../compiler/on-demand.ts';
import type { PlanMemory } from '../compiler/plan-memory.ts';
import { tableKey } from '../compiler/stratified.ts';
import { Unfolding } from '../compiler/unfold.ts';
import type {
  StratifiedProgram,
  StratifiedQuery,
  Table,
  TableKey,
} from '../compiler/stratified.ts';
import type { TableChange } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import type { Row } from '../value/value.ts';
import { failedTableOf, failuresOf, programWithout } from './failures.ts';
import type { FailedTable, FailureRoots, Failures } from './failures.ts';
import { readsNow } from './now-row.ts';
import { plannedTable } from './view-registry.ts';
import type { ViewEntry } from './view-registry.ts';
import { keyChange, sharedQuery } from './view-shape.ts';
import type { ViewShape } from './view-shape.ts';

/** As the compiler gives it: with the tables that its numbers mean, those of the program first. */
export type CompiledQuery = StratifiedQuery & { readonly tables: readonly Table[] };

/**
 * Queries may name tables that are not there yet; each compiled query appends its own to those of
 * the program. This gives them one numbering.
 */
export class QueryBinder {
  readonly tables: Table[];
  readonly #numbers: Map<TableKey, number>;

  constructor(tables: readonly Table[]) {
    this.tables = [...tables];
    this.#numbers = new Map(tables.map((table, index) => [tableKey(table), index]));
  }

  bind(query: CompiledQuery): CompiledQuery {
    const body = query.body.map((literal) => {
      if (literal.kind !== 'atom') return literal;
      const table = query.tables[literal.table];
      if (table === undefined) throw new Error(`query without its table ${literal.table}`);
      return { ...literal, table: this.number(table) };
    });
    return { ...query, body, tables: this.tables };
  }

  number(table: Table): number {
    const key = tableKey(table);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.tables.length;
      this.tables.push(table);
      this.#numbers.set(key, number);
    }
    return number;
  }
}

export type Lower = (program: StratifiedProgram, options: PlanOptions, memory?: PlanMemory) => Plan;

export interface Planned {
  readonly program: StratifiedProgram;
  readonly plan: Plan;
  /** Of the plan: those of the program, then those that only views name. */
  readonly tables: readonly Table[];
  readonly failures: Failures;
  /** A rule or view reads the time: it has to go on when nothing else happens. */
  readonly readsNow: boolean;
  /** The views in the plan, with the query as compiled for this program. */
  readonly kept: readonly { readonly entry: ViewEntry; readonly query: StratifiedQuery }[];
  readonly lost: readonly { readonly entry: ViewEntry; readonly error: CaucusError }[];
  /** The tables that the engine keeps for views. */
  readonly viewTables: ReadonlySet<TableKey>;
  /** The constants of views that share plans. */
  readonly keyChanges: readonly TableChange[];
}

export interface PlanInput {
  readonly program: StratifiedProgram;
  readonly roots: FailureRoots;
  readonly views: readonly ViewEntry[];
  /** Compiles a view's text against `program`; throws a `CaucusError`. */
  readonly compileView: (text: string) => CompiledQuery;
  /** Watch every derived table as well: what a dry run reports. */
  readonly watchAll?: boolean;
  /** Of the plan before. */
  readonly memory?: PlanMemory;
}

export function planProgram(lower: Lower, input: PlanInput): Planned {
  const { program } = input;
  const failures = failuresOf(program, input.roots);
  const effective = programWithout(program, failures);
  const binder = new QueryBinder(program.tables);
  const unfolding = new Unfolding(effective, onDemandTables(effective));
  const kept: { entry: ViewEntry; query: CompiledQuery }[] = [];
  const lost: { entry: ViewEntry; error: CaucusError }[] = [];
  for (const entry of input.views) {
    try {
      const query = input.compileView(entry.text);
      const failed = failedTableOf(query, failures);
      if (failed !== undefined) throw policyFailed(failed);
      unfolding.check(query.body, query.variables.length);
      kept.push({ entry, query: binder.bind(query) });
    } catch (error) {
      if (!(error instanceof CaucusError)) throw error;
      lost.push({ entry, error });
    }
  }
  const watched = new Set<TableKey>();
  for (const table of program.tables) {
    if (table.kind === 'execute' || (input.watchAll === true && table.kind === 'policy')) {
      watched.add(tableKey(table));
    }
  }
  const { views, keyChanges } = plannedViews(kept, binder);
  const plan = lower(
    { ...effective, tables: binder.tables },
    {
      watched,
      digest: reachableFromExecute(effective),
      views,
      leavesOut: true,
    },
    input.memory,
  );
  const bodies = [...effective.rules, ...kept.map(({ query }) => query)];
  const { tables } = binder;
  const viewTables = new Set(kept.map(({ entry }) => plannedTable(entry)));
  const isTimed = readsNow(tables, bodies);
  return { program, plan, tables, failures, readsNow: isTimed, kept, lost, viewTables, keyChanges };
}

/** One view a shape, one for each that has none. */
function plannedViews(
  kept: readonly { readonly entry: ViewEntry; readonly query: CompiledQuery }[],
  binder: QueryBinder,
): { views: NonNullable<PlanOptions['views']>; keyChanges: TableChange[] } {
  const views: { name: string; query: StratifiedQuery }[] = [];
  const rows = new Map<ViewShape, Row[]>();
  for (const { entry, query } of kept) {
    const { shape, constants } = entry;
    if (shape === undefined) {
      views.push({ name: entry.name, query });
      continue;
    }
    const known = rows.get(shape);
    if (known === undefined) {
      rows.set(shape, [constants]);
      views.push({ name: shape.name, query: sharedQuery(query, binder.number(shape.keys)) });
    } else known.push(constants);
  }
  const keyChanges = [...rows].map(([shape, keys]) => keyChange(shape, 'replace', keys));
  return { views, keyChanges };
}

export function policyFailed(failed: FailedTable): CaucusError {
  return new CaucusError(
    'policy_failed',
    `table \`${failed.table}\` is failed: policy \`${failed.policy}\` has \`${failed.code}\``,
    {
      remedy: 'see `system:failed`; change the policy or the rows that make its tables too large',
      details: { policy: failed.policy, table: failed.table, cause: failed.code },
    },
  );
}

/** The derived tables that decide about actions: they are part of the replicated state. */
export function reachableFromExecute(program: StratifiedProgram): Set<TableKey> {
  const reached = new Set<number>();
  const pending: number[] = [];
  for (const [index, table] of program.tables.entries()) {
    if (table.kind === 'execute') pending.push(index);
  }
  const rulesByHead = new Map<number, typeof program.rules>();
  for (const rule of program.rules) {
    rulesByHead.set(rule.head, [...(rulesByHead.get(rule.head) ?? []), rule]);
  }
  for (let table = pending.pop(); table !== undefined; table = pending.pop()) {
    const rules = rulesByHead.get(table);
    if (reached.has(table) || rules === undefined) continue;
    reached.add(table);
    for (const rule of rules) {
      for (const literal of rule.body) if (literal.kind === 'atom') pending.push(literal.table);
    }
  }
  const keys = new Set<TableKey>();
  for (const index of reached) {
    const table = program.tables[index];
    if (table !== undefined) keys.add(tableKey(table));
  }
  return keys;
}
