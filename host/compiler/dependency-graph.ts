/**
 * Which table is computed from which, and the strongly connected components in dependency order.
 */
import type { Span } from './source-text.ts';
import { canFail } from './stratified.ts';
import type { Aggregate, AggregateFunction, HeadTerm, Rule } from './stratified.ts';

/** `from` is computed with rows of `to`. A strict edge needs `to` complete: negation, aggregate. */
export interface Dependency {
  readonly from: number;
  readonly to: number;
  readonly strict: 'negation' | 'aggregate' | undefined;
  readonly rule: number;
  readonly span: Span;
}

export interface DependencyGraph {
  /** By table: what it is computed from. */
  readonly dependencies: readonly (readonly Dependency[])[];
  /** What a component depends on stands before it; the members of one in ascending order. */
  readonly components: readonly (readonly number[])[];
  /** Table → index of its component. */
  readonly componentOf: Int32Array;
}

/** What the system tells of other tables; −1 for what no rule reads. */
export interface Reports {
  /** Computed from every rule that may fail, strictly: it is known once all of its stratum is. */
  readonly errors: number;
  /** Computed from the tables with a key, as strictly. */
  readonly violations: number;
  readonly keyed: ReadonlySet<number>;
}

const NO_REPORTS: Reports = { errors: -1, violations: -1, keyed: new Set() };

export function dependencyGraph(
  tableCount: number,
  rules: readonly Rule[],
  reports: Reports = NO_REPORTS,
): DependencyGraph {
  const dependencies: Dependency[][] = Array.from({ length: tableCount }, () => []);
  for (const [index, rule] of rules.entries()) {
    const aggregates = rule.headTerms.some((term) => term.kind === 'aggregate');
    const failing = [
      ...rule.body.filter(canFail),
      // A sum outside 64 bits, or a sum or mean over what is no number.
      ...(rule.headTerms.some(mayLackValue) ? [rule] : []),
    ];
    const report = (from: number, span: Span): void => {
      dependencies[from]?.push({ from, to: rule.head, strict: 'negation', rule: index, span });
    };
    for (const { span } of failing) report(reports.errors, span);
    if (reports.keyed.has(rule.head)) report(reports.violations, rule.span);
    for (const literal of rule.body) {
      if (literal.kind !== 'atom') continue;
      const strict = literal.negated ? 'negation' : aggregates ? 'aggregate' : undefined;
      dependencies[rule.head]?.push({
        from: rule.head,
        to: literal.table,
        strict,
        rule: index,
        span: literal.span,
      });
    }
  }
  const components = stronglyConnected(dependencies);
  const componentOf = new Int32Array(tableCount);
  components.forEach((members, index) => {
    for (const table of members) componentOf[table] = index;
  });
  return { dependencies, components, componentOf };
}

/** What is no number has no sum, and a list may have too many bytes. */
const FAILING: ReadonlySet<AggregateFunction> = new Set(['sum', 'avg', 'collect']);

/** Their states say all; the others look through the rows of a group now and then. */
const SEARCHLESS: ReadonlySet<AggregateFunction> = new Set(['count', 'sum', 'avg']);

export function searchesGroup(aggregate: Aggregate): boolean {
  return !SEARCHLESS.has(aggregate.function);
}

/** True for an aggregate that may have no value. */
export function mayLackValue(term: HeadTerm): boolean {
  return term.kind === 'aggregate' && FAILING.has(term.function);
}

/**
 * R. Tarjan, Depth-first search and linear graph algorithms (1972), with an explicit stack: a
 * chain of rules may be as long as a policy. Components come out behind those that they depend
 * on.
 */
function stronglyConnected(dependencies: readonly (readonly Dependency[])[]): number[][] {
  const count = dependencies.length;
  const order = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const nextEdge = new Int32Array(count);
  const stack: number[] = [];
  const components: number[][] = [];
  let visited = 0;

  const enter = (node: number, path: number[]): void => {
    order[node] = low[node] = visited++;
    stack.push(node);
    onStack[node] = 1;
    path.push(node);
  };
  const leave = (node: number): void => {
    if (low[node] !== order[node]) return;
    const members: number[] = [];
    for (;;) {
      const member = stack.pop();
      if (member === undefined) break;
      onStack[member] = 0;
      members.push(member);
      if (member === node) break;
    }
    components.push(members.sort((a, b) => a - b));
  };

  for (let root = 0; root < count; root++) {
    if (order[root] !== -1) continue;
    const path: number[] = [];
    enter(root, path);
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const edge = dependencies[node]?.[nextEdge[node] ?? 0];
      if (edge === undefined) {
        leave(node);
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) low[parent] = Math.min(low[parent] ?? 0, low[node] ?? 0);
        continue;
      }
      nextEdge[node] = (nextEdge[node] ?? 0) + 1;
      if (order[edge.to] === -1) enter(edge.to, path);
      else if (onStack[edge.to] === 1) {
        low[node] = Math.min(low[node] ?? 0, order[edge.to] ?? 0);
      }
    }
  }
  return components;
}
