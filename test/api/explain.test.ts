/** `/v1/explain`, `/v1/why-not` and their frames: members, errors, guards. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createApiServer } from '../../host/api/server.ts';
import type { ApiServer } from '../../host/api/server.ts';
import type { JsonObject } from '../../host/value/json.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import { send, sendJson } from '../support/http-client.ts';
import { WsClient } from '../support/ws-client.ts';

let server: ApiServer;
let url: string;
before(async () => {
  const replica = createFakeReplica();
  const renderDiagnostic = ({ code }: { code: string }, text: string) => `${code} in ${text}`;
  server = await createApiServer({ replica, host: '127.0.0.1', port: 0, renderDiagnostic });
  url = server.address.url;
  await sendJson(
    url,
    'POST',
    '/v1/sources/inv/batches',
    '{"insert":{"t":[[9007199254740993,1.0,["a"],{"b":null}]]}}',
  );
});
after(() => server.close({ drainMs: 0 }));

const ROW = '"inv:t(a, b, c, d)"';

test('values of a proof come as they were sent', async () => {
  const answer = await sendJson(url, 'POST', '/v1/explain', `{"row": ${ROW}}`);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.text, /"row":\[9007199254740993,1\.0,\["a"\],\{"b":null\}\]/);
  assert.match(answer.text, /"cut":0,"revision":1,"token":"fake\.1"\}$/);
});

test('bad members, and texts that do not compile, are refused with what is wrong', async () => {
  const cases: [path: string, body: string, code: string][] = [
    ['/v1/explain', '[]', 'invalid_request'],
    ['/v1/explain', '{}', 'invalid_request'],
    ['/v1/explain', '{"row": 1}', 'invalid_request'],
    ['/v1/explain', `{"row": ${ROW}, "nodes": 1}`, 'invalid_request'],
    ['/v1/explain', `{"row": ${ROW}, "nodesMax": 0}`, 'invalid_request'],
    ['/v1/explain', `{"row": ${ROW}, "nodesMax": 10001}`, 'invalid_request'],
    ['/v1/explain', `{"row": ${ROW}, "depthMax": 1.5}`, 'invalid_request'],
    ['/v1/explain', `{"row": ${ROW}, "rowsMax": 1}`, 'invalid_request'],
    ['/v1/explain', `{"row": ${ROW}, "consistency": "strong"}`, 'invalid_request'],
    ['/v1/explain', '{"row": "(("}', 'invalid_policy'],
    ['/v1/why-not', `{"row": ${ROW}}`, 'invalid_request'],
    ['/v1/why-not', '{"query": "(("}', 'invalid_policy'],
  ];
  for (const [path, body, code] of cases) {
    const answer = await sendJson(url, 'POST', path, body);
    assert.equal(answer.status, 400, body);
    const error = answer.json['error'] as JsonObject;
    assert.equal(error['code'], code, body);
    if (code !== 'invalid_policy') continue;
    const [diagnostic] = error['diagnostics'] as JsonObject[];
    assert.deepEqual([diagnostic?.['line'], diagnostic?.['column']], [1n, 1n]);
    assert.equal(diagnostic?.['rendered'], 'syntax in ((');
  }
});

test('the guards of all routes hold', async () => {
  const body = `{"row": ${ROW}}`;
  const headers = { 'content-type': 'application/json' };
  for (const path of ['/v1/explain', '/v1/why-not']) {
    const foreign = { ...headers, origin: 'https://page.example' };
    assert.equal((await send(url, 'POST', path, { headers: foreign, body })).status, 403);
    const host = { ...headers, host: 'page.example' };
    assert.equal((await send(url, 'POST', path, { headers: host, body })).status, 403);
    const plain = { 'content-type': 'text/plain' };
    assert.equal((await send(url, 'POST', path, { headers: plain, body })).status, 415);
    assert.equal((await send(url, 'GET', path)).status, 405);
  }
});

test('frames: answered under their ids, refused like others', async () => {
  const client = await WsClient.open(url);
  const ask = async (frame: string): Promise<JsonObject> => {
    client.sendRaw(frame);
    return await client.nextThat(({ type }) => type !== 'progress');
  };
  const found = await ask(`{"type": "explain", "id": "1", "row": ${ROW}}`);
  assert.deepEqual([found['type'], found['id'], found['found']], ['explanation', '1', true]);
  const none = await ask('{"type": "explain", "id": "1", "row": "inv:u(a)"}');
  assert.deepEqual([none['found'], none['nodes']], [false, undefined]);
  const reasons = await ask('{"type": "whyNot", "id": "2", "query": "inv:u(a)"}');
  assert.deepEqual([reasons['type'], reasons['id'], reasons['holds']], ['reasons', '2', false]);
  const bad = await ask('{"type": "explain", "id": "3", "row": "(("}');
  assert.deepEqual([bad['type'], bad['id'], bad['code']], ['error', '3', 'invalid_policy']);
  const unknown = await ask('{"type": "whyNot", "id": "4", "row": "inv:u(a)"}');
  assert.deepEqual([unknown['id'], unknown['code']], ['4', 'invalid_request']);
  await client.close();
});
