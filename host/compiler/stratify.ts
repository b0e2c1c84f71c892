/** Components → strata, or the cycles through a negation or an aggregate as diagnostics. */
import { CYCLES_REPORTED_MAX } from '../limits.ts';
import type { Dependency, DependencyGraph } from './dependency-graph.ts';
import { tableKey } from './stratified.ts';
import type { BestTables, Rule, Stratum, Table } from './stratified.ts';

/** A dependency that closes a cycle although it needs its table complete. */
export interface StrictCycle {
  readonly closing: Dependency;
  /**
   * Starts with `closing`; each edge begins where the one before ends; the last ends at
   * `closing.from`.
   */
  readonly path: readonly Dependency[];
}

/** `best`: components that depend on their own best values. */
export function stratify(
  graph: DependencyGraph,
  rules: readonly Rule[],
  best: ReadonlyMap<number, BestTables>,
): Stratum[] {
  const rulesOf = new Map<number, number[]>();
  rules.forEach((rule, index) => {
    const own = rulesOf.get(rule.head);
    if (own === undefined) rulesOf.set(rule.head, [index]);
    else own.push(index);
  });
  const strata: Stratum[] = [];
  for (const [component, members] of graph.components.entries()) {
    const tables = members.filter((table) => rulesOf.has(table));
    if (tables.length === 0) continue;
    const own = tables.flatMap((table) => rulesOf.get(table) ?? []).sort((a, b) => a - b);
    const recursive =
      members.length > 1 ||
      members.some((table) => graph.dependencies[table]?.some((edge) => edge.to === table));
    const values = best.get(component);
    const kind = values === undefined ? {} : { best: values };
    strata.push({ tables, recursive, ...kind, rules: own });
  }
  return strata;
}

/**
 * Some of the cycles of each component that is not stratified, each with a shortest way back; those
 * in `allowed` components are none.
 */
export function strictCycles(
  graph: DependencyGraph,
  allowed: ReadonlySet<number> = new Set(),
): StrictCycle[] {
  const reported = new Map<number, number>();
  const cycles: StrictCycle[] = [];
  for (const edges of graph.dependencies) {
    for (const edge of edges) {
      if (edge.strict === undefined) continue;
      const component = graph.componentOf[edge.from] ?? -1;
      if (component !== graph.componentOf[edge.to] || allowed.has(component)) continue;
      const count = reported.get(component) ?? 0;
      if (count >= CYCLES_REPORTED_MAX) continue;
      reported.set(component, count + 1);
      cycles.push({ closing: edge, path: [edge, ...shortestPath(graph, edge.to, edge.from)] });
    }
  }
  return cycles;
}

function shortestPath(graph: DependencyGraph, from: number, to: number): Dependency[] {
  if (from === to) return [];
  const component = graph.componentOf[from];
  const reachedBy = new Map<number, Dependency>();
  const queue = [from];
  for (const table of queue) {
    if (table === to) break;
    for (const edge of graph.dependencies[table] ?? []) {
      if (graph.componentOf[edge.to] !== component || reachedBy.has(edge.to)) continue;
      reachedBy.set(edge.to, edge);
      queue.push(edge.to);
    }
  }
  const path: Dependency[] = [];
  for (let at = to; at !== from;) {
    const edge = reachedBy.get(at);
    if (edge === undefined) throw new Error('a component is connected');
    path.unshift(edge);
    at = edge.from;
  }
  return path;
}

const CYCLE_NAMES_MAX = 12;

/** `a → not b → a`; own tables of `policy` without their policy. */
export function cycleText(cycle: StrictCycle, tables: readonly Table[], policy: string): string {
  const nameOf = (index: number): string => {
    const table = tables[index];
    if (table === undefined) return '?';
    return table.owner === policy ? table.name : tableKey(table);
  };
  const steps = cycle.path.map(({ to, strict }) => {
    const mark = strict === 'negation' ? 'not ' : strict === 'aggregate' ? 'aggregate of ' : '';
    return mark + nameOf(to);
  });
  if (steps.length > CYCLE_NAMES_MAX)
    steps.splice(CYCLE_NAMES_MAX - 2, steps.length - CYCLE_NAMES_MAX, '…');
  return [nameOf(cycle.closing.from), ...steps].join(' → ');
}
