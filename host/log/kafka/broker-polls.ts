/**
 * The fetches of one broker. As a broker answers one request of a connection at a time, all readers
 * share one long poll, which names all their topics ("main"). A second connection ("side") serves
 * those who must not wait for its end: readers that are behind, and new ones until the main poll
 * comes round. So a reader that catches up takes nothing from those that are at the end.
 */
import {
  KAFKA_FETCH_BYTES,
  KAFKA_FETCH_TOPIC_BYTES,
  KAFKA_FETCH_WAIT_MS,
  KAFKA_FETCH_WAIT_MS_SHORT,
} from '../../limits.ts';
import type { BrokerConnection } from './broker-connection.ts';
import { failureOf, TransientFailure } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import type { Cursor } from './cursor.ts';
import { fetch } from './requests.ts';
import type { FetchedTopic } from './requests.ts';

export interface PollOptions {
  readonly cluster: Cluster;
  readonly broker: number;
  /** The answer for a cursor, which is no longer in flight. */
  readonly onFetched: (cursor: Cursor, topic: FetchedTopic) => void;
  /** The broker failed those cursors; they are no longer here. */
  readonly onFailed: (cursors: readonly Cursor[], error: Error) => void;
}

interface Poll {
  connection: BrokerConnection | undefined;
  /** Of the request in flight. */
  waitMs: number | undefined;
}

let turns = 0;

export class BrokerPolls {
  readonly #options: PollOptions;
  readonly #cursors = new Set<Cursor>();
  readonly #main: Poll = { connection: undefined, waitMs: undefined };
  readonly #side: Poll = { connection: undefined, waitMs: undefined };
  #isScheduled = false;

  constructor(options: PollOptions) {
    this.#options = options;
  }

  add(cursor: Cursor): void {
    this.#cursors.add(cursor);
    this.schedule();
  }

  remove(cursor: Cursor): void {
    this.#cursors.delete(cursor);
  }

  has(cursor: Cursor): boolean {
    return this.#cursors.has(cursor);
  }

  /** Others of the topic that stand at the same place and could take the same answer. */
  besides(cursor: Cursor): Cursor[] {
    return this.#ready(
      (one) => one !== cursor && one.topic.id === cursor.topic.id && one.next === cursor.next,
    );
  }

  /** Fetches what is wanted, after all that this turn brings. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#fetchWanted();
    });
  }

  #fetchWanted(): void {
    if (this.#options.cluster.signal.aborted) return;
    if (this.#main.waitMs === undefined) {
      const cursors = this.#ready(({ lag }) => lag !== 'behind');
      // Whoever is on the side, or a second reader of the same topic, is to come along soon.
      const isShort = this.#side.waitMs !== undefined || cursors.some(isSecond);
      const waitMs = isShort ? KAFKA_FETCH_WAIT_MS_SHORT : KAFKA_FETCH_WAIT_MS;
      this.#start(this.#main, cursors, waitMs);
    }
    if (this.#side.waitMs === undefined) {
      // When the main poll ends soon, those at the end wait for it.
      const isLong = this.#main.waitMs === KAFKA_FETCH_WAIT_MS;
      const cursors = this.#ready(({ lag }) => lag === 'behind' || isLong);
      this.#start(this.#side, cursors, KAFKA_FETCH_WAIT_MS_SHORT);
    }
  }

  /** Can be fetched for, longest waiting first. */
  #ready(fits: (cursor: Cursor) => boolean): Cursor[] {
    return [...this.#cursors]
      .filter((cursor) => !cursor.isInFlight && !cursor.isFull && !cursor.isStopped && fits(cursor))
      .toSorted((a, b) => a.turn - b.turn);
  }

  #start(poll: Poll, ready: readonly Cursor[], waitMs: number): void {
    // A request names a topic once.
    const cursors = ready.filter((cursor, index) => !isSecond(cursor, index, ready));
    if (cursors.length === 0) return;
    poll.waitMs = waitMs;
    for (const cursor of cursors) {
      cursor.isInFlight = true;
      cursor.turn = ++turns;
    }
    void this.#run(poll, cursors, waitMs).finally(() => {
      poll.waitMs = undefined;
      this.schedule();
    });
  }

  async #run(poll: Poll, cursors: readonly Cursor[], waitMs: number): Promise<void> {
    const { cluster, broker, onFetched, onFailed } = this.#options;
    try {
      if (poll.connection?.isClosed !== false) poll.connection = await cluster.connect(broker);
      const wanted = cursors.map(({ topic, next, leaderEpoch, lastEpoch }) => ({
        topicId: topic.id,
        offset: next,
        leaderEpoch,
        lastEpoch,
      }));
      const limits = { waitMs, bytes: KAFKA_FETCH_BYTES, topicBytes: KAFKA_FETCH_TOPIC_BYTES };
      const request = fetch(wanted, limits);
      const answer = await poll.connection.send(request, waitMs + cluster.requestMs);
      if (answer.error !== 0) throw failureOf(answer.error, `fetching from broker ${broker}`);
      const topics = new Map(answer.topics.map((topic) => [topic.topicId, topic]));
      for (const cursor of cursors) {
        cursor.isInFlight = false;
        const topic = topics.get(cursor.topic.id);
        if (topic === undefined) throw new TransientFailure(`broker ${broker} left out a topic`);
        if (!cursor.isStopped) onFetched(cursor, topic);
      }
    } catch (error) {
      for (const cursor of cursors) {
        cursor.isInFlight = false;
        this.#cursors.delete(cursor);
      }
      onFailed(cursors, error as Error);
    }
  }
}

function isSecond(cursor: Cursor, index: number, cursors: readonly Cursor[]): boolean {
  return cursors.findIndex(({ topic }) => topic.id === cursor.topic.id) !== index;
}
