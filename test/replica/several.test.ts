/** Three replicas over one log and one policy database: any of them writes, all show the same. */
import assert from 'node:assert/strict';
import { CaucusError } from '../../host/errors.ts';
import { encodePushBatch } from '../../host/log/batch-parts.ts';
import type { Log } from '../../host/log/log.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import type { Store } from '../../host/store/store.ts';
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
import type { Node } from '../support/replica-world.ts';
import { answer, expectEqual, peer, startThree, stopAll } from '../support/several-replicas.ts';

/** `tamper`: with the third replica, before anything is written. */
async function anyTakesAnyWrite(
  tamper: (third: Node) => void = () => undefined,
  digestRevisions = 5,
): Promise<void> {
  const nodes = await startThree(await newWorld(), (index) => ({
    node: { nodeId: `pe${index}`, url: '', digestRevisions },
  }));
  try {
    const [a, b, c] = nodes.map(({ replica }) => replica) as [
      LocalReplica,
      LocalReplica,
      LocalReplica,
    ];
    tamper(nodes[2] as Node);
    const text = 'big(x) :- s:t(x), x > 1\n';
    const { token } = await a.writePolicies([{ name: 'p', text }]);
    assert.equal((await b.readPolicy('p', { atLeast: token })).text, text);
    const changes = [{ table: 't', insert: ints(1, 2) }];
    const pushed = await b.writeBatch({ source: 's', changes });
    assert.deepEqual(await answer(c, 'p:big(x)', pushed.token), [[2n]]);
    assert.deepEqual(await answer(a, 'p:big(x)', pushed.token), [[2n]]);
    const other = await c.writePolicies([{ name: 'q', text: 'one(1)\n' }]);
    assert.deepEqual(await answer(b, 'q:one(x)', other.token), [[1n]]);
    await expectEqual(nodes);
  } finally {
    await stopAll(nodes);
  }
}

replicaTest(
  'a policy written on one replica is seen on the others at the same revision, rows too',
  () => anyTakesAnyWrite(),
);

// Nobody compares digests here but the test.
const NEVER = 1_000_000;

replicaTest('control: a replica whose engine loses a row is told from the others', () =>
  assert.rejects(
    anyTakesAnyWrite(({ engine }) => {
      engine.alter = (transaction) => ({
        ...transaction,
        changes: transaction.changes.map((change) =>
          change.table === 's:t' && change.insert !== undefined
            ? { ...change, insert: ints(2) }
            : change,
        ),
      });
    }, NEVER),
    /revision \d+ has digests/,
  ),
);

replicaTest('control: a replica with a log of its own is not told what others take', async () => {
  const nodes = await Promise.all([startNode(await newWorld()), startNode(await newWorld())]);
  const [a, b] = nodes;
  const { token } = await a.replica.writePolicies([{ name: 'p', text: 'a(1)\n' }]);
  await assert.rejects(b.replica.readPolicy('p', { atLeast: token }), code('token_foreign'));
  for (const node of nodes) await node.stop();
});

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

/** `store`: what the replicas have in place of the database; `waitMs`: for the token. */
async function pendingUntilTheLogIsBack(
  wrapStore: (store: Store) => Store = (store) => store,
  waitMs = 60_000,
): Promise<void> {
  const world = await newWorld();
  const link = { isAway: false };
  const store = wrapStore(world.store);
  const nodes = await startThree(world, (index) => ({
    store,
    ...(index === 0 ? { wrapLog: (log: Log) => awayLog(log, link) } : {}),
  }));
  try {
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
      waitMs,
    });
    assert.deepEqual(shown(rows), [[2n]]);
    link.isAway = false;
    await a.writePolicies([{ name: 'r', text: 't(3)\n' }]);
    await expectEqual(nodes);
    assert.deepEqual(
      (await world.store.policies()).map((policy) => policy.name),
      ['p', 'q', 'r'],
    );
  } finally {
    await stopAll(nodes);
  }
}

replicaTest('without the log a policy write is pending, its token works everywhere later', () =>
  pendingUntilTheLogIsBack(),
);

replicaTest(
  'control: where nobody sees the outbox of the database, the token is never reached',
  () =>
    assert.rejects(
      pendingUntilTheLogIsBack((store) => {
        return new Proxy(store, {
          get: (target, name) => {
            if (name === 'pending') return () => Promise.resolve([]);
            const member: unknown = Reflect.get(target, name);
            return typeof member === 'function' ? (member.bind(target) as unknown) : member;
          },
        });
      }, 500),
      code('replica_behind'),
    ),
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
  'a log that does not answer: what one replica has pending holds up no other',
  async () => {
    const world = await newWorld();
    let answerAll: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      answerAll = resolve;
    });
    let isSilent = false;
    const silent = (log: Log): Log => ({
      ...awayLog(log, { isAway: false }),
      append: async (topic, records) => {
        if (isSilent && topic !== 'replicas') await answered;
        return await log.append(topic, records);
      },
    });
    const nodes = await startThree(world, () => ({
      wrapLog: silent,
      // A hundred times faster while the log is silent.
      setTimer: (callback, ms) => {
        const timer = setTimeout(callback, isSilent ? ms / 100 : ms);
        return () => clearTimeout(timer);
      },
    }));
    const [a, b, c] = nodes.map(({ replica }) => replica) as [
      LocalReplica,
      LocalReplica,
      LocalReplica,
    ];
    isSilent = true;
    const first = await a.writePolicies([{ name: 'p', text: 't(1)\n' }]);
    const second = await b.writePolicies([{ name: 'q', text: 't(2) :- p:t(x)\n' }]);
    assert.deepEqual([first.pending, second.pending], [true, true]);
    const changes = [{ table: 't', insert: ints(1) }];
    await assert.rejects(c.writeBatch({ source: 'new', changes }), code('log_unavailable'));
    answerAll();
    isSilent = false;
    for (const replica of [a, b, c]) {
      const consistency = { atLeast: second.token };
      const { rows } = await replica.query({ query: 'q:t(x)', consistency, waitMs: 60_000 });
      assert.deepEqual(shown(rows), [[2n]]);
    }
    await c.writeBatch({ source: 'new', changes });
    await expectEqual(nodes);
    await stopAll(nodes);
  },
);

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
