import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaucusError } from '../../host/errors.ts';
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { randomFrom } from '../support/random.ts';

const DIRECTORY = '/data/checkpoints';

function storeOn(disk: FaultyDisk, heldBytesMax?: number): CheckpointStore {
  return new CheckpointStore(disk.attach(), DIRECTORY, heldBytesMax);
}

function* chunksOf(revision: number): Generator<Uint8Array> {
  const random = randomFrom(revision);
  for (let count = 1 + random.int(4); count > 0; count--) yield random.bytes(random.int(3000));
  yield Uint8Array.of(revision);
}

function contentOf(revision: number): Buffer {
  return Buffer.concat([...chunksOf(revision)]);
}

async function loaded(
  store: CheckpointStore,
): Promise<{ revision: number | undefined; damaged: string[] }> {
  const { checkpoint, damaged } = await store.loadNewest();
  if (checkpoint !== undefined) {
    const parts: Uint8Array[] = [];
    for await (const chunk of checkpoint.chunks) parts.push(chunk);
    assert.deepEqual(Buffer.concat(parts), contentOf(checkpoint.revision));
  }
  return { revision: checkpoint?.revision, damaged: damaged.map(({ file }) => file) };
}

test('the newest checkpoint is loaded, old ones are pruned', async () => {
  const disk = new FaultyDisk();
  const store = storeOn(disk);
  assert.deepEqual(await loaded(store), { revision: undefined, damaged: [] });
  for (const revision of [5, 20, 100]) {
    const saved = await store.save(revision, chunksOf(revision));
    assert.equal(disk.peek(saved.file).length, saved.bytes);
  }
  assert.deepEqual(
    (await store.list()).map(({ revision }) => revision),
    [100, 20, 5],
  );
  assert.deepEqual(await loaded(store), { revision: 100, damaged: [] });
  assert.equal((await store.loadNewest(99)).checkpoint?.revision, 20);
  assert.deepEqual(await store.prune(2), [100, 20]);
  assert.equal(disk.files().length, 2);
});

test('an empty checkpoint and one of a single huge chunk', async () => {
  const store = storeOn(new FaultyDisk());
  await store.save(1, []);
  const empty = (await store.loadNewest()).checkpoint;
  for await (const chunk of empty?.chunks ?? []) assert.fail(`${chunk.length} bytes`);
  const huge = new Uint8Array(40_000_000).fill(7);
  await store.save(2, [huge]);
  let bytes = 0;
  for await (const chunk of (await store.loadNewest()).checkpoint?.chunks ?? [])
    bytes += chunk.length;
  assert.equal(bytes, huge.length);
});

for (const [how, heldBytesMax] of [
  ['read once', undefined],
  ['read twice', 0],
] as const) {
  test(`any damage to the newest is reported and the one before it is used, ${how}`, async () => {
    const disk = new FaultyDisk();
    const store = storeOn(disk, heldBytesMax);
    await store.save(1, chunksOf(1));
    const { file, bytes } = await store.save(2, chunksOf(2));
    const random = randomFrom(77);
    const original = disk.peek(file);
    for (let round = 0; round < 150; round++) {
      const at = round < 50 ? round : random.int(bytes);
      disk.damage(file, at, Uint8Array.of((original[at] as number) ^ (1 << random.int(8))));
      assert.deepEqual(await loaded(store), { revision: 1, damaged: [file] }, `byte ${at}`);
      disk.damage(file, at, original.subarray(at, at + 1));
    }
    assert.deepEqual(await loaded(store), { revision: 2, damaged: [] });
    for (const length of [0, 10, 28, 40, bytes - 1]) {
      disk.cutShort(file, length);
      assert.deepEqual(await loaded(store), { revision: 1, damaged: [file] }, `${length} bytes`);
    }
  });
}

test('a checkpoint that may be held is read at one stroke, a larger one piece by piece', async () => {
  const disk = new FaultyDisk();
  const { bytes } = await storeOn(disk).save(3, chunksOf(3));
  const readsWith = async (heldBytesMax: number): Promise<number> => {
    const before = disk.calls.get('read') ?? 0;
    assert.deepEqual(await loaded(storeOn(disk, heldBytesMax)), { revision: 3, damaged: [] });
    return (disk.calls.get('read') ?? 0) - before;
  };
  assert.equal(await readsWith(bytes), 1);
  assert.ok((await readsWith(bytes - 1)) > 2);
});

test('a format that is not known stops', async () => {
  const disk = new FaultyDisk();
  const store = storeOn(disk);
  await store.save(1, chunksOf(1));
  const { file } = await store.save(2, chunksOf(2));
  // The checksum of a header with version 2.
  const { crc32c } = await import('../../host/log/crc32c.ts');
  const header = disk.peek(file).slice(0, 28);
  header[8] = 2;
  new DataView(header.buffer).setUint32(24, crc32c(header, 0, 0, 24), true);
  disk.damage(file, 0, header);
  await assert.rejects(store.loadNewest(), { code: 'unsupported_record' });
});

/** Saves, crashes in the middle of the next save, and says which revision is loaded afterwards. */
async function crashWhileSaving(disk: FaultyDisk, seed: number): Promise<number | undefined> {
  const random = randomFrom(seed);
  const store = storeOn(disk);
  await store.save(1, chunksOf(1));
  const saving = store.save(2, chunksOf(2)).then(
    () => 2,
    () => 1,
  );
  for (let turns = random.int(14); turns > 0; turns--)
    await new Promise((resolve) => setImmediate(resolve));
  disk.crash(random);
  const least = await saving;
  const { revision, damaged } = await loaded(storeOn(disk));
  assert.ok((revision ?? 0) >= least, `seed ${seed}: loaded ${revision}, saved ${least}`);
  assert.deepEqual(damaged, [], `seed ${seed}`);
  await storeOn(disk).prune(1);
  assert.equal(disk.files().length, 1, `seed ${seed}`);
  return revision;
}

test('a crash at any moment leaves the old or the new checkpoint, whole', async () => {
  const results = new Set<number | undefined>();
  for (let seed = 1; seed <= 300; seed++)
    results.add(await crashWhileSaving(new FaultyDisk(), seed));
  assert.deepEqual(results, new Set([1, 2]));
});

test('control: on a disk whose sync does nothing it does not', async () => {
  let failed = 0;
  for (let seed = 1; seed <= 50; seed++) {
    await crashWhileSaving(new FaultyDisk({ syncDoesNothing: true }), seed).catch(() => failed++);
  }
  assert.ok(failed > 10, `${failed} of 50`);
});

test('a full disk is an error, leaves nothing behind and harms nothing', async () => {
  const disk = new FaultyDisk();
  const store = storeOn(disk);
  await store.save(1, chunksOf(1));
  disk.capacityBytes = contentOf(1).length + 500;
  await assert.rejects(
    store.save(2, [new Uint8Array(5000)]),
    (error: unknown) => error instanceof CaucusError && error.code === 'disk_full',
  );
  assert.equal(disk.files().length, 1);
  assert.deepEqual(await loaded(store), { revision: 1, damaged: [] });
});

test('an error of the stream is the caller’s own, and nothing is saved', async () => {
  const disk = new FaultyDisk();
  const store = storeOn(disk);
  const failing = (function* (): Generator<Uint8Array> {
    yield Uint8Array.of(1);
    throw new Error('mine');
  })();
  await assert.rejects(store.save(1, failing), /mine/);
  assert.deepEqual(disk.files(), []);
});
