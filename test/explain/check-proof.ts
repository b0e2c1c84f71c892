/**
 * The independent checker of proofs: each node is an instance of its rule over the tables as they
 * are, leaves are base rows or absences, and nothing rests on itself. It shares nothing with the
 * explanation but the program.
 */
import { callFunction } from '../../host/functions/registry.ts';
import { List } from '../../host/value/composite.ts';
import type {
  BestTables,
  StratifiedProgram,
  Literal,
  Rule,
  Term,
} from '../../host/compiler/stratified.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { Proof, ProofLiteral, ProofNode, Reason } from '../../host/explain/proof.ts';
import { sameValue, compareValues } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { compute } from '../oracle/arithmetic.ts';
import { Evaluation } from '../oracle/naive-evaluator.ts';
import type { Tables } from '../oracle/naive-evaluator.ts';

export interface State {
  readonly program: StratifiedProgram;
  /** All rows, and base rows. */
  readonly tables: Tables;
  readonly base: Tables;
}

/** What is wrong with the proof of a row; empty for nothing. */
export function problemOfProof(state: State, proof: Proof, table: string, row: Row): string {
  const [root] = proof.nodes;
  if (root === undefined || root.table !== table || compare(root.row, row) !== 0) {
    return 'the first node is another row';
  }
  for (const [index, node] of proof.nodes.entries()) {
    const problem = problemOfNode(state, proof, node);
    if (problem !== '') return `node ${index}, ${node.table}: ${problem}`;
  }
  return cycleOf(proof);
}

function compare(a: Row, b: Row): number {
  if (a.length !== b.length) return 1;
  return a.every((value, index) => sameValue(value, b[index] as Value)) ? 0 : 1;
}

function problemOfNode(state: State, proof: Proof, node: ProofNode): string {
  const { reason } = node;
  if (state.tables.get(node.table)?.has(node.row) !== true) return 'the row is not there';
  const index = state.program.tables.findIndex((one) => tableKey(one) === node.table);
  if (reason.kind === 'cut') return 'cut short';
  if (reason.kind === 'system') {
    return state.program.tables[index]?.kind === 'system' ? '' : 'no table of the system';
  }
  if (reason.kind === 'base') {
    return state.base.get(node.table)?.has(node.row) === true ? '' : 'no base row';
  }
  const rule = state.program.rules.find(
    (one) => one.policy === reason.rule.policy && one.ordinal === reason.rule.ordinal,
  );
  if (rule === undefined || rule.head !== index) return 'no rule of the table';
  if (reason.kind === 'aggregate') return problemOfAggregate(state, proof, rule, node, reason);
  return problemOfInstance(state, proof, rule, node, reason.body);
}

/** The rule, by itself, gives the row, and the bodies that are shown are instances of it. */
function problemOfAggregate(
  state: State,
  proof: Proof,
  rule: Rule,
  node: ProofNode,
  { group }: Reason & { kind: 'aggregate' },
): string {
  const rows = new Evaluation(state.program, state.tables).derive(rule);
  if (!rows.some((one) => compare(one, node.row) === 0)) return 'the aggregates are others';
  if (!group.truncated && group.count < group.rows.length) return 'the group has another count';
  if (group.count > 0 && group.bodies.length === 0) return 'the group has no body';
  for (const [at, body] of group.bodies.entries()) {
    const given = new Map<number, Value>();
    group.rows[at]?.forEach((value, column) => {
      const index = rule.variables.indexOf(group.columns[column] ?? '');
      if (index >= 0) given.set(index, value);
    });
    const problem = problemOfInstance(state, proof, rule, node, body, given);
    if (problem !== '') return `solution ${at}: ${problem}`;
  }
  return '';
}

function problemOfInstance(
  state: State,
  proof: Proof,
  rule: Rule,
  node: ProofNode,
  body: readonly ProofLiteral[],
  values = new Map<number, Value>(),
): string {
  const best = bestOf(state.program, rule);
  for (const [at, term] of rule.headTerms.entries()) {
    // Aggregates are not of one instance, but where each gives a value.
    const own = term.kind === 'aggregate' ? (best === undefined ? undefined : term.argument) : term;
    if (own !== undefined && !unify(own, node.row[at] as Value, values))
      return 'the head does not match';
  }
  if (body.length !== rule.body.length) return 'literals are missing';
  return problemFrom({ state, proof, rule, node, body }, 0, values);
}

interface Instance {
  readonly state: State;
  readonly proof: Proof;
  readonly rule: Rule;
  readonly node: ProofNode;
  readonly body: readonly ProofLiteral[];
}

/** The literals from one on; of a list, some item that it does not name. */
function problemFrom(instance: Instance, from: number, values: Map<number, Value>): string {
  const { state, proof, rule, node, body } = instance;
  const best = bestOf(state.program, rule);
  for (const [at, literal] of rule.body.entries()) {
    if (at < from) continue;
    const shown = body[at] as ProofLiteral;
    if (literal.kind === 'atom' && !literal.negated) {
      const child = shown.kind === 'row' ? proof.nodes[shown.node] : undefined;
      const table = state.program.tables[literal.table];
      if (child === undefined || table === undefined || child.table !== tableKey(table)) {
        return `literal ${at} has no row of its table`;
      }
      const matches = literal.terms.every((term, column) =>
        unify(term, child.row[column] as Value, values),
      );
      if (!matches) return `the row of literal ${at} does not match`;
      const isRanked = node.rank !== undefined && child.rank !== undefined;
      const together = sameStratum(state.program, rule.head, literal.table);
      if (together && !isRanked) return 'a row of a recursion has no rank';
      if (together && !isBefore(best, [rule.head, node], [literal.table, child])) {
        return 'a rank is not smaller';
      }
    } else if (literal.kind === 'each' && shown.kind === 'holds') {
      return problemOfItems(instance, at, values);
    } else if (!holds(state, literal, values, shown)) return `literal ${at} does not hold`;
  }
  return '';
}

function problemOfItems(instance: Instance, at: number, values: Map<number, Value>): string {
  const literal = instance.rule.body[at] as Literal & { kind: 'each' };
  const { list: term } = literal;
  const list = term.kind === 'constant' ? term.value : values.get(term.index);
  let problem = `literal ${at} does not hold`;
  if (!(list instanceof List)) return problem;
  for (const item of list.items) {
    const own = new Map(values);
    if (!unify(literal.output, item, own)) continue;
    problem = problemFrom(instance, at + 1, own);
    if (problem === '') return '';
  }
  return problem;
}

function unify(term: Term, value: Value, values: Map<number, Value>): boolean {
  if (term.kind === 'wildcard') return true;
  if (term.kind === 'constant') return sameValue(term.value, value);
  if (values.has(term.index)) return sameValue(values.get(term.index) as Value, value);
  values.set(term.index, value);
  return true;
}

/** Of a rule that reads its own component. */
function bestOf(program: StratifiedProgram, rule: Rule): BestTables | undefined {
  const best = program.strata.find(({ tables }) => tables.includes(rule.head))?.best;
  const isInside = rule.body.some(
    (literal) => literal.kind === 'atom' && best?.columns.has(literal.table) === true,
  );
  return isInside ? best : undefined;
}

type Placed = readonly [table: number, node: ProofNode];

/** By rank; of best tables by value, of equal values by rank. */
function isBefore(best: BestTables | undefined, head: Placed, child: Placed): boolean {
  const isSmaller = (child[1].rank ?? 0) < (head[1].rank ?? 0);
  if (best === undefined) return isSmaller;
  const valueOf = ([table, { row }]: Placed): Value => row[best.columns.get(table) ?? -1] as Value;
  const order = compareValues(valueOf(child), valueOf(head));
  if (order === 0) return isSmaller;
  return best.function === 'min' ? order < 0 : order > 0;
}

function sameStratum(program: StratifiedProgram, a: number, b: number): boolean {
  return program.strata.some(({ tables }) => tables.includes(a) && tables.includes(b));
}

function holds(
  state: State,
  literal: Literal,
  values: Map<number, Value>,
  shown: ProofLiteral,
): boolean {
  const value = (term: Term): Value | undefined => {
    if (term.kind === 'wildcard') return undefined;
    return term.kind === 'constant' ? term.value : values.get(term.index);
  };
  if (literal.kind === 'atom') {
    const table = state.program.tables[literal.table];
    if (shown.kind !== 'absent' || table === undefined) return false;
    if (shown.table !== tableKey(table)) return false;
    const pattern = literal.terms.map(value);
    if (!pattern.every((one, column) => isSame(one, shown.row[column]))) return false;
    const rows = [...(state.tables.get(shown.table) ?? [])];
    return !rows.some((row) =>
      pattern.every((one, at) => one === undefined || isSame(one, row[at])),
    );
  }
  if (shown.kind !== 'holds') return false;
  if (literal.kind === 'each') return false;
  if (literal.kind === 'call') {
    const inputs = literal.inputs.map(value);
    if (inputs.includes(undefined)) return false;
    const result = callFunction(literal.function, inputs as Value[]);
    return result !== undefined && unify(literal.output, result, values);
  }
  const [left, right] = [value(literal.left), value(literal.right)];
  if (literal.kind === 'compute') {
    if (left === undefined || right === undefined) return false;
    const result = compute(literal.operator, left, right);
    if (result === undefined) return false;
    return unify(literal.output, result, values);
  }
  if (literal.operator === '=') {
    if (left !== undefined) return unify(literal.right, left, values);
    return right !== undefined && unify(literal.left, right, values);
  }
  if (left === undefined || right === undefined) return false;
  const order = compareValues(left, right);
  switch (literal.operator) {
    case '!=':
      return !sameValue(left, right);
    case '<':
      return isLess(left, right, order);
    case '<=':
      return !isLess(right, left, -order);
    case '>':
      return isLess(right, left, -order);
    case '>=':
      return !isLess(left, right, order);
  }
}

function isSame(a: Value | undefined, b: Value | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return sameValue(a, b);
}

/** 1 and 1.0 differ in the total order, not by value. */
function isLess(a: Value, b: Value, order: number): boolean {
  const areNumbers = typeof a !== typeof b && isNumber(a) && isNumber(b);
  return areNumbers && Number(a) === Number(b) ? false : order < 0;
}

function isNumber(value: Value): boolean {
  return typeof value === 'bigint' || typeof value === 'number';
}

/** Depth first: a node that is met again below itself. */
function cycleOf(proof: Proof): string {
  const state = new Map<number, 'under way' | 'done'>();
  const pending: { readonly node: number; readonly isEnd: boolean }[] = [{ node: 0, isEnd: false }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.isEnd) {
      state.set(next.node, 'done');
      continue;
    }
    if (state.get(next.node) === 'done') continue;
    if (state.get(next.node) === 'under way') return `node ${next.node} rests on itself`;
    state.set(next.node, 'under way');
    pending.push({ node: next.node, isEnd: true });
    const reason = proof.nodes[next.node]?.reason;
    const bodies =
      reason?.kind === 'rule'
        ? [reason.body]
        : reason?.kind === 'aggregate'
          ? reason.group.bodies
          : [];
    for (const literal of bodies.flat()) {
      if (literal.kind === 'row') pending.push({ node: literal.node, isEnd: false });
    }
  }
  return '';
}
