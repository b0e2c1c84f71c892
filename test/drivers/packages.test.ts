import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Driver, DriverBatch, Freshness } from '../../drivers/driver.ts';
import { clausesOf } from '../../drivers/packages/debian-index.ts';
import { compareDebianVersions } from '../../drivers/packages/debian-version.ts';
import { lockRecords } from '../../drivers/packages/lock-file.ts';
import { packageTables } from '../../drivers/packages/package-tables.ts';
import { findPackageIndex, packagesDriver } from '../../drivers/packages/packages-driver.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import { packagesFile } from '../support/packages-file.ts';

/** Starts the driver, stops it at its first report, and gives what it published. */
async function firstPoll(
  driver: Driver,
): Promise<{ batches: DriverBatch[]; freshness: Freshness | undefined }> {
  const abort = new AbortController();
  const batches: DriverBatch[] = [];
  let freshness: Freshness | undefined;
  await driver.start({
    signal: abort.signal,
    publish: async (batch) => {
      batches.push(batch);
      return { revision: 1, token: '1' };
    },
    report: (reported) => {
      freshness = reported;
      abort.abort();
    },
  });
  return { batches, freshness };
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'caucus-packages-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function rowsOf(batches: readonly DriverBatch[], table: string): string[] {
  const change = batches[0]?.changes.find((candidate) => candidate.table === table);
  return change?.insert === undefined ? [] : decodeRows(change.insert).map((row) => row.join(' '));
}

const INDEX = `Package: base
Version: 1.0-1
Essential: yes
Pre-Depends: libc (>= 2), libc (<< 3)
Depends: mta:any | mailer [amd64], awk
Section: admin
Installed-Size: 10

Package: mailer
Version: 1.10-1
Provides: mta (= 1), news
Section: mail
Description: sends
 Depends: nothing, this is a description

Package: mailer
Version: 1.9-1
Provides: old
Section: mail

Package: libold
Version: 1
Section: libs/oldlibs
`;
const STATUS = `Package: mailer
Status: install ok installed
Version: 1.9-2
Section: mail

Package: removed
Status: deinstall ok config-files
Version: 1
`;

test('debian: alternatives, virtual names, newest and installed versions', async () => {
  await inFolder(async (folder) => {
    // A compressed list beside the plain status, as in the folder of apt.
    await writeFile(join(folder, 'x_main_Packages.gz'), gzipSync(INDEX));
    await writeFile(join(folder, 'status'), STATUS);
    const { batches, freshness } = await firstPoll(packagesDriver({ source: 'pkg', path: folder }));
    assert.equal(freshness?.state, 'fresh');
    assert.equal(batches.length, 1);
    assert.deepEqual(rowsOf(batches, 'package').toSorted(), [
      'base admin 10',
      'libold libs/oldlibs ',
      'mailer mail ',
    ]);
    assert.deepEqual(rowsOf(batches, 'available').toSorted(), [
      'base 1.0-1',
      'libold 1',
      'mailer 1.10-1',
    ]);
    assert.deepEqual(rowsOf(batches, 'installed'), ['mailer 1.9-2']);
    assert.deepEqual(rowsOf(batches, 'essential'), ['base']);
    assert.deepEqual(rowsOf(batches, 'deprecated'), ['libold section oldlibs']);
    assert.deepEqual(rowsOf(batches, 'depends'), [
      'base 1 libc',
      'base 2 mta',
      'base 2 mailer',
      'base 3 awk',
    ]);
    // What is installed counts, and 1.9-2 provides nothing.
    assert.deepEqual(rowsOf(batches, 'provides'), []);
  });
});

test('debian: a broken list names file, line and column and publishes nothing', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'Packages');
    await writeFile(path, 'Package: a\nVersion: 1\nnonsense\n');
    const { batches, freshness } = await firstPoll(packagesDriver({ source: 'pkg', path }));
    assert.equal(batches.length, 0);
    assert.equal(freshness?.state, 'stale');
    const [problem] = freshness?.state === 'stale' ? freshness.problems : [];
    assert.deepEqual([problem?.file, problem?.line, problem?.column], [path, 3, 1]);
  });
});

test('debian: dependency fields', () => {
  assert.deepEqual(clausesOf('a (>= 1), b:any | c [amd64] <!nocheck>,\n d ,'), [
    ['a'],
    ['b', 'c'],
    ['d'],
  ]);
  assert.deepEqual(clausesOf(undefined), []);
});

test('debian: order of versions', () => {
  const ordered = [
    '0~~',
    '0~',
    '0',
    '1.0~rc1',
    '1.0',
    '1.0-1',
    '1.0-1+b1',
    '1.0a',
    '1.0.1',
    '1.9',
    '1.10',
    '1:0.1',
  ];
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) {
      assert.equal(Math.sign(compareDebianVersions(a, b)), Math.sign(i - j), `${a} against ${b}`);
    }
  }
  assert.equal(compareDebianVersions('1.001', '1.1'), 0);
});

test('an index of 60 000 packages and 400 000 dependencies is one exact batch', async () => {
  await inFolder(async (folder) => {
    const shape = { seed: 3, packages: 60_000, dependencies: 400_000 };
    const file = packagesFile(shape);
    const path = join(folder, 'Packages');
    await writeFile(path, file.text);
    const { batches } = await firstPoll(packagesDriver({ source: 'pkg', path }));
    const counts = new Map(
      batches[0]?.changes.map((change) => [change.table, change.insert?.count ?? 0]),
    );
    assert.equal(counts.get('package'), shape.packages);
    assert.equal(counts.get('depends'), file.dependsRows);
    assert.equal(counts.get('provides'), file.providesRows);
    assert.equal(counts.get('essential'), file.essentialRows);
    assert.ok(file.dependsRows > 0.9 * shape.dependencies, `only ${file.dependsRows} dependencies`);
  });
});

test('npm: nested packages, optional ones of other platforms, what the project asks for', () => {
  const packages = {
    '': { dependencies: { a: '1' } },
    'node_modules/a': { version: '1.0.0', license: 'MIT', dependencies: { b: '^1' } },
    'node_modules/a/node_modules/b': { version: '1.5.0', dependencies: { c: '1' } },
    'node_modules/b': { version: '2.0.0', dev: true, deprecated: 'use c' },
    'node_modules/c': { version: '1.0.0', optionalDependencies: { w: '1', l: '1' } },
    'node_modules/w': { version: '1.0.0', optional: true, os: ['win32'] },
    'node_modules/l': {
      version: '1.0.0',
      optional: true,
      os: ['!win32'],
      dependencies: { lost: '1' },
    },
    'node_modules/link': { link: true },
  };
  const tables = packageTables(lockRecords(packages, { os: 'linux', cpu: 'x64' }));
  const rows = (table: string): string[] => {
    const block = tables.get(table);
    return block === undefined ? [] : decodeRows(block).map((row) => row.join(' '));
  };
  assert.deepEqual(rows('depends').toSorted(), ['a 1 b@1.5.0', 'b@1.5.0 1 c', 'c 1 l', 'l 1 lost']);
  assert.deepEqual(rows('essential'), ['a']);
  assert.deepEqual(rows('deprecated'), ['b use c']);
  assert.deepEqual(rows('licence'), ['a MIT']);
  assert.deepEqual(
    rows('installed')
      .map((row) => String(row.split(' ')[0]))
      .toSorted(),
    ['a', 'b', 'b@1.5.0', 'c', 'l'],
  );
});

test('a path that is not there, and a directory without lists', async () => {
  await inFolder(async (folder) => {
    await assert.rejects(findPackageIndex({ path: join(folder, 'none') }), /is not there/);
    await assert.rejects(findPackageIndex({ path: folder }), /has no `Packages` or `status` files/);
  });
});

test('the lock file of this repository can be read', async () => {
  const index = await findPackageIndex({ path: 'package-lock.json' });
  assert.equal(index.kind, 'npm');
  const { batches, freshness } = await firstPoll(
    packagesDriver({ source: 'pkg', path: 'package-lock.json' }),
  );
  assert.equal(freshness?.state, 'fresh');
  assert.ok(rowsOf(batches, 'essential').includes('ws'));
});
