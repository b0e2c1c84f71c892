/** A replica that loses Kafka, the database, or both, and gets them back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import type { RunningKafka } from '../../deploy/loopback/kafka.ts';
import { checkHistory } from '../simulation/checkers/check-history.ts';
import type { Violation } from '../simulation/checkers/violation.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Cluster } from './cluster.ts';
import { Links } from './links.ts';
import { Recorder } from './recorder.ts';
import { checkSessions } from './sessions.ts';
import { inserting, until, withCluster } from './with-cluster.ts';

const CUT = { kind: 'cut' } as const;
const REPLICAS = 2;
/** Far beyond what a write is tried for. */
const REFUSED_MS = 60_000;

/** One broker of its own, with a link of each replica to it. */
let kafka: Promise<{ readonly kafka: RunningKafka; readonly links: readonly Links[] }> | undefined;

test.after(async () => {
  const started = await kafka;
  await started?.kafka.kill();
  await Promise.all((started?.links ?? []).map((links) => links.close()));
});

async function faultTest(
  t: TestContext,
  work: (cluster: Cluster, pe1: ClusterNode, pe2: ClusterNode) => Promise<void>,
): Promise<void> {
  if (!canStartOrSkip(t, ['kafka'])) return;
  kafka ??= (async () => {
    const links = await Promise.all([1, 2].map((seed) => Links.open(1, seed)));
    const linkPorts = links.map(({ ports }) => ports);
    return {
      links,
      kafka: await startKafka({ directory: componentDirectory(), nodes: 1, linkPorts }),
    };
  })();
  const { links, kafka: running } = await kafka;
  for (const one of links) one.heal();
  const through = { links: { of: links, kafka: running }, brokers: running.brokers };
  await withCluster(t, { replicas: REPLICAS, ...through }, async (cluster) => {
    const [pe1, pe2] = cluster.replicas as [ClusterNode, ClusterNode];
    await work(cluster, pe1, pe2);
  });
}

const push = (id: string) => ({
  source: 'app',
  id,
  snapshot: false,
  changes: inserting('op', [id, 1n]),
});

test('without Kafka policies are kept, pushes refused, reads go on', async (t) => {
  await faultTest(t, async (cluster, pe1, pe2) => {
    const client = cluster.client('c');
    await client.batch(pe1, push('before'));
    pe1.links?.setKafka(CUT);
    const refusing = cluster.client('e', { requestMs: REFUSED_MS }).batch(pe1, push('refused'));
    const kept = await client.policy(pe1, 'p', 'seen(c) :- app:op(c, _)');
    assert.equal(kept?.status, 202);
    assert.deepEqual((await client.query(pe1, 'app:op(c, n)', 'any'))?.rows, ['s6:before;i1;']);
    // The other one still has Kafka: it publishes what is only in the database.
    const token = client.token;
    const elsewhere = cluster.client('d');
    const shows = async (): Promise<boolean> =>
      (await elsewhere.query(pe2, 'p:seen(c)', 'latest'))?.status === 200;
    await until(shows, 'the other replica does not publish the policy');
    assert.equal((await refusing)?.status, 503);
    pe1.links?.heal();
    for (const node of [pe1, pe2]) {
      const isAnswered = async (): Promise<boolean> => {
        assert.equal(client.token, token, 'the token is the one of the pending answer');
        const asked = cluster.client(`of ${node.id}`);
        asked.token = token;
        const answer = await asked.query(node, 'p:seen(c)');
        return answer?.status === 200 && answer.rows.includes('s6:before;');
      };
      await until(isAnswered, `${node.id} does not know the token`);
    }
    const isWritten = async (): Promise<boolean> =>
      (await client.batch(pe1, push('refused')))?.status === 200;
    await until(isWritten, 'pushes are still refused');
  });
});

test('without the database policies are refused, pushes and reads go on', async (t) => {
  await faultTest(t, async (cluster, pe1, pe2) => {
    const client = cluster.client('c');
    await client.batch(pe1, push('before'));
    pe1.links?.database.set(CUT);
    const refused = await client.policy(pe1, 'p', 'seen(c) :- app:op(c, _)');
    assert.equal(refused?.status, 503);
    const pushed = await client.batch(pe1, push('during'));
    assert.equal(pushed?.status, 200);
    for (const node of [pe1, pe2]) {
      assert.equal((await client.query(node, 'app:op(c, n)'))?.rows.length, 2);
    }
    assert.equal((await client.policy(pe2, 'p', 'seen(c) :- app:op(c, _)'))?.status, 200);
    assert.equal((await client.query(pe1, 'p:seen(c)'))?.rows.length, 2);
    pe1.links?.heal();
    const isTaken = async (): Promise<boolean> =>
      (await client.policy(pe1, 'q', 'seen(c) :- p:seen(c)'))?.status === 200;
    await until(isTaken, 'policies are still refused');
    assert.equal((await client.query(pe2, 'q:seen(c)'))?.rows.length, 2);
  });
});

test('without both nothing is acknowledged, nothing lost, and reads go on', async (t) => {
  await faultTest(t, async (cluster, pe1, pe2) => {
    const client = cluster.client('c', { requestMs: REFUSED_MS });
    await client.batch(pe1, push('before'));
    pe1.links?.setKafka({ kind: 'half-open' });
    pe1.links?.database.set({ kind: 'half-open' });
    const pushing = client.batch(pe1, push('during'));
    const refused = await client.policy(pe1, 'p', 'seen(c) :- app:op(c, _)');
    assert.notEqual(refused?.status, 200);
    assert.equal((await client.query(pe1, 'app:op(c, n)', 'any'))?.status, 200);
    assert.equal((await cluster.client('d').batch(pe2, push('elsewhere')))?.status, 200);
    pe1.links?.heal();
    // Refused or, where it outlasted the fault, taken: once in either case.
    await pushing;
    const isWritten = async (): Promise<boolean> =>
      (await client.batch(pe1, push('during')))?.status === 200 &&
      (await client.policy(pe1, 'p', 'seen(c) :- app:op(c, _)'))?.status === 200;
    await until(isWritten, 'writes are still refused');
    assert.equal((await client.query(pe2, 'p:seen(c)'))?.rows.length, 3);
  });
});

test('a client that ignores its tokens is found where a replica is behind', async (t) => {
  await faultTest(t, async (cluster, pe1, pe2) => {
    const seen = async (ignoresTokens: boolean): Promise<readonly Violation[]> => {
      const recorder = new Recorder();
      recorder.push({ event: 'run', seed: 0, nodes: [], note: '' });
      const client = cluster.client(`ignores ${ignoresTokens}`, { recorder, ignoresTokens });
      // What the one writes comes late to the other.
      pe2.links?.setKafka({ kind: 'delay', delayMs: 1_000 });
      await client.batch(pe1, push(client.name));
      const answer = await client.query(pe2, 'app:op(c, n)');
      pe2.links?.heal();
      assert.equal(answer?.status, 200);
      await cluster.tap.caughtUp();
      const history = [...recorder.history, ...cluster.tap.recordEvents()];
      return [...checkHistory(history), ...checkSessions(history)];
    };
    await cluster.client('first').batch(pe1, push('before'));
    assert.ok(await cluster.rest());
    assert.deepEqual(await seen(false), []);
    const found = (await seen(true)).map(({ message }) => message).join('; ');
    for (const words of ['its token is of', 'it had seen', 'lacks its own']) {
      assert.ok(found.includes(words), `no \`${words}\`: ${found}`);
    }
  });
});

test('a replica that starts without Kafka or its database waits, says so, and starts', async (t) => {
  await faultTest(t, async (cluster, pe1, pe2) => {
    const client = cluster.client('c');
    await client.batch(pe1, push('before'));
    for (const what of ['kafka', 'database'] as const) {
      await pe2.kill();
      if (what === 'kafka') pe2.links?.setKafka(CUT);
      else pe2.links?.database.set(CUT);
      await pe2.launch();
      const reasons = async (): Promise<string> => JSON.stringify((await pe2.ready())?.['reasons']);
      const isWaiting = async (): Promise<boolean> => (await reasons()).includes('and waits: ');
      await until(isWaiting, `${what}: nothing says that it waits`);
      const refused = await cluster.client(`r ${what}`).query(pe2, 'app:op(c, n)', 'any');
      assert.equal(refused?.status, 503);
      assert.equal((await client.batch(pe1, push(what)))?.status, 200);
      assert.equal(pe2.state, 'running');
      pe2.links?.heal();
      await pe2.process.event('server-ready');
      const events = pe2.process.log.map(({ event }) => event);
      assert.ok(events.includes('start-waiting'), events.join(' '));
      const answer = await client.query(pe2, 'app:op(c, n)');
      assert.ok(answer?.rows.includes(`s${what.length}:${what};i1;`), answer?.rows.join(' '));
    }
  });
});
