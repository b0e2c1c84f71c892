/**
 * Backs up the writers: a record that is in the log and that no cut names after a short while (its
 * writer died, or could not reach the log) is named by whoever notices first. The while is random,
 * so that of several replicas mostly one proposes; more do no harm.
 */
import type { CutRecord } from '../log/records.ts';
import { inForce } from './cut-reader.ts';
import type { Timer } from './revision-waiters.ts';
import type { TopicEnd } from './sequencer.ts';

export interface UncutWatchOptions {
  readonly setTimer: Timer;
  /** In [0, 1). */
  readonly random: () => number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Appends a cut that names these ends besides what else it names. */
  readonly propose: (ends: ReadonlyMap<string, TopicEnd>) => Promise<void>;
}

export class UncutWatch {
  readonly #options: UncutWatchOptions;
  readonly #seen = new Map<string, TopicEnd>();
  /** By any cut that is in the log, applied or not. */
  readonly #named = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(options: UncutWatchOptions, applied: ReadonlyMap<string, TopicEnd>) {
    this.#options = options;
    for (const [topic, { end }] of applied) this.#named.set(topic, end);
  }

  topicOnSeen(topic: string, end: TopicEnd): void {
    this.#seen.set(topic, end);
    if (end.end > (this.#named.get(topic) ?? 0)) this.#arm();
  }

  cutOnSeen(cut: CutRecord): void {
    for (const [topic, { end }] of inForce(cut)) {
      if (end > (this.#named.get(topic) ?? 0)) this.#named.set(topic, end);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    if (this.#cancel !== undefined || this.#isClosed) return;
    const { setTimer, random, delayMsMin, delayMsMax } = this.#options;
    const delayMs = delayMsMin + random() * (delayMsMax - delayMsMin);
    this.#cancel = setTimer(() => {
      void this.#proposeUncut();
    }, delayMs);
  }

  /** Also when it fails: what is still without a cut is looked at again after the same while. */
  async #proposeUncut(): Promise<void> {
    const uncut = this.#uncut();
    // The writer was in time.
    if (uncut.size > 0) await this.#options.propose(uncut).catch(() => undefined);
    this.#cancel = undefined;
    if (this.#uncut().size > 0) this.#arm();
  }

  #uncut(): Map<string, TopicEnd> {
    const uncut = new Map<string, TopicEnd>();
    for (const [topic, end] of this.#seen) {
      if (end.end > (this.#named.get(topic) ?? 0)) uncut.set(topic, end);
    }
    return uncut;
  }
}
