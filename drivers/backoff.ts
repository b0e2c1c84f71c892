import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS } from './limits.ts';

/** Pauses after failures in a row: doubling, bounded. */
export class Backoff {
  #nextMs = BACKOFF_FIRST_MS;

  /** Milliseconds to wait now. */
  next(): number {
    const pause = this.#nextMs;
    this.#nextMs = Math.min(this.#nextMs * 2, BACKOFF_MAX_MS);
    return pause;
  }

  reset(): void {
    this.#nextMs = BACKOFF_FIRST_MS;
  }
}
