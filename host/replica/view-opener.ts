/**
 * Opens and closes views. A view enters the engine by a transaction between two cuts, which makes
 * no revision; its rows, the position and the subscription are one moment, because nothing else
 * transacts meanwhile. Views that wait together enter together: a new plan costs a walk over the
 * whole program, so that a thousand plans of one view more each would take minutes.
 */
import type { StratifiedQuery, TableKey } from '../compiler/stratified.ts';
import type { TableDelta, TransactionFailure } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { VIEW_COUNT_MAX, VIEWS_OPENED_TOGETHER_MAX } from '../limits.ts';
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

/** A request whose turn has not come. */
interface Waiting {
  readonly request: OpenRequest;
  readonly from: number | undefined;
  readonly resolve: (view: View) => void;
  readonly reject: (error: Error) => void;
}

/** A view that is not there yet, and who asked for it. */
interface Fresh {
  readonly query: StratifiedQuery;
  readonly entry: ViewEntry;
  readonly askers: Waiting[];
}

type OnRows = (deltas: ReadonlyMap<TableKey, TableDelta>) => void;

export class ViewOpener {
  readonly #options: ViewOpenerOptions;
  #waiting: Waiting[] = [];

  constructor(options: ViewOpenerOptions) {
    this.#options = options;
  }

  async open(request: OpenRequest): Promise<View> {
    const { logId, queries } = this.#options;
    const from = request.from === undefined ? undefined : decodeRevision(logId(), request.from);
    // A client never sees an older state than it has shown.
    if (from !== undefined) await queries.waitFor(from);
    return await new Promise<View>((resolve, reject) => {
      this.#waiting.push({ request, from, resolve, reject });
      if (this.#waiting.length === 1) this.#queueWaiting();
    });
  }

  /** Drops what nobody has used for a while, between two cuts. */
  sweep(): void {
    const { live, views, now } = this.#options;
    if (views.expired(now()).length > 0) void live.queue.run(() => this.#dropExpired());
  }

  /** Those who are too many for one turn wait for another, so that cuts pass in between. */
  #queueWaiting(): void {
    void this.#options.live.queue.run(async () => {
      const group = this.#waiting.slice(0, VIEWS_OPENED_TOGETHER_MAX);
      this.#waiting = this.#waiting.slice(group.length);
      if (this.#waiting.length > 0) this.#queueWaiting();
      try {
        await this.#openTogether(group);
        // The openers register their routes before the next cut can commit.
        await this.#options.yield();
      } catch (error) {
        // Whoever was answered before does not notice.
        for (const one of group) one.reject(asError(error));
      }
    });
  }

  async #openTogether(group: readonly Waiting[]): Promise<void> {
    const { fold, live, queries, views, position } = this.#options;
    const known = new Map<ViewEntry, { query: StratifiedQuery; askers: Waiting[] }>();
    const fresh = new Map<string, Fresh>();
    for (const asker of group) {
      try {
        const { query: text, policy } = asker.request;
        const { failures } = live.running;
        const query = queries.compile(fold.compiled, failures, text, policy);
        const entry = views.find(query.text);
        if (entry !== undefined) {
          const there = known.get(entry);
          if (there === undefined) known.set(entry, { query, askers: [asker] });
          else there.askers.push(asker);
          continue;
        }
        const one = fresh.get(query.text);
        if (one !== undefined) one.askers.push(asker);
        else if (views.size + fresh.size >= VIEW_COUNT_MAX) throw tooManyViews(views.size);
        else {
          const created = views.create(query, position().revision);
          fresh.set(query.text, { query, entry: created, askers: [asker] });
        }
      } catch (error) {
        asker.reject(asError(error));
      }
    }
    for (const [entry, { query, askers }] of known) {
      const snapshot = await queries.viewRows(entry);
      for (const one of askers) one.resolve(this.#view(entry, query, snapshot, one.from));
    }
    if (fresh.size === 0) return;
    // Those that are opened again just now are no longer idle.
    await this.#dropExpired();
    await this.#openFresh([...fresh.values()]);
    views.dropShapes(live.running.viewTables);
  }

  /** Answers all of them. What one cannot have does not keep the others from theirs. */
  async #openFresh(fresh: readonly Fresh[]): Promise<void> {
    if (fresh.length === 0) return;
    const { viewTables } = this.#options.live.running;
    let routed: ReadonlyMap<TableKey, TableDelta> = new Map();
    const onRows: OnRows = (deltas) => {
      routed = deltas;
    };
    const entries = fresh.map(({ entry }) => entry);
    const refused = new Map<ViewEntry, CaucusError>();
    const failure = entries.every((entry) => viewTables.has(plannedTable(entry)))
      ? await this.#addKeys(entries, onRows)
      : await this.#replan(entries, onRows, refused);
    for (const { entry, askers } of fresh) {
      const error = refused.get(entry);
      if (error !== undefined) for (const one of askers) one.reject(error);
    }
    const rest = fresh.filter(({ entry }) => !refused.has(entry));
    if (failure !== undefined && rest.length > 1) {
      // Whose fault it is shows when each comes alone.
      for (const one of rest) await this.#openFresh([one]);
      return;
    }
    for (const { query, entry, askers } of rest) {
      const snapshot = routed.get(entry.table)?.insert ?? emptyBlock(query.outputs.length);
      for (const one of askers) {
        if (failure !== undefined) one.reject(viewError(failure));
        else one.resolve(this.#view(entry, query, snapshot, one.from));
      }
    }
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
    const failure = await this.#transactPlan(this.#planOf(kept), () => undefined);
    // Less than before cannot be too much; should it fail all the same, they just stay.
    if (failure !== undefined) return;
    for (const entry of expired) views.remove(entry);
    views.dropShapes(live.running.viewTables);
  }

  /** More views of plans that run. */
  async #addKeys(
    entries: readonly ViewEntry[],
    onRows: OnRows,
  ): Promise<TransactionFailure | undefined> {
    const { live, views } = this.#options;
    const changes = entries.map(({ shape, constants }) => {
      if (shape === undefined) throw new Error('the view has a plan of its own');
      return keyChange(shape, 'insert', [constants]);
    });
    return await live.transact({ changes }, (result) => {
      live.commit();
      for (const entry of entries) views.add(entry);
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

  /** Plans the views that are there and those of `entries` that can be; others are `refused`. */
  async #replan(
    entries: readonly ViewEntry[],
    onRows: OnRows,
    refused: Map<ViewEntry, CaucusError>,
  ): Promise<TransactionFailure | undefined> {
    const { views } = this.#options;
    for (;;) {
      const wanted = entries.filter((entry) => !refused.has(entry));
      if (wanted.length === 0) return undefined;
      const planned = this.#planOf([...views.all(), ...wanted]);
      const unopened = planned.lost.filter(({ entry }) => views.find(entry.text) !== entry);
      if (unopened.length === 0) return await this.#transactPlan(planned, onRows);
      for (const { entry, error } of unopened) refused.set(entry, error);
    }
  }

  /** The same program with other views. */
  #planOf(entries: readonly ViewEntry[]): Planned {
    const { fold } = this.#options;
    return fold.plan(fold.compiled, fold.state.failures, entries);
  }

  /** No revision comes of it. */
  async #transactPlan(planned: Planned, onRows: OnRows): Promise<TransactionFailure | undefined> {
    const { fold, live, views, onLost } = this.#options;
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

function tooManyViews(count: number): CaucusError {
  return new CaucusError('limit_exceeded', `there are ${count} views already`, {
    remedy: 'close subscriptions that are not needed',
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
