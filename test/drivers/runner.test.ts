import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../drivers/clock.ts';
import type { Driver, DriverSession } from '../../drivers/driver.ts';
import { SourceError } from '../../drivers/driver.ts';
import { BACKOFF_MAX_MS } from '../../drivers/limits.ts';
import { PollDriver } from '../../drivers/poll.ts';
import type { PollResult } from '../../drivers/poll.ts';
import { DriverRunner } from '../../drivers/runner.ts';
import type { SourceHealth } from '../../drivers/runner.ts';
import { encodeRows } from '../../host/value/row-block.ts';

/** Time passes when somebody waits; every wait is written down. */
class TestClock implements Clock {
  readonly waits: number[] = [];
  #nowMs = 1000;

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.waits.push(ms);
    this.#nowMs += ms;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function driverOf(source: string, start: (session: DriverSession) => Promise<void>): Driver {
  return { name: 'test', source, mode: 'stream', tables: () => [], start };
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
}

const ACCEPT = async (): Promise<{ revision: number; token: string }> => ({
  revision: 1,
  token: '1',
});

test('a driver that throws is started again after growing, bounded pauses', async () => {
  const clock = new TestClock();
  let starts = 0;
  const states: string[] = [];
  const runner = new DriverRunner({
    clock,
    writeBatch: ACCEPT,
    onHealth: (health) =>
      states.push(`${health.state} ${health.problems[0]?.message ?? ''}`.trim()),
    drivers: [
      driverOf('s', async ({ report, signal }) => {
        starts++;
        if (starts <= 10) throw new Error(`failure ${starts}`);
        report({ state: 'fresh' });
        await untilAborted(signal);
      }),
    ],
  });
  runner.start();
  const fresh = (): boolean => runner.health()[0]?.state === 'fresh';
  while (!fresh()) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(clock.waits.slice(0, 3), [500, 1000, 2000]);
  assert.equal(clock.waits.at(-1), BACKOFF_MAX_MS);
  assert.equal(runner.health()[0]?.failures, 10);
  assert.equal(runner.health()[0]?.freshAtMs, clock.now());
  await runner.stop();
  assert.deepEqual(states, [
    ...Array.from({ length: 10 }, (_, index) => `stale failure ${index + 1}`),
    'fresh',
    'stopped',
  ]);
});

test('a driver that ends by itself is a failure, not a silence', async () => {
  const clock = new TestClock();
  let health: SourceHealth | undefined;
  const runner = new DriverRunner({
    clock,
    writeBatch: ACCEPT,
    onHealth: (changed) => {
      health ??= changed;
    },
    drivers: [driverOf('s', async () => undefined)],
  });
  runner.start();
  await runner.settled();
  await runner.stop();
  assert.equal(health?.state, 'stale');
  assert.match(health?.problems[0]?.message ?? '', /ended/);
});

test('two drivers for one source are refused', () => {
  const driver = driverOf('s', async () => undefined);
  assert.throws(
    () => new DriverRunner({ writeBatch: ACCEPT, drivers: [driver, driver] }),
    /source `s` has two drivers/,
  );
});

test('stop waits for what is being published', async () => {
  let finish: () => void = () => undefined;
  let published = false;
  const runner = new DriverRunner({
    writeBatch: async () => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      published = true;
      return { revision: 1, token: '1' };
    },
    drivers: [
      driverOf('s', async ({ publish, report, signal }) => {
        publish({ changes: [] }).catch(() => undefined);
        report({ state: 'fresh' });
        await untilAborted(signal);
      }),
    ],
  });
  runner.start();
  await runner.settled();
  const stopped = runner.stop();
  setImmediate(finish);
  await stopped;
  assert.ok(published);
});

test('polling: a failed poll backs off and says so; a partial one publishes what it has', async () => {
  const clock = new TestClock();
  const answers: (() => PollResult)[] = [
    () => {
      throw new SourceError([{ message: 'no route to the cloud', remedy: 'check the network' }]);
    },
    () => ({
      tables: new Map([['a', encodeRows(1, [['x']])]]),
      problems: [{ message: 'b is locked' }],
    }),
    () => ({ tables: new Map([['b', encodeRows(1, [['y']])]]), problems: [] }),
  ];
  const batches: string[] = [];
  const states: string[] = [];
  const everything: boolean[] = [];
  const driver = new PollDriver(
    {
      name: 'test',
      source: 's',
      tables: () => [],
      poll: async (all) => {
        everything.push(all);
        return (answers.shift() as () => PollResult)();
      },
      changed: async (signal) => (answers.length === 0 ? untilAborted(signal) : undefined),
    },
    clock,
  );
  const runner = new DriverRunner({
    clock,
    drivers: [driver],
    writeBatch: async ({ changes }) => {
      batches.push(
        changes.map((change) => `${change.table}${change.replace === true ? '!' : ''}`).join(),
      );
      return { revision: 1, token: '1' };
    },
    onHealth: ({ state, problems }) => states.push(`${state} ${problems[0]?.message ?? ''}`.trim()),
  });
  runner.start();
  while (states.at(-1) !== 'fresh') await new Promise((resolve) => setImmediate(resolve));
  await runner.stop();
  assert.deepEqual(states, [
    'stale no route to the cloud',
    'stale b is locked',
    'fresh',
    'stopped',
  ]);
  assert.deepEqual(batches, ['a!', 'b!']);
  assert.deepEqual(everything, [true, true, false]);
  assert.deepEqual(clock.waits, [500]);
});

test('a restart is a new start without a pause, or with one and a problem', async () => {
  const clock = new TestClock();
  const states: string[] = [];
  let starts = 0;
  const runner = new DriverRunner({
    clock,
    writeBatch: ACCEPT,
    onHealth: ({ state, problems }) => states.push(`${state} ${problems[0]?.message ?? ''}`.trim()),
    drivers: [
      driverOf('s', async ({ report, signal }) => {
        starts++;
        report({ state: 'fresh' });
        await untilAborted(signal);
      }),
    ],
  });
  const started = async (count: number): Promise<void> => {
    while (starts < count) await new Promise((resolve) => setImmediate(resolve));
  };
  runner.start();
  await started(1);
  runner.restart('s');
  await started(2);
  assert.deepEqual(clock.waits, []);
  runner.restart('s', { problem: { message: 'no fit' }, pauseMs: 700 });
  runner.restart('other');
  await started(3);
  assert.deepEqual(clock.waits, [700]);
  assert.deepEqual(states, ['fresh', 'starting', 'fresh', 'stale no fit', 'fresh']);
  await runner.stop();
  runner.restart('s');
  assert.equal(runner.health()[0]?.state, 'stopped');
  assert.equal(starts, 3);
});

test('what a table holds is told until a batch fails, or while one is under way', async () => {
  const clock = new TestClock();
  const block = encodeRows(1, [['x']]);
  const told: boolean[] = [];
  let start = 0;
  let release: () => void = () => undefined;
  const driver = driverOf('s', async ({ publish, held, report, signal }) => {
    start++;
    told.push((await held?.('t')) === block);
    if (start === 1) throw new Error('the cloud is gone');
    if (start === 2) publish({ changes: [] }).catch(() => undefined);
    report({ state: 'fresh' });
    await untilAborted(signal);
  });
  const runner = new DriverRunner({
    clock,
    drivers: [driver],
    heldRows: async (source, table) => (`${source}:${table}` === 's:t' ? block : undefined),
    writeBatch: () =>
      new Promise((_resolve, reject) => {
        release = () => reject(new Error('the log is not there'));
      }),
  });
  const started = async (count: number): Promise<void> => {
    while (told.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  runner.start();
  await started(2);
  runner.restart('s');
  await started(3);
  release();
  runner.restart('s');
  await started(4);
  await runner.stop();
  assert.deepEqual(told, [true, true, false, false]);
});
