/** Views that are asked for at the same moment enter the engine together. */
import assert from 'node:assert/strict';
import { VIEWS_OPENED_TOGETHER_MAX } from '../../host/limits.ts';
import type { View } from '../../host/replica/replica.ts';
import { code, ints, newWorld, replicaTest, shown, startNode } from '../support/replica-world.ts';
import type { Node } from '../support/replica-world.ts';

const POLICY = Array.from({ length: 60 }, (_, n) => `t${n}(x) :- s:a(x), x > ${n}`).join('\n');

async function startedNode(options: Parameters<typeof startNode>[1] = {}): Promise<Node> {
  const node = await startNode(await newWorld(), options);
  const insert = ints(...Array.from({ length: 70 }, (_, n) => n));
  await node.replica.writeBatch({ source: 's', changes: [{ table: 'a', insert }] });
  await node.replica.writePolicies([{ name: 'p', text: POLICY }]);
  return node;
}

const open = (node: Node, queries: readonly string[]): Promise<PromiseSettledResult<View>[]> =>
  Promise.allSettled(queries.map((query) => node.replica.openView({ query })));

const shownOf = (result: PromiseSettledResult<View> | undefined): unknown => {
  if (result?.status !== 'fulfilled') throw new Error(`not opened: ${result?.reason}`);
  return shown(result.value.snapshot);
};

const codeOf = (result: PromiseSettledResult<View> | undefined): unknown =>
  result?.status === 'rejected' ? (result.reason as { code?: string }).code : result?.status;

replicaTest('views that wait together cost one plan, and each has its own rows', async () => {
  const node = await startedNode();
  const { plans } = node.engine;
  const opened = await open(
    node,
    Array.from({ length: 60 }, (_, n) => `p:t${n}(x)`),
  );
  assert.equal(node.engine.plans - plans, 1);
  for (const [n, result] of opened.entries()) {
    assert.deepEqual(
      shownOf(result),
      Array.from({ length: 69 - n }, (_, k) => [BigInt(n + 1 + k)]),
    );
  }
  await node.stop();
});

replicaTest('control: one after the other they cost a plan each', async () => {
  const node = await startedNode();
  const { plans } = node.engine;
  for (let n = 0; n < 5; n++) await node.replica.openView({ query: `p:t${n}(x)` });
  assert.equal(node.engine.plans - plans, 5);
  await node.stop();
});

replicaTest('more than may enter together come by turns', async () => {
  const node = await startedNode();
  const { plans } = node.engine;
  const count = VIEWS_OPENED_TOGETHER_MAX + 1;
  const opened = await open(
    node,
    Array.from({ length: count }, (_, n) => `p:t${n % 60}(x${n})`),
  );
  assert.equal(node.engine.plans - plans, 2);
  for (const [n, result] of opened.entries()) {
    assert.equal((shownOf(result) as unknown[]).length, 69 - (n % 60));
  }
  await node.stop();
});

replicaTest('equal queries that wait together are one view, constants share a plan', async () => {
  const node = await startedNode();
  const { plans } = node.engine;
  const queries = [
    'p:t1(x)',
    'p:t1( x )',
    's:a(3), p:t1(x)',
    's:a(99), p:t1(x)',
    's:a(3), p:t1(x)',
  ];
  const opened = await open(node, queries);
  assert.equal(node.engine.plans - plans, 1);
  const tables = opened.map((result) =>
    result.status === 'fulfilled' ? result.value.table : undefined,
  );
  assert.equal(tables[0], tables[1]);
  assert.equal(tables[2], tables[4]);
  assert.equal(new Set(tables).size, 3);
  assert.equal((shownOf(opened[2]) as unknown[]).length, 68);
  assert.deepEqual(shownOf(opened[3]), []);
  // Another constant is no plan more.
  assert.equal((shownOf((await open(node, ['s:a(4), p:t1(x)']))[0]) as unknown[]).length, 68);
  assert.equal(node.engine.plans - plans, 1);
  await node.stop();
});

replicaTest('a wrong query among them fails alone', async () => {
  const node = await startedNode();
  const opened = await open(node, ['p:t1(x)', 'p:none(x)', 'p:t2(x', 'p:t3(x)']);
  assert.deepEqual(opened.map(codeOf), [
    'fulfilled',
    'unknown_table',
    'invalid_policy',
    'fulfilled',
  ]);
  await node.stop();
});

replicaTest('one that is too large fails alone', async () => {
  const node = await startedNode({ rowsPerTableMax: 1000 });
  const product = 's:a(x), s:a(y)';
  const opened = await open(node, ['p:t1(x)', product, 'p:t3(x)', 's:a(3), p:t4(x)']);
  assert.deepEqual(opened.map(codeOf), ['fulfilled', 'limit_exceeded', 'fulfilled', 'fulfilled']);
  await assert.rejects(node.replica.openView({ query: product }), code('limit_exceeded'));
  assert.equal((shownOf(opened[3]) as unknown[]).length, 65);
  // What failed left nothing behind that keeps another from sharing the plan.
  const { plans } = node.engine;
  assert.equal((shownOf((await open(node, ['s:a(5), p:t4(x)']))[0]) as unknown[]).length, 65);
  assert.equal(node.engine.plans - plans, 0);
  await node.stop();
});
