/** The fakes keep the contracts of what they stand for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseSuite } from '../suites/lease-suite.ts';
import { logSuite } from '../suites/log-suite.ts';
import { storeSuite } from '../suites/store-suite.ts';
import { randomFrom } from '../support/random.ts';
import { Broker, FakeLog, goodLink } from './fake-log.ts';
import { FakeStore, StoreState } from './fake-store.ts';
import type { StoreLink } from './fake-store.ts';
import { Scheduler } from './scheduler.ts';

const WEATHER = { latencyMs: 1, tailChance: 0.1, tailMs: 20 };

/** A scheduler that runs whatever comes, until it is stopped. */
function driven(seed: number): { scheduler: Scheduler; stop: () => void } {
  const scheduler = new Scheduler(randomFrom(seed), WEATHER);
  let isStopped = false;
  void (async () => {
    while (!isStopped) await scheduler.run(() => isStopped, 1_000_000);
  })();
  return {
    scheduler,
    stop: () => {
      isStopped = true;
    },
  };
}

for (const lossChance of [0, 0.1]) {
  const name = lossChance === 0 ? 'fake log' : 'fake log over a link that loses';
  logSuite(name, () => {
    const { scheduler, stop } = driven(7);
    const broker = new Broker(scheduler);
    let clients = 0;
    const open = (): Promise<FakeLog> => {
      const writer = `w${clients++}`;
      const link = { ...goodLink(), lossChance };
      const lane = scheduler.lane(writer);
      return Promise.resolve(
        new FakeLog({ broker, lane, link, random: randomFrom(clients), writer }),
      );
    };
    return Promise.resolve({
      open,
      openBeside: open,
      close: () => {
        stop();
        return Promise.resolve();
      },
    });
  });
}

function newStore(link: StoreLink): {
  scheduler: Scheduler;
  stop: () => void;
  open: () => FakeStore;
} {
  const { scheduler, stop } = driven(8);
  const state = new StoreState(() => scheduler.nowMs);
  const network = scheduler.lane('network');
  const open = (): FakeStore => {
    const lane = scheduler.lane('client');
    return new FakeStore({ state, scheduler, network, lane, link, random: randomFrom(9) });
  };
  return { scheduler, stop, open };
}

storeSuite('fake store', () => {
  const { stop, open } = newStore({ isCut: false, lossChance: 0 });
  const close = (): Promise<void> => {
    stop();
    return Promise.resolve();
  };
  return Promise.resolve({ open: () => Promise.resolve(open()), close });
});

leaseSuite('fake store', () => {
  const { scheduler, stop, open } = newStore({ isCut: false, lossChance: 0 });
  return Promise.resolve({
    open: () => Promise.resolve(open()),
    advance: (ms) => scheduler.lane('time').sleep(ms),
    close: () => {
      stop();
      return Promise.resolve();
    },
  });
});

test('a cut link answers with an error that can be tried again, and nothing else', async () => {
  const { scheduler, stop } = driven(10);
  const broker = new Broker(scheduler);
  broker.ensure('a');
  const link = goodLink();
  const lane = scheduler.lane('w');
  const log = new FakeLog({ broker, lane, link, random: randomFrom(1), writer: 'w' });
  link.isCut = true;
  await assert.rejects(log.append('a', [new Uint8Array(1)]), { code: 'log_unavailable' });
  await assert.rejects(log.bounds('a'), { code: 'log_unavailable' });
  assert.equal(broker.topic('a').records.length, 0);
  link.isCut = false;
  assert.equal((await log.append('a', [new Uint8Array(1)])).first, 0);
  stop();
});

test('a reader is told that what it has read was lost', async () => {
  const { scheduler, stop } = driven(11);
  const broker = new Broker(scheduler);
  broker.ensure('a');
  const lane = scheduler.lane('w');
  const link = goodLink();
  const log = new FakeLog({ broker, lane, link, random: randomFrom(1), writer: 'w' });
  await log.append('a', [Uint8Array.of(1), Uint8Array.of(2)]);
  let read = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of log.read('a', 0, new AbortController().signal)) {
        read = chunk.next;
        if (read < 2) continue;
        broker.truncate('a', 1);
        broker.append('a', [Uint8Array.of(3), Uint8Array.of(4)], 'another');
      }
    },
    { code: 'log_diverged' },
  );
  assert.equal(read, 2);
  stop();
});

test('paused events wait, those of a dead lane never come', async () => {
  const scheduler = new Scheduler(randomFrom(1), WEATHER);
  const [paused, dead] = [scheduler.lane('paused'), scheduler.lane('dead')];
  const ran: string[] = [];
  paused.after(1, () => ran.push('paused'));
  dead.after(1, () => ran.push('dead'));
  paused.pause();
  dead.kill();
  await scheduler.run(() => false, 100);
  assert.deepEqual(ran, []);
  paused.resume();
  await scheduler.run(() => false, 100);
  assert.deepEqual(ran, ['paused']);
});
