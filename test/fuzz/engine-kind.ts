/** Engines as the fuzzer and the language scripts see them. */
import type { Plan, PlanOptions, QueryPlan } from '../../host/compiler/plan.ts';
import type { StratifiedProgram, StratifiedQuery } from '../../host/compiler/stratified.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';

export interface EngineKind {
  readonly name: string;
  create(): Promise<Engine>;
  lower(program: StratifiedProgram, options: PlanOptions): Plan;
  /** The plan in force. */
  lowerQuery(plan: Plan, query: StratifiedQuery): QueryPlan;
}

/** The reference takes a plan's program and options and nothing else of it. */
export const NAIVE: EngineKind = {
  name: 'naive',
  create: async () => new NaiveEngine(),
  lower: (program, options) => ({ program, options }) as Plan,
  lowerQuery: ({ program }, query) => ({ program, query }) as QueryPlan,
};
