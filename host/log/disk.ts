/**
 * What the log and the checkpoints need of a disk; `node-disk.ts` is the real one, the tests have
 * one that loses what was not synced.
 *
 * Nothing written is durable before `sync` of the file, and no name (a creation, a rename, an
 * unlink) before `syncDirectory`. Errors of the operating system come as they are, with their
 * `code` (`ENOENT`, `ENOSPC`, `EIO`).
 */
export interface DiskFile {
  /**
   * Writes all parts one after another from `position` on. After an error any part of it may be
   * there.
   */
  write(position: number, parts: readonly Uint8Array[]): Promise<void>;
  /** Up to `length` bytes; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  /**
   * After an error nothing is known about what was written since the last success; never to be
   * repeated.
   */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** `create` fails with `EEXIST` if the file is there, the others with `ENOENT` if it is not. */
  open(path: string, mode: 'create' | 'write' | 'read'): Promise<DiskFile>;
  /** Replaces what has the new name. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Names of the files in a directory, sorted. */
  list(directory: string): Promise<string[]>;
  /** With its parents; no error if it is there. */
  makeDirectory(directory: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
}

/** The `code` of an error of the operating system, else undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
