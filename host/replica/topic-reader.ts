/**
 * Reads one topic: ahead, as the log has it, and up to an offset at a time, as the fold wants it.
 * The fold never looks past what a cut names; how far a topic was seen is for whoever names it.
 */
import { CaucusError } from '../errors.ts';
import { CUT_LOST_MS, READ_AHEAD_BYTES_MAX } from '../limits.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { ENVELOPE_BYTES, recordChecksum } from '../log/records.ts';
import type { Timer } from './revision-waiters.ts';
import type { TopicEnd } from './sequencer.ts';

export interface TopicReaderOptions {
  readonly log: Log;
  readonly topic: string;
  /** Offset of the first record. */
  readonly from: number;
  /** Further records were seen; they may be read, they count when a cut names them. */
  readonly onSeen?: (reader: TopicReader, records: readonly LogRecord[]) => void;
  /** The log cannot be read any further; whoever reads gets the error as well. */
  readonly onFailed?: (error: unknown) => void;
}

export class TopicReader {
  readonly topic: string;
  /** Offset of the record that comes next. */
  next: number;
  readonly #options: TopicReaderOptions;
  readonly #abort = new AbortController();
  readonly #chunks: (readonly LogRecord[])[] = [];
  #bufferedBytes = 0;
  #position = 0;
  #seen: TopicEnd | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isReading = false;
  /** Resolved when a chunk came or one was used up. */
  #wakes: (() => void)[] = [];

  constructor(options: TopicReaderOptions) {
    this.#options = options;
    this.topic = options.topic;
    this.next = options.from;
  }

  /** One past the last record that was seen, and its checksum; undefined before the first. */
  get seen(): TopicEnd | undefined {
    return this.#seen;
  }

  /** Begins to read ahead. `readTo` does so by itself. */
  start(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    void this.#readAhead();
  }

  /** The records below `end`, which the log must have: a cut names only what is durable. */
  async *readTo(end: number): AsyncGenerator<LogRecord, void, undefined> {
    this.start();
    while (this.next < end) {
      const record = this.#chunks[0]?.[this.#position];
      if (record === undefined) {
        await this.#nextChunk();
        continue;
      }
      if (record.offset >= end) {
        throw new CaucusError(
          'log_damaged',
          `topic \`${this.topic}\` has no record at offset ${this.next}`,
          { remedy: LOG_REMEDY, details: { topic: this.topic, offset: this.next } },
        );
      }
      this.#position++;
      this.next = record.offset + 1;
      yield record;
    }
  }

  /**
   * Resolves when the record below `end` was seen. Throws `log_diverged` when the log has ended
   * before it for `CUT_LOST_MS`: it was acknowledged once, so it is lost.
   */
  async expectSeen(end: number, setTimer: Timer): Promise<void> {
    this.start();
    const hasSeen = (): boolean => (this.#seen?.end ?? this.next) >= end;
    while (!hasSeen() && this.#failure === undefined) {
      // A full buffer is not a lack: whoever reads makes room.
      if (this.#bufferedBytes > READ_AHEAD_BYTES_MAX) return;
      let isLate = false;
      const cancel = setTimer(() => {
        isLate = true;
        this.#wake();
      }, CUT_LOST_MS);
      await this.#nextWake();
      cancel();
      if (!isLate || hasSeen()) continue;
      const bounds = await this.#options.log.bounds(this.topic).catch(() => undefined);
      if (bounds !== undefined && bounds.end < end) {
        throw new CaucusError(
          'log_diverged',
          `topic \`${this.topic}\` ends at ${bounds.end}, a cut names ${end}`,
          { remedy: DIVERGED_REMEDY, details: { topic: this.topic, end: bounds.end, wanted: end } },
        );
      }
    }
  }

  close(): void {
    this.#abort.abort();
    this.#wake();
  }

  async #readAhead(): Promise<void> {
    const { log, onSeen } = this.#options;
    try {
      for await (const { records } of log.read(this.topic, this.next, this.#abort.signal)) {
        const last = records.at(-1);
        if (last === undefined) continue;
        this.#chunks.push(records);
        this.#bufferedBytes += bytesOf(records);
        this.#seen = { end: last.offset + 1, checksum: checksumOf(last.bytes) };
        this.#wake();
        onSeen?.(this, records);
        while (this.#bufferedBytes > READ_AHEAD_BYTES_MAX && !this.#abort.signal.aborted) {
          await this.#nextWake();
        }
      }
      this.#failure = { error: new ReadingStopped(this.topic) };
    } catch (error) {
      this.#failure = { error };
      if (!this.#abort.signal.aborted) this.#options.onFailed?.(error);
    }
    this.#wake();
  }

  /** Gives the used-up chunk back, and waits until there is another. */
  async #nextChunk(): Promise<void> {
    const used = this.#chunks[0];
    if (used !== undefined && this.#position >= used.length) {
      this.#chunks.shift();
      this.#position = 0;
      this.#bufferedBytes -= bytesOf(used);
      this.#wake();
    }
    while (this.#chunks.length === 0) {
      if (this.#abort.signal.aborted) throw new ReadingStopped(this.topic);
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#nextWake();
    }
  }

  #nextWake(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakes.push(resolve);
    });
  }

  #wake(): void {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  }
}

/** The reader was closed while it waited. */
export class ReadingStopped extends Error {
  constructor(topic: string) {
    super(`reading of topic ${topic} was stopped`);
    this.name = 'ReadingStopped';
  }
}

export const LOG_REMEDY =
  'restore the data directory from a copy, or move it away to start with an empty log';

export const DIVERGED_REMEDY =
  'restore the log from a copy that has the records, or go on without them: `caucus fork`';

function bytesOf(records: readonly LogRecord[]): number {
  return records.reduce((sum, record) => sum + record.bytes.length, 0);
}

/** What is no record gets its error when it is read. */
function checksumOf(bytes: Uint8Array): number {
  return bytes.length < ENVELOPE_BYTES ? 0 : recordChecksum(bytes);
}
