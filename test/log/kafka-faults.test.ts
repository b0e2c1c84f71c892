/** Brokers that are killed, stand still, lose acknowledgements or lose what they had. */
import assert from 'node:assert/strict';
import { readdir, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import { freePorts } from '../../deploy/loopback/ports.ts';
import { CaucusError } from '../../host/errors.ts';
import type { KafkaLog } from '../../host/log/kafka-log.ts';
import { BrokerConnection } from '../../host/log/kafka/broker-connection.ts';
import { initProducerId, produce } from '../../host/log/kafka/requests.ts';
import type { Produced, WireRequest } from '../../host/log/kafka/requests.ts';
import { kafkaTopicName } from '../../host/log/kafka/topic-name.ts';
import type { LogRecord } from '../../host/log/log.ts';
import { bytesOf, readAll, readRange, textsOf } from '../suites/log-suite.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { asAdmin, openTestLog, stockClient } from '../support/kafka-client.ts';

const PROBE_INTERVAL_MS = 2;

/** Resolves when `holds` does; leaves the processor to the brokers in between. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(PROBE_INTERVAL_MS);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof CaucusError) return error.code;
    throw error;
  }
  return 'none';
}

/** Appends one after another, never the same text twice, until it is stopped. */
class Appender {
  readonly acknowledged = new Map<number, string>();
  readonly rejected = new Set<string>();
  readonly done: Promise<void>;
  isStopped = false;

  constructor(log: KafkaLog, topic: string, name: string) {
    this.done = this.#run(log, topic, name);
  }

  async #run(log: KafkaLog, topic: string, name: string): Promise<void> {
    for (let count = 0; !this.isStopped; count++) {
      const texts = [`${name} ${count} a`, `${name} ${count} b`];
      try {
        const { first } = await log.append(topic, texts.map(bytesOf));
        texts.forEach((text, index) => this.acknowledged.set(first + index, text));
      } catch {
        for (const text of texts) this.rejected.add(text);
      }
    }
  }
}

/** What was acknowledged is there at its place; nothing is there twice or out of order. */
function checkHistory(records: readonly LogRecord[], appenders: readonly Appender[]): void {
  const texts = textsOf(records);
  for (const { acknowledged } of appenders) {
    for (const [offset, text] of acknowledged) assert.equal(texts[offset], text, `at ${offset}`);
  }
  assert.equal(new Set(texts).size, texts.length, 'a record is there twice');
  const last = new Map<string, number>();
  for (const text of texts) {
    const [name = '', count, half] = text.split(' ');
    const place = Number(count) * 2 + (half === 'b' ? 1 : 0);
    assert.ok(place > (last.get(name) ?? -1), `\`${text}\` is out of order`);
    last.set(name, place);
  }
}

describe('one broker', () => {
  let kafka: RunningKafka;
  let proxy: FaultProxy;
  let directory: string;
  let isAbsent = false;

  before(async (t) => {
    isAbsent = !canStartOrSkip(t as TestContext, ['kafka']);
    if (isAbsent) return;
    directory = componentDirectory();
    const [port = 0] = await freePorts(1);
    const properties = { 'log.cleaner.backoff.ms': 100 };
    kafka = await startKafka({ directory, nodes: 1, faultPorts: [port], properties });
    const target = kafka.nodes[0]?.faultTarget;
    assert.ok(target);
    proxy = await startFaultProxy({ port, target });
  });

  after(async () => {
    if (isAbsent) return;
    await proxy.close();
    await kafka.stop();
  });

  const check = (title: string, body: () => Promise<void>): void => {
    test(title, async (t) => {
      if (isAbsent) t.skip('kafka cannot be started');
      else await body();
    });
  };

  check('kill -9 and restart in the middle of appends and reads', async () => {
    const problems: string[] = [];
    const options = { onProblem: (error: Error) => problems.push(error.message) };
    const logs = [
      await openTestLog(kafka.brokers, 'kill', options),
      await openTestLog(kafka.brokers, 'kill', options),
    ];
    const log = logs[0] as KafkaLog;
    await log.ensureTopic('a');
    const stop = new AbortController();
    const seen: LogRecord[] = [];
    const reading = (async () => {
      for await (const { records } of log.read('a', 0, stop.signal)) seen.push(...records);
    })();
    const appenders = logs.map((one, index) => new Appender(one, 'a', `writer${index}`));
    const node = kafka.nodes[0];
    assert.ok(node);
    await until(() => seen.length > 200);
    await node.kill();
    const killedAt = seen.length;
    await node.start();
    await until(() => seen.length > killedAt + 200);
    for (const appender of appenders) appender.isStopped = true;
    await Promise.all(appenders.map(({ done }) => done));
    const { end } = await log.bounds('a');
    await until(() => seen.length >= end);
    stop.abort();
    await reading;
    assert.ok(problems.length > 0);
    const all = await readAll(log, 'a');
    assert.deepEqual(
      seen.map(({ offset }) => offset),
      all.map(({ offset }) => offset),
    );
    assert.deepEqual(textsOf(seen), textsOf(all));
    checkHistory(all, appenders);
    await Promise.all(logs.map((one) => one.close()));
  });

  test('control: the check of the history fails where it must', () => {
    const record = (offset: number, text: string): LogRecord => ({
      offset,
      bytes: bytesOf(text),
      appendTimeMs: 0,
    });
    const good = ['w 0 a', 'w 0 b', 'w 1 a'];
    const appender = { acknowledged: new Map([[2, 'w 1 a']]) } as unknown as Appender;
    const run = (texts: string[]): void =>
      checkHistory(
        texts.map((text, at) => record(at, text)),
        [appender],
      );
    run(good);
    assert.throws(() => run(['w 0 a', 'w 0 b']));
    assert.throws(() => run(['w 0 b', 'w 0 a', 'w 1 a']), /out of order/);
    assert.throws(() => run([...good, 'w 0 a']), /twice/);
  });

  check('an acknowledgement that is lost is not written twice', async () => {
    const problems: string[] = [];
    const log = await openTestLog(kafka.faultBrokers, 'lost', {
      requestMs: 300,
      onProblem: (error) => problems.push(error.message),
    });
    const near = await openTestLog(kafka.brokers, 'lost');
    await log.ensureTopic('a');
    await log.append('a', [bytesOf('before')]);
    const arriving = readRange(near, 'a', 0, 2);
    proxy.set({ kind: 'one-way', lost: 'to-client' });
    const appending = log.append('a', [bytesOf('lost')]);
    // It is in the log, and the writer has not heard of it.
    assert.deepEqual(textsOf(await arriving), ['before', 'lost']);
    await until(() => problems.some((message) => message.includes('did not answer')));
    proxy.set({ kind: 'pass' });
    assert.equal((await appending).first, 1);
    assert.equal((await log.append('a', [bytesOf('after')])).first, 2);
    assert.deepEqual(textsOf(await readAll(near, 'a')), ['before', 'lost', 'after']);
    // Another writer with the same text is no repetition: the broker does not look at texts.
    assert.equal((await near.append('a', [bytesOf('lost')])).first, 3);
    await log.close();
    await near.close();
  });

  check('what was given up cannot come later than what followed it', async () => {
    const log = await openTestLog(kafka.faultBrokers, 'late', { requestMs: 200, operationMs: 300 });
    const near = await openTestLog(kafka.brokers, 'late');
    await log.ensureTopic('a');
    await log.append('a', [bytesOf('0')]);
    proxy.set({ kind: 'hold' });
    const group = [log.append('a', [bytesOf('1')]), log.append('a', [bytesOf('2')])];
    const codes = await Promise.all(group.map(codeOf));
    assert.deepEqual(codes, ['log_unavailable', 'log_unavailable']);
    // The network heals: what it held is on its way together with the next append.
    proxy.set({ kind: 'pass' });
    await log.append('a', [bytesOf('3')]);
    await log.append('a', [bytesOf('4')]);
    const texts = textsOf(await readAll(near, 'a'));
    assert.deepEqual(texts, texts.toSorted());
    assert.equal(new Set(texts).size, texts.length);
    assert.deepEqual(
      texts.filter((text) => ['0', '3', '4'].includes(text)),
      ['0', '3', '4'],
    );
    await log.close();
    await near.close();
  });

  check(
    'a late batch of an older epoch is refused; one without identity would get in',
    async () => {
      const log = await openTestLog(kafka.brokers, 'fence');
      await log.ensureTopic('a');
      const topic = kafkaTopicName('fence', 'a');
      const settings = { clientId: 'test', onEvent: () => undefined };
      const connect = async (address: string | undefined): Promise<BrokerConnection> => {
        const [host = '', port] = (address ?? '').split(':');
        return await BrokerConnection.open(
          host,
          Number(port),
          settings,
          new AbortController().signal,
        );
      };
      const near = await connect(kafka.brokers[0]);
      const far = await connect(kafka.faultBrokers[0]);
      const { producerId } = await near.send(initProducerId(), 5_000);
      const batch = (text: string, producerEpoch: number, base: number): WireRequest<Produced> =>
        produce(topic, [bytesOf(text)], { producerId, producerEpoch, base }, 0, 1_000);
      const anonymous = { producerId: -1, producerEpoch: -1, base: -1 };
      const errorOf = async (request: WireRequest<Produced>): Promise<number> =>
        (await near.send(request, 5_000)).error;
      assert.equal(await errorOf(batch('0', 0, 0)), 0);
      proxy.set({ kind: 'hold' });
      const unnamed = produce(topic, [bytesOf('no identity')], anonymous, 0, 1_000);
      const held = [batch('late', 0, 1), unnamed].map((request) => far.send(request, 100));
      for (const { status } of await Promise.allSettled(held)) assert.equal(status, 'rejected');
      assert.ok(far.isClosed);
      assert.equal(await errorOf(batch('1', 1, 0)), 0);
      proxy.set({ kind: 'pass' });
      // Both were on one connection, so the first one was refused when the second one is there.
      assert.deepEqual(textsOf(await readRange(log, 'a', 0, 3)), ['0', '1', 'no identity']);
      near.destroy(new Error('done'));
      await log.close();
    },
  );

  check('a silent network is noticed, and reading goes on when it is back', async () => {
    const told: string[] = [];
    const far = (requestMs: number): Promise<KafkaLog> =>
      openTestLog(kafka.faultBrokers, 'silent', {
        requestMs,
        onProblem: (error) => told.push(`${requestMs} ${error.message}`),
      });
    const log = await far(200);
    const control = await far(600_000);
    const near = await openTestLog(kafka.brokers, 'silent');
    await log.ensureTopic('a');
    await control.ensureTopic('a');
    const stop = new AbortController();
    const follow = async (one: KafkaLog, seen: string[]): Promise<void> => {
      for await (const { records } of one.read('a', 0, stop.signal)) seen.push(...textsOf(records));
    };
    const [seen, controlSeen]: [string[], string[]] = [[], []];
    const following = [follow(log, seen), follow(control, controlSeen)];
    await near.append('a', [bytesOf('0')]);
    await until(() => seen.length === 1 && controlSeen.length === 1);
    told.length = 0;
    proxy.set({ kind: 'half-open' });
    await near.append('a', [bytesOf('1')]);
    await until(() => told.filter((line) => line.includes('did not answer')).length > 1);
    // Without a limit nobody would have noticed.
    assert.ok(told.every((line) => line.startsWith('200 ')));
    proxy.set({ kind: 'pass' });
    await until(() => seen.length === 2);
    stop.abort();
    await Promise.all(following);
    await Promise.all([log, control, near].map((one) => one.close()));
  });

  check('batches that compaction emptied are passed over', async () => {
    const log = await openTestLog(kafka.brokers, 'compacted');
    await log.ensureTopic('a');
    for (let count = 0; count < 20; count++) await log.append('a', [bytesOf(`${count}`)]);
    assert.equal((await readRange(log, 'a', 0, 20)).length, 20);
    // Somebody turns compaction on later: it takes records without a key out, all of them, and
    // leaves the last batch of a writer as a header only.
    const topic = kafkaTopicName('compacted', 'a');
    const configEntries = Object.entries({
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.01',
      'segment.ms': '1',
      'message.timestamp.type': 'LogAppendTime',
    }).map(([name, value]) => ({ name, value }));
    await asAdmin(kafka.brokers, async (admin) => {
      const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries };
      await admin.alterConfigs({ validateOnly: false, resources: [resource] });
    });
    const producer = stockClient(kafka.brokers).producer();
    await producer.connect();
    // Each begins another segment: what lies before it can be compacted.
    const send = async (): Promise<void> => {
      await producer.send({ topic, messages: [{ key: 'key', value: 'value' }] });
    };
    for (let count = 20; count > 0;) {
      await send();
      const { end } = await log.bounds('a');
      const stop = new AbortController();
      count = 0;
      let next = 0;
      for await (const chunk of log.read('a', 0, stop.signal)) {
        count += chunk.records.filter(({ offset }) => offset < 20).length;
        next = chunk.next;
        if (next >= end) break;
      }
      assert.ok(next >= end);
    }
    await producer.disconnect();
    await log.close();
  });

  check('a broker that lost the end of the log is noticed by readers and writers', async () => {
    const log = await openTestLog(kafka.brokers, 'truncated');
    for (const topic of ['shorter', 'other']) {
      await log.ensureTopic(topic);
      for (const text of ['0', '1', '2', '3']) await log.append(topic, [bytesOf(text)]);
    }
    // Ready to go on where they are.
    const shorter = codeOf(readRange(log, 'shorter', 2, 99));
    const other = codeOf(readRange(log, 'other', 2, 99));
    await readRange(log, 'shorter', 0, 4);
    await readRange(log, 'other', 0, 4);
    const node = kafka.nodes[0];
    assert.ok(node);
    await node.kill();
    await loseEnd(
      path.join(directory, 'kafka-1', 'data', `${kafkaTopicName('truncated', 'shorter')}-0`),
      2,
    );
    await loseEnd(
      path.join(directory, 'kafka-1', 'data', `${kafkaTopicName('truncated', 'other')}-0`),
      2,
    );
    await node.start();
    const fresh = await openTestLog(kafka.brokers, 'truncated');
    assert.equal((await fresh.bounds('shorter')).end, 2);
    // The other one has grown again past what was read: only the leader epoch tells.
    for (const text of ['new 2', 'new 3', 'new 4', 'new 5'])
      await fresh.append('other', [bytesOf(text)]);
    assert.equal(await shorter, 'log_diverged');
    assert.equal(await other, 'log_diverged');
    for (let tries = 0; tries < 2; tries++) {
      assert.equal(await codeOf(log.append('shorter', [bytesOf('4')])), 'log_diverged');
    }
    assert.equal((await fresh.bounds('shorter')).end, 2);
    // Whoever did not read what is lost has nothing to say.
    assert.deepEqual(textsOf(await readRange(fresh, 'other', 0, 6)).slice(2, 4), [
      'new 2',
      'new 3',
    ]);
    await log.close();
    await fresh.close();
  });
});

/** The first batches only, as after a loss of power. */
async function loseEnd(directory: string, keptBatches: number): Promise<void> {
  const files = await readdir(directory);
  const name = files.find((file) => file.endsWith('.log'));
  assert.ok(name, `no segment in ${directory}`);
  const file = path.join(directory, name);
  const bytes = await readFile(file);
  let at = 0;
  for (let count = 0; count < keptBatches; count++) at += 12 + bytes.readInt32BE(at + 8);
  assert.ok(at < bytes.length);
  await truncate(file, at);
}

describe('three brokers', () => {
  let kafka: RunningKafka;
  let isAbsent = false;

  before(async (t) => {
    isAbsent = !canStartOrSkip(t as TestContext, ['kafka']);
    if (!isAbsent) kafka = await startKafka({ directory: componentDirectory(), nodes: 3 });
  });

  after(async () => {
    if (!isAbsent) await kafka.stop();
  });

  // The one that is killed stays away: the last test.
  for (const nemesis of ['pause', 'kill'] as const) {
    test(`the leader of a topic is lost (${nemesis}): another one takes over`, async (t) => {
      if (isAbsent) {
        t.skip('kafka cannot be started');
        return;
      }
      const open = (): Promise<KafkaLog> =>
        openTestLog(kafka.brokers, `three-${nemesis}`, {
          replicationFactor: 3,
          minInsyncReplicas: 2,
          requestMs: 1_000,
        });
      const logs = [await open(), await open()];
      const log = logs[0] as KafkaLog;
      // Three topics: whatever node is lost, it leads one of them.
      const topics = ['a', 'b', 'c'];
      for (const topic of topics) await log.ensureTopic(topic);
      const stop = new AbortController();
      const seen = new Map<string, LogRecord[]>(topics.map((topic) => [topic, []]));
      const reading = topics.map(async (topic) => {
        for await (const { records } of log.read(topic, 0, stop.signal)) {
          seen.get(topic)?.push(...records);
        }
      });
      const appenders = new Map(
        topics.map((topic) => [topic, logs.map((one, at) => new Appender(one, topic, `w${at}`))]),
      );
      const grows = async (by: number): Promise<void> => {
        const before = new Map([...seen].map(([topic, records]) => [topic, records.length]));
        await until(() =>
          [...seen].every(([topic, { length }]) => length > (before.get(topic) ?? 0) + by),
        );
      };
      await grows(50);
      const node = kafka.nodes[0];
      assert.ok(node);
      await node[nemesis]();
      await grows(50);
      if (nemesis === 'pause') {
        await node.resume();
        await grows(50);
      }
      for (const one of [...appenders.values()].flat()) one.isStopped = true;
      await Promise.all([...appenders.values()].flat().map(({ done }) => done));
      for (const topic of topics) {
        const { end } = await log.bounds(topic);
        const records = seen.get(topic) ?? [];
        await until(() => records.length >= end);
        records.forEach(({ offset }, index) => assert.equal(offset, index));
        checkHistory(records, appenders.get(topic) ?? []);
        assert.equal(
          appenders.get(topic)?.reduce((sum, one) => sum + one.rejected.size, 0),
          0,
        );
      }
      stop.abort();
      await Promise.all(reading);
      await Promise.all(logs.map((one) => one.close()));
    });
  }
});
