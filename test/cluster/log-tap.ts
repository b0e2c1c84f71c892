/**
 * Reads all topics of a cluster as they grow, beside the replicas and without any link of theirs:
 * what the log holds, and which digests the replicas told. With a digest interval of 1 they tell
 * one of each revision, so skipped, repeated and divergent ones show.
 */
import type { Log, LogRecord } from '../../host/log/log.ts';
import { decodeRecord } from '../../host/log/records.ts';
import type { AnnounceRecord } from '../../host/log/records.ts';
import type { CommitEvent, RecordEvent } from '../support/history.ts';

export class LogTap {
  readonly #log: Log;
  readonly #atMs: () => number;
  readonly #abort = new AbortController();
  readonly #readers = new Map<string, Promise<void>>();
  readonly #records: RecordEvent[] = [];
  readonly #ends = new Map<string, number>();
  /** Runs of a node, by what each calls itself. */
  readonly #runs = new Map<string, CommitEvent[]>();
  #wake: (() => void)[] = [];

  /** `atMs`: milliseconds since the run began. */
  constructor(log: Log, atMs: () => number) {
    this.#log = log;
    this.#atMs = atMs;
  }

  /** Once a replica is live: the topics are there. */
  follow(): void {
    for (const topic of ['cuts', 'policy', 'replicas']) this.#follow(topic);
  }

  /** Records of the topic that were read. */
  end(topic: string): number {
    return this.#ends.get(topic) ?? 0;
  }

  /** The first offset that the log still has. */
  async start(topic: string): Promise<number> {
    return (await this.#log.bounds(topic)).start;
  }

  /** The newest revision that the log has. */
  get revision(): number {
    return this.end('cuts') - 1;
  }

  /** Resolves when it has read each topic to where the log ends now. */
  async caughtUp(): Promise<void> {
    for (const topic of this.#readers.keys()) {
      const { end } = await this.#log.bounds(topic);
      while (this.end(topic) < end) await this.#news();
    }
  }

  /** All of the log but announcements. */
  recordEvents(): readonly RecordEvent[] {
    return this.#records;
  }

  /**
   * Of each run of each node by revision: at its start a replica tells what it has seen on the way,
   * and meanwhile what is new.
   */
  commitEvents(): readonly CommitEvent[] {
    return [...this.#runs.values()].flatMap((told) =>
      told.toSorted((a, b) => a.revision - b.revision),
    );
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.allSettled(this.#readers.values());
    await this.#log.close();
  }

  #follow(topic: string): void {
    if (!this.#readers.has(topic)) this.#readers.set(topic, this.#read(topic));
  }

  async #read(topic: string): Promise<void> {
    const { signal } = this.#abort;
    await this.#log.ensureTopic(topic);
    for await (const { records, next } of this.#log.read(topic, 0, signal)) {
      for (const record of records) this.#take(topic, record);
      this.#ends.set(topic, next);
      const waiting = this.#wake;
      this.#wake = [];
      for (const wake of waiting) wake();
    }
  }

  #take(topic: string, { offset, appendTimeMs, bytes }: LogRecord): void {
    const record = decodeRecord(bytes);
    if (record.kind === 'announce') {
      this.#announced(record);
      return;
    }
    const text = Buffer.from(bytes).toString('base64');
    this.#records.push({ event: 'record', topic, offset, appendTimeMs, bytes: text });
    if (record.kind !== 'policy' || record.op !== 'source') return;
    for (const { name, text: registration } of record.changes) {
      this.#follow(`source.${name}.${registration?.split(' ')[0]}`);
    }
  }

  #announced({ nodeId: node, owner, digests }: AnnounceRecord): void {
    const key = `${node} ${owner}`;
    const isOfNode = (one: string): boolean => one.startsWith(`${node} `);
    const told = this.#runs.get(key) ?? [];
    this.#runs.set(key, told);
    const run = [...this.#runs.keys()].filter(isOfNode).indexOf(key) + 1;
    for (const { revision, digest } of digests) {
      // An announcement without an acknowledgement is made again.
      if (told.some((one) => one.revision === revision && one.digest === digest)) continue;
      told.push({ event: 'commit', atMs: this.#atMs(), node, run, revision, digest });
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }
}
