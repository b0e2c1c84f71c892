/** What a server says of the sources that its drivers fill, and to whoever writes into them. */
import assert from 'node:assert/strict';
import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import type { JsonObject } from '../../host/value/json.ts';
import { inFolder } from '../cli/run-cli.ts';
import { packagesFile } from '../support/packages-file.ts';
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

/** What a registration, a cut and the ends of a segment take, and no rows. */
const FEW_BYTES = 2000;

test('a restart publishes what changed outside meanwhile, and nothing where nothing did', async () => {
  const shape = { seed: 5, packages: 2000, dependencies: 8000 };
  const files = {
    'd/vm.csv': 'id\n1\n2\n',
    'd/none.csv': 'id\n',
    index_Packages: packagesFile(shape).text,
    'caucus.yaml': `datasources:
  - name: inv
    driver: file
    path: d
  - name: apt
    driver: packages
    path: index_Packages
`,
  };
  await inFolder(files, async (cwd) => {
    const start = async (end: NodeJS.Signals): Promise<{ revision: number; rows: unknown }> => {
      const server = await ServerProcess.start(cwd, '--config', 'caucus.yaml');
      await server.events('source-fresh', 2);
      const { json } = await server.query('inv:vm(x)');
      const packages = await server.query('apt:package(x, s, k)');
      assert.equal((packages.json['rows'] as unknown[]).length, shape.packages);
      await server.kill(end);
      return { revision: Number(json['revision']), rows: json['rows'] };
    };
    const first = await start('SIGTERM');
    const size = await logBytes(cwd);
    assert.ok(size > 50 * FEW_BYTES, 'the rows were published');
    for (const end of ['SIGKILL', 'SIGTERM'] as const) {
      assert.deepEqual(await start(end), first, 'no revision more');
    }
    assert.ok((await logBytes(cwd)) - size < FEW_BYTES);
    await writeFile(path.join(cwd, 'd/vm.csv'), 'id\n2\n3\n');
    const changed = await start('SIGTERM');
    assert.deepEqual(changed, { revision: first.revision + 1, rows: [[2n], [3n]] });
    assert.ok((await logBytes(cwd)) - size < 2 * FEW_BYTES);
  });
});

async function logBytes(cwd: string): Promise<number> {
  const folder = path.join(cwd, 'data/log');
  const files = await Promise.all(
    (await readdir(folder)).map((name) => stat(path.join(folder, name))),
  );
  return files.reduce((sum, { size }) => sum + size, 0);
}
