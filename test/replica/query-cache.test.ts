/** Queries that differ in constants share a plan: the answers are those of plans of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import { cutText } from '../../host/compiler/query-template.ts';
import { groundCheck } from '../../host/replica/ground-check.ts';
import { QueryCache } from '../../host/replica/query-cache.ts';
import type { FreshQuery } from '../../host/replica/query-cache.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { createEngine, inserts, programFor, succeeded } from '../engine/engine-pair.ts';
import { randomFrom } from '../support/random.ts';
import { code, ints, newWorld, replicaTest, rows, startNode } from '../support/replica-world.ts';

const SEED = 1812;
const ARITIES = { e: 2, n: 3 };
const TEXT = `
  table named(x, y) on demand.
  table graded(x, y) on demand.
  named(x, "small") :- s:e(x, _), x < 3.
  named(x, "large") :- s:e(x, _), x >= 3.
  named(x, y) :- s:n(x, y, _).
  graded(x, 1) :- named(x, "small").
  graded(x, y) :- s:e(x, y), not named(y, "large").
  reach(x, y) :- s:e(x, y).
  reach(x, z) :- reach(x, y), s:e(y, z).
`;
const EDGES: readonly Row[] = [-2n, -1n, 0n, 1n, 2n, 3n, 4n].map((x): Row => [x, x + 1n]);
const NAMES: readonly Row[] = [
  [1n, 'a', 0.5],
  [2n, 'b', -0.5],
  [3n, 'small', 0],
  [4n, '1', null],
  [5n, '', true],
];

/** `⟨i⟩`, `⟨f⟩` and `⟨s⟩`: an int, a float, a string. */
const SHAPES = [
  'reach(⟨i⟩, y)',
  'reach(-⟨i⟩, y), y < ⟨i⟩',
  'reach(⟨i⟩, ⟨i⟩)',
  'reach(-⟨i⟩, ⟨i⟩)',
  'reach(x, y), x = ⟨i⟩, y != ⟨i⟩',
  'reach(x, y), y = x + ⟨i⟩',
  'reach(x, y), x - ⟨i⟩ < -⟨i⟩',
  's:n(x, ⟨s⟩, z)',
  's:n(0=x, ⟨i⟩=y)',
  's:n(x, y, ⟨f⟩)',
  's:n(x, y, -⟨f⟩)',
  's:n(x, y, null), x > ⟨i⟩',
  's:n(x, y, z), z != true, y < ⟨s⟩',
  's:n(x, y, z), starts_with(y, ⟨s⟩)',
  's:n(x, y, _), y = lower(⟨s⟩)',
  'named(⟨i⟩, y)',
  'named(x, ⟨s⟩)',
  'named(⟨i⟩, ⟨s⟩)',
  'graded(x, ⟨i⟩), not named(x, ⟨s⟩)',
  's:e(x, y), not graded(y, ⟨i⟩)',
  'reach(⟨i⟩, y), reach(⟨i⟩, y)',
  'reach(x, ⟨i⟩) .',
];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  i: ['0', '1', '2', '3', '4'],
  f: ['0.5', '0.0', '5e-1', '1.5'],
  s: ['"a"', "'b'", '"small"', '"large"', '""', '"1"', '"it\'s"', '"nobody"', 'r"a"'],
};

async function world() {
  const program = programFor(TEXT, ARITIES);
  const catalog = { policies: [{ name: 'p', text: TEXT }], sources: [] };
  const plan = lower(program, { leavesOut: true });
  const engine = await createEngine();
  const changes = [inserts('s:e', 2, EDGES), inserts('s:n', 3, NAMES)];
  succeeded(await engine.transact({ plan, changes }));
  const compile = (text: string, areParameters: boolean): FreshQuery => {
    const { query, diagnostics } = compileQuery(program, catalog, text, { areParameters });
    if (query === undefined) throw new Error(`${text}: ${diagnostics[0]?.message}`);
    return { query, plan: lowerQuery(plan, query), parameters: query.parameters };
  };
  return { plan, engine, compile };
}

test('a shared plan answers as one of its own, whatever the constants', async () => {
  const { plan, engine, compile } = await world();
  const random = randomFrom(SEED);
  const cache = new QueryCache();
  let asked = 0;
  let found = 0;
  for (let round = 0; round < 25; round++) {
    for (const shape of SHAPES) {
      const text = shape.replace(/⟨(.)⟩/g, (_, kind: string) => random.pick(VALUES[kind] ?? []));
      let own: FreshQuery;
      try {
        own = compile(text, false);
      } catch {
        // A column that is not there: what the cache knows must not answer in its place.
        assert.throws(() => cache.prepare(1, undefined, text, () => compile(text, true)), text);
        continue;
      }
      const expected = decodeRows((await engine.query(own.plan)).rows);
      const { template, values } = cache.prepare(1, undefined, text, () => compile(text, true));
      const shared = decodeRows((await engine.query(template.planWith(values))).rows);
      assert.deepEqual(shared, expected, `seed ${SEED}: ${text}`);
      assert.deepEqual(template.query.columns, own.query.columns, text);
      const check = groundCheck(plan, engine, template.query);
      if (check !== undefined) assert.equal(check.has(values), expected.length > 0, text);
      asked++;
      found += Number(expected.length > 0);
    }
  }
  assert.ok(found > asked / 4 && found < asked, `${found} of ${asked} have rows`);
  // Most were compiled once for each way to write a number or a string.
  assert.ok(cache.compilations < asked / 4, `${cache.compilations} of ${asked} were compiled`);
});

test('what stays in a text, and what is cut out of it', () => {
  const shapeOf = (text: string) => cutText(text)?.shape;
  const same = [
    ['t(1, x)', 't(23, x)'],
    ['t("a")', "t('b c')"],
    ['t(0.5)', 't(1e3)'],
    ['x < -1, p:q.r(x)', 'x < -7, p:q.r(x)'],
  ] as const;
  for (const [one, other] of same) assert.equal(shapeOf(one), shapeOf(other), one);
  const different = [
    ['t(1)', 't(1.0)'],
    ['t(1)', 't("1")'],
    ['t(1)', 't(-1)'],
    ['t(x1)', 't(x2)'],
    ['t(x)', 't( x)'],
    ['t(true)', 't(false)'],
  ] as const;
  for (const [one, other] of different) assert.notEqual(shapeOf(one), shapeOf(other), one);
  const whole = ['t(1) // c', 't(1) # c', 't("a\\n")', 't(x / 2)', 't(01)', 't(1.)', 't("\ud800")'];
  const long = `t("${'x'.repeat(5000)}")`;
  for (const text of [...whole, 't(99999999999999999999)', 't(1e999)', 't(\u0001)', long]) {
    assert.equal(cutText(text), undefined, text.slice(0, 20));
  }
});

test('a text with a mark in it is not taken for its shape', async () => {
  const { compile } = await world();
  const cache = new QueryCache();
  const ask = (text: string) => cache.prepare(1, undefined, text, () => compile(text, true));
  ask('s:n(x, "a", z)');
  assert.throws(() => ask('s:n(x, \u0001, z)'));
});

test('another program, and what was not used for longest, is compiled again', async () => {
  const { compile } = await world();
  const cache = new QueryCache();
  const ask = (generation: number, text: string): readonly Value[] => {
    return cache.prepare(generation, undefined, text, () => compile(text, true)).values;
  };
  assert.deepEqual(ask(1, 'reach(1, y)'), [1n]);
  assert.deepEqual(ask(1, 'reach(2, y)'), [2n]);
  assert.equal(cache.compilations, 1);
  assert.deepEqual(ask(2, 'reach(3, y)'), [3n]);
  assert.equal(cache.compilations, 2);
  for (let number = 0; number < 1000; number++) ask(2, `reach(1, y${number})`);
  assert.equal(cache.compilations, 1002);
  ask(2, 'reach(4, y)');
  assert.equal(cache.compilations, 1003);
});

replicaTest('a question for one row is answered by a check, one on demand by a query', async () => {
  const node = await startNode(await newWorld());
  const text = 'table d(x) on demand. d(x) :- s:t(x), x > 1. k(x) :- s:t(x).';
  await node.replica.writePolicies([{ name: 'p', text }]);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(1, 2) }] });
  const ask = async (query: string, rowsMax?: number): Promise<string> => {
    const options = rowsMax === undefined ? {} : { rowsMax };
    const { columns, rows: found, truncated } = await node.replica.query({ query, ...options });
    const text = decodeRows(found).map((row) => row.map(formatValue));
    return JSON.stringify([columns, found.arity, text, truncated]);
  };
  for (const table of ['p:k', 'p:d', 's:t']) {
    assert.equal(await ask(`${table}(2)`), '[[],0,[[]],false]', table);
    assert.equal(await ask(`${table}(3)`), '[[],0,[],false]', table);
    assert.equal(await ask(`${table}(2.0)`), '[[],0,[],false]', table);
  }
  assert.equal(await ask('p:d(1)'), '[[],0,[],false]');
  assert.equal(await ask('p:k(1)'), '[[],0,[[]],false]');
  assert.equal(await ask('not p:k(1)'), '[[],0,[],false]');
  assert.equal(await ask('nobody:t(1)'), '[[],0,[],false]');
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', delete: ints(1) }] });
  assert.equal(await ask('p:k(1)'), '[[],0,[],false]');
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: rows(['a']) }] });
  assert.equal(await ask('p:k("a")'), '[[],0,[[]],false]');
  await assert.rejects(node.replica.query({ query: 'p:k(1, 2)' }), code('invalid_policy'));
  await node.stop();
});
