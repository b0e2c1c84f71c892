/**
 * What is done to a cluster of real processes: one fault at a time from each of its workers, all of
 * it drawn from a seed. The history tells what was done when.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Controls } from '../../deploy/loopback/processes.ts';
import type { FaultMode, FaultProxy } from '../support/fault-proxy.ts';
import type { Random } from '../support/random.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';

/** A broker or a server of the database. */
export interface Component {
  readonly name: string;
  readonly controls: Controls;
  /** At most one of a kind is down at a time. */
  readonly kind: 'broker' | 'database';
}

export interface NemesisOptions {
  readonly cluster: Cluster;
  readonly components: readonly Component[];
  /** One for each worker. */
  readonly randoms: readonly Random[];
  /** Between two faults of a worker, at most. */
  readonly pauseMs: number;
}

const FAULT_MS_MIN = 200;
const FAULT_MS_MAX = 6_000;
/** A process that ended by itself is started again after so long. */
const RESTART_MS = 500;

export class Nemesis {
  readonly counts = new Map<string, number>();
  readonly #options: NemesisOptions;
  readonly #abort = new AbortController();
  readonly #busy = new Set<string>();
  #workers: Promise<void>[] = [];
  #watch: Promise<void> | undefined;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  start(): void {
    this.#workers = this.#options.randoms.map((random) => this.#work(random));
    this.#watch = this.#restartEnded();
  }

  /** Each fault is over; what ended by itself last may still be down. */
  async end(): Promise<void> {
    this.#abort.abort();
    await Promise.all([...this.#workers, this.#watch]);
  }

  async #work(random: Random): Promise<void> {
    while (!this.#isOver) {
      await this.#sleep(random.next() * this.#options.pauseMs);
      if (this.#isOver) return;
      const lengthMs = FAULT_MS_MIN + random.next() ** 2 * (FAULT_MS_MAX - FAULT_MS_MIN);
      const fault = this.#choose(random);
      if (fault === undefined) continue;
      this.#busy.add(fault.target);
      try {
        this.#count(fault.what);
        this.#options.cluster.fault(`${fault.what} ${fault.target}`);
        await fault.begin();
        await this.#sleep(lengthMs);
        await fault.end();
        this.#options.cluster.fault(`over: ${fault.what} ${fault.target}`);
      } finally {
        this.#busy.delete(fault.target);
      }
    }
  }

  #choose(random: Random): Fault | undefined {
    const { cluster, components } = this.#options;
    const node = random.pick(cluster.nodes);
    const kind = random.next();
    if (kind < 0.3) return this.#free(node.id, () => nodeFault(node, random));
    if (kind < 0.8) {
      const isKafka = random.chance(0.6);
      const target = `${node.id}-${isKafka ? 'kafka' : 'database'}`;
      return this.#free(target, () => linkFault(node, isKafka, target, random));
    }
    const component = random.pick(components);
    return this.#free(component.kind, () => componentFault(component, random));
  }

  #free(target: string, make: () => Fault): Fault | undefined {
    return this.#busy.has(target) ? undefined : make();
  }

  /** As the supervisor of a real machine does. */
  async #restartEnded(): Promise<void> {
    const { nodes } = this.#options.cluster;
    while (!this.#isOver) {
      for (const node of nodes) {
        if (node.state === 'stopped' && !this.#busy.has(node.id)) await relaunch(node);
      }
      await this.#sleep(RESTART_MS);
    }
  }

  get #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  async #sleep(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }
}

interface Fault {
  readonly what: string;
  readonly target: string;
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
}

function nodeFault(node: ClusterNode, random: Random): Fault {
  const target = node.id;
  if (random.chance(0.5)) {
    return { what: 'kill', target, begin: () => node.kill(), end: () => relaunch(node) };
  }
  return { what: 'pause', target, begin: () => node.pause(), end: () => node.resume() };
}

/** What it says if it does not come up is in the history. */
export async function relaunch(node: ClusterNode): Promise<void> {
  await node.launch().catch(() => undefined);
}

function linkFault(node: ClusterNode, isKafka: boolean, target: string, random: Random): Fault {
  const proxies = isKafka ? (node.links?.kafka ?? []) : databaseOf(node);
  // All brokers, or one of them.
  const chosen = random.chance(0.5) ? proxies : [random.pick(proxies)];
  const mode = linkMode(random);
  const set = (to: FaultMode): void => {
    for (const proxy of chosen) proxy.set(to);
  };
  return {
    what: `${mode.kind} ${isKafka ? 'kafka' : 'database'}`,
    target,
    begin: () => set(mode),
    end: () => set({ kind: 'pass' }),
  };
}

function databaseOf({ links }: ClusterNode): readonly FaultProxy[] {
  return links === undefined ? [] : [links.database];
}

function linkMode(random: Random): FaultMode {
  const modes: readonly FaultMode[] = [
    { kind: 'cut' },
    { kind: 'cut', afterBytes: random.int(20_000) },
    { kind: 'half-open' },
    { kind: 'one-way', lost: 'to-client' },
    { kind: 'one-way', lost: 'to-server' },
    { kind: 'delay', delayMs: 20 + random.int(400), jitterMs: 100 },
    { kind: 'slow', bytesPerSecond: 2_000 + random.int(30_000) },
    { kind: 'hold' },
  ];
  return random.pick(modes);
}

function componentFault({ name, controls, kind }: Component, random: Random): Fault {
  const isKilled = random.chance(0.6);
  return {
    what: `${isKilled ? 'kill' : 'pause'} ${kind} ${name}`,
    target: kind,
    begin: () => (isKilled ? controls.kill() : controls.pause()),
    end: () => (isKilled ? controls.start() : controls.resume()),
  };
}
