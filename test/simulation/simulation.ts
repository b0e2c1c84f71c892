/**
 * One simulated run: replicas over one log and one policy database, clients, faults; then the
 * faults end, everything comes to rest, and the history is checked. All of it follows from the
 * seed.
 */
import type { Engine } from '../../host/engine/engine.ts';
import type { Log } from '../../host/log/log.ts';
import type { Leases } from '../../host/store/leases.ts';
import type { HistoryEvent, RunEvent } from '../support/history.ts';
import { randomOf } from '../support/prng.ts';
import type { Random } from '../support/random.ts';
import { Client } from './clients.ts';
import type { ClientSwitches } from './clients.ts';
import type { EngineName } from './engines.ts';
import { Broker } from './fake-log.ts';
import { StoreState } from './fake-store.ts';
import { Nemesis } from './nemesis.ts';
import { Scheduler } from './scheduler.ts';
import type { Weather } from './scheduler.ts';
import { Outside, SimDatasource } from './sim-datasource.ts';
import { SimNode } from './sim-node.ts';
import type { NodeParts } from './sim-node.ts';
import { rowKey } from '../oracle/row-set.ts';
import { DRIVEN_SOURCE } from './world.ts';

export interface Switches extends ClientSwitches {
  /** What a replica sees in place of its log. */
  readonly wrapLog: ((log: Log, broker: Broker) => Log) | undefined;
  /** What a datasource node sees in place of the leases. */
  readonly wrapLeases: ((leases: Leases) => Leases) | undefined;
  /** What the fresh replica at the end has in place of its engine. */
  readonly wrapFreshEngine: ((engine: Engine) => Engine) | undefined;
}

export const ALL_ON: Switches = {
  tearsBatches: false,
  ignoresTokens: false,
  wrapLog: undefined,
  wrapLeases: undefined,
  wrapFreshEngine: undefined,
};

export interface SimulationOptions {
  readonly seed: number;
  /** Operations of all clients together. */
  readonly steps: number;
  /** Of all replicas; without it the seed decides, and in some runs they differ. */
  readonly engineName?: EngineName;
  readonly switches?: Switches;
  /**
   * The log loses acknowledged records once. `untold`: whoever has read them does not learn it from
   * the log, nor by comparing digests.
   */
  readonly losesRecords?: boolean | 'untold';
  /** In some runs records of others come between those of one append; not if it is `false`. */
  readonly splitsAppends?: boolean;
  /** Faults happen to datasource nodes only, and there are some. */
  readonly hitsDatasources?: boolean;
}

export interface Simulation {
  readonly history: readonly HistoryEvent[];
  readonly events: number;
  readonly virtualMs: number;
}

const EVENTS_MAX = 400_000;
/** After the faults. */
const REST_MS = 120_000;
const PREPARE_MS = 60_000;
const NO_REVISION = Number.MAX_SAFE_INTEGER;
/** After so many of its terms a lease is where it stays. */
const LEASE_TERMS = 3;

const WEATHERS: readonly Weather[] = [
  { latencyMs: 0.3, tailChance: 0, tailMs: 0 },
  { latencyMs: 1, tailChance: 0.02, tailMs: 30 },
  { latencyMs: 3, tailChance: 0.05, tailMs: 100 },
  { latencyMs: 1, tailChance: 0.01, tailMs: 600 },
];

interface Parameters {
  readonly nodes: number;
  readonly clients: number;
  readonly thinkMs: number;
  readonly recordBytes: number;
  readonly checkpointRevisions: number;
  readonly digestRevisions: number;
  readonly weather: Weather;
  readonly isIdempotent: boolean;
  readonly datasources: number;
  readonly ttlMs: number;
  readonly pollMs: number;
  /** Of the replicas, in turn; the last one of the fresh replica at the end. */
  readonly engines: readonly EngineName[];
  /** Records of one append that others cannot come between, where the log is idempotent. */
  readonly batchMax: number;
}

const ONE_BUILD: readonly EngineName[] = ['wasm'];
const TWO_BUILDS: readonly EngineName[] = ['wasm', 'debug'];

function parametersOf(random: Random): Parameters {
  return {
    nodes: random.chance(0.1) ? 2 : 3,
    clients: 2 + random.int(3),
    thinkMs: random.pick([5, 40, 150]),
    recordBytes: random.pick([40, 120, 100_000]),
    checkpointRevisions: random.pick([5, 20, 1000]),
    digestRevisions: random.pick([1, 7]),
    weather: random.pick(WEATHERS),
    isIdempotent: random.chance(0.7),
    datasources: random.pick([0, 2, 2]),
    ttlMs: random.pick([400, 2_000]),
    pollMs: random.pick([60, 300]),
    engines: random.pick([ONE_BUILD, ONE_BUILD, TWO_BUILDS]),
    batchMax: random.pick([1000, 1000, 2]),
  };
}

export async function simulate(options: SimulationOptions): Promise<Simulation> {
  const { seed } = options;
  const drawn = parametersOf(randomOf(seed, 0));
  const parameters = options.hitsDatasources === true ? { ...drawn, datasources: 2 } : drawn;
  const scheduler = new Scheduler(randomOf(seed, 1), parameters.weather);
  const history: HistoryEvent[] = [runEvent(options, parameters)];
  const record = (event: HistoryEvent): void => {
    history.push(event);
  };
  const run = new Run(options, parameters, scheduler, record);
  const isAtRest = await run.play();
  const virtualMs = scheduler.nowMs - scheduler.startMs;
  const note = isAtRest ? '' : run.unrest();
  record({ event: 'end', atMs: Math.round(virtualMs), isAtRest, note });
  await run.close();
  return { history, events: scheduler.events, virtualMs };
}

class Run {
  readonly #options: SimulationOptions;
  readonly #scheduler: Scheduler;
  readonly #broker: Broker;
  readonly #store: StoreState;
  readonly #nodes: SimNode[];
  readonly #makeFresh: () => SimNode;
  readonly #datasources: SimDatasource[];
  readonly #outside = new Outside();
  readonly #ttlMs: number;
  readonly #clients: Client[];
  readonly #nemesis: Nemesis;
  readonly #record: (event: HistoryEvent) => void;
  /** Clients that have not ended. */
  #running = 0;
  /** What the run does, for those that hang in it. */
  #stage = 'preparing';
  /** The world outside holds still. */
  #isOver = false;

  constructor(
    options: SimulationOptions,
    parameters: Parameters,
    scheduler: Scheduler,
    record: (event: HistoryEvent) => void,
  ) {
    const { seed, switches = ALL_ON } = options;
    this.#options = options;
    const nodeParts = (id: string, index: number, stream: number): NodeParts => ({
      id,
      scheduler,
      broker: this.#broker,
      store: this.#store,
      random: randomOf(seed, stream),
      engineName: options.engineName ?? engineOf(parameters, index),
      nodeCount: parameters.nodes,
      digestRevisions: options.losesRecords === 'untold' ? NO_REVISION : parameters.digestRevisions,
      checkpointRevisions: parameters.checkpointRevisions,
      recordBytes: parameters.recordBytes,
      stateRevisions: options.hitsDatasources === true ? 1 : 10,
      isFresh: false,
      record,
      peer: (peerId) => this.#nodes.find((node) => node.id === peerId) as SimNode,
      wrapLog: switches.wrapLog,
      wrapEngine: undefined,
    });
    // Of the other build, where there are two.
    const wrapEngine = switches.wrapFreshEngine;
    this.#makeFresh = () =>
      new SimNode({ ...nodeParts('fresh', 1, 50), isFresh: true, wrapEngine });
    this.#scheduler = scheduler;
    this.#record = record;
    this.#ttlMs = parameters.ttlMs;
    this.#broker = new Broker(scheduler);
    this.#broker.isIdempotent = parameters.isIdempotent;
    if (options.splitsAppends !== false && parameters.isIdempotent) {
      this.#broker.batchMax = parameters.batchMax;
    }
    this.#broker.tellsTruncation = options.losesRecords !== 'untold';
    const store = new StoreState(() => scheduler.nowMs);
    this.#store = store;
    this.#nodes = Array.from(
      { length: parameters.nodes },
      (_, index) => new SimNode(nodeParts(`pe${index}`, index, 10 + index)),
    );
    this.#datasources = Array.from(
      { length: parameters.datasources },
      (_, index) =>
        new SimDatasource({
          id: `ds${index}`,
          scheduler,
          broker: this.#broker,
          store,
          random: randomOf(seed, 30 + index),
          record,
          outside: this.#outside,
          ttlMs: parameters.ttlMs,
          pollMs: parameters.pollMs,
          recordBytes: parameters.recordBytes,
          wrapLeases: switches.wrapLeases,
        }),
    );
    this.#clients = Array.from(
      { length: parameters.clients },
      (_, index) =>
        new Client(`c${index}`, {
          scheduler,
          nodes: this.#nodes,
          random: randomOf(seed, 20 + index),
          record,
          switches,
          thinkMs: parameters.thinkMs,
        }),
    );
    this.#nemesis = new Nemesis({
      scheduler,
      broker: this.#broker,
      nodes: [...this.#nodes, ...this.#datasources],
      isFocused: options.hitsDatasources === true,
      victims:
        options.hitsDatasources === true
          ? this.#datasources
          : [...this.#nodes, ...this.#datasources],
      random: randomOf(seed, 2),
      record,
      losesRecords: (options.losesRecords ?? false) !== false,
    });
  }

  /** True when everything came to rest in the end. */
  async play(): Promise<boolean> {
    for (const node of this.#nodes) void node.start();
    if (!(await this.#prepare())) return false;
    this.#nemesis.start();
    this.#stage = 'running';
    for (const datasource of this.#datasources) void datasource.start();
    this.#changeOutside();
    const { steps } = this.#options;
    const share = Math.ceil(steps / this.#clients.length);
    let running = this.#clients.length;
    for (const client of this.#clients) {
      void client.run(share).then(() => running--);
    }
    await this.#scheduler.run(() => running === 0, EVENTS_MAX);
    this.#nemesis.end();
    this.#isOver = true;
    this.#stage = 'resting';
    const isAtRest =
      (await this.#rest()) && (await this.#endDatasources()) && (await this.#replay());
    this.#recordEnd();
    this.#running = running;
    return isAtRest && running === 0;
  }

  /** In words, for a run that did not come to rest. */
  unrest(): string {
    const nodes = this.#nodes.map((node) => {
      return `${node.id} ${node.phase} ${node.revision}`;
    });
    nodes.push(...this.#datasources.map((node) => `${node.id} ${node.state()}`));
    const log = `the log is at ${this.#newest()}`;
    return `${this.#stage}: ${nodes.join(', ')}; ${log}; ${this.#running} clients run`;
  }

  async close(): Promise<void> {
    for (const node of [...this.#nodes, ...this.#datasources]) await node.crash(false);
  }

  /** A replica that comes new and reads the log, where all of that is there, becomes like them. */
  async #replay(): Promise<boolean> {
    const { losesRecords = false } = this.#options;
    if (losesRecords !== false) return true;
    this.#stage = 'replaying';
    const fresh = this.#makeFresh();
    this.#nodes.push(fresh);
    void fresh.start();
    return await this.#rest();
  }

  #changeOutside(): void {
    const { seed } = this.#options;
    const random = randomOf(seed, 3);
    const lane = this.#scheduler.lane('outside');
    const change = (): void => {
      if (this.#isOver) return;
      this.#outside.change(random);
      lane.after(random.next() * 400, change);
    };
    change();
  }

  /** They publish what is new outside, then stop, and the replicas follow to the end. */
  async #endDatasources(): Promise<boolean> {
    if (this.#datasources.length === 0) return true;
    this.#stage = 'waiting for drivers';
    const freshMs = this.#scheduler.nowMs + LEASE_TERMS * this.#ttlMs;
    const isFresh = (): boolean =>
      this.#datasources.some((datasource) => datasource.freshAtMs > freshMs);
    const untilMs = freshMs + REST_MS;
    const { losesRecords = false } = this.#options;
    // What they read may be lost for good: then they write no more.
    if (!(await this.#scheduler.run(isFresh, EVENTS_MAX, untilMs)) && losesRecords === false) {
      return false;
    }
    const rows = [...this.#outside.rows].map(([key, count]) => rowKey([key, count])).sort();
    this.#record({ event: 'outside', source: DRIVEN_SOURCE, table: 'item', rows });
    this.#stage = 'stopping drivers';
    let stopped = 0;
    for (const datasource of this.#datasources) void datasource.stop().then(() => stopped++);
    const areStopped = (): boolean => stopped === this.#datasources.length;
    if (!(await this.#scheduler.run(areStopped, EVENTS_MAX, untilMs))) return false;
    return await this.#rest();
  }

  async #prepare(): Promise<boolean> {
    const [client] = this.#clients;
    let isPrepared = false;
    void client?.prepare().then(() => {
      isPrepared = true;
    });
    const untilMs = this.#scheduler.nowMs + PREPARE_MS;
    const isDone = (): boolean => isPrepared && this.#nodes.every((node) => node.isLive);
    return await this.#scheduler.run(isDone, EVENTS_MAX, untilMs);
  }

  async #rest(): Promise<boolean> {
    const untilMs = this.#scheduler.nowMs + REST_MS;
    const { losesRecords = false } = this.#options;
    const mayFail = losesRecords !== false;
    // Pending policy changes get into the log, too, in their time.
    const isDone = (): boolean =>
      this.#nodes.every(
        (node) => (node.hasFailed && mayFail) || (node.isLive && node.revision === this.#newest()),
      ) &&
      (mayFail || this.#store.pending().length === 0);
    if (!(await this.#scheduler.run(isDone, EVENTS_MAX, untilMs))) return false;
    // What one has not cut yet gets a cut; then nothing moves any more.
    await this.#scheduler.run(() => false, EVENTS_MAX, this.#scheduler.nowMs + 1_000);
    return await this.#scheduler.run(isDone, EVENTS_MAX, untilMs);
  }

  #newest(): number {
    return (this.#broker.topics.get('cuts')?.records.length ?? 0) - 1;
  }

  #recordEnd(): void {
    for (const node of this.#nodes) node.recordState();
    for (const [topic, { records }] of this.#broker.topics) {
      for (const { offset, appendTimeMs, bytes } of records) {
        const text = Buffer.from(bytes).toString('base64');
        this.#record({ event: 'record', topic, offset, appendTimeMs, bytes: text });
      }
    }
  }
}

function engineOf({ engines }: Parameters, index: number): EngineName {
  return engines[index % engines.length] ?? 'wasm';
}

function runEvent(options: SimulationOptions, parameters: Parameters): RunEvent {
  const { seed, steps } = options;
  const nodes = Array.from({ length: parameters.nodes }, (_, index) => `pe${index}`);
  const note = JSON.stringify({ steps, ...parameters });
  return { event: 'run', seed, nodes, note };
}
