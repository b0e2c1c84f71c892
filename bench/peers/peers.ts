/** The parts of `npm run bench -- peers`: each a process of its own that starts the contestants. */
import type { SuiteResult } from '../report.ts';
import { BATCH_WORKLOADS, CONTESTANTS, measureBatch } from './batch.ts';
import { DIFFERENTIAL, MAINTAINED } from './contestants.ts';
import { EFFORT } from './round.ts';
import { measureUpdates, UPDATE_CASES } from './updates.ts';

/** `only`: of the workloads those that begin so. */
type Measure = (only: string, onStep: OnStep) => Promise<readonly SuiteResult[]>;
type OnStep = (step: string) => void;

/** Each process holds an engine with millions of rows, twice. */
const UPDATE_EFFORT = { ...EFFORT, rounds: 2, limitMs: 600_000 };

const PARTS: Readonly<Record<string, Measure>> = {
  batch: (only, onStep) => {
    const workloads = BATCH_WORKLOADS.filter(({ name }) => name.startsWith(only));
    return measureBatch(workloads, CONTESTANTS, EFFORT, onStep);
  },
  updates: async (only, onStep) => {
    const cases = UPDATE_CASES.filter(({ workload }) => workload.name.startsWith(only));
    const entries = await measureUpdates(cases, MAINTAINED, DIFFERENTIAL, UPDATE_EFFORT, onStep);
    return [{ suite: 'peers updates', entries }];
  },
};

export const PEER_PARTS = Object.keys(PARTS);

export async function measurePeers(
  part: string,
  only: string,
  onStep: OnStep,
): Promise<readonly SuiteResult[]> {
  const measure = PARTS[part];
  if (measure === undefined) throw new Error(`no part \`${part}\``);
  return measure(only, onStep);
}
