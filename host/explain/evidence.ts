/**
 * What explanations ask the engine: whether a body has a solution, which one, and the rank of a
 * row. All answers belong together only while the engine does not commit; the caller sees to that.
 */
import { CaucusError } from '../errors.ts';
import type { CoreLiteral } from '../compiler/core-rule.ts';
import { lowerQuery } from '../compiler/lower-query.ts';
import type { LowerQueryOptions } from '../compiler/lower-query.ts';
import type { Plan } from '../compiler/plan.ts';
import { orderBody } from '../compiler/safety.ts';
import { tableKey, withOperands } from '../compiler/stratified.ts';
import type {
  Literal,
  Operand,
  Rule,
  StratifiedProgram,
  StratifiedQuery,
  Table,
  TableKey,
  Term,
} from '../compiler/stratified.ts';
import type { Engine, QueryOptions, QueryResult } from '../engine/engine.ts';
import {
  ARITY_MAX,
  EXPLAIN_QUESTIONS_MAX,
  EXPLAIN_QUESTIONS_PER_TURN,
  EXPLAIN_STEPS_MAX,
  EXPLAIN_STEPS_TOTAL_MAX,
} from '../limits.ts';
import { decodeRows } from '../value/row-block.ts';
import { sameValue } from '../value/value.ts';
import type { Row, Value } from '../value/value.ts';
import { programIndex, RuleLines } from './program-index.ts';
import type { Component, PolicyTexts, ProgramIndex } from './program-index.ts';

/** Values of variables by their index. */
export type Known = ReadonlyMap<number, Value>;

/** A row of which some columns do not matter. */
export type Pattern = readonly (Value | undefined)[];

/** Literals over the variables of a rule or query. */
export interface Body {
  readonly literals: readonly Literal[];
  readonly variables: readonly string[];
}

/** Which rows of a recursion may stand in a body. */
export interface Before {
  /** Of these atoms only rows of ranks below it. */
  readonly rank: number;
  readonly isRanked: (table: TableKey, terms: readonly Term[]) => boolean;
  /** What values of other atoms have to satisfy. */
  readonly guards?: readonly Guard[];
}

export type Guard = CoreLiteral & { readonly kind: 'comparison' };

export interface SolveOptions {
  readonly before?: Before;
  /** Those that literals name, instead of `Evidence.tables`. */
  readonly tables?: readonly Table[];
}

export interface EvidenceOptions {
  /** Those of the program, then those that only a query names. */
  readonly tables?: readonly Table[];
  /** For the lines of rules. */
  readonly texts?: PolicyTexts;
  /** Lets others get their turn, between questions. */
  readonly pause?: () => Promise<void>;
  /** Holds the limits of one request, divided by this; without it there are none. */
  readonly part?: number;
}

export class Evidence {
  readonly program: StratifiedProgram;
  /** Those of the program, then those that only a query names. */
  readonly tables: readonly Table[];
  readonly plan: Plan;
  readonly #engine: Engine;
  readonly #index: ProgramIndex;
  readonly #lines: RuleLines;
  readonly #pause: () => Promise<void>;
  readonly #questionsMax: number;
  readonly #stepsMax: number;
  #questions = 0;
  #steps = 0;

  constructor(engine: Engine, plan: Plan, options: EvidenceOptions = {}) {
    const { tables = plan.program.tables, texts = { policies: [] }, part = 0 } = options;
    this.program = plan.program;
    this.tables = tables;
    this.#engine = engine;
    this.plan = plan;
    this.#index = programIndex(plan.program);
    this.#lines = new RuleLines(texts);
    this.#pause = options.pause ?? (() => Promise.resolve());
    this.#questionsMax = EXPLAIN_QUESTIONS_MAX / part;
    this.#stepsMax = EXPLAIN_STEPS_TOTAL_MAX / part;
  }

  /** Half of what may be asked was asked: time to come to an end. */
  get isTired(): boolean {
    return this.#questions * 2 > this.#questionsMax || this.#steps * 2 > this.#stepsMax;
  }

  key(table: number): TableKey {
    return tableKey(this.table(table));
  }

  table(index: number): Table {
    const table = this.tables[index];
    if (table === undefined) throw new Error(`no table ${index}`);
    return table;
  }

  find(key: TableKey): number | undefined {
    const number = this.#index.numbers.get(key);
    if (number !== undefined || this.tables === this.program.tables) return number;
    const found = this.tables.findIndex((table) => tableKey(table) === key);
    return found < 0 ? undefined : found;
  }

  /** Those with a body, in the order of the text. */
  rulesOf(table: number): readonly Rule[] {
    return this.#index.rulesOf(table);
  }

  /** Facts of the text. */
  factCount(table: number): number {
    return this.#index.factCount(table);
  }

  /** The fact of the text that is this row. */
  findFact(table: number, row: Row): Promise<Rule | undefined> {
    return this.#index.findFact(table, row, this.#pause);
  }

  /** The tables that are computed together with this one by recursion; undefined without any. */
  componentOf(table: number): Component | undefined {
    return this.#index.componentOf(table);
  }

  /** Line of the rule in its policy, from 1, where the text is known. */
  lineOf(rule: Rule): number | undefined {
    return this.#lines.lineOf(rule);
  }

  /** What the aggregates of a rule are for each group, see `Plan.aggregates`. */
  aggregateTable({ policy, ordinal }: Rule): Table {
    const number = this.plan.aggregates.get(`${policy}:${ordinal}`);
    const relation = this.plan.relations[number ?? -1];
    if (relation === undefined) {
      throw new CaucusError(
        'invalid_request',
        `rule ${ordinal} of \`${policy}\` has no proofs yet`,
        { remedy: 'ask for the rows that it comes from', details: { policy, rule: ordinal } },
      );
    }
    const colon = relation.name.indexOf(':');
    return {
      owner: relation.name.slice(0, colon),
      name: relation.name.slice(colon + 1),
      arity: relation.arity,
      kind: 'system',
    };
  }

  /** Undefined where the row is not there; 0 for a table without recursion. */
  async rank(table: number, row: Row): Promise<number | undefined> {
    const isRecursive = this.componentOf(table) !== undefined;
    const { rows, bodyRank = 0 } = await this.#query(
      this.#question(atom(table, row)),
      isRecursive ? { isRanked: () => true } : {},
      { rowsMax: 1 },
    );
    if (rows.count === 0) return undefined;
    return Math.max(0, bodyRank - 1);
  }

  /** Whether a row is in the table because it was put there, whatever rules say. */
  async isBase(table: number, row: Row): Promise<boolean> {
    if (this.plan.onDemand?.has(table) === true) return false;
    const query = this.#question(atom(table, row));
    return (await this.#query(query, { isBase: true }, { rowsMax: 1 })).rows.count > 0;
  }

  /** Without columns: one row or none. */
  #question(literal: Literal): StratifiedQuery {
    const { tables } = this;
    return { columns: [], outputs: [], body: [literal], variables: [], text: '', tables };
  }

  /** Whether all literals can hold together; false also where they bind too little to tell. */
  async isSatisfiable(body: Body, known: Known): Promise<boolean> {
    const literals = body.literals.map((one) => substitute(one, known));
    const order = orderBody(literals, new Set());
    if (order.stuck.length > 0) return false;
    return (await this.#ask(order.ordered, body.variables, [], {}, 1)).length > 0;
  }

  /** One solution, with a value for every variable of the body. The body must be safe. */
  async solve(body: Body, known: Known, options: SolveOptions = {}): Promise<Known | undefined> {
    const values = new Map(known);
    for (;;) {
      const literals = body.literals.map((one) => substitute(one, values));
      const order = orderBody(literals, new Set());
      if (order.stuck.length > 0) throw new Error('a body that is solved must be safe');
      const outputs = [...order.bound].sort((a, b) => a - b).slice(0, ARITY_MAX);
      const now = withValues(options, values);
      const [row] = await this.#ask(order.ordered, body.variables, outputs, now, 1);
      if (row === undefined) return undefined;
      outputs.forEach((variable, index) => values.set(variable, row[index] as Value));
      if (outputs.length === order.bound.size) return values;
    }
  }

  /** Distinct values of some variables; one row more than `rowsMax` where there are more. */
  async solutions(
    body: Body,
    known: Known,
    outputs: readonly number[],
    rowsMax: number,
    options: SolveOptions = {},
  ): Promise<Row[]> {
    const literals = body.literals.map((one) => substitute(one, known));
    const { ordered } = orderBody(literals, new Set());
    return this.#ask(ordered, body.variables, outputs, options, rowsMax + 1);
  }

  async #ask(
    body: readonly Literal[],
    variables: readonly string[],
    outputs: readonly number[],
    { before, tables = this.tables }: SolveOptions,
    rowsMax: number,
  ): Promise<Row[]> {
    const names = outputs.map((index) => variables[index] ?? '');
    const query = { columns: names, outputs, body, variables, text: '', tables };
    const { rows } = await this.#query(query, before ?? {}, {
      rowsMax,
      ...(before === undefined ? {} : { rankBelow: before.rank }),
    });
    return decodeRows(rows);
  }

  async #query(
    query: StratifiedQuery,
    lowering: LowerQueryOptions,
    options: QueryOptions,
  ): Promise<QueryResult> {
    if (this.#questions >= this.#questionsMax || this.#steps >= this.#stepsMax) throw tooMuch();
    if (++this.#questions % EXPLAIN_QUESTIONS_PER_TURN === 0) await this.#pause();
    const plan = lowerQuery(this.plan, query, lowering);
    const result = await this.#engine.query(plan, { stepsMax: EXPLAIN_STEPS_MAX, ...options });
    this.#steps += result.steps ?? 0;
    return result;
  }
}

/** The guards with values in place of the variables that have one. */
function withValues(options: SolveOptions, values: Known): SolveOptions {
  const { before } = options;
  if (before?.guards === undefined) return options;
  const operand = (term: Operand): Operand => {
    const value = term.kind === 'variable' ? values.get(term.index) : undefined;
    return value === undefined ? term : { kind: 'constant', value };
  };
  const guards = before.guards.map((guard) => ({
    ...guard,
    left: operand(guard.left),
    right: operand(guard.right),
  }));
  return { ...options, before: { ...before, guards } };
}

function tooMuch(): CaucusError {
  return new CaucusError('limit_exceeded', 'the explanation needs too many questions', {
    remedy: 'ask for a row that it comes from, or bind more columns',
    details: { limit: 'explanation' },
  });
}

export function atom(table: number, row: Row): Literal & { kind: 'atom' } {
  const terms = row.map((value): Operand => ({ kind: 'constant', value }));
  return { kind: 'atom', table, negated: false, terms, span: { start: 0, end: 0 } };
}

/** The literal with values in place of the variables that have one. */
export function substitute<L extends Literal>(literal: L, known: Known): L;
export function substitute(literal: Literal, known: Known): Literal {
  const operand = (term: Operand): Operand => {
    if (term.kind !== 'variable') return term;
    const value = known.get(term.index);
    return value === undefined ? term : { kind: 'constant', value };
  };
  return withOperands(literal, operand);
}

/** The body with a variable for every `_` of a positive atom, so that a solution is whole rows. */
export function nameWildcards(body: Body): Body {
  const variables = [...body.variables];
  const literals = body.literals.map((literal): Literal => {
    if (literal.kind !== 'atom' || literal.negated) return literal;
    const terms = literal.terms.map((term): Term => {
      return term.kind === 'wildcard' ? { kind: 'variable', index: variables.push('_') - 1 } : term;
    });
    return { ...literal, terms };
  });
  return { literals, variables };
}

/** Values that the head takes from its row; undefined where a constant of the head differs. */
export function matchHead(rule: Rule, row: Pattern): Known | undefined {
  const known = new Map<number, Value>();
  for (const [column, term] of rule.headTerms.entries()) {
    const value = row[column];
    if (value === undefined || term.kind === 'aggregate') continue;
    if (term.kind === 'constant') {
      if (!sameValue(term.value, value)) return undefined;
      continue;
    }
    const before = known.get(term.index);
    if (before !== undefined && !sameValue(before, value)) return undefined;
    known.set(term.index, value);
  }
  return known;
}

export function isAggregateRule(rule: Rule): boolean {
  return rule.headTerms.some((term) => term.kind === 'aggregate');
}
