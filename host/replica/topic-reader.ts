/** Reads one topic up to an offset at a time: the fold never looks past what a cut names. */
import { CaucusError } from '../errors.ts';
import type { Log, LogRecord } from '../log/log.ts';

export class TopicReader {
  readonly topic: string;
  /** Offset of the record that comes next. */
  next: number;
  readonly #log: Log;
  readonly #abort = new AbortController();
  #iterator: AsyncIterator<{ readonly records: readonly LogRecord[] }> | undefined;
  #buffered: readonly LogRecord[] = [];
  #position = 0;

  constructor(log: Log, topic: string, from: number) {
    this.#log = log;
    this.topic = topic;
    this.next = from;
  }

  /** The records below `end`, which the log must have: a cut names only what is durable. */
  async *readTo(end: number): AsyncGenerator<LogRecord, void, undefined> {
    while (this.next < end) {
      const record = this.#buffered[this.#position];
      if (record === undefined) {
        await this.#readChunk();
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

  close(): void {
    this.#abort.abort();
    void this.#iterator?.return?.();
  }

  async #readChunk(): Promise<void> {
    this.#iterator ??= this.#log
      .read(this.topic, this.next, this.#abort.signal)
      [Symbol.asyncIterator]();
    const chunk = await this.#iterator.next();
    if (chunk.done === true) throw new ReadingStopped(this.topic);
    this.#buffered = chunk.value.records;
    this.#position = 0;
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
