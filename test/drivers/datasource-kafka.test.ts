/** Datasource nodes on a real broker: rows arrive, and another node takes over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../drivers/clock.ts';
import { createDatasourceNode } from '../../drivers/datasource-node.ts';
import type { DatasourceNode } from '../../drivers/datasource-node.ts';
import { PollDriver } from '../../drivers/poll.ts';
import type { KafkaLog } from '../../host/log/kafka-log.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import { freshTopicPrefix, kafkaOrSkip } from '../support/components.ts';
import { openTestLog } from '../support/kafka-client.ts';
import { ints, newWorld, startNode, useEngine, yieldToLoop } from '../support/replica-world.ts';
import { randomId, rowsOf, staleOf } from '../support/source-world.ts';

useEngine('naive');
const POLL_MS = 5;
const TTL_MS = 1_000;
const PATIENCE_MS = 60_000;

async function until(is: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const endMs = Date.now() + PATIENCE_MS;
  while (!(await is())) {
    if (Date.now() > endMs) throw new Error(`it never came to: ${what}`);
    await yieldToLoop();
  }
}

test('two datasource nodes on kafka: rows arrive, the standby takes over', async (t) => {
  const brokers = await kafkaOrSkip(t);
  if (brokers === undefined) return;
  const bus = freshTopicPrefix();
  const world = await newWorld();
  const logs: KafkaLog[] = [];
  const open = async (): Promise<KafkaLog> => {
    const log = await openTestLog(brokers, bus);
    logs.push(log);
    return log;
  };
  const leases = await openSqliteStore({ file: ':memory:' });
  let numbers = [1, 2];
  const datasources = async (nodeId: string): Promise<DatasourceNode> => {
    const poll = new PollDriver({
      name: 'test',
      source: 's',
      tables: () => [{ name: 't' }],
      poll: async () => ({ tables: new Map([['t', ints(...numbers)]]), problems: [] }),
      changed: (signal) => systemClock.wait(POLL_MS, signal),
    });
    const { store } = world;
    const drivers = [poll];
    const log = await open();
    const node = createDatasourceNode({
      log,
      store,
      leases,
      drivers,
      randomId,
      nodeId,
      ttlMs: TTL_MS,
    });
    node.start();
    return node;
  };
  // Before any replica: it waits for the log to begin.
  const a = await datasources('ds1');
  const replicaLog = await open();
  const node = { nodeId: 'pe1', url: '', digestRevisions: 100 };
  const replica = await startNode(world, { wrapLog: () => replicaLog, now: Date.now, node });
  const shows = async (...expected: number[]): Promise<void> => {
    const wanted = JSON.stringify(expected.map(String));
    await until(async () => {
      if (!replica.replica.status().sources.some(({ tables }) => 't' in tables)) return false;
      return JSON.stringify((await rowsOf(replica, 's:t(x)')).map(([x]) => String(x))) === wanted;
    }, `rows ${wanted}`);
  };
  await shows(1, 2);
  await until(async () => (await staleOf(replica, 's'))[0] === false, 'fresh');
  const b = await datasources('ds2');
  await until(() => b.health().role === 'standby', 'a standby');
  numbers = [2, 3];
  await shows(2, 3);
  await a.stop();
  numbers = [4];
  await shows(4);
  assert.equal(b.health().role, 'active');
  assert.equal(b.health().problem, null);
  const [row] = await rowsOf(replica, 'system:sources("s", k, g, o, stale, r)');
  assert.equal(row?.[1], 2000n);
  assert.match(String(row?.[2]), /^ds2\//);
  await b.stop();
  await replica.stop();
  await Promise.all(logs.map((log) => log.close()));
  await leases.close();
});
