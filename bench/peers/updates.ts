/**
 * Single rows, thirty and a thousand at once, out and back in: against differential dataflow on the
 * same steps, and against our own evaluation from nothing.
 *
 * After every step both hold the same number of rows, and after every second one those of the
 * beginning. Ratios are of CPU time, so that a busy machine changes both sides.
 */
import { percentile } from '../measure.ts';
import type { Entry, Figure, Target } from '../report.ts';
import { inputOf, WORKLOADS, type Workload } from '../workloads.ts';
import { best, measureContestant, type Answer, type Contestant } from './contestant.ts';
import type { NotRun } from './process.ts';
import { writeSteps, writeTables, type Effort } from './round.ts';
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
const AGAINST_TARGET: Target = { atLeast: 10 };
const WORST_TARGET: Target = { atMost: 1.5 };

export const UPDATE_CASES: readonly UpdateCase[] = STREAMS.flatMap(
  ([name, table, deleteMs, insertMs]) =>
    SIZES.map(([size, pairs]) => ({
      workload: workloadOf(name),
      table,
      size,
      pairs,
      ...(size === 1 && deleteMs !== undefined ? { deleteP50: { atMost: deleteMs } } : {}),
      ...(size === 1 && insertMs !== undefined ? { insertP50: { atMost: insertMs } } : {}),
    })),
);

function workloadOf(name: string): Workload {
  const found = WORKLOADS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no workload is named \`${name}\``);
  return found;
}

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
  { rounds, limitMs }: Effort,
  onStep: (step: string) => void,
): Promise<Entry> {
  const { workload, table, size, pairs } = one;
  const tables = inputOf(workload);
  const rows = Math.min(size, tables[table]?.length ?? 0);
  const name = `${workload.name}, ${rows === 1 ? 'a row' : `${rows} rows`} of ${table}`;
  const folder = writeTables(workload, tables);
  const steps = writeSteps(folder, `${table} ${size}`, outAndBack(tables, table, size, pairs));
  const answers = new Map<Contestant, Answer[]>();
  let notRun: NotRun | undefined;
  for (let round = 0; round < rounds; round++) {
    for (const contestant of [own, against]) {
      if (contestant === against && notRun !== undefined) continue;
      onStep(`${name}, round ${round + 1} of ${rounds}, ${contestant.name}`);
      const measured = await measureContestant(
        contestant,
        { workload, folder, runs: 2, steps },
        limitMs,
      );
      if ('notRun' in measured) {
        if (contestant === own) throw new Error(`${name}: ${measured.notRun}`);
        notRun = measured;
        continue;
      }
      expectReturn(name, measured.answer, workload);
      answers.set(contestant, [...(answers.get(contestant) ?? []), measured.answer]);
    }
  }
  const ours = answers.get(own) ?? [];
  const theirs = answers.get(against) ?? [];
  expectSame(name, [...ours, ...theirs]);
  return { name, ...figuresOf(one, ours, theirs, against.name, notRun) };
}

/** After every insert the tables are what they were. */
function expectReturn(name: string, { steps }: Answer, { sizes }: Workload): void {
  const before = Object.values(sizes).reduce((sum, rows) => sum + rows, 0);
  const wrong = steps?.rows.findIndex((rows, step) => step % 2 === 1 && rows !== before) ?? -1;
  if (wrong >= 0) {
    throw new Error(`${name}: ${steps?.rows[wrong]} rows after step ${wrong}, not ${before}`);
  }
}

function expectSame(name: string, answers: readonly Answer[]): void {
  const [first, ...others] = answers.map(({ steps }) => steps?.rows ?? []);
  for (const rows of others) {
    const wrong = first?.findIndex((count, step) => rows[step] !== count) ?? -1;
    if (wrong >= 0) {
      throw new Error(`${name}: ${first?.[wrong]} and ${rows[wrong]} rows after step ${wrong}`);
    }
  }
}

/** The quickest of the rounds, step by step: the steps are the same in all. */
function leastOf(answers: readonly Answer[], kind: 'wallMs' | 'cpuMs'): number[] {
  const rounds = answers.map(({ steps }) => steps?.[kind] ?? []);
  return (rounds[0] ?? []).map((_, step) => {
    return Math.min(...rounds.map((times) => times[step] ?? Infinity));
  });
}

const everySecond = (times: readonly number[], from: 0 | 1): number[] =>
  times.filter((_, step) => step % 2 === from);

function figuresOf(
  { deleteP50, insertP50 }: UpdateCase,
  ours: readonly Answer[],
  theirs: readonly Answer[],
  peer: string,
  notRun: NotRun | undefined,
): Pick<Entry, 'figures' | 'notRun'> {
  const wall = leastOf(ours, 'wallMs');
  const cpu = leastOf(ours, 'cpuMs');
  const scratch = best(ours.flatMap(({ runs }) => runs)).cpuMs;
  const ms = (value: number, target?: Target): Figure => {
    return { value, unit: 'ms', ...(target === undefined ? {} : { target }) };
  };
  const out = everySecond(wall, 0);
  const back = everySecond(wall, 1);
  const figures: Record<string, Figure> = {
    'delete p50': ms(percentile(out, 50), deleteP50),
    'delete p99': ms(percentile(out, 99)),
    'insert p50': ms(percentile(back, 50), insertP50),
    'insert p99': ms(percentile(back, 99)),
    'from scratch': ms(scratch),
    'worst÷scratch': ratio(Math.max(...cpu) / scratch, WORST_TARGET),
  };
  if (notRun !== undefined) return { figures, notRun: { [peer]: notRun.notRun } };
  const peerCpu = leastOf(theirs, 'cpuMs');
  figures[`${peer} p50`] = ms(percentile(peerCpu, 50));
  figures[`${peer} p99`] = ms(percentile(peerCpu, 99));
  for (const share of [50, 99]) {
    const value = percentile(peerCpu, share) / percentile(cpu, share);
    figures[`${peer}÷ours p${share}`] = ratio(value, AGAINST_TARGET);
  }
  return { figures };
}

function ratio(value: number, target: Target): Figure {
  return { value, unit: 'ratio', compared: true, target };
}
