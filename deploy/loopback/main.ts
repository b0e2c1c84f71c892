/**
 * `npm run cluster`: starts a whole cluster on this machine, shows its state when it changes, and
 * stops it on Ctrl-C.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startCluster } from './cluster.ts';
import type { PartState, RunningCluster } from './cluster.ts';
import { missingPrograms, missingText } from './components.ts';
import { accepts, freePort } from './ports.ts';

const USAGE = `npm run cluster -- [options]

Starts Kafka, MariaDB, three replicas, a datasource node and HAProxy on this machine.

  --brokers 1|3   Kafka nodes (default 1)
  --port PORT     where HAProxy listens (default 1789, as the command expects); 0: any free port
  --keep DIR      keep everything in DIR, and go on from what it holds (default: a temporary folder)
  --json          a line of JSON for each event
  --help          this text
`;

const DEFAULT_PORT = '1789';
const WATCH_INTERVAL_MS = 500;
const SAME_SIGNAL_MS = 1_000;
const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

interface Settings {
  readonly brokers: 1 | 3;
  readonly port: number;
  readonly keep: string | undefined;
  readonly json: boolean;
}

class UsageError extends Error {}

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  let settings: Settings | undefined;
  try {
    settings = readSettings(words);
    if (settings === undefined) {
      process.stdout.write(USAGE);
      return EXIT_OK;
    }
    await expectPossible(settings);
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
  return await run(settings);
}

async function run(settings: Settings): Promise<number> {
  const { brokers, keep } = settings;
  const directory = keep ?? mkdtempSync(path.join(tmpdir(), 'caucus-cluster-'));
  // However we end: what still runs is killed before.
  if (keep === undefined) {
    process.once('exit', () => {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    });
  }
  const stopped = stopSignal();
  const port = settings.port === 0 ? await freePort() : settings.port;
  const onProgress = (text: string): void => report(settings, 'progress', { text }, text);
  let cluster: RunningCluster | undefined;
  try {
    cluster = await startCluster({ directory, brokers, port, signal: stopped, onProgress });
    const { url } = cluster;
    report(settings, 'ready', { url, directory }, readyText(url, cluster.directory));
    await show(cluster, settings, stopped);
    await cluster.stop();
    report(settings, 'stopped', {}, 'stopped');
    return EXIT_OK;
  } catch (error) {
    await cluster?.stop();
    if (stopped.aborted) return EXIT_OK;
    const { message } = error as Error;
    report(settings, 'failed', { message }, `error: ${message}`);
    return EXIT_FAILED;
  }
}

/**
 * Shows the state until `stopped`: in place on a terminal; in a file only what changes seldom, that
 * is not each revision.
 */
async function show(
  cluster: RunningCluster,
  settings: Settings,
  stopped: AbortSignal,
): Promise<void> {
  const { isTTY } = process.stdout;
  let shown = '';
  let shownStates = '';
  while (!stopped.aborted) {
    const parts = await cluster.state();
    const table = tableText(parts);
    const states = JSON.stringify(parts.map(({ name, state, phase }) => [name, state, phase]));
    const isNews = settings.json || isTTY ? table !== shown : states !== shownStates;
    if (isNews) {
      if (isTTY && !settings.json && shown !== '') process.stdout.write(upOver(shown));
      report(settings, 'state', { parts }, table);
      [shown, shownStates] = [table, states];
    }
    await delay(WATCH_INTERVAL_MS, undefined, { signal: stopped }).catch(() => undefined);
  }
}

function tableText(parts: readonly PartState[]): string {
  const rows = [
    ['part', 'address', 'state', 'phase', 'revision'],
    ...parts.map(({ name, address, state, phase = '', revision }) => {
      return [name, address, state, phase, revision === undefined ? '' : String(revision)];
    }),
  ];
  const widths = rows[0]?.map((_, column) => {
    return Math.max(...rows.map((row) => (row[column] ?? '').length));
  });
  const lines = rows.map((row) => {
    return row.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join('  ');
  });
  return `\n${lines.map((line) => `  ${line.trimEnd()}`).join('\n')}\n`;
}

/** Moves a terminal back to where `text` and its line end began, and clears what follows. */
function upOver(text: string): string {
  return `\x1b[${text.split('\n').length}A\x1b[J`;
}

function readyText(url: string, directory: string): string {
  return `
the cluster is ready at ${url}
  npx caucus status --url ${url}
  npx caucus query --url ${url} 'network:exposed(host)'
logs and data are in ${directory}; Ctrl-C stops everything`;
}

function report(
  { json }: Settings,
  event: string,
  fields: Readonly<Record<string, unknown>>,
  text: string,
): void {
  process.stdout.write(`${json ? JSON.stringify({ event, ...fields }) : text}\n`);
}

/**
 * Aborts at the first signal; a later one ends us at once, and with us everything. One Ctrl-C may
 * arrive twice, from the terminal and from npm.
 */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let firstAtMs = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!controller.signal.aborted) {
        firstAtMs = performance.now();
        controller.abort();
      } else if (performance.now() - firstAtMs > SAME_SIGNAL_MS) process.exit(EXIT_INTERRUPTED);
    });
  }
  return controller.signal;
}

function readSettings(words: readonly string[]): Settings | undefined {
  const { values } = parse(words);
  if (values.help === true) return undefined;
  const { brokers, port, keep, json } = values;
  if (brokers !== '1' && brokers !== '3') {
    throw new UsageError(`\`--brokers ${brokers}\`: write 1 or 3`);
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new UsageError(`\`--port ${port}\` is no port`);
  }
  return { brokers: brokers === '1' ? 1 : 3, port: Number(port), keep, json };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        brokers: { type: 'string', default: '1' },
        port: { type: 'string', default: DEFAULT_PORT },
        keep: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; \`--help\` lists the options`);
  }
}

async function expectPossible({ port }: Settings): Promise<void> {
  const missing = missingPrograms(['kafka', 'mariadb', 'haproxy']);
  if (missing.length > 0) throw new Error(missingText(missing));
  if (port !== 0 && (await accepts(port))) {
    throw new Error(`port ${port} is taken; give another one with \`--port\``);
  }
}
