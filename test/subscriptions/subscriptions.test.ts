import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Gap, OutboundTransaction } from '../../host/subscriptions/outbox.ts';
import { Subscriptions } from '../../host/subscriptions/subscriptions.ts';
import type { Subscriber, SubscriptionStart } from '../../host/subscriptions/subscriptions.ts';
import { transactionFrames } from '../../host/subscriptions/transaction-frames.ts';
import { decodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { createFakeReplica } from '../support/fake-replica.ts';
import type { FakeReplica } from '../support/fake-replica.ts';

const LIMITS = { backlogBytesMax: 1_000, snapshotBytesMax: 10_000 };

interface Listener {
  readonly subscriber: Subscriber;
  readonly starts: SubscriptionStart[];
  readonly ends: string[];
  readonly gaps: Gap[];
}

function listen(hub: Subscriptions): Listener {
  const [starts, ends, gaps]: [SubscriptionStart[], string[], Gap[]] = [[], [], []];
  const subscriber = hub.connect({
    onStart: (start) => starts.push(start),
    onEnd: (id) => ends.push(id),
    onGap: (gap) => gaps.push(gap),
    onWake: () => {},
  });
  return { subscriber, starts, ends, gaps };
}
const int = (value: number): Row => [BigInt(value)];
const request = (id: string, query = 'inv:a(x)') => ({ id, query, mode: 'every' as const });

function setUp(): { replica: FakeReplica; hub: Subscriptions } {
  const replica = createFakeReplica();
  replica.commit({ 'inv:a': { insert: [int(1)] } });
  return { replica, hub: new Subscriptions(replica, LIMITS) };
}

test('a connection that goes while its views are opened gives them back', async () => {
  const { replica, hub } = setUp();
  const { subscriber, starts } = listen(hub);
  const added = subscriber.add([request('s')]);
  subscriber.close();
  await added;
  assert.equal(replica.openViews, 0);
  assert.deepEqual(starts, []);
});

test('views that cannot be opened end, the others start', async () => {
  const { hub } = setUp();
  const { subscriber, starts, ends } = listen(hub);
  await subscriber.add([request('good'), request('bad', 'no query')]);
  assert.deepEqual(
    starts.map(({ id }) => id),
    ['good'],
  );
  assert.deepEqual(ends, ['bad']);
});

test('after a gap one snapshot with all that was missed, and no view is left open', async () => {
  const { replica, hub } = setUp();
  const { subscriber, gaps } = listen(hub);
  await subscriber.add([request('s'), request('t', 'inv:b(x)')]);
  subscriber.take();
  let value = 2;
  while (gaps.length === 0) replica.commit({ 'inv:a': { insert: [int(value++)] } });
  assert.equal(subscriber.take(), undefined);
  // The snapshot is read now; commits go on.
  replica.commit({ 'inv:a': { insert: [int(value++)] } });
  let taken: OutboundTransaction | undefined;
  while (taken === undefined) {
    await Promise.resolve();
    replica.commit({ 'inv:a': { insert: [int(value++)] } });
    taken = subscriber.take();
  }
  assert.deepEqual(
    taken.parts.map(({ id, snapshot }) => [id, snapshot]),
    [['s', true]],
  );
  const wanted = replica.rowsAt(taken.position.revision, 'inv:a');
  const [part] = taken.parts;
  assert.ok(part !== undefined);
  assert.deepEqual(
    new Set(decodeRows(part.change.insert).map(String)),
    new Set(wanted.map(String)),
  );
  assert.equal(replica.openViews, 2);
  subscriber.close();
  assert.equal(replica.openViews, 0);
});

test('a frame is built once for connections that use the same id', async () => {
  const { replica, hub } = setUp();
  const listeners = [listen(hub), listen(hub)];
  for (const { subscriber } of listeners) await subscriber.add([request('s')]);
  for (const { subscriber } of listeners) subscriber.take();
  replica.commit({ 'inv:a': { insert: [int(2)] } });
  const [one, two] = listeners.map(({ subscriber }) => {
    const transaction = subscriber.take();
    assert.ok(transaction !== undefined);
    return [...transactionFrames(transaction, 1_000, () => true)];
  });
  assert.equal(one?.length, 3);
  assert.equal(one?.[1], two?.[1]);
});

test('rows of a subscription that ended inside its transaction are left out', async () => {
  const { replica, hub } = setUp();
  const { subscriber } = listen(hub);
  replica.commit({ 'inv:a': { insert: Array.from({ length: 100 }, (_, index) => int(index)) } });
  await subscriber.add([request('s')]);
  const transaction = subscriber.take();
  assert.ok(transaction !== undefined);
  const frames = transactionFrames(transaction, 50, (id) => subscriber.has(id));
  const types: string[] = [];
  for (const frame of frames) {
    types.push((JSON.parse(Buffer.from(frame).toString()) as { type: string }).type);
    if (types.length === 3) subscriber.remove('s');
  }
  assert.deepEqual(types, ['txBegin', 'rows', 'rows', 'txEnd']);
});
