/** `caucus subscribe --json` when much comes at once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { inFolder, startCli } from './run-cli.ts';
import { ServerProcess } from '../support/server-process.ts';

interface Line {
  readonly revision: number;
  readonly token: string;
  readonly snapshot: boolean;
  readonly changes: readonly unknown[];
}

interface Follower {
  next(): Promise<Line>;
  stop(): Promise<void>;
}

/** Transactions of a follower, each line parsed; ends with the command's exit. */
function follow(url: string, ...args: string[]): Follower {
  const child = startCli(['subscribe', '--json', '--url', url, 's:t(x)', ...args]);
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async next(): Promise<Line> {
      const { done, value } = await lines.next();
      assert.ok(done !== true, `the output has ended: ${stderr}`);
      return JSON.parse(value) as Line;
    },
    async stop(): Promise<void> {
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.equal(code, 0);
    },
  };
}

const BATCHES = 60;

test('subscribe --from: many transactions at once are one line each, in order', async () => {
  await inFolder({}, async (cwd) => {
    const server = await ServerProcess.start(cwd);
    // The server holds the changes of a view that somebody follows.
    const first = follow(server.url);
    const { revision: start, token } = await first.next();
    assert.equal(start, 0);
    assert.notEqual(token, '', 'there is a token before the first commit');
    for (let value = 1; value <= BATCHES; value++) {
      const batch = { insert: { t: [[value]] }, delete: { t: [[value - 1]] } };
      assert.equal((await server.batch('s', batch)).status, 200);
    }
    const later = follow(server.url, '--from', token);
    let before = 0;
    for (let value = 1; value <= BATCHES; value++) {
      const { revision, snapshot, changes } = await later.next();
      const deleted = value === 1 ? [] : [['-', [value - 1]]];
      assert.deepEqual([snapshot, changes], [false, [...deleted, ['+', [value]]]]);
      assert.ok(revision > before);
      before = revision;
    }
    await Promise.all([first.stop(), later.stop()]);
    await server.kill();
  });
});
