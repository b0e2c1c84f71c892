/**
 * How far a run may grow. A recursion over the values of its input ends by itself, however much
 * that is; one that computes values for its own head need not. Only the tables of the latter have
 * a limit of rows, unless `--max-rows` gives one to all.
 */
import { tableKey } from '../compiler/stratified.ts';
import type { Rule, StratifiedProgram, Stratum, Table, TableKey } from '../compiler/stratified.ts';
import type { Engine } from '../engine/engine.ts';
import { ROWS_PER_TABLE_MAX } from '../limits.ts';
import type { Progress } from './terminal.ts';

/** Rows that `table` may have; undefined: as many as fit into memory. */
export type RowsMaxOf = (table: TableKey) => number | undefined;

export function rowsMaxOf(program: StratifiedProgram, rowsMax: number | undefined): RowsMaxOf {
  if (rowsMax !== undefined) return () => rowsMax;
  const growing = new Set(
    program.strata
      .filter((stratum) => growingRuleOf(program, stratum) !== undefined)
      .flatMap(({ tables }) => tables.map((table) => tableKey(program.tables[table] as Table))),
  );
  return (table) => (growing.has(table) ? ROWS_PER_TABLE_MAX : undefined);
}

/** A rule of the recursion of `key` that computes values, so that it may never end. */
export function growingRule(
  program: StratifiedProgram,
  key: TableKey | undefined,
): Rule | undefined {
  const table = program.tables.findIndex((one) => tableKey(one) === key);
  const stratum = program.strata.find((one) => one.tables.includes(table));
  return stratum === undefined ? undefined : growingRuleOf(program, stratum);
}

function growingRuleOf(program: StratifiedProgram, stratum: Stratum): Rule | undefined {
  if (!stratum.recursive) return undefined;
  for (const index of stratum.rules) {
    const rule = program.rules[index];
    if (rule?.body.some(({ kind }) => kind === 'compute' || kind === 'call') === true) return rule;
  }
  return undefined;
}

/** Between two looks at how far the engine is, ms. */
const LOOK_MS = 500;

/** Shows what `engine` is at until the returned function is called. */
export function showGrowth(progress: Progress, engine: Engine, what: string): () => void {
  progress.update(what);
  const startMs = performance.now();
  const before = engine.stats().derivations;
  const timer = setInterval(() => {
    const { derivations, usedBytes } = engine.stats();
    const seconds = Math.floor((performance.now() - startMs) / 1000);
    const rows = (derivations - before).toLocaleString('en-US');
    const memory = `${(usedBytes / 2 ** 20).toFixed(0)} MiB`;
    progress.update(`${what}: ${seconds} s, ${rows} rows derived, ${memory}`);
  }, LOOK_MS);
  return () => clearInterval(timer);
}
