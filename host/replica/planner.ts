/**
 * From compiled policies to what the engine runs: failed rules left out, views added, the tables
 * chosen whose deltas and digest count. Pure.
 */
import type { Plan, PlanOptions } from '../compiler/plan.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { StratifiedProgram, StratifiedQuery, TableKey } from '../compiler/stratified.ts';
import { CaucusError } from '../errors.ts';
import { failedTableOf, failuresOf, programWithout } from './failures.ts';
import type { FailedTable, FailureRoots, Failures } from './failures.ts';
import type { ViewEntry } from './view-registry.ts';

export type Lower = (program: StratifiedProgram, options: PlanOptions) => Plan;

export interface Planned {
  readonly program: StratifiedProgram;
  readonly plan: Plan;
  readonly failures: Failures;
  /** The views in the plan, with the query as compiled for this program. */
  readonly kept: readonly { readonly entry: ViewEntry; readonly query: StratifiedQuery }[];
  readonly lost: readonly { readonly entry: ViewEntry; readonly error: CaucusError }[];
}

export interface PlanInput {
  readonly program: StratifiedProgram;
  readonly roots: FailureRoots;
  readonly views: readonly ViewEntry[];
  /** Compiles a view's text against `program`; throws a `CaucusError`. */
  readonly compileView: (text: string) => StratifiedQuery;
  /** Watch every derived table as well: what a dry run reports. */
  readonly watchAll?: boolean;
}

export function planProgram(lower: Lower, input: PlanInput): Planned {
  const { program } = input;
  const failures = failuresOf(program, input.roots);
  const effective = programWithout(program, failures);
  const kept: { entry: ViewEntry; query: StratifiedQuery }[] = [];
  const lost: { entry: ViewEntry; error: CaucusError }[] = [];
  for (const entry of input.views) {
    try {
      const query = input.compileView(entry.text);
      const failed = failedTableOf(program, query.body, failures);
      if (failed !== undefined) throw policyFailed(failed);
      kept.push({ entry, query });
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
  const plan = lower(effective, {
    watched,
    digest: reachableFromExecute(effective),
    views: kept.map(({ entry, query }) => ({ name: entry.name, query })),
  });
  return { program, plan, failures, kept, lost };
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
