/** What a server says before it has its state, and how it stops while it has none. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { WebSocket } from 'ws';
import type { JsonObject } from '../../host/value/json.ts';
import { inFolder } from '../cli/run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';

/** A policy that a start evaluates for some seconds: a walk of `steps` in single steps. */
function walk(steps: number): string {
  return `n(0).\nn(y) :- n(x), x < ${steps}, y = x + 1.\n`;
}

async function withSlowStart(work: (server: ServerProcess) => Promise<void>): Promise<void> {
  await inFolder({}, async (cwd) => {
    const first = await ServerProcess.start(cwd);
    for (let row = 0; row < 20; row++) {
      assert.equal((await first.batch('s', { insert: { t: [[row]] } })).status, 200);
    }
    const put = await first.putPolicy('slow', walk(4_000_000));
    assert.equal(put.status, 200, put.text);
    await first.kill();
    const server = new ServerProcess(cwd);
    await server.event('server-listening');
    await work(server);
    await server.kill();
  });
}

test('while the state is restored: live, not ready with reason and progress, all else refused', async () => {
  await withSlowStart(async (server) => {
    assert.equal((await server.get('/healthz/live')).status, 200);
    let ready = await server.get('/healthz/ready');
    assert.equal(ready.status, 503, 'control: the start takes longer than the first look');
    const progress: JsonObject[] = [];
    let sawNotReady = 0;
    while (ready.status === 503) {
      const { reasons, phase, ready: isReady } = ready.json;
      assert.equal(isReady, false);
      assert.match(String((reasons as string[])[0]), /^the replica is /);
      assert.notEqual(phase, 'live');
      if (ready.json['progress'] !== undefined) progress.push(ready.json['progress'] as JsonObject);
      const query = await server.query('s:t(x)');
      if (query.status !== 200) {
        sawNotReady++;
        assert.equal(query.status, 503, query.text);
        const error = query.json['error'] as JsonObject;
        assert.equal(error['code'], 'not_ready');
        assert.equal(error['retry'], 'after');
      }
      ready = await server.get('/healthz/ready');
    }
    assert.ok(sawNotReady > 0);
    assert.ok(progress.length > 0, 'the progress is told');
    for (const { revision, newest } of progress) assert.ok(Number(revision) <= Number(newest));
    assert.equal(Number(progress.at(-1)?.['newest']), Number(ready.json['revision']));
    assert.equal((await server.query('s:t(x)')).status, 200);
  });
});

test('while the state is restored a WebSocket is refused, and SIGTERM ends the process', async () => {
  await withSlowStart(async (server) => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, 'caucus.v1');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      socket.on('open', () => reject(new Error('it was let in')));
      socket.on('error', () => undefined);
    });
    assert.equal(status, 503);
    socket.terminate();
    assert.equal(await server.kill('SIGTERM'), 0);
    assert.ok(!server.log.some(({ event }) => event === 'server-ready'), 'it never became ready');
  });
});
