import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import { openFileLog } from '../../host/log/file-log.ts';
import type { Log } from '../../host/log/log.ts';
import { nodeDisk } from '../../host/log/node-disk.ts';
import { decodeRecord, encodeRecord, recordChecksum } from '../../host/log/records.ts';
import { Births } from '../../host/replica/births.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../host/replica/checkpoint.ts';
import type { Checkpoint } from '../../host/replica/checkpoint.ts';
import { newSource } from '../../host/replica/replicated-state.ts';
import type { SourceState } from '../../host/replica/replicated-state.ts';
import { readRecord } from '../../host/replica/restore.ts';
import type { Batch } from '../../host/replica/replica.ts';
import type { LocalReplica } from '../../host/replica/local-replica.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import { randomFrom } from '../support/random.ts';
import {
  code,
  ints,
  newWorld,
  replicaTest,
  rows,
  shown,
  startNode,
} from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';

const insert = (table: string, ...values: number[]) => [{ table, insert: ints(...values) }];
const NO_CHECKPOINTS = {
  settings: { checkpointRevisions: Infinity, checkpointRecordBytes: Infinity },
};

async function write(node: Node, value: number): Promise<void> {
  await node.replica.writeBatch({ source: 's', changes: insert('t', value) });
}

/** Revisions of the checkpoints on the disk, newest first. */
async function checkpointsOf(world: World): Promise<number[]> {
  const store = new CheckpointStore(world.disk.attach(), '/data/checkpoints');
  return (await store.list()).map(({ revision }) => revision);
}

function checkpointFile(world: World, index: number): string {
  const files = world.disk.files().filter((file) => file.endsWith('.checkpoint'));
  return files.at(index) as string;
}

replicaTest('a restart restores the newest checkpoint and replays what came after it', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  await node.replica.writePolicies([{ name: 'p', text: 'a(x) :- s:t(x), x > 1\n' }]);
  await write(node, 1);
  await node.stop();
  assert.equal((await checkpointsOf(world)).length, 1, 'a clean close saves one');
  node = await startNode(world);
  await write(node, 2);
  const before = node.replica.status();
  // A kill: no close, no checkpoint.
  world.disk.kill();
  await node.log.close().catch(() => undefined);
  const replayed: number[] = [];
  node = await startNode(world, { onRevision: (revision) => replayed.push(revision) });
  assert.deepEqual(replayed, [before.revision], 'only what came after the checkpoint was folded');
  assert.deepEqual({ ...node.replica.status() }, before);
  assert.deepEqual(shown((await node.replica.query({ query: 'p:a(x)' })).rows), [[2n]]);
  await node.stop();
});

replicaTest('two checkpoints are kept, and the log is trimmed below the older one', async () => {
  const world = await newWorld();
  const node = await startNode(world, { settings: { checkpointRevisions: 5 } });
  for (let value = 0; value < 40; value++) await write(node, value);
  await node.replica.close();
  const kept = await checkpointsOf(world);
  assert.equal(kept.length, 2);
  const { start } = await node.log.bounds('cuts');
  assert.ok(start > 0 && start <= (kept[1] as number), `trimmed to ${start}, kept ${kept.join()}`);
  await node.log.close();
  const again = await startNode(world);
  assert.equal(again.replica.status().sources[0]?.tables['t'], 40);
  await again.stop();
});

replicaTest('a damaged newest checkpoint is reported, and the one before it is used', async () => {
  const world = await newWorld();
  let node = await startNode(world, NO_CHECKPOINTS);
  await write(node, 1);
  await node.stop();
  node = await startNode(world, NO_CHECKPOINTS);
  await write(node, 2);
  const before = node.replica.status();
  await node.stop();
  world.disk.damage(checkpointFile(world, -1), 60, new Uint8Array([1, 2, 3, 4]));
  node = await startNode(world, NO_CHECKPOINTS);
  assert.equal(world.problems.length, 1);
  assert.ok(code('log_damaged')(world.problems[0]));
  assert.equal(node.replica.status().digest, before.digest);
  await node.stop();
});

/** In place of the newest one. */
async function saveAltered(
  store: CheckpointStore,
  alter: (checkpoint: Checkpoint) => Checkpoint,
): Promise<void> {
  const { checkpoint } = await store.loadNewest();
  assert.ok(checkpoint !== undefined);
  const chunks: Uint8Array[] = [];
  for await (const chunk of checkpoint.chunks) chunks.push(chunk);
  const altered = alter(decodeCheckpoint(Buffer.concat(chunks)));
  await store.save(checkpoint.revision, encodeCheckpoint(altered));
}

replicaTest('a checkpoint that gives another state than it says is not used', async () => {
  const world = await newWorld();
  let node = await startNode(world, NO_CHECKPOINTS);
  await write(node, 1);
  const before = node.replica.status();
  await node.stop();
  const store = new CheckpointStore(world.disk.attach(), '/data/checkpoints');
  // A row more than there was: what a wrong engine, or a bit that flipped in memory, would save.
  const withRow = (checkpoint: Checkpoint): Checkpoint => ({
    ...checkpoint,
    base: new Map(checkpoint.base).set('s:t', rows([1n], [9n])),
  });
  await saveAltered(store, withRow);
  node = await startNode(world, NO_CHECKPOINTS);
  assert.equal(world.problems.length, 1);
  assert.equal(node.replica.status().digest, before.digest, 'the log was replayed instead');
  assert.deepEqual(shown((await node.replica.query({ query: 's:t(x)' })).rows), [[1n]]);
  await node.stop();
  // Control: it is the digest that finds it. Without one the row that never was is believed.
  await saveAltered(store, (checkpoint) => ({ ...withRow(checkpoint), digest: '' }));
  node = await startNode(world, NO_CHECKPOINTS);
  assert.deepEqual(shown((await node.replica.query({ query: 's:t(x)' })).rows), [[1n], [9n]]);
  await node.stop();
});

replicaTest('a checkpoint does not have more pieces for more births', async () => {
  const piecesWith = async (births: number): Promise<number> => {
    const world = await newWorld();
    const node = await startNode(world, NO_CHECKPOINTS);
    const values = Array.from({ length: births }, (_, index) => index);
    await node.replica.writeBatch({ source: 's', changes: insert('t', ...values) });
    await node.replica.writePolicies([{ name: 'p', text: 'execute[svc:go(x)] :- s:t(x)\n' }]);
    assert.equal(node.replica.births('execute:svc:go').length, births);
    await node.stop();
    const { checkpoint } = await new CheckpointStore(
      world.disk.attach(),
      '/data/checkpoints',
    ).loadNewest();
    let pieces = 0;
    for await (const chunk of checkpoint?.chunks ?? []) pieces += Math.sign(chunk.length);
    return pieces;
  };
  const one = await piecesWith(1);
  assert.ok(one > 0);
  assert.equal(await piecesWith(1_000), one);
});

replicaTest('a trimmed log without a checkpoint that fits is refused with a remedy', async () => {
  const world = await newWorld();
  const node = await startNode(world, {
    settings: { checkpointRevisions: 5 },
    segmentBytes: 400,
  });
  for (let value = 0; value < 30; value++) await write(node, value);
  await node.stop();
  for (const file of world.disk.files().filter((name) => name.endsWith('.checkpoint'))) {
    world.disk.damage(file, 40, new Uint8Array([255, 255, 255]));
  }
  await assert.rejects(startNode(world), (error: unknown) => {
    assert.ok(code('log_damaged')(error));
    assert.ok(((error as { remedy?: string }).remedy ?? '').length > 0);
    return true;
  });
});

/**
 * Stands for a log that is not the one that was acknowledged: another record under an old offset.
 * `checksum`: what cuts are read to say of the topic's end, if not what they say.
 */
function withOtherRecords(log: Log, topic: string, checksum?: (end: number) => number): Log {
  const read: Log['read'] = async function* (of, from, signal) {
    for await (const chunk of log.read(of, from, signal)) {
      const records = chunk.records.map((one) => ({
        ...one,
        bytes: of === topic ? altered(one.bytes) : withChecksums(one.bytes, topic, checksum),
      }));
      yield { ...chunk, records };
    }
  };
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'read') return read;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

function altered(bytes: Uint8Array): Uint8Array {
  const record = decodeRecord(bytes);
  return record.kind === 'push' ? encodeRecord({ ...record, owner: `${record.owner}!` }) : bytes;
}

function withChecksums(
  bytes: Uint8Array,
  topic: string,
  checksum: ((end: number) => number) | undefined,
): Uint8Array {
  const record = decodeRecord(bytes);
  if (record.kind !== 'cut' || checksum === undefined) return bytes;
  const vector = record.vector.map((entry) =>
    entry.topic === topic ? { ...entry, checksum: checksum(entry.end) } : entry,
  );
  return encodeRecord({ ...record, vector });
}

for (const withCheckpoint of [true, false]) {
  const how = withCheckpoint ? 'from a checkpoint' : 'from its start';
  replicaTest(`a log with other records than the cuts name is refused, read ${how}`, async () => {
    const world = await newWorld();
    const node = await startNode(world, NO_CHECKPOINTS);
    await write(node, 1);
    await write(node, 2);
    const checksums = [0];
    for (const offset of [0, 1]) {
      const bytes = altered(await readRecord(node.log, 'source.s.1', offset));
      checksums.push(recordChecksum(bytes));
    }
    if (withCheckpoint) await node.replica.close();
    world.disk.kill();
    await node.log.close().catch(() => undefined);
    const wrapLog = (log: Log): Log => withOtherRecords(log, 'source.s.1');
    await assert.rejects(startNode(world, { ...NO_CHECKPOINTS, wrapLog }), code('log_diverged'));
    const same = await startNode(world, {
      ...NO_CHECKPOINTS,
      wrapLog: (log) => withOtherRecords(log, 'no'),
    });
    assert.equal(same.replica.status().sources[0]?.tables['t'], 2);
    await same.stop();
    // Control: with checksums that are those of whatever is there, nobody notices.
    const checksum = (end: number): number => checksums[end] as number;
    if (withCheckpoint) {
      const store = new CheckpointStore(world.disk.attach(), '/data/checkpoints');
      await saveAltered(store, ({ state, ...rest }) => {
        const last = { end: 2, checksum: checksum(2) };
        return { ...rest, state: { ...state, ends: new Map(state.ends).set('source.s.1', last) } };
      });
    }
    const folder = withCheckpoint ? '/data/checkpoints' : '/none';
    const fooled = await startNode(world, {
      ...NO_CHECKPOINTS,
      checkpoints: new CheckpointStore(world.disk.attach(), folder),
      wrapLog: (log) => withOtherRecords(log, 'source.s.1', checksum),
    });
    assert.equal(fooled.replica.status().sources[0]?.tables['t'], 2);
    await fooled.stop();
  });
}

replicaTest('a log that ends before its checkpoint is refused', async () => {
  const world = await newWorld();
  const node = await startNode(world, NO_CHECKPOINTS);
  await write(node, 1);
  await node.stop();
  const empty = await newWorld();
  const checkpoints = new CheckpointStore(world.disk.attach(), '/data/checkpoints');
  const genesis = decodeRecord(
    encodeRecord({ kind: 'genesis', logId: node.replica.status().logId, format: 1, semantics: 1 }),
  );
  const log = await openFileLog({
    disk: empty.disk.attach(),
    directory: '/data/log',
    now: () => 1,
  });
  await log.ensureTopic('cuts');
  await log.append('cuts', [encodeRecord(genesis)]);
  await log.close();
  await assert.rejects(
    startNode({ ...empty, store: world.store }, { checkpoints }),
    code('log_diverged'),
  );
});

replicaTest('a checkpoint of another log is not used', async () => {
  const world = await newWorld();
  const node = await startNode(world, NO_CHECKPOINTS);
  await write(node, 1);
  await node.stop();
  const other = await newWorld();
  const checkpoints = new CheckpointStore(world.disk.attach(), '/data/checkpoints');
  await (await startNode(other, NO_CHECKPOINTS)).stop();
  const fresh = await startNode(other, { ...NO_CHECKPOINTS, checkpoints });
  assert.equal(fresh.replica.status().revision, 0);
  assert.equal(other.problems.length, 1);
  const { logId } = fresh.replica.status();
  await fresh.stop();
  // Control: it is the log's id that tells. With the right one it is taken for one of this log.
  await saveAltered(checkpoints, (checkpoint) => ({
    ...checkpoint,
    state: { ...checkpoint.state, logId },
  }));
  await assert.rejects(startNode(other, { ...NO_CHECKPOINTS, checkpoints }), code('log_diverged'));
});

interface Trace {
  readonly digests: Map<number, string>;
  readonly births: string;
  readonly rows: string;
}

async function traceOf(replica: LocalReplica, digests: Map<number, string>): Promise<Trace> {
  const answers: string[] = [];
  for (const query of ['p:gone(x)', 'p:path(x, y)', 's:a(x)', 's:b(x)', 'system:failed(p, t, c)']) {
    try {
      answers.push(shown((await replica.query({ query })).rows).join(';'));
    } catch (error) {
      answers.push((error as Error).message);
    }
  }
  const births = JSON.stringify(replica.births('execute:svc:go'));
  return { digests, births, rows: answers.join('\n') };
}

/** `alter`: what becomes of a checkpoint before the other replica starts from it. */
async function agreeAtEveryRevision(
  seed: number,
  alter?: (checkpoint: Checkpoint) => Checkpoint,
): Promise<void> {
  const random = randomFrom(seed);
  const world = await newWorld();
  const live = new Map<number, string>();
  const options = {
    rowsPerTableMax: 24,
    settings: { checkpointRevisions: Infinity, checkpointRecordBytes: Infinity },
  };
  let node = await startNode(world, {
    ...options,
    onRevision: (at, digest) => live.set(at, digest()),
  });
  const policies = [
    'gone(x) :- s:a(x), not s:b(x)\nexecute[svc:go(x)] :- gone(x)\n',
    'gone(x) :- s:b(x), not s:a(x)\nexecute[svc:go(x)] :- gone(x)\n',
    'gone(x) :- s:a(x)\nexecute[svc:go(x)] :- gone(x), s:b(x)\npath(x, y) :- s:a(x), s:b(y)\n',
    'gone(x, y) :- s:new(x, y)\n',
  ];
  const answered = new Map<string, number>();
  const send = async (replica: LocalReplica, batch: Batch): Promise<void> => {
    const { revision } = await replica.writeBatch(batch);
    if (batch.id === undefined) return;
    const first = answered.get(batch.id.key) ?? revision;
    assert.equal(revision, first, `seed ${seed}: a repeat got another answer`);
    answered.set(batch.id.key, first);
  };
  const step = async (): Promise<void> => {
    const batches = Array.from({ length: 1 + random.int(3) }, () => {
      const table = random.pick(['a', 'b']);
      const block = ints(random.int(9), random.int(9));
      const change = random.chance(0.6) ? { table, insert: block } : { table, delete: block };
      const id = random.chance(0.5)
        ? { id: { key: String(random.int(20)), bodyDigest: 'same' } }
        : {};
      return send(node.replica, { source: 's', changes: [change], ...id });
    });
    await Promise.all(batches);
    if (!random.chance(0.2)) return;
    await node.replica.writePolicies([{ name: 'p', text: random.pick(policies) }]);
  };
  await node.replica.writePolicies([{ name: 'p', text: policies[0] as string }]);
  for (let round = 0; round < 20; round++) await step();
  // The checkpoint that another replica starts from.
  await node.stop();
  node = await startNode(world, {
    ...options,
    onRevision: (at, digest) => live.set(at, digest()),
  });
  const from = node.replica.status().revision;
  for (let round = 0; round < 20; round++) await step();
  const expected = await traceOf(node.replica, live);
  for (const checkpointed of [true, false]) {
    const digests = new Map<number, string>();
    const checkpoints = new CheckpointStore(
      world.disk.attach(),
      checkpointed ? '/data/checkpoints' : '/none',
    );
    const log = node.log;
    if (checkpointed && alter !== undefined) await saveAltered(checkpoints, alter);
    const other = await startNode(world, {
      ...options,
      checkpoints,
      log,
      onRevision: (at, digest) => digests.set(at, digest()),
    });
    const found = await traceOf(other.replica, digests);
    assert.equal(Math.min(...digests.keys()), checkpointed ? from + 1 : 1);
    for (const [revision, digest] of digests) {
      assert.equal(digest, live.get(revision), `seed ${seed}, revision ${revision}`);
    }
    assert.deepEqual([found.births, found.rows], [expected.births, expected.rows], `seed ${seed}`);
    assert.equal(other.replica.status().digest, node.replica.status().digest);
    for (const key of answered.keys()) {
      const id = { key, bodyDigest: 'same' };
      await send(other.replica, { source: 's', changes: insert('a', 1), id });
    }
  }
  assert.ok(new Set(live.values()).size > 10, 'the digests tell the revisions apart');
  await node.stop();
}

const SEEDS = [11, 12, 13];

for (const seed of SEEDS) {
  replicaTest(`two replicas of one log agree at every revision, seed ${seed}`, () =>
    agreeAtEveryRevision(seed),
  );
}

/** What a checkpoint could forget, without its digest, which would tell. */
const FORGETS: Readonly<Record<string, (checkpoint: Checkpoint) => Checkpoint>> = {
  births: ({ state, base }) => ({ state: { ...state, births: new Births() }, base, digest: '' }),
  'batch ids': ({ state, base }) => {
    const source = state.sources.get('s') as SourceState;
    const { incarnation, kind, tables } = source;
    const forgetful = { ...newSource('s', { incarnation, kind }), tables };
    return { state: { ...state, sources: new Map([['s', forgetful]]) }, base, digest: '' };
  },
  'base rows': ({ state, base }) => ({
    state,
    base: new Map([...base].filter(([table]) => table !== 's:b')),
    digest: '',
  }),
};

for (const [what, alter] of Object.entries(FORGETS)) {
  replicaTest(`control: after a checkpoint without ${what} the replicas differ`, async () => {
    const found: string[] = [];
    for (const seed of SEEDS) {
      await agreeAtEveryRevision(seed, alter).catch((error: unknown) => {
        if (error instanceof assert.AssertionError) found.push(error.message);
        else throw error;
      });
    }
    assert.notDeepEqual(found, []);
  });
}

replicaTest('everything on a real disk, twice', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'replica-'));
  try {
    let digest: string | undefined;
    for (let start = 0; start < 2; start++) {
      const log = await openFileLog({
        disk: nodeDisk,
        directory: path.join(directory, 'log'),
        now: Date.now,
      });
      const store = await openSqliteStore({ file: path.join(directory, 'policies.db') });
      const checkpoints = new CheckpointStore(nodeDisk, path.join(directory, 'checkpoints'));
      const node = await startNode(await newWorld(), { log, store, checkpoints });
      if (start === 0) {
        await node.replica.writePolicies([{ name: 'p', text: 'a(x) :- s:t(x)\n' }]);
        await write(node, 1);
        digest = node.replica.status().digest;
      }
      assert.equal(node.replica.status().digest, digest);
      assert.equal((await node.replica.query({ query: 'p:a(x)' })).rows.count, 1);
      await node.replica.close();
      await log.close();
      await store.close();
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
