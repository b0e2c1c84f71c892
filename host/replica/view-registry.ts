/**
 * Queries kept up to date for subscribers. Local to this replica: a view is charged to those who
 * opened it and can neither change nor stop the replicated state. Equal resolved text is one view,
 * however many opened it.
 */
import type { StratifiedQuery, TableKey } from '../compiler/stratified.ts';
import type { TableDelta } from '../engine/engine.ts';
import {
  VIEW_HISTORY_BYTES_MAX,
  VIEW_HISTORY_COUNT_MAX,
  VIEW_IDLE_COUNT_MAX,
  VIEW_IDLE_MS_MAX,
} from '../limits.ts';
import type { Position, ViewDelta } from './replica.ts';

export interface ViewEntry {
  readonly name: string;
  readonly table: TableKey;
  /** The query with its names resolved: it means the same whatever policies come later. */
  readonly text: string;
  query: StratifiedQuery;
  users: number;
  /** Since when nobody uses it. */
  idleSinceMs: number | undefined;
  /** Deltas after `historyFrom`, oldest first. */
  history: ViewDelta[];
  historyBytes: number;
  historyFrom: number;
}

export class ViewRegistry {
  readonly #byText = new Map<string, ViewEntry>();
  #created = 0;

  get size(): number {
    return this.#byText.size;
  }

  find(text: string): ViewEntry | undefined {
    return this.#byText.get(text);
  }

  all(): ViewEntry[] {
    return [...this.#byText.values()];
  }

  /** An entry that is not registered yet: it exists from `add` on. */
  create(query: StratifiedQuery, revision: number): ViewEntry {
    const name = `v${++this.#created}`;
    return {
      name,
      table: viewTable(name),
      text: query.text,
      query,
      users: 0,
      idleSinceMs: undefined,
      history: [],
      historyBytes: 0,
      historyFrom: revision,
    };
  }

  add(entry: ViewEntry): void {
    this.#byText.set(entry.text, entry);
  }

  remove(entry: ViewEntry): void {
    if (this.#byText.get(entry.text) === entry) this.#byText.delete(entry.text);
  }

  /** Remembers what a revision changed, for those who resume. */
  record(deltas: ReadonlyMap<TableKey, TableDelta>, position: Position): void {
    for (const entry of this.#byText.values()) {
      const delta = deltas.get(entry.table);
      if (delta === undefined) continue;
      entry.history.push({ ...position, insert: delta.insert, delete: delta.delete });
      entry.historyBytes += deltaBytes(delta);
      while (
        entry.history.length > VIEW_HISTORY_COUNT_MAX ||
        entry.historyBytes > VIEW_HISTORY_BYTES_MAX
      ) {
        const oldest = entry.history.shift();
        if (oldest === undefined) break;
        entry.historyBytes -= deltaBytes(oldest);
        entry.historyFrom = oldest.revision;
      }
    }
  }

  /** The deltas after `revision`, or undefined where some are no longer held. */
  since(entry: ViewEntry, revision: number): ViewDelta[] | undefined {
    if (revision < entry.historyFrom) return undefined;
    return entry.history.filter((delta) => delta.revision > revision);
  }

  /** The oldest revision from which some view has its deltas. */
  get historyFrom(): number | undefined {
    let oldest: number | undefined;
    for (const { historyFrom } of this.#byText.values()) {
      if (oldest === undefined || historyFrom < oldest) oldest = historyFrom;
    }
    return oldest;
  }

  acquire(entry: ViewEntry): void {
    entry.users++;
    entry.idleSinceMs = undefined;
  }

  release(entry: ViewEntry, nowMs: number): void {
    entry.users--;
    if (entry.users === 0) entry.idleSinceMs = nowMs;
  }

  /** Views without users that need not be kept any longer, the longest idle first. */
  expired(nowMs: number): ViewEntry[] {
    const idle = this.all().filter((entry) => entry.idleSinceMs !== undefined);
    idle.sort((a, b) => (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0));
    const surplus = idle.length - VIEW_IDLE_COUNT_MAX;
    return idle.filter(
      (entry, index) => index < surplus || nowMs - (entry.idleSinceMs ?? 0) >= VIEW_IDLE_MS_MAX,
    );
  }
}

export function viewTable(name: string): TableKey {
  return `$view:${name}`;
}

export function isViewTable(table: TableKey): boolean {
  return table.startsWith('$view:');
}

function deltaBytes(delta: Pick<TableDelta, 'insert' | 'delete'>): number {
  return delta.insert.bytes.length + delta.delete.bytes.length;
}
