import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { createApiServer } from '../../host/api/server.ts';
import type { ApiServer } from '../../host/api/server.ts';
import type { ApiLimits } from '../../host/api/api-limits.ts';
import { CaucusError } from '../../host/errors.ts';
import type { JsonObject } from '../../host/value/json.ts';
import type { Row } from '../../host/value/value.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';
import { send } from '../support/http-client.ts';
import { WsClient } from '../support/ws-client.ts';
import type { Frame } from '../support/ws-client.ts';

let replica: FakeReplica;
let server: ApiServer;
let url: string;
let defects: unknown[];
beforeEach(() => start({}));
afterEach(async () => {
  await server.close({ drainMs: 0 });
  assert.deepEqual(defects, []);
});

async function start(limits: Partial<ApiLimits>): Promise<void> {
  replica = createFakeReplica();
  defects = [];
  server = await createApiServer({
    replica,
    host: '127.0.0.1',
    port: 0,
    limits,
    allowedOrigins: ['https://console.example'],
    log: (level, _message, fields) => {
      if (level === 'error') defects.push(fields['error']);
    },
  });
  url = server.address.url;
}
async function restart(limits: Partial<ApiLimits>): Promise<void> {
  await server.close({ drainMs: 0 });
  await start(limits);
}
const int = (value: number): Row => [BigInt(value)];
const subscribe = (client: WsClient, id: string, more: JsonObject = {}): void =>
  client.send({ type: 'subs', add: [{ id, query: 'inv:a(x)', ...more }] });
const range = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, index) => int(from + index));

const tick = (): Promise<void> => Promise.resolve();

test('welcome says where the server stands and what it takes', async () => {
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  const client = await WsClient.connect(url);
  client.send({ type: 'hello', proto: [7n, 1n] });
  const welcome = await client.next('welcome');
  assert.equal(welcome['proto'], 1n);
  assert.equal(welcome['head'], 'fake.1');
  assert.equal(welcome['revision'], 1n);
  assert.equal(welcome['retainFrom'], 'fake.0');
  assert.equal(typeof welcome['heartbeatMs'], 'bigint');
  assert.equal(typeof (welcome['limits'] as JsonObject)['frameBytes'], 'bigint');
  await client.close();
});

test('close codes: no hello first, hello twice, no common version, late, binary', async () => {
  await restart({ helloMsMax: 50 });
  const closeOf = async (act: (client: WsClient) => void): Promise<number | undefined> => {
    const client = await WsClient.connect(url);
    act(client);
    await client.closed;
    return client.closeCode;
  };
  assert.equal(await closeOf((client) => client.send({ type: 'credit', bytes: 1n })), 4400);
  assert.equal(await closeOf((client) => client.sendRaw('nonsense')), 4400);
  assert.equal(await closeOf((client) => client.send({ type: 'hello', proto: [2n] })), 4406);
  assert.equal(await closeOf(() => {}), 4408);
  assert.equal(await closeOf((client) => client.sendRaw(Uint8Array.of(1, 2))), 4400);
  const twice = await WsClient.open(url);
  twice.send({ type: 'hello', proto: [1n] });
  await twice.closed;
  assert.equal(twice.closeCode, 4400);
});

test('a frame over the limit closes with 1009, and the next client is served', async () => {
  const client = await WsClient.open(url);
  client.sendRaw(`{"type":"query","id":"1","query":"${'x'.repeat(2 ** 20)}"}`);
  await client.closed;
  assert.equal(client.closeCode, 1009);
  await (await WsClient.open(url)).close();
});

test('upgrades are refused by Origin, path and subprotocol', async () => {
  const refused = (path: string, headers: Record<string, string>) =>
    send(url, 'GET', path, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'caucus.v1',
        ...headers,
      },
    });
  assert.equal((await refused('/v1/ws', { origin: 'https://evil.example' })).status, 403);
  assert.equal((await refused('/v1/ws', { host: 'evil.example' })).status, 403);
  assert.equal((await refused('/v1/wss', {})).status, 404);
  assert.equal((await refused('/v1/ws', { 'sec-websocket-protocol': 'graphql-ws' })).status, 400);
  const client = await WsClient.open(url, {}, { origin: 'https://console.example' });
  await client.close();
});

test('a query, by text, with arguments, prepared; ints whole', async () => {
  replica.commit({ 'inv:a': { insert: [[9007199254740993n], [1]] } });
  const client = await WsClient.open(url);
  client.send({ type: 'query', id: 'q1', query: 'inv:a(x)' });
  const result = await client.next('result', 'q1');
  assert.deepEqual(result['rows'], [[1], [9007199254740993n]]);
  assert.equal(result['complete'], true);
  assert.equal(result['token'], 'fake.1');
  client.send({ type: 'prepare', id: 'p', query: 'inv:a(x)' });
  const prepared = await client.next('prepared', 'p');
  assert.deepEqual(prepared['columns'], ['x']);
  client.send({
    type: 'query',
    id: 'q2',
    prepared: prepared['prepared'],
    consistency: { atLeast: 'fake.1' },
    rowsMax: 1n,
  });
  const second = await client.next('result', 'q2');
  assert.equal(second['truncated'], true);
  client.send({ type: 'unprepare', id: 'u', prepared: prepared['prepared'] });
  await client.next('unprepared', 'u');
  client.send({ type: 'query', id: 'q3', prepared: prepared['prepared'] });
  assert.equal((await client.next('error', 'q3'))['code'], 'invalid_request');
  await client.close();
});

test('a large result comes in several frames', async () => {
  await restart({ answerPieceBytes: 1_000 });
  replica.commit({ 'inv:a': { insert: range(2_000) } });
  const client = await WsClient.open(url);
  client.send({ type: 'query', id: 'q', query: 'inv:a(x)' });
  const rows: unknown[] = [];
  let frames = 0;
  for (let complete = false; !complete; frames++) {
    const frame = await client.next('result', 'q');
    rows.push(...(frame['rows'] as unknown[]));
    assert.equal(frame['revision'], 1n);
    complete = frame['complete'] === true;
  }
  assert.ok(frames > 5);
  assert.deepEqual(rows, range(2_000));
  await client.close();
});

test('a batch is answered at one revision, errors item by item', async () => {
  replica.commit({ 'inv:a': { insert: [int(1)] }, 'inv:b': { insert: [int(2)] } });
  const client = await WsClient.open(url);
  // Commits come between the queries of the first tries.
  let left = 3;
  let calls = 0;
  replica.pause = async () => {
    for (let ticks = (calls++ % 4) * 5; ticks >= 0; ticks--) await tick();
    if (left-- > 0) replica.commit({ 'inv:a': { insert: [int(left + 10)] } });
  };
  client.send({
    type: 'batch',
    id: 'b',
    items: [
      { key: 'a', query: 'inv:a(x)' },
      { key: 'bad', query: 'inv:a(' },
      { key: 'b', query: 'inv:b(y)' },
    ],
  });
  const answer = await client.next('batchResult', 'b');
  const revision = Number(answer['revision']);
  const items = answer['items'] as JsonObject[];
  assert.deepEqual(
    items.map(({ key }) => key),
    ['a', 'bad', 'b'],
  );
  assert.deepEqual(items[0]?.['rows'], replica.rowsAt(revision, 'inv:a'));
  const { code } = (items[1] as JsonObject)['error'] as JsonObject;
  assert.equal(code, 'invalid_policy');
  assert.deepEqual(items[2]?.['rows'], [int(2)]);
  left = 1_000;
  client.send({
    type: 'batch',
    id: 'c',
    items: [
      { key: 'a', query: 'inv:a(x)' },
      { key: 'b', query: 'inv:b(y)' },
    ],
  });
  const refused = await client.nextThat(({ id }) => id === 'c');
  assert.equal(refused['retry'], 'after');
  await client.close();
});

test('subscriptions of one connection start and move together', async () => {
  replica.commit({ 'inv:a': { insert: [int(1)] }, 'inv:b': { insert: [int(1)] } });
  const client = await WsClient.open(url);
  client.send({
    type: 'subs',
    add: [
      { id: 'a', query: 'inv:a(x)' },
      { id: 'b', query: 'inv:b(x)' },
    ],
  });
  assert.deepEqual((await client.next('txBegin'))['snapshotFor'], ['a', 'b']);
  await client.next('txEnd');
  const { revision } = replica.commit({
    'inv:a': { insert: [int(2)] },
    'inv:b': { delete: [int(1)] },
  });
  await client.at(revision);
  assert.deepEqual([client.rowsOf('a'), client.rowsOf('b')], [['[1]', '[2]'], []]);
  assert.equal(client.frames.filter(({ type }) => type === 'txBegin').length, 2);
  client.send({ type: 'subs', remove: ['a', 'x'] });
  await client.next('subEnd', 'a');
  assert.equal((await client.next('error', 'x'))['code'], 'invalid_request');
  replica.commit({ 'inv:a': { insert: [int(3)] } });
  const after = replica.commit({ 'inv:b': { insert: [int(4)] } });
  await client.at(after.revision);
  assert.ok(
    !client.frames.some(
      ({ type, id, tx }) => type === 'rows' && id === 'a' && Number(tx) > revision,
    ),
  );
  assert.equal(replica.openViews, 1);
  await client.close();
});

test('views are given back when the connection goes', async () => {
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  const client = await WsClient.open(url);
  subscribe(client, 's');
  await client.next('txEnd');
  assert.equal(replica.openViews, 1);
  await client.terminate();
  const other = await WsClient.open(url);
  while (replica.openViews > 0) {
    other.send({ type: 'query', id: `${replica.openViews}`, query: 'inv:a(x)' });
    await other.next('result');
  }
  await other.close();
});

test('resume: deltas where they are held, a snapshot where not, errors for tokens of the future and of elsewhere', async () => {
  const one = replica.commit({ 'inv:a': { insert: [int(1)] } });
  replica.commit({ 'inv:a': { insert: [int(2)] } });
  replica.commit({ 'inv:a': { delete: [int(1)] } });
  const client = await WsClient.open(url);
  subscribe(client, 's', { from: one.token });
  client.views.set('s', { rows: new Set(['[1]']), valid: true });
  assert.equal((await client.next('subOk', 's'))['start'], 'resume');
  await client.at(3);
  assert.deepEqual(client.rowsOf('s'), ['[2]']);
  assert.equal(client.frames.filter(({ type }) => type === 'txEnd').length, 2);
  replica.retainFromRevision = 2;
  subscribe(client, 'old', { from: one.token });
  assert.equal((await client.next('subOk', 'old'))['start'], 'snapshot');
  for (const [id, from, code] of [
    ['future', 'fake.99', 'replica_behind'],
    ['foreign', 'other.1', 'token_foreign'],
    ['broken', '!', 'token_invalid'],
  ] as const) {
    subscribe(client, id, { from });
    assert.equal((await client.next('error', id))['code'], code);
  }
  await client.close();
});

test('resume on a connection that is already ahead comes as one net change', async () => {
  const one = replica.commit({ 'inv:a': { insert: [int(1)] } });
  const client = await WsClient.open(url);
  client.send({ type: 'subs', add: [{ id: 'b', query: 'inv:b(x)' }] });
  await client.next('txEnd');
  replica.commit({ 'inv:a': { insert: [int(2)] } });
  replica.commit({ 'inv:a': { insert: [int(3)], delete: [int(2)] } });
  client.views.set('a', { rows: new Set(['[1]']), valid: true });
  subscribe(client, 'a', { from: one.token });
  const begin = await client.next('txBegin');
  assert.deepEqual(begin['conflated'], ['a']);
  await client.at(3);
  assert.deepEqual(client.rowsOf('a'), ['[1]', '[3]']);
  await client.close();
});

test('ids in use are refused and what runs under them goes on', async () => {
  const client = await WsClient.open(url);
  subscribe(client, 's');
  await client.next('txEnd');
  subscribe(client, 's');
  assert.equal((await client.next('error', 's'))['code'], 'duplicate_id');
  client.send({ type: 'query', id: 's', query: 'inv:a(x)' });
  assert.equal((await client.next('error', 's'))['code'], 'duplicate_id');
  const { revision } = replica.commit({ 'inv:a': { insert: [int(1)] } });
  await client.at(revision);
  assert.deepEqual(client.rowsOf('s'), ['[1]']);
  await client.close();
});

test('bad frames get errors with the id, and too many end the connection', async () => {
  await restart({ badFramesMax: 12, subscriptionsMax: 2 });
  const client = await WsClient.open(url);
  const bad: [frame: string, pattern: RegExp, id?: string][] = [
    ['{', /./],
    ['[]', /a frame is an object/],
    ['{"id":"1"}', /lacks `type`/, '1'],
    ['{"type":"qwery","id":"2"}', /no frame type `qwery`/, '2'],
    ['{"type":"constructor"}', /no frame type/],
    ['{"type":"query","id":"3"}', /either `query` or `prepared`/, '3'],
    ['{"type":"query","id":"","query":"p(x)"}', /1 to 128/],
    ['{"type":"subs"}', /adds and removes nothing/],
    ['{"type":"subs","add":[{"id":"a","query":"p(x)","mode":"some"}]}', /`mode`/],
    ['{"type":"credit","bytes":-1}', /whole number/],
    ['{"type":"query","id":"4","query":"p(x)","args":[]}', /`args`/, '4'],
  ];
  for (const [frame, pattern, id] of bad) {
    client.sendRaw(frame);
    const error = await client.next('error');
    assert.match(String(error['message']), pattern);
    assert.ok(error['remedy'] !== undefined, frame);
    assert.equal(error['retry'], 'never');
    if (id !== undefined) assert.equal(error['id'], id);
  }
  client.send({ type: 'subs', add: ['1', '2', '3'].map((id) => ({ id, query: 'inv:a(x)' })) });
  assert.match(String((await client.next('error'))['message']), /more than 2/);
  await client.closed;
  assert.equal(client.closeCode, 4400);
});

test('too many subscriptions are refused one by one', async () => {
  await restart({ subscriptionsMax: 2 });
  const client = await WsClient.open(url);
  for (const id of ['1', '2', '3']) subscribe(client, id);
  assert.equal((await client.next('error', '3'))['code'], 'limit_exceeded');
  client.send({ type: 'subs', remove: ['1'], add: [{ id: '4', query: 'inv:a(x)' }] });
  await client.next('subOk', '4');
  await client.close();
});

test('a view that is lost ends its subscription with the error', async () => {
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  const client = await WsClient.open(url);
  subscribe(client, 's');
  await client.next('txEnd');
  replica.lose('inv:a', new CaucusError('policy_failed', 'policy `inv` failed'));
  assert.equal((await client.next('error', 's'))['code'], 'policy_failed');
  assert.equal(replica.openViews, 0);
  await client.close();
});

test('commits while a view is opened are neither missed nor doubled', async () => {
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  let next = 2;
  // Both before and after the rows are read.
  replica.pause = async () => {
    replica.commit({ 'inv:a': { insert: [int(next++)], delete: [int(1)] } });
    await tick();
    replica.commit({ 'inv:a': { insert: [int(next++)] } });
  };
  const client = await WsClient.open(url);
  subscribe(client, 's');
  await client.next('txEnd');
  assert.equal(client.revision, replica.status().revision);
  assert.deepEqual(client.rowsOf('s'), ['[2]', '[3]', '[4]', '[5]']);
  await client.close();
});

test('a view that is lost while it is opened is an error, not a silent subscription', async () => {
  replica.pause = async () => replica.lose('inv:a', new CaucusError('policy_failed', 'gone'));
  const client = await WsClient.open(url);
  subscribe(client, 's');
  assert.equal((await client.next('error', 's'))['code'], 'policy_failed');
  assert.equal(replica.openViews, 0);
  await client.close();
});

test('credit: nothing without it, and not much more than what was given', async () => {
  await restart({ rowsFrameBytes: 500 });
  replica.commit({ 'inv:a': { insert: range(1_000) } });
  const client = await WsClient.open(url, { credit: 0n });
  subscribe(client, 's', { mode: 'latest' });
  await client.next('subOk', 's');
  const ping = async (id: string): Promise<Frame> => {
    client.send({ type: 'query', id, query: 'inv:b(x)' });
    return client.next('result', id);
  };
  await ping('1');
  assert.equal(client.transactionBytes, 0);
  client.send({ type: 'credit', bytes: 1_000n });
  await ping('2');
  await ping('3');
  assert.ok(
    client.transactionBytes >= 1_000 && client.transactionBytes < 3_000,
    `${client.transactionBytes}`,
  );
  client.onFrame = ({ type }) => {
    if (type === 'rows') client.send({ type: 'credit', bytes: 1_000n });
  };
  client.send({ type: 'credit', bytes: 1_000n });
  await client.next('txEnd');
  assert.equal(client.rowsOf('s').length, 1_000);
  await client.close();
});

test('without credit `latest` gets one net change', async () => {
  const client = await WsClient.open(url, { credit: 1_000n });
  subscribe(client, 's', { mode: 'latest' });
  await client.next('txEnd');
  const spent = client.transactionBytes;
  // Uses up the rest of the credit.
  const fill = replica.commit({ 'inv:a': { insert: range(500, 1_000) } });
  await client.nextThat(({ type, tx }) => type === 'rows' && tx === BigInt(fill.revision));
  assert.ok(client.transactionBytes > spent);
  for (let value = 0; value < 50; value++) {
    replica.commit({ 'inv:a': { insert: [int(value)], delete: [int(value - 1)] } });
  }
  client.send({ type: 'credit', bytes: 100_000n });
  await client.at(replica.status().revision);
  assert.equal(client.frames.filter(({ type }) => type === 'txEnd').length, 3);
  assert.deepEqual(
    client.rowsOf('s'),
    replica
      .rowsAt(replica.status().revision, 'inv:a')
      .map((row) => `[${String(row[0])}]`)
      .sort(),
  );
  await client.close();
});

test('without credit `every` queues to the budget, then a gap and a snapshot', async () => {
  await restart({ backlogBytesMax: 5_000 });
  const client = await WsClient.open(url, { credit: 1n });
  subscribe(client, 's', { mode: 'every' });
  await client.next('txBegin');
  for (let value = 0; value < 2_000; value++) replica.commit({ 'inv:a': { insert: [int(value)] } });
  const gap = await client.next('gap', 's');
  assert.equal(gap['action'], 'resnapshot');
  client.send({ type: 'credit', bytes: 1_000_000n });
  const begin = await client.nextThat(
    ({ type, snapshotFor }) => type === 'txBegin' && snapshotFor !== undefined,
  );
  assert.ok(Number(begin['to']) >= Number(gap['lostTo']));
  await client.at(replica.status().revision);
  assert.equal(client.rowsOf('s').length, 2_000);
  await client.close();
});

test('progress comes while nothing changes, with the token of the head', async () => {
  await restart({ heartbeatMs: 40 });
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  const client = await WsClient.open(url);
  subscribe(client, 's');
  await client.next('txEnd');
  const { revision, token } = replica.commit({ 'inv:other': { insert: [int(1)] } });
  const progress = await client.nextThat(
    (frame) => frame['type'] === 'progress' && frame['revision'] === BigInt(revision),
  );
  assert.equal(progress['to'], token);
  await client.close();
});

test('a stalled view is never reported as complete', async () => {
  await restart({ heartbeatMs: 40 });
  const client = await WsClient.open(url, { credit: 1n });
  subscribe(client, 's');
  await client.next('txBegin');
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  for (let count = 0; count < 3; count++) {
    const progress = await client.next('progress');
    assert.equal(progress['to'], undefined);
    assert.equal(progress['head'], 1n);
  }
  await client.close();
});

test('a client that does not read stops being written to, and the others go on', async () => {
  await restart({ socketBufferBytesMax: 50_000, backlogBytesMax: 100_000 });
  const slow = await WsClient.open(url);
  const quick = await WsClient.open(url);
  for (const client of [slow, quick]) {
    subscribe(client, 's');
    await client.next('txEnd');
  }
  slow.pause();
  const text = 'x'.repeat(10_000);
  for (let value = 0; value < 2_000; value++) {
    const { revision } = replica.commit({
      'inv:a': { insert: [[`${value} ${text}`]], delete: [[`${value - 1} ${text}`]] },
    });
    await quick.at(revision);
  }
  const rows = quick.rowsOf('s');
  assert.equal(rows.length, 1);
  slow.resume();
  await slow.next('gap', 's');
  await slow.at(replica.status().revision);
  assert.deepEqual(slow.rowsOf('s'), rows);
  await Promise.all([slow.close(), quick.close()]);
});

test('drain: goaway, then the connection is closed with 1001', async () => {
  const client = await WsClient.open(url);
  const closed = server.close({ drainMs: 30 });
  const goaway = await client.next('goaway');
  assert.equal(goaway['reason'], 'drain');
  await client.closed;
  assert.equal(client.closeCode, 1001);
  await closed;
});

test('a client that shows no sign of life is cut', async () => {
  await restart({ heartbeatMs: 20, heartbeatsMissedMax: 2 });
  const client = await WsClient.open(url);
  client.pause();
  const probe = await WsClient.open(url);
  subscribe(client, 's');
  while (replica.openViews === 0) await probe.next('progress');
  while (replica.openViews > 0) await probe.next('progress');
  await probe.close();
});
