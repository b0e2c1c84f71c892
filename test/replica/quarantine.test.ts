/** Replicas that differ at one revision find out, and the one that is wrong is built anew. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Transaction, TransactionResult } from '../../host/engine/engine.ts';
import { judge } from '../../host/replica/judgement.ts';
import type { Judgement } from '../../host/replica/judgement.ts';
import type { NodeSettings, Suspect } from '../../host/replica/peers.ts';
import { encodeRows } from '../../host/value/row-block.ts';
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

const DIGEST_REVISIONS = 3;

interface Peer extends Node {
  readonly suspects: Suspect[];
}

interface PeerOptions {
  readonly digestRevisions?: number;
  readonly suspect?: Suspect;
}

async function startPeer(
  world: World,
  first: Node | undefined,
  nodeId: string,
  { digestRevisions = DIGEST_REVISIONS, suspect }: PeerOptions = {},
): Promise<Peer> {
  const suspects: Suspect[] = [];
  const node: NodeSettings = {
    nodeId,
    url: '',
    digestRevisions,
    ...(suspect === undefined ? {} : { suspect }),
  };
  const options: NodeOptions = { node, onDiverged: (found) => suspects.push(found) };
  const started =
    first === undefined ? await startNode(world, options) : await joinNode(world, first, options);
  return { ...started, suspects };
}

/** From here on the engine loses every inserted row of `s:t` but the first. */
function loseRows(node: Node): void {
  const { engine } = node;
  const transact = engine.transact.bind(engine);
  engine.transact = async (transaction: Transaction): Promise<TransactionResult> => {
    const changes = transaction.changes.map((change) => {
      if (change.table !== 's:t' || change.insert === undefined) return change;
      return { ...change, insert: encodeRows(1, shown(change.insert).slice(0, 1)) };
    });
    return await transact({ ...transaction, changes });
  };
}

async function pushSome(node: Node, from: number): Promise<void> {
  for (let n = from; n < from + 2 * DIGEST_REVISIONS; n++) {
    const changes = [{ table: 't', insert: ints(10 * n, 10 * n + 1) }];
    await node.replica.writeBatch({ source: 's', changes });
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `not within a minute: ${String(condition)}`);
    await yieldToLoop();
  }
}

replicaTest('the one that differs from two others is quarantined, rebuilt and live', async () => {
  const world = await newWorld();
  const a = await startPeer(world, undefined, 'a');
  const b = await startPeer(world, a, 'b');
  let c = await startPeer(world, a, 'c');
  await pushSome(a, 0);
  loseRows(c);
  await pushSome(a, 50);
  await until(() => c.suspects.length > 0);
  const [suspect] = c.suspects;
  assert.equal(c.replica.status().phase, 'quarantined');
  await assert.rejects(c.replica.query({ query: 's:t(x)' }));
  assert.deepEqual([a.suspects, b.suspects], [[], []]);
  assert.equal(a.replica.status().phase, 'live');
  await c.stop();
  c = await startPeer(world, a, 'c', { suspect: suspect as Suspect });
  await until(() => c.replica.status().phase === 'live');
  assert.equal(c.replica.status().digest, a.replica.status().digest);
  await c.stop();
  await b.stop();
  await a.stop();
});

replicaTest('of two that differ both are rebuilt; then they agree', async () => {
  const world = await newWorld();
  const a = await startPeer(world, undefined, 'a');
  let b = await startPeer(world, a, 'b');
  loseRows(b);
  // It stops taking writes as soon as they know.
  await pushSome(a, 0).catch(code('not_ready'));
  await until(() => a.suspects.length > 0 && b.suspects.length > 0);
  await b.stop();
  b = await startPeer(world, a, 'b', { suspect: b.suspects[0] as Suspect });
  // It agrees with what the other had announced before that one was closed.
  await until(() => b.replica.status().phase === 'live');
  await b.stop();
  await a.stop();
});

replicaTest('one that still differs after it was rebuilt stays out, and says so', async () => {
  const world = await newWorld();
  const a = await startPeer(world, undefined, 'a');
  const b = await startPeer(world, a, 'b');
  let c = await startPeer(world, a, 'c');
  loseRows(c);
  await pushSome(a, 0);
  await until(() => c.suspects.length > 0);
  await c.stop();
  const suspect = { ...(c.suspects[0] as Suspect) };
  // Its announcements of a revision that nobody else confirms leave it where it is.
  c = await startPeer(world, a, 'c', { suspect: { ...suspect, revision: suspect.revision + 300 } });
  loseRows(c);
  await pushSome(a, 50);
  await until(() =>
    world.problems.some((problem) => problem.message.includes('also after this one was built')),
  );
  assert.equal(c.replica.status().phase, 'quarantined');
  assert.equal(c.suspects.length, 0);
  await c.stop();
  await b.stop();
  await a.stop();
});

replicaTest('control: without digests nobody notices', async () => {
  const world = await newWorld();
  const none = { digestRevisions: Number.MAX_SAFE_INTEGER };
  const a = await startPeer(world, undefined, 'a', none);
  const b = await startPeer(world, a, 'b', none);
  loseRows(b);
  await pushSome(a, 0);
  const { revision, digest } = a.replica.status();
  await until(() => b.replica.status().revision >= revision);
  assert.notEqual(b.replica.status().digest, digest);
  for (let turn = 0; turn < 50; turn++) await yieldToLoop();
  assert.deepEqual([a.suspects, b.suspects], [[], []]);
  await b.stop();
  await a.stop();
});

replicaTest('a table whose rows changed in memory is found, and nothing is answered', async () => {
  const world = await newWorld();
  let rebuilds = 0;
  const node = await startNode(world, {
    node: { nodeId: 'a', url: '', digestRevisions: DIGEST_REVISIONS },
    onOvertaken: () => rebuilds++,
  });
  await pushSome(node, 0);
  assert.equal(node.replica.status().ready, true);
  node.engine.scrub = () => 's:t';
  await pushSome(node, 50).catch(code('state_diverged'));
  await until(() => rebuilds > 0);
  assert.equal(node.replica.status().ready, false);
  await assert.rejects(node.replica.query({ query: 's:t(x)' }), code('state_diverged'));
  await node.stop();
});

test('who is believed', () => {
  const cases: readonly [digests: string, silent: number, judgement: Judgement][] = [
    ['a', 0, 'open'],
    ['aa', 0, 'agreed'],
    ['aaa', 0, 'agreed'],
    ['ab', 0, 'split'],
    ['ab', 1, 'open'],
    ['abb', 0, 'minority'],
    ['aab', 0, 'majority'],
    ['abb', 1, 'open'],
    ['abbb', 2, 'open'],
    ['abbb', 1, 'minority'],
    ['aabb', 0, 'split'],
    ['abc', 0, 'split'],
  ];
  for (const [text, silent, expected] of cases) {
    const digests = new Map([...text].map((digest, node) => [String(node), digest]));
    assert.equal(judge({ nodeId: '0', digests, silent }), expected, text);
  }
});
