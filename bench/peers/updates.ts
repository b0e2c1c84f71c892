/**
 * Single rows, thirty and a thousand at once, out and back in: against differential dataflow on the
 * same steps, and against our own evaluation from nothing.
 *
 * After every step both hold the same number of rows, and after every second one those of the
 * beginning. Ratios are of CPU time, so that a busy machine changes both sides.
 */
import { percentile } from '../measure.ts';
import type { Entry, Figure, Target } from '../report.ts';
import { inputOf, JOIN_WORKLOADS, workloadNamed, type Workload } from '../workloads.ts';
import type { Contestant } from './contestant.ts';
import type { Effort } from './round.ts';
import { raceSteps, type StepTimes } from './step-race.ts';
import { outAndBack } from './steps.ts';

export interface UpdateCase {
  readonly workload: Workload;
  readonly table: string;
  /** Rows of a transaction, and how often they go out and come back. */
  readonly size: number;
  readonly pairs: number;
  /** Of a delete of a row, on two quiet cores. */
  readonly deleteP50?: Target;
  readonly insertP50?: Target;
  /** How many times faster than the peer. */
  readonly against?: Target;
}

const STREAMS: readonly [name: string, table: string, deleteMs?: number, insertMs?: number][] = [
  ['tc grid 60', 'edge', 0.5],
  ['tc rand 1000 3000', 'edge', 1],
  ['tc btree 14', 'edge', 0.008],
  ['tc dag 2000 6000', 'edge', 0.015, 0.005],
  ['unreach rand 200000 600000', 'edge'],
  ['andersen andersen 20000 6000 15000 2000 2000', 'assign'],
  ['cspa cspa 3000 1500 800', 'assign'],
  ['rbac rbac 300', 'member'],
];
const SIZES: readonly [size: number, pairs: number][] = [
  [1, 200],
  [30, 20],
  [1000, 5],
];
const WORST_TARGET: Target = { atMost: 1.5 };

export const UPDATE_CASES: readonly UpdateCase[] = STREAMS.flatMap(
  ([name, table, deleteMs, insertMs]) =>
    SIZES.map(([size, pairs]) => ({
      workload: workloadNamed(name),
      table,
      size,
      pairs,
      against: { atLeast: 10 },
      ...(size === 1 && deleteMs !== undefined ? { deleteP50: { atMost: deleteMs } } : {}),
      ...(size === 1 && insertMs !== undefined ? { insertP50: { atMost: insertMs } } : {}),
    })),
);

/** Rows in and out of a join, five rows of the answer each. */
export const JOIN_CASE: UpdateCase = {
  workload: JOIN_WORKLOADS[1] as Workload,
  table: 'left',
  size: 1,
  pairs: 2000,
};

export async function measureUpdates(
  cases: readonly UpdateCase[],
  own: Contestant,
  against: Contestant,
  effort: Effort,
  onStep: (step: string) => void,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const one of cases) entries.push(await measureCase(one, own, against, effort, onStep));
  const worst = Math.max(...entries.map(({ figures }) => figures['worst÷scratch']?.value ?? 0));
  const figures = { 'worst÷scratch': ratio(worst, WORST_TARGET) };
  return [...entries, { name: 'worst of all', figures }];
}

async function measureCase(
  one: UpdateCase,
  own: Contestant,
  against: Contestant,
  effort: Effort,
  onStep: (step: string) => void,
): Promise<Entry> {
  const { workload, table, size, pairs } = one;
  const tables = inputOf(workload);
  const rows = Math.min(size, tables[table]?.length ?? 0);
  const name = `${workload.name}, ${rows === 1 ? 'a row' : `${rows} rows`} of ${table}`;
  const steps = outAndBack(tables, table, size, pairs);
  const task = { name, workload, steps };
  const { ours, theirs, notRun } = await raceSteps(task, own, against, effort, onStep);
  if (ours === undefined) return { name, figures: {}, notRun };
  expectReturn(name, ours.rows, workload);
  return { name, figures: figuresOf(one, ours, theirs, against.name), notRun };
}

/** After every insert the tables are what they were. */
function expectReturn(name: string, rows: readonly number[], { sizes }: Workload): void {
  const before = Object.values(sizes).reduce((sum, count) => sum + count, 0);
  const wrong = rows.findIndex((count, step) => step % 2 === 1 && count !== before);
  if (wrong >= 0) {
    throw new Error(`${name}: ${rows[wrong]} rows after step ${wrong}, not ${before}`);
  }
}

const everySecond = (times: readonly number[], from: 0 | 1): number[] =>
  times.filter((_, step) => step % 2 === from);

function figuresOf(
  { deleteP50, insertP50, against }: UpdateCase,
  ours: StepTimes,
  theirs: StepTimes | undefined,
  peer: string,
): Entry['figures'] {
  const ms = (value: number, target?: Target): Figure => {
    return { value, unit: 'ms', ...(target === undefined ? {} : { target }) };
  };
  const out = everySecond(ours.wallMs, 0);
  const back = everySecond(ours.wallMs, 1);
  const figures: Record<string, Figure> = {
    'delete p50': ms(percentile(out, 50), deleteP50),
    'delete p99': ms(percentile(out, 99)),
    'insert p50': ms(percentile(back, 50), insertP50),
    'insert p99': ms(percentile(back, 99)),
    'from scratch': ms(ours.scratchCpuMs),
    'worst÷scratch': ratio(Math.max(...ours.cpuMs) / ours.scratchCpuMs, WORST_TARGET),
  };
  if (theirs === undefined) return figures;
  for (const share of [50, 99]) {
    const value = percentile(theirs.cpuMs, share);
    figures[`${peer} p${share}`] = ms(value);
    const times = value / percentile(ours.cpuMs, share);
    figures[`${peer}÷ours p${share}`] = ratio(times, against);
  }
  return figures;
}

function ratio(value: number, target: Target | undefined): Figure {
  return { value, unit: 'ratio', compared: true, ...(target === undefined ? {} : { target }) };
}
