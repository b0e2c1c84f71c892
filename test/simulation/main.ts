/**
 * `npm run simulate -- [--seed N] [--seeds N] [--steps N] [--engine wasm|debug|naive] [--json]`:
 * runs seeds one after another; what a check finds is printed with its seed, and ends the run with
 * exit code 1. With `--json` the history of the seed is printed, one event a line.
 * `--whole-appends`: records of others never come between those of one append. `--loses-records`:
 * the log loses acknowledged records; `--untold`: and does not tell. `--without
 * cuts|fencing|atomicity|tokens|checksums|meaning`: with that mechanism switched off.
 */
import { parseArgs } from 'node:util';
import { historyLines } from '../support/history.ts';
import { checkHistory } from './checkers/check-history.ts';
import { CONTROLS } from './controls.ts';
import type { ControlName } from './controls.ts';
import type { EngineName } from './engines.ts';
import { simulate } from './simulation.ts';

const PROGRESS_MS = 5_000;
/** Violations of one invariant that are printed. */
const SHOWN = 3;
const MESSAGE_CHARS = 600;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '60' },
    engine: { type: 'string' },
    'loses-records': { type: 'boolean', default: false },
    untold: { type: 'boolean', default: false },
    'whole-appends': { type: 'boolean', default: false },
    without: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const control = CONTROLS[values.without as ControlName];
const first = Number(values.seed ?? Date.now() % 1_000_000_000);
const count = Number(values.seeds);
const started = performance.now();
let shown = started;
let failed = 0;
let events = 0;
for (let seed = first; seed < first + count; seed++) {
  const run = await simulate({
    seed,
    steps: Number(values.steps),
    ...(values.engine === undefined ? {} : { engineName: values.engine as EngineName }),
    splitsAppends: !values['whole-appends'],
    losesRecords: values.untold ? 'untold' : values['loses-records'],
    ...control,
  });
  events += run.events;
  if (values.json) process.stdout.write(historyLines(run.history));
  const violations = checkHistory(run.history);
  if (violations.length > 0) {
    failed++;
    console.error(`seed ${seed}: ${violations.length} violations`);
    for (const invariant of new Set(violations.map((violation) => violation.invariant))) {
      const found = violations.filter((violation) => violation.invariant === invariant);
      for (const { message } of found.slice(0, SHOWN)) {
        console.error(`  ${invariant} ${message.slice(0, MESSAGE_CHARS)}`);
      }
    }
  }
  if (performance.now() - shown < PROGRESS_MS) continue;
  shown = performance.now();
  const rate = ((seed - first + 1) * 1000) / (shown - started);
  console.error(`  ${seed - first + 1} seeds, ${rate.toFixed(1)} a second`);
}
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage();
const cpuMs = (user + system) / 1000 / count;
console.error(
  `seeds ${first} to ${first + count - 1}: ${failed} failed, ` +
    `${(count / seconds).toFixed(1)} a second, ` +
    `${Math.round(events / count)} events and ${cpuMs.toFixed(0)} ms of CPU each`,
);
if (failed > 0) process.exitCode = 1;
