/** A disk that is really full: a small file system in memory holds the data directory. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import type { JsonObject } from '../../host/value/json.ts';
import { inFolder } from '../cli/run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';

const DISK_BYTES = 24 * 1024 * 1024;

/** False where this user may not mount; in CI, as root, it must work. */
function mountSmallDisk(t: TestContext, place: string): boolean {
  mkdirSync(place);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', place], {
      stdio: 'pipe',
    });
    return true;
  } catch (error) {
    if (process.env['CI'] === 'true' && process.getuid?.() === 0) throw error;
    t.diagnostic(`NOT TESTED: this user may not mount a file system: ${String(error)}`);
    return false;
  }
}

const codeOf = (answer: { readonly json: JsonObject }): unknown =>
  (answer.json['error'] as JsonObject | undefined)?.['code'];

test('full: writes are refused, queries go on; freed: it recovers; nothing is lost', async (t) => {
  await inFolder({}, async (cwd) => {
    const disk = path.join(cwd, 'disk');
    if (!mountSmallDisk(t, disk)) return;
    const servers: ServerProcess[] = [];
    const start = async (): Promise<ServerProcess> => {
      const server = new ServerProcess(cwd, [], 'disk/data');
      servers.push(server);
      await server.event('server-ready');
      return server;
    };
    try {
      let server = await start();
      assert.equal((await server.putPolicy('p', 'p(x) :- s:t(x, _).\n')).status, 200);
      const acknowledged = new Set<number>();
      const tried = new Set<number>();
      const write = async (number: number): Promise<unknown> => {
        tried.add(number);
        const text = `${number} ${'x'.repeat(1000)}`;
        const insert = { t: [[number, text]] };
        const answer = await server.batch('s', { id: `b${number}`, insert });
        if (answer.status === 200) acknowledged.add(number);
        else assert.equal(answer.status, 503, answer.text);
        return codeOf(answer);
      };
      for (let number = 0; number < 20; number++) assert.equal(await write(number), undefined);
      const holdsAll = async (): Promise<void> => {
        const { rows } = (await server.query('p:p(x)')).json;
        const found = new Set((rows as bigint[][]).map(([x]) => Number(x)));
        for (const number of acknowledged) assert.ok(found.has(number), `${number} is lost`);
        // A batch that got no answer may have been kept.
        for (const number of found) assert.ok(tried.has(number), `${number} was never sent`);
      };
      const filler = path.join(disk, 'filler');
      const freeBytes = async (): Promise<number> => {
        const { bavail, bsize } = await statfs(disk);
        return bavail * bsize;
      };
      await writeFile(filler, Buffer.alloc((await freeBytes()) - 64 * 1024));
      let number = 20;
      while ((await write(number)) === undefined) number++;
      assert.equal(await write(number), 'disk_full');
      assert.equal(codeOf(await server.putPolicy('q', 'q(1).\n')), 'disk_full');
      const ready = await server.get('/healthz/ready');
      assert.deepEqual([ready.status, ready.json['phase']], [503, 'read-only']);
      assert.equal((await server.get('/healthz/live')).status, 200);
      await holdsAll();
      // Killed on the full disk: it comes up again on its reserve, as often as that happens.
      for (let round = 0; round < 3; round++) {
        await server.kill();
        await writeFile(path.join(disk, `more${round}`), Buffer.alloc(await freeBytes()));
        server = await start();
        await holdsAll();
        while ((await write(number)) === undefined) number++;
        assert.equal((await server.get('/healthz/ready')).status, 503);
        assert.equal((await server.get('/healthz/live')).status, 200);
        await holdsAll();
      }
      // The control: without the reserve a start says what to do, and leaves everything as it is.
      await server.kill();
      await rm(path.join(disk, 'data', 'reserve'));
      await writeFile(path.join(disk, 'more'), Buffer.alloc(await freeBytes()));
      const refused = new ServerProcess(cwd, [], 'disk/data');
      servers.push(refused);
      assert.equal(await refused.ended, 1);
      assert.match(refused.stderr, /the disk is full: free some space/);
      for (const file of ['filler', 'more', 'more0', 'more1', 'more2']) {
        await rm(path.join(disk, file));
      }
      server = await start();
      await holdsAll();
      await writeFile(filler, Buffer.alloc((await freeBytes()) - 64 * 1024));
      while ((await write(number)) === undefined) number++;
      assert.equal((await server.get('/healthz/ready')).status, 503);
      await holdsAll();
      await rm(filler);
      // Whoever looks at the health makes it try, once a second.
      for (;;) if ((await server.get('/healthz/ready')).status === 200) break;
      assert.equal(await write(number), undefined);
      await holdsAll();
      assert.equal((await server.putPolicy('q', 'q(1).\n')).status, 200);
      assert.equal(await server.kill('SIGTERM'), 0, server.stderr);
      server = await start();
      await holdsAll();
      assert.deepEqual((await server.query('q:q(x)')).json['rows'], [[1n]]);
    } finally {
      for (const server of servers) await server.kill();
      execFileSync('umount', [disk]);
    }
  });
});
