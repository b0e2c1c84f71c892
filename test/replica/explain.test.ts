/** Explanations of a replica: one revision, bounded, with turns for everybody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProofDocument } from '../../host/explain/document.ts';
import type { Explanation } from '../../host/replica/replica.ts';
import { code, newWorld, rows, startNode, yieldToLoop } from '../support/replica-world.ts';
import type { Node, NodeOptions } from '../support/replica-world.ts';

const POLICY = `
path(x, y) :- s:edge(x, y).
path(x, z) :- path(x, y), s:edge(y, z).
lonely(x) :- s:node(x), not path(x, _).
table open(x: int) on demand
open(x) :- s:node(x), path(_, x).
quiet(x) :- lonely(x).
fact("a", 1).
`;
const CHAIN = 100;

async function chainNode(options: NodeOptions = {}): Promise<Node> {
  const node = await startNode(await newWorld(), options);
  const edges = Array.from({ length: CHAIN }, (_, at) => [BigInt(at), BigInt(at + 1)]);
  const changes = [
    { table: 'edge', insert: rows(...edges) },
    { table: 'node', insert: rows([0n], [1n], [500n]) },
  ];
  await node.replica.writeBatch({ source: 's', changes });
  await node.replica.writePolicies([{ name: 'p', text: POLICY }]);
  return node;
}

function proofOf({ proof }: Explanation): ProofDocument {
  assert.ok(proof !== undefined);
  return proof;
}

/** Each node but the first is in the body of another; rows of bodies are there. */
function isWhole({ nodes }: ProofDocument): boolean {
  const named = new Set([0]);
  for (const { body = [] } of nodes) {
    for (const one of body) if ('node' in one) named.add(Number(one.node));
  }
  return nodes.every((_, at) => named.has(at)) && [...named].every((at) => at < nodes.length);
}

test('a proof names each row once, its rules with their lines, and the revision', async () => {
  const node = await chainNode();
  const answer = await node.replica.explain({ row: 'path(0, 5)', policy: 'p' });
  const { nodes, rules, cut } = proofOf(answer);
  assert.equal(nodes.length, 10);
  assert.equal(cut, 0n);
  assert.deepEqual(
    rules.map(({ ordinal, line }) => [ordinal, line]),
    [
      [2n, 3n],
      [1n, 2n],
    ],
  );
  assert.ok(isWhole({ nodes, rules, cut }));
  assert.deepEqual(
    { revision: answer.revision, token: answer.token },
    { revision: node.replica.status().revision, token: node.replica.status().token },
  );
  const ranks = nodes.flatMap(({ rank }) => (rank === undefined ? [] : [Number(rank)]));
  // Each row rests on rows before it.
  assert.equal(ranks.length, 5);
  assert.equal(ranks.at(-1), 0);
  assert.ok(
    ranks.every((rank, at) => at === 0 || rank < (ranks[at - 1] ?? 0)),
    ranks.join(),
  );
  await node.stop();
});

test('tables on demand, facts, absences, and what is not there', async () => {
  const node = await chainNode();
  const by = async (row: string): Promise<(string | undefined)[]> =>
    proofOf(await node.replica.explain({ row })).nodes.map((one) => one.by);
  assert.deepEqual(await by('p:open(1)'), ['rule', 'source', 'rule', 'source']);
  assert.deepEqual(await by('p:fact("a", _)'), ['fact']);
  assert.deepEqual(await by('s:node(500)'), ['source']);
  const [first] = proofOf(await node.replica.explain({ row: 'lonely(500)' })).nodes;
  assert.deepEqual(first?.body, [{ node: 1n }, { absent: 'p:path(500, _)' }]);
  assert.equal((await node.replica.explain({ row: 'lonely(0)' })).proof, undefined);
  // A source that nobody knows yet has no rows.
  assert.equal((await node.replica.explain({ row: 'nobody:t(0)' })).proof, undefined);
  await node.stop();
});

test('limits cut a proof off, and say so', async () => {
  const node = await chainNode();
  const all = proofOf(await node.replica.explain({ row: 'p:path(0, 100)', nodesMax: 200 }));
  assert.deepEqual([all.nodes.length, all.cut], [200, 0n]);
  for (const limits of [{ nodesMax: 21 }, { depthMax: 10 }]) {
    const { nodes, cut } = proofOf(
      await node.replica.explain({ row: 'p:path(0, 100)', ...limits }),
    );
    assert.deepEqual([nodes.length, cut], [21, 1n]);
    assert.deepEqual(nodes.find((one) => one.by === 'cut')?.row, [0n, 90n]);
  }
  await node.stop();
});

test('errors have their codes', async () => {
  const node = await chainNode();
  const cases: [row: string, expected: string][] = [
    ['missing(1)', 'unknown_table'],
    ['path(1', 'invalid_policy'],
    ['path(1)', 'invalid_policy'],
    ['not path(1, 2)', 'invalid_request'],
    ['path(1, 2), path(2, 3)', 'invalid_request'],
    ['path(x, x)', 'invalid_request'],
  ];
  for (const [row, expected] of cases) {
    await assert.rejects(node.replica.explain({ row }), code(expected), row);
  }
  const { replica } = node;
  const consistency = { exact: 'garbage' };
  await assert.rejects(
    replica.explain({ row: 'p:path(0, 1)', consistency }),
    code('token_invalid'),
  );
  await assert.rejects(replica.whyNot({ query: 'missing(1)' }), code('unknown_table'));
  await node.stop();
});

test('why not: of a row by its rules, of a body by its literals', async () => {
  const node = await chainNode();
  const { reasons } = await node.replica.whyNot({ query: 'quiet(0)', policy: 'p' });
  assert.deepEqual(
    reasons?.failing.map(({ why }) => why),
    ['missing'],
  );
  const [absence] = reasons?.absences ?? [];
  const [failure] = absence?.failures ?? [];
  assert.ok(failure?.kind === 'body');
  assert.deepEqual(failure.failing, [{ literal: 'p:lonely(0)', why: 'missing' }]);
  assert.deepEqual(absence?.near, [[500n]]);
  const body = await node.replica.whyNot({ query: 'p:path(0, x), x > 100, s:node(500)' });
  assert.deepEqual(
    body.reasons?.failing.map(({ why }) => why),
    ['false'],
  );
  assert.equal((await node.replica.whyNot({ query: 'p:path(0, x), x > 99' })).reasons, undefined);
  const fact = await node.replica.whyNot({ query: 'p:fact("a", 2)' });
  assert.equal(fact.reasons?.absences[0]?.facts, 1n);
  await node.stop();
});

test('a proof that commits overtake again and again is made between two of them, or cut', async () => {
  let isWriting = false;
  let turns = 0;
  const node = await chainNode({
    yield: async () => {
      turns++;
      await yieldToLoop();
    },
  });
  const { replica } = node;
  const stop = replica.onCommit(() => undefined);
  isWriting = true;
  const writing = (async () => {
    for (let at = 1_000n; isWriting; at++) {
      const changes = [{ table: 'node', insert: rows([at]) }];
      await replica.writeBatch({ source: 's', changes });
    }
  })();
  const before = replica.status().revision;
  const { proof, revision } = await replica.explain({ row: 'p:path(0, 100)' });
  isWriting = false;
  await writing;
  stop();
  assert.ok(proof !== undefined && turns > 0);
  assert.ok(proof.cut > 0n || proof.nodes.length === 200);
  // Commits went on before it and behind it.
  assert.ok(replica.status().revision > before && revision >= before);
  await node.stop();
});

test('others get their turn while a proof is made', async () => {
  let turns = 0;
  const node = await chainNode({
    yield: async () => {
      turns++;
      await yieldToLoop();
    },
  });
  const before = turns;
  await node.replica.explain({ row: 'p:path(0, 100)' });
  // About three questions for each of the 100 derived rows.
  assert.ok(turns - before > 20, `${turns - before} turns`);
  // Control: what is one question takes none.
  const now = turns;
  await node.replica.query({ query: 'p:path(0, 100)' });
  assert.equal(turns, now);
  await node.stop();
});

test('a proof is of one revision, whatever is written meanwhile', async () => {
  const node = await chainNode();
  const { revision: start } = node.replica.status();
  let isDone = false;
  let writes = 0;
  const writing = (async () => {
    // The middle of the chain goes and comes, each in one revision.
    for (; !isDone; writes++) {
      const edge = { table: 'edge', [writes % 2 === 0 ? 'delete' : 'insert']: rows([50n, 51n]) };
      await node.replica.writeBatch({ source: 's', changes: [edge] });
    }
  })();
  const answers: Explanation[] = [];
  for (let at = 0; at < 12; at++) {
    answers.push(await node.replica.explain({ row: 'p:path(0, 100)', nodesMax: 400 }));
  }
  isDone = true;
  await writing;
  assert.ok(writes > 1, `${writes} writes`);
  for (const { proof, revision } of answers) {
    const isBroken = (revision - start) % 2 === 1;
    assert.equal(proof === undefined, isBroken, `revision ${revision}`);
    if (proof !== undefined && proof.cut === 0n) assert.equal(proof.nodes.length, 200);
  }
  await node.stop();
});
