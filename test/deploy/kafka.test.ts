import assert from 'node:assert/strict';
import test from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin, Consumer, EachMessageHandler, Producer, RetryOptions } from 'kafkajs';
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
const RETRY = { initialRetryTime: 100, factor: 0, multiplier: 1, retries: 300 };

async function connected<T extends Admin | Producer>(client: T, t: test.TestContext): Promise<T> {
  await client.connect();
  t.after(() => client.disconnect().catch(() => undefined));
  return client;
}

function clientOf(brokers: readonly string[], retry: RetryOptions = RETRY): Kafka {
  return new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry });
}

test('three brokers: what was acknowledged survives a cut and the kill of a leader', async (t) => {
  if (!canStartOrSkip(t, ['kafka'])) return;
  const proxies = await Promise.all([1, 2, 3].map((seed) => startFaultProxy({ seed })));
  t.after(() => Promise.all(proxies.map((proxy) => proxy.close())));
  const faultPorts = proxies.map(({ port }) => port);
  const kafka = await startKafka({ directory: componentDirectory(), nodes: 3, faultPorts });
  t.after(() => kafka.kill());
  for (const [index, { faultTarget }] of kafka.nodes.entries()) {
    assert.ok(faultTarget !== undefined);
    proxies[index]?.forwardTo(faultTarget);
  }
  const client = clientOf(kafka.brokers);
  const proxied = clientOf(kafka.faultBrokers);
  const admin = await connected(client.admin(), t);
  const proxiedAdmin = await connected(proxied.admin(), t);
  const { brokers } = await proxiedAdmin.describeCluster();
  assert.deepEqual(
    brokers.map(({ host, port }) => `${host}:${port}`).toSorted(),
    kafka.faultBrokers.toSorted(),
    'clients of proxies are told of proxies only',
  );
  const topic = 'kept';
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  const acknowledged: string[] = [];
  const sendSome = async (producer: Producer, what: string): Promise<void> => {
    for (let index = 0; index < 10; index++) {
      await producer.send({
        topic,
        acks: -1,
        messages: [{ partition: 0, value: `${what} ${index}` }],
      });
      acknowledged.push(`${what} ${index}`);
    }
  };

  const proxiedProducer = await connected(proxied.producer(), t);
  await sendSome(proxiedProducer, 'before the cut');
  const leader = await leaderOf(admin, topic);
  // The connection is gone under the producer's feet; it comes again.
  const proxy = proxies[leader - 1];
  proxy?.set({ kind: 'cut' });
  proxy?.set({ kind: 'pass' });
  await sendSome(proxiedProducer, 'after the cut');

  const producer = await connected(client.producer(), t);
  await sendSome(producer, 'before the kill');
  await nodeOf(kafka, leader).kill();
  await sendSome(producer, 'after the kill');
  assert.notEqual(await leaderOf(admin, topic), leader);

  const found = await valuesOf(client.consumer({ groupId: 'reader' }), topic, acknowledged.length);
  assert.deepEqual(
    acknowledged.filter((value) => !found.has(value)),
    [],
  );
  await nodeOf(kafka, leader).start();
  assert.equal(nodeOf(kafka, leader).state, 'running');
});

test('the shared broker makes no topic by itself', async (t) => {
  const brokers = await kafkaOrSkip(t);
  if (brokers === undefined) return;
  const admin = await connected(clientOf(brokers, { retries: 1 }).admin(), t);
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

/** Different values of the topic, once there are so many. */
async function valuesOf(consumer: Consumer, topic: string, count: number): Promise<Set<string>> {
  const found = new Set<string>();
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    const eachMessage: EachMessageHandler = async ({ message }) => {
      found.add(message.value?.toString() ?? '');
      if (found.size >= count) resolve();
    };
    consumer.run({ eachMessage }).catch(reject);
  });
  await consumer.disconnect();
  return found;
}

async function leaderOf(admin: Admin, topic: string): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]?.partitions[0]?.leader ?? 0;
}

function nodeOf(kafka: RunningKafka, id: number): RunningKafka['nodes'][number] {
  const node = kafka.nodes.find((node) => node.id === id);
  assert.ok(node !== undefined);
  return node;
}
