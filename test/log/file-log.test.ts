import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { openFileLog } from '../../host/log/file-log.ts';
import type { FileLog } from '../../host/log/file-log.ts';
import { nodeDisk } from '../../host/log/node-disk.ts';
import { bytesOf, checkDurability, logSuite, readAll, textsOf } from '../suites/log-suite.ts';
import type { CrashingHarness } from '../suites/log-suite.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

/** A clock that stands still, jumps ahead and goes back. */
function jumpingClock(): () => number {
  let calls = 0;
  return () => 1_700_000_000_000 + [0, 5, 5, -9, 20][calls++ % 5]! * calls;
}

function openOn(disk: FaultyDisk, segmentBytes?: number, tailBytes?: number): Promise<FileLog> {
  return openFileLog({
    disk: disk.attach(),
    directory: '/log',
    now: jumpingClock(),
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
    ...(tailBytes === undefined ? {} : { tailBytes }),
  });
}

function harnessOn(disk: FaultyDisk, disturb: boolean): CrashingHarness {
  const none = (): undefined => undefined;
  return {
    // Segments and tail so small that every path is taken.
    open: () => openOn(disk, 4000, 3000),
    close: () => Promise.resolve(),
    // The process alone, or the machine with it.
    crash: (random) => (random.chance(0.3) ? disk.kill() : disk.crash(random)),
    heal: () => {
      disk.fault = none;
      disk.capacityBytes = Infinity;
    },
    ...(disturb ? { disturb: (random: Random) => disturbDisk(disk, random) } : {}),
  };
}

function disturbDisk(disk: FaultyDisk, random: Random): void {
  const choice = random.int(20);
  if (choice === 0) disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
  else if (choice === 1) disk.fault = (operation) => (operation === 'write' ? 'EIO' : undefined);
  else if (choice === 2) disk.capacityBytes = random.int(20_000);
  else if (choice === 3)
    disk.fault = (operation) => (operation === 'syncDirectory' ? 'EIO' : undefined);
  else if (choice < 8) {
    disk.fault = () => undefined;
    disk.capacityBytes = Infinity;
  }
}

async function failureOf(promise: Promise<unknown>): Promise<CaucusError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof CaucusError, String(error));
    assert.ok(error.remedy);
    return error;
  }
  return assert.fail('nothing was refused');
}

logSuite('file log on the real disk', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'caucus-log-'));
  return {
    open: () =>
      openFileLog({
        disk: nodeDisk,
        directory: path.join(directory, 'a', 'b'),
        now: jumpingClock(),
      }),
    close: () => rm(directory, { recursive: true }),
  };
});

logSuite('file log on a disk that may lose all', () => {
  const disk = new FaultyDisk();
  return Promise.resolve(harnessOn(disk, false));
});

test('what was acknowledged survives the loss of every write that was not synced', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    await checkDurability(harnessOn(new FaultyDisk(), false), seed, 6);
  }
});

test('and so it does when writes and syncs fail and the disk is full at times', async () => {
  for (let seed = 1001; seed <= 1060; seed++) {
    await checkDurability(harnessOn(new FaultyDisk(), true), seed, 6);
  }
});

test('control: on a disk whose sync does nothing the check fails', async () => {
  let failed = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const disk = new FaultyDisk({ syncDoesNothing: true });
    await checkDurability(harnessOn(disk, false), seed, 6).catch(() => failed++);
  }
  assert.ok(failed >= 9, `${failed} of 10`);
});

test('all appends of a moment share one sync', async () => {
  const disk = new FaultyDisk();
  const log = await openOn(disk);
  await log.ensureTopic('a');
  const before = disk.calls.get('sync') ?? 0;
  const first = Array.from({ length: 500 }, (_, i) => log.append('a', [bytesOf(`${i}`)]));
  await first[0];
  assert.equal((disk.calls.get('sync') ?? 0) - before, 1);
  const second = Array.from({ length: 500 }, (_, i) => log.append('a', [bytesOf(`${i}`)]));
  await Promise.all([...first, ...second]);
  assert.equal((disk.calls.get('sync') ?? 0) - before, 2);
  await log.close();
});

/** A log of three groups; returns the positions at which they start. */
async function writeGroups(disk: FaultyDisk, clean: boolean): Promise<number[]> {
  const log = await openOn(disk);
  await log.ensureTopic('a');
  const starts: number[] = [];
  for (const text of ['first', 'second', 'third']) {
    starts.push(log.storedBytes);
    await log.append('a', [bytesOf(text), bytesOf(`${text}, again`)]);
  }
  if (clean) await log.close();
  else disk.kill();
  return starts;
}

const SEGMENT = '/log/0000000001.log';

test('a torn tail is cut and reported', async () => {
  for (const missing of [1, 10, 40, 41, 60]) {
    const disk = new FaultyDisk();
    await writeGroups(disk, false);
    const size = disk.peek(SEGMENT).length;
    disk.cutShort(SEGMENT, size - missing);
    const log = await openOn(disk);
    const texts = textsOf(await readAll(log, 'a'));
    assert.deepEqual(
      texts,
      ['first', 'first, again', 'second', 'second, again', 'third'].slice(0, texts.length),
    );
    assert.ok(texts.length === 5 || missing > 50);
    const [repair] = log.repairs;
    assert.equal(repair?.file, SEGMENT);
    assert.equal((repair?.byteOffset ?? 0) + (repair?.bytes ?? 0), size - missing);
    assert.equal((await log.append('a', [bytesOf('next')])).first, texts.length);
    await log.close();
    const again = await openOn(disk);
    assert.deepEqual(textsOf(await readAll(again, 'a')), [...texts, 'next']);
    assert.deepEqual(again.repairs, []);
    await again.close();
  }
});

test('a broken byte in what was durable is refused, with file, position and remedy', async () => {
  const probe = new FaultyDisk();
  const [first, , third] = await writeGroups(probe, false);
  const size = probe.peek(SEGMENT).length;
  for (let at = first as number; at < size; at++) {
    const disk = new FaultyDisk();
    await writeGroups(disk, false);
    disk.damage(SEGMENT, at, Uint8Array.of((disk.peek(SEGMENT)[at] as number) ^ 0x10));
    if (at >= (third as number)) {
      // The last group of a process that was killed: it cannot be told from a torn write.
      const log = await openOn(disk);
      assert.equal(log.repairs.length, 1, `byte ${at}`);
      assert.ok((await log.bounds('a')).end >= 4);
      await log.close();
      continue;
    }
    const error = await failureOf(openOn(disk));
    assert.equal(error.code, 'log_damaged', `byte ${at}`);
    assert.equal(error.details['file'], SEGMENT);
    assert.ok((error.details['byteOffset'] as number) <= at);
  }
});

test('after a clean end the last group is told from a torn one, too', async () => {
  const disk = new FaultyDisk();
  const [, , third] = await writeGroups(disk, true);
  disk.damage(SEGMENT, (third as number) + 42, Uint8Array.of(0));
  const error = await failureOf(openOn(disk));
  assert.equal(error.code, 'log_damaged');
  assert.equal(error.details['byteOffset'], third);
});

test('a record that looks like an entry of the log does not pass for one', async () => {
  // A client that sends bytes of another log must not make this one look damaged.
  const other = new FaultyDisk();
  await writeGroups(other, true);
  const disk = new FaultyDisk();
  const log = await openOn(disk);
  await log.ensureTopic('a');
  await log.append('a', [other.peek(SEGMENT)]);
  disk.kill();
  disk.cutShort(SEGMENT, disk.peek(SEGMENT).length - 3);
  const again = await openOn(disk);
  assert.equal(again.repairs.length, 1);
  assert.deepEqual(await again.bounds('a'), { start: 0, end: 0 });
  await again.close();
});

async function fillSegments(disk: FaultyDisk): Promise<FileLog> {
  const log = await openOn(disk, 1000, 0);
  await log.ensureTopic('a');
  await log.ensureTopic('b');
  for (let index = 0; index < 20; index++) {
    await log.append('a', [bytesOf(`${index} ${'x'.repeat(300)}`)]);
    if (index === 5) await log.append('b', [bytesOf('b')]);
  }
  return log;
}

test('a segment that is missing, cut short or exchanged is refused', async () => {
  for (const harm of [
    (disk: FaultyDisk) => disk.attach().unlink('/log/0000000003.log'),
    (disk: FaultyDisk) => Promise.resolve(disk.cutShort('/log/0000000002.log', 400)),
    (disk: FaultyDisk) => disk.attach().rename('/log/0000000005.log', '/log/0000000003.log'),
    (disk: FaultyDisk) => Promise.resolve(disk.damage('/log/0000000002.log', 20, Uint8Array.of(9))),
    (disk: FaultyDisk) => Promise.resolve(disk.damage('/log/0000000001.log', 0, Uint8Array.of(9))),
  ]) {
    const disk = new FaultyDisk();
    await (await fillSegments(disk)).close();
    await harm(disk);
    assert.equal((await failureOf(openOn(disk))).code, 'log_damaged');
  }
});

test('a segment whose header was never whole is removed: nothing can be in it', async () => {
  for (const length of [0, 30, 47]) {
    const disk = new FaultyDisk();
    await openOn(disk);
    disk.kill();
    disk.cutShort(SEGMENT, length);
    const log = await openOn(disk);
    assert.deepEqual(log.repairs, [{ file: SEGMENT, byteOffset: 0, bytes: length }]);
    await log.ensureTopic('a');
    await log.append('a', [bytesOf('one')]);
    await log.close();
    const again = await openOn(disk);
    assert.deepEqual(textsOf(await readAll(again, 'a')), ['one']);
    await again.close();
  }
});

test('a next segment that failed half-way and could not be removed is made anew', async () => {
  const disk = new FaultyDisk();
  const log = await openOn(disk, 300);
  await log.ensureTopic('a');
  await log.append('a', [bytesOf('x'.repeat(300))]);
  disk.fault = (operation) =>
    operation === 'syncDirectory' || operation === 'unlink' ? 'EIO' : undefined;
  await failureOf(log.append('a', [bytesOf('lost')]));
  assert.equal(disk.files().length, 2);
  await failureOf(log.append('a', [bytesOf('lost, too')]));
  disk.fault = () => undefined;
  assert.equal((await log.append('a', [bytesOf('next')])).first, 1);
  await log.close();
  const again = await openOn(disk);
  assert.deepEqual(textsOf(await readAll(again, 'a')).slice(1), ['next']);
  await again.close();
});

test('whole segments are given back once every topic in them is below its trim', async () => {
  const disk = new FaultyDisk();
  let log = await fillSegments(disk);
  const segments = log.segmentCount;
  const stored = log.storedBytes;
  assert.ok(segments > 6);
  await log.trim('a', 18);
  const held = log.segmentCount;
  assert.ok(held < segments && held > 3, 'the segment with `b` in it stays');
  await log.trim('b', 1);
  assert.ok(log.segmentCount <= 2);
  assert.ok(log.storedBytes < stored / 3);
  assert.equal(disk.files().length, log.segmentCount);
  assert.deepEqual(
    textsOf(await readAll(log, 'a')).map((text) => text.slice(0, 2)),
    ['18', '19'],
  );
  await log.close();
  log = await openOn(disk, 1000, 0);
  assert.equal((await log.bounds('a')).end, 20);
  assert.ok((await log.bounds('a')).start <= 18);
  assert.deepEqual(await log.bounds('b'), { start: 1, end: 1 });
  assert.equal((await log.append('b', [bytesOf('b1')])).first, 1);
  await log.close();
});

test('a full disk makes the log read-only with an error, and it goes on by itself', async () => {
  const disk = new FaultyDisk();
  const log = await openOn(disk);
  await log.ensureTopic('a');
  await log.append('a', [bytesOf('before')]);
  disk.capacityBytes = log.storedBytes + 300;
  const [big, small] = await Promise.all([
    failureOf(log.append('a', [bytesOf('x'.repeat(5000))])),
    failureOf(log.append('a', [bytesOf('small')])),
  ]);
  assert.deepEqual(
    [big.code, small.code, big.details['errno']],
    ['disk_full', 'disk_full', 'ENOSPC'],
  );
  assert.ok(log.failure);
  assert.deepEqual(textsOf(await readAll(log, 'a')), ['before']);
  disk.capacityBytes = 0;
  assert.equal((await failureOf(log.recover())).code, 'disk_full');
  assert.equal((await failureOf(log.append('a', [bytesOf('still full')]))).code, 'disk_full');
  disk.capacityBytes = Infinity;
  await log.recover();
  assert.equal(log.failure, undefined);
  assert.equal((await log.append('a', [bytesOf('after')])).first, 1);
  disk.crash(randomFrom(3));
  const again = await openOn(disk);
  assert.deepEqual(textsOf(await readAll(again, 'a')), ['before', 'after']);
  await again.close();
});

test('after a failed sync the data is not taken for durable, whatever later syncs say', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new FaultyDisk();
    const log = await openOn(disk);
    await log.ensureTopic('a');
    await log.append('a', [bytesOf('before')]);
    for (let failures = seed % 3; failures >= 0; failures--) {
      disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
      const lost = await failureOf(log.append('a', [bytesOf('lost')]));
      assert.equal(lost.details['errno'], 'EIO');
      disk.fault = () => undefined;
      await log.recover();
    }
    await log.append('a', [bytesOf('after')]);
    assert.deepEqual(textsOf(await readAll(log, 'a')), ['before', 'after']);
    disk.crash(randomFrom(seed));
    const again = await openOn(disk);
    assert.deepEqual(textsOf(await readAll(again, 'a')), ['before', 'after'], `seed ${seed}`);
    await again.close();
  }
});

test('a long failure leaves no row of empty segments', async () => {
  const disk = new FaultyDisk();
  const log = await openOn(disk);
  await log.ensureTopic('a');
  await log.append('a', [bytesOf('before')]);
  disk.capacityBytes = log.storedBytes + 300;
  for (let index = 0; index < 20; index++)
    await failureOf(log.append('a', [bytesOf('x'.repeat(1000))]));
  assert.ok(disk.files().length <= 2, disk.files().join(' '));
  disk.capacityBytes = Infinity;
  await log.append('a', [bytesOf('after')]);
  await log.close();
  const again = await openOn(disk);
  assert.deepEqual(textsOf(await readAll(again, 'a')), ['before', 'after']);
  await again.close();
});

test('a disk that is full at the start is an error with a remedy', async () => {
  const disk = new FaultyDisk();
  disk.capacityBytes = 10;
  assert.equal((await failureOf(openOn(disk))).code, 'disk_full');
  disk.capacityBytes = Infinity;
  await (await openOn(disk)).close();
});

test('damage that comes while the log is open is an error to the reader', async () => {
  const disk = new FaultyDisk();
  const log = await openOn(disk, 1_000_000, 0);
  await log.ensureTopic('a');
  await log.append('a', [bytesOf('one')]);
  await log.append('a', [bytesOf('two')]);
  disk.damage(SEGMENT, disk.peek(SEGMENT).length - 1, Uint8Array.of(0));
  assert.equal((await failureOf(readAll(log, 'a'))).code, 'log_damaged');
  await log.close();
});

test('a million small records', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'caucus-log-'));
  const options = { disk: nodeDisk, directory, now: Date.now };
  let log = await openFileLog(options);
  await log.ensureTopic('a');
  const batch = Array.from({ length: 10_000 }, (_, i) => bytesOf(`record ${i} of a batch`));
  await Promise.all(Array.from({ length: 100 }, () => log.append('a', batch)));
  await log.close();
  log = await openFileLog(options);
  assert.deepEqual(await log.bounds('a'), { start: 0, end: 1_000_000 });
  const last = await readAll(log, 'a');
  assert.equal(last.length, 1_000_000);
  assert.equal(new TextDecoder().decode(last[999_999]?.bytes), 'record 9999 of a batch');
  await log.close();
  await rm(directory, { recursive: true });
});
