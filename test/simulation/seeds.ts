/** Runs many seeds and fails with those whose history breaks an invariant. */
import assert from 'node:assert/strict';
import { checkHistory } from './checkers/check-history.ts';
import type { Violation } from './checkers/violation.ts';
import type { Control } from './controls.ts';
import { simulate } from './simulation.ts';
import type { SimulationOptions } from './simulation.ts';

/** Operations of the clients of one run. */
export const STEPS = 60;
const SHOWN = 5;

export async function violationsOf(
  seed: number,
  options: Omit<SimulationOptions, 'seed' | 'steps'> = {},
): Promise<Violation[]> {
  const { history } = await simulate({ ...options, seed, steps: STEPS });
  return checkHistory(history);
}

/** `command` says how to see one of the seeds again. */
export async function expectNoViolation(
  first: number,
  count: number,
  options: Omit<SimulationOptions, 'seed' | 'steps'> = {},
  command = 'npm run simulate -- --seed',
): Promise<void> {
  const failed: string[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const violations = await violationsOf(seed, options);
    const texts = violations.slice(0, SHOWN).map((found) => `${found.invariant} ${found.message}`);
    if (texts.length > 0) failed.push([`${command} ${seed}`, ...texts].join('\n  '));
  }
  assert.equal(failed.length, 0, `${failed.length} of ${count} seeds\n${failed.join('\n')}`);
}

/** The first seed whose history shows that the mechanism is missing. */
export async function firstNoticed(control: Control, seeds: number): Promise<number | undefined> {
  const { breaks, ...options } = control;
  for (let seed = 1; seed <= seeds; seed++) {
    const violations = await violationsOf(seed, options);
    if (violations.some((violation) => breaks.includes(violation.invariant))) return seed;
  }
  return undefined;
}
