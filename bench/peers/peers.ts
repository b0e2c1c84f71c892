/** The parts of `npm run bench -- peers`: each a process of its own that starts the contestants. */
import type { Entry, SuiteResult } from '../report.ts';
import { workloadNamed } from '../workloads.ts';
import {
  BATCH_WORKLOADS,
  CONTESTANTS,
  measureBatch,
  SMALL_CONTESTANTS,
  SMALL_WORKLOADS,
} from './batch.ts';
import { DB_IVM, DIFFERENTIAL, MAINTAINED } from './contestants.ts';
import { FGA_CASES, measureFga } from './fga.ts';
import {
  CHECK_CASES,
  measureChecks,
  measureDemand,
  measureOneMoreRule,
  measureRowBytes,
  measureText,
} from './figures.ts';
import { measureMembers } from './members.ts';
import { EFFORT } from './round.ts';
import { JOIN_CASE, measureUpdates, UPDATE_CASES } from './updates.ts';

/** `only`: of the workloads those that begin so. */
type Measure = (only: string, onStep: OnStep) => Promise<readonly SuiteResult[]>;
type OnStep = (step: string) => void;

/** Each process holds an engine with millions of rows, twice. */
const UPDATE_EFFORT = { ...EFFORT, rounds: 2, limitMs: 600_000 };

/** What takes some of them longer than that is not for them. */
const SMALL_EFFORT = { ...EFFORT, rounds: 3, limitMs: 60_000, repeatMsMax: 5_000 };

const PARTS: Readonly<Record<string, Measure>> = {
  batch: (only, onStep) => {
    const workloads = BATCH_WORKLOADS.filter(({ name }) => name.startsWith(only));
    return measureBatch('peers batch', workloads, CONTESTANTS, EFFORT, onStep, only);
  },
  small: (only, onStep) => {
    const workloads = SMALL_WORKLOADS.filter(({ name }) => name.startsWith(only));
    return measureBatch('peers small', workloads, SMALL_CONTESTANTS, SMALL_EFFORT, onStep, only);
  },
  updates: async (only, onStep) => {
    const cases = UPDATE_CASES.filter(({ workload }) => workload.name.startsWith(only));
    const entries = await measureUpdates(cases, MAINTAINED, DIFFERENTIAL, UPDATE_EFFORT, onStep);
    return [{ suite: 'peers updates', entries }];
  },
  join: async (_, onStep) => {
    const entries = await measureUpdates([JOIN_CASE], MAINTAINED, DB_IVM, UPDATE_EFFORT, onStep);
    return [{ suite: 'peers join', entries: entries.slice(0, 1) }];
  },
  members: async (_, onStep) => {
    const workload = workloadNamed('rbac rbac 300');
    const entry = await measureMembers(workload, MAINTAINED, DIFFERENTIAL, UPDATE_EFFORT, onStep);
    return [{ suite: 'peers members', entries: [entry] }];
  },
  fga: async (_, onStep) => {
    const entries = await measureFga(FGA_CASES, MAINTAINED, DIFFERENTIAL, UPDATE_EFFORT, onStep);
    return [{ suite: 'peers fga', entries }];
  },
  figures: async (_, onStep) => [{ suite: 'peers figures', entries: await measureAlone(onStep) }],
};

async function measureAlone(onStep: OnStep): Promise<Entry[]> {
  const entries: Entry[] = [];
  onStep('bytes of a row');
  entries.push(await measureRowBytes(1_000_000));
  onStep('a rule beside 400 others');
  entries.push(await measureOneMoreRule(400, 50));
  onStep('checks');
  entries.push(...(await measureChecks(CHECK_CASES)));
  onStep('a query with constants');
  entries.push(await measureDemand(workloadNamed('rbac rbac 1000')));
  onStep('from text to the fixpoint');
  entries.push(await measureText(workloadNamed('tc grid 79'), 3));
  return entries;
}

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
