import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { lockDataDirectory } from '../../host/log/data-lock.ts';
import { runAndKill } from '../support/killed-child.ts';

function withDirectory(
  body: (directory: string, lock: string) => void | Promise<void>,
): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'caucus-lock-'));
    try {
      await body(directory, path.join(directory, 'lock'));
    } finally {
      rmSync(directory, { recursive: true });
    }
  };
}

function isLocked(error: unknown): boolean {
  return error instanceof CaucusError && error.code === 'data_locked' && error.remedy !== undefined;
}

test(
  'one holder at a time, and the next after it',
  withDirectory((directory, lock) => {
    const first = lockDataDirectory(directory);
    assert.throws(() => lockDataDirectory(directory), isLocked);
    first.release();
    first.release();
    const second = lockDataDirectory(directory);
    // The first holder cannot give back what is no longer its own.
    first.release();
    assert.throws(() => lockDataDirectory(directory), isLocked);
    second.release();
    assert.throws(() => readFileSync(lock), { code: 'ENOENT' });
    assert.deepEqual(readdirSync(directory), []);
  }),
);

test(
  'the lock of a process that was killed is taken over',
  withDirectory(async (directory) => {
    const child = new URL('./append-child.js', import.meta.url);
    await runAndKill(child, [directory], 1);
    const lock = lockDataDirectory(directory);
    assert.equal((JSON.parse(readFileSync(lock.file, 'utf8')) as { pid: number }).pid, process.pid);
    lock.release();
  }),
);

test(
  'a process that has the id of the holder but started at another time does not hold it',
  withDirectory((directory, lock) => {
    lockDataDirectory(directory);
    const held = JSON.parse(readFileSync(lock, 'utf8')) as Record<string, unknown>;
    // Negative control: with its own start time it does.
    assert.throws(() => lockDataDirectory(directory), isLocked);
    writeFileSync(lock, JSON.stringify({ ...held, startedAt: 'another boot/1' }));
    lockDataDirectory(directory).release();
  }),
);

test(
  'a torn lock file is taken over',
  withDirectory((directory, lock) => {
    for (const text of ['', '{"pid":', '{"pid":-1}', 'null', '[]']) {
      writeFileSync(lock, text);
      lockDataDirectory(directory).release();
    }
  }),
);

test(
  'while another process takes the lock over, it is not taken',
  withDirectory((directory, lock) => {
    writeFileSync(lock, '{"pid":999999999,"startedAt":null}');
    const claim = path.join(directory, 'lock.claim');
    writeFileSync(claim, JSON.stringify({ pid: process.pid, startedAt: null }));
    assert.throws(() => lockDataDirectory(directory), isLocked);
    writeFileSync(claim, '{"pid":999999998,"startedAt":null}');
    assert.throws(() => lockDataDirectory(directory), /left by a process that ended/);
    rmSync(claim);
    lockDataDirectory(directory).release();
  }),
);
