/**
 * A push source: its rows come in batches through the API, from as many writers as there are.
 * Nothing outside is read, so there is nothing to diff and the rows of the log are the source: it
 * is fresh whenever it runs, and a restart publishes nothing.
 *
 * What a batch holds is checked here against the tables that the source declares, and against
 * itself; types and arities of tables that policies declare are checked by whoever publishes,
 * before the log.
 */
import { CaucusError } from '../../host/errors.ts';
import type {
  Driver,
  DriverBatch,
  DriverSession,
  DriverTable,
  PublishedAt,
  RowChange,
} from '../driver.ts';

export interface PushDriverOptions {
  readonly source: string;
  /** Tables of the source; absent: any name, shaped by its first rows. */
  readonly tables?: readonly DriverTable[];
}

export class PushDriver implements Driver {
  readonly name = 'push';
  readonly mode = 'push';
  readonly source: string;
  readonly #tables: readonly DriverTable[] | undefined;
  #session: DriverSession | undefined;

  constructor(options: PushDriverOptions) {
    this.source = options.source;
    this.#tables = options.tables;
  }

  tables(): readonly DriverTable[] {
    return this.#tables ?? [];
  }

  async start(session: DriverSession): Promise<void> {
    if (session.signal.aborted) return;
    this.#session = session;
    session.report({ state: 'fresh' });
    await new Promise((resolve) => {
      session.signal.addEventListener('abort', resolve, { once: true });
    });
    this.#session = undefined;
  }

  /** Resolves when the whole batch is durable and visible. Throws before anything was published. */
  async write(batch: DriverBatch): Promise<PublishedAt> {
    for (const change of batch.changes) this.#check(change);
    const session = this.#session;
    if (session === undefined || session.signal.aborted) {
      throw new CaucusError('not_ready', `source \`${this.source}\` is not running`, {
        remedy: 'send the batch again once it runs',
      });
    }
    return session.publish(batch);
  }

  #check(change: RowChange): void {
    const name = `${this.source}:${change.table}`;
    const { insert, delete: removed } = change;
    if (insert !== undefined && removed !== undefined && insert.arity !== removed.arity) {
      throw new CaucusError(
        'invalid_row',
        `rows to insert into \`${name}\` have ${insert.arity} values, rows to delete ${removed.arity}`,
        { remedy: 'send rows with as many values as the table has columns' },
      );
    }
    if (this.#tables === undefined) return;
    const table = this.#tables.find((declared) => declared.name === change.table);
    if (table === undefined) {
      const names = this.#tables.map((declared) => `\`${declared.name}\``).join(', ');
      throw new CaucusError(
        'unknown_table',
        `source \`${this.source}\` has no table \`${change.table}\``,
        {
          remedy: `its tables are ${names}`,
        },
      );
    }
    for (const block of [insert, removed]) {
      const arity = table.columns?.length;
      if (block === undefined || arity === undefined || block.arity === arity) continue;
      throw new CaucusError(
        'invalid_row',
        `table \`${name}\` has ${arity} columns, the rows have ${block.arity}`,
        { remedy: `send rows with ${arity} values` },
      );
    }
  }
}
