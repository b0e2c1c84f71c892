/** What a broker or the way to it can answer, and what becomes of it. */
import { CaucusError } from '../../errors.ts';

/** Numbers of Kafka's protocol that mean something here. */
export const BROKER_ERROR = {
  none: 0,
  offsetOutOfRange: 1,
  messageTooLarge: 10,
  invalidTopic: 17,
  topicExists: 36,
  invalidReplicationFactor: 38,
  outOfOrderSequence: 45,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [-1, 'UNKNOWN_SERVER_ERROR'],
  [1, 'OFFSET_OUT_OF_RANGE'],
  [2, 'CORRUPT_MESSAGE'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION'],
  [5, 'LEADER_NOT_AVAILABLE'],
  [6, 'NOT_LEADER_OR_FOLLOWER'],
  [7, 'REQUEST_TIMED_OUT'],
  [8, 'BROKER_NOT_AVAILABLE'],
  [9, 'REPLICA_NOT_AVAILABLE'],
  [10, 'MESSAGE_TOO_LARGE'],
  [13, 'NETWORK_EXCEPTION'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS'],
  [15, 'COORDINATOR_NOT_AVAILABLE'],
  [16, 'NOT_COORDINATOR'],
  [17, 'INVALID_TOPIC_EXCEPTION'],
  [18, 'RECORD_LIST_TOO_LARGE'],
  [19, 'NOT_ENOUGH_REPLICAS'],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'],
  [29, 'TOPIC_AUTHORIZATION_FAILED'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED'],
  [33, 'UNSUPPORTED_SASL_MECHANISM'],
  [34, 'ILLEGAL_SASL_STATE'],
  [35, 'UNSUPPORTED_VERSION'],
  [36, 'TOPIC_ALREADY_EXISTS'],
  [37, 'INVALID_PARTITIONS'],
  [38, 'INVALID_REPLICATION_FACTOR'],
  [40, 'INVALID_CONFIG'],
  [41, 'NOT_CONTROLLER'],
  [44, 'POLICY_VIOLATION'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER'],
  [47, 'INVALID_PRODUCER_EPOCH'],
  [56, 'KAFKA_STORAGE_ERROR'],
  [58, 'SASL_AUTHENTICATION_FAILED'],
  [59, 'UNKNOWN_PRODUCER_ID'],
  [74, 'FENCED_LEADER_EPOCH'],
  [75, 'UNKNOWN_LEADER_EPOCH'],
  [78, 'OFFSET_NOT_AVAILABLE'],
  [87, 'INVALID_RECORD'],
  [89, 'THROTTLING_QUOTA_EXCEEDED'],
  [100, 'UNKNOWN_TOPIC_ID'],
  [103, 'INCONSISTENT_TOPIC_ID'],
]);

/** An append with these may be repeated, as the broker drops what it has. */
const TRANSIENT: ReadonlySet<number> = new Set([
  -1, 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 56, 74, 75, 78, 89, 100, 103,
]);
/** Nothing gets better by itself. */
const REFUSED: ReadonlySet<number> = new Set([17, 29, 31, 33, 34, 35, 37, 38, 40, 44, 58]);

/** A try failed; the next one may not. Never leaves this folder: `unavailable` does. */
export class TransientFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TransientFailure';
  }
}

/** A broker's error as one of ours. */
export function failureOf(code: number, doing: string, detail?: string | null): Error {
  const name = NAMES.get(code) ?? `error ${code}`;
  const message = `${doing}: the broker answered ${name}${detail ? ` (${detail})` : ''}`;
  if (TRANSIENT.has(code)) return new TransientFailure(message);
  if (REFUSED.has(code)) return misconfigured(message, REMEDIES.get(code) ?? REMEDY_LOG);
  return unavailable(message);
}

const REMEDY_LOG = 'see the log of the broker, and the settings of its listener';
const REMEDIES: ReadonlyMap<number, string> = new Map([
  [17, 'choose a bus of another name'],
  [29, 'allow this user to create, describe, read, write and delete records of its topics'],
  [31, 'allow this user to create topics, or create them beforehand'],
  [35, 'use Kafka 3.1 or newer'],
  [38, 'start more brokers, or configure a smaller replication factor'],
]);

export function misconfigured(message: string, remedy: string, details = {}): CaucusError {
  return new CaucusError('log_misconfigured', message, { remedy, details });
}

export function unavailable(message: string): CaucusError {
  return new CaucusError('log_unavailable', message, {
    remedy: 'check the brokers and the network; reading goes on by itself once they answer',
  });
}

export function closed(): CaucusError {
  return new CaucusError('not_ready', 'the log is closed', { remedy: 'start caucus again' });
}

export function diverged(topic: string, what: string, details = {}): CaucusError {
  return new CaucusError('log_diverged', `topic \`${topic}\` ${what}`, {
    remedy: 'records were lost in Kafka: restore them, or continue from a replica that has them',
    details: { topic, ...details },
  });
}
