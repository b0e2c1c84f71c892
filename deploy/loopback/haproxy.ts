/** HAProxy on loopback, with the configuration that users deploy and other servers in it. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { accepts, LOOPBACK } from './ports.ts';
import { ComponentProcess, findProgram } from './processes.ts';
import type { Controls, ProcessState, Progress } from './processes.ts';

export interface Backend {
  /** Letters, digits, `-` and `_`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface HaproxyOptions {
  readonly directory: string;
  /** Where it listens. */
  readonly port: number;
  /** The replicas. */
  readonly backends: readonly Backend[];
  readonly onProgress?: Progress;
}

export interface RunningHaproxy extends Controls {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly state: ProcessState;
  readonly logFile: string;
  /** See `ComponentProcess`. */
  until(isSo: () => boolean | Promise<boolean>, otherwise: string): Promise<void>;
}

const TEMPLATE = path.resolve('deploy/haproxy/haproxy.cfg');
const COOKIE_KEY_BYTES = 16;
const STOP_LIMIT_MS = 5_000;

/** Resolves when it accepts connections; whether a replica is ready is another question. */
export async function startHaproxy(options: HaproxyOptions): Promise<RunningHaproxy> {
  const { port, backends, onProgress = () => undefined } = options;
  const directory = path.resolve(options.directory, 'haproxy');
  await mkdir(directory, { recursive: true });
  const file = path.join(directory, 'haproxy.cfg');
  await writeFile(file, withServers(await readFile(TEMPLATE, 'utf8'), backends));
  const env = {
    ...process.env,
    CAUCUS_HOST: `${LOOPBACK}:${port}`,
    CAUCUS_BIND: `${LOOPBACK}:${port}`,
    // Relative: paths of sockets may be 107 bytes long only.
    CAUCUS_STATS: 'unix@admin.sock',
    CAUCUS_COOKIE_KEY: randomBytes(COOKIE_KEY_BYTES).toString('hex'),
  };
  const haproxy = new ComponentProcess({
    name: 'haproxy',
    directory,
    program: () => ({
      command: findProgram('haproxy') ?? 'haproxy',
      args: ['-db', '-f', file],
      env,
    }),
    isReady: () => accepts(port),
    stopLimitMs: STOP_LIMIT_MS,
  });
  onProgress('haproxy: starting');
  await haproxy.start();
  const url = `http://${LOOPBACK}:${port}`;
  onProgress(`haproxy: ready at ${url}`);
  return Object.assign(haproxy, { url, port });
}

/** The template's servers are examples. */
function withServers(template: string, backends: readonly Backend[]): string {
  const lines = template.split('\n').filter((line) => !/^ {2}server /.test(line));
  const servers = backends.map(({ name, host, port }) => `  server ${name} ${host}:${port} check`);
  return `${[...lines, ...servers].join('\n')}\n`;
}
