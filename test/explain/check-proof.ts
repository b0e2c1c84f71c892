/**
 * The independent checker of proofs: each node is an instance of its rule over the tables as they
 * are, leaves are base rows or absences, and nothing rests on itself. It shares nothing with the
 * explanation but the program.
 */
import { callFunction } from '../../host/functions/registry.ts';
import { List } from '../../host/value/composite.ts';
import type { StratifiedProgram, Literal, Rule, Term } from '../../host/compiler/stratified.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { Proof, ProofLiteral, ProofNode } from '../../host/explain/proof.ts';
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
  return a.every((value, index) => value === b[index]) ? 0 : 1;
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
  if (reason.kind === 'aggregate') return problemOfAggregate(state, rule, node.row);
  return problemOfInstance(state, proof, rule, node, reason.body);
}

/** The rule, by itself, gives the row. */
function problemOfAggregate(state: State, rule: Rule, row: Row): string {
  const rows = new Evaluation(state.program, state.tables).derive(rule);
  return rows.some((one) => compare(one, row) === 0) ? '' : 'the aggregates are others';
}

function problemOfInstance(
  state: State,
  proof: Proof,
  rule: Rule,
  node: ProofNode,
  body: readonly ProofLiteral[],
): string {
  const values = new Map<number, Value>();
  const unify = (term: Term, value: Value): boolean => {
    if (term.kind === 'wildcard') return true;
    if (term.kind === 'constant') return sameValue(term.value, value);
    if (values.has(term.index)) return sameValue(values.get(term.index) as Value, value);
    values.set(term.index, value);
    return true;
  };
  if (!rule.headTerms.every((term, at) => unify(term as Term, node.row[at] as Value))) {
    return 'the head does not match';
  }
  if (body.length !== rule.body.length) return 'literals are missing';
  for (const [at, literal] of rule.body.entries()) {
    const shown = body[at] as ProofLiteral;
    if (literal.kind === 'atom' && !literal.negated) {
      const child = shown.kind === 'row' ? proof.nodes[shown.node] : undefined;
      const table = state.program.tables[literal.table];
      if (child === undefined || table === undefined || child.table !== tableKey(table)) {
        return `literal ${at} has no row of its table`;
      }
      const matches = literal.terms.every((term, column) =>
        unify(term, child.row[column] as Value),
      );
      if (!matches) return `the row of literal ${at} does not match`;
      const isRanked = node.rank !== undefined && child.rank !== undefined;
      const together = sameStratum(state.program, rule.head, literal.table);
      if (together && !isRanked) return 'a row of a recursion has no rank';
      if (together && (child.rank ?? 0) >= (node.rank ?? 0)) return 'a rank is not smaller';
    } else if (!holds(state, literal, values, shown)) return `literal ${at} does not hold`;
  }
  return '';
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
    if (!pattern.every((one, column) => one === shown.row[column])) return false;
    const rows = [...(state.tables.get(shown.table) ?? [])];
    return !rows.some((row) => pattern.every((one, at) => one === undefined || one === row[at]));
  }
  if (shown.kind !== 'holds') return false;
  if (literal.kind === 'each') {
    const list = value(literal.list);
    if (!(list instanceof List)) return false;
    return list.items.some((item) => bindOrCompare(literal.output, item, values));
  }
  if (literal.kind === 'call') {
    const inputs = literal.inputs.map(value);
    if (inputs.includes(undefined)) return false;
    const result = callFunction(literal.function, inputs as Value[]);
    return result !== undefined && bindOrCompare(literal.output, result, values);
  }
  const [left, right] = [value(literal.left), value(literal.right)];
  if (literal.kind === 'compute') {
    if (left === undefined || right === undefined) return false;
    const result = compute(literal.operator, left, right);
    if (result === undefined) return false;
    return bindOrCompare(literal.output, result, values);
  }
  if (literal.operator === '=') {
    if (left !== undefined) return bindOrCompare(literal.right, left, values);
    return right !== undefined && bindOrCompare(literal.left, right, values);
  }
  if (left === undefined || right === undefined) return false;
  const order = compareValues(left, right);
  switch (literal.operator) {
    case '!=':
      return left !== right;
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

/** 1 and 1.0 differ in the total order, not by value. */
function isLess(a: Value, b: Value, order: number): boolean {
  const areNumbers = typeof a !== typeof b && isNumber(a) && isNumber(b);
  return areNumbers && Number(a) === Number(b) ? false : order < 0;
}

function isNumber(value: Value): boolean {
  return typeof value === 'bigint' || typeof value === 'number';
}

function bindOrCompare(term: Term, value: Value, values: Map<number, Value>): boolean {
  if (term.kind === 'wildcard') return true;
  if (term.kind === 'constant') return sameValue(term.value, value);
  const known = values.get(term.index);
  if (known !== undefined) return sameValue(known, value);
  values.set(term.index, value);
  return true;
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
    if (reason?.kind !== 'rule') continue;
    for (const literal of reason.body) {
      if (literal.kind === 'row') pending.push({ node: literal.node, isEnd: false });
    }
  }
  return '';
}
