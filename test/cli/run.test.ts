/** `caucus run`: each sentence of its formats has a case with the exact bytes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, open, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { filesOf, finished, inFolder, runCli, startCli } from './run-cli.ts';

interface Case {
  readonly program: string;
  readonly facts?: Readonly<Record<string, string>>;
  readonly updates?: string;
  readonly args?: readonly string[];
  /** Of OUT, exactly. */
  readonly out: Readonly<Record<string, string>>;
  readonly stderr?: RegExp;
}

const PATHS = 'path(x, y) :- edge(x, y).\npath(x, z) :- path(x, y), edge(y, z).\n';

const CASES: Readonly<Record<string, Case>> = {
  'recursion over a file without a declaration': {
    program: PATHS,
    facts: { 'edge.facts': 'a\tb\nb\tc\n' },
    out: { 'path.csv': 'a\tb\na\tc\nb\tc\n' },
  },
  'the time is one row, of this century': {
    program:
      'some(1) :- now(t), t > "2020", t < "2120".\nother(s) :- system:now(seconds=s), s < 0.\n',
    out: { 'other.csv': '', 'some.csv': '1\n' },
    stderr: /^$/,
  },
  'CRLF and no last line end': {
    program: PATHS,
    facts: { 'edge.facts': 'a\tb\r\nb\tc' },
    out: { 'path.csv': 'a\tb\na\tc\nb\tc\n' },
  },
  'tables with facts in the text are written, base tables are not': {
    program: 'p(1). p("x").\nq(x) :- p(x), r(x).\n',
    facts: { 'r.facts': '1\n2\n' },
    out: { 'p.csv': '1\nx\n', 'q.csv': '1\n' },
  },
  'content is base rows together with derived rows': {
    program: 'p(x) :- q(x).\nq(1).\n',
    facts: { 'p.facts': '2\n', 'q.facts': '3\n' },
    out: { 'p.csv': '1\n2\n3\n', 'q.csv': '1\n3\n' },
  },
  'a derived table without rows is an empty file': {
    program: 'p(x) :- q(x).\n',
    facts: { 'q.facts': '' },
    out: { 'p.csv': '' },
  },
  'a table without columns that is true has one empty line': {
    program: 'yes() :- q(x), x > 0.\nno() :- q(x), x < 0.\n',
    facts: { 'q.facts': '1\n2\n' },
    out: { 'no.csv': '', 'yes.csv': '\n' },
  },
  'a file of a table whose name has further colons': {
    program: 'p(x) :- x:y:z(x).\n',
    facts: { 'x.y.z.facts': '1\n' },
    args: ['--output', 'p,x:y:z'],
    out: { 'p.csv': '1\n', 'x.y.z.csv': '1\n' },
    stderr: /^$/,
  },
  'a base table without columns': {
    program: 'p(1) :- on().\np(2) :- off().\n',
    facts: { 'on.facts': '\n', 'off.facts': '' },
    out: { 'p.csv': '1\n' },
  },
  'the order of all types': {
    program: 'p(x) :- q(x).\ntable q(x: any)\np(1.0). p(0.5). p(true). p(false). p(null). p("").\n',
    facts: { 'q.facts': '10\n9\n-1\n1\n\\N\né\nz\nZ\na\n𝄞\n�\n' },
    out: { 'p.csv': '\\N\nfalse\ntrue\n-1\n0.5\n1\n1.0\n9\n10\n\nZ\na\nz\né\n�\n𝄞\n' },
  },
  'escapes, null and the empty string there and back': {
    program: 'p(x, y) :- q(x, y).\n',
    facts: { 'q.facts': 'a\\tb\tc\\nd\n\\r\\\\\t\n\\N\t\\\\N\n' },
    out: { 'p.csv': '\\N\t\\\\N\n\\r\\\\\t\na\\tb\tc\\nd\n' },
  },
  'ints only in their one form, within 64 bits': {
    program:
      'small(x) :- q(x), x >= -9223372036854775808, x <= 9223372036854775807.\nall(x) :- q(x).\n',
    facts: {
      'q.facts':
        '0\n-0\n7\n07\n+7\n9223372036854775807\n9223372036854775808\n-9223372036854775808\n-9223372036854775809\n1.0\n',
    },
    out: {
      'all.csv':
        '-9223372036854775808\n0\n7\n9223372036854775807\n+7\n-0\n-9223372036854775809\n07\n1.0\n9223372036854775808\n',
      'small.csv': '-9223372036854775808\n0\n7\n9223372036854775807\n',
    },
  },
  'a declared type decides how a field is read': {
    program: 'table q(s: string, i: int, f: float, b: bool)\np(s, i, f, b) :- q(s, i, f, b).\n',
    facts: { 'q.facts': '7\t7\t7\ttrue\n\\N\t\\N\t\\N\t\\N\n-0\t-7\t-0\tfalse\n' },
    out: { 'p.csv': '\\N\t\\N\t\\N\t\\N\n-0\t-7\t0.0\tfalse\n7\t7\t7.0\ttrue\n' },
  },
  'floats print in the shortest form with a point or an exponent': {
    program: 'table q(x: float)\np(x) :- q(x).\n',
    facts: { 'q.facts': '1\n0.10\n1e21\n1e-7\n100000000000000000000\n123.456\n-2.50\n' },
    out: { 'p.csv': '-2.5\n1e-7\n0.1\n1.0\n123.456\n100000000000000000000.0\n1e21\n' },
  },
  'tables of other owners have their owner in the file name': {
    program: 'p(x) :- inv:vm(x), not net:down(x).\n',
    facts: { 'inv.vm.facts': 'a\nb\n', 'net.down.facts': 'b\n' },
    out: { 'p.csv': 'a\n' },
  },
  '--output names tables of any owner': {
    program: 'p(x) :- inv:vm(x).\nq(x) :- p(x).\n',
    facts: { 'inv.vm.facts': 'b\na\n' },
    args: ['--output', 'q,inv:vm'],
    out: { 'inv.vm.csv': 'a\nb\n', 'q.csv': 'a\nb\n' },
  },
  'an action is a table': {
    program: 'execute[nova:stop(x)] :- bad(x).\n',
    facts: { 'bad.facts': 'a\n' },
    out: { 'execute.nova.stop.csv': 'a\n' },
  },
  'a file without a table is a warning': {
    program: 'p(x) :- edge(x).\n',
    facts: { 'edge.facts': '1\n', 'edeg.facts': '2\n' },
    out: { 'p.csv': '1\n' },
    stderr: /warning\[unused-file\].*`edeg\.facts`[\s\S]*did you mean `edge\.facts`/,
  },
  'other files of the directory do not matter': {
    program: 'p(x) :- edge(x).\n',
    facts: { 'edge.facts': '1\n', 'README.md': '\xff', 'edge.facts.bak': 'x\ty\n' },
    out: { 'p.csv': '1\n' },
  },
  'aggregates, negation, arithmetic': {
    program: [
      'deg(x, count()) :- edge(x, y).',
      'top(max(n)) :- deg(x, n).',
      'sink(y) :- edge(_, y), not edge(y, _).',
      'odd(x, n * 2 + 1) :- deg(x, n), n % 2 = 1.',
      '',
    ].join('\n'),
    facts: { 'edge.facts': '1\t2\n1\t3\n2\t3\n' },
    out: { 'deg.csv': '1\t2\n2\t1\n', 'odd.csv': '2\t3\n', 'sink.csv': '3\n', 'top.csv': '2\n' },
  },
  'deltas: only what changed, sorted by batch, table and row': {
    program: PATHS,
    facts: { 'edge.facts': '1\t2\n' },
    updates: '+edge\t2\t3\n\n-edge\t1\t2\n+edge\t0\t2\n\n',
    out: {
      'deltas.tsv':
        '1\t+\tpath\t1\t3\n1\t+\tpath\t2\t3\n2\t+\tpath\t0\t2\n2\t+\tpath\t0\t3\n2\t-\tpath\t1\t2\n2\t-\tpath\t1\t3\n',
      'path.csv': '0\t2\n0\t3\n2\t3\n',
    },
  },
  'deltas: empty batches count, a rest is a batch': {
    program: 'p(x) :- q(x).\n',
    facts: { 'q.facts': '' },
    updates: '\n\n+q\t1\n\n\n+q\t2',
    out: { 'deltas.tsv': '3\t+\tp\t1\n5\t+\tp\t2\n', 'p.csv': '1\n2\n' },
  },
  'deltas: the last operation on a row counts': {
    program: 'p(x) :- q(x).\n',
    facts: { 'q.facts': '1\n2\n' },
    updates: '-q\t1\n+q\t1\n+q\t3\n-q\t3\n+q\t2\n-q\t2\n',
    out: { 'deltas.tsv': '1\t-\tp\t2\n', 'p.csv': '1\n' },
  },
  'deltas: base tables are sets': {
    program: 'p(x) :- q(x).\n',
    facts: { 'q.facts': '1\n1\n' },
    updates: '+q\t1\n-q\t9\n\n-q\t1\n',
    out: { 'deltas.tsv': '2\t-\tp\t1\n', 'p.csv': '' },
  },
  'deltas: a minus removes base rows only': {
    program: 'p(1).\np(x) :- q(x).\n',
    facts: { 'p.facts': '1\n2\n', 'q.facts': '3\n' },
    updates: '-p\t1\n-p\t2\n-p\t3\n',
    out: { 'deltas.tsv': '1\t-\tp\t2\n', 'p.csv': '1\n3\n' },
  },
  'deltas: for the tables of --output, by printed name': {
    program: 'z(x) :- a:b(x).\nb(x) :- z(x).\n',
    facts: { 'a.b.facts': '1\n' },
    updates: '+a:b\t2\n',
    args: ['--output', 'z,a:b,b'],
    out: {
      'a.b.csv': '1\n2\n',
      'b.csv': '1\n2\n',
      'deltas.tsv': '1\t+\ta:b\t2\n1\t+\tb\t2\n1\t+\tz\t2\n',
      'z.csv': '1\n2\n',
    },
  },
  'deltas: a table without columns': {
    program: 'alarm() :- down(x).\n',
    facts: {},
    updates: '+down\ta\n\n-down\ta\n',
    out: { 'alarm.csv': '', 'deltas.tsv': '1\t+\talarm\n2\t-\talarm\n' },
  },
  'deltas: no change is an empty file': {
    program: 'p(x) :- q(x).\n',
    facts: { 'q.facts': '1\n' },
    updates: '',
    out: { 'deltas.tsv': '', 'p.csv': '1\n' },
  },
  'deltas: escapes in rows': {
    program: 'p(x) :- q(x).\n',
    facts: {},
    updates: '+q\ta\\tb\n+q\t\\N\n+q\t\n',
    out: {
      'deltas.tsv': '1\t+\tp\t\\N\n1\t+\tp\t\n1\t+\tp\ta\\tb\n',
      'p.csv': '\\N\n\na\\tb\n',
    },
  },
  'batch only gives the same tables': {
    program: PATHS,
    facts: { 'edge.facts': 'a\tb\nb\ta\n' },
    args: ['--batch-only'],
    out: { 'path.csv': 'a\ta\na\tb\nb\ta\nb\tb\n' },
  },
};

for (const [name, { program, facts = {}, updates, args = [], out, stderr }] of Object.entries(
  CASES,
)) {
  test(`run: ${name}`, async () => {
    const files = Object.fromEntries(
      Object.entries(facts).map(([file, content]) => [`facts/${file}`, content]),
    );
    await inFolder({ 'prog.dl': program, ...files }, async (folder) => {
      await mkdir(path.join(folder, 'facts'), { recursive: true });
      const all = ['run', 'prog.dl', '--facts', 'facts', '--out', 'out', ...args];
      if (updates !== undefined) {
        await writeFile(path.join(folder, 'updates'), updates);
        all.push('--updates', 'updates');
      }
      const result = await runCli(all, { cwd: folder });
      assert.equal(result.code, 0, result.stderr);
      assert.equal(result.stdout, '');
      if (stderr !== undefined) assert.match(result.stderr, stderr);
      else assert.doesNotMatch(result.stderr, /error/);
      assert.deepEqual(await filesOf(path.join(folder, 'out')), out);
    });
  });
}

interface Refusal {
  readonly files: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly code: number;
  readonly stderr: RegExp;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'a program with errors: all of them': {
    files: { 'prog.dl': 'p(x) :- q(y).\nr(z) :- not q(z).\n' },
    code: 1,
    stderr: /prog\.dl:1:[\s\S]*prog\.dl:2:/,
  },
  'a field that does not fit its declaration': {
    files: { 'prog.dl': 'table q(n: int)\np(x) :- q(x).\n', 'facts/q.facts': '1\nx\n' },
    code: 1,
    stderr: /`x` is no int[\s\S]*facts\/q\.facts:2:1\b/,
  },
  'an unknown escape': {
    files: { 'prog.dl': 'p(x) :- q(x, _).\n', 'facts/q.facts': '1\ta\n2\tb\\q\n' },
    code: 1,
    stderr: /`\\q` is no escape[\s\S]*facts\/q\.facts:2:4\b/,
  },
  'a wrong number of fields': {
    files: { 'prog.dl': 'p(x) :- q(x, _).\n', 'facts/q.facts': '1\ta\n2\n' },
    code: 1,
    stderr: /`q` has 2 fields, this line has 1[\s\S]*facts\/q\.facts:2:2\b/,
  },
  'an unknown table in the updates': {
    files: { 'prog.dl': 'p(x) :- edge(x).\n', updates: '+edge\t1\n\n+egde\t1\n' },
    args: ['--updates', 'updates'],
    code: 1,
    stderr: /no table `egde`[\s\S]*updates:3:2\b[\s\S]*did you mean `edge`/,
  },
  'rows for a table that the engine keeps': {
    files: {
      'prog.dl': 'p(x) :- system:errors(x, _, _, _).\n',
      updates: '+system:errors\ta\t1\tb\tc\n',
    },
    args: ['--updates', 'updates'],
    code: 1,
    stderr: /system:errors.*takes no rows/,
  },
  'an unknown table in --output': {
    files: { 'prog.dl': 'path(x) :- edge(x).\n' },
    args: ['--output', 'paht'],
    code: 1,
    stderr: /`--output` names `paht`[\s\S]*did you mean `path`/,
  },
  'a program that is not there': {
    files: { 'other.dl': '' },
    code: 1,
    stderr: /`prog\.dl` does not exist/,
  },
  'a directory that is not there': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['--facts', 'nowhere'],
    code: 1,
    stderr: /`nowhere` does not exist/,
  },
  'an --out that is a file': {
    files: { 'prog.dl': 'p(1).\n', taken: '' },
    args: ['--out', 'taken'],
    code: 1,
    stderr: /`taken` is not a directory/,
  },
  'a program that is no UTF-8': {
    files: { 'prog.dl': Buffer.from([0x70, 0x28, 0x22, 0xff]) as unknown as string },
    code: 1,
    stderr: /0xff is no valid UTF-8[\s\S]*prog\.dl:1:4\b/,
  },
  'an --out below a file': {
    files: { 'prog.dl': 'p(1).\n', taken: '' },
    args: ['--out', 'taken/below'],
    code: 1,
    stderr: /taken` is not a directory/,
  },
  'an --out where no directory can be made': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['--out', '/proc/caucus/out'],
    code: 1,
    stderr: /`\/proc\/caucus` cannot be made/,
  },
  'updates that are a directory': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['--updates', 'facts'],
    code: 1,
    stderr: /`facts` is a directory, not a file/,
  },
  'a mistyped --facts, by its name': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['--fact', 'facts'],
    code: 2,
    stderr: /unknown option `--fact`[\s\S]*--facts/,
  },
  'batch only with updates': {
    files: { 'prog.dl': 'p(1).\n', updates: '' },
    args: ['--batch-only', '--updates', 'updates'],
    code: 2,
    stderr: /`--batch-only` and `--updates` exclude each other/,
  },
  'an unknown flag, with the nearest': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['--updtes', 'x'],
    code: 2,
    stderr: /unknown option `--updtes`[\s\S]*--updates/,
  },
  'a second program': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['another.dl'],
    code: 2,
    stderr: /too many arguments/,
  },
  'an empty name in --output': {
    files: { 'prog.dl': 'p(1).\n' },
    args: ['--output', 'p,'],
    code: 2,
    stderr: /separated by commas/,
  },
};

for (const [name, { files, args = [], code, stderr }] of Object.entries(REFUSALS)) {
  test(`run refused: ${name}`, async () => {
    await inFolder(files, async (folder) => {
      await mkdir(path.join(folder, 'facts'), { recursive: true });
      const result = await runCli(['run', 'prog.dl', '--facts', 'facts', '--out', 'out', ...args], {
        cwd: folder,
      });
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, stderr);
      assert.equal(result.stdout, '');
      assert.equal(await filesOf(path.join(folder, 'out')), undefined, 'nothing is written');
    });
  });
}

test('run: without --facts it is bad usage', async () => {
  const result = await runCli(['run', 'prog.dl']);
  assert.equal(result.code, 2);
  assert.match(result.stderr, /--facts/);
});

test('run: without --out nothing is written, and everything is still evaluated', async () => {
  await inFolder({ 'prog.dl': PATHS, 'facts/edge.facts': '1\t2\n2\t1\n' }, async (folder) => {
    const result = await runCli(['run', 'prog.dl', '--facts', 'facts', '--stats', '--json'], {
      cwd: folder,
    });
    assert.equal(result.code, 0, result.stderr);
    const stats = JSON.parse(result.stdout) as Record<string, unknown>;
    assert.deepEqual(stats['tables'], { edge: 2, path: 4 });
    assert.equal(typeof stats['evaluateMs'], 'number');
    assert.ok((stats['peakBytes'] as number) > 0);
    assert.equal(stats['updateMs'], undefined);
    assert.deepEqual((await readdir(folder)).sort(), ['facts', 'prog.dl']);
  });
});

test('run: --stats with updates gives a time for each batch, the sizes are those at the end', async () => {
  const files = {
    'prog.dl': PATHS,
    'facts/edge.facts': '1\t2\n',
    updates: '+edge\t2\t3\n\n\n-edge\t1\t2\n',
  };
  await inFolder(files, async (folder) => {
    const args = ['run', 'prog.dl', '--facts', 'facts', '--updates', 'updates', '--stats'];
    const machine = await runCli([...args, '--json'], { cwd: folder });
    const stats = JSON.parse(machine.stdout) as {
      updateMs: number[];
      tables: Record<string, number>;
    };
    assert.equal(stats.updateMs.length, 3);
    assert.deepEqual(stats.tables, { edge: 1, path: 1 });
    const human = await runCli(args, { cwd: folder });
    assert.match(human.stdout, /stratum +tables +rows/);
    assert.match(human.stdout, /batches +3/);
  });
});

test('run: failed calls are said on stderr and can be read', async () => {
  const files = { 'prog.dl': 'p(x / y) :- q(x, y).\n', 'facts/q.facts': '1\t0\n4\t2\n' };
  await inFolder(files, async (folder) => {
    const result = await runCli(['run', 'prog.dl', '--facts', 'facts', '--out', 'out'], {
      cwd: folder,
    });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stderr, /1 call failed/);
    assert.deepEqual(await filesOf(path.join(folder, 'out')), { 'p.csv': '2\n' });
  });
});

test('run: keys with several rows are said on stderr and can be read', async () => {
  const files = {
    'prog.dl': 'table q(k: int key, v: int)\np(k) :- q(k, _).\n',
    'facts/q.facts': '1\t0\n1\t2\n3\t2\n',
  };
  await inFolder(files, async (folder) => {
    const run = ['run', 'prog.dl', '--facts', 'facts', '--out', 'out'];
    const result = await runCli(run, { cwd: folder });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stderr, /1 key has several rows[\s\S]*system:key_violations/);
    const asked = await runCli([...run, '--output', 'system:key_violations'], { cwd: folder });
    assert.equal(asked.stderr, '');
    const written = await filesOf(path.join(folder, 'out'));
    assert.equal(written?.['system.key_violations.csv'], 'prog:q\t[1]\n');
  });
});

test('run: problems for machines are JSON lines', async () => {
  const files = { 'prog.dl': 'table q(n: int)\np(x) :- q(x).\n', 'facts/q.facts': 'x\n' };
  await inFolder(files, async (folder) => {
    const result = await runCli(['run', 'prog.dl', '--facts', 'facts', '--json'], { cwd: folder });
    assert.equal(result.code, 1);
    const problem = JSON.parse(result.stderr) as Record<string, unknown>;
    assert.equal(problem['file'], path.join('facts', 'q.facts'));
    assert.deepEqual(
      [problem['line'], problem['column'], problem['code']],
      [1, 1, 'invalid-field'],
    );
  });
});

test('run: files that were there before a failure stay as they were', async () => {
  const files = {
    'prog.dl': 'p(x) :- q(x).\n',
    'facts/q.facts': '1\n',
    'out/p.csv': 'old\n',
    'out/x': 'other\n',
  };
  await inFolder(files, async (folder) => {
    const args = ['run', 'prog.dl', '--facts', 'facts', '--out', 'out'];
    await writeFile(path.join(folder, 'facts/q.facts'), '\\q\n');
    assert.equal((await runCli(args, { cwd: folder })).code, 1);
    assert.deepEqual(await filesOf(path.join(folder, 'out')), { 'p.csv': 'old\n', x: 'other\n' });
    await writeFile(path.join(folder, 'facts/q.facts'), '2\n');
    assert.equal((await runCli(args, { cwd: folder })).code, 0);
    assert.deepEqual(await filesOf(path.join(folder, 'out')), { 'p.csv': '2\n', x: 'other\n' });
  });
});

test('run: SIGINT ends with 130 and leaves nothing behind', async () => {
  await inFolder({ 'prog.dl': PATHS, 'facts/x': '' }, async (folder) => {
    const fifo = path.join(folder, 'facts/edge.facts');
    execFileSync('mkfifo', [fifo]);
    const child = startCli(['run', 'prog.dl', '--facts', 'facts', '--out', 'out'], { cwd: folder });
    const end = finished(child);
    // Opens once the command reads: it waits for rows now.
    const writer = await open(fifo, 'w');
    child.kill('SIGINT');
    await writer.close();
    const result = await end;
    assert.equal(result.code, 130, JSON.stringify(result));
    assert.equal(await filesOf(path.join(folder, 'out')), undefined);
  });
});
