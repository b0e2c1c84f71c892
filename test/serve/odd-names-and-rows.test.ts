/** Rows and names at the edge: an answer, and a server that goes on and starts again. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { JsonObject } from '../../host/value/json.ts';
import { inFolder } from '../cli/run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';

test('rows that no table can hold are refused before the log', async () => {
  await inFolder({}, async (cwd) => {
    let server = await ServerProcess.start(cwd);
    const wide = await server.batch('s', { insert: { w: [Array.from({ length: 65 }, () => 1)] } });
    assert.equal(wide.status, 400, wide.text);
    assert.equal((wide.json['error'] as JsonObject)['code'], 'invalid_row');
    const widest = await server.batch('s', {
      insert: { w: [Array.from({ length: 64 }, () => 1)] },
    });
    assert.equal(widest.status, 200, widest.text);
    await server.kill();
    server = await ServerProcess.start(cwd);
    assert.equal((await server.get('/healthz/ready')).status, 200);
    await server.kill();
  });
});

test('names that mean something to the language of the server are names like others', async () => {
  await inFolder({}, async (cwd) => {
    const server = await ServerProcess.start(cwd);
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      const body = `{"insert": {"${name}": [[1]]}}`;
      const written = await server.batch(name, body);
      assert.equal(written.status, 200, `${name}: ${written.text}`);
      const found = await server.query(`${name}:${name}(x)`);
      assert.deepEqual(found.json['rows'], [[1n]], `${name}: ${found.text}`);
    }
    assert.equal((await server.get('/v1/status')).status, 200);
    await server.kill();
  });
});

test('many sources: the cuts that name them all grow with them', async () => {
  await inFolder({}, async (cwd) => {
    let server = await ServerProcess.start(cwd);
    const names = Array.from({ length: 60 }, (_, index) => `source_${'x'.repeat(index)}`);
    for (const name of names) {
      const written = await server.batch(name, { insert: { t: [[1]] } });
      assert.equal(written.status, 200, `${name}: ${written.text}`);
    }
    await server.kill();
    server = await ServerProcess.start(cwd);
    for (const name of names) {
      assert.deepEqual((await server.query(`${name}:t(x)`)).json['rows'], [[1n]], name);
    }
    await server.kill();
  });
});
