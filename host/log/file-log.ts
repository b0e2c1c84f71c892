/**
 * The log of a single process: segment files that all topics share, so that one fsync covers every
 * append that waits (group commit, as in most databases since DeWitt et al. 1984).
 *
 * What it is not: a lock on its directory. Its caller holds one (`data-lock.ts`).
 *
 * Failure: after an error of write or fsync nothing is known about what lies behind the durable
 * position (Rebello et al. 2020, "Can Applications Recover from fsync Failures?"). The log gives up
 * the file handle, and before the next append it cuts the file there and starts another segment,
 * whose header says how long this one counts.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { CaucusError } from '../errors.ts';
import {
  LOG_GROUP_BYTES,
  LOG_READ_BYTES,
  LOG_SEGMENT_BYTES,
  LOG_TAIL_BYTES,
  RECORD_BYTES_MAX,
} from '../limits.ts';
import { errnoOf } from './disk.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { Bounds, Chunk, Log, LogRecord } from './log.ts';
import { LogTopic, placeOf, positionOf, segmentOf } from './log-topic.ts';
import { openSegments } from './open-segments.ts';
import type { LogRepair, Segment } from './open-segments.ts';
import {
  encodeEntries,
  encodeHeader,
  ENTRY_HEADER_BYTES,
  segmentName,
  TYPE_CLOSE,
  TYPE_RECORD,
  TYPE_TOPIC,
} from './segment.ts';
import { SegmentReaders } from './segment-readers.ts';
import type { Entry, SegmentHeader } from './segment.ts';

export interface FileLogOptions {
  readonly disk: Disk;
  /** Made if it is not there. The caller holds its lock. */
  readonly directory: string;
  /** Milliseconds since the epoch; may go back, append times do not. */
  readonly now: () => number;
  /** A segment that has reached this size is followed by another; default `LOG_SEGMENT_BYTES`. */
  readonly segmentBytes?: number;
  /** Newest records held in memory for readers; default `LOG_TAIL_BYTES`. */
  readonly tailBytes?: number;
}

/** Opens what is there or an empty log. Throws `log_damaged` with file, position and remedy. */
export async function openFileLog(options: FileLogOptions): Promise<FileLog> {
  try {
    await options.disk.makeDirectory(options.directory);
    const opened = await openSegments(options.disk, options.directory);
    const log = new FileLog(
      options,
      opened.segments,
      opened.topics,
      opened.lastTimeMs,
      opened.repairs,
    );
    await log.resume();
    return log;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw unwritable(options.directory, error);
  }
}

interface PendingAppend {
  readonly topic: LogTopic;
  readonly records: readonly Uint8Array[];
  readonly bytes: number;
  readonly resolve: (result: { first: number; appendTimeMs: number }) => void;
  readonly reject: (error: Error) => void;
}
interface PendingTopic {
  readonly newTopic: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
/** Waits for the log to be writable, writes nothing. */
interface PendingProbe {
  readonly probe: true;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
type Pending = PendingAppend | PendingTopic | PendingProbe;

interface Group {
  readonly entries: readonly Entry[];
  readonly newTopics: ReadonlyMap<string, LogTopic>;
  readonly timeMs: number;
}

const NO_BYTES = new Uint8Array(0);
const LOG_REWRITE_BYTES = 1024 * 1024;

export class FileLog implements Log {
  /** What opening had to cut off: never anything that was acknowledged. */
  readonly repairs: readonly LogRepair[];
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #now: () => number;
  readonly #segmentBytes: number;
  readonly #tailBytesMax: number;
  /** Oldest first; the last one is written to. */
  readonly #segments: Segment[];
  readonly #topics: Map<string, LogTopic>;
  readonly #readers: SegmentReaders;
  readonly #closing = new AbortController();
  #file: DiskFile | undefined;
  #lastTimeMs: number;
  #pending: Pending[] = [];
  #committing: Promise<void> | undefined;
  #trimming: Promise<void> = Promise.resolve();
  #failure: CaucusError | undefined;
  /** Whose record is the oldest in memory, in order of appending; from `#tailHead`. */
  #tailOrder: LogTopic[] = [];
  #tailHead = 0;
  #tailBytes = 0;

  constructor(
    options: FileLogOptions,
    segments: Segment[],
    topics: Map<string, LogTopic>,
    lastTimeMs: number,
    repairs: readonly LogRepair[],
  ) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#now = options.now;
    this.#segmentBytes = options.segmentBytes ?? LOG_SEGMENT_BYTES;
    this.#tailBytesMax = options.tailBytes ?? LOG_TAIL_BYTES;
    this.#segments = segments;
    this.#topics = topics;
    this.#lastTimeMs = lastTimeMs;
    this.repairs = repairs;
    this.#readers = new SegmentReaders(options.disk, (segment) => this.#path(segment));
  }

  /** The error that made the log read-only, until it can be written again. */
  get failure(): CaucusError | undefined {
    return this.#failure;
  }

  /** Bytes of all segments. */
  get storedBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.length, 0);
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  /** Only for `openFileLog`: makes the last segment ready for writing. */
  async resume(): Promise<void> {
    const last = this.#segments.at(-1);
    if (last === undefined) {
      await this.#startSegment(1, 0);
      return;
    }
    const file = await this.#disk.open(this.#path(last.number), 'write');
    this.#file = file;
    if ((await file.size()) > last.length) await file.truncate(last.length);
    // What was read at open counts from now on. Some of it may only be in the page cache, and if
    // the fsync of the process before failed, the system takes it for clean: written again, it is
    // not.
    for (let at = last.synced; at < last.length; at += LOG_REWRITE_BYTES) {
      await file.write(at, [await file.read(at, Math.min(LOG_REWRITE_BYTES, last.length - at))]);
    }
    await file.sync();
    await this.#disk.syncDirectory(this.#directory);
  }

  async ensureTopic(topic: string): Promise<void> {
    if (this.#topics.has(topic)) return;
    await new Promise<void>((resolve, reject) => {
      this.#submit({ newTopic: topic, resolve, reject });
    });
  }

  /** The log keeps the records: the caller must not change their bytes afterwards. */
  async append(
    topic: string,
    records: readonly Uint8Array[],
  ): Promise<{ first: number; appendTimeMs: number }> {
    const target = this.#topic(topic);
    let bytes = 0;
    for (const record of records) {
      if (record.length > RECORD_BYTES_MAX) {
        const message = `a record of ${record.length} bytes exceeds the limit of ${RECORD_BYTES_MAX}`;
        throw new CaucusError('too_large', message, { remedy: 'split it before appending' });
      }
      bytes += record.length;
    }
    return await new Promise((resolve, reject) => {
      this.#submit({ topic: target, records, bytes, resolve, reject });
    });
  }

  async *read(
    topic: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<Chunk, void, undefined> {
    const source = this.#topic(topic);
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    let next = from;
    while (!stop.aborted) {
      if (next < source.start) throw expired(topic, next, source.start);
      if (next > source.end) throw beyondEnd(topic, next, source.end);
      if (next === source.end) {
        await source.wait(stop);
        continue;
      }
      const records =
        next >= source.tailStart
          ? source.readTail(next, LOG_READ_BYTES)
          : await this.#readDisk(source, next);
      next += records.length;
      if (stop.aborted) return;
      if (records.length > 0) yield { records, next };
    }
  }

  bounds(topic: string): Promise<Bounds> {
    const { start, end } = this.#topic(topic);
    return Promise.resolve({ start, end });
  }

  async trim(topic: string, before: number): Promise<void> {
    const target = this.#topic(topic);
    target.start = Math.max(target.start, Math.min(before, target.end));
    const dropping = this.#trimming.then(() => this.#dropSegments());
    this.#trimming = dropping.catch(() => undefined);
    await dropping;
  }

  /** Tries to make a read-only log writable; throws `disk_full` while that fails. */
  async recover(): Promise<void> {
    if (this.#failure === undefined) return;
    await new Promise<void>((resolve, reject) => {
      this.#submit({ probe: true, resolve, reject });
    });
  }

  /**
   * Waits for the appends under way and marks the end, so that later damage there is told from a
   * crash.
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#committing;
    await this.#trimming;
    if (this.#failure === undefined) await this.#writeClose();
    await this.#file?.close();
    this.#file = undefined;
    await this.#readers.closeAll();
  }

  #topic(name: string): LogTopic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new Error(`log: topic ${name} was not ensured`);
    return topic;
  }

  #path(segment: number): string {
    return path.join(this.#directory, segmentName(segment));
  }

  #submit(pending: Pending): void {
    if (this.#closing.signal.aborted) {
      pending.reject(
        new CaucusError('not_ready', 'the log is closed', { remedy: 'start caucus again' }),
      );
      return;
    }
    this.#pending.push(pending);
    this.#committing ??= this.#commitAll();
  }

  /** Runs while there is something to write; never throws. */
  async #commitAll(): Promise<void> {
    // A tick later, so that all appends of this one share the first fsync.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      let group: Pending[] = [];
      try {
        if (this.#failure !== undefined) await this.#leaveFailure();
        group = this.#takeGroup();
        await this.#commit(group);
      } catch (error) {
        await this.#enterFailure(error, [...group, ...this.#pending.splice(0)]);
      }
    }
    this.#committing = undefined;
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const pending of this.#pending) {
      if (count > 0 && bytes > LOG_GROUP_BYTES) break;
      if ('records' in pending) bytes += pending.bytes;
      count++;
    }
    return this.#pending.splice(0, count);
  }

  /**
   * Writes and syncs one group, then publishes it. Nothing in memory changes before it is durable.
   */
  async #commit(pending: readonly Pending[]): Promise<void> {
    let segment = this.#segments.at(-1) as Segment;
    if (segment.length >= this.#segmentBytes) {
      await this.#startSegment(segment.number + 1, segment.length);
      segment = this.#segments.at(-1) as Segment;
    }
    const group = this.#layOut(pending, segment);
    if (group.entries.length > 0) {
      const file = this.#file as DiskFile;
      await file.write(segment.length, encodeEntries(group.entries, segment.nonce));
      await file.sync();
    }
    this.#publish(group, segment);
    this.#acknowledge(pending, group.timeMs);
  }

  #layOut(pending: readonly Pending[], segment: Segment): Group {
    const timeMs = Math.max(this.#lastTimeMs, Math.floor(this.#now()));
    const entries: Entry[] = [];
    const newTopics = new Map<string, LogTopic>();
    const ends = new Map<LogTopic, number>();
    const synced = segment.length;
    for (const item of pending) {
      if ('newTopic' in item) {
        const name = item.newTopic;
        if (this.#topics.has(name) || newTopics.has(name)) continue;
        const topic = new LogTopic(this.#topics.size + newTopics.size + 1, name, 0);
        newTopics.set(name, topic);
        const payload = new TextEncoder().encode(name);
        entries.push({ type: TYPE_TOPIC, topic: topic.id, offset: 0, timeMs, synced, payload });
      } else if ('records' in item) {
        let offset = ends.get(item.topic) ?? item.topic.end;
        for (const payload of item.records) {
          entries.push({
            type: TYPE_RECORD,
            topic: item.topic.id,
            offset,
            timeMs,
            synced,
            payload,
          });
          offset++;
        }
        ends.set(item.topic, offset);
      }
    }
    return { entries, newTopics, timeMs };
  }

  #publish(group: Group, segment: Segment): void {
    this.#lastTimeMs = group.timeMs;
    const changed = new Set<LogTopic>();
    const byId = new Map([...this.#topics.values()].map((topic) => [topic.id, topic]));
    for (const [name, topic] of group.newTopics) this.#topics.set(name, topic);
    for (const entry of group.entries) {
      const topic = byId.get(entry.topic);
      if (entry.type === TYPE_RECORD && topic !== undefined) {
        const { offset, payload: bytes, timeMs: appendTimeMs } = entry;
        topic.addPlace(placeOf(segment.number, segment.length));
        topic.addTail({ offset, bytes, appendTimeMs });
        this.#tailOrder.push(topic);
        this.#tailBytes += bytes.length;
        changed.add(topic);
      }
      segment.length += ENTRY_HEADER_BYTES + entry.payload.length;
    }
    this.#shrinkTail();
    for (const topic of changed) topic.wake();
  }

  #acknowledge(pending: readonly Pending[], appendTimeMs: number): void {
    // Offsets again in the order in which they were given out.
    const firsts = new Map<LogTopic, number>();
    for (const item of pending) {
      if (!('records' in item)) continue;
      firsts.set(item.topic, (firsts.get(item.topic) ?? item.topic.end) - item.records.length);
    }
    for (const item of pending) {
      if (!('records' in item)) {
        item.resolve();
        continue;
      }
      const first = firsts.get(item.topic) as number;
      firsts.set(item.topic, first + item.records.length);
      item.resolve({ first, appendTimeMs });
    }
  }

  #shrinkTail(): void {
    while (this.#tailBytes > this.#tailBytesMax && this.#tailHead < this.#tailOrder.length) {
      this.#tailBytes -= (this.#tailOrder[this.#tailHead++] as LogTopic).dropTail();
    }
    if (this.#tailHead * 2 > this.#tailOrder.length) {
      this.#tailOrder = this.#tailOrder.slice(this.#tailHead);
      this.#tailHead = 0;
    }
  }

  /** Makes the next segment durable, name and header, and writes to it from then on. */
  async #startSegment(number: number, previousLength: number): Promise<void> {
    const header: SegmentHeader = {
      number,
      previousLength,
      nonce: randomBytes(4).readUInt32LE(),
      lastTimeMs: this.#lastTimeMs,
      topics: [...this.#topics.values()].map(({ id, name, end }) => ({ id, name, next: end })),
    };
    const bytes = encodeHeader(header);
    const file = await this.#disk.open(this.#path(number), 'create');
    try {
      await file.write(0, [bytes]);
      await file.sync();
      await this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      await file.close().catch(() => undefined);
      await this.#disk.unlink(this.#path(number)).catch(() => undefined);
      throw error;
    }
    await this.#file?.close();
    this.#file = file;
    const { nonce, topics } = header;
    this.#segments.push({
      number,
      nonce,
      headerLength: bytes.length,
      length: bytes.length,
      synced: 0,
      topics,
    });
  }

  async #enterFailure(cause: unknown, rejected: readonly Pending[]): Promise<void> {
    // Without an errno it is a defect of ours; the log must stop all the same.
    const failure =
      errnoOf(cause) === undefined
        ? new CaucusError('internal', 'the log failed while writing', { cause })
        : unwritable(this.#directory, cause);
    this.#failure = failure;
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
    for (const pending of rejected) pending.reject(failure);
  }

  /** Gives up what lies behind the durable end of the last segment and starts another one. */
  async #leaveFailure(): Promise<void> {
    const last = this.#segments.at(-1) as Segment;
    if (last.length === last.headerLength && this.#segments.length > 1) {
      // Nothing in it counts: made anew under its number, so that a long failure leaves no row of
      // empty files.
      const before = this.#segments.at(-2) as Segment;
      await this.#readers.close(last.number);
      await this.#unlinkIfThere(last.number);
      this.#segments.pop();
      try {
        await this.#startSegment(last.number, before.length);
      } catch (error) {
        this.#segments.push(last);
        throw error;
      }
    } else {
      await this.#cut(last);
      await this.#unlinkIfThere(last.number + 1);
      await this.#startSegment(last.number + 1, last.length);
    }
    this.#failure = undefined;
  }

  /** Gives space back; the next segment's header is what makes it certain. */
  async #cut(segment: Segment): Promise<void> {
    const file = await this.#disk.open(this.#path(segment.number), 'write');
    try {
      if ((await file.size()) > segment.length) await file.truncate(segment.length);
    } finally {
      await file.close();
    }
  }

  async #unlinkIfThere(segment: number): Promise<void> {
    try {
      await this.#disk.unlink(this.#path(segment));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  /** Oldest first, and each name durable before the next goes: a crash leaves no hole. */
  async #dropSegments(): Promise<void> {
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined) return;
      const ends = new Map(next.topics.map((topic) => [topic.id, topic.next]));
      const firsts = new Map(oldest.topics.map((topic) => [topic.id, topic.next]));
      for (const topic of this.#topics.values()) {
        const end = ends.get(topic.id) ?? 0;
        if (end > (firsts.get(topic.id) ?? 0) && end > topic.start) return;
      }
      await this.#readers.close(oldest.number);
      await this.#unlinkIfThere(oldest.number);
      await this.#disk.syncDirectory(this.#directory);
      this.#segments.shift();
      for (const topic of this.#topics.values()) topic.forgetBelow(ends.get(topic.id) ?? 0);
    }
  }

  async #writeClose(): Promise<void> {
    const segment = this.#segments.at(-1) as Segment;
    const close: Entry = {
      type: TYPE_CLOSE,
      topic: 0,
      offset: 0,
      timeMs: this.#lastTimeMs,
      synced: segment.length,
      payload: NO_BYTES,
    };
    try {
      await this.#file?.write(segment.length, encodeEntries([close], segment.nonce));
      await this.#file?.sync();
    } catch {
      // The mark is a help for the next start only; all that was acknowledged is durable without
      // it.
    }
  }

  async #readDisk(topic: LogTopic, from: number): Promise<readonly LogRecord[]> {
    const place = topic.place(from);
    const limit = topic.tailStart;
    const segment = this.#segments.find(({ number }) => number === segmentOf(place));
    if (segment === undefined) throw expired(topic.name, from, topic.start);
    const following = from + 1 < limit ? topic.place(from + 1) - place : Infinity;
    const wanted = { topic: topic.id, from, limit, position: positionOf(place) };
    try {
      return await this.#readers.read(segment, wanted, following < LOG_READ_BYTES);
    } catch (error) {
      // The segment was given back in the meantime.
      if (from < topic.start) throw expired(topic.name, from, topic.start);
      throw error;
    }
  }
}

function unwritable(directory: string, cause: unknown): CaucusError {
  const errno = errnoOf(cause);
  return new CaucusError('disk_full', `the log in \`${directory}\` cannot be written: ${errno}`, {
    remedy:
      errno === 'ENOSPC' || errno === 'EDQUOT'
        ? 'make space on its disk; writing goes on by itself'
        : 'check the disk and the rights of the directory; writing goes on by itself once it can',
    details: { directory, errno },
    cause,
  });
}

function expired(topic: string, from: number, start: number): CaucusError {
  return new CaucusError(
    'revision_expired',
    `topic \`${topic}\` was trimmed below offset ${start}`,
    {
      remedy: 'start from a newer checkpoint',
      details: { topic, offset: from, start },
    },
  );
}

function beyondEnd(topic: string, from: number, end: number): CaucusError {
  return new CaucusError(
    'log_damaged',
    `topic \`${topic}\` ends at offset ${end}, before ${from}`,
    {
      remedy: 'the log is older than what was read from it: restore the newer data directory',
      details: { topic, offset: from, end },
    },
  );
}
