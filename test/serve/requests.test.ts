/** Requests as strangers send them, to a real server over its sockets: codes, bodies, frames. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { rm, mkdtemp } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FRAME_BYTES_MAX } from '../../host/limits.ts';
import type { JsonObject } from '../../host/value/json.ts';
import { runCli } from '../cli/run-cli.ts';
import { send, sendBytes } from '../support/http-client.ts';
import { ServerProcess } from '../support/server-process.ts';
import { WsClient } from '../support/ws-client.ts';

let cwd: string;
let server: ServerProcess;

before(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), 'caucus-requests-'));
  server = await ServerProcess.start(cwd);
  for (const [name, text] of [
    ['a', 'table s:t(x: int)\nboth(1). p(x) :- s:t(x).'],
    ['b', 'both(2).\nq(x) :- a:p(x).'],
  ] as const) {
    assert.equal((await server.putPolicy(name, text)).status, 200);
  }
});

after(async () => {
  await server.kill();
  await rm(cwd, { recursive: true, force: true });
});

const errorOf = (answer: { readonly json: JsonObject }): JsonObject =>
  answer.json['error'] as JsonObject;

/** What a query is answered with over HTTP, over the WebSocket in every frame, and by the CLI. */
async function codesOf(query: string): Promise<Record<string, unknown>> {
  const codes: Record<string, unknown> = {};
  const http = await server.query(query);
  codes['http'] = [http.status, errorOf(http)['code']];
  const client = await WsClient.open(server.url);
  const frames: JsonObject[] = [
    { type: 'query', id: 'query', query },
    { type: 'prepare', id: 'prepare', query },
    { type: 'subs', id: 'subs', add: [{ id: 'subs', query }] },
    { type: 'batch', id: 'batch', items: [{ key: 'k', query }] },
  ];
  for (const { id, ...sent } of frames) {
    client.send(sent['type'] === 'subs' ? sent : { id, ...sent });
    const frame = await client.nextThat((one) => one['id'] === id);
    const [item] = (frame['items'] ?? []) as JsonObject[];
    const error = (item?.['error'] ?? frame) as JsonObject;
    codes[String(id)] = error['code'];
    const [diagnostic] = error['diagnostics'] as JsonObject[];
    const [overHttp] = errorOf(http)['diagnostics'] as JsonObject[];
    assert.deepEqual(diagnostic, overHttp, `${String(id)}: the same members as over HTTP`);
  }
  await client.close();
  for (const command of ['query', 'subscribe']) {
    const args = [command, '--json', '--url', server.url, query];
    const { code, stderr } = await runCli(args);
    codes[command] = [code, (JSON.parse(stderr.split('\n')[0] ?? '') as JsonObject)['code']];
  }
  return codes;
}

test('a name of several policies is `ambiguous`, wherever the query comes from', async () => {
  assert.deepEqual(await codesOf('both(x)'), {
    http: [400, 'ambiguous'],
    query: [1, 'ambiguous'],
    prepare: 'ambiguous',
    subs: 'ambiguous',
    batch: 'ambiguous',
    subscribe: [1, 'ambiguous'],
  });
});

test('a query with more columns than a row can have', async () => {
  const query = Array.from({ length: 65 }, (_, index) => `a:p(x${index})`).join(', ');
  assert.deepEqual(await codesOf(query), {
    http: [400, 'invalid_policy'],
    query: [1, 'limit-exceeded'],
    prepare: 'invalid_policy',
    subs: 'invalid_policy',
    batch: 'invalid_policy',
    subscribe: [1, 'limit-exceeded'],
  });
});

test('POST takes JSON only, PUT of a policy also what programs send without being told', async () => {
  const post = async (type: string | undefined): Promise<unknown> => {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    const bodies = {
      '/v1/query': '{"query": "a:p(x)"}',
      '/v1/sources/s/batches': '{"insert": {}}',
    };
    const statuses: unknown[] = [];
    for (const [route, body] of Object.entries(bodies)) {
      statuses.push((await send(server.url, 'POST', route, { headers, body })).status);
    }
    return statuses;
  };
  assert.deepEqual(await post('application/json'), [200, 200]);
  assert.deepEqual(await post('Application/JSON; charset="UTF-8"'), [200, 200]);
  for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'text/json']) {
    assert.deepEqual(await post(type), [415, 415], type);
  }
  const put = async (type: string | undefined, body: string): Promise<number> => {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
    return (await send(server.url, 'PUT', '/v1/policies/c/text', { headers, body })).status;
  };
  const octets = 'application/octet-stream';
  for (const type of [undefined, 'text/plain', octets, 'application/x-www-form-urlencoded']) {
    assert.equal(await put(type, `c("${type ?? 'none'}").`), 200, type);
    assert.deepEqual((await server.query('c:c(x)')).json['rows'], [[type ?? 'none']]);
  }
  assert.equal(await put('application/json', '{"text": "c(1)."}'), 200);
  assert.equal(await put('application/json', 'c(1).'), 400);
  assert.equal(await put('text/html', 'c(1).'), 415);
  assert.equal((await server.deletePolicy('c')).status, 200);
});

test('what a write does to another policy is shown in the text of that policy', async () => {
  const rendered = ({ rendered: text }: JsonObject): unknown => text;
  const broken = await server.putPolicy('a', 'table s:t(x: int)\nboth(1). p(x, x) :- s:t(x).');
  assert.equal(broken.status, 400);
  const [error] = errorOf(broken)['diagnostics'] as JsonObject[];
  assert.equal(error?.['source'], 'b');
  assert.match(String(rendered(error)), /b:2:9\n.*\n2 \| q\(x\) :- a:p\(x\)\.\n/);
  const dry = await send(server.url, 'DELETE', '/v1/policies/a/text?dryRun=true');
  const [warning] = dry.json['diagnostics'] as JsonObject[];
  assert.match(String(rendered(warning as JsonObject)), /b:2:9\n.*\n2 \| q\(x\) :- a:p\(x\)\.\n/);
  const own = await server.putPolicy('b', 'q(x) :- a:p(y).');
  const [first] = errorOf(own)['diagnostics'] as JsonObject[];
  assert.match(String(rendered(first as JsonObject)), /\n1 \| q\(x\) :- a:p\(y\)\.\n/);
});

test('a frame that is too large closes its connection with 1009, others go on', async () => {
  const other = await WsClient.open(server.url);
  const client = await WsClient.open(server.url);
  const query = (bytes: number): string => {
    const frame = (text: string): string => `{"type":"query","id":"1","query":"a:p(x) // ${text}"}`;
    return frame('x'.repeat(bytes - frame('').length));
  };
  client.sendRaw(query(FRAME_BYTES_MAX));
  await client.next('result', '1');
  client.sendRaw(query(FRAME_BYTES_MAX + 1));
  await client.closed;
  assert.equal(client.closeCode, 1009);
  other.send({ type: 'query', id: '2', query: 'a:p(x)' });
  await other.next('result', '2');
  await other.close();
});

function upgrade(headers: Record<string, string>): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${server.url}/v1/ws`, {
      agent: false,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'caucus.v1',
        ...headers,
      },
    });
    outgoing.on('error', reject);
    outgoing.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, body: '' });
    });
    outgoing.on('response', (response) => {
      let body = '';
      response.on('data', (piece: Buffer) => (body += piece.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    outgoing.end();
  });
}

test('the WebSocket upgrade looks at Origin and Host as every route does', async () => {
  const { port } = new URL(server.url);
  assert.equal((await upgrade({})).status, 101, 'the control: without a foreign header it works');
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${port}` },
    { host: `evil.example:${port}` },
    { host: 'evil.example' },
  ] as Record<string, string>[]) {
    const refused = await upgrade(headers);
    assert.equal(refused.status, 403, JSON.stringify(headers));
    assert.match(refused.body, /"code":"forbidden_origin"/);
  }
  const open = await ServerProcess.start(
    await mkdtemp(path.join(cwd, 'open-')),
    ...['--allow-origin', 'https://good.example'],
  );
  try {
    const allowed = await WsClient.open(open.url, {}, { origin: 'https://good.example' });
    await allowed.close();
  } finally {
    await open.kill();
  }
});

function neverEnding(): Promise<string> {
  const head = 'POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
  return sendBytes(server.url, `${head}X-Slow: `, false);
}

test('a request whose headers never end is cut off; meanwhile others are answered', async () => {
  const slow = neverEnding();
  assert.equal((await server.query('a:p(x)')).status, 200);
  assert.match(await slow, /^HTTP\/1\.1 408 /);
  assert.equal((await server.query('a:p(x)')).status, 200);
});
