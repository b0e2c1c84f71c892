/** `npm run test:cluster -- [flags]`: see `--help`. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { missingPrograms, missingText } from '../../deploy/loopback/components.ts';
import { checkHistory } from '../simulation/checkers/check-history.ts';
import type { Violation } from '../simulation/checkers/violation.ts';
import { parseHistory } from '../support/history.ts';
import type { History } from '../support/history.ts';
import { countOption, scriptCommand } from '../support/script-command.ts';
import { faultRun } from './fault-run.ts';
import { checkFiles } from './file-source.ts';
import { checkSessions } from './sessions.ts';

const SHOWN_MAX = 20;
const MESSAGE_MAX = 600;

interface FaultFlags {
  readonly seed?: number;
  readonly minutes: number;
  readonly galera?: boolean;
  readonly ignoreTokens?: boolean;
  readonly keep?: string;
  readonly history?: string;
}

const values = scriptCommand(
  'test:cluster',
  'Runs a cluster of real processes under faults, then checks its history. Exit code 1 when a ' +
    'check finds something.',
)
  .addOption(countOption('--seed <n>', 'of the faults; without it by the clock, and printed', 0))
  .addOption(countOption('--minutes <n>', 'how long').default(3))
  .option('--galera', 'three nodes of Galera instead of MariaDB')
  .option('--ignore-tokens', 'control: clients show no tokens, so that a check has to find it')
  .option('--keep <dir>', 'keep everything in this folder')
  .option('--history <file>', 'only check a history that is there already')
  .parse()
  .opts<FaultFlags>();

function report(history: History, version: number | undefined): void {
  const violations = check(history, version);
  const counts = new Map<string, number>();
  const count = (name: string): unknown => counts.set(name, (counts.get(name) ?? 0) + 1);
  const revisions = new Set<number>();
  const calls = new Map<string, string>();
  for (const event of history) {
    if (event.event === 'commit') revisions.add(event.revision);
    if (event.event === 'invoke') calls.set(`${event.client} ${event.op}`, event.call.kind);
    if (event.event === 'ok') count(`${calls.get(`${event.client} ${event.op}`)} answered`);
    if (event.event === 'error') {
      count(`${calls.get(`${event.client} ${event.op}`)} ${event.code}`);
    }
    if (event.event === 'node') count(`node ${event.what} ${event.code ?? ''}`.trim());
    if (['commit', 'view', 'record', 'publish'].includes(event.event)) count(event.event);
  }
  for (const [name, number] of [...counts].sort()) console.log(`  ${name}: ${number}`);
  console.log(`  revisions: ${revisions.size}`);
  console.log(`${violations.length} violations`);
  for (const { invariant, message } of violations.slice(0, SHOWN_MAX)) {
    console.log(`  ${invariant} ${message.slice(0, MESSAGE_MAX)}`);
  }
  if (violations.length > 0) process.exitCode = 1;
}

function check(history: History, version: number | undefined): Violation[] {
  const records = history.flatMap((event) => (event.event === 'record' ? [event] : []));
  return [...checkHistory(history), ...checkSessions(history), ...checkFiles(records, version)];
}

async function run(): Promise<void> {
  const isGalera = values.galera === true;
  const missing = missingPrograms(['kafka', isGalera ? 'galera' : 'mariadb']);
  if (missing.length > 0) throw new Error(missingText(missing));
  const seed = values.seed ?? Date.now() % 1_000_000_000;
  const { minutes } = values;
  const directory = values.keep ?? mkdtempSync(path.join(tmpdir(), 'caucus-faults-'));
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  console.log(`seed ${seed}, ${minutes} minutes, ${isGalera ? 'Galera' : 'MariaDB'}`);
  const ended = await faultRun({
    seed,
    minutes,
    isGalera,
    ignoresTokens: values.ignoreTokens === true,
    directory: path.resolve(directory),
    signal: stop.signal,
    onProgress: (line) => console.log(`  ${line}`),
  });
  const { cluster, faults, version, restMs } = ended;
  for (const [what, number] of [...faults].sort()) console.log(`  ${what}: ${number}`);
  console.log(`  at rest after ${(restMs / 1_000).toFixed(1)} s, seed ${seed}`);
  if (values.keep !== undefined) cluster.writeDown(path.join(directory, 'written'));
  report(cluster.recorder.history, version);
  if (values.keep === undefined) rmSync(directory, { recursive: true, force: true });
}

if (values.history === undefined) await run();
else report(parseHistory(readFileSync(values.history, 'utf8')), undefined);
// Whatever a fault left behind must not keep it.
process.exit();
