import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { lockDataDirectory } from '../../host/log/data-lock.ts';
import { openSqlite, sqliteKinds, storeError } from '../../host/store/sqlite.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import type { Store } from '../../host/store/store.ts';
import { leaseSuite } from '../suites/lease-suite.ts';
import { put, storeSuite } from '../suites/store-suite.ts';
import { runAndKill } from '../support/killed-child.ts';
import { randomFrom } from '../support/random.ts';

const kinds = sqliteKinds();
const KILLS = 6;

function makeDirectory(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'caucus-store-'));
}

for (const kind of kinds) {
  storeSuite(`sqlite (${kind})`, async () => {
    const directory = await makeDirectory();
    return {
      open: () => openSqliteStore({ file: path.join(directory, 'policies.db'), kind }),
      close: () => rm(directory, { recursive: true }),
    };
  });

  leaseSuite(`sqlite (${kind})`, async () => {
    const directory = await makeDirectory();
    const file = path.join(directory, 'policies.db');
    let nowMs = 1_700_000_000_000;
    let store: Store | undefined;
    return {
      open: async () => {
        await store?.close();
        const opened = await openSqliteStore({ file, kind, now: () => nowMs });
        store = opened;
        return opened;
      },
      advance: async (ms) => {
        nowMs += ms;
      },
      close: async () => {
        await store?.close();
        await rm(directory, { recursive: true });
      },
    };
  });

  test(`sqlite (${kind}): every version acknowledged before a kill -9 is found again`, async () => {
    const seed = 4;
    const random = randomFrom(seed);
    const directory = await makeDirectory();
    const file = path.join(directory, 'policies.db');
    let leftLocks = 0;
    for (let round = 0; round < KILLS; round++) {
      const program = new URL('./propose-child.js', import.meta.url);
      const lines = await runAndKill(program, [directory, kind], 1 + random.int(40));
      const acknowledged = Number(lines.at(-1));
      leftLocks += existsSync(`${file}.lock`) ? 1 : 0;
      const lock = lockDataDirectory(directory);
      const store = await openSqliteStore({ file, kind });
      const { version } = await store.head();
      assert.ok(
        version >= acknowledged,
        `seed ${seed}, round ${round}: ${version} < ${acknowledged}`,
      );
      const [policy] = await store.policies();
      assert.ok((policy?.version ?? 0) >= acknowledged);
      assert.equal(policy?.text, `text of ${policy?.version}`);
      await store.close();
      lock.release();
    }
    // Else the test would not show that the lock directory left behind does no harm.
    if (kind === 'wasm') assert.equal(leftLocks, KILLS);
    await rm(directory, { recursive: true });
  });

  test(`sqlite (${kind}): a database of a later version is refused and left alone`, async () => {
    const directory = await makeDirectory();
    const file = path.join(directory, 'policies.db');
    const store = await openSqliteStore({ file, kind });
    await store.propose(0, (await store.head()).hash, 'put', put('p', 'one'));
    await store.close();
    let database = await openSqlite(file, kind);
    database.run('UPDATE schema_version SET version = ?', [99]);
    database.close();
    await assert.rejects(openSqliteStore({ file, kind }), { code: 'unsupported_record' });
    database = await openSqlite(file, kind);
    assert.equal(database.all('SELECT * FROM proposals', []).length, 1);
    database.run('UPDATE schema_version SET version = ?', [1]);
    database.close();
    const again = await openSqliteStore({ file, kind });
    assert.equal((await again.head()).version, 1);
    await again.close();
    await rm(directory, { recursive: true });
  });

  test(`sqlite (${kind}): a file that is no database is an error with a remedy`, async () => {
    const directory = await makeDirectory();
    const file = path.join(directory, 'policies.db');
    writeFileSync(
      file,
      'this is no database, and it is longer than a header of one would be '.repeat(50),
    );
    await assert.rejects(openSqliteStore({ file, kind }), { code: 'log_damaged' });
    await rm(directory, { recursive: true });
  });

  test(`sqlite (${kind}): a full database is \`disk_full\`, and works again when there is space`, async () => {
    const directory = await makeDirectory();
    const file = path.join(directory, 'policies.db');
    const database = await openSqlite(file, kind);
    database.exec('CREATE TABLE t (x TEXT)');
    database.all('PRAGMA max_page_count = 4', []);
    const text = 'x'.repeat(100_000);
    assert.throws(
      () => {
        try {
          database.run('INSERT INTO t VALUES (?)', [text]);
        } catch (error) {
          throw storeError(file, error);
        }
      },
      { code: 'disk_full' },
    );
    database.all('PRAGMA max_page_count = 1000', []);
    assert.equal(database.run('INSERT INTO t VALUES (?)', [text]), 1);
    // Not silently cut short.
    assert.throws(() => database.run('INSERT INTO t VALUES (?)', ['a\0b']), /NUL/);
    database.close();
    await rm(directory, { recursive: true });
  });

  test(`sqlite (${kind}): commits are synced`, async () => {
    const directory = await makeDirectory();
    const database = await openSqlite(path.join(directory, 'policies.db'), kind);
    const value = (pragma: string): unknown =>
      Object.values(database.all(`PRAGMA ${pragma}`, [])[0] ?? {})[0];
    assert.equal(value('journal_mode'), 'wal');
    assert.equal(value('locking_mode'), 'exclusive');
    assert.equal(Number(value('synchronous')), 2);
    database.close();
    await rm(directory, { recursive: true });
  });
}

test('opening a database warns nobody, and leaves warnings of others alone', async () => {
  const warnings: string[] = [];
  const note = ({ message }: Error): unknown => warnings.push(message);
  process.on('warning', note);
  for (const kind of sqliteKinds()) (await openSqlite(':memory:', kind)).close();
  process.emitWarning('of others');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', note);
  assert.deepEqual(warnings, ['of others']);
});
