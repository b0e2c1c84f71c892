/** Engines as the fuzzer and the language scripts see them. */
import type { Plan, PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import type {
  StratifiedProgram,
  StratifiedQuery,
  TableKey,
} from '../../host/compiler/stratified.ts';
import type { Engine } from '../../host/engine/engine.ts';
import type { Evidence } from '../../host/explain/evidence.ts';
import type { Proof } from '../../host/explain/proof.ts';
import type { Row } from '../../host/value/value.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';

export interface EngineKind {
  readonly name: string;
  create(): Promise<Engine>;
  lower(program: StratifiedProgram, options: PlanOptions): Plan;
  /** The plan in force. */
  lowerQuery(plan: Plan, query: StratifiedQuery): QueryPlan;
  /** Of engines that keep ranks: proofs are checked, too. */
  readonly prove?: Prove;
}

export type Prove = (evidence: Evidence, table: TableKey, row: Row) => Promise<Proof | undefined>;

/** The reference takes a plan's program and options and nothing else of it. */
export const NAIVE: EngineKind = {
  name: 'naive',
  create: async () => new NaiveEngine(),
  lower: (program, options) => ({ program, options }) as Plan,
  lowerQuery: ({ program }, query) => ({ program, query }) as QueryPlan,
};
