/**
 * Why a row is there: one proof of it, as numbered nodes. A node names the rule and the values
 * under which its body holds; each positive literal is a row with a node of its own, which several
 * may share; what is negated, compared or computed is told as it stands. The proof ends: within a
 * recursion every row rests on rows of smaller ranks (engine-as/maintenance.ts), elsewhere on
 * tables that were computed before.
 */
import { variablesOfHead } from '../compiler/core-rule.ts';
import type { Literal, Rule, TableKey } from '../compiler/stratified.ts';
import { GROUP_ROWS_MAX, PROOF_NODES_MAX } from '../limits.ts';
import { valueKey } from '../value/value.ts';
import type { Row, Value } from '../value/value.ts';
import { isAggregateRule, matchHead, nameWildcards, substitute } from './evidence.ts';
import type { Body, Evidence, Known, Pattern } from './evidence.ts';

export interface RuleName {
  readonly policy: string;
  /** From 1. */
  readonly ordinal: number;
  readonly text: string;
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
  /** The proof has as many nodes as it may have. */
  | { readonly kind: 'cut' };

/** The distinct solutions that an aggregate ranges over. */
export interface Group {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** There are more. */
  readonly truncated: boolean;
}

export interface ProofNode {
  readonly table: TableKey;
  readonly row: Row;
  /** Within a recursion: larger than those of all rows of the recursion in its body. */
  readonly rank?: number;
  readonly reason: Reason;
}

export interface Proof {
  /** The first is the row that was asked for. */
  readonly nodes: readonly ProofNode[];
}

/** Undefined where the row is not there. */
export async function prove(
  evidence: Evidence,
  table: TableKey,
  row: Row,
  options: { readonly nodesMax?: number } = {},
): Promise<Proof | undefined> {
  const index = evidence.find(table);
  if (index === undefined || evidence.table(index).arity !== row.length) return undefined;
  const rank = await evidence.rank(index, row);
  if (rank === undefined) return undefined;
  return new Prover(evidence, options.nodesMax ?? PROOF_NODES_MAX).prove(index, row);
}

interface Open {
  readonly table: number;
  readonly row: Row;
}

class Prover {
  readonly #evidence: Evidence;
  readonly #nodesMax: number;
  readonly #nodes: ProofNode[] = [];
  /** Rows in the order of their nodes. */
  readonly #open: Open[] = [];
  readonly #numbers = new Map<string, number>();

  constructor(evidence: Evidence, nodesMax: number) {
    this.#evidence = evidence;
    this.#nodesMax = nodesMax;
  }

  async prove(table: number, row: Row): Promise<Proof> {
    this.#number(table, row);
    for (let at = 0; at < this.#open.length; at++) {
      this.#nodes.push(await this.#node(this.#open[at] as Open, at));
    }
    return { nodes: this.#nodes };
  }

  #number(table: number, row: Row): number {
    const key = rowKey(table, row);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#open.push({ table, row }) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  async #node({ table, row }: Open, place: number): Promise<ProofNode> {
    const key = this.#evidence.key(table);
    if (place >= this.#nodesMax) return { table: key, row, reason: { kind: 'cut' } };
    const component = this.#evidence.componentOf(table);
    const found = component === undefined ? undefined : await this.#evidence.rank(table, row);
    const rank = found === undefined ? {} : { rank: found };
    return { table: key, row, ...rank, reason: await this.#reason(table, row, found ?? 0) };
  }

  async #reason(table: number, row: Row, rank: number): Promise<Reason> {
    const evidence = this.#evidence;
    const rules = evidence.rulesOf(table);
    if (evidence.table(table).kind === 'system') return { kind: 'system' };
    if (rules.length === 0 || (await evidence.isBase(table, row))) return { kind: 'base' };
    const component = evidence.componentOf(table);
    const isOfComponent = (literal: Literal): boolean =>
      literal.kind === 'atom' && component?.has(evidence.key(literal.table)) === true;
    const exits = rules.filter((rule) => !rule.body.some(isOfComponent));
    const others = rules.filter((rule) => rule.body.some(isOfComponent));
    for (const rule of [...exits, ...others]) {
      const known = matchHead(rule, row);
      if (known === undefined) continue;
      const reason = isAggregateRule(rule)
        ? await this.#aggregate(rule, row, known)
        : await this.#instance(rule, known, component, rank);
      if (reason !== undefined) return reason;
    }
    throw new Error(`no rule gives ${evidence.key(table)}(${row.map(String).join(', ')})`);
  }

  async #instance(
    rule: Rule,
    known: Known,
    component: ReadonlySet<TableKey> | undefined,
    rank: number,
  ): Promise<Reason | undefined> {
    const body = nameWildcards({ literals: rule.body, variables: rule.variables });
    const below = component === undefined ? {} : { below: { tables: component, rank } };
    const values = await this.#evidence.solve(body, known, below);
    if (values === undefined) return undefined;
    const literals = body.literals.map((literal) => this.#literal(substitute(literal, values)));
    return {
      kind: 'rule',
      rule: ruleName(rule),
      bindings: bindingsOf(rule, values),
      body: literals,
    };
  }

  #literal(literal: Literal): ProofLiteral {
    if (literal.kind !== 'atom') return { kind: 'holds', literal };
    const row = literal.terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
    if (!literal.negated) return { kind: 'row', node: this.#number(literal.table, row as Row) };
    return { kind: 'absent', table: this.#evidence.key(literal.table), row };
  }

  async #aggregate(rule: Rule, row: Row, known: Known): Promise<Reason | undefined> {
    const [found] = await aggregateRows(this.#evidence, rule, row, known, 1);
    if (found === undefined) return undefined;
    const group = await groupOf(this.#evidence, rule, known);
    const bindings = bindingsOf(rule, known);
    return { kind: 'aggregate', rule: ruleName(rule), bindings, group };
  }
}

export function rowKey(table: number | string, row: Pattern): string {
  const values = row.map((value) => (value === undefined ? '_' : valueKey(value)));
  return JSON.stringify([table, ...values]);
}

export function ruleName({ policy, ordinal, text }: Rule): RuleName {
  return { policy, ordinal, text };
}

/** Named variables with their values, in the order of the rule. */
function bindingsOf(rule: Rule, values: Known): [string, Value][] {
  return rule.variables.flatMap((name, index): [string, Value][] => {
    const value = values.get(index);
    return value === undefined || name.startsWith('$') ? [] : [[name, value]];
  });
}

/** The solutions of a rule with aggregates that have these values of the group's variables. */
export async function groupOf(evidence: Evidence, rule: Rule, known: Known): Promise<Group> {
  const inHead = new Set(rule.headTerms.flatMap(variablesOfHead));
  const columns = [...rule.variables.keys()].filter(
    (index) =>
      !known.has(index) && (inHead.has(index) || rule.variables[index]?.startsWith('$') !== true),
  );
  const body: Body = { literals: rule.body, variables: rule.variables };
  const rows = await evidence.solutions(body, known, columns, GROUP_ROWS_MAX);
  return {
    columns: columns.map((index) => rule.variables[index] ?? ''),
    rows: rows.slice(0, GROUP_ROWS_MAX),
    truncated: rows.length > GROUP_ROWS_MAX,
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
