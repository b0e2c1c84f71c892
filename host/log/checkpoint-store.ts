/**
 * Checkpoint files: a stream of bytes saved whole or not at all, newest revision first when
 * loading.
 *
 *   header                                       chunk, repeated
 *   0   magic    "CAUCCKP1"                      0   length   u32, at least 1
 *   8   version  u32, 1                          4   checksum u32, CRC-32C over the bytes
 *   12  reserved u32, 0                          8   bytes
 *   16  revision u64
 *   24  checksum u32, over bytes 0 to 23         end: a length of 0, then
 *                                                4   chunks   u32, how many there are
 *                                                8   checksum u32, over all bytes of all chunks
 *
 * A file is written under a temporary name, synced, renamed, and the directory synced. A file that
 * is damaged is reported and an older one used; a version that is not known stops.
 */
import path from 'node:path';
import { CaucusError } from '../errors.ts';
import { CHECKPOINT_CHUNK_BYTES_MAX, CHECKPOINT_HELD_BYTES_MAX } from '../limits.ts';
import { crc32c, crc32cJoined } from './crc32c.ts';
import { errnoOf } from './disk.ts';
import type { Disk, DiskFile } from './disk.ts';
import { viewOf } from './segment.ts';

export interface CheckpointFile {
  readonly revision: number;
  readonly file: string;
  readonly bytes: number;
}

export interface LoadedCheckpoint extends CheckpointFile {
  /** Verified before `loadNewest` returned. To be read once, to its end or not. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface LoadResult {
  readonly checkpoint: LoadedCheckpoint | undefined;
  /** Newer files that could not be used, and why. */
  readonly damaged: readonly { readonly file: string; readonly reason: string }[];
}

const MAGIC = new TextEncoder().encode('CAUCCKP1');
const VERSION = 1;
const HEADER_BYTES = 28;
const CHUNK_HEADER_BYTES = 8;
const END_BYTES = 12;
const NAME = /^(\d{16})\.checkpoint$/;
const TEMPORARY = /^\d{16}\.checkpoint\.tmp$/;

/** Throws `disk_full` when the disk cannot be written; what was there before stays. */
export class CheckpointStore {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #heldBytesMax: number;

  /** `heldBytesMax`: a larger checkpoint is read twice when it is loaded. */
  constructor(disk: Disk, directory: string, heldBytesMax = CHECKPOINT_HELD_BYTES_MAX) {
    this.#disk = disk;
    this.#directory = directory;
    this.#heldBytesMax = heldBytesMax;
  }

  /** Resolves once the checkpoint is durable under its name; replaces one of the same revision. */
  async save(
    revision: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<CheckpointFile> {
    const file = this.#path(revision);
    const temporary = `${file}.tmp`;
    let bytes: number;
    try {
      await this.#disk.makeDirectory(this.#directory);
      await this.#removeIfThere(temporary);
      bytes = await this.#writeFile(temporary, revision, chunks);
      await this.#disk.rename(temporary, file);
      await this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      await this.#removeIfThere(temporary).catch(() => undefined);
      throw this.#unwritable(error);
    }
    return { revision, file, bytes };
  }

  /** All files, newest first, not verified. */
  async list(): Promise<CheckpointFile[]> {
    const found: CheckpointFile[] = [];
    for (const name of await this.#names()) {
      const revision = NAME.exec(name)?.[1];
      if (revision === undefined) continue;
      const file = path.join(this.#directory, name);
      const opened = await this.#disk.open(file, 'read');
      const bytes = await opened.size();
      await opened.close();
      found.push({ revision: Number(revision), file, bytes });
    }
    return found.sort((a, b) => b.revision - a.revision);
  }

  /**
   * The newest one that is whole, at or below `revisionMax`. Throws `unsupported_record` for a
   * newer format.
   */
  async loadNewest(revisionMax = Number.MAX_SAFE_INTEGER): Promise<LoadResult> {
    const damaged: { file: string; reason: string }[] = [];
    for (const found of await this.list()) {
      if (found.revision > revisionMax) continue;
      try {
        return { checkpoint: { ...found, chunks: await this.#verified(found) }, damaged };
      } catch (error) {
        const unreadable = error instanceof CaucusError && error.code === 'log_damaged';
        if (!unreadable && errnoOf(error) === undefined) throw error;
        damaged.push({ file: found.file, reason: (error as Error).message });
      }
    }
    return { checkpoint: undefined, damaged };
  }

  /**
   * Removes all but the newest `keep` and what interrupted saves left; returns the revisions still
   * there.
   */
  async prune(keep: number): Promise<number[]> {
    for (const name of await this.#names()) {
      if (TEMPORARY.test(name)) await this.#removeIfThere(path.join(this.#directory, name));
    }
    const all = await this.list();
    for (const { file } of all.slice(keep)) await this.#removeIfThere(file);
    if (all.length > keep) await this.#disk.syncDirectory(this.#directory);
    return all.slice(0, keep).map(({ revision }) => revision);
  }

  async #names(): Promise<string[]> {
    try {
      return await this.#disk.list(this.#directory);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  #path(revision: number): string {
    return path.join(this.#directory, `${String(revision).padStart(16, '0')}.checkpoint`);
  }

  async #writeFile(
    name: string,
    revision: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<number> {
    const file = await this.#disk.open(name, 'create');
    try {
      await file.write(0, [encodeHeader(revision)]);
      let position = HEADER_BYTES;
      let count = 0;
      let total = 0;
      for await (const whole of chunks) {
        for (let from = 0; from < whole.length; from += CHECKPOINT_CHUNK_BYTES_MAX) {
          const chunk = whole.subarray(from, from + CHECKPOINT_CHUNK_BYTES_MAX);
          const checksum = crc32c(chunk);
          await file.write(position, [words(chunk.length, checksum), chunk]);
          position += CHUNK_HEADER_BYTES + chunk.length;
          total = crc32cJoined(total, checksum, chunk.length);
          count++;
        }
      }
      await file.write(position, [words(0, count, total)]);
      await file.sync();
      return position + END_BYTES;
    } finally {
      await file.close();
    }
  }

  /**
   * Nobody should act on the first half of a file whose second half is broken. So a file is read
   * as a whole, or twice where that would take too much memory.
   */
  async #verified(found: CheckpointFile): Promise<AsyncIterable<Uint8Array>> {
    if (found.bytes <= this.#heldBytesMax) return once(await this.#readWhole(found));
    for await (const chunk of this.#readFile(found)) void chunk;
    return this.#readFile(found);
  }

  /** All chunks as one piece, in the memory that the file was read into. */
  async #readWhole({ file: name, revision, bytes }: CheckpointFile): Promise<Uint8Array> {
    const opened = await this.#disk.open(name, 'read');
    let whole: Uint8Array;
    try {
      // A byte more: it would be one behind the end.
      whole = await opened.read(0, bytes + 1);
    } finally {
      await opened.close();
    }
    const { length } = whole;
    const inMemory: Readable = {
      read: (position, count) => Promise.resolve(whole.subarray(position, position + count)),
      size: () => Promise.resolve(length),
    };
    let end = 0;
    for await (const chunk of chunksOf(name, revision, inMemory)) {
      // Always towards the front: what is still to be read stays.
      const from = chunk.byteOffset - whole.byteOffset;
      whole.copyWithin(end, from, from + chunk.length);
      end += chunk.length;
    }
    return whole.subarray(0, end);
  }

  async *#readFile({
    file: name,
    revision,
  }: CheckpointFile): AsyncGenerator<Uint8Array, void, undefined> {
    const file = await this.#disk.open(name, 'read');
    try {
      yield* chunksOf(name, revision, file);
    } finally {
      await file.close();
    }
  }

  async #removeIfThere(file: string): Promise<void> {
    try {
      await this.#disk.unlink(file);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Errors of the disk become `disk_full`; those of the caller's stream stay as they are. */
  #unwritable(error: unknown): unknown {
    const errno = errnoOf(error);
    if (errno === undefined) return error;
    const message = `a checkpoint in \`${this.#directory}\` cannot be written: ${errno}`;
    const remedy = 'make space on its disk; the next checkpoint is tried later';
    return new CaucusError('disk_full', message, { remedy, details: { errno }, cause: error });
  }
}

type Readable = Pick<DiskFile, 'read' | 'size'>;

/** Each chunk, verified; throws `log_damaged` for one that is not whole, or at the end. */
async function* chunksOf(
  name: string,
  revision: number,
  file: Readable,
): AsyncGenerator<Uint8Array, void, undefined> {
  checkHeader(name, await file.read(0, HEADER_BYTES), revision);
  let position = HEADER_BYTES;
  let count = 0;
  let total = 0;
  for (;;) {
    const head = viewOf(await readExactly(name, file, position, CHUNK_HEADER_BYTES));
    const length = head.getUint32(0, true);
    if (length === 0) break;
    if (length > CHECKPOINT_CHUNK_BYTES_MAX) throw damagedAt(name, position);
    const chunk = await readExactly(name, file, position + CHUNK_HEADER_BYTES, length);
    const checksum = crc32c(chunk);
    if (checksum !== head.getUint32(4, true)) throw damagedAt(name, position);
    total = crc32cJoined(total, checksum, length);
    count++;
    position += CHUNK_HEADER_BYTES + length;
    yield chunk;
  }
  const end = viewOf(await readExactly(name, file, position, END_BYTES));
  const whole = end.getUint32(4, true) === count && end.getUint32(8, true) === total;
  if (!whole || (await file.size()) !== position + END_BYTES) throw damagedAt(name, position);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.length > 0) yield await Promise.resolve(bytes);
}

function encodeHeader(revision: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setBigUint64(16, BigInt(revision), true);
  view.setUint32(24, crc32c(bytes, 0, 0, 24), true);
  return bytes;
}

function checkHeader(name: string, bytes: Uint8Array, revision: number): void {
  if (bytes.length < HEADER_BYTES || MAGIC.some((byte, index) => bytes[index] !== byte))
    throw damagedAt(name, 0);
  const view = viewOf(bytes);
  if (view.getUint32(24, true) !== crc32c(bytes, 0, 0, 24)) throw damagedAt(name, 0);
  const version = view.getUint32(8, true);
  if (version !== VERSION || view.getUint32(12, true) !== 0) {
    throw new CaucusError('unsupported_record', `\`${name}\` has checkpoint format ${version}`, {
      remedy: 'run the version of caucus that wrote it, or a later one',
      details: { file: name, version },
    });
  }
  if (view.getBigUint64(16, true) !== BigInt(revision)) throw damagedAt(name, 16);
}

async function readExactly(
  name: string,
  file: Readable,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = await file.read(position, length);
  if (bytes.length < length) throw damagedAt(name, position + bytes.length);
  return bytes;
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = viewOf(bytes);
  values.forEach((value, index) => view.setUint32(index * 4, value, true));
  return bytes;
}

function damagedAt(file: string, byteOffset: number): CaucusError {
  return new CaucusError('log_damaged', `\`${file}\` is damaged at byte ${byteOffset}`, {
    remedy: 'remove it: an older checkpoint or the log takes its place',
    details: { file, byteOffset },
  });
}
