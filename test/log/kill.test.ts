import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openFileLog } from '../../host/log/file-log.ts';
import { nodeDisk } from '../../host/log/node-disk.ts';
import { readAll, textsOf } from '../suites/log-suite.ts';
import { runAndKill } from '../support/killed-child.ts';
import { randomFrom } from '../support/random.ts';

const ROUNDS = 15;

test('every append acknowledged before a kill -9 is found again, whole, at its offset', async () => {
  const seed = 99;
  const random = randomFrom(seed);
  const directory = await mkdtemp(path.join(tmpdir(), 'caucus-kill-'));
  const acknowledged = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const lines = await runAndKill(
      new URL('./append-child.js', import.meta.url),
      [directory],
      1 + random.int(400),
    );
    for (const line of lines) {
      const [offset, content] = line.split(' ').map(Number) as [number, number];
      acknowledged.set(offset, content);
    }
    assert.ok(existsSync(path.join(directory, 'lock')), 'the child left its lock');
    const log = await openFileLog({
      disk: nodeDisk,
      directory: path.join(directory, 'log'),
      now: Date.now,
    });
    const texts = textsOf(await readAll(log, 'a'));
    for (const [offset, content] of acknowledged) {
      const expected = `${content} ${'x'.repeat((content * 37) % 3000)}`;
      assert.equal(texts[offset], expected, `seed ${seed}, round ${round}, offset ${offset}`);
    }
    await log.close();
  }
  assert.ok(acknowledged.size > ROUNDS * 50);
  await rm(directory, { recursive: true });
});
