import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ColumnKinds, kindsOfValue, kindsText } from '../../host/compiler/column-kinds.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { Column, StratifiedProgram, Table, TableKey } from '../../host/compiler/stratified.ts';
import { typeConflicts } from '../../host/compiler/type-conflicts.ts';
import type { Row } from '../../host/value/value.ts';
import { generateCase } from '../fuzz/fuzz-case.ts';
import { evaluate, evaluateQuery } from '../oracle/naive-evaluator.ts';
import { RowSet } from '../oracle/row-set.ts';
import { compileGenerated } from '../support/compile-program.ts';
import { programOf } from './compile-text.ts';

function kindsIn(text: string, table: string): string[] {
  const program = programOf(text);
  const kinds = new ColumnKinds(program.tables, program.rules, new Set(), 'all');
  const index = program.tables.findIndex((one) => tableKey(one) === table);
  const arity = program.tables[index]?.arity ?? 0;
  return Array.from({ length: arity }, (_, column) => kindsText(kinds.of(index, column)));
}

const CASES: [text: string, kinds: string[]][] = [
  ['t(1, "a"). t(2.5, "b").', ['an int or a float', 'a string']],
  ['t(x, y) :- q(x), r(y). q(1). r(null). r(true).', ['an int', 'a bool or null']],
  ['t(x) :- q(x), r(x). q(1). q("a"). r("b"). r(1.5).', ['a string']],
  ['t(x) :- t(x). t(x) :- q(x). q(1).', ['an int']],
  ['t(y) :- q(x), y = x + 1. q(1).', ['an int']],
  ['t(y) :- q(x), y = x * 0.5. q(1).', ['an int or a float']],
  ['t(x) :- src:t(x), x = "a".', ['a string']],
  ['t(count(), max(x)) :- q(x). q("a").', ['an int', 'a string']],
  [
    'table src:q(a: int, b: string nullable) t(x, y) :- src:q(x, y).',
    ['an int', 'a string or null'],
  ],
  ['t(x) :- q(x). q(x) :- r(x). r(x) :- u(x). u(1). u(false).', ['an int or a bool']],
];
for (const [text, kinds] of CASES) {
  test(`kinds: ${text}`, () => assert.deepEqual(kindsIn(text, 'p:t'), kinds));
}

/** The program with the kinds of the base rows as declarations, where a column has one kind. */
function declared(program: StratifiedProgram, base: ReadonlyMap<TableKey, RowSet>): Table[] {
  return program.tables.map((table): Table => {
    const rows = base.get(tableKey(table))?.sorted();
    if (table.kind !== 'source' || rows === undefined) return table;
    const columns = Array.from({ length: table.arity }, (_, column) => columnOf(rows, column));
    return { ...table, columns };
  });
}

function columnOf(rows: readonly Row[], column: number): Column {
  const types = new Set(rows.map((row) => typeof row[column]));
  const values = rows.map((row) => row[column]).filter((value) => value !== null);
  const one = new Set(values.map((value) => TYPES[typeof value]));
  const [type] = one;
  return {
    name: `c${column}`,
    type: one.size === 1 && type !== undefined ? type : 'any',
    ...(types.has('object') ? { nullable: true } : {}),
  };
}

const TYPES: Readonly<Record<string, Column['type']>> = {
  bigint: 'int',
  number: 'float',
  string: 'string',
  boolean: 'bool',
};

test('random programs: no value is of a kind that its column cannot have; what never holds does not', () => {
  let narrowed = 0;
  let conflicts = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const { program: generated, steps } = generateCase(seed, 1);
    const program = compileGenerated(generated);
    const base = new Map<TableKey, RowSet>();
    for (const { table, insert } of steps[0]?.batch ?? []) base.set(table, new RowSet(insert));
    const tables = declared(program, base);
    const external = new Set(base.keys());
    const rows = evaluate(program, base);
    const where = `seed ${seed}:\n${program.rules.map((rule) => rule.text).join('\n')}`;
    for (const knowledge of ['declared', 'all'] as const) {
      const kinds = new ColumnKinds(tables, program.rules, external, knowledge);
      for (const [index, table] of tables.entries()) {
        for (const row of rows.get(tableKey(table))?.sorted() ?? []) {
          for (const [column, value] of row.entries()) {
            const known = kinds.of(index, column);
            const own = kindsOfValue(value);
            assert.ok((known & own) !== 0, `${tableKey(table)} ${column} ${knowledge}, ${where}`);
            if (kindsText(known) === kindsText(own)) narrowed++;
          }
        }
      }
    }
    for (const { rule, message } of typeConflicts(tables, program.rules, external)) {
      if (!/never holds|always fails/.test(message)) continue;
      conflicts++;
      const query = {
        columns: [],
        outputs: [],
        body: rule.body,
        variables: rule.variables,
        text: '',
      };
      const solutions = evaluateQuery(program, query, rows);
      assert.equal(solutions.length, 0, `${rule.text}: ${message}, ${where}`);
    }
  }
  assert.ok(narrowed > 1000 && conflicts > 20, `${narrowed} kinds, ${conflicts} conflicts tried`);
});
