import assert from 'node:assert/strict';
import type { TransactionResult } from '../../host/engine/engine.ts';
import type { Batch } from '../../host/replica/replica.ts';
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

/** A policy whose table has as many rows as the square of its input. */
const PAIRS = 'pair(x, y) :- s:t(x), s:t(y)\n';

/** The mechanism that the controls switch off. */
function withoutBlame(result: TransactionResult): TransactionResult {
  if (result.ok) return result;
  const { table: _blamed, ...rest } = result;
  return rest;
}

async function failsAndGoesOn(
  alterResult = (result: TransactionResult): TransactionResult => result,
): Promise<void> {
  const world = await newWorld();
  let node = await startNode(world, { rowsPerTableMax: 10 });
  node.engine.alterResult = alterResult;
  await node.replica.writePolicies([
    { name: 'big', text: PAIRS },
    { name: 'reader', text: 'some(x) :- big:pair(x, y)\n' },
    { name: 'other', text: 'copy(x) :- s:t(x)\nalarm(p, c) :- system:failed(p, t, c)\n' },
  ]);
  await node.replica.writeBatch({
    source: 's',
    changes: [{ table: 't', insert: ints(1, 2, 3) }],
  });
  assert.equal((await node.replica.query({ query: 'reader:some(x)' })).rows.count, 3);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(4) }] });

  assert.equal((await node.replica.query({ query: 's:t(x)' })).rows.count, 4);
  assert.equal((await node.replica.query({ query: 'other:copy(x)' })).rows.count, 4);
  for (const query of ['big:pair(x, y)', 'reader:some(x)', 's:t(x), not reader:some(x)']) {
    await assert.rejects(node.replica.query({ query }), code('policy_failed'));
  }
  assert.deepEqual(shown((await node.replica.query({ query: 'system:failed(p, t, c)' })).rows), [
    ['big', 'big:pair', 'rows_per_table'],
    ['reader', 'reader:some', 'policy_failed'],
  ]);
  assert.deepEqual(shown((await node.replica.query({ query: 'other:alarm(p, c)' })).rows), [
    ['big', 'rows_per_table'],
    ['reader', 'policy_failed'],
  ]);
  const status = node.replica.status();
  assert.deepEqual(
    status.policies.map(({ name, failed }) => [name, failed]),
    [
      ['big', 'rows_per_table'],
      ['other', null],
      ['reader', 'policy_failed'],
    ],
  );
  assert.ok(status.ready);
  await node.stop();
  // The limit belongs to the state: a restart keeps the failure without trying again.
  node = await startNode(world, { rowsPerTableMax: 10 });
  assert.deepEqual(node.replica.status().policies, status.policies);
  assert.equal(node.replica.status().digest, status.digest);
  await node.stop();
}

replicaTest('a policy over a limit fails with what reads it; base rows and others go on', () =>
  failsAndGoesOn(),
);

replicaTest('control: where the engine does not tell which table is to blame, others fail', () =>
  assert.rejects(failsAndGoesOn(withoutBlame), /`other:copy` is failed/),
);

replicaTest(
  'a failed policy is tried again at revisions of the log, and when it changes',
  async () => {
    const node = await startNode(await newWorld(), { rowsPerTableMax: 10 });
    await node.replica.writeBatch({
      source: 's',
      changes: [{ table: 't', insert: ints(1, 2, 3, 4) }],
    });
    await node.replica.writePolicies([{ name: 'big', text: PAIRS }]);
    const failedAt = node.replica.status().revision;
    assert.equal(node.replica.status().policies[0]?.failed, 'rows_per_table');
    await node.replica.writePolicies([{ name: 'big', text: 'pair(x, x) :- s:t(x)\n' }]);
    assert.equal(node.replica.status().policies[0]?.failed, null, 'its change is a new try');
    await node.replica.writePolicies([{ name: 'big', text: PAIRS }]);
    const again = node.replica.status().revision;
    assert.ok(again > failedAt);
    const tried: number[] = [];
    await node.replica.writeBatch({
      source: 's',
      changes: [{ table: 't', delete: ints(2, 3, 4) }],
    });
    tried.push(node.replica.status().revision - again);
    for (let round = 0; round < 4; round++) {
      if (node.replica.status().policies[0]?.failed === null) break;
      await node.replica.writeBatch({
        source: 's',
        changes: [{ table: 'u', insert: ints(round) }],
      });
      tried.push(node.replica.status().revision - again);
    }
    assert.equal(node.replica.status().policies[0]?.failed, null);
    assert.equal(tried.at(-1), 1, 'the first retry is one revision after the failure');
    assert.deepEqual(shown((await node.replica.query({ query: 'big:pair(x, y)' })).rows), [
      [1n, 1n],
    ]);
    await node.stop();
  },
);

/** Revisions after `failedAt` at which a batch of `change(round)` was tried more than once. */
async function triesOf(
  node: Awaited<ReturnType<typeof startNode>>,
  rounds: number,
  change: (round: number) => Batch['changes'][number],
): Promise<number[]> {
  const failedAt = node.replica.status().revision;
  const tries: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = node.engine.transactions;
    await node.replica.writeBatch({ source: 's', changes: [change(round)] });
    if (node.engine.transactions - before > 1)
      tries.push(node.replica.status().revision - failedAt);
  }
  return tries;
}

replicaTest('retries become rarer: at 1, 2, 4, 8 revisions after the failure', async () => {
  const node = await startNode(await newWorld(), { rowsPerTableMax: 10 });
  const four = [{ table: 't', insert: ints(1, 2, 3, 4) }];
  await node.replica.writeBatch({ source: 's', changes: four });
  await node.replica.writePolicies([{ name: 'big', text: PAIRS }]);
  const tries = await triesOf(node, 17, (round) => ({ table: 't', insert: ints(5 + (round % 2)) }));
  assert.deepEqual(tries, [1, 2, 4, 8, 16]);
  await node.stop();
});

replicaTest('what a failed policy does not read is no reason to try it again', async () => {
  const world = await newWorld();
  const limits = { rowsPerTableMax: 10 };
  let node = await startNode(world, limits);
  const four = [{ table: 't', insert: ints(1, 2, 3, 4) }];
  await node.replica.writeBatch({ source: 's', changes: four });
  await node.replica.writePolicies([
    { name: 'input', text: 'q(x) :- s:t(x)\n' },
    { name: 'big', text: 'pair(x, y) :- input:q(x), input:q(y)\n' },
  ]);
  const unrelated = (round: number) => ({ table: 'u', insert: ints(round % 2) });
  assert.deepEqual(await triesOf(node, 9, unrelated), []);
  await node.replica.writePolicies([{ name: 'other', text: 'a(x) :- s:u(x)\n' }]);
  assert.deepEqual(await triesOf(node, 2, unrelated), []);
  // Through the rule of another policy, at once: its time has come long ago.
  assert.deepEqual(await triesOf(node, 1, () => ({ table: 't', insert: ints(5) })), [1]);
  // Too early; that it is wanted is kept, over a restart as well.
  assert.deepEqual(await triesOf(node, 1, () => ({ table: 't', insert: ints(6) })), []);
  const { digest, policies } = node.replica.status();
  await node.stop();
  node = await startNode(world, limits);
  assert.deepEqual(
    { digest: node.replica.status().digest, policies: node.replica.status().policies },
    { digest, policies },
  );
  const tries = await triesOf(node, 40, unrelated);
  assert.equal(tries.length, 1, 'the change is tried once');
  // A policy that it reads is an input, too.
  await node.replica.writePolicies([{ name: 'input', text: 'q(x) :- s:t(x), x < 3\n' }]);
  await triesOf(node, 40, unrelated);
  assert.deepEqual(
    node.replica.status().policies.map(({ name, failed }) => [name, failed]),
    [
      ['big', null],
      ['input', null],
      ['other', null],
    ],
  );
  await node.stop();
});

replicaTest(
  'without memory any row that goes and any policy that changes is a reason to try again',
  async () => {
    for (const helps of [false, true]) {
      const node = await startNode(await newWorld(), { settings: { memoryFailsPolicies: true } });
      await node.replica.writeBatch({ source: 's', changes: [{ table: 'u', insert: ints(1, 2) }] });
      node.engine.failWith = 'out_of_memory';
      node.engine.failures = 1;
      await node.replica.writePolicies([{ name: 'big', text: 'b(x) :- s:t(x)\n' }]);
      assert.equal(node.replica.status().policies[0]?.failed, 'out_of_memory');
      const change = helps ? { delete: ints(1) } : { insert: ints(3) };
      await node.replica.writeBatch({ source: 's', changes: [{ table: 'u', ...change }] });
      assert.equal(node.replica.status().policies[0]?.failed, helps ? null : 'out_of_memory');
      await node.replica.writePolicies([{ name: 'small', text: 'c(1)\n' }]);
      assert.equal(node.replica.status().policies[0]?.failed, null);
      await node.stop();
    }
  },
);

replicaTest(
  'a base table over its limit refuses the batch and leaves the policies alone',
  async () => {
    const node = await startNode(await newWorld(), { rowsPerTableMax: 5 });
    await node.replica.writePolicies([{ name: 'p', text: 'a(1)\n' }]);
    await node.replica.writeBatch({
      source: 's',
      changes: [{ table: 't', insert: ints(1, 2, 3) }],
    });
    const big = { source: 's', changes: [{ table: 't', insert: ints(4, 5, 6) }] };
    const fine = { source: 's', changes: [{ table: 'u', insert: ints(9) }] };
    const results = await Promise.allSettled([
      node.replica.writeBatch(big),
      node.replica.writeBatch(fine),
    ]);
    assert.deepEqual(
      results.map((result) => result.status),
      ['rejected', 'fulfilled'],
    );
    assert.ok(code('limit_exceeded')((results[0] as PromiseRejectedResult).reason));
    assert.deepEqual(node.replica.status().sources[0]?.tables, { t: 3, u: 1 });
    assert.equal(node.replica.status().policies[0]?.failed, null);
    await node.stop();
  },
);

replicaTest('a rule that the rows of a new table make wrong fails its policy only', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  await node.replica.writePolicies(
    [
      { name: 'wrong', text: 'a(x) :- s:t(x)\n' },
      { name: 'right', text: 'b(x) :- s:t(x, y)\n' },
    ].slice(0, 1),
  );
  await node.replica.writePolicies([{ name: 'fine', text: 'c(1)\n' }]);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: rows([1n, 2n]) }] });
  assert.equal((await node.replica.query({ query: 's:t(x, y)' })).rows.count, 1);
  assert.equal((await node.replica.query({ query: 'fine:c(x)' })).rows.count, 1);
  await assert.rejects(node.replica.query({ query: 'wrong:a(x)' }), code('policy_failed'));
  await assert.rejects(
    node.replica.query({ query: 'a(x)', policy: 'wrong' }),
    code('policy_failed'),
  );
  assert.equal(
    node.replica.status().policies.find((one) => one.name === 'wrong')?.failed,
    'invalid_policy',
  );
  const { digest } = node.replica.status();
  await node.stop();
  node = await startNode(world);
  assert.equal(node.replica.status().digest, digest);
  await node.replica.writePolicies([{ name: 'wrong', text: 'a(x) :- s:t(x, y)\n' }]);
  assert.equal((await node.replica.query({ query: 'wrong:a(x)' })).rows.count, 1);
  await node.stop();
});

replicaTest(
  'without memory the replica is not ready and skips nothing; a restart with memory goes on',
  async () => {
    const world = await newWorld();
    let node = await startNode(world);
    await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
    const { revision } = node.replica.status();
    node.engine.failWith = 'out_of_memory';
    const write = (value: number) =>
      node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(value) }] });
    await assert.rejects(write(2), code('out_of_memory'));
    await assert.rejects(write(3), code('out_of_memory'));
    const status = node.replica.status();
    assert.equal(status.ready, false);
    assert.equal(status.phase, 'read-only');
    assert.equal(status.revision, revision);
    assert.equal((await node.replica.query({ query: 's:t(x)' })).rows.count, 1);
    await node.stop();
    node = await startNode(world);
    assert.deepEqual(shown((await node.replica.query({ query: 's:t(x)' })).rows), [[1n], [2n]]);
    await node.stop();
  },
);

replicaTest('alone, a policy without memory fails instead, and deleting it heals', async () => {
  const world = await newWorld();
  const node = await startNode(world, { settings: { memoryFailsPolicies: true } });
  await node.replica.writePolicies([{ name: 'small', text: 'a(x) :- s:t(x)\n' }]);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
  node.engine.failWith = 'out_of_memory';
  node.engine.failures = 1;
  await node.replica.writePolicies([{ name: 'big', text: 'b(x) :- s:t(x)\n' }]);
  const failed = (): unknown => node.replica.status().policies.map((one) => [one.name, one.failed]);
  assert.deepEqual(failed(), [
    ['big', 'out_of_memory'],
    ['small', null],
  ]);
  assert.ok(node.replica.status().ready);
  assert.equal((await node.replica.query({ query: 'small:a(x)' })).rows.count, 1);
  await node.replica.writePolicies([{ name: 'big', text: null }]);
  assert.deepEqual(failed(), [['small', null]]);
  await node.stop();
});

replicaTest('births: when an action row appeared, through failures and restarts', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  await node.replica.writePolicies([
    { name: 'p', text: 'execute[svc:go(x)] :- s:t(x), not s:done(x)\n' },
  ]);
  const write = async (table: string, ...values: number[]): Promise<number> =>
    (await node.replica.writeBatch({ source: 's', changes: [{ table, insert: ints(...values) }] }))
      .revision;
  const one = await write('t', 1);
  const two = await write('t', 2);
  const births = (): number[] =>
    node.replica.births('execute:svc:go').map(([, revision]) => revision);
  assert.deepEqual(births(), [one, two]);
  await write('done', 1);
  assert.deepEqual(births(), [two]);
  await node.stop();
  node = await startNode(world);
  assert.deepEqual(births(), [two], 'a restart changes no birth');
  const back = (
    await node.replica.writeBatch({ source: 's', changes: [{ table: 'done', delete: ints(1) }] })
  ).revision;
  assert.deepEqual(
    births().sort((a, b) => a - b),
    [two, back],
    'what comes back is born again',
  );
  await node.replica.writePolicies([{ name: 'p', text: null }]);
  assert.deepEqual(births(), []);
  await node.stop();
});

async function failsItsCallerOnly(
  alterResult = (result: TransactionResult): TransactionResult => result,
): Promise<void> {
  const node = await startNode(await newWorld(), { rowsPerTableMax: 10 });
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1, 2, 3) }] });
  const lost: string[] = [];
  node.replica.onViewLost((table, error) =>
    lost.push(`${table} ${(error as Error & { code: string }).code}`),
  );
  const small = await node.replica.openView({ query: 's:t(x), x > 1' });
  const view = await node.replica.openView({ query: 's:t(x), s:t(y)' });
  assert.equal(view.snapshot.count, 9);
  node.engine.alterResult = alterResult;
  await assert.rejects(
    node.replica.openView({ query: 's:t(x), s:t(y), s:t(z)' }),
    code('limit_exceeded'),
  );
  assert.deepEqual(lost, []);
  const seen = commits(node);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(4) }] });
  const grown = [`${view.table} limit_exceeded`];
  assert.deepEqual(lost, grown, 'only the view that grew is lost');
  assert.equal(seen.length, 1);
  assert.deepEqual(shown(seen[0]?.deltas.get(small.table)?.insert ?? ints()), [[4n]]);
  assert.deepEqual(node.replica.status().policies, []);
  assert.equal(node.replica.status().sources[0]?.tables['t'], 4);
  await node.stop();
}

replicaTest('a view over a limit fails its caller only, and one that grows over it is lost', () =>
  failsItsCallerOnly(),
);

replicaTest('control: where the engine does not tell whose view it was, others are lost', () =>
  assert.rejects(failsItsCallerOnly(withoutBlame), /only the view that grew is lost/),
);

replicaTest('a query that finds too much is cut off, said to be, and nobody else is', async () => {
  const node = await startNode(await newWorld(), { rowsPerTableMax: 10 });
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1, 2, 3) }] });
  const [cut, whole] = await Promise.all([
    node.replica.query({ query: 's:t(x), s:t(y), s:t(z)', rowsMax: 5 }),
    node.replica.query({ query: 's:t(x), s:t(y), s:t(z)' }),
  ]);
  assert.deepEqual([cut.rows.count, cut.truncated], [5, true]);
  assert.deepEqual([whole.rows.count, whole.truncated], [27, false]);
  assert.deepEqual([node.replica.status().policies, node.replica.status().ready], [[], true]);
  await node.stop();
});
