import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CaucusError } from '../../host/errors.ts';
import {
  decodeRevision,
  decodeToken,
  encodePolicyToken,
  encodeToken,
} from '../../host/replica/token.ts';
import {
  code,
  ints,
  joinNode,
  newWorld,
  replicaTest,
  rows,
  shown,
  startNode,
  yieldToLoop,
} from '../support/replica-world.ts';

const insert = (table: string, ...values: number[]) => [{ table, insert: ints(...values) }];

test('tokens: log id and revision, told apart from garbage and from other logs', () => {
  const token = encodeToken('log-ü', 123_456_789_012);
  assert.match(token, /^[A-Za-z0-9_-]+$/);
  assert.deepEqual(decodeToken('log-ü', token), { revision: 123_456_789_012 });
  const pending = encodePolicyToken('log-ü', 7);
  assert.deepEqual(decodeToken('log-ü', pending), { policyVersion: 7 });
  assert.throws(() => decodeRevision('log-ü', pending), code('token_invalid'));
  assert.throws(() => decodeToken('other', token), code('token_foreign'));
  const flipped = token.slice(0, 8) + (token[8] === 'A' ? 'B' : 'A') + token.slice(9);
  const garbage = [
    '',
    'x',
    token.slice(1),
    `${token}A`,
    flipped,
    'é',
    'A'.repeat(1000),
    `${token}=`,
  ];
  for (const bad of garbage)
    assert.throws(() => decodeToken('log-ü', bad), code('token_invalid'), bad);
});

replicaTest(
  'atLeast waits for a revision that comes, and names the own one when it does not',
  async () => {
    const node = await startNode(await newWorld());
    const now = await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
    const { logId } = node.replica.status();
    const next = encodeToken(logId, now.revision + 1);
    let isAnswered = false;
    const waiting = node.replica
      .query({ query: 's:t(x)', consistency: { atLeast: next } })
      .finally(() => (isAnswered = true));
    await yieldToLoop();
    assert.equal(isAnswered, false);
    await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
    assert.equal((await waiting).rows.count, 2);
    const late = encodeToken(logId, now.revision + 100);
    await assert.rejects(
      node.replica.query({ query: 's:t(x)', consistency: { atLeast: late }, waitMs: 1 }),
      (error: unknown) => {
        assert.ok(code('replica_behind')(error));
        assert.equal((error as CaucusError).details['revision'], now.revision + 1);
        return true;
      },
    );
    await node.stop();
  },
);

/** A client that writes through one replica and asks another, which is behind. */
async function writesHereAsksThere(usesTokens: boolean): Promise<void> {
  const world = await newWorld();
  const here = await startNode(world);
  await here.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  const there = await joinNode(world, here);
  let open: () => void = () => undefined;
  there.engine.gate = new Promise((resolve) => (open = resolve));
  try {
    const { token } = await here.replica.writeBatch({ source: 's', changes: insert('t', 2) });
    const asked = there.replica.query({
      query: 's:t(x)',
      ...(usesTokens ? { consistency: { atLeast: token } } : {}),
    });
    // What needs no newer state is answered by now.
    for (let turn = 0; turn < 20; turn++) await yieldToLoop();
    open();
    assert.deepEqual(shown((await asked).rows), [[1n], [2n]]);
  } finally {
    open();
    await there.stop();
    await here.stop();
  }
}

replicaTest('who shows the token of a write sees it on a replica that is behind', () =>
  writesHereAsksThere(true),
);

replicaTest('control: who shows no token gets an older answer there', () =>
  assert.rejects(writesHereAsksThere(false), { name: 'AssertionError', actual: [[1n]] }),
);

replicaTest(
  'exact answers at that revision only; foreign and mangled tokens are told',
  async () => {
    const node = await startNode(await newWorld());
    const old = await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
    const now = await node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
    const ask = (exact: string) => node.replica.query({ query: 's:t(x)', consistency: { exact } });
    assert.equal((await ask(now.token)).revision, now.revision);
    await assert.rejects(ask(old.token), code('revision_expired'));
    await assert.rejects(ask(encodeToken('other', 1)), code('token_foreign'));
    await assert.rejects(ask('garbage'), code('token_invalid'));
    await node.stop();
  },
);

replicaTest('latest sees what another writer has put into the log before', async () => {
  const node = await startNode(await newWorld());
  const gates: (() => void)[] = [];
  await node.replica.writeBatch({ source: 's', changes: insert('t', 1) });
  node.engine.gate = new Promise((resolve) => gates.push(resolve));
  const write = node.replica.writeBatch({ source: 's', changes: insert('t', 2) });
  const { end } = await node.log.bounds('cuts');
  while ((await node.log.bounds('cuts')).end === end) await yieldToLoop();
  const any = await node.replica.query({ query: 's:t(x)' });
  assert.equal(any.rows.count, 1, 'any answers at once, from the revision before');
  const latest = node.replica.query({ query: 's:t(x)', consistency: 'latest' });
  for (const open of gates) open();
  assert.equal((await latest).rows.count, 2);
  await write;
  await node.stop();
});

replicaTest(
  'errors of a query have their own codes and diagnostics, and change nothing',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writePolicies([
      { name: 'p', text: 'a(1)\nonly(2)\n' },
      { name: 'q', text: 'a(3)\n' },
    ]);
    const cases: [query: string, policy: string | undefined, expected: string][] = [
      ['a(x)', undefined, 'ambiguous'],
      ['p:missing(x)', undefined, 'unknown_table'],
      ['missing(x)', undefined, 'unknown_table'],
      ['a(x)', 'nobody', 'unknown_policy'],
      ['a(x', 'p', 'invalid_policy'],
      ['not p:a(x)', undefined, 'invalid_policy'],
      ['p:a(x, y)', undefined, 'invalid_policy'],
    ];
    const before = node.replica.status();
    for (const [query, policy, expected] of cases) {
      await assert.rejects(
        node.replica.query({ query, ...(policy === undefined ? {} : { policy }) }),
        (error: unknown) => {
          assert.ok(code(expected)(error), query);
          assert.ok(Array.isArray((error as CaucusError).details['diagnostics']));
          return true;
        },
      );
    }
    assert.deepEqual(shown((await node.replica.query({ query: 'a(x)', policy: 'q' })).rows), [
      [3n],
    ]);
    assert.deepEqual(shown((await node.replica.query({ query: 'only(x)' })).rows), [[2n]]);
    assert.deepEqual(node.replica.status(), before);
    await node.stop();
  },
);

replicaTest('tables that are not there yet are empty, and bind when they come', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writePolicies([
    { name: 'p', text: 'a(x) :- later:t(x), not other:gone(x)\n' },
  ]);
  const count = async (query: string): Promise<number> =>
    (await node.replica.query({ query })).rows.count;
  assert.equal(await count('p:a(x)'), 0);
  assert.equal(await count('nobody:t(x)'), 0);
  const view = await node.replica.openView({ query: 'nobody:t(x), not never:u(x)' });
  const second = await node.replica.openView({ query: 'elsewhere:v(x, y)' });
  assert.deepEqual([view.snapshot.count, second.snapshot.count], [0, 0]);
  await node.replica.writeBatch({ source: 'later', changes: insert('t', 1) });
  await node.replica.writeBatch({ source: 'nobody', changes: insert('t', 2) });
  await node.replica.writeBatch({
    source: 'elsewhere',
    changes: [{ table: 'v', insert: rows([1n, 2n]) }],
  });
  assert.equal(await count('p:a(x)'), 1);
  assert.equal(await count('nobody:t(x), not never:u(x)'), 1);
  const again = await node.replica.openView({ query: 'nobody:t(x), not never:u(x)' });
  assert.deepEqual(shown(again.snapshot), [[2n]]);
  await node.stop();
});

replicaTest(
  'the columns of an answer: by first appearance, none for a ground query; rows limited',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writeBatch({
      source: 's',
      changes: [{ table: 'e', insert: rows([1n, 'b'], [1n, 'a'], [2n, 'c']) }],
    });
    const answer = await node.replica.query({ query: 's:e(n, name), n < 2' });
    assert.deepEqual(answer.columns, ['n', 'name']);
    assert.deepEqual(shown(answer.rows), [
      [1n, 'a'],
      [1n, 'b'],
    ]);
    const ground = await node.replica.query({ query: 's:e(2, "c")' });
    assert.deepEqual([ground.columns, ground.rows.arity, ground.rows.count], [[], 0, 1]);
    assert.equal((await node.replica.query({ query: 's:e(2, "a")' })).rows.count, 0);
    const few = await node.replica.query({ query: 's:e(n, name)', rowsMax: 2 });
    assert.deepEqual([few.rows.count, few.truncated], [2, true]);
    await node.stop();
  },
);

replicaTest('every answer is of one revision, whatever commits meanwhile', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({ source: 's', changes: [...insert('a', 0), ...insert('b', 0)] });
  await node.replica.writePolicies([
    { name: 'p', text: 'odd(x) :- s:a(x), not s:b(x)\nodd(x) :- s:b(x), not s:a(x)\n' },
  ]);
  const sizes = new Map([[node.replica.status().revision, 1]]);
  node.replica.onCommit(({ revision }) => {
    sizes.set(revision, node.replica.status().sources[0]?.tables['a'] ?? 0);
  });
  const writes = (async () => {
    for (let value = 1; value <= 40; value++) {
      await node.replica.writeBatch({
        source: 's',
        changes: [...insert('a', value), ...insert('b', value)],
      });
    }
  })();
  let isDone = false;
  void writes.finally(() => (isDone = true));
  const seen: number[] = [];
  while (!isDone) {
    const [odd, all] = await Promise.all([
      node.replica.query({ query: 'p:odd(x)' }),
      node.replica.query({ query: 's:a(x), s:b(x)' }),
    ]);
    assert.equal(odd.rows.count, 0, 'no half batch is seen');
    assert.equal(all.rows.count, sizes.get(all.revision), `revision ${all.revision}`);
    seen.push(all.revision);
    await yieldToLoop();
  }
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
    'never back in time',
  );
  assert.ok(new Set(seen).size > 3, 'the test saw several revisions');
  await node.stop();
});

replicaTest(
  'requests outside the life of the replica are refused, those inside are drained',
  async () => {
    const node = await startNode(await newWorld());
    const writes = [1, 2, 3].map((value) =>
      node.replica.writeBatch({ source: 's', changes: insert('t', value) }),
    );
    // The source must be known before the close begins, so that all three are on their way.
    await writes[0];
    const closing = node.replica.close();
    assert.equal(node.replica.status().phase, 'draining');
    assert.equal(node.replica.status().ready, false);
    await Promise.all(writes);
    await assert.rejects(
      node.replica.writeBatch({ source: 's', changes: insert('t', 9) }),
      code('not_ready'),
    );
    await assert.rejects(node.replica.query({ query: 's:t(x)' }), code('not_ready'));
    await closing;
    assert.equal(node.replica.status().phase, 'stopped');
    await node.stop();
  },
);
