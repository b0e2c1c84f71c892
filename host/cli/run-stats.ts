/** `--stats`: sizes and times of a run, as tables for people and as JSON for machines. */
import { tableKey } from '../compiler/stratified.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { RunResult } from './run.ts';
import type { NamedTable, TableNames } from './table-names.ts';
import { renderTable } from './terminal.ts';
import type { Colors } from './terminal.ts';

export function runStatsJson(result: RunResult, names: TableNames, withUpdates: boolean): string {
  const { stats } = result;
  return JSON.stringify({
    evaluateMs: rounded(result.evaluateMs),
    tables: Object.fromEntries(
      statTables(result, names).map((table) => [table.printed, rowsOf(result, table)]),
    ),
    peakBytes: stats.memoryBytes,
    strata: statStrata(result, names).map(({ tables, ms, rounds }) => ({
      tables: tables.map((table) => table.printed),
      ms: rounded(ms),
      rounds,
    })),
    ...(withUpdates ? { updateMs: result.updateMs.map(rounded) } : {}),
  });
}

export function renderRunStats(
  result: RunResult,
  names: TableNames,
  withUpdates: boolean,
  colors: Colors,
): string {
  const { stats } = result;
  const parts: string[] = [];
  const strata = statStrata(result, names);
  if (strata.length > 0) {
    const rows = strata.map(({ tables, ms, rounds }, index) => [
      String(index + 1),
      tables.map((table) => table.printed).join(', '),
      count(tables.reduce((sum, table) => sum + rowsOf(result, table), 0)),
      String(rounds),
      milliseconds(ms),
    ]);
    parts.push(
      renderTable(['stratum', 'tables', 'rows', 'rounds', 'time'], rows, colors, {
        align: ['right', 'left', 'right', 'right', 'right'],
      }),
    );
  }
  const base = statTables(result, names).filter((table) => !table.defined);
  if (base.length > 0) {
    const rows = base.map((table) => [table.printed, count(rowsOf(result, table))]);
    parts.push(renderTable(['base table', 'rows'], rows, colors, { align: ['left', 'right'] }));
  }
  const totals = [
    ['evaluation', milliseconds(result.evaluateMs)],
    ['memory', `${(stats.memoryBytes / 2 ** 20).toFixed(1)} MiB`],
  ];
  if (withUpdates) {
    const total = result.updateMs.reduce((sum, ms) => sum + ms, 0);
    const largest = result.updateMs.reduce((most, ms) => Math.max(most, ms), 0);
    totals.push(
      ['batches', count(result.updateMs.length)],
      ['all batches', milliseconds(total)],
      ['slowest batch', milliseconds(largest)],
    );
  }
  parts.push(renderTable(['total', ''], totals, colors, { align: ['left', 'right'] }));
  return parts.join('\n\n');
}

/** All tables but those of the engine itself that hold nothing. */
function statTables(result: RunResult, names: TableNames): NamedTable[] {
  return names.tables.filter((table) => table.kind !== 'system' || rowsOf(result, table) > 0);
}

type MeasuredStratum = RunResult['stats']['strata'][number];

interface StatStratum {
  readonly tables: readonly NamedTable[];
  readonly ms: number;
  readonly rounds: number;
}

/** All strata of the program; the engine leaves out those that were too quick to measure. */
function statStrata(result: RunResult, names: TableNames): StatStratum[] {
  const byTable = new Map<TableKey, Set<MeasuredStratum>>();
  for (const one of result.stats.strata) {
    for (const key of one.tables) byTable.set(key, (byTable.get(key) ?? new Set()).add(one));
  }
  return result.strata.map((stratum) => {
    const tables = stratum.tables.flatMap((index) => names.tables[index] ?? []);
    const measured = [...new Set(tables.flatMap((table) => [...(byTable.get(table.key) ?? [])]))];
    return {
      tables,
      ms: measured.reduce((sum, one) => sum + one.ms, 0),
      rounds: measured.reduce((most, one) => Math.max(most, one.rounds), 0),
    };
  });
}

function rowsOf(result: RunResult, table: NamedTable): number {
  return result.stats.tables[tableKey(table)] ?? 0;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function milliseconds(ms: number): string {
  return `${ms < 100 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function count(rows: number): string {
  return rows.toLocaleString('en-US');
}
