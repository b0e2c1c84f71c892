/**
 * A machine with a datasource node, and the thing outside that its driver reads. Each start of a
 * driver puts a tag of its own into the rows, so that rows of a replaced one are told apart.
 */
import type { Driver, DriverSession, RowChange } from '../../drivers/driver.ts';
import { createDatasourceNode } from '../../drivers/datasource-node.ts';
import type { DatasourceNode } from '../../drivers/datasource-node.ts';
import type { Leases } from '../../host/store/leases.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import type { Row } from '../../host/value/value.ts';
import { rowKey } from '../oracle/row-set.ts';
import type { Random } from '../support/random.ts';
import { codeOf } from './sim-node.ts';
import { SimProcess } from './sim-process.ts';
import type { Life, ProcessParts } from './sim-process.ts';
import { DRIVEN_SOURCE } from './world.ts';

/** What drivers read: a few keys with a number that grows. */
export class Outside {
  readonly rows = new Map<string, bigint>();
  #count = 0n;

  change(random: Random): void {
    const key = `k${random.int(5)}`;
    if (random.chance(0.3)) this.rows.delete(key);
    else this.rows.set(key, ++this.#count);
  }
}

export interface DatasourceParts extends ProcessParts {
  readonly outside: Outside;
  readonly ttlMs: number;
  readonly pollMs: number;
  readonly recordBytes: number;
  readonly wrapLeases: ((leases: Leases) => Leases) | undefined;
}

export class SimDatasource extends SimProcess {
  /** When its rows were last known to be those of the outside, virtual ms. */
  freshAtMs = 0;
  readonly #datasource: DatasourceParts;
  #node: DatasourceNode | undefined;
  #driverStarts = 0;

  constructor(parts: DatasourceParts) {
    super(parts);
    this.#datasource = parts;
  }

  /** In words. */
  state(): string {
    const { role, problem, sources } = this.#node?.health() ?? {};
    const states = sources?.map((source) => `${source.state} ${source.failures}`).join();
    return `${role ?? 'down'} ${problem ?? ''} ${states ?? ''}`;
  }

  protected async begin({ run, lane, log, store, now, randomId }: Life): Promise<void> {
    const { ttlMs, recordBytes, wrapLeases, scheduler } = this.#datasource;
    const wait = (ms: number, signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        const done = (): void => {
          cancel();
          signal.removeEventListener('abort', done);
          resolve();
        };
        const cancel = lane.after(ms, done);
        signal.addEventListener('abort', done, { once: true });
      });
    this.#node = createDatasourceNode({
      log,
      store,
      leases: wrapLeases?.(store) ?? store,
      drivers: [this.#driver(run, wait)],
      randomId,
      nodeId: this.id,
      ttlMs,
      clock: { now, monotonicMs: () => scheduler.nowMs, wait },
      recordBytes,
      onRole: (role) => {
        if (run === this.run && role === 'active') this.note('live');
      },
      onProblem: (error) => {
        const code = codeOf(error);
        const isDefect = code === 'defect' || code === 'internal';
        const message = isDefect ? (error.stack ?? error.message) : '';
        if (run === this.run) this.note(isDefect ? 'failed' : 'problem', { code, message });
      },
    });
    this.#node.start();
  }

  protected async finish(): Promise<boolean> {
    await this.#node?.stop();
    return true;
  }

  protected end(): Promise<void> {
    this.#node = undefined;
    return Promise.resolve();
  }

  #driver(run: number, wait: (ms: number, signal: AbortSignal) => Promise<void>): Driver {
    const { outside, pollMs, scheduler } = this.#datasource;
    const tables = ['item', 'twin'];
    return {
      name: 'simulated',
      source: DRIVEN_SOURCE,
      mode: 'poll',
      tables: () => tables.map((name) => ({ name })),
      start: async (session) => {
        const tag = `${this.id}#${run}.${this.#driverStarts++}`;
        let known: ReadonlyMap<string, bigint> | undefined;
        while (!session.signal.aborted) {
          const rows = new Map(outside.rows);
          await this.#publish(session, tag, known, rows);
          known = rows;
          this.freshAtMs = scheduler.nowMs;
          session.report({ state: 'fresh' });
          await wait(pollMs, session.signal);
        }
      },
    };
  }

  /** The difference, in both tables; at first everything. */
  async #publish(
    session: DriverSession,
    tag: string,
    known: ReadonlyMap<string, bigint> | undefined,
    rows: ReadonlyMap<string, bigint>,
  ): Promise<void> {
    const row = ([key, count]: [string, bigint]): Row => [key, tag, count];
    const insert = [...rows].filter(([key, count]) => known?.get(key) !== count).map(row);
    const gone = [...(known ?? [])].filter(([key, count]) => rows.get(key) !== count).map(row);
    if (known !== undefined && insert.length + gone.length === 0) return;
    const change = (table: string): RowChange => ({
      table,
      ...(known === undefined ? { replace: true } : {}),
      insert: encodeRows(3, insert),
      delete: encodeRows(3, gone),
    });
    const { record } = this.#datasource;
    const texts = { replace: known === undefined, insert: insert.map(rowKey) };
    const changes = ['item', 'twin'].map((table) => ({
      table,
      ...texts,
      delete: gone.map(rowKey),
    }));
    const base = { event: 'publish', node: this.id, source: DRIVEN_SOURCE, owner: tag } as const;
    try {
      const { revision } = await session.publish({ changes: [change('item'), change('twin')] });
      record({ ...base, atMs: this.atMs(), revision, replace: known === undefined, changes });
    } catch (error) {
      record({ ...base, atMs: this.atMs(), revision: null, replace: known === undefined, changes });
      throw error;
    }
  }
}
