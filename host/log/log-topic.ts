/**
 * What the in-process log keeps in memory of one topic: where each record lies, and the newest ones
 * whole.
 */
import type { LogRecord } from './log.ts';

/** A place in the log as one number: segment number times 2^32 plus position. */
export type Place = number;
const SEGMENT_SHIFT = 2 ** 32;
const INITIAL_PLACES = 64;

export function placeOf(segment: number, position: number): Place {
  return segment * SEGMENT_SHIFT + position;
}

export function segmentOf(place: Place): number {
  return Math.floor(place / SEGMENT_SHIFT);
}

export function positionOf(place: Place): number {
  return place % SEGMENT_SHIFT;
}

export class LogTopic {
  readonly id: number;
  readonly name: string;
  /** First offset that may be read. */
  start: number;
  /** One past the last durable offset. */
  end: number;
  #places = new Float64Array(INITIAL_PLACES);
  /** Offset of `#places[0]`. */
  #placesFrom: number;
  #tail: LogRecord[] = [];
  /** Where the tail begins in its array: dropping from the front of a long array is slow. */
  #tailHead = 0;
  #waiting: (() => void)[] = [];

  constructor(id: number, name: string, next: number) {
    this.id = id;
    this.name = name;
    this.start = next;
    this.end = next;
    this.#placesFrom = next;
  }

  /** The record at `end` has become durable (or was found at open). */
  addPlace(place: Place): void {
    const index = this.end - this.#placesFrom;
    if (index >= this.#places.length) {
      const grown = new Float64Array(this.#places.length * 2);
      grown.set(this.#places);
      this.#places = grown;
    }
    this.#places[index] = place;
    this.end++;
  }

  addTail(record: LogRecord): void {
    this.#tail.push(record);
  }

  /** First offset of which the record is in memory. */
  get tailStart(): number {
    return this.end - (this.#tail.length - this.#tailHead);
  }

  /** Drops the oldest record from memory and returns its size in bytes. */
  dropTail(): number {
    const record = this.#tail[this.#tailHead++] as LogRecord;
    if (this.#tailHead * 2 > this.#tail.length) {
      this.#tail = this.#tail.slice(this.#tailHead);
      this.#tailHead = 0;
    }
    return record.bytes.length;
  }

  /** Records from `from`, which is in the tail, up to about `bytesMax`. */
  readTail(from: number, bytesMax: number): LogRecord[] {
    const records: LogRecord[] = [];
    let bytes = 0;
    for (let index = this.#tailHead + from - this.tailStart; index < this.#tail.length; index++) {
      const record = this.#tail[index] as LogRecord;
      if (records.length > 0 && bytes + record.bytes.length > bytesMax) break;
      records.push(record);
      bytes += record.bytes.length;
    }
    return records;
  }

  place(offset: number): Place {
    return this.#places[offset - this.#placesFrom] as Place;
  }

  /** Forgets the places below `offset`, whose storage is gone. */
  forgetBelow(offset: number): void {
    if (offset <= this.#placesFrom) return;
    this.#places = this.#places.slice(offset - this.#placesFrom);
    if (this.#places.length === 0) this.#places = new Float64Array(INITIAL_PLACES);
    this.#placesFrom = offset;
    this.start = Math.max(this.start, offset);
  }

  /** Resolves when `wake` is called or the signal aborts. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      this.#waiting.push(done);
    });
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
  }
}
