/**
 * `npm run bench [-- word… --large --accept --json]`: runs the suites, shows how far it is, prints
 * each suite beside the accepted results of this kind of machine, and writes
 * `build/bench/results.json`.
 *
 * A word is a suite (`engine`, `deletes`, `checkpoint`, `ingest`, `micro`, `cluster`, `peers`) or
 * the beginning of a workload (`tc`, `tc grid`, `deletes btree`, `cluster restart`). Everything
 * measured runs in a process of its own: this file, started with `--measure`. Peers are run only
 * when they are asked for; `--peers FOLDER` is where their builds are.
 */
import { fork } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { missingPrograms, missingText } from '../deploy/loopback/components.ts';
import { scriptCommand } from '../test/support/script-command.ts';
import { measureCheckpoint } from './checkpoint.ts';
import { CLUSTER_PARTS, measureCluster } from './cluster/cluster.ts';
import { closurePlan, openEngine, planOf } from './core.ts';
import { DELETE_CASES, measureDeletes } from './deletes.ts';
import { measureEngine, MODES, type Mode } from './engine.ts';
import { measureIngest } from './ingest.ts';
import { measureMicro } from './micro.ts';
import { PEERS_VARIABLE } from './peers/contestants.ts';
import { measurePeers, PEER_PARTS } from './peers/peers.ts';
import {
  accept,
  formatSuite,
  readAccepted,
  thisMachine,
  writeResults,
  type Entry,
  type Results,
  type SuiteResult,
} from './report.ts';
import { workloadNamed, WORKLOADS } from './workloads.ts';

const OUTPUT = 'build/bench/results.json';

const SUITES = ['engine', 'deletes', 'checkpoint', 'ingest', 'micro', 'cluster', 'peers'] as const;
type SuiteName = (typeof SUITES)[number];

/** What one process measures. */
interface Job {
  readonly suite: SuiteName;
  readonly name: string;
  readonly mode?: Mode;
  /** Of the workloads of a part of `peers`, those that begin so. */
  readonly only?: string;
}

type Outcome = { readonly suites: readonly SuiteResult[] } | { readonly error: string };

/** How far a process is. */
interface Step {
  readonly step: string;
}

async function measure(job: Job, onStep: (step: string) => void): Promise<readonly SuiteResult[]> {
  const { suite, name } = job;
  if (suite === 'peers') return measurePeers(name, job.only ?? '', onStep);
  return [{ suite, entries: await measureEntries(job, suite, onStep) }];
}

async function measureEntries(
  job: Job,
  suite: Exclude<SuiteName, 'peers'>,
  onStep: (step: string) => void,
): Promise<readonly Entry[]> {
  switch (suite) {
    case 'engine':
      return [
        await measureEngine(
          { planOf, openEngine },
          workloadNamed(job.name),
          job.mode ?? 'maintained',
        ),
      ];
    case 'deletes': {
      const one = DELETE_CASES.find(({ name }) => name === job.name);
      if (one === undefined) throw new Error(`no graph is named \`${job.name}\``);
      return [await measureDeletes({ plan: closurePlan(), openEngine }, one)];
    }
    case 'checkpoint':
      return [await measureCheckpoint(openEngine)];
    case 'ingest':
      return measureIngest();
    case 'micro':
      return measureMicro();
    case 'cluster':
      return await measureCluster(job.name, onStep);
  }
}

function jobsFor(words: readonly string[], large: boolean): Job[] {
  const jobs: Job[] = [];
  for (const { name, scale } of WORKLOADS) {
    if (scale !== 'large' || large) {
      for (const mode of MODES) jobs.push({ suite: 'engine', name, mode });
    }
  }
  for (const { name } of DELETE_CASES) jobs.push({ suite: 'deletes', name });
  jobs.push({ suite: 'checkpoint', name: 'checkpoint' });
  jobs.push({ suite: 'ingest', name: 'ingest' }, { suite: 'micro', name: 'micro' });
  for (const name of CLUSTER_PARTS) jobs.push({ suite: 'cluster', name });
  if (words.length === 0) return jobs;
  if (words[0] === 'peers') return peerJobs(words.slice(1));
  const matches = ({ suite, name }: Job, word: string): boolean =>
    `${suite} ${name} `.startsWith(word) || (suite === 'engine' && `${name} `.startsWith(word));
  // `cluster restart` is one word, however it was typed.
  const together = jobs.filter((job) => matches(job, words.join(' ')));
  if (together.length > 0) return together;
  for (const word of words) {
    if (!jobs.some((job) => matches(job, word))) {
      console.error(`\`${word}\` is neither a suite (${SUITES.join(', ')}) nor a workload`);
      process.exit(2);
    }
  }
  return jobs.filter((job) => words.some((word) => matches(job, word)));
}

/** `peers`, a part, or a part and the beginning of a workload: `peers batch tc grid`. */
function peerJobs([part, ...only]: readonly string[]): Job[] {
  const parts = part === undefined ? PEER_PARTS : PEER_PARTS.filter((name) => name === part);
  if (parts.length === 0) {
    console.error(`peers: no part \`${part}\`; the parts are ${PEER_PARTS.join(', ')}`);
    process.exit(2);
  }
  return parts.map((name) => ({ suite: 'peers', name, only: only.join(' ') }));
}

/** Without those that need what this machine has not, which is said. */
function possible(jobs: readonly Job[]): Job[] {
  const missing = missingPrograms(['kafka', 'mariadb']);
  if (missing.length === 0 || jobs.every(({ suite }) => suite !== 'cluster')) return [...jobs];
  console.error(`not measured: \`cluster\`; ${missingText(missing)}`);
  const others = jobs.filter(({ suite }) => suite !== 'cluster');
  if (others.length === 0) process.exitCode = 1;
  return others;
}

function run(job: Job, onStep: (step: string) => void): Promise<Outcome> {
  const child = fork(fileURLToPath(import.meta.url), ['--measure', JSON.stringify(job)], {
    execArgv: ['--enable-source-maps', '--max-old-space-size=4096'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => {
    let outcome: Outcome = { error: 'the process ended without a result' };
    child.on('message', (message) => {
      const told = message as Outcome | Step;
      if ('step' in told) onStep(told.step);
      else outcome = told;
    });
    child.on('exit', () => resolve(outcome));
  });
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}

interface BenchFlags {
  readonly large?: boolean;
  readonly accept?: boolean;
  readonly json?: boolean;
  readonly peers?: string;
}

function benchCommand(): Command {
  return scriptCommand(
    'bench',
    'Runs the benchmarks, each in a process of its own, and shows the results beside the accepted ' +
      'ones. Without words: everything but `peers` and what needs gigabytes.',
  )
    .argument('[words...]', `a suite (${SUITES.join(', ')}) or the beginning of a workload`)
    .option('--large', 'also what needs gigabytes')
    .option('--accept', 'keep the results as the accepted ones of this kind of machine')
    .option('--json', 'print the results as JSON')
    .option('--peers <folder>', 'where the builds of other engines are')
    .addHelpText(
      'after',
      '\nExamples: `tc`, `tc grid`, `deletes btree`, `cluster restart`, `peers batch`',
    );
}

async function main(args: readonly string[]): Promise<void> {
  const command = benchCommand().parse(args, { from: 'user' });
  const values = command.opts<BenchFlags>();
  const positionals = command.args;
  if (values.peers !== undefined) process.env[PEERS_VARIABLE] = path.resolve(values.peers);
  const machine = thisMachine();
  const accepted = readAccepted(machine.kind);
  const jobs = possible(jobsFor(positionals, values.large === true));
  const entries = new Map<string, Entry[]>();
  for (const [index, job] of jobs.entries()) {
    const name = [job.suite, job.name, job.mode].filter((part) => part !== undefined).join(' ');
    const title = `[${index + 1}/${jobs.length}] ${name}`;
    progress(title);
    const outcome = await run(job, (step) => progress(`${title}: ${step}`));
    if ('error' in outcome) {
      progress('');
      console.error(`${name}: ${outcome.error}`);
      process.exitCode = 1;
      continue;
    }
    for (const { suite, entries: found } of outcome.suites) {
      entries.set(suite, [...(entries.get(suite) ?? []), ...found]);
    }
  }
  progress('');

  const suites = [...entries].map(([suite, found]) => ({ suite, entries: found }));
  const results: Results = { machine, suites };
  writeResults(OUTPUT, results);
  if (values.json === true) console.log(JSON.stringify(results));
  else {
    console.log(`${machine.processor}, ${machine.cores} cores, Node ${machine.node}`);
    console.log(accepted === undefined ? 'no accepted results of this kind of machine' : '');
    for (const suite of suites) {
      const before = accepted?.suites.find((one) => one.suite === suite.suite);
      console.log(formatSuite(suite, before));
    }
  }
  if (values.accept === true && process.exitCode === undefined)
    console.log(`wrote ${accept(results)}`);
}

const [flag, job] = process.argv.slice(2);
if (flag === '--measure' && process.send !== undefined) {
  // Whoever asked for it is gone.
  process.once('disconnect', () => process.exit(1));
  const tell = (step: string): void => {
    process.send?.({ step });
  };
  const outcome: Outcome = await measure(JSON.parse(job ?? '') as Job, tell).then(
    (suites) => ({ suites }),
    (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }),
  );
  process.send(outcome, () => process.exit());
} else await main(process.argv.slice(2));
