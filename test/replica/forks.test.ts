/** A log that lost records, and what an operator can do: go on from the last cut that is whole. */
import assert from 'node:assert/strict';
import type { Appended, Log, LogRecord } from '../../host/log/log.ts';
import { fork, planFork } from '../../host/replica/forks.ts';
import {
  code,
  ints,
  newWorld,
  replicaTest,
  shown,
  startNode,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node, NodeOptions, World } from '../support/replica-world.ts';

/** A log in memory whose topics can lose their last records, as an unclean election does. */
class LossyLog implements Log {
  readonly topics = new Map<string, LogRecord[]>();
  #wakes: (() => void)[] = [];

  ensureTopic(topic: string): Promise<void> {
    if (!this.topics.has(topic)) this.topics.set(topic, []);
    return Promise.resolve();
  }

  append(topic: string, records: readonly Uint8Array[]): Promise<Appended> {
    const held = this.#records(topic);
    const first = held.length;
    for (const bytes of records) held.push({ offset: held.length, bytes, appendTimeMs: 1 });
    this.#wake();
    return Promise.resolve({ first, appendTimeMs: 1 });
  }

  async *read(topic: string, from: number, signal: AbortSignal) {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    for (let next = from; !signal.aborted;) {
      const records = this.#records(topic).slice(next);
      if (records.length > 0) {
        next += records.length;
        yield { records, next };
        continue;
      }
      await new Promise<void>((resolve) => this.#wakes.push(resolve));
    }
  }

  bounds(topic: string): Promise<{ start: number; end: number }> {
    return Promise.resolve({ start: 0, end: this.#records(topic).length });
  }

  trim(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  lose(topic: string, count: number): void {
    const held = this.#records(topic);
    held.length -= count;
  }

  #wake(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }

  #records(topic: string): LogRecord[] {
    const records = this.topics.get(topic);
    if (records === undefined) throw new Error(`topic ${topic} was not ensured`);
    return records;
  }
}

const start = (world: World, log: Log, options: NodeOptions = {}): Promise<Node> =>
  startNode(world, { ...options, wrapLog: () => log });

async function push(node: Node, ...numbers: number[]): Promise<string> {
  const changes = [{ table: 't', insert: ints(...numbers) }];
  return (await node.replica.writeBatch({ source: 's', changes })).token;
}

const rowsOf = async (node: Node): Promise<unknown> =>
  shown((await node.replica.query({ query: 's:t(x)' })).rows);

for (const lostTopic of ['source.s.1', 'cuts', 'both'] as const) {
  replicaTest(`a log that lost the end of ${lostTopic} goes on from a fork`, async () => {
    const world = await newWorld();
    const log = new LossyLog();
    let node = await start(world, log);
    for (let n = 0; n < 6; n++) await push(node, n);
    const lostToken = await push(node, 100);
    // The checkpoint of the stop is of a revision that will be lost.
    await node.stop();
    if (lostTopic !== 'cuts') log.lose('source.s.1', 2);
    if (lostTopic !== 'source.s.1') log.lose('cuts', 2);
    await assert.rejects(start(world, log), code('log_diverged'));
    const plan = await planFork(log);
    assert.equal(plan.voidCuts, lostTopic === 'source.s.1' ? 2 : 0);
    await fork(log, plan, 'the-new-log');
    node = await start(world, log);
    // Rows that only lost their cut get another one.
    const lost = lostTopic === 'cuts' ? [[5n], [100n]] : [];
    assert.deepEqual(await rowsOf(node), [[0n], [1n], [2n], [3n], [4n], ...lost]);
    assert.equal(node.replica.status().logId, 'the-new-log');
    assert.ok(node.replica.status().revision >= plan.offset);
    await assert.rejects(
      node.replica.query({ query: 's:t(x)', consistency: { atLeast: lostToken } }),
      code('token_foreign'),
    );
    const token = await push(node, 7, 8, 9);
    await node.stop();
    node = await start(world, log);
    const { rows } = await node.replica.query({
      query: 's:t(x)',
      consistency: { atLeast: token },
    });
    assert.equal(rows.count, 8 + lost.length);
    const { digest } = node.replica.status();
    await node.stop();
    // A replica that starts from nothing comes to the same.
    const fresh = await start({ ...(await newWorld()), store: world.store }, log);
    assert.equal(fresh.replica.status().digest, digest);
    await fresh.stop();
    // Nothing is lost now: a fork would take nothing away.
    assert.equal((await planFork(log)).voidCuts, 0);
  });
}

replicaTest('a live replica that meets a fork which it does not know stops answering', async () => {
  const world = await newWorld();
  const log = new LossyLog();
  const node = await start(world, log);
  await push(node, 1);
  await push(node, 2);
  const plan = await planFork(log);
  const record = { ...plan, base: plan.base - 1 };
  await fork(log, record, 'another');
  while (node.replica.status().ready) await yieldToLoop();
  await assert.rejects(rowsOf(node), code('log_diverged'));
  await node.stop();
});

replicaTest('a fork is refused while somebody writes to the log', async () => {
  const world = await newWorld();
  const log = new LossyLog();
  const node = await start(world, log);
  await push(node, 1);
  const plan = await planFork(log);
  await push(node, 2);
  await assert.rejects(fork(log, plan, 'another'), code('conflict'));
  await node.stop();
});

/** `known`: what the code that is too old says that it knows. */
async function stopsAtUnknownLevel(known: number): Promise<void> {
  const world = await newWorld();
  const log = new LossyLog();
  const levels = (semanticsMax: number): NodeOptions => ({ settings: { semanticsMax } });
  let node = await start(world, log, levels(1));
  await push(node, 1);
  await assert.rejects(node.replica.raiseSemantics(2), code('conflict'));
  await node.stop();
  node = await start(world, log, levels(2));
  const before = node.replica.status().digest;
  await node.replica.raiseSemantics(2);
  assert.notEqual(node.replica.status().digest, before);
  await push(node, 2);
  await node.stop();
  // From the checkpoint, and from the log.
  const empty = { ...(await newWorld()), store: world.store };
  for (const place of [world, empty]) {
    const old = start(place, log, levels(known));
    await assert.rejects(
      old.then(async (started) => await started.stop()),
      code('unsupported_record'),
    );
  }
  node = await start(empty, log, levels(3));
  assert.deepEqual(await rowsOf(node), [[1n], [2n]]);
  await node.stop();
}

replicaTest(
  'a higher level of meaning counts where it is known, and stops a replica where not',
  () => stopsAtUnknownLevel(1),
);

replicaTest('control: a replica that takes any level for known goes on', () =>
  assert.rejects(stopsAtUnknownLevel(99), /Missing expected rejection/),
);

replicaTest(
  'a database that is ahead of its log: policy writes are refused, rows count',
  async () => {
    const world = await newWorld();
    const log = new LossyLog();
    let node = await start(world, log);
    await node.replica.writePolicies([{ name: 'p', text: 'a(1)\n' }]);
    await push(node, 1);
    await node.replica.writePolicies([{ name: 'q', text: 'b(1)\n' }]);
    await node.stop();
    // As if the log had been restored from a copy that is older than the database.
    log.lose('policy', 1);
    log.lose('cuts', 1);
    const fresh = { ...(await newWorld()), store: world.store };
    node = await start(fresh, log, { node: { nodeId: 'pe0', url: '', digestRevisions: 100 } });
    const write = node.replica.writePolicies([{ name: 'r', text: 'c(1)\n' }]);
    await assert.rejects(write, code('log_damaged'));
    await push(node, 2);
    assert.deepEqual(await rowsOf(node), [[1n], [2n]]);
    await node.stop();
  },
);
