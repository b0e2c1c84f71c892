/** The contract of the log, and what only Kafka does, over a real broker that all tests share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import type { KafkaLog } from '../../host/log/kafka-log.ts';
import { kafkaTopicName } from '../../host/log/kafka/topic-name.ts';
import { RECORD_BYTES_MAX } from '../../host/limits.ts';
import { bytesOf, logSuite, readAll, readRange, textsOf } from '../suites/log-suite.ts';
import { freshTopicPrefix, kafkaOrSkip } from '../support/components.ts';
import { asAdmin, openTestLog, stockClient, topicConfig } from '../support/kafka-client.ts';

logSuite('log on kafka', async (t) => {
  const brokers = await kafkaOrSkip(t);
  if (brokers === undefined) return undefined;
  const bus = freshBus();
  const opened: KafkaLog[] = [];
  const open = async (): Promise<KafkaLog> => {
    const log = await openTestLog(brokers, bus);
    opened.push(log);
    return log;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((log) => log.close()));
  };
  return { open, openBeside: open, close };
});

function freshBus(): string {
  return `${freshTopicPrefix()}x`;
}

interface Place {
  readonly brokers: readonly string[];
  readonly bus: string;
  readonly log: KafkaLog;
}

function check(title: string, body: (place: Place, t: TestContext) => Promise<void>): void {
  test(`log on kafka: ${title}`, async (t) => {
    const brokers = await kafkaOrSkip(t);
    if (brokers === undefined) return;
    const bus = freshBus();
    const log = await openTestLog(brokers, bus);
    try {
      await body({ brokers, bus, log }, t);
    } finally {
      await log.close();
    }
  });
}

async function failureOf(promise: Promise<unknown>): Promise<CaucusError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof CaucusError, String(error));
    assert.ok(error.remedy);
    return error;
  }
  return assert.fail('nothing was refused');
}

check('the largest record goes through; a larger one is refused', async ({ log }) => {
  await log.ensureTopic('a');
  const record = new Uint8Array(RECORD_BYTES_MAX).fill(7);
  const small = bytesOf('small');
  const [first, second] = await Promise.all([log.append('a', [record]), log.append('a', [small])]);
  assert.deepEqual([first.first, second.first], [0, 1]);
  const read = await readAll(log, 'a');
  assert.equal(Buffer.compare(read[0]?.bytes ?? small, record), 0);
  const failure = await failureOf(log.append('a', [new Uint8Array(RECORD_BYTES_MAX + 1)]));
  assert.equal(failure.code, 'too_large');
});

check('an append of several batches says where its records are', async ({ log, brokers, bus }) => {
  await log.ensureTopic('a');
  const records = Array.from({ length: 5 }, (_, index) =>
    new Uint8Array(RECORD_BYTES_MAX / 2).fill(index),
  );
  assert.deepEqual(await offsetsOf(log.append('a', records)), [0, 1, 2, 3, 4]);
  const other = await openTestLog(brokers, bus);
  let isDone = false;
  const appending = offsetsOf(log.append('a', records)).finally(() => {
    isDone = true;
  });
  while (!isDone) await other.append('a', [bytesOf('x')]);
  const offsets = await appending;
  await other.close();
  const read = await readAll(log, 'a');
  offsets.forEach((offset, index) => assert.equal(read[offset]?.bytes[0], index));

  async function offsetsOf(appended: ReturnType<KafkaLog['append']>): Promise<readonly number[]> {
    const { first, offsets: all } = await appended;
    return all ?? records.map((_record, index) => first + index);
  }
});

const ENDANGERED: readonly [setting: string, value: string][] = [
  ['retention.ms', '604800000'],
  ['retention.bytes', '1000000'],
  ['cleanup.policy', 'compact'],
  ['cleanup.policy', 'compact,delete'],
  ['message.timestamp.type', 'CreateTime'],
  ['compression.type', 'lz4'],
  ['compression.type', 'snappy'],
  ['compression.type', 'zstd'],
  ['max.message.bytes', '1000000'],
  ['unclean.leader.election.enable', 'true'],
];

check('topics of others that would lose records are refused', async ({ log, brokers, bus }) => {
  const nameOf = (topic: string): string => kafkaTopicName(bus, topic);
  await asAdmin(brokers, async (admin) => {
    await admin.createTopics({
      topics: [
        topicConfig(nameOf('good')),
        topicConfig(nameOf('gzip'), { 'compression.type': 'gzip' }),
        topicConfig(nameOf('partitions'), {}, 2),
        ...ENDANGERED.map(([setting, value], index) =>
          topicConfig(nameOf(`bad${index}`), { [setting]: value }),
        ),
      ],
    });
  });
  for (const topic of ['good', 'gzip']) {
    await log.ensureTopic(topic);
    await log.append(topic, [bytesOf(topic)]);
    assert.deepEqual(textsOf(await readAll(log, topic)), [topic]);
  }
  for (const [index, [setting, value]] of ENDANGERED.entries()) {
    const failure = await failureOf(log.ensureTopic(`bad${index}`));
    assert.equal(failure.code, 'log_misconfigured');
    assert.ok(failure.message.includes(`\`${setting}\` is \`${value}\``), failure.message);
    // Nor is it used without ensuring.
    assert.equal((await failureOf(log.append(`bad${index}`, []))).code, 'log_misconfigured');
  }
  const { message } = await failureOf(log.ensureTopic('partitions'));
  assert.match(message, /`partitions` is `2`, wanted is `1`/);
  const stricter = await openTestLog(brokers, bus, { replicationFactor: 2 });
  const failure = await failureOf(stricter.ensureTopic('good'));
  assert.match(failure.message, /`replication factor` is `1`, wanted is `at least 2`/);
  assert.match(failure.message, /`min.insync.replicas` is `1`/);
  await stricter.close();
});

check('many make the same topic at once', async ({ brokers, bus }) => {
  const logs = await Promise.all(Array.from({ length: 5 }, () => openTestLog(brokers, bus)));
  await Promise.all(logs.map((log) => log.ensureTopic('raced')));
  const appended = await Promise.all(logs.map((log) => log.append('raced', [bytesOf('x')])));
  assert.deepEqual(
    appended.map(({ first }) => first).toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4],
  );
  await Promise.all(logs.map((log) => log.close()));
});

check('names that Kafka does not allow are escaped, each to its own', async ({ log }) => {
  const topics = ['source.a_b.1', 'source.a.b.1', 'source.a-b.1', 'Ärger 日本', 'x'.repeat(400)];
  for (const topic of [...topics, `${'x'.repeat(399)}y`]) {
    await log.ensureTopic(topic);
    assert.equal((await log.append(topic, [bytesOf(topic)])).first, 0);
    assert.deepEqual(textsOf(await readAll(log, topic)), [topic]);
  }
});

check('a reader that is overtaken by a trim is told', async ({ log }) => {
  await log.ensureTopic('a');
  const megabyte = new Uint8Array(1024 * 1024);
  for (let count = 0; count < 12; count++) await log.append('a', [megabyte]);
  const reader = log.read('a', 0, new AbortController().signal)[Symbol.asyncIterator]();
  await reader.next();
  await log.trim('a', 12);
  const failure = await failureOf(
    (async () => {
      while ((await reader.next()).done !== true);
    })(),
  );
  assert.equal(failure.code, 'revision_expired');
  assert.equal(failure.details['start'], 12);
});

check('a topic that is deleted and made again is not the same', async ({ log, brokers, bus }) => {
  await log.ensureTopic('a');
  const texts = ['0', '1', '2', '3'];
  await log.append('a', texts.map(bytesOf));
  const ends = {
    behind: failureOf(readRange(log, 'a', 2, 99)),
    end: failureOf(readRange(log, 'a', 4, 99)),
  };
  await asAdmin(brokers, async (admin) => {
    const topic = kafkaTopicName(bus, 'a');
    await admin.deleteTopics({ topics: [topic] });
    while ((await admin.listTopics()).includes(topic));
    // False: an attempt that seemed to fail has made it.
    const make = (): Promise<boolean | undefined> =>
      admin.createTopics({ topics: [topicConfig(topic)] }).catch(() => undefined);
    while ((await make()) === undefined);
  });
  // Longer than before, so that no offset tells.
  const other = await openTestLog(brokers, bus);
  for (let round = 0; round < 3; round++) await other.append('a', texts.map(bytesOf));
  assert.equal((await ends.behind).code, 'log_diverged');
  assert.equal((await ends.end).code, 'log_diverged');
  assert.equal((await failureOf(readRange(other, 'a', 40, 41))).code, 'log_diverged');
  // Whoever comes new knows nothing of the old one.
  assert.equal((await readRange(other, 'a', 0, 12)).length, 12);
  await other.close();
});

check('transactions of others: only what was committed, and no standstill', async (place) => {
  const { log, brokers, bus } = place;
  await log.ensureTopic('a');
  const topic = kafkaTopicName(bus, 'a');
  const producer = stockClient(brokers).producer({
    transactionalId: bus,
    maxInFlightRequests: 1,
    idempotent: true,
  });
  await producer.connect();
  for (const [value, commits] of [
    ['given up', false],
    ['committed', true],
    ['given up, too', false],
  ] as const) {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value }] });
    await (commits ? transaction.commit() : transaction.abort());
  }
  await producer.disconnect();
  // Each has its record and a marker, which the broker writes after it has answered: the end that
  // it tells may still be before the last transaction. Reading waits for it.
  const end = 6;
  const texts: string[] = [];
  for await (const { records, next } of log.read('a', 0, new AbortController().signal)) {
    texts.push(...textsOf(records));
    // The last offsets hold no record.
    if (next >= end) break;
  }
  assert.equal((await log.bounds('a')).end, end);
  assert.deepEqual(texts, ['committed']);
  assert.equal((await log.append('a', [bytesOf('x')])).first, 6);
});

test('log on kafka: nobody there, or bad names: clear errors, in bounded time', async () => {
  const nobody = failureOf(openTestLog(['127.0.0.1:1'], 'x', { operationMs: 100 }));
  assert.equal((await nobody).code, 'log_unavailable');
  assert.match((await nobody).message, /ECONNREFUSED/);
  for (const broker of ['', 'host', 'host:', 'host:x', ':1', 'a:b:1']) {
    assert.equal((await failureOf(openTestLog([broker], 'x'))).code, 'invalid_request');
  }
  for (const bus of ['', 'a.b', 'a_b', 'ä', '-a', 'x'.repeat(125)]) {
    assert.throws(() => kafkaTopicName(bus, 'a'), { code: 'invalid_request' });
  }
});

check('nothing sets a timer with a time in the past', async ({ log, brokers, bus }, t) => {
  const delays: unknown[] = [];
  const original = globalThis.setTimeout;
  t.mock.method(globalThis, 'setTimeout', ((run: () => void, ms?: number) => {
    delays.push(ms);
    return original(run, ms);
  }) as typeof setTimeout);
  const isPast = (ms: unknown): boolean => typeof ms === 'number' && ms < 0;
  await log.ensureTopic('a');
  await log.append('a', [bytesOf('x')]);
  await readAll(log, 'a');
  assert.ok(delays.length > 0);
  assert.equal(delays.filter(isPast).length, 0);
  // The stock client does.
  await asAdmin(brokers, (admin) => admin.fetchTopicOffsets(kafkaTopicName(bus, 'a')));
  assert.ok(delays.some(isPast));
});
