import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApiServer } from '../../host/api/server.ts';
import type { ApiServer, ApiServerOptions } from '../../host/api/server.ts';
import { fetchCheckpoint } from '../../host/parts/fetch-checkpoint.ts';
import type { FetchedCheckpoint } from '../../host/replica/dependencies.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import { code } from '../support/replica-world.ts';

const SECRET = 'a secret of the test';
const BYTES = new Uint8Array(300_000).map((_, index) => index % 251);

async function* pieces(breakAt = Infinity): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < BYTES.length; at += 10_000) {
    if (at >= breakAt) throw new Error('the disk is gone');
    yield BYTES.subarray(at, at + 10_000);
  }
}

async function withServer(
  cluster: ApiServerOptions['cluster'],
  body: (server: ApiServer) => Promise<void>,
): Promise<void> {
  const server = await createApiServer({
    replica: createFakeReplica(),
    host: '127.0.0.1',
    port: 0,
    ...(cluster === undefined ? {} : { cluster }),
  });
  try {
    await body(server);
  } finally {
    await server.close({ drainMs: 0 });
  }
}

async function bytesOf({ chunks }: FetchedCheckpoint): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

test('a node gets the checkpoint of another, byte for byte', async () => {
  const newestCheckpoint = () => Promise.resolve({ revision: 1200, chunks: pieces() });
  await withServer({ secret: SECRET, newestCheckpoint }, async ({ address }) => {
    const fetched = await fetchCheckpoint(address.url, SECRET);
    assert.equal(fetched.revision, 1200);
    assert.deepEqual(await bytesOf(fetched), BYTES);
  });
});

test('without the secret it gets nothing, and a page of a browser neither', async () => {
  let opened = 0;
  const newestCheckpoint = () => {
    opened++;
    return Promise.resolve({ revision: 1, chunks: pieces() });
  };
  await withServer({ secret: SECRET, newestCheckpoint }, async ({ address }) => {
    for (const wrong of ['', 'x', `${SECRET}x`, SECRET.slice(1)]) {
      await assert.rejects(fetchCheckpoint(address.url, wrong), code('unauthorized'));
    }
    const bare = await fetch(new URL('/v1/cluster/checkpoint', address.url));
    assert.equal(bare.status, 401);
    const { error } = (await bare.json()) as { error: { code: string } };
    assert.equal(error.code, 'unauthorized');
    assert.equal(opened, 0);
    await fetchCheckpoint(address.url, SECRET);
    assert.equal(opened, 1);
  });
});

test('an answer that breaks off is no checkpoint', async () => {
  const newestCheckpoint = () => Promise.resolve({ revision: 5, chunks: pieces(100_000) });
  await withServer({ secret: SECRET, newestCheckpoint }, async ({ address }) => {
    const fetched = await fetchCheckpoint(address.url, SECRET);
    await assert.rejects(bytesOf(fetched));
  });
});

test('a node without one says so, a server that is alone has no such thing', async () => {
  const newestCheckpoint = () => Promise.resolve(undefined);
  await withServer({ secret: SECRET, newestCheckpoint }, async ({ address }) => {
    await assert.rejects(fetchCheckpoint(address.url, SECRET), code('not_ready'));
  });
  await withServer(undefined, async ({ address }) => {
    const answer = await fetch(new URL('/v1/cluster/checkpoint', address.url));
    assert.equal(answer.status, 404);
  });
});
