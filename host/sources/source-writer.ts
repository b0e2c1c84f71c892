/**
 * The one writer of a source's topic, as long as nobody with a higher generation is. It has no
 * fold: it opens a generation, reads its own `open` back to learn whether that won, appends batches
 * in order with one append under way, and proposes a cut for what was acknowledged.
 *
 * After an append that failed nobody knows what is in the log: that generation is given up, all
 * that waited is refused, and the next batch opens another one, which has to tell the rows anew. A
 * higher generation in the topic ends the writer for good: somebody else is in charge.
 */
import { CaucusError } from '../errors.ts';
import { RECORD_BYTES_TARGET, SOURCE_APPEND_BYTES } from '../limits.ts';
import { encodeSourceBatch } from '../log/batch-parts.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { encodeRecord } from '../log/records.ts';
import type { CaucusRecord, RecordChange } from '../log/records.ts';
import { knownAfter, ungroundedTable } from '../replica/fenced-source.ts';
import type { FencedState } from '../replica/fenced-source.ts';
import { SerialQueue } from '../replica/serial-queue.ts';
import { sourceTopic } from '../replica/topics.ts';
import { endOf } from './acknowledged.ts';
import type { CutProposer } from './cut-proposer.ts';
import { sourceHead } from './source-head.ts';
import { TopicTail } from './topic-tail.ts';
import type { Wait } from './topic-tail.ts';

export interface SourceWriterOptions {
  readonly log: Log;
  readonly source: string;
  readonly incarnation: number;
  /** Those that it may open: of its lease, so that no other writer has them. */
  readonly generations: { readonly first: number; readonly end: number };
  readonly cuts: CutProposer;
  readonly wait: Wait;
  /** 16 random bytes or more, as text. */
  readonly randomId: () => string;
  /** The generation is given up, and not because of a batch that somebody waits for. */
  readonly onBroken: (error: unknown) => void;
  /** It is given up because the replicas cannot use it, for this reason. */
  readonly onRefused: (reason: string) => void;
  /** Nothing can be written any more. */
  readonly onLost: (error: CaucusError) => void;
  readonly recordBytes?: number;
}

export interface SourceBatchOf {
  readonly changes: readonly RecordChange[];
  /** Tables that `changes` does not name are empty. */
  readonly snapshot?: boolean;
}

/** A generation that is open and in force. */
interface Opened {
  readonly generation: number;
  readonly owner: string;
  sequence: number;
  batch: number;
  known: FencedState['known'];
}

export class SourceWriter {
  readonly source: string;
  readonly #options: SourceWriterOptions;
  readonly #topic: string;
  readonly #queue = new SerialQueue();
  readonly #tail: TopicTail;
  #nextGeneration: number;
  #opened: Opened | undefined;
  /** Grows with each failure: what was meant for an older one is refused. */
  #epoch = 0;
  #lost: CaucusError | undefined;
  /** Since the last look: a batch says that the writer lives as well as a heartbeat does. */
  #hasPublished = false;
  /** The highest that the topic has, who began it, and how far its records were seen. */
  #seen = { generation: 0, owner: '', sequence: 0 };

  constructor(options: SourceWriterOptions) {
    this.#options = options;
    this.source = options.source;
    this.#topic = sourceTopic(options.source, options.incarnation);
    this.#nextGeneration = options.generations.first;
    const { log, wait } = options;
    const onRecord = (record: LogRecord): void => this.#recordOnSeen(record);
    this.#tail = new TopicTail({ log, topic: this.#topic, wait, onRecord });
  }

  /** The open one; 0: none. */
  get generation(): number {
    return this.#opened?.generation ?? 0;
  }

  /** Takes the topic over, so that nobody with a lower generation writes to it any more. */
  open(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#open();
    });
  }

  /**
   * Resolves with the offset of a cut when the batch is durable and cut; rejects when that is not
   * known. A batch that changes rows which this generation has not told is `invalid_request`.
   */
  async publish(batch: SourceBatchOf): Promise<number> {
    const epoch = this.#epoch;
    const kind = batch.snapshot === true ? 'snapshot' : 'delta';
    await this.#queue.run(async () => {
      if (epoch !== this.#epoch) throw lostBefore(this.source);
      const opened = await this.#open();
      const table = ungroundedTable(opened.known, kind, batch.changes);
      if (table !== undefined) throw ungrounded(`${this.source}:${table}`);
      const { generation, owner } = opened;
      const head = { kind, generation, owner, sequence: opened.sequence + 1 } as const;
      const { recordBytes = RECORD_BYTES_TARGET } = this.#options;
      const { changes } = batch;
      const records = encodeSourceBatch({ ...head, batch: opened.batch + 1, changes }, recordBytes);
      await this.#append(opened, records);
      opened.batch++;
      this.#hasPublished = true;
      opened.known = knownAfter(opened.known, kind, changes);
    });
    return await this.#options.cuts.cut();
  }

  /** The rows are those of the outside. Nothing is written while no generation is open. */
  async heartbeat(): Promise<void> {
    const isTold = await this.#queue.run(async () => {
      if (this.#opened === undefined) return false;
      await this.#tell(this.#opened, (head) => ({ kind: 'heartbeat', ...head }));
      return true;
    });
    if (isTold) await this.#options.cuts.cut();
  }

  /** A heartbeat, unless something was published since the last one. */
  async keepAlive(): Promise<void> {
    if (!this.#hasPublished) await this.heartbeat();
    this.#hasPublished = false;
  }

  /** The outside cannot be read. */
  async reportStale(reason: string): Promise<void> {
    await this.#queue.run(async () => {
      await this.#tell(await this.#open(), (head) => ({ kind: 'stale', ...head, reason }));
    });
    await this.#options.cuts.cut();
  }

  /** What is under way may still get into the log; nothing else does. */
  async close(): Promise<void> {
    this.#lost ??= new CaucusError('not_ready', `source \`${this.source}\` has been stopped`, {
      remedy: 'start it again',
    });
    this.#opened = undefined;
    await this.#tail.close();
  }

  async #tell(
    opened: Opened,
    make: (head: { generation: number; owner: string; sequence: number }) => CaucusRecord,
  ): Promise<void> {
    const { generation, owner, sequence } = opened;
    const record = encodeRecord(make({ generation, owner, sequence: sequence + 1 }));
    try {
      await this.#append(opened, [record]);
    } catch (error) {
      // Whoever fills the source does not know that its rows have to be told anew.
      if (this.#lost === undefined) this.#options.onBroken(error);
      throw error;
    }
  }

  async #open(): Promise<Opened> {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#opened !== undefined) return this.#opened;
    const { log, source, incarnation, generations, randomId, cuts } = this.#options;
    const generation = this.#nextGeneration++;
    if (generation >= generations.end) throw this.#lose(generationsUsed(source));
    const owner = randomId();
    const records = [encodeRecord({ kind: 'open', generation, owner, source, incarnation })];
    await log.ensureTopic(this.#topic);
    const end = endOf(await log.append(this.#topic, records), records);
    cuts.raise(this.#topic, end);
    await this.#tail.reached(end.end);
    this.#expectNotLost();
    const { generation: highest, owner: winner } = this.#seen;
    if (highest !== generation || winner !== owner) {
      throw this.#lose(replaced(source, generation, highest));
    }
    this.#opened = { generation, owner, sequence: 0, batch: 0, known: [] };
    return this.#opened;
  }

  /** In order, one append at a time. */
  async #append(opened: Opened, records: readonly Uint8Array[]): Promise<void> {
    const { log, cuts } = this.#options;
    for (const group of inGroups(records, SOURCE_APPEND_BYTES)) {
      if (this.#lost !== undefined) throw this.#lost;
      if (this.#opened !== opened) throw lostBefore(this.source);
      try {
        cuts.raise(this.#topic, endOf(await log.append(this.#topic, group), group));
      } catch (error) {
        if (this.#opened === opened) this.#giveUp();
        throw error;
      }
      opened.sequence += group.length;
    }
  }

  #expectNotLost(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  #giveUp(): void {
    this.#opened = undefined;
    this.#epoch++;
  }

  #recordOnSeen({ bytes }: LogRecord): void {
    const head = sourceHead(bytes);
    if (head === undefined) return;
    const { generation } = head;
    const opened = this.#opened;
    if ('refused' in head) {
      if (opened?.generation !== generation) return;
      this.#giveUp();
      this.#options.onRefused(head.refused);
      return;
    }
    const { owner, sequence } = head;
    if (generation > this.#seen.generation) {
      this.#seen = { generation, owner, sequence };
      if (opened !== undefined && generation > opened.generation) {
        this.#lose(replaced(this.source, opened.generation, generation));
      }
      return;
    }
    if (generation !== this.#seen.generation || owner !== this.#seen.owner) return;
    const isGap = sequence > this.#seen.sequence + 1;
    this.#seen = { generation, owner, sequence: Math.max(sequence, this.#seen.sequence) };
    if (!isGap || opened?.generation !== generation || opened.owner !== owner) return;
    // The log lost what it had acknowledged.
    this.#giveUp();
    this.#options.onBroken(lostBefore(this.source));
  }

  #lose(error: CaucusError): CaucusError {
    if (this.#lost !== undefined) return this.#lost;
    this.#lost = error;
    this.#giveUp();
    this.#options.onLost(error);
    return error;
  }
}

/** Of about `bytes` each, at least one record a group. */
function* inGroups(
  records: readonly Uint8Array[],
  bytes: number,
): Generator<Uint8Array[], void, undefined> {
  let group: Uint8Array[] = [];
  let size = 0;
  for (const record of records) {
    if (group.length > 0 && size + record.length > bytes) {
      yield group;
      group = [];
      size = 0;
    }
    group.push(record);
    size += record.length;
  }
  yield group;
}

function lostBefore(source: string): CaucusError {
  return new CaucusError('log_unavailable', `an earlier batch of \`${source}\` may be lost`, {
    remedy: 'publish all rows again',
  });
}

function ungrounded(table: string): CaucusError {
  return new CaucusError('invalid_request', `the rows of \`${table}\` have to be told first`, {
    remedy: 'publish the table as a whole, then its changes',
  });
}

function replaced(source: string, own: number, other: number): CaucusError {
  return new CaucusError(
    'conflict',
    `source \`${source}\` is written by generation ${other}, not by ${own} any more`,
    { remedy: 'nothing, if another node has taken over', details: { source, own, other } },
  );
}

function generationsUsed(source: string): CaucusError {
  return new CaucusError('conflict', `source \`${source}\` was opened too often`, {
    remedy: 'the lease is taken anew by itself',
  });
}
