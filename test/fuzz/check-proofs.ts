/**
 * Explanations of the state that a case ends in: a row of each table has a proof that checks, and
 * a row that is not there has a reason. By then ranks have come through all batches of the case.
 */
import type { Plan } from '../../host/compiler/plan.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedProgram } from '../../host/compiler/stratified.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { Evidence } from '../../host/explain/evidence.ts';
import { whyNot } from '../../host/explain/why-not.ts';
import type { Row } from '../../host/value/value.ts';
import { problemOfProof } from '../explain/check-proof.ts';
import type { State } from '../explain/check-proof.ts';
import type { NaiveEngine } from '../oracle/naive-engine.ts';
import type { Prove } from './engine-kind.ts';

export interface Explained {
  readonly engine: Engine;
  readonly plan: Plan;
  readonly program: StratifiedProgram;
  readonly reference: NaiveEngine;
}

/** The first thing that is wrong; empty for nothing. */
export async function problemOfProofs(
  prove: Prove,
  { engine, plan, program, reference }: Explained,
): Promise<string> {
  const state: State = { program, tables: reference.tables, base: reference.baseTables };
  const evidence = new Evidence(engine, plan);
  let isAsked = false;
  for (const table of program.tables) {
    const key = tableKey(table);
    const rows = state.tables.get(key)?.sorted() ?? [];
    const row = rows[rows.length >> 1];
    if (row === undefined) continue;
    const where = `${key}(${row.map(String).join(', ')})`;
    const proof = await prove(evidence, key, row).catch(String);
    if (typeof proof === 'string') return `${where}: ${proof}`;
    if (proof === undefined) return `${where} has no proof`;
    const problem = problemOfProof(state, proof, key, row);
    if (problem !== '') return `the proof of ${where}: ${problem}`;
    const other: Row = [...row.slice(0, -1), 'nowhere'];
    if (row.length === 0 || state.tables.get(key)?.has(other) === true) continue;
    // Many questions: one table is enough.
    if (isAsked || evidence.rulesOf(evidence.find(key) ?? -1).length === 0) continue;
    isAsked = true;
    const reason = await whyNot(evidence, key, other).catch(String);
    if (typeof reason === 'string') return `why not ${key}: ${reason}`;
    if (reason === undefined) return `${key} has no reason to be without a row`;
    const failures = reason.rules.filter((one) => one.kind === 'body');
    if (failures.some(({ failing }) => failing.length === 0)) return `${key}: nothing fails`;
  }
  return '';
}
