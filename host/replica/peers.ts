/**
 * What a replica does because there are others: it names records whose writer left, publishes
 * proposals whose writer left, announces itself, and compares its digests with theirs. A replica
 * that is alone has none of this.
 */
import { CaucusError } from '../errors.ts';
import {
  DIGESTS_KEPT,
  DIGEST_WAIT_MS,
  POLICY_REPAIR_MS,
  TRIM_SILENT_MS,
  UNCUT_MS_MAX,
  UNCUT_MS_MIN,
} from '../limits.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { decodeRecord } from '../log/records.ts';
import type { Lease, Leases } from '../store/leases.ts';
import type { ClusterStatus } from './cluster-status.ts';
import { judge } from './judgement.ts';
import { Members } from './members.ts';
import type { Member, Presence } from './members.ts';
import type { Timer } from './revision-waiters.ts';
import type { TopicEnd } from './sequencer.ts';
import { UncutWatch } from './uncut-watch.ts';

/** This replica among the others. */
export interface NodeSettings {
  readonly nodeId: string;
  /** Under which the others reach its API; empty: they do not. */
  readonly url: string;
  /** Digests are compared at revisions that this divides; equal on all replicas. */
  readonly digestRevisions: number;
  /** Between two looks at the policy database, about. */
  readonly repairMs?: number;
  /** It was rebuilt because of this: it becomes live when the others agree with it there. */
  readonly suspect?: Suspect;
}

/** A revision at which replicas differ. */
export interface Suspect {
  readonly revision: number;
  /** That of this replica before it was rebuilt. */
  readonly digest: string;
  /** The newest revision below, at which it agreed with another; 0: none is known. */
  readonly agreedRevision: number;
}

export interface PeersOptions {
  readonly log: Log;
  readonly leases: Pick<Leases, 'leases'> | undefined;
  readonly node: NodeSettings;
  readonly owner: string;
  readonly semantics: number;
  readonly now: () => number;
  readonly setTimer: Timer;
  readonly random: () => number;
  /** The ends that were applied at the start. */
  readonly applied: ReadonlyMap<string, TopicEnd>;
  readonly presence: () => Presence;
  readonly propose: (ends: ReadonlyMap<string, TopicEnd>) => Promise<void>;
  readonly repair: () => Promise<void>;
  /** This replica is to be believed no longer. */
  readonly onDiverged: (suspect: Suspect, error: CaucusError) => void;
  /** A replica that was rebuilt is like the others again. */
  readonly onAgreed: () => void;
  readonly onProblem: (error: Error) => void;
}

export class Peers {
  readonly members: Members;
  readonly #options: PeersOptions;
  readonly #uncut: UncutWatch;
  #leases: { readonly leases: readonly Lease[]; readonly atMs: number } = { leases: [], atMs: 0 };
  /** Digests of this replica, the newest `DIGESTS_KEPT`. */
  readonly #own = new Map<number, string>();
  #agreedRevision = 0;
  /** Since when the revision is known to be disputed, by this node's clock. */
  readonly #disputedSince = new Map<number, number>();
  #suspect: Suspect | undefined;
  #isDiverged = false;
  /** Other processes with this node's id: told once each. */
  readonly #namesakes = new Set<string>();
  readonly #cancels = new Set<() => void>();
  #isStarted = false;
  #isClosed = false;

  constructor(options: PeersOptions) {
    const { log, node, owner, semantics, now, setTimer, random, presence } = options;
    this.#options = options;
    this.#suspect = node.suspect;
    this.#uncut = new UncutWatch(
      {
        setTimer,
        random,
        delayMsMin: UNCUT_MS_MIN,
        delayMsMax: UNCUT_MS_MAX,
        propose: options.propose,
      },
      options.applied,
    );
    this.members = new Members({
      log,
      nodeId: node.nodeId,
      owner,
      url: node.url,
      semantics,
      now,
      setTimer,
      presence,
      onNews: (member, isPast) => this.#memberOnNews(member, isPast),
      onProblem: options.onProblem,
    });
  }

  /** It was rebuilt, and nobody has confirmed yet that it is right now. */
  get isSuspect(): boolean {
    return this.#suspect !== undefined;
  }

  /** What is known of all nodes, this one included. */
  status(): ClusterStatus {
    const nowMs = this.#options.now();
    const replicas = this.members.list().map((member) => {
      const { nodeId, phase, revision, checkpointRevision, url, seenMs, digests } = member;
      const [digestRevision, digest] = [...digests].at(-1) ?? [0, ''];
      return {
        nodeId,
        phase,
        revision,
        digest,
        digestRevision,
        checkpointRevision,
        url,
        seenMs,
      };
    });
    const { leases, atMs } = this.#leases;
    const agedLeases = leases.map((lease) => ({
      ...lease,
      remainingMs: lease.remainingMs - (nowMs - atMs),
    }));
    return { replicas, leases: agedLeases };
  }

  async start(): Promise<void> {
    this.#isStarted = true;
    const digests = [...this.#own];
    await this.members.start();
    for (const [revision, digest] of digests) this.members.addDigest(revision, digest);
    this.#repairLater();
  }

  /**
   * Two replicas have a checkpoint of this revision or a later one, and so has each that was there
   * lately, so that it can start again by itself: the log below is not needed any more. 0: all of
   * it is.
   */
  trimRevision(): number {
    const members = this.members.list();
    const saved = members.map(({ checkpointRevision }) => checkpointRevision);
    const second = saved.sort((a, b) => b - a)[1] ?? 0;
    const since = this.#options.now() - TRIM_SILENT_MS;
    const lately = members.filter(({ seenMs, phase }) => seenMs >= since && phase !== 'stopped');
    return Math.min(second, ...lately.map(({ checkpointRevision }) => checkpointRevision));
  }

  topicOnSeen(topic: string, end: TopicEnd): void {
    this.#uncut.topicOnSeen(topic, end);
  }

  cutsOnSeen(records: readonly LogRecord[]): void {
    for (const { bytes } of records) {
      const record = decodeRecord(bytes);
      if (record.kind === 'cut') this.#uncut.cutOnSeen(record);
    }
  }

  /** After each revision, also while catching up. */
  revisionOnCommit(revision: number, digest: () => string): void {
    if (revision % this.#options.node.digestRevisions !== 0) return;
    const text = digest();
    this.#own.set(revision, text);
    for (const old of [...this.#own.keys()].slice(0, -DIGESTS_KEPT)) {
      if (old !== this.#suspect?.revision) this.#own.delete(old);
    }
    if (!this.#isStarted) return;
    this.members.addDigest(revision, text);
    this.#compare(revision);
  }

  phaseOnChange(): void {
    if (this.#isStarted && !this.#isClosed) this.members.announce();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#uncut.close();
    for (const cancel of this.#cancels) cancel();
    if (this.#isStarted) await this.members.close();
  }

  #memberOnNews({ nodeId, owner, digests }: Member, isPast: boolean): void {
    const { node, owner: ownOwner, onProblem } = this.#options;
    if (nodeId === node.nodeId) {
      if (owner === ownOwner || isPast || this.#namesakes.has(owner)) return;
      this.#namesakes.add(owner);
      onProblem(nodeIdTaken(nodeId));
      return;
    }
    for (const revision of digests.keys()) if (this.#own.has(revision)) this.#compare(revision);
  }

  #compare(revision: number): void {
    if (this.#isClosed || this.#isDiverged) return;
    const own = this.#own.get(revision);
    if (own === undefined) return;
    const { nodeId } = this.#options.node;
    const digests = new Map([[nodeId, own]]);
    for (const member of this.members.list()) {
      const digest = member.digests.get(revision);
      if (member.nodeId !== nodeId && digest !== undefined) digests.set(member.nodeId, digest);
    }
    const silent = this.#silent(revision, digests);
    switch (judge({ nodeId, digests, silent })) {
      case 'open':
        return;
      case 'agreed':
      case 'majority':
        this.#agreedAt(revision);
        return;
      case 'minority':
      case 'split':
        this.#diverged(revision, own, digests);
    }
  }

  #agreedAt(revision: number): void {
    this.#agreedRevision = Math.max(this.#agreedRevision, revision);
    this.#disputedSince.delete(revision);
    if (this.#suspect === undefined || revision < this.#suspect.revision) return;
    this.#suspect = undefined;
    this.#options.onAgreed();
  }

  #diverged(revision: number, own: string, digests: ReadonlyMap<string, string>): void {
    const { onDiverged, onProblem } = this.#options;
    const others = [...digests].map(([nodeId, digest]) => `${nodeId} ${digest}`).join(', ');
    if (this.#suspect !== undefined) {
      onProblem(stillDifferent(revision, others));
      return;
    }
    this.#isDiverged = true;
    const suspect = { revision, digest: own, agreedRevision: this.#agreedRevision };
    onDiverged(suspect, different(revision, others));
  }

  /** Live nodes that have not come to the revision: waited for, but not for ever. */
  #silent(revision: number, digests: ReadonlyMap<string, string>): number {
    const { now, setTimer } = this.#options;
    if (new Set(digests.values()).size < 2) return 0;
    const silent = this.members.live().filter(({ nodeId }) => !digests.has(nodeId)).length;
    if (silent === 0) return 0;
    const nowMs = now();
    const since = this.#disputedSince.get(revision);
    if (since !== undefined) return nowMs - since < DIGEST_WAIT_MS ? silent : 0;
    this.#disputedSince.set(revision, nowMs);
    const cancel = setTimer(() => {
      this.#cancels.delete(cancel);
      this.#compare(revision);
    }, DIGEST_WAIT_MS);
    this.#cancels.add(cancel);
    return silent;
  }

  async #readLeases(): Promise<void> {
    const { leases, now } = this.#options;
    if (leases !== undefined) this.#leases = { leases: await leases.leases(), atMs: now() };
  }

  /** Proposals whose writer is gone are published by whoever looks next. */
  #repairLater(): void {
    const { node, setTimer, random, repair, onProblem } = this.#options;
    const cancel = setTimer(
      () => {
        this.#cancels.delete(cancel);
        void Promise.all([repair(), this.#readLeases()])
          .catch((error: unknown) => {
            if (error instanceof Error && !this.#isClosed) onProblem(error);
          })
          .finally(() => {
            if (!this.#isClosed) this.#repairLater();
          });
      },
      (node.repairMs ?? POLICY_REPAIR_MS) * (0.5 + random()),
    );
    this.#cancels.add(cancel);
  }
}

function different(revision: number, others: string): CaucusError {
  return new CaucusError('state_diverged', `the replicas differ at revision ${revision}`, {
    remedy: 'nothing: it builds its state anew from a checkpoint and the log, and then compares',
    details: { revision, digests: others },
  });
}

function stillDifferent(revision: number, others: string): CaucusError {
  return new CaucusError(
    'state_diverged',
    `the replicas differ at revision ${revision}, also after this one was built anew`,
    {
      remedy:
        'run one version of caucus on all nodes, check the memory of the machine; then remove the data directory of the node that is wrong',
      details: { revision, digests: others },
    },
  );
}

function nodeIdTaken(nodeId: string): CaucusError {
  return new CaucusError('conflict', `another process announces itself as node \`${nodeId}\``, {
    remedy: 'give each node an id of its own',
    details: { nodeId },
  });
}
