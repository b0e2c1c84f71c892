/** The disk of the operating system. */
import { open, readdir, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Disk, DiskFile } from './disk.ts';
import { makeDirectory } from './make-directory.ts';

/** Linux takes at most so many buffers in one call. */
const PARTS_PER_WRITE_MAX = 1024;
const FLAGS = { create: 'wx+', write: 'r+', read: 'r' } as const;

export const nodeDisk: Disk = {
  async open(file, mode) {
    return new NodeFile(await open(file, FLAGS[mode]));
  },
  async rename(from, to) {
    await rename(from, to);
  },
  async unlink(file) {
    await unlink(file);
  },
  async list(directory) {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  },
  async makeDirectory(directory) {
    const first = makeDirectory(directory);
    // The new names lie in the parents: without this a crash may take the directory and all in it.
    if (first === undefined) return;
    for (let made = path.resolve(directory); made.length >= path.resolve(first).length;) {
      made = path.dirname(made);
      await syncPath(made);
    }
  },
  syncDirectory: syncPath,
};

async function syncPath(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(position: number, parts: readonly Uint8Array[]): Promise<void> {
    let at = position;
    for (let from = 0; from < parts.length; from += PARTS_PER_WRITE_MAX) {
      let rest = parts.slice(from, from + PARTS_PER_WRITE_MAX);
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest, at);
        if (bytesWritten === 0)
          throw Object.assign(new Error('nothing was written'), { code: 'EIO' });
        at += bytesWritten;
        rest = partsAfter(rest, bytesWritten);
      }
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(
        bytes,
        filled,
        length - filled,
        position + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length);
  }

  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * What remains of the parts when their first `written` bytes are gone. A write may stop short
 * anywhere.
 */
function partsAfter(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  let rest = written;
  let index = 0;
  while (index < parts.length && rest >= (parts[index] as Uint8Array).length) {
    rest -= (parts[index] as Uint8Array).length;
    index++;
  }
  const remaining = parts.slice(index);
  if (rest > 0) remaining[0] = (remaining[0] as Uint8Array).subarray(rest);
  return remaining;
}
