/**
 * Batches into the log as fast as the slowest replica shows them, and what each replica's process
 * spends on a row: fetch, decode, check, insert, join, and what a subscription gets of it.
 */
import { availableParallelism } from 'node:os';
import type { Progress } from '../../deploy/loopback/processes.ts';
import type { Entry } from '../report.ts';
import { Arrivals } from './arrivals.ts';
import { BenchCluster } from './bench-cluster.ts';
import { cpuMs } from './cpu.ts';
import { GROUPS, ITEMS, itemRows, JOIN_RULE, SOURCE, teamRows, WATCHED_TEAM } from './load-rows.ts';
import { SourceLog } from './source-log.ts';

export interface ThroughputSize {
  readonly batches: number;
  /** Of each way, before what counts. */
  readonly warmUp: number;
}

/** One of each group: a subscriber of one team sees each batch once. */
export const BATCH_ROWS = GROUPS;
/** Batches under way: enough for fetches of several, few enough to be a steady state. */
const WINDOW = 32;
const ROWS_PER_CPU_SECOND = 200_000;
/** Of the ways that are shown beside the first one. */
const SIDE_SHARE = 0.25;

interface Way {
  readonly name: string;
  readonly query: string;
  readonly share: number;
  readonly write: (from: number) => Promise<void>;
  /** The replicas that count; default all. */
  readonly counted?: readonly number[];
  readonly target?: number;
}

export async function measureThroughput(
  size: ThroughputSize,
  onProgress: Progress,
): Promise<Entry[]> {
  const cluster = await BenchCluster.open({ brokers: 1, onProgress });
  try {
    onProgress('starting the replicas');
    await cluster.startReplicas();
    const client = cluster.replicas[0]?.client;
    if (client === undefined) throw new Error('there is no replica');
    await client.batch(SOURCE, { insert: { team: teamRows(), [ITEMS]: [] } });
    await client.policy('work', JOIN_RULE);
    const source = new SourceLog(await cluster.openLog(), SOURCE);
    await source.open();
    const write = (from: number): Promise<void> => source.write(ITEMS, itemRows(from, BATCH_ROWS));
    const one = `work:of(item, "${WATCHED_TEAM}", n)`;
    const ways: readonly Way[] = [
      {
        name: 'rows into each replica, one team subscribed',
        query: one,
        share: 1,
        write,
        target: ROWS_PER_CPU_SECOND,
      },
      {
        name: 'the same, all rows subscribed',
        query: 'work:of(item, t, n)',
        share: SIDE_SHARE,
        write,
      },
      {
        name: 'rows over HTTP, the replica that takes them',
        query: one,
        share: SIDE_SHARE,
        counted: [0],
        write: async (from) => {
          const rows = itemRows(from, BATCH_ROWS).map(([item, group, n]) => [
            item,
            group,
            Number(n),
          ]);
          await client.batch(SOURCE, { insert: { [ITEMS]: rows } });
        },
      },
    ];
    const entries: Entry[] = [];
    let from = 0;
    for (const way of ways) {
      onProgress(way.name);
      const batches = Math.ceil(size.batches * way.share);
      const warmUp = Math.ceil(size.warmUp * way.share);
      entries.push(await measureWay(cluster, way, { batches, warmUp }, from));
      from += (batches + warmUp) * BATCH_ROWS;
    }
    await cluster.rest();
    return entries;
  } finally {
    await cluster.close();
  }
}

async function measureWay(
  { replicas }: BenchCluster,
  { name, query, write, counted, target }: Way,
  { batches, warmUp }: ThroughputSize,
  from: number,
): Promise<Entry> {
  const arrivals = await Arrivals.open({
    replicas,
    query,
    nameOf: ([item]) => String(item),
  });
  try {
    const watched = Number(WATCHED_TEAM.split(' ')[1]);
    const send = async (first: number, count: number): Promise<void> => {
      const underWay = new Set<Promise<unknown>>();
      for (let batch = first; batch < first + count; batch++) {
        const begin = from + batch * BATCH_ROWS;
        const arrived = arrivals.of(`item ${begin + watched}`);
        const done: Promise<unknown> = Promise.all([arrived, write(begin)]).finally(() =>
          underWay.delete(done),
        );
        underWay.add(done);
        while (underWay.size >= WINDOW) await Promise.race(underWay);
      }
      await Promise.all(underWay);
    };
    await send(0, warmUp);
    const pids = replicas.map(({ pid }) => pid);
    const before = pids.map(cpuMs);
    const beginMs = performance.now();
    await send(warmUp, batches);
    const wallMs = performance.now() - beginMs;
    const spent = pids.map((pid, index) => cpuMs(pid) - (before[index] as number));
    const most = Math.max(
      ...(counted ?? spent.map((_, index) => index)).map((index) => spent[index] ?? 0),
    );
    const rows = batches * BATCH_ROWS;
    return {
      name,
      figures: {
        'rows/CPU-s': {
          value: rows / (most / 1000),
          unit: 'perSecond',
          ...(target === undefined ? {} : { target: { atLeast: target } }),
        },
        'µs/row': { value: (most * 1000) / rows, unit: 'count' },
        'rows/s': { value: rows / (wallMs / 1000), unit: 'perSecond' },
        rows: { value: rows, unit: 'count' },
        cores: { value: availableParallelism(), unit: 'count' },
      },
    };
  } finally {
    await arrivals.close();
  }
}
