/** `caucus run` at its limits: memory that ends, places that cannot be written. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { readCoreWasm } from '../../host/cli/core-wasm.ts';
import { ProblemsError } from '../../host/cli/problem.ts';
import { run } from '../../host/cli/run.ts';
import { Terminal } from '../../host/cli/terminal.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import { VALUE_STRING_BYTES_MAX } from '../../host/limits.ts';
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
