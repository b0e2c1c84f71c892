/**
 * What explanations ask the engine: whether a body has a solution, which one, and the rank of a
 * row. All answers belong together only while the engine does not commit; the caller sees to that.
 */
import { CaucusError } from '../errors.ts';
import { lowerQuery } from '../compiler/lower-query.ts';
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
import type { Engine } from '../engine/engine.ts';
import { ARITY_MAX, EXPLAIN_STEPS_MAX } from '../limits.ts';
import { decodeRows } from '../value/row-block.ts';
import { sameValue } from '../value/value.ts';
import type { Row, Value } from '../value/value.ts';

/** Values of variables by their index. */
export type Known = ReadonlyMap<number, Value>;

/** A row of which some columns do not matter. */
export type Pattern = readonly (Value | undefined)[];

/** Literals over the variables of a rule or query. */
export interface Body {
  readonly literals: readonly Literal[];
  readonly variables: readonly string[];
}

export interface SolveOptions {
  /** Rows of these tables count only below the rank. */
  readonly below?: { readonly tables: ReadonlySet<TableKey>; readonly rank: number };
  /** Those that literals name, instead of `Evidence.tables`. */
  readonly tables?: readonly Table[];
}

export class Evidence {
  readonly program: StratifiedProgram;
  /** Those of the program, then those that only a query names. */
  readonly tables: readonly Table[];
  readonly #engine: Engine;
  readonly #plan: Plan;
  readonly #rules = new Map<number, Rule[]>();
  readonly #tables: ReadonlyMap<TableKey, number>;
  /** Table → the tables that it depends on and that depend on it. */
  readonly #components = new Map<number, ReadonlySet<TableKey>>();

  constructor(engine: Engine, plan: Plan, tables: readonly Table[] = plan.program.tables) {
    this.program = plan.program;
    this.tables = tables;
    this.#engine = engine;
    this.#plan = plan;
    this.#tables = new Map(tables.map((table, index) => [tableKey(table), index]));
    for (const rule of plan.program.rules) {
      const own = this.#rules.get(rule.head);
      if (own === undefined) this.#rules.set(rule.head, [rule]);
      else own.push(rule);
    }
    for (const { tables, recursive } of plan.program.strata) {
      if (!recursive) continue;
      const keys = new Set(tables.map((table) => this.key(table)));
      for (const table of tables) this.#components.set(table, keys);
    }
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
    return this.#tables.get(key);
  }

  /** In the order of the text. */
  rulesOf(table: number): readonly Rule[] {
    return this.#rules.get(table) ?? [];
  }

  /** The tables that are computed together with this one by recursion; undefined without any. */
  componentOf(table: number): ReadonlySet<TableKey> | undefined {
    return this.#components.get(table);
  }

  /** What the aggregates of a rule are for each group, see `Plan.aggregates`. */
  aggregateTable({ policy, ordinal }: Rule): Table {
    const number = this.#plan.aggregates.get(`${policy}:${ordinal}`);
    const relation = this.#plan.relations[number ?? -1];
    if (relation === undefined) {
      throw new CaucusError(
        'invalid_request',
        `rule ${ordinal} of \`${policy}\` has no proofs yet`,
        {
          remedy:
            'its table is defined through its own min or max: ask for the rows that it comes from',
          details: { policy, rule: ordinal },
        },
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
    const tables = this.componentOf(table);
    const literal = atom(table, row);
    const query = this.#question(literal);
    const plan = lowerQuery(this.#plan, query, tables === undefined ? {} : { ranked: tables });
    const { rows, bodyRank = 0 } = await this.#engine.query(plan, { rowsMax: 1 });
    if (rows.count === 0) return undefined;
    return Math.max(0, bodyRank - 1);
  }

  /** Whether a row is in the table because it was put there, whatever rules say. */
  async isBase(table: number, row: Row): Promise<boolean> {
    const plan = lowerQuery(this.#plan, this.#question(atom(table, row)), { isBase: true });
    return (await this.#engine.query(plan, { rowsMax: 1 })).rows.count > 0;
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
      const [row] = await this.#ask(order.ordered, body.variables, outputs, options, 1);
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
    { below, tables = this.tables }: SolveOptions,
    rowsMax: number,
  ): Promise<Row[]> {
    const names = outputs.map((index) => variables[index] ?? '');
    const query = { columns: names, outputs, body, variables, text: '', tables };
    const ranked = below === undefined ? {} : { ranked: below.tables };
    const { rows } = await this.#engine.query(lowerQuery(this.#plan, query, ranked), {
      rowsMax,
      stepsMax: EXPLAIN_STEPS_MAX,
      ...(below === undefined ? {} : { rankBelow: below.rank }),
    });
    return decodeRows(rows);
  }
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
