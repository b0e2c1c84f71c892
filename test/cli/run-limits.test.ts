/** `caucus run` at its limits: memory that ends, places that cannot be written. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { readCoreWasm } from '../../host/cli/core-wasm.ts';
import { ProblemsError } from '../../host/cli/problem.ts';
import { run } from '../../host/cli/run.ts';
import { showGrowth } from '../../host/cli/run-limits.ts';
import { Terminal } from '../../host/cli/terminal.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { createEngine } from '../../host/cli/core-engine.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import { ROWS_PER_TABLE_MAX, VALUE_STRING_BYTES_MAX } from '../../host/limits.ts';
import { filesOf, inFolder, runCli } from './run-cli.ts';

test('run: a directory in the place of a file: nothing is replaced', async () => {
  const files = { 'prog.dl': 'a(1). b(2).\n', 'facts/x': '', 'out/b.csv/x': '' };
  await inFolder(files, async (folder) => {
    const args = ['run', 'prog.dl', '--facts', 'facts', '--out', 'out'];
    const result = await runCli(args, { cwd: folder });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /`out\/b\.csv` is a directory/);
    assert.deepEqual(await readdir(path.join(folder, 'out')), ['b.csv']);
  });
});

test('run: a program without tables makes the directory', async () => {
  await inFolder({ 'prog.dl': '', 'facts/x': '' }, async (folder) => {
    const args = ['run', 'prog.dl', '--facts', 'facts', '--out', 'new/out'];
    assert.equal((await runCli(args, { cwd: folder })).code, 0);
    assert.deepEqual(await filesOf(path.join(folder, 'new/out')), {});
  });
});

const NO_END = 'seed(0).\nnat(x) :- seed(x).\nnat(x + 1) :- nat(x).\n';
const NO_END_UPDATE = 'nat(x) :- seed(x).\nnat(x + 1) :- nat(x).\n';
for (const [what, program, updates, where] of [
  ['in the program', NO_END, undefined, ''],
  ['in a batch', NO_END_UPDATE, '\n+seed\t1\n', ' in batch 2'],
] as const) {
  test(`run: a recursion without end ends with its table and rule: ${what}`, async () => {
    const files = { 'prog.dl': program, 'facts/x': '', updates: updates ?? '' };
    await inFolder(files, async (folder) => {
      const wasm = await readCoreWasm();
      const engine = (): Promise<Engine> =>
        createWasmEngine(wasm, { yield: async () => {}, memoryBytesMax: 16 * 1024 * 1024 });
      const options = {
        facts: path.join(folder, 'facts'),
        out: path.join(folder, 'out'),
        ...(updates === undefined ? {} : { updates: path.join(folder, 'updates') }),
      };
      const terminal = new Terminal({ color: 'never', json: false });
      await assert.rejects(
        run(path.join(folder, 'prog.dl'), options, terminal, engine),
        (error: unknown) => {
          assert.ok(error instanceof ProblemsError);
          const [problem] = error.problems;
          assert.equal(
            problem?.message,
            `the engine has no memory left${where}; it was evaluating \`nat\``,
          );
          assert.match(problem?.note ?? '', /`nat\(x \+ 1\) :- nat\(x\)` may make new values/);
          return true;
        },
      );
      assert.deepEqual((await filesOf(path.join(folder, 'out'))) ?? {}, {});
    });
  });
}

for (const [what, program, updates, where] of [
  ['in the program', NO_END, undefined, ''],
  ['in a batch', NO_END_UPDATE, '\n+seed\t1\n', ' in batch 2'],
] as const) {
  test(`run: --max-rows ends it earlier: ${what}`, async () => {
    const files = { 'prog.dl': program, 'facts/x': '', ...(updates && { updates }) };
    await inFolder(files, async (folder) => {
      const result = await runCli(
        [
          ...['run', 'prog.dl', '--facts', 'facts', '--out', 'out', '--max-rows', '1000'],
          ...(updates === undefined ? [] : ['--updates', 'updates']),
        ],
        { cwd: folder },
      );
      assert.equal(result.code, 1);
      assert.match(result.stderr, new RegExp(`: \`nat\` has more than 1000 rows${where}\\n`));
      assert.match(result.stderr, /`nat\(x \+ 1\) :- nat\(x\)` may make .* `--max-rows`/);
      assert.deepEqual((await filesOf(path.join(folder, 'out'))) ?? {}, {});
    });
  });
}

test('run: --max-rows holds for base tables and for what ends by itself', async () => {
  const files = {
    'prog.dl': 'pair(x, y) :- t(x), t(y).\n',
    'facts/t.facts': '1\n2\n3\n4\n',
  };
  await inFolder(files, async (folder) => {
    const args = ['run', 'prog.dl', '--facts', 'facts', '--max-rows'];
    assert.equal((await runCli([...args, '16'], { cwd: folder })).code, 0);
    const derived = await runCli([...args, '15'], { cwd: folder });
    assert.equal(derived.code, 1);
    assert.match(derived.stderr, /: `pair` has more than 15 rows\n/);
    const base = await runCli([...args, '3'], { cwd: folder });
    assert.equal(base.code, 1);
    assert.match(base.stderr, /: `t` has more than 3 rows\n/);
    for (const wrong of ['0', '-1', '1.5', 'many', '1e3', '99999999999999999999']) {
      const result = await runCli([...args, wrong], { cwd: folder });
      assert.equal(result.code, 2, wrong);
      assert.match(result.stderr, /give a number of rows from 1/);
    }
  });
});

test('run: without --max-rows only a recursion that makes new values has a limit', async () => {
  const text = [
    'nat(x) :- seed(x).',
    'nat(y) :- half(x), y = x + 1.',
    'half(x) :- nat(x).',
    'far(x, y) :- seed(x), seed(y).',
    'far(x, z) :- far(x, y), far(y, z).',
    'next(x, y) :- seed(x), y = x + 1.',
  ].join('\n');
  const files = { 'prog.dl': text, 'facts/x': '' };
  await inFolder(files, async (folder) => {
    const stop = new Error('seen');
    const limits = new Map<string, number | undefined>();
    const terminal = new Terminal({ color: 'never', json: false });
    const options = { facts: path.join(folder, 'facts') };
    const seen = run(path.join(folder, 'prog.dl'), options, terminal, async (rowsMax) => {
      const engine = await createEngine(rowsMax);
      for (const table of ['nat', 'half', 'far', 'next', 'seed']) {
        limits.set(table, rowsMax(`prog:${table}`));
      }
      engine.close();
      throw stop;
    });
    await assert.rejects(seen, stop);
    assert.deepEqual(Object.fromEntries(limits), {
      nat: ROWS_PER_TABLE_MAX,
      half: ROWS_PER_TABLE_MAX,
      far: undefined,
      next: undefined,
      seed: undefined,
    });
  });
});

test('run: what an evaluation is at can be shown while it runs, and stops with it', async () => {
  const shown: string[] = [];
  const looks = { derivations: 5, usedBytes: 3 * 2 ** 20 };
  const engine = { stats: () => looks } as unknown as Engine;
  let seen = (): void => {};
  const twice = new Promise<void>((resolve) => (seen = resolve));
  const update = (text: string): void => {
    shown.push(text);
    if (shown.length === 3) seen();
  };
  const stop = showGrowth({ update, done: () => {} }, engine, 'evaluating');
  looks.derivations = 1_234_572;
  await twice;
  // The test would not end with the timer running.
  stop();
  assert.match(shown.join('\n'), /^evaluating\nevaluating: \d+ s, 1,234,567 rows derived, 3 MiB\n/);
});

test('run: a string as long as the engine holds, and one longer', async () => {
  const longest = 'x'.repeat(VALUE_STRING_BYTES_MAX);
  const files = {
    'prog.dl': 'p(x) :- q(x).\n',
    'a/q.facts': longest,
    'b/q.facts': `y\n${longest}x`,
  };
  await inFolder(files, async (folder) => {
    const fits = await runCli(['run', 'prog.dl', '--facts', 'a', '--out', 'out'], { cwd: folder });
    assert.equal(fits.code, 0, fits.stderr.slice(0, 1000));
    assert.equal((await filesOf(path.join(folder, 'out')))?.['p.csv'], `${longest}\n`);
    const { code, stderr } = await runCli(['run', 'prog.dl', '--facts', 'b'], { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /the field has 16777217 bytes, at most 16777216[\s\S]*q\.facts:2:1\n/);
    assert.ok(stderr.length < 1000, 'the line is not shown');
  });
});

test('run: more facts in the text than the core takes rules in a unit', async () => {
  const count = 70_000;
  const facts = Array.from({ length: count }, (_, i) => `e(${i}, ${i + 1}).`).join('\n');
  const program = `${facts}\nn(count()) :- e(x, y).\nup(x) :- e(x, 69990).\nup(x) :- up(y), e(y, x).\n`;
  const files = { 'prog.dl': program, 'facts/x': '', updates: '-e\t1\t2\n+e\t1\t2\n+e\t-1\t0\n' };
  await inFolder(files, async (folder) => {
    const args = ['run', 'prog.dl', '--facts', 'facts', '--out', 'out', '--updates', 'updates'];
    const result = await runCli(args, { cwd: folder });
    assert.equal(result.code, 0, result.stderr.slice(0, 1000));
    const out = await filesOf(path.join(folder, 'out'));
    assert.equal(out?.['n.csv'], `${count + 1}\n`);
    assert.equal(
      out?.['up.csv'],
      `${Array.from({ length: 12 }, (_, i) => 69_989 + i).join('\n')}\n`,
    );
    assert.equal(out?.['deltas.tsv'], '1\t+\te\t-1\t0\n1\t-\tn\t70000\n1\t+\tn\t70001\n');
  });
});
