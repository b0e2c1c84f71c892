#!/usr/bin/env node
/**
 * `npm start`: the demo. Serves `examples/packages/packages.policy` over the packages of this
 * machine and shows it live where a terminal reads, else says how to ask, follow and change it. It
 * is a server like any other; what it shows comes over its own WebSocket.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { problemText } from '../../drivers/driver.ts';
import { findPackageIndex, packagesDriver } from '../../drivers/packages/packages-driver.ts';
import type { SourceHealth } from '../../drivers/runner.ts';
import { parseServeConfig } from '../config.ts';
import type { ServeConfig } from '../config.ts';
import { HOST_DEFAULT, PORT_DEFAULT } from '../config/options.ts';
import { ConfigError } from '../config/problem.ts';
import { startServer } from '../main.ts';
import type { RunningServer } from '../main.ts';
import { createLogger } from '../observe/log.ts';
import type { Row } from '../value/value.ts';
import { request } from './client.ts';
import { packageRoot, packageVersion, readCoreWasm } from './core-wasm.ts';
import { DemoScreen } from './demo-screen.ts';
import { DEMO_QUERIES, DemoView } from './demo-view.ts';
import {
  EXIT_BAD_INPUT,
  EXIT_BAD_USAGE,
  EXIT_DEFECT,
  EXIT_INTERRUPTED,
  EXIT_OK,
} from './exit-code.ts';
import { inputError, ProblemsError, problemsOfError, UsageError } from './problem.ts';
import type { Problem } from './problem.ts';
import { Terminal } from './terminal.ts';

/** Where the commands look for a server by themselves. */
const URL_DEFAULT = `http://${HOST_DEFAULT}:${PORT_DEFAULT}`;
/**
 * Apart from the directory of `caucus serve`, and kept: the next start goes on where this one ends.
 */
const DEMO_DATA = 'caucus-demo-data';

const USAGE = `npm start -- [--port 1789] [--data ${DEMO_DATA}] [--packages PATH] [--no-view]

  --port N          port to listen on; 0 takes a free one
  --data DIR        directory of the log and the store; delete it to start anew
  --packages PATH   a package-lock.json, a Debian Packages or status file, or a directory of them
  --no-view         no live view, also in a terminal`;

interface DemoOptions {
  readonly config: ServeConfig;
  readonly packages: string | undefined;
  readonly view: boolean;
}

process.exitCode = await main(process.argv.slice(2), new Terminal({ color: 'auto', json: false }));

async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const options = optionsOf(args);
    if (options === undefined) {
      terminal.print(USAGE);
      return EXIT_OK;
    }
    return await demo(options, terminal);
  } catch (error) {
    if (error instanceof ConfigError) {
      terminal.problems(error.problems);
      return error.isUsage ? EXIT_BAD_USAGE : EXIT_BAD_INPUT;
    }
    if (error instanceof UsageError) {
      terminal.problems([problemOfUsage(error)]);
      return EXIT_BAD_USAGE;
    }
    const problems = problemsOfError(withDemoNote(error));
    if (problems !== undefined) {
      terminal.problems(problems);
      return EXIT_BAD_INPUT;
    }
    terminal.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT_DEFECT;
  }
}

/** Undefined: somebody asked for help. */
function optionsOf(args: readonly string[]): DemoOptions | undefined {
  let values: {
    port?: string;
    data?: string;
    packages?: string;
    'no-view'?: boolean;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        data: { type: 'string' },
        packages: { type: 'string' },
        'no-view': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message, '`npm start -- --help` lists the flags');
  }
  if (values.help === true) return undefined;
  const root = rootFolder();
  const config = parseServeConfig(
    {
      data: values.data ?? process.env['CAUCUS_DATA'] ?? path.join(root, DEMO_DATA),
      port: values.port,
      policy: [path.join(root, 'examples', 'packages', 'packages.policy')],
    },
    process.env,
  );
  return { config, packages: values.packages, view: values['no-view'] !== true };
}

async function demo(options: DemoOptions, terminal: Terminal): Promise<number> {
  const lockFile = path.join(rootFolder(), 'package-lock.json');
  const where = { lockFile, ...(options.packages === undefined ? {} : { path: options.packages }) };
  const index = await findPackageIndex(where).catch((error: unknown) => {
    throw inputError('no-packages', error instanceof Error ? error.message : String(error), {
      note: 'name a package-lock.json or a Debian package list: `npm start -- --packages PATH`',
    });
  });
  const about = { debian: 'Debian package index', npm: 'npm lock file' }[index.kind];
  const stop = stopSignal();
  const onScreen = options.view && terminal.outIsTty;
  let health: SourceHealth | undefined;
  let screen: DemoScreen | undefined;
  let onSettled: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => {
    onSettled = resolve;
  });
  const server = await startServer(options.config, {
    coreWasm: await readCoreWasm(),
    logger: createLogger({
      format: 'text',
      level: onScreen ? 'error' : 'warn',
      write: (line) => process.stderr.write(line),
      now: Date.now,
    }),
    version: packageVersion(),
    drivers: [packagesDriver({ source: 'pkg', ...where })],
    onHealth: (now) => {
      health = now;
      if (now.state === 'fresh' || now.state === 'stale') onSettled();
      screen?.redraw();
    },
  });
  let failure: Error | undefined;
  void server.failed.then((reason) => {
    if (stop.signal.aborted) return;
    failure = reason;
    stop.abort();
  });
  try {
    if (onScreen) {
      const { url } = server;
      screen = new DemoScreen({ url, about, colors: terminal.out, health: () => health });
      await screen.run(stop.signal);
    } else {
      await Promise.race([settled, stop.received]);
      if (!stop.signal.aborted) await explain(server, about, health, terminal);
      await stop.received;
    }
  } finally {
    // From here on it is no failure that the replica stops.
    stop.abort();
    await server.close();
    stop.release();
  }
  if (failure !== undefined) throw failure;
  return EXIT_OK;
}

/** What a person can do next, with commands that work as they are. */
async function explain(
  server: RunningServer,
  about: string,
  health: SourceHealth | undefined,
  terminal: Terminal,
): Promise<void> {
  const { bold, cyan } = terminal.out;
  const view = new DemoView();
  for (const name of ['totals', 'users', 'critical'] as const) {
    const answer = await request(server.url, {
      method: 'POST',
      path: '/v1/query',
      body: { query: DEMO_QUERIES[name] },
    });
    const changes = (answer['rows'] as unknown as Row[]).map((row) => ['+', row] as const);
    view.apply(name, { revision: Number(answer['revision']), snapshot: true, changes });
  }
  const url = server.url === URL_DEFAULT ? '' : ` --url ${server.url}`;
  const name = view.suggestion() ?? 'some-package';
  const load = `npx caucus load watchlist - --table forbidden --format tsv${url}`;
  const problems = (health?.problems ?? []).map((problem) => `  ${problemText(problem)}`);
  const lines = [
    `${bold('caucus')} ${packageVersion()} serves the packages of this machine on ${cyan(server.url)} (${about})`,
    ...problems,
    `  ${view
      .totals()
      .map(([what, n]) => `${String(n)} ${String(what)}`)
      .join(', ')}`,
    '',
    `  ask      npx caucus query${url} 'packages:all_users(package, users), users > ${view.manyUsers()}'`,
    `  follow   npx caucus subscribe${url} 'packages:alarm(essential, package, why)'`,
    `  change   echo ${name} | ${load} --insert`,
    `  undo     echo ${name} | ${load} --delete`,
    '  stop     Ctrl-C',
  ];
  terminal.print(lines.join('\n'));
}

interface StopSignal {
  readonly received: Promise<void>;
  readonly signal: AbortSignal;
  abort(): void;
  release(): void;
}

/** SIGINT and SIGTERM end the demo; a second one ends the process at once. */
function stopSignal(): StopSignal {
  const abort = new AbortController();
  const received = new Promise<void>((resolve) => {
    abort.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(EXIT_INTERRUPTED);
    abort.abort();
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const name of signals) process.on(name, onSignal);
  const release = (): void => {
    for (const name of signals) process.off(name, onSignal);
  };
  return { received, signal: abort.signal, abort: () => abort.abort(), release };
}

/** The flags of `npm start` stand behind `--`. */
function withDemoNote(error: unknown): unknown {
  if (!(error instanceof ProblemsError)) return error;
  const problems = error.problems.map((problem) => {
    const note = 'stop it, or take another port: `npm start -- --port 1790`';
    return problem.code === 'port-in-use' ? { ...problem, note } : problem;
  });
  return new ProblemsError(problems);
}

function problemOfUsage(error: UsageError): Problem {
  const note = error.remedy === undefined ? {} : { note: error.remedy };
  return { severity: 'error', code: 'usage', message: error.message, ...note };
}

function rootFolder(): string {
  const root = packageRoot(path.dirname(fileURLToPath(import.meta.url)));
  if (root !== undefined) return root;
  throw inputError('not-in-checkout', 'the demo is not beside its `examples` folder', {
    note: 'run `npm start` in a checkout of caucus',
  });
}
