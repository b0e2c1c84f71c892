import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from '../../host/log/make-directory.ts';

test('a directory is made with its parents, and the first new one is told', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'caucus-make-'));
  try {
    const deep = path.join(root, 'a', 'b', 'c');
    assert.equal(makeDirectory(deep), path.join(root, 'a'));
    assert.ok(statSync(deep).isDirectory());
    assert.equal(makeDirectory(deep), undefined);
    assert.equal(makeDirectory(path.join(root, 'a', 'd')), path.join(root, 'a', 'd'));
    const file = path.join(root, 'file');
    writeFileSync(file, '');
    assert.throws(() => makeDirectory(file), { code: 'EEXIST' });
    assert.throws(() => makeDirectory(path.join(file, 'under')), { code: 'ENOTDIR' });
  } finally {
    rmSync(root, { recursive: true });
  }
});

// Elsewhere there is no such folder. Node's own, with `recursive`, never comes back from there.
if (process.platform === 'linux') {
  test('where the parent takes none, that is said at once', () => {
    assert.throws(() => makeDirectory('/proc/caucus'), { code: 'ENOENT' });
    assert.throws(() => makeDirectory('/proc/caucus/data'), { code: 'ENOENT' });
  });
}
