/** What a policy change would do to the rows, computed and rolled back. */
import { tableKey } from '../compiler/stratified.ts';
import { onDemandTables } from '../compiler/on-demand.ts';
import type { StratifiedProgram, TableKey } from '../compiler/stratified.ts';
import type { TableDelta } from '../engine/engine.ts';
import { CaucusError } from '../errors.ts';
import { emptyBlock } from '../value/row-block.ts';
import { blockDifference } from './block-difference.ts';
import { failedTableChange } from './fold.ts';
import type { Fold } from './fold.ts';
import type { LiveEngine } from './live-engine.ts';
import type { PolicyWriter } from './policy-writer.ts';
import { compiledProgram } from './program.ts';
import type { PolicyDryRun, PolicyWrite } from './replica.ts';

export interface DryRunParts {
  readonly fold: Fold;
  readonly live: LiveEngine;
  readonly policies: PolicyWriter;
}

export async function dryRunPolicy(parts: DryRunParts, write: PolicyWrite): Promise<PolicyDryRun> {
  const { fold, live, policies } = parts;
  const catalog = policies.catalogAfter([write]);
  const { program, diagnostics } = policies.diagnose([write]);
  if (program === undefined) return { diagnostics, deltas: [] };
  return await live.queue.run(async () => {
    const compiled = compiledProgram(catalog, program, fold.compiled.memory);
    const roots = new Map(fold.state.failures);
    roots.delete(write.name);
    const before = live.running.program;
    const planned = fold.plan(compiled, roots, [], true);
    const result = await live.rehearse({
      plan: planned.plan,
      changes: [failedTableChange(planned.failures)],
    });
    if (!result.ok) {
      throw new CaucusError('limit_exceeded', `the policy would fail: ${result.message}`, {
        remedy: 'make its tables smaller',
        details: {
          limit: result.code,
          ...(result.table === undefined ? {} : { table: result.table }),
        },
      });
    }
    const reported = new Map(result.deltas.map((delta) => [delta.table, delta]));
    const deltas: TableDelta[] = [];
    for (const table of derivedTables(before, compiled.program)) {
      const delta = await differenceOf(
        live,
        { before, after: compiled.program },
        table,
        reported.get(table),
      );
      if (delta.insert.count + delta.delete.count > 0) deltas.push(delta);
    }
    return { diagnostics, deltas };
  });
}

/** Keys of the derived tables of either program, sorted. */
function derivedTables(before: StratifiedProgram, after: StratifiedProgram): TableKey[] {
  const keys = new Set<TableKey>();
  for (const table of [...before.tables, ...after.tables]) {
    if (table.kind === 'policy' || table.kind === 'execute') keys.add(tableKey(table));
  }
  // Without rows of their own there is nothing to compare.
  for (const program of [before, after]) {
    for (const index of onDemandTables(program)) {
      const table = program.tables[index];
      if (table !== undefined) keys.delete(tableKey(table));
    }
  }
  return [...keys].sort();
}

/**
 * A table that the engine watches already is reported with its changes. Any other one comes with
 * all its rows, or not at all where it has none or is gone: its changes are worked out here.
 */
async function differenceOf(
  live: LiveEngine,
  programs: { readonly before: StratifiedProgram; readonly after: StratifiedProgram },
  table: TableKey,
  reported: TableDelta | undefined,
): Promise<TableDelta> {
  const isWatched = (program: StratifiedProgram): boolean =>
    program.tables.some((known) => known.kind === 'execute' && tableKey(known) === table);
  const old = await live.engine.rows(table);
  const none = emptyBlock(old.arity);
  if (isWatched(programs.before) && isWatched(programs.after)) {
    return reported ?? { table, insert: none, delete: none };
  }
  const rows = reported?.insert ?? none;
  return { table, insert: blockDifference(rows, old), delete: blockDifference(old, rows) };
}
