import assert from 'node:assert/strict';
import { CaucusError } from '../../host/errors.ts';
import { encodePushBatch } from '../../host/log/batch-parts.ts';
import { BatchWriter } from '../../host/replica/batch-writer.ts';
import type { BatchWriterOptions } from '../../host/replica/batch-writer.ts';
import type { Batch } from '../../host/replica/replica.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import {
  code,
  commits,
  ints,
  newWorld,
  replicaTest,
  rows,
  shown,
  startNode,
} from '../support/replica-world.ts';
import type { Node } from '../support/replica-world.ts';

const insert = (table: string, ...values: number[]) => [{ table, insert: ints(...values) }];

replicaTest(
  'a repeated id gets the first answer and changes nothing; another body is a conflict',
  async () => {
    const world = await newWorld();
    let node = await startNode(world);
    const id = { key: 'one', bodyDigest: 'd1' };
    const first = await node.replica.writeBatch({ source: 's', changes: insert('t', 1), id });
    await node.replica.writeBatch({ source: 's', changes: [{ table: 't', delete: ints(1) }] });
    const again = await node.replica.writeBatch({ source: 's', changes: insert('t', 1), id });
    assert.deepEqual(again, first);
    assert.equal(node.replica.status().sources[0]?.tables['t'], 0);
    const other = { key: 'one', bodyDigest: 'd2' };
    await assert.rejects(
      node.replica.writeBatch({ source: 's', changes: insert('t', 2), id: other }),
      code('conflict'),
    );
    // Another source has ids of its own.
    await node.replica.writeBatch({ source: 'u', changes: insert('t', 2), id: other });
    await node.stop();
    node = await startNode(world);
    assert.deepEqual(
      await node.replica.writeBatch({ source: 's', changes: insert('t', 1), id }),
      first,
    );
    await assert.rejects(
      node.replica.writeBatch({ source: 's', changes: insert('t', 2), id: other }),
      code('conflict'),
    );
    await node.stop();
  },
);

replicaTest('a concurrent repeat waits for the first and gets its answer', async () => {
  const node = await startNode(await newWorld());
  const id = { key: 'same', bodyDigest: 'd' };
  const batch = { source: 's', changes: insert('t', 1), id };
  const answers = await Promise.all([1, 2, 3].map(() => node.replica.writeBatch(batch)));
  assert.equal(new Set(answers.map((answer) => answer.revision)).size, 1);
  const { end } = await node.log.bounds('source.s.1');
  assert.equal(end, 1, 'only the first went to the log');
  const clash = { ...batch, id: { key: 'next', bodyDigest: 'x' } };
  const late = { ...batch, id: { key: 'next', bodyDigest: 'y' } };
  const results = await Promise.allSettled([
    node.replica.writeBatch(clash),
    node.replica.writeBatch(late),
  ]);
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'rejected'],
  );
  await node.stop();
});

for (const sameCut of [true, false]) {
  replicaTest(
    `the fold drops repeats that two writers logged (${sameCut ? 'one cut' : 'two cuts'})`,
    async () => {
      const node = await startNode(await newWorld());
      await node.replica.writeBatch({ source: 's', changes: insert('t', 0) });
      const record = (owner: string, bodyDigest: string, value: number) =>
        encodePushBatch({
          owner,
          batch: 1,
          batchId: 'k',
          bodyDigest,
          snapshot: false,
          changes: insert('t', value),
        });
      // As another node of the cluster would: past the check of this one.
      await node.log.append('source.s.1', record('a', 'd', 1));
      if (!sameCut) await node.replica.writeBatch({ source: 's', changes: insert('t', 10) });
      await node.log.append('source.s.1', [...record('b', 'd', 2), ...record('c', 'other', 3)]);
      await node.replica.writeBatch({ source: 's', changes: insert('t', 11) });
      const found = shown((await node.replica.query({ query: 's:t(x)' })).rows).flat();
      assert.ok(found.includes(1n) && found.includes(11n));
      assert.ok(
        !found.includes(2n) && !found.includes(3n),
        'a repeat and a conflict count for nothing',
      );
      await node.stop();
    },
  );
}

replicaTest(
  'a batch of several records becomes visible with its last record, never in part',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writeBatch({ source: 's', changes: insert('t', 0) });
    const seen = commits(node);
    const batch = { owner: 'other', batch: 7, batchId: null, bodyDigest: null, snapshot: false };
    const values = Array.from({ length: 50 }, (_, index) => [BigInt(index + 100)]);
    const parts = encodePushBatch(
      { ...batch, changes: [{ table: 't', insert: encodeRows(1, values) }] },
      60,
    );
    assert.ok(parts.length > 2);
    await node.log.append('source.s.1', parts.slice(0, -1));
    await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
    assert.deepEqual(shown((await node.replica.query({ query: 's:t(x)' })).rows), [[0n], [1n]]);
    await node.log.append('source.s.1', parts.slice(-1));
    await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
    assert.equal(shown((await node.replica.query({ query: 's:t(x)' })).rows).length, 53);
    assert.equal(seen.length, 2);
    await node.stop();
  },
);

replicaTest('a batch whose beginning is not in the log never counts', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({ source: 's', changes: insert('t', 0) });
  const batch = { owner: 'other', batch: 7, batchId: null, bodyDigest: null, snapshot: false };
  const values = Array.from({ length: 50 }, (_, index) => [BigInt(index + 100)]);
  const parts = encodePushBatch(
    { ...batch, changes: [{ table: 't', insert: encodeRows(1, values) }] },
    60,
  );
  await node.log.append('source.s.1', [parts[0] as Uint8Array, ...parts.slice(2)]);
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  assert.equal(shown((await node.replica.query({ query: 's:t(x)' })).rows).length, 2);
  await node.stop();
});

replicaTest(
  'an unfinished batch survives a restart from a checkpoint and is completed after it',
  async () => {
    const world = await newWorld();
    let node = await startNode(world);
    await node.replica.writeBatch({ source: 's', changes: insert('t', 0) });
    const batch = { owner: 'other', batch: 7, batchId: 'big', bodyDigest: 'd', snapshot: false };
    const values = Array.from({ length: 50 }, (_, index) => [BigInt(index + 100)]);
    const parts = encodePushBatch(
      { ...batch, changes: [{ table: 't', insert: encodeRows(1, values) }] },
      60,
    );
    await node.log.append('source.s.1', parts.slice(0, 2));
    await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
    await node.stop();
    node = await startNode(world);
    await node.log.append('source.s.1', parts.slice(2));
    await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
    assert.equal(shown((await node.replica.query({ query: 's:t(x)' })).rows).length, 53);
    await node.stop();
  },
);

type Write = (node: Node, batch: Batch) => Promise<unknown>;

async function refusedBeforeTheLog(write: Write): Promise<void> {
  const node = await startNode(await newWorld());
  await node.replica.writePolicies([
    { name: 'p', text: 'table s:d(id: string, n: int nullable)\nq(x) :- s:d(x, n)\n' },
  ]);
  await node.replica.writeBatch({
    source: 's',
    changes: [{ table: 'd', insert: rows(['a', 1n], ['b', null]) }],
  });
  const { end } = await node.log.bounds('source.s.1');
  const bad = { table: 'd', insert: rows(['a', 1n], ['b', 2n], ['c', 'x']) };
  await assert.rejects(write(node, { source: 's', changes: [bad] }), (error: unknown) => {
    assert.ok(code('invalid_row')(error));
    const { details, remedy } = error as {
      details: Record<string, unknown>;
      remedy: string;
    };
    assert.equal(details['table'], 's:d');
    assert.equal(details['rowIndex'], 2);
    assert.equal(details['columnIndex'], 1);
    assert.ok(remedy.length > 0);
    return true;
  });
  const wide = { table: 'd', insert: rows(['a', 1n, 1n]) };
  await assert.rejects(write(node, { source: 's', changes: [wide] }), code('invalid_row'));
  await node.replica.writeBatch({ source: 's', changes: insert('free', 1) });
  await assert.rejects(
    write(node, { source: 's', changes: [{ table: 'free', insert: rows([1n, 2n]) }] }),
    code('invalid_row'),
  );
  const mixed = [...insert('new', 1), { table: 'new', insert: rows([1n, 2n]) }];
  await assert.rejects(write(node, { source: 's', changes: mixed }), code('invalid_row'));
  assert.equal(
    (await node.log.bounds('source.s.1')).end,
    end + 1,
    'only the good one is in the log',
  );
  await node.stop();
}

replicaTest('rows that do not fit are refused with their place, before the log', () =>
  refusedBeforeTheLog((node, batch) => node.replica.writeBatch(batch)),
);

/** A writer that knows no shapes, and so lets all rows into the log; the verdict comes too late. */
function carelessWriter(node: Node): BatchWriter {
  const source = { name: 's', incarnation: 1, kind: 'push', tables: new Map() };
  const state = { policies: new Map(), sources: new Map([['s', source]]) };
  return new BatchWriter({
    state: state as unknown as BatchWriterOptions['state'],
    compiled: () =>
      ({ shapes: new Map() }) as unknown as ReturnType<BatchWriterOptions['compiled']>,
    submit: async (topic, records) => {
      await node.log.append(topic, records);
      const details = { table: 's:d', rowIndex: 2, columnIndex: 1 };
      throw new CaucusError('invalid_row', 'the fold found it', { remedy: 'look first', details });
    },
    addSource: () => Promise.resolve(),
    setTimer: () => () => undefined,
    logMs: Infinity,
    owner: 'careless',
    recordBytes: 1_000,
  });
}

replicaTest('control: where the writer does not know what fits, the log gets the rows', () =>
  assert.rejects(
    refusedBeforeTheLog((node, batch) => carelessWriter(node).write(batch)),
    /only the good one is in the log/,
  ),
);

replicaTest('of two racing first pushes one fixes the arity, the other is rejected', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  await node.replica.writeBatch({ source: 's', changes: insert('old', 1) });
  const results = await Promise.allSettled([
    node.replica.writeBatch({
      source: 's',
      changes: insert('t', 1),
      id: { key: 'w', bodyDigest: '1' },
    }),
    node.replica.writeBatch({
      source: 's',
      changes: [{ table: 't', insert: rows([1n, 2n]) }],
      id: { key: 'l', bodyDigest: '2' },
    }),
  ]);
  assert.equal(results[0]?.status, 'fulfilled');
  assert.equal(results[1]?.status, 'rejected');
  assert.ok(code('invalid_row')(results[1].reason));
  const { digest } = node.replica.status();
  await node.stop();
  node = await startNode(world);
  assert.equal(node.replica.status().digest, digest);
  await node.stop();
});

replicaTest('a snapshot batch empties the tables that it does not name', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({
    source: 's',
    changes: [...insert('a', 1, 2), ...insert('b', 3)],
  });
  await node.replica.writeBatch({
    source: 's',
    snapshot: true,
    changes: [
      { table: 'a', replace: true, insert: ints(2, 4) },
      { table: 'never', replace: true },
    ],
  });
  assert.deepEqual(shown((await node.replica.query({ query: 's:a(x)' })).rows), [[2n], [4n]]);
  assert.deepEqual(node.replica.status().sources[0]?.tables, { a: 2, b: 0 });
  await node.stop();
});

replicaTest('the last operation on a row counts, over the batches of one cut', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  await Promise.all([
    node.replica.writeBatch({ source: 's', changes: insert('t', 2) }),
    node.replica.writeBatch({ source: 's', changes: [{ table: 't', delete: ints(2, 1) }] }),
    node.replica.writeBatch({ source: 's', changes: insert('t', 1) }),
  ]);
  assert.deepEqual(shown((await node.replica.query({ query: 's:t(x)' })).rows), [[1n]]);
  await node.stop();
});

replicaTest('batches gather while a cut is applied: many writers share few cuts', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({ source: 's', changes: insert('t', 0) });
  const seen = commits(node);
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      node.replica.writeBatch({ source: 's', changes: insert('t', index + 1) }),
    ),
  );
  assert.ok(seen.length <= 4, `${seen.length} cuts`);
  assert.equal(node.replica.status().sources[0]?.tables['t'], 201);
  const last = Math.max(...answers.map((answer) => answer.revision));
  assert.equal(node.replica.status().revision, last);
  await node.stop();
});

replicaTest('names and ids that cannot be are refused', async () => {
  const node = await startNode(await newWorld());
  const bad = [
    { source: 'system', changes: insert('t', 1) },
    { source: 'a:b', changes: insert('t', 1) },
    { source: '', changes: insert('t', 1) },
    { source: 's', changes: insert('', 1) },
    { source: 's', changes: insert('t', 1), id: { key: 'x'.repeat(201), bodyDigest: 'd' } },
    { source: 's', changes: insert('t', 1), id: { key: '', bodyDigest: 'd' } },
  ];
  for (const batch of bad)
    await assert.rejects(node.replica.writeBatch(batch), code('invalid_request'));
  await node.replica.writePolicies([{ name: 'taken', text: 'a(1)' }]);
  await assert.rejects(
    node.replica.writeBatch({ source: 'taken', changes: insert('t', 1) }),
    code('conflict'),
  );
  assert.deepEqual(node.replica.status().sources, []);
  await node.stop();
});
