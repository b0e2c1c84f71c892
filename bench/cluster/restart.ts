/**
 * A replica comes back to a long history: with nothing but the log, with its checkpoint, with the
 * state of another replica. Each time it has to be the same replica afterwards, births included.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Progress } from '../../deploy/loopback/processes.ts';
import { CheckpointStore } from '../../host/log/checkpoint-store.ts';
import { nodeDisk } from '../../host/log/node-disk.ts';
import { decodeCheckpoint } from '../../host/replica/checkpoint.ts';
import type { Entry, Figure } from '../report.ts';
import { BenchCluster } from './bench-cluster.ts';
import type { BenchReplica, Status } from './bench-cluster.ts';
import { cpuMs } from './cpu.ts';
import { GROUPS, ITEMS, itemRow, itemRows, JOIN_RULE, SOURCE, teamRows } from './load-rows.ts';
import { SourceLog } from './source-log.ts';

export interface RestartSize {
  readonly batches: number;
  readonly batchRows: number;
  /** Cuts of one row each, after the batches. */
  readonly singles: number;
  /** The same after the checkpoint, for the last figure. */
  readonly behind: number;
}

const TARGETS_MS = { checkpoint: 2_000, peer: 5_000, replay: 20_000 } as const;
/** A tenth of all rows asks for an action. */
const ACTION_RULE = `execute[nova:move(item, team)] :- of(item, team, n), urgent(team).\n`;
const URGENT_TEAMS = GROUPS / 10;
/** So many batches go into the log at once. */
const APPEND_BATCHES = 50;
const APPEND_SINGLES = 5_000;
/** None is saved but at a stop: a replay needs a cluster that has no state to give. */
const NO_CHECKPOINTS = { revisions: 1_000_000_000, bytes: '64GiB' };

export async function measureRestart(size: RestartSize, onProgress: Progress): Promise<Entry[]> {
  const cluster = await BenchCluster.open({
    brokers: 1,
    settings: { checkpoint: NO_CHECKPOINTS },
    onProgress,
  });
  try {
    const [first, second, third] = cluster.replicas as [BenchReplica, BenchReplica, BenchReplica];
    onProgress('writing the history');
    const source = await beginHistory(cluster, first);
    const newest = await writeHistory(source, size);

    onProgress('replay');
    const replay = await timedStart('replay', first, TARGETS_MS.replay);
    const replayed = await first.status();
    expect(replayed.revision >= newest, `revision ${replayed.revision}, not ${newest}`);
    onProgress('from its checkpoint');
    await first.stop();
    const checkpoint = await timedStart('its checkpoint', first, TARGETS_MS.checkpoint);
    expectSame(replayed, await first.status());
    onProgress('from another replica');
    const peer = await timedStart('another replica', second, TARGETS_MS.peer);
    expectSame(replayed, await second.status());
    expectFetched(second);
    await third.start();
    expectFetched(third);
    const same = await cluster.rest(newest);

    onProgress('after a kill, behind its checkpoint');
    await third.kill();
    await writeSingles(source, size.batches * size.batchRows + size.singles, size.behind);
    const behind = await timedStart(`its checkpoint and ${size.behind} cuts`, third, undefined);
    const { revision } = await cluster.rest(same.revision + size.behind);

    onProgress('comparing the births');
    // One by one: saving takes seconds of all that the machine has.
    for (const replica of cluster.replicas) await replica.stop();
    const births = await Promise.all(cluster.replicas.map((one) => birthsOf(one, revision)));
    expect(births[0] !== '[]', 'no row was born');
    expect(new Set(births).size === 1, 'the births differ');
    return [checkpoint, peer, replay, behind];
  } finally {
    await cluster.close();
  }
}

/** The replica makes the log's identity, registers the source and leaves nothing but the log. */
async function beginHistory(cluster: BenchCluster, replica: BenchReplica): Promise<SourceLog> {
  await replica.start();
  const { client } = replica;
  const urgent = Array.from(
    { length: URGENT_TEAMS },
    (_, index) => `urgent("team ${index * 10}").`,
  );
  await client.batch(SOURCE, { insert: { team: teamRows(), [ITEMS]: [] } });
  await client.policy('work', `${JOIN_RULE}${urgent.join('\n')}\n${ACTION_RULE}`);
  await replica.kill();
  replica.forget();
  const source = new SourceLog(await cluster.openLog(), SOURCE);
  await source.open();
  return source;
}

/** The last revision. */
async function writeHistory(source: SourceLog, size: RestartSize): Promise<number> {
  const { batches, batchRows, singles } = size;
  for (let batch = 0; batch < batches; batch += APPEND_BATCHES) {
    const count = Math.min(APPEND_BATCHES, batches - batch);
    const group = Array.from({ length: count }, (_, index) =>
      itemRows((batch + index) * batchRows, batchRows),
    );
    await source.writeHistory(ITEMS, group);
  }
  return await writeSingles(source, batches * batchRows, singles);
}

async function writeSingles(source: SourceLog, from: number, count: number): Promise<number> {
  let revision = 0;
  for (let row = 0; row < count; row += APPEND_SINGLES) {
    const rows = Math.min(APPEND_SINGLES, count - row);
    const group = Array.from({ length: rows }, (_, index) => [itemRow(from + row + index)]);
    revision = await source.writeHistory(ITEMS, group);
  }
  return revision;
}

/** From the start of the process until it takes requests. */
async function timedStart(
  from: string,
  replica: BenchReplica,
  atMost: number | undefined,
): Promise<Entry> {
  const beginMs = performance.now();
  await replica.start();
  const ms = (value: number): Figure => ({ value, unit: 'ms' });
  const time = ms(performance.now() - beginMs);
  return {
    name: `restart from ${from}`,
    figures: {
      time: atMost === undefined ? time : { ...time, target: { atMost } },
      'CPU time': ms(cpuMs(replica.pid)),
    },
  };
}

/** Of all `execute` tables, as a text; as they were saved at the revision. */
async function birthsOf({ id, dataDirectory }: BenchReplica, revision: number): Promise<string> {
  const store = new CheckpointStore(nodeDisk, path.join(dataDirectory, 'checkpoints'));
  const { checkpoint } = await store.loadNewest();
  expect(checkpoint?.revision === revision, `${id} saved ${checkpoint?.revision}, not ${revision}`);
  if (checkpoint === undefined) return '';
  const pieces: Uint8Array[] = [];
  for await (const piece of checkpoint.chunks) pieces.push(piece);
  const { births } = decodeCheckpoint(Buffer.concat(pieces)).state;
  return JSON.stringify(births.tables().map((table) => [table, births.rows(table)]));
}

/** It has a checkpoint, and cannot have saved one itself. */
function expectFetched({ id, dataDirectory }: BenchReplica): void {
  const files = readdirSync(path.join(dataDirectory, 'checkpoints'));
  expect(files.length > 0, `${id} did not get its state from another replica`);
}

function expectSame(before: Status, after: Status): void {
  const isSame = before.revision === after.revision && before.digest === after.digest;
  expect(
    isSame,
    `${after.digest} at ${after.revision}, not ${before.digest} at ${before.revision}`,
  );
}

function expect(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(`after the restart: ${otherwise}`);
}
