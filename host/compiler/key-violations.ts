/**
 * Keys of declared tables. Two rows with one key are both there, for a table is a set of rows; what
 * is wrong with them is told by a row of `system:key_violations(table, key)` a key, kept up to date
 * like any other.
 *
 *   $twice(k…) :- $start(), t(k…, a…), t(k…, b…), a… differ from b….
 *
 * `$twice` is evaluated as a recursive table is, though it is none: as a set, in which one pair of
 * rows is as good as all, where counting would count the square of what has a wrong key.
 */
import type { CoreAtom, CoreRule } from './core-rule.ts';
import { constant, variable } from './core-rule.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { tableKey } from './stratified.ts';
import type { Table, TableKey } from './stratified.ts';

export const KEY_VIOLATIONS_TABLE: TableKey = 'system:key_violations';
const ARITY = 2;
/** The column `key` of the table. */
export const VIOLATED_KEY_COLUMN = 1;

/** The columns of a table's key; none where no two rows can have one key. */
export function keyColumns({ columns = [] }: Table): number[] {
  const key = columns.flatMap((column, index) => (column.key === true ? [index] : []));
  return key.length === columns.length ? [] : key;
}

/**
 * The relations that tell of keys, behind those of the tables; `relationOf` is undefined for tables
 * that are not kept. Answers that of `KEY_VIOLATIONS_TABLE`, `violations` if it is there already.
 */
export function addKeyViolations(
  builder: PlanBuilder,
  tables: readonly Table[],
  relationOf: (table: number) => number | undefined,
  violations: number | undefined,
): number | undefined {
  const rules: ((head: number) => CoreRule)[] = [];
  for (const [index, table] of tables.entries()) {
    const key = keyColumns(table);
    const relation = relationOf(index);
    if (key.length === 0 || relation === undefined) continue;
    const twice = addTwice(builder, relation, table, key);
    const inputs = key.map((_, place) => variable(place));
    rules.push((head) => ({
      head,
      headTerms: [constant(tableKey(table)), variable(key.length)],
      body: [
        { kind: 'atom', relation: twice, negated: false, terms: inputs },
        { kind: 'format', inputs, output: variable(key.length) },
      ],
      variableCount: key.length + 1,
    }));
  }
  if (rules.length === 0 && violations === undefined) return undefined;
  const head = violations ?? builder.addTable(KEY_VIOLATIONS_TABLE, ARITY);
  builder.addCounting(
    head,
    rules.map((rule) => rule(head)),
  );
  return head;
}

/** The keys that several rows of a relation have. */
function addTwice(
  builder: PlanBuilder,
  relation: number,
  table: Table,
  key: readonly number[],
): number {
  const name = tableKey(table);
  const start = builder.addAuxiliary(`$start:${name}`, 0, name, 1);
  const twice = builder.addAuxiliary(`$twice:${name}`, key.length, name, 1);
  const columns = Array.from({ length: table.arity }, (_, column) => column);
  const others = columns.filter((column) => !key.includes(column));
  const one = columns.map(variable);
  const other = columns.map((column) =>
    variable(key.includes(column) ? column : table.arity + column),
  );
  const atom = (terms: CoreAtom['terms']): CoreAtom => {
    return { kind: 'atom', relation, negated: false, terms };
  };
  builder.addRecursive(
    [start, twice],
    [
      { head: start, headTerms: [], body: [], variableCount: 0 },
      {
        head: twice,
        headTerms: key.map(variable),
        body: [
          { kind: 'atom', relation: start, negated: false, terms: [] },
          atom(one),
          atom(other),
          {
            kind: 'differ',
            left: others.map(variable),
            right: others.map((column) => variable(table.arity + column)),
          },
        ],
        variableCount: table.arity * 2,
      },
    ],
  );
  return twice;
}
