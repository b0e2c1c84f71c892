/** Datasource nodes over one log and one database of leases: one is active, whatever happens. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PushDriver } from '../../drivers/push/push-driver.ts';
import { CaucusError } from '../../host/errors.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import {
  Link,
  role,
  setting,
  shows,
  TTL_MS,
  withoutPolicies,
} from '../support/datasource-world.ts';
import { code, useEngine } from '../support/replica-world.ts';
import { rowsOf, staleOf } from '../support/source-world.ts';

useEngine('naive');

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
    // The node itself knows no declarations.
    const node = start('ds1', undefined, { store: withoutPolicies(world.store) });
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
