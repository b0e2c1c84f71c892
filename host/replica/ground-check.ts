/** Questions whether one row is there, `allow("u1", "read", "f7")`: answered without a query. */
import type { Plan } from '../compiler/plan.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { Constant, Term } from '../compiler/stratified.ts';
import type { Engine } from '../engine/engine.ts';
import type { Value } from '../value/value.ts';
import type { CompiledQuery } from './planner.ts';

export interface GroundCheck {
  /** `values`: of the query's parameters. */
  has(values: readonly Value[]): boolean;
}

/** Undefined for any other question, and for tables that are not kept or have other columns. */
export function groundCheck(
  plan: Plan,
  engine: Engine,
  { body, tables }: CompiledQuery,
): GroundCheck | undefined {
  const [atom, ...others] = body;
  if (atom?.kind !== 'atom' || atom.negated || others.length > 0) return undefined;
  const { terms } = atom;
  if (!terms.every(isConstant)) return undefined;
  const table = tables[atom.table];
  const key = table === undefined ? '' : tableKey(table);
  const relation = plan.relations[plan.tables.get(key) ?? -1];
  if (relation?.arity !== terms.length) return undefined;
  const check = engine.prepareCheck(key);
  const valueOf = ({ value, parameter }: Constant, values: readonly Value[]): Value =>
    parameter === undefined ? value : (values[parameter] as Value);
  return { has: (values) => check.has(...terms.map((term) => valueOf(term, values))) };
}

function isConstant(term: Term): term is Constant {
  return term.kind === 'constant';
}
