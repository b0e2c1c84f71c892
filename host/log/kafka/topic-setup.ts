/**
 * How a topic must be set up: made so where it is not there, refused where it would lose records.
 * Nothing is changed of a topic that exists: whoever set it up differently is to decide.
 */
import { KAFKA_BATCH_BYTES_MAX } from '../../limits.ts';
import { BROKER_ERROR, failureOf, misconfigured, TransientFailure } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import { createTopic, describeTopic } from './requests.ts';
import type { TopicMetadata } from './requests.ts';

export interface TopicSafety {
  /** Copies of each record; brokers that must have one before an append is acknowledged. */
  readonly replicationFactor: number;
  readonly minInsyncReplicas: number;
}

const UNKNOWN_TOPIC = 3;

/** Sure to be there, led, and set up well. `mayMake`: made if it is not there, else undefined. */
export async function setUpTopic(
  cluster: Cluster,
  name: string,
  safety: TopicSafety,
  mayMake: boolean,
): Promise<TopicMetadata | undefined> {
  return await cluster.retry(`looking for topic \`${name}\``, async () => {
    let topic = await cluster.topic(name, true);
    if (topic.error === UNKNOWN_TOPIC) {
      if (!mayMake) return undefined;
      await makeTopic(cluster, name, safety);
      topic = await cluster.topic(name, true);
    }
    await cluster.leader(name);
    await checkTopic(cluster, topic, safety);
    return topic;
  });
}

/** Others may make it at the same time. */
async function makeTopic(cluster: Cluster, name: string, safety: TopicSafety): Promise<void> {
  const topic = {
    name,
    partitionCount: 1,
    replicaCount: safety.replicationFactor,
    settings: {
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
      'retention.bytes': '-1',
      'message.timestamp.type': 'LogAppendTime',
      'compression.type': 'producer',
      'unclean.leader.election.enable': 'false',
      'max.message.bytes': String(KAFKA_BATCH_BYTES_MAX),
      'min.insync.replicas': String(safety.minInsyncReplicas),
    },
  };
  const request = createTopic(topic, cluster.requestMs);
  const { error, message } = await cluster.ask(undefined, request, cluster.requestMs * 2);
  if (error === BROKER_ERROR.none || error === BROKER_ERROR.topicExists) return;
  const doing = `making topic \`${name}\``;
  const failure = failureOf(error, doing, message);
  // Brokers that start together register one after another.
  if (error === BROKER_ERROR.invalidReplicationFactor) throw new TransientFailure(failure.message);
  throw failure;
}

interface Rule {
  readonly setting: string;
  readonly wanted: string;
  readonly holds: (value: string) => boolean;
}

function rulesOf(safety: TopicSafety): Rule[] {
  const is = (setting: string, wanted: string): Rule => ({
    setting,
    wanted,
    holds: (value) => value === wanted,
  });
  const atLeast = (setting: string, least: number): Rule => ({
    setting,
    wanted: `at least ${least}`,
    holds: (value) => Number(value) >= least,
  });
  return [
    is('cleanup.policy', 'delete'),
    is('retention.ms', '-1'),
    is('retention.bytes', '-1'),
    is('message.timestamp.type', 'LogAppendTime'),
    is('unclean.leader.election.enable', 'false'),
    {
      setting: 'compression.type',
      wanted: 'producer',
      holds: (value) => ['producer', 'uncompressed', 'gzip'].includes(value),
    },
    atLeast('max.message.bytes', KAFKA_BATCH_BYTES_MAX),
    atLeast('min.insync.replicas', safety.minInsyncReplicas),
  ];
}

/** Throws `log_misconfigured` with all that is wrong. */
async function checkTopic(
  cluster: Cluster,
  topic: TopicMetadata,
  safety: TopicSafety,
): Promise<void> {
  const { error, message, values } = await cluster.ask(undefined, describeTopic(topic.name));
  if (error !== 0)
    throw failureOf(error, `reading the settings of topic \`${topic.name}\``, message);
  const wrong: { setting: string; found: string; wanted: string }[] = [];
  for (const { setting, wanted, holds } of rulesOf(safety)) {
    const found = values.get(setting);
    if (found === undefined || !holds(found)) {
      wrong.push({ setting, found: found ?? 'nothing', wanted });
    }
  }
  const partitionCount = topic.partitions.length;
  if (partitionCount !== 1) {
    wrong.push({ setting: 'partitions', found: String(partitionCount), wanted: '1' });
  }
  const { replicationFactor } = safety;
  const replicaCount = topic.partitions[0]?.replicaCount ?? 0;
  if (replicaCount < replicationFactor) {
    const wanted = `at least ${replicationFactor}`;
    wrong.push({ setting: 'replication factor', found: String(replicaCount), wanted });
  }
  if (wrong.length === 0) return;
  const list = wrong.map(
    ({ setting, found, wanted }) => `\`${setting}\` is \`${found}\`, wanted is \`${wanted}\``,
  );
  throw misconfigured(
    `topic \`${topic.name}\` would lose or hide records: ${list.join('; ')}`,
    'change the settings of the topic, or use a bus of another name',
    { topic: topic.name, settings: wrong },
  );
}
