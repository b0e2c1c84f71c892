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
import { emptyBlock } from '../value/row-block.ts';
import { groupKey, groupRows } from '../value/row-groups.ts';
import type { Row } from '../value/value.ts';
import type { Position, ViewDelta } from './replica.ts';
import { constantsOf, createShape } from './view-shape.ts';
import type { ViewShape } from './view-shape.ts';

export interface ViewEntry {
  readonly name: string;
  readonly table: TableKey;
  /** The query with its names resolved: it means the same whatever policies come later. */
  readonly text: string;
  /** Whose plan it shares with views of other constants; undefined: it has one of its own. */
  readonly shape: ViewShape | undefined;
  readonly constants: Row;
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
  readonly #byTable = new Map<TableKey, ViewEntry>();
  readonly #shapes = new Map<string, ViewShape>();
  /** By table of the shape: its views by their constants. */
  readonly #sharing = new Map<TableKey, Map<string, ViewEntry>>();
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
    const constants = constantsOf(query);
    return {
      name,
      table: viewTable(name),
      text: query.text,
      shape: constants === undefined ? undefined : this.#shapeOf(query, constants),
      constants: constants ?? [],
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
    this.#byTable.set(entry.table, entry);
    this.#sharingOf(entry)?.set(groupKey(entry.constants), entry);
  }

  remove(entry: ViewEntry): void {
    if (this.#byText.get(entry.text) !== entry) return;
    this.#byText.delete(entry.text);
    this.#byTable.delete(entry.table);
    this.#sharingOf(entry)?.delete(groupKey(entry.constants));
  }

  /** Shapes that no view has. */
  emptyShapes(): ViewShape[] {
    return [...this.#shapes.values()].filter(
      ({ table }) => (this.#sharing.get(table)?.size ?? 0) === 0,
    );
  }

  /** Forgets shapes that no view has and the plan has not. */
  dropShapes(planned: ReadonlySet<TableKey>): void {
    const empty = new Set(this.emptyShapes());
    for (const [text, shape] of this.#shapes) {
      if (!empty.has(shape) || planned.has(shape.table)) continue;
      this.#shapes.delete(text);
      this.#sharing.delete(shape.table);
    }
  }

  /** The deltas by table; those of a shared plan by the views that share it. */
  route(deltas: readonly TableDelta[]): Map<TableKey, TableDelta> {
    const routed = new Map<TableKey, TableDelta>();
    for (const delta of deltas) {
      const sharing = this.#sharing.get(delta.table);
      if (sharing === undefined) routed.set(delta.table, delta);
      else routeShared(delta, sharing, routed);
    }
    return routed;
  }

  #shapeOf(query: StratifiedQuery, constants: Row): ViewShape {
    const text = query.shape ?? query.text;
    let shape = this.#shapes.get(text);
    if (shape === undefined) {
      shape = createShape(++this.#created, constants.length, query);
      this.#shapes.set(text, shape);
    }
    return shape;
  }

  #sharingOf({ shape }: ViewEntry): Map<string, ViewEntry> | undefined {
    if (shape === undefined) return undefined;
    let sharing = this.#sharing.get(shape.table);
    if (sharing === undefined) this.#sharing.set(shape.table, (sharing = new Map()));
    return sharing;
  }

  /** Remembers what a revision changed, for those who resume. */
  record(deltas: ReadonlyMap<TableKey, TableDelta>, position: Position): void {
    for (const [table, delta] of deltas) {
      const entry = this.#byTable.get(table);
      if (entry === undefined) continue;
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

function routeShared(
  delta: TableDelta,
  sharing: ReadonlyMap<string, ViewEntry>,
  routed: Map<TableKey, TableDelta>,
): void {
  const [first] = sharing.values();
  if (first === undefined) return;
  const keyArity = first.constants.length;
  const none = emptyBlock(delta.insert.arity - keyArity);
  const inserted = groupRows(delta.insert, keyArity);
  const deleted = groupRows(delta.delete, keyArity);
  for (const key of new Set([...inserted.keys(), ...deleted.keys()])) {
    // Of a view that has just been closed.
    const entry = sharing.get(key);
    if (entry === undefined) continue;
    const [insert, remove] = [inserted.get(key) ?? none, deleted.get(key) ?? none];
    routed.set(entry.table, { table: entry.table, insert, delete: remove });
  }
}

/** The table that the engine keeps for a view. */
export function plannedTable({ shape, table }: ViewEntry): TableKey {
  return shape?.table ?? table;
}

function viewTable(name: string): TableKey {
  return `$view:${name}`;
}

export function isViewTable(table: TableKey): boolean {
  return table.startsWith('$view:');
}

function deltaBytes(delta: Pick<TableDelta, 'insert' | 'delete'>): number {
  return delta.insert.bytes.length + delta.delete.bytes.length;
}
