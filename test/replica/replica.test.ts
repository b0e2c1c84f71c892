import assert from 'node:assert/strict';
import { newWorld, replicaTest, rows, shown, startNode } from '../support/replica-world.ts';

replicaTest('pushed rows and rules are answered, and survive a restart', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  const first = await node.replica.writeBatch({
    source: 'net',
    changes: [{ table: 'edge', insert: rows(['a', 'b'], ['b', 'c']) }],
  });
  await node.replica.writePolicies([
    {
      name: 'p',
      text: 'reach(x, y) :- net:edge(x, y)\nreach(x, z) :- reach(x, y), net:edge(y, z)\n',
    },
  ]);
  const answer = await node.replica.query({ query: 'p:reach("a", y)' });
  assert.deepEqual(answer.columns, ['y']);
  assert.deepEqual(shown(answer.rows), [['b'], ['c']]);
  assert.ok(answer.revision > first.revision);
  const before = node.replica.status();
  assert.equal(before.phase, 'live');
  await node.stop();

  node = await startNode(world);
  const after = node.replica.status();
  assert.equal(after.revision, before.revision);
  assert.equal(after.digest, before.digest);
  assert.deepEqual(shown((await node.replica.query({ query: 'reach("a", y)' })).rows), [
    ['b'],
    ['c'],
  ]);
  await node.stop();
});
