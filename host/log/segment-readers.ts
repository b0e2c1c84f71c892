/** Reads records that are no longer in memory back from the segment files. */
import { CaucusError } from '../errors.ts';
import { LOG_READ_BYTES } from '../limits.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { LogRecord } from './log.ts';
import { ENTRY_HEADER_BYTES, parseEntry, TYPE_RECORD, viewOf } from './segment.ts';
import type { Segment } from './open-segments.ts';

/** Read when the next record of the topic is far away. */
const LONE_READ_BYTES = 4096;
/** Files open at a time. */
const READERS_MAX = 16;

export interface WantedRecords {
  /** Id of the topic. */
  readonly topic: number;
  readonly from: number;
  /** One past the last offset that is of use. */
  readonly limit: number;
  /** Where the record `from` lies in the segment. */
  readonly position: number;
}

export class SegmentReaders {
  readonly #disk: Disk;
  readonly #pathOf: (segment: number) => string;
  readonly #files = new Map<number, Promise<DiskFile>>();

  constructor(disk: Disk, pathOf: (segment: number) => string) {
    this.#disk = disk;
    this.#pathOf = pathOf;
  }

  /**
   * Some of the wanted records, from the first on; none if the file was closed meanwhile (ask
   * again). `ahead`: more of them lie near. Throws `log_damaged` where the first one cannot be
   * read.
   */
  async read(segment: Segment, wanted: WantedRecords, ahead: boolean): Promise<LogRecord[]> {
    const opening = this.#open(segment.number);
    const { position } = wanted;
    const room = segment.length - position;
    try {
      const file = await opening;
      let bytes = await file.read(
        position,
        Math.min(ahead ? LOG_READ_BYTES : LONE_READ_BYTES, room),
      );
      const whole = bytes.length < 4 ? 0 : ENTRY_HEADER_BYTES + viewOf(bytes).getUint32(0, true);
      if (whole > bytes.length && whole <= room) bytes = await file.read(position, whole);
      const records = collect(bytes, segment.nonce, wanted);
      if (records.length > 0) return records;
    } catch (error) {
      if (this.#files.get(segment.number) !== opening) return [];
      throw this.#damaged(segment, position, error);
    }
    throw this.#damaged(segment, position);
  }

  async close(segment: number): Promise<void> {
    const opening = this.#files.get(segment);
    this.#files.delete(segment);
    const file = await opening?.catch(() => undefined);
    await file?.close();
  }

  async closeAll(): Promise<void> {
    for (const segment of this.#files.keys()) await this.close(segment);
  }

  #open(segment: number): Promise<DiskFile> {
    const known = this.#files.get(segment);
    if (known !== undefined) return known;
    const [oldest] = this.#files.keys();
    if (oldest !== undefined && this.#files.size >= READERS_MAX) void this.close(oldest);
    const opening = this.#disk.open(this.#pathOf(segment), 'read');
    this.#files.set(segment, opening);
    return opening;
  }

  #damaged(segment: Segment, position: number, cause?: unknown): CaucusError {
    // A file that could not be opened is tried again the next time.
    void this.close(segment.number);
    const file = this.#pathOf(segment.number);
    return new CaucusError('log_damaged', `\`${file}\` cannot be read at byte ${position}`, {
      remedy: 'check the disk, then restore the data directory from a copy',
      details: { file, byteOffset: position },
      cause,
    });
  }
}

/** The wanted records among the whole entries in `bytes`, which start with the first one. */
function collect(bytes: Uint8Array, nonce: number, wanted: WantedRecords): LogRecord[] {
  const view = viewOf(bytes);
  const records: LogRecord[] = [];
  let at = 0;
  while (wanted.from + records.length < wanted.limit) {
    const entry = parseEntry(bytes, view, at, nonce);
    if (typeof entry === 'string') break;
    at += ENTRY_HEADER_BYTES + entry.payload.length;
    if (entry.type !== TYPE_RECORD || entry.topic !== wanted.topic) continue;
    if (entry.offset !== wanted.from + records.length) break;
    records.push({ offset: entry.offset, bytes: entry.payload, appendTimeMs: entry.timeMs });
  }
  return records;
}
