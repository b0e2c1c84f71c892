/**
 * A query → one version over relations named by table key. Nothing is built for it: `not t(x, _)`
 * looks for a row, and an index that is not there is replaced by a scan when the engine encodes the
 * version.
 */
import { variable } from './core-rule.ts';
import { UNKNOWN_SIZE } from './plan-builder.ts';
import type { CoreLiteral } from './core-rule.ts';
import type { Plan, QueryPlan } from './plan.ts';
import { tableKey } from './stratified.ts';
import type { Literal, StratifiedQuery, TableKey } from './stratified.ts';
import { buildVersion } from './version-builder.ts';
import type { VersionRequest } from './version-builder.ts';

export interface LowerQueryOptions {
  /** Tables whose rows carry ranks, all below the bound that the query is asked with. */
  readonly ranked?: ReadonlySet<TableKey>;
  /** Every atom sees base rows only. */
  readonly isBase?: boolean;
}

/** Relation 0 is the answer; the others are the tables of the body. */
export function lowerQuery(
  plan: Plan,
  query: StratifiedQuery,
  options: LowerQueryOptions = {},
): QueryPlan {
  const tables = query.tables ?? plan.program.tables;
  const relations: { table: string; arity: number }[] = [
    { table: '', arity: query.outputs.length },
  ];
  const indexes: number[][][] = [[]];
  const numbers = new Map<number, number>();
  const relationOf = (table: number): number => {
    let number = numbers.get(table);
    if (number === undefined) {
      const found = tables[table];
      if (found === undefined) throw new Error(`no table ${table}`);
      number = relations.push({ table: tableKey(found), arity: found.arity }) - 1;
      indexes.push([]);
      numbers.set(table, number);
    }
    return number;
  };
  const lowerLiteral = (literal: Literal): CoreLiteral => {
    if (literal.kind !== 'atom') return literal;
    const { negated, terms } = literal;
    return { kind: 'atom', relation: relationOf(literal.table), negated, terms };
  };
  const rule = {
    head: 0,
    headTerms: query.outputs.map(variable),
    body: query.body.map(lowerLiteral),
    variableCount: query.variables.length,
  };
  const index = (relation: number, columns: readonly number[]) => {
    const list = indexes[relation] as number[][];
    const found = list.findIndex((one) => one.join() === columns.join());
    return { index: found >= 0 ? found : list.push([...columns]) - 1, columns };
  };
  const request: VersionRequest = {
    purpose: 'full',
    isSet: true,
    view: () => (options.isBase === true ? 'base' : 'read'),
    size: (relation) => plan.options.sizes?.get(relations[relation]?.table ?? '') ?? UNKNOWN_SIZE,
    isRanked: (relation) => options.ranked?.has(relations[relation]?.table ?? '') === true,
    isBounded: true,
    index,
  };
  const version = buildVersion(rule, request);
  return { query, program: plan.program, relations, indexes, version };
}
