import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createApiServer } from '../../host/api/server.ts';
import type { ApiServer } from '../../host/api/server.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';
import { WsClient } from '../support/ws-client.ts';

let replica: FakeReplica;
let server: ApiServer;
before(async () => {
  replica = createFakeReplica();
  server = await createApiServer({ replica, host: '127.0.0.1', port: 0 });
});
after(() => server.close({ drainMs: 0 }));

test('a subscription gets a snapshot, then each change', async () => {
  replica.commit({ 'inv:a': { insert: [[1n], [2n]] } });
  const client = await WsClient.open(server.address.url);
  client.send({ type: 'subs', add: [{ id: 's', query: 'inv:a(x)' }] });
  const ok = await client.next('subOk', 's');
  assert.equal(ok['start'], 'snapshot');
  assert.deepEqual(ok['columns'], ['x']);
  const begin = await client.next('txBegin');
  assert.deepEqual(begin['snapshotFor'], ['s']);
  await client.next('txEnd');
  assert.deepEqual(client.rowsOf('s'), ['[1]', '[2]']);
  const { revision } = replica.commit({ 'inv:a': { insert: [[3n]], delete: [[1n]] } });
  await client.at(revision);
  assert.deepEqual(client.rowsOf('s'), ['[2]', '[3]']);
  await client.close();
});
