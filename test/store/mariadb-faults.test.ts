/** What the store promises when connections are lost, above all at COMMIT. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { MariadbStore } from '../../host/store/mariadb-store.ts';
import { put } from '../suites/store-suite.ts';
import { randomFrom } from '../support/random.ts';
import { CommitProxy } from './commit-proxy.ts';
import type { CommitFault } from './commit-proxy.ts';
import { beforeEach, makeGate } from './gates.ts';
import { faultsOf, proposeMany } from './proposal-history.ts';
import type { Attempt } from './proposal-history.ts';
import { databaseOrSkip } from './test-database.ts';
import type { TestDatabase } from './test-database.ts';

const FAULTS: readonly CommitFault[] = ['answer', 'request', 'late'];

async function proxyFor(t: TestContext, database: TestDatabase): Promise<CommitProxy> {
  const { hostname, port } = new URL(database.url);
  const proxy = await CommitProxy.start({ host: hostname, port: Number(port) });
  t.after(() => proxy.close());
  return proxy;
}

for (const fault of FAULTS) {
  test(`mariadb: a COMMIT whose connection is cut (${fault}) is neither denied nor repeated`, async (t) => {
    const database = await databaseOrSkip(t);
    if (database === undefined) return;
    const proxy = await proxyFor(t, database);
    const problems: Error[] = [];
    const store = await database.open({
      port: proxy.port,
      poolSize: 1,
      onProblem: (error) => problems.push(error),
    });
    proxy.fault = () => (proxy.done[fault] === 0 ? fault : undefined);
    const attempts: Attempt[] = [];
    await proposeMany(store, 'a', 1, (attempt) => attempts.push(attempt));
    assert.equal(proxy.done[fault], 1);
    assert.equal(problems.length, 1);
    assert.deepEqual(
      attempts.map(({ result }) => [result.ok, result.ok && result.version]),
      [[true, 1]],
    );
    assert.deepEqual(await faultsOf(store, attempts), []);
    assert.equal((await database.rows('SELECT * FROM caucus_proposals')).length, 1);
  });
}

test('control: without looking for its own write the store denies it', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const proxy = await proxyFor(t, database);
  const neverOwn = beforeEach((sql) => sql.replace('AND writer = ?', 'AND writer = ? AND FALSE'));
  const store = await database.open({ port: proxy.port, poolSize: 1 }, neverOwn);
  proxy.fault = () => (proxy.done.answer === 0 ? 'answer' : undefined);
  const attempts: Attempt[] = [];
  await proposeMany(store, 'a', 1, (attempt) => attempts.push(attempt));
  assert.deepEqual(await faultsOf(store, attempts), ['a.0 was refused and is at 1']);
});

/** A COMMIT is lost, and another server makes the same write before it is tried again. */
async function sameWriteMeanwhile(
  t: TestContext,
  database: TestDatabase,
  rewrite: (sql: string) => string,
): Promise<boolean[]> {
  const proxy = await proxyFor(t, database);
  proxy.fault = () => (proxy.done.request === 0 ? 'request' : undefined);
  const gate = makeGate();
  const wrap = beforeEach(async (sql) => {
    if (sql === 'START TRANSACTION' && proxy.done.request === 1) await gate.pass();
    return rewrite(sql);
  });
  const store = await database.open({ port: proxy.port, poolSize: 1 }, wrap);
  const other = await database.open();
  const { hash } = await other.head();
  const first = store.propose(0, hash, 'put', put('p', 'same'));
  await gate.reached;
  const second = await other.propose(0, hash, 'put', put('p', 'same'));
  gate.open();
  return [(await first).ok, second.ok];
}

test('mariadb: the same write of another server is not taken for the lost one', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  assert.deepEqual(await sameWriteMeanwhile(t, database, (sql) => sql), [false, true]);
});

test('control: without the name of the writer both believe that it is theirs', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const anyWriter = (sql: string): string => sql.replace('AND writer = ?', 'AND ? IS NOT NULL');
  assert.deepEqual(await sameWriteMeanwhile(t, database, anyWriter), [true, true]);
});

test('mariadb: a node without quorum is left for another one', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  let connections = 0;
  const problems: string[] = [];
  const store = await database.open(
    { onProblem: (error) => problems.push(error.message) },
    (connection) => {
      const number = ++connections;
      const fails = beforeEach((sql) => {
        if (number > 1 || !sql.includes('caucus_proposals')) return sql;
        const message = 'WSREP has not yet prepared node for application use';
        throw Object.assign(new Error(message), { errno: 1047, sqlState: '08S01', fatal: false });
      });
      return fails(connection);
    },
  );
  assert.equal((await store.head()).version, 0);
  assert.equal(connections, 2);
  assert.equal(problems.length, 1);
});

test('mariadb: writers whose connections are cut at random agree with what is stored', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const seed = 11;
  const random = randomFrom(seed);
  const proxy = await proxyFor(t, database);
  const stores = await Promise.all(
    [1, 2, 3].map(() => database.open({ port: proxy.port, poolSize: 2 })),
  );
  proxy.fault = () =>
    random.chance(0.3) ? random.pick<CommitFault>(['answer', 'request']) : undefined;
  const attempts: Attempt[] = [];
  await Promise.all(
    stores.map((store, i) => proposeMany(store, `w${i}`, 12, (attempt) => attempts.push(attempt))),
  );
  proxy.fault = undefined;
  const message = `seed ${seed}`;
  assert.ok(proxy.done.answer > 0 && proxy.done.request > 0, message);
  assert.deepEqual(await faultsOf(stores[0] as MariadbStore, attempts), [], message);
});

test('mariadb: what is repeated after a cut changes nothing a second time', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const proxy = await proxyFor(t, database);
  const store = await database.open({ port: proxy.port, poolSize: 1 });
  await proposeMany(store, 'a', 1, () => undefined);
  proxy.fault = () => 'answer';
  await store.markPublished(1);
  await store.setVerdict(1, 'accepted', 'why');
  assert.equal(proxy.done.answer, 2);
  const proposal = await store.proposal(1);
  assert.deepEqual([proposal?.state, proposal?.verdict], ['accepted', 'why']);
  assert.deepEqual(await store.policies(), [{ name: 'p', text: 'a.0', version: 1 }]);
});

test('mariadb: a COMMIT that stays unknown is an error that says so', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const proxy = await proxyFor(t, database);
  const store = await database.open({ port: proxy.port, poolSize: 1, random: () => 0 });
  const { hash } = await store.head();
  proxy.fault = () => 'request';
  await assert.rejects(store.propose(0, hash, 'put', put('p', 'a')), {
    code: 'store_unavailable',
    details: {
      database:
        new URL(database.url).host.replace(/:\d+$/, `:${proxy.port}`) +
        new URL(database.url).pathname,
      outcome: 'unknown',
    },
  });
  proxy.fault = undefined;
  assert.equal((await store.head()).version, 0);
});

test('mariadb: a server that stalls in a transaction stops others for a moment only', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const gate = makeGate();
  const stalls = beforeEach(async (sql) => {
    if (sql.startsWith('INSERT INTO caucus_proposals')) await gate.pass();
    return sql;
  });
  const stalled = await database.open({ statementTimeoutMs: 1_000 }, stalls);
  const other = await database.open({ statementTimeoutMs: 2_000 });
  const { hash } = await stalled.head();
  const first = stalled.propose(0, hash, 'put', put('p', 'stalled'));
  await gate.reached;
  const second = await other.propose(0, hash, 'put', put('p', 'other'));
  assert.ok(second.ok);
  gate.open();
  const late = await first;
  assert.ok(!late.ok);
  assert.deepEqual(late.head, { version: second.version, hash: second.hash });
});

test('control: without a limit on idle transactions the others wait for good', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const gate = makeGate();
  const stalls = beforeEach(async (sql) => {
    if (sql.startsWith('INSERT INTO caucus_proposals')) await gate.pass();
    return sql;
  }, 'SET SESSION idle_transaction_timeout = 0');
  const stalled = await database.open({ statementTimeoutMs: 1_000, poolSize: 1 }, stalls);
  let waits = 0;
  let given: (() => void) | undefined;
  const enough = new Promise<void>((resolve) => (given = resolve));
  const counts = beforeEach((sql) => {
    if (sql.startsWith('UPDATE caucus_edits') && ++waits > 3) given?.();
    return sql;
  });
  const other = await database.open({ statementTimeoutMs: 2_000 }, counts);
  const { hash } = await stalled.head();
  const first = stalled.propose(0, hash, 'put', put('p', 'stalled'));
  await gate.reached;
  const second = other.propose(0, hash, 'put', put('p', 'other'));
  await enough;
  gate.open();
  assert.ok((await first).ok);
  assert.ok(!(await second).ok);
});
