/**
 * One term of a datasource node: from taking the lease to losing it. Sources are registered, each
 * gets a writer, the drivers run, and what they report goes into the log as heartbeats.
 */
import { CaucusError } from '../host/errors.ts';
import { CutProposer } from '../host/sources/cut-proposer.ts';
import { DeclaredTables } from '../host/sources/declared-tables.ts';
import { awaitLogId, tokenAt } from '../host/sources/log-identity.ts';
import { PolicyFollower } from '../host/sources/policy-follower.ts';
import { SourceWriter } from '../host/sources/source-writer.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { DatasourceNodeOptions } from './datasource-node.ts';
import type { DriverBatch, PublishedAt } from './driver.ts';
import { problemText } from './driver.ts';
import type { HeldLease } from './lease.ts';
import {
  DECLARATIONS_MS,
  OPENINGS_PER_LEASE,
  REFUSALS_FORGOTTEN_MS,
  SOURCE_HEARTBEAT_MS,
  STALE_REASON_UNITS_MAX,
} from './limits.ts';
import { DriverRunner } from './runner.ts';
import type { SourceHealth } from './runner.ts';

const REFUSALS: ReadonlySet<string> = new Set(['conflict', 'invalid_request']);

export class DatasourceTerm {
  readonly generation: number;
  readonly #options: DatasourceNodeOptions;
  readonly #clock: Clock;
  readonly #lease: HeldLease;
  readonly #abort = new AbortController();
  readonly #cuts: CutProposer;
  readonly #policies: PolicyFollower;
  readonly #declared: DeclaredTables;
  readonly #writers = new Map<string, SourceWriter>();
  /** Sources whose name is taken. */
  readonly #refused = new Map<string, CaucusError>();
  readonly #refusals = new Map<string, { readonly backoff: Backoff; atMs: number }>();
  #runner: DriverRunner | undefined;
  #following: Promise<void> = Promise.resolve();
  #logId = '';
  #lost: CaucusError | undefined;

  constructor(options: DatasourceNodeOptions, clock: Clock, lease: HeldLease) {
    const { log, store } = options;
    this.#options = options;
    this.#clock = clock;
    this.#lease = lease;
    this.generation = lease.generation;
    this.#cuts = new CutProposer(log, () => clock.now());
    const wait = clock.wait.bind(clock);
    this.#policies = new PolicyFollower({ log, store, cuts: this.#cuts, wait });
    const onProblem = (error: unknown): void => {
      options.onProblem?.(error instanceof Error ? error : new Error(String(error)));
    };
    this.#declared = new DeclaredTables({ store, policies: this.#policies, wait, onProblem });
  }

  /** Throws `invalid_request` for drivers that cannot run side by side. */
  static check({ drivers }: Pick<DatasourceNodeOptions, 'drivers'>): void {
    void new DriverRunner({ drivers, writeBatch: () => Promise.reject(new Error('not started')) });
  }

  health(): readonly SourceHealth[] {
    return this.#runner?.health() ?? [];
  }

  /** Stops publishing at once. */
  end(): void {
    this.#abort.abort();
  }

  /** Resolves when it has ended and nothing of it is under way; throws what ended it. */
  async run(): Promise<void> {
    const { signal } = this.#abort;
    const leaseOnEnd = (): void => this.#lose(leaseLost());
    this.#lease.signal.addEventListener('abort', leaseOnEnd);
    if (this.#lease.signal.aborted) leaseOnEnd();
    try {
      // What hangs in there ends by itself; the lease is given back at once.
      await Promise.race([this.#prepare(), whenAborted(signal)]);
      if (!signal.aborted) await this.#runDrivers();
    } finally {
      this.#lease.signal.removeEventListener('abort', leaseOnEnd);
      this.#abort.abort();
      const closing = [...this.#writers.values()].map((writer) => writer.close());
      // Nothing is written any more: whoever is next need not wait for a slow log or driver.
      await this.#lease.release();
      await Promise.all(closing);
      await this.#runner?.stop();
      await this.#policies.close();
      await this.#following;
    }
    if (this.#lost !== undefined) throw this.#lost;
  }

  async #prepare(): Promise<void> {
    const { log, drivers, nodeId, randomId, recordBytes } = this.#options;
    const { signal } = this.#abort;
    const wait = this.#clock.wait.bind(this.#clock);
    this.#logId = await awaitLogId(log, wait, signal);
    if (signal.aborted) return;
    const names = await this.#register(drivers.map((driver) => driver.source));
    if (signal.aborted) return;
    // Early enough for the first batch, unless the database is slow.
    await Promise.race([this.#declared.refresh(), wait(DECLARATIONS_MS, signal)]);
    this.#following = this.#declared.follow(signal);
    const first = this.generation * OPENINGS_PER_LEASE;
    for (const source of names) {
      const writer = new SourceWriter({
        log,
        source,
        incarnation: this.#policies.sources.get(source)?.incarnation ?? 1,
        generations: { first, end: first + OPENINGS_PER_LEASE },
        cuts: this.#cuts,
        wait,
        // People see it in `system:sources`.
        randomId: () => `${nodeId}/${randomId()}`,
        onBroken: () => this.#runner?.restart(source),
        onRefused: (reason) => this.#refusedOnSeen(source, reason),
        onLost: (error) => this.#lose(error),
        ...(recordBytes === undefined ? {} : { recordBytes }),
      });
      this.#writers.set(source, writer);
      // Whoever wrote before is fenced off at once; what fails here is tried with the first batch.
      writer.open().catch(() => undefined);
    }
  }

  /** Those that are sources of this node; one that cannot be does not stop the others. */
  async #register(names: readonly string[]): Promise<readonly string[]> {
    const { signal } = this.#abort;
    try {
      await this.#policies.register(names, signal);
      return names;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    const registered: string[] = [];
    for (const name of names) {
      try {
        await this.#policies.register([name], signal);
        registered.push(name);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.#refused.set(name, error);
      }
    }
    return registered;
  }

  async #runDrivers(): Promise<void> {
    const { drivers } = this.#options;
    const { signal } = this.#abort;
    this.#runner = new DriverRunner({
      drivers,
      clock: this.#clock,
      writeBatch: (batch) => this.#publish(batch),
      onHealth: (health) => this.#healthOnSeen(health),
    });
    this.#runner.start();
    while (!signal.aborted) {
      await this.#clock.wait(SOURCE_HEARTBEAT_MS, signal);
      for (const { source, state } of this.#runner.health()) {
        if (state === 'fresh') this.#tell((writer) => writer.keepAlive(), source);
      }
    }
  }

  async #publish({
    source,
    changes,
    snapshot,
  }: DriverBatch & { readonly source: string }): Promise<PublishedAt> {
    const writer = this.#writers.get(source);
    if (writer === undefined || !this.#lease.isHeld || this.#abort.signal.aborted) {
      throw this.#refused.get(source) ?? this.#lost ?? leaseLost();
    }
    this.#declared.check(source, changes);
    const batch = { changes, ...(snapshot === undefined ? {} : { snapshot }) };
    const revision = await writer.publish(batch);
    return { revision, token: tokenAt(this.#logId, revision) };
  }

  #healthOnSeen(health: SourceHealth): void {
    const { source, state, problems } = health;
    if (state === 'fresh') this.#tell((writer) => writer.heartbeat(), source);
    if (state === 'stale') {
      const reason = problems.map(problemText).join('; ') || 'the outside cannot be read';
      const told = reason.slice(0, STALE_REASON_UNITS_MAX);
      this.#tell((writer) => writer.reportStale(told), source);
    }
    this.#options.onHealth?.(health);
  }

  /** The driver tells all rows again; not at once each time, for they may never fit. */
  #refusedOnSeen(source: string, reason: string): void {
    const refusal = this.#refusals.get(source) ?? { backoff: new Backoff(), atMs: 0 };
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - refusal.atMs > REFUSALS_FORGOTTEN_MS) refusal.backoff.reset();
    refusal.atMs = nowMs;
    this.#refusals.set(source, refusal);
    const problem = { message: reason, remedy: 'make the rows fit what policies declare' };
    this.#runner?.restart(source, { problem, pauseMs: refusal.backoff.next() });
  }

  /** What does not get through is repeated with the next heartbeat or the next batch. */
  #tell(tell: (writer: SourceWriter) => Promise<void>, source: string): void {
    const writer = this.#writers.get(source);
    if (writer === undefined || !this.#lease.isHeld || this.#abort.signal.aborted) return;
    tell(writer).catch(() => undefined);
  }

  #lose(error: CaucusError): void {
    this.#lost ??= error;
    this.#abort.abort();
  }
}

function leaseLost(): CaucusError {
  return new CaucusError('not_ready', 'the lease of the datasource node has ended', {
    remedy: 'nothing: another node takes over, or this one takes it again',
  });
}

/** The name is taken, or is none: trying again does not help. */
function isRefusal(error: unknown): error is CaucusError {
  return error instanceof CaucusError && REFUSALS.has(error.code);
}

async function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
}
