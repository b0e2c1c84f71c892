/** A database server that is killed while servers write to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { openMariadbStore } from '../../host/store/mariadb-store.ts';
import type { MariadbStore } from '../../host/store/mariadb-store.ts';
import { put } from '../suites/store-suite.ts';
import { randomFrom } from '../support/random.ts';
import { faultsOf } from './proposal-history.ts';
import type { Attempt } from './proposal-history.ts';
import { ownServerOrSkip } from './test-database.ts';

const WRITERS = 3;
const KILLS = 2;
const SEED = 5;

/**
 * Proposes from several pools, kills the server once so many were taken, starts it again; so often.
 * Returns what is wrong afterwards.
 */
async function writeAndKill(
  t: TestContext,
  args: readonly string[],
): Promise<{ wrong: string[]; kept: number; attempts: Attempt[] } | undefined> {
  const own = await ownServerOrSkip(t, () => args);
  if (own === undefined) return undefined;
  const { server } = own;
  const random = randomFrom(SEED);
  const stores = await Promise.all(
    Array.from({ length: WRITERS }, () => openMariadbStore({ url: server.url, poolSize: 2 })),
  );
  const attempts: Attempt[] = [];
  let mayGoOn = true;
  let onTaken = (): void => undefined;
  const write = async (store: MariadbStore, writer: string): Promise<void> => {
    for (let count = 0; mayGoOn; count++) {
      const text = `${writer}.${count}`;
      try {
        const head = await store.head();
        const result = await store.propose(head.version, head.hash, 'put', put('p', text));
        attempts.push({ text, result });
        if (result.ok) onTaken();
      } catch (error) {
        // Unknown or not reached: nothing was acknowledged.
        if ((error as { code?: string }).code !== 'store_unavailable') throw error;
      }
    }
  };
  const writing = Promise.all(stores.map((store, i) => write(store, `w${i}`)));
  const taken = (count: number): Promise<void> =>
    new Promise((resolve) => {
      let left = count;
      onTaken = () => {
        if (--left === 0) resolve();
      };
    });
  for (let round = 0; round < KILLS; round++) {
    await taken(5 + random.int(20));
    await server.kill();
    await server.start();
  }
  await taken(3);
  mayGoOn = false;
  await writing;
  const [store] = stores as [MariadbStore];
  const wrong = await faultsOf(store, attempts);
  const kept = (await store.head()).version;
  await Promise.all(stores.map((one) => one.close()));
  return { wrong, kept, attempts };
}

test('mariadb: no acknowledged proposal is lost when the server is killed', async (t) => {
  const outcome = await writeAndKill(t, []);
  if (outcome === undefined) return;
  assert.deepEqual(outcome.wrong, [], `seed ${SEED}`);
  const taken = outcome.attempts.filter(({ result }) => result.ok);
  assert.ok(taken.length >= 5 * KILLS && outcome.kept >= taken.length);
});

test('mariadb: a server that hangs is given up, and used again when it goes on', async (t) => {
  const own = await ownServerOrSkip(t);
  if (own === undefined) return;
  const { server } = own;
  const limits = { connectTimeoutMs: 200, statementTimeoutMs: 200 };
  const store = await openMariadbStore({ url: server.url, ...limits, random: () => 0 });
  const { hash } = await store.head();
  server.pause();
  await assert.rejects(store.propose(0, hash, 'put', put('p', 'a')), {
    code: 'store_unavailable',
  });
  server.resume();
  for (let head = await store.head(); head.version === 0; head = await store.head()) {
    await store.propose(0, hash, 'put', put('p', 'a')).catch((error: { code?: string }) => {
      assert.equal(error.code, 'store_unavailable');
    });
  }
  await store.close();
});

test('control: a server that does not sync at commit loses some', async (t) => {
  const outcome = await writeAndKill(t, ['--innodb-flush-log-at-trx-commit=0']);
  if (outcome === undefined) return;
  assert.notDeepEqual(outcome.wrong, [], `seed ${SEED}`);
});
