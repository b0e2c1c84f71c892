/**
 * Runs drivers side by side: starts each, hands it a way to publish, keeps what it reports, starts
 * it again with growing pauses when it throws. Nothing that one driver does stops another.
 *
 * Publishing is a function that is passed in (in the single process the replica's `writeBatch`).
 */
import { CaucusError } from '../host/errors.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import type {
  Driver,
  DriverBatch,
  DriverMode,
  DriverTable,
  Freshness,
  PublishedAt,
  SourceProblem,
} from './driver.ts';
import type { RowBlock } from '../host/value/row-block.ts';
import { problemsOf } from './driver.ts';

/** Resolves when the batch is durable and visible; rejects when that is not known. */
export type WriteBatch = (batch: DriverBatch & { readonly source: string }) => Promise<PublishedAt>;

/** The rows that a table of a source holds; undefined: nobody knows. */
export type ReadHeldRows = (source: string, table: string) => Promise<RowBlock | undefined>;

/**
 * `starting`: nothing reported yet since the last start. `stopped`: the runner was stopped; the
 * rows stay as they are.
 */
export type SourceState = 'starting' | 'fresh' | 'stale' | 'stopped';

export interface SourceHealth {
  readonly source: string;
  readonly driver: string;
  readonly mode: DriverMode;
  readonly state: SourceState;
  /** When the state began, ms since the epoch. */
  readonly sinceMs: number;
  /** When the outside was last seen to agree with the rows, ms since the epoch; 0: never. */
  readonly freshAtMs: number;
  readonly batches: number;
  /** Batches that were not acknowledged, and starts that ended in an error. */
  readonly failures: number;
  readonly problems: readonly SourceProblem[];
  readonly tables: readonly DriverTable[];
}

/** Why a driver is started again, and when. */
export interface RestartReason {
  readonly problem: SourceProblem;
  readonly pauseMs: number;
}

export interface RunnerOptions {
  readonly drivers: readonly Driver[];
  readonly writeBatch: WriteBatch;
  /** For drivers that alone fill their source: with others, rows may come after they were read. */
  readonly heldRows?: ReadHeldRows;
  /** Called when a source's state or problems change. What it throws is not caught. */
  readonly onHealth?: (health: SourceHealth) => void;
  readonly clock?: Clock;
}

export class DriverRunner {
  readonly #runs: readonly SourceRun[];
  readonly #abort = new AbortController();
  #done: Promise<unknown> | undefined;

  /** Throws `invalid_request` when two drivers fill one source. */
  constructor(options: RunnerOptions) {
    const byName = new Map<string, Driver>();
    for (const driver of options.drivers) {
      const other = byName.get(driver.source);
      if (other !== undefined) {
        throw new CaucusError(
          'invalid_request',
          `source \`${driver.source}\` has two drivers, \`${other.name}\` and \`${driver.name}\``,
          { remedy: 'give each driver a source name of its own' },
        );
      }
      byName.set(driver.source, driver);
    }
    this.#runs = options.drivers.map((driver) => new SourceRun(driver, options));
  }

  start(): void {
    this.#done ??= Promise.all(this.#runs.map((run) => run.run(this.#abort.signal)));
  }

  /** Resolves once each source is fresh or stale for the first time. */
  async settled(): Promise<void> {
    await Promise.all(this.#runs.map((run) => run.settled));
  }

  health(): readonly SourceHealth[] {
    return this.#runs.map((run) => run.health());
  }

  /** Starts the source's driver again: what it published before may be lost. */
  restart(source: string, reason?: RestartReason): void {
    this.#runs.find((run) => run.source === source)?.restart(reason);
  }

  /** Resolves once no driver runs and nothing is being published. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

class SourceRun {
  readonly settled: Promise<void>;
  readonly source: string;
  readonly #driver: Driver;
  readonly #writeBatch: WriteBatch;
  readonly #heldRows: ReadHeldRows | undefined;
  readonly #onHealth: (health: SourceHealth) => void;
  readonly #clock: Clock;
  readonly #backoff = new Backoff();
  readonly #publishing = new Set<Promise<unknown>>();
  #settle: () => void = () => undefined;
  #attempt = new AbortController();
  #pauseMs = 0;
  #state: SourceState = 'starting';
  #problems: readonly SourceProblem[] = [];
  #sinceMs: number;
  #freshAtMs = 0;
  #batches = 0;
  #failures = 0;
  /** A batch failed: it may still be applied, whenever that is. */
  #isInDoubt = false;

  constructor(driver: Driver, options: RunnerOptions) {
    this.source = driver.source;
    this.#driver = driver;
    this.#writeBatch = options.writeBatch;
    this.#heldRows = options.heldRows;
    this.#onHealth = options.onHealth ?? (() => undefined);
    this.#clock = options.clock ?? systemClock;
    this.#sinceMs = this.#clock.now();
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#attempt.abort();
    signal.addEventListener('abort', stop);
    while (!signal.aborted) {
      await this.#runOnce(signal);
      const pauseMs = this.#pauseMs;
      this.#pauseMs = 0;
      if (pauseMs > 0) await this.#clock.wait(pauseMs, signal);
    }
    signal.removeEventListener('abort', stop);
    await Promise.allSettled(this.#publishing);
    this.#enter('stopped', this.#problems);
    this.#settle();
  }

  restart(reason?: RestartReason): void {
    if (this.#state === 'stopped') return;
    // Nothing vouches for the rows until the driver has reported again.
    if (reason === undefined) this.#enter('starting', this.#problems);
    else this.#report({ state: 'stale', problems: [reason.problem] });
    this.#pauseMs = reason?.pauseMs ?? 0;
    this.#attempt.abort();
  }

  async #runOnce(runSignal: AbortSignal): Promise<void> {
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    try {
      await this.#driver.start({
        publish: (batch) => this.#publish(batch, signal),
        held: (table) => this.#held(table),
        report: (freshness) => {
          if (!signal.aborted) this.#report(freshness);
        },
        signal,
      });
      if (!signal.aborted)
        throw new Error(`driver \`${this.#driver.name}\` of \`${this.source}\` ended`);
    } catch (error) {
      if (signal.aborted) return;
      this.#failures++;
      this.#report({ state: 'stale', problems: problemsOf(error) });
      await this.#clock.wait(this.#backoff.next(), runSignal);
    }
  }

  health(): SourceHealth {
    return {
      source: this.source,
      driver: this.#driver.name,
      mode: this.#driver.mode,
      state: this.#state,
      sinceMs: this.#sinceMs,
      freshAtMs: this.#freshAtMs,
      batches: this.#batches,
      failures: this.#failures,
      problems: this.#problems,
      tables: this.#driver.tables(),
    };
  }

  async #held(table: string): Promise<RowBlock | undefined> {
    if (this.#isInDoubt || this.#publishing.size > 0) return undefined;
    return await this.#heldRows?.(this.source, table);
  }

  async #publish(batch: DriverBatch, signal: AbortSignal): Promise<PublishedAt> {
    if (signal.aborted) {
      throw new CaucusError('not_ready', `source \`${this.source}\` has been stopped`, {
        remedy: 'start it again',
      });
    }
    const writing = this.#writeBatch({ ...batch, source: this.source });
    this.#publishing.add(writing);
    try {
      const position = await writing;
      this.#batches++;
      return position;
    } catch (error) {
      this.#failures++;
      this.#isInDoubt = true;
      throw error;
    } finally {
      this.#publishing.delete(writing);
    }
  }

  #report(freshness: Freshness): void {
    if (freshness.state === 'fresh') {
      this.#freshAtMs = this.#clock.now();
      this.#backoff.reset();
      this.#enter('fresh', []);
    } else {
      this.#enter('stale', freshness.problems);
    }
    this.#settle();
  }

  #enter(state: SourceState, problems: readonly SourceProblem[]): void {
    const same = state === this.#state && sameProblems(problems, this.#problems);
    if (state !== this.#state) this.#sinceMs = this.#clock.now();
    this.#state = state;
    this.#problems = problems;
    if (!same) this.#onHealth(this.health());
  }
}

function sameProblems(a: readonly SourceProblem[], b: readonly SourceProblem[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
