/** Collects what one cut makes visible: the records of every topic up to the ends that it names. */
import { CaucusError } from '../errors.ts';
import { LOG_RETRY_MS } from '../limits.ts';
import type { Log } from '../log/log.ts';
import { decodeRecord, recordChecksum } from '../log/records.ts';
import type {
  CaucusRecord,
  CutRecord,
  FencedRecord,
  PolicyRecord,
  PushRecord,
  Vector,
} from '../log/records.ts';
import { compareStrings } from '../value/string-order.ts';
import type { Timer } from './revision-waiters.ts';
import type { TopicEnd } from './sequencer.ts';
import { DIVERGED_REMEDY, ReadingStopped, TopicReader } from './topic-reader.ts';
import { POLICY_TOPIC } from './topics.ts';

export interface LoggedRecord<T> {
  readonly topic: string;
  readonly offset: number;
  readonly appendTimeMs: number;
  readonly record: T;
}

export interface CutContent {
  readonly policies: readonly LoggedRecord<PolicyRecord>[];
  /** By topic name, then by offset: an order that does not depend on arrival. */
  readonly pushes: readonly LoggedRecord<PushRecord>[];
  /** Of sources with one writer, in the same order. */
  readonly fenced: readonly LoggedRecord<FencedRecord>[];
  /** Topics that moved. */
  readonly ends: ReadonlyMap<string, TopicEnd>;
  readonly recordBytes: number;
}

export interface CutReaderOptions {
  readonly log: Log;
  readonly setTimer: Timer;
  /** A topic was read further ahead. */
  readonly onSeen: (topic: string, end: TopicEnd) => void;
  /** A topic cannot be read any further, though no cut may have asked for it. */
  readonly onFailed: (error: unknown) => void;
}

export class CutReader {
  readonly #options: CutReaderOptions;
  readonly #readers = new Map<string, TopicReader>();
  /** End the pauses between two tries. */
  readonly #wakes = new Set<() => void>();
  #isClosed = false;

  constructor(options: CutReaderOptions) {
    this.#options = options;
  }

  /** Begins to read a topic ahead of the cuts that will name it. */
  async follow(topic: string, from: number): Promise<void> {
    (await this.#reader(topic, from)).start();
  }

  /** `applied`: how far each topic was read before; ends below that change nothing. */
  async read(cut: CutRecord, applied: ReadonlyMap<string, TopicEnd>): Promise<CutContent> {
    const policies: LoggedRecord<PolicyRecord>[] = [];
    const pushes: LoggedRecord<PushRecord>[] = [];
    const fenced: LoggedRecord<FencedRecord>[] = [];
    const ends = new Map<string, TopicEnd>();
    let recordBytes = 0;
    for (const [topic, wanted] of inForce(cut)) {
      const before = applied.get(topic);
      const from = before?.end ?? 0;
      if (wanted.end === from && before !== undefined && wanted.checksum !== before.checksum) {
        throw diverged(topic, from - 1);
      }
      if (wanted.end <= from) continue;
      let checksum = 0;
      const reader = await this.#reader(topic, from);
      await reader.expectSeen(wanted.end, this.#options.setTimer);
      for await (const { offset, bytes, appendTimeMs } of reader.readTo(wanted.end)) {
        const record = decodeRecord(bytes);
        checksum = recordChecksum(bytes);
        recordBytes += bytes.length;
        if (topic === POLICY_TOPIC && record.kind === 'policy') {
          policies.push({ topic, offset, appendTimeMs, record });
        } else if (topic !== POLICY_TOPIC && record.kind === 'push') {
          pushes.push({ topic, offset, appendTimeMs, record });
        } else if (topic !== POLICY_TOPIC && isFenced(record)) {
          fenced.push({ topic, offset, appendTimeMs, record });
        } else {
          throw unexpectedRecord(topic, offset, record.kind);
        }
      }
      if (checksum !== wanted.checksum) throw diverged(topic, wanted.end - 1);
      ends.set(topic, wanted);
    }
    return { policies, pushes, fenced, ends, recordBytes };
  }

  /** A log that is away for a moment must not stop the fold: it comes back, or is waited for. */
  async #ensure(topic: string): Promise<void> {
    const { log, setTimer } = this.#options;
    for (;;) {
      if (this.#isClosed) throw new ReadingStopped(topic);
      try {
        await log.ensureTopic(topic);
        return;
      } catch (error) {
        if (!(error instanceof CaucusError) || error.code !== 'log_unavailable') throw error;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wakes.delete(wake);
          cancel();
          resolve();
        };
        const cancel = setTimer(wake, LOG_RETRY_MS);
        this.#wakes.add(wake);
      });
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const wake of this.#wakes) wake();
    for (const reader of this.#readers.values()) reader.close();
  }

  async #reader(topic: string, from: number): Promise<TopicReader> {
    const { log, onSeen, onFailed } = this.#options;
    const before = this.#readers.get(topic);
    if (before !== undefined) return before;
    await this.#ensure(topic);
    // Somebody else may have asked in the meantime.
    let reader = this.#readers.get(topic);
    if (reader === undefined) {
      reader = new TopicReader({
        log,
        topic,
        from,
        onSeen: ({ seen }) => {
          if (seen !== undefined) onSeen(topic, seen);
        },
        onFailed,
      });
      this.#readers.set(topic, reader);
    }
    return reader;
  }
}

const FENCED_KINDS: ReadonlySet<string> = new Set<FencedRecord['kind']>([
  'open',
  'snapshot',
  'delta',
  'heartbeat',
  'stale',
  'refused',
]);

function isFenced(record: CaucusRecord): record is FencedRecord {
  return FENCED_KINDS.has(record.kind);
}

/** The ends that a cut names, sorted by topic: the larger of what it saw and what it adds. */
export function inForce(cut: CutRecord): [topic: string, end: TopicEnd][] {
  const ends = new Map<string, TopicEnd>();
  const raise = (vector: Vector): void => {
    for (const { topic, end, checksum } of vector) {
      if (end > (ends.get(topic)?.end ?? -1)) ends.set(topic, { end, checksum });
    }
  };
  if (cut.asOf !== null) raise(cut.asOf.vector);
  raise(cut.vector);
  return [...ends].sort((a, b) => compareStrings(a[0], b[0]));
}

/** The record at `end − 1` of a topic is not the one that was applied or that a cut names. */
export function diverged(topic: string, offset: number): CaucusError {
  return new CaucusError(
    'log_diverged',
    `the record at offset ${offset} of topic \`${topic}\` is not the one that was acknowledged`,
    { remedy: DIVERGED_REMEDY, details: { topic, offset } },
  );
}

function unexpectedRecord(topic: string, offset: number, kind: string): CaucusError {
  return new CaucusError(
    'unsupported_record',
    `topic \`${topic}\` holds a \`${kind}\` record at offset ${offset}`,
    {
      remedy: 'run the version of caucus that wrote it, or a later one',
      details: { topic, offset, kind },
    },
  );
}
