import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Clock } from '../../drivers/clock.ts';
import type { DriverColumn } from '../../drivers/driver.ts';
import { fileDriver } from '../../drivers/file/file-driver.ts';
import { DRIVER_KINDS } from '../../drivers/registry.ts';
import { DriverRunner } from '../../drivers/runner.ts';
import type { SourceHealth } from '../../drivers/runner.ts';
import { ModelReplica } from '../suites/driver-suite.ts';
import { TEST_POLL_MS, TEST_SETTLE_MS } from './file-harness.ts';

interface Running {
  readonly folder: string;
  readonly model: ModelReplica;
  readonly health: () => SourceHealth;
}

/** Runs a driver over `name` in a new folder; `prepare` fills it first. */
async function running(
  name: string,
  prepare: (folder: string) => Promise<void>,
  body: (running: Running) => Promise<void>,
  options: {
    clock?: Clock;
    declared?: (table: string) => readonly DriverColumn[] | undefined;
  } = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'caucus-driver-'));
  await prepare(folder);
  const model = new ModelReplica();
  const runner = new DriverRunner({
    drivers: [
      fileDriver({
        source: 'inv',
        path: join(folder, name),
        pollMs: TEST_POLL_MS,
        settleMs: TEST_SETTLE_MS,
        ...options,
      }),
    ],
    writeBatch: model.writeBatch,
    onHealth: () => model.touch(),
  });
  runner.start();
  await runner.settled();
  try {
    await body({ folder, model, health: () => runner.health()[0] as SourceHealth });
  } finally {
    await runner.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const rowsOf = (model: ModelReplica, table: string): string[] => [
  ...(model.tables.get(table) ?? []),
];

test('one file: its table is the base name, its header the columns', async () => {
  await running(
    'hosts.csv',
    (folder) => writeFile(join(folder, 'hosts.csv'), 'name,cpus\nweb,4\n'),
    async ({ model, health }) => {
      await model.until(() => model.batches.length === 1);
      assert.deepEqual(rowsOf(model, 'hosts'), ['"web", 4']);
      await model.until(() => health().state === 'fresh');
      assert.deepEqual(
        health().tables[0]?.columns?.map(({ name }) => name),
        ['name', 'cpus'],
      );
    },
  );
});

test('a file that is gone keeps its rows and is stale until it is back', async () => {
  await running(
    'hosts.csv',
    (folder) => writeFile(join(folder, 'hosts.csv'), 'name\nweb\n'),
    async ({ folder, model, health }) => {
      const path = join(folder, 'hosts.csv');
      await model.until(() => health().state === 'fresh' && model.batches.length === 1);
      await unlink(path);
      await model.until(() => health().state === 'stale');
      assert.match(health().problems[0]?.message ?? '', /hosts\.csv` is not there/);
      assert.equal(health().problems[0]?.table, 'hosts');
      assert.deepEqual(rowsOf(model, 'hosts'), ['"web"']);
      await writeFile(path, 'name\nweb\ndb\n');
      await model.until(() => health().state === 'fresh');
      assert.deepEqual(rowsOf(model, 'hosts').toSorted(), ['"db"', '"web"']);
      assert.equal(model.batches[1]?.changes[0]?.insert?.count, 1);
    },
  );
});

test('a file that is not there at the start is stale, and read once it comes', async () => {
  await running(
    'hosts.tsv',
    async () => undefined,
    async ({ folder, model, health }) => {
      assert.equal(health().state, 'stale');
      await writeFile(join(folder, 'hosts.tsv'), 'a\n');
      await model.until(() => health().state === 'fresh' && model.batches.length === 1);
    },
  );
});

test('a directory: other files are left alone, two for one table are a problem', async () => {
  await running(
    '.',
    async (folder) => {
      await writeFile(join(folder, 'a.csv'), 'x\n1\n');
      await writeFile(join(folder, 'a.json'), '[]');
      for (const other of ['README.md', '.b.csv', 'c.csv~', '#d.csv#']) {
        await writeFile(join(folder, other), 'nonsense');
      }
      await writeFile(join(folder, '1 x.csv'), 'x\n');
    },
    async ({ model, health }) => {
      await model.until(() => model.batches.length === 1);
      await model.until(() => health().state === 'stale' && health().problems.length === 2);
      assert.deepEqual([...model.tables.keys()], ['a']);
      const messages = health()
        .problems.map(({ message }) => message)
        .join('\n');
      assert.match(messages, /`1 x` is no name of a table/);
      assert.match(messages, /a\.json` and `.*a\.csv` are both table `a`/);
    },
  );
});

test('a rename over the file with the same size and time is seen', async () => {
  await running(
    'a.tsv',
    (folder) => writeFile(join(folder, 'a.tsv'), 'x\n'),
    async ({ folder, model }) => {
      await model.until(() => model.batches.length === 1);
      const path = join(folder, 'a.tsv');
      const { atime, mtime } = await stat(path);
      await writeFile(`${path}.part`, 'y\n');
      await utimes(`${path}.part`, atime, mtime);
      await rename(`${path}.part`, path);
      await model.until(() => model.batches.length === 2);
      assert.deepEqual(rowsOf(model, 'a'), ['"y"']);
    },
  );
});

test('a file is read only once it is at rest', async () => {
  // Every look at the file happens at a moment that this clock decides; the file grows before each.
  let folderOf = '';
  let writes = 0;
  let nowMs = Date.now();
  const clock: Clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    wait: async (ms, signal) => {
      if (signal.aborted) return;
      if (writes < 5) {
        writes++;
        nowMs = Date.now() + writes * TEST_SETTLE_MS;
        const file = join(folderOf, 'a.tsv');
        const text = await readFile(file, 'utf8');
        // Text and time at once: a look in between would see a file that is at rest.
        await writeFile(`${folderOf}.next`, `${text}row ${writes}\n`);
        await utimes(`${folderOf}.next`, nowMs / 1000, nowMs / 1000);
        await rename(`${folderOf}.next`, file);
      } else {
        nowMs += ms;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
  await running(
    'a.tsv',
    async (folder) => {
      folderOf = folder;
      await writeFile(join(folder, 'a.tsv'), 'half a ro');
      nowMs = Date.now();
    },
    async ({ model }) => {
      await model.until(() => model.batches.length === 1);
      assert.equal(writes, 5);
      assert.equal(rowsOf(model, 'a').length, 5);
    },
    { clock },
  );
});

test('declared columns decide the types', async () => {
  await running(
    'a.csv',
    (folder) => writeFile(join(folder, 'a.csv'), 'id\n007\n8\n'),
    async ({ model }) => {
      await model.until(() => model.batches.length === 1);
      assert.deepEqual(rowsOf(model, 'a').toSorted(), ['"007"', '"8"']);
    },
    { declared: (table) => (table === 'a' ? [{ name: 'id', type: 'string' }] : undefined) },
  );
});

test('the registry makes each driver it lists', () => {
  for (const kind of DRIVER_KINDS) {
    const driver = kind.create({ source: 'inv', path: 'x' });
    assert.deepEqual([driver.name, driver.mode, driver.source], [kind.name, kind.mode, 'inv']);
  }
});
