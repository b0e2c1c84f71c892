/**
 * Three brokers, behind the links of each replica: one of them gone changes nothing for clients;
 * with two gone too few copies would be made, and nothing is acknowledged until they are back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startKafka } from '../../deploy/loopback/kafka.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';
import type { ClusterNode } from './cluster-node.ts';
import { Links } from './links.ts';
import { inserting, until, withCluster } from './with-cluster.ts';

const BROKERS = 3;
/** Far beyond what a write is tried for. */
const REFUSED_MS = 120_000;

const push = (id: string) => ({
  source: 'app',
  id,
  snapshot: false,
  changes: inserting('op', [id, 1n]),
});

test('brokers are killed: with one writes go on, with two none is acknowledged or lost', async (t) => {
  if (!canStartOrSkip(t, ['kafka'])) return;
  const links = await Promise.all([1, 2].map((seed) => Links.open(BROKERS, seed)));
  const linkPorts = links.map(({ ports }) => ports);
  const kafka = await startKafka({ directory: componentDirectory(), nodes: BROKERS, linkPorts });
  try {
    const { brokers } = kafka;
    const options = { replicas: 2, replicationFactor: 3 as const, brokers };
    await withCluster(t, { ...options, links: { of: links, kafka } }, async (cluster) => {
      const [pe1, pe2] = cluster.replicas as [ClusterNode, ClusterNode];
      const client = cluster.client('c', { requestMs: REFUSED_MS });
      const isTaken = async (id: string): Promise<boolean> =>
        (await client.batch(pe1, push(id)))?.status === 200;
      assert.ok(await isTaken('three'));
      const [, second, third] = kafka.nodes;
      await second?.kill();
      // The control: it is not the kill that writes are refused for.
      await until(() => isTaken('two'), 'with two of three brokers nothing is taken');
      await third?.kill();
      const refused = await cluster.client('r', { requestMs: REFUSED_MS }).batch(pe1, push('one'));
      assert.equal(refused?.status, 503);
      const kept = await client.policy(pe2, 'p', 'seen(c) :- app:op(c, _)');
      assert.equal(kept?.status, 202);
      const read = await cluster.client('a').query(pe1, 'app:op(c, n)', 'any');
      assert.deepEqual([read?.status, read?.rows.length], [200, 2]);
      await Promise.all([second?.start(), third?.start()]);
      await until(() => isTaken('back'), 'nothing is taken after the brokers are back');
      for (const node of [pe1, pe2]) {
        const shows = async (): Promise<boolean> => {
          const answer = await client.query(node, 'p:seen(c)', 'latest');
          const seen = answer?.rows ?? [];
          return ['s5:three;', 's3:two;', 's4:back;'].every((row) => seen.includes(row));
        };
        await until(shows, `${node.id} does not show the policy that was pending`);
      }
    });
  } finally {
    await kafka.kill();
    await Promise.all(links.map((one) => one.close()));
  }
});
