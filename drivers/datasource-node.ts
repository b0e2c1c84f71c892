/**
 * The datasource node: of as many as are started, the one that holds the lease runs the drivers and
 * writes their batches to the source topics; the others stand by, with everything constructed and
 * nothing read, and look whether the lease has become free.
 *
 * It has no replica. A batch is published when it is durable and a cut names it; what the replicas
 * make of it shows in `system:sources`. Safety does not rest on the lease: each term writes with
 * generations of its own, and the replicas ignore those that were replaced (see
 * host/replica/fenced-source.ts).
 */
import { CaucusError } from '../host/errors.ts';
import type { Log } from '../host/log/log.ts';
import type { Leases } from '../host/store/leases.ts';
import type { Store } from '../host/store/store.ts';
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import { DatasourceTerm } from './datasource-term.ts';
import type { Driver } from './driver.ts';
import { problemsOf } from './driver.ts';
import { HeldLease } from './lease.ts';
import { LEASE_LOOKS, LEASE_TTL_MS } from './limits.ts';
import type { SourceHealth } from './runner.ts';

export const DATASOURCE_LEASE = 'datasources';

export interface DatasourceNodeOptions {
  readonly log: Log;
  readonly store: Store;
  readonly leases: Leases;
  /** Started again in each term. None of mode `push`: such a source needs no node. */
  readonly drivers: readonly Driver[];
  /** 16 random bytes or more, as text. */
  readonly randomId: () => string;
  readonly nodeId: string;
  /** How long the lease holds without being renewed. */
  readonly ttlMs?: number;
  readonly clock?: Clock;
  /** About how large the records of a batch are made. */
  readonly recordBytes?: number;
  readonly onRole?: (role: DatasourceRole, health: DatasourceHealth) => void;
  readonly onHealth?: (health: SourceHealth) => void;
  /** What goes wrong besides a source: the log or the database is away, a lease was lost. */
  readonly onProblem?: (error: Error) => void;
}

/** `standby`: another node holds the lease, or the database cannot be asked. */
export type DatasourceRole = 'starting' | 'standby' | 'active' | 'stopped';

export interface DatasourceHealth {
  readonly nodeId: string;
  readonly role: DatasourceRole;
  /** Node id of the holder of the lease, as far as is known. */
  readonly holder: string | null;
  /** Of its lease, while it holds it. */
  readonly generation: number | null;
  /** While it is active. */
  readonly sources: readonly SourceHealth[];
  /** What kept it from doing its work last; null: nothing does. */
  readonly problem: string | null;
}

export interface DatasourceNode {
  start(): void;
  /** Resolves when nothing is published any more and the lease was given back. */
  stop(): Promise<void>;
  health(): DatasourceHealth;
}

/** Throws `invalid_request` for drivers that cannot run side by side. */
export function createDatasourceNode(options: DatasourceNodeOptions): DatasourceNode {
  for (const driver of options.drivers) {
    if (driver.mode !== 'push') continue;
    throw new CaucusError('invalid_request', `source \`${driver.source}\` is a push source`, {
      remedy: 'leave it out: any replica takes its batches',
    });
  }
  return new LeasedNode(options);
}

class LeasedNode implements DatasourceNode {
  readonly #options: DatasourceNodeOptions;
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #role: DatasourceRole = 'starting';
  #holder: string | null = null;
  #term: DatasourceTerm | undefined;
  #problem: string | null = null;

  constructor(options: DatasourceNodeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#ttlMs = options.ttlMs ?? LEASE_TTL_MS;
    // Says at once what is wrong with the drivers.
    DatasourceTerm.check(options);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    this.#enter('stopped');
  }

  health(): DatasourceHealth {
    return {
      nodeId: this.#options.nodeId,
      role: this.#role,
      holder: this.#holder,
      generation: this.#term?.generation ?? null,
      sources: this.#term?.health() ?? [],
      problem: this.#problem,
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const lease = await this.#take();
        this.#problem = null;
        if (lease !== undefined) await this.#hold(lease);
      } catch (error) {
        this.#problemOnSeen(error);
      }
      if (!signal.aborted) this.#enter('standby');
      await this.#clock.wait(this.#ttlMs / LEASE_LOOKS, signal);
    }
  }

  /** Under a new owner each time: a term never goes on with the generation of an earlier one. */
  async #take(): Promise<HeldLease | undefined> {
    const { leases, nodeId, randomId } = this.#options;
    const taken = await HeldLease.take({
      leases,
      name: DATASOURCE_LEASE,
      owner: randomId(),
      holder: nodeId,
      ttlMs: this.#ttlMs,
      clock: this.#clock,
      onProblem: (error) => this.#problemOnSeen(error),
    });
    this.#holder = taken instanceof HeldLease ? nodeId : taken;
    return taken instanceof HeldLease ? taken : undefined;
  }

  /** Until the lease is lost, another generation takes over, or the node stops. */
  async #hold(lease: HeldLease): Promise<void> {
    const { signal } = this.#abort;
    const term = new DatasourceTerm(this.#options, this.#clock, lease);
    this.#term = term;
    const stop = (): void => term.end();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      this.#enter('active');
      await term.run();
    } finally {
      signal.removeEventListener('abort', stop);
      this.#term = undefined;
      this.#holder = null;
    }
  }

  #problemOnSeen(error: unknown): void {
    this.#problem = problemsOf(error)[0]?.message ?? String(error);
    this.#options.onProblem?.(error instanceof Error ? error : new Error(String(error)));
  }

  #enter(role: DatasourceRole): void {
    if (role === this.#role) return;
    this.#role = role;
    this.#options.onRole?.(role, this.health());
  }
}
