/**
 * The contract of the ordered, durable log. Implementations: `file-log.ts` (in process), later
 * Kafka. One conformance suite (`test/suites/log-suite.ts`) that each passes.
 *
 * Callers guarantee: topics were ensured; a topic has few writers. The log guarantees: one order a
 * topic, offsets from 0 without holes on write; an append that resolved survives the loss of the
 * process and of every write that was not synced; an append that rejected may or may not be there.
 */
export interface LogRecord {
  readonly offset: number;
  /** The record with its envelope (see records.ts), as appended. */
  readonly bytes: Uint8Array;
  /** Milliseconds since the epoch, by the log's clock, never decreasing inside a topic. */
  readonly appendTimeMs: number;
}

export interface Chunk {
  readonly records: readonly LogRecord[];
  /** Offset to read from next. */
  readonly next: number;
}

export interface Bounds {
  /** First offset still there. */
  readonly start: number;
  /** One past the last durable offset. */
  readonly end: number;
}

export interface Log {
  ensureTopic(topic: string): Promise<void>;
  /**
   * Appends in order; resolves with the first offset when all are durable. Concurrent calls share
   * one fsync.
   */
  append(
    topic: string,
    records: readonly Uint8Array[],
  ): Promise<{ first: number; appendTimeMs: number }>;
  /**
   * Durable records from `from` on, for ever, until `signal` aborts; `from` below start throws
   * `revision_expired`.
   */
  read(topic: string, from: number, signal: AbortSignal): AsyncIterable<Chunk>;
  bounds(topic: string): Promise<Bounds>;
  /** Records below `before` may go; storage is given back in whole segments. */
  trim(topic: string, before: number): Promise<void>;
  close(): Promise<void>;
}
