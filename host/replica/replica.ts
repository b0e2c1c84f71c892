/**
 * The contract of a replica: what the API, the subscriptions, the command line and the drivers see.
 * Errors are `CaucusError`s. A token is opaque to callers: log id and revision.
 */
import type { PolicyDescription } from '../compiler/describe-policies.ts';
import type { Diagnostic } from '../compiler/diagnostic.ts';
import type { PolicyKind } from '../compiler/policy-info.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { ProofDocument, ReasonsDocument } from '../explain/document.ts';
import type { TableChange, TableDelta } from '../engine/engine.ts';
import type { ClusterStatus } from './cluster-status.ts';
import type { RowBlock } from '../value/row-block.ts';

export type Consistency =
  | 'any'
  | 'latest'
  | { readonly atLeast: string }
  | { readonly exact: string };

/** State at a revision; every answer carries it. */
export interface Position {
  readonly revision: number;
  readonly token: string;
}

export interface QueryRequest {
  readonly query: string;
  readonly policy?: string;
  readonly consistency?: Consistency;
  readonly rowsMax?: number;
  /** Bound on waiting for a token, ms. Exceeded: `replica_behind`. */
  readonly waitMs?: number;
}
export interface QueryAnswer extends Position {
  readonly columns: readonly string[];
  /** Sorted, distinct. A ground query has arity 0 and 0 or 1 rows. */
  readonly rows: RowBlock;
  readonly truncated: boolean;
}

export interface ExplainRequest extends Omit<QueryRequest, 'query' | 'rowsMax'> {
  /** A table with constants, and `_` for any value. */
  readonly row: string;
  /** Rows of the proof, and steps from the row that was asked for; those behind are cut off. */
  readonly nodesMax?: number;
  readonly depthMax?: number;
}
/** `proof` is absent where there is no such row. */
export interface Explanation extends Position {
  readonly proof?: ProofDocument;
}

export type WhyNotRequest = Omit<QueryRequest, 'rowsMax'>;
/** `reasons` is absent where the query has a solution. */
export interface WhyNotAnswer extends Position {
  readonly reasons?: ReasonsDocument;
}

/**
 * One atomic batch for tables of one source. Table names are bare (`servers`, not `nova:servers`).
 */
export interface Batch {
  readonly source: string;
  readonly changes: readonly TableChange[];
  /** The batch is all that the source has: tables that `changes` does not name become empty. */
  readonly snapshot?: boolean;
  /** Idempotency key, at most 200 bytes, with the digest of the body it belongs to. */
  readonly id?: { readonly key: string; readonly bodyDigest: string };
}

export interface PolicyWrite {
  readonly name: string;
  /** null deletes. */
  readonly text: string | null;
}
/**
 * `pending`: the change is stored and its verdict not known, because the log cannot be reached; the
 * token stands for it, and `revision` is the last known one.
 */
export interface PolicyPosition extends Position {
  readonly pending?: boolean;
}
export interface PolicyDryRun {
  readonly diagnostics: readonly Diagnostic[];
  /** Rows that would appear and vanish, by table; empty where there are errors. */
  readonly deltas: readonly TableDelta[];
}

/** A query kept up to date. Views with equal text share one. */
export interface View {
  readonly columns: readonly string[];
  /** The rows at `position`; nothing after it is missed by `onCommit`. */
  readonly snapshot: RowBlock;
  readonly position: Position;
  /** Its table in `Commit.deltas`. */
  readonly table: TableKey;
  /** Changes after `from` up to `position`, where still held (for resume); else undefined. */
  readonly since?: readonly ViewDelta[];
  close(): void;
}
export interface ViewDelta extends Position {
  readonly insert: RowBlock;
  readonly delete: RowBlock;
}

export interface Commit extends Position {
  readonly deltas: ReadonlyMap<TableKey, TableDelta>;
}

/** How far a start is: the revision applied last, and the newest of the log. */
export interface StartProgress {
  readonly revision: number;
  readonly newest: number;
}

/** Why a source's rows are old, in the words of error texts. */
export interface SourceTrouble {
  readonly message: string;
  readonly remedy?: string;
  readonly table?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

export interface SourceStatus {
  readonly name: string;
  /** Number of rows by table. */
  readonly tables: Readonly<Record<string, number>>;
  /** The rows are the last good ones: the outside cannot be read. */
  readonly stale: boolean;
  /** Of sources with one fenced writer: which it is. */
  readonly generation?: number;
  readonly owner?: string;
  /** Of sources that a driver fills. */
  readonly driver?: string;
  readonly state?: 'starting' | 'fresh' | 'stale' | 'stopped';
  /** When the outside was last seen to agree with the rows, ms since the epoch; 0: never. */
  readonly freshAtMs?: number;
  readonly problems?: readonly SourceTrouble[];
}

export interface ReplicaStatus extends Position {
  readonly phase:
    | 'starting'
    | 'restoring'
    | 'catching-up'
    | 'live'
    | 'read-only'
    | 'quarantined'
    | 'draining'
    | 'stopped';
  readonly ready: boolean;
  readonly logId: string;
  readonly policies: readonly {
    readonly name: string;
    /** null where it does not compile. */
    readonly kind: PolicyKind | null;
    readonly rules: number;
    readonly failed: string | null;
  }[];
  readonly sources: readonly SourceStatus[];
  readonly digest: string;
  /** Of a replica that is not alone. */
  readonly cluster?: ClusterStatus;
  /** While the replica starts. */
  readonly progress?: StartProgress;
  /** What the start lacks, in words. */
  readonly waitingFor?: string;
  /**
   * Token of the oldest revision from which a view that is still kept can be resumed with deltas.
   */
  readonly retainFrom?: string;
}

export interface Replica {
  status(): ReplicaStatus;
  query(request: QueryRequest): Promise<QueryAnswer>;
  /** Why a row is there. */
  explain(request: ExplainRequest): Promise<Explanation>;
  /** Why a query has no solution. */
  whyNot(request: WhyNotRequest): Promise<WhyNotAnswer>;
  /** Resolves when durable and applied. */
  writeBatch(batch: Batch): Promise<Position>;
  readPolicy(
    name: string,
    consistency?: Consistency,
  ): Promise<Position & { readonly text: string }>;
  /** `policy_failed` where the policy does not compile any more. */
  describePolicy(name: string, consistency?: Consistency): Promise<Position & PolicyDescription>;
  /**
   * All in one revision, or none: `invalid_policy` carries the diagnostics in `details`. Equal
   * text changes nothing.
   */
  writePolicies(writes: readonly PolicyWrite[]): Promise<PolicyPosition>;
  dryRun(write: PolicyWrite): Promise<PolicyDryRun>;
  openView(request: {
    readonly query: string;
    readonly policy?: string;
    readonly from?: string;
  }): Promise<View>;
  /**
   * Called after each revision, in order, in the same tick as the state changes. Returns the
   * unsubscriber.
   */
  onCommit(listener: (commit: Commit) => void): () => void;
  /** A view that can no longer be kept (its policy went, a limit): closed with the error. */
  onViewLost(listener: (table: TableKey, error: Error) => void): () => void;
  close(): Promise<void>;
}
