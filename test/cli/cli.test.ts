/** Usage, help, colours, `check`, `fmt`, `repl`: what needs no server. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { inFolder, runCli } from './run-cli.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const COMMANDS = [
  'serve',
  'config',
  'check',
  'test',
  'lint',
  'fmt',
  'run',
  'query',
  'explain',
  'why-not',
  'subscribe',
  'load',
  'repl',
  'status',
];
// oxlint-disable-next-line no-control-regex
const COLOR = /\u001b\[/;

test('--version prints the version of the package', async () => {
  const result = await runCli(['--version']);
  assert.deepEqual([result.code, result.stdout], [0, `${version}\n`]);
});

test('help lists every command, and each has help with examples', async () => {
  const all = await runCli(['help']);
  assert.equal(all.code, 0);
  for (const command of COMMANDS) {
    assert.match(all.stdout, new RegExp(`^  ${command}\\b`, 'm'));
    const one = await runCli(['help', command]);
    assert.equal(one.code, 0);
    assert.match(one.stdout, /Examples:\n {2}\$ caucus /, command);
  }
});

test('docs/CLI.md has a section for every command and names every flag of its help', async () => {
  const manual = readFileSync('docs/CLI.md', 'utf8');
  for (const command of COMMANDS) {
    const section = new RegExp(
      `^## \`caucus ${command}\\b[\\s\\S]*?(?=^## |$(?![\\s\\S]))`,
      'm',
    ).exec(manual)?.[0];
    assert.ok(section !== undefined, `a section of ${command}`);
    const { stdout } = await runCli(['help', command]);
    for (const [flag] of stdout.matchAll(/--[a-z][a-z-]*/g)) {
      const isGlobal = /^--(json|color|no-color|help|version)$/.test(flag);
      assert.ok((isGlobal ? manual : section).includes(flag), `${command} ${flag} in docs/CLI.md`);
    }
  }
});

const USAGE: readonly [string, readonly string[], RegExp][] = [
  ['no command', [], /Usage: caucus/],
  ['an unknown command', ['rnu'], /unknown command `rnu`[\s\S]*run/],
  ['help for an unknown command', ['help', 'rnu'], /unknown command `rnu`[\s\S]*`run`/],
  ['an unknown flag', ['check', '--jsn', 'x'], /unknown option `--jsn`[\s\S]*--json/],
  ['a missing argument', ['check'], /missing required argument/],
  ['a bad consistency', ['query', 'p(x)', '--consistency', 'strong'], /`any`, `latest`/],
  ['a bad url', ['query', 'p(x)', '--url', 'nowhere'], /`nowhere` is no URL/],
  ['a url of something else', ['status', '--url', 'ftp://x'], /begin it with `http:/],
  ['two modes of load', ['load', 's', 'f.csv', '--insert', '--delete'], /cannot be used with/],
  ['a file without a format', ['load', 's', 'f.xyz'], /the format of `f.xyz` is not known/],
  ['a bad port', ['serve', '--port', '70000'], /`70000` is no port/],
  ['an open address', ['serve', '--host', '0.0.0.0'], /other machines[\s\S]*--insecure-listen/],
  ['a source without a path', ['serve', '--source', 'inv'], /`NAME=PATH`/],
  ['two files of one policy', ['serve', '--policy', 'a/p.policy', 'b/p.dl'], /both the policy `p`/],
  ['files and a server', ['repl', 'a.policy', '--url', 'http://x'], /exclude each other/],
];
for (const [name, args, stderr] of USAGE) {
  test(`bad usage: ${name}`, async () => {
    const result = await runCli(args);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, stderr);
    assert.equal(result.stdout, '');
    assert.doesNotMatch(result.stderr, /\n {4}at /, 'no stack');
  });
}

test('bad usage for machines: each line of stderr is JSON', async () => {
  for (const args of [['run'], ['rnu'], ['run', 'x', '--fact', 'y'], ['help', 'rnu']]) {
    const { code, stderr } = await runCli([...args, '--json']);
    assert.equal(code, 2);
    for (const line of stderr.trimEnd().split('\n')) {
      assert.equal((JSON.parse(line) as { code: string }).code, 'usage', line);
    }
  }
});

test('a server that is not there: exit code 3, and what to do', async () => {
  for (const args of [['query', 'p(x)'], ['status'], ['subscribe', 'p(x)', '--json']]) {
    const result = await runCli([...args, '--url', 'http://127.0.0.1:9']);
    assert.equal(result.code, 3, result.stderr);
    assert.match(result.stderr, /cannot be reached[\s\S]*caucus serve/);
    assert.equal(result.stdout, '');
  }
});

test('colours: never in a pipe, with --color always, NO_COLOR does not win over it', async () => {
  await inFolder({ 'p.policy': 'p(x) :- q(y).\n' }, async (cwd) => {
    const plain = await runCli(['check', 'p.policy'], { cwd });
    assert.doesNotMatch(plain.stdout + plain.stderr, COLOR);
    const painted = await runCli(['check', 'p.policy', '--color'], { cwd, env: { NO_COLOR: '1' } });
    assert.match(painted.stderr, COLOR);
    const none = await runCli(['check', 'p.policy', '--no-color'], {
      cwd,
      env: { FORCE_COLOR: '1' },
    });
    assert.doesNotMatch(none.stdout + none.stderr, COLOR);
  });
});

test('check: all errors of all files, with carets; files see each other', async () => {
  const files = {
    'a.policy': 'p(x) :- q(y).\nr(x) :- b:t(x).\n',
    'b.policy': 't(1).\nu(x) :- not t(x).\n',
  };
  await inFolder(files, async (cwd) => {
    const result = await runCli(['check', 'a.policy', 'b.policy'], { cwd });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /--> a\.policy:1:3\b/);
    assert.match(result.stderr, /--> b\.policy:2:/);
    assert.match(result.stderr, /\^/);
    assert.doesNotMatch(result.stderr, /b:t/, 'a table of another file is known');
    assert.match(result.stdout, /2 files: \d+ errors/);
    const machine = await runCli(['check', '--json', 'a.policy', 'b.policy'], { cwd });
    assert.equal(machine.code, 1);
    const { diagnostics } = JSON.parse(machine.stdout) as {
      diagnostics: Record<string, unknown>[];
    };
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    assert.deepEqual(new Set(errors.map(({ file }) => file)), new Set(['a.policy', 'b.policy']));
    assert.equal(machine.stderr, '');
  });
});

test('check: a correct file, standard input, a missing file', async () => {
  await inFolder({ 'a.policy': 'p(1).\nq(x) :- p(x).\n' }, async (cwd) => {
    const good = await runCli(['check', 'a.policy'], { cwd });
    assert.deepEqual([good.code, good.stdout, good.stderr], [0, '1 file: no errors\n', '']);
    const piped = await runCli(['check', '-'], { cwd, stdin: 'p(x).\n' });
    assert.equal(piped.code, 1);
    assert.match(piped.stderr, /--> stdin:1:/);
    const missing = await runCli(['check', 'a.policy', 'b.policy'], { cwd });
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /`b\.policy` does not exist/);
    assert.match(missing.stderr, /= check the path/);
    const twice = await runCli(['check', 'a.policy', './a.policy'], { cwd });
    assert.equal(twice.code, 1);
    assert.match(twice.stderr, /both the policy `a`/);
  });
});

test('check: imported files are read, relative to who imports them, once', async () => {
  const files = {
    'main.dl': 'import "lib/a.dl" as l\nimport "lib/sub/b.dl"\np(x) :- l:q(x), b:r(x).\n',
    'lib/a.dl': 'import "sub/b.dl"\nq(x) :- b:r(x).\n',
    'lib/sub/b.dl': '@name("all") @severity("info")\nr(x) :- t(x).\n',
  };
  await inFolder(files, async (cwd) => {
    const result = await runCli(['check', 'main.dl'], { cwd });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /3 files: 1 warning/);
    assert.match(result.stderr, /--> lib\/sub\/b\.dl:2:9/);
    const other = await runCli(['check', path.join(cwd, 'main.dl'), '--json'], { cwd: '/' });
    assert.equal(other.code, 0, 'the folder of the process does not matter');
    const { policies } = JSON.parse(other.stdout) as { policies: Record<string, unknown>[] };
    assert.deepEqual(
      policies.map(({ name, imports, rules }) => ({ name, imports, rules })),
      [
        { name: 'a', imports: ['b'], rules: [{ ordinal: 1, text: 'q(x) :- b:r(x).' }] },
        {
          name: 'b',
          imports: [],
          rules: [{ ordinal: 1, text: 'r(x) :- t(x).', name: 'all', severity: 'info' }],
        },
        {
          name: 'main',
          imports: ['a', 'b'],
          rules: [{ ordinal: 1, text: 'p(x) :- a:q(x), b:r(x).' }],
        },
      ],
    );
  });
});

const BAD_IMPORTS: [name: string, files: Record<string, string>, stderr: RegExp][] = [
  ['no file', { 'a.dl': 'import "lib/b.dl"' }, /unknown-import[^]*`lib\/b\.dl`[^]*--> a\.dl:1:8/],
  ['no policy', { 'a.dl': 'import b' }, /unknown-import[^]*no policy `b`[^]*--> a\.dl:1:8/],
  [
    'a cycle',
    { 'a.dl': 'import "b.dl"', 'b.dl': 'import "a.dl"' },
    /import-cycle[^]*`a` → `b` → `a`[^]*--> b\.dl:1:8/,
  ],
  [
    'two files of one name',
    { 'a.dl': 'import "x/c.dl" import "y/c.dl"', 'x/c.dl': '', 'y/c.dl': '' },
    /duplicate-name[^]*`x\/c\.dl` and `y\/c\.dl`[^]*--> a\.dl:1:24/,
  ],
  ['a directory', { 'a.dl': 'import "b"', 'b/c.dl': '' }, /unknown-import[^]*is a directory/],
  ['an error inside', { 'a.dl': 'import "b.dl"', 'b.dl': 'p(x).' }, /--> b\.dl:1:3/],
];
for (const [name, files, stderr] of BAD_IMPORTS) {
  test(`check: an import that is wrong: ${name}`, async () => {
    await inFolder(files, async (cwd) => {
      const result = await runCli(['check', 'a.dl'], { cwd });
      assert.equal(result.code, 1);
      assert.match(result.stderr, stderr);
      assert.match(result.stdout, / 1 error/, 'it is said once');
    });
  });
}

test('run: the program with what it imports', async () => {
  const files = {
    'main.dl': 'import "lib/a.dl" as l\np(x) :- l:q(x).\n',
    'lib/a.dl': 'q(x) :- r(x). r(2).\n',
    'data/a.r.facts': '1\n',
  };
  await inFolder(files, async (cwd) => {
    const args = ['run', 'main.dl', '--facts', 'data', '--out', 'out'];
    const result = await runCli(args, { cwd });
    assert.equal(result.code, 0, result.stderr);
    assert.equal(await readFile(path.join(cwd, 'out', 'p.csv'), 'utf8'), '1\n2\n');
  });
});

const UNTIDY = 'p( x,y ):-q(x,y),x>1\n';
const TIDY = 'p(x, y) :- q(x, y), x > 1.\n';

test('fmt: writes the standard layout and keeps the mode of the file', async () => {
  await inFolder({ 'a.policy': UNTIDY, 'b.policy': TIDY }, async (cwd) => {
    const before = await stat(path.join(cwd, 'b.policy'));
    const check = await runCli(['fmt', '--check', 'a.policy', 'b.policy'], { cwd });
    assert.deepEqual([check.code, check.stdout], [1, 'a.policy is not formatted\n']);
    assert.equal(
      await readFile(path.join(cwd, 'a.policy'), 'utf8'),
      UNTIDY,
      '--check changes nothing',
    );
    const result = await runCli(['fmt', 'a.policy', 'b.policy'], { cwd });
    assert.deepEqual([result.code, result.stdout], [0, 'formatted a.policy\n']);
    assert.equal(await readFile(path.join(cwd, 'a.policy'), 'utf8'), TIDY);
    const after = await stat(path.join(cwd, 'b.policy'));
    assert.deepEqual(
      [after.ino, after.mtimeMs],
      [before.ino, before.mtimeMs],
      'a tidy file is not touched',
    );
    assert.equal((await runCli(['fmt', '--check', 'a.policy', 'b.policy'], { cwd })).code, 0);
  });
});

test('fmt: standard input to standard output; a file with errors stays', async () => {
  const piped = await runCli(['fmt', '-'], { stdin: UNTIDY });
  assert.deepEqual([piped.code, piped.stdout], [0, TIDY]);
  await inFolder({ 'a.policy': 'p( x :-\n', 'b.policy': UNTIDY }, async (cwd) => {
    const result = await runCli(['fmt', 'a.policy', 'b.policy'], { cwd });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /--> a\.policy:1:/);
    assert.equal(await readFile(path.join(cwd, 'a.policy'), 'utf8'), 'p( x :-\n');
    assert.equal(await readFile(path.join(cwd, 'b.policy'), 'utf8'), TIDY);
  });
});

test('repl: define, ask, take back', async () => {
  const stdin = [
    'edge(1, 2). edge(2, 3).',
    'path(x, y) :- edge(x, y).',
    'path(x, z) :- path(x, y),',
    '  edge(y, z).',
    'path(1, x)',
    'path(3, x)?',
    'path(1, 3)',
    ':undo',
    'path(1, 3)',
    ':list',
    '',
  ].join('\n');
  const result = await runCli(['repl'], { stdin });
  assert.equal(result.code, 0, result.stderr);
  assert.equal(
    result.stdout,
    [
      'x',
      '2',
      '3',
      'x',
      'true',
      'taken back',
      'false',
      'edge(1, 2). edge(2, 3).',
      'path(x, y) :- edge(x, y).',
      '',
    ].join('\n'),
  );
});

test('repl: what has errors is shown with its place and not defined', async () => {
  const stdin = 'p(1).\nq(x) :- p(y).\nq(x)\n:nope\n:tables\n';
  const result = await runCli(['repl'], { stdin });
  assert.equal(result.code, 1);
  assert.match(result.stderr, /--> input:1:3\b/);
  assert.match(result.stderr, /`:nope` is no command/);
  assert.match(result.stdout, /p\/1 +1/);
  assert.doesNotMatch(result.stdout, /q\/1/);
});

test('repl: files of policies and facts; answers for machines', async () => {
  const files = { 'net.policy': 'down(x) :- link(x, 0).\n', 'facts/link.facts': 'a\t0\nb\t1\n' };
  await inFolder(files, async (cwd) => {
    const result = await runCli(['repl', 'net.policy', '--facts', 'facts', '--json'], {
      cwd,
      stdin: 'down(x)\nlink(x, n), n > 0\n',
    });
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(
      result.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
      [
        { columns: ['x'], rows: [['a']] },
        { columns: ['x', 'n'], rows: [['b', 1]] },
      ],
    );
    await writeFile(path.join(cwd, 'facts/link.facts'), 'a\n');
    const broken = await runCli(['repl', 'net.policy', '--facts', 'facts'], { cwd });
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /link\.facts:1:2\b/);
  });
});
