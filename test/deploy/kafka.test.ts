import assert from 'node:assert/strict';
import test from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin, Producer } from 'kafkajs';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import {
  canStartOrSkip,
  componentDirectory,
  freshTopicPrefix,
  kafkaOrSkip,
} from '../support/components.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';

/** A broker that is gone for three seconds loses its partitions. */
const RETRY = { initialRetryTime: 100, factor: 1, multiplier: 1, retries: 150 };

async function connected<T extends Admin | Producer>(client: T, t: test.TestContext): Promise<T> {
  await client.connect();
  t.after(() => client.disconnect().catch(() => undefined));
  return client;
}

function clientOf(brokers: readonly string[]): Kafka {
  return new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry: RETRY });
}

async function send(producer: Producer, topic: string, value: string): Promise<void> {
  await producer.send({ topic, acks: -1, messages: [{ partition: 0, value }] });
}

test('three brokers: what was acknowledged is there after kill -9 of the leader', async (t) => {
  if (!canStartOrSkip(t, ['kafka'])) return;
  const kafka = await startKafka({ directory: componentDirectory(), nodes: 3 });
  t.after(() => kafka.kill());
  const client = clientOf(kafka.brokers);
  const admin = await connected(client.admin(), t);
  const topic = 'kept';
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  const producer = await connected(client.producer({ allowAutoTopicCreation: false }), t);
  for (let index = 0; index < 20; index++) await send(producer, topic, `before ${index}`);
  const leader = await leaderOf(admin, topic);
  await nodeOf(kafka, leader).kill();
  for (let index = 0; index < 20; index++) await send(producer, topic, `after ${index}`);
  assert.notEqual(await leaderOf(admin, topic), leader);
  const [offsets] = await admin.fetchTopicOffsets(topic);
  // A send that was repeated may be there twice.
  assert.ok(Number(offsets?.high) >= 40, `${offsets?.high} records`);
  await nodeOf(kafka, leader).start();
  assert.equal(nodeOf(kafka, leader).state, 'running');
});

test('through a fault proxy: clients get no other address, and lose nothing to a cut', async (t) => {
  if (!canStartOrSkip(t, ['kafka'])) return;
  const proxy = await startFaultProxy({ seed: 1 });
  t.after(() => proxy.close());
  const kafka = await startKafka({
    directory: componentDirectory(),
    nodes: 1,
    faultPorts: [proxy.port],
  });
  t.after(() => kafka.kill());
  assert.deepEqual(kafka.faultBrokers, [`127.0.0.1:${proxy.port}`]);
  const target = kafka.nodes[0]?.faultTarget;
  assert.ok(target !== undefined);
  proxy.forwardTo(target);
  const client = clientOf(kafka.faultBrokers);
  const admin = await connected(client.admin(), t);
  const topic = 'through';
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  const producer = await connected(client.producer({ allowAutoTopicCreation: false }), t);
  await send(producer, topic, 'one');
  proxy.set({ kind: 'cut' });
  const second = send(producer, topic, 'two');
  proxy.set({ kind: 'pass' });
  await second;
  const [offsets] = await admin.fetchTopicOffsets(topic);
  assert.ok(Number(offsets?.high) >= 2);
  const { brokers } = await admin.describeCluster();
  assert.deepEqual(
    brokers.map(({ host, port }) => `${host}:${port}`),
    kafka.faultBrokers,
  );
});

test('the shared broker makes no topic by itself', async (t) => {
  const brokers = await kafkaOrSkip(t);
  if (brokers === undefined) return;
  const admin = await connected(clientOf(brokers).admin(), t);
  const prefix = freshTopicPrefix();
  const unknown = admin.fetchTopicOffsets(`${prefix}nobody-made-this`);
  await assert.rejects(unknown, /does not host this topic-partition/);
  await admin.createTopics({ topics: [{ topic: `${prefix}made`, numPartitions: 1 }] });
  const topics = await admin.listTopics();
  assert.deepEqual(
    topics.filter((topic) => topic.startsWith(prefix)),
    [`${prefix}made`],
  );
});

async function leaderOf(admin: Admin, topic: string): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]?.partitions[0]?.leader ?? 0;
}

function nodeOf(kafka: RunningKafka, id: number): RunningKafka['nodes'][number] {
  const node = kafka.nodes.find((node) => node.id === id);
  assert.ok(node !== undefined);
  return node;
}
