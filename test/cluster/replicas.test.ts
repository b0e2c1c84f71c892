/** Replicas as processes over the shared Kafka and MariaDB. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { NodeSettings } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';
import { troubles } from './cluster-node.ts';
import { deleting, inserting, until, withCluster } from './with-cluster.ts';

type Three = [ClusterNode, ClusterNode, ClusterNode];

const server = (...names: string[]) => inserting('server', ...names.map((name) => [name]));
const batchOf = (id: string | null, changes: ReturnType<typeof inserting>) => ({
  source: 'inv',
  id,
  snapshot: false,
  changes,
});

test('a policy is seen on the others at its revision; what is killed comes back', async (t) => {
  await withCluster(t, { replicas: 3 }, async (cluster) => {
    const [pe1, pe2, pe3] = cluster.replicas as Three;
    const client = cluster.client('c');
    await client.batch(pe1, batchOf('first', server('s1', 's2')));
    const written = await client.policy(pe1, 'p', 'known(x) :- inv:server(x)');
    assert.equal(written?.status, 200);
    for (const node of [pe2, pe3, pe1]) {
      const answer = await client.query(node, 'p:known(x)');
      assert.deepEqual(answer?.rows, ['s2:s1;', 's2:s2;']);
      assert.ok(answer !== undefined && answer.revision >= (written?.revision ?? Infinity));
    }
    await pe1.kill();
    const pushed = await client.batch(pe2, batchOf('second', server('s3')));
    assert.equal(pushed?.status, 200);
    assert.equal((await client.query(pe3, 'p:known(x)'))?.rows.length, 3);
    await pe1.start();
    assert.equal((await client.query(pe1, 'p:known(x)'))?.rows.length, 3);
    const again = await client.batch(pe1, batchOf('second', server('s3')));
    assert.deepEqual(again?.body, pushed?.body, 'a repeated id has the first answer, anywhere');
  });
});

test('many write through all replicas: ids count once, no client goes back', async (t) => {
  await withCluster(t, { replicas: 3 }, async (cluster) => {
    const { replicas } = cluster;
    const op = (client: string, count: number) => ({
      source: 'app',
      id: `${client}-${count}`,
      snapshot: false,
      changes: inserting('op', [client, BigInt(count)]),
    });
    const work = async (name: string): Promise<void> => {
      const client = cluster.client(name);
      for (let count = 0; count < 12; count++) {
        const [one, other, third] = [0, 1, 2].map((at) => replicas[(count + at) % 3]) as Three;
        const answers = await Promise.all([
          client.batch(one, op(name, count)),
          client.batch(other, op(name, count)),
        ]);
        assert.deepEqual(answers[0]?.body, answers[1]?.body);
        const seen = await client.query(third, 'app:op(c, n)');
        assert.ok(seen !== undefined && seen.revision >= (answers[0]?.revision ?? Infinity));
      }
    };
    await Promise.all(['a', 'b', 'c'].map(work));
    const all = await cluster.client('last').query(replicas[0] as ClusterNode, 'app:op(c, n)');
    assert.equal(all?.rows.length, 36);
  });
});

test('a subscription shows each push elsewhere, and goes on at another replica', async (t) => {
  await withCluster(t, { replicas: 3 }, async (cluster) => {
    const [pe1, pe2, pe3] = cluster.replicas as Three;
    const client = cluster.client('c');
    await client.batch(pe1, batchOf(null, server('s1')));
    const view = cluster.client('v').follow('inv:server(x)');
    assert.ok(await view.connect(pe2));
    // Somebody else asks the third one for the same, so that it keeps what changes.
    const other = cluster.client('w').follow('inv:server(x)');
    assert.ok(await other.connect(pe3));
    for (const name of ['s2', 's3', 's4']) {
      const pushed = await client.batch(pe1, batchOf(null, server(name)));
      await view.at(pushed?.revision ?? Infinity);
    }
    await client.batch(pe3, batchOf(null, deleting('server', ['s2'])));
    await pe2.kill();
    view.disconnect();
    await client.batch(pe1, batchOf(null, server('s5')));
    assert.ok(await view.connect(pe3));
    await view.at(client.revision);
    assert.deepEqual([...view.rows].sort(), ['s2:s1;', 's2:s3;', 's2:s4;', 's2:s5;']);
    const views = cluster.recorder.history.flatMap((event) =>
      event.event === 'view' &&
      event.client === 'v' &&
      event.insert.length + event.delete.length > 0
        ? [event]
        : [],
    );
    const changes = views.flatMap(({ what, insert, delete: gone }) => [
      ...(what === 'snapshot' ? [] : insert.map((row) => `+${row}`)),
      ...gone.map((row) => `-${row}`),
    ]);
    // Each once, in order; the snapshot had the first row.
    assert.deepEqual(changes, ['+s2:s2;', '+s2:s3;', '+s2:s4;', '-s2:s2;', '+s2:s5;']);
    await pe2.start();
    view.disconnect();
    other.disconnect();
  });
});

test('a new replica gets its state from another when the log was trimmed', async (t) => {
  const settings = (id: string): NodeSettings => ({
    checkpoint: { revisions: 5 },
    ...(id === 'stranger' ? { cluster: { secret: 'another secret that nobody else has' } } : {}),
  });
  await withCluster(t, { replicas: 2, settings }, async (cluster) => {
    const [pe1, pe2] = cluster.replicas as Three;
    const client = cluster.client('c');
    await client.policy(pe1, 'p', 'known(x) :- inv:server(x)');
    for (let count = 0; count < 40 || (await cluster.tap.start('cuts')) === 0; count++) {
      await client.batch(count % 2 === 0 ? pe1 : pe2, batchOf(null, server(`s${count}`)));
    }
    const joined = cluster.addNode('pe9', 'replica');
    await joined.start();
    const there = await client.query(joined, 'p:known(x)');
    const elsewhere = await client.query(pe1, 'p:known(x)');
    assert.deepEqual(there?.rows, elsewhere?.rows);
    assert.deepEqual((await joined.status())?.['digest'], (await pe1.status())?.['digest']);
    // With another secret nobody gives it anything, and it does not make something up.
    const stranger = cluster.addNode('stranger', 'replica');
    await stranger.launch();
    const isRefused = (): boolean =>
      troubles(stranger.process.log).some(({ message }) => /secret|401|unauthor/i.test(message));
    await until(isRefused, 'the stranger does not say that it was refused');
    assert.equal((await stranger.ready())?.['ready'], false);
    await Promise.all([stranger.kill(), joined.kill()]);
  });
});

test('a node id that is taken is told; a damaged data directory is made good', async (t) => {
  const settings = (): NodeSettings => ({ checkpoint: { revisions: 5 } });
  await withCluster(t, { replicas: 2, settings }, async (cluster) => {
    const [pe1, pe2] = cluster.replicas as Three;
    const client = cluster.client('c');
    for (let count = 0; count < 12; count++) {
      await client.batch(pe1, batchOf(null, server(`s${count}`)));
    }
    await pe2.kill();
    const place = path.join(pe2.dataDirectory, 'checkpoints');
    const files = readdirSync(place, { recursive: true, encoding: 'utf8' });
    let damaged = 0;
    for (const file of files.map((name) => path.join(place, name))) {
      const bytes = bytesOf(file);
      if (bytes === undefined || bytes.length < 100) continue;
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] as number) ^ 0xff;
      writeFileSync(file, bytes);
      damaged++;
    }
    assert.ok(damaged > 0, 'there is no checkpoint to damage');
    await client.batch(pe1, batchOf(null, server('later')));
    await pe2.start();
    assert.equal((await client.query(pe2, 'inv:server(x)'))?.rows.length, 13);
    const other = cluster.addNode('pe1', 'replica', 'double');
    await other.start();
    const isTold = (): boolean =>
      [pe1, other].some(({ process }) =>
        troubles(process.log).some(({ message }) => message.includes('`pe1`')),
      );
    await until(isTold, 'nobody says that the id is taken');
    await other.kill();
  });
});

function bytesOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
