/**
 * What is equal on every replica at a revision, besides the rows in the engine. Only the fold
 * writes it, only when a cut is committed; a checkpoint is this and the base rows.
 */
import { BATCH_ID_COUNT_MIN, BATCH_ID_MS_MIN } from '../limits.ts';
import { NO_HASH } from '../log/policy-hash.ts';
import type { PolicyRecord, PushRecord, RecordChange } from '../log/records.ts';
import { BatchIds } from './batch-ids.ts';
import type { BatchIdLimits } from './batch-ids.ts';
import { Births } from './births.ts';
import type { FailureRoot } from './failures.ts';
import { UNOPENED } from './fenced-source.ts';
import type { FencedState } from './fenced-source.ts';
import type { Registration, SourceKind } from './registration.ts';
import type { TopicEnd } from './sequencer.ts';

export interface PolicyState {
  readonly name: string;
  readonly text: string;
}

/** A batch whose last record has not come yet: the records so far. */
export interface UnfinishedBatch {
  /** Offset of its first record. */
  readonly first: number;
  readonly head: PushRecord;
  readonly parts: number;
  readonly changes: readonly RecordChange[];
  readonly appendTimeMs: number;
}

export interface SourceState {
  readonly name: string;
  readonly incarnation: number;
  readonly kind: SourceKind;
  /** Arity of each table that rows were pushed to, in the order in which they came. */
  readonly tables: Map<string, number>;
  readonly batchIds: BatchIds;
  /** Of a push source, by the writer's id. */
  readonly unfinished: Map<string, UnfinishedBatch>;
  /** Of a fenced source. */
  fenced: FencedState;
}

export interface ReplicatedState {
  /** Changes with a fork only. */
  logId: string;
  /** The level of meaning in force. */
  semantics: number;
  /** Offset of the cut that made this state. */
  revision: number;
  /** The time in force, milliseconds since the epoch: never goes back. */
  timeMs: number;
  /** How far each topic is applied: the next offset, and the checksum of the record before it. */
  readonly ends: Map<string, TopicEnd>;
  /** Version and hash of the last policy record that was accepted as the next one. */
  policyVersion: number;
  policyHash: string;
  /** That record itself: the policy database may need it when the log has been trimmed past it. */
  lastPolicyRecord: PolicyRecord | undefined;
  readonly policies: Map<string, PolicyState>;
  readonly sources: Map<string, SourceState>;
  /** Policies that failed by themselves. */
  readonly failures: Map<string, FailureRoot>;
  readonly births: Births;
  /** Policy records that did not follow, and those that were rejected. */
  ignoredPolicyRecords: number;
  /** Versions whose record was rejected, the newest `REJECTED_VERSIONS_MAX`. */
  rejectedPolicyVersions: readonly number[];
  rejectedBatches: number;
  /** Records in a topic that is not for them: of a source that is filled in another way. */
  ignoredRecords: number;
}

export const BATCH_ID_LIMITS: BatchIdLimits = {
  ageMsMin: BATCH_ID_MS_MIN,
  countMin: BATCH_ID_COUNT_MIN,
};

export function initialState(logId: string, semantics: number): ReplicatedState {
  return {
    logId,
    semantics,
    revision: 0,
    timeMs: 0,
    ends: new Map(),
    policyVersion: 0,
    policyHash: NO_HASH,
    lastPolicyRecord: undefined,
    policies: new Map(),
    sources: new Map(),
    failures: new Map(),
    births: new Births(),
    ignoredPolicyRecords: 0,
    rejectedPolicyVersions: [],
    rejectedBatches: 0,
    ignoredRecords: 0,
  };
}

export function newSource(
  name: string,
  { incarnation, kind }: Registration,
  limits: BatchIdLimits = BATCH_ID_LIMITS,
): SourceState {
  return {
    name,
    incarnation,
    kind,
    tables: new Map(),
    batchIds: new BatchIds(limits),
    unfinished: new Map(),
    fenced: UNOPENED,
  };
}
