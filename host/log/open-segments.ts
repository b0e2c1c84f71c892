/** Reads what is on disk when the log opens, tells a torn tail from damage, and refuses damage. */
import path from 'node:path';
import { CaucusError } from '../errors.ts';
import { textOf } from '../value/utf8.ts';
import type { Disk, DiskFile } from './disk.ts';
import { LogTopic, placeOf } from './log-topic.ts';
import {
  encodeHeader,
  MAGIC,
  readHeader,
  scanEntries,
  segmentName,
  segmentNumber,
} from './segment.ts';
import { TYPE_RECORD, TYPE_TOPIC, wasSyncedBeyond } from './segment.ts';
import type { Entry, SegmentHeader, SegmentTopic } from './segment.ts';

/** Bytes behind the last whole entry, written when a crash came before they were acknowledged. */
export interface LogRepair {
  readonly file: string;
  readonly byteOffset: number;
  readonly bytes: number;
}

export interface Segment {
  readonly number: number;
  readonly nonce: number;
  readonly headerLength: number;
  /** Topics and their next offsets where the segment begins. */
  readonly topics: readonly SegmentTopic[];
  /** Durable bytes; grows with each commit. */
  length: number;
  /** What its entries say was durable; only of use at open. */
  synced: number;
}

export interface OpenedSegments {
  readonly segments: Segment[];
  readonly topics: Map<string, LogTopic>;
  readonly lastTimeMs: number;
  readonly repairs: readonly LogRepair[];
}

export async function openSegments(disk: Disk, directory: string): Promise<OpenedSegments> {
  const opening = new Opening(disk, directory);
  await opening.run();
  const { segments, topics, lastTimeMs, repairs } = opening;
  return { segments, topics, lastTimeMs, repairs };
}

class Opening {
  readonly segments: Segment[] = [];
  readonly topics = new Map<string, LogTopic>();
  readonly repairs: LogRepair[] = [];
  lastTimeMs = 0;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #byId = new Map<number, LogTopic>();
  /**
   * Size of the file of the newest segment, which is more than its length where an entry is broken.
   */
  #lastSize = 0;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  async run(): Promise<void> {
    const names = await this.#disk.list(this.#directory);
    const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
    numbers.sort((a, b) => a - b);
    for (const [index, number] of numbers.entries()) {
      if (index > 0 && number !== (numbers[index - 1] as number) + 1) {
        const missing = path.join(this.#directory, segmentName(number - 1));
        throw damaged(missing, 0, 'is missing');
      }
      await this.#openSegment(number, index === numbers.length - 1);
    }
    await this.#cutTail();
  }

  async #openSegment(number: number, isLast: boolean): Promise<void> {
    const name = path.join(this.#directory, segmentName(number));
    const file = await this.#disk.open(name, 'read');
    try {
      const size = await file.size();
      const read = await readHeader(file);
      if (read === undefined || read.header.number !== number) {
        await this.#dropUnbornSegment(file, name, number, isLast);
        return;
      }
      this.#checkPrevious(read.header);
      this.#takeHeader(name, read.header);
      const segment: Segment = {
        number,
        nonce: read.header.nonce,
        headerLength: read.length,
        topics: read.header.topics,
        length: size,
        synced: 0,
      };
      const end = await scanEntries(file, segment.nonce, read.length, size, (entry, position) =>
        this.#takeEntry(name, segment, entry, position),
      );
      segment.length = end;
      this.segments.push(segment);
      this.#lastSize = size;
    } finally {
      await file.close();
    }
  }

  /**
   * A segment whose header was never durable holds nothing: entries come after the header's fsync.
   */
  async #dropUnbornSegment(
    file: DiskFile,
    name: string,
    number: number,
    isLast: boolean,
  ): Promise<void> {
    const size = await file.size();
    const expected = encodeHeader({
      number,
      previousLength: 0,
      nonce: 0,
      lastTimeMs: 0,
      topics: this.#topicEnds(),
    });
    const mayBeUnborn = isLast && (number === 1 || this.segments.length > 0);
    if (!mayBeUnborn || size > expected.length) throw damaged(name, 0, 'has a broken header');
    // Half of our own header, or zeros where its blocks never came; anything else is not ours.
    const begin = await file.read(0, Math.min(size, MAGIC.length));
    if (begin.some((byte, index) => byte !== 0 && byte !== MAGIC[index])) {
      throw damaged(name, 0, 'is no log of caucus');
    }
    await this.#disk.unlink(name);
    this.repairs.push({ file: name, byteOffset: 0, bytes: size });
  }

  /**
   * The previous segment ends where this one says: what lies behind was given up after a failed
   * write.
   */
  #checkPrevious(header: SegmentHeader): void {
    const previous = this.segments.at(-1);
    if (previous === undefined) return;
    if (previous.length < header.previousLength) {
      const name = path.join(this.#directory, segmentName(previous.number));
      throw damaged(name, previous.length, 'is broken or cut short');
    }
  }

  #takeHeader(name: string, header: SegmentHeader): void {
    const previous = this.segments.at(-1);
    if (previous === undefined) {
      for (const { id, name: topic, next } of header.topics) this.#addTopic(id, topic, next);
    } else {
      this.#forgetGivenUp(previous, header);
      if (!sameTopics(this.#topicEnds(), header.topics)) {
        throw damaged(name, 0, 'does not continue the segment before it');
      }
    }
    this.lastTimeMs = Math.max(this.lastTimeMs, header.lastTimeMs);
  }

  #forgetGivenUp(previous: Segment, header: SegmentHeader): void {
    if (previous.length === header.previousLength) return;
    previous.length = header.previousLength;
    const ends = new Map(header.topics.map((topic) => [topic.id, topic.next]));
    for (const topic of this.topics.values()) {
      const end = ends.get(topic.id);
      if (end === undefined) {
        this.topics.delete(topic.name);
        this.#byId.delete(topic.id);
      } else if (end < topic.end) {
        topic.end = end;
      }
    }
  }

  #takeEntry(name: string, segment: Segment, entry: Entry, position: number): void {
    this.lastTimeMs = Math.max(this.lastTimeMs, entry.timeMs);
    segment.synced = Math.max(segment.synced, entry.synced);
    if (entry.type === TYPE_TOPIC) {
      const topic = textOf(entry.payload, 0, entry.payload.length);
      if (this.topics.has(topic) || this.#byId.has(entry.topic)) {
        throw damaged(name, position, `names topic \`${topic}\` twice`);
      }
      this.#addTopic(entry.topic, topic, 0);
      return;
    }
    if (entry.type !== TYPE_RECORD) return;
    const topic = this.#byId.get(entry.topic);
    if (topic === undefined || topic.end !== entry.offset) {
      throw damaged(name, position, 'has a record out of order');
    }
    topic.addPlace(placeOf(segment.number, position));
  }

  /** Only behind the last segment may something be broken, and only what was never durable. */
  async #cutTail(): Promise<void> {
    const segment = this.segments.at(-1);
    if (segment === undefined || segment.length === this.#lastSize) return;
    const name = path.join(this.#directory, segmentName(segment.number));
    const file = await this.#disk.open(name, 'read');
    try {
      if (await wasSyncedBeyond(file, segment.nonce, segment.length, this.#lastSize)) {
        throw damaged(name, segment.length, 'is damaged');
      }
    } finally {
      await file.close();
    }
    const bytes = this.#lastSize - segment.length;
    this.repairs.push({ file: name, byteOffset: segment.length, bytes });
  }

  #addTopic(id: number, name: string, next: number): void {
    const topic = new LogTopic(id, name, next);
    this.topics.set(name, topic);
    this.#byId.set(id, topic);
  }

  #topicEnds(): SegmentTopic[] {
    return [...this.topics.values()].map(({ id, name, end }) => ({ id, name, next: end }));
  }
}

function sameTopics(a: readonly SegmentTopic[], b: readonly SegmentTopic[]): boolean {
  const sorted = (topics: readonly SegmentTopic[]): string =>
    JSON.stringify(
      topics
        .map(({ id, name, next }) => [id, name, next])
        .sort((x, y) => (x[0] as number) - (y[0] as number)),
    );
  return sorted(a) === sorted(b);
}

function damaged(file: string, byteOffset: number, what: string): CaucusError {
  return new CaucusError('log_damaged', `\`${file}\` ${what} at byte ${byteOffset}`, {
    remedy:
      'check the disk, then restore the data directory from a copy, or move it away to start with an empty log',
    details: { file, byteOffset },
  });
}
