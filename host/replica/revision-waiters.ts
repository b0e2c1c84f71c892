/** Requests that wait for a revision, each with a bound. */
import { CaucusError } from '../errors.ts';

export interface Timer {
  /** Calls back once after `ms` unless cancelled; returns the canceller. */
  (callback: () => void, ms: number): () => void;
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class RevisionWaiters {
  readonly #waiters = new Set<Waiter>();
  readonly #setTimer: Timer;
  #failure: unknown;

  constructor(setTimer: Timer) {
    this.#setTimer = setTimer;
  }

  /** `lateError` makes what is thrown when `waitMs` have passed. */
  wait(revision: number, waitMs: number, lateError: () => Error): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const cancel = this.#setTimer(() => {
        this.#waiters.delete(waiter);
        reject(lateError());
      }, waitMs);
      const waiter: Waiter = {
        revision,
        resolve: () => {
          cancel();
          resolve();
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  reached(revision: number): void {
    for (const waiter of this.#waiters) {
      if (waiter.revision > revision) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Nothing will be reached any more. */
  fail(error: unknown): void {
    this.#failure = error;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }
}

/** What those are told who waited for a policy version. */
export function policiesBehind(
  { policyVersion, revision }: { readonly policyVersion: number; readonly revision: number },
  wanted: number,
): CaucusError {
  return new CaucusError(
    'replica_behind',
    `this replica has policy version ${policyVersion}, not ${wanted}`,
    {
      remedy: 'ask another replica, or again in a moment',
      details: { revision, policyVersion, wanted },
    },
  );
}
