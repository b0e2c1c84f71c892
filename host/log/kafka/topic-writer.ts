/**
 * Appends to one topic: one request in flight, what waits behind it shares the next (group commit).
 *
 * No append is written twice or out of order. Each batch carries the identity of this writer and a
 * number, so that the broker drops a repetition of what it has ("idempotent producer"). Where an
 * append is given up, nobody knows what became of it: the writer raises the epoch of its identity,
 * and from its next batch on the broker refuses what may still be on its way with the old one.
 */
import { CaucusError } from '../../errors.ts';
import { KAFKA_BATCH_BYTES_MAX, KAFKA_GROUP_BYTES, RECORD_BYTES_MAX } from '../../limits.ts';
import { BROKER_ERROR, diverged, failureOf } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import type { Appended } from '../log.ts';
import { BATCH_HEADER_BYTES, RECORD_FRAME_BYTES_MAX } from './record-batch.ts';
import { initProducerId, produce } from './requests.ts';
import type { Produced } from './requests.ts';

export interface WriterOptions {
  readonly cluster: Cluster;
  /** Its name in Kafka, and for people. */
  readonly topic: string;
  readonly now: () => number;
  /** Throws `log_diverged` if the topic is another one than at the beginning. */
  readonly checkIdentity: () => Promise<void>;
  /** Where an append of no records is. */
  readonly end: () => Promise<number>;
}

interface Pending {
  readonly records: readonly Uint8Array[];
  readonly bytes: number;
  readonly resolve: (result: Appended) => void;
  readonly reject: (error: Error) => void;
}

interface Identity {
  readonly producerId: number;
  epoch: number;
  sequence: number;
}

const EPOCH_MAX = 32_000;
const SEQUENCE_MAX = 2 ** 31 - 1;

export class TopicWriter {
  readonly #options: WriterOptions;
  #queue: Pending[] = [];
  #running: Promise<void> | undefined;
  #identity: Identity | undefined;
  /** The log lost what was acknowledged here: nothing is added to what is left. */
  #failure: CaucusError | undefined;
  /** One past the last offset that was acknowledged here. */
  #end = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  append(records: readonly Uint8Array[]): Promise<Appended> {
    if (this.#failure !== undefined) throw this.#failure;
    let bytes = BATCH_HEADER_BYTES;
    for (const record of records) {
      if (record.length > RECORD_BYTES_MAX) {
        const message = `a record of ${record.length} bytes exceeds the limit of ${RECORD_BYTES_MAX}`;
        throw new CaucusError('too_large', message, { remedy: 'split it before appending' });
      }
      bytes += RECORD_FRAME_BYTES_MAX + record.length;
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, bytes, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Never throws. */
  async #run(): Promise<void> {
    // A tick later, so that all appends of this one share the first request.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        await this.#write(group);
      } catch (error) {
        if (error instanceof CaucusError && error.code === 'log_diverged') this.#failure = error;
        this.#giveUpIdentity();
        // Those that wait were called in the belief that this one would be before them.
        for (const { reject } of [...group, ...this.#queue.splice(0)]) reject(error as Error);
      }
    }
    this.#running = undefined;
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const pending of this.#queue) {
      bytes += pending.bytes;
      if (count > 0 && bytes > KAFKA_GROUP_BYTES) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #write(group: readonly Pending[]): Promise<void> {
    const records = group.flatMap((pending) => pending.records);
    const offsets: number[] = [];
    let appendTimeMs = -1;
    for (const batch of batchesOf(records)) {
      const produced = await this.#produce(batch);
      batch.forEach((_record, index) => offsets.push(produced.baseOffset + index));
      appendTimeMs = produced.appendTimeMs;
    }
    if (records.length === 0) this.#end = Math.max(this.#end, await this.#options.end());
    let at = 0;
    for (const pending of group) {
      const own = offsets.slice(at, at + pending.records.length);
      const first = own[0] ?? offsets[at] ?? this.#end;
      at += own.length;
      const isWhole = own.every((offset, index) => offset === first + index);
      pending.resolve(isWhole ? { first, appendTimeMs } : { first, appendTimeMs, offsets: own });
    }
  }

  /** One batch, repeated until it is known to be there. */
  async #produce(records: readonly Uint8Array[]): Promise<Produced> {
    const { cluster, topic, now } = this.#options;
    const doing = `appending to topic \`${topic}\``;
    const produced = await cluster.retry(doing, async (isFresh) => {
      if (isFresh) await this.#options.checkIdentity();
      const identity = (this.#identity ??= await this.#askIdentity());
      const { broker } = await cluster.leader(topic);
      const sequence = {
        producerId: identity.producerId,
        producerEpoch: identity.epoch,
        base: identity.sequence,
      };
      const timeoutMs = cluster.requestMs;
      const request = produce(topic, records, sequence, now(), timeoutMs);
      // The broker's own time runs out first, so that its answer is heard.
      const answer = await cluster.ask(broker, request, timeoutMs * 2);
      if (answer.error === BROKER_ERROR.outOfOrderSequence) {
        throw diverged(topic, 'lost records that were acknowledged', { end: this.#end });
      }
      if (answer.error !== 0) throw failureOf(answer.error, doing);
      return answer;
    });
    if (produced.baseOffset < this.#end) {
      const details = { offset: produced.baseOffset, end: this.#end };
      throw diverged(
        topic,
        `went back from offset ${this.#end} to ${produced.baseOffset}`,
        details,
      );
    }
    this.#end = produced.baseOffset + records.length;
    this.#count(records.length);
    return produced;
  }

  async #askIdentity(): Promise<Identity> {
    const { cluster, topic } = this.#options;
    const { error, producerId, producerEpoch } = await cluster.ask(undefined, initProducerId());
    if (error !== 0)
      throw failureOf(error, `asking for an identity to write to topic \`${topic}\``);
    return { producerId, epoch: producerEpoch, sequence: 0 };
  }

  #count(records: number): void {
    if (this.#identity === undefined) return;
    this.#identity.sequence += records;
    if (this.#identity.sequence > SEQUENCE_MAX / 2) this.#giveUpIdentity();
  }

  #giveUpIdentity(): void {
    if (this.#identity === undefined) return;
    this.#identity.epoch++;
    this.#identity.sequence = 0;
    if (this.#identity.epoch > EPOCH_MAX) this.#identity = undefined;
  }
}

/** A batch is all or nothing, and has a largest size. */
function* batchesOf(records: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let from = 0;
  let bytes = BATCH_HEADER_BYTES;
  for (const [index, record] of records.entries()) {
    bytes += RECORD_FRAME_BYTES_MAX + record.length;
    if (index > from && bytes > KAFKA_BATCH_BYTES_MAX) {
      yield records.slice(from, index);
      from = index;
      bytes = BATCH_HEADER_BYTES + RECORD_FRAME_BYTES_MAX + record.length;
    }
  }
  if (from < records.length) yield records.slice(from);
}
