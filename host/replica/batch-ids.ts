/**
 * The batch ids that one source has seen, oldest first by log order: what makes a repeated batch
 * change nothing. Part of the replicated state, so it forgets by append times of the log, never by
 * a clock.
 */
export interface BatchIdEntry {
  readonly key: string;
  readonly bodyDigest: string;
  /** The revision that the first answer named. */
  readonly revision: number;
  readonly appendTimeMs: number;
}

export interface BatchIdLimits {
  readonly ageMsMin: number;
  readonly countMin: number;
}

export class BatchIds {
  // A Map iterates in insertion order, which is log order.
  readonly #entries = new Map<string, BatchIdEntry>();
  readonly #limits: BatchIdLimits;

  constructor(limits: BatchIdLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(key: string): BatchIdEntry | undefined {
    return this.#entries.get(key);
  }

  /** Remembers a batch and forgets those that are both too old and too many. */
  add(entry: BatchIdEntry): void {
    this.#entries.set(entry.key, entry);
    for (const oldest of this.#entries.values()) {
      if (this.#entries.size <= this.#limits.countMin) return;
      if (oldest.appendTimeMs >= entry.appendTimeMs - this.#limits.ageMsMin) return;
      this.#entries.delete(oldest.key);
    }
  }

  entries(): IterableIterator<BatchIdEntry> {
    return this.#entries.values();
  }
}
