/**
 * What the simulation itself has to be: the same each time for one seed, and able to fail. The many
 * seeds run in `seeds-first.test.ts` and `seeds-second.test.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { historyLines, parseHistory } from '../support/history.ts';
import { checkHistory } from './checkers/check-history.ts';
import { CONTROLS } from './controls.ts';
import type { ControlName } from './controls.ts';
import { expectNoViolation, firstNoticed, STEPS, violationsOf } from './seeds.ts';
import { simulate } from './simulation.ts';

/** Once failed, each for a reason of its own, with a log that keeps appends whole. */
const FAILED_SEEDS: readonly (readonly [seed: number, reason: string])[] = [
  [70, 'a start that could get no checkpoint at the moment gave up for good'],
  [1135, 'a replica that was overtaken by the trimming of the log stalled for ever'],
  [472, 'a clock that was set back and on left datasource nodes with an ended lease, for an hour'],
  [316, 'a replica that was closed while it waited for a new topic told that as a defect'],
];
/** The same, with the log as it is by default: one that splits appends. */
const FAILED_SPLIT_SEEDS: readonly (readonly [seed: number, reason: string])[] = [
  [2318, 'the fake log left records out of an append that was under way when the faults ended'],
  [2434, 'the same'],
  [2532, 'the same'],
  [2641, 'the same'],
  [2734, 'the same'],
  [2081, 'the fake log stored a part of a split append twice, which no log may'],
];
/** With a log that loses records, and keeps appends whole. */
const FAILED_LOSSY_SEEDS: readonly (readonly [seed: number, reason: string])[] = [
  [53, 'a reader that was told that records are lost kept it to itself'],
];
const LOSSY_SEEDS = 60;
const FENCED_SEEDS = 25;
/** Seeds within which a missing mechanism has to be noticed. */
const CONTROL_SEEDS: Readonly<Record<ControlName, number>> = {
  cuts: 10,
  fencing: 50,
  atomicity: 10,
  meaning: 10,
  tokens: 20,
  checksums: 10,
};

test('a seed gives the same history, byte for byte, whatever ran before', async () => {
  for (const seed of [3, 17]) {
    const lines = historyLines((await simulate({ seed, steps: STEPS })).history);
    await simulate({ seed: seed + 1, steps: STEPS });
    assert.equal(historyLines((await simulate({ seed, steps: STEPS })).history), lines);
    const other = historyLines((await simulate({ seed: seed + 1, steps: STEPS })).history);
    assert.notEqual(other, lines);
  }
});

test('a history can be checked from its lines', async () => {
  const { history } = await simulate({ seed: 5, steps: STEPS });
  assert.deepEqual(checkHistory(parseHistory(historyLines(history))), []);
  // Without one of the answers' rows the same lines do not pass.
  const broken = history.map((event) =>
    event.event === 'ok' && event.rows !== undefined ? { ...event, rows: ['b'] } : event,
  );
  assert.ok(checkHistory(parseHistory(historyLines(broken))).length > 0);
});

test('seeds that failed once do not fail any more', async () => {
  for (const [seed, reason] of FAILED_SEEDS) {
    const violations = await violationsOf(seed, { splitsAppends: false });
    assert.deepEqual(violations, [], `seed ${seed}: ${reason}`);
  }
  for (const [seed, reason] of FAILED_SPLIT_SEEDS) {
    const violations = await violationsOf(seed);
    assert.deepEqual(violations, [], `seed ${seed}: ${reason}`);
  }
  for (const [seed, reason] of FAILED_LOSSY_SEEDS) {
    const options = { losesRecords: true, splitsAppends: false } as const;
    const violations = await violationsOf(seed, options);
    assert.deepEqual(violations, [], `seed ${seed}: ${reason}`);
  }
});

test('replicas of a log that loses acknowledged records refuse, or agree', async () => {
  await expectNoViolation(
    1,
    LOSSY_SEEDS,
    { losesRecords: true },
    'npm run simulate -- --loses-records --seed',
  );
});

test('replicas agree on what a cut names though the log does not tell of its loss', async () => {
  await expectNoViolation(
    1,
    LOSSY_SEEDS,
    { losesRecords: 'untold' },
    'npm run simulate -- --untold --seed',
  );
});

test('the same as in the control of fencing, with fencing', async () => {
  await expectNoViolation(1, FENCED_SEEDS, { hitsDatasources: true });
});

for (const [name, control] of Object.entries(CONTROLS)) {
  test(`control: without ${name} the check of ${control.breaks.join()} fails`, async () => {
    const seeds = CONTROL_SEEDS[name as ControlName];
    assert.notEqual(await firstNoticed(control, seeds), undefined, `none of ${seeds} seeds`);
  });
}
