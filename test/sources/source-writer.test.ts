/** The writer of a fenced source, over a log that fails in every way that a log may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { openFileLog } from '../../host/log/file-log.ts';
import type { Log } from '../../host/log/log.ts';
import { decodeRecord } from '../../host/log/records.ts';
import type { RecordChange } from '../../host/log/records.ts';
import { UNOPENED, fencedOnRecord } from '../../host/replica/fenced-source.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import {
  code,
  ints,
  newWorld,
  startNode,
  useEngine,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';
import { register, rowsOf, writerOf } from '../support/source-world.ts';
import type { TestWriter } from '../support/source-world.ts';

// What the engine does with the rows is not in question here.
useEngine('naive');

const SEEDS = 40;
const ROUNDS = 25;
const away = (): CaucusError => new CaucusError('log_unavailable', 'a fault of the test');

/** Fails appends to source topics: before they land, or after it. */
function faulty(log: Log, random: Random, faults: { rate: number }): Log {
  return {
    ensureTopic: (topic) => log.ensureTopic(topic),
    append: async (topic, records) => {
      if (!random.chance(faults.rate)) return await log.append(topic, records);
      if (random.chance(0.3)) throw away();
      // Some of it lands, at once or when nobody waits for it any more.
      const some = records.slice(0, 1 + random.int(records.length));
      if (random.chance(0.5)) await log.append(topic, some);
      else setImmediate(() => void log.append(topic, some));
      throw away();
    },
    read: (topic, from, signal) => log.read(topic, from, signal),
    bounds: (topic) => log.bounds(topic),
    trim: (topic, before) => log.trim(topic, before),
    close: () => log.close(),
  };
}

/** A driver of one table: whole after a failure, differences else. */
class Filler {
  readonly outside = new Set<number>();
  #known: Set<number> | undefined;

  async publish({ writer }: TestWriter): Promise<boolean> {
    const next = new Set(this.outside);
    const before = this.#known;
    this.#known = undefined;
    const change: RecordChange =
      before === undefined
        ? { table: 't', replace: true, insert: ints(...next) }
        : {
            table: 't',
            delete: ints(...[...before].filter((n) => !next.has(n))),
            insert: ints(...[...next].filter((n) => !before.has(n))),
          };
    try {
      await writer.publish({ changes: [change] });
      this.#known = next;
      return true;
    } catch (error) {
      assert.equal((error as CaucusError).code, 'log_unavailable', String(error));
      return false;
    }
  }
}

async function sourceWorld(): Promise<{ world: World; node: Node }> {
  const world = await newWorld();
  const node = await startNode(world);
  await register(world, node.log, 's');
  return { world, node };
}

test('whatever fails, what was acknowledged is what replicas show', async () => {
  const { world, node } = await sourceWorld();
  const seen = { acknowledged: 0, refused: 0 };
  for (let seed = 0; seed < SEEDS; seed++) {
    const random = randomFrom(seed);
    const faults = { rate: 0.25 };
    const writer = writerOf(world, faulty(node.log, random, faults), 's', 10 * (seed + 1));
    const filler = new Filler();
    let refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (let n = random.int(20); n > 0; n--) filler.outside.add(random.int(60));
      for (const n of [...filler.outside]) if (random.chance(0.3)) filler.outside.delete(n);
      if (round === ROUNDS - 1) faults.rate = 0;
      // At most ten openings: those of one lease.
      if (refused === 8) faults.rate = 0;
      const isAcknowledged = await filler.publish(writer);
      if (isAcknowledged) seen.acknowledged++;
      else refused++;
    }
    seen.refused += refused;
    assert.ok(await filler.publish(writer), `seed ${seed}`);
    const expected = [...filler.outside].sort((a, b) => a - b).map((n) => [BigInt(n)]);
    assert.deepEqual(await rowsOf(node, 's:t(x)'), expected, `seed ${seed}`);
    assert.deepEqual(
      await rowsOf(node, 'system:sources(n, k, g, o, false, r)').then((r) => r.length),
      1,
    );
    await writer.writer.close();
  }
  assert.ok(seen.refused > SEEDS && seen.acknowledged > SEEDS, JSON.stringify(seen));
  await node.stop();
});

test('batches behind one that failed are refused; a delta before its table is told, too', async () => {
  const { world, node } = await sourceWorld();
  const faults = { rate: 0 };
  const { writer } = writerOf(world, faulty(node.log, randomFrom(1), faults), 's', 1);
  const whole = { changes: [{ table: 't', replace: true, insert: ints(1) }] };
  const more = { changes: [{ table: 't', insert: ints(2) }] };
  await assert.rejects(writer.publish(more), code('invalid_request'));
  await writer.publish(whole);
  faults.rate = 1;
  const behind = [writer.publish(more), writer.publish(more)];
  for (const one of behind) await assert.rejects(one, code('log_unavailable'));
  faults.rate = 0;
  await assert.rejects(writer.publish(more), code('invalid_request'));
  await writer.publish(whole);
  await writer.publish(more);
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[1n], [2n]]);
  await writer.close();
  await node.stop();
});

test('of two writers with one generation the first open wins, the other stops', async () => {
  const { world, node } = await sourceWorld();
  const [a, b] = [writerOf(world, node.log, 's', 1), writerOf(world, node.log, 's', 1)];
  const opened = await Promise.allSettled([a.writer.open(), b.writer.open()]);
  assert.deepEqual(opened.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const loser = opened[0]?.status === 'rejected' ? a : b;
  assert.equal(loser.told.lost.length, 1);
  await assert.rejects(loser.writer.publish({ changes: [] }), code('conflict'));
  await (loser === a ? b : a).writer.publish({ changes: [], snapshot: true });
  await Promise.all([a.writer.close(), b.writer.close()]);
  await node.stop();
});

test('a lease that fell behind the topic is noticed before a row is written', async () => {
  const { world, node } = await sourceWorld();
  const ahead = writerOf(world, node.log, 's', 9);
  await ahead.writer.publish({ changes: [], snapshot: true });
  await ahead.writer.close();
  const { writer, told } = writerOf(world, node.log, 's', 3);
  await assert.rejects(writer.publish({ changes: [], snapshot: true }), /generation 90, not by 30/);
  assert.equal(told.lost.length, 1);
  await writer.close();
  await node.stop();
});

test('a generation can be opened so often as the lease allows', async () => {
  const { world, node } = await sourceWorld();
  const faults = { rate: 1 };
  const { writer, told } = writerOf(world, faulty(node.log, randomFrom(3), faults), 's', 1);
  for (let n = 0; n < 10; n++) await assert.rejects(writer.open(), code('log_unavailable'));
  await assert.rejects(writer.open(), code('conflict'));
  assert.equal(told.lost.length, 1);
  await writer.close();
  await node.stop();
});

test('a log that lost what it had acknowledged is noticed by reading back', async () => {
  const world = await newWorld();
  const inner = await openFileLog({ disk: world.disk.attach(), directory: '/log', now: Date.now });
  let isLosing = false;
  const log: Log = {
    ...faulty(inner, randomFrom(1), { rate: 0 }),
    append: async (topic, records) => {
      if (!isLosing) return await inner.append(topic, records);
      return { first: (await inner.bounds(topic)).end, appendTimeMs: 0 };
    },
  };
  await log.ensureTopic('cuts');
  const { writer, told } = writerOf(world, log, 's', 1);
  await writer.publish({ changes: [], snapshot: true });
  isLosing = true;
  await writer.heartbeat();
  isLosing = false;
  assert.equal(told.broken, 0);
  await writer.heartbeat();
  while (told.broken === 0) await yieldToLoop();
  assert.equal(writer.generation, 0);
  await writer.publish({ changes: [], snapshot: true });
  assert.equal(writer.generation, 11);
  await writer.close();
  await inner.close();
});

test('large batches go in parts, in order, and count once', async () => {
  const { world, node } = await sourceWorld();
  const { writer } = writerOf(world, node.log, 's', 1);
  const numbers = Array.from({ length: 3000 }, (_, n) => n);
  const publishes = [
    writer.publish({ changes: [{ table: 't', replace: true, insert: ints(...numbers) }] }),
    writer.publish({ changes: [{ table: 't', delete: ints(...numbers.slice(1)) }] }),
  ];
  await Promise.all(publishes);
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[0n]]);
  const { end } = await node.log.bounds('source.s.1');
  assert.ok(end > 50, `${end} records`);
  // The topic holds exactly what was sent.
  let state = UNOPENED;
  let rows = 0;
  const abort = new AbortController();
  for await (const { records, next } of node.log.read('source.s.1', 0, abort.signal)) {
    for (const { bytes, offset, appendTimeMs } of records) {
      const record = decodeRecord(bytes);
      assert.ok(record.kind !== 'fork' && 'generation' in record, record.kind);
      const step = fencedOnRecord(state, record, { offset, appendTimeMs });
      state = step.state;
      for (const { insert, delete: removed } of step.batch?.changes ?? []) {
        rows += (insert ? decodeRows(insert).length : 0) - (removed?.count ?? 0);
      }
    }
    if (next >= end) abort.abort();
  }
  assert.deepEqual([rows, state.ignored, state.batch], [1, 0, 2]);
  await writer.close();
  await node.stop();
});
