/**
 * What every log must do, whatever stores it: run it with a harness that opens, and where it can,
 * crashes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import type { Log, LogRecord } from '../../host/log/log.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

export interface LogHarness {
  /** Opens what is stored. The log opened before is closed, or was lost in a crash. */
  open(): Promise<Log>;
  /** Opens it once more beside those that are open; absent: only one process can have it. */
  openBeside?: () => Promise<Log>;
  close(): Promise<void>;
}

export interface CrashingHarness extends LogHarness {
  /** Loses the open log and what was not durable. */
  crash(random: Random): void;
  /** Makes the storage fail or heal at random; absent: it cannot. */
  disturb?: (random: Random) => void;
  heal?: () => void;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textsOf(records: readonly LogRecord[]): string[] {
  return records.map((record) => new TextDecoder().decode(record.bytes));
}

/** Records from `from` to `to`, which must be durable. */
export async function readRange(
  log: Log,
  topic: string,
  from: number,
  to: number,
): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  if (from >= to) return records;
  const stop = new AbortController();
  for await (const chunk of log.read(topic, from, stop.signal)) {
    assert.equal(chunk.next, from + records.length + chunk.records.length);
    records.push(...chunk.records);
    if (chunk.next >= to) break;
  }
  stop.abort();
  const wanted = records.slice(0, to - from);
  wanted.forEach((record, index) => assert.equal(record.offset, from + index));
  return wanted;
}

export async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const { start, end } = await log.bounds(topic);
  return readRange(log, topic, start, end);
}

/** `make` answers undefined where it has skipped the test. */
export function logSuite(
  name: string,
  make: (t: TestContext) => Promise<LogHarness | undefined>,
): void {
  const check = (title: string, body: (harness: LogHarness) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => {
      const harness = await make(t);
      if (harness === undefined) return;
      try {
        await body(harness);
      } finally {
        await harness.close();
      }
    });
  };

  check('a new topic is empty, and ensuring it again changes nothing', async (harness) => {
    const log = await harness.open();
    await Promise.all([log.ensureTopic('a'), log.ensureTopic('a'), log.ensureTopic('b')]);
    assert.deepEqual(await log.bounds('a'), { start: 0, end: 0 });
    await log.append('a', [bytesOf('x')]);
    await log.ensureTopic('a');
    assert.deepEqual(await log.bounds('a'), { start: 0, end: 1 });
    assert.deepEqual(await log.bounds('b'), { start: 0, end: 0 });
    await log.close();
  });

  check('offsets count from 0 in each topic, in the order of the calls', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('a');
    await log.ensureTopic('b');
    const results = await Promise.all([
      log.append('a', [bytesOf('a0'), bytesOf('a1')]),
      log.append('b', [bytesOf('b0')]),
      log.append('a', [bytesOf('a2')]),
      log.append('a', []),
      log.append('a', [bytesOf('a3'), bytesOf('')]),
    ]);
    assert.deepEqual(
      results.map(({ first }) => first),
      [0, 0, 2, 3, 3],
    );
    assert.deepEqual(textsOf(await readAll(log, 'a')), ['a0', 'a1', 'a2', 'a3', '']);
    assert.deepEqual(textsOf(await readRange(log, 'a', 2, 4)), ['a2', 'a3']);
    assert.deepEqual(textsOf(await readAll(log, 'b')), ['b0']);
    await log.close();
  });

  check('what was appended is there after a restart, and offsets go on', async (harness) => {
    let log = await harness.open();
    await log.ensureTopic('a');
    await log.append('a', [bytesOf('one'), bytesOf('two')]);
    const before = await readAll(log, 'a');
    await log.close();
    log = await harness.open();
    assert.deepEqual(await readAll(log, 'a'), before);
    assert.equal((await log.append('a', [bytesOf('three')])).first, 2);
    assert.deepEqual(textsOf(await readAll(log, 'a')), ['one', 'two', 'three']);
    await log.close();
  });

  check('a reader waits for records that come later, until it is stopped', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('a');
    await log.append('a', [bytesOf('0')]);
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const chunk of log.read('a', 0, stop.signal)) {
        seen.push(...textsOf(chunk.records));
        if (seen.length === 3) stop.abort();
      }
    })();
    for (const text of ['1', '2']) await log.append('a', [bytesOf(text)]);
    await reading;
    assert.deepEqual(seen, ['0', '1', '2']);
    await log.close();
  });

  check('a reader that is stopped at any moment of its start ends', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('t');
    for (let turns = 0; turns < 12; turns++) {
      const stop = new AbortController();
      const reading = log.read('t', 0, stop.signal)[Symbol.asyncIterator]().next();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      stop.abort();
      assert.equal((await reading).done, true, `stopped after ${turns} turns`);
    }
    await log.close();
  });

  check('closing ends the readers and refuses appends', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('a');
    const reading = (async () => {
      for await (const chunk of log.read('a', 0, new AbortController().signal))
        assert.fail(`read ${chunk.next}`);
    })();
    await log.close();
    await reading;
    await assert.rejects(
      log.append('a', [bytesOf('x')]),
      (error: unknown) => error instanceof CaucusError,
    );
  });

  check('below a trim nothing is read; the rest stays', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('a');
    await log.append('a', ['0', '1', '2', '3'].map(bytesOf));
    await log.trim('a', 2);
    assert.deepEqual(await log.bounds('a'), { start: 2, end: 4 });
    assert.deepEqual(textsOf(await readAll(log, 'a')), ['2', '3']);
    await assert.rejects(readRange(log, 'a', 1, 2), { code: 'revision_expired' });
    await log.trim('a', 1);
    await log.trim('a', 99);
    assert.deepEqual(await log.bounds('a'), { start: 4, end: 4 });
    assert.equal((await log.append('a', [bytesOf('4')])).first, 4);
    await log.close();
  });

  check(
    'readers at the end of many topics wait, and each gets what is its own',
    async (harness) => {
      const log = await harness.open();
      const topics = Array.from({ length: 40 }, (_, index) => `topic-${index}`);
      await Promise.all(topics.map((topic) => log.ensureTopic(topic)));
      await Promise.all(topics.map((topic) => log.append(topic, [bytesOf('before')])));
      const readings = topics.map((topic) => readRange(log, topic, 1, 3));
      for (const round of ['one', 'two']) {
        await Promise.all(topics.map((topic) => log.append(topic, [bytesOf(`${round} ${topic}`)])));
      }
      for (const [index, reading] of readings.entries()) {
        const topic = topics[index] as string;
        assert.deepEqual(textsOf(await reading), [`one ${topic}`, `two ${topic}`]);
      }
      await log.close();
    },
  );

  check('readers of one topic from different offsets, fast and slow', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('a');
    await log.ensureTopic('b');
    const texts = Array.from({ length: 30 }, (_, index) => `${index} ${'x'.repeat(400_000)}`);
    for (const text of texts.slice(0, 20)) await log.append('a', [bytesOf(text)]);
    // Takes one chunk and then nothing more: it must hold up nobody.
    const stop = new AbortController();
    const slow = log.read('a', 0, stop.signal)[Symbol.asyncIterator]();
    await slow.next();
    const froms = [0, 7, 7, 19, 20];
    const readings = froms.map((from) => readRange(log, 'a', from, 30));
    for (const text of texts.slice(20)) await log.append('a', [bytesOf(text)]);
    for (const [index, reading] of readings.entries()) {
      assert.deepEqual(textsOf(await reading), texts.slice(froms[index]));
    }
    const other = readRange(log, 'b', 0, 1);
    await log.append('b', [bytesOf('b')]);
    assert.deepEqual(textsOf(await other), ['b']);
    stop.abort();
    await slow.return?.();
    await log.close();
  });

  check('two processes append to one topic: one order, each in its own', async (harness) => {
    if (harness.openBeside === undefined) return;
    const logs = [await harness.open(), await harness.openBeside()];
    await Promise.all(logs.map((log) => log.ensureTopic('a')));
    const reading = Promise.all(logs.map((log) => readRange(log, 'a', 0, 400)));
    const offsets = new Map<number, string>();
    await Promise.all(
      logs.flatMap((log, writer) =>
        Array.from({ length: 100 }, async (_, index) => {
          const texts = [`${writer} ${2 * index}`, `${writer} ${2 * index + 1}`];
          const { first } = await log.append('a', texts.map(bytesOf));
          texts.forEach((text, at) => offsets.set(first + at, text));
        }),
      ),
    );
    assert.equal(offsets.size, 400);
    const [one = [], two = []] = await reading;
    assert.deepEqual(one, two);
    for (const { offset, bytes } of one) {
      assert.equal(offsets.get(offset), new TextDecoder().decode(bytes));
    }
    for (const writer of ['0 ', '1 ']) {
      const own = textsOf(one).filter((text) => text.startsWith(writer));
      assert.deepEqual(
        own,
        own.toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2))),
      );
    }
    await Promise.all(logs.map((log) => log.close()));
  });

  check('append times never decrease', async (harness) => {
    const log = await harness.open();
    await log.ensureTopic('a');
    const times: number[] = [];
    for (let round = 0; round < 20; round++)
      times.push((await log.append('a', [bytesOf('x')])).appendTimeMs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.deepEqual(
      (await readAll(log, 'a')).map((record) => record.appendTimeMs),
      times,
    );
    await log.close();
  });

  check('records of many sizes come back byte for byte', async (harness) => {
    let log = await harness.open();
    await log.ensureTopic('a');
    const random = randomFrom(40);
    const sizes = [0, 1, 4095, 4096, 16_383, 16_384, 16_385, 300_000, 2_000_000, 5];
    const records = sizes.map((size) => random.bytes(size));
    await Promise.all(records.map((record) => log.append('a', [record])));
    const same = async (): Promise<void> => {
      const read = await readAll(log, 'a');
      assert.equal(read.length, records.length);
      read.forEach((record, index) =>
        assert.ok(
          Buffer.compare(record.bytes, records[index] as Uint8Array) === 0,
          `record ${index}`,
        ),
      );
    };
    await same();
    await log.close();
    log = await harness.open();
    await same();
    await log.close();
  });
}

const TOPICS = ['a', 'b', 'c'];

/** What is known of one topic across crashes. */
interface Known {
  /** Acknowledged, or seen after a restart: must never change again. */
  readonly fixed: Map<number, string>;
  readonly attempted: Set<string>;
  trimmed: number;
  /** One past the last fixed offset. */
  end: number;
}

/**
 * Random appends, trims and crashes. Throws unless after each crash everything acknowledged is
 * there, once, in order, under its offset, and nothing else but what was attempted.
 */
export async function checkDurability(
  harness: CrashingHarness,
  seed: number,
  crashes: number,
): Promise<void> {
  const random = randomFrom(seed);
  const known = new Map<string, Known>(
    TOPICS.map((topic) => [topic, { fixed: new Map(), attempted: new Set(), trimmed: 0, end: 0 }]),
  );
  let counter = 0;
  for (let crash = 0; crash <= crashes; crash++) {
    const log = await harness.open();
    for (const topic of TOPICS) await log.ensureTopic(topic);
    for (const [topic, state] of known)
      await checkTopic(log, topic, state, `seed ${seed}, crash ${crash}`);
    const inFlight: Promise<void>[] = [];
    let alive = true;
    for (let step = random.int(30); step > 0; step--) {
      const [topic, state] = random.pick([...known]);
      harness.disturb?.(random);
      if (random.chance(0.05) && state.end > state.trimmed) {
        state.trimmed += random.int(state.end - state.trimmed + 1);
        inFlight.push(log.trim(topic, state.trimmed).catch(ignore));
        continue;
      }
      const texts = Array.from(
        { length: 1 + random.int(4) },
        () => `${counter++} ${'x'.repeat(random.int(1500))}`,
      );
      for (const text of texts) state.attempted.add(text);
      const appending = log.append(topic, texts.map(bytesOf)).then(({ first }) => {
        if (!alive) return;
        texts.forEach((text, index) => state.fixed.set(first + index, text));
        state.end = Math.max(state.end, first + texts.length);
      });
      inFlight.push(appending.catch(ignore));
      if (random.chance(0.4)) await Promise.all(inFlight);
    }
    // In the middle of what is under way.
    for (let turns = random.int(6); turns > 0; turns--)
      await new Promise((resolve) => setImmediate(resolve));
    alive = false;
    harness.heal?.();
    harness.crash(random);
    await Promise.all(inFlight);
  }
}

async function checkTopic(log: Log, topic: string, state: Known, where: string): Promise<void> {
  const { start, end } = await log.bounds(topic);
  assert.ok(
    start <= state.trimmed,
    `${where}: ${topic} starts at ${start}, trimmed below ${state.trimmed}`,
  );
  assert.ok(end >= state.end, `${where}: ${topic} ends at ${end}, acknowledged to ${state.end}`);
  const texts = textsOf(await readAll(log, topic));
  let before = -1;
  texts.forEach((text, index) => {
    const offset = start + index;
    assert.ok(state.attempted.has(text), `${where}: ${topic} ${offset} was never appended`);
    const fixed = state.fixed.get(offset);
    assert.ok(fixed === undefined || fixed === text, `${where}: ${topic} ${offset} has changed`);
    const count = Number.parseInt(text, 10);
    assert.ok(count > before, `${where}: ${topic} ${offset} is out of order or there twice`);
    before = count;
    state.fixed.set(offset, text);
  });
  state.end = end;
}

function ignore(): void {
  // A rejected append may or may not be there; the check after the crash decides nothing from it.
}
