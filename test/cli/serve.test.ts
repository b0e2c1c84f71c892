/** The server and its clients as processes: what people type, what they see, what survives. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import test from 'node:test';
import { finished, inFolder, runCli, startCli } from './run-cli.ts';
import type { CliProcess, CliResult } from './run-cli.ts';

interface LogLine {
  readonly event: string;
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Lines of a stream one by one; waiting for one that does not come ends with the stream. */
class Lines {
  readonly seen: string[] = [];
  private readonly lines: AsyncIterator<string>;

  constructor(stream: Readable) {
    this.lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    const { done, value } = await this.lines.next();
    if (done === true) throw new Error(`the output ended after:\n${this.seen.join('\n')}`);
    this.seen.push(value);
    return value;
  }

  async until(matches: (line: string) => boolean): Promise<string> {
    for (;;) {
      const line = await this.next();
      if (matches(line)) return line;
    }
  }
}

interface Server {
  readonly url: string;
  readonly port: string;
  readonly log: Lines;
  readonly process: CliProcess;
  readonly end: Promise<number | null>;
  event(name: string): Promise<LogLine>;
}

async function startServer(cwd: string, ...args: string[]): Promise<Server> {
  const child = startCli(['serve', '--json', '--data', 'data', '--port', '0', ...args], { cwd });
  child.stderr.resume();
  const end = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
  const log = new Lines(child.stdout);
  const event = async (name: string): Promise<LogLine> => {
    const line = await log.until((one) => (JSON.parse(one) as LogLine).event === name);
    return JSON.parse(line) as LogLine;
  };
  const ready = await event('server-ready');
  return {
    url: String(ready['url']),
    port: String(ready['port']),
    log,
    process: child,
    end,
    event,
  };
}

async function withServer(
  files: Readonly<Record<string, string>>,
  args: readonly string[],
  work: (server: Server, folder: string) => Promise<void>,
): Promise<void> {
  await inFolder(files, async (folder) => {
    const server = await startServer(folder, ...args);
    try {
      await work(server, folder);
    } finally {
      server.process.kill('SIGKILL');
      await server.end;
    }
  });
}

async function expectOk(result: Promise<CliResult>): Promise<string> {
  const { code, stdout, stderr } = await result;
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Asked without the command, which takes its time to start. */
async function rowsOf(server: Server, query: string): Promise<unknown> {
  const response = await fetch(`${server.url}/v1/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return ((await response.json()) as { rows: unknown }).rows;
}

async function revisionOf(server: Server): Promise<unknown> {
  const response = await fetch(`${server.url}/v1/status`);
  return ((await response.json()) as { revision: unknown }).revision;
}

interface Transaction {
  readonly revision: number;
  readonly token: string;
  readonly snapshot: boolean;
  readonly changes: readonly (readonly [string, readonly unknown[]])[];
}

function subscribe(
  server: Server,
  ...args: string[]
): { process: CliProcess; next(): Promise<Transaction> } {
  const child = startCli(['subscribe', '--json', '--url', server.url, ...args]);
  const lines = new Lines(child.stdout);
  child.stderr.resume();
  return { process: child, next: async () => JSON.parse(await lines.next()) as Transaction };
}

const POLICY = [
  'table g:edge(a: string, b: string)',
  'path(x, y) :- g:edge(x, y).',
  'path(x, z) :- path(x, y), g:edge(y, z).',
  '',
].join('\n');

test('load, query, subscribe; kill -9 and restart: what was acknowledged is there, the subscriber goes on', async () => {
  const files = { 'p.policy': POLICY, 'edge.csv': 'a,b\n1,2\n2,3\n', 'more.csv': '3,4\n' };
  await inFolder(files, async (cwd) => {
    const first = await startServer(cwd, '--policy', 'p.policy');
    const follower = subscribe(first, 'p:path(x, y)');
    try {
      const empty = await follower.next();
      assert.deepEqual(Object.keys(empty), ['revision', 'token', 'snapshot', 'changes']);
      assert.deepEqual([empty.snapshot, empty.changes], [true, []]);

      const loaded = await expectOk(
        runCli(['load', 'g', 'edge.csv', '--json', '--url', first.url], { cwd }),
      );
      const { revision, token, rows } = JSON.parse(loaded) as Record<string, unknown>;
      assert.equal(rows, 2);
      const delta = await follower.next();
      assert.deepEqual([delta.revision, delta.token, delta.snapshot], [revision, token, false]);
      assert.deepEqual(
        new Set(delta.changes.map(([sign, row]) => `${sign} ${row.join(' ')}`)),
        new Set(['+ 1 2', '+ 1 3', '+ 2 3']),
      );
      assert.deepEqual(await rowsOf(first, 'path("1", y)'), [['2'], ['3']]);

      first.process.kill('SIGKILL');
      await first.end;
      const second = await startServer(cwd, '--policy', 'p.policy', '--port', first.port);
      try {
        assert.deepEqual(await rowsOf(second, 'path("1", y)'), [['2'], ['3']]);
        const more = [
          'load',
          'g',
          'more.csv',
          '--no-header',
          '--table',
          'edge',
          '--insert',
          '--url',
          second.url,
        ];
        await expectOk(runCli(more, { cwd }));
        // What the replica still holds of the past decides between a delta and a new snapshot.
        let view = new Set(['1 2', '1 3', '2 3']);
        while (view.size < 6) {
          const next = await follower.next();
          if (next.snapshot) view = new Set();
          for (const [sign, row] of next.changes) {
            if (sign === '+') view.add(row.join(' '));
            else view.delete(row.join(' '));
          }
        }
        assert.deepEqual([...view].sort(), ['1 2', '1 3', '1 4', '2 3', '2 4', '3 4']);
      } finally {
        second.process.kill('SIGTERM');
        assert.equal(await second.end, 0, 'SIGTERM drains and ends with 0');
      }
    } finally {
      follower.process.kill('SIGKILL');
      first.process.kill('SIGKILL');
    }
  });
});

test('serve --policy: replaced where the text differs, in one revision; others stay', async () => {
  const files = { 'a.policy': 'p(1).\n', 'b.policy': 'q(2).\n' };
  await inFolder(files, async (cwd) => {
    const stop = async (server: Server): Promise<void> => {
      server.process.kill('SIGTERM');
      assert.equal(await server.end, 0);
    };
    const first = await startServer(cwd, '--policy', 'a.policy', 'b.policy');
    const loaded = first.log.seen
      .map((line) => JSON.parse(line) as LogLine)
      .find(({ event }) => event === 'policies-loaded');
    assert.deepEqual(loaded?.['names'], ['a', 'b'], 'one revision for both');
    const before = await revisionOf(first);
    await stop(first);

    const second = await startServer(cwd, '--policy', 'a.policy', 'b.policy');
    assert.equal(await revisionOf(second), before, 'nothing changed');
    await stop(second);

    await writeFile(path.join(cwd, 'a.policy'), 'p(3).\n');
    const third = await startServer(cwd, '--policy', 'a.policy');
    assert.deepEqual(await rowsOf(third, 'p(x)'), [[3]]);
    assert.deepEqual(await rowsOf(third, 'q(x)'), [[2]]);
    await stop(third);

    await writeFile(path.join(cwd, 'a.policy'), 'p(x) :- q(y).\n');
    const broken = await runCli(
      ['serve', '--data', 'data', '--port', '0', '--policy', 'a.policy'],
      { cwd },
    );
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /--> a\.policy:1:3\b/);
    const fourth = await startServer(cwd);
    assert.deepEqual(await rowsOf(fourth, 'p(x)'), [[3]], 'the last good text is in force');
    await stop(fourth);
  });
});

test('serve --source: a changed file is one batch with its exact difference', async () => {
  const files = {
    'p.policy': 'down(x) :- net:link(x, 0).\n',
    'net/link.csv': 'name,state\na,1\nb,1\n',
  };
  await withServer(files, ['--policy', 'p.policy', '--source', 'net=net'], async (server, cwd) => {
    await server.event('source-fresh');
    const follower = subscribe(server, 'down(x)');
    try {
      assert.deepEqual((await follower.next()).changes, []);
      await writeFile(path.join(cwd, 'net/link.csv'), 'name,state\na,0\nb,1\n');
      assert.deepEqual((await follower.next()).changes, [['+', ['a']]]);
      await writeFile(path.join(cwd, 'net/link.csv'), 'name,state\na,0,7\n');
      const stale = await server.event('source-stale');
      assert.match(String(stale['place']), /link\.csv:2/);
      assert.deepEqual(await rowsOf(server, 'down(x)'), [['a']], 'the last good rows stay');
    } finally {
      follower.process.kill('SIGKILL');
    }
  });
});

test('serve: a port in use, a data directory in use or unusable, a source that is not there', async () => {
  await withServer({ 'p.policy': 'p(1).\n', taken: '' }, [], async (server, cwd) => {
    const refused = async (stderr: RegExp, ...args: string[]): Promise<void> => {
      const result = await runCli(['serve', '--port', '0', ...args], { cwd });
      assert.equal(result.code, 1, result.stderr);
      assert.match(result.stderr, stderr);
      assert.equal(result.stdout, '');
    };
    await refused(
      /another program listens on[\s\S]*--port/,
      '--data',
      'other',
      '--port',
      server.port,
    );
    await refused(/`.*data` is used by process \d+[\s\S]*--data/, '--data', 'data');
    await refused(/cannot be used[\s\S]*--data/, '--data', 'taken');
    await refused(
      /`nowhere` of the source `x` does not exist/,
      '--data',
      'third',
      '--source',
      'x=nowhere',
    );
    await refused(/`no\.policy` does not exist/, '--data', 'fourth', '--policy', 'no.policy');
    assert.equal(
      (await fetch(`${server.url}/healthz/ready`)).status,
      200,
      'the first server is untouched',
    );
  });
});

test('serve: the banner says where it listens and how to go on; the log is on stderr', async () => {
  await inFolder({ 'p.policy': 'p(1).\nq(2).\n' }, async (cwd) => {
    const child = startCli(['serve', '--data', 'data', '--port', '0', '--policy', 'p.policy'], {
      cwd,
    });
    const result = finished(child);
    const lines = new Lines(child.stdout);
    const first = await lines.next();
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(first)?.[0];
    assert.ok(url !== undefined, first);
    await lines.until((line) => line.includes('Ctrl-C'));
    assert.match(lines.seen.join('\n'), /policies +p \(2\)[\s\S]*caucus subscribe --url/);
    assert.equal((await fetch(`${url}/healthz/ready`)).status, 200);
    child.kill('SIGINT');
    const { code, stderr } = await result;
    assert.equal(code, 0);
    assert.match(stderr, /requests are answered/);
  });
});

test('serve --allow-origin and --allow-host reach the guard', async () => {
  await withServer({}, ['--allow-origin', 'https://app.example'], async (server) => {
    const status = async (origin: string): Promise<number> =>
      (await fetch(`${server.url}/healthz/live`, { headers: { origin } })).status;
    assert.equal(await status('https://app.example'), 200);
    assert.equal(await status('https://other.example'), 403);
  });
});

test('query: a table, true and false, errors with carets', async () => {
  await withServer(
    { 'p.policy': 'p("a", 1).\np("b", 2.5).\np("", null).\n' },
    ['--policy', 'p.policy'],
    async ({ url }) => {
      const ask = (...args: string[]): Promise<CliResult> =>
        runCli(['query', '--url', url, ...args]);
      assert.equal((await ask('p(x, n)')).stdout, 'x   n\n""  null\na   1\nb   2.5\n');
      assert.equal((await ask('p("a", 1)')).stdout, 'true\n');
      assert.equal((await ask('p("a", 2)')).stdout, 'false\n');
      const wrong = await ask('p(x, n), pp(x)');
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, /pp[\s\S]*:1:10\b[\s\S]*\^/);
      assert.equal((await ask('p(x, y)', '--policy', 'nope')).code, 1);
      const token = (JSON.parse((await ask('--json', 'p(x, y)')).stdout) as { token: string })
        .token;
      assert.equal((await ask('p(x, y)', '--consistency', `atLeast:${token}`)).code, 0);
      assert.equal((await ask('p(x, y)', '--consistency', 'atLeast:nonsense')).code, 1);
    },
  );
});

test('ints of 64 bits and floats survive from the file to the answer', async () => {
  const files = { 'n.ndjson': '[9223372036854775807, 1.0]\n[-9223372036854775808, 1e300]\n' };
  await withServer(
    { ...files, 'p.policy': 'p(x, y) :- s:n(x, y).\n' },
    ['--policy', 'p.policy'],
    async ({ url }, cwd) => {
      await expectOk(runCli(['load', 's', 'n.ndjson', '--url', url], { cwd }));
      const { stdout } = await runCli(['query', '--json', '--url', url, 'p(x, y)']);
      assert.match(
        stdout,
        /"rows":\[\[-9223372036854775808,1e300\],\[9223372036854775807,1\.0\]\]/,
      );
    },
  );
});

test('load: modes, an id that counts once, a file with errors', async () => {
  const files = {
    'p.policy': 'p(x) :- s:t(x).\n',
    '12.csv': 'x\n1\n2\n',
    '3.tsv': '3\n',
    'bad.ndjson': '[1]\n[1, {}]\n',
  };
  await withServer(files, ['--policy', 'p.policy'], async (server, cwd) => {
    const load = (...args: string[]): Promise<CliResult> =>
      runCli(['load', 's', ...args, '--table', 't', '--url', server.url, '--json'], { cwd });
    await expectOk(load('12.csv'));
    await expectOk(load('3.tsv', '--insert'));
    assert.deepEqual(await rowsOf(server, 'p(x)'), [[1], [2], [3]]);
    await expectOk(load('12.csv', '--delete'));
    assert.deepEqual(await rowsOf(server, 'p(x)'), [[3]]);
    const once = await expectOk(load('12.csv', '--insert', '--id', 'k'));
    const again = await expectOk(load('12.csv', '--insert', '--id', 'k'));
    assert.equal(again, once, 'the first answer again');
    const other = await load('3.tsv', '--insert', '--id', 'k');
    assert.equal(other.code, 1);
    assert.match(other.stderr, /"code":"conflict"/);
    await expectOk(load('3.tsv', '--snapshot'));
    assert.deepEqual(await rowsOf(server, 'p(x)'), [[3]]);
    const bad = await load('bad.ndjson');
    assert.equal(bad.code, 1);
    assert.deepEqual((JSON.parse(bad.stderr) as { line: number }).line, 2);
    const piped = await runCli(
      ['load', 's', '-', '--table', 't', '--format', 'tsv', '--insert', '--url', server.url],
      { cwd, stdin: '7\n' },
    );
    assert.equal(piped.code, 0, piped.stderr);
    assert.deepEqual(await rowsOf(server, 'p(x)'), [[3], [7]]);
  });
});

test('subscribe: a log for people, resume by token, a bad query, SIGINT, a reader that goes away', async () => {
  const files = { 'p.policy': 'p(x) :- s:t(x).\n', 't.tsv': '1\n', 'u.tsv': '2\n' };
  await withServer(files, ['--policy', 'p.policy'], async (server, cwd) => {
    const load = (file: string): Promise<string> =>
      expectOk(
        runCli(['load', 's', file, '--table', 't', '--insert', '--url', server.url], { cwd }),
      );
    await load('t.tsv');

    const json = subscribe(server, 'p(x)');
    const snapshot = await json.next();
    assert.deepEqual(snapshot.changes, [['+', [1]]]);
    json.process.kill('SIGINT');
    assert.equal((await finished(json.process)).code, 130);

    await load('u.tsv');
    const resumed = subscribe(server, '--from', snapshot.token, 'p(x)');
    const next = await resumed.next();
    const expected = next.snapshot
      ? [
          ['+', [1]],
          ['+', [2]],
        ]
      : [['+', [2]]];
    assert.deepEqual(next.changes, expected);
    // Nobody reads any more: the next line ends the process, quietly.
    resumed.process.stdout.destroy();
    const end = finished(resumed.process);
    await writeFile(path.join(cwd, 'v.tsv'), '3\n');
    await load('v.tsv');
    assert.deepEqual([(await end).code, (await end).stderr], [0, '']);

    const people = startCli(['subscribe', '--url', server.url, 'p(x)']);
    const lines = new Lines(people.stdout);
    people.stderr.resume();
    await lines.until((line) => line.startsWith('+') && line.includes('3'));
    assert.match(lines.seen.join('\n'), /^revision \d+: 3 rows\n +x\n\+ +1\n\+ +2\n\+ +3$/);
    people.kill('SIGTERM');
    assert.equal((await finished(people)).code, 0);

    const bad = await runCli(['subscribe', '--json', '--url', server.url, 'nope(x)']);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /unknown-table/);
    const foreign = await runCli([
      'subscribe',
      '--json',
      '--url',
      server.url,
      '--from',
      'nonsense',
      'p(x)',
    ]);
    assert.equal(foreign.code, 1);
    assert.match(foreign.stderr, /token_invalid/);
  });
});

test('repl against a server: definitions go to the chosen policy', async () => {
  await withServer({}, [], async ({ url }) => {
    const stdin =
      'p(1).\n:policy lab\np(1). p(2).\nbig(x) :- p(x), x > 1.\nbig(x)\nbad(x) :- p(y).\n:undo\nbig(x)\n:list\n';
    const result = await runCli(['repl', '--url', url], { stdin });
    assert.equal(result.code, 1, 'three lines had errors');
    assert.match(result.stderr, /no policy is chosen/);
    assert.match(result.stderr, /bad/);
    assert.match(result.stdout, /\nx\n2\n/);
    assert.match(result.stdout, /\np\(1\)\. p\(2\)\.\n$/);
  });
});

test('a server of something else is named as such', async () => {
  const other = createServer((socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'),
  );
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = other.address() as AddressInfo;
    const result = await runCli(['status', '--url', `http://127.0.0.1:${port}`]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /is no Caucus server/);
  } finally {
    other.close();
  }
});
