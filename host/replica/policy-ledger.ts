/** What the replica asks of the policy database. */
import type { PolicyRecord } from '../log/records.ts';
import type { PolicyState } from './replicated-state.ts';

export interface PolicyLedger {
  /** Version and hash of its newest entry that was not superseded. */
  head(): Promise<{ readonly version: number; readonly hash: string }>;
  /** Takes the record if it continues the head, in one atomic step with its place in the outbox. */
  propose(record: PolicyRecord): Promise<boolean>;
  /** Records without an outcome, by version. */
  outbox(): Promise<readonly PolicyRecord[]>;
  /** The outcome; superseded records keep their text, and the head goes back to the one before. */
  settle(record: PolicyRecord, outcome: 'accepted' | 'rejected' | 'superseded'): Promise<void>;
  /** Whether an accepted or rejected record continues this one. */
  isFollowed(record: PolicyRecord): Promise<boolean>;
  /** Replaces head and texts by those that hold in the log. */
  adopt(state: {
    readonly version: number;
    readonly hash: string;
    readonly policies: readonly PolicyState[];
  }): Promise<void>;
}
