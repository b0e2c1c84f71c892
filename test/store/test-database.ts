/** A database of its own on a real server, and what tests do to it behind the store's back. */
import path from 'node:path';
import type { TestContext } from 'node:test';
import { createConnection } from 'mariadb';
import type { Connection } from 'mariadb';
import { MariadbServer } from '../../deploy/loopback/mariadb-server.ts';
import { newAccount } from '../../deploy/loopback/mariadb.ts';
import { freePort } from '../../deploy/loopback/ports.ts';
import { openMariadbStore } from '../../host/store/mariadb-store.ts';
import type {
  MariadbStore,
  MariadbStoreOptions,
  WrapConnection,
} from '../../host/store/mariadb-store.ts';
import {
  canStartOrSkip,
  componentDirectory,
  freshDatabase,
  mariadbOrSkip,
} from '../support/components.ts';
import type { FreshDatabase } from '../support/components.ts';
import { randomFrom } from '../support/random.ts';

/** Stores that are opened on it are closed with it. */
export class TestDatabase {
  readonly url: string;
  readonly admin: Connection;
  readonly #fresh: FreshDatabase;
  readonly #stores: MariadbStore[] = [];

  private constructor(fresh: FreshDatabase, admin: Connection) {
    this.url = fresh.url;
    this.admin = admin;
    this.#fresh = fresh;
  }

  static async make(serverUrl: string): Promise<TestDatabase> {
    const fresh = await freshDatabase(serverUrl);
    return new TestDatabase(fresh, await createConnection(fresh.url));
  }

  async open(options: MariadbStoreOptions = {}, wrap?: WrapConnection): Promise<MariadbStore> {
    const random = randomFrom(1 + this.#stores.length);
    const defaults = { url: this.url, random: () => random.next() };
    const store = await openMariadbStore({ ...defaults, ...options }, wrap);
    this.#stores.push(store);
    return store;
  }

  /** Numbers of columns are bigints. */
  async rows(sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
    return await this.admin.query<Record<string, unknown>[]>(sql, values);
  }

  /** So much time goes by for leases. */
  async advance(ms: number): Promise<void> {
    await this.admin.query('UPDATE caucus_leases SET ends_at_ms = ends_at_ms - ?', [ms]);
  }

  async remove(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
    await this.admin.end();
    await this.#fresh.drop();
  }
}

/** On the shared server; undefined: the test is skipped, return. Removed after the test. */
export async function databaseOrSkip(t: TestContext): Promise<TestDatabase | undefined> {
  const url = await mariadbOrSkip(t);
  if (url === undefined) return undefined;
  const database = await TestDatabase.make(url);
  t.after(() => database.remove());
  return database;
}

export interface OwnServer {
  readonly server: MariadbServer;
  /** Somebody who may do anything, until the test ends. */
  root(): Promise<Connection>;
}

/**
 * For tests that kill it, or that need other settings, which `args` names at each start; undefined:
 * skipped. Ends with the test.
 */
export async function ownServerOrSkip(
  t: TestContext,
  args: () => readonly string[] = () => [],
): Promise<OwnServer | undefined> {
  if (!canStartOrSkip(t, ['mariadb'])) return undefined;
  const directory = componentDirectory();
  const server = new MariadbServer({
    name: 'mariadb',
    directory,
    port: await freePort(),
    account: newAccount(),
    args,
  });
  const roots: Connection[] = [];
  t.after(async () => {
    await Promise.all(roots.map((root) => root.end()));
    await server.kill();
  });
  await server.install();
  await server.start();
  const socketPath = path.join(directory, 'data', 'mariadb.sock');
  return {
    server,
    root: async () => {
      const root = await createConnection({ socketPath, user: 'root' });
      roots.push(root);
      return root;
    },
  };
}
