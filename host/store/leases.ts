/**
 * The contract of leases: who may act for what (a datasource node for its sources) at the moment.
 * Both stores implement it; one suite, `test/suites/lease-suite.ts`, that each passes.
 *
 * A lease is advice, not safety: its holder may have been paused past its end. What makes a late
 * holder harmless is the generation, which writers put into their records: it grows with every
 * change of hands, and the log lets the first `open` of the newest generation win.
 *
 * Time is that of the store, so that the clocks of the nodes need not agree.
 */
export interface Lease {
  readonly name: string;
  /** Random per start of the holder. */
  readonly owner: string;
  /** What people call the holder: its node id. */
  readonly holder: string;
  /** From 1; grows by one with every change of owner, and never goes back. */
  readonly generation: number;
  /** How long it still holds, ms; 0 or less: it has ended. */
  readonly remainingMs: number;
}

export interface Leases {
  /**
   * Takes the lease if it is free, has ended, or is this owner's already (which keeps the
   * generation and renews it). Compare-and-swap: of several callers at most one gets it. Returns
   * the lease as it is afterwards; the caller holds it if `owner` is its own.
   */
  takeLease(name: string, owner: string, holder: string, ttlMs: number): Promise<Lease>;
  /** Ends the lease if this owner still holds it in this generation; else nothing changes. */
  releaseLease(name: string, owner: string, generation: number): Promise<void>;
  /** All that there ever were, sorted by name. */
  leases(): Promise<readonly Lease[]>;
}
