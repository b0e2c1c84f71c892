/**
 * Opens and closes views. A view enters the engine by a transaction of its own between two cuts,
 * which makes no revision; its rows, the position and the subscription are one moment, because
 * nothing else transacts meanwhile.
 */
import type { StratifiedQuery, TableKey } from '../compiler/stratified.ts';
import type { TableDelta, TransactionFailure } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { VIEW_COUNT_MAX } from '../limits.ts';
import type { RowBlock } from '../value/row-block.ts';
import { emptyBlock } from '../value/row-block.ts';
import { viewError } from './fold.ts';
import type { Fold } from './fold.ts';
import type { LiveEngine } from './live-engine.ts';
import type { Planned } from './planner.ts';
import type { QueryRunner } from './query-runner.ts';
import type { Position, View } from './replica.ts';
import { decodeRevision } from './token.ts';
import { plannedTable } from './view-registry.ts';
import type { ViewEntry, ViewRegistry } from './view-registry.ts';
import { keyChange } from './view-shape.ts';

/** Plans that are kept for whoever subscribes again. */
const EMPTY_SHAPES_MAX = 16;

export interface ViewOpenerOptions {
  readonly logId: () => string;
  readonly fold: Fold;
  readonly live: LiveEngine;
  readonly views: ViewRegistry;
  readonly queries: QueryRunner;
  readonly position: () => Position;
  readonly now: () => number;
  readonly yield: () => Promise<void>;
  readonly onLost: (entry: ViewEntry, error: CaucusError) => void;
}

export interface OpenRequest {
  readonly query: string;
  readonly policy?: string;
  readonly from?: string;
}

export class ViewOpener {
  readonly #options: ViewOpenerOptions;

  constructor(options: ViewOpenerOptions) {
    this.#options = options;
  }

  async open(request: OpenRequest): Promise<View> {
    const { live, logId, queries } = this.#options;
    const from = request.from === undefined ? undefined : decodeRevision(logId(), request.from);
    // A client never sees an older state than it has shown.
    if (from !== undefined) await queries.waitFor(from);
    return await new Promise<View>((resolve, reject) => {
      void live.queue.run(async () => {
        try {
          resolve(await this.#openNow(request, from));
          // The opener registers its routes before the next cut can commit.
          await this.#options.yield();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  /** Drops what nobody has used for a while, between two cuts. */
  sweep(): void {
    const { live, views, now } = this.#options;
    if (views.expired(now()).length > 0) void live.queue.run(() => this.#dropExpired());
  }

  async #openNow(request: OpenRequest, from: number | undefined): Promise<View> {
    const { fold, live, queries, views } = this.#options;
    const { failures } = live.running;
    const query = queries.compile(fold.compiled, failures, request.query, request.policy);
    const known = views.find(query.text);
    if (known !== undefined) {
      const snapshot = await queries.viewRows(known);
      return this.#view(known, query, snapshot, from);
    }
    await this.#dropExpired();
    if (views.size >= VIEW_COUNT_MAX) {
      throw new CaucusError('limit_exceeded', `there are ${views.size} views already`, {
        remedy: 'close subscriptions that are not needed',
      });
    }
    const entry = views.create(query, this.#options.position().revision);
    let snapshot = emptyBlock(query.outputs.length);
    const onRows = (deltas: ReadonlyMap<TableKey, TableDelta>): void => {
      snapshot = deltas.get(entry.table)?.insert ?? snapshot;
    };
    const failure = live.running.viewTables.has(plannedTable(entry))
      ? await this.#addKey(entry, onRows)
      : await this.#replan([...views.all(), entry], onRows);
    views.dropShapes(live.running.viewTables);
    if (failure !== undefined) throw viewError(failure);
    return this.#view(entry, query, snapshot, from);
  }

  #view(
    entry: ViewEntry,
    query: StratifiedQuery,
    snapshot: RowBlock,
    from: number | undefined,
  ): View {
    const { views, position, now } = this.#options;
    const since = from === undefined ? undefined : views.since(entry, from);
    views.acquire(entry);
    let isOpen = true;
    return {
      columns: query.columns,
      snapshot,
      position: position(),
      table: entry.table,
      ...(since === undefined ? {} : { since }),
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        views.release(entry, now());
        this.sweep();
      },
    };
  }

  /** Takes views that nobody has used for a while out of the engine. */
  async #dropExpired(): Promise<void> {
    const { views, now } = this.#options;
    const expired = new Set(views.expired(now()));
    if (expired.size === 0) return;
    const { live } = this.#options;
    const isShared = [...expired].every(({ shape }) => shape !== undefined);
    if (isShared && views.emptyShapes().length < EMPTY_SHAPES_MAX) {
      await this.#dropKeys([...expired]);
      return;
    }
    const kept = views.all().filter((entry) => !expired.has(entry));
    const failure = await this.#replan(kept, () => undefined);
    // Less than before cannot be too much; should it fail all the same, they just stay.
    if (failure !== undefined) return;
    for (const entry of expired) views.remove(entry);
    views.dropShapes(live.running.viewTables);
  }

  /** A view more of a plan that runs. */
  async #addKey(
    entry: ViewEntry,
    onRows: (deltas: ReadonlyMap<TableKey, TableDelta>) => void,
  ): Promise<TransactionFailure | undefined> {
    const { live, views } = this.#options;
    const { shape, constants } = entry;
    if (shape === undefined) throw new Error('the view has a plan of its own');
    const changes = [keyChange(shape, 'insert', [constants])];
    return await live.transact({ changes }, (result) => {
      live.commit();
      views.add(entry);
      onRows(views.route(result.deltas));
    });
  }

  async #dropKeys(entries: readonly ViewEntry[]): Promise<void> {
    const { live, views } = this.#options;
    const changes = entries.flatMap(({ shape, constants }) =>
      shape === undefined ? [] : [keyChange(shape, 'delete', [constants])],
    );
    // Less than before cannot be too much; should it fail all the same, they just stay.
    await live.transact({ changes, withoutDeltas: true }, () => {
      live.commit();
      for (const entry of entries) views.remove(entry);
    });
  }

  /** Lets the engine run the same program with other views; no revision comes of it. */
  async #replan(
    entries: readonly ViewEntry[],
    onRows: (deltas: ReadonlyMap<TableKey, TableDelta>) => void,
  ): Promise<TransactionFailure | undefined> {
    const { fold, live, views, onLost } = this.#options;
    const planned: Planned = fold.plan(fold.compiled, fold.state.failures, entries);
    const unopened = planned.lost.find(({ entry }) => views.find(entry.text) !== entry);
    if (unopened !== undefined) throw unopened.error;
    return await live.transact({ plan: planned.plan, changes: planned.keyChanges }, (result) => {
      live.commit(fold.running(planned));
      for (const { entry, query } of planned.kept) {
        entry.query = query;
        views.add(entry);
      }
      for (const { entry, error } of planned.lost) {
        views.remove(entry);
        onLost(entry, error);
      }
      onRows(views.route(result.deltas));
    });
  }
}
