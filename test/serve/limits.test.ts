/** What explodes fails by itself: others are answered meanwhile and afterwards. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { JsonObject } from '../../host/value/json.ts';
import { inFolder } from '../cli/run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';
import { WsClient } from '../support/ws-client.ts';

test('an unbounded recursion fails its policy, others are answered, deleting it heals', async () => {
  await inFolder({}, async (cwd) => {
    let server = await ServerProcess.start(cwd);
    assert.equal((await server.putPolicy('good', 'ok(1).\n')).status, 200);
    let isRunning = true;
    const putting = server.putPolicy('endless', 'n(0).\nn(x + 1) :- n(x).\n').finally(() => {
      isRunning = false;
    });
    let answered = 0;
    while (isRunning) {
      assert.deepEqual((await server.query('good:ok(x)')).json['rows'], [[1n]]);
      answered++;
    }
    assert.ok(answered > 10, 'others were answered meanwhile');
    const put = await putting;
    assert.equal(put.status, 200, put.text);
    const failedIn = async (): Promise<unknown> => {
      const { policies } = (await server.get('/v1/status')).json;
      return (policies as JsonObject[]).map(({ name, failed }) => [name, failed]);
    };
    assert.deepEqual(await failedIn(), [
      ['endless', 'rows_per_table'],
      ['good', null],
    ]);
    assert.equal((await server.get('/healthz/ready')).status, 200);
    const query = await server.query('endless:n(x)');
    assert.equal(query.status, 422, query.text);
    assert.equal((query.json['error'] as JsonObject)['code'], 'policy_failed');
    assert.deepEqual((await server.query('system:failed(p, t, c)')).json['rows'], [
      ['endless', 'endless:n', 'rows_per_table'],
    ]);
    const removed = await server.deletePolicy('endless');
    assert.equal(removed.status, 200, removed.text);
    assert.deepEqual(await failedIn(), [['good', null]]);
    assert.deepEqual((await server.query('system:failed(p, t, c)')).json['rows'], []);
    assert.deepEqual((await server.query('system:errors(p, r, l, i)')).json['rows'], []);
    assert.equal(await server.kill('SIGTERM'), 0, 'the state is saved');
    server = await ServerProcess.start(cwd);
    assert.deepEqual(await failedIn(), [['good', null]]);
    await server.kill();
  });
});

test('a subscription that explodes fails alone, by its rows or by its steps', async () => {
  await inFolder({}, async (cwd) => {
    const server = await ServerProcess.start(cwd);
    const t = Array.from({ length: 60_000 }, (_, x) => [x]);
    assert.equal((await server.batch('s', { insert: { t } })).status, 200);
    const client = await WsClient.open(server.url);
    client.send({ type: 'subs', add: [{ id: 'good', query: 's:t(1), s:u(y)' }] });
    await client.next('subOk', 'good');
    const explosions = { rows: 's:t(x), s:t(y)', steps: 's:t(x), s:t(y), x + y = -1' };
    for (const [id, query] of Object.entries(explosions)) {
      client.send({ type: 'subs', add: [{ id, query }] });
      const frame = await client.nextThat((one) => one['id'] === id);
      assert.deepEqual([frame['type'], frame['code']], ['error', 'limit_exceeded'], id);
    }
    const { revision } = (await server.batch('s', { insert: { u: [[5]] } })).json;
    await client.at(Number(revision));
    assert.deepEqual(client.rowsOf('good'), ['[5]'], 'the other subscription goes on');
    await client.close();
    await server.kill();
  });
});
