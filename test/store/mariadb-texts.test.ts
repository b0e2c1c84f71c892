/** What goes in comes out byte by byte, up to the largest text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NAME_BYTES_MAX, POLICY_BYTES_MAX, STORE_PACKET_BYTES_MIN } from '../../host/limits.ts';
import { NO_HASH } from '../../host/log/policy-hash.ts';
import type { PolicyChange } from '../../host/log/records.ts';
import { databaseOrSkip } from './test-database.ts';
import type { TestDatabase } from './test-database.ts';

const ODD_TEXTS = [
  '',
  ' ',
  'ends with spaces  ',
  'ends with a line\n',
  '\u{1f600} \u{10ffff} é e\u0301',
  `quotes ' " \` \\ \\n %_ ? :name ; -- /* */`,
  '\0\u0001\u001f\u007f',
  '\ufeffa mark at the beginning, \ufffd and \uffff',
  'null',
];

async function storeAndRead(
  database: TestDatabase,
  changes: readonly PolicyChange[],
  detail: string,
): Promise<void> {
  const store = await database.open();
  assert.ok((await store.propose(0, NO_HASH, 'put', changes)).ok);
  assert.deepEqual((await store.pending())[0]?.changes, changes);
  await store.markPublished(1);
  await store.setVerdict(1, 'accepted', detail);
  const again = await database.open();
  const proposal = await again.proposal(1);
  assert.deepEqual(proposal?.changes, changes);
  assert.equal(proposal.verdict, detail);
  const stored = await again.policies();
  assert.deepEqual(
    new Map(stored.map(({ name, text }) => [name, text])),
    new Map(changes.flatMap(({ name, text }) => (text === null ? [] : [[name, text]]))),
  );
}

test('mariadb: odd texts and names are stored byte by byte', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const names = [
    'p',
    'P',
    'p ',
    'p  ',
    'é',
    'e',
    '\u{1f600}',
    '\u{1f601}',
    'x'.repeat(NAME_BYTES_MAX),
  ];
  const changes = ODD_TEXTS.map((text, i) => ({ name: names[i] as string, text }));
  await storeAndRead(database, [...changes, { name: 'gone', text: null }], 'why \u{1f600} \0 ');
});

test('mariadb: texts of the largest size fit a server with defaults, whatever is in them', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const [row] = await database.rows('SELECT @@max_allowed_packet AS packet');
  assert.ok(Number(row?.['packet']) >= STORE_PACKET_BYTES_MIN);
  // Together more than a packet; each would be if it were escaped.
  const changes = ['\0', '\n', `'"`, '\u{1f600}'].map((unit, i) => ({
    name: `p${i}`,
    text: unit.repeat(POLICY_BYTES_MAX / Buffer.byteLength(unit)),
  }));
  await storeAndRead(database, changes, 'large');
});

test('mariadb: a text that fits no packet is refused before anything is written', async (t) => {
  const database = await databaseOrSkip(t);
  if (database === undefined) return;
  const store = await database.open();
  const [row] = await database.rows('SELECT @@max_allowed_packet AS packet');
  const text = 'x'.repeat(Number(row?.['packet']));
  const changes = [
    { name: 'small', text: 'x' },
    { name: 'large', text },
  ];
  await assert.rejects(store.propose(0, NO_HASH, 'put', changes), {
    code: 'too_large',
    remedy: /max_allowed_packet/,
  });
  const name = 'n'.repeat(NAME_BYTES_MAX + 1);
  await assert.rejects(store.propose(0, NO_HASH, 'put', [{ name, text: 'x' }]), {
    code: 'too_large',
  });
  assert.equal((await store.head()).version, 0);
  assert.equal((await database.rows('SELECT 1 FROM caucus_proposal_changes')).length, 0);
  assert.ok((await store.propose(0, NO_HASH, 'put', [{ name: 'p', text: 'y' }])).ok);
});
