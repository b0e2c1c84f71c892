/**
 * Holding a lease: it is renewed in time, and whoever acts under it stops when it was not, by the
 * monotonic clock of this process and without waiting for an answer of the database. What makes a
 * holder harmless that notices too late (it was paused) is the generation in its records, not this.
 */
import type { Leases } from '../host/store/leases.ts';
import type { Clock } from './clock.ts';
import { LEASE_LOOKS, LEASE_RENEWALS } from './limits.ts';

export interface LeaseOptions {
  readonly leases: Leases;
  readonly name: string;
  /** Random per attempt to hold it. */
  readonly owner: string;
  /** The node id. */
  readonly holder: string;
  readonly ttlMs: number;
  readonly clock: Clock;
  /** The database cannot be asked: tried again. */
  readonly onProblem: (error: unknown) => void;
}

export class HeldLease {
  readonly generation: number;
  readonly #options: LeaseOptions;
  readonly #abort = new AbortController();
  #heldUntilMs: number;
  #watching: Promise<unknown> = Promise.resolve();

  private constructor(options: LeaseOptions, generation: number, heldUntilMs: number) {
    this.#options = options;
    this.generation = generation;
    this.#heldUntilMs = heldUntilMs;
  }

  /** The lease, or the node id of whoever has it. */
  static async take(options: LeaseOptions): Promise<HeldLease | string> {
    const { leases, name, owner, holder, ttlMs, clock } = options;
    // Counted from before the question: the database counts from later.
    const heldUntilMs = clock.monotonicMs() + ttlMs;
    const lease = await leases.takeLease(name, owner, holder, ttlMs);
    if (lease.owner !== owner) return lease.holder;
    const held = new HeldLease(options, lease.generation, heldUntilMs);
    held.#watching = Promise.all([held.#renew(), held.#watch()]);
    return held;
  }

  /** Aborts when it is not held any more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** False as soon as its time is over, even before the signal. */
  get isHeld(): boolean {
    return !this.signal.aborted && this.#options.clock.monotonicMs() < this.#heldUntilMs;
  }

  /** Gives it back, so that the next holder need not wait. Never throws: it ends by itself. */
  async release(): Promise<void> {
    this.#abort.abort();
    await this.#watching;
    const { leases, name, owner, onProblem } = this.#options;
    try {
      await leases.releaseLease(name, owner, this.generation);
    } catch (error) {
      onProblem(error);
    }
  }

  async #renew(): Promise<void> {
    const { leases, name, owner, holder, ttlMs, clock, onProblem } = this.#options;
    let pauseMs = ttlMs / LEASE_RENEWALS;
    for (;;) {
      await clock.wait(pauseMs, this.signal);
      if (!this.isHeld) {
        this.#abort.abort();
        return;
      }
      try {
        const heldUntilMs = clock.monotonicMs() + ttlMs;
        const lease = await leases.takeLease(name, owner, holder, ttlMs);
        if (lease.owner !== owner || lease.generation !== this.generation) this.#abort.abort();
        else this.#heldUntilMs = heldUntilMs;
        pauseMs = ttlMs / LEASE_RENEWALS;
      } catch (error) {
        onProblem(error);
        pauseMs = ttlMs / LEASE_LOOKS;
      }
    }
  }

  /** A renewal that hangs must not keep it. */
  async #watch(): Promise<void> {
    const { clock } = this.#options;
    while (this.isHeld) await clock.wait(this.#heldUntilMs - clock.monotonicMs(), this.signal);
    this.#abort.abort();
  }
}
