/**
 * Why a row is there: one proof of it, as numbered nodes. A node names the rule and the values
 * under which its body holds; each positive literal is a row with a node of its own, which several
 * may share; what is negated, compared or computed is told as it stands. The proof ends: within a
 * recursion every row rests on rows of smaller ranks (engine-as/maintenance.ts), where that goes
 * through `min` or `max` on rows that come before it (best-instance.ts), elsewhere on tables that
 * were computed before.
 */
import { variablesOfHead } from '../compiler/core-rule.ts';
import type { Literal, Rule, TableKey } from '../compiler/stratified.ts';
import {
  GROUP_BODIES_MAX,
  GROUP_COUNT_MAX,
  GROUP_ROWS_MAX,
  PROOF_CHARS_MAX,
  PROOF_NODES_MAX,
} from '../limits.ts';
import { valueKey } from '../value/value.ts';
import type { Row, Value } from '../value/value.ts';
import { isAggregateRule, matchHead, nameWildcards, substitute } from './evidence.ts';
import type { Body, Evidence, Known, Pattern } from './evidence.ts';
import { plainRule, solveBest } from './best-instance.ts';
import type { Component } from './program-index.ts';

export interface RuleName {
  readonly policy: string;
  /** From 1. */
  readonly ordinal: number;
  readonly text: string;
  /** Of the policy's text, from 1; absent where that is not at hand. */
  readonly line?: number;
  /** By `@name`. */
  readonly name?: string;
}

export type ProofLiteral =
  /** `node`: place in `Proof.nodes`. */
  | { readonly kind: 'row'; readonly node: number }
  /** No row of the table matches. */
  | { readonly kind: 'absent'; readonly table: TableKey; readonly row: Pattern }
  /** A comparison or computation, with its values. */
  | { readonly kind: 'holds'; readonly literal: Literal };

export type Reason =
  /** It was put there. */
  | { readonly kind: 'base' }
  /** The system keeps the table. */
  | { readonly kind: 'system' }
  /** A fact of the text is a rule without literals. */
  | {
      readonly kind: 'rule';
      readonly rule: RuleName;
      readonly bindings: readonly (readonly [name: string, value: Value])[];
      readonly body: readonly ProofLiteral[];
    }
  | {
      readonly kind: 'aggregate';
      readonly rule: RuleName;
      readonly bindings: readonly (readonly [name: string, value: Value])[];
      readonly group: Group;
    }
  /** A limit of the proof is reached. */
  | { readonly kind: 'cut' };

/** The distinct solutions that an aggregate ranges over. */
export interface Group {
  readonly columns: readonly string[];
  /** The first ones. */
  readonly rows: readonly Row[];
  /** The rows that the first of them come from. */
  readonly bodies: readonly (readonly ProofLiteral[])[];
  readonly count: number;
  /** There are more than `count`. */
  readonly truncated: boolean;
}

export interface ProofNode {
  readonly table: TableKey;
  readonly row: Row;
  /**
   * Within a recursion: larger than those of all rows of the recursion in its body, of tables with
   * best values than those of rows with an equal value.
   */
  readonly rank?: number;
  readonly reason: Reason;
}

export interface Proof {
  /** The first is the row that was asked for. */
  readonly nodes: readonly ProofNode[];
}

export interface ProofOptions {
  /** Rows that may be named before the others are left unexplained. */
  readonly nodesMax?: number;
  /** Steps from the row that was asked for; rows that are further are left unexplained. */
  readonly depthMax?: number;
  /** Other rows are left unexplained. */
  readonly isOpen?: (table: TableKey, row: Row) => boolean;
}

/** Undefined where the row is not there. */
export async function prove(
  evidence: Evidence,
  table: TableKey,
  row: Row,
  options: ProofOptions = {},
): Promise<Proof | undefined> {
  const index = evidence.find(table);
  if (index === undefined || evidence.table(index).arity !== row.length) return undefined;
  const rank = await evidence.rank(index, row);
  if (rank === undefined) return undefined;
  return new Prover(evidence, options).prove(index, row);
}

interface Open {
  readonly table: number;
  readonly row: Row;
  readonly depth: number;
}

class Prover {
  readonly #evidence: Evidence;
  readonly #nodesMax: number;
  readonly #depthMax: number;
  readonly #isOpen: (table: TableKey, row: Row) => boolean;
  readonly #nodes: ProofNode[] = [];
  /** Rows in the order of their nodes. */
  readonly #open: Open[] = [];
  readonly #numbers = new Map<string, number>();
  #chars = 0;
  /** Of the rows that are named now. */
  #depth = 0;

  constructor(evidence: Evidence, { nodesMax, depthMax, isOpen }: ProofOptions) {
    this.#evidence = evidence;
    this.#nodesMax = nodesMax ?? PROOF_NODES_MAX;
    this.#depthMax = depthMax ?? Number.POSITIVE_INFINITY;
    this.#isOpen = isOpen ?? (() => true);
  }

  async prove(table: number, row: Row): Promise<Proof> {
    this.#number(table, row);
    for (let at = 0; at < this.#open.length; at++) {
      this.#nodes.push(await this.#node(this.#open[at] as Open));
    }
    return { nodes: this.#nodes };
  }

  #number(table: number, row: Row): number {
    const key = rowKey(table, row);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#open.push({ table, row, depth: this.#depth }) - 1;
      this.#numbers.set(key, number);
      this.#chars += key.length;
    }
    return number;
  }

  /** Whatever a row rests on is named with it: no more is begun once there are so many. */
  #isFull(depth: number): boolean {
    if (this.#open.length >= this.#nodesMax || this.#chars >= PROOF_CHARS_MAX) return true;
    return depth >= this.#depthMax || this.#evidence.isTired;
  }

  async #node({ table, row, depth }: Open): Promise<ProofNode> {
    const evidence = this.#evidence;
    const key = evidence.key(table);
    const given = this.#given(table);
    if (given !== undefined) return { table: key, row, reason: given };
    if (this.#isFull(depth) || !this.#isOpen(key, row))
      return { table: key, row, reason: { kind: 'cut' } };
    this.#depth = depth + 1;
    const component = evidence.componentOf(table);
    const found = component === undefined ? undefined : await evidence.rank(table, row);
    const rank = found === undefined ? {} : { rank: found };
    return { table: key, row, ...rank, reason: await this.#reason(table, row, found ?? 0) };
  }

  /** Of a table without rules. */
  #given(table: number): Reason | undefined {
    const evidence = this.#evidence;
    if (evidence.table(table).kind === 'system') return { kind: 'system' };
    const hasRules = evidence.rulesOf(table).length + evidence.factCount(table) > 0;
    return hasRules ? undefined : { kind: 'base' };
  }

  async #reason(table: number, row: Row, rank: number): Promise<Reason> {
    const evidence = this.#evidence;
    const rules = evidence.rulesOf(table);
    if (await evidence.isBase(table, row)) return { kind: 'base' };
    const fact = await evidence.findFact(table, row);
    if (fact !== undefined) {
      return { kind: 'rule', rule: ruleName(evidence, fact), bindings: [], body: [] };
    }
    const component = evidence.componentOf(table);
    const isOfComponent = (literal: Literal): boolean =>
      literal.kind === 'atom' && component?.keys.has(evidence.key(literal.table)) === true;
    const exits = rules.filter((rule) => !rule.body.some(isOfComponent));
    const others = rules.filter((rule) => rule.body.some(isOfComponent));
    for (const rule of exits) {
      const reason = isAggregateRule(rule)
        ? await this.#aggregate(rule, row)
        : await this.#instance(rule, row, undefined, rank);
      if (reason !== undefined) return reason;
    }
    for (const rule of others) {
      const reason = await this.#instance(rule, row, component, rank);
      if (reason !== undefined) return reason;
    }
    // Not all choices are tried, see best-instance.ts.
    if (component?.best !== undefined) return { kind: 'cut' };
    throw new Error(`no rule gives ${evidence.key(table)}(${row.map(String).join(', ')})`);
  }

  async #instance(
    rule: Rule,
    row: Row,
    component: Component | undefined,
    rank: number,
  ): Promise<Reason | undefined> {
    const evidence = this.#evidence;
    const known = matchHead(component?.best === undefined ? rule : plainRule(rule), row);
    if (known === undefined) return undefined;
    const body = nameWildcards({ literals: rule.body, variables: rule.variables });
    let values: Known | undefined;
    if (component?.best !== undefined) {
      const value = row[component.best.columns.get(rule.head) ?? -1] as Value;
      values = await solveBest(evidence, body, known, { best: component.best, value, rank });
    } else if (component !== undefined) {
      const isRanked = (table: TableKey): boolean => component.keys.has(table);
      values = await evidence.solve(body, known, { before: { rank, isRanked } });
    } else values = await evidence.solve(body, known);
    if (values === undefined) return undefined;
    const bindings = bindingsOf(rule, values);
    const name = ruleName(evidence, rule);
    return { kind: 'rule', rule: name, bindings, body: this.#literals(body, values) };
  }

  #literals({ literals }: Body, values: Known): ProofLiteral[] {
    return literals.map((literal) => this.#literal(substitute(literal, values)));
  }

  #literal(literal: Literal): ProofLiteral {
    if (literal.kind !== 'atom') return { kind: 'holds', literal };
    const row = literal.terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
    if (!literal.negated) return { kind: 'row', node: this.#number(literal.table, row as Row) };
    return { kind: 'absent', table: this.#evidence.key(literal.table), row };
  }

  async #aggregate(rule: Rule, row: Row): Promise<Reason | undefined> {
    const known = matchHead(rule, row);
    if (known === undefined) return undefined;
    const [found] = await aggregateRows(this.#evidence, rule, row, known, 1);
    if (found === undefined) return undefined;
    const { names, rows, ...group } = await groupOf(this.#evidence, rule, known);
    const body = nameWildcards({ literals: rule.body, variables: rule.variables });
    const bodies: ProofLiteral[][] = [];
    for (const solution of rows.slice(0, GROUP_BODIES_MAX)) {
      const given = new Map(known);
      names.forEach((variable, at) => given.set(variable, solution[at] as Value));
      const values = await this.#evidence.solve(body, given);
      if (values === undefined) throw new Error('a solution of a group has no instance');
      bodies.push(this.#literals(body, values));
    }
    return {
      kind: 'aggregate',
      rule: ruleName(this.#evidence, rule),
      bindings: bindingsOf(rule, known),
      group: { ...group, rows, bodies },
    };
  }
}

export function rowKey(table: number | string, row: Pattern): string {
  const values = row.map((value) => (value === undefined ? '_' : valueKey(value)));
  return JSON.stringify([table, ...values]);
}

export function ruleName(evidence: Evidence, rule: Rule): RuleName {
  const { policy, ordinal, text, metadata } = rule;
  const line = evidence.lineOf(rule);
  return {
    policy,
    ordinal,
    text,
    ...(line === undefined ? {} : { line }),
    ...(metadata?.name === undefined ? {} : { name: metadata.name }),
  };
}

/** Named variables with their values, in the order of the rule. */
function bindingsOf(rule: Rule, values: Known): [string, Value][] {
  return rule.variables.flatMap((name, index): [string, Value][] => {
    const value = values.get(index);
    return value === undefined || name.startsWith('$') ? [] : [[name, value]];
  });
}

/** The solutions of a rule with aggregates that have these values of the group's variables. */
async function groupOf(
  evidence: Evidence,
  rule: Rule,
  known: Known,
): Promise<Omit<Group, 'bodies'> & { readonly names: readonly number[] }> {
  const inHead = new Set(rule.headTerms.flatMap(variablesOfHead));
  const names = [...rule.variables.keys()].filter(
    (index) =>
      !known.has(index) && (inHead.has(index) || rule.variables[index]?.startsWith('$') !== true),
  );
  const body: Body = { literals: rule.body, variables: rule.variables };
  const rows = await evidence.solutions(body, known, names, GROUP_COUNT_MAX);
  return {
    names,
    columns: names.map((index) => rule.variables[index] ?? ''),
    rows: rows.slice(0, GROUP_ROWS_MAX),
    count: Math.min(rows.length, GROUP_COUNT_MAX),
    truncated: rows.length > GROUP_COUNT_MAX,
  };
}

/** Rows that the rule's aggregates have for a group, as head rows. */
export async function aggregateRows(
  evidence: Evidence,
  rule: Rule,
  row: Pattern,
  known: Known,
  rowsMax: number,
): Promise<Row[]> {
  const groups = [
    ...new Set(rule.headTerms.flatMap((term) => (term.kind === 'variable' ? [term.index] : []))),
  ].sort((a, b) => a - b);
  const aggregates = rule.headTerms.flatMap((term, column) =>
    term.kind === 'aggregate' ? [column] : [],
  );
  const table = evidence.aggregateTable(rule);
  const first = rule.variables.length;
  const variables = [...rule.variables, ...aggregates.map((column) => `column ${column}`)];
  const values = new Map(known);
  aggregates.forEach((column, index) => {
    const value = row[column];
    if (value !== undefined) values.set(first + index, value);
  });
  const terms = [...groups, ...aggregates.map((_, index) => first + index)];
  const literal: Literal = {
    kind: 'atom',
    table: evidence.tables.length,
    negated: false,
    terms: terms.map((index) => ({ kind: 'variable', index })),
    span: rule.span,
  };
  const outputs = terms.filter((index) => !values.has(index));
  const tables = [...evidence.tables, table];
  const body = { literals: [literal], variables };
  const found = await evidence.solutions(body, values, outputs, rowsMax, { tables });
  return found.slice(0, rowsMax).map((solution) => {
    const all = new Map(values);
    outputs.forEach((index, place) => all.set(index, solution[place] as Value));
    let next = first;
    return rule.headTerms.map((term): Value => {
      if (term.kind === 'constant') return term.value;
      return all.get(term.kind === 'aggregate' ? next++ : term.index) as Value;
    });
  });
}
