/**
 * What a replica knows of its cluster: the member `cluster` of `GET /v1/status`. Absent in a
 * single process.
 */
export interface ClusterStatus {
  /** By node id, this one included. */
  readonly replicas: readonly ReplicaPresence[];
  readonly leases: readonly LeaseStatus[];
}

/** What a replica has said of itself last. */
export interface ReplicaPresence {
  readonly nodeId: string;
  readonly phase: string;
  readonly revision: number;
  /** Of `digestRevision`, the newest revision that it has told a digest of; empty: none so far. */
  readonly digest: string;
  readonly digestRevision: number;
  /** The newest revision of which it holds a checkpoint; 0: none. */
  readonly checkpointRevision: number;
  /** Where others reach it; empty: they do not. */
  readonly url: string;
  /** When it was last heard of, ms since the epoch, by the clock of the replica that answers. */
  readonly seenMs: number;
}

export interface LeaseStatus {
  readonly name: string;
  /** Node id. */
  readonly holder: string;
  readonly generation: number;
  /** How long it still holds; 0 or less: it has ended. */
  readonly remainingMs: number;
}
