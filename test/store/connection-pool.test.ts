import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionPool } from '../../host/store/connection-pool.ts';

const SIZE = 2;

class FakeConnection {
  isOpen = true;
  destroy(): void {
    this.isOpen = false;
  }
  async end(): Promise<void> {
    this.isOpen = false;
  }
}

interface World {
  readonly pool: ConnectionPool<FakeConnection>;
  readonly opened: FakeConnection[];
}

function makePool(waitMs = 60_000, open?: () => void): World {
  const opened: FakeConnection[] = [];
  const pool = new ConnectionPool({
    open: async () => {
      open?.();
      const connection = new FakeConnection();
      opened.push(connection);
      return connection;
    },
    size: SIZE,
    waitMs,
  });
  return { pool, opened };
}

/** A use that lasts until it is let go. */
function hold(pool: ConnectionPool<FakeConnection>): { done: Promise<void>; letGo: () => void } {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  return { done: pool.use(() => held), letGo };
}

test('no more are used at a time than there may be, first come first served', async () => {
  const { pool, opened } = makePool();
  let used = 0;
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      pool.use(async () => {
        assert.ok(++used <= SIZE);
        order.push(i);
        await Promise.resolve();
        used--;
      }),
    ),
  );
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, i) => i),
  );
  assert.equal(opened.length, SIZE);
});

test('a connection that broke is not used again, nor those that may have broken with it', async () => {
  const { pool, opened } = makePool();
  const holds = [hold(pool), hold(pool)];
  holds[0]?.letGo();
  await holds[0]?.done;
  await assert.rejects(
    pool.use(async (connection) => {
      connection.destroy();
      throw new Error('lost');
    }),
    /lost/,
  );
  holds[1]?.letGo();
  await holds[1]?.done;
  assert.equal(opened.length, 2);
  await pool.use(async (connection) => assert.equal(connection, opened[1]));
  opened[1]?.destroy();
  await pool.use(async (connection) => assert.equal(connection, opened[2]));
});

test('a failed connection gives its turn to the next', async () => {
  let fails = true;
  const { pool } = makePool(60_000, () => {
    if (fails) throw new Error('refused');
  });
  for (let i = 0; i < 2 * SIZE; i++)
    await assert.rejects(
      pool.use(async () => 0),
      /refused/,
    );
  fails = false;
  assert.equal(await pool.use(async () => 1), 1);
});

test('who waits too long is told so, and takes no turn', async () => {
  const { pool } = makePool(1);
  const holds = [hold(pool), hold(pool)];
  await assert.rejects(
    pool.use(async () => 0),
    { code: 'store_unavailable', message: /none of its 2 connections/ },
  );
  for (const { letGo } of holds) letGo();
  await Promise.all(holds.map(({ done }) => done));
  assert.equal(await pool.use(async () => 1), 1);
});

test('closing waits for what is under way and refuses the rest', async () => {
  const { pool, opened } = makePool();
  const holds = [hold(pool), hold(pool)];
  const waits = pool.use(async () => 0);
  const closing = pool.close();
  await assert.rejects(waits, { code: 'store_unavailable' });
  await assert.rejects(
    pool.use(async () => 0),
    { code: 'store_unavailable' },
  );
  for (const { letGo } of holds) letGo();
  await closing;
  assert.deepEqual(
    opened.map(({ isOpen }) => isOpen),
    [false, false],
  );
});
