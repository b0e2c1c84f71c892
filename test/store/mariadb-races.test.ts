/** Several servers write at once. Each protection has a control: without it the check fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HASH, policyHash } from '../../host/log/policy-hash.ts';
import type { PolicyRecord } from '../../host/log/records.ts';
import type { MariadbStore, WrapConnection } from '../../host/store/mariadb-store.ts';
import { put } from '../suites/store-suite.ts';
import { beforeEach, makeBarrier, makeGate } from './gates.ts';
import { faultsOf, proposeMany } from './proposal-history.ts';
import type { Attempt } from './proposal-history.ts';
import { databaseOrSkip } from './test-database.ts';
import type { TestDatabase } from './test-database.ts';

const PROPOSERS = 8;
const POOLS = 4;
const SNAPSHOTS_OFF = 'SET SESSION innodb_snapshot_isolation = OFF';

/** The number of edits is raised whatever it is. */
function withoutEdits(sql: string): string {
  return sql.replace('edit = edit + 1 WHERE edit = ?', 'edit = edit + 1 WHERE ? IS NOT NULL');
}

test(`mariadb: of ${PROPOSERS} proposers over ${POOLS} pools each gets versions of its own`, async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const stores = await Promise.all(Array.from({ length: POOLS }, () => database.open()));
  const attempts: Attempt[] = [];
  const each = 6;
  await Promise.all(
    Array.from({ length: PROPOSERS }, (_, i) =>
      proposeMany(stores[i % POOLS] as MariadbStore, `w${i}`, each, (attempt) =>
        attempts.push(attempt),
      ),
    ),
  );
  const [store] = stores as [MariadbStore];
  assert.deepEqual(await faultsOf(store, attempts), []);
  const taken = attempts.flatMap(({ result }) => (result.ok ? [result.version] : []));
  assert.deepEqual(
    taken.toSorted((a, b) => a - b),
    Array.from({ length: PROPOSERS * each }, (_, i) => i + 1),
  );
  // Losers were told heads that had been there.
  const refused = attempts.flatMap(({ result }) => (result.ok ? [] : [result.head]));
  assert.ok(refused.length > 0);
  for (const head of refused) assert.equal((await store.proposal(head.version))?.hash, head.hash);
});

/** Two propose upon one head, and both have read it before either writes. */
async function proposeTwice(database: TestDatabase, wrap: WrapConnection): Promise<boolean[]> {
  const stores = [await database.open({}, wrap), await database.open({}, wrap)];
  const results = await Promise.all(
    stores.map((store, i) => store.propose(0, NO_HASH, 'put', put('p', `text ${i}`))),
  );
  return results.map(({ ok }) => ok);
}

test('mariadb: of two that have read one head before either writes, one gets the version', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const barrier = makeBarrier(2);
  const wrap = beforeEach(async (sql) => {
    if (sql.startsWith('UPDATE caucus_edits')) await barrier();
    return sql;
  });
  assert.deepEqual((await proposeTwice(database, wrap)).toSorted(), [false, true]);
  assert.equal((await database.rows('SELECT * FROM caucus_proposals')).length, 1);
});

test('control: without compare-and-swap both get it', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  await (await database.open()).close();
  await database.admin.query('ALTER TABLE caucus_proposals DROP KEY live_version');
  const barrier = makeBarrier(2);
  const wrap = beforeEach(async (sql) => {
    if (sql.startsWith('UPDATE caucus_edits')) await barrier();
    return withoutEdits(sql);
  }, SNAPSHOTS_OFF);
  assert.deepEqual(await proposeTwice(database, wrap), [true, true]);
});

/**
 * One server proposes version 3 upon version 2 while another learns from the topic that version 2
 * is something else. Returns what is wrong with the chain afterwards.
 */
async function proposeUponSuperseded(
  database: TestDatabase,
  rewrite: (sql: string) => string,
  ...session: string[]
): Promise<string[]> {
  const gate = makeGate();
  const paused = beforeEach(
    async (sql) => {
      if (sql.startsWith('UPDATE caucus_edits')) await gate.pass();
      return rewrite(sql);
    },
    ...session,
  );
  const plain = await database.open();
  await proposeMany(plain, 'a', 2, () => undefined);
  const slow = await database.open({}, paused);
  const first = (await plain.proposal(1)) as { hash: string };
  const head = await plain.head();
  const proposing = slow.propose(head.version, head.hash, 'put', put('p', 'slow'));
  await gate.reached;
  const body = {
    version: 2,
    previousHash: first.hash,
    op: 'put',
    changes: put('p', 'theirs'),
  } as const;
  const theirs: PolicyRecord = { kind: 'policy', ...body, hash: policyHash(body) };
  await plain.copyBack(theirs);
  gate.open();
  const result = await proposing;
  return await faultsOf(plain, [{ text: 'slow', result }]);
}

test('mariadb: nobody gets a version upon one that is superseded meanwhile', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  assert.deepEqual(await proposeUponSuperseded(database, (sql) => sql), []);
});

test('mariadb: the number of edits alone sees to that, also on servers without snapshots', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  assert.deepEqual(await proposeUponSuperseded(database, (sql) => sql, SNAPSHOTS_OFF), []);
});

test('control: without the number of edits the chain breaks', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const wrong = await proposeUponSuperseded(database, withoutEdits, SNAPSHOTS_OFF);
  assert.deepEqual(wrong, ['break at 3']);
});

test('control: leases without compare-and-swap have two owners', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const owners = async (rewrite: (sql: string) => string): Promise<number> => {
    const barrier = makeBarrier(2);
    const wrap = beforeEach(async (sql) => {
      if (sql.startsWith('UPDATE caucus_leases')) await barrier();
      return rewrite(sql);
    });
    const plain = await database.open();
    const { generation } = await plain.takeLease('nova', 'before', 'ds0', 60_000);
    await plain.releaseLease('nova', 'before', generation);
    const stores = [await database.open({}, wrap), await database.open({}, wrap)];
    const taken = await Promise.all(
      stores.map((store, i) => store.takeLease('nova', `o${i}`, `ds${i}`, 60_000)),
    );
    const [last] = await plain.leases();
    assert.ok(last !== undefined);
    await plain.releaseLease('nova', last.owner, last.generation);
    return new Set(taken.map(({ owner }) => owner)).size;
  };
  assert.equal(await owners((sql) => sql), 1);
  assert.equal(await owners((sql) => sql.replace('AND edit = ?', 'AND ? IS NOT NULL')), 2);
});
