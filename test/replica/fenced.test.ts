/** Sources with one writer, through the fold: what replicas show of what writers do to the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE_SILENT_MS } from '../../host/limits.ts';
import type { FencedRecord } from '../../host/log/records.ts';
import type { Log } from '../../host/log/log.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../host/replica/checkpoint.ts';
import { stateDigest } from '../../host/replica/digest.ts';
import { UNOPENED } from '../../host/replica/fenced-source.ts';
import { initialState, newSource } from '../../host/replica/replicated-state.ts';
import {
  code,
  ints,
  joinNode,
  newWorld,
  replicaTest,
  rows,
  startNode,
  useEngine,
  yieldToLoop,
} from '../support/replica-world.ts';
import { appendRaw, register, rowsOf, staleOf, writerOf } from '../support/source-world.ts';

const t = (...list: number[]) => ({ table: 't', insert: ints(...list) });
const whole = (...list: number[]) => ({ changes: [{ ...t(...list), replace: true }] });
const by = { generation: 7, owner: 'raw' } as const;
const OPEN: FencedRecord = { kind: 'open', ...by, source: 's', incarnation: 1 };

replicaTest('rows of a fenced source are visible, whole and in one revision', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await register(world, node.log, 's');
  assert.deepEqual(await staleOf(node, 's'), [true, 'it has no rows yet']);
  const { writer } = writerOf(world, node.log, 's', 1);
  const sizes: number[] = [];
  node.replica.onCommit(() => sizes.push(node.replica.status().sources[0]?.tables['t'] ?? 0));
  const many = Array.from({ length: 500 }, (_, n) => n);
  const revision = await writer.publish({ ...whole(...many), snapshot: true });
  assert.equal((await rowsOf(node, 's:t(x)')).length, 500);
  assert.ok(sizes.every((size) => size === 0 || size === 500));
  assert.ok(node.replica.status().revision >= revision);
  const [name, kind, generation, owner, stale, reason] =
    (await rowsOf(node, 'system:sources(n, k, g, o, s, r)'))[0] ?? [];
  assert.deepEqual([name, kind, generation, stale, reason], ['s', 'fenced', 10n, false, null]);
  assert.match(String(owner), /^[0-9a-f]{16}$/);
  await writer.publish({ changes: [{ ...t(1000), delete: ints(0, 1) }] });
  assert.equal((await rowsOf(node, 's:t(x)')).length, 499);
  // A snapshot has no other tables.
  await writer.publish({ changes: [{ table: 'u', insert: ints(5) }], snapshot: true });
  assert.deepEqual(await rowsOf(node, 's:t(x)'), []);
  assert.deepEqual(await rowsOf(node, 's:u(x)'), [[5n]]);
  await writer.close();
  await node.stop();
});

replicaTest('a source is pushed or driven, never both; its name is no policy', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  const { replica, log } = node;
  await register(world, log, 's', 'other');
  await rowsOf(node, '1 = 1');
  const push = { changes: [t(1)] };
  await assert.rejects(replica.writeBatch({ source: 's', ...push }), code('source_driven'));
  await replica.writeBatch({ source: 'pushed', ...push });
  await replica.writePolicies([{ name: 'p', text: 'x(1)\n' }]);
  await assert.rejects(register(world, log, 'pushed'), code('conflict'));
  await assert.rejects(register(world, log, 'p'), code('conflict'));
  await assert.rejects(register(world, log, 'new', 'pushed'), code('conflict'));
  // Records in a topic of the other kind count for nothing, and stop nobody.
  await appendRaw(world, log, 'pushed', { ...OPEN, source: 'pushed' });
  await appendRaw(world, log, 'unheard', { ...OPEN, source: 'unheard' });
  assert.deepEqual(await rowsOf(node, 'pushed:t(x)'), [[1n]]);
  assert.deepEqual(await rowsOf(node, 'system:sources(n, "push", g, o, s, r)'), [
    ['pushed', null, null, false, null],
  ]);
  assert.deepEqual(
    replica.status().sources.map(({ name }) => name),
    ['s', 'other', 'pushed'],
  );
  await register(world, log, 's', 'other');
  await node.stop();
});

/** A log whose appends to source topics wait while `held`, as those of a paused process do. */
function pausable(log: Log, gate: { held: Promise<void> }): Log {
  return {
    ensureTopic: (topic) => log.ensureTopic(topic),
    append: async (topic, records) => {
      await gate.held;
      return await log.append(topic, records);
    },
    read: (topic, from, signal) => log.read(topic, from, signal),
    bounds: (topic) => log.bounds(topic),
    trim: (topic, before) => log.trim(topic, before),
    close: () => log.close(),
  };
}

for (const isFenced of [true, false]) {
  const outcome = isFenced ? 'changes nothing' : 'does harm (control)';
  replicaTest(`a paused writer that flushes late ${outcome}`, async () => {
    const world = await newWorld();
    const node = await startNode(world);
    await register(world, node.log, 's');
    let release = (): void => undefined;
    const gate = { held: Promise.resolve() };
    const zombie = writerOf(world, pausable(node.log, gate), 's', 1);
    await zombie.writer.publish(whole(1));
    gate.held = new Promise((resolve) => {
      release = resolve;
    });
    const late = zombie.writer.publish({ changes: [t(666)] }).catch(() => 'refused');
    const next = writerOf(world, node.log, 's', 2);
    await next.writer.publish(whole(2));
    const [row] = await rowsOf(node, 'system:sources("s", k, g, o, s, r)');
    release();
    await late;
    if (isFenced) {
      assert.deepEqual(await rowsOf(node, 's:t(x)'), [[2n]]);
      await assert.rejects(zombie.writer.publish(whole(3)), code('conflict'));
      assert.equal(zombie.told.lost.length, 1);
      await next.writer.publish({ changes: [t(4)] });
      assert.deepEqual(await rowsOf(node, 's:t(x)'), [[2n], [4n]]);
      assert.deepEqual(await staleOf(node, 's'), [false, null]);
    } else {
      // The same batch as if the writer in charge had sent it: what fencing looks at is not there.
      const head = { generation: Number(row?.[1]), owner: String(row?.[2]), sequence: 2 };
      const batch = { batch: 2, lastOfBatch: true, changes: [t(666)] };
      await appendRaw(world, node.log, 's', { kind: 'delta', ...head, ...batch });
      assert.deepEqual(await rowsOf(node, 's:t(x)'), [[2n], [666n]]);
    }
    await Promise.all([zombie.writer.close(), next.writer.close()]);
    await node.stop();
  });
}

replicaTest('a gap makes the source stale until a new generation tells all rows', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  const { log } = node;
  await register(world, log, 's');
  const first = { kind: 'snapshot', ...by, sequence: 1, batch: 1, lastOfBatch: true } as const;
  await appendRaw(world, log, 's', OPEN, { ...first, changes: [t(1)] });
  assert.deepEqual(await staleOf(node, 's'), [false, null]);
  const third = { ...first, kind: 'delta', sequence: 3, batch: 3, changes: [t(3)] } as const;
  await appendRaw(world, log, 's', third, { kind: 'heartbeat', ...by, sequence: 4 });
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[1n]]);
  assert.deepEqual(await staleOf(node, 's'), [true, 'record 2 of generation 7 is missing']);
  const { writer } = writerOf(world, log, 's', 1);
  await writer.open();
  assert.deepEqual((await staleOf(node, 's'))[0], true);
  await writer.publish({ ...whole(1, 2, 3), snapshot: true });
  assert.deepEqual(await staleOf(node, 's'), [false, null]);
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[1n], [2n], [3n]]);
  await writer.close();
  await node.stop();
});

replicaTest('control: a gap that the numbers do not show is not noticed', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await register(world, node.log, 's');
  const first = { kind: 'snapshot', ...by, sequence: 1, batch: 1, lastOfBatch: true } as const;
  await appendRaw(world, node.log, 's', OPEN, { ...first, changes: [t(1)] });
  // The second one is lost, and the third has its numbers.
  const third = { ...first, kind: 'delta', sequence: 2, batch: 2, changes: [t(3)] } as const;
  await appendRaw(world, node.log, 's', third, { kind: 'heartbeat', ...by, sequence: 3 });
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[1n], [3n]]);
  assert.deepEqual(await staleOf(node, 's'), [false, null]);
  await node.stop();
});

replicaTest('a batch that does not fit is left out whole, and what builds on it', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await node.replica.writePolicies([
    { name: 'p', text: 'table s:t(x: int)\nold(s) :- system:sources(s, k, g, o, true, r)\n' },
  ]);
  await register(world, node.log, 's');
  const { writer } = writerOf(world, node.log, 's', 1);
  await writer.publish(whole(1));
  const words = { table: 't', insert: rows(['word']) };
  await writer.publish({ changes: [{ table: 'u', replace: true, insert: ints(9) }, words] });
  await writer.publish({ changes: [t(2)] });
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[1n]]);
  assert.deepEqual(node.replica.status().sources[0]?.tables, { t: 1 });
  assert.deepEqual(await rowsOf(node, 'p:old(s)'), [['s']]);
  assert.match(String((await staleOf(node, 's'))[1]), /a batch was rejected: row 0 of `s:t`/);
  await writer.close();
  const next = writerOf(world, node.log, 's', 2);
  await next.writer.publish(whole(2));
  await next.writer.heartbeat();
  assert.deepEqual(await rowsOf(node, 's:t(x)'), [[2n]]);
  assert.deepEqual(await rowsOf(node, 'p:old(s)'), []);
  await next.writer.close();
  await node.stop();
});

test('rows over a limit break the source; a later generation in the same cut holds', async () => {
  useEngine('naive');
  const world = await newWorld();
  const node = await startNode(world, { rowsPerTableMax: 3 });
  await register(world, node.log, 's');
  const all = { kind: 'snapshot', ...by, batch: 1, lastOfBatch: true } as const;
  const large: FencedRecord = { ...all, sequence: 1, changes: [t(1, 2, 3, 4)] };
  const more: FencedRecord = { ...all, kind: 'delta', sequence: 2, batch: 2, changes: [t(5)] };
  await appendRaw(world, node.log, 's', OPEN, large, more);
  assert.deepEqual(await rowsOf(node, 's:t(x)'), []);
  assert.match(String((await staleOf(node, 's'))[1]), /rows, 3 are allowed/);
  const u = { table: 'u', insert: ints(7) };
  const again = { generation: 8, owner: 'b' };
  const bigger = { generation: 9, owner: 'c' };
  await appendRaw(
    world,
    node.log,
    's',
    { ...OPEN, ...again },
    { ...large, ...again },
    { ...OPEN, ...bigger },
    { ...more, ...bigger, sequence: 1, batch: 1, changes: [{ ...u, replace: true }] },
    { kind: 'heartbeat', ...bigger, sequence: 2 },
  );
  assert.deepEqual(await rowsOf(node, 's:t(x)'), []);
  assert.deepEqual(await rowsOf(node, 's:u(x)'), [[7n]]);
  assert.deepEqual(await staleOf(node, 's'), [false, null]);
  await node.stop();
});

replicaTest('a source whose driver is silent is stale by the time in force', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await register(world, node.log, 's', 'kept');
  const [silent, kept] = ['s', 'kept'].map((source) => writerOf(world, node.log, source, 1));
  await silent?.writer.publish(whole(1));
  await kept?.writer.publish(whole(1));
  world.nowMs += SOURCE_SILENT_MS + 2000;
  await kept?.writer.heartbeat();
  assert.match(String((await staleOf(node, 's'))[1]), /nothing was heard/);
  assert.deepEqual(await staleOf(node, 'kept'), [false, null]);
  await silent?.writer.reportStale('no answer');
  assert.deepEqual(await staleOf(node, 's'), [true, 'no answer']);
  await silent?.writer.heartbeat();
  assert.deepEqual(await staleOf(node, 's'), [false, null]);
  await silent?.writer.close();
  await kept?.writer.close();
  await node.stop();
});

replicaTest('restored in the middle of a batch: the same state as from the beginning', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await register(world, node.log, 's', 'ended');
  const head = { kind: 'snapshot', ...by, lastOfBatch: false } as const;
  const ended = { ...by, owner: 'e' };
  await appendRaw(
    world,
    node.log,
    'ended',
    { ...OPEN, ...ended, source: 'ended' },
    { kind: 'stale', ...ended, sequence: 1, reason: 'away' },
    { kind: 'heartbeat', ...ended, sequence: 3 },
  );
  await appendRaw(
    world,
    node.log,
    's',
    OPEN,
    { ...head, sequence: 1, batch: 1, lastOfBatch: true, changes: [t(1)] },
    {
      ...head,
      kind: 'delta',
      sequence: 2,
      batch: 2,
      changes: [t(2), { table: 't', delete: ints(1) }],
    },
  );
  await rowsOf(node, '1 = 1');
  const { revision, digest } = node.replica.status();
  await node.stop();
  const again = await startNode(world);
  assert.ok(again.replica.status().revision >= revision);
  assert.equal(again.replica.status().digest, digest);
  // The checkpoint was used, not found to be wrong.
  assert.deepEqual(world.problems, []);
  // This one has no checkpoint: it begins with the first record.
  const replayed = await joinNode(world, again);
  assert.equal(replayed.replica.status().digest, digest);
  assert.deepEqual(await rowsOf(again, 's:t(x)'), [[1n]]);
  await appendRaw(world, again.log, 's', {
    ...head,
    kind: 'delta',
    sequence: 3,
    batch: 2,
    lastOfBatch: true,
    changes: [t(3)],
  });
  for (const one of [again, replayed]) {
    assert.deepEqual(await rowsOf(one, 's:t(x)'), [[2n], [3n]]);
    assert.deepEqual(await staleOf(one, 's'), [false, null]);
    assert.deepEqual(await staleOf(one, 'ended'), [true, 'record 2 of generation 7 is missing']);
  }
  while (again.replica.status().revision !== replayed.replica.status().revision)
    await yieldToLoop();
  assert.equal(again.replica.status().digest, replayed.replica.status().digest);
  await replayed.stop();
  await again.stop();
});

/** The header of a checkpoint, as another version would have written it. */
function rewritten(chunks: readonly Uint8Array[], edit: (header: Header) => void): Uint8Array {
  const [, headerBytes, ...blobs] = chunks as [Uint8Array, Uint8Array, ...Uint8Array[]];
  const header = JSON.parse(new TextDecoder().decode(headerBytes)) as Header;
  edit(header);
  const bytes = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  return Uint8Array.from(Buffer.concat([length, bytes, ...blobs]));
}

interface Header {
  format: number;
  digest: string;
  counters: number[];
  sources: Record<string, unknown>[];
}

test('checkpoints of fenced sources round-trip; those of before are read, later ones are not', () => {
  const source = newSource('s', { incarnation: 3, kind: 'fenced' });
  source.tables.set('t', 1);
  source.fenced = {
    ...UNOPENED,
    generation: 4,
    owner: 'o',
    sequence: 5,
    batch: 6,
    unfinished: { first: 7, kind: 'delta', changes: [t(1), { table: 'u', replace: true }, t(2)] },
    known: ['t', 'u'],
    broken: { generation: 3, reason: 'a gap' },
    trouble: 'no answer',
    heardAtMs: 8,
    refused: true,
    ignored: 9,
    rejected: 10,
  };
  const state = { ...initialState('log', 1), revision: 2, ignoredRecords: 11 };
  state.sources.set('s', source);
  const chunks = encodeCheckpoint({ state, base: new Map(), digest: 'd' });
  const same = decodeCheckpoint(rewritten(chunks, () => undefined));
  assert.deepEqual(same.state.sources.get('s')?.fenced, source.fenced);
  assert.equal(stateDigest(same.state, 'e'), stateDigest(state, 'e'));
  assert.deepEqual([same.digest, same.state.ignoredRecords], ['d', 11]);
  const before = decodeCheckpoint(
    rewritten(
      encodeCheckpoint({ state: { ...state, sources: new Map() }, base: new Map(), digest: 'd' }),
      (header) => {
        header.format = 1;
        header.counters = [0, 0];
        const old = { name: 'old', incarnation: 1, tables: [['t', 2]], batchIds: [] };
        header.sources = [{ ...old, unfinished: [] }];
      },
    ),
  );
  assert.equal(before.state.sources.get('old')?.kind, 'push');
  assert.deepEqual([before.digest, before.state.ignoredRecords], ['', 0]);
  const later = rewritten(chunks, (header) => (header.format = 3));
  assert.throws(() => decodeCheckpoint(later), code('log_damaged'));
});
