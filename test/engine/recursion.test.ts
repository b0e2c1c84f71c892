/** Deletes under recursion, against the reference: all graphs of 3 nodes, some of 4 and more. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Row } from '../../host/value/value.ts';
import { sample } from '../support/prng.ts';
import { randomFrom } from '../support/random.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  EnginePair,
  inserts,
  intRows,
  ints,
  planFor,
} from './engine-pair.ts';

const ARITIES = { e: 2, n: 1 };
const SEED = 4242;

const PROGRAMS: Readonly<Record<string, string>> = {
  linear: 'path(x, y) :- s:e(x, y). path(x, z) :- path(x, y), s:e(y, z).',
  'from the left': 'path(x, y) :- s:e(x, y). path(x, z) :- s:e(x, y), path(y, z).',
  'non-linear': 'path(x, y) :- s:e(x, y). path(x, z) :- path(x, y), path(y, z).',
  mutual: `
    odd(x, y) :- s:e(x, y). odd(x, z) :- even(x, y), s:e(y, z).
    even(x, z) :- odd(x, y), s:e(y, z).
  `,
  'three at once': `
    a(x) :- s:n(x). a(x) :- b(x), c(x). b(y) :- a(x), s:e(x, y). c(y) :- a(x), s:e(y, x).
    c(x) :- c(y), b(x), s:e(x, y).
  `,
  'negation above and below': `
    ok(x, y) :- s:e(x, y), not s:n(x).
    path(x, y) :- ok(x, y). path(x, z) :- path(x, y), ok(y, z).
    apart(x, y) :- s:e(x, _), s:e(_, y), not path(x, y).
    reach(x) :- apart(x, _). reach(y) :- reach(x), s:e(x, y), not s:n(y).
  `,
};

const NODES3 = [1, 2, 3];
const EDGES3 = NODES3.flatMap((x) => NODES3.map((y) => [x, y]));

/** Sets every graph from the one before by its difference; deletes each edge and puts it back. */
async function walkGraphs(pair: EnginePair, what: string, graphs: Iterable<number[][]>) {
  let current: Row[] = [];
  for (const graph of graphs) {
    const next = intRows(graph);
    const isIn = (rows: readonly Row[], [x, y]: Row): boolean =>
      rows.some((row) => row[0] === x && row[1] === y);
    const label = `${what}: ${graph.map((edge) => edge.join('→')).join(' ')}`;
    const gone = current.filter((row) => !isIn(next, row));
    const come = next.filter((row) => !isIn(current, row));
    await pair.transact([deletes('s:e', 2, gone), inserts('s:e', 2, come)], label);
    current = next;
    for (const edge of next) {
      await pair.transact([deletes('s:e', 2, [edge])], `${label}, without ${edge.join('→')}`);
      await pair.transact([inserts('s:e', 2, [edge])], `${label}, ${edge.join('→')} back`);
    }
  }
}

/** All graphs of 3 nodes, 512 of them; neighbours differ in one edge (a Gray code). */
function* allGraphs3(every: number): Generator<number[][]> {
  for (let index = 0; index < 512; index += every) {
    const bits = index ^ (index >> 1);
    yield EDGES3.filter((_, bit) => (bits >> bit) % 2 === 1);
  }
}

for (const [name, text] of Object.entries(PROGRAMS)) {
  test(`each edge of the graphs of 3 nodes goes and comes back: ${name}`, async () => {
    const pair = new EnginePair(await createEngine());
    await pair.transact([inserts('s:n', 1, ints([1]))], 'set up', planFor(text, ARITIES));
    const every = name === 'linear' || name === 'non-linear' ? 1 : 5;
    await walkGraphs(pair, name, allGraphs3(every));
  });
}

function randomGraph(seed: number, nodes: number, edges: number): number[][] {
  const random = randomFrom(seed);
  const all = Array.from({ length: nodes * nodes }, (_, index) => [
    Math.floor(index / nodes),
    index % nodes,
  ]);
  return sample(random, all, edges);
}

test('graphs of 4 to 8 nodes, some edges at a time', async () => {
  for (const [name, text] of Object.entries(PROGRAMS)) {
    const pair = new EnginePair(await createDebugEngine());
    await pair.transact([inserts('s:n', 1, ints([2]))], 'set up', planFor(text, ARITIES));
    for (let seed = SEED; seed < SEED + 8; seed++) {
      const random = randomFrom(seed);
      const nodes = 4 + random.int(5);
      const graph = randomGraph(seed, nodes, nodes + random.int(nodes * 2));
      const what = `${name}, seed ${seed}`;
      await pair.transact(
        [{ table: 's:e', replace: true }, inserts('s:e', 2, intRows(graph))],
        what,
      );
      for (let step = 0; step < 6; step++) {
        const gone = intRows(sample(random, graph, 1 + random.int(3)));
        const node = random.int(nodes);
        const flip = random.chance(0.5) ? inserts : deletes;
        await pair.transact([deletes('s:e', 2, gone), flip('s:n', 1, ints([node]))], what);
        await pair.transact([inserts('s:e', 2, gone)], `${what}, back`);
      }
    }
  }
});

/** Ranks that are round numbers do not tell which rows hold which. */
async function withRoundsAsRanks(kind: number): Promise<string | undefined> {
  for (const text of [PROGRAMS['linear'], PROGRAMS['non-linear'], PROGRAMS['mutual']]) {
    for (let seed = SEED; seed < SEED + 25; seed++) {
      const engine = await createEngine();
      engine.core.exports.sabotage(kind);
      const pair = new EnginePair(engine);
      const random = randomFrom(seed);
      const graph = randomGraph(seed, 6, 11);
      try {
        const plan = planFor(text ?? '', ARITIES);
        await pair.transact([inserts('s:e', 2, intRows(graph.slice(0, 6)))], 'first', plan);
        for (const edge of graph.slice(6)) {
          await pair.transact([inserts('s:e', 2, ints(edge))], 'grows');
          const gone = intRows(sample(random, graph, 2));
          await pair.transact([deletes('s:e', 2, gone)], 'shrinks');
        }
        await pair.transact([{ table: 's:e', replace: true }], 'empty');
      } catch (error) {
        return (error as Error).message;
      }
    }
  }
  return undefined;
}

test('ranks are needed: with round numbers in their place rows hold each other up', async () => {
  assert.equal(await withRoundsAsRanks(0), undefined, 'as it is');
  assert.notEqual(await withRoundsAsRanks(1), undefined, 'negative control');
});

/** A cycle that hangs on one edge: when it goes, everything falls. */
async function breakCycle(sabotage: number): Promise<{ touched: number; pair: EnginePair }> {
  const engine = await createEngine();
  engine.core.exports.sabotage(sabotage);
  const pair = new EnginePair(engine);
  const text = 'reach(x) :- s:n(x). reach(y) :- reach(x), s:e(x, y).';
  const nodes = 320;
  const edges = Array.from({ length: nodes }, (_, x) => [
    [x, (x + 1) % nodes],
    [x, (x + 7) % nodes],
  ]).flat();
  const changes = [inserts('s:e', 2, intRows(edges)), inserts('s:n', 1, ints([0], [160]))];
  await pair.transact(changes, 'set up', planFor(text, ARITIES));
  assert.equal(engine.count('p:reach'), nodes);
  await pair.transact([deletes('s:n', 1, ints([0]))], 'one of two roots');
  await pair.transact([deletes('s:n', 1, ints([160])), inserts('s:n', 1, ints([3]))], 'another');
  await pair.transact([deletes('s:n', 1, ints([3]))], 'none');
  return { touched: engine.stats().touchedRows, pair };
}

test('a large component is computed again, or row by row: the same rows', async () => {
  const elastic = await breakCycle(0);
  const patient = await breakCycle(2);
  for (const { pair } of [elastic, patient]) {
    assert.equal(pair.engine.count('p:reach'), 0);
    await pair.transact([inserts('s:n', 1, ints([5]))], 'again');
    await pair.transact([deletes('s:e', 2, ints([5, 6], [5, 12]))], 'cut off');
    assert.equal(pair.engine.count('p:reach'), 1);
  }
  assert.notEqual(elastic.touched, patient.touched, 'the switch switches something');
});
