/**
 * One process a data directory. Node has no file locks that the system gives back, so the lock is a
 * file that names its holder: process id, and the time that process started (with the boot),
 * because ids are used again. A lock whose holder is gone is taken over.
 *
 * Taking over is a compare-and-swap: whoever links the claim file `lock.claim` may replace the
 * lock, and only if the lock is still the one that it judged.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeDirectory } from './make-directory.ts';
import { CaucusError } from '../errors.ts';
import { errnoOf } from './disk.ts';

export interface DataLock {
  readonly file: string;
  /** Gives the lock back; once is enough. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  /** Null where the system does not tell; then only the process id counts. */
  readonly startedAt: string | null;
  readonly nonce: string;
}

const TRIES_MAX = 10;

/** Throws `data_locked` while another process (or this one) holds the directory. */
export function lockDataDirectory(directory: string): DataLock {
  makeDirectory(directory);
  const file = path.join(directory, 'lock');
  const nonce = randomBytes(8).toString('hex');
  const own: Holder = { pid: process.pid, startedAt: startOf(process.pid), nonce };
  const text = `${JSON.stringify(own)}\n`;
  const draft = path.join(directory, `lock.${nonce}`);
  writeFileSync(draft, text);
  try {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (tryLink(draft, file)) return lockOf(file, text);
      const held = readIfThere(file);
      if (held === undefined) continue;
      const holder = parseHolder(held);
      if (holder !== undefined && isAlive(holder)) throw locked(directory, file, holder);
      if (takeOver(directory, file, held, draft, text)) return lockOf(file, text);
    }
    throw locked(directory, file, undefined);
  } finally {
    unlinkIfThere(draft);
  }
}

/** True if the lock still was `held` and now is ours. */
function takeOver(
  directory: string,
  file: string,
  held: string,
  draft: string,
  text: string,
): boolean {
  const claim = path.join(directory, 'lock.claim');
  if (!tryLink(draft, claim)) {
    const other = parseHolder(readIfThere(claim) ?? '');
    if (other !== undefined && isAlive(other)) throw locked(directory, file, other);
    throw new CaucusError(
      'data_locked',
      `\`${claim}\` was left by a process that ended while taking the lock`,
      {
        remedy: 'make sure that no caucus uses the directory, then remove the file',
        details: { directory, file: claim },
      },
    );
  }
  try {
    if (readIfThere(file) !== held) return false;
    const replacement = `${draft}.next`;
    writeFileSync(replacement, text);
    renameSync(replacement, file);
    return true;
  } finally {
    unlinkIfThere(claim);
  }
}

function lockOf(file: string, text: string): DataLock {
  return {
    file,
    release: () => {
      if (readIfThere(file) === text) unlinkIfThere(file);
    },
  };
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if (errnoOf(error) !== 'EPERM') return false;
  }
  const startedAt = startOf(holder.pid);
  return startedAt === null || holder.startedAt === null || startedAt === holder.startedAt;
}

/** Boot and clock tick at which a process started, from Linux' /proc; null elsewhere. */
function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may hold anything; the start time is the 20th field behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot}/${fields[19]}`;
  } catch {
    return null;
  }
}

/** Undefined for a file that is no lock: it was torn by a crash of the machine. */
function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<Holder> | null;
    if (typeof holder?.pid !== 'number' || !Number.isInteger(holder.pid) || holder.pid <= 0)
      return undefined;
    return { pid: holder.pid, startedAt: holder.startedAt ?? null, nonce: holder.nonce ?? '' };
  } catch {
    return undefined;
  }
}

/** The name appears with its content or not at all; false if it is there. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function unlinkIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function locked(directory: string, file: string, holder: Holder | undefined): CaucusError {
  const by = holder === undefined ? 'another process' : `process ${holder.pid}`;
  return new CaucusError('data_locked', `\`${directory}\` is used by ${by}`, {
    remedy: 'stop it, or give this one another directory with --data',
    details: { directory, file, ...(holder === undefined ? {} : { pid: holder.pid }) },
  });
}
