/** An engine with a program, its explanations, and its tables as the checkers see them. */
import { tableKey } from '../../host/compiler/stratified.ts';
import type { TableKey } from '../../host/compiler/stratified.ts';
import { lower } from '../../host/compiler/lower.ts';
import type { Engine, TableChange } from '../../host/engine/engine.ts';
import { Evidence } from '../../host/explain/evidence.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { programOf } from '../compiler/compile-text.ts';
import type { Policies } from '../compiler/compile-text.ts';
import { createEngine, succeeded } from '../engine/engine-pair.ts';
import { RowSet } from '../oracle/row-set.ts';
import type { State } from './check-proof.ts';

/** Tables of the program as an engine has them. */
export async function stateOf(engine: Engine, program: State['program']): Promise<State> {
  const tables = new Map<TableKey, RowSet>();
  const base = new Map<TableKey, RowSet>();
  for (const key of program.tables.map(tableKey)) {
    tables.set(key, new RowSet(decodeRows(await engine.rows(key))));
    base.set(key, new RowSet(decodeRows(await engine.rows(key, { base: true }))));
  }
  return { program, tables, base };
}

export interface World {
  readonly engine: Engine;
  readonly evidence: Evidence;
  readonly state: () => Promise<State>;
  readonly change: (changes: readonly TableChange[]) => Promise<void>;
}

/** Rows by table key. */
export type Rows = Readonly<Record<TableKey, readonly Row[]>>;

export async function worldOf(policies: Policies, rows: Rows = {}): Promise<World> {
  const program = programOf(policies, [], { externalTables: new Set(Object.keys(rows)) });
  const plan = lower(program);
  const engine = await createEngine();
  const changes = insertsOf(rows);
  succeeded(await engine.transact({ plan, changes }));
  return {
    engine,
    evidence: new Evidence(engine, plan),
    state: () => stateOf(engine, program),
    change: async (more) => succeeded(await engine.transact({ changes: more })),
  };
}

export function insertsOf(rows: Rows): TableChange[] {
  return Object.entries(rows).map(([table, list]) => {
    return { table, insert: encodeRows(list[0]?.length ?? 0, list) };
  });
}
