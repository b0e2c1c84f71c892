/**
 * Views of the replica, fanned out to the connections that subscribed to them.
 *
 *   replica ── commit ──► Subscriptions ── rows of its views ──► Subscriber (one a connection)
 *                                                                 └─ Outbox ──► connection
 *
 * A view is opened asynchronously while commits go on. What commits meanwhile is kept and laid over
 * the view's rows, so that a connection's subscriptions all stand at the same revision when they
 * start. No I/O, no clock: the connection pulls (`take`) when it may send and is woken when there
 * is something new.
 */
import type { Commit, Position, Replica, View, ViewDelta } from '../replica/replica.ts';
import type { TableKey } from '../compiler/stratified.ts';
import { applyChanges, sumChanges } from './change.ts';
import { Outbox } from './outbox.ts';
import type { Gap, Mode, OutboundTransaction, OutboxLimits, Part } from './outbox.ts';

export interface SubscriptionRequest {
  /** Unique among the subscriptions of the connection; the caller has checked it. */
  readonly id: string;
  readonly query: string;
  readonly policy?: string;
  /** Resume after this token. */
  readonly from?: string;
  readonly mode: Mode;
}

export interface SubscriptionStart {
  readonly id: string;
  /** `resume`: the changes after `from` follow; `snapshot`: a transaction with all rows follows. */
  readonly start: 'resume' | 'snapshot';
  readonly columns: readonly string[];
  /** Nothing after it will be missed. */
  readonly position: Position;
}

/** What a connection is told. Called synchronously; `onWake` after everything else. */
export interface SubscriberEvents {
  onStart(start: SubscriptionStart): void;
  /** The subscription could not be opened or can no longer be kept. It is gone. */
  onEnd(id: string, error: unknown): void;
  onGap(gap: Gap): void;
  /** `take` may have something. */
  onWake(): void;
}

interface Opening {
  readonly commits: Commit[];
  readonly lost: Map<TableKey, Error>;
}

/** A view with what was committed after it was read. */
interface OpenedView {
  readonly request: SubscriptionRequest;
  readonly view: View;
  readonly later: readonly ViewDelta[];
}
interface FailedView {
  readonly id: string;
  readonly error: unknown;
}

export class Subscriptions {
  readonly #replica: Pick<Replica, 'openView' | 'onCommit' | 'onViewLost'>;
  readonly #limits: OutboxLimits;
  readonly #members = new Map<TableKey, Set<Member>>();
  readonly #openings = new Set<Opening>();
  readonly #stops: (() => void)[];
  #position: Position;

  constructor(
    replica: Pick<Replica, 'openView' | 'onCommit' | 'onViewLost' | 'status'>,
    limits: OutboxLimits,
  ) {
    this.#replica = replica;
    this.#limits = limits;
    const { revision, token } = replica.status();
    this.#position = { revision, token };
    this.#stops = [
      replica.onCommit((commit) => this.#commitOnReplica(commit)),
      replica.onViewLost((table, error) => this.#viewOnLost(table, error)),
    ];
  }

  /** The last commit. */
  get position(): Position {
    return this.#position;
  }

  connect(events: SubscriberEvents): Subscriber {
    return new Subscriber(this, this.#limits, events);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  /**
   * Opens views and calls `onOpened` in the same tick in which they are brought to the position of
   * the hub: no commit can come between.
   */
  async open(
    requests: readonly SubscriptionRequest[],
    onOpened: (opened: readonly OpenedView[], failed: readonly FailedView[]) => void,
  ): Promise<void> {
    const opening: Opening = { commits: [], lost: new Map() };
    this.#openings.add(opening);
    const results = await Promise.allSettled(requests.map((request) => this.#openView(request)));
    this.#openings.delete(opening);
    const opened: OpenedView[] = [];
    const failed: FailedView[] = [];
    for (const [index, result] of results.entries()) {
      const request = requests[index] as SubscriptionRequest;
      if (result.status === 'rejected') {
        failed.push({ id: request.id, error: result.reason });
        continue;
      }
      const view = result.value;
      const lost = opening.lost.get(view.table);
      if (lost !== undefined) {
        view.close();
        failed.push({ id: request.id, error: lost });
        continue;
      }
      // Before the first commit the hub may only know what a starting replica said: no token.
      if (view.position.revision >= this.#position.revision) this.#position = view.position;
      opened.push({ request, view, later: changesAfter(view, opening.commits) });
    }
    onOpened(opened, failed);
  }

  join(member: Member): void {
    const members = this.#members.get(member.view.table);
    if (members === undefined) this.#members.set(member.view.table, new Set([member]));
    else members.add(member);
  }

  leave(member: Member): void {
    const members = this.#members.get(member.view.table);
    members?.delete(member);
    if (members?.size === 0) this.#members.delete(member.view.table);
    member.view.close();
  }

  async #openView({ query, policy, from }: SubscriptionRequest): Promise<View> {
    return this.#replica.openView({
      query,
      ...(policy === undefined ? {} : { policy }),
      ...(from === undefined ? {} : { from }),
    });
  }

  #commitOnReplica(commit: Commit): void {
    this.#position = { revision: commit.revision, token: commit.token };
    for (const opening of this.#openings) opening.commits.push(commit);
    const parts = new Map<Subscriber, { readonly place: number; readonly part: Part }[]>();
    for (const [table, change] of commit.deltas) {
      for (const { subscriber, id, place } of this.#members.get(table) ?? []) {
        const part: Part = { id, snapshot: false, conflated: false, change };
        const held = parts.get(subscriber);
        if (held === undefined) parts.set(subscriber, [{ place, part }]);
        else held.push({ place, part });
      }
    }
    for (const [subscriber, own] of parts) {
      // In the order in which they were added, however the engine orders its tables.
      own.sort((a, b) => a.place - b.place);
      subscriber.commit(
        this.#position,
        own.map(({ part }) => part),
      );
    }
  }

  #viewOnLost(table: TableKey, error: Error): void {
    for (const opening of this.#openings) opening.lost.set(table, error);
    for (const { subscriber, id } of [...(this.#members.get(table) ?? [])]) {
      subscriber.lose(id, error);
    }
  }
}

/** One subscription of one connection. */
interface Member {
  readonly subscriber: Subscriber;
  readonly id: string;
  /** Grows from one subscription of the connection to the next. */
  readonly place: number;
  readonly request: SubscriptionRequest;
  readonly view: View;
}

/** The subscriptions of one connection. */
export class Subscriber {
  readonly #hub: Subscriptions;
  readonly #events: SubscriberEvents;
  readonly #outbox: Outbox;
  readonly #members = new Map<string, Member>();
  #places = 0;
  #refreshing = false;
  #closed = false;

  constructor(hub: Subscriptions, limits: OutboxLimits, events: SubscriberEvents) {
    this.#hub = hub;
    this.#events = events;
    this.#outbox = new Outbox(limits);
  }

  get count(): number {
    return this.#members.size;
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  /** Changes when the id is removed and used again; undefined for an unknown one. */
  stamp(id: string): object | undefined {
    return this.#members.get(id)?.request;
  }

  /** Bytes held for this connection. */
  get pendingBytes(): { readonly changes: number; readonly snapshots: number } {
    return this.#outbox.pendingBytes;
  }

  /** All start at one revision. Reports through the events; never rejects. */
  add(requests: readonly SubscriptionRequest[]): Promise<void> {
    return this.#hub.open(requests, (opened, failed) => {
      if (this.#closed) {
        for (const { view } of opened) view.close();
        return;
      }
      for (const { id, error } of failed) this.#events.onEnd(id, error);
      for (const { request, view } of opened) {
        this.#join(request, view);
        this.#outbox.add(request.id, request.mode);
        this.#events.onStart({
          id: request.id,
          start: view.since === undefined ? 'snapshot' : 'resume',
          columns: view.columns,
          position: this.#hub.position,
        });
      }
      this.#enqueueStart(opened);
      this.#events.onWake();
    });
  }

  /** False when there is no such subscription. */
  remove(id: string): boolean {
    const member = this.#members.get(id);
    if (member === undefined) return false;
    this.#members.delete(id);
    this.#outbox.remove(id);
    this.#hub.leave(member);
    return true;
  }

  /**
   * The next transaction to send. Call it only when all that was taken before is sent: while the
   * caller does not, what waits is conflated.
   */
  take(): OutboundTransaction | undefined {
    const transaction = this.#outbox.take();
    if (transaction === undefined) void this.#refreshStale();
    return transaction;
  }

  /** Position up to which nothing is missing once all that was taken is sent. */
  completeTo(): Position | undefined {
    return this.#outbox.completeTo(this.#hub.position);
  }

  /** A progress frame with this position was sent. */
  tell(position: Position): void {
    this.#outbox.tell(position);
  }

  close(): void {
    this.#closed = true;
    for (const id of [...this.#members.keys()]) this.remove(id);
  }

  /** For `Subscriptions`: rows of this connection's views changed. */
  commit(position: Position, parts: readonly Part[]): void {
    this.#enqueue(position, parts);
    this.#events.onWake();
  }

  /** For `Subscriptions`: a view is gone. */
  lose(id: string, error: Error): void {
    if (this.remove(id)) this.#events.onEnd(id, error);
  }

  #join(request: SubscriptionRequest, view: View): void {
    const place = this.#places++;
    const member: Member = { subscriber: this, id: request.id, place, request, view };
    this.#members.set(request.id, member);
    this.#hub.join(member);
  }

  #enqueue(position: Position, parts: readonly Part[]): void {
    for (const gap of this.#outbox.enqueue(position, parts)) this.#events.onGap(gap);
  }

  /**
   * Snapshots go into one transaction at the replica's position. Resumed subscriptions get one
   * transaction a revision, as the first time; on a connection that has already been told of a
   * later revision, where time must not go back, they get the net change.
   */
  #enqueueStart(opened: readonly OpenedView[]): void {
    const head = this.#hub.position;
    const perRevision = !this.#outbox.started;
    const transactions = new Map<number, { position: Position; parts: Part[] }>();
    const put = (position: Position, part: Part): void => {
      const held = transactions.get(position.revision);
      if (held === undefined) transactions.set(position.revision, { position, parts: [part] });
      else held.parts.push(part);
    };
    for (const { request, view, later } of opened) {
      const { id } = request;
      if (view.since === undefined) {
        put(head, snapshotPart(id, view, later));
        continue;
      }
      const changes = [...view.since, ...later];
      if (perRevision) {
        for (const change of changes) {
          put(change, { id, snapshot: false, conflated: false, change });
        }
      } else if (changes.length > 0) {
        const change = sumChanges(view.snapshot.arity, changes);
        put(head, { id, snapshot: false, conflated: changes.length > 1, change });
      }
    }
    const inOrder = [...transactions.values()].sort(
      (a, b) => a.position.revision - b.position.revision,
    );
    for (const { position, parts } of inOrder) this.#enqueue(position, parts);
  }

  /** Reads the views anew whose rows were dropped, once everything else is sent. */
  async #refreshStale(): Promise<void> {
    if (this.#refreshing || this.#closed) return;
    const stale = this.#outbox.staleIds().flatMap((id) => this.#members.get(id) ?? []);
    if (stale.length === 0) return;
    this.#refreshing = true;
    const requests = stale.map(({ request: { from: _from, ...request } }) => request);
    await this.#hub.open(requests, (opened, failed) => {
      this.#refreshing = false;
      for (const { id, error } of failed) if (this.remove(id)) this.#events.onEnd(id, error);
      const parts: Part[] = [];
      for (const { request, view, later } of opened) {
        const old = this.#members.get(request.id);
        // It may have been removed, or removed and added again, while the view was read.
        if (old === undefined || !stale.includes(old)) {
          view.close();
          continue;
        }
        this.#hub.leave(old);
        this.#join(old.request, view);
        parts.push(snapshotPart(request.id, view, later));
      }
      this.#enqueue(this.#hub.position, parts);
      this.#events.onWake();
    });
  }
}

function snapshotPart(id: string, view: View, later: readonly ViewDelta[]): Part {
  const insert = applyChanges(view.snapshot, later);
  const none = { arity: insert.arity, count: 0, bytes: new Uint8Array(0) };
  return { id, snapshot: true, conflated: false, change: { insert, delete: none } };
}

function changesAfter(view: View, commits: readonly Commit[]): ViewDelta[] {
  const later: ViewDelta[] = [];
  for (const commit of commits) {
    if (commit.revision <= view.position.revision) continue;
    const delta = commit.deltas.get(view.table);
    if (delta === undefined) continue;
    const { revision, token } = commit;
    later.push({ revision, token, insert: delta.insert, delete: delta.delete });
  }
  return later;
}
