/** What a replica is made of. It reads no clock, no randomness and no disk but through these. */
import type { Plan, QueryPlan } from '../compiler/plan.ts';
import type { Engine } from '../engine/engine.ts';
import type { CheckpointStore } from '../log/checkpoint-store.ts';
import type { Log } from '../log/log.ts';
import type { Leases } from '../store/leases.ts';
import type { Store } from '../store/store.ts';
import type { NodeSettings, Suspect } from './peers.ts';
import type { CompiledQuery, Lower } from './planner.ts';
import type { Phase } from './lifecycle.ts';
import type { StartProgress } from './replica.ts';
import type { Timer } from './revision-waiters.ts';

/** Stored checkpoints: what the replica asks of a `CheckpointStore`. */
export type Checkpoints = Pick<CheckpointStore, 'save' | 'loadNewest' | 'prune'>;

export interface FetchedCheckpoint {
  readonly revision: number;
  /** As its checkpoint store gave them. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface ReplicaDependencies {
  readonly engine: Engine;
  readonly lower: Lower;
  readonly lowerQuery: (plan: Plan, query: CompiledQuery) => QueryPlan;
  readonly log: Log;
  readonly store: Store;
  /** Who acts for what: only shown. */
  readonly leases?: Pick<Leases, 'leases'>;
  readonly checkpoints: Checkpoints;
  /**
   * The newest checkpoint of another replica, by its `url`. Verified before it is used; the
   * rejection is reported, and the next replica asked.
   */
  readonly fetchCheckpoint?: (url: string) => Promise<FetchedCheckpoint>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly setTimer: Timer;
  /** In [0, 1): spreads what several replicas would do at once. */
  readonly random: () => number;
  /** 16 random bytes or more, as text. */
  readonly randomId: () => string;
  /** Lets the event loop turn: resolves in a later macrotask. */
  readonly yield: () => Promise<void>;
  readonly onPhase?: (phase: Phase) => void;
  /** While it catches up: once at the beginning, then after each revision. */
  readonly onProgress?: (progress: StartProgress) => void;
  /** What goes wrong besides any request, such as a checkpoint that cannot be saved. */
  readonly onProblem?: (error: Error) => void;
  /** After each revision, also while catching up. `digest` is worked out when it is called. */
  readonly onRevision?: (revision: number, digest: () => string) => void;
  /** This replica differs from the others: it is to be closed, and built anew with `suspect`. */
  readonly onDiverged?: (suspect: Suspect) => void;
  /**
   * The others have trimmed the log past this replica, or its memory is broken: it is to be closed,
   * and built anew.
   */
  readonly onOvertaken?: () => void;
  /** Other replicas use the same log and store; absent: it is alone. */
  readonly node?: NodeSettings;
  readonly settings?: Partial<ReplicaSettings>;
}

export interface ReplicaSettings {
  readonly checkpointRevisions: number;
  readonly checkpointRecordBytes: number;
  /**
   * Without memory the policy to blame fails, as with any limit. For a replica that is alone:
   * memory is no function of the state, so others could decide otherwise.
   */
  readonly memoryFailsPolicies: boolean;
  /** About how large the records of a batch are made. */
  readonly recordBytes: number;
  /** The highest level of meaning that counts as known; for tests of what a raise does. */
  readonly semanticsMax: number;
}
