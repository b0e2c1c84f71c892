/** Plans as documents and lines, and the flag for the layout. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { lower } from '../../host/compiler/lower.ts';
import type { Plan, PlanOptions } from '../../host/compiler/plan.ts';
import { planDocument } from '../../host/explain/plan-document.ts';
import type { PlanDocument, UnitDocument } from '../../host/explain/plan-document.ts';
import { planLines } from '../../host/explain/plan-lines.ts';
import { filesOf, inFolder, runCli } from '../cli/run-cli.ts';
import { programOf } from '../compiler/compile-text.ts';

const POLICY = `
reach(x, y) :- link(x, y).
reach(x, z) :- reach(x, y), link(y, z).
sized(x, y, n) :- link(x, y), n = 1.
sized(x, z, n) :- sized(x, y, n), link(y, z).
steps(x, n) :- start(x), n = 0.
steps(y, m) :- steps(x, n), n < 9, link(x, y), m = n + 1.
hops(x, count()) :- reach(x, _).
alone(x) :- server(x, _), not reach(x, _).
lonely(x) :- alone(x), not reach(x, _).
big(s) :- server(s, n), n > 10, link(s, _).
dist(y, min(d)) :- start(y), d = 0.
dist(y, min(d)) :- dist(x, e), cost(x, y, c), c >= 0, d = e + c.
trusted("a").
table shown(x: string) on demand
shown(x) :- trusted(x).
`;

const TABLES = ['p:link', 'p:start', 'p:server', 'p:cost'];

function planOf(options: PlanOptions): Plan {
  const program = programOf({ p: POLICY }, [], { externalTables: new Set(TABLES) });
  return lower(program, { ...options, isExplained: true });
}

function documentOf(options: PlanOptions = {}): PlanDocument {
  return planDocument(planOf(options), { policies: [{ name: 'p', text: POLICY }] });
}

function unitOf({ units }: PlanDocument, table: string): UnitDocument {
  const found = units.find(({ tables }) => tables.includes(table));
  assert.ok(found !== undefined, `no unit of ${table}`);
  return found;
}

/** The lines of a unit, without its own. */
function linesOf(plan: PlanDocument, table: string): string[] {
  return planLines({ units: [unitOf(plan, table)], tables: [] }).slice(1);
}

test('kinds of units, their layouts, and why', () => {
  const plan = documentOf();
  const cases: [table: string, kind: string, layout: string, why: RegExp][] = [
    ['p:reach', 'recursive', 'bits or rows', /from scratch/],
    ['p:sized', 'recursive', 'rows', /more than two columns/],
    ['p:steps', 'recursive', 'rows', /computes/],
    ['p:dist', 'best', 'rows', /only recursive/],
    ['p:alone', 'counting', 'rows', /only recursive/],
    ['$agg1', 'aggregate', 'rows', /only recursive/],
  ];
  for (const [table, kind, layout, why] of cases) {
    const unit = unitOf(plan, table);
    assert.deepEqual([unit.kind, unit.layout], [kind, layout], table);
    assert.match(unit.why, why, table);
  }
  assert.deepEqual([unitOf(plan, 'p:trusted').facts, unitOf(plan, 'p:trusted').rules], [1n, []]);
});

test('join orders with indexes; they follow the sizes', () => {
  assert.deepEqual(linesOf(documentOf(), 'p:reach').slice(1), [
    '  reach(x, y) :- link(x, y). (p, rule 1, line 2)',
    '    from scratch',
    '      1. p:link(x, y)  all rows, about 1000 rows',
    '  reach(x, z) :- reach(x, y), link(y, z). (p, rule 2, line 3)',
    '    each round, for each of p:reach(x, y)',
    '      1. p:link(y, z)  index (1), about 32 rows',
  ]);
  const joined = 'joined(x, z) :- left(x, y), right(y, z).';
  const program = programOf({ p: joined }, [], { externalTables: new Set(['p:left', 'p:right']) });
  for (const [small, large, first, second] of [
    ['p:left', 'p:right', 'scan p:left(x, y)', 'index p:right(y, z)'],
    ['p:right', 'p:left', 'scan p:right(y, z)', 'index p:left(x, y)'],
  ] as const) {
    const sizes = new Map([
      [small, 10],
      [large, 100_000],
    ]);
    const plan = lower(program, { sizes, isExplained: true });
    const [unit] = planDocument(plan, { policies: [] }).units;
    const steps = unit?.rules[0]?.versions[0]?.steps.map(({ text, how }) => `${how} ${text}`);
    assert.deepEqual(steps, [first, second]);
  }
});

test('parts that rules share are told in words, with who reads them', () => {
  const plan = documentOf();
  const shared = plan.units.filter(({ auxiliary }) => auxiliary?.includes('p:reach(v1, _)'));
  assert.equal(shared.length, 1);
  assert.deepEqual(shared[0]?.readBy, ['p:alone', 'p:lonely']);
  assert.match(unitOf(plan, '$in1').auxiliary ?? '', /an aggregate of `p:(hops|dist)`/);
  const alone = unitOf(plan, 'p:alone').rules[0]?.versions[0]?.steps.at(-1);
  assert.deepEqual(alone, { text: `not ${shared[0]?.tables[0]}(x)`, how: 'row' });
});

test('groups that are intersected are told', () => {
  const text = 'tri(x, y, z) :- edge(x, y), edge(y, z), edge(x, z), not edge(z, x).';
  const program = programOf({ p: text }, [], { externalTables: new Set(['p:edge']) });
  const plan = planDocument(lower(program, { isExplained: true }), { policies: [] });
  const steps = plan.units[0]?.rules[0]?.versions[0]?.steps ?? [];
  assert.deepEqual(
    steps.map(({ how, index }) => [how, index?.join()]),
    [
      ['scan', undefined],
      ['index', '1'],
      ['group', '1'],
      ['group', '2'],
    ],
  );
  assert.match(
    planLines(plan).join('\n'),
    /3\. p:edge\(x, z\) {2}intersected with the rows above, index \(1\)\n/,
  );
});

test('updates are shown where they are asked for', () => {
  const plan = documentOf();
  const { units } = { units: [unitOf(plan, 'p:reach')] };
  const scratch = planLines({ units, tables: [] }).join('\n');
  const all = planLines({ units, tables: [] }, { updates: true }).join('\n');
  assert.doesNotMatch(scratch, /support|on a/);
  assert.match(all, /on a change, for each of p:link\(x, y\)/);
  assert.match(all, /whether a row still has support\n {6}1\. p:link\(y, z\) {2}index \(2\)/);
  const batch = planLines(
    { units: [unitOf(documentOf({ batchOnly: true }), 'p:reach')], tables: [] },
    { updates: true },
  );
  assert.doesNotMatch(batch.join('\n'), /support/);
});

test('control: a plan for an engine keeps none of it, and is the same plan', () => {
  const program = programOf({ p: POLICY }, [], { externalTables: new Set(TABLES) });
  const plain = lower(program);
  assert.ok(plain.units.every(({ rules }) => rules === undefined));
  assert.equal(plain.sizes, undefined);
  const told = planOf({});
  assert.deepEqual(
    told.units.map(({ rules: _, ...unit }) => unit),
    plain.units,
  );
  assert.deepEqual(told.relations, plain.relations);
});

test('`caucus explain --plan` with facts: what was expected, and what came', async () => {
  const facts = Array.from({ length: 100 }, (_, at) => `n${at}\tn${at + 1}\n`).join('');
  const files = {
    'n.policy': 'reach(x, y) :- link(x, y).\nreach(x, z) :- reach(x, y), link(y, z).\n',
    'facts/link.facts': facts,
  };
  await inFolder(files, async (cwd) => {
    const explain = (...args: string[]) =>
      runCli(['explain', '--plan', 'n.policy', ...args], { cwd });
    const plain = await explain();
    assert.equal(plain.code, 0, plain.stderr);
    assert.match(plain.stdout, /about 1000 rows/);
    assert.doesNotMatch(plain.stdout, /this time/);
    for (const [layout, expected] of [
      ['auto', 'bits'],
      ['bits', 'bits'],
      ['rows', 'rows'],
    ] as const) {
      const { stdout } = await explain('--facts', 'facts', '--layout', layout);
      assert.match(stdout, new RegExp(`this time it went over ${expected}\\n  rows: 5050\\n`));
      assert.match(stdout, /n:link\(x, y\) {2}all rows, about 100 rows/);
    }
    const { stdout } = await explain('--facts', 'facts', '--json');
    const { units } = JSON.parse(stdout) as { units: { tables: string[]; rows: number[] }[] };
    assert.deepEqual(
      units.map(({ tables, rows }) => [tables, rows]),
      [[['n:reach'], [5050]]],
    );
    const missing = await explain('--facts', 'nowhere');
    assert.equal(missing.code, 1);
    const usage: [args: string[], expected: RegExp][] = [
      [['explain'], /missing required argument `row`/],
      [['explain', 'p(1)', '--facts', 'facts'], /`--facts` needs `--plan`/],
      [['explain', 'p(1)', '--plan', 'n.policy', '--depth', '2'], /exclude each other/],
      [['explain', '--plan', 'n.policy', '--layout', 'rows'], /`--layout` needs `--facts`/],
      [['explain', '--plan', 'n.policy', '--facts', 'facts', '--layout', 'x'], /auto, rows, bits/],
    ];
    for (const [args, expected] of usage) {
      const result = await runCli(args, { cwd });
      assert.equal(result.code, 2, args.join(' '));
      assert.match(result.stderr, expected);
    }
    const results = [];
    for (const layout of ['rows', 'bits']) {
      const args = ['run', 'n.policy', '--facts', 'facts', '--out', layout, '--layout', layout];
      assert.equal((await runCli(args, { cwd })).code, 0);
      results.push(await filesOf(path.join(cwd, layout)));
    }
    assert.ok((results[0]?.['reach.csv'] ?? '').length > 10_000);
    assert.deepEqual(results[0], results[1]);
  });
});
