/** A held lease: when it ends, whatever the time of day does meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../drivers/clock.ts';
import { HeldLease } from '../../drivers/lease.ts';
import { LEASE_RENEWALS } from '../../drivers/limits.ts';
import type { Leases } from '../../host/store/leases.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import { yieldToLoop } from '../support/replica-world.ts';

const TTL_MS = 3_000;
const STEP_MS = TTL_MS / LEASE_RENEWALS;
const HOUR_MS = 3_600_000;

/** Two times: one that goes on by steps, and the time of day, which is also set. */
class TwoClocks implements Clock {
  spanMs = 0;
  setByMs = 0;
  /** The control: spans are taken by the time of day. */
  readonly #isOneClock: boolean;
  #sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];

  constructor(isOneClock: boolean) {
    this.#isOneClock = isOneClock;
  }

  now(): number {
    return HOUR_MS + this.spanMs + this.setByMs;
  }

  monotonicMs(): number {
    return this.#isOneClock ? this.now() : this.spanMs;
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#sleepers.push({ untilMs: this.spanMs + ms, wake: resolve });
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async step(): Promise<void> {
    this.spanMs += STEP_MS;
    const due = this.#sleepers.filter(({ untilMs }) => untilMs <= this.spanMs);
    this.#sleepers = this.#sleepers.filter(({ untilMs }) => untilMs > this.spanMs);
    for (const { wake } of due) wake();
    for (let turn = 0; turn < 5; turn++) await yieldToLoop();
  }
}

interface Setting {
  readonly clock: TwoClocks;
  readonly lease: HeldLease;
  /** Renewals fail. */
  readonly database: { isAway: boolean };
}

async function holding(
  body: (setting: Setting) => Promise<void>,
  isOneClock = false,
): Promise<void> {
  const clock = new TwoClocks(isOneClock);
  const store = await openSqliteStore({ file: ':memory:', now: () => clock.spanMs });
  const database = { isAway: false };
  const leases: Leases = {
    takeLease: (...asked) => {
      return database.isAway ? Promise.reject(new Error('away')) : store.takeLease(...asked);
    },
    releaseLease: (...asked) => store.releaseLease(...asked),
    leases: () => store.leases(),
  };
  const owner = { owner: 'a', holder: 'ds1', ttlMs: TTL_MS, clock, onProblem: () => undefined };
  const lease = await HeldLease.take({ leases, name: 'datasources', ...owner });
  assert.ok(lease instanceof HeldLease);
  try {
    await body({ clock, lease, database });
  } finally {
    await lease.release();
    await store.close();
  }
}

const JUMPS: readonly (readonly [byMs: number, what: string])[] = [
  [HOUR_MS, 'on'],
  [-HOUR_MS, 'back'],
];

for (const [byMs, what] of JUMPS) {
  test(`the time of day is set ${what}: a lease is kept while it is renewed, and ends`, async () => {
    await holding(async ({ clock, lease, database }) => {
      clock.setByMs = byMs;
      for (let step = 0; step < 2 * LEASE_RENEWALS; step++) {
        assert.ok(lease.isHeld);
        await clock.step();
      }
      database.isAway = true;
      for (let step = 0; step <= LEASE_RENEWALS; step++) await clock.step();
      assert.ok(!lease.isHeld);
      assert.ok(lease.signal.aborted);
    });
  });

  test(`control: by the time of day a lease is wrong when that is set ${what}`, async () => {
    await holding(async ({ clock, lease, database }) => {
      clock.setByMs = byMs;
      database.isAway = true;
      // It ends too early, or never.
      const isHeldAtOnce = lease.isHeld;
      for (let step = 0; step <= LEASE_RENEWALS; step++) await clock.step();
      assert.deepEqual([isHeldAtOnce, lease.isHeld], byMs > 0 ? [false, false] : [true, true]);
    }, true);
  });
}

test('a lease whose end is noticed by its renewal is told as ended', async () => {
  await holding(async ({ clock, lease }) => {
    // The watch sleeps by a clock that was set back, the renewal finds the time over.
    clock.setByMs = -HOUR_MS;
    for (let step = 0; step <= LEASE_RENEWALS; step++) await clock.step();
    clock.setByMs = HOUR_MS;
    for (let step = 0; step <= LEASE_RENEWALS; step++) await clock.step();
    assert.ok(lease.signal.aborted);
  }, true);
});
