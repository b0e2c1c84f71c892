/**
 * The contract of the ordered, durable log. Implementations: `file-log.ts` (in process),
 * `kafka-log.ts`. One conformance suite (`test/suites/log-suite.ts`) that each passes.
 *
 * Callers guarantee: topics were ensured; a topic has few writers. The log guarantees: one order a
 * topic, offsets from 0 without holes on write; an append that resolved is there once, in the order
 * of its records, and survives the loss of the process and of every write that was not synced; of
 * an append that rejected any number of records may be there, the first ones, each once.
 */
export interface LogRecord {
  readonly offset: number;
  /** The record with its envelope (see records.ts), as appended. */
  readonly bytes: Uint8Array;
  /**
   * Milliseconds since the epoch, by the log's clock. Never decreasing inside a topic in one
   * process; on Kafka it may step back when another broker takes over.
   */
  readonly appendTimeMs: number;
}

export interface Chunk {
  readonly records: readonly LogRecord[];
  /** Offset to read from next. Behind the records, where offsets without records follow. */
  readonly next: number;
}

export interface Bounds {
  /** First offset still there. */
  readonly start: number;
  /** One past the last durable offset. */
  readonly end: number;
}

export interface Appended {
  /** Offset of the first record; those after it follow without gaps, unless `offsets` is there. */
  readonly first: number;
  readonly appendTimeMs: number;
  /**
   * Of each record: there only where records of other writers came between, as may happen to an
   * append that is larger than what the log can write at once (`KAFKA_BATCH_BYTES_MAX`).
   */
  readonly offsets?: readonly number[];
}

export interface Log {
  ensureTopic(topic: string): Promise<void>;
  /**
   * Appends in order; resolves with the first offset when all are durable. Concurrent calls share
   * one fsync or request. Where one is rejected, so are those of its topic that wait behind it.
   */
  append(topic: string, records: readonly Uint8Array[]): Promise<Appended>;
  /**
   * Durable records from `from` on, for ever, until `signal` aborts. Throws `revision_expired` if
   * `from` or what comes next is below the start, `log_diverged` if the log lost what was read.
   */
  read(topic: string, from: number, signal: AbortSignal): AsyncIterable<Chunk>;
  bounds(topic: string): Promise<Bounds>;
  /** Records below `before` may go; storage is given back in whole segments. */
  trim(topic: string, before: number): Promise<void>;
  close(): Promise<void>;
}
