/**
 * Feldera's example of fine-grained authorization, with `can_read` subscribed: files move between
 * folders, and one change in a hundred puts a user into another group.
 *
 * A change is one row of the example's tables written anew, here a delete and an insert. Its
 * publishers give 115 000 changes a second on a laptop.
 */
import { createStream, FGA, fgaFolder, fgaMember, type Cells, type Tables } from '../generate.ts';
import type { Entry, Figure } from '../report.ts';
import { FGA_WORKLOADS, inputOf, type Workload } from '../workloads.ts';
import type { Contestant } from './contestant.ts';
import type { Effort } from './round.ts';
import { raceSteps, type StepTimes } from './step-race.ts';
import type { RowChange, Step } from './steps.ts';

export interface FgaCase {
  readonly workload: Workload;
  /** Changes of a transaction, and transactions. */
  readonly size: number;
  readonly steps: number;
}

export const FGA_CASES: readonly FgaCase[] = [
  { workload: FGA_WORKLOADS[1] as Workload, size: 1000, steps: 50 },
  { workload: FGA_WORKLOADS[1] as Workload, size: 1, steps: 3000 },
];
const PER_SECOND = { atLeast: 115_000 };
const MEMBERSHIP_EVERY = 100;

export async function measureFga(
  cases: readonly FgaCase[],
  own: Contestant,
  against: Contestant,
  effort: Effort,
  onStep: (step: string) => void,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const { workload, size, steps: count } of cases) {
    const name = `${workload.name}, ${size === 1 ? 'a change' : `${size} changes`} at a time`;
    const steps = fgaSteps(inputOf(workload), size, count);
    const task = { name, workload, steps, watched: ['can_read'] };
    const { ours, theirs, notRun } = await raceSteps(task, own, against, effort, onStep);
    if (ours === undefined) {
      entries.push({ name, figures: {}, notRun });
      continue;
    }
    const figures: Record<string, Figure> = {
      'changes/s': { ...perSecond(ours, size), target: PER_SECOND },
      'rows of can_read/change': {
        value: ours.changed.reduce((sum, rows) => sum + rows, 0) / (size * count),
        unit: 'count',
      },
    };
    if (theirs !== undefined) {
      figures[`${against.name} changes/s`] = perSecond(theirs, size);
      const value = totalMs(theirs) / totalMs(ours);
      figures[`${against.name}÷ours`] = { value, unit: 'ratio', compared: true };
    }
    entries.push({ name, figures, notRun });
  }
  return entries;
}

function perSecond(times: StepTimes, size: number): Figure {
  const changes = times.cpuMs.length * size;
  return { value: changes / (totalMs(times) / 1000), unit: 'perSecond' };
}

function totalMs({ cpuMs }: StepTimes): number {
  return cpuMs.reduce((sum, ms) => sum + ms, 0);
}

/** Transactions of `size` changes to different rows; each knows what those before it left. */
export function fgaSteps(tables: Tables, size: number, count: number): Step[] {
  const stream = createStream();
  const files = tableOf(tables, 'parent').slice(FGA.filesFrom - FGA.folders);
  const members = tableOf(tables, 'member');
  return Array.from({ length: count }, (_, index) => {
    const chosen = new Set<number>();
    const step: RowChange[] = [];
    for (let change = 0; change < size; change++) {
      const isMember = (index * size + change) % MEMBERSHIP_EVERY === MEMBERSHIP_EVERY - 1;
      const [table, rows] = isMember
        ? (['member', members] as const)
        : (['parent', files] as const);
      let at = stream.below(rows.length);
      // A transaction writes a row once: what it would write first nobody would see.
      while (chosen.has(isMember ? -at - 1 : at)) at = stream.below(rows.length);
      chosen.add(isMember ? -at - 1 : at);
      const before = rows[at] as Cells;
      const id = before[0] as number;
      const row = isMember ? [id, ...fgaMember(stream)] : [id, fgaFolder(stream)];
      rows[at] = row;
      if (row.join() === before.join()) continue;
      step.push({ sign: '-', table, row: before }, { sign: '+', table, row });
    }
    return step;
  });
}

function tableOf(tables: Tables, name: string): Cells[] {
  return [...(tables[name] ?? [])];
}
