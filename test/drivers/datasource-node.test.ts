/** Datasource nodes over one log and one database of leases: one is active, whatever happens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../drivers/clock.ts';
import { createDatasourceNode } from '../../drivers/datasource-node.ts';
import type { DatasourceNode, DatasourceNodeOptions } from '../../drivers/datasource-node.ts';
import type { Driver } from '../../drivers/driver.ts';
import { PollDriver } from '../../drivers/poll.ts';
import type { PollResult } from '../../drivers/poll.ts';
import { PushDriver } from '../../drivers/push/push-driver.ts';
import { CaucusError } from '../../host/errors.ts';
import type { Log } from '../../host/log/log.ts';
import type { Leases } from '../../host/store/leases.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import {
  code,
  ints,
  newWorld,
  rows,
  startNode,
  useEngine,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';
import { randomId, rowsOf, staleOf } from '../support/source-world.ts';

useEngine('naive');
const TTL_MS = 3_000;
const STEP_MS = 100;

/** Time of all nodes, the database and the log: it goes on only when the test says so. */
class SharedClock implements Clock {
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
class Outside {
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
class Link {
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

interface Setting {
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

async function setting(isWatching = false, hasTimers = true): Promise<Setting> {
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

const role = (node: DatasourceNode): string => node.health().role;

/** The replica shows these numbers. */
async function shows({ replica, clock }: Setting, ...numbers: number[]): Promise<void> {
  const expected = JSON.stringify(numbers.map(String));
  await clock.until(async () => {
    const known = replica.replica.status().sources.some(({ tables }) => 't' in tables);
    if (!known) return numbers.length === 0;
    const found = await rowsOf(replica, 's:t(x)');
    return JSON.stringify(found.map(([x]) => String(x))) === expected;
  }, `rows ${expected}`);
}

test('one of two nodes fills the source; it stops, and the other takes over at once', async () => {
  const all = await setting();
  const { clock, outside, start, replica, world } = all;
  outside.numbers = [1, 2];
  const a = start('ds1');
  await shows(all, 1, 2);
  const b = start('ds2');
  await clock.until(() => role(b) === 'standby', 'a standby');
  assert.deepEqual([role(a), a.health().generation, b.health().holder], ['active', 1, 'ds1']);
  assert.deepEqual(b.health().sources, []);
  outside.numbers = [2, 3];
  await shows(all, 2, 3);
  // With no lease to wait for.
  const stoppedAtMs = world.nowMs;
  await a.stop();
  await clock.until(() => role(b) === 'active', 'the standby is active');
  assert.ok(world.nowMs - stoppedAtMs < TTL_MS / 2, `${world.nowMs - stoppedAtMs} ms`);
  outside.numbers = [4];
  await shows(all, 4);
  const [row] = await rowsOf(replica, 'system:sources("s", k, g, o, stale, r)');
  assert.deepEqual([row?.[1], row?.[3]], [2000n, false]);
  assert.equal(role(a), 'stopped');
  await all.close();
});

for (const isResumed of [false, true]) {
  const title = isResumed ? 'resumes, and what it flushes late changes nothing' : 'is gone';
  test(`the active node ${title}: the standby has taken over`, async () => {
    const all = await setting();
    const { clock, outside, start, replica } = all;
    const link = new Link();
    const a = start('ds1', link);
    outside.numbers = [1];
    await shows(all, 1);
    const b = start('ds2');
    link.pause();
    outside.numbers = [1, 666];
    await clock.step();
    await clock.step();
    outside.numbers = [2];
    await clock.until(() => role(b) === 'active', 'the standby is active');
    await shows(all, 2);
    if (isResumed) {
      const before = (await replica.log.bounds('source.s.1')).end;
      link.resume();
      await clock.until(() => role(a) === 'standby', 'the other stands by');
      // Its delta did get into the log.
      assert.ok((await replica.log.bounds('source.s.1')).end > before);
      await shows(all, 2);
    }
    outside.numbers = [3];
    await shows(all, 3);
    assert.deepEqual(await staleOf(replica, 's'), [false, null]);
    link.resume();
    await all.close();
  });
}

test('a node that cannot renew stops publishing by its own clock', async () => {
  const all = await setting();
  const { clock, outside, start, replica } = all;
  let isAway = false;
  const problems: string[] = [];
  const leases = await openSqliteStore({ file: ':memory:', now: () => all.world.nowMs });
  const node = start('ds1', undefined, {
    leases: {
      takeLease: async (...args) => {
        if (isAway) throw new CaucusError('store_unavailable', 'the database is away');
        return await leases.takeLease(...args);
      },
      releaseLease: (...args) => leases.releaseLease(...args),
      leases: () => leases.leases(),
    },
    onProblem: (error) => problems.push(error.message),
  });
  outside.numbers = [1];
  await shows(all, 1);
  isAway = true;
  await clock.until(() => role(node) === 'standby', 'it stands by');
  const { end } = await replica.log.bounds('source.s.1');
  outside.numbers = [2];
  for (let n = 0; n < 20; n++) await clock.step();
  assert.equal((await replica.log.bounds('source.s.1')).end, end);
  assert.equal(node.health().problem, 'the database is away');
  assert.ok(problems.includes('the lease of the datasource node has ended'));
  isAway = false;
  await shows(all, 2);
  assert.equal(node.health().problem, null);
  await all.close();
  await leases.close();
});

test('what a driver cannot read makes the source stale, at once and with the reason', async () => {
  const all = await setting();
  const { clock, outside, start, replica } = all;
  outside.numbers = [1];
  const node = start('ds1');
  await shows(all, 1);
  await clock.until(async () => (await staleOf(replica, 's'))[0] === false, 'fresh');
  outside.problem = 'no answer from `nova`';
  await clock.until(async () => (await staleOf(replica, 's'))[0] === true, 'stale');
  assert.deepEqual(await staleOf(replica, 's'), [true, 'no answer from `nova`']);
  await shows(all, 1);
  outside.problem = undefined;
  await clock.until(async () => (await staleOf(replica, 's'))[0] === false, 'fresh again');
  // With nothing new, heartbeats keep it so.
  const stillFreshAtMs = all.world.nowMs + 60_000;
  await clock.until(() => all.world.nowMs > stillFreshAtMs, 'a minute later');
  assert.deepEqual(await staleOf(replica, 's'), [false, null]);
  assert.equal(role(node), 'active');
  await all.close();
});

test('a source whose name is taken stops no other; drivers that cannot be are refused', async () => {
  const all = await setting();
  const { clock, outside, start, replica } = all;
  await replica.replica.writePolicies([{ name: 'p', text: 'x(1)\n' }]);
  outside.numbers = [1];
  const drivers = [outside.driver('p', clock), outside.driver('s', clock)];
  const node = start('ds1', undefined, { drivers });
  await shows(all, 1);
  await clock.until(() => node.health().sources[0]?.state === 'stale', 'the other is stale');
  assert.match(
    node.health().sources[0]?.problems[0]?.message ?? '',
    /already the name of a policy/,
  );
  const twice = [outside.driver('s', clock), outside.driver('s', clock)];
  assert.throws(() => start('ds2', undefined, { drivers: twice }), code('invalid_request'));
  const push = [new PushDriver({ source: 's' })];
  assert.throws(() => start('ds2', undefined, { drivers: push }), code('invalid_request'));
  await all.close();
});

test('a heartbeat that fails lets the driver tell all rows again', async () => {
  const all = await setting();
  const { clock, outside, start, replica } = all;
  let failures = 0;
  const log = new Link().log(replica.log);
  const node = start('ds1', undefined, {
    log: {
      ...log,
      append: async (topic, records) => {
        if (failures > 0 && topic.startsWith('source.')) {
          failures--;
          throw new CaucusError('log_unavailable', 'a fault of the test');
        }
        return await log.append(topic, records);
      },
    },
  });
  outside.numbers = [1, 2];
  await shows(all, 1, 2);
  failures = 1;
  await clock.until(() => failures === 0, 'a heartbeat fails');
  const generation = async (): Promise<unknown> =>
    (await rowsOf(replica, 'system:sources("s", k, g, o, stale, r)'))[0]?.[1];
  await clock.until(async () => (await generation()) === 1001n, 'the next generation');
  outside.numbers = [2];
  await shows(all, 2);
  assert.deepEqual(await staleOf(replica, 's'), [false, null]);
  assert.equal(node.health().sources[0]?.state, 'fresh');
  await all.close();
});

for (const isWatching of [true, false]) {
  const outcome = isWatching ? 'are told back to the driver, until they fit' : 'stay out (control)';
  test(`rows that replicas refuse ${outcome}`, async () => {
    const all = await setting(isWatching);
    const { clock, outside, start, replica, world } = all;
    await replica.replica.writePolicies([{ name: 'p', text: 'table s:t(x: int)\n' }]);
    outside.numbers = [1];
    const node = start('ds1');
    await shows(all, 1);
    outside.words = ['word'];
    await clock.until(async () => (await staleOf(replica, 's'))[0] === true, 'stale');
    assert.match(String((await staleOf(replica, 's'))[1]), /declared int, not "word"/);
    await shows(all, 1);
    const problem = (): string => node.health().sources[0]?.problems[0]?.message ?? '';
    if (isWatching) {
      await clock.until(() => problem().includes('declared int'), 'the driver knows');
      // It goes on trying, with growing pauses.
      const { end } = await replica.log.bounds('source.s.1');
      const untilMs = world.nowMs + 120_000;
      await clock.until(() => world.nowMs > untilMs, 'two minutes later');
      const written = (await replica.log.bounds('source.s.1')).end - end;
      assert.ok(written > 2 && written < 100, `${written} records`);
    }
    outside.words = undefined;
    outside.numbers = [5];
    if (isWatching) {
      await shows(all, 5);
      await clock.until(async () => (await staleOf(replica, 's'))[0] === false, 'fresh');
      assert.equal(node.health().sources[0]?.state, 'fresh');
    } else {
      const untilMs = world.nowMs + 20_000;
      await clock.until(() => world.nowMs > untilMs, 'a while later');
      await shows(all, 1);
      assert.equal((await staleOf(replica, 's'))[0], true);
    }
    await all.close();
  });
}

/** A replica of a cluster, one that is alone, and one without timers. */
for (const [isWatching, isSeen] of [
  [true, true],
  [false, true],
  [false, false],
] as const) {
  const where = isWatching ? 'in a cluster' : 'on one that is alone';
  const title = isSeen ? `shows ${where}` : 'stays unseen without timers (control)';
  test(`that all datasource nodes are gone ${title}`, async () => {
    const all = await setting(isWatching, isSeen);
    const { clock, outside, start, replica, world } = all;
    const link = new Link();
    outside.numbers = [1];
    start('ds1', link);
    await shows(all, 1);
    await clock.until(async () => (await staleOf(replica, 's'))[0] === false, 'fresh');
    link.pause();
    const untilMs = world.nowMs + 30_000;
    await clock.until(() => world.nowMs > untilMs, 'half a minute later');
    const [stale, reason] = await staleOf(replica, 's');
    assert.equal(stale, isSeen);
    if (isSeen) assert.match(String(reason), /nothing was heard/);
    // Time goes on in cuts, but not many of them.
    const { revision } = replica.replica.status();
    const laterMs = world.nowMs + 30_000;
    await clock.until(() => world.nowMs > laterMs, 'another one later');
    assert.ok(replica.replica.status().revision - revision <= 3);
    link.resume();
    await all.close();
  });
}
