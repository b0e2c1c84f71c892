/** What made rows come and go: by example, and over random programs and batches. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { lower } from '../../host/compiler/lower.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { Plan } from '../../host/compiler/plan.ts';
import type { Engine, TableChange } from '../../host/engine/engine.ts';
import { Changes, causesOf } from '../../host/explain/causes.ts';
import type { Causes, Sign } from '../../host/explain/causes.ts';
import { Evidence } from '../../host/explain/evidence.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { programOf } from '../compiler/compile-text.ts';
import { createEngine, succeeded } from '../engine/engine-pair.ts';
import { engineKinds } from '../fuzz/engines.ts';
import { generateCase } from '../fuzz/fuzz-case.ts';
import { compileGenerated } from '../support/compile-program.ts';
import { filesOf, inFolder, runCli } from '../cli/run-cli.ts';

/** Every change of every table, with its causes: as text. */
async function explained(
  engine: Engine,
  plan: Plan,
  changes: readonly TableChange[],
  isSeen: (table: string) => boolean = () => true,
): Promise<Map<string, Causes>> {
  const rehearsal = await engine.transact({ changes, dryRun: true });
  succeeded(rehearsal);
  const all = new Changes(rehearsal.deltas.filter(({ table }) => isSeen(table)));
  const found = new Map<string, Causes>();
  const explain = async (sign: Sign): Promise<void> => {
    const evidence = new Evidence(engine, plan);
    for (const table of plan.program.tables.map(tableKey)) {
      for (const row of all.rows(sign, table)) {
        const changed = { sign, table, row };
        found.set(textOf(changed), await causesOf(evidence, all, changed));
      }
    }
  };
  await explain('-');
  succeeded(await engine.transact({ changes }));
  await explain('+');
  return found;
}

function textOf({ sign, table, row }: { sign: Sign; table: string; row: Row }): string {
  return `${sign}${table}(${row.map(String).join(', ')})`;
}

const POLICY = `
reach(x, y) :- link(x, y).
reach(x, z) :- reach(x, y), link(y, z).
alone(x) :- server(x), not reach(x, _).
size(x, count()) :- reach(x, y).
dist(y, min(0)) :- start(y).
dist(y, min(d)) :- dist(x, e), link(x, y), d = e + 1.
`;

const change = (table: string, kind: 'insert' | 'delete', ...rows: Row[]): TableChange => {
  return { table: `p:${table}`, [kind]: encodeRows(rows[0]?.length ?? 0, rows) };
};

test('by a row that came, by one that went, by absence, group and a better value', async () => {
  const tables = ['p:link', 'p:server', 'p:start'];
  const program = programOf({ p: POLICY }, [], { externalTables: new Set(tables) });
  const plan = lower(program, { watched: 'all' });
  const engine = await createEngine();
  const first = [
    change('link', 'insert', ['a', 'b'], ['b', 'c'], ['c', 'd']),
    change('server', 'insert', ['a'], ['z']),
    change('start', 'insert', ['a']),
  ];
  succeeded(await engine.transact({ plan, changes: first }));
  const lost = await explained(engine, plan, [change('link', 'delete', ['b', 'c'])]);
  const came = await explained(engine, plan, [
    change('link', 'insert', ['a', 'd'], ['z', 'a'], ['b', 'c']),
  ]);
  const shown = (from: Map<string, Causes>, row: string): string[] => {
    const found = from.get(row);
    assert.ok(found !== undefined, `${row} of ${[...from.keys()].join(' ')}`);
    assert.equal(found.isCut, false, row);
    return found.causes.map(textOf);
  };
  assert.deepEqual(shown(lost, '-p:reach(a, d)'), ['-p:link(b, c)']);
  assert.deepEqual(shown(lost, '-p:dist(d, 3)'), ['-p:link(b, c)']);
  assert.deepEqual(shown(lost, '-p:link(b, c)'), ['-p:link(b, c)']);
  assert.deepEqual(shown(lost, '+p:size(a, 1)'), ['-p:reach(a, c)', '-p:reach(a, d)']);
  assert.deepEqual(shown(came, '+p:reach(z, a)'), ['+p:link(z, a)']);
  assert.deepEqual(shown(came, '+p:dist(d, 1)'), ['+p:link(a, d)']);
  assert.deepEqual(shown(came, '-p:alone(z)').slice(0, 1), ['+p:reach(z, a)']);
  // Without a change below it: another row of its group went.
  const worse = await explained(engine, plan, [change('link', 'delete', ['a', 'd'])]);
  assert.deepEqual(shown(worse, '+p:dist(d, 3)'), ['-p:dist(d, 1)']);
  // The same of a rule that begins the recursion: 0 is better than 1, and then goes.
  const begun = [change('start', 'insert', ['b'])];
  assert.deepEqual(shown(await explained(engine, plan, begun), '-p:dist(b, 1)'), ['+p:dist(b, 0)']);
  engine.close();
});

/** Changes without a cause, and all changes. */
async function causeless(
  seed: number,
  isSeen?: (table: string) => boolean,
): Promise<[string[], number]> {
  const [kind] = await engineKinds();
  assert.ok(kind !== undefined);
  const { program: generated, steps } = generateCase(seed, 6);
  const program = compileGenerated(generated);
  const plan = lower(program, { watched: 'all' });
  const engine = await kind.create();
  const tables = new Set(program.tables.map(tableKey));
  succeeded(await engine.transact({ plan, changes: [] }));
  const without: string[] = [];
  let count = 0;
  for (const { batch } of steps) {
    const changes = batch
      .filter(({ table }) => tables.has(table))
      .map((one) => ({
        table: one.table,
        replace: one.replace,
        delete: encodeRows(one.arity, one.delete),
        insert: encodeRows(one.arity, one.insert),
      }));
    for (const [text, { causes, isCut }] of await explained(engine, plan, changes, isSeen)) {
      count++;
      if (causes.length === 0 && !isCut) without.push(`seed ${seed}: ${text}`);
    }
  }
  engine.close();
  return [without, count];
}

test('every change over random programs and batches has a cause', async () => {
  let changes = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const [without, count] = await causeless(seed);
    assert.deepEqual(without, []);
    changes += count;
  }
  assert.ok(changes > 1_000, `${changes} changes`);
});

test('control: without the changes of base tables some have none', async () => {
  for (let seed = 1; seed <= 24; seed++) {
    const [without] = await causeless(seed, (table) => !table.startsWith('s:'));
    if (without.length > 0) return;
  }
  assert.fail('every change has a cause without them');
});

test('`caucus run --updates --explain-changes`: for people and for programs', async () => {
  const files = {
    'net.policy': 'reach(x, y) :- link(x, y).\nreach(x, z) :- reach(x, y), link(y, z).\n',
    'facts/link.facts': 'a\tb\nb\tc\n',
    'changes.txt': '-link\ta\tb\n\n+link\tc\td\n',
  };
  await inFolder(files, async (cwd) => {
    const args = ['run', 'net.policy', '--facts', 'facts', '--updates', 'changes.txt'];
    const run = await runCli([...args, '--explain-changes', '--out', 'told'], { cwd });
    assert.deepEqual([run.code, run.stderr], [0, '']);
    assert.equal(
      run.stdout,
      [
        'batch 1',
        '  - reach("a", "b")',
        '      - link("a", "b")',
        '  - reach("a", "c")',
        '      - link("a", "b")',
        'batch 2',
        '  + reach("b", "d")',
        '      + link("c", "d")',
        '  + reach("c", "d")',
        '      + link("c", "d")',
        '',
      ].join('\n'),
    );
    const json = await runCli([...args, '--explain-changes', '--json'], { cwd });
    const [first] = json.stdout.split('\n');
    assert.deepEqual(JSON.parse(first ?? ''), {
      batch: 1,
      changes: ['b', 'c'].map((to) => ({
        sign: '-',
        table: 'net:reach',
        row: ['a', to],
        causes: [{ sign: '-', table: 'net:link', row: ['a', 'b'] }],
        isCut: false,
      })),
      left: 0,
    });
    // The same rows as without.
    assert.equal((await runCli([...args, '--out', 'plain'], { cwd })).code, 0);
    assert.deepEqual(await filesOf(path.join(cwd, 'told')), await filesOf(path.join(cwd, 'plain')));
    const alone = await runCli(['run', 'net.policy', '--facts', 'facts', '--explain-changes'], {
      cwd,
    });
    assert.equal(alone.code, 2);
    assert.match(alone.stderr, /`--explain-changes` needs `--updates`/);
  });
});
