/**
 * Runs one peer, or our engine as one: a process of its own, on one core, with a time limit.
 *
 * CPU time and peak memory of the whole process come from GNU time, the core from `taskset`; where
 * a machine lacks one of them, the process runs without.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';

const GNU_TIME = '/usr/bin/time';
const TASKSET = '/usr/bin/taskset';
const KIB = 1024;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

export interface Finished {
  /** What it wrote to standard output. */
  readonly output: string;
  /** User and system time of the whole process. */
  readonly cpuMs: number | undefined;
  readonly peakBytes: number | undefined;
}

/** Why there is no result, in a few words. */
export interface NotRun {
  readonly notRun: string;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) killGroup(child);
});

/** `endings`: exit codes besides 0 that are no failures. */
export async function runProcess(
  command: Command,
  limitMs: number,
  endings: readonly number[] = [],
): Promise<Finished | NotRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'caucus-bench-'));
  const usageFile = path.join(folder, 'usage');
  try {
    const [file = '', ...args] = wrapped(command, usageFile);
    const child = spawn(file, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    const ended = await endOf(child, limitMs, endings);
    running.delete(child);
    if ('notRun' in ended) return ended;
    return { output: ended.output, ...usageOf(usageFile) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function wrapped({ file, args }: Command, usageFile: string): string[] {
  const words = [file, ...args];
  if (existsSync(GNU_TIME)) words.unshift(GNU_TIME, '-o', usageFile, '-f', '%U %S %M');
  const core = String(availableParallelism() - 1);
  if (existsSync(TASKSET)) words.unshift(TASKSET, '-c', core);
  return words;
}

function endOf(
  child: ChildProcess,
  limitMs: number,
  endings: readonly number[],
): Promise<{ output: string } | NotRun> {
  let output = '';
  let complaint = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-1000);
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      killGroup(child);
      resolve({ notRun: `over ${limitMs / 1000} s` });
    }, limitMs);
    child.on('error', (error) => resolve({ notRun: error.message }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0 || endings.includes(code ?? -1)) return resolve({ output });
      const last = complaint.trim().split('\n').at(-1) ?? '';
      resolve({ notRun: `ended with ${signal ?? code}: ${last}` });
    });
  });
}

/** Without the group, GNU time would be gone and what it runs would go on. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

function usageOf(file: string): Pick<Finished, 'cpuMs' | 'peakBytes'> {
  if (!existsSync(file)) return { cpuMs: undefined, peakBytes: undefined };
  const line = readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? '';
  const [user = 0, system = 0, peak = 0] = line.split(' ').map(Number);
  return { cpuMs: (user + system) * 1000, peakBytes: peak * KIB };
}
