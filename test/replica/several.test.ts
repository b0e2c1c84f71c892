/** Three replicas over one log and one policy database: any of them writes, all show the same. */
import assert from 'node:assert/strict';
import { CaucusError } from '../../host/errors.ts';
import { encodePushBatch } from '../../host/log/batch-parts.ts';
import type { Log } from '../../host/log/log.ts';
import type { FetchedCheckpoint } from '../../host/replica/dependencies.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import {
  code,
  ints,
  joinNode,
  newWorld,
  replicaTest,
  shown,
  startNode,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node, NodeOptions, World } from '../support/replica-world.ts';

const peer = (nodeId: string): NodeOptions => ({
  node: { nodeId, url: '', digestRevisions: 5 },
});

async function startThree(
  world: World,
  options: (index: number) => NodeOptions = () => ({}),
): Promise<Node[]> {
  const first = await startNode(world, { ...peer('pe0'), ...options(0) });
  const others = await Promise.all(
    [1, 2].map((index) => joinNode(world, first, { ...peer(`pe${index}`), ...options(index) })),
  );
  return [first, ...others];
}

async function stopAll(nodes: readonly Node[]): Promise<void> {
  for (const node of nodes.slice(1)) await node.stop();
  await nodes[0]?.stop();
}

/** Each replica at the newest revision of the log, digests equal. */
async function expectEqual(nodes: readonly Node[]): Promise<void> {
  const digests = new Map<number, Set<string>>();
  for (const { replica } of nodes) {
    await replica.query({ query: '1 = 1', consistency: 'latest', waitMs: 10_000 });
  }
  // One of them may have gone on meanwhile.
  const newest = Math.max(...nodes.map(({ replica }) => replica.status().revision));
  for (const { replica } of nodes) {
    while (replica.status().revision < newest) await yieldToLoop();
    const { revision, digest } = replica.status();
    const of = digests.get(revision) ?? new Set();
    digests.set(revision, of.add(digest));
  }
  for (const [revision, of] of digests) {
    assert.equal(of.size, 1, `revision ${revision} has digests ${[...of].join(' ')}`);
  }
}

const answer = async (replica: LocalReplica, query: string, token: string) =>
  shown((await replica.query({ query, consistency: { atLeast: token } })).rows);

replicaTest(
  'a policy written on one replica is seen on the others at the same revision',
  async () => {
    const nodes = await startThree(await newWorld());
    const [a, b, c] = nodes.map(({ replica }) => replica) as [
      LocalReplica,
      LocalReplica,
      LocalReplica,
    ];
    const { token } = await a.writePolicies([{ name: 'p', text: 'big(x) :- s:t(x), x > 1\n' }]);
    assert.equal((await b.readPolicy('p', { atLeast: token })).text, 'big(x) :- s:t(x), x > 1\n');
    const pushed = await b.writeBatch({
      source: 's',
      changes: [{ table: 't', insert: ints(1, 2) }],
    });
    assert.deepEqual(await answer(c, 'p:big(x)', pushed.token), [[2n]]);
    assert.deepEqual(await answer(a, 'p:big(x)', pushed.token), [[2n]]);
    await expectEqual(nodes);
    await stopAll(nodes);
  },
);

replicaTest(
  'racing policy writes all count, each in its own revision, on every replica',
  async () => {
    const world = await newWorld();
    const nodes = await startThree(world);
    const writes = nodes.flatMap(({ replica }, n) =>
      [0, 1, 2, 3].map((k) =>
        replica.writePolicies([{ name: `p${n}${k}`, text: `t(${n}, ${k})\n` }]),
      ),
    );
    const answers = await Promise.all(writes);
    assert.ok(answers.every((position) => position.pending !== true));
    await expectEqual(nodes);
    for (const { replica } of nodes) assert.equal(replica.status().policies.length, 12);
    const policies = await world.store.policies();
    assert.equal(policies.length, 12);
    assert.deepEqual(await world.store.pending(), []);
    assert.deepEqual(
      policies.map((policy) => policy.version).sort((x, y) => x - y),
      Array.from({ length: 12 }, (_, index) => index + 1),
    );
    await stopAll(nodes);
  },
);

replicaTest('many writers of one source: every batch counts once, ids are shared', async () => {
  const nodes = await startThree(await newWorld());
  const writes: Promise<{ revision: number }>[] = [];
  for (let n = 0; n < 60; n++) {
    const { replica } = nodes[n % 3] as Node;
    const id = { key: `k${n % 20}`, bodyDigest: `d${n % 20}` };
    const changes = [{ table: 't', insert: ints(n % 20) }];
    writes.push(replica.writeBatch({ source: 's', changes, id }));
  }
  const revisions = (await Promise.all(writes)).map(({ revision }) => revision);
  for (let n = 0; n < 20; n++) {
    assert.equal(new Set([revisions[n], revisions[n + 20], revisions[n + 40]]).size, 1);
  }
  await expectEqual(nodes);
  for (const { replica } of nodes) assert.equal(replica.status().sources[0]?.tables['t'], 20);
  await stopAll(nodes);
});

for (const hasPeers of [true, false]) {
  replicaTest(
    `a record that its writer left without a cut ${hasPeers ? 'gets one' : 'waits (control)'}`,
    async () => {
      const world = await newWorld();
      const nodes = hasPeers ? await startThree(world) : [await startNode(world)];
      const { replica, log } = nodes[0] as Node;
      const first = await replica.writeBatch({
        source: 's',
        changes: [{ table: 't', insert: ints(1) }],
      });
      const records = encodePushBatch(
        {
          owner: 'gone',
          batch: 1,
          batchId: null,
          bodyDigest: null,
          snapshot: false,
          changes: [{ table: 't', insert: ints(2) }],
        },
        1000,
      );
      await log.append('source.s.1', records);
      const deadline = Date.now() + (hasPeers ? 60_000 : 500);
      const count = (): number | undefined => replica.status().sources[0]?.tables['t'];
      while (count() !== 2 && Date.now() < deadline) await yieldToLoop();
      assert.equal(count(), hasPeers ? 2 : 1);
      if (hasPeers) assert.ok(replica.status().revision > first.revision);
      await stopAll(nodes);
    },
  );
}

/** A log that this replica cannot append to while `isAway`. */
function awayLog(log: Log, link: { isAway: boolean }): Log {
  return {
    ...log,
    ensureTopic: (topic) => log.ensureTopic(topic),
    append: async (topic, records) => {
      if (link.isAway) throw new CaucusError('log_unavailable', 'the link is cut');
      return await log.append(topic, records);
    },
    read: (topic, from, signal) => log.read(topic, from, signal),
    bounds: (topic) => log.bounds(topic),
    trim: (topic, before) => log.trim(topic, before),
    close: () => log.close(),
  };
}

replicaTest(
  'without the log a policy write is pending, its token works everywhere later',
  async () => {
    const world = await newWorld();
    const link = { isAway: false };
    const nodes = await startThree(world, (index) =>
      index === 0 ? { wrapLog: (log) => awayLog(log, link) } : {},
    );
    const [a, b] = nodes.map(({ replica }) => replica) as [LocalReplica, LocalReplica];
    link.isAway = true;
    const first = await a.writePolicies([{ name: 'p', text: 't(1)\n' }]);
    const second = await a.writePolicies([{ name: 'q', text: 't(2) :- p:t(x)\n' }]);
    assert.deepEqual([first.pending, second.pending], [true, true]);
    await assert.rejects(
      a.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] }),
      code('log_unavailable'),
    );
    // Any replica helps what is in the database into the log.
    const { rows } = await b.query({
      query: 'q:t(x)',
      consistency: { atLeast: second.token },
      waitMs: 60_000,
    });
    assert.deepEqual(shown(rows), [[2n]]);
    link.isAway = false;
    await a.writePolicies([{ name: 'r', text: 't(3)\n' }]);
    await expectEqual(nodes);
    assert.deepEqual(
      (await world.store.policies()).map((policy) => policy.name),
      ['p', 'q', 'r'],
    );
    await stopAll(nodes);
  },
);

replicaTest(
  'a replica is stopped, the others serve, it comes back with the same state',
  async () => {
    const world = await newWorld();
    const nodes = await startThree(world);
    const [first, , third] = nodes as [Node, Node, Node];
    await first.replica.writePolicies([{ name: 'p', text: 'big(x) :- s:t(x), x > 1\n' }]);
    await third.stop();
    const { token } = await first.replica.writeBatch({
      source: 's',
      changes: [{ table: 't', insert: ints(1, 2, 3) }],
    });
    const again = await joinNode(world, first, peer('pe2'));
    assert.deepEqual(await answer(again.replica, 'p:big(x)', token), [[2n], [3n]]);
    await expectEqual([first, nodes[1] as Node, again]);
    await stopAll([first, nodes[1] as Node, again]);
  },
);

replicaTest('a close while a new topic is waited for is no problem to tell', async () => {
  const world = await newWorld();
  const first = await startNode(world, peer('pe0'));
  await first.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
  const problems: Error[] = [];
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const withoutTopic = (log: Log): Log =>
    new Proxy(log, {
      get: (target, name) => {
        if (name === 'ensureTopic') {
          return async (topic: string) => {
            if (topic !== 'source.new.1') return await target.ensureTopic(topic);
            asked();
            throw new CaucusError('log_unavailable', 'its leader is being looked for');
          };
        }
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
  const second = await joinNode(world, first, {
    ...peer('pe1'),
    wrapLog: withoutTopic,
    onProblem: (error) => problems.push(error),
  });
  const changes = [{ table: 't', insert: ints(1) }];
  await first.replica.writeBatch({ source: 'new', changes });
  await isAsked;
  await second.stop();
  await yieldToLoop();
  assert.deepEqual(problems, []);
  await first.stop();
});

/** A checkpoint as the other replica has it, or with one byte of the rows changed. */
async function checkpointOf(node: Node): Promise<FetchedCheckpoint> {
  const { checkpoint } = await node.checkpoints.loadNewest();
  assert.ok(checkpoint !== undefined);
  return checkpoint;
}

replicaTest('a new replica gets its state from another where the log was trimmed', async () => {
  const world = await newWorld();
  const settings = { checkpointRevisions: 6 };
  const at = (index: number): NodeOptions => ({
    settings,
    segmentBytes: 2000,
    node: { nodeId: `pe${index}`, url: `http://pe${index}`, digestRevisions: 3 },
  });
  const nodes = await startThree(world, at);
  const [first, second, third] = nodes as [Node, Node, Node];
  await first.replica.writePolicies([{ name: 'p', text: 'big(x) :- s:t(x), x > 1\n' }]);
  let token = '';
  for (let n = 0; n < 60 || (await first.log.bounds('cuts')).start === 0; n++) {
    assert.ok(n < 1000, 'the log is never trimmed');
    const changes = [{ table: 't', insert: ints(n) }];
    ({ token } = await first.replica.writeBatch({ source: 's', changes }));
  }
  await third.stop();
  const asked: string[] = [];
  const fourth = await joinNode(world, first, {
    ...at(3),
    fetchCheckpoint: async (url) => {
      asked.push(url);
      if (asked.length === 1) throw new Error('the link is cut');
      return await checkpointOf(url === 'http://pe0' ? first : second);
    },
  });
  assert.equal(asked.length, 2, 'the next one is asked when the first cannot be reached');
  const { rows } = await fourth.replica.query({
    query: 'p:big(x)',
    consistency: { atLeast: token },
  });
  assert.ok(rows.count > 50);
  await expectEqual([first, second, fourth]);
  // Without anybody to ask it does not begin with half a log, but may when they are back.
  await assert.rejects(joinNode(world, first, at(4)), code('not_ready'));
  await stopAll([first, second, fourth]);
});

replicaTest('state of another replica that no third one confirms is not used', async () => {
  const world = await newWorld();
  const at = (index: number): NodeOptions => ({
    settings: { checkpointRevisions: 6 },
    node: { nodeId: `pe${index}`, url: `http://pe${index}`, digestRevisions: 3 },
  });
  const nodes = await startThree(world, at);
  const [first] = nodes as [Node];
  for (let n = 0; n < 30; n++) {
    const changes = [{ table: 't', insert: ints(n) }];
    await first.replica.writeBatch({ source: 's', changes });
  }
  await expectEqual(nodes);
  // Whole and well-formed, of this log, and of another state.
  const other = await newWorld();
  const forger = await startNode(other, {
    randomId: () => first.replica.status().logId,
    settings: { checkpointRevisions: 1 },
  });
  const newest = await checkpointOf(first);
  while (forger.replica.status().revision < newest.revision) {
    const { revision } = forger.replica.status();
    const changes = [{ table: 't', insert: ints(1000 + revision) }];
    await forger.replica.writeBatch({ source: 's', changes });
  }
  await forger.stop();
  const forged = await checkpointOf(forger);
  assert.equal(forged.revision, newest.revision);
  world.problems.length = 0;
  let asked = 0;
  const fourth = await joinNode(world, first, {
    ...at(3),
    fetchCheckpoint: async () => {
      if (asked++ === 0) return forged;
      return await checkpointOf(first);
    },
  });
  assert.equal(asked, 2);
  assert.match(world.problems.map(String).join('\n'), /other replicas had another state/);
  await expectEqual([...nodes, fourth]);
  await stopAll([...nodes, fourth]);
});

for (const isNoticed of [true, false]) {
  replicaTest(
    `a log that lost applied records of a topic that no cut names again: ${isNoticed ? 'the replica stops answering' : 'a log that hides it (control)'}`,
    async () => {
      const world = await newWorld();
      let lose: (error: Error) => void = () => undefined;
      const lost = new Promise<never>((_resolve, reject) => {
        lose = reject;
      });
      lost.catch(() => undefined);
      const wrapLog = (log: Log): Log => ({
        ensureTopic: (topic) => log.ensureTopic(topic),
        append: (topic, records) => log.append(topic, records),
        bounds: (topic) => log.bounds(topic),
        trim: (topic, before) => log.trim(topic, before),
        close: () => log.close(),
        async *read(topic, from, signal) {
          const chunks = log.read(topic, from, signal)[Symbol.asyncIterator]();
          for (;;) {
            const next = await Promise.race([chunks.next(), lostOf(topic)]);
            if (next.done === true) return;
            yield next.value;
          }
        },
      });
      const lostOf = (topic: string): Promise<never> =>
        topic.startsWith('source.') ? lost : new Promise<never>(() => undefined);
      const { replica, stop } = await startNode(world, { ...peer('pe0'), wrapLog });
      await replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
      const diverged = new CaucusError('log_diverged', 'two records are gone');
      if (isNoticed) lose(diverged);
      for (let turn = 0; turn < 20; turn++) await yieldToLoop();
      assert.equal(replica.status().ready, !isNoticed);
      const asked = replica.query({ query: 's:t(x)' });
      if (isNoticed) await assert.rejects(asked, code('log_diverged'));
      else assert.deepEqual(shown((await asked).rows), [[1n]]);
      await stop();
    },
  );
}

replicaTest(
  'a log that does not answer: writes are told so in time, and count when it does',
  async () => {
    const world = await newWorld();
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let isSilent = false;
    const wrapLog = (log: Log): Log => ({
      ensureTopic: (topic) => log.ensureTopic(topic),
      read: (topic, from, signal) => log.read(topic, from, signal),
      bounds: (topic) => log.bounds(topic),
      trim: (topic, before) => log.trim(topic, before),
      close: () => log.close(),
      append: async (topic, records) => {
        if (isSilent && topic !== 'replicas') await answered;
        return await log.append(topic, records);
      },
    });
    const node = await startNode(world, {
      ...peer('pe0'),
      wrapLog,
      // A hundred times faster while the log is silent.
      setTimer: (callback, ms) => {
        const timer = setTimeout(callback, isSilent ? ms / 100 : ms);
        return () => clearTimeout(timer);
      },
    });
    const batch = (id: string) => ({
      source: 's',
      changes: [{ table: 't', insert: ints(1) }],
      id: { key: id, bodyDigest: 'd' },
    });
    await node.replica.writeBatch(batch('first'));
    isSilent = true;
    await assert.rejects(node.replica.writeBatch(batch('second')), code('log_unavailable'));
    const pending = await node.replica.writePolicies([{ name: 'p', text: 'a(1)\n' }]);
    assert.equal(pending.pending, true);
    assert.equal((await node.replica.query({ query: 's:t(x)' })).rows.count, 1);
    answer();
    isSilent = false;
    const again = await node.replica.writeBatch(batch('second'));
    await node.replica.query({
      query: 'p:a(x)',
      consistency: { atLeast: pending.token },
      waitMs: 60_000,
    });
    // The one that was not answered counted, and its repeat was one.
    const { end } = await node.log.bounds('source.s.1');
    assert.ok(end <= 3);
    assert.ok(again.revision > 0);
    await node.stop();
  },
);
