/** `npm run simulate -- [flags]`: see `--help`. */
import { Option } from 'commander';
import { historyLines } from '../support/history.ts';
import { countOption, scriptCommand } from '../support/script-command.ts';
import { checkHistory } from './checkers/check-history.ts';
import { CONTROLS } from './controls.ts';
import type { ControlName } from './controls.ts';
import type { EngineName } from './engines.ts';
import { simulate } from './simulation.ts';

const PROGRESS_MS = 5_000;
/** Violations of one invariant that are printed. */
const SHOWN = 3;
const MESSAGE_CHARS = 600;

interface SimulateFlags {
  readonly seed?: number;
  readonly seeds: number;
  readonly steps: number;
  readonly engine?: EngineName;
  readonly losesRecords?: boolean;
  readonly untold?: boolean;
  readonly wholeAppends?: boolean;
  readonly without?: ControlName;
  readonly json?: boolean;
}

const values = scriptCommand(
  'simulate',
  'Runs replicas, log, store, drivers and clients with faults, seed by seed. What a check finds is ' +
    'printed with its seed, and ends the run with exit code 1.',
)
  .addOption(countOption('--seed <n>', 'the first seed; without it by the clock, and printed', 0))
  .addOption(countOption('--seeds <n>', 'how many seeds').default(1))
  .addOption(countOption('--steps <n>', 'steps of each').default(60))
  .addOption(
    new Option('--engine <name>', 'the engine of all replicas').choices(['wasm', 'debug', 'naive']),
  )
  .option('--whole-appends', 'records of others never come between those of one append')
  .option('--loses-records', 'the log loses acknowledged records')
  .option('--untold', 'the log loses acknowledged records and does not tell')
  .addOption(
    new Option('--without <mechanism>', 'with that mechanism switched off').choices(
      Object.keys(CONTROLS),
    ),
  )
  .option('--json', 'print the histories, one event a line')
  .parse()
  .opts<SimulateFlags>();

const control = values.without === undefined ? {} : CONTROLS[values.without];
const first = values.seed ?? Date.now() % 1_000_000_000;
const count = values.seeds;
const started = performance.now();
let shown = started;
let failed = 0;
let events = 0;
for (let seed = first; seed < first + count; seed++) {
  const run = await simulate({
    seed,
    steps: values.steps,
    ...(values.engine === undefined ? {} : { engineName: values.engine }),
    splitsAppends: values.wholeAppends !== true,
    losesRecords: values.untold === true ? 'untold' : values.losesRecords === true,
    ...control,
  });
  events += run.events;
  if (values.json === true) process.stdout.write(historyLines(run.history));
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
