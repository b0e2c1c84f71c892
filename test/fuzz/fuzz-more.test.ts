/**
 * More random batches of the core as it ships: a file of its own, so that they run beside those of
 * `fuzz.test.ts` where there is a second processor.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineKinds } from './engines.ts';
import { compareEngines } from './fuzz.ts';

/** Far from the seeds of `fuzz.test.ts`; SEED=n repeats a run. */
const SEED = Number(process.env['SEED'] ?? 1_000_000_000 + (Date.now() % 1_000_000_000));
/** About 170 a second of one processor, so the many take five minutes. */
const BATCHES = process.env['CI'] === undefined ? 5_000 : 50_000;

for (const kind of (await engineKinds()).filter(({ name }) => name === 'wasm')) {
  test(`${kind.name}: ${BATCHES} more random batches, SEED=${SEED}`, async (context) => {
    const report = await compareEngines(kind, { seed: SEED, batches: BATCHES });
    assert.ok(report.batches >= BATCHES);
    context.diagnostic(`SEED=${SEED}: ${report.batches} batches, ${report.programs} programs`);
  });
}
