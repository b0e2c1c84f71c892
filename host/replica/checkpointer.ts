/** When to save a checkpoint, which to keep, and how far the log may be trimmed. */
import { CHECKPOINTS_KEPT } from '../limits.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { Log } from '../log/log.ts';
import type { RowBlock } from '../value/row-block.ts';
import { encodeCheckpoint } from './checkpoint.ts';
import type { Checkpoints, ReplicaSettings } from './dependencies.ts';
import { stateDigest } from './digest.ts';
import type { LiveEngine } from './live-engine.ts';
import type { ReplicatedState } from './replicated-state.ts';
import { CUTS_TOPIC, POLICY_TOPIC } from './topics.ts';

/** Revisions that the log may be trimmed to once the other replicas are as far. */
const TRIM_POINTS_MAX = 64;

export interface CheckpointerOptions {
  readonly state: ReplicatedState;
  readonly live: LiveEngine;
  readonly log: Log;
  readonly checkpoints: Checkpoints;
  readonly settings: ReplicaSettings;
  /** Absent: this replica is alone. */
  readonly cluster?: ClusterCheckpoints;
  readonly onProblem: (error: Error) => void;
}

/** What several replicas have to agree on. */
export interface ClusterCheckpoints {
  /** Checkpoints are of revisions that this divides: those whose digests are published. */
  readonly digestRevisions: number;
  /** The newest revision that the log is not needed for any more; 0: all of it is. */
  readonly trimRevision: () => number;
}

/** What the log may lose once the checkpoint of `revision` is the oldest that is kept. */
interface TrimPoint {
  readonly revision: number;
  readonly ends: ReadonlyMap<string, number>;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #savedRevision: number;
  #recordBytes = 0;
  /** Size of the last checkpoint: writing one again has to be worth it. */
  #savedBytes = 0;
  #saving: Promise<void> | undefined;
  #trimPoints: TrimPoint[] = [];

  /** `restoredFrom`: the revision of the checkpoint that was loaded, 0 for none. */
  constructor(options: CheckpointerOptions, restoredFrom: number) {
    this.#options = options;
    this.#savedRevision = restoredFrom;
    if (restoredFrom > 0) this.#trimPoints.push(trimPoint(options.state));
  }

  /** The newest revision of which there is a checkpoint; 0: none. */
  get savedRevision(): number {
    return this.#trimPoints.at(-1)?.revision ?? 0;
  }

  /** After each commit: saves in the background when enough has happened. */
  committed(recordBytes: number): void {
    const { state, settings } = this.#options;
    this.#recordBytes += recordBytes;
    const revisions = state.revision - this.#savedRevision;
    const isDue =
      revisions >= settings.checkpointRevisions ||
      this.#recordBytes >= Math.max(settings.checkpointRecordBytes, this.#savedBytes / 2);
    const { cluster } = this.#options;
    const isShared = cluster === undefined || state.revision % cluster.digestRevisions === 0;
    if (isDue && isShared && this.#saving === undefined) void this.save();
  }

  /** Saves the state as it is between two cuts. Never throws: the log still has everything. */
  save(): Promise<void> {
    this.#saving ??= this.#save()
      .catch((error: unknown) => {
        this.#options.onProblem(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => {
        this.#saving = undefined;
      });
    return this.#saving;
  }

  /** On close: what is not in a checkpoint yet. */
  async saveLast(): Promise<void> {
    await this.#saving;
    if (this.#options.state.revision > this.#savedRevision) await this.save();
  }

  async #save(): Promise<void> {
    const { live, checkpoints } = this.#options;
    this.#recordBytes = 0;
    const { revision, chunks, point } = await live.queue.run(() => this.#snapshot());
    this.#savedRevision = revision;
    this.#savedBytes = (await checkpoints.save(revision, chunks)).bytes;
    this.#trimPoints.push(point);
    await this.#dropOld();
  }

  /** Nothing transacts meanwhile. */
  async #snapshot(): Promise<{ revision: number; chunks: Uint8Array[]; point: TrimPoint }> {
    const { state, live } = this.#options;
    const base = new Map<TableKey, RowBlock>();
    for (const source of [...state.sources.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      for (const name of [...source.tables.keys()].sort()) {
        const table = `${source.name}:${name}`;
        const rows = await live.engine.rows(table, { base: true, inAnyOrder: true });
        if (rows.count > 0) base.set(table, rows);
      }
    }
    const digest = stateDigest(state, live.engine.digest());
    const chunks = encodeCheckpoint({ state, base, digest });
    return { revision: state.revision, chunks, point: trimPoint(state) };
  }

  /** Keeps the newest two; the log keeps what the older of them needs to be brought up to date. */
  async #dropOld(): Promise<void> {
    const { checkpoints, log, cluster } = this.#options;
    const kept = await checkpoints.prune(CHECKPOINTS_KEPT);
    const oldest = kept.at(-1);
    if (oldest === undefined || kept.length < CHECKPOINTS_KEPT) return;
    const limit = Math.min(oldest, cluster?.trimRevision() ?? oldest);
    const points = this.#trimPoints.filter(({ revision }) => revision <= limit);
    const point = points.at(-1);
    if (point === undefined) return;
    this.#trimPoints = this.#trimPoints.slice(points.length - 1).slice(-TRIM_POINTS_MAX);
    // All topics of a file log share its files: one old record that stayed would keep all after it.
    for (const [topic, end] of point.ends) {
      // Datasource nodes learn from its beginning which sources there are.
      if (cluster === undefined || topic !== POLICY_TOPIC) await log.trim(topic, end);
    }
    await log.trim(CUTS_TOPIC, point.revision);
  }
}

function trimPoint(state: ReplicatedState): TrimPoint {
  const ends = new Map([...state.ends].map(([topic, { end }]) => [topic, end]));
  return { revision: state.revision, ends };
}
