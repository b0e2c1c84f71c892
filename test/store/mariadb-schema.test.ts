/** How a database gets its tables, and which ones are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HASH } from '../../host/log/policy-hash.ts';
import type { WrapConnection } from '../../host/store/mariadb-store.ts';
import { put } from '../suites/store-suite.ts';
import { beforeEach, makeBarrier } from './gates.ts';
import { databaseOrSkip } from './test-database.ts';
import type { TestDatabase } from './test-database.ts';

const OPENERS = 6;

/** All have looked at the version before any raises it; returns the version afterwards. */
async function openAtOnce(database: TestDatabase, rewrite: (sql: string) => string) {
  const barrier = makeBarrier(OPENERS);
  const wrap: WrapConnection = beforeEach(async (sql) => {
    if (sql.startsWith('UPDATE caucus_schema_version')) await barrier();
    return rewrite(sql);
  });
  const opened = await Promise.allSettled(
    Array.from({ length: OPENERS }, () => database.open({ poolSize: 1 }, wrap)),
  );
  const [row] = await database.rows('SELECT version FROM caucus_schema_version');
  return { opened, version: Number(row?.['version']) };
}

test(`mariadb: ${OPENERS} servers that start at once make the tables together`, async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const { opened, version } = await openAtOnce(database, (sql) => sql);
  assert.deepEqual(
    opened.filter(({ status }) => status === 'rejected'),
    [],
  );
  assert.equal(version, 1);
  const edits = await database.rows('SELECT id, edit FROM caucus_edits');
  assert.deepEqual(edits, [{ id: 1, edit: 0n }]);
  const store = await database.open();
  assert.ok((await store.propose(0, NO_HASH, 'put', put('p', 'one'))).ok);
});

test('control: without compare-and-swap the version is raised by each', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const { version } = await openAtOnce(database, (sql) =>
    sql.replace('AND version = ?', 'AND ? IS NOT NULL'),
  );
  assert.equal(version, OPENERS);
});

test('mariadb: a start that died in the middle of the tables is finished by the next', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  let dieAt = 0;
  for (let died = true; died;) {
    let statements = 0;
    died = false;
    dieAt++;
    const dies = beforeEach((sql) => {
      if (!/^(CREATE|INSERT|UPDATE)/.test(sql) || ++statements !== dieAt) return sql;
      died = true;
      throw new Error('killed');
    });
    await database.open({}, dies).catch((error: Error) => assert.equal(error.message, 'killed'));
    const next = await database.open();
    assert.ok((await next.propose(0, NO_HASH, 'put', put('p', 'one'))).ok, `${dieAt}`);
    const tables = await database.rows('SHOW TABLES');
    const names = tables.flatMap((row) => Object.values(row)).join(', ');
    await database.admin.query(`DROP TABLE ${names}`);
  }
  // As many statements as there are, and the first time without a death.
  assert.equal(dieAt, 10);
});

test('mariadb: a database of a later version is refused and left alone', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const store = await database.open();
  await store.propose(0, NO_HASH, 'put', put('p', 'one'));
  await database.admin.query('UPDATE caucus_schema_version SET version = 99');
  await assert.rejects(database.open(), (error: { code?: string; remedy?: string }) => {
    assert.equal(error.code, 'unsupported_record');
    assert.match(error.remedy ?? '', /later/);
    return true;
  });
  assert.equal((await database.rows('SELECT * FROM caucus_proposals')).length, 1);
});

test('mariadb: every table is InnoDB with a primary key, and texts are bytes', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  // A server whose defaults are others.
  await database.admin.query('ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci');
  await database.open();
  const tables = await database.rows(
    'SELECT table_name AS name, engine FROM information_schema.tables WHERE table_schema = DATABASE()',
  );
  assert.equal(tables.length, 6);
  for (const { name, engine } of tables) assert.equal(engine, 'InnoDB', String(name));
  const keys = await database.rows(
    `SELECT DISTINCT table_name FROM information_schema.table_constraints
     WHERE table_schema = DATABASE() AND constraint_type = 'PRIMARY KEY'`,
  );
  assert.equal(keys.length, tables.length);
  const collations = await database.rows(
    `SELECT DISTINCT collation_name AS name FROM information_schema.columns
     WHERE table_schema = DATABASE() AND collation_name IS NOT NULL ORDER BY 1`,
  );
  assert.deepEqual(
    collations.map(({ name }) => name),
    ['ascii_bin', 'utf8mb4_nopad_bin'],
  );
});

test('mariadb: the tables of Congress in the same database stay as they are', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  await database.admin.query('CREATE TABLE policies (id VARCHAR(36) PRIMARY KEY)');
  await database.admin.query("INSERT INTO policies VALUES ('classification')");
  const store = await database.open();
  await store.propose(0, NO_HASH, 'put', put('p', 'one'));
  await store.setVerdict(1, 'accepted', null);
  assert.deepEqual(await database.rows('SELECT * FROM policies'), [{ id: 'classification' }]);
});
