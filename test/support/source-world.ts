/** Writers of fenced sources over the log of a test's replica. */
import { randomBytes } from 'node:crypto';
import { CaucusError } from '../../host/errors.ts';
import type { Log } from '../../host/log/log.ts';
import { encodeRecord, recordChecksum } from '../../host/log/records.ts';
import type { FencedRecord } from '../../host/log/records.ts';
import { CutProposer } from '../../host/sources/cut-proposer.ts';
import { PolicyFollower } from '../../host/sources/policy-follower.ts';
import { SourceWriter } from '../../host/sources/source-writer.ts';
import { shown } from './replica-world.ts';
import type { Node, World } from './replica-world.ts';
import type { Row } from '../../host/value/value.ts';

export const wait = async (ms: number, signal: AbortSignal): Promise<void> => {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
};

export const randomId = (): string => randomBytes(8).toString('hex');

const REGISTER_TRIES = 10;

/** Makes the sources known to all replicas. */
export async function register(world: World, log: Log, ...names: string[]): Promise<void> {
  const cuts = new CutProposer(log, () => world.nowMs);
  const follower = new PolicyFollower({ log, store: world.store, cuts, wait });
  try {
    // Where many write at once it may give up; whoever wants the sources tries again.
    for (let tries = 1; ; tries++) {
      try {
        await follower.register(names, new AbortController().signal);
        break;
      } catch (error) {
        const isBusy = error instanceof CaucusError && error.code === 'not_ready';
        if (!isBusy || tries === REGISTER_TRIES) throw error;
      }
    }
    await cuts.cut();
  } finally {
    await follower.close();
  }
}

export interface TestWriter {
  readonly writer: SourceWriter;
  readonly cuts: CutProposer;
  /** What its callbacks said. */
  readonly told: { broken: number; lost: string[]; refused: string[] };
}

/** A writer whose lease has this generation; it may open ten times. */
export function writerOf(world: World, log: Log, source: string, lease: number): TestWriter {
  const cuts = new CutProposer(log, () => world.nowMs);
  const told: TestWriter['told'] = { broken: 0, lost: [], refused: [] };
  const writer = new SourceWriter({
    log,
    source,
    incarnation: 1,
    generations: { first: lease * 10, end: lease * 10 + 10 },
    cuts,
    wait,
    randomId,
    onBroken: () => told.broken++,
    onRefused: (reason) => told.refused.push(reason),
    onLost: (error) => told.lost.push(error.message),
    recordBytes: 200,
  });
  return { writer, cuts, told };
}

/** Puts records on the topic of a source and names them, whoever they say wrote them. */
export async function appendRaw(
  world: World,
  log: Log,
  source: string,
  ...list: FencedRecord[]
): Promise<void> {
  const topic = `source.${source}.1`;
  const records = list.map(encodeRecord);
  await log.ensureTopic(topic);
  const { first } = await log.append(topic, records);
  const cuts = new CutProposer(log, () => world.nowMs);
  const checksum = recordChecksum(records.at(-1) as Uint8Array);
  cuts.raise(topic, { end: first + records.length, checksum });
  await cuts.cut();
}

/** The rows of a query at the end of the log. */
export async function rowsOf({ replica }: Node, query: string): Promise<Row[]> {
  return shown((await replica.query({ query, consistency: 'latest', waitMs: 20_000 })).rows);
}

/** Of `system:sources`: whether the source is stale, and why. */
export async function staleOf(node: Node, source: string): Promise<Row> {
  const [row] = await rowsOf(node, `system:sources("${source}", k, g, o, stale, reason)`);
  return [row?.[3] ?? null, row?.[4] ?? null];
}
