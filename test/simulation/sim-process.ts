/**
 * One simulated machine: its disk, its clock, its links, and a process that may crash, be paused
 * and be started again. What runs in the process is for those who extend it.
 */
import { FaultyDisk } from '../support/faulty-disk.ts';
import type { HistoryEvent, NodeEvent } from '../support/history.ts';
import type { Random } from '../support/random.ts';
import { FakeLog, goodLink } from './fake-log.ts';
import type { Broker, Link } from './fake-log.ts';
import { FakeStore } from './fake-store.ts';
import type { StoreLink, StoreState } from './fake-store.ts';
import type { Lane, Scheduler } from './scheduler.ts';

export interface ProcessParts {
  readonly id: string;
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  readonly store: StoreState;
  readonly random: Random;
  readonly record: (event: HistoryEvent) => void;
}

/** One life of a process: what it is given when it starts. */
export interface Life {
  readonly run: number;
  readonly lane: Lane;
  readonly log: FakeLog;
  readonly store: FakeStore;
  readonly now: () => number;
  readonly randomId: () => string;
}

export abstract class SimProcess {
  readonly id: string;
  readonly disk: FaultyDisk;
  readonly link: Link = goodLink();
  readonly storeLink: StoreLink = { isCut: false, lossChance: 0 };
  /** Of its clock against virtual time. */
  clockOffsetMs = 0;
  /** It gave up and is not started again. */
  hasFailed = false;
  /** Counts its starts. */
  run = 0;
  protected lane: Lane;
  readonly #parts: ProcessParts;
  #isUp = false;
  #isStopping = false;
  /** Asked for while the process was still ending. */
  #isAskedToStart = false;

  constructor(parts: ProcessParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.lane = parts.scheduler.lane(parts.id);
    this.disk = new FaultyDisk({ turn: () => this.lane.step() });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves when it has started or was found to be up. */
  async start(): Promise<void> {
    this.#isAskedToStart = true;
    if (this.#isUp || this.hasFailed) return;
    this.#isAskedToStart = false;
    this.#isUp = true;
    const { scheduler, broker, store, random } = this.#parts;
    const run = ++this.run;
    const lane = scheduler.lane(`${this.id}#${run}`);
    this.lane = lane;
    const { network } = broker;
    const { link, storeLink } = this;
    let ids = 0;
    const life: Life = {
      run,
      lane,
      log: new FakeLog({ broker, lane, link, random, writer: `${this.id}#${run}` }),
      store: new FakeStore({ state: store, scheduler, network, lane, link: storeLink, random }),
      now: () => Math.floor(scheduler.nowMs + this.clockOffsetMs),
      randomId: () => `${this.id}#${run}-${ids++}-${random.int(1_000_000)}`,
    };
    this.note('started');
    await this.begin(life);
  }

  /** The process is gone at once; with the machine goes what was not synced. */
  async crash(withMachine: boolean): Promise<void> {
    if (!this.#isUp) return;
    this.note('crashed');
    await this.#gone();
    if (withMachine) this.disk.crash(this.#parts.random);
    else this.disk.kill();
  }

  /** Ends in good order. */
  async stop(): Promise<void> {
    if (!this.#isUp || this.#isStopping) return;
    const { run } = this;
    this.#isStopping = true;
    this.#isAskedToStart = false;
    const hasEnded = await this.finish();
    // It may have crashed meanwhile.
    if (run !== this.run || !this.#isUp) return;
    this.#isStopping = false;
    if (!hasEnded) return;
    this.note('stopped');
    await this.#gone();
    this.disk.kill();
    if (this.#isAskedToStart) await this.start();
  }

  pause(): void {
    if (!this.#isUp || this.lane.isPaused) return;
    this.note('paused');
    this.lane.pause();
  }

  resume(): void {
    if (!this.lane.isPaused) return;
    this.note('resumed');
    this.lane.resume();
  }

  /** Runs until it waits for nothing but events. */
  protected abstract begin(life: Life): Promise<void>;
  /** Ends what runs; false where it cannot yet. */
  protected abstract finish(): Promise<boolean>;
  /** No event of this life comes any more. */
  protected abstract end(): Promise<void>;

  /** It could not go on; a supervisor starts it again, unless that is of no use. */
  protected async exit(restartMs: number): Promise<void> {
    await this.#gone();
    this.disk.kill();
    if (this.hasFailed) return;
    this.lane = this.#parts.scheduler.lane(this.id);
    this.lane.after(restartMs, () => void this.start());
  }

  protected note(what: NodeEvent['what'], more: { code?: string; message?: string } = {}): void {
    const { record } = this.#parts;
    record({ event: 'node', atMs: this.atMs(), node: this.id, run: this.run, what, ...more });
  }

  protected atMs(): number {
    const { scheduler } = this.#parts;
    return Math.round((scheduler.nowMs - scheduler.startMs) * 1000) / 1000;
  }

  async #gone(): Promise<void> {
    this.lane.kill();
    this.#isUp = false;
    this.#isStopping = false;
    await this.end();
  }
}
