/** A process whose rows went wrong in memory finds out, and is like the others again. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { componentDirectory } from '../support/components.ts';
import type { ClusterNode } from './cluster-node.ts';
import { LOST_ROWS, losingCore } from './losing-core.ts';
import { inserting, until, withCluster } from './with-cluster.ts';

test('a replica that lost rows is quarantined, rebuilt and like the others', async (t) => {
  const trigger = path.join(componentDirectory(), 'lose');
  const env = (id: string): Readonly<Record<string, string>> => {
    return id === 'pe2' ? losingCore(trigger) : {};
  };
  // That its digest differs is in the history, and nothing else is.
  const isExpected = ({ invariant }: { readonly invariant: string }): boolean => invariant === 'I1';
  await withCluster(t, { replicas: 3, env, isExpected }, async (cluster) => {
    const [pe1, pe2, pe3] = cluster.replicas as [ClusterNode, ClusterNode, ClusterNode];
    const client = cluster.client('c');
    const push = async (name: string): Promise<void> => {
      const rows = Array.from({ length: LOST_ROWS }, (_, row) => [`${name}${row}`]);
      const changes = inserting('server', ...rows);
      const batch = { source: 'inv', id: name, snapshot: false, changes };
      assert.equal((await client.batch(pe1, batch))?.status, 200);
    };
    await push('a');
    assert.ok(await cluster.rest());
    const rebuilt = (node: ClusterNode): boolean =>
      node.process.log.some(({ event }) => event === 'replica-rebuilding');
    assert.ok(!cluster.replicas.some(rebuilt), 'it lost rows before it was to');
    writeFileSync(trigger, '');
    await push('b');
    await until(() => rebuilt(pe2), 'the replica does not notice that it differs');
    await push('c');
    assert.ok(await cluster.rest(), await cluster.unrest());
    for (const node of [pe1, pe2, pe3]) {
      const answer = await client.query(node, 'inv:server(x)', 'latest');
      assert.equal(answer?.rows.length, 3 * LOST_ROWS, node.id);
      assert.equal(rebuilt(node), node === pe2, `${node.id} was rebuilt`);
    }
    const statuses = await Promise.all(cluster.replicas.map((node) => node.status()));
    assert.equal(new Set(statuses.map((status) => status?.['digest'])).size, 1);
  });
});
