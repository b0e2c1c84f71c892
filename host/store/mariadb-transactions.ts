/**
 * Runs the steps of a database on connections to MariaDB or Galera.
 *
 * A transaction reads from one snapshot. Before its first write it raises the number of edits from
 * the one that it saw in that snapshot. So two transactions that both write and saw one state
 * exclude each other, on one server by that row, on Galera at the commit, and what commits is
 * serial. Whoever was second does the whole of it again.
 *
 * An error at COMMIT leaves open whether it was done: the connection may have been cut behind the
 * request or before it, and the server may still be at it. The steps then run again as *uncertain*
 * ones, and must find out by what they read. They meet the lost commit at the number of edits, so
 * it cannot come through later.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CaucusError } from '../errors.ts';
import {
  STORE_OPERATION_MS_MAX,
  STORE_RETRY_MS_MAX,
  STORE_RETRY_MS_MIN,
  STORE_TRIES_MAX,
} from '../limits.ts';
import type { ConnectionPool, PooledConnection } from './connection-pool.ts';
import { WriteConflict, troubleOf } from './mariadb-errors.ts';
import { numberOf } from './steps.ts';
import type { Outcome, SqlValue, Statement, Steps } from './steps.ts';

export interface StoreConnection extends PooledConnection {
  execute(sql: string, values: readonly SqlValue[]): Promise<Outcome>;
}

export interface TransactionsOptions {
  readonly pool: ConnectionPool<StoreConnection>;
  /** Has one row with `edit`. */
  readonly editsTable: string;
  /** In [0, 1). */
  readonly random: () => number;
  /** Told of each time that a connection was lost, and that it is tried again. */
  readonly onProblem: (error: Error) => void;
  /** Turns what is not tried again into an error for callers. */
  readonly toCaucusError: (error: unknown) => unknown;
}

/** An error at COMMIT. */
class UnknownOutcome extends Error {}

export class Transactions {
  readonly #options: TransactionsOptions;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** Each statement by itself. `make` is called for each try. */
  statements<T>(make: () => Steps<T>): Promise<T> {
    return this.onConnection((connection) => runSteps(onto(connection), make()));
  }

  /** All or nothing. `make` is called for each try. */
  transaction<T>(make: (isUncertain: boolean) => Steps<T>): Promise<T> {
    return this.onConnection((connection, isUncertain) =>
      this.#transaction(connection, make(isUncertain)),
    );
  }

  /** Until it succeeds, tries or time run out, or it fails for a reason that stays. */
  async onConnection<T>(
    attempt: (connection: StoreConnection, isUncertain: boolean) => Promise<T>,
  ): Promise<T> {
    const { pool, random, onProblem, toCaucusError } = this.#options;
    let isUncertain = false;
    const untilMs = performance.now() + STORE_OPERATION_MS_MAX;
    for (let tries = 1; ; tries++) {
      try {
        return await pool.use(async (connection) => {
          try {
            return await attempt(connection, isUncertain);
          } catch (error) {
            // A node without quorum, a server that became read-only: another may do.
            if (troubleOf(error) === 'lost') connection.destroy();
            throw error;
          }
        });
      } catch (error) {
        const isUnknown = error instanceof UnknownOutcome;
        const reason = isUnknown ? error.cause : error;
        isUncertain ||= isUnknown;
        const trouble = troubleOf(reason);
        const isPassing = isUnknown || trouble === 'conflict' || trouble === 'lost';
        if (!isPassing || tries === STORE_TRIES_MAX || performance.now() > untilMs) {
          throw isUncertain ? outcomeUnknown(toCaucusError(reason)) : toCaucusError(reason);
        }
        if (trouble !== 'conflict' && reason instanceof Error) onProblem(reason);
        const longest = Math.min(STORE_RETRY_MS_MIN * 2 ** tries, STORE_RETRY_MS_MAX);
        await delay(longest * (0.5 + random() / 2));
      }
    }
  }

  async #transaction<T>(connection: StoreConnection, steps: Steps<T>): Promise<T> {
    const edits = this.#options.editsTable;
    let wrote = false;
    const execute = async ({ sql, values, writes }: Statement): Promise<Outcome> => {
      if (writes && !wrote) {
        wrote = true;
        const { changed } = await connection.execute(
          `UPDATE ${edits} SET edit = edit + 1 WHERE edit = ?`,
          [edit],
        );
        if (changed !== 1) throw new WriteConflict('another write was first');
      }
      return await connection.execute(sql, values);
    };
    await connection.execute('START TRANSACTION', []);
    let edit: number;
    let result: T;
    try {
      const { rows } = await connection.execute(`SELECT edit FROM ${edits}`, []);
      if (rows[0] === undefined) throw new Error(`\`${edits}\` has no row`);
      edit = numberOf(rows[0], 'edit');
      result = await runSteps(execute, steps);
    } catch (error) {
      await rollBack(connection);
      throw error;
    }
    if (!wrote) {
      await rollBack(connection);
      return result;
    }
    try {
      await connection.execute('COMMIT', []);
    } catch (error) {
      // What is left of the transaction must not get into the next one.
      connection.destroy();
      throw new UnknownOutcome('error at commit', { cause: error });
    }
    return result;
  }
}

type Execute = (statement: Statement) => Promise<Outcome>;

function onto(connection: StoreConnection): Execute {
  return ({ sql, values }) => connection.execute(sql, values);
}

async function runSteps<T>(execute: Execute, steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (step.done !== true) step = steps.next(await execute(step.value));
  return step.value;
}

async function rollBack(connection: StoreConnection): Promise<void> {
  try {
    if (connection.isOpen) await connection.execute('ROLLBACK', []);
  } catch {
    connection.destroy();
  }
}

/** What the caller cannot know it must be told. */
function outcomeUnknown(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const remedy = 'look whether the write is there before it is repeated';
  const details = error instanceof CaucusError ? error.details : {};
  return new CaucusError('store_unavailable', `${error.message}; it may have been written`, {
    remedy,
    details: { ...details, outcome: 'unknown' },
    cause: error,
  });
}
