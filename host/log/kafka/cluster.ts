/**
 * The brokers, and which of them leads which topic. Connections are shared by all that has one
 * question and one answer; fetches, which wait, have their own (see fetcher.ts).
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { CaucusError } from '../../errors.ts';
import {
  KAFKA_CONNECTIONS_MAX,
  KAFKA_OPERATION_MS_MAX,
  KAFKA_REQUEST_MS_MAX,
  KAFKA_RETRY_MS_MAX,
  KAFKA_RETRY_MS_MIN,
} from '../../limits.ts';
import { BrokerConnection } from './broker-connection.ts';
import type { ConnectionSettings } from './broker-connection.ts';
import { closed, failureOf, TransientFailure, unavailable } from './broker-errors.ts';
import { metadata } from './requests.ts';
import type { BrokerAddress, Metadata, TopicMetadata, WireRequest } from './requests.ts';

export interface ClusterOptions extends ConnectionSettings {
  /** Where to begin, `host:port`. */
  readonly brokers: readonly string[];
  readonly operationMs?: number | undefined;
  readonly requestMs?: number | undefined;
  readonly onProblem: (error: Error) => void;
}

/** Where a topic is led. */
export interface Leader {
  readonly broker: number;
  readonly epoch: number;
}

interface Broker {
  readonly address: Address;
  readonly idle: BrokerConnection[];
  open: number;
  readonly waiting: (() => void)[];
  isGone: boolean;
}

/** Is asked where things are. */
interface Guide {
  readonly address: Address;
  connection: BrokerConnection | undefined;
  hasFailed: boolean;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export class Cluster {
  readonly requestMs: number;
  readonly #options: ClusterOptions;
  readonly #seeds: readonly Address[];
  readonly #closing = new AbortController();
  readonly #connections = new Set<BrokerConnection>();
  #brokers = new Map<number, Broker>();
  readonly #topics = new Map<string, TopicMetadata>();
  readonly #guides = new Map<string, Guide>();
  /** Topics whose place is asked for, the look that will answer, and the one that runs. */
  readonly #wanted = new Set<string>();
  #gathering: Promise<void> | undefined;
  #look: Promise<void> | undefined;
  #turn = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    // One a pause: as many as there are topics.
    setMaxListeners(0, this.#closing.signal);
    this.#seeds = options.brokers.map(addressOf);
    this.requestMs = options.requestMs ?? KAFKA_REQUEST_MS_MAX;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Resolves when a broker has answered. */
  async reach(): Promise<void> {
    this.#gathering ??= this.#lookNext();
    await this.#gathering;
  }

  /** What is known of a topic, or what the cluster says now. */
  async topic(name: string, isFresh = false): Promise<TopicMetadata> {
    if (isFresh || !this.#topics.has(name)) await this.#refresh(name);
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new Error(`the cluster did not answer for topic ${name}`);
    return topic;
  }

  /** Throws `TransientFailure` while there is none. `isFresh`: what was known did not hold. */
  async leader(name: string, isFresh = false): Promise<Leader> {
    const topic = await this.topic(name, isFresh);
    if (topic.error !== 0) {
      this.#topics.delete(name);
      throw failureOf(topic.error, `looking for topic \`${name}\``);
    }
    const partition = topic.partitions.find(({ index }) => index === 0);
    if (partition === undefined || partition.leader < 0) {
      this.#topics.delete(name);
      throw new TransientFailure(`topic \`${name}\` has no leader at the moment`);
    }
    return { broker: partition.leader, epoch: partition.leaderEpoch };
  }

  /** Asks one broker; any one if `id` is undefined. */
  async ask<T>(
    id: number | undefined,
    request: WireRequest<T>,
    timeoutMs = this.requestMs,
  ): Promise<T> {
    const broker = id === undefined ? this.#anyBroker() : this.#broker(id);
    const connection = await this.#take(broker);
    try {
      return await connection.send(request, timeoutMs);
    } finally {
      this.#giveBack(broker, connection);
    }
  }

  /** A connection of the caller's own. */
  async connect(id: number): Promise<BrokerConnection> {
    return await this.#connect(this.#broker(id).address);
  }

  /**
   * Repeats `attempt` while it fails transiently, until `operationMs` have passed: then throws
   * `log_unavailable`. `isFresh` is false the first time.
   */
  async retry<T>(doing: string, attempt: (isFresh: boolean) => Promise<T>): Promise<T> {
    const { onProblem } = this.#options;
    const until = performance.now() + (this.#options.operationMs ?? KAFKA_OPERATION_MS_MAX);
    for (let waitMs = KAFKA_RETRY_MS_MIN, count = 0; ; count++) {
      if (this.signal.aborted) throw closed();
      try {
        return await attempt(count > 0);
      } catch (error) {
        if (!(error instanceof TransientFailure)) throw error;
        if (this.signal.aborted) throw closed();
        const problem = unavailable(`${doing}: ${error.message}`);
        if (performance.now() + waitMs > until) throw problem;
        onProblem(problem);
      }
      await this.pause(waitMs);
      waitMs = Math.min(waitMs * 2, KAFKA_RETRY_MS_MAX);
    }
  }

  /** Resolves early when the cluster is closed. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.signal }).catch(() => undefined);
  }

  close(): void {
    this.#closing.abort();
    for (const connection of this.#connections) connection.destroy(closed());
    for (const broker of this.#brokers.values()) wakeAll(broker);
  }

  /** One look at a time; callers of the same turn, and those who wait for one, share the next. */
  #refresh(name: string): Promise<void> {
    this.#wanted.add(name);
    this.#gathering ??= this.#lookNext();
    return this.#gathering;
  }

  async #lookNext(): Promise<void> {
    await this.#look?.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    const names = [...this.#wanted];
    this.#wanted.clear();
    this.#gathering = undefined;
    this.#look = this.#lookFor(names);
    await this.#look;
  }

  async #lookFor(names: readonly string[]): Promise<void> {
    const answer = await this.#askForMetadata(names);
    this.#learnBrokers(answer.brokers);
    for (const topic of answer.topics) this.#learnTopic(topic);
  }

  /**
   * Asks the brokers that are known, then those to begin with, until one answers: another one each
   * time, as one that is cut off from the others tells old stories, and first those that answered
   * last time.
   */
  async #askForMetadata(names: readonly string[]): Promise<Metadata> {
    const problems: Error[] = [];
    for (const guide of this.#rotatedGuides()) {
      try {
        if (guide.connection?.isClosed !== false) {
          guide.connection = await this.#connect(guide.address);
        }
        const answer = await guide.connection.send(metadata(names), this.requestMs);
        guide.hasFailed = false;
        return answer;
      } catch (error) {
        guide.hasFailed = true;
        problems.push(error as Error);
      }
    }
    const refusal = problems.find((problem) => problem instanceof CaucusError);
    if (refusal !== undefined) throw refusal;
    const messages = problems.map(({ message }) => message).join('; ');
    throw new TransientFailure(`no broker can be reached: ${messages}`);
  }

  #rotatedGuides(): Guide[] {
    const addresses = [
      ...[...this.#brokers.values()].map(({ address }) => address),
      ...this.#seeds,
    ];
    const guides = new Set(
      addresses.map((address) => {
        const key = `${address.host}:${address.port}`;
        const guide = this.#guides.get(key) ?? { address, connection: undefined, hasFailed: false };
        this.#guides.set(key, guide);
        return guide;
      }),
    );
    const turn = this.#turn++;
    return rotated([...guides], turn).toSorted((a, b) => Number(a.hasFailed) - Number(b.hasFailed));
  }

  #learnBrokers(addresses: readonly BrokerAddress[]): void {
    const before = this.#brokers;
    this.#brokers = new Map();
    for (const { id, host, port } of addresses) {
      const known = before.get(id);
      const isSame = known?.address.host === host && known.address.port === port;
      const fresh = { address: { host, port }, idle: [], open: 0, waiting: [], isGone: false };
      this.#brokers.set(id, isSame ? known : fresh);
      if (isSame) before.delete(id);
    }
    for (const broker of before.values()) {
      broker.isGone = true;
      for (const connection of broker.idle)
        connection.destroy(new TransientFailure('the broker moved'));
      wakeAll(broker);
    }
  }

  /** A broker that was away may tell an old story: the higher epoch holds. */
  #learnTopic(topic: TopicMetadata): void {
    const known = this.#topics.get(topic.name);
    const epoch = epochOf(topic);
    if (known?.id === topic.id && topic.error === 0 && epoch < epochOf(known)) return;
    this.#topics.set(topic.name, topic);
  }

  #broker(id: number): Broker {
    const broker = this.#brokers.get(id);
    if (broker === undefined) throw new TransientFailure(`broker ${id} is not there`);
    return broker;
  }

  #anyBroker(): Broker {
    const brokers = [...this.#brokers.values()];
    const broker = brokers[this.#turn++ % Math.max(1, brokers.length)];
    if (broker === undefined) throw new TransientFailure('no broker is known');
    return broker;
  }

  async #take(broker: Broker): Promise<BrokerConnection> {
    for (;;) {
      if (this.signal.aborted) throw closed();
      for (let idle = broker.idle.pop(); idle !== undefined; idle = broker.idle.pop()) {
        if (!idle.isClosed) return idle;
        broker.open--;
      }
      if (broker.open < KAFKA_CONNECTIONS_MAX) break;
      await new Promise<void>((resolve) => {
        broker.waiting.push(resolve);
      });
    }
    broker.open++;
    try {
      return await this.#connect(broker.address);
    } catch (error) {
      broker.open--;
      broker.waiting.shift()?.();
      throw error;
    }
  }

  #giveBack(broker: Broker, connection: BrokerConnection): void {
    if (broker.isGone) connection.destroy(new TransientFailure('the broker moved'));
    if (connection.isClosed) broker.open--;
    else broker.idle.push(connection);
    broker.waiting.shift()?.();
  }

  async #connect(address: Address): Promise<BrokerConnection> {
    const { host, port } = address;
    const connection = await BrokerConnection.open(host, port, this.#options, this.signal);
    for (const one of this.#connections) if (one.isClosed) this.#connections.delete(one);
    this.#connections.add(connection);
    if (this.signal.aborted) connection.destroy(closed());
    return connection;
  }
}

function wakeAll(broker: Broker): void {
  for (const wake of broker.waiting.splice(0)) wake();
}

function epochOf(topic: TopicMetadata): number {
  return topic.partitions.find(({ index }) => index === 0)?.leaderEpoch ?? -1;
}

function rotated<T>(items: readonly T[], by: number): T[] {
  return items.map((_item, index) => items[(index + by) % items.length] as T);
}

/** `host:port` or `[host]:port`. */
function addressOf(text: string): Address {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) {
    throw new CaucusError('invalid_request', `bad broker address \`${text}\``, {
      remedy: 'write it as `host:port`',
    });
  }
  return { host, port: Number(port) };
}
