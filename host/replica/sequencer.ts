/**
 * The writer of one replica: gathers what callers submit, appends it to its topics (all topics at
 * once, so that the log can sync them together) and then appends one cut that names the new ends.
 * It decides nothing: what a record did is the fold's verdict, which comes back through
 * `cutApplied`.
 *
 * While a cut is being applied the next submissions gather, so small batches share cuts under load
 * and a lone batch waits for nobody.
 */
import { CaucusError } from '../errors.ts';
import { CUTS_IN_FLIGHT_MAX, CUT_BYTES_TARGET, QUEUED_BYTES_MAX } from '../limits.ts';
import type { Log } from '../log/log.ts';

/** Where a topic ends: one past its last record, and that record's checksum. */
export interface TopicEnd {
  readonly end: number;
  readonly checksum: number;
}

/** What became of the first record of a submission, by the fold. */
export type Verdict =
  | { readonly kind: 'applied'; readonly revision: number }
  | { readonly kind: 'rejected'; readonly error: CaucusError }
  /** A policy record whose version or hash did not follow: another writer was first. */
  | { readonly kind: 'superseded' };

export interface SequencerOptions {
  readonly log: Log;
  readonly cutsTopic: string;
  /** The bytes of a cut, given the ends of all topics. */
  readonly encodeCut: (ends: ReadonlyMap<string, TopicEnd>) => Uint8Array;
  readonly checksumOf: (record: Uint8Array) => number;
  /** Called after each append: without an error it worked. */
  readonly onAppend: (error?: unknown) => void;
}

interface Submission {
  readonly topic: string;
  readonly records: readonly Uint8Array[];
  readonly bytes: number;
  /** The log has the records and a cut that names them. */
  readonly onCut: () => void;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

/** A submission that is in the log, with the key of its first record. */
interface Landed {
  readonly key: string;
  readonly submission: Submission;
}

interface CutRequest {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Sequencer {
  readonly #options: SequencerOptions;
  readonly #ends = new Map<string, TopicEnd>();
  readonly #ensured = new Set<string>();
  #queue: Submission[] = [];
  #queuedBytes = 0;
  /** By `topic@offset` of the first record. */
  readonly #waiting = new Map<string, Submission>();
  /** An append is under way, whose records another replica may cut before we hear of them. */
  #isAppending = false;
  /** Verdicts that came meanwhile. */
  readonly #early = new Map<string, Verdict>();
  /** Cuts appended and not applied. */
  readonly #inFlight = new Set<number>();
  #appliedUpTo = -1;
  #cutRequests: CutRequest[] = [];
  #pump: Promise<void> | undefined;
  #wakes: (() => void)[] = [];
  #failure: unknown;

  constructor(options: SequencerOptions) {
    this.#options = options;
  }

  /** A topic's end that somebody else has made: the next cut names it. */
  adoptEnd(topic: string, end: TopicEnd): void {
    this.#raiseEnd(topic, end);
    this.#ensured.add(topic);
  }

  /** The ends that the next cut will name. */
  get ends(): ReadonlyMap<string, TopicEnd> {
    return this.#ends;
  }

  /** Resolves with the verdict once the records are durable, cut and applied. */
  submit(
    topic: string,
    records: readonly Uint8Array[],
    onCut: () => void = () => undefined,
  ): Promise<Verdict> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#queuedBytes > QUEUED_BYTES_MAX) {
      return Promise.reject(
        new CaucusError('not_ready', 'too many writes are waiting', {
          remedy: 'send the batch again in a moment',
        }),
      );
    }
    const bytes = records.reduce((sum, record) => sum + record.length, 0);
    return new Promise((resolve, reject) => {
      this.#queue.push({ topic, records, bytes, onCut, resolve, reject });
      this.#queuedBytes += bytes;
      this.#start();
    });
  }

  /**
   * Appends a cut even if nothing is queued, which tries a full disk. Rejects as the append does.
   */
  requestCut(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#cutRequests.push({ resolve, reject });
      this.#start();
    });
  }

  /** The fold has applied the cut at `revision`. */
  cutApplied(revision: number, verdicts: ReadonlyMap<string, Verdict>): void {
    this.#appliedUpTo = revision;
    for (const offset of this.#inFlight) if (offset <= revision) this.#inFlight.delete(offset);
    for (const [key, verdict] of verdicts) {
      const submission = this.#waiting.get(key);
      if (submission === undefined) {
        if (this.#isAppending) this.#early.set(key, verdict);
        continue;
      }
      submission.resolve(verdict);
      this.#waiting.delete(key);
    }
    this.#wake();
  }

  /** The fold has stopped: nothing will be applied any more. */
  fail(error: unknown): void {
    this.#failure ??= error;
    const lost = [...this.#waiting.values(), ...this.#queue, ...this.#cutRequests];
    this.#cutRequests = [];
    this.#waiting.clear();
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#inFlight.clear();
    for (const submission of lost) submission.reject(error);
    this.#wake();
  }

  /** Resolves when all that was submitted has its verdict. */
  async drain(): Promise<void> {
    while (this.#pump !== undefined || this.#waiting.size > 0) await this.#nextWake();
  }

  #start(): void {
    this.#pump ??= this.#run().finally(() => {
      this.#pump = undefined;
      // What came between the loop's last look and now must not wait for the next caller.
      if (this.#failure === undefined && this.#hasWork()) {
        this.#start();
      }
      this.#wake();
    });
  }

  async #run(): Promise<void> {
    // Callers of the same tick share the cut.
    await Promise.resolve();
    while (this.#failure === undefined && this.#hasWork()) {
      if (this.#inFlight.size < CUTS_IN_FLIGHT_MAX) await this.#appendNext();
      else await this.#nextWake();
    }
  }

  /** Appends one cut's worth. Failures reach the submissions; nothing is thrown. */
  async #appendNext(): Promise<void> {
    const requests = this.#cutRequests;
    this.#cutRequests = [];
    const groups = this.#take();
    this.#isAppending = true;
    const appends = [...groups].map(([topic, group]) => this.#appendTo(topic, group));
    const landed = (await Promise.all(appends)).flat();
    this.#isAppending = false;
    // Nothing landed and no tail: the log refused everything.
    if (landed.length === 0 && groups.size > 0) {
      this.#cutRequests = [...requests, ...this.#cutRequests];
      return;
    }
    for (const { key, submission } of landed) {
      const verdict = this.#early.get(key);
      if (verdict === undefined) this.#waiting.set(key, submission);
      else submission.resolve(verdict);
    }
    this.#early.clear();
    try {
      const cut = this.#options.encodeCut(this.#ends);
      const { first } = await this.#options.log.append(this.#options.cutsTopic, [cut]);
      // The fold may have been faster than this continuation.
      if (first > this.#appliedUpTo) this.#inFlight.add(first);
      this.#options.onAppend();
      for (const request of requests) request.resolve();
      for (const { submission } of landed) submission.onCut();
    } catch (error) {
      for (const request of requests) request.reject(error);
      // The records stay in the log: the next cut names them, whenever it comes.
      for (const { key, submission } of landed) {
        this.#waiting.delete(key);
        submission.reject(error);
      }
      this.#options.onAppend(error);
    }
    if (this.#failure !== undefined) this.fail(this.#failure);
  }

  /** Appends one topic's submissions as one append, and says where each begins. */
  async #appendTo(topic: string, group: readonly Submission[]): Promise<Landed[]> {
    const { log, checksumOf, onAppend } = this.#options;
    try {
      if (!this.#ensured.has(topic)) {
        await log.ensureTopic(topic);
        this.#ensured.add(topic);
      }
      const records = group.flatMap((submission) => submission.records);
      const { first, offsets } = await log.append(topic, records);
      // Other writers' records may lie between those of a large append.
      const offsetOf = (index: number): number => offsets?.[index] ?? first + index;
      const last = records.at(-1) as Uint8Array;
      const end = offsetOf(records.length - 1) + 1;
      this.#raiseEnd(topic, { end, checksum: checksumOf(last) });
      let index = 0;
      return group.map((submission) => {
        const key = `${topic}@${offsetOf(index)}`;
        index += submission.records.length;
        return { key, submission };
      });
    } catch (error) {
      for (const submission of group) submission.reject(error);
      onAppend(error);
      return [];
    }
  }

  /** Other writers' records may be behind ours, and a later append acknowledged before. */
  #raiseEnd(topic: string, end: TopicEnd): void {
    if (end.end > (this.#ends.get(topic)?.end ?? 0)) this.#ends.set(topic, end);
  }

  /** Takes what fits a cut off the queue, by topic; at least one submission if there is any. */
  #take(): Map<string, Submission[]> {
    const groups = new Map<string, Submission[]>();
    let bytes = 0;
    let count = 0;
    for (const submission of this.#queue) {
      if (count > 0 && bytes + submission.bytes > CUT_BYTES_TARGET) break;
      const group = groups.get(submission.topic);
      if (group === undefined) groups.set(submission.topic, [submission]);
      else group.push(submission);
      bytes += submission.bytes;
      count++;
    }
    this.#queue = this.#queue.slice(count);
    this.#queuedBytes -= bytes;
    return groups;
  }

  #hasWork(): boolean {
    return this.#queue.length > 0 || this.#cutRequests.length > 0;
  }

  #nextWake(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakes.push(resolve);
    });
  }

  #wake(): void {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  }
}
