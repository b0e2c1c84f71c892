/** One reader of one topic: where it is, and what was fetched for it and not yet taken. */
import { KAFKA_READER_BYTES_MAX, LOG_READ_BYTES } from '../../limits.ts';
import type { Chunk, LogRecord } from '../log.ts';
import type { TopicId } from './wire.ts';

export interface KafkaTopic {
  /** Its name in Kafka. */
  readonly name: string;
  readonly id: TopicId;
}

/** Against the end of the topic; `unknown` before the first answer. */
export type Lag = 'unknown' | 'behind' | 'level';

interface Fetched {
  readonly chunk: Chunk;
  /** Memory that it holds. */
  readonly bytes: number;
}

export class Cursor {
  readonly topic: KafkaTopic;
  /** Offset to fetch next. */
  next: number;
  /** Leader epoch of the record before it; −1: not known. */
  lastEpoch = -1;
  /** Of the broker that is asked, as the metadata have it. */
  leaderEpoch = -1;
  lag: Lag = 'unknown';
  isInFlight = false;
  /** Counts the fetches of all cursors: who was asked for longest ago comes first. */
  turn = 0;
  /** Failures in a row. */
  failureCount = 0;
  #fetched: Fetched[] = [];
  #bytes = 0;
  #failure: Error | undefined;
  #isStopped = false;
  #wake: () => void = () => undefined;
  readonly #onRoom: (cursor: Cursor) => void;

  /** `onRoom`: was full and is not any more. */
  constructor(topic: KafkaTopic, from: number, onRoom: (cursor: Cursor) => void) {
    this.topic = topic;
    this.next = from;
    this.#onRoom = onRoom;
  }

  get isStopped(): boolean {
    return this.#isStopped || this.#failure !== undefined;
  }

  get isFull(): boolean {
    return this.#bytes >= KAFKA_READER_BYTES_MAX;
  }

  put(chunk: Chunk, bytes: number): void {
    this.next = chunk.next;
    this.#fetched.push({ chunk, bytes });
    this.#bytes += bytes;
    this.#wake();
  }

  /** What was fetched before is still read. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** The reader ends; what was fetched is dropped. */
  stop(): void {
    this.#isStopped = true;
    this.#fetched = [];
    this.#bytes = 0;
    this.#wake();
  }

  /** The next records, or undefined once stopped; throws what ended the reader. */
  async take(): Promise<Chunk | undefined> {
    while (!this.#isStopped) {
      if (this.#fetched.length > 0) return this.#takeFetched();
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return undefined;
  }

  /** Small pieces that came while the reader was busy are taken together. */
  #takeFetched(): Chunk {
    const wasFull = this.isFull;
    let bytes = 0;
    let count = 0;
    for (const one of this.#fetched) {
      if (count > 0 && bytes + one.bytes > LOG_READ_BYTES) break;
      bytes += one.bytes;
      count++;
    }
    const taken = this.#fetched.splice(0, count).map(({ chunk }) => chunk);
    this.#bytes -= bytes;
    if (wasFull && !this.isFull) this.#onRoom(this);
    const last = taken.at(-1) as Chunk;
    if (taken.length === 1) return last;
    const records: LogRecord[] = taken.flatMap((chunk) => chunk.records);
    return { records, next: last.next };
  }
}
