/** From tables to a fixpoint, against engines that do nothing else. */
import type { Entry, Figure, SuiteResult, Target } from '../report.ts';
import { workloadNamed, type Workload } from '../workloads.ts';
import type { Contestant } from './contestant.ts';
import {
  ASCENT,
  BATCH,
  CLINGO,
  COZO,
  DATASCRIPT,
  DIFFERENTIAL,
  DUCKDB,
  MAINTAINED,
  SOUFFLE,
  SQLITE,
} from './contestants.ts';
import { measureInTurn, type Effort, type Standing, type Standings } from './round.ts';

/** The larger input of each program; those that only Soufflé and Ascent end in time are large. */
const NAMES = [
  'tc chain 2000',
  'tc grid 60',
  'tc rand 1000 3000',
  'tc rand 2000 4000',
  'tc btree 14',
  'tc dag 2000 6000',
  'tc rand 5000 25000',
  'sg btree 10',
  'triangle ba 5000 20',
  'unreach rand 200000 600000',
  'andersen andersen 20000 6000 15000 2000 2000',
  'cspa cspa 3000 1500 800',
  'rbac rbac 300',
  'rbac rbac 1000',
  'ovn ovn 200 10',
  'tcn rand 1000 3000',
];

export const BATCH_WORKLOADS: readonly Workload[] = NAMES.map(workloadNamed);

/** Inputs that engines for other purposes end in seconds. */
export const SMALL_WORKLOADS: readonly Workload[] = [
  'tc btree 9',
  'tc dag 500 1500',
  'tc rand 300 900',
  'sg dag 500 1000',
  'tcn rand 100 200',
  'triangle ba 1000 10',
  'unreach rand 2000 4000',
  'andersen andersen 2000 600 1400 250 250',
  'cspa cspa 500 250 120',
  'rbac rbac 100',
].map(workloadNamed);

export const SMALL_CONTESTANTS = [BATCH, MAINTAINED, CLINGO, DUCKDB, SQLITE, COZO, DATASCRIPT];

export const CONTESTANTS = [BATCH, MAINTAINED, ASCENT, SOUFFLE, DIFFERENTIAL];

/** How many times faster the second must be than the first, and on which workloads; see README. */
interface Race {
  readonly against: Contestant;
  readonly own: Contestant;
  readonly each?: Target;
  readonly geomean?: Target;
}
const RACES: readonly Race[] = [
  { against: ASCENT, own: BATCH, each: { atLeast: 1 }, geomean: { atLeast: 1.7 } },
  { against: ASCENT, own: MAINTAINED, geomean: { atLeast: 0.85 } },
  { against: SOUFFLE, own: BATCH, geomean: { atLeast: 4 } },
  { against: SOUFFLE, own: MAINTAINED, geomean: { atLeast: 2 } },
  { against: DIFFERENTIAL, own: MAINTAINED },
  ...[CLINGO, DUCKDB, SQLITE, COZO, DATASCRIPT].map((against) => ({ against, own: BATCH })),
];
/** Soufflé leads where wide rows are sorted; closures of dense graphs are another matter. */
const SOUFFLE_TARGETS: Readonly<Record<string, Target>> = {
  'rbac rbac 1000': { atLeast: 1.2 },
  'ovn ovn 200 10': { atLeast: 1.2 },
  'tc rand 5000 25000': { atLeast: 30 },
};
/** The non-linear form costs at most so much more than the linear one of the same closure. */
const NON_LINEAR: Readonly<Record<string, string>> = { 'tcn rand 1000 3000': 'tc rand 1000 3000' };
const NON_LINEAR_TARGET: Target = { atMost: 1.5 };

/**
 * `suite`: the name of the table of fixpoints. `part`: how the names of the workloads begin, where
 * these are not all of them; the mean of a part does not take the place of the whole one.
 */
export async function measureBatch(
  suite: string,
  workloads: readonly Workload[],
  contestants: readonly Contestant[],
  effort: Effort,
  onStep: (step: string) => void,
  part = '',
): Promise<SuiteResult[]> {
  const all = new Map<string, Standings>();
  for (const workload of workloads) {
    all.set(workload.name, await measureInTurn(workload, contestants, effort, onStep));
  }
  const fixpoints = [...all].map(([name, standings]) => {
    const linear = standingOf(all.get(NON_LINEAR[name] ?? ''), BATCH);
    return fixpointEntry(name, standings, contestants, linear);
  });
  const processes = [...all].map(([name, standings]) => processEntry(name, standings));
  return [
    { suite, entries: [...fixpoints, geomeanEntry(fixpoints, part)] },
    { suite: `${suite}, whole processes`, entries: processes },
  ];
}

function standingOf(standings: Standings | undefined, { name }: Contestant): Standing | undefined {
  const standing = standings?.get(name);
  return standing === undefined || 'notRun' in standing ? undefined : standing;
}

function fixpointEntry(
  name: string,
  standings: Standings,
  contestants: readonly Contestant[],
  linear: Standing | undefined,
): Entry {
  const figures: Record<string, Figure> = {};
  const notRun: Record<string, string> = {};
  for (const contestant of contestants) {
    const standing = standings.get(contestant.name);
    if (standing === undefined) continue;
    if ('notRun' in standing) notRun[contestant.name] = standing.notRun;
    else figures[contestant.name] = { value: standing.best.cpuMs, unit: 'ms' };
  }
  const batch = standingOf(standings, BATCH);
  if (batch !== undefined) figures['batch first'] = { value: batch.first.cpuMs, unit: 'ms' };
  for (const { against, own, each } of RACES) {
    const [theirs, ours] = [standingOf(standings, against), standingOf(standings, own)];
    if (theirs === undefined || ours === undefined) continue;
    const special = against === SOUFFLE && own === BATCH ? SOUFFLE_TARGETS[name] : undefined;
    const target = special ?? each;
    const value = theirs.best.cpuMs / ours.best.cpuMs;
    figures[raceName(against, own)] = ratio(value, target);
  }
  if (linear !== undefined && batch !== undefined) {
    figures['÷ linear'] = ratio(batch.best.cpuMs / linear.best.cpuMs, NON_LINEAR_TARGET);
  }
  return { name, figures, notRun };
}

function raceName(against: Contestant, own: Contestant): string {
  return `${against.name}÷${own.name}`;
}

function ratio(value: number, target: Target | undefined): Figure {
  return { value, unit: 'ratio', compared: true, ...(target === undefined ? {} : { target }) };
}

/** Of the ratios that were measured; a program counts once, not once a form. */
function geomeanEntry(entries: readonly Entry[], part: string): Entry {
  const figures: Record<string, Figure> = {};
  for (const { against, own, geomean } of RACES) {
    const name = raceName(against, own);
    const ratios = entries
      .filter((entry) => NON_LINEAR[entry.name] === undefined)
      .flatMap((entry) => entry.figures[name]?.value ?? []);
    if (ratios.length > 0) figures[name] = ratio(geometricMean(ratios), geomean);
  }
  return { name: part === '' ? 'geometric mean' : `geometric mean of ${part}`, figures };
}

export function geometricMean(ratios: readonly number[]): number {
  return Math.exp(ratios.reduce((sum, one) => sum + Math.log(one), 0) / ratios.length);
}

/** Start, reading, one evaluation: whole processes. */
function processEntry(name: string, standings: Standings): Entry {
  const figures: Record<string, Figure> = {};
  for (const [contestant, standing] of standings) {
    if ('notRun' in standing) continue;
    const { processCpuMs, peakBytes } = standing;
    if (processCpuMs !== undefined) {
      figures[`${contestant} CPU`] = { value: processCpuMs, unit: 'ms' };
    }
    if (peakBytes !== undefined)
      figures[`${contestant} peak`] = { value: peakBytes, unit: 'bytes' };
  }
  return { name, figures };
}
