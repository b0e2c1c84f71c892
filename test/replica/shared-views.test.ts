import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Transaction } from '../../host/engine/engine.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import { VIEW_IDLE_MS_MAX } from '../../host/limits.ts';
import type { View } from '../../host/replica/replica.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Value } from '../../host/value/value.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import {
  code,
  newWorld,
  replicaTest,
  rows,
  shown,
  startNode,
  useEngine,
  yieldToLoop,
} from '../support/replica-world.ts';
import type { EngineName, Node } from '../support/replica-world.ts';

const VALUES: readonly Value[] = [1n, 2n, 3n, 1, 2.5, 'a', 'b', '?', true, null];

const POLICY = `
path(x, y) :- s:e(x, y).
path(x, z) :- path(x, y), s:e(y, z).
lonely(x) :- s:e(x, _), not s:e(_, x).
`;

/** Each with a constant for every \`?\`. */
const SHAPES = [
  'p:path(?, x)',
  'p:path(x, ?)',
  'p:path(?, ?)',
  's:e(?, x), not p:path(x, ?)',
  's:e(x, y), x > ?, y != ?',
  'p:lonely(x), not s:e(x, ?)',
  's:e(x, ?), not s:e(?, _)',
  'p:path(?, y), p:path(y, ?), z = y',
];

function queryOf(random: Random): string {
  return random.pick(SHAPES).replaceAll('?', () => formatValue(random.pick(VALUES)));
}

const keys = (block: RowBlock): string[] =>
  shown(block).map((row) => row.map(formatValue).join('|'));

interface Followed {
  readonly query: string;
  readonly view: View;
  readonly state: Set<string>;
  readonly stop: () => void;
}

/** What went wrong first is thrown. */
function follow(node: Node, query: string, view: View): Followed {
  const state = new Set(keys(view.snapshot));
  const stop = node.replica.onCommit(({ deltas }) => {
    const delta = deltas.get(view.table);
    if (delta === undefined) return;
    for (const key of keys(delta.delete)) assert.ok(state.delete(key), `${key} was not there`);
    for (const key of keys(delta.insert)) {
      assert.ok(!state.has(key), `${key} was there already`);
      state.add(key);
    }
  });
  return { query, view, state, stop };
}

async function checkViews(
  engine: EngineName,
  seed: number,
  rounds: number,
  alter?: (transaction: Transaction) => Transaction,
): Promise<void> {
  useEngine(engine);
  const random = randomFrom(seed);
  const world = await newWorld();
  const node = await startNode(world);
  if (alter !== undefined) node.engine.alter = alter;
  const edges = (count: number): RowBlock =>
    rows(...Array.from({ length: count }, () => [random.pick(VALUES), random.pick(VALUES)]));
  await node.replica.writeBatch({ source: 's', changes: [{ table: 'e', insert: edges(8) }] });
  await node.replica.writePolicies([{ name: 'p', text: POLICY }]);
  let followed: Followed[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const insert = { table: 'e', insert: edges(1 + random.int(3)) };
      const remove = { table: 'e', delete: edges(1 + random.int(6)) };
      const changes = random.pick([[insert], [remove], [remove, insert]]);
      const write = node.replica.writeBatch({ source: 's', changes });
      for (let opened = random.int(4); opened > 0; opened--) {
        // While a cut may be on its way. Some are open already, or were a while ago.
        const known = followed.length > 0 && random.chance(0.2);
        const query = known ? random.pick(followed).query : queryOf(random);
        followed.push(follow(node, query, await node.replica.openView({ query })));
      }
      await write;
      if (random.chance(0.15)) {
        const more = random.chance(0.5) ? `other(x) :- s:e(x, x).\n` : '';
        const changed = random.chance(0.5) ? 'path(x, x) :- s:e(x, _).\n' : '';
        await node.replica.writePolicies([{ name: 'p', text: POLICY + more + changed }]);
      }
      for (const { query, state } of followed) {
        const { rows: answer } = await node.replica.query({ query });
        const where = `${engine}, seed ${seed}, round ${round}: ${query}`;
        assert.deepEqual([...state].sort(), keys(answer).sort(), where);
      }
      if (random.chance(0.3)) world.nowMs += VIEW_IDLE_MS_MAX;
      followed = followed.filter((one) => {
        if (random.chance(0.7)) return true;
        one.stop();
        one.view.close();
        return false;
      });
    }
  } finally {
    await node.stop();
  }
}

test('views of one shape are their queries’ answers at every revision', async () => {
  for (let seed = 1; seed <= 6; seed++) await checkViews('wasm', seed, 40);
  await checkViews('naive', 7, 25);
});

const isKeys = (table: string): boolean => table.startsWith('$keys:');

test('control: the comparison finds keys that are not removed', async () => {
  const forgetful = (transaction: Transaction): Transaction => {
    // The rows stay, as do those that a plan would replace.
    const changes = transaction.changes.flatMap((change) => {
      if (!isKeys(change.table)) return [change];
      const { insert } = change;
      return insert === undefined ? [] : [{ table: change.table, insert }];
    });
    return { ...transaction, changes };
  };
  await assert.rejects(async () => {
    for (let seed = 1; seed <= 6; seed++) await checkViews('wasm', seed, 40, forgetful);
  }, assert.AssertionError);
});

test('control: the comparison finds keys that are not added', async () => {
  const lossy = (transaction: Transaction): Transaction =>
    transaction.plan === undefined
      ? { ...transaction, changes: transaction.changes.filter(({ table }) => !isKeys(table)) }
      : transaction;
  await assert.rejects(checkViews('wasm', 1, 40, lossy), assert.AssertionError);
});

replicaTest('views that differ in constants only are planned once', async () => {
  const node = await startNode(await newWorld());
  const edges = Array.from({ length: 60 }, (_, i): Value[] => [BigInt(i % 30), `v${i}`]);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 'e', insert: rows(...edges) }] });
  const digest = node.replica.status().digest;
  await node.replica.openView({ query: 's:e(0, x)' });
  const { plans } = node.engine;
  const views: View[] = [];
  for (let key = 1; key < 40; key++) {
    const view = await node.replica.openView({ query: `s:e(${key}, x)` });
    views.push(view);
    const expected = edges.filter(([first]) => first === BigInt(key)).map(([, second]) => [second]);
    assert.deepEqual(shown(view.snapshot), expected.sort());
  }
  assert.equal(node.engine.plans, plans);
  assert.equal(node.replica.status().digest, digest, 'keys are no part of the state');
  const seen: string[][] = [];
  node.replica.onCommit(({ deltas }) => seen.push([...deltas.keys()]));
  const changes = [{ table: 'e', insert: rows([7n, 'new']), delete: rows([9n, 'v9']) }];
  await node.replica.writeBatch({ source: 's', changes });
  assert.deepEqual(
    seen.at(-1)?.sort(),
    [views[6]?.table ?? '', views[8]?.table ?? ''].sort(),
    'each change is told to whom it concerns',
  );
  await node.replica.openView({ query: 's:e(x, "v1")' });
  assert.equal(node.engine.plans, plans + 1, 'another shape');
  await node.stop();
});

test('a table that views share grows by one view’s rows in a transaction', async () => {
  useEngine('wasm');
  const engine = await createWasmEngine(await readFile('build/core.wasm'), {
    yield: yieldToLoop,
    viewRowsMax: 10,
  });
  const node = await startNode(await newWorld(), { engine });
  const edges = (key: bigint, count: number): Value[][] =>
    Array.from({ length: count }, (_, value) => [key, BigInt(value)]);
  const insert = rows(...edges(1n, 8), ...edges(2n, 9), ...edges(3n, 11));
  await node.replica.writeBatch({ source: 's', changes: [{ table: 'e', insert }] });
  const ended: string[] = [];
  node.replica.onViewLost((table) => ended.push(table));
  const first = await node.replica.openView({ query: 's:e(1, x)' });
  const second = await node.replica.openView({ query: 's:e(2, x)' });
  assert.equal(second.snapshot.count, 9, 'seventeen rows in all');
  await assert.rejects(node.replica.openView({ query: 's:e(3, x)' }), code('limit_exceeded'));
  assert.equal(ended.length, 0);
  const alone = await node.replica.openView({ query: 's:e(x, x)' });
  const more = rows(...edges(4n, 30), [1n, 100n]);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 'e', insert: more }] });
  assert.equal(ended.length, 0, 'rows that nobody asked for count for nobody');
  const much = rows(...edges(1n, 30));
  await node.replica.writeBatch({ source: 's', changes: [{ table: 'e', insert: much }] });
  assert.deepEqual(ended.sort(), [first.table, second.table].sort());
  assert.ok(!ended.includes(alone.table));
  await node.stop();
});
