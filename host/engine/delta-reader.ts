/** What a computed transaction changed in the watched tables, read before its commit. */
import * as abi from '../../engine-as/abi.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { RowBlock } from '../value/row-block.ts';
import { emptyBlock } from '../value/row-block.ts';
import { readBlock } from './block-reader.ts';
import type { Core } from './core.ts';
import type { TableDelta } from './engine.ts';
import type { Binding, BoundRelation } from './relation-binding.ts';
import { isWatched } from './slices.ts';

/** Changed tables only, by key; `turn` runs between slices. */
export async function readDeltas(
  core: Core,
  binding: Binding,
  former: Binding | undefined,
  turn: () => Promise<void>,
): Promise<TableDelta[]> {
  const deltas: TableDelta[] = [];
  const tables = binding === former ? changedTables(core, binding) : binding.plan.tables.keys();
  for (const table of tables) {
    if (!isWatched(binding.plan, table)) continue;
    const bound = binding.byName.get(table) as BoundRelation;
    const delta = await readDelta(core, bound, watchedBefore(table, bound, former), turn);
    if (delta !== undefined && delta.insert.count + delta.delete.count > 0) {
      deltas.push({ table, ...delta });
    }
  }
  return deltas.sort((a, b) => (a.table < b.table ? -1 : 1));
}

/** Tables of a running program that the transaction touched, be it in vain. */
function changedTables(core: Core, { plan, byHandle }: Binding): TableKey[] {
  const tables: TableKey[] = [];
  for (let place = 0; ; place++) {
    const handle = core.exports.changedRelation(place);
    if (handle < 0) return tables;
    const name = byHandle.get(handle)?.relation.name;
    if (name !== undefined && plan.tables.has(name)) tables.push(name);
  }
}

/** The table's relation so far, if it was watched and had as many columns. */
function watchedBefore(
  table: TableKey,
  bound: BoundRelation,
  former: Binding | undefined,
): BoundRelation | undefined {
  if (former === undefined || !isWatched(former.plan, table)) return undefined;
  const old = former.byName.get(table);
  return old?.relation.arity === bound.relation.arity ? old : undefined;
}

/** A table that begins to be watched gives all its rows; a new definition, the difference. */
async function readDelta(
  core: Core,
  { relation, handle }: BoundRelation,
  old: BoundRelation | undefined,
  turn: () => Promise<void>,
): Promise<{ insert: RowBlock; delete: RowBlock } | undefined> {
  const { arity } = relation;
  const read = async (kind: number, from: number, other?: number): Promise<RowBlock> => {
    const request = other === undefined ? { kind, handle: from } : { kind, handle: from, other };
    const block = await readBlock(core, request, arity, async () => {
      await turn();
      return true;
    });
    return block ?? emptyBlock(arity);
  };
  if (old === undefined) {
    return { insert: await read(abi.OUTPUT_NEW, handle), delete: emptyBlock(arity) };
  }
  if (old.handle !== handle) {
    const insert = await read(abi.OUTPUT_GAINED, handle, old.handle);
    return { insert, delete: await read(abi.OUTPUT_LOST, old.handle, handle) };
  }
  if (core.exports.deltaRows(handle) === 0) return undefined;
  const insert = await read(abi.OUTPUT_ADDED, handle);
  return { insert, delete: await read(abi.OUTPUT_REMOVED, handle) };
}
