/**
 * Proposes policies one after another and prints each version once it is durable, until it is
 * killed.
 */
import { lockDataDirectory } from '../../host/log/data-lock.ts';
import { openSqliteStore } from '../../host/store/sqlite-store.ts';
import type { SqliteKind } from '../../host/store/sqlite.ts';

const [directory, kind] = process.argv.slice(2) as [string, SqliteKind];
lockDataDirectory(directory);
const store = await openSqliteStore({ file: `${directory}/policies.db`, kind });
for (;;) {
  const head = await store.head();
  const text = `text of ${head.version + 1}`;
  const result = await store.propose(head.version, head.hash, 'put', [{ name: 'p', text }]);
  if (!result.ok) throw new Error('another writer');
  await store.setVerdict(result.version, 'accepted', null);
  process.stdout.write(`${result.version}\n`);
}
