/** What a server says of the sources that its drivers fill, and to whoever writes into them. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import type { JsonObject } from '../../host/value/json.ts';
import { inFolder } from '../cli/run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';

test('a stale source shows in the status and in ready, with the problem; fresh again it does not', async () => {
  const files = {
    'p.policy': 'table inv:vm(id: int)\np(x) :- inv:vm(x).\n',
    'd/vm.csv': 'id\n1\n',
  };
  await inFolder(files, async (cwd) => {
    const args = ['--policy', 'p.policy', '--source', 'inv=d'];
    const server = await ServerProcess.start(cwd, ...args);
    await server.event('source-fresh');
    const sourceIn = async (route: string): Promise<JsonObject> => {
      const answer = await server.get(route);
      assert.equal(answer.status, 200, 'a stale source does not make the server unready');
      return (answer.json['sources'] as JsonObject[])[0] as JsonObject;
    };
    for (const route of ['/v1/status', '/healthz/ready']) {
      const source = await sourceIn(route);
      assert.deepEqual([source['name'], source['state'], source['stale']], ['inv', 'fresh', false]);
      assert.ok(Number(source['freshAtMs']) > 0);
    }
    await writeFile(path.join(cwd, 'd/vm.csv'), 'id\n1\nx\n');
    await server.event('source-stale');
    for (const route of ['/v1/status', '/healthz/ready']) {
      const source = await sourceIn(route);
      assert.deepEqual([source['state'], source['stale']], ['stale', true]);
      const [problem] = source['problems'] as JsonObject[];
      assert.match(String(problem?.['file']), /vm\.csv$/);
      assert.equal(problem?.['line'], 3n);
      assert.ok(String(problem?.['message']).length > 0);
    }
    assert.deepEqual((await server.query('p:p(x)')).json['rows'], [[1n]], 'the last good rows');
    const pushed = await server.batch('inv', { insert: { vm: [[9]] } });
    assert.equal(pushed.status, 409, pushed.text);
    const error = pushed.json['error'] as JsonObject;
    assert.equal(error['code'], 'source_driven');
    assert.ok(String(error['remedy']).length > 0);
    assert.deepEqual((await server.query('inv:vm(x)')).json['rows'], [[1n]]);
    assert.equal((await server.batch('other', { insert: { vm: [[9]] } })).status, 200);
    await server.kill();
  });
});
