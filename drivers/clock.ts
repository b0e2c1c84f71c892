/** The clock of drivers. Tests pass one that they move by hand. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since some moment, for spans: setting the time of day does not move it. */
  monotonicMs(): number;
  /** Resolves after `ms` or when the signal aborts, whichever is first; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  wait: async (ms, signal) => {
    if (signal.aborted) return;
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  },
};
