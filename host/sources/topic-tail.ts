/**
 * Follows a topic from its first record on, for ever: for writers that have no fold and must know
 * what else is written. It outlives a log that is away for a while.
 */
import { CaucusError } from '../errors.ts';
import { TAIL_RETRY_MS } from '../limits.ts';
import type { Log, LogRecord } from '../log/log.ts';

/** Resolves after `ms` or when the signal aborts, whichever is first; never rejects. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

export interface TopicTailOptions {
  readonly log: Log;
  readonly topic: string;
  readonly wait: Wait;
  /** In the order of the topic. What it throws ends the tail. */
  readonly onRecord: (record: LogRecord) => void;
}

interface Waiter {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What stays wrong however often it is tried. */
const FATAL: ReadonlySet<string> = new Set(['log_diverged', 'log_damaged', 'unsupported_record']);

export class TopicTail {
  readonly #options: TopicTailOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #next = 0;
  #waiters: Waiter[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(options: TopicTailOptions) {
    this.#options = options;
  }

  /** Resolves when everything below `end` was seen. */
  reached(end: number): Promise<void> {
    this.#running ??= this.#run();
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#next >= end) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ end, resolve, reject });
    });
  }

  /** Resolves when nothing is read any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#fail(new CaucusError('not_ready', `topic \`${this.#options.topic}\` is left alone`));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log, topic, wait } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted && this.#failure === undefined) {
      try {
        await log.ensureTopic(topic);
        const { start } = await log.bounds(topic);
        this.#seen(Math.max(this.#next, start));
        for await (const { records, next } of log.read(topic, this.#next, signal)) {
          for (const record of records) this.#options.onRecord(record);
          this.#seen(next);
        }
      } catch (error) {
        if (!(error instanceof CaucusError) || FATAL.has(error.code)) this.#fail(error);
        else await wait(TAIL_RETRY_MS, signal);
      }
    }
  }

  #seen(next: number): void {
    this.#next = next;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ end }) => end > next);
    for (const { end, resolve } of waiters) if (end <= next) resolve();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(this.#failure.error);
  }
}
