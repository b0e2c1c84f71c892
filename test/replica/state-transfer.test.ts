/** A replica without a checkpoint gets its state from another one, if a third one confirms it. */
import assert from 'node:assert/strict';
import type { Log, LogRecord } from '../../host/log/log.ts';
import { decodeRecord, encodeRecord } from '../../host/log/records.ts';
import type { FetchedCheckpoint } from '../../host/replica/dependencies.ts';
import {
  code,
  ints,
  joinNode,
  newWorld,
  replicaTest,
  shown,
  startNode,
} from '../support/replica-world.ts';
import type { Node, NodeOptions } from '../support/replica-world.ts';
import { expectEqual, startThree, stopAll } from '../support/several-replicas.ts';

/** A checkpoint as the other replica has it, or with one byte of the rows changed. */
async function checkpointOf(node: Node): Promise<FetchedCheckpoint> {
  const { checkpoint } = await node.checkpoints.loadNewest();
  assert.ok(checkpoint !== undefined);
  return checkpoint;
}

replicaTest('a new replica gets its state from another where the log was trimmed', async () => {
  const world = await newWorld();
  const settings = { checkpointRevisions: 6 };
  const at = (index: number): NodeOptions => ({
    settings,
    segmentBytes: 2000,
    node: { nodeId: `pe${index}`, url: `http://pe${index}`, digestRevisions: 3 },
  });
  const nodes = await startThree(world, at);
  const [first, second, third] = nodes as [Node, Node, Node];
  await first.replica.writePolicies([{ name: 'p', text: 'big(x) :- s:t(x), x > 1\n' }]);
  let token = '';
  for (let n = 0; n < 60 || (await first.log.bounds('cuts')).start === 0; n++) {
    assert.ok(n < 1000, 'the log is never trimmed');
    const changes = [{ table: 't', insert: ints(n) }];
    ({ token } = await first.replica.writeBatch({ source: 's', changes }));
  }
  await third.stop();
  const asked: string[] = [];
  const fourth = await joinNode(world, first, {
    ...at(3),
    fetchCheckpoint: async (url) => {
      asked.push(url);
      if (asked.length === 1) throw new Error('the link is cut');
      return await checkpointOf(url === 'http://pe0' ? first : second);
    },
  });
  assert.equal(asked.length, 2, 'the next one is asked when the first cannot be reached');
  const { rows } = await fourth.replica.query({
    query: 'p:big(x)',
    consistency: { atLeast: token },
  });
  assert.ok(rows.count > 50);
  await expectEqual([first, second, fourth]);
  // Without anybody to ask it does not begin with half a log, but may when they are back.
  await assert.rejects(joinNode(world, first, at(4)), code('not_ready'));
  await stopAll([first, second, fourth]);
});

/** The same announcements without the digests that they hold. */
function withoutDigests(log: Log): Log {
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'read') {
        return async function* read(topic: string, from: number, signal: AbortSignal) {
          for await (const chunk of target.read(topic, from, signal)) {
            yield { ...chunk, records: chunk.records.map(muted) };
          }
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

function muted(record: LogRecord): LogRecord {
  const decoded = decodeRecord(record.bytes);
  if (decoded.kind !== 'announce') return record;
  return { ...record, bytes: encodeRecord({ ...decoded, digests: [] }) };
}

async function takesConfirmedStateOnly(wrapLog: (log: Log) => Log = (log) => log): Promise<void> {
  const world = await newWorld();
  const at = (index: number): NodeOptions => ({
    settings: { checkpointRevisions: 6 },
    node: { nodeId: `pe${index}`, url: `http://pe${index}`, digestRevisions: 3 },
    // Whoever writes the same rows as the first one writes the same records.
    ...(index === 0 ? { randomId: () => 'the same' } : {}),
  });
  const nodes = await startThree(world, at);
  const [first] = nodes as [Node];
  const push = async (node: Node, n: number): Promise<void> => {
    const changes = [{ table: 't', insert: ints(n) }];
    await node.replica.writeBatch({ source: 's', changes });
  };
  for (let n = 0; n < 30; n++) await push(first, n);
  await expectEqual(nodes);
  // Whole and well-formed, of the same records, and of another state: one row is lost.
  const other = await newWorld();
  const forger = await startNode(other, {
    randomId: () => 'the same',
    settings: { checkpointRevisions: 1 },
  });
  forger.engine.alter = (transaction) => ({
    ...transaction,
    changes: transaction.changes.filter(({ table, insert }) => {
      return table !== 's:t' || insert === undefined || shown(insert)[0]?.[0] !== 7n;
    }),
  });
  const newest = await checkpointOf(first);
  for (let n = 0; forger.replica.status().revision < newest.revision; n++) await push(forger, n);
  await forger.stop();
  const forged = await checkpointOf(forger);
  assert.equal(forged.revision, newest.revision);
  world.problems.length = 0;
  let asked = 0;
  const fourth = await joinNode(world, first, {
    ...at(3),
    wrapLog,
    fetchCheckpoint: async () => {
      if (asked++ === 0) return forged;
      return await checkpointOf(first);
    },
  });
  try {
    assert.equal(asked, 2, 'the second one is asked, too');
    assert.match(world.problems.map(String).join('\n'), /other replicas had another state/);
    await expectEqual([...nodes, fourth]);
  } finally {
    await stopAll([...nodes, fourth]);
  }
}

replicaTest('state of another replica that no third one confirms is not used', () =>
  takesConfirmedStateOnly(),
);

replicaTest('control: without what the others published, wrong state is taken for right', () =>
  assert.rejects(takesConfirmedStateOnly(withoutDigests), /the second one is asked, too/),
);
