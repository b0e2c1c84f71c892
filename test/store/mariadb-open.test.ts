/** Servers that cannot be used say why, and what to do. */
import assert from 'node:assert/strict';
import { chmod, copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { NO_HASH } from '../../host/log/policy-hash.ts';
import { openMariadbStore } from '../../host/store/mariadb-store.ts';
import type { MariadbStoreOptions } from '../../host/store/mariadb-store.ts';
import { freePort } from '../../deploy/loopback/ports.ts';
import { componentDirectory } from '../support/components.ts';
import { put } from '../suites/store-suite.ts';
import { beforeEach } from './gates.ts';
import { databaseOrSkip, ownServerOrSkip } from './test-database.ts';

const PASSWORD = 'geheim';
const TLS = path.join('test', 'store', 'tls');

async function refusal(options: MariadbStoreOptions): Promise<CaucusError> {
  try {
    await (await openMariadbStore({ ...options, random: () => 0 })).close();
  } catch (error) {
    assert.ok(error instanceof CaucusError, String(error));
    const said = `${error.message} ${error.remedy} ${JSON.stringify(error.details)}`;
    assert.ok(!said.includes(PASSWORD), said);
    return error;
  }
  throw new Error('it was opened');
}

test('mariadb: a wrong login or a missing right names the statement that helps', async (t) => {
  const own = await ownServerOrSkip(t);
  if (own === undefined) return;
  const { server } = own;
  const root = await own.root();
  await root.query(`CREATE USER 'poor'@'%' IDENTIFIED BY '${PASSWORD}'`);
  await root.query('CREATE DATABASE `odd``name`');
  const rights =
    'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ' +
    "ON `odd``name`.* TO 'poor'@'%'";
  const login = { url: server.url, database: 'odd`name', user: 'poor', password: PASSWORD };

  const wrong = await refusal({ ...login, password: `${PASSWORD}!` });
  assert.equal(wrong.code, 'store_refused');
  assert.match(wrong.message, /Access denied for user/);
  assert.ok(wrong.remedy?.includes("CREATE USER 'poor'@'%'"));

  const unknown = await refusal({ url: server.url, database: 'no`such' });
  assert.equal(unknown.code, 'store_refused');
  assert.ok(unknown.remedy?.includes('CREATE DATABASE `no``such`'));

  const foreign = await refusal(login);
  assert.equal(foreign.code, 'store_refused');
  assert.ok(foreign.remedy?.includes(rights), foreign.remedy);

  await root.query("GRANT SELECT ON `odd``name`.* TO 'poor'@'%'");
  const poor = await refusal(login);
  assert.equal(poor.code, 'store_refused');
  assert.match(poor.message, /CREATE command denied/);
  assert.ok(poor.remedy?.includes(rights));

  // The statement does help; once there are tables, less is enough.
  await root.query(rights);
  await (await openMariadbStore(login)).close();
  await root.query("REVOKE CREATE, ALTER, INDEX ON `odd``name`.* FROM 'poor'@'%'");
  const store = await openMariadbStore(login);
  assert.ok((await store.propose(0, NO_HASH, 'put', put('p', 'one'))).ok);
  await store.setVerdict(1, 'accepted', null);
  await store.takeLease('nova', 'a', 'ds1', 1_000);
  // Rights that go away later: new sessions notice.
  await root.query("REVOKE INSERT ON `odd``name`.* FROM 'poor'@'%'");
  const later = await openMariadbStore(login);
  const { hash } = await later.head();
  await assert.rejects(later.propose(1, hash, 'put', put('p', 'two')), {
    code: 'store_refused',
    message: /INSERT command denied/,
  });
  await Promise.all([store.close(), later.close()]);
});

test('mariadb: a server that nobody reaches is `store_unavailable`', async () => {
  const error = await refusal({
    host: '127.0.0.1',
    port: await freePort(),
    database: 'caucus',
    user: 'caucus',
    password: PASSWORD,
  });
  assert.equal(error.code, 'store_unavailable');
  assert.deepEqual([error.status, error.retry], [503, 'after']);
  assert.match(error.message, /ECONNREFUSED/);
});

test('mariadb: a server without InnoDB or with small packets is refused', async (t) => {
  const withoutInnodb = ['--skip-innodb', '--default-storage-engine=Aria'];
  let args = [...withoutInnodb, '--max-allowed-packet=4M'];
  const own = await ownServerOrSkip(t, () => args);
  if (own === undefined) return;
  const { server } = own;
  const small = await refusal({ url: server.url });
  assert.equal(small.code, 'store_refused');
  assert.match(small.message, /packets of 4194304 bytes/);
  assert.match(small.remedy ?? '', /max_allowed_packet = 16777216/);
  await server.stop();
  args = withoutInnodb;
  await server.start();
  const old = await refusal({ url: server.url });
  assert.equal(old.code, 'store_refused');
  assert.match(old.message, /no InnoDB/);
});

test('mariadb: another or an old server is refused', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const calls = (version: string) => beforeEach((sql) => sql.replace('VERSION()', `'${version}'`));
  for (const version of ['8.0.36', '10.4.34-MariaDB-log', '5.5.68-MariaDB']) {
    await assert.rejects(database.open({}, calls(version)), {
      code: 'store_refused',
      remedy: /MariaDB 10.5/,
    });
  }
  for (const version of ['10.5.0-MariaDB', '11.4.2-MariaDB-ubu', '10.6.14-9-MariaDB-enterprise']) {
    await database.open({}, calls(version));
  }
});

test('mariadb: TLS is used and checked', async (t) => {
  const directory = componentDirectory();
  await chmod(directory, 0o755);
  for (const file of ['ca.pem', 'server.pem', 'server.key']) {
    await copyFile(path.join(TLS, file), path.join(directory, file));
  }
  const own = await ownServerOrSkip(t, () => [
    `--ssl-ca=${path.join(directory, 'ca.pem')}`,
    `--ssl-cert=${path.join(directory, 'server.pem')}`,
    `--ssl-key=${path.join(directory, 'server.key')}`,
  ]);
  if (own === undefined) return;
  const { server } = own;
  const ca = await readFile(path.join(TLS, 'ca.pem'), 'utf8');
  const foreign = await readFile(path.join(TLS, 'other-ca.pem'), 'utf8');
  let cipher: unknown;
  const store = await openMariadbStore({ url: server.url, ssl: { ca } }, (connection) => {
    const status = connection.execute("SHOW STATUS LIKE 'Ssl_cipher'", []);
    void status.then(({ rows }) => (cipher = rows[0]?.['Value']));
    return connection;
  });
  await store.close();
  assert.match(String(cipher), /^TLS_/);
  for (const ssl of [{ ca: foreign }, true]) {
    const error = await refusal({ url: server.url, ssl });
    assert.equal(error.code, 'store_refused', error.message);
    assert.match(error.remedy ?? '', /ssl_ca/);
  }
  await (await openMariadbStore({ url: server.url, ssl: { verify: false } })).close();
});
