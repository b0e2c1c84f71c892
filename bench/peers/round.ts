/**
 * Contestants in turn, again and again: first against second, first against second. A machine that
 * is busy for a while is busy for all of them, and of each the best is taken.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { toFacts, type Tables } from '../generate.ts';
import { inputOf, type Workload } from '../workloads.ts';
import {
  best,
  measureContestant,
  type Contestant,
  type Measured,
  type Spent,
  type Task,
} from './contestant.ts';
import type { NotRun } from './process.ts';
import { toText, type Step } from './steps.ts';

const DATA_FOLDER = 'build/bench/peers';

export interface Effort {
  /** Processes of each contestant, in turn. */
  readonly rounds: number;
  /** Evaluations of each process after the first round. */
  readonly runs: number;
  readonly limitMs: number;
  /** Nobody evaluates again what took longer than this. */
  readonly repeatMsMax: number;
}

export const EFFORT: Effort = { rounds: 4, runs: 3, limitMs: 300_000, repeatMsMax: 20_000 };

export interface Standing {
  /** The first evaluation of a process that had done nothing yet. */
  readonly first: Spent;
  readonly best: Spent;
  /** Of a process that evaluated once. */
  readonly processCpuMs: number | undefined;
  readonly peakBytes: number | undefined;
}

/** By name of the contestant. */
export type Standings = ReadonlyMap<string, Standing | NotRun>;

export async function measureInTurn(
  workload: Workload,
  contestants: readonly Contestant[],
  { rounds, runs, limitMs, repeatMsMax }: Effort,
  onStep: (step: string) => void,
): Promise<Standings> {
  const folder = writeTables(workload, inputOf(workload));
  const standings = new Map<string, Standing | NotRun>();
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const { name } = contestant;
      const before = standings.get(name);
      if (before !== undefined && ('notRun' in before || before.best.wallMs > repeatMsMax))
        continue;
      onStep(`${workload.name}, round ${round + 1} of ${rounds}, ${name}`);
      const task: Task = { workload, folder, runs: round === 0 ? 1 : runs };
      const measured = await measureContestant(contestant, task, limitMs);
      if ('notRun' in measured && before !== undefined) continue;
      standings.set(name, 'notRun' in measured ? measured : together(before, measured));
    }
  }
  return standings;
}

function together(before: Standing | undefined, { answer, ...usage }: Measured): Standing {
  const [first] = answer.runs;
  if (first === undefined) throw new Error('no evaluation was timed');
  if (before === undefined) return { ...usage, first, best: best(answer.runs) };
  return {
    ...before,
    first: best([before.first, first]),
    best: best([before.best, ...answer.runs]),
  };
}

/** `edge(1,2).`: facts as answer set solvers read them. */
function toAtoms(tables: Tables): string {
  const atoms = Object.entries(tables).flatMap(([table, rows]) => {
    return rows.map((row) => `${table}(${row.join()}).\n`);
  });
  return atoms.join('');
}

/** Each base table as a file; the same folder for the same input. */
export function writeTables({ name }: Workload, tables: Tables): string {
  const folder = path.resolve(DATA_FOLDER, name.replaceAll(' ', '-'));
  mkdirSync(folder, { recursive: true });
  for (const [table, rows] of Object.entries(tables)) {
    writeFileSync(path.join(folder, `${table}.facts`), toFacts(rows));
  }
  writeFileSync(path.join(folder, 'facts.lp'), toAtoms(tables));
  return folder;
}

export function writeSteps(folder: string, name: string, steps: readonly Step[]): string {
  const file = path.join(folder, `${name.replaceAll(' ', '-')}.steps`);
  writeFileSync(file, toText(steps));
  return file;
}
