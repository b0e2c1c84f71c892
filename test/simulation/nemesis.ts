/** Faults, one after another and at the same time, until it is told to end; then all is well again. */
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
}

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
    const { random, losesRecords } = this.#parts;
    this.#isOver = false;
    const paceMs = random.pick([50, 300, 1_500]);
    const kinds = this.#faults();
    // Few kinds at a time find more than all of them at once.
    const chosen = kinds.filter(() => random.chance(0.4));
    if (chosen.length > 0) this.#next(chosen, paceMs);
    if (losesRecords) this.#lane.after(200 + random.next() * 2_000, () => this.#truncate());
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
    const { random, nodes } = this.#parts;
    this.#lane.after(random.next() * 2 * paceMs, () => {
      if (this.#isOver) return;
      const what = random.pick(kinds)(random.pick(nodes));
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

  #faults(): Fault[] {
    const { random, broker } = this.#parts;
    return [
      (node) => this.#crash(node, false),
      (node) => this.#crash(node, true),
      (node) => this.#stop(node),
      (node) => {
        node.pause();
        this.#for(3_000, () => node.resume());
        return `${node.id} is paused`;
      },
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

  #truncate(): void {
    const { random, broker } = this.#parts;
    const topics = [...broker.topics].filter(([name]) => name !== 'replicas');
    const [name, topic] = random.pick(topics);
    const end = Math.max(topic.start + 1, topic.records.length - 1 - random.int(4));
    this.#note(`topic ${name} loses all from ${end} of ${topic.records.length}`);
    const { scheduler, record } = this.#parts;
    const atMs = scheduler.nowMs - scheduler.startMs;
    record({ event: 'truncation', atMs, topic: name, end, length: topic.records.length });
    broker.truncate(name, end);
  }

  #note(what: string): void {
    const { scheduler, record } = this.#parts;
    record({ event: 'fault', atMs: Math.round(scheduler.nowMs - scheduler.startMs), what });
  }
}
