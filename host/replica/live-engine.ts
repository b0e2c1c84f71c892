/**
 * The engine together with what it runs: one transaction at a time, and reads that know which
 * commit they saw.
 *
 * An engine commits inside `transact`; the replica's own state follows when that promise has been
 * delivered, a few microtasks later. A read that falls in between would see rows of one revision
 * under the number of another. Hence `read`: it starts outside such a gap and starts again when a
 * commit has overtaken it.
 */
import type { StratifiedProgram, Table, TableKey } from '../compiler/stratified.ts';
import type { Plan } from '../compiler/plan.ts';
import type {
  Engine,
  Transaction,
  TransactionFailure,
  TransactionSuccess,
} from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { QUERY_RESTARTS_MAX } from '../limits.ts';
import type { Failures } from './failures.ts';
import { SerialQueue } from './serial-queue.ts';

/** What the engine runs since its last commit. */
export interface Running {
  /** Everything that compiled, failed policies included: names are resolved against it. */
  readonly program: StratifiedProgram;
  /** Without the failed rules: what the engine knows. */
  readonly plan: Plan;
  /** Those that the plan numbers. */
  readonly tables: readonly Table[];
  readonly failures: Failures;
  /** A rule that is not failed or a view reads `system:now`. */
  readonly readsNow: boolean;
  /** Those that are kept for views. */
  readonly viewTables: ReadonlySet<TableKey>;
  /** Changes with the program; key of compiled queries. */
  readonly generation: number;
}

export class LiveEngine {
  readonly engine: Engine;
  /** Whoever transacts, or needs the engine to hold still, runs here. */
  readonly queue = new SerialQueue();
  readonly #yield: () => Promise<void>;
  #running: Running | undefined;
  #commits = 0;
  #onCommit: () => void = () => undefined;
  #transacting = false;
  #rehearsing = false;
  /** The engine gave a transaction up half-way: what it shows is of no revision. */
  #abandoned: Error | undefined;

  constructor(engine: Engine, yieldToLoop: () => Promise<void>) {
    this.engine = engine;
    this.#yield = yieldToLoop;
  }

  get isEvaluating(): boolean {
    return this.#transacting || this.#rehearsing;
  }

  get running(): Running {
    if (this.#running === undefined) throw new Error('the engine runs nothing yet');
    return this.#running;
  }

  /** Called after each commit, when the replica's own state is that of the commit. */
  onCommit(listener: () => void): void {
    this.#onCommit = listener;
  }

  /**
   * Inside `queue` only. `onCommit` runs as soon as the commit is known, and sets what belongs to
   * it (`commit`) before anything else can read.
   */
  async transact(
    transaction: Transaction,
    onCommit: (result: TransactionSuccess) => void,
  ): Promise<TransactionFailure | undefined> {
    this.#transacting = true;
    try {
      const result = await this.engine.transact(transaction);
      if (!result.ok) return result;
      onCommit(result);
      return undefined;
    } catch (error) {
      this.#abandoned = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      this.#transacting = false;
    }
  }

  /** Computes a transaction and rolls it back. Inside `queue` only. */
  async rehearse(transaction: Transaction): Promise<TransactionSuccess | TransactionFailure> {
    this.#rehearsing = true;
    try {
      return await this.engine.transact({ ...transaction, dryRun: true });
    } finally {
      this.#rehearsing = false;
    }
  }

  /** One table, another one each time, is added up anew; an error where its rows have changed. */
  async scrub(): Promise<CaucusError | undefined> {
    const table = await this.queue.run(() => Promise.resolve(this.engine.scrub()));
    if (table === undefined) return undefined;
    return new CaucusError('state_diverged', `the rows of \`${table}\` changed in memory`, {
      remedy: 'restart the replica: its state is built anew; check the memory of the machine',
      details: { table },
    });
  }

  /** The state of the engine is another one from here on. */
  commit(running: Running = this.running): void {
    this.#running = running;
    this.#commits++;
    this.#onCommit();
  }

  /** Runs `job`, which reads the engine and nothing else that changes, at one commit. */
  async read<T>(job: (running: Running) => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < QUERY_RESTARTS_MAX; attempt++) {
      await this.#leaveGap();
      if (this.#abandoned !== undefined) throw this.#abandoned;
      const before = this.#commits;
      try {
        const answer = await job(this.running);
        await this.#leaveGap();
        if (this.#commits === before) return answer;
      } catch (error) {
        await this.#leaveGap();
        if (this.#commits === before) throw error;
      }
    }
    return await this.queue.run(async () => await job(this.running));
  }

  /** After a macrotask either the transaction goes on or its commit is known here as well. */
  async #leaveGap(): Promise<void> {
    if (this.#transacting) await this.#yield();
  }
}
