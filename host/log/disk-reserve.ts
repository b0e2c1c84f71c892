/**
 * Space in a data directory that is kept for one purpose: a start on a full disk. It needs some
 * pages (the lock, the journal of the database) before the log can be read; the reserve is given
 * up for them, so that the server comes up and answers queries, read-only, instead of refusing.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { DISK_RESERVE_BYTES } from '../limits.ts';
import { errnoOf } from './disk.ts';

const FILE = 'reserve';
const PIECE_BYTES = 64 * 1024;
const FULL: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT']);

/** True for an error that a full disk may be the reason of. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // SQLite has messages, and cannot open a journal that it cannot make.
  if (/disk is full|disk I\/O|unable to open/i.test(error.message)) return true;
  return FULL.has(errnoOf(error)) || (error.cause !== undefined && isDiskFull(error.cause));
}

/** Gives the space up; false where there is none. */
export function freeReserve(directory: string): boolean {
  try {
    rmSync(path.join(directory, FILE));
    return true;
  } catch {
    return false;
  }
}

/** As much as there is room for, where there is no reserve yet. Never fails. */
export function fillReserve(directory: string): void {
  let file: number;
  try {
    file = openSync(path.join(directory, FILE), 'wx');
  } catch {
    return;
  }
  try {
    // Random, because a file system may store zeros in no space at all.
    const piece = randomBytes(PIECE_BYTES);
    for (let bytes = 0; bytes < DISK_RESERVE_BYTES; bytes += PIECE_BYTES) writeSync(file, piece);
  } catch {
    // The disk is full: what fitted is the reserve.
  } finally {
    closeSync(file);
  }
}
