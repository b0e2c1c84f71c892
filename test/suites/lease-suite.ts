/** What every store must do with leases: run it with a harness that opens one, again and again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Lease, Leases } from '../../host/store/leases.ts';

export interface LeaseHarness {
  /** Opens what is stored; the one opened before is not used any more. */
  open(): Promise<Leases>;
  /** So much time goes by on the clock of the store. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

const TTL_MS = 60_000;
const TAKERS = 8;

function whose({ name, owner, holder, generation }: Lease): unknown[] {
  return [name, owner, holder, generation];
}

/** `make` returns undefined where it has skipped the test. */
export function leaseSuite(
  name: string,
  make: (t: TestContext) => Promise<LeaseHarness | undefined>,
): void {
  const check = (
    title: string,
    body: (leases: Leases, harness: LeaseHarness) => Promise<void>,
  ): void => {
    test(`${name}: ${title}`, async (t) => {
      const harness = await make(t);
      if (harness === undefined) return;
      try {
        await body(await harness.open(), harness);
      } finally {
        await harness.close();
      }
    });
  };

  check('a free lease is taken, and held until its end', async (leases, harness) => {
    assert.deepEqual(await leases.leases(), []);
    const first = await leases.takeLease('nova', 'a1', 'ds1', TTL_MS);
    assert.deepEqual(whose(first), ['nova', 'a1', 'ds1', 1]);
    assert.ok(first.remainingMs > 0 && first.remainingMs <= TTL_MS);
    const second = await leases.takeLease('nova', 'b1', 'ds2', TTL_MS);
    assert.deepEqual(whose(second), ['nova', 'a1', 'ds1', 1]);
    assert.ok(second.remainingMs > 0 && second.remainingMs <= TTL_MS);
    await harness.advance(TTL_MS);
    const [ended] = await leases.leases();
    assert.ok(ended !== undefined && ended.remainingMs <= 0);
    const third = await leases.takeLease('nova', 'b1', 'ds2', TTL_MS);
    assert.deepEqual(whose(third), ['nova', 'b1', 'ds2', 2]);
  });

  check('its owner renews it, late too, and keeps the generation', async (leases, harness) => {
    await leases.takeLease('nova', 'a1', 'ds1', TTL_MS);
    await harness.advance(TTL_MS / 2);
    const renewed = await leases.takeLease('nova', 'a1', 'ds1', TTL_MS);
    assert.deepEqual(whose(renewed), ['nova', 'a1', 'ds1', 1]);
    await harness.advance(TTL_MS / 2);
    assert.equal((await leases.takeLease('nova', 'b1', 'ds2', TTL_MS)).owner, 'a1');
    await harness.advance(2 * TTL_MS);
    const late = await leases.takeLease('nova', 'a1', 'ds1', TTL_MS);
    assert.deepEqual(whose(late), ['nova', 'a1', 'ds1', 1]);
    assert.ok(late.remainingMs > 0);
  });

  check('an owner that comes back too late learns who holds it now', async (leases, harness) => {
    await leases.takeLease('nova', 'a1', 'ds1', TTL_MS);
    await harness.advance(TTL_MS);
    await leases.takeLease('nova', 'b1', 'ds2', TTL_MS);
    assert.deepEqual(whose(await leases.takeLease('nova', 'a1', 'ds1', TTL_MS)), [
      'nova',
      'b1',
      'ds2',
      2,
    ]);
    // What it held before it cannot release.
    await leases.releaseLease('nova', 'a1', 1);
    await leases.releaseLease('nova', 'a1', 2);
    await leases.releaseLease('nova', 'b1', 1);
    assert.equal((await leases.takeLease('nova', 'c1', 'ds3', TTL_MS)).owner, 'b1');
    await harness.advance(TTL_MS);
    assert.deepEqual(whose(await leases.takeLease('nova', 'a1', 'ds1', TTL_MS)), [
      'nova',
      'a1',
      'ds1',
      3,
    ]);
  });

  check('a released lease is free at once', async (leases) => {
    const { generation } = await leases.takeLease('nova', 'a1', 'ds1', TTL_MS);
    await leases.releaseLease('nova', 'a1', generation);
    const [released] = await leases.leases();
    assert.ok(released !== undefined && released.remainingMs <= 0);
    await leases.releaseLease('nova', 'a1', generation);
    await leases.releaseLease('no such lease', 'a1', 1);
    const next = await leases.takeLease('nova', 'b1', 'ds2', TTL_MS);
    assert.deepEqual(whose(next), ['nova', 'b1', 'ds2', 2]);
  });

  check('of several that come at once one gets it, and all see whom', async (leases, harness) => {
    for (let round = 1; round <= 5; round++) {
      const taken = await Promise.all(
        Array.from({ length: TAKERS }, (_, i) =>
          leases.takeLease('nova', `${round}.${i}`, `ds${i}`, TTL_MS),
        ),
      );
      const owners = new Set(taken.map(({ owner }) => owner));
      assert.equal(owners.size, 1, `round ${round}: ${[...owners].join(', ')}`);
      assert.deepEqual(new Set(taken.map(({ generation }) => generation)), new Set([round]));
      await harness.advance(TTL_MS);
    }
  });

  check('leases are told apart byte by byte, sorted, and stay', async (leases, harness) => {
    const names = ['b', 'a ', 'a', 'A', 'é', 'e', '\u{1f600}', ''];
    for (const [i, lease] of names.entries()) {
      assert.equal((await leases.takeLease(lease, `o${i}`, 'ds1', TTL_MS)).generation, 1);
    }
    const again = await harness.open();
    const sorted = ['', 'A', 'a', 'a ', 'b', 'e', 'é', '\u{1f600}'];
    const stored = await again.leases();
    assert.deepEqual(
      stored.map((lease) => lease.name),
      sorted,
    );
    await again.releaseLease('a', 'o2', 1);
    assert.equal((await again.takeLease('a', 'other', 'ds2', TTL_MS)).generation, 2);
    assert.equal((await again.takeLease('a ', 'other', 'ds2', TTL_MS)).owner, 'o1');
  });
}
