/** Policies → rows, with the reference evaluator. */
import { printValue } from '../../host/compiler/print-value.ts';
import type { TableKey } from '../../host/compiler/stratified.ts';
import { evaluate } from '../oracle/naive-evaluator.ts';
import { programOf } from './compile-text.ts';
import type { Policies } from './compile-text.ts';

/**
 * All rows of some tables, else of all that have rules, as `p:q(1) p:q(2)` in the order of keys
 * and rows.
 */
export function printRows(policies: Policies, tables?: ReadonlySet<TableKey>): string {
  const rows = evaluate(programOf(policies), new Map());
  const keys = [...rows.keys()].filter((key) => tables?.has(key) ?? true).sort();
  return keys
    .flatMap((key) => {
      const sorted = rows.get(key)?.sorted() ?? [];
      return sorted.map((row) => `${key}(${row.map(printValue).join(', ')})`);
    })
    .join(' ');
}
