/**
 * Tables that are declared `on demand` are not kept: a query that asks for one is answered from the
 * rules behind it, with its own constants and joins (`unfold.ts`). Which tables those are is a
 * function of the program, so all replicas keep the same.
 *
 * Kept all the same is what is recursive or has an aggregate, and what a table that is kept, or a
 * rule with a call that may fail, reads: its failures are rows of `system:errors`.
 */
import { canFail } from './stratified.ts';
import type { Rule, StratifiedProgram } from './stratified.ts';

export function onDemandTables({ tables, rules, strata }: StratifiedProgram): Set<number> {
  const onDemand = new Set<number>();
  if (!tables.some((table) => table.onDemand === true)) return onDemand;
  const readers = readersOf(rules);
  // Whoever reads a table stands behind it, and is decided on first.
  for (const stratum of [...strata].reverse()) {
    const [table] = stratum.tables;
    if (table === undefined || stratum.recursive || tables[table]?.onDemand !== true) continue;
    const own = stratum.rules.map((index) => rules[index] as Rule);
    if (own.some(({ headTerms }) => headTerms.some((term) => term.kind === 'aggregate'))) continue;
    const isNeeded = (readers.get(table) ?? []).some(
      ({ head, body }) => !onDemand.has(head) || body.some(canFail),
    );
    if (!isNeeded) onDemand.add(table);
  }
  return onDemand;
}

function readersOf(rules: readonly Rule[]): Map<number, Rule[]> {
  const readers = new Map<number, Rule[]>();
  for (const rule of rules) {
    for (const literal of rule.body) {
      if (literal.kind !== 'atom') continue;
      const known = readers.get(literal.table);
      if (known === undefined) readers.set(literal.table, [rule]);
      else known.push(rule);
    }
  }
  return readers;
}
