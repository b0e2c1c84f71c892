/** docs/PROTOCOL.md and docs/ERRORS.md say what the code does. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ROUTES, SOCKET_PATH } from '../../host/api/routes.ts';
import { createApiServer } from '../../host/api/server.ts';
import { CLOSE_CODES } from '../../host/api/session.ts';
import { ERROR_KINDS } from '../../host/errors.ts';
import { ExampleRunner, examplesOf } from '../support/protocol-examples.ts';
import { newWorld, startNode } from '../support/replica-world.ts';

const page = await readFile('docs/PROTOCOL.md', 'utf8');

async function withRunner(use: (runner: ExampleRunner) => Promise<void>): Promise<void> {
  const node = await startNode(await newWorld());
  const server = await createApiServer({
    replica: node.replica,
    host: '127.0.0.1',
    port: 0,
    limits: { heartbeatMs: 100 },
  });
  try {
    await use(new ExampleRunner(server.address.url));
  } finally {
    await server.close({ drainMs: 0 });
    await node.stop();
  }
}

test('every example runs as it stands', async () => {
  const examples = examplesOf(page);
  assert.ok(examples.length >= 30, `${examples.length} examples`);
  await withRunner(async (runner) => {
    for (const example of examples) {
      try {
        await runner.run(example);
      } catch (error) {
        throw new Error(`docs/PROTOCOL.md:${example.line}: ${String(error)}`, { cause: error });
      }
    }
  });
});

test('control: an example that is wrong in one place fails', async () => {
  const examples = examplesOf(page);
  const wrong: [from: string, to: string][] = [
    ['"rows": [[]]', '"rows": []'],
    ['"live": true', '"live": false'],
    ['"rowIndex": 1', '"rowIndex": 2'],
    ['close 4406', 'close 4400'],
    ['"sign": -1', '"sign": 1'],
    ['"start": "resume"', '"start": "snapshot"'],
  ];
  for (const [from, to] of wrong) {
    const at = examples.findIndex(({ text }) => text.includes(from));
    assert.ok(at >= 0, from);
    await withRunner(async (runner) => {
      for (const example of examples.slice(0, at)) await runner.run(example);
      const example = examples[at] as (typeof examples)[number];
      await assert.rejects(runner.run({ ...example, text: example.text.replace(from, to) }), from);
    });
  }
});

test('the page lists the routes that there are', () => {
  const listed = [...page.matchAll(/^\| `(GET|PUT|POST|DELETE) (\S+)` \|/gm)].map(
    (match) => `${match[1]} ${match[2]}`,
  );
  const served = ROUTES.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(listed.sort(), [...served, `GET ${SOCKET_PATH}`].sort());
});

test('the page lists the close codes that there are', () => {
  const listed = [...page.matchAll(/^\| (\d{4}) \|/gm)].map((match) => Number(match[1]));
  // 1009 is sent by the WebSocket library.
  assert.deepEqual(listed.sort(), [...Object.values(CLOSE_CODES), 1009].sort());
});

test('docs/ERRORS.md lists the codes that there are', async () => {
  const errors = await readFile('docs/ERRORS.md', 'utf8');
  const listed = [...errors.matchAll(/^\| `([a-z_]+)` \| (\d+) \| `([a-z-]+)` \| (.*) \|$/gm)].map(
    (match) => match.slice(1),
  );
  const kinds = Object.entries(ERROR_KINDS).map(([code, kind]) => [
    code,
    String(kind.status),
    kind.retry,
    kind.meaning,
  ]);
  const byCode = (rows: (string | undefined)[][]): (string | undefined)[][] =>
    rows.sort((a, b) => String(a[0]).localeCompare(String(b[0])));
  assert.deepEqual(byCode(listed), byCode(kinds));
});
