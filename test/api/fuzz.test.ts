/**
 * Broken bytes against the HTTP parser, the frame decoder and the batch readers, thousands of them,
 * while a second client goes on: nothing but operating errors comes back, and its view stays exact.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { BatchBuilder, BatchLines, readJsonBatch } from '../../host/api/batch-body.ts';
import { decodeFrame } from '../../host/api/client-frames.ts';
import { createApiServer } from '../../host/api/server.ts';
import { CaucusError } from '../../host/errors.ts';
import type { Row } from '../../host/value/value.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { WsClient } from '../support/ws-client.ts';

const FRAMES = [
  '{"type":"query","id":"q","query":"inv:a(x)","consistency":{"atLeast":"fake.0"},"rowsMax":10,"waitMs":5}',
  '{"type":"batch","id":"b","items":[{"key":"1","query":"inv:a($x)","args":{"x":1}},{"key":"2","prepared":"p1"}]}',
  '{"type":"subs","add":[{"id":"s","query":"inv:a(x)","from":"fake.1","mode":"latest"}],"remove":["s"]}',
  '{"type":"prepare","id":"p","query":"inv:a(x)"}',
  '{"type":"unprepare","id":"u","prepared":"p1"}',
  '{"type":"credit","bytes":100}',
];
const BODIES = [
  '{"id":"1","insert":{"a":[[1,"x"],[2,"y"]],"b":[[null]]},"delete":{"a":[[3,"z"]]}}',
  '{"snapshot":{"a":[[1.5],[true]]}}',
];
const LINES = '{"id":"1"}\n["+","a",[1,"x"]]\n["-","a",[2,"y"]]\n["+","b",[null]]\n';
const HTTP = [
  'GET /v1/status HTTP/1.1\r\nhost: HOST\r\n\r\n',
  'POST /v1/query HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"query":"inv:a(x)"}',
  'PUT /v1/policies/p/text HTTP/1.1\r\nhost: HOST\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\np(1).\r\n0\r\n\r\n',
  [
    'GET /v1/ws HTTP/1.1\r\nhost: HOST\r\nconnection: Upgrade\r\nupgrade: websocket\r\n',
    'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    'sec-websocket-protocol: caucus.v1\r\n\r\n',
  ].join(''),
];
const WORDS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\u0000',
  '\\ud800',
  '1e999',
  '-0',
  '9223372036854775808',
  'null',
  '\u0000',
  '\r\n',
  '\r\n\r\n',
  'Content-Length: 5',
  '%',
  '..',
  '__proto__',
];

/** The text with some bytes changed, cut, doubled or moved. */
function broken(random: Random, text: string): Buffer {
  let bytes = Buffer.from(text);
  for (let count = 1 + random.int(4); count > 0; count--) {
    const at = random.int(bytes.length + 1);
    const to = Math.min(bytes.length, at + random.int(12));
    const [before, middle, after] = [
      bytes.subarray(0, at),
      bytes.subarray(at, to),
      bytes.subarray(to),
    ];
    const choice = random.int(6);
    if (choice === 0) bytes = Buffer.concat([before, after]);
    else if (choice === 1) bytes = Buffer.concat([before, middle, middle, after]);
    else if (choice === 2) bytes = Buffer.concat([before, random.bytes(1 + random.int(4)), after]);
    else if (choice === 3) bytes = Buffer.concat([before, Buffer.from(random.pick(WORDS)), after]);
    else if (choice === 4) bytes = Buffer.from(before);
    else bytes = Buffer.concat([after, before]);
  }
  return bytes;
}

/** A client frame of RFC 6455, masked, with a header that may lie. */
function socketFrame(random: Random, payload: Uint8Array): Buffer {
  const opcode = random.chance(0.9) ? 1 : random.int(16);
  const first = (random.chance(0.95) ? 0x80 : random.int(256) & 0xf0) | opcode;
  const length = random.chance(0.95) ? payload.length : random.int(70_000);
  const mask = random.bytes(4);
  const header =
    length < 126
      ? Buffer.from([first, 0x80 | length])
      : Buffer.from([first, 0xfe, (length >> 8) & 255, length & 255]);
  return Buffer.concat([
    header,
    mask,
    payload.map((byte, index) => byte ^ (mask[index % 4] as number)),
  ]);
}

test('the frame decoder and the body readers give operating errors only', () => {
  let refused = 0;
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = randomFrom(seed);
    try {
      const frame = decodeFrame(broken(random, random.pick(FRAMES)), {
        batchItemsMax: 10,
        subscriptionsMax: 10,
      });
      if (frame.type === 'bad') throw frame.error;
      const builder = new BatchBuilder();
      if (random.chance(0.5)) {
        readJsonBatch(broken(random, random.pick(BODIES)), builder);
      } else {
        const lines = new BatchLines(builder, 100);
        const bytes = broken(random, LINES);
        for (let at = 0; at < bytes.length; at += 7) lines.add(bytes.subarray(at, at + 7));
        lines.end();
      }
      builder.finish('inv');
    } catch (error) {
      if (!(error instanceof CaucusError)) throw new Error(`seed ${seed}`, { cause: error });
      assert.ok(
        ['invalid_request', 'invalid_row', 'too_large', 'token_invalid'].includes(error.code),
        `seed ${seed}: ${error.code}`,
      );
      refused++;
    }
  }
  assert.ok(refused > 10_000, `${refused} refused`);
});

async function bystander(
  replica: FakeReplica,
  url: string,
): Promise<{ check: () => Promise<void>; end: () => Promise<void> }> {
  const client = await WsClient.open(url);
  client.send({ type: 'subs', add: [{ id: 's', query: 'inv:seen(x)' }] });
  await client.next('txEnd');
  let count = 0n;
  return {
    async check() {
      const row: Row = [count++];
      const { revision } = replica.commit({ 'inv:seen': { insert: [row] } });
      await client.at(revision);
      assert.equal(client.rowsOf('s').length, Number(count));
    },
    async end() {
      assert.equal(client.failure, undefined);
      await client.close();
    },
  };
}

/**
 * Writes everything at once, and resolves when the server has closed or has taken it all and
 * answered.
 */
function throwAt(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
    socket.end(bytes);
  });
}

test('broken requests and frames leave the server and other clients untouched', async () => {
  const replica = createFakeReplica();
  const defects: unknown[] = [];
  const server = await createApiServer({
    replica,
    host: '127.0.0.1',
    port: 0,
    limits: { bodyIdleMsMax: 100, frameBytesMax: 4_096 },
    log: (level, _message, fields) => {
      if (level === 'error') defects.push(fields['error']);
    },
  });
  const { port, url } = server.address;
  // Counts what gets through, so that the test cannot fail to reach the inside.
  let reached = 0;
  const query = replica.query.bind(replica);
  const openView = replica.openView.bind(replica);
  replica.query = (request) => {
    reached++;
    return query(request);
  };
  replica.openView = (request) => {
    reached++;
    return openView(request);
  };
  const other = await bystander(replica, url);
  const host = `127.0.0.1:${port}`;
  const upgrade = Buffer.from((HTTP[3] as string).replace('HOST', host));
  const hello = '{"type":"hello","proto":[1]}';
  for (let round = 0; round < 120; round++) {
    const attempts = Array.from({ length: 25 }, (_, index) => {
      const seed = round * 25 + index + 1;
      const random = randomFrom(seed);
      if (random.chance(0.5)) {
        return throwAt(port, broken(random, random.pick(HTTP).replace('HOST', host)));
      }
      const honest = randomFrom(0);
      honest.chance = () => true;
      const frames = Array.from({ length: 1 + random.int(8) }, () =>
        socketFrame(
          random,
          random.chance(0.6)
            ? Buffer.from(random.pick(FRAMES))
            : broken(random, random.pick(FRAMES)),
        ),
      );
      return throwAt(
        port,
        Buffer.concat([upgrade, socketFrame(honest, Buffer.from(hello)), ...frames]),
      );
    });
    await Promise.all(attempts);
    await other.check();
  }
  await other.end();
  assert.deepEqual(defects, []);
  assert.ok(reached > 500, `${reached} queries and views`);
  await server.close({ drainMs: 0 });
});
