import assert from 'node:assert/strict';
import test from 'node:test';
import { createConnection } from 'mariadb';
import type { Connection } from 'mariadb';
import { startMariadb } from '../../deploy/loopback/mariadb.ts';
import {
  canStartOrSkip,
  componentDirectory,
  freshDatabase,
  mariadbOrSkip,
} from '../support/components.ts';

async function onConnection<T>(
  url: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await createConnection(url);
  try {
    return await work(connection);
  } finally {
    await connection.end().catch(() => undefined);
  }
}

test('an acknowledged row is there after kill -9 and a start', async (t) => {
  if (!canStartOrSkip(t, ['mariadb'])) return;
  const mariadb = await startMariadb({ directory: componentDirectory() });
  t.after(() => mariadb.kill());
  await onConnection(mariadb.url, async (connection) => {
    await connection.query('CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=InnoDB');
    for (let id = 0; id < 50; id++) await connection.query('INSERT INTO kept VALUES (?)', [id]);
    connection.on('error', () => undefined);
    await mariadb.kill();
  });
  assert.equal(mariadb.state, 'stopped');
  await assert.rejects(createConnection(mariadb.url));
  await mariadb.start();
  const [row] = await onConnection(mariadb.url, (connection) =>
    connection.query<{ rows: bigint }[]>('SELECT COUNT(*) AS `rows` FROM kept'),
  );
  assert.equal(row?.rows, 50n);
  const [setting] = await onConnection(mariadb.url, (connection) =>
    connection.query<{ flush: number }[]>('SELECT @@innodb_flush_log_at_trx_commit AS flush'),
  );
  assert.equal(Number(setting?.flush), 1);
});

test('a paused server answers after it goes on', async (t) => {
  if (!canStartOrSkip(t, ['mariadb'])) return;
  const mariadb = await startMariadb({ directory: componentDirectory() });
  t.after(() => mariadb.kill());
  await onConnection(mariadb.url, async (connection) => {
    await mariadb.pause();
    assert.equal(mariadb.state, 'paused');
    let isAnswered = false;
    const answer = connection.query<{ one: number }[]>('SELECT 1 AS one').then((rows) => {
      isAnswered = true;
      return rows;
    });
    // The system accepts for a stopped process; its greeting does not come.
    await assert.rejects(createConnection({ ...addressOf(mariadb.url), connectTimeout: 200 }));
    assert.equal(isAnswered, false);
    await mariadb.resume();
    assert.equal((await answer)[0]?.one, 1);
  });
});

test('databases of tests are apart, on one server', async (t) => {
  const url = await mariadbOrSkip(t);
  if (url === undefined) return;
  const one = await freshDatabase(url);
  const other = await freshDatabase(url);
  const create = 'CREATE TABLE same (id INT PRIMARY KEY) ENGINE=InnoDB';
  await onConnection(one.url, (connection) => connection.query(create));
  await onConnection(other.url, (connection) => connection.query(create));
  await one.drop();
  await assert.rejects(createConnection(one.url), /Unknown database/);
  await other.drop();
});

function addressOf(url: string): { host: string; port: number; user: string; password: string } {
  const { hostname, port, username, password } = new URL(url);
  return { host: hostname, port: Number(port), user: username, password };
}
