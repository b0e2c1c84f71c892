/**
 * One log that several processes share, in memory: a broker, and for each process a client with
 * what may go wrong between them. The contract is that of `host/log/log.ts`; `test/suites/log-
 * suite` runs over it. As on Kafka, an append is repeated by its client until it is acknowledged
 * or given up, the broker drops a repetition (unless `isIdempotent` is off), and a reader notices
 * that the log was cut back below what it has read (unless it starts anew).
 */
import { CaucusError } from '../../host/errors.ts';
import type { Appended, Bounds, Chunk, Log, LogRecord } from '../../host/log/log.ts';
import type { Random } from '../support/random.ts';
import type { Lane, Scheduler } from './scheduler.ts';

interface Topic {
  start: number;
  /** By offset: trimmed ones stay for the checker. */
  readonly records: LogRecord[];
  readonly waiters: Set<() => void>;
  /** Where the log was cut back, oldest first. */
  readonly truncatedAt: number[];
  lastTimeMs: number;
}

export class Broker {
  readonly topics = new Map<string, Topic>();
  readonly scheduler: Scheduler;
  /** Events between processes: they outlive their senders. */
  readonly network: Lane;
  /** Of the broker's clock against virtual time. */
  clockOffsetMs = 0;
  /**
   * Repetitions of an append are dropped. Off it is less than the contract asks for: whole appends
   * may be there twice. Parts must not, or the batch that they are of never ends.
   */
  isIdempotent = true;
  /** Records of one append that others cannot come between; what is under way keeps to its own. */
  batchMax = 1000;
  /** Readers are told that what they read was cut off, even if as much has come in its place. */
  tellsTruncation = true;
  /** What a repeated append was given, by writer, topic and number. */
  readonly #appended = new Map<string, Appended>();

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
    this.network = scheduler.lane('network');
  }

  topic(name: string): Topic {
    const topic = this.topics.get(name);
    if (topic === undefined) throw new Error(`log: topic ${name} was not ensured`);
    return topic;
  }

  ensure(name: string): void {
    if (this.topics.has(name)) return;
    this.topics.set(name, {
      start: 0,
      records: [],
      waiters: new Set(),
      truncatedAt: [],
      lastTimeMs: 0,
    });
  }

  append(name: string, records: readonly Uint8Array[], key: string): Appended {
    const known = this.isIdempotent ? this.#appended.get(key) : undefined;
    if (known !== undefined) return known;
    const topic = this.topic(name);
    const nowMs = Math.floor(this.scheduler.nowMs + this.clockOffsetMs);
    topic.lastTimeMs = Math.max(topic.lastTimeMs, nowMs);
    const first = topic.records.length;
    for (const bytes of records) {
      const offset = topic.records.length;
      topic.records.push({ offset, bytes: bytes.slice(), appendTimeMs: topic.lastTimeMs });
    }
    const result = { first, appendTimeMs: topic.lastTimeMs };
    this.#appended.set(key, result);
    this.#wake(topic);
    return result;
  }

  /** The newest records are lost, acknowledged or not, as by an unclean election. */
  truncate(name: string, end: number): void {
    const topic = this.topic(name);
    if (end >= topic.records.length) return;
    topic.records.length = Math.max(end, topic.start);
    topic.truncatedAt.push(topic.records.length);
    this.#wake(topic);
  }

  #wake(topic: Topic): void {
    const waiters = [...topic.waiters];
    topic.waiters.clear();
    for (const wake of waiters) wake();
  }
}

/** What is between one process and the broker. */
export interface Link {
  /** Nothing gets through. */
  isCut: boolean;
  /** How often a request is lost on its way, and an answer on its way back. */
  lossChance: number;
  /** How much longer than usual a request may be on its way, ms: it may arrive when given up. */
  sendDelayMs: number;
  /** Records that one fetch brings at most. */
  chunkMax: number;
  /** How much longer than usual a fetch takes, ms. */
  readDelayMs: number;
}

export function goodLink(): Link {
  return {
    isCut: false,
    lossChance: 0,
    sendDelayMs: 0,
    chunkMax: 50,
    readDelayMs: 0,
  };
}

export interface FakeLogOptions {
  readonly broker: Broker;
  readonly lane: Lane;
  readonly link: Link;
  readonly random: Random;
  /** Names this client among the writers. */
  readonly writer: string;
}

/** An unanswered request is repeated after so long… */
const REQUEST_MS = 200;
/** …and given up after so long. */
const OPERATION_MS = 1_500;
const RECONNECT_MS = 40;

interface PendingAppend {
  readonly records: readonly Uint8Array[];
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

export class FakeLog implements Log {
  readonly #options: FakeLogOptions;
  readonly #queues = new Map<string, PendingAppend[]>();
  readonly #pumps = new Map<string, Promise<void>>();
  /** One past the last acknowledged offset. */
  readonly #ends = new Map<string, number>();
  readonly #closing = new Set<() => void>();
  #appends = 0;
  #isClosed = false;

  constructor(options: FakeLogOptions) {
    this.#options = options;
  }

  async ensureTopic(topic: string): Promise<void> {
    await this.#ask(`making topic \`${topic}\``, (broker) => broker.ensure(topic));
  }

  append(topic: string, records: readonly Uint8Array[]): Promise<Appended> {
    if (this.#isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(topic) ?? [];
      this.#queues.set(topic, queue);
      queue.push({ records, resolve, reject });
      if (this.#pumps.has(topic)) return;
      this.#pumps.set(topic, this.#pump(topic, queue));
    });
  }

  async *read(
    topic: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<Chunk, void, undefined> {
    const { broker, lane, link, random } = this.#options;
    let next = from;
    let truncations = broker.topic(topic).truncatedAt.length;
    for (;;) {
      if (signal.aborted || this.#isClosed) return;
      await this.#orStopped(signal, (resolve) => {
        lane.after(broker.scheduler.latency() + random.next() * link.readDelayMs, resolve);
      });
      if (signal.aborted || this.#isClosed) return;
      const { start, records, truncatedAt } = broker.topic(topic);
      if (link.isCut) {
        await this.#orStopped(signal, (resolve) => {
          lane.after(RECONNECT_MS, resolve);
        });
        continue;
      }
      const isCutOff = truncatedAt.slice(truncations).some((end) => end < next);
      truncations = truncatedAt.length;
      if (broker.tellsTruncation && (isCutOff || next > records.length)) {
        throw divergedError(topic, next, records.length);
      }
      if (next < start) {
        throw new CaucusError('revision_expired', `topic ${topic} starts at ${start}, not ${next}`);
      }
      if (next < records.length) {
        const count = 1 + random.int(link.chunkMax);
        const chunk = records.slice(next, next + count);
        next += chunk.length;
        yield { records: chunk, next };
        continue;
      }
      await this.#orStopped(signal, (resolve) => {
        broker.topic(topic).waiters.add(resolve);
      });
    }
  }

  async bounds(topic: string): Promise<Bounds> {
    return await this.#ask(`asking for the end of topic \`${topic}\``, (broker) => {
      const { start, records } = broker.topic(topic);
      return { start, end: records.length };
    });
  }

  async trim(topic: string, before: number): Promise<void> {
    await this.#ask(`trimming topic \`${topic}\``, (broker) => {
      const found = broker.topic(topic);
      found.start = Math.max(found.start, Math.min(before, found.records.length));
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const wake of this.#closing) wake();
    await Promise.all(this.#pumps.values());
  }

  async #pump(topic: string, queue: PendingAppend[]): Promise<void> {
    // A tick later, so that the appends of this one share the first request.
    await Promise.resolve();
    while (queue.length > 0) {
      const group = queue.splice(0);
      try {
        await this.#write(topic, group);
      } catch (error) {
        for (const { reject } of [...group, ...queue.splice(0)]) reject(error);
      }
    }
    // In the tick of the look at the queue: what is appended next would wait for nobody.
    this.#pumps.delete(topic);
  }

  async #write(topic: string, group: readonly PendingAppend[]): Promise<void> {
    const { broker, writer } = this.#options;
    const { batchMax } = broker;
    const records = group.flatMap((pending) => pending.records);
    const offsets: number[] = [];
    let last: Appended = { first: 0, appendTimeMs: 0 };
    for (let from = 0; from === 0 || from < records.length; from += batchMax) {
      const part = records.slice(from, from + batchMax);
      const key = `${writer} ${topic} ${this.#appends++}`;
      const doing = `appending to topic \`${topic}\``;
      last = await this.#ask(doing, () => broker.append(topic, part, key));
      if (broker.tellsTruncation && last.first < (this.#ends.get(topic) ?? 0)) {
        throw divergedError(topic, this.#ends.get(topic) ?? 0, last.first);
      }
      this.#ends.set(topic, last.first + part.length);
      for (const index of part.keys()) offsets.push(last.first + index);
    }
    const { appendTimeMs } = last;
    let at = 0;
    for (const pending of group) {
      const own = offsets.slice(at, at + pending.records.length);
      const first = own[0] ?? offsets[at] ?? this.#ends.get(topic) ?? last.first;
      at += own.length;
      const isWhole = own.every((offset, index) => offset === first + index);
      pending.resolve(isWhole ? { first, appendTimeMs } : { first, appendTimeMs, offsets: own });
    }
  }

  /** A request, repeated until it is answered or given up; it may be done all the same. */
  async #ask<T>(doing: string, act: (broker: Broker) => T): Promise<T> {
    const { broker, lane, link, random } = this.#options;
    const { scheduler, network } = broker;
    if (this.#isClosed) throw closedError();
    const untilMs = scheduler.nowMs + OPERATION_MS;
    for (;;) {
      const answer = await new Promise<{ value: T } | { error: unknown } | undefined>((resolve) => {
        const cancel = lane.after(REQUEST_MS, () => resolve(undefined));
        const delayMs = link.sendDelayMs === 0 ? 0 : (0.5 + random.next() / 2) * link.sendDelayMs;
        network.after(scheduler.latency() + delayMs, () => {
          if (link.isCut || random.chance(link.lossChance)) return;
          let result: { value: T } | { error: unknown };
          try {
            result = { value: act(broker) };
          } catch (error) {
            result = { error };
          }
          if (random.chance(link.lossChance)) return;
          lane.after(scheduler.latency(), () => {
            if (link.isCut) return;
            cancel();
            resolve(result);
          });
        });
      });
      if (answer !== undefined && 'value' in answer) return answer.value;
      if (answer !== undefined) throw answer.error;
      if (scheduler.nowMs < untilMs) continue;
      throw new CaucusError('log_unavailable', `${doing} was not answered`);
    }
  }

  /** Waits for `wait`, the signal or the end of this client. */
  #orStopped(signal: AbortSignal, wait: (resolve: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#closing.delete(done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      this.#closing.add(done);
      wait(done);
    });
  }
}

function closedError(): CaucusError {
  return new CaucusError('log_unavailable', 'the log is closed');
}

function divergedError(topic: string, wanted: number, end: number): CaucusError {
  return new CaucusError(
    'log_diverged',
    `topic \`${topic}\` lost what was there: it ends at ${end}, not ${wanted}`,
    { details: { topic, end, wanted } },
  );
}
