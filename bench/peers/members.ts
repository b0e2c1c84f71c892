/** Every membership of a policy out and back in, one at a time, with `allow` subscribed. */
import { percentile } from '../measure.ts';
import type { Entry, Figure } from '../report.ts';
import { inputOf, type Workload } from '../workloads.ts';
import type { Contestant } from './contestant.ts';
import type { Effort } from './round.ts';
import { raceSteps } from './step-race.ts';
import { eachOutAndBack } from './steps.ts';

/** What a step may take: so much, and so much for each row or weight that it changes. */
const STEP_MS = 0.003;
const ROW_MS = 0.00015;

export async function measureMembers(
  workload: Workload,
  own: Contestant,
  against: Contestant,
  effort: Effort,
  onStep: (step: string) => void,
): Promise<Entry> {
  const name = `${workload.name}, each membership out and back`;
  const steps = eachOutAndBack(inputOf(workload), 'member');
  const task = { name, workload, steps, watched: ['allow'] };
  const { ours, theirs, notRun } = await raceSteps(task, own, against, effort, onStep);
  if (ours === undefined) return { name, figures: {}, notRun };
  const before = Object.values(workload.sizes).reduce((sum, count) => sum + count, 0);
  const wrong = ours.rows.findIndex((count, step) => step % 2 === 1 && count !== before);
  if (wrong >= 0) throw new Error(`${name}: ${ours.rows[wrong]} rows after step ${wrong}`);

  const shares = ours.wallMs.map((ms, step) => ms / (STEP_MS + ROW_MS * (ours.touched[step] ?? 0)));
  const ofBudget = (share: number): Figure => {
    return { value: percentile(shares, share), unit: 'ratio', target: { atMost: 1 } };
  };
  const ms = (value: number): Figure => ({ value, unit: 'ms' });
  const mean = (counts: readonly number[]): Figure => {
    return { value: counts.reduce((sum, one) => sum + one, 0) / counts.length, unit: 'count' };
  };
  const figures: Record<string, Figure> = {
    p50: ms(percentile(ours.wallMs, 50)),
    p99: ms(percentile(ours.wallMs, 99)),
    'rows of allow/step': mean(ours.changed),
    'touched/step': mean(ours.touched),
    'p50 of allowed': ofBudget(50),
    'p99 of allowed': ofBudget(99),
  };
  if (theirs !== undefined) {
    for (const share of [50, 99]) {
      const value = percentile(theirs.cpuMs, share) / percentile(ours.cpuMs, share);
      const target = { atLeast: 10 };
      figures[`${against.name}÷ours p${share}`] = { value, unit: 'ratio', compared: true, target };
    }
  }
  return { name, figures, notRun };
}
