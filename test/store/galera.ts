/**
 * The store on a Galera cluster of three nodes: `npm run galera`. Not among the tests of
 * `npm test`: making a cluster takes half a minute.
 *
 * Each protection has a control that shows what happens without it; those of Galera are races, so
 * they are repeated until it happens.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createConnection } from 'mariadb';
import type { Connection } from 'mariadb';
import { startGalera } from '../../deploy/loopback/galera.ts';
import type { RunningGalera } from '../../deploy/loopback/galera.ts';
import type { RunningMariadb } from '../../deploy/loopback/mariadb.ts';
import { openMariadbStore } from '../../host/store/mariadb-store.ts';
import type { MariadbStore, WrapConnection } from '../../host/store/mariadb-store.ts';
import { put } from '../suites/store-suite.ts';
import { componentDirectory } from '../support/components.ts';
import { beforeEach } from './gates.ts';
import { faultsOf, proposeMany } from './proposal-history.ts';
import type { Attempt } from './proposal-history.ts';

const READS = 200;
/** A race that has not come true after so many tries is taken as prevented. */
const CONTROL_TRIES_MAX = 5_000;

let cluster: RunningGalera | undefined;
let databases = 0;

before(async () => {
  cluster = await startGalera({ directory: componentDirectory() });
});
after(() => cluster?.kill());

function nodeAt(index: number): RunningMariadb {
  const node = cluster?.nodes[index];
  assert.ok(node !== undefined, 'there is no cluster');
  return node;
}

interface World {
  readonly name: string;
  /** On node 0, 1 or 2. */
  readonly open: (node: number, wrap?: WrapConnection) => Promise<MariadbStore>;
  readonly connect: (node: number) => Promise<Connection>;
}

/** A database of its own; what is opened on it is closed after the test. */
async function withDatabase(body: (world: World) => Promise<void>): Promise<void> {
  const name = `galera_${++databases}`;
  const closers: (() => Promise<void>)[] = [];
  const url = (node: number): string => {
    const address = new URL(nodeAt(node).url);
    address.pathname = `/${name}`;
    return address.href;
  };
  const admin = await createConnection(nodeAt(0).url);
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  try {
    await body({
      name,
      open: async (node, wrap) => {
        const store = await openMariadbStore({ url: url(node) }, wrap);
        closers.push(() => store.close());
        return store;
      },
      connect: async (node) => {
        const connection = await createConnection(url(node));
        closers.push(() => connection.end());
        return connection;
      },
    });
  } finally {
    for (const close of closers) await close();
  }
}

test('six servers that start at once on three nodes make the tables together', () =>
  withDatabase(async ({ open, connect }) => {
    await Promise.all([0, 1, 2, 0, 1, 2].map((node) => open(node)));
    const versions = await (await connect(2)).query('SELECT version FROM caucus_schema_version');
    assert.deepEqual([...versions], [{ version: 1 }]);
  }));

test('proposers on all nodes: versions without gaps, each once, on every node', () =>
  withDatabase(async ({ open }) => {
    const stores: MariadbStore[] = [];
    for (const node of [0, 1, 2, 0, 1, 2]) stores.push(await open(node));
    const attempts: Attempt[] = [];
    await Promise.all(
      stores.map((store, i) =>
        proposeMany(store, `w${i}`, 10, (attempt) => attempts.push(attempt)),
      ),
    );
    for (const store of stores.slice(0, 3)) {
      assert.deepEqual(await faultsOf(store, attempts), []);
      assert.equal((await store.head()).version, 60);
    }
  }));

/** Writes on one node and reads on another at once; how many reads did not see it, of how many. */
async function staleReads(
  world: World,
  wrap: WrapConnection | undefined,
  isEnough: (stale: number, reads: number) => boolean,
): Promise<number> {
  const writer = await world.open(0);
  const reader = await world.open(1, wrap);
  let head = await writer.head();
  let stale = 0;
  for (let reads = 0; !isEnough(stale, reads); reads++) {
    const result = await writer.propose(head.version, head.hash, 'put', put('p', `${reads}`));
    assert.ok(result.ok);
    head = result;
    const seen = await reader.head();
    if (seen.version < head.version) stale++;
  }
  return stale;
}

test('what was written on one node is read on another at once', () =>
  withDatabase(async (world) => {
    assert.equal(await staleReads(world, undefined, (_, reads) => reads === READS), 0);
  }));

test('control: reads that do not wait for the cluster are stale', () =>
  withDatabase(async (world) => {
    const wrap = beforeEach((sql) => sql, 'SET SESSION wsrep_sync_wait = 0');
    const enough = (stale: number, reads: number): boolean =>
      stale > 0 || reads === CONTROL_TRIES_MAX;
    assert.ok((await staleReads(world, wrap, enough)) > 0);
  }));

test('of takers of a lease on all nodes one gets it', () =>
  withDatabase(async ({ open }) => {
    const stores: MariadbStore[] = [];
    for (const node of [0, 1, 2]) stores.push(await open(node));
    for (let generation = 1; generation <= 10; generation++) {
      const taken = await Promise.all(
        [0, 1, 2, 3, 4, 5].map((i) =>
          (stores[i % 3] as MariadbStore).takeLease('nova', `${generation}.${i}`, 'ds', 60_000),
        ),
      );
      assert.equal(new Set(taken.map(({ owner }) => owner)).size, 1);
      assert.deepEqual(new Set(taken.map((lease) => lease.generation)), new Set([generation]));
      const [lease] = taken;
      await stores[2]?.releaseLease('nova', lease?.owner ?? '', generation);
    }
  }));

/** Raises a counter from all nodes; how many acknowledged increments are not in it. */
async function lostIncrements(
  { connect }: World,
  update: string,
  isEnough: (lost: number, acknowledged: number) => boolean,
): Promise<number> {
  const admin = await connect(0);
  await admin.query('CREATE TABLE counter (id INT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB');
  await admin.query('INSERT INTO counter VALUES (1, 0)');
  await admin.query('SET SESSION wsrep_sync_wait = 1');
  const connections = [await connect(0), await connect(1), await connect(2)];
  for (const connection of connections) {
    await connection.query('SET SESSION wsrep_sync_wait = 1, innodb_snapshot_isolation = OFF');
  }
  let acknowledged = 0;
  for (;;) {
    await Promise.all(
      connections.map(async (connection) => {
        for (let i = 0; i < 50; i++) {
          try {
            await connection.query('START TRANSACTION');
            const [row] = await connection.query<{ v: number }[]>('SELECT v FROM counter');
            const v = row?.v ?? 0;
            const values = [v + 1, v].slice(0, update.split('?').length - 1);
            const { affectedRows } = await connection.query<{ affectedRows: number }>(
              update,
              values,
            );
            await connection.query('COMMIT');
            acknowledged += affectedRows;
          } catch (error) {
            if (![1213, 1020].includes((error as { errno?: number }).errno ?? 0)) throw error;
            await connection.query('ROLLBACK');
          }
        }
      }),
    );
    const [row] = await admin.query<{ v: number }[]>('SELECT v FROM counter');
    const lost = acknowledged - (row?.v ?? 0);
    if (isEnough(lost, acknowledged)) return lost;
  }
}

test('control: read, change and write back loses updates; compare-and-swap does not', async () => {
  await withDatabase(async (world) => {
    const lost = await lostIncrements(
      world,
      'UPDATE counter SET v = ? WHERE id = 1',
      (count, acknowledged) => count > 0 || acknowledged > CONTROL_TRIES_MAX,
    );
    assert.ok(lost > 0);
  });
  await withDatabase(async (world) => {
    const swap = 'UPDATE counter SET v = ? WHERE id = 1 AND v = ?';
    assert.equal(await lostIncrements(world, swap, (_, acknowledged) => acknowledged > 100), 0);
  });
});

test('a node that is killed takes no acknowledged proposal with it', () =>
  withDatabase(async ({ open }) => {
    const stores = [await open(0), await open(1), await open(2)];
    const attempts: Attempt[] = [];
    let taken = 0;
    let onTaken = (): void => undefined;
    let mayGoOn = true;
    const writing = Promise.all(
      stores.map(async (store, node) => {
        for (let count = 0; mayGoOn; count++) {
          const text = `w${node}.${count}`;
          try {
            const head = await store.head();
            const result = await store.propose(head.version, head.hash, 'put', put('p', text));
            attempts.push({ text, result });
            if (result.ok) taken++;
            onTaken();
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'store_unavailable', String(error));
          }
        }
      }),
    );
    const reaches = (count: number): Promise<void> =>
      new Promise((resolve) => {
        onTaken = () => {
          if (taken >= count) resolve();
        };
      });
    await reaches(20);
    await nodeAt(2).kill();
    await reaches(taken + 20);
    await nodeAt(2).start();
    // It takes part again.
    const before = attempts.length;
    await new Promise<void>((resolve) => {
      onTaken = () => {
        const late = attempts.slice(before);
        if (late.some(({ text, result }) => text.startsWith('w2.') && result.ok)) resolve();
      };
    });
    mayGoOn = false;
    await writing;
    for (const store of stores) assert.deepEqual(await faultsOf(store, attempts), []);
  }));

test('a node that was paused answers with what the others have, or not at all', () =>
  withDatabase(async ({ open }) => {
    const writer = await open(0);
    const reader = await open(2);
    await reader.head();
    nodeAt(2).pause();
    let head = await writer.head();
    for (let i = 0; i < 5; i++) {
      const result = await writer.propose(head.version, head.hash, 'put', put('p', `${i}`));
      assert.ok(result.ok);
      head = result;
    }
    nodeAt(2).resume();
    for (;;) {
      try {
        assert.deepEqual(await reader.head(), { version: head.version, hash: head.hash });
        return;
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'store_unavailable', String(error));
      }
    }
  }));
