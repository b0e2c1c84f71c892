/** Registering sources without a replica, while others write policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRecord } from '../../host/log/records.ts';
import { CutProposer } from '../../host/sources/cut-proposer.ts';
import { PolicyFollower } from '../../host/sources/policy-follower.ts';
import { code, ints, joinNode, newWorld, startNode, useEngine } from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';
import { register, rowsOf, wait } from '../support/source-world.ts';

useEngine('naive');
const peer = (nodeId: string) => ({ node: { nodeId, url: '', digestRevisions: 5 } });
const NAMES = 12;

async function twoReplicas(): Promise<{ world: World; nodes: [Node, Node] }> {
  const world = await newWorld();
  const first = await startNode(world, peer('pe1'));
  return { world, nodes: [first, await joinNode(world, first, peer('pe2'))] };
}

test('registrations and policy changes race; each holds, everywhere', async () => {
  const { world, nodes } = await twoReplicas();
  const [a, b] = nodes;
  const names = Array.from({ length: NAMES }, (_, n) => `s${n}`);
  await Promise.all([
    ...names.map((name) => register(world, a.log, name)),
    ...names.slice(0, 4).map((name) => register(world, a.log, name, 'shared')),
    ...[a, b].flatMap(({ replica }, n) =>
      [0, 1, 2].map((k) => replica.writePolicies([{ name: `p${n}${k}`, text: `t(${k})\n` }])),
    ),
    b.replica.writeBatch({ source: 'pushed', changes: [{ table: 't', insert: ints(1) }] }),
  ]);
  for (const node of nodes) {
    const fenced = await rowsOf(node, 'system:sources(n, "fenced", g, o, s, r)');
    assert.deepEqual(
      fenced.map(([name]) => name),
      [...names, 'shared'].sort(),
    );
    assert.equal(node.replica.status().policies.length, 6);
  }
  const head = await world.store.head();
  // Several sources may share a version, policies of several writers never do.
  assert.ok(head.version >= 6 + 2, `${head.version} versions`);
  await b.stop();
  await a.stop();
});

test('what a writer proposed and never put on the topic is put there', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  const { version, hash } = await world.store.head();
  await world.store.propose(version, hash, 'source', [{ name: 'first', text: '1 fenced' }]);
  await register(world, node.log, 'second');
  assert.deepEqual(await rowsOf(node, 'system:sources(n, k, g, o, s, r)').then((r) => r.length), 2);
  await node.stop();
});

test('records that do not follow the chain register nothing', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await register(world, node.log, 's');
  const hash = 'ab'.repeat(32);
  const changes = [{ name: 'forged', text: '1 fenced' }];
  const record = { kind: 'policy', version: 2, previousHash: hash, hash, op: 'source', changes };
  await node.log.append('policy', [encodeRecord(record as never)]);
  const cuts = new CutProposer(node.log, () => world.nowMs);
  const follower = new PolicyFollower({ log: node.log, store: world.store, cuts, wait });
  await follower.catchUp();
  assert.deepEqual([...follower.sources.keys()], ['s']);
  await assert.rejects(
    follower.register(['system'], new AbortController().signal),
    code('invalid_request'),
  );
  await follower.close();
  await node.stop();
});
