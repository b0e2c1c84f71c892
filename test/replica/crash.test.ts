/**
 * Random writes, crashes that lose what was not synced, restarts. What must hold: every
 * acknowledged batch is there whole and counted once; of one that was not acknowledged all or
 * nothing is there; the revision never goes back. The controls break one mechanism each, and the
 * same check must find it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../host/log/log.ts';
import { decodeRecord, encodeRecord, recordChecksum } from '../../host/log/records.ts';
import type { PushRecord } from '../../host/log/records.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { newWorld, shown, startNode, useEngine, yieldToLoop } from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';

const ROWS = 24;
const ROUNDS = 6;
const SETTINGS = { checkpointRevisions: 7, recordBytes: 120 };

/**
 * A batch puts `ROWS` rows of its number into `part`, and its number into `flag` or takes one out.
 */
interface Written {
  readonly number: number;
  readonly clears: number | undefined;
  acked: number | undefined;
}

interface Breakage {
  readonly syncDoesNothing?: boolean;
  /** Changes the push records on their way to the log. */
  readonly tamper?: (record: PushRecord) => PushRecord;
}

async function run(seed: number, breakage: Breakage = {}): Promise<void> {
  const random = randomFrom(seed);
  const world = await newWorld();
  const disk = new FaultyDisk({ syncDoesNothing: breakage.syncDoesNothing ?? false });
  const crashed: World = { ...world, disk };
  const written: Written[] = [];
  const texts: { text: string; acked: boolean }[] = [];
  const seen = { revision: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const node = await start(crashed, breakage);
    assert.ok(node.replica.status().revision >= seen.revision, 'the revision went back');
    await check(node, written, texts);
    await retry(node, written, random);
    await check(node, written, texts);
    node.replica.onCommit(({ revision }) => (seen.revision = revision));
    // Most crashes come between a write and its sync, some while nothing is on its way.
    let syncs = 1 + random.int(12);
    disk.fault = (operation) => {
      if (operation !== 'sync' || --syncs > 0) return undefined;
      disk.crash(random);
      return 'EIO';
    };
    await write(node, written, texts, random);
    crashed.nowMs += random.int(5_000);
    if (syncs > 0) disk.crash(random);
    disk.fault = () => undefined;
    // The process is gone; what still runs in it must not reach the disk.
    node.replica.close().catch(() => undefined);
  }
  const last = await start(crashed, breakage);
  await check(last, written, texts);
  await last.stop();
}

async function start(world: World, { tamper }: Breakage): Promise<Node> {
  const wrapLog = tamper === undefined ? undefined : (log: Log) => tampering(log, tamper);
  return await startNode(world, {
    settings: SETTINGS,
    ...(wrapLog === undefined ? {} : { wrapLog }),
  });
}

function body(one: Written) {
  const parts = Array.from({ length: ROWS }, (_, index) => [BigInt(one.number), BigInt(index)]);
  const flag = encodeRows(1, [[BigInt(one.number)]]);
  const cleared = one.clears === undefined ? undefined : encodeRows(1, [[BigInt(one.clears)]]);
  return {
    source: one.number % 2 === 0 ? 'even' : 'odd',
    changes: [
      { table: 'part', insert: encodeRows(2, parts) },
      { table: 'flag', insert: flag, ...(cleared === undefined ? {} : { delete: cleared }) },
    ],
    id: { key: `batch ${one.number}`, bodyDigest: String(one.number) },
  };
}

async function send(node: Node, one: Written): Promise<void> {
  const { revision } = await node.replica.writeBatch(body(one));
  assert.ok(one.acked === undefined || one.acked === revision, 'a repeat got another answer');
  one.acked = revision;
}

/** Starts writes, and stops watching them at some moment. */
async function write(
  node: Node,
  written: Written[],
  texts: { text: string; acked: boolean }[],
  random: Random,
): Promise<void> {
  const count = 5 + random.int(20);
  for (let index = 0; index < count; index++) {
    if (random.chance(0.1)) {
      const entry = { text: `a(${texts.length})\n`, acked: false };
      texts.push(entry);
      void node.replica.writePolicies([{ name: 'p', text: entry.text }]).then(
        () => (entry.acked = true),
        () => undefined,
      );
    }
    const number = written.length;
    // Only what was acknowledged is taken out, and by a batch of the same source.
    const done = written.filter((one) => one.acked !== undefined && one.number % 2 === number % 2);
    const clears = done.length > 0 && random.chance(0.5) ? random.pick(done).number : undefined;
    const one: Written = { number, clears, acked: undefined };
    written.push(one);
    void send(node, one).catch(() => undefined);
    if (random.chance(0.3)) for (let turn = random.int(30); turn > 0; turn--) await yieldToLoop();
  }
}

/** Clients that got no answer, or forgot it, send their batch again. */
async function retry(node: Node, written: Written[], random: Random): Promise<void> {
  for (const one of written) {
    if (random.chance(one.acked === undefined ? 0.5 : 0.1)) await send(node, one);
  }
}

async function check(
  node: Node,
  written: readonly Written[],
  texts: readonly { text: string; acked: boolean }[],
): Promise<void> {
  const rowsOf = async (query: string): Promise<bigint[][]> =>
    shown((await node.replica.query({ query })).rows) as bigint[][];
  const parts = new Map<number, number>();
  const flags = new Set<number>();
  for (const source of ['even', 'odd']) {
    for (const [number] of await rowsOf(`${source}:part(n, i)`)) {
      parts.set(Number(number), (parts.get(Number(number)) ?? 0) + 1);
    }
    for (const [number] of await rowsOf(`${source}:flag(n)`)) flags.add(Number(number));
  }
  const cleared = new Set<number>();
  for (const { number, clears, acked } of written) {
    const count = parts.get(number) ?? 0;
    assert.ok(count === 0 || count === ROWS, `batch ${number} is there in part: ${count}`);
    assert.ok(
      acked === undefined || count === ROWS,
      `batch ${number} was acknowledged and is lost`,
    );
    if (count === ROWS && clears !== undefined) cleared.add(clears);
  }
  for (const [number, count] of parts) {
    assert.equal(flags.has(number), count === ROWS && !cleared.has(number), `flag ${number}`);
  }
  const newest = texts.findLastIndex((entry) => entry.acked);
  if (newest < 0) return;
  const { text } = await node.replica.readPolicy('p');
  const position = texts.findIndex((entry) => entry.text === text);
  assert.ok(position >= newest, `policy ${newest} was acknowledged, ${position} is in force`);
}

/** A log whose writer makes other push records; the cuts name those that are there. */
function tampering(log: Log, tamper: (record: PushRecord) => PushRecord): Log {
  const checksums = new Map<string, number>();
  const append: Log['append'] = async (topic, records) => {
    const written = records.map((bytes) => {
      const record = decodeRecord(bytes);
      if (record.kind === 'push') return encodeRecord(tamper(record));
      if (record.kind !== 'cut') return bytes;
      const vector = record.vector.map((entry) => ({
        ...entry,
        checksum: checksums.get(`${entry.topic}@${entry.end}`) ?? entry.checksum,
      }));
      return encodeRecord({ ...record, vector });
    });
    const appended = await log.append(topic, written);
    written.forEach((bytes, index) => {
      checksums.set(`${topic}@${appended.first + index + 1}`, recordChecksum(bytes));
    });
    return appended;
  };
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'append') return append;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

const SEEDS = Array.from({ length: 12 }, (_, index) => 1_000 + index);

for (const seed of SEEDS) {
  test(`random writes and crashes, seed ${seed}`, async () => {
    useEngine(seed % 2 === 0 ? 'wasm' : 'naive');
    try {
      await run(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  });
}

/** What the check says about the breakage, with the seeds until one of them says `expected`. */
async function findings(breakage: Breakage, expected: RegExp): Promise<string[]> {
  useEngine('naive');
  const found: string[] = [];
  for (const seed of SEEDS) {
    try {
      await run(seed, breakage);
      found.push(`seed ${seed}: nothing`);
    } catch (error) {
      const [line] = (error as Error).message.split('\n');
      found.push(`seed ${seed}: ${line}`);
      if (expected.test(`: ${line}`)) break;
    }
  }
  return found;
}

test('control: without syncing, acknowledged writes are lost', async () => {
  // The policy database is on another disk: it is the first to know that the log lost something.
  const expected =
    /is lost|went back|policy database is at version \d+, the log at 0|the log is empty/;
  assert.match((await findings({ syncDoesNothing: true }, expected)).join('\n'), expected);
});

test('control: records that count before their batch is complete show half batches', async () => {
  const tamper = (record: PushRecord): PushRecord => ({
    ...record,
    owner: `${record.owner}-${record.part}`,
    batchId: record.batchId === null ? null : `${record.batchId}-${record.part}`,
    part: 0,
    lastOfBatch: true,
  });
  const expected = /: batch \d+ is there in part|: flag/;
  assert.match((await findings({ tamper }, expected)).join('\n'), expected);
});

test('control: without batch ids, repeats are applied again', async () => {
  const tamper = (record: PushRecord): PushRecord => ({
    ...record,
    batchId: null,
    bodyDigest: null,
  });
  const expected = /another answer|: flag/;
  assert.match((await findings({ tamper }, expected)).join('\n'), expected);
});
