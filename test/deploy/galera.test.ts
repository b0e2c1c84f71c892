import assert from 'node:assert/strict';
import test from 'node:test';
import { createConnection } from 'mariadb';
import { startGalera } from '../../deploy/loopback/galera.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';

async function query<Row>(url: string, sql: string): Promise<Row[]> {
  const connection = await createConnection(url);
  try {
    return await connection.query<Row[]>(sql);
  } finally {
    await connection.end();
  }
}

test('three nodes: a write is everywhere, a killed node comes back with what it missed', async (t) => {
  if (!canStartOrSkip(t, ['galera'])) return;
  const galera = await startGalera({ directory: componentDirectory() });
  t.after(() => galera.kill());
  const [one, two, three] = galera.nodes;
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  await query(one.url, 'CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=InnoDB');
  await query(one.url, 'INSERT INTO kept VALUES (1)');
  // Without the wait a node may answer with what it had a moment before.
  const read = 'SET STATEMENT wsrep_sync_wait = 1 FOR SELECT id FROM kept ORDER BY id';
  assert.deepEqual(await query(three.url, read), [{ id: 1 }]);
  await three.kill();
  await query(two.url, 'INSERT INTO kept VALUES (2)');
  await three.start();
  assert.deepEqual(await query(three.url, read), [{ id: 1 }, { id: 2 }]);
  const [size] = await query<{ Value: string }>(one.url, "SHOW STATUS LIKE 'wsrep_cluster_size'");
  assert.equal(size?.Value, '3');
});
