import assert from 'node:assert/strict';
import type { TransactionResult } from '../../host/engine/engine.ts';
import { VIEW_HISTORY_COUNT_MAX, VIEW_IDLE_MS_MAX } from '../../host/limits.ts';
import type { View } from '../../host/replica/replica.ts';
import { encodeToken } from '../../host/replica/token.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { randomFrom } from '../support/random.ts';
import {
  code,
  commits,
  ints,
  newWorld,
  replicaTest,
  shown,
  startNode,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { Node } from '../support/replica-world.ts';

const insert = (table: string, ...values: number[]) => [{ table, insert: ints(...values) }];
const remove = (table: string, ...values: number[]) => [{ table, delete: ints(...values) }];

/** A client that keeps the rows of a view by its snapshot and the deltas. */
function follow(node: Node, view: View): () => string[] {
  const state = new Set(keys(view.snapshot));
  node.replica.onCommit(({ deltas, revision }) => {
    const delta = deltas.get(view.table);
    if (delta === undefined) return;
    assert.ok(revision > view.position.revision);
    for (const key of keys(delta.delete)) assert.ok(state.delete(key), `${key} was not there`);
    for (const key of keys(delta.insert)) {
      assert.ok(!state.has(key), `${key} was there already`);
      state.add(key);
    }
  });
  return () => [...state].sort();
}

const keys = (block: RowBlock): string[] => shown(block).map((row) => row.map(String).join('|'));

async function followRandomChanges(
  alterResult = (result: TransactionResult): TransactionResult => result,
): Promise<void> {
  const seed = 20_260_101;
  const random = randomFrom(seed);
  const node = await startNode(await newWorld());
  node.engine.alterResult = alterResult;
  await node.replica.writeBatch({ source: 's', changes: [...insert('a', 0), ...insert('b', 0)] });
  await node.replica.writePolicies([
    {
      name: 'p',
      text: 'c(x) :- s:a(x), not s:b(x)\nreach(x) :- s:a(x), x < 2\nreach(y) :- reach(x), s:a(y), y < x + 3\n',
    },
  ]);
  const queries = ['p:c(x)', 's:a(x), s:b(y), x < y', 'p:reach(x), not s:b(x)', 's:b(3)'];
  const followed: { query: string; rows: () => string[] }[] = [];
  for (let round = 0; round < 40; round++) {
    const table = random.chance(0.5) ? 'a' : 'b';
    const values = [random.int(8), random.int(8)];
    const change = random.chance(0.6) ? insert(table, ...values) : remove(table, ...values);
    const write = node.replica.writeBatch({ source: 's', changes: change });
    if (round % 4 === 1) {
      // Opened while a cut may be on its way.
      const query = queries[followed.length % queries.length] as string;
      const view = await node.replica.openView({ query });
      followed.push({ query, rows: follow(node, view) });
    }
    await write;
    for (const { query, rows } of followed) {
      const { rows: answer } = await node.replica.query({ query });
      assert.deepEqual(rows(), keys(answer).sort(), `seed ${seed}, round ${round}, ${query}`);
    }
  }
  await node.stop();
}

replicaTest('snapshot and deltas are the answer at every revision, over random changes', () =>
  followRandomChanges(),
);

replicaTest('control: with an engine that tells one change less they are not', () =>
  assert.rejects(
    followRandomChanges((result) =>
      result.ok ? { ...result, deltas: result.deltas.slice(1) } : result,
    ),
    { name: 'AssertionError' },
  ),
);

replicaTest('views with equal resolved text are one; opening one makes no revision', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writePolicies([{ name: 'p', text: 'a(1)\na(2)\n' }]);
  const before = node.replica.status();
  const first = await node.replica.openView({ query: 'p:a( x )' });
  const transactions = node.engine.transactions;
  const second = await node.replica.openView({ query: 'a(x)', policy: 'p' });
  assert.equal(second.table, first.table);
  assert.deepEqual(shown(second.snapshot), [[1n], [2n]]);
  assert.equal(node.engine.transactions, transactions, 'nothing was computed again');
  const after = node.replica.status();
  assert.deepEqual([after.revision, after.digest], [before.revision, before.digest]);
  assert.equal(after.retainFrom, after.token, 'a client that resumes from here gets deltas');
  const other = await node.replica.openView({ query: 'p:a(y)' });
  assert.notEqual(other.table, first.table);
  await node.stop();
});

replicaTest('a view of a wrong query fails its caller and nobody else', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writePolicies([{ name: 'p', text: 'a(1)\n' }]);
  const good = await node.replica.openView({ query: 'p:a(x)' });
  await assert.rejects(node.replica.openView({ query: 'p:b(x)' }), code('unknown_table'));
  await assert.rejects(node.replica.openView({ query: 'p:a(' }), code('invalid_policy'));
  await assert.rejects(
    node.replica.openView({ query: 'p:a(x)', from: 'junk' }),
    code('token_invalid'),
  );
  const foreign = encodeToken('other', 1);
  await assert.rejects(
    node.replica.openView({ query: 'p:a(x)', from: foreign }),
    code('token_foreign'),
  );
  const rows = follow(node, good);
  await node.replica.writePolicies([{ name: 'p', text: 'a(2)\n' }]);
  assert.deepEqual(rows(), ['2']);
  await node.stop();
});

replicaTest(
  'a view survives policy changes with the difference, and is lost when it no longer compiles',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writeBatch({ source: 's', changes: insert('t', 1, 2, 3) });
    await node.replica.writePolicies([{ name: 'p', text: 'a(x) :- s:t(x), x < 3\n' }]);
    const view = await node.replica.openView({ query: 'p:a(x)' });
    const rows = follow(node, view);
    const seen = commits(node);
    await node.replica.writePolicies([{ name: 'p', text: 'a(x) :- s:t(x), x > 1\n' }]);
    assert.deepEqual(rows(), ['2', '3']);
    const delta = seen[0]?.deltas.get(view.table);
    assert.deepEqual(
      [keys(delta?.insert as RowBlock), keys(delta?.delete as RowBlock)],
      [['3'], ['1']],
    );
    await node.replica.writePolicies([{ name: 'q', text: 'b(1)\n' }]);
    assert.equal(seen[1]?.deltas.get(view.table), undefined, 'no difference, no delta');
    const lost: string[] = [];
    node.replica.onViewLost((table, error) => {
      assert.equal((error as Error & { code: string }).code, 'invalid_policy');
      lost.push(table);
    });
    await node.replica.writePolicies([{ name: 'p', text: 'a(x, x) :- s:t(x)\n' }]);
    assert.deepEqual(lost, [view.table]);
    view.close();
    const again = await node.replica.openView({ query: 'p:a(x, y)' });
    assert.equal(again.snapshot.count, 3);
    await node.stop();
  },
);

replicaTest(
  'resume: the deltas after a token while they are held, else only the snapshot',
  async () => {
    const world = await newWorld();
    const node = await startNode(world);
    await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
    const before = node.replica.status().token;
    const view = await node.replica.openView({ query: 's:t(x)' });
    const from = view.position.token;
    const second = await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
    await node.replica.writeBatch({ source: 's', changes: remove('t', 1) });
    view.close();
    const resumed = await node.replica.openView({ query: 's:t(x)', from });
    assert.deepEqual(
      resumed.since?.map((delta) => [keys(delta.insert), keys(delta.delete)]),
      [
        [['2'], []],
        [[], ['1']],
      ],
    );
    const later = await node.replica.openView({ query: 's:t(x)', from: second.token });
    assert.equal(later.since?.length, 1);
    const upToDate = await node.replica.openView({
      query: 's:t(x)',
      from: node.replica.status().token,
    });
    assert.deepEqual(upToDate.since, []);
    const other = await node.replica.openView({ query: 's:t(y)', from: before });
    assert.equal(other.since, undefined, 'the view was not kept then');
    assert.deepEqual(shown(other.snapshot), [[2n]]);
    await node.stop();
  },
);

replicaTest('the history of a view is bounded', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({ source: 's', changes: insert('t', 0) });
  const view = await node.replica.openView({ query: 's:t(x)' });
  const tokens: string[] = [];
  for (let round = 0; round < VIEW_HISTORY_COUNT_MAX + 2; round++) {
    const changes = round % 2 === 0 ? insert('t', 1) : remove('t', 1);
    tokens.push((await node.replica.writeBatch({ source: 's', changes })).token);
  }
  const resume = async (from: string): Promise<number | undefined> =>
    (await node.replica.openView({ query: 's:t(x)', from })).since?.length;
  assert.equal(await resume(view.position.token), undefined);
  assert.equal(await resume(tokens[0] as string), undefined);
  assert.equal(await resume(tokens[1] as string), VIEW_HISTORY_COUNT_MAX);
  await node.stop();
});

replicaTest('a view that nobody uses is dropped after a while, not before', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  const view = await node.replica.openView({ query: 's:t(x)' });
  view.close();
  view.close();
  const count = (): number => node.engine.count(view.table);
  await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
  await yieldToLoop();
  assert.equal(count(), 2, 'a client may come back');
  world.nowMs += VIEW_IDLE_MS_MAX;
  await node.replica.writeBatch({ source: 's', changes: insert('t', 3) });
  // Another job of the engine's queue, behind the one that drops it.
  await node.replica.dryRun({ name: 'p', text: 'a(1)' });
  assert.equal(count(), 0);
  const again = await node.replica.openView({ query: 's:t(x)' });
  assert.deepEqual(shown(again.snapshot), [[1n], [2n], [3n]]);
  await node.stop();
});

replicaTest('a token ahead of the replica is waited for', async () => {
  const node = await startNode(await newWorld());
  const { revision } = await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  const from = encodeToken(node.replica.status().logId, revision + 1);
  const opening = node.replica.openView({ query: 's:t(x)', from });
  await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
  const view = await opening;
  assert.ok(view.position.revision >= revision + 1);
  assert.equal(view.snapshot.count, 2);
  await node.stop();
});
