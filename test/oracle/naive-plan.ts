/** Plans for the naive engine: programs and queries as they are, nothing to run. */
import type { Plan, PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import type { StratifiedProgram, StratifiedQuery, Table } from '../../host/compiler/stratified.ts';

export function naivePlan(program: StratifiedProgram, options: PlanOptions): Plan {
  const [tables, aggregates] = [new Map(), new Map()];
  return { program, options, relations: [], units: [], tables, aggregates };
}

export function naiveQueryPlan(
  plan: Plan,
  query: StratifiedQuery & { readonly tables: readonly Table[] },
): QueryPlan {
  const program = { ...plan.program, tables: query.tables };
  return { program, query, relations: [], indexes: [], versions: [] };
}
