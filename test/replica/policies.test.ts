import assert from 'node:assert/strict';
import { CaucusError } from '../../host/errors.ts';
import { NO_HASH, policyHash } from '../../host/log/policy-hash.ts';
import { encodeRecord } from '../../host/log/records.ts';
import type { PolicyRecord } from '../../host/log/records.ts';
import type { Row } from '../../host/value/value.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
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

const P = { name: 'p', text: 'a(x) :- s:t(x)\n' };

function policyRecord(
  version: number,
  previousHash: string,
  name: string,
  text: string,
): PolicyRecord {
  const body = { version, previousHash, op: 'put' as const, changes: [{ name, text }] };
  return { kind: 'policy', ...body, hash: policyHash(body) };
}

replicaTest(
  'several policies are one revision; equal text changes nothing; null deletes',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1, 2) }] });
    const seen = commits(node);
    const position = await node.replica.writePolicies([
      P,
      { name: 'q', text: 'b(x) :- p:a(x), x > 1\n' },
    ]);
    assert.equal(seen.length, 1);
    assert.deepEqual(shown((await node.replica.query({ query: 'q:b(x)' })).rows), [[2n]]);
    assert.deepEqual(await node.replica.writePolicies([P]), position);
    assert.equal(seen.length, 1, 'equal text makes no revision');
    assert.equal((await node.replica.readPolicy('p')).text, P.text);
    await node.replica.writePolicies([{ name: 'q', text: null }]);
    await assert.rejects(node.replica.readPolicy('q'), code('unknown_policy'));
    await assert.rejects(
      node.replica.writePolicies([{ name: 'q', text: null }]),
      code('unknown_policy'),
    );
    await assert.rejects(
      node.replica.query({ query: 'q:b(x)', policy: 'q' }),
      code('unknown_policy'),
    );
    await node.stop();
  },
);

replicaTest(
  'a policy with errors is refused with its diagnostics, all or none are written',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writePolicies([P]);
    const before = node.replica.status();
    const bad = { name: 'q', text: 'b(x, y) :- p:a(x)\nc(x) :- p:missing(x)\n' };
    await assert.rejects(
      node.replica.writePolicies([{ name: 'r', text: 'd(1)' }, bad]),
      (error: unknown) => {
        assert.ok(error instanceof CaucusError);
        assert.equal(error.code, 'invalid_policy');
        const diagnostics = error.details['diagnostics'] as { code: string; line: number }[];
        assert.deepEqual([...new Set(diagnostics.map((one) => one.line))], [1, 2]);
        return true;
      },
    );
    const taken = { name: 's', text: 'a(1)' };
    await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1) }] });
    await assert.rejects(node.replica.writePolicies([taken]), code('conflict'));
    await assert.rejects(node.replica.writePolicies([P, P]), code('invalid_request'));
    await assert.rejects(
      node.replica.writePolicies([{ name: 'a:b', text: '' }]),
      code('invalid_request'),
    );
    assert.deepEqual(node.replica.status().policies, before.policies);
    await node.stop();
  },
);

replicaTest('a declaration that stored rows violate is refused and names one', async () => {
  const node = await startNode(await newWorld());
  await node.replica.writeBatch({
    source: 's',
    changes: [{ table: 't', insert: rows(['a'], [1n]) }],
  });
  const text = 'table s:t(name: string)\na(x) :- s:t(x)\n';
  await assert.rejects(node.replica.writePolicies([{ name: 'p', text }]), code('invalid_row'));
  assert.deepEqual(node.replica.status().policies, []);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', delete: rows([1n]) }] });
  await node.replica.writePolicies([{ name: 'p', text }]);
  await assert.rejects(
    node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: rows([1n]) }] }),
    code('invalid_row'),
  );
  await node.stop();
});

replicaTest(
  'records that do not follow the chain are ignored, rejected ones keep their place in it',
  async () => {
    const world = await newWorld();
    let node = await startNode(world);
    await node.replica.writePolicies([P]);
    const first = await world.store.head();
    const rejected = policyRecord(2, first.hash, 'q', 'b(x) :- ');
    await node.log.append('policy', [
      encodeRecord(policyRecord(1, NO_HASH, 'p', 'z(1)')),
      encodeRecord(policyRecord(2, NO_HASH, 'p', 'z(1)')),
      encodeRecord({ ...policyRecord(2, first.hash, 'p', 'z(1)'), hash: first.hash }),
      encodeRecord(rejected),
      encodeRecord(policyRecord(3, rejected.hash, 'r', 'c(1)')),
    ]);
    // The next write finds the log ahead of its database, and goes on behind it.
    await node.replica.writePolicies([{ name: 'w', text: 'd(1)' }]);
    assert.deepEqual(
      node.replica.status().policies.map((policy) => policy.name),
      ['p', 'r', 'w'],
    );
    assert.deepEqual(
      (await world.store.policies()).map((policy) => policy.name),
      ['p', 'r', 'w'],
    );
    assert.equal((await world.store.proposal(2))?.state, 'rejected');
    const { digest } = node.replica.status();
    await node.stop();
    node = await startNode(world);
    assert.equal(node.replica.status().digest, digest);
    await node.stop();
  },
);

replicaTest('an outbox that a crash left is published at the start', async () => {
  const world = await newWorld();
  let node = await startNode(world);
  await node.replica.writePolicies([P]);
  const { version, hash } = await world.store.head();
  await node.stop();
  await world.store.propose(version, hash, 'put', [{ name: 'q', text: 'b(1)' }]);
  node = await startNode(world);
  assert.deepEqual(
    node.replica.status().policies.map((policy) => policy.name),
    ['p', 'q'],
  );
  assert.equal((await world.store.proposal(version + 1))?.state, 'accepted');
  assert.deepEqual(await world.store.pending(), []);
  await node.stop();
});

replicaTest(
  'a database that lost its entries, or has others, takes over what the log has',
  async () => {
    const world = await newWorld();
    let node = await startNode(world);
    await node.replica.writePolicies([P]);
    await node.replica.writePolicies([{ name: 'q', text: 'b(1)' }]);
    await node.stop();
    const store = await openSqliteStore({ file: ':memory:' });
    await store.propose(0, NO_HASH, 'put', [{ name: 'mine', text: 'c(1)' }]);
    node = await startNode({ ...world, store });
    assert.deepEqual(
      (await store.policies()).map((policy) => policy.name),
      ['p', 'q'],
    );
    assert.deepEqual(
      (await store.superseded()).flatMap((one) => one.changes),
      [{ name: 'mine', text: 'c(1)' }],
    );
    await node.replica.writePolicies([{ name: 'r', text: 'd(1)' }]);
    assert.equal((await store.head()).version, 3);
    await node.stop();
  },
);

replicaTest('a database ahead of its log by an accepted policy is refused', async () => {
  const world = await newWorld();
  const node = await startNode(world);
  await node.replica.writePolicies([P]);
  await node.stop();
  const other = await newWorld();
  await assert.rejects(startNode({ ...other, store: world.store }), code('log_damaged'));
});

replicaTest(
  'a dry run names the rows that would appear and vanish, and leaves no trace',
  async () => {
    const node = await startNode(await newWorld());
    await node.replica.writeBatch({
      source: 's',
      changes: [{ table: 't', insert: ints(1, 2, 3) }],
    });
    await node.replica.writePolicies([
      { name: 'p', text: 'a(x) :- s:t(x), x < 3\nexecute[svc:go(x)] :- a(x)\n' },
      { name: 'q', text: 'b(x) :- p:a(x)\n' },
    ]);
    const before = node.replica.status();
    const seen = commits(node);
    const text = 'a(x) :- s:t(x), x > 1\nexecute[svc:go(x)] :- a(x)\n';
    const { diagnostics, deltas } = await node.replica.dryRun({ name: 'p', text });
    assert.deepEqual(
      diagnostics.filter((one) => one.severity === 'error'),
      [],
    );
    const found = deltas.map(({ table, insert, delete: gone }) => [
      table,
      shown(insert),
      shown(gone),
    ]);
    assert.deepEqual(found, [
      ['execute:svc:go', [[3n]], [[1n]]],
      ['p:a', [[3n]], [[1n]]],
      ['q:b', [[3n]], [[1n]]],
    ]);
    const gone = await node.replica.dryRun({ name: 'q', text: null });
    assert.deepEqual(
      gone.deltas.map(({ table, delete: rowsGone }) => [table, shown(rowsGone)]),
      [['q:b', [[1n], [2n]]]],
    );
    const broken = await node.replica.dryRun({ name: 'q', text: 'b(x) :- ' });
    assert.ok(broken.diagnostics.some((one) => one.severity === 'error'));
    assert.deepEqual(broken.deltas, []);
    assert.deepEqual(node.replica.status(), before);
    assert.equal(seen.length, 0);
    await node.stop();
  },
);

replicaTest(
  'a database that lost its entries goes on even where the log is trimmed past them',
  async () => {
    const world = await newWorld();
    const options = { settings: { checkpointRevisions: 5 }, segmentBytes: 400 };
    let node = await startNode(world, options);
    await node.replica.writePolicies([P]);
    for (let value = 0; value < 40; value++) {
      await node.replica.writeBatch({
        source: 's',
        changes: [{ table: 't', insert: ints(value) }],
      });
    }
    await node.stop();
    const store = await openSqliteStore({ file: ':memory:' });
    node = await startNode({ ...world, store }, options);
    assert.ok((await node.log.bounds('policy')).start > 0, 'the log was trimmed');
    await node.replica.writePolicies([{ name: 'q', text: 'b(1)' }]);
    assert.deepEqual(
      node.replica.status().policies.map((policy) => policy.name),
      ['p', 'q'],
    );
    await node.stop();
  },
);

replicaTest('what others import is not deleted; kinds, rules and columns are told', async () => {
  const node = await startNode(await newWorld());
  const base = { name: 'base', text: 'table t(a: int key "an id")\nt(1).\n' };
  const user = { name: 'user', text: '@name("all") u(x) :- b:t(x). import "x/base.dl" as b\n' };
  await assert.rejects(node.replica.writePolicies([user]), code('invalid_policy'));
  await node.replica.writePolicies([user, base]);
  await assert.rejects(
    node.replica.writePolicies([{ name: 'base', text: null }]),
    (error: CaucusError) => error.code === 'invalid_policy' && /`base`/.test(error.message),
  );
  assert.equal((await node.replica.readPolicy('base')).text, base.text, 'it is still there');
  const { tables, reads, rules, imports, kind } = await node.replica.describePolicy('user');
  assert.deepEqual([tables, imports, kind], [[{ name: 'u', arity: 1 }], ['base'], 'nonrecursive']);
  const columns = [{ name: 'a', type: 'int', key: true, description: 'an id' }];
  assert.deepEqual(reads, [{ name: 'base:t', arity: 1, columns }]);
  assert.deepEqual(rules, [{ ordinal: 1, text: 'u(x) :- base:t(x).', name: 'all' }]);
  await assert.rejects(node.replica.describePolicy('none'), code('unknown_policy'));
  const without = { name: 'user', text: null };
  await node.replica.writePolicies([without, { name: 'base', text: null }]);
  await node.stop();
});

replicaTest('null is refused where a column is not nullable, before the log', async () => {
  const node = await startNode(await newWorld());
  const text = 'table s:t(a: int key, b: string nullable, c)\n';
  await node.replica.writePolicies([{ name: 'p', text }]);
  const write = (...list: Row[]): Promise<unknown> =>
    node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: rows(...list) }] });
  await write([1n, null, null]);
  await assert.rejects(
    write([2n, 'x', 1n], [null, 'x', 1n]),
    (error: CaucusError) =>
      error.code === 'invalid_row' &&
      error.details['rowIndex'] === 1 &&
      error.details['columnName'] === 'a' &&
      /never null/.test(error.message),
  );
  const { rows: kept } = await node.replica.query({ query: 's:t(a, b, c)' });
  assert.deepEqual(shown(kept), [[1n, null, null]]);
  await node.stop();
});
