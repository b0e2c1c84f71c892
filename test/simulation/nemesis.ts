/**
 * Faults, one after another and at the same time, until it is told to end; then all is well again.
 */
import { encodeRecord } from '../../host/log/records.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { HistoryEvent } from '../support/history.ts';
import type { Random } from '../support/random.ts';
import { goodLink } from './fake-log.ts';
import type { Broker } from './fake-log.ts';
import type { Lane, Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';

export interface NemesisParts {
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  readonly nodes: readonly SimProcess[];
  readonly random: Random;
  readonly record: (event: HistoryEvent) => void;
  readonly losesRecords: boolean;
  /** Those that faults happen to. */
  readonly victims: readonly SimProcess[];
  /** Only what makes processes act late. */
  readonly isFocused: boolean;
}

/** Of clients' batches. */
const PUSH_TOPICS = ['source.app.1', 'source.net.1'];
const HOUR_MS = 3_600_000;

type Fault = (node: SimProcess) => string;

export class Nemesis {
  readonly #parts: NemesisParts;
  readonly #lane: Lane;
  /** What will be done when a fault is over, by its end. */
  readonly #ends = new Set<() => void>();
  #isOver = true;

  constructor(parts: NemesisParts) {
    this.#parts = parts;
    this.#lane = parts.scheduler.lane('nemesis');
  }

  start(): void {
    const { random, losesRecords, isFocused } = this.#parts;
    this.#isOver = false;
    const paceMs = random.pick([50, 300, 1_500]);
    const kinds = this.#faults();
    // Few kinds at a time find more than all of them at once.
    const chosen = isFocused ? this.#delays() : kinds.filter(() => random.chance(0.4));
    if (chosen.length > 0) this.#next(chosen, paceMs);
    if (losesRecords) this.#lane.after(200 + random.next() * 1_500, () => this.#loseRecords());
  }

  /** Everything is mended; processes that are down start. */
  end(): void {
    const { nodes, broker } = this.#parts;
    this.#isOver = true;
    for (const end of this.#ends) end();
    this.#ends.clear();
    broker.clockOffsetMs = 0;
    for (const node of nodes) {
      Object.assign(node.link, goodLink());
      node.storeLink.isCut = false;
      node.storeLink.lossChance = 0;
      node.resume();
      void node.start();
    }
  }

  #next(kinds: readonly Fault[], paceMs: number): void {
    const { random, victims } = this.#parts;
    this.#lane.after(random.next() * 2 * paceMs, () => {
      if (this.#isOver) return;
      const what = random.pick(kinds)(random.pick(victims));
      this.#note(what);
      this.#next(kinds, paceMs);
    });
  }

  /** Begins something that ends after a while, or with the faults. */
  #for(maxMs: number, end: () => void): void {
    const ended = (): void => {
      if (this.#ends.delete(ended)) end();
    };
    this.#ends.add(ended);
    this.#lane.after(this.#parts.random.next() * maxMs, ended);
  }

  #delays(): Fault[] {
    const { random } = this.#parts;
    return [
      (node) => {
        node.pause();
        this.#for(3_000, () => node.resume());
        return `${node.id} is paused`;
      },
      (node) => {
        node.link.sendDelayMs = random.pick([300, 4_000]);
        this.#for(3_000, () => (node.link.sendDelayMs = 0));
        return `what ${node.id} sends to the log takes ${node.link.sendDelayMs} ms`;
      },
    ];
  }

  #faults(): Fault[] {
    const { random, broker } = this.#parts;
    return [
      ...this.#delays(),
      (node) => this.#crash(node, false),
      (node) => this.#crash(node, true),
      (node) => this.#stop(node),
      (node) => {
        node.link.isCut = true;
        this.#for(4_000, () => (node.link.isCut = false));
        return `${node.id} is cut off from the log`;
      },
      (node) => {
        node.link.lossChance = random.pick([0.05, 0.3]);
        this.#for(5_000, () => (node.link.lossChance = 0));
        return `the log's link of ${node.id} loses ${node.link.lossChance}`;
      },
      (node) => {
        node.link.chunkMax = 1;
        node.link.readDelayMs = random.pick([5, 50]);
        this.#for(5_000, () => Object.assign(node.link, { chunkMax: 50, readDelayMs: 0 }));
        return `${node.id} reads slowly`;
      },
      (node) => {
        node.storeLink.isCut = true;
        this.#for(4_000, () => (node.storeLink.isCut = false));
        return `${node.id} is cut off from the store`;
      },
      (node) => {
        node.storeLink.lossChance = 0.3;
        this.#for(5_000, () => (node.storeLink.lossChance = 0));
        return `the store's link of ${node.id} loses answers`;
      },
      (node) => {
        node.clockOffsetMs = (random.next() - 0.5) * 2 * HOUR_MS;
        return `the clock of ${node.id} jumps`;
      },
      () => {
        broker.clockOffsetMs = (random.next() - 0.5) * 20_000;
        return 'the clock of the log jumps';
      },
    ];
  }

  #crash(node: SimProcess, withMachine: boolean): string {
    if (!node.isUp) return `${node.id} is down already`;
    void node.crash(withMachine);
    this.#restartLater(node);
    return `${node.id} crashes${withMachine ? ' with its machine' : ''}`;
  }

  #stop(node: SimProcess): string {
    if (!node.isUp) return `${node.id} is not running`;
    void node.stop();
    this.#restartLater(node);
    return `${node.id} is stopped`;
  }

  #restartLater(node: SimProcess): void {
    this.#for(3_000, () => {
      void node.start();
    });
  }

  /** Mostly while a process has not read what is lost, and then finds something else there. */
  #loseRecords(): void {
    const { random, nodes } = this.#parts;
    const late = random.chance(0.8) ? random.pick(nodes) : undefined;
    if (late !== undefined) this.#note(`${late.id} is paused`);
    late?.pause();
    this.#lane.after(50 + random.next() * 600, () => {
      this.#truncate();
      this.#lane.after(50 + random.next() * 1_000, () => late?.resume());
    });
  }

  #truncate(): void {
    const { random, broker } = this.#parts;
    const { scheduler, record } = this.#parts;
    const isTold = broker.tellsTruncation;
    // That cuts are others than they were is learnt from the log or from digests, not from cuts.
    const topics = [...broker.topics].filter(([name]) =>
      isTold ? name !== 'replicas' : PUSH_TOPICS.includes(name),
    );
    const [name, topic] = random.pick(topics);
    const { length } = topic.records;
    const end = Math.max(topic.start + 1, length - 1 - random.int(8));
    this.#note(`topic ${name} loses all from ${end} of ${length}`);
    const atMs = scheduler.nowMs - scheduler.startMs;
    record({ event: 'truncation', atMs, topic: name, end, length, isTold });
    broker.truncate(name, end);
    if (isTold) return;
    const others = Array.from({ length: length - end }, (_, index) => otherRecord(name, index));
    broker.append(name, others, `another leader ${name}`);
  }

  #note(what: string): void {
    const { scheduler, record } = this.#parts;
    record({ event: 'fault', atMs: Math.round(scheduler.nowMs - scheduler.startMs), what });
  }
}

/** What another leader had at the offsets that were lost. */
function otherRecord(topic: string, index: number): Uint8Array {
  const table = topic === 'source.app.1' ? 'left' : 'deny';
  const insert = encodeRows(1, [[`other ${index}`]]);
  return encodeRecord({
    kind: 'push',
    owner: 'another',
    batch: index + 1,
    part: 0,
    lastOfBatch: true,
    batchId: null,
    bodyDigest: null,
    snapshot: false,
    changes: [{ table, insert }],
  });
}
