/** The fakes keep the contracts of what they stand for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Appended } from '../../host/log/log.ts';
import { encodeRecord, recordChecksum } from '../../host/log/records.ts';
import { endOf } from '../../host/sources/acknowledged.ts';
import { leaseSuite } from '../suites/lease-suite.ts';
import { logSuite } from '../suites/log-suite.ts';
import { storeSuite } from '../suites/store-suite.ts';
import { randomFrom } from '../support/random.ts';
import { Broker, FakeLog, goodLink } from './fake-log.ts';
import { FakeStore, StoreState } from './fake-store.ts';
import type { StoreLink } from './fake-store.ts';
import { Scheduler } from './scheduler.ts';
import type { Lane } from './scheduler.ts';

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

const FAKE_LOGS: readonly (readonly [name: string, lossChance: number, batchMax: number])[] = [
  ['fake log', 0, 1000],
  ['fake log over a link that loses', 0.1, 1000],
  ['fake log that splits appends', 0.1, 2],
];

for (const [name, lossChance, batchMax] of FAKE_LOGS) {
  logSuite(name, () => {
    const { scheduler, stop } = driven(7);
    const broker = new Broker(scheduler);
    broker.batchMax = batchMax;
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

test('a cut link answers with an error that can be tried again, and nothing else', async (t) => {
  const { scheduler, stop } = driven(10);
  t.after(stop);
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
});

/** Appends of a client and of others at the same time, until one of others came between. */
async function appendSplit(
  broker: Broker,
  lane: Lane,
  whileUnderWay: () => void,
): Promise<{ appended: Appended; records: Uint8Array[]; stored: readonly Uint8Array[] }> {
  broker.ensure('a');
  broker.batchMax = 2;
  const open = (writer: string): FakeLog =>
    new FakeLog({ broker, lane, link: goodLink(), random: randomFrom(1), writer });
  const [log, other] = [open('w'), open('other')];
  const records = Array.from({ length: 7 }, (_, index) =>
    encodeRecord({ kind: 'open', generation: index + 1, owner: 'w', source: 's', incarnation: 1 }),
  );
  let isDone = false;
  const appending = log.append('a', records).finally(() => {
    isDone = true;
  });
  while (broker.topic('a').records.length === 0) await other.ensureTopic('a');
  whileUnderWay();
  const theirs = encodeRecord({
    kind: 'open',
    generation: 99,
    owner: 'other',
    source: 's',
    incarnation: 1,
  });
  while (!isDone) await other.append('a', [theirs]);
  const appended = await appending;
  return { appended, records, stored: broker.topic('a').records.map(({ bytes }) => bytes) };
}

test('a split append says where each record is, and its end is that of its last one', async (t) => {
  const { scheduler, stop } = driven(12);
  t.after(stop);
  const broker = new Broker(scheduler);
  const lane = scheduler.lane('w');
  const { appended, records, stored } = await appendSplit(broker, lane, () => undefined);
  const { first, offsets = [] } = appended;
  assert.deepEqual(
    offsets.map((offset) => stored[offset]),
    records,
  );
  const { end, checksum } = endOf(appended, records);
  assert.equal(checksum, recordChecksum(stored[end - 1] as Uint8Array));
  // Control: as if nothing had come between, the end is that of another record.
  const wrong = endOf({ first, appendTimeMs: 0 }, records);
  assert.notEqual(wrong.checksum, recordChecksum(stored[wrong.end - 1] as Uint8Array));
});

test('an append that is under way is written whole though the size of its parts changes', async (t) => {
  for (const batchMax of [1, 1000]) {
    const { scheduler, stop } = driven(13);
    t.after(stop);
    const broker = new Broker(scheduler);
    const { appended, records, stored } = await appendSplit(broker, scheduler.lane('w'), () => {
      broker.batchMax = batchMax;
    });
    const offsets = appended.offsets ?? records.map((_record, index) => appended.first + index);
    assert.deepEqual(
      offsets.map((offset) => stored[offset]),
      records,
      `parts of ${batchMax}`,
    );
    const own = stored.filter((bytes) =>
      records.some((record) => Buffer.compare(bytes, record) === 0),
    );
    assert.equal(own.length, records.length, `parts of ${batchMax}`);
  }
});

test('a reader is told that what it has read was lost', async (t) => {
  const { scheduler, stop } = driven(11);
  t.after(stop);
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
