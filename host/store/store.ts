/**
 * The contract of the policy database: it gives out versions, and holds what is still to be put on
 * the policy topic (a transactional outbox). The topic decides; this is where writers agree on the
 * next version before. Implementations: `sqlite-store.ts`, `mariadb-store.ts`; one suite,
 * `test/suites/store-suite.ts`, that each passes, and one place for their rules, `proposals.ts`.
 *
 * Proposals form a chain: each has the version and hash of the one before it. Callers publish them
 * in the order of versions. What resolved is durable. A disk that cannot be written is `disk_full`;
 * a server that cannot be reached is `store_unavailable`, with `outcome: "unknown"` in the details
 * where the write may have been made all the same.
 */
import type { PolicyChange, PolicyOp, PolicyRecord } from '../log/records.ts';

/**
 * `pending`: not known to be on the topic. `published`: it is. `accepted`, `rejected`: the verdict
 * of the fold. `superseded`: the topic has another record under this version, or one that this
 * follows.
 */
export type ProposalState = 'pending' | 'published' | 'accepted' | 'rejected' | 'superseded';
export type Verdict = 'accepted' | 'rejected';

export interface PolicyHead {
  /** 0 while there is no proposal. */
  readonly version: number;
  readonly hash: string;
}

export interface Proposal extends PolicyHead {
  readonly previousHash: string;
  readonly op: PolicyOp;
  readonly changes: readonly PolicyChange[];
  readonly state: ProposalState;
  /** What came with the verdict: JSON text of the diagnostics, say. */
  readonly verdict: string | null;
}

export type ProposeResult =
  | ({ readonly ok: true } & PolicyHead)
  /** Another write was first: `head` is what to start from. */
  | { readonly ok: false; readonly head: PolicyHead };

export interface StoredPolicy {
  readonly name: string;
  readonly text: string;
  /** Version of the proposal that wrote it. */
  readonly version: number;
}

export interface Store {
  /** The newest proposal that was not superseded. */
  head(): Promise<PolicyHead>;
  /** The next version, if the head still is what the caller saw: compare-and-swap. */
  propose(
    previousVersion: number,
    previousHash: string,
    op: PolicyOp,
    changes: readonly PolicyChange[],
  ): Promise<ProposeResult>;
  /** Proposals to be published, oldest first. */
  pending(): Promise<readonly Proposal[]>;
  /** No error if it was published or judged before. */
  markPublished(version: number): Promise<void>;
  /**
   * Judges a published proposal; the texts of an accepted one are then in `policies`. Repeating
   * changes nothing.
   */
  setVerdict(version: number, verdict: Verdict, detail: string | null): Promise<void>;
  /**
   * A record that the topic has. Adds it if it is missing, marks it as published if it is there; if
   * another proposal has its version, that one and what follows it become `superseded`.
   */
  copyBack(record: PolicyRecord): Promise<void>;
  /** The proposal that was not superseded. */
  proposal(version: number): Promise<Proposal | undefined>;
  /** Those whose text never came to be, oldest first: nothing that a user wrote is hidden. */
  superseded(): Promise<readonly Proposal[]>;
  /** After all accepted proposals, sorted by name. */
  policies(): Promise<readonly StoredPolicy[]>;
  close(): Promise<void>;
}
