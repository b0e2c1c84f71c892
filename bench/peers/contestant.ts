/**
 * What a contestant is: a program that reads tables from files, evaluates, and prints one line of
 * JSON. Peers and our own engine are called the same way; the sizes of every answer are checked.
 */
import type { Workload } from '../workloads.ts';
import { runProcess, type Command, type NotRun } from './process.ts';

/** What one process does. */
export interface Task {
  readonly workload: Workload;
  /** Holds `<table>.facts` for each base table. */
  readonly folder: string;
  /** Evaluations, each from nothing, one after another. */
  readonly runs: number;
  /** A file of transactions after the first (steps.ts). */
  readonly steps?: string;
  /** Tables that are subscribed, where steps are; absent: those of known size. */
  readonly watched?: readonly string[];
}

/** Milliseconds by the clock on the wall, and of all processors. */
export interface Spent {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** The line of JSON. */
export interface Answer {
  /** Rows by table. */
  readonly sizes: Readonly<Record<string, number>>;
  /** What each evaluation took, from loaded tables to the fixpoint. */
  readonly runs: readonly Spent[];
  /** For each step its times, and the rows of all tables with a known size after it. */
  readonly steps?: {
    readonly wallMs: readonly number[];
    readonly cpuMs: readonly number[];
    readonly rows: readonly number[];
    /** Our engine only: rows of all deltas, and rows that maintenance visited. */
    readonly changed?: readonly number[];
    readonly touched?: readonly number[];
  };
}

export interface Contestant {
  readonly name: string;
  readonly command: (task: Task) => Command | NotRun;
  /** Exit codes that are no failures, besides 0. */
  readonly endings?: readonly number[];
  /** Where the output is another than the line of JSON. */
  readonly read?: (output: string) => Answer;
}

export interface Measured {
  readonly answer: Answer;
  readonly processCpuMs: number | undefined;
  readonly peakBytes: number | undefined;
}

/** A wrong size is an error: a wrong answer has no time. */
export async function measureContestant(
  contestant: Contestant,
  task: Task,
  limitMs: number,
): Promise<Measured | NotRun> {
  const command = contestant.command(task);
  if ('notRun' in command) return command;
  const finished = await runProcess(command, limitMs, contestant.endings);
  if ('notRun' in finished) return finished;
  const read = contestant.read ?? ((output: string) => JSON.parse(output) as Answer);
  const answer = read(finished.output);
  for (const [table, expected] of Object.entries(task.workload.sizes)) {
    const count = answer.sizes[table];
    if (count !== expected) {
      const what = `\`${table}\` has ${count} rows, not ${expected}`;
      throw new Error(`${contestant.name}, ${task.workload.name}: ${what}`);
    }
  }
  return { answer, processCpuMs: finished.cpuMs, peakBytes: finished.peakBytes };
}

/** The best by CPU time: whatever else a machine does only adds. */
export function best(spent: readonly Spent[]): Spent {
  return spent.reduce((least, one) => (one.cpuMs < least.cpuMs ? one : least));
}
