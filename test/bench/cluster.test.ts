/** The cluster bench on little: real components and three real replicas for each part. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { measureCluster } from '../../bench/cluster/cluster.ts';
import type { ClusterSize } from '../../bench/cluster/cluster.ts';
import { canStartOrSkip } from '../support/components.ts';

const SIZE: ClusterSize = {
  latency: { rows: 20, policies: 5, warmUp: 2, paceMs: 15 },
  throughput: { batches: 8, warmUp: 4 },
  restart: { batches: 5, batchRows: 100, singles: 50, behind: 10 },
};

async function figures(part: string): Promise<Map<string, readonly string[]>> {
  const entries = await measureCluster(part, () => undefined, SIZE);
  for (const { name, figures } of entries) {
    for (const [figure, { value }] of Object.entries(figures)) {
      assert.ok(Number.isFinite(value) && value >= 0, `${name}: ${figure} is ${value}`);
    }
  }
  return new Map(entries.map(({ name, figures }) => [name, Object.keys(figures)]));
}

test('rows and policies come to all replicas', async (t) => {
  if (!canStartOrSkip(t, ['kafka', 'mariadb'])) return;
  const found = await figures('latency one broker');
  assert.deepEqual(
    [...found.keys()],
    [
      'a row over HTTP → all replicas, one broker',
      'a row into the log → all replicas, one broker',
      'a policy over HTTP → all replicas, one broker',
    ],
  );
});

test('a replica that comes back by any way is the same, births included', async (t) => {
  if (!canStartOrSkip(t, ['kafka', 'mariadb'])) return;
  assert.equal((await figures('restart')).size, 4);
});

test('there is no other part', async () => {
  await assert.rejects(figures('speed'), /no part `speed`/);
});
