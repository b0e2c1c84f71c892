/**
 * Forks: an operator's way on where the log has lost acknowledged records. The cuts between the
 * last one whose records are there (`base`) and the fork count for nothing; from the fork on the
 * log has another id, so that no token or action key of the lost cuts means anything any more.
 *
 * The list stands in a topic of its own, which is read at every start; the record among the cuts
 * stops whoever does not know it yet.
 */
import { CaucusError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { decodeRecord, encodeRecord, recordChecksum } from '../log/records.ts';
import type { CutRecord, ForkRecord } from '../log/records.ts';
import { inForce } from './cut-reader.ts';
import { TopicReader } from './topic-reader.ts';
import { CUTS_TOPIC, FORKS_TOPIC } from './topics.ts';

interface Fork extends ForkRecord {
  /** Of its record among the cuts. */
  readonly offset: number;
}

export class Forks {
  readonly #forks: readonly Fork[];

  constructor(forks: readonly Fork[]) {
    this.#forks = forks;
  }

  /** The fork whose record is the one at this offset of the cuts. */
  at(offset: number): ForkRecord | undefined {
    return this.#forks.find((fork) => fork.offset === offset);
  }

  /** The cut at this offset, or the state at this revision, counts for nothing. */
  isVoid(offset: number): boolean {
    return this.#forks.some((fork) => fork.base < offset && offset < fork.offset);
  }

  /** What the log is called at a revision. `genesis`: undefined where its record is gone. */
  logIdAt(revision: number, genesis: string | undefined): string | undefined {
    const before = this.#forks.filter((fork) => fork.offset <= revision);
    const first = this.#forks[0]?.previousLogId;
    return before.at(-1)?.logId ?? genesis ?? first;
  }
}

export async function readForks(log: Log): Promise<Forks> {
  await log.ensureTopic(FORKS_TOPIC);
  const { start, end } = await log.bounds(FORKS_TOPIC);
  const forks: Fork[] = [];
  for await (const { bytes } of records(log, FORKS_TOPIC, start, end)) {
    const record = decodeRecord(bytes);
    // A writer that died between its two appends wrote the same again.
    if (record.kind === 'fork' && record.offset !== null) {
      forks.push({ ...record, offset: record.offset });
    }
  }
  return new Forks(forks);
}

export interface ForkPlan {
  readonly logId: string;
  /** The last cut whose records the log still has. */
  readonly base: number;
  /** Where the fork would stand: one past the last cut. */
  readonly offset: number;
  /** Cuts that would count for nothing. */
  readonly voidCuts: number;
}

/** Looks for the base. Nothing may write to the log meanwhile. */
export async function planFork(log: Log): Promise<ForkPlan> {
  const { start, end } = await log.bounds(CUTS_TOPIC);
  const forks = await readForks(log);
  const cuts: { readonly offset: number; readonly cut: CutRecord }[] = [];
  let genesis: string | undefined;
  for await (const { offset, bytes } of records(log, CUTS_TOPIC, start, end)) {
    const record = decodeRecord(bytes);
    if (record.kind === 'genesis') genesis = record.logId;
    else if (record.kind === 'cut' && !forks.isVoid(offset)) cuts.push({ offset, cut: record });
  }
  const logId = forks.logIdAt(end, genesis);
  if (logId === undefined) {
    throw new CaucusError('log_damaged', 'the log has lost its identity', {
      remedy: 'start a new log with an empty bus, and write the policies again',
    });
  }
  const base = await lastWhole(log, cuts);
  if (base === undefined && start > 0) {
    throw new CaucusError('log_damaged', 'no cut of the log has all its records', {
      remedy: 'start a new log with an empty bus, and write the policies again',
    });
  }
  const voidCuts = cuts.filter(({ offset }) => offset > (base ?? 0)).length;
  return { logId, base: base ?? 0, offset: end, voidCuts };
}

/** Writes what `planFork` has found. Resolves when every later start goes on from the base. */
export async function fork(log: Log, plan: ForkPlan, newLogId: string): Promise<void> {
  const { base, logId: previousLogId, offset } = plan;
  const record = { kind: 'fork', logId: newLogId, previousLogId, base } as const;
  const { first } = await log.append(CUTS_TOPIC, [encodeRecord({ ...record, offset: null })]);
  if (first !== offset) {
    throw new CaucusError('conflict', 'somebody else wrote to the log', {
      remedy: 'stop all nodes, then try again',
    });
  }
  await log.append(FORKS_TOPIC, [encodeRecord({ ...record, offset })]);
}

/** The last cut whose vector in force the log can show. */
async function lastWhole(
  log: Log,
  cuts: readonly { readonly offset: number; readonly cut: CutRecord }[],
): Promise<number | undefined> {
  const named = new Map<string, { end: number; checksum: number }>();
  const vectors = cuts.map(({ cut }) => {
    for (const [topic, end] of inForce(cut)) {
      if (end.end > (named.get(topic)?.end ?? 0)) named.set(topic, end);
    }
    return new Map(named);
  });
  const bounds = new Map<string, { start: number; end: number }>();
  for (const topic of named.keys()) {
    await log.ensureTopic(topic);
    bounds.set(topic, await log.bounds(topic));
  }
  const shown = new Map<string, boolean>();
  const isShown = async (topic: string, end: number, checksum: number): Promise<boolean> => {
    const { start, end: last } = bounds.get(topic) ?? { start: 0, end: 0 };
    if (end > last) return false;
    if (end === 0 || end <= start) return true;
    const key = `${topic}@${end}@${checksum}`;
    let found = shown.get(key);
    if (found === undefined) {
      found = recordChecksum(await recordAt(log, topic, end - 1)) === checksum;
      shown.set(key, found);
    }
    return found;
  };
  for (let index = cuts.length - 1; index >= 0; index--) {
    let isWhole = true;
    for (const [topic, { end, checksum }] of vectors[index] ?? []) {
      isWhole &&= await isShown(topic, end, checksum);
    }
    if (isWhole) return cuts[index]?.offset;
  }
  return undefined;
}

async function recordAt(log: Log, topic: string, offset: number): Promise<Uint8Array> {
  for await (const { bytes } of records(log, topic, offset, offset + 1)) return bytes;
  throw new Error(`topic ${topic} has no record ${offset}`);
}

async function* records(log: Log, topic: string, from: number, to: number) {
  const reader = new TopicReader({ log, topic, from });
  try {
    yield* reader.readTo(to);
  } finally {
    reader.close();
  }
}
