/**
 * Virtual time and the order of everything. Each asynchronous step of the fakes is an event with a
 * delay that the seed draws; the earliest event runs next, and between two events all microtasks
 * end (a turn of the real event loop). So a run is a function of its seed.
 *
 * A lane is what fails together: the events of one process. Paused, its events are held; killed,
 * they are dropped, and what waited for them never goes on.
 */
import type { Random } from '../support/random.ts';

export interface Weather {
  /** Usual delay of a step, ms. */
  readonly latencyMs: number;
  /** How often a step takes long. */
  readonly tailChance: number;
  /** How long at most, ms. */
  readonly tailMs: number;
}

interface Event {
  readonly atMs: number;
  /** Decides between events of one moment. */
  readonly tie: number;
  readonly count: number;
  readonly lane: Lane;
  run: (() => void) | undefined;
}

export class Scheduler {
  /** Virtual milliseconds since the epoch. */
  nowMs: number;
  readonly startMs: number;
  readonly random: Random;
  weather: Weather;
  events = 0;
  readonly #heap: Event[] = [];
  readonly #real = new Set<Promise<unknown>>();
  #count = 0;

  constructor(random: Random, weather: Weather, startMs = 1_700_000_000_000) {
    this.random = random;
    this.weather = weather;
    this.nowMs = startMs;
    this.startMs = startMs;
  }

  lane(name: string): Lane {
    return new Lane(this, name);
  }

  latency(): number {
    const { latencyMs, tailChance, tailMs } = this.weather;
    const usual = this.random.next() * 2 * latencyMs;
    return this.random.chance(tailChance) ? usual + this.random.next() * tailMs : usual;
  }

  push(lane: Lane, delayMs: number, run: () => void): () => void {
    const event: Event = {
      atMs: this.nowMs + Math.max(0, delayMs),
      tie: this.random.next(),
      count: this.#count++,
      lane,
      run,
    };
    this.#add(event);
    return () => {
      event.run = undefined;
    };
  }

  /**
   * Runs events until `isDone` or, with false, until nothing is left, `eventsMax` have run, or the
   * virtual time has passed.
   */
  async run(isDone: () => boolean, eventsMax: number, untilMs = Infinity): Promise<boolean> {
    // What was started before the first event runs up to where it waits.
    await this.#settle();
    for (let ran = 0; !isDone();) {
      const next = this.#heap[0];
      if (next === undefined || ran >= eventsMax || next.atMs > untilMs) return false;
      const event = this.#take() as Event;
      if (event.run === undefined || event.lane.isDead) continue;
      this.nowMs = Math.max(this.nowMs, event.atMs);
      if (event.lane.isPaused) {
        event.lane.hold(event.run);
        continue;
      }
      ran++;
      this.events++;
      event.run();
      await this.#settle();
    }
    return true;
  }

  /** What really takes time, such as making an engine: no event runs meanwhile. */
  real<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => this.#real.delete(done));
    this.#real.add(done);
    return done;
  }

  async #settle(): Promise<void> {
    await turn();
    while (this.#real.size > 0) {
      await Promise.allSettled(this.#real);
      await turn();
    }
  }

  #add(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Event)) child++;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

export class Lane {
  readonly name: string;
  isDead = false;
  isPaused = false;
  readonly #scheduler: Scheduler;
  #held: (() => void)[] = [];

  constructor(scheduler: Scheduler, name: string) {
    this.#scheduler = scheduler;
    this.name = name;
  }

  /** Runs `run` in an event of this lane; returns the canceller. */
  after(delayMs: number, run: () => void): () => void {
    return this.#scheduler.push(this, delayMs, run);
  }

  /** Resolves in an event of this lane. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Resolves in an event of this lane, as soon as the seed wants. */
  step(): Promise<void> {
    return this.sleep(this.#scheduler.latency());
  }

  hold(run: () => void): void {
    this.#held.push(run);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.after(0, run);
  }

  kill(): void {
    this.isDead = true;
    this.#held = [];
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.tie === b.tie ? a.count < b.count : a.tie < b.tie;
}

/** Microtasks run to their end before the callback. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
