/**
 * What one connection has still to be sent: a queue of transactions, each over all its
 * subscriptions at one revision, and what happens to it when the client reads slower than the
 * tables change.
 *
 *   mode `latest`   a transaction that waits takes later ones up into it (the net change), unless it
 *                   also carries rows for an `every` subscription
 *   mode `every`    transactions queue; over the budget these rows are dropped first
 *   over the budget all the same: what waits is dropped
 *
 * A subscription that lost rows is *stale*: the client is told of the gap (its token no longer
 * holds for that view), and gets nothing more of it until a snapshot replaces the view.
 *
 * So a connection never holds more than `backlogBytesMax` of changes and `snapshotBytesMax` of
 * snapshots, however slow it is, and nothing is lost in silence. No I/O, no clock.
 */
import type { Position } from '../replica/replica.ts';
import { NetChange, changeBytes } from './change.ts';
import type { Change } from './change.ts';

export type Mode = 'every' | 'latest';

export interface Part {
  readonly id: string;
  /** The rows are the whole view and replace what the client holds. */
  readonly snapshot: boolean;
  /** The rows are the net change over several revisions. */
  readonly conflated: boolean;
  readonly change: Change;
}

export interface OutboundTransaction {
  /**
   * Revision of the transaction or progress before it on this connection; undefined for the first.
   */
  readonly from: number | undefined;
  readonly position: Position;
  readonly parts: readonly Part[];
}

export interface Gap {
  readonly id: string;
  /** The client has everything up to here; undefined when it has nothing yet. */
  readonly lostFrom: number | undefined;
  readonly lostTo: number;
}

export interface OutboxLimits {
  readonly backlogBytesMax: number;
  readonly snapshotBytesMax: number;
}

interface PendingPart {
  readonly id: string;
  readonly snapshot: boolean;
  conflated: boolean;
  change: Change | NetChange;
}
interface Pending {
  position: Position;
  readonly parts: Map<string, PendingPart>;
}
interface Member {
  readonly mode: Mode;
  stale: boolean;
}

export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #members = new Map<string, Member>();
  #queue: Pending[] = [];
  #told: number | undefined;
  #complete: Position | undefined;

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  /** Whether the client was told of a revision, or will be before anything that is added now. */
  get started(): boolean {
    return this.#told !== undefined || this.#queue.length > 0;
  }

  get hasPending(): boolean {
    return this.#queue.length > 0;
  }

  /** Bytes of changes and of snapshots that wait. */
  get pendingBytes(): { readonly changes: number; readonly snapshots: number } {
    let changes = 0;
    let snapshots = 0;
    for (const pending of this.#queue) {
      for (const part of pending.parts.values()) {
        if (part.snapshot) snapshots += partBytes(part);
        else changes += partBytes(part);
      }
    }
    return { changes, snapshots };
  }

  /** Subscriptions that wait for a snapshot. */
  staleIds(): string[] {
    return [...this.#members].filter(([, member]) => member.stale).map(([id]) => id);
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  add(id: string, mode: Mode, stale = false): void {
    this.#members.set(id, { mode, stale });
  }

  remove(id: string): void {
    this.#members.delete(id);
    this.#dropParts((part) => part.id === id);
  }

  /**
   * Adds a transaction behind those that wait; rows of stale and unknown subscriptions are left
   * out. Positions never go back. Returns the gaps that the client has to be told of, at once.
   */
  enqueue(position: Position, parts: readonly Part[]): Gap[] {
    const pending: Pending = { position, parts: new Map() };
    for (const part of parts) {
      const member = this.#members.get(part.id);
      if (member === undefined || (member.stale && !part.snapshot)) continue;
      if (part.snapshot && !this.#fitsSnapshot(part)) {
        member.stale = true;
        continue;
      }
      member.stale = false;
      pending.parts.set(part.id, { ...part });
    }
    if (pending.parts.size === 0) return [];
    const tail = this.#queue.at(-1);
    if (tail !== undefined && this.#mayGrow(tail)) mergeInto(tail, pending);
    else this.#queue.push(pending);
    return this.pendingBytes.changes > this.#limits.backlogBytesMax ? this.#shed(position) : [];
  }

  /** The next transaction; from now on it is fixed and the caller's to send. */
  take(): OutboundTransaction | undefined {
    for (;;) {
      const pending = this.#queue.shift();
      if (pending === undefined) return undefined;
      const parts: Part[] = [];
      for (const { id, snapshot, conflated, change } of pending.parts.values()) {
        const fixed = change instanceof NetChange ? change.finish() : change;
        if (!snapshot && fixed.insert.count === 0 && fixed.delete.count === 0) continue;
        parts.push({ id, snapshot, conflated, change: fixed });
      }
      this.#complete = pending.position;
      if (parts.length === 0) continue;
      const from = this.#told;
      this.#told = pending.position.revision;
      return { from, position: pending.position, parts };
    }
  }

  /**
   * The position up to which nothing is missing once all that was taken is sent; undefined while
   * that is nowhere: without subscriptions too, since one to come may be resumed from the past.
   * `head` is the position of the replica.
   */
  completeTo(head: Position): Position | undefined {
    if (this.#members.size === 0) return undefined;
    const stale = [...this.#members.values()].some((member) => member.stale);
    return this.#queue.length === 0 && !stale ? head : this.#complete;
  }

  /** The client is told, by a progress frame, that it is complete up to here. */
  tell(position: Position): void {
    this.#told = position.revision;
    this.#complete = position;
  }

  #fitsSnapshot(part: Part): boolean {
    const held = this.pendingBytes.snapshots;
    // One alone is always let through: it is sent at once, in pieces.
    return held === 0 || held + changeBytes(part.change) <= this.#limits.snapshotBytesMax;
  }

  #mayGrow(pending: Pending): boolean {
    for (const part of pending.parts.values()) {
      if (part.snapshot || this.#members.get(part.id)?.mode !== 'latest') return false;
    }
    return true;
  }

  #shed(position: Position): Gap[] {
    const gaps: Gap[] = [];
    const lose = (dropped: (part: PendingPart) => boolean): void => {
      for (const id of this.#dropParts(dropped)) {
        const member = this.#members.get(id);
        if (member === undefined || member.stale) continue;
        member.stale = true;
        gaps.push({ id, lostFrom: this.#told, lostTo: position.revision });
      }
    };
    lose((part) => this.#members.get(part.id)?.mode === 'every');
    const [first, ...rest] = this.#queue.filter((pending) => this.#mayGrow(pending));
    if (first !== undefined && rest.length === this.#queue.length - 1) {
      for (const pending of rest) mergeInto(first, pending);
      this.#queue = [first];
    }
    if (this.pendingBytes.changes > this.#limits.backlogBytesMax) lose(() => true);
    return gaps;
  }

  /** Returns the ids whose parts went. */
  #dropParts(dropped: (part: PendingPart) => boolean): Set<string> {
    const ids = new Set<string>();
    for (const pending of this.#queue) {
      for (const part of pending.parts.values()) {
        if (!dropped(part)) continue;
        pending.parts.delete(part.id);
        ids.add(part.id);
      }
    }
    this.#queue = this.#queue.filter((pending) => pending.parts.size > 0);
    return ids;
  }
}

function mergeInto(target: Pending, later: Pending): void {
  target.position = later.position;
  for (const part of later.parts.values()) {
    const held = target.parts.get(part.id);
    if (held === undefined) {
      target.parts.set(part.id, part);
      continue;
    }
    if (!(held.change instanceof NetChange)) held.change = netOf(held.change);
    held.change.add(part.change instanceof NetChange ? part.change.finish() : part.change);
    held.conflated = true;
  }
}

function netOf(change: Change): NetChange {
  return new NetChange(Math.max(change.insert.arity, change.delete.arity)).add(change);
}

function partBytes(part: PendingPart): number {
  return part.change instanceof NetChange ? part.change.byteLength : changeBytes(part.change);
}
