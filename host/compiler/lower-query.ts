/**
 * A query → versions over relations named by table key. Nothing is built for it: `not t(x, _)`
 * looks for a row, and an index that is not there is replaced by a scan when the engine encodes the
 * version.
 *
 * Tables that are not kept are unfolded. Under `not` such a table is computed for what the rest of
 * the body asks of it, in relations of the query's own:
 *
 *   q(x) :- a(x), not t(x, _).    asked(x) :- a(x).    found(x) :- asked(x), t(x, _).
 *                                 q(x) :- a(x), not found(x).
 */
import { variable, variablesOfTerms } from './core-rule.ts';
import type { CoreLiteral } from './core-rule.ts';
import type { Plan, QueryPlan, QueryRelation, Version } from './plan.ts';
import { UNKNOWN_SIZE } from './plan-builder.ts';
import { tableKey } from './stratified.ts';
import type { AtomLiteral, Literal, StratifiedQuery, Table, TableKey, Term } from './stratified.ts';
import { Unfolding } from './unfold.ts';
import { buildVersion } from './version-builder.ts';

export interface LowerQueryOptions {
  /** Atoms whose rows have ranks that stay below the bound that the query is asked with. */
  readonly isRanked?: (table: TableKey, terms: readonly Term[]) => boolean;
  /** More that its variables have to satisfy. */
  readonly guards?: readonly CoreLiteral[];
  /** Every atom sees base rows only. */
  readonly isBase?: boolean;
}

/** Rows that a relation of the query's own is taken to have. */
const OWN_SIZE = 16;
const ANSWER = 0;

/** Relation 0 is the answer; the others are the tables of the body, and the query's own. */
export function lowerQuery(
  plan: Plan,
  query: StratifiedQuery,
  options: LowerQueryOptions = {},
): QueryPlan {
  return new QueryLowering(plan, query, options).run();
}

class QueryLowering {
  readonly #plan: Plan;
  readonly #query: StratifiedQuery;
  readonly #options: LowerQueryOptions;
  readonly #tables: readonly Table[];
  readonly #unfolding: Unfolding;
  readonly #relations: QueryRelation[];
  readonly #indexes: number[][][] = [[]];
  readonly #versions: Version[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ranked = new Set<number>();

  constructor(plan: Plan, query: StratifiedQuery, options: LowerQueryOptions) {
    this.#plan = plan;
    this.#query = query;
    this.#options = options;
    this.#tables = query.tables ?? plan.program.tables;
    this.#unfolding = new Unfolding(plan.program, plan.onDemand ?? new Set());
    this.#relations = [{ table: '', arity: query.outputs.length }];
  }

  run(): QueryPlan {
    const { body, variables, outputs } = this.#query;
    this.#unfold(ANSWER, outputs, body, variables.length);
    return {
      query: this.#query,
      program: this.#plan.program,
      relations: this.#relations,
      indexes: this.#indexes,
      versions: this.#versions,
    };
  }

  #unfold(
    head: number,
    outputs: readonly number[],
    body: readonly Literal[],
    variableCount: number,
  ): void {
    for (const one of this.#unfolding.bodies(body, variableCount)) {
      const isOpen = (literal: Literal): boolean => this.#unfolding.isOpen(literal);
      const rest = one.body.filter((literal) => !isOpen(literal));
      const absent = one.body.filter(isOpen) as AtomLiteral[];
      const found = absent.map((atom) => this.#absent(atom, rest, one.variableCount));
      this.#addVersion(head, outputs, [...rest, ...found], one.variableCount);
    }
  }

  /** `not found(…)` for the negated atom of a table that is not kept. */
  #absent(atom: AtomLiteral, rest: readonly Literal[], variableCount: number): Literal {
    const asked = [...new Set(variablesOfTerms(atom.terms))];
    const found = this.#ownAtom(asked, atom);
    const body: Literal[] = [{ ...atom, negated: false }];
    if (asked.length > 0) {
      const demand = this.#ownAtom(asked, atom);
      this.#addVersion(-demand.table, asked, rest, variableCount);
      body.unshift(demand);
    }
    this.#unfold(-found.table, asked, body, variableCount);
    return { ...found, negated: true };
  }

  /** An atom over a new relation of the query's own; such have negative numbers for tables. */
  #ownAtom(variables: readonly number[], { span }: AtomLiteral): AtomLiteral {
    const table = -this.#addRelation('', variables.length);
    return { kind: 'atom', table, negated: false, terms: variables.map(variable), span };
  }

  #addRelation(table: string, arity: number): number {
    this.#indexes.push([]);
    return this.#relations.push({ table, arity }) - 1;
  }

  /** A table that some atoms bound by rank and others do not is two relations of the query. */
  #relationOf({ table, terms }: AtomLiteral): number {
    if (table < 0) return -table;
    const found = this.#tables[table];
    if (found === undefined) throw new Error(`no table ${table}`);
    const isRanked = this.#options.isRanked?.(tableKey(found), terms) === true;
    const name = `${table} ${isRanked}`;
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#addRelation(tableKey(found), found.arity);
      this.#numbers.set(name, number);
      if (isRanked) this.#ranked.add(number);
    }
    return number;
  }

  #addVersion(
    head: number,
    outputs: readonly number[],
    literals: readonly Literal[],
    variableCount: number,
  ): void {
    const body = literals.map((literal): CoreLiteral => {
      if (literal.kind !== 'atom') return literal;
      const { negated, terms } = literal;
      return { kind: 'atom', relation: this.#relationOf(literal), negated, terms };
    });
    if (head === ANSWER) body.push(...(this.#options.guards ?? []));
    const isOwn = (relation: number): boolean => this.#relations[relation]?.table === '';
    const rule = { head, headTerms: outputs.map(variable), body, variableCount };
    const { sizes } = this.#plan.options;
    const { isBase } = this.#options;
    const version = buildVersion(rule, {
      purpose: 'full',
      isSet: true,
      // Rows of its own are there at once, not at a commit.
      view: (position) => {
        const literal = body[position];
        if (literal?.kind === 'atom' && isOwn(literal.relation)) return 'new';
        return isBase === true ? 'base' : 'read';
      },
      size: (relation) => {
        if (isOwn(relation)) return OWN_SIZE;
        return sizes?.get(this.#relations[relation]?.table ?? '') ?? UNKNOWN_SIZE;
      },
      isRanked: (relation) => this.#ranked.has(relation),
      isBounded: true,
      index: (relation, columns) => this.#index(relation, columns),
    });
    this.#versions.push(version);
  }

  #index(
    relation: number,
    columns: readonly number[],
  ): { readonly index: number; readonly columns: readonly number[] } | undefined {
    if (this.#relations[relation]?.table === '') return undefined;
    const list = this.#indexes[relation] as number[][];
    const found = list.findIndex((one) => one.join() === columns.join());
    return { index: found >= 0 ? found : list.push([...columns]) - 1, columns };
  }
}
