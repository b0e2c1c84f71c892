/**
 * All readers: finds the broker for each, makes records of what it answers, and decides what a
 * failure means. Only three things end a reader: what it wants is gone (`revision_expired`), the
 * log lost what it has read (`log_diverged`), or records cannot be read (`log_damaged`,
 * `log_misconfigured`). Everything else is reported and tried again.
 */
import { CaucusError } from '../../errors.ts';
import { KAFKA_RETRY_MS_MAX, KAFKA_RETRY_MS_MIN } from '../../limits.ts';
import type { Bounds } from '../log.ts';
import { BROKER_ERROR, diverged, failureOf, unavailable } from './broker-errors.ts';
import { BrokerPolls } from './broker-polls.ts';
import type { Cluster } from './cluster.ts';
import { Cursor } from './cursor.ts';
import type { KafkaTopic } from './cursor.ts';
import { decodeRecords } from './record-batch.ts';
import type { FetchedTopic } from './requests.ts';

export interface FetcherOptions {
  readonly cluster: Cluster;
  readonly bounds: (topic: KafkaTopic) => Promise<Bounds>;
  readonly onProblem: (error: Error) => void;
}

/** What may be an accident of one answer is believed when it comes so often in a row. */
const BELIEVED_COUNT = 3;

export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #polls = new Map<number, BrokerPolls>();
  readonly #cursors = new Set<Cursor>();

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  open(topic: KafkaTopic, from: number): Cursor {
    const cursor = new Cursor(topic, from, (one) => this.#pollsOf(one)?.schedule());
    this.#cursors.add(cursor);
    void this.#place(cursor, false);
    return cursor;
  }

  close(cursor: Cursor): void {
    cursor.stop();
    this.#pollsOf(cursor)?.remove(cursor);
    this.#cursors.delete(cursor);
  }

  closeAll(): void {
    for (const cursor of this.#cursors) this.close(cursor);
  }

  #pollsOf(cursor: Cursor): BrokerPolls | undefined {
    for (const polls of this.#polls.values()) if (polls.has(cursor)) return polls;
    return undefined;
  }

  /** To the broker that leads its topic. Tries for as long as it takes; never throws. */
  async #place(cursor: Cursor, isFresh: boolean): Promise<void> {
    const { cluster, onProblem } = this.#options;
    const { name, id } = cursor.topic;
    if (isFresh) await cluster.pause(backOffMs(cursor.failureCount));
    while (!cursor.isStopped && !cluster.signal.aborted) {
      try {
        const topic = await cluster.topic(name, isFresh || cursor.failureCount > 0);
        if (topic.error === 0 && topic.id !== id) {
          cursor.fail(diverged(name, 'was deleted and made again'));
          return;
        }
        const { broker, epoch } = await cluster.leader(name);
        cursor.leaderEpoch = epoch;
        if (!cursor.isStopped) this.#pollsAt(broker).add(cursor);
        return;
      } catch (error) {
        if (cluster.signal.aborted) return;
        cursor.failureCount++;
        onProblem(reported(error, `reading topic \`${name}\``));
        await cluster.pause(backOffMs(cursor.failureCount));
      }
    }
  }

  #pollsAt(broker: number): BrokerPolls {
    const known = this.#polls.get(broker);
    if (known !== undefined) return known;
    const { cluster, onProblem } = this.#options;
    const polls: BrokerPolls = new BrokerPolls({
      cluster,
      broker,
      onFetched: (cursor, topic) => this.#receive(polls, cursor, topic),
      onFailed: (cursors, error) => {
        if (cluster.signal.aborted) return;
        onProblem(reported(error, 'reading'));
        for (const cursor of cursors) this.#placeAgain(cursor);
      },
    });
    this.#polls.set(broker, polls);
    return polls;
  }

  #placeAgain(cursor: Cursor): void {
    cursor.failureCount++;
    this.#pollsOf(cursor)?.remove(cursor);
    void this.#place(cursor, true);
  }

  #receive(polls: BrokerPolls, cursor: Cursor, topic: FetchedTopic): void {
    const { name } = cursor.topic;
    if (topic.error === BROKER_ERROR.offsetOutOfRange) {
      polls.remove(cursor);
      void this.#judgeRange(cursor);
    } else if (topic.error !== 0) {
      this.#options.onProblem(reported(failureOf(topic.error, 'reading'), `topic \`${name}\``));
      this.#placeAgain(cursor);
    } else if (topic.divergedAt !== undefined) {
      const details = { offset: cursor.next, end: topic.divergedAt };
      const what = `lost what was read: it parts at offset ${topic.divergedAt}`;
      cursor.fail(diverged(name, what, details));
      polls.remove(cursor);
    } else this.#deliver(polls, cursor, topic);
  }

  /** To the cursor, and to others that stand at the same place. */
  #deliver(polls: BrokerPolls, cursor: Cursor, topic: FetchedTopic): void {
    const { next: from, lastEpoch } = cursor;
    if (topic.bytes.length === 0) {
      // Most topics of most answers.
      cursor.failureCount = 0;
      cursor.lag = from < topic.end ? 'behind' : 'level';
      return;
    }
    try {
      // Memory of its own: a slow reader of one topic is not to hold what was fetched for others.
      const bytes = Buffer.allocUnsafeSlow(topic.bytes.length);
      topic.bytes.copy(bytes);
      const decoded = decodeRecords(bytes, from, topic.aborted, lastEpoch);
      if (decoded.isEpochLower) {
        const details = { offset: from, leaderEpoch: decoded.leaderEpoch };
        throw diverged(cursor.topic.name, 'went back to an older leader epoch', details);
      }
      const { records, next } = decoded;
      for (const one of next > from ? [cursor, ...polls.besides(cursor)] : [cursor]) {
        one.failureCount = 0;
        one.lastEpoch = decoded.leaderEpoch;
        one.lag = next < topic.end ? 'behind' : 'level';
        if (next > from) one.put({ records, next }, bytes.length);
      }
    } catch (error) {
      const isSure = !(error instanceof CaucusError && error.code === 'log_damaged');
      if (isSure || cursor.failureCount >= BELIEVED_COUNT) {
        cursor.fail(error instanceof Error ? error : new Error(String(error)));
        polls.remove(cursor);
        return;
      }
      this.#options.onProblem(error);
      this.#placeAgain(cursor);
    }
  }

  /** The broker has no such offset: it was trimmed, or what was there is lost. */
  async #judgeRange(cursor: Cursor): Promise<void> {
    const { bounds, onProblem } = this.#options;
    const { next: offset, topic } = cursor;
    try {
      const { start, end } = await bounds(topic);
      const details = { topic: topic.name, offset, start, end };
      if (offset < start) {
        const message = `topic \`${topic.name}\` was trimmed below offset ${start}`;
        const remedy = 'start from a newer checkpoint';
        cursor.fail(new CaucusError('revision_expired', message, { remedy, details }));
      } else if (offset > end) {
        cursor.fail(diverged(topic.name, `ends at offset ${end}, before ${offset}`, details));
      } else if (cursor.failureCount >= BELIEVED_COUNT) {
        cursor.fail(diverged(topic.name, `does not know what was read at ${offset}`, details));
      } else this.#placeAgain(cursor);
    } catch (error) {
      onProblem(error as Error);
      this.#placeAgain(cursor);
    }
  }
}

function backOffMs(failureCount: number): number {
  return Math.min(KAFKA_RETRY_MS_MIN * 2 ** Math.min(failureCount, 20), KAFKA_RETRY_MS_MAX);
}

function reported(error: unknown, doing: string): Error {
  if (error instanceof CaucusError) return error;
  return unavailable(`${doing}: ${(error as Error).message}`);
}
