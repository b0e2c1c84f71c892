/** The same steps by our engine and by a peer, in turn; both hold the same rows after each. */
import { inputOf, type Workload } from '../workloads.ts';
import { best, measureContestant, type Answer, type Contestant } from './contestant.ts';
import { writeSteps, writeTables, type Effort } from './round.ts';
import { type Step } from './steps.ts';

/** Evaluations from nothing before the steps: the second is one of optimised code. */
const RUNS = 2;

export interface StepTask {
  readonly name: string;
  readonly workload: Workload;
  readonly steps: readonly Step[];
  readonly watched?: readonly string[];
}

export interface StepTimes {
  /** The quickest of the rounds, step by step. */
  readonly wallMs: readonly number[];
  readonly cpuMs: readonly number[];
  readonly rows: readonly number[];
  readonly touched: readonly number[];
  readonly changed: readonly number[];
  /** The best evaluation from nothing. */
  readonly scratchCpuMs: number;
}

/** Undefined: it did not run, for the reason of that name in `notRun`. */
export interface StepRace {
  readonly ours: StepTimes | undefined;
  readonly theirs: StepTimes | undefined;
  readonly notRun: Readonly<Record<string, string>>;
}

export async function raceSteps(
  { name, workload, steps, watched }: StepTask,
  own: Contestant,
  against: Contestant,
  { rounds, limitMs }: Effort,
  onStep: (step: string) => void,
): Promise<StepRace> {
  const folder = writeTables(workload, inputOf(workload));
  const file = writeSteps(folder, name, steps);
  const task = { workload, folder, runs: RUNS, steps: file, ...(watched && { watched }) };
  const answers = new Map<Contestant, Answer[]>([
    [own, []],
    [against, []],
  ]);
  const notRun: Record<string, string> = {};
  for (let round = 0; round < rounds; round++) {
    for (const [contestant, all] of answers) {
      if (notRun[contestant.name] !== undefined) continue;
      onStep(`${name}, round ${round + 1} of ${rounds}, ${contestant.name}`);
      const measured = await measureContestant(contestant, task, limitMs);
      if ('notRun' in measured) notRun[contestant.name] = measured.notRun;
      else all.push(measured.answer);
    }
  }
  const [ours = [], theirs = []] = [...answers.values()];
  expectSame(name, [...ours, ...theirs]);
  return { ours: together(ours), theirs: together(theirs), notRun };
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

function together(answers: readonly Answer[]): StepTimes | undefined {
  const [first] = answers;
  if (first === undefined) return undefined;
  const least = (kind: 'wallMs' | 'cpuMs'): number[] => {
    const rounds = answers.map(({ steps }) => steps?.[kind] ?? []);
    return (rounds[0] ?? []).map((_, step) => {
      return Math.min(...rounds.map((times) => times[step] ?? Infinity));
    });
  };
  return {
    wallMs: least('wallMs'),
    cpuMs: least('cpuMs'),
    rows: first.steps?.rows ?? [],
    touched: first.steps?.touched ?? [],
    changed: first.steps?.changed ?? [],
    scratchCpuMs: best(answers.flatMap(({ runs }) => runs)).cpuMs,
  };
}
