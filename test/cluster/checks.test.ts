/**
 * Controls of the checks: a history of real processes passes, and with one line changed it does
 * not, for each of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from '../../host/value/value.ts';
import { checkHistory } from '../simulation/checkers/check-history.ts';
import type { Violation } from '../simulation/checkers/violation.ts';
import { randomOf } from '../support/prng.ts';
import type { Call, HistoryEvent, OkEvent } from '../support/history.ts';
import type { ClusterNode } from './cluster-node.ts';
import { checkVersions, FILE_ROWS } from './file-source.ts';
import { checkSessions } from './sessions.ts';
import { inserting, withCluster } from './with-cluster.ts';
import { prepare, work } from './workload.ts';

const SEED = 7;
const WORK_MS = 2_500;

const check = (history: readonly HistoryEvent[]): Violation[] => [
  ...checkHistory(history),
  ...checkSessions(history),
];

function expectFound(
  history: readonly HistoryEvent[],
  invariant: Violation['invariant'],
  message: RegExp,
): void {
  const found = check(history);
  assert.ok(
    found.some((one) => one.invariant === invariant && message.test(one.message)),
    `no ${invariant} ${message}: ${found.map((one) => one.message).join('; ')}`,
  );
}

test('a changed line of a history is found', async (t) => {
  let whole: readonly HistoryEvent[] = [];
  await withCluster(t, { replicas: 2 }, async (cluster) => {
    const { replicas, recorder } = cluster;
    const stop = AbortSignal.timeout(WORK_MS);
    const clients = ['a', 'b', 'c'].map((name, index) => {
      const random = randomOf(SEED, index);
      return { client: cluster.client(name), replicas, random, signal: stop, thinkMs: 20 };
    });
    await prepare(clients[0] as (typeof clients)[number]);
    const first = cluster.client('first');
    const [pe1, pe2] = replicas as [ClusterNode, ClusterNode];
    await first.policy(pe1, 'pairs', 'torn(x) :- app:left(x), not app:right(x)');
    const view = first.follow('app:op(c, n)');
    assert.ok(await view.connect(pe2));
    for (const op of [1n, 2n, 3n]) {
      const changes = inserting('op', ['first', op]);
      await first.batch(pe1, { source: 'app', id: `first-${op}`, snapshot: false, changes });
      await first.query(pe2, 'app:op(c, n)');
      await view.at(first.revision);
    }
    await first.query(pe2, 'app:left(x), not app:right(x)');
    view.disconnect();
    await Promise.all(clients.map(work));
    whole = recorder.history;
  });
  if (whole.length === 0) return;
  assert.deepEqual(check(whole), []);
  const calls = new Map<string, Call>();
  for (const event of whole) {
    if (event.event === 'invoke') calls.set(`${event.client} ${event.op}`, event.call);
  }
  /** The last answer to a call of the client `first` that fits. */
  const answer = (fits: (call: Call) => boolean): OkEvent => {
    const found = whole.findLast((event): event is OkEvent => {
      if (event.event !== 'ok' || event.client !== 'first') return false;
      const call = calls.get(`${event.client} ${event.op}`);
      return call !== undefined && fits(call);
    });
    assert.ok(found !== undefined);
    return found;
  };
  const isOp = (call: Call): boolean => call.kind === 'query' && call.query === 'app:op(c, n)';

  const commit = whole.findLast((event) => event.event === 'commit');
  assert.ok(commit?.event === 'commit');
  /** With other lines instead of this one. */
  const put = (one: HistoryEvent, ...instead: HistoryEvent[]): HistoryEvent[] =>
    whole.toSpliced(whole.indexOf(one), 1, ...instead);
  expectFound(put(commit, { ...commit, digest: 'another' }), 'I1', /has another/);
  expectFound(put(commit, commit, commit), 'I1', /came from revision/);
  const middle = whole.find((event) => event.event === 'commit' && event.revision === 5);
  assert.ok(middle?.event === 'commit');
  expectFound(put(middle), 'I1', /came from revision 4 to 6/);

  const torn = answer((call) => call.kind === 'query' && call.query.includes('not app:right'));
  expectFound(put(torn, { ...torn, rows: ['i9;'] }), 'I2', /not app:right/);

  const push = answer((call) => call.kind === 'batch');
  const elsewhere = { ...push, revision: push.revision + 1 };
  expectFound(put(push, elsewhere), 'I4', /is not applied at revision/);
  const policy = whole.find((event) => event.event === 'invoke' && event.call.kind === 'policy');
  assert.ok(policy?.event === 'invoke' && policy.call.kind === 'policy');
  const writes = [{ name: 'pairs', text: 'torn(x) :- app:right(x)' }];
  const unwritten = { ...policy, call: { ...policy.call, writes } };
  expectFound(put(policy, unwritten), 'I4', /never in force/);
  const lost = whole.findLast(
    (event) => event.event === 'record' && event.topic.startsWith('source.app.'),
  );
  assert.ok(lost !== undefined);
  expectFound(put(lost), 'I1', /which is another record/);

  const read = answer(isOp);
  const [own] = (read.rows ?? []).filter((row) => row.includes('first'));
  const without = (read.rows ?? []).filter((row) => row !== own);
  expectFound(put(read, { ...read, rows: without }), 'I5', /by the log/);
  expectFound(put(read, { ...read, rows: without }), 'I5', /lacks its own/);
  expectFound(put(read, { ...read, revision: 1 }), 'I5', /its token is of/);
  expectFound(put(read, { ...read, revision: 1 }), 'I5', /it had seen/);

  const delta = whole.find((event) => event.event === 'view' && event.what === 'delta');
  assert.ok(delta?.event === 'view');
  expectFound(put(delta), 'I6', /by the log/);
  expectFound(put(delta, delta, delta), 'I6', /came and was there|went and was not there/);
  const end = whole.findLast((event) => event.event === 'end');
  assert.ok(end?.event === 'end');
  expectFound(put(end, { ...end, isAtRest: false, note: 'pe1 hangs' }), 'rest', /pe1 hangs/);
});

test('a half table, one that was empty, old rows and a wrong end are found', () => {
  const version = (count: bigint, rows = FILE_ROWS): Row[] =>
    Array.from({ length: rows }, (_, row) => [`k${row}`, count]);
  const found = (shown: Row[][], last?: number): string[] =>
    checkVersions('file:item', shown, last).map(({ invariant }) => invariant);
  assert.deepEqual(found([[], version(1n), version(1n), version(2n)], 2), []);
  assert.deepEqual(found([version(1n), version(1n, 3), version(2n)]), ['I2']);
  assert.deepEqual(found([version(1n), [], version(2n)]), ['I2']);
  assert.deepEqual(found([version(1n), [...version(1n, 3), ...version(2n).slice(3)]]), ['I2']);
  assert.deepEqual(found([version(2n), version(1n), version(2n)]), ['I3']);
  assert.deepEqual(found([version(1n), version(2n)], 3), ['I4']);
});
