/**
 * The time in force, as rules see it: whose clock it is, when it goes on by itself, and that it is
 * a function of the log. All timers are of the test: time passes when `advance` says so.
 */
import assert from 'node:assert/strict';
import { SOURCE_SILENT_MS, TICK_SPREAD_MS, TIME_STEP_MS } from '../../host/limits.ts';
import type { Log, LogRecord } from '../../host/log/log.ts';
import { decodeRecord } from '../../host/log/records.ts';
import type { Timer } from '../../host/replica/revision-waiters.ts';
import { randomFrom } from '../support/random.ts';
import {
  commits,
  ints,
  joinNode,
  newWorld,
  replicaTest,
  rows,
  shown,
  startNode,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node, NodeOptions, World } from '../support/replica-world.ts';
import { register, staleOf, writerOf } from '../support/source-world.ts';

const HOUR_MS = 3_600_000;
const SEED = Date.now();
/** Whole seconds, the longest wait of all replicas, and a tenth between two looks. */
const BEHIND_MS_MAX = TIME_STEP_MS + TICK_SPREAD_MS + 100;

/** Timers that fire when the test moves the world's clock, and what is under way in the logs. */
class Clock {
  readonly world: World;
  readonly nodes = new Set<Node>();
  appending = 0;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  constructor(world: World) {
    this.world = world;
  }

  readonly setTimer: Timer = (callback, ms) => {
    const timer = { atMs: Math.ceil(this.world.nowMs + Math.max(0, ms)), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  };

  /** A replica whose clock is off by `skewMs`. */
  options(skewMs = 0, given: NodeOptions = {}): NodeOptions {
    const wrapLog = given.wrapLog ?? ((log: Log) => log);
    const random = randomFrom(SEED + skewMs);
    return {
      now: () => this.world.nowMs + skewMs,
      setTimer: this.setTimer,
      random: () => random.next(),
      ...given,
      wrapLog: (log) => this.#counted(wrapLog(log)),
    };
  }

  async start(skewMs = 0, given: NodeOptions = {}): Promise<Node> {
    const [first] = this.nodes;
    const options = this.options(skewMs, given);
    const node = await (first === undefined
      ? startNode(this.world, options)
      : joinNode(this.world, first, options));
    this.nodes.add(node);
    await this.settle();
    return node;
  }

  async stop(): Promise<void> {
    for (const node of [...this.nodes].reverse()) await node.stop();
    this.nodes.clear();
  }

  async advance(ms: number): Promise<void> {
    const { world } = this;
    const endMs = world.nowMs + ms;
    for (;;) {
      const [next] = this.#timers
        .filter(({ atMs }) => atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      world.nowMs = Math.max(world.nowMs, next.atMs);
      next.callback();
      await this.settle();
    }
    world.nowMs = endMs;
  }

  /** Every replica has applied what the log has. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await yieldToLoop();
      const [first] = this.nodes;
      const end = first === undefined ? 0 : (await first.log.bounds('cuts')).end;
      const isBehind = [...this.nodes].some(
        ({ replica }) =>
          replica.status().phase !== 'stopped' && replica.status().revision < end - 1,
      );
      if (this.appending > 0 || isBehind) quiet = -1;
    }
  }

  #counted(log: Log): Log {
    return {
      ...boundLog(log),
      append: async (topic, records) => {
        this.appending++;
        try {
          return await log.append(topic, records);
        } finally {
          this.appending--;
        }
      },
    };
  }
}

function boundLog(log: Log): Log {
  return {
    ensureTopic: (topic) => log.ensureTopic(topic),
    append: (topic, records) => log.append(topic, records),
    read: (topic, from, signal) => log.read(topic, from, signal),
    bounds: (topic) => log.bounds(topic),
    trim: (topic, before) => log.trim(topic, before),
    close: () => log.close(),
  };
}

/** A log whose own clock is off, by the same for each reader of a record. */
function skewedLog(log: Log, skewMs: (record: LogRecord) => number): Log {
  return {
    ...boundLog(log),
    async *read(topic, from, signal) {
      for await (const { records, next } of log.read(topic, from, signal)) {
        const skewed = records.map((record) => ({
          ...record,
          appendTimeMs: record.appendTimeMs + skewMs(record),
        }));
        yield { records: skewed, next };
      }
    },
  };
}

async function ask(node: Node, query: string): Promise<unknown[]> {
  return shown((await node.replica.query({ query })).rows);
}

/** The time in force, in ms. */
async function timeOf(node: Node): Promise<number> {
  const [row] = await ask(node, 'system:now(time, seconds)');
  const [text, seconds] = row as [string, bigint];
  assert.equal(Date.parse(`${text.replace(' ', 'T')}Z`), Number(seconds) * 1000);
  return Number(seconds) * 1000;
}

const cutsOf = async (node: Node): Promise<number> => (await node.log.bounds('cuts')).end;

const LATE = 'late(x) :- s:due(x, d), now(t), d <= t\n';
const READS = 'some(t) :- now(t)\n';

async function withClock(body: (clock: Clock, world: World) => Promise<void>): Promise<void> {
  const world = await newWorld();
  const clock = new Clock(world);
  try {
    await body(clock, world);
  } finally {
    await clock.stop();
  }
  assert.deepEqual(world.problems, []);
}

replicaTest('rows come when their time has come, one second after the other', async () => {
  await withClock(async (clock) => {
    const node = await clock.start();
    const seen = commits(node);
    await node.replica.writePolicies([{ name: 'p', text: LATE }]);
    const due = rows(['a', '2023-11-14 22:13:22'], ['b', '2023-11-14 22:13:23'], ['c', '2024']);
    await node.replica.writeBatch({ source: 's', changes: [{ table: 'due', insert: due }] });
    const view = await node.replica.openView({ query: 'p:late(x)' });
    assert.deepEqual(shown(view.snapshot), []);
    const shownAt: unknown[] = [];
    for (let second = 1; second <= 4; second++) {
      await clock.advance(TIME_STEP_MS);
      shownAt.push((await ask(node, 'p:late(x)')).flat().join(''));
    }
    assert.deepEqual(shownAt, ['', 'a', 'ab', 'ab']);
    const deltas = seen.flatMap(({ deltas: of }) => {
      const delta = of.get(view.table);
      return delta === undefined ? [] : [shown(delta.insert), shown(delta.delete)];
    });
    assert.deepEqual(deltas, [[['a']], [], [['b']], []]);
    view.close();
  });
});

replicaTest('the time is a row: bound, negated, as seconds, for a query of its own', async () => {
  await withClock(async (clock, world) => {
    const node = await clock.start();
    assert.deepEqual(await ask(node, 'now(t)'), [], 'there is none before the first cut');
    world.nowMs += 999;
    await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
    assert.deepEqual(await ask(node, 'now(t)'), [['2023-11-14 22:13:20']]);
    assert.deepEqual(await ask(node, 'system:now(seconds=s)'), [[1_700_000_000n]]);
    assert.equal((await ask(node, 'builtin:now("2023-11-14 22:13:20")')).length, 1);
    assert.equal((await ask(node, 'now("2023-11-14 22:13:21")')).length, 0);
    assert.equal((await ask(node, 's:t(x), not now("2023-11-14 22:13:20")')).length, 0);
    assert.equal((await ask(node, 's:t(x), not now("2023-11-14 22:13:21")')).length, 1);
  });
});

/** Who reads the time, and how many cuts ten seconds make. */
const READERS: readonly [what: string, cuts: number, start: (node: Node) => Promise<unknown>][] = [
  ['a rule', 10, (node) => node.replica.writePolicies([{ name: 'p', text: READS }])],
  ['a subscription', 10, (node) => node.replica.openView({ query: 'now(t)' })],
  ['nobody', 0, (node) => node.replica.writePolicies([{ name: 'p', text: 'some(1)\n' }])],
  ['a query that is answered', 0, (node) => ask(node, 'now(t)')],
];
for (const [what, cuts, start] of READERS) {
  replicaTest(`${what} reads the time: ${cuts} cuts in ten seconds`, async () => {
    await withClock(async (clock, world) => {
      const node = await clock.start();
      await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
      await start(node);
      await clock.settle();
      const before = await cutsOf(node);
      const startMs = await timeOf(node);
      await clock.advance(10 * TIME_STEP_MS);
      assert.equal((await cutsOf(node)) - before, cuts);
      assert.equal(await timeOf(node), cuts === 0 ? startMs : world.nowMs);
    });
  });
}

replicaTest('ticks end with the last rule that reads the time, also when it fails', async () => {
  await withClock(async (clock) => {
    const node = await clock.start(0, { rowsPerTableMax: 3 });
    await node.replica.writePolicies([{ name: 'p', text: 'some(x, t) :- s:t(x), now(t)\n' }]);
    const ticks = async (): Promise<number> => {
      const before = await cutsOf(node);
      await clock.advance(5 * TIME_STEP_MS);
      return (await cutsOf(node)) - before;
    };
    assert.equal(await ticks(), 5);
    const write = async (table: string, numbers: number[], remove = false): Promise<void> => {
      const change = remove ? { delete: ints(...numbers) } : { insert: ints(...numbers) };
      await node.replica.writeBatch({ source: 's', changes: [{ table, ...change }] });
    };
    await write('t', [1, 2, 3]);
    assert.equal(await ticks(), 5);
    // A pair of tables, so that no base table is too large.
    await node.replica.writePolicies([
      { name: 'p', text: 'some(x, y, t) :- s:t(x), s:t(y), now(t)\n' },
    ]);
    assert.equal(node.replica.status().policies[0]?.failed, 'rows_per_table');
    assert.equal(await ticks(), 0);
    await node.replica.writePolicies([{ name: 'p', text: READS }]);
    assert.equal(await ticks(), 5);
    await node.replica.writePolicies([{ name: 'p', text: null }]);
    assert.equal(await ticks(), 0);
  });
});

const peer = (index: number, given: NodeOptions = {}): NodeOptions => ({
  node: { nodeId: `pe${index}`, url: '', digestRevisions: 5 },
  ...given,
});

interface Minute {
  /** Time in force minus the world's, at each tenth of a second. */
  readonly offMs: readonly number[];
  readonly cuts: number;
  readonly digests: ReadonlySet<string>;
}

/** Three replicas of which the clocks are off, for a minute. */
async function minute(
  clock: Clock,
  skewsMs: readonly number[],
  wrapLog: (log: Log) => Log = (log) => log,
): Promise<Minute> {
  const { world } = clock;
  for (const [index, skewMs] of skewsMs.entries())
    await clock.start(skewMs, peer(index, { wrapLog }));
  const [first] = clock.nodes as unknown as [Node];
  await first.replica.writePolicies([{ name: 'p', text: `${READS}${LATE}` }]);
  await clock.settle();
  const before = await cutsOf(first);
  const offMs: number[] = [];
  for (let tenth = 0; tenth < 600; tenth++) {
    await clock.advance(100);
    offMs.push((await timeOf(first)) - world.nowMs);
  }
  const cuts = (await cutsOf(first)) - before;
  // Replay, in a replica that was not there.
  await clock.start(7, peer(skewsMs.length, { wrapLog }));
  await clock.settle();
  const digests = new Set<string>();
  for (const node of clock.nodes) {
    const { revision, digest } = node.replica.status();
    const now = JSON.stringify(await ask(node, 'p:some(t)'));
    digests.add(`${revision} ${digest} ${now}`);
  }
  return { offMs, cuts, digests };
}

replicaTest('three replicas: one tick a second, mostly of one of them', async () => {
  await withClock(async (clock) => {
    const { offMs, cuts, digests } = await minute(clock, [0, 20, -20]);
    const seed = `seed ${SEED}`;
    assert.equal(digests.size, 1, `${seed}: ${[...digests].join(' | ')}`);
    assert.ok(Math.max(...offMs) <= 0, seed);
    assert.ok(Math.min(...offMs) >= -BEHIND_MS_MAX, `${seed}: ${offMs}`);
    assert.ok(cuts >= 55 && cuts <= 70, `${seed}: ${cuts} cuts in a minute`);
  });
});

for (const isHonest of [true, false]) {
  const name = isHonest
    ? 'clocks that are wrong by an hour: the time is right'
    : 'clocks and the log wrong by an hour: the time is wrong (control)';
  replicaTest(name, async () => {
    await withClock(async (clock) => {
      const wrapLog = isHonest ? undefined : (log: Log) => skewedLog(log, () => 2 * HOUR_MS);
      const { offMs, cuts, digests } = await minute(clock, [HOUR_MS, 0, -HOUR_MS], wrapLog);
      const seed = `seed ${SEED}`;
      assert.equal(digests.size, 1, `${seed}: ${[...digests].join(' | ')}`);
      const isRight = Math.max(...offMs) <= 0 && Math.min(...offMs) >= -BEHIND_MS_MAX;
      assert.equal(
        isRight,
        isHonest,
        `${seed}: from ${Math.min(...offMs)} to ${Math.max(...offMs)}`,
      );
      assert.ok(cuts >= 55 && cuts <= 70, `${seed}: ${cuts} cuts in a minute`);
    });
  });
}

replicaTest('a clock that is behind cannot move the time, and does not fill the log', async () => {
  await withClock(async (clock) => {
    const right = await clock.start(0, peer(0));
    await right.replica.writePolicies([{ name: 'p', text: READS }]);
    const behind = await clock.start(-HOUR_MS, peer(1));
    await right.replica.close();
    const before = await cutsOf(right);
    const beforeMs = await timeOf(behind);
    await clock.advance(60 * TIME_STEP_MS);
    assert.equal(await cutsOf(right), before);
    assert.equal(await timeOf(behind), beforeMs);
    // Its writes do not take the time back.
    await behind.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
    assert.equal(await timeOf(behind), beforeMs);
  });
});

replicaTest('the time never goes back where the clock of the log does', async () => {
  await withClock(async (clock) => {
    const wrapLog = (log: Log): Log =>
      skewedLog(log, ({ offset }) => (offset % 2 === 0 ? -HOUR_MS : 0));
    const node = await clock.start(0, { wrapLog });
    await node.replica.writePolicies([{ name: 'p', text: READS }]);
    const times: number[] = [];
    for (let n = 0; n < 20; n++) {
      await clock.advance(TIME_STEP_MS);
      times.push(await timeOf(node));
    }
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    assert.ok(new Set(times).size > 5, 'it goes on all the same');
    assert.ok((times.at(-1) ?? 0) <= clock.world.nowMs);
  });
});

replicaTest(
  'after a restart, from a checkpoint and from the log, the time is the same',
  async () => {
    await withClock(async (clock, world) => {
      const first = await clock.start();
      await first.replica.writePolicies([{ name: 'p', text: `${READS}${LATE}` }]);
      await clock.advance(5300);
      const { revision, digest } = first.replica.status();
      const before = await ask(first, 'p:some(t)');
      assert.deepEqual(before, [['2023-11-14 22:13:25']]);
      await clock.stop();
      const states = [];
      for (const hasCheckpoint of [true, false]) {
        const none: NodeOptions = {
          checkpoints: {
            loadNewest: () => Promise.resolve({ checkpoint: undefined, damaged: [] }),
            save: (revision) => Promise.resolve({ revision, file: '', bytes: 0 }),
            prune: () => Promise.resolve([]),
          },
        };
        const node = await clock.start(0, hasCheckpoint ? {} : none);
        const status = node.replica.status();
        states.push([status.revision, status.digest, await ask(node, 'p:some(t)')]);
        // It is not yet a second later, so nothing is proposed.
        await clock.advance(300);
        assert.equal(await cutsOf(node), revision + 1);
        await clock.stop();
      }
      const expected = [revision, digest, before];
      assert.deepEqual(states, [expected, expected]);
      // An hour later it goes on at once.
      world.nowMs += HOUR_MS;
      const later = await clock.start();
      await clock.advance(1);
      assert.equal(await timeOf(later), Math.floor(world.nowMs / 1000) * 1000);
    });
  },
);

replicaTest('while the log takes nothing the time stands still, and nothing piles up', async () => {
  await withClock(async (clock, world) => {
    const link = { isAway: false, tries: 0 };
    const wrapLog = (log: Log): Log => ({
      ...boundLog(log),
      append: async (topic, records) => {
        if (link.isAway && topic === 'cuts') {
          link.tries++;
          throw new Error('the link is cut');
        }
        return await log.append(topic, records);
      },
    });
    const node = await clock.start(0, { wrapLog });
    await node.replica.writePolicies([{ name: 'p', text: READS }]);
    link.isAway = true;
    const beforeMs = await timeOf(node);
    await clock.advance(10 * TIME_STEP_MS);
    assert.equal(await timeOf(node), beforeMs);
    assert.ok(link.tries >= 9 && link.tries <= 11, `${link.tries} tries`);
    assert.deepEqual(world.problems.map(String), ['Error: the link is cut'], 'said once');
    world.problems.length = 0;
    link.isAway = false;
    await clock.advance(TIME_STEP_MS);
    assert.equal(await timeOf(node), world.nowMs);
  });
});

replicaTest('without its timer the time stands still (control)', async () => {
  await withClock(async (clock) => {
    const node = await clock.start(0, { setTimer: () => () => undefined });
    await node.replica.writePolicies([{ name: 'p', text: READS }]);
    const beforeMs = await timeOf(node);
    await clock.advance(10 * TIME_STEP_MS);
    assert.equal(await timeOf(node), beforeMs);
  });
});

replicaTest('a tick is a cut that names nothing', async () => {
  await withClock(async (clock) => {
    const node = await clock.start();
    await node.replica.writePolicies([{ name: 'p', text: READS }]);
    await clock.advance(TIME_STEP_MS);
    const { end } = await node.log.bounds('cuts');
    for await (const { records } of node.log.read('cuts', end - 1, new AbortController().signal)) {
      const cut = decodeRecord((records[0] as LogRecord).bytes);
      assert.deepEqual(cut, {
        kind: 'cut',
        vector: [],
        timeMs: clock.world.nowMs,
        asOf: null,
      });
      break;
    }
  });
});

for (const hasTimer of [true, false]) {
  const title = 'a driver falls silent, and nothing else happens: its source becomes stale';
  replicaTest(`${title}${hasTimer ? '' : ' (control: without a timer it does not)'}`, async () => {
    await withClock(async (clock, world) => {
      const noTimer = { setTimer: () => () => undefined };
      const node = await clock.start(0, hasTimer ? {} : noTimer);
      await register(world, node.log, 's');
      const { writer } = writerOf(world, node.log, 's', 1);
      await writer.publish({ changes: [{ table: 't', replace: true, insert: ints(1) }] });
      await clock.settle();
      const before = await cutsOf(node);
      await clock.advance(SOURCE_SILENT_MS - TIME_STEP_MS);
      assert.equal(await cutsOf(node), before, 'nobody needs the time yet');
      await clock.advance(3 * TIME_STEP_MS);
      const [isStale, reason] = await staleOf(node, 's');
      assert.equal(isStale, hasTimer);
      if (hasTimer) assert.match(String(reason), /nothing was heard/);
      // From then on once in as long.
      await clock.advance(2 * SOURCE_SILENT_MS);
      assert.ok((await cutsOf(node)) - before <= (hasTimer ? 3 : 0));
      await writer.close();
    });
  });
}
