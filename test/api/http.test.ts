import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createApiServer } from '../../host/api/server.ts';
import type { ApiServer } from '../../host/api/server.ts';
import type { JsonObject } from '../../host/value/json.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';
import { send, sendBytes, sendJson } from '../support/http-client.ts';
import type { HttpAnswer } from '../support/http-client.ts';

const ALLOWED = 'https://console.example';
const LIMITS = {
  jsonBodyBytesMax: 100_000,
  batchBytesMax: 50_000,
  headersMsMax: 500,
  bodyIdleMsMax: 200,
};

let replica: FakeReplica;
let server: ApiServer;
let url: string;
let defects: unknown[];
before(async () => {
  replica = createFakeReplica();
  defects = [];
  server = await createApiServer({
    replica,
    host: '127.0.0.1',
    port: 0,
    limits: LIMITS,
    allowedHosts: ['policy.example', 'exact.example:99'],
    allowedOrigins: [ALLOWED],
    log: (level, _message, fields) => {
      if (level === 'error') defects.push(fields['error']);
    },
    renderDiagnostic: ({ code }, text) => `${code} in ${text}`,
  });
  url = server.address.url;
});
after(() => server.close({ drainMs: 0 }));

function errorOf(answer: HttpAnswer, status: number, code: string): JsonObject {
  assert.equal(answer.status, status, answer.text);
  const error = answer.json['error'] as JsonObject;
  assert.equal(error['code'], code, answer.text);
  assert.equal(typeof error['message'], 'string');
  assert.equal(typeof error['retry'], 'string');
  return error;
}
const query = (text: string): Promise<HttpAnswer> =>
  sendJson(url, 'POST', '/v1/query', JSON.stringify({ query: text }));

test('health: live and ready, not ready with the reason', async () => {
  assert.equal((await send(url, 'GET', '/healthz/live')).status, 200);
  assert.equal((await send(url, 'GET', '/healthz/ready')).json['ready'], true);
  replica.ready = false;
  const answer = await send(url, 'GET', '/healthz/ready');
  replica.ready = true;
  assert.equal(answer.status, 503);
  assert.deepEqual(answer.json['reasons'], ['the replica is starting']);
});

test('values come back as they were sent', async () => {
  const rows =
    '[[null],[false],[true],[-9223372036854775808],[1],[1.0],[0.1],[9007199254740993],[9223372036854775807],[1e300],["é\\u0000\\ud83d\\ude00\\""]]';
  const written = await sendJson(
    url,
    'POST',
    '/v1/sources/inv/batches',
    `{"insert":{"values":${rows}}}`,
  );
  assert.equal(written.status, 200, written.text);
  const answer = await query('inv:values(x)');
  assert.match(answer.text, /^\{"columns":\["x"\],"rows":\[\[/);
  assert.match(answer.text, /\[1\],\[1\.0\],/);
  assert.match(answer.text, /\[9007199254740993\]/);
  assert.deepEqual(Object.keys(answer.json), ['columns', 'rows', 'revision', 'token']);
  assert.equal((answer.json['rows'] as unknown[]).length, 11);
});

test('an answer in several pieces is one array', async () => {
  const rows = Array.from({ length: 40_000 }, (_, index): [bigint, string] => [
    BigInt(index),
    'x'.repeat(20),
  ]);
  replica.commit({ 'inv:many': { insert: rows } });
  const answer = await query('inv:many(x, y)');
  assert.equal((answer.json['rows'] as unknown[]).length, rows.length);
  assert.equal(answer.headers['transfer-encoding'], 'chunked');
});

test('a ground query and an empty answer', async () => {
  replica.commit({ 'inv:yes': { insert: [[]] } });
  assert.match((await query('inv:yes()')).text, /"columns":\[\],"rows":\[\[\]\]/);
  assert.match((await query('inv:no()')).text, /"columns":\[\],"rows":\[\]/);
});

test('a cut answer says so', async () => {
  const answer = await sendJson(url, 'POST', '/v1/query', '{"query":"inv:many(x,y)","rowsMax":2}');
  assert.equal((answer.json['rows'] as unknown[]).length, 2);
  assert.equal(answer.json['truncated'], true);
});

test('consistency: tokens of the future, of elsewhere, of nobody', async () => {
  const ask = (consistency: string): Promise<HttpAnswer> =>
    sendJson(url, 'POST', '/v1/query', `{"query":"inv:a(x)","consistency":${consistency}}`);
  assert.equal((await ask('"latest"')).status, 200);
  const { token } = (await ask('"any"')).json;
  assert.equal((await ask(`{"atLeast":"${String(token)}"}`)).status, 200);
  assert.equal(
    errorOf(await ask('{"atLeast":"fake.999999"}'), 503, 'replica_behind')['retry'],
    'other-replica',
  );
  errorOf(await ask('{"exact":"other.1"}'), 400, 'token_foreign');
  errorOf(await ask('{"exact":"?"}'), 400, 'token_invalid');
  errorOf(await ask('{"exact":"fake.0"}'), 410, 'revision_expired');
  errorOf(await ask('"sometimes"'), 400, 'invalid_request');
  errorOf(await ask('{"atLeast":"fake.1","exact":"fake.1"}'), 400, 'invalid_request');
});

test('a batch id is answered once, another body under it is a conflict', async () => {
  const write = (body: string): Promise<HttpAnswer> =>
    sendJson(url, 'POST', '/v1/sources/inv/batches', body);
  const first = await write('{"id":"b1","insert":{"ids":[[1]]}}');
  const again = await write('{"insert":{"ids":[[1]]},"id":"b1"}');
  assert.equal(first.text, again.text);
  errorOf(await write('{"id":"b1","insert":{"ids":[[2]]}}'), 409, 'conflict');
  const lines = await send(url, 'POST', '/v1/sources/inv/batches', {
    headers: { 'content-type': 'application/x-ndjson' },
    body: '{"id":"b1"}\n["+","ids",[1]]\n',
  });
  assert.equal(lines.text, first.text);
});

test('a refused batch changes nothing and says which row', async () => {
  const before = replica.status().revision;
  const answer = await sendJson(
    url,
    'POST',
    '/v1/sources/inv/batches',
    '{"insert":{"t":[[1],[1,2]]}}',
  );
  const error = errorOf(answer, 400, 'invalid_row');
  assert.equal(error['table'], 't');
  assert.equal(error['rowIndex'], 1n);
  assert.equal(error['line'], 1n);
  assert.equal(replica.status().revision, before);
});

test('policies: put as text and as JSON, get both ways, list, delete', async () => {
  const put = (type: string, body: string): Promise<HttpAnswer> =>
    send(url, 'PUT', '/v1/policies/net%20a/text', { headers: { 'content-type': type }, body });
  assert.equal((await put('text/plain; charset=utf-8', 'p(1).')).status, 200);
  assert.equal((await put('application/json', '{"text":"p(2)."}')).status, 200);
  const answer = await send(url, 'GET', '/v1/policies/net%20a/text');
  assert.equal(answer.json['text'], 'p(2).');
  assert.equal(answer.json['name'], 'net a');
  const plain = await send(url, 'GET', '/v1/policies/net%20a/text', {
    headers: { accept: 'text/plain' },
  });
  assert.equal(plain.text, 'p(2).');
  assert.equal(plain.headers['caucus-revision'], String(answer.json['revision']));
  assert.equal(((await send(url, 'GET', '/v1/policies')).json['policies'] as unknown[]).length, 1);
  assert.equal((await send(url, 'DELETE', '/v1/policies/net%20a/text')).status, 200);
  errorOf(await send(url, 'GET', '/v1/policies/net%20a/text'), 404, 'unknown_policy');
  errorOf(await send(url, 'DELETE', '/v1/policies/net%20a/text'), 404, 'unknown_policy');
});

test('an invalid policy answers with every diagnostic, a dry run with the same ones or the effect', async () => {
  for (const suffix of ['', '?dryRun=true']) {
    const answer = await send(url, 'PUT', `/v1/policies/net/text${suffix}`, {
      headers: { 'content-type': 'text/plain' },
      body: 'a bad one',
    });
    const [diagnostic] = errorOf(answer, 400, 'invalid_policy')['diagnostics'] as JsonObject[];
    assert.deepEqual(
      { ...diagnostic },
      {
        severity: 'error',
        code: 'bad-word',
        line: 1n,
        column: 3n,
        message: 'the word `bad` is bad',
        note: 'use `good`',
        rendered: 'bad-word in a bad one',
      },
    );
  }
  const before = replica.status().revision;
  const dry = await send(url, 'PUT', '/v1/policies/net/text?dryRun=true', {
    headers: { 'content-type': 'text/plain' },
    body: 'good',
  });
  assert.equal(dry.text, '{"changes":{"p:q":{"insert":[[1]],"delete":[]}},"diagnostics":[]}');
  assert.equal(replica.status().revision, before);
  errorOf(
    await send(url, 'DELETE', '/v1/policies/net/text?dryRun=perhaps'),
    400,
    'invalid_request',
  );
  errorOf(await send(url, 'DELETE', '/v1/policies/net/text?dry=true'), 400, 'invalid_request');
});

test('unknown routes name the nearest, wrong methods the right ones', async () => {
  const error = errorOf(await send(url, 'GET', '/v1/polices'), 404, 'unknown_route');
  assert.match(String(error['remedy']), /GET \/v1\/policies/);
  const wrong = await send(url, 'GET', '/v1/query');
  errorOf(wrong, 405, 'method_not_allowed');
  assert.equal(wrong.headers['allow'], 'POST, OPTIONS');
  errorOf(await send(url, 'TRACE', '/v1/status'), 405, 'method_not_allowed');
  errorOf(await send(url, 'GET', '/v1/policies/%E9/text'), 400, 'invalid_request');
});

test('HEAD is GET without a body, OPTIONS lists the methods', async () => {
  const head = await send(url, 'HEAD', '/v1/status');
  assert.equal(head.status, 200);
  assert.equal(head.text, '');
  const options = await send(url, 'OPTIONS', '/v1/policies/x/text');
  assert.equal(options.status, 204);
  assert.equal(options.headers['allow'], 'GET, PUT, DELETE, HEAD, OPTIONS');
  errorOf(await send(url, 'OPTIONS', '/nowhere'), 404, 'unknown_route');
});

test('no form of a web page gets through: content types', async () => {
  const before = replica.status().revision;
  const types = [
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'application/json; charset=utf-16',
  ];
  for (const type of types) {
    for (const path of ['/v1/sources/inv/batches', '/v1/query']) {
      const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
      const answer = await send(url, 'POST', path, {
        headers,
        body: '{"query":"inv:a(x)","insert":{"a":[[1]]}}',
      });
      errorOf(answer, 415, 'unsupported_media_type');
    }
  }
  assert.equal(replica.status().revision, before);
  const compressed = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  errorOf(
    await send(url, 'POST', '/v1/query', { headers: compressed, body: 'x' }),
    415,
    'unsupported_media_type',
  );
});

test('no web page gets through: Origin and Host on every route', async () => {
  const port = String(server.address.port);
  const refused: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${port}` },
    { origin: `${ALLOWED}.evil.example` },
    { host: `evil.example:${port}` },
    { host: 'evil.example' },
    { host: '127.0.0.1:1' },
    { host: 'localhost' },
    { host: `127.0.0.1:${port}@evil.example` },
    { host: 'exact.example:98' },
    { host: '169.254.169.254' },
  ];
  for (const headers of refused) {
    for (const path of ['/healthz/live', '/v1/status', '/nowhere']) {
      errorOf(await send(url, 'GET', path, { headers }), 403, 'forbidden_origin');
    }
  }
  for (const head of ['GET /v1/status HTTP/1.1\r\nhost:\r\n', 'GET /v1/status HTTP/1.0\r\n']) {
    assert.match(await sendBytes(url, `${head}connection: close\r\n\r\n`), /forbidden_origin/);
  }
  const allowed: Record<string, string>[] = [
    { origin: ALLOWED },
    { host: `localhost:${port}` },
    { host: `LocalHost:${port}` },
    { host: `[::1]:${port}` },
    { host: 'policy.example' },
    { host: 'policy.example:443' },
    { host: 'exact.example:99' },
  ];
  for (const headers of allowed) {
    assert.equal(
      (await send(url, 'GET', '/v1/status', { headers })).status,
      200,
      JSON.stringify(headers),
    );
  }
});

test('a page of an allowed origin may ask first and read the answer', async () => {
  const preflight = await send(url, 'OPTIONS', '/v1/query', { headers: { origin: ALLOWED } });
  assert.equal(preflight.headers['access-control-allow-origin'], ALLOWED);
  assert.equal(preflight.headers['access-control-allow-methods'], 'POST, OPTIONS');
  const foreign = await send(url, 'OPTIONS', '/v1/query', {
    headers: { origin: 'https://evil.example' },
  });
  errorOf(foreign, 403, 'forbidden_origin');
  assert.equal(foreign.headers['access-control-allow-origin'], undefined);
});

test('bodies over the limit: declared, undeclared, and rows of NDJSON', async () => {
  const body = `{"query":"${'x'.repeat(LIMITS.jsonBodyBytesMax)}"}`;
  const headers = { 'content-type': 'application/json' };
  errorOf(await send(url, 'POST', '/v1/query', { headers, body }), 413, 'too_large');
  const chunked = { ...headers, 'transfer-encoding': 'chunked' };
  errorOf(await send(url, 'POST', '/v1/query', { headers: chunked, body }), 413, 'too_large');
  const line = `["+","t",["${'y'.repeat(1_000)}"]]\n`;
  const ndjson = { 'content-type': 'application/x-ndjson' };
  const path = '/v1/sources/inv/batches';
  errorOf(
    await send(url, 'POST', path, { headers: ndjson, body: line.repeat(5_000) }),
    413,
    'too_large',
  );
  assert.deepEqual(replica.rowsAt(replica.status().revision, 'inv:t'), []);
});

test('malformed bodies', async () => {
  errorOf(await sendJson(url, 'POST', '/v1/query', '{"query":'), 400, 'invalid_request');
  errorOf(await sendJson(url, 'POST', '/v1/query', '[]'), 400, 'invalid_request');
  errorOf(await sendJson(url, 'POST', '/v1/query', '{}'), 400, 'invalid_request');
  errorOf(await sendJson(url, 'POST', '/v1/query', '{"query":1}'), 400, 'invalid_request');
  errorOf(
    await sendJson(url, 'POST', '/v1/query', '{"query":"a","querry":"b"}'),
    400,
    'invalid_request',
  );
  errorOf(
    await sendJson(url, 'POST', '/v1/query', '{"query":"inv:a(x)","rowsMax":0}'),
    400,
    'invalid_request',
  );
  const [diagnostic] = errorOf(await query('inv:a('), 400, 'invalid_policy')[
    'diagnostics'
  ] as JsonObject[];
  assert.equal(diagnostic?.['rendered'], 'syntax in inv:a(');
  const bytes = await send(url, 'PUT', '/v1/policies/x/text', {
    headers: { 'content-type': 'text/plain' },
    body: Uint8Array.of(0x70, 0xff),
  });
  errorOf(bytes, 400, 'invalid_request');
});

test('a body that stops arriving is answered and its connection closed', async () => {
  const head = `POST /v1/query HTTP/1.1\r\nhost: 127.0.0.1:${server.address.port}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"que`;
  const answer = await sendBytes(url, head, false);
  assert.match(answer, /^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
});

test('bytes that are no HTTP get an error object', async () => {
  const answer = await sendBytes(url, 'GARBAGE\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 400 .*"code":"invalid_request"/s);
  const long = await sendBytes(url, `GET / HTTP/1.1\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`);
  assert.match(long, /"code":"too_large"/);
});

test('a defect is answered without its details', async () => {
  const original = replica.query.bind(replica);
  replica.query = () => Promise.reject(new Error('secret'));
  const answer = await query('inv:a(x)');
  replica.query = original;
  errorOf(answer, 500, 'internal');
  assert.ok(!answer.text.includes('secret'));
  assert.equal((defects.pop() as Error).message, 'secret');
});

test('closing: not ready first, running requests finish, then nothing listens', async () => {
  const own = createFakeReplica();
  const closing = await createApiServer({ replica: own, host: '127.0.0.1', port: 0 });
  let release = (): void => {};
  const started = new Promise<void>((resolve) => {
    own.pause = () => {
      resolve();
      return new Promise((go) => (release = go));
    };
  });
  const running = sendJson(closing.address.url, 'POST', '/v1/query', '{"query":"inv:a(x)"}');
  await started;
  const closed = closing.close({ drainMs: 60_000 });
  release();
  assert.equal((await running).status, 200);
  await closed;
  await assert.rejects(send(closing.address.url, 'GET', '/healthz/live'));
});

test('no request of this file met a defect', () => {
  assert.deepEqual(defects, []);
});

test('a large answer is made piece by piece, with turns of the event loop in between', async () => {
  const pieced = await createApiServer({
    replica,
    host: '127.0.0.1',
    port: 0,
    limits: { answerPieceBytes: 1_000 },
  });
  const count = 50_000;
  const insert = Array.from({ length: count }, (_, index) => [BigInt(index)]);
  replica.commit({ 'large:a': { insert } });
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  turn();
  const answer = await sendJson(
    pieced.address.url,
    'POST',
    '/v1/query',
    '{"query": "large:a(x)", "policy": "large"}',
  );
  isOver = true;
  await pieced.close({ drainMs: 0 });
  assert.equal((answer.json['rows'] as unknown[]).length, count);
  // Five bytes a row.
  assert.ok(turns >= count / 200, `${turns} turns`);
});
