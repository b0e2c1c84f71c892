/** `--stats`: sizes and times of a run, as tables for people and as JSON for machines. */
import { tableKey } from '../compiler/stratified.ts';
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
    strata: stats.strata.map((stratum) => ({
      tables: stratum.tables.map((key) => names.find(key)?.printed ?? key),
      ms: rounded(stratum.ms),
      rounds: stratum.rounds,
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
  if (stats.strata.length > 0) {
    const rows = stats.strata.map((stratum, index) => {
      const tables = stratum.tables.map((key) => names.find(key)?.printed ?? key);
      const rowCount = stratum.tables.reduce((sum, key) => sum + (stats.tables[key] ?? 0), 0);
      return [
        String(index + 1),
        tables.join(', '),
        count(rowCount),
        String(stratum.rounds),
        milliseconds(stratum.ms),
      ];
    });
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
