import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StratifiedProgram, TableKey } from '../../host/compiler/stratified.ts';
import { formatValue } from '../../host/value/value.ts';
import { compileGenerated } from '../support/compile-program.ts';
import { randomOf } from '../support/prng.ts';
import { generateProgram, policyText } from '../support/program-generator.ts';
import { UpdateGenerator } from '../support/update-generator.ts';
import { clingoVersion, evaluateWithClingo } from './clingo.ts';
import { evaluate } from './naive-evaluator.ts';
import type { Tables } from './naive-evaluator.ts';
import { RowSet } from './row-set.ts';

const PROGRAMS = 150;
/** Of each program: rows of derived tables come with them. */
const BATCHES = 6;
const SEED = Number(process.env['SEED'] ?? 1);

const version = clingoVersion();
const isRequired = (process.env['CI'] ?? '') !== '' && process.env['CI'] !== 'false';
const skip = version === undefined && !isRequired ? 'clingo is not installed' : false;
if (skip !== false) {
  console.error(
    'clingo is NOT INSTALLED: no second opinion on the reference (apt-get install gringo)',
  );
}

test('clingo derives the same tables as the reference', { skip }, () => {
  assert.notEqual(version, undefined, 'CI needs clingo: apt-get install gringo');
  let rows = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const { program, base, text } = plainCase(seed);
    const expected = evaluateWithClingo(program, base);
    const actual = evaluate(program, base);
    assertSameTables(actual, expected, `SEED=${seed}\n${text}`);
    for (const table of expected.values()) rows += table.size;
  }
  // Empty tables agree easily.
  assert.ok(rows > 20 * PROGRAMS, `only ${rows} rows in ${PROGRAMS} programs`);
});

test('a reference that is wrong in one row would be noticed', { skip }, () => {
  assert.notEqual(version, undefined, 'CI needs clingo: apt-get install gringo');
  let seed = SEED;
  const hasRows = (): boolean => [...plainCase(seed).base.values()].some((rows) => rows.size > 0);
  while (!hasRows()) seed++;
  const { program, base, text } = plainCase(seed);
  const actual = evaluate(program, base);
  const table = [...actual.values()].find((rows) => rows.size > 0);
  for (const row of table?.sorted().slice(0, 1) ?? []) table?.delete(row);
  const expected = evaluateWithClingo(program, base);
  assert.throws(() => assertSameTables(actual, expected, text), assert.AssertionError);
});

/**
 * What both languages have: rules with negation and comparisons over ints of 31 bits and strings.
 */
function plainCase(seed: number): { program: StratifiedProgram; base: Tables; text: string } {
  const generated = generateProgram(randomOf(seed, 0), { plain: true });
  const program = compileGenerated(generated);
  const base = new Map<TableKey, RowSet>();
  const updates = new UpdateGenerator(randomOf(seed, 1), generated);
  const batches = [updates.initial(), ...Array.from({ length: BATCHES }, () => updates.next())];
  for (const change of batches.flat()) {
    const rows = new RowSet(change.replace ? [] : base.get(change.table));
    for (const row of change.delete) rows.delete(row);
    for (const row of change.insert) rows.add(row);
    base.set(change.table, rows);
  }
  const facts = [...base].flatMap(([table, rows]) =>
    rows.sorted().map((row) => `${table}(${row.map(formatValue).join(', ')}).`),
  );
  const policies = generated.policies.map(
    (policy) => `policy ${policy.name}\n${policyText(policy)}`,
  );
  return { program, base, text: [...policies, ...facts].join('\n') };
}

function assertSameTables(actual: Tables, expected: Tables, text: string): void {
  for (const [table, rows] of expected) {
    const found = actual.get(table) ?? new RowSet();
    assert.deepEqual(found.sorted(), rows.sorted(), `${table}\n${text}`);
  }
}
