import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CYCLES_REPORTED_MAX } from '../../host/limits.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedProgram } from '../../host/compiler/stratified.ts';
import { compileText, errorsOf, programOf } from './compile-text.ts';
import { randomFrom } from '../support/random.ts';

function strata({ strata: found, tables }: StratifiedProgram): string[] {
  return found.map((stratum) => {
    const names = stratum.tables.map((table) => tableKey(tables[table] ?? assert.fail()));
    return (stratum.recursive ? 'recursive ' : '') + names.join(' ');
  });
}

test('strata are in dependency order, tables without rules in none', () => {
  const program = programOf(
    'd(x) :- c(x), not a(x). c(x) :- b(x), q(x). b(x) :- c(x). b(x) :- q(x). ' +
      'a(x) :- q(x), not r(x).',
  );
  assert.deepEqual(strata(program), ['p:a', 'recursive p:b p:c', 'p:d']);
});

test('a table that reads itself is recursive, one alone is not', () => {
  const program = programOf('t(x, y) :- e(x, y). t(x, z) :- t(x, y), t(y, z). u(x) :- t(x, _).');
  assert.deepEqual(strata(program), ['recursive p:t', 'p:u']);
});

test('recursion and negation across policies', () => {
  const program = programOf({
    a: 'p(x) :- b:p(x). q(x) :- c:r(x), not b:p(x).',
    b: 'p(x) :- a:p(x). p(1).',
    c: 'r(x) :- a:p(x).',
  });
  assert.deepEqual(strata(program), ['recursive a:p b:p', 'c:r', 'a:q']);
});

const CYCLES: [text: string, cycle: string][] = [
  ['a(x) :- q(x), not a(x)', 'a → not a'],
  ['a(x) :- b(x). b(x) :- q(x), not a(x)', 'b → not a → b'],
  ['a(x) :- b(x). b(x) :- c(x). c(x) :- q(x), not a(x)', 'c → not a → b → c'],
  ['a(count()) :- a(_)', 'a → aggregate of a'],
  ['a(sum(x)) :- b(x). b(x) :- a(x)', 'a → aggregate of b → a'],
  ['a(x) :- q(x), not b(x). b(min(x)) :- a(x)', 'a → not b → aggregate of a'],
];
for (const [text, cycle] of CYCLES) {
  test(`cycle: ${text}`, () => {
    const [error] = errorsOf(text);
    assert.equal(error?.code, 'negative-cycle');
    assert.ok(error.message.endsWith(`\`${cycle}\``), error.message);
  });
}

test('every closing literal is reported, up to a limit', () => {
  const text = Array.from({ length: 30 }, (_, at) => `a(x) :- q(x, ${at}), not a(x).`).join('\n');
  assert.equal(errorsOf(text).length, CYCLES_REPORTED_MAX);
  assert.equal(errorsOf('a(x) :- q(x), not a(x). b(x) :- q(x), not b(x).').length, 2);
});

test('reading the table of failed calls depends on every call', () => {
  const reader = 'seen(p) :- system:errors(p, _, _, _).';
  const program = programOf(`b(y) :- q(x), y = x + 1. ${reader}`);
  assert.deepEqual(strata(program), ['p:b', 'p:seen']);
  assert.equal(program.tables.find((table) => table.owner === 'system')?.kind, 'system');
  const [error] = errorsOf(`b(y) :- seen(_), q(x), y = x + 1. ${reader}`);
  assert.equal(error?.code, 'negative-cycle');
});

test('random graphs: accepted exactly if no cycle has a negation', () => {
  let accepted = 0;
  for (let seed = 1; seed <= 1000; seed++) {
    const random = randomFrom(seed);
    const size = 2 + random.int(6);
    const edges = Array.from({ length: random.int(2 * size) }, () => ({
      from: random.int(size),
      to: random.int(size),
      negated: random.chance(0.3),
    }));
    // Reachability by the definition: Warshall.
    const reach = Array.from({ length: size }, () => Array.from({ length: size }, () => false));
    for (const { from, to } of edges) (reach[from] as boolean[])[to] = true;
    for (let k = 0; k < size; k++) {
      for (const row of reach) {
        if (row[k]) reach[k]?.forEach((to, index) => (row[index] ||= to));
      }
    }
    const stratified = edges.every(
      ({ from, to, negated }) => !negated || (from !== to && !reach[to]?.[from]),
    );
    const text = edges
      .map(({ from, to, negated }) => `t${from}(x) :- q(x), ${negated ? 'not ' : ''}t${to}(x).`)
      .join('\n');
    const { program } = compileText(text);
    assert.equal(program !== undefined, stratified, `seed ${seed}:\n${text}`);
    if (program === undefined) continue;
    accepted++;
    const done = new Set<number>();
    const defined = new Set(program.rules.map((rule) => rule.head));
    for (const stratum of program.strata) {
      for (const index of stratum.rules) {
        for (const literal of program.rules[index]?.body ?? []) {
          if (literal.kind !== 'atom' || !defined.has(literal.table)) continue;
          const inside = stratum.tables.includes(literal.table) && !literal.negated;
          assert.ok(done.has(literal.table) || (inside && stratum.recursive), `seed ${seed}`);
        }
      }
      for (const table of stratum.tables) done.add(table);
    }
    assert.deepEqual(done, defined, `seed ${seed}: each table is in one stratum`);
  }
  assert.ok(accepted > 200 && accepted < 900, `${accepted} accepted`);
});
