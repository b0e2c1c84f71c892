/**
 * The loop of every driver that reads the whole outside and publishes the difference.
 *
 * What is known of a table is its rows as of the last batch that was acknowledged, and at first
 * those that the session says it holds: a restart publishes what changed outside meanwhile. A table
 * of which nothing is known (without a replica at start, and all of them after a publish that
 * failed, because it may or may not have been applied) is published whole, with `replace`; every
 * other one as deletes and inserts. All tables of one poll travel in one batch.
 */
import type { RowBlock } from '../host/value/row-block.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import type { Driver, DriverSession, DriverTable, RowChange, SourceProblem } from './driver.ts';
import { problemsOf } from './driver.ts';
import { diffRows, RowSet } from './row-diff.ts';

export interface PollResult {
  /** All rows of each table that was read. A table that is absent keeps the rows it has. */
  readonly tables: ReadonlyMap<string, RowBlock>;
  /** What could not be read; any makes the source stale. */
  readonly problems: readonly SourceProblem[];
}

/** What a polling driver implements. */
export interface PollSource {
  readonly name: string;
  readonly source: string;
  tables(): readonly DriverTable[];
  /** Before the first `poll` of a run; what it opens ends with the signal. */
  open?(signal: AbortSignal): void;
  /**
   * Reads outside. With `everything` it returns every table that it can read, otherwise at least
   * those that changed since the last call. Throwing means that nothing could be read.
   */
  poll(everything: boolean, signal: AbortSignal): Promise<PollResult>;
  /** Resolves when it is worth polling again, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void>;
}

export class PollDriver implements Driver {
  readonly mode = 'poll';
  readonly #outside: PollSource;
  readonly #clock: Clock;

  constructor(outside: PollSource, clock: Clock = systemClock) {
    this.#outside = outside;
    this.#clock = clock;
  }

  get name(): string {
    return this.#outside.name;
  }

  get source(): string {
    return this.#outside.source;
  }

  tables(): readonly DriverTable[] {
    return this.#outside.tables();
  }

  async start(session: DriverSession): Promise<void> {
    const { signal } = session;
    const known = new Map<string, RowSet>();
    const backoff = new Backoff();
    let everything = true;
    this.#outside.open?.(signal);
    while (!signal.aborted) {
      try {
        const result = await this.#outside.poll(everything, signal);
        if (signal.aborted) return;
        everything = false;
        await publishDifference(session, known, result.tables);
        backoff.reset();
        session.report(
          result.problems.length === 0
            ? { state: 'fresh' }
            : { state: 'stale', problems: result.problems },
        );
      } catch (error) {
        if (signal.aborted) return;
        everything = true;
        session.report({ state: 'stale', problems: problemsOf(error) });
        await this.#clock.wait(backoff.next(), signal);
        continue;
      }
      await this.#outside.changed(signal);
    }
  }
}

/**
 * Publishes what changed, if anything did. Afterwards, or after a failure, `known` says what is
 * known.
 */
async function publishDifference(
  session: DriverSession,
  known: Map<string, RowSet>,
  tables: ReadonlyMap<string, RowBlock>,
): Promise<void> {
  const next = new Map<string, RowSet>();
  const changes: RowChange[] = [];
  for (const [table, block] of tables) {
    const rows = await RowSet.of(block);
    next.set(table, rows);
    const change = await changeOf(
      table,
      known.get(table) ?? (await heldRows(session, table)),
      rows,
    );
    if (change !== null) changes.push(change);
  }
  if (changes.length > 0) {
    try {
      await session.publish({ changes });
    } catch (error) {
      known.clear();
      throw error;
    }
  }
  for (const [table, rows] of next) known.set(table, rows);
}

async function heldRows(session: DriverSession, table: string): Promise<RowSet | undefined> {
  const block = await session.held?.(table);
  return block === undefined ? undefined : await RowSet.of(block);
}

async function changeOf(
  table: string,
  previous: RowSet | undefined,
  next: RowSet,
): Promise<RowChange | null> {
  // An empty file does not say how wide its rows would be, so the arity of no rows means nothing.
  const incomparable = previous !== undefined && previous.arity !== next.arity;
  if (previous === undefined || (incomparable && previous.count > 0 && next.count > 0)) {
    return { table, replace: true, ...(next.count === 0 ? {} : { insert: await next.block() }) };
  }
  const difference = await diffRows(previous, next);
  if (difference.insert.count === 0 && difference.delete.count === 0) return null;
  return {
    table,
    ...(difference.delete.count === 0 ? {} : { delete: difference.delete }),
    ...(difference.insert.count === 0 ? {} : { insert: difference.insert }),
  };
}
