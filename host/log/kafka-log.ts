/**
 * The log of many processes: topics of Kafka, one partition each. No consumer groups, no
 * transactions: each process reads everything and keeps its own place. docs/LOG.md, "On Kafka".
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CaucusError } from '../errors.ts';
import { KAFKA_CLOSE_MS_MAX } from '../limits.ts';
import { closed, diverged, failureOf } from './kafka/broker-errors.ts';
import type { ConnectionSettings } from './kafka/broker-connection.ts';
import { Cluster } from './kafka/cluster.ts';
import type { KafkaTopic } from './kafka/cursor.ts';
import { Fetcher } from './kafka/fetcher.ts';
import { deleteRecords, listOffset, OFFSET_END, OFFSET_START } from './kafka/requests.ts';
import { kafkaTopicName } from './kafka/topic-name.ts';
import { setUpTopic } from './kafka/topic-setup.ts';
import type { TopicSafety } from './kafka/topic-setup.ts';
import { TopicWriter } from './kafka/topic-writer.ts';
import type { Appended, Bounds, Chunk, Log } from './log.ts';

export interface KafkaLogOptions extends Omit<ConnectionSettings, 'onEvent'> {
  /** Where to begin, `host:port`; the others are learnt. */
  readonly brokers: readonly string[];
  /** What the names of the topics begin with: letters, digits and dashes. */
  readonly bus: string;
  /** Of topics that are made, and the least of those that are there; default 3. */
  readonly replicationFactor?: number;
  /** Brokers that have a record before it is acknowledged; default 2, at most the factor. */
  readonly minInsyncReplicas?: number;
  /** Until an append, a look at the bounds, or opening is given up; default 30 s. */
  readonly operationMs?: number;
  /** Until a broker that does not answer is cut off; default 5 s. */
  readonly requestMs?: number;
  /** Milliseconds since the epoch; the broker's clock is what counts. */
  readonly now: () => number;
  /** What failed and is tried again: with codes, for the log and the metrics. */
  readonly onProblem: (error: Error) => void;
  /** What the connections have to say. */
  readonly onEvent: ConnectionSettings['onEvent'];
}

const REPLICATION_FACTOR = 3;
const MIN_INSYNC_REPLICAS = 2;

/**
 * Connects to the cluster. Throws `log_unavailable` when it cannot be reached, `log_misconfigured`
 * when it refuses this process.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<KafkaLog> {
  const log = new KafkaLog(options);
  try {
    await log.reach();
    return log;
  } catch (error) {
    await log.close();
    throw error;
  }
}

interface OpenTopic extends KafkaTopic {
  readonly writer: TopicWriter;
}

export class KafkaLog implements Log {
  readonly #options: KafkaLogOptions;
  readonly #cluster: Cluster;
  readonly #fetcher: Fetcher;
  readonly #safety: TopicSafety;
  readonly #topics = new Map<string, Promise<OpenTopic>>();
  #isClosed = false;

  constructor(options: KafkaLogOptions) {
    const { replicationFactor = REPLICATION_FACTOR, onProblem } = options;
    const { minInsyncReplicas = Math.min(MIN_INSYNC_REPLICAS, replicationFactor) } = options;
    this.#options = options;
    this.#safety = { replicationFactor, minInsyncReplicas };
    this.#cluster = new Cluster(options);
    this.#fetcher = new Fetcher({
      cluster: this.#cluster,
      bounds: (topic) => this.#boundsOf(topic),
      onProblem,
    });
  }

  /** Resolves when a broker has answered; only for `openKafkaLog`. */
  async reach(): Promise<void> {
    await this.#cluster.retry('connecting', () => this.#cluster.reach());
  }

  async ensureTopic(topic: string): Promise<void> {
    await this.#open(topic, true);
  }

  async append(topic: string, records: readonly Uint8Array[]): Promise<Appended> {
    // Without waiting where the topic is open already: calls keep their order.
    const { writer } = await this.#open(topic, false);
    if (this.#isClosed) throw closed();
    return await writer.append(records);
  }

  async *read(
    topic: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<Chunk, void, undefined> {
    const opened = await this.#openForReading(topic, signal);
    // It may have been aborted since: nobody would hear of it any more.
    if (opened === undefined || signal.aborted) return;
    const cursor = this.#fetcher.open(opened, from);
    const stop = (): void => this.#fetcher.close(cursor);
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (;;) {
        const chunk = await cursor.take();
        if (chunk === undefined) return;
        yield chunk;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#fetcher.close(cursor);
    }
  }

  async bounds(topic: string): Promise<Bounds> {
    return await this.#boundsOf(await this.#open(topic, false));
  }

  async trim(topic: string, before: number): Promise<void> {
    const { name } = await this.#open(topic, false);
    const doing = `trimming topic \`${name}\``;
    const { start, end } = await this.bounds(topic);
    const target = Math.min(before, end);
    if (target <= start) return;
    await this.#cluster.retry(doing, async (isFresh) => {
      const { broker } = await this.#cluster.leader(name, isFresh);
      const { requestMs } = this.#cluster;
      const request = deleteRecords(name, target, requestMs);
      const { error } = await this.#cluster.ask(broker, request, requestMs * 2);
      if (error !== 0) throw failureOf(error, doing);
    });
  }

  /** Waits a little for the appends under way; readers end, and every connection. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fetcher.closeAll();
    const waited = new AbortController();
    await Promise.race([
      this.#writersIdle(),
      delay(KAFKA_CLOSE_MS_MAX, undefined, { signal: waited.signal }).catch(() => undefined),
    ]);
    waited.abort();
    this.#cluster.close();
    await this.#writersIdle();
  }

  async #writersIdle(): Promise<void> {
    const topics = await Promise.allSettled(this.#topics.values());
    for (const topic of topics) {
      if (topic.status === 'fulfilled') await topic.value.writer.idle();
    }
  }

  #open(topic: string, mayMake: boolean): Promise<OpenTopic> {
    if (this.#isClosed) return Promise.reject(closed());
    const known = this.#topics.get(topic);
    if (known !== undefined && !mayMake) return known;
    const opening = known?.catch(() => this.#setUp(topic, mayMake)) ?? this.#setUp(topic, mayMake);
    this.#topics.set(topic, opening);
    opening.catch(() => {
      if (this.#topics.get(topic) === opening) this.#topics.delete(topic);
    });
    return opening;
  }

  /** Tries until the cluster answers; undefined: the reader has ended meanwhile. */
  async #openForReading(topic: string, signal: AbortSignal): Promise<OpenTopic | undefined> {
    while (!signal.aborted && !this.#isClosed) {
      try {
        const opened = await this.#open(topic, false);
        if (!signal.aborted && !this.#isClosed) return opened;
      } catch (error) {
        if (this.#isClosed) return undefined;
        if (!(error instanceof CaucusError && error.code === 'log_unavailable')) throw error;
        this.#options.onProblem(error);
      }
    }
    return undefined;
  }

  async #setUp(topic: string, mayMake: boolean): Promise<OpenTopic> {
    const { bus, now } = this.#options;
    const cluster = this.#cluster;
    const name = kafkaTopicName(bus, topic);
    const found = await setUpTopic(cluster, name, this.#safety, mayMake);
    if (found === undefined) throw new Error(`log: topic ${topic} was not ensured`);
    const { id } = found;
    const checkIdentity = async (): Promise<void> => {
      const { error, id: idNow } = await cluster.topic(name, true);
      if (error === 0 && idNow !== id) throw diverged(name, 'was deleted and made again');
    };
    const end = async (): Promise<number> => (await this.#boundsOf({ name, id })).end;
    return { name, id, writer: new TopicWriter({ cluster, topic: name, now, checkIdentity, end }) };
  }

  async #boundsOf(topic: KafkaTopic): Promise<Bounds> {
    const { name } = topic;
    const doing = `reading the bounds of topic \`${name}\``;
    return await this.#cluster.retry(doing, async (isFresh) => {
      const { broker } = await this.#cluster.leader(name, isFresh);
      const offsetOf = async (which: number): Promise<number> => {
        const { error, offset } = await this.#cluster.ask(broker, listOffset(name, which));
        if (error !== 0) throw failureOf(error, doing);
        return offset;
      };
      // In this order: what is trimmed in between must not put the start behind the end.
      const start = await offsetOf(OFFSET_START);
      return { start, end: await offsetOf(OFFSET_END) };
    });
  }
}
