/**
 * Data directories that earlier versions wrote, byte by byte, in `data-vectors.json`: what is on
 * somebody's disk has to be read by every later version, to the same state and the same digest. An
 * entry is never changed. Where the format of files or the digest is another one, `UPDATE=1` adds
 * an entry; the code then reads both.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { encodePushBatch } from '../../host/log/batch-parts.ts';
import { CHECKPOINT_FORMAT } from '../../host/replica/checkpoint.ts';
import type { RecordChange } from '../../host/log/records.ts';
import { Document, List } from '../../host/value/composite.ts';
import { parseDateTime } from '../../host/value/datetime.ts';
import { parseIp, parseNetwork } from '../../host/value/ip.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import {
  code,
  ints,
  newWorld,
  rows,
  shown,
  startNode,
  useEngine,
} from '../support/replica-world.ts';
import type { Node, World } from '../support/replica-world.ts';
import { appendRaw, register } from '../support/source-world.ts';

const FILE = 'test/replica/data-vectors.json';
const NODE = { rowsPerTableMax: 12 };

interface Vector {
  /** Which formats it has. */
  readonly name: string;
  /** File → its bytes, compressed with gzip, in base64. */
  readonly files: Readonly<Record<string, string>>;
  readonly expected: Shown;
}

/** What a replica shows. */
interface Shown {
  readonly revision: number;
  readonly digest: string;
  readonly failed: Readonly<Record<string, string | null>>;
  readonly births: readonly number[];
  readonly answers: Readonly<Record<string, readonly string[]>>;
}

const QUERIES = [
  's:kinds(n, v)',
  's:t(x)',
  'f:t(x)',
  'p:reach(x, y)',
  'p:alone(x)',
  'p:size(n)',
  'system:failed(p, t, c)',
  'system:sources(n, k, g, o, s, r)',
];

async function shownBy({ replica }: Node): Promise<Shown> {
  const { revision, digest, policies } = replica.status();
  const answers: Record<string, string[]> = {};
  for (const query of QUERIES) {
    const found = shown((await replica.query({ query })).rows);
    answers[query] = found.map((row) => row.map(formatValue).join(', '));
  }
  const failed = Object.fromEntries(policies.map((policy) => [policy.name, policy.failed]));
  const births = replica.births('execute:svc:go').map(([, at]) => at);
  return { revision, digest, failed, births, answers };
}

const KINDS: Row[] = [
  [1n, null],
  [2n, true],
  [3n, -5n],
  [4n, 9_007_199_254_740_993n],
  [5n, 0.1],
  [6n, 'é'],
  [7n, 'long '.repeat(60)],
  [8n, parseDateTime('2026-02-03T04:05:06.000007Z') as Value],
  [9n, parseIp('2001:db8::1') as Value],
  [10n, parseNetwork('10.0.0.0/8') as Value],
  [11n, new Document([['a', new List([1n, 'x', null])]])],
];

const UNFINISHED = encodePushBatch(
  {
    owner: 'other',
    batch: 7,
    batchId: 'big',
    bodyDigest: 'd',
    snapshot: false,
    changes: [{ table: 't', insert: ints(...Array.from({ length: 8 }, (_, at) => 40 + at)) }],
  },
  20,
);

/** Everything that a log and a checkpoint can hold, and what came after the checkpoint. */
async function writeEverything(world: World): Promise<Shown> {
  let node = await startNode(world, NODE);
  const { replica } = node;
  const write = (changes: readonly RecordChange[], key?: string) =>
    replica.writeBatch({
      source: 's',
      changes,
      ...(key === undefined ? {} : { id: { key, bodyDigest: `of ${key}` } }),
    });
  await replica.writePolicies([
    {
      name: 'p',
      text: `reach(x, y) :- s:e(x, y)
reach(x, z) :- reach(x, y), s:e(y, z)
alone(x) :- s:t(x), not reach(x, _)
size(count()) :- s:t(x)
execute[svc:go(x)] :- alone(x)
`,
    },
    { name: 'big', text: 'pair(x, y) :- s:t(x), s:t(y)\n' },
    { name: 'gone', text: 'a(1)\n' },
  ]);
  await write([{ table: 't', insert: ints(1, 2) }], 'first');
  await write([
    { table: 'e', insert: rows([1n, 3n], [3n, 1n]) },
    { table: 'kinds', insert: encodeRows(2, KINDS) },
  ]);
  await write([{ table: 't', insert: ints(4, 5) }], 'second');
  await replica.writePolicies([{ name: 'gone', text: null }]);
  await register(world, node.log, 'f');
  const by = { generation: 1, owner: 'a' } as const;
  const open = { kind: 'open', ...by, source: 'f', incarnation: 1 } as const;
  const snapshot = { kind: 'snapshot', ...by, sequence: 1, batch: 1, lastOfBatch: true } as const;
  const half = { kind: 'delta', ...by, sequence: 2, batch: 2, lastOfBatch: false } as const;
  const told = [{ table: 't', replace: true, insert: ints(8) }];
  const more = [{ table: 't', insert: ints(9) }];
  const records = [open, { ...snapshot, changes: told }, { ...half, changes: more }];
  await appendRaw(world, node.log, 'f', ...records);
  await node.log.append('source.s.1', UNFINISHED.slice(0, -1));
  await write([{ table: 't', delete: ints(5) }]);
  await node.stop();
  node = await startNode(world, NODE);
  await node.replica.writeBatch({ source: 's', changes: [{ table: 't', insert: ints(6) }] });
  const shownAtEnd = await shownBy(node);
  world.disk.kill();
  await node.log.close().catch(() => undefined);
  return shownAtEnd;
}

async function readVectors(): Promise<Vector[]> {
  return JSON.parse(await readFile(FILE, 'utf8')) as Vector[];
}

async function diskOf(vector: Vector, wanted: (file: string) => boolean): Promise<FaultyDisk> {
  const faulty = new FaultyDisk();
  const disk = faulty.attach();
  for (const [name, text] of Object.entries(vector.files)) {
    if (!wanted(name)) continue;
    const file = await disk.open(name, 'create');
    await file.write(0, [gunzipSync(Buffer.from(text, 'base64'))]);
    await file.sync();
    await disk.syncDirectory(path.dirname(name));
    await file.close();
  }
  return faulty;
}

const vectors = await readVectors();

if (process.env['UPDATE'] === '1') {
  const name = `log 1, checkpoint 1.${CHECKPOINT_FORMAT}`;
  if (!vectors.some((vector) => vector.name === name)) {
    useEngine('wasm');
    const world = await newWorld();
    const expected = await writeEverything(world);
    const files = Object.fromEntries(
      world.disk
        .files()
        .map((file) => [file, gzipSync(world.disk.peek(file), { level: 9 }).toString('base64')]),
    );
    vectors.push({ name, files, expected });
    await writeFile(FILE, `${JSON.stringify(vectors, null, 2)}\n`);
  }
}

test('there is a data directory of the formats that are written now', () => {
  assert.ok(vectors.some(({ name }) => name === `log 1, checkpoint 1.${CHECKPOINT_FORMAT}`));
});

for (const vector of vectors) {
  for (const from of ['checkpoint', 'log'] as const) {
    test(`${vector.name}: the ${from} is read as it was meant`, async () => {
      useEngine('wasm');
      const isWanted = (file: string): boolean =>
        from === 'checkpoint' || !file.endsWith('.checkpoint');
      const world = { ...(await newWorld()), disk: await diskOf(vector, isWanted) };
      const replayed: number[] = [];
      const node = await startNode(world, {
        ...NODE,
        onRevision: (revision) => replayed.push(revision),
      });
      try {
        assert.deepEqual(world.problems, []);
        assert.deepEqual(await shownBy(node), vector.expected);
        assert.equal(replayed[0] === 1, from === 'log');
        await goOn(node);
      } finally {
        await node.stop();
      }
    });
  }

  test(`${vector.name}: a changed byte is noticed`, async () => {
    const disk = await diskOf(vector, () => true);
    for (const file of disk.files()) {
      const size = disk.peek(file).length;
      disk.damage(file, size >> 1, new Uint8Array([1, 2, 3, 4]));
    }
    await assert.rejects(startNode({ ...(await newWorld()), disk }), code('log_damaged'));
  });
}

/** Ids are known, and what was under way is completed. */
async function goOn({ replica, log }: Node): Promise<void> {
  const { revision } = replica.status();
  const write = (changes: readonly RecordChange[], key: string) =>
    replica.writeBatch({ source: 's', changes, id: { key, bodyDigest: `of ${key}` } });
  const repeat = await write([{ table: 't', insert: ints(1, 2) }], 'first');
  assert.ok(repeat.revision < revision);
  await log.append('source.s.1', UNFINISHED.slice(-1));
  await write([{ table: 't', delete: ints(6) }], 'third');
  const numbers = shown((await replica.query({ query: 's:t(x), x >= 40' })).rows);
  assert.equal(numbers.length, 8);
}
