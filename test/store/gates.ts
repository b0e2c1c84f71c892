/** What tests put between the store and its server: waits, lost protections, errors. */
import type { StoreConnection } from '../../host/store/mariadb-transactions.ts';
import type { WrapConnection } from '../../host/store/mariadb-store.ts';

/**
 * `before` may wait or throw; the statement that it returns is executed. `session` changes the
 * settings that the store has given its session.
 */
export function beforeEach(
  before: (sql: string) => string | Promise<string>,
  ...session: readonly string[]
): WrapConnection {
  return (connection): StoreConnection => {
    const ready = (async () => {
      for (const sql of session) await connection.execute(sql, []);
    })();
    return {
      get isOpen() {
        return connection.isOpen;
      },
      destroy: () => connection.destroy(),
      end: () => connection.end(),
      execute: async (sql, values) => {
        await ready;
        return await connection.execute(await before(sql), values);
      },
    };
  };
}

export interface Gate {
  /** Resolves when somebody stands before it. */
  readonly reached: Promise<void>;
  /** Waits here the first time; later ones pass. */
  pass(): Promise<void>;
  open(): void;
}

export function makeGate(): Gate {
  let reach: () => void;
  let open: () => void;
  let isFirst = true;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    reached,
    pass: async () => {
      if (!isFirst) return;
      isFirst = false;
      reach();
      await opened;
    },
    open: () => open(),
  };
}

/** Lets nobody on until so many stand here; later ones pass. */
export function makeBarrier(count: number): () => Promise<void> {
  let here = 0;
  let open: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return async () => {
    if (++here >= count) open();
    await opened;
  };
}
