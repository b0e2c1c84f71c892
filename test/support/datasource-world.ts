/** Datasource nodes over one log and one database of leases, and a clock that a test moves. */
import { createDatasourceNode } from '../../drivers/datasource-node.ts';
import type { Clock } from '../../drivers/clock.ts';
import type { DatasourceNode, DatasourceNodeOptions } from '../../drivers/datasource-node.ts';
import type { Driver } from '../../drivers/driver.ts';
import { PollDriver } from '../../drivers/poll.ts';
import type { PollResult } from '../../drivers/poll.ts';
import { CaucusError } from '../../host/errors.ts';
import type { Log } from '../../host/log/log.ts';
import type { Leases } from '../../host/store/leases.ts';
import type { Store } from '../../host/store/store.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import { ints, newWorld, rows, startNode, yieldToLoop } from './replica-world.ts';
import type { Node, World } from './replica-world.ts';
import { randomId, rowsOf } from './source-world.ts';

export const TTL_MS = 3_000;
export const STEP_MS = 100;

/** Time of all nodes, the database and the log: it goes on only when the test says so. */
export class SharedClock implements Clock {
  readonly #world: World;
  #sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  now(): number {
    return this.#world.nowMs;
  }

  monotonicMs(): number {
    return this.#world.nowMs;
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#sleepers.push({ untilMs: this.now() + Math.max(ms, 1), wake });
      signal.addEventListener('abort', wake);
    });
  }

  async step(): Promise<void> {
    this.#world.nowMs += STEP_MS;
    const due = this.#sleepers.filter(({ untilMs }) => untilMs <= this.now());
    this.#sleepers = this.#sleepers.filter(({ untilMs }) => untilMs > this.now());
    for (const { wake } of due) wake();
    for (let turn = 0; turn < 5; turn++) await yieldToLoop();
  }

  /** Steps until something is so. */
  async until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (let steps = 0; steps < 2000; steps++) {
      if (await is()) return;
      await this.step();
    }
    throw new Error(`it never came to: ${what}`);
  }
}

/** What all nodes read: a table of numbers, or nothing at all. */
export class Outside {
  numbers: number[] = [];
  /** In the place of the numbers. */
  words: string[] | undefined;
  problem: string | undefined;

  driver(source: string, clock: Clock): Driver {
    return new PollDriver(
      {
        name: 'test',
        source,
        tables: () => [{ name: 't' }],
        poll: async (): Promise<PollResult> => {
          if (this.problem !== undefined) throw new Error(this.problem);
          const { words } = this;
          const block =
            words === undefined ? ints(...this.numbers) : rows(...words.map((w) => [w]));
          return { tables: new Map([['t', block]]), problems: [] };
        },
        changed: (signal) => clock.wait(STEP_MS, signal),
      },
      clock,
    );
  }
}

/** What a process does that is stopped, or cut off: nothing that it asks for comes back. */
export class Link {
  #resume: () => void = () => undefined;
  #held: Promise<void> = Promise.resolve();

  pause(): void {
    this.#held = new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#resume();
  }

  log(log: Log): Log {
    return {
      ensureTopic: (topic) => this.#after(() => log.ensureTopic(topic)),
      append: (topic, records) => this.#after(() => log.append(topic, records)),
      read: (topic, from, signal) => this.#read(log, topic, from, signal),
      bounds: (topic) => this.#after(() => log.bounds(topic)),
      trim: (topic, before) => log.trim(topic, before),
      close: () => log.close(),
    };
  }

  leases(leases: Leases): Leases {
    return {
      takeLease: (...args) => this.#after(() => leases.takeLease(...args)),
      releaseLease: (...args) => this.#after(() => leases.releaseLease(...args)),
      leases: () => leases.leases(),
    };
  }

  async *#read(
    log: Log,
    topic: string,
    from: number,
    signal: AbortSignal,
  ): ReturnType<Log['read']> {
    for await (const chunk of log.read(topic, from, signal)) {
      await this.#held;
      yield chunk;
    }
  }

  async #after<T>(ask: () => Promise<T>): Promise<T> {
    await this.#held;
    return await ask();
  }
}

export interface Setting {
  readonly world: World;
  readonly replica: Node;
  readonly clock: SharedClock;
  readonly outside: Outside;
  readonly start: (
    nodeId: string,
    link?: Link,
    more?: Partial<DatasourceNodeOptions>,
  ) => DatasourceNode;
  readonly close: () => Promise<void>;
}

export async function setting(isWatching = false, hasTimers = true): Promise<Setting> {
  const world = await newWorld();
  const clock = new SharedClock(world);
  const replica = await startNode(world, {
    setTimer: (callback, ms) => {
      const abort = new AbortController();
      const { signal } = abort;
      const later = async (): Promise<void> => {
        await clock.wait(ms, signal);
        if (!signal.aborted) callback();
      };
      if (hasTimers) void later();
      return () => abort.abort();
    },
    ...(isWatching ? { node: { nodeId: 'pe1', url: '', digestRevisions: 100 } } : {}),
  });
  const outside = new Outside();
  const leases = await openSqliteStore({ file: ':memory:', now: () => world.nowMs });
  const started: DatasourceNode[] = [];
  const start: Setting['start'] = (nodeId, link = new Link(), more = {}) => {
    const node = createDatasourceNode({
      log: link.log(replica.log),
      store: world.store,
      leases: link.leases(leases),
      drivers: [outside.driver('s', clock)],
      clock,
      randomId,
      nodeId,
      ttlMs: TTL_MS,
      ...more,
    });
    started.push(node);
    node.start();
    return node;
  };
  const close = async (): Promise<void> => {
    await Promise.all(started.map((node) => node.stop()));
    await replica.stop();
    await leases.close();
  };
  return { world, replica, clock, outside, start, close };
}

/** A database that does not say which policies there are. */
export function withoutPolicies(store: Store): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'policies')
        return () => Promise.reject(new CaucusError('store_unavailable', ''));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

export const role = (node: DatasourceNode): string => node.health().role;

/** The replica shows these numbers. */
export async function shows({ replica, clock }: Setting, ...numbers: number[]): Promise<void> {
  const expected = JSON.stringify(numbers.map(String));
  await clock.until(async () => {
    const known = replica.replica.status().sources.some(({ tables }) => 't' in tables);
    if (!known) return numbers.length === 0;
    const found = await rowsOf(replica, 's:t(x)');
    return JSON.stringify(found.map(([x]) => String(x))) === expected;
  }, `rows ${expected}`);
}
