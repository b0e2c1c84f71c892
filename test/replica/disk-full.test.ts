import assert from 'node:assert/strict';
import { CaucusError } from '../../host/errors.ts';
import type { Log } from '../../host/log/log.ts';
import { DISK_PROBE_MS } from '../../host/limits.ts';
import { readRecord } from '../../host/replica/restore.ts';
import {
  code,
  ints,
  newWorld,
  replicaTest,
  shown,
  startNode,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';

const insert = (table: string, ...values: number[]) => [{ table, insert: ints(...values) }];

function fill(world: World): void {
  world.disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
}

function free(world: World): void {
  world.disk.fault = () => undefined;
}

async function isLive(node: Node): Promise<void> {
  while (node.replica.status().phase !== 'live') await yieldToLoop();
}

/** `wrapLog`: what the replica sees of a log whose disk is full. */
async function fillsAndHeals(wrapLog = (log: Log): Log => log): Promise<void> {
  const world = await newWorld();
  let node = await startNode(world, { wrapLog });
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  fill(world);
  const third = { source: 's', changes: insert('t', 3), id: { key: 'k', bodyDigest: 'd' } };
  const results = await Promise.allSettled([
    node.replica.writeBatch({ source: 's', changes: insert('t', 2) }),
    node.replica.writeBatch(third),
  ]);
  for (const result of results) assert.equal(result.status, 'rejected', 'acknowledged');
  assert.equal(node.replica.status().phase, 'read-only');
  for (const result of results) {
    assert.ok(code('disk_full')((result as PromiseRejectedResult).reason));
  }
  assert.equal(node.replica.status().ready, false);
  assert.deepEqual(shown((await node.replica.query({ query: 's:t(x)' })).rows), [[1n]]);
  await assert.rejects(
    node.replica.writePolicies([{ name: 'p', text: 'a(1)' }]),
    code('disk_full'),
  );
  free(world);
  await node.replica.writeBatch(third);
  assert.equal(node.replica.status().phase, 'live');
  const found = shown((await node.replica.query({ query: 's:t(x)' })).rows).flat();
  assert.ok(found.includes(1n) && found.includes(3n));
  const { digest, revision } = node.replica.status();
  await node.stop();
  node = await startNode(world);
  assert.deepEqual(
    [node.replica.status().digest, node.replica.status().revision],
    [digest, revision],
  );
  await node.stop();
}

replicaTest(
  'a full disk refuses writes, queries go on, and the next write that fits heals it',
  () => fillsAndHeals(),
);

/** A log that says of an append that failed what `told` makes of it. */
function withFailure(log: Log, told: (error: CaucusError) => Error): Log {
  const append: Log['append'] = async (topic, records) => {
    try {
      return await log.append(topic, records);
    } catch (error) {
      throw error instanceof CaucusError ? told(error) : error;
    }
  };
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

replicaTest('control: where the log does not tell that the disk is full, nothing shows', () =>
  assert.rejects(
    fillsAndHeals((log) => withFailure(log, ({ message }) => new Error(message))),
    { name: 'AssertionError', actual: 'live', expected: 'read-only' },
  ),
);

replicaTest('a read-only replica finds by itself that there is room again', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  fill(world);
  await assert.rejects(
    node.replica.writeBatch({ source: 's', changes: insert('t', 2) }),
    code('disk_full'),
  );
  world.nowMs += DISK_PROBE_MS;
  node.replica.status();
  for (let turn = 0; turn < 20; turn++) await yieldToLoop();
  assert.equal(node.replica.status().phase, 'read-only', 'a try on a full disk changes nothing');
  free(world);
  node.replica.status();
  for (let turn = 0; turn < 20; turn++) await yieldToLoop();
  assert.equal(node.replica.status().phase, 'read-only', 'it does not try at every look');
  world.nowMs += DISK_PROBE_MS;
  await isLive(node);
  await node.stop();
});

replicaTest('a replica with a full disk starts, read-only, and closes', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  await node.stop();
  node = await startNode(world);
  // A record without a cut, as a crash leaves it.
  await node.log.append('source.s.1', [await readRecord(node.log, 'source.s.1', 0)]);
  world.disk.kill();
  await node.log.close().catch(() => undefined);
  node = await startNode(world, {
    wrapLog: (log) => {
      fill(world);
      return log;
    },
  });
  assert.equal(node.replica.status().phase, 'read-only');
  assert.equal((await node.replica.query({ query: 's:t(x)' })).rows.count, 1);
  free(world);
  world.nowMs += DISK_PROBE_MS;
  await isLive(node);
  await node.stop();
});
