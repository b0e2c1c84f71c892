/** Two datasource nodes over one directory of files: one is active, whatever happens to it. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { componentDirectory } from '../support/components.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Cluster, NodeSettings } from './cluster.ts';
import { checkFiles, FILE_ROWS, FILE_SOURCE, writeVersion } from './file-source.ts';
import { until, withCluster } from './with-cluster.ts';

const LEASE_S = 1;

async function sourceTest(
  t: TestContext,
  work: (cluster: Cluster, files: string) => Promise<number>,
): Promise<void> {
  const files = path.join(componentDirectory(), 'files');
  mkdirSync(files);
  writeVersion(files, 1);
  const settings = (id: string): NodeSettings =>
    id.startsWith('ds')
      ? {
          cluster: { lease_ttl: `${LEASE_S}s` },
          datasources: [{ name: FILE_SOURCE, driver: 'file', path: files, poll_interval: '100ms' }],
        }
      : {};
  await withCluster(t, { replicas: 2, datasources: 2, settings }, async (cluster) => {
    const last = await work(cluster, files);
    await cluster.tap.caughtUp();
    const records = cluster.tap.recordEvents();
    assert.deepEqual(checkFiles(records, last), []);
  });
}

async function active(cluster: Cluster): Promise<ClusterNode | undefined> {
  for (const node of cluster.datasources) {
    if (node.state === 'running' && (await node.status())?.['role'] === 'active') return node;
  }
  return undefined;
}

async function shows(cluster: Cluster, version: number): Promise<void> {
  const client = cluster.client(`v${version}`);
  for (const node of cluster.replicas) {
    const isThere = async (): Promise<boolean> => {
      const answer = await client.query(node, `${FILE_SOURCE}:item(k, ${version})`, 'any');
      return answer?.rows.length === FILE_ROWS;
    };
    await until(isThere, `${node.id} does not show version ${version}`);
  }
}

async function activeOne(cluster: Cluster): Promise<ClusterNode> {
  await until(async () => (await active(cluster)) !== undefined, 'no datasource node is active');
  return (await active(cluster)) ?? activeOne(cluster);
}

async function standsBy(node: ClusterNode): Promise<void> {
  const isStandby = async (): Promise<boolean> => (await node.status())?.['role'] === 'standby';
  await until(isStandby, `${node.id} is no standby`);
}

test('when the active node is killed the standby goes on, and no row is missed or flickers', async (t) => {
  await sourceTest(t, async (cluster, files) => {
    await shows(cluster, 1);
    const first = await activeOne(cluster);
    writeVersion(files, 2);
    await shows(cluster, 2);
    await first.kill();
    writeVersion(files, 3);
    await shows(cluster, 3);
    assert.notEqual(await activeOne(cluster), first);
    await first.start();
    await standsBy(first);
    writeVersion(files, 4);
    await shows(cluster, 4);
    return 4;
  });
});

test('what a paused node says when it is back changes nothing', async (t) => {
  await sourceTest(t, async (cluster, files) => {
    await shows(cluster, 1);
    const zombie = await activeOne(cluster);
    // It finds the new rows, and is stopped somewhere before they are published.
    writeVersion(files, 2);
    zombie.pause();
    writeVersion(files, 3);
    await shows(cluster, 3);
    zombie.resume();
    await standsBy(zombie);
    writeVersion(files, 4);
    await shows(cluster, 4);
    return 4;
  });
});
