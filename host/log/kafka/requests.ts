/**
 * The requests that Caucus sends to brokers, each in one version: what it asks and what it makes of
 * the answer. Their versions are those of Kafka 3.1: since then a fetch names topics by their ids,
 * which tells a topic that was deleted and made again from the old one.
 */
import { batchBytes, writeBatch } from './record-batch.ts';
import type { AbortedTransaction, Sequence } from './record-batch.ts';
import { WireReader, WireWriter } from './wire.ts';
import type { TopicId } from './wire.ts';

export interface WireRequest<T> {
  readonly name: string;
  readonly key: number;
  readonly version: number;
  encode(): Buffer;
  decode(bytes: Buffer): Decoded<T>;
}

export interface Decoded<T> {
  readonly value: T;
  /** The broker asks to wait so long before the next request. */
  readonly throttleMs: number;
}

/** Key and version of each. */
const PRODUCE = { name: 'Produce', key: 0, version: 7 };
const FETCH = { name: 'Fetch', key: 1, version: 13 };
const LIST_OFFSETS = { name: 'ListOffsets', key: 2, version: 3 };
const METADATA = { name: 'Metadata', key: 3, version: 12 };
const API_VERSIONS = { name: 'ApiVersions', key: 18, version: 0 };
const CREATE_TOPICS = { name: 'CreateTopics', key: 19, version: 3 };
const DELETE_RECORDS = { name: 'DeleteRecords', key: 21, version: 1 };
const INIT_PRODUCER_ID = { name: 'InitProducerId', key: 22, version: 1 };
const DESCRIBE_CONFIGS = { name: 'DescribeConfigs', key: 32, version: 2 };

/** All that a broker must speak. */
export const SPOKEN = [
  PRODUCE,
  FETCH,
  LIST_OFFSETS,
  METADATA,
  CREATE_TOPICS,
  DELETE_RECORDS,
  INIT_PRODUCER_ID,
  DESCRIBE_CONFIGS,
];

const ALL_REPLICAS = -1;
const CONSUMER = -1;
const COMMITTED_ONLY = 1;
const RESOURCE_TOPIC = 2;

export interface ApiVersion {
  readonly key: number;
  readonly min: number;
  readonly max: number;
}

/** Must be the first request on a connection. */
export function apiVersions(): WireRequest<{ error: number; versions: ApiVersion[] }> {
  return {
    ...API_VERSIONS,
    encode: () => new WireWriter().finish(),
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const error = reader.i16();
      const versions = reader.array(() => ({
        key: reader.i16(),
        min: reader.i16(),
        max: reader.i16(),
      }));
      return { value: { error, versions }, throttleMs: 0 };
    },
  };
}

export interface BrokerAddress {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface TopicMetadata {
  readonly name: string;
  readonly error: number;
  readonly id: TopicId;
  readonly partitions: readonly PartitionMetadata[];
}

export interface PartitionMetadata {
  readonly index: number;
  readonly error: number;
  /** −1: none at the moment. */
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicaCount: number;
}

export interface Metadata {
  readonly brokers: readonly BrokerAddress[];
  readonly topics: readonly TopicMetadata[];
}

const NO_TOPIC_ID = '0'.repeat(32);

/** Brokers, and where the topics are. Makes no topics. */
export function metadata(names: readonly string[]): WireRequest<Metadata> {
  return {
    ...METADATA,
    encode: () => {
      // The first tags are the end of the header.
      const writer = new WireWriter().tags();
      writer.compactArray(names, (name) => writer.topicId(NO_TOPIC_ID).compactString(name).tags());
      return writer.bool(false).bool(false).tags().finish();
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      reader.tags();
      const throttleMs = reader.i32();
      const brokers = reader.compactArray(() => readBroker(reader));
      reader.compactString();
      reader.i32();
      const topics = reader.compactArray(() => readTopic(reader));
      return { value: { brokers, topics }, throttleMs };
    },
  };
}

function readBroker(reader: WireReader): BrokerAddress {
  const id = reader.i32();
  const host = reader.compactString() ?? '';
  const port = reader.i32();
  reader.compactString();
  reader.tags();
  return { id, host, port };
}

function readTopic(reader: WireReader): TopicMetadata {
  const error = reader.i16();
  const name = reader.compactString() ?? '';
  const id = reader.topicId();
  reader.bool();
  const partitions = reader.compactArray(() => readPartition(reader));
  reader.i32();
  reader.tags();
  return { name, error, id, partitions };
}

function readPartition(reader: WireReader): PartitionMetadata {
  const error = reader.i16();
  const index = reader.i32();
  const leader = reader.i32();
  const leaderEpoch = reader.i32();
  const replicaCount = reader.compactArray(() => reader.i32()).length;
  reader.compactArray(() => reader.i32());
  reader.compactArray(() => reader.i32());
  reader.tags();
  return { index, error, leader, leaderEpoch, replicaCount };
}

export interface Produced {
  readonly error: number;
  readonly baseOffset: number;
  /** −1 where the topic keeps the writers' times. */
  readonly appendTimeMs: number;
}

/** One batch for partition 0 of one topic, acknowledged by all replicas in sync. */
export function produce(
  topic: string,
  records: readonly Uint8Array[],
  sequence: Sequence,
  timeMs: number,
  timeoutMs: number,
): WireRequest<Produced> {
  return {
    ...PRODUCE,
    encode: () => {
      const head = new WireWriter().string(null).i16(ALL_REPLICAS).i32(timeoutMs);
      const length = batchBytes(records);
      head.i32(1).string(topic).i32(1).i32(0).i32(length);
      const start = head.finish();
      const bytes = Buffer.allocUnsafe(start.length + length);
      start.copy(bytes);
      writeBatch(bytes, start.length, records, sequence, timeMs);
      return bytes;
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const [value] = readPartitions(reader, () => {
        const error = reader.i16();
        const baseOffset = reader.i64();
        const appendTimeMs = reader.i64();
        reader.i64();
        return { error, baseOffset, appendTimeMs };
      });
      return { value: only(value), throttleMs: reader.i32() };
    },
  };
}

/** Of an answer of an inflexible version: topics with partitions, of which there is one. */
function readPartitions<T>(reader: WireReader, read: () => T): T[] {
  return reader
    .array(() => {
      reader.string();
      return reader.array(() => {
        reader.i32();
        return read();
      });
    })
    .flat();
}

function only<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the answer names no partition');
  return value;
}

export interface ProducerIdentity {
  readonly error: number;
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** A new identity for a writer; no transactions. */
export function initProducerId(): WireRequest<ProducerIdentity> {
  return {
    ...INIT_PRODUCER_ID,
    encode: () => new WireWriter().string(null).i32(0).finish(),
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const throttleMs = reader.i32();
      const error = reader.i16();
      const producerId = reader.i64();
      return { value: { error, producerId, producerEpoch: reader.i16() }, throttleMs };
    },
  };
}

export interface WantedRecords {
  readonly topicId: TopicId;
  readonly offset: number;
  /** As known here; −1: not. */
  readonly leaderEpoch: number;
  /** Of the record before `offset`; −1: not known. The broker says if its log never had it. */
  readonly lastEpoch: number;
}

export interface FetchLimits {
  readonly waitMs: number;
  readonly bytes: number;
  readonly topicBytes: number;
}

export interface FetchedTopic {
  readonly topicId: TopicId;
  readonly error: number;
  /** One past the last committed record. */
  readonly end: number;
  readonly start: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Where the broker's log parts from what was read before. */
  readonly divergedAt: number | undefined;
  readonly bytes: Buffer;
}

export interface Fetched {
  readonly error: number;
  readonly topics: readonly FetchedTopic[];
}

/** Committed records of partition 0 of several topics; waits for the first one. */
export function fetch(wanted: readonly WantedRecords[], limits: FetchLimits): WireRequest<Fetched> {
  return {
    ...FETCH,
    encode: () => {
      const writer = new WireWriter().tags();
      writer.i32(CONSUMER).i32(limits.waitMs).i32(1).i32(limits.bytes).i8(COMMITTED_ONLY);
      // No fetch session: each request names all it wants.
      writer.i32(0).i32(-1);
      writer.compactArray(wanted, (topic) => {
        writer.topicId(topic.topicId).uvarint(2).i32(0).i32(topic.leaderEpoch).i64(topic.offset);
        writer.i32(topic.lastEpoch).i64(-1).i32(limits.topicBytes).tags().tags();
      });
      return writer
        .compactArray([], () => undefined)
        .compactString('')
        .tags()
        .finish();
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      reader.tags();
      const throttleMs = reader.i32();
      const error = reader.i16();
      reader.i32();
      const topics = reader.compactArray(() => {
        const topicId = reader.topicId();
        const partitions = reader.compactArray(() => readFetched(reader, topicId));
        reader.tags();
        return partitions;
      });
      return { value: { error, topics: topics.flat() }, throttleMs };
    },
  };
}

const TAG_DIVERGING_EPOCH = 0;

function readFetched(reader: WireReader, topicId: TopicId): FetchedTopic {
  reader.i32();
  const error = reader.i16();
  reader.i64();
  const end = reader.i64();
  const start = reader.i64();
  const aborted = reader.compactArray(() => {
    const transaction = { producerId: reader.i64(), firstOffset: reader.i64() };
    reader.tags();
    return transaction;
  });
  reader.i32();
  const bytes = reader.raw(Math.max(0, reader.uvarint() - 1));
  let divergedAt: number | undefined;
  reader.tags((tag, field) => {
    if (tag !== TAG_DIVERGING_EPOCH) return;
    field.i32();
    divergedAt = field.i64();
  });
  return { topicId, error, end, start, aborted, divergedAt, bytes };
}

/** What to ask `listOffset` for. */
export const OFFSET_START = -2;
export const OFFSET_END = -1;

/** The first offset of partition 0, or one past its last committed record. */
export function listOffset(
  topic: string,
  which: number,
): WireRequest<{ error: number; offset: number }> {
  return {
    ...LIST_OFFSETS,
    encode: () => {
      const writer = new WireWriter().i32(CONSUMER).i8(COMMITTED_ONLY);
      return writer.i32(1).string(topic).i32(1).i32(0).i64(which).finish();
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const throttleMs = reader.i32();
      const [value] = readPartitions(reader, () => {
        const error = reader.i16();
        reader.i64();
        return { error, offset: reader.i64() };
      });
      return { value: only(value), throttleMs };
    },
  };
}

/** Records of partition 0 below `before` are gone on all replicas. */
export function deleteRecords(
  topic: string,
  before: number,
  timeoutMs: number,
): WireRequest<{ error: number }> {
  return {
    ...DELETE_RECORDS,
    encode: () => {
      const writer = new WireWriter().i32(1).string(topic).i32(1).i32(0).i64(before);
      return writer.i32(timeoutMs).finish();
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const throttleMs = reader.i32();
      const [value] = readPartitions(reader, () => {
        reader.i64();
        return { error: reader.i16() };
      });
      return { value: only(value), throttleMs };
    },
  };
}

export interface NewTopic {
  readonly name: string;
  readonly partitionCount: number;
  readonly replicaCount: number;
  readonly settings: Readonly<Record<string, string>>;
}

export function createTopic(
  topic: NewTopic,
  timeoutMs: number,
): WireRequest<{ error: number; message: string | null }> {
  return {
    ...CREATE_TOPICS,
    encode: () => {
      const writer = new WireWriter().i32(1).string(topic.name).i32(topic.partitionCount);
      writer.i16(topic.replicaCount).i32(0);
      writer.array(Object.entries(topic.settings), ([name, value]) =>
        writer.string(name).string(value),
      );
      return writer.i32(timeoutMs).bool(false).finish();
    },
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const throttleMs = reader.i32();
      const [value] = reader.array(() => {
        reader.string();
        return { error: reader.i16(), message: reader.string() };
      });
      return { value: only(value), throttleMs };
    },
  };
}

export interface TopicSettings {
  readonly error: number;
  readonly message: string | null;
  /** In force, defaults included. */
  readonly values: ReadonlyMap<string, string>;
}

export function describeTopic(topic: string): WireRequest<TopicSettings> {
  return {
    ...DESCRIBE_CONFIGS,
    encode: () =>
      new WireWriter().i32(1).i8(RESOURCE_TOPIC).string(topic).i32(-1).bool(false).finish(),
    decode: (bytes) => {
      const reader = new WireReader(bytes);
      const throttleMs = reader.i32();
      const [value] = reader.array(() => {
        const error = reader.i16();
        const message = reader.string();
        reader.i8();
        reader.string();
        return { error, message, values: new Map(reader.array(() => readSetting(reader))) };
      });
      return { value: only(value), throttleMs };
    },
  };
}

function readSetting(reader: WireReader): [name: string, value: string] {
  const name = reader.string() ?? '';
  const value = reader.string() ?? '';
  reader.bool();
  reader.i8();
  reader.bool();
  reader.array(() => {
    reader.string();
    reader.string();
    return reader.i8();
  });
  return [name, value];
}
