/**
 * A disk in memory that keeps only what was synced. `crash` loses the rest: of each file a random
 * set of unsynced sectors survives, of each directory a random set of unsynced names. It can also
 * be full, fail, and, as real ones do, forget dirty data after a failed sync and report success
 * later.
 */
import path from 'node:path';
import type { Disk, DiskFile } from '../../host/log/disk.ts';
import type { Random } from './random.ts';

const SECTOR_BYTES = 512;

interface Inode {
  content: Uint8Array;
  length: number;
  durable: Uint8Array;
  durableLength: number;
  readonly dirty: Set<number>;
}

/** A name that points to another inode now than after a crash; null: no inode. */
interface NameChange {
  readonly names: readonly (readonly [name: string, inode: Inode | null])[];
  readonly directory: string;
}

export type DiskOperation =
  | 'list'
  | 'open'
  | 'write'
  | 'read'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'syncDirectory';

export interface FaultyDiskOptions {
  /** The negative control: `sync` and `syncDirectory` succeed without doing anything. */
  readonly syncDoesNothing?: boolean;
  /** What each operation waits for first; default: a turn of the event loop. */
  readonly turn?: () => Promise<void>;
}

export class FaultyDisk {
  /** Bytes that all files together may have. */
  capacityBytes = Infinity;
  /** Called before each operation; a returned errno makes it fail. */
  fault: (operation: DiskOperation, path: string) => string | undefined = () => undefined;
  /** How often each operation was called. */
  readonly calls = new Map<DiskOperation, number>();
  readonly #syncDoesNothing: boolean;
  readonly #turn: () => Promise<void>;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #pendingNames: NameChange[] = [];
  /** Counts crashes and kills: who was attached before is cut off. */
  #epoch = 0;
  #failedSyncs = 0;

  constructor(options: FaultyDiskOptions = {}) {
    this.#syncDoesNothing = options.syncDoesNothing ?? false;
    this.#turn = options.turn ?? turnOfLoop;
  }

  /**
   * The machine stops: only what was synced, and by chance some of the rest, is there afterwards.
   */
  crash(random: Random): void {
    this.#epoch++;
    for (const change of this.#pendingNames) if (random.chance(0.5)) this.#makeDurable(change);
    this.#pendingNames = [];
    this.#names = new Map(this.#durableNames);
    for (const inode of new Set(this.#names.values())) loseUnsynced(inode, random);
  }

  /** The process stops, the machine goes on: the page cache stays. */
  kill(): void {
    this.#epoch++;
  }

  /** The bytes of a file now, for tests that damage or inspect it. */
  peek(file: string): Uint8Array {
    const inode = this.#inode(file);
    return inode.content.slice(0, inode.length);
  }

  /** Overwrites bytes, durably, behind everyone's back. */
  damage(file: string, at: number, bytes: Uint8Array): void {
    const inode = this.#inode(file);
    inode.content.set(bytes, at);
    inode.durable.set(bytes, at);
  }

  cutShort(file: string, length: number): void {
    const inode = this.#inode(file);
    inode.length = length;
    inode.durableLength = Math.min(inode.durableLength, length);
  }

  /** The disk as one process sees it, until the next crash or kill. */
  attach(): Disk {
    const epoch = this.#epoch;
    const run = <T>(operation: DiskOperation, file: string, action: () => T): Promise<T> =>
      this.#run(epoch, operation, file, action);
    return {
      open: (file, mode) => run('open', file, () => this.#open(file, mode, epoch)),
      rename: (from, to) => run('rename', from, () => this.#rename(from, to)),
      unlink: (file) => run('unlink', file, () => this.#unlink(file)),
      list: (directory) => run('list', directory, () => this.#list(directory)),
      makeDirectory: () => Promise.resolve(),
      syncDirectory: (directory) =>
        run('syncDirectory', directory, () => this.#syncDirectory(directory)),
    };
  }

  files(): string[] {
    return [...this.#names.keys()].sort();
  }

  #open(file: string, mode: 'create' | 'write' | 'read', epoch: number): DiskFile {
    let inode = this.#names.get(file);
    if (mode === 'create') {
      if (inode !== undefined) throw osError('EEXIST', file);
      const empty = new Uint8Array(0);
      inode = { content: empty, length: 0, durable: empty, durableLength: 0, dirty: new Set() };
      this.#names.set(file, inode);
      this.#pendingNames.push({ names: [[file, inode]], directory: path.dirname(file) });
    }
    if (inode === undefined) throw osError('ENOENT', file);
    return this.#handle(file, inode, epoch);
  }

  #rename(from: string, to: string): void {
    const inode = this.#inode(from);
    this.#names.delete(from);
    this.#names.set(to, inode);
    this.#pendingNames.push({
      names: [
        [from, null],
        [to, inode],
      ],
      directory: path.dirname(to),
    });
  }

  #unlink(file: string): void {
    this.#inode(file);
    this.#names.delete(file);
    this.#pendingNames.push({ names: [[file, null]], directory: path.dirname(file) });
  }

  #list(directory: string): string[] {
    const names = [...this.#names.keys()].filter((name) => path.dirname(name) === directory);
    return names.map((name) => path.basename(name)).sort();
  }

  #syncDirectory(directory: string): void {
    if (this.#syncDoesNothing) return;
    for (const change of this.#pendingNames) {
      if (change.directory === directory) this.#makeDurable(change);
    }
    this.#pendingNames = this.#pendingNames.filter((change) => change.directory !== directory);
  }

  #handle(file: string, inode: Inode, epoch: number): DiskFile {
    const run = <T>(operation: DiskOperation, action: () => T): Promise<T> =>
      this.#run(epoch, operation, file, action);
    return {
      write: (position, parts) => run('write', () => this.#write(file, inode, position, parts)),
      read: (position, length) =>
        run('read', () => inode.content.slice(position, Math.min(position + length, inode.length))),
      size: () => Promise.resolve(inode.length),
      truncate: (length) =>
        run('truncate', () => {
          resize(inode, length);
        }),
      sync: () => run('sync', () => this.#sync(inode)),
      close: () => Promise.resolve(),
    } satisfies DiskFile;
  }

  #write(file: string, inode: Inode, position: number, parts: readonly Uint8Array[]): void {
    let at = position;
    for (const part of parts) {
      const others = this.#usedBytes() - inode.length;
      const room = Math.max(0, Math.min(part.length, this.capacityBytes - others - at));
      if (at + room > inode.length) resize(inode, at + room);
      inode.content.set(part.subarray(0, room), at);
      markDirty(inode, at, at + room);
      if (room < part.length) throw osError('ENOSPC', file);
      at += part.length;
    }
  }

  #sync(inode: Inode): void {
    if (this.#syncDoesNothing) return;
    inode.durable = growTo(inode.durable, inode.length);
    for (const sector of inode.dirty) copySector(inode, sector);
    inode.dirty.clear();
    // What was forgotten by a failed sync stays away: zeros.
    inode.durable.fill(0, inode.length);
    inode.durableLength = inode.length;
  }

  /**
   * After a failed sync the data is on the disk or not, and either way the system takes it for
   * clean.
   */
  #failSync(file: string): void {
    const inode = this.#names.get(file);
    if (inode === undefined) return;
    this.#failedSyncs++;
    if (this.#failedSyncs % 2 === 0) this.#sync(inode);
    inode.dirty.clear();
  }

  #usedBytes(): number {
    let used = 0;
    for (const inode of new Set(this.#names.values())) used += inode.length;
    return used;
  }

  #makeDurable(change: NameChange): void {
    for (const [name, inode] of change.names) {
      if (inode === null) this.#durableNames.delete(name);
      else this.#durableNames.set(name, inode);
    }
  }

  #inode(file: string): Inode {
    const inode = this.#names.get(file);
    if (inode === undefined) throw osError('ENOENT', file);
    return inode;
  }

  /** Every operation takes a turn of the event loop, as real ones do. */
  async #run<T>(
    epoch: number,
    operation: DiskOperation,
    file: string,
    action: () => T,
  ): Promise<T> {
    await this.#turn();
    if (epoch !== this.#epoch) throw osError('EBADF', file);
    this.calls.set(operation, (this.calls.get(operation) ?? 0) + 1);
    const errno = this.fault(operation, file);
    if (errno !== undefined) {
      if (operation === 'sync') this.#failSync(file);
      throw osError(errno, file);
    }
    return action();
  }
}

function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function loseUnsynced(inode: Inode, random: Random): void {
  const kept = [...inode.dirty].filter(() => random.chance(0.5));
  const sizes = [
    inode.durableLength,
    inode.length,
    inode.durableLength + random.int(1 + Math.max(0, inode.length - inode.durableLength)),
  ];
  const length =
    inode.dirty.size === 0 && inode.length === inode.durableLength
      ? inode.length
      : random.pick(sizes);
  inode.durable = growTo(inode.durable, Math.max(length, inode.durable.length));
  for (const sector of kept) copySector(inode, sector);
  inode.durable.fill(0, Math.max(length, 0));
  inode.content = inode.durable.slice();
  inode.length = length;
  inode.durableLength = length;
  inode.dirty.clear();
}

function copySector(inode: Inode, sector: number): void {
  const from = sector * SECTOR_BYTES;
  const to = Math.min(from + SECTOR_BYTES, inode.length, inode.durable.length);
  if (from < to) inode.durable.set(inode.content.subarray(from, to), from);
}

function markDirty(inode: Inode, from: number, to: number): void {
  for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++)
    inode.dirty.add(sector);
}

function resize(inode: Inode, length: number): void {
  inode.content = growTo(inode.content, length);
  inode.content.fill(0, Math.min(length, inode.length));
  inode.length = length;
}

/** At least `length` bytes; grows by doubling, so that appending is not quadratic. */
function growTo(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const grown = new Uint8Array(Math.max(length, bytes.length * 2, 4096));
  grown.set(bytes);
  return grown;
}

function osError(code: string, file: string): Error {
  return Object.assign(new Error(`${code}: ${file}`), { code });
}
