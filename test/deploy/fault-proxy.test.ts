/** Each mode of the proxy has its effect, and `pass` has none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultMode, FaultProxy } from '../support/fault-proxy.ts';
import { randomFrom } from '../support/random.ts';

const SEED = 7;

/** A peer that keeps what it got. */
class Peer {
  readonly socket: Socket;
  text = '';
  hasEnded = false;
  /** Of the error that closed it; empty after a close in peace. */
  closed: Promise<string>;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    let code = '';
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? 'unknown'));
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
      this.#wake();
    });
    socket.on('end', () => {
      this.hasEnded = true;
      this.#wake();
    });
    this.closed = new Promise((resolve) => socket.on('close', () => resolve(code)));
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  async got(text: string): Promise<void> {
    await this.until(() => this.text.length >= text.length);
    assert.equal(this.text, text);
  }
}

interface World {
  readonly proxy: FaultProxy;
  readonly connect: () => Promise<{ client: Peer; server: Peer }>;
  /** Without waiting for the server to see it. */
  readonly dial: () => Peer;
}

async function world(t: TestContext): Promise<World> {
  const target = createServer({ allowHalfOpen: true });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  const { port } = target.address() as AddressInfo;
  const proxy = await startFaultProxy({ target: { host: '127.0.0.1', port }, seed: SEED });
  const peers: Peer[] = [];
  const peerOf = (socket: Socket): Peer => {
    const peer = new Peer(socket);
    peers.push(peer);
    return peer;
  };
  // Also those that no test asks for must not throw their errors.
  target.on('connection', (socket: Socket) => accepted.push(peerOf(socket)));
  const accepted: Peer[] = [];
  const dial = (): Peer =>
    peerOf(createConnection({ host: proxy.host, port: proxy.port, allowHalfOpen: true }));
  t.after(async () => {
    await proxy.close();
    for (const { socket } of peers) socket.destroy();
    target.close();
  });
  return {
    proxy,
    dial,
    connect: async () => {
      const before = accepted.length;
      const client = dial();
      while (accepted.length === before) await once(target, 'connection');
      return { client, server: accepted[before] as Peer };
    },
  };
}

test('pass: bytes and ends go through, both ways, in order', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  // More than waits in a proxy or a socket.
  const random = randomFrom(SEED);
  const long = Buffer.from(random.bytes(4_000_000)).toString('latin1');
  client.socket.end(long, 'latin1');
  await server.until(() => server.hasEnded);
  assert.ok(server.text === long, `seed ${SEED}`);
  server.socket.end('answer after the end');
  await client.got('answer after the end');
  assert.equal(await client.closed, '');
  await server.closed;
  assert.equal(proxy.connectionCount, 0);
});

test('delay: later, and in order', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  const start = performance.now();
  proxy.set({ kind: 'delay', delayMs: 60, jitterMs: 40 });
  let text = '';
  for (let index = 0; index < 30; index++) {
    client.socket.write(`${index} `);
    text += `${index} `;
    // Pieces of their own, so that each has its own delay.
    await new Promise(setImmediate);
  }
  await server.until(() => server.text !== '');
  assert.ok(performance.now() - start >= 60);
  await server.got(text);
});

test('delay ends when the mode does', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  proxy.set({ kind: 'delay', delayMs: 3_600_000 });
  client.socket.write('late');
  await arrivesAtProxy(proxy);
  assert.equal(server.text, '');
  proxy.set({ kind: 'pass' });
  await server.got('late');
});

test('cut: both sides see a reset, new connections too', async (t) => {
  const { proxy, connect, dial } = await world(t);
  const { client, server } = await connect();
  client.socket.write('before');
  await server.got('before');
  proxy.set({ kind: 'cut' });
  assert.equal(await client.closed, 'ECONNRESET');
  assert.equal(await server.closed, 'ECONNRESET');
  assert.equal(await dial().closed, 'ECONNRESET');
  proxy.set({ kind: 'pass' });
  const again = await connect();
  again.client.socket.write('after');
  await again.server.got('after');
});

test('cut after some bytes: exactly these arrive', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  proxy.set({ kind: 'cut', afterBytes: 10 });
  client.socket.write('0123456');
  await server.got('0123456');
  client.socket.write('789abcdef');
  // Linux reports a reset that follows unread bytes as an end.
  await Promise.race([server.closed, server.until(() => server.hasEnded)]);
  assert.equal(server.text, '0123456789');
  assert.equal(await client.closed, 'ECONNRESET');
});

test('half-open: accepted, nothing arrives, nothing closes; then reset', async (t) => {
  const { proxy, connect, dial } = await world(t);
  const { client, server } = await connect();
  proxy.set({ kind: 'half-open' });
  client.socket.write('lost');
  const other = dial();
  await once(other.socket, 'connect');
  other.socket.end('lost too');
  await arrivesAtProxy(proxy);
  server.socket.resetAndDestroy();
  await arrivesAtProxy(proxy);
  assert.equal(client.socket.closed, false);
  assert.equal(other.hasEnded, false);
  assert.equal(server.text, '');
  proxy.set({ kind: 'pass' });
  assert.equal(await client.closed, 'ECONNRESET');
  assert.equal(await other.closed, 'ECONNRESET');
});

test('half-open: a connection that lost nothing goes on', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  proxy.set({ kind: 'half-open' });
  proxy.set({ kind: 'pass' });
  client.socket.write('quiet meanwhile');
  await server.got('quiet meanwhile');
});

test('slow: so many bytes a second', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  proxy.set({ kind: 'slow', bytesPerSecond: 20_000 });
  const start = performance.now();
  const text = 'x'.repeat(4_000);
  client.socket.write(text);
  await server.got(text);
  // The last piece of a fiftieth does not wait for itself.
  assert.ok(performance.now() - start >= 170);
});

for (const lost of ['to-server', 'to-client'] as const) {
  test(`one-way: what goes ${lost} is lost, the other way works`, async (t) => {
    const { proxy, connect } = await world(t);
    const { client, server } = await connect();
    proxy.set({ kind: 'one-way', lost });
    const [deaf, heard] = lost === 'to-server' ? [server, client] : [client, server];
    heard.socket.write('into the void');
    deaf.socket.write('heard');
    await heard.got('heard');
    await arrivesAtProxy(proxy);
    assert.equal(deaf.text, '');
    proxy.set({ kind: 'pass' });
    assert.equal(await heard.closed, 'ECONNRESET');
  });
}

test('hold: everything arrives afterwards, ends included', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  proxy.set({ kind: 'hold' });
  client.socket.end('kept');
  server.socket.write('kept too');
  await arrivesAtProxy(proxy);
  assert.equal(server.text + client.text, '');
  assert.equal(server.hasEnded, false);
  proxy.set({ kind: 'pass' });
  await server.got('kept');
  await client.got('kept too');
  await server.until(() => server.hasEnded);
});

test('a proxy whose target is not known, or away, resets', async (t) => {
  const proxy = await startFaultProxy({ seed: SEED });
  t.after(() => proxy.close());
  const dial = (): Peer => new Peer(createConnection({ host: proxy.host, port: proxy.port }));
  assert.equal(await dial().closed, 'ECONNRESET');
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  await once(gone, 'close');
  proxy.forwardTo({ host: '127.0.0.1', port });
  assert.equal(await dial().closed, 'ECONNRESET');
});

test('control: in mode pass none of the effects is seen', async (t) => {
  const { proxy, connect } = await world(t);
  const { client, server } = await connect();
  const mode: FaultMode = { kind: 'pass' };
  proxy.set(mode);
  client.socket.write('there');
  server.socket.write('and back');
  await server.got('there');
  await client.got('and back');
  assert.equal(proxy.mode, mode);
});

/**
 * What was written to the proxy before is read by it: a connection of our own went all the way to
 * it since then, in this process, which reads in turn.
 */
async function arrivesAtProxy(proxy: FaultProxy): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    const probe = createConnection({ host: proxy.host, port: proxy.port });
    probe.on('error', () => undefined);
    await once(probe, 'connect');
    probe.destroy();
    await once(probe, 'close');
    await new Promise(setImmediate);
  }
}
