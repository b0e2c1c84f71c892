/**
 * Processes of components: started until they are ready, killed, stopped, paused, started again.
 *
 * Each writes to a log file of its own and leads a process group of its own, so that Ctrl-C reaches
 * us only and we stop things in order. None outlives us: what still runs when we exit is killed,
 * and where the system has `setpriv` the kernel does that too when we are killed ourselves.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Between two probes. */
const PROBE_INTERVAL_MS = 20;
const START_LIMIT_MS = 90_000;
/** From SIGTERM to SIGKILL. */
const STOP_LIMIT_MS = 15_000;
/** Of a log file, in the message of a failed start. */
const LOG_TAIL_LINES = 15;
/** Of a program that failed. */
const OUTPUT_LINES = 50;
const LOG_READ_BYTES = 64 * 1024;

/** Told what is being done, a line at a time. */
export type Progress = (line: string) => void;

export interface User {
  readonly uid: number;
  readonly gid: number;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** All of it; default: ours. */
  readonly env?: NodeJS.ProcessEnv;
  /** Only a process of root can run another as somebody else. */
  readonly user?: User | undefined;
}

export interface ProcessSpec {
  /** Names the log file too. */
  readonly name: string;
  /** Working directory and place of the log file; it is made if need be. */
  readonly directory: string;
  /** Asked at each start: a second one may differ from the first. */
  program(): Program | Promise<Program>;
  /** `log` is what this run has written. Must not throw. */
  isReady(log: LogText): boolean | Promise<boolean>;
  readonly startLimitMs?: number;
  readonly stopLimitMs?: number;
}

export type ProcessState = 'running' | 'paused' | 'stopped';

export interface Controls {
  /** Resolves when it is ready; at once if it runs already. Rejects with the end of its log. */
  start(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL if that does not help; resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGSTOP: it keeps its connections and answers nothing. Resolves when it stands still. */
  pause(): Promise<void>;
  /** SIGCONT. */
  resume(): Promise<void>;
}

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  /** How it ended; undefined while it runs. */
  exit: string | undefined;
  isPaused: boolean;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ComponentProcess implements Controls {
  readonly name: string;
  readonly logFile: string;
  readonly #spec: ProcessSpec;
  #run: Run | undefined;
  #log: LogText | undefined;

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.logFile = path.join(spec.directory, `${spec.name}.log`);
    this.#spec = spec;
  }

  get state(): ProcessState {
    if (this.#run === undefined || this.#run.exit !== undefined) return 'stopped';
    return this.#run.isPaused ? 'paused' : 'running';
  }

  get pid(): number | undefined {
    return this.state === 'stopped' ? undefined : this.#run?.child.pid;
  }

  async start(): Promise<void> {
    if (this.state !== 'stopped') return;
    const { directory } = this.#spec;
    mkdirSync(directory, { recursive: true });
    const program = await this.#spec.program();
    const file = openSync(this.logFile, 'a');
    const log = new LogText(this.logFile, statSync(this.logFile).size);
    this.#run = launch(program, directory, file);
    this.#log = log;
    closeSync(file);
    await this.until(() => this.#spec.isReady(log), 'was not ready');
  }

  /** Probes until it is so; if that takes too long the process is killed. */
  async until(isSo: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
    const { startLimitMs = START_LIMIT_MS } = this.#spec;
    const deadline = performance.now() + startLimitMs;
    while (!(await isSo())) {
      const exit = this.#run?.exit;
      if (exit !== undefined) throw this.#failure(`ended (${exit}): it ${otherwise}`);
      if (performance.now() > deadline) {
        await this.kill();
        throw this.#failure(`${otherwise} after ${startLimitMs / 1000} s`);
      }
      await delay(PROBE_INTERVAL_MS);
    }
  }

  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined || run.exit !== undefined) return;
    await this.resume();
    const limit = new AbortController();
    const overdue = delay(this.#spec.stopLimitMs ?? STOP_LIMIT_MS, undefined, limit).then(
      () => run.child.kill('SIGKILL'),
      () => undefined,
    );
    await this.#signal('SIGTERM');
    limit.abort();
    await overdue;
  }

  async pause(): Promise<void> {
    await this.#setPaused(true);
  }

  async resume(): Promise<void> {
    await this.#setPaused(false);
  }

  async #setPaused(isPaused: boolean): Promise<void> {
    const run = this.#run;
    if (run === undefined || run.exit !== undefined) return;
    run.child.kill(isPaused ? 'SIGSTOP' : 'SIGCONT');
    run.isPaused = isPaused;
    // A thread of it must run once more to take the signal, and the others go on until then.
    while (isPaused && run.isPaused && run.exit === undefined && runs(run.child.pid ?? 0)) {
      await delay(1);
    }
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    const run = this.#run;
    if (run === undefined || run.exit !== undefined) return;
    // While somebody waits for its end, it keeps us alive.
    run.child.ref();
    run.child.kill(signal);
    await run.ended;
  }

  #failure(what: string): Error {
    const tail = (this.#log?.text() ?? '').trimEnd().split('\n').slice(-LOG_TAIL_LINES);
    return new Error(`${this.name} ${what}; ${this.logFile} ends with\n  ${tail.join('\n  ')}`);
  }
}

/** Starts what only becomes ready together; if one fails, none stays. */
export async function startAll(processes: readonly ComponentProcess[]): Promise<void> {
  const results = await Promise.allSettled(processes.map((process) => process.start()));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return;
  await Promise.all(processes.map((process) => process.kill()));
  throw failed.reason;
}

/** What one run has written to its log file. */
export class LogText {
  readonly #file: string;
  #offset: number;
  #text = '';

  constructor(file: string, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  text(): string {
    const file = openSync(this.#file, 'r');
    const piece = Buffer.alloc(LOG_READ_BYTES);
    for (;;) {
      const bytes = readSync(file, piece, 0, piece.length, this.#offset);
      if (bytes === 0) break;
      this.#offset += bytes;
      this.#text += piece.toString('latin1', 0, bytes);
    }
    closeSync(file);
    return this.#text;
  }

  has(words: string): boolean {
    return this.text().includes(words);
  }
}

function launch(program: Program, directory: string, log: number): Run {
  const { command, args, env = process.env, user } = program;
  const child = spawn(...guarded(command, args), {
    cwd: directory,
    env,
    stdio: ['ignore', log, log],
    detached: true,
    ...user,
  });
  child.unref();
  running.add(child);
  const run: Run = {
    child,
    exit: undefined,
    isPaused: false,
    ended: new Promise((resolve) => {
      const end = (how: string): void => {
        run.exit = how;
        running.delete(child);
        resolve();
      };
      child.once('exit', (code, signal) => end(signal ?? `code ${code ?? 0}`));
      child.once('error', (error) => end(error.message));
    }),
  };
  return run;
}

/** The same command, which the kernel kills when we die. */
function guarded(command: string, args: readonly string[]): [command: string, args: string[]] {
  const setpriv = findProgram('setpriv');
  if (setpriv === undefined) return [command, [...args]];
  return [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]];
}

/** Whether a thread of it is not stopped; false where the system does not tell. */
function runs(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => threadRuns(pid, thread));
  } catch {
    return false;
  }
}

function threadRuns(pid: number, thread: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    // `id (name) state …`; a name may hold anything.
    return !/[TtZX]/.test(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** Runs a program to its end; rejects with what it printed if it fails. */
export async function runProgram(program: Program, directory: string): Promise<string> {
  const { command, args, env = process.env, user } = program;
  const child = spawn(...guarded(command, args), {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  });
  let output = '';
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (output += piece.toString()));
  running.add(child);
  const code = await new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
    child.once('error', (error) => resolve(error.message));
  });
  running.delete(child);
  if (code === 0) return output;
  const tail = output.trimEnd().split('\n').slice(-OUTPUT_LINES).join('\n  ');
  throw new Error(`\`${command}\` ended with ${code}\n  ${tail}`);
}

/** Its path, looked for where daemons are too. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, name))
    .find((file) => isExecutable(file));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
