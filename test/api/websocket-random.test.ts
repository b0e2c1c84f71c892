/**
 * The reference client through random trouble: slow reading, little credit, lost connections,
 * resumed and re-added subscriptions, views read while commits go on. At every position the rebuilt
 * views must equal the tables of that revision. The control drops one `rows` frame: the same check
 * must fail.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonOf } from '../../host/api/json-text.ts';
import { createApiServer } from '../../host/api/server.ts';
import type { JsonObject } from '../../host/value/json.ts';
import type { Row } from '../../host/value/value.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { WsClient } from '../support/ws-client.ts';
import type { WsClientOptions } from '../support/ws-client.ts';

const TABLES = ['inv:a', 'inv:b', 'inv:c'];
const LIMITS = {
  rowsFrameBytes: 200,
  backlogBytesMax: 1_500,
  snapshotBytesMax: 3_000,
  heartbeatMs: 6,
};
const STEPS = 60;

interface Wanted {
  readonly table: string;
  readonly mode: 'every' | 'latest';
}

/** One user: what it subscribed to, and the views that it takes from one connection to the next. */
class User {
  readonly wanted = new Map<string, Wanted>();
  client: WsClient;
  checks = 0;
  #ids = 0;
  readonly #replica: FakeReplica;
  readonly #url: string;
  readonly #random: Random;
  readonly #options: WsClientOptions;

  constructor(replica: FakeReplica, url: string, random: Random, options: WsClientOptions) {
    this.#replica = replica;
    this.#url = url;
    this.#random = random;
    this.#options = options;
    this.client = undefined as unknown as WsClient;
  }

  async connect(): Promise<void> {
    const credit = this.#random.chance(0.5) ? { credit: BigInt(this.#random.int(2_000)) } : {};
    this.client = await WsClient.open(this.#url, credit, this.#options);
    this.client.onPosition = () => this.#check();
    this.client.onFrame = ({ type, id, code }) => {
      if (type === 'error') assert.fail(`${String(id)}: ${String(code)}`);
    };
  }

  add(): void {
    const id = `s${this.#ids++}`;
    const wanted: Wanted = {
      table: this.#random.pick(TABLES),
      mode: this.#random.pick(['every', 'latest']),
    };
    this.wanted.set(id, wanted);
    this.client.send({
      type: 'subs',
      add: [{ id, query: `${wanted.table}(x)`, mode: wanted.mode }],
    });
  }

  remove(): void {
    const [id] = this.wanted.keys();
    if (id === undefined) return;
    this.wanted.delete(id);
    this.client.send({ type: 'subs', remove: [id] });
  }

  /**
   * Drops the connection and comes back with the views it holds and the token of the last position.
   */
  async reconnect(): Promise<void> {
    const { views, failure } = this.client;
    if (failure !== undefined) throw failure;
    await this.client.terminate();
    await this.connect();
    const add = [...this.wanted].map(([id, { table, mode }]): JsonObject => {
      const view = views.get(id);
      if (view?.valid !== true || view.token === undefined)
        return { id, query: `${table}(x)`, mode };
      const { rows, revision, token } = view;
      this.client.views.set(id, {
        rows,
        valid: true,
        token,
        ...(revision === undefined ? {} : { revision }),
      });
      return { id, query: `${table}(x)`, mode, from: token };
    });
    if (add.length > 0) this.client.send({ type: 'subs', add });
  }

  /** All caught up: the views are those of the last revision. */
  async settle(): Promise<void> {
    // Without a subscription the server has no position to tell.
    if (this.wanted.size === 0) this.add();
    this.client.resume();
    this.client.send({ type: 'credit', bytes: 2n ** 40n });
    await this.client.at(this.#replica.status().revision);
    while ([...this.wanted.keys()].some((id) => this.client.views.get(id)?.valid !== true)) {
      await this.client.next('txEnd');
    }
    await this.client.next('progress');
    this.#check();
    assert.equal(this.client.revision, this.#replica.status().revision);
  }

  #check(): void {
    for (const [id, { table }] of this.wanted) {
      const view = this.client.views.get(id);
      if (view?.valid !== true || view.revision === undefined) continue;
      const rows = this.#replica
        .rowsAt(view.revision, table)
        .map((row) => jsonOf(row))
        .sort();
      assert.deepEqual([...view.rows].sort(), rows, `${id} over ${table} at ${view.revision}`);
      this.checks++;
    }
  }
}

const tick = (): Promise<void> => Promise.resolve();

async function simulate(seed: number, options: WsClientOptions): Promise<number> {
  const random = randomFrom(seed);
  const replica = createFakeReplica();
  const server = await createApiServer({ replica, host: '127.0.0.1', port: 0, limits: LIMITS });
  const commit = (): void => {
    const changes: Record<string, { insert: Row[]; delete: Row[] }> = {};
    for (const table of TABLES) {
      if (!random.chance(0.6)) continue;
      const rows = (): Row[] =>
        Array.from({ length: random.int(8) }, (): Row => [BigInt(random.int(30))]);
      changes[table] = { insert: rows(), delete: rows() };
    }
    replica.commit(changes);
  };
  replica.pause = async () => {
    for (let ticks = random.int(6); ticks > 0; ticks--) await tick();
    if (random.chance(0.3)) commit();
  };
  const user = new User(replica, server.address.url, random, options);
  try {
    commit();
    await user.connect();
    user.add();
    for (let step = 0; step < STEPS; step++) {
      const choice = random.next();
      if (choice < 0.5) commit();
      else if (choice < 0.6) user.add();
      else if (choice < 0.65) user.remove();
      else if (choice < 0.72) await user.reconnect();
      else if (choice < 0.8) user.client.pause();
      else if (choice < 0.88) user.client.resume();
      else if (choice < 0.95)
        user.client.send({ type: 'credit', bytes: BigInt(1 + random.int(1_000)) });
      else replica.retainFromRevision = random.int(replica.status().revision + 1);
      if (random.chance(0.5)) await new Promise((resolve) => setImmediate(resolve));
    }
    await user.settle();
    const { failure } = user.client;
    if (failure !== undefined) throw failure;
    await user.client.close();
  } finally {
    await user.client.terminate();
    await server.close({ drainMs: 0 });
  }
  assert.equal(replica.openViews, 0, 'views left open');
  return user.checks;
}

test('rebuilt views equal the tables at every position', async () => {
  let checks = 0;
  for (let seed = 1; seed <= 80; seed++) {
    try {
      checks += await simulate(seed, {});
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
  assert.ok(checks > 2_000, `${checks} checks`);
});

test('control: one lost delta is found', async () => {
  let found = 0;
  for (let seed = 1; seed <= 10; seed++) {
    try {
      await simulate(seed, { dropRows: 3 });
    } catch {
      found++;
    }
  }
  assert.ok(found >= 7, `found in ${found} of 10`);
});
