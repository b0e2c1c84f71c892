/**
 * Who is there: each replica announces itself on the topic `replicas` and reads what the others
 * announce. Nothing of it is part of the replicated state.
 */
import { CaucusError } from '../errors.ts';
import { ANNOUNCEMENTS_KEPT, ANNOUNCE_MS, DIGESTS_KEPT, MEMBER_SILENT_MS } from '../limits.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { decodeRecord, encodeRecord } from '../log/records.ts';
import type { AnnounceRecord, DigestEntry } from '../log/records.ts';
import type { Timer } from './revision-waiters.ts';
import { TopicReader } from './topic-reader.ts';
import { REPLICAS_TOPIC } from './topics.ts';

/** What a node says of itself at the moment. */
export type Presence = Pick<AnnounceRecord, 'phase' | 'revision' | 'checkpointRevision'>;

/** What is known of a node, this one included. */
export interface Member extends Presence {
  readonly nodeId: string;
  readonly owner: string;
  readonly url: string;
  readonly semantics: number;
  /** When it was last heard of, by this node's clock. */
  readonly seenMs: number;
  /** The newest `DIGESTS_KEPT`, by revision. */
  readonly digests: ReadonlyMap<number, string>;
}

export interface MembersOptions {
  readonly log: Log;
  readonly nodeId: string;
  readonly owner: string;
  readonly url: string;
  readonly semantics: number;
  readonly now: () => number;
  readonly setTimer: Timer;
  readonly presence: () => Presence;
  /** Somebody announced something; `isPast`: before this node started. */
  readonly onNews: (member: Member, isPast: boolean) => void;
  readonly onProblem: (error: Error) => void;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #roll = new Roll();
  #reader: TopicReader | undefined;
  #cancel: (() => void) | undefined;
  #digests: DigestEntry[] = [];
  #announcing: Promise<void> | undefined;
  #isDue = false;
  #isClosed = false;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Reads what was announced lately, then announces this node, and goes on with both. */
  async start(): Promise<void> {
    const { log, onNews, now } = this.#options;
    const { reader, end } = await recentAnnouncements(log);
    this.#reader = reader;
    for await (const record of reader.readTo(end)) {
      const member = this.#roll.take(record, Math.min(now(), record.appendTimeMs));
      if (member !== undefined) onNews(member, true);
    }
    void this.#follow(reader);
    this.announce();
  }

  /** Tells the others soon. */
  announce(): void {
    this.#isDue = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#announcing ??= this.#announceAll().finally(() => {
      this.#announcing = undefined;
      if (this.#isClosed) return;
      this.#cancel = this.#options.setTimer(() => this.announce(), ANNOUNCE_MS);
    });
  }

  /** A digest that the others compare with theirs. */
  addDigest(revision: number, digest: string): void {
    this.#digests.push({ revision, digest });
    this.announce();
  }

  list(): readonly Member[] {
    return this.#roll.list();
  }

  /** Those that were heard of lately. */
  live(): readonly Member[] {
    const since = this.#options.now() - MEMBER_SILENT_MS;
    return this.list().filter(({ seenMs, phase }) => seenMs >= since && phase !== 'stopped');
  }

  /** Says a last word and stops. */
  async close(): Promise<void> {
    this.announce();
    this.#isClosed = true;
    await this.#announcing;
    this.#cancel?.();
    this.#reader?.close();
  }

  async #announceAll(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false;
      const { log, nodeId, owner, url, semantics, presence, onProblem } = this.#options;
      const digests = this.#digests;
      this.#digests = [];
      const record: AnnounceRecord = {
        kind: 'announce',
        nodeId,
        owner,
        url,
        semantics,
        ...presence(),
        digests,
      };
      try {
        const { first } = await log.append(REPLICAS_TOPIC, [encodeRecord(record)]);
        if (first % ANNOUNCEMENTS_KEPT === 0 && first > ANNOUNCEMENTS_KEPT) {
          await log.trim(REPLICAS_TOPIC, first - ANNOUNCEMENTS_KEPT);
        }
      } catch (error) {
        // The next announcement says it again.
        this.#digests = [...digests, ...this.#digests].slice(-DIGESTS_KEPT);
        if (error instanceof Error && !this.#isClosed) onProblem(error);
        return;
      }
    }
  }

  async #follow(reader: TopicReader): Promise<void> {
    const { now, onNews, onProblem } = this.#options;
    try {
      for await (const record of reader.readTo(Infinity)) {
        const member = this.#roll.take(record, now());
        if (member !== undefined) onNews(member, false);
      }
    } catch (error) {
      if (!this.#isClosed && error instanceof Error) onProblem(error);
    }
  }
}

/** The newest announcement of each node. */
class Roll {
  readonly #members = new Map<string, Member>();

  list(): readonly Member[] {
    return [...this.#members.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  take({ bytes }: LogRecord, seenMs: number): Member | undefined {
    const record = decodeRecord(bytes);
    if (record.kind !== 'announce') return undefined;
    const digests = new Map(this.#members.get(record.nodeId)?.digests);
    for (const { revision, digest } of record.digests) {
      digests.delete(revision);
      digests.set(revision, digest);
    }
    for (const revision of [...digests.keys()].slice(0, -DIGESTS_KEPT)) digests.delete(revision);
    const { kind: _kind, ...announced } = record;
    const member: Member = { ...announced, seenMs, digests };
    this.#members.set(record.nodeId, member);
    return member;
  }
}

/** Who announced themselves lately, for a node that has not started yet. */
export async function pastMembers(log: Log): Promise<readonly Member[]> {
  const roll = new Roll();
  const { reader, end } = await recentAnnouncements(log);
  try {
    for await (const record of reader.readTo(end)) roll.take(record, record.appendTimeMs);
  } finally {
    reader.close();
  }
  return roll.list();
}

async function recentAnnouncements(
  log: Log,
): Promise<{ readonly reader: TopicReader; readonly end: number }> {
  await log.ensureTopic(REPLICAS_TOPIC);
  const { start, end } = await log.bounds(REPLICAS_TOPIC);
  const from = Math.max(start, end - ANNOUNCEMENTS_KEPT);
  return { reader: new TopicReader({ log, topic: REPLICAS_TOPIC, from }), end };
}

/** Throws `conflict` unless `level` is at most `own` and all that were not stopped announce it. */
export function expectKnownLevel(level: number, own: number, members: readonly Member[]): void {
  const unaware = members
    .filter(({ semantics, phase }) => semantics < level && phase !== 'stopped')
    .map(({ nodeId }) => nodeId);
  if (unaware.length === 0 && level <= own) return;
  throw new CaucusError('conflict', `level ${level} is not known to all replicas`, {
    remedy: 'run a version that knows it on all of them first',
    details: { level, unaware },
  });
}
