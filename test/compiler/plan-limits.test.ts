/** What the core cannot hold is told by the compiler, with a place and what to do. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { compile } from '../../host/compiler/compile.ts';
import type { Compilation } from '../../host/compiler/compile.ts';
import { lower } from '../../host/compiler/lower.ts';
import { limitProblems } from '../../host/compiler/plan-limits.ts';
import {
  PLAN_RELATIONS_MAX,
  RULE_RECURSIVE_ATOMS_MAX,
  RULE_VALUES_MAX,
  TABLE_INDEXES_MAX,
} from '../../host/limits.ts';
import { programOf } from './compile-text.ts';

const SOURCES = [
  {
    name: 's',
    declared: true,
    tables: [
      { name: 'a', arity: 1 },
      { name: 'e', arity: 2 },
      { name: 'wide', arity: 40 },
    ],
  },
];

function compiled(text: string): Compilation {
  return compile({ policies: [{ name: 'p', text }], sources: SOURCES });
}

/** The errors as `code line: message`. */
function errorsOf(text: string): string[] {
  const { program, diagnostics } = compiled(text);
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  assert.equal(program === undefined, errors.length > 0);
  for (const { note } of errors) assert.ok(note !== undefined && note.length > 10, 'a remedy');
  return errors.map(({ code, line, message }) => `${code} ${line}: ${message}`);
}

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join('\n');
}

test('tables without number are refused with the place of the first one too many', () => {
  const errors = errorsOf(lines(70_000, (index) => `t${index}(1).`));
  assert.equal(errors.length, 1);
  assert.match(errors[0] ?? '', /^limit-exceeded \d+: the policies need 70\d\d\d tables/);
  const place = Number(/ (\d+):/.exec(errors[0] ?? '')?.[1]);
  assert.equal(place, PLAN_RELATIONS_MAX + 1);
});

test('what stands for parts of rules counts as well', () => {
  const text = [
    'p(x) :- s:e(x, y), s:e(y, _).',
    'q(x) :- s:a(x), not s:e(x, _).',
    'n(count()) :- s:e(x, _), s:e(_, x).',
    'm(sum(y)) :- s:e(x, y), x + 1 > y.',
  ].join('\n');
  const program = programOf(text, SOURCES);
  const count = lower(program).relations.length;
  assert.ok(count > program.tables.length + 6);
  const problems = (relations: number) => limitProblems(program, { relations, versions: 1000 });
  assert.deepEqual(problems(count), [], 'as many as there are');
  for (let relations = program.tables.length; relations < count; relations++) {
    const [problem, ...others] = problems(relations);
    assert.deepEqual(others, []);
    assert.match(problem?.message ?? '', new RegExp(`need ${count} tables.*at most ${relations} `));
    assert.ok(problem?.rule !== undefined, 'a rule has it');
  }
});

test('the rules of one table have a limit, whatever the number of its facts', () => {
  const text = `${lines(50, (index) => `p(${index}).`)}\np(x) :- s:a(x), x > 1.\np(x) :- s:e(x, _).`;
  const program = programOf(text, SOURCES);
  const found = (versions: number) => limitProblems(program, { relations: 1000, versions });
  assert.deepEqual(found(6), []);
  const [problem] = found(5);
  assert.equal(problem?.rule?.text, 'p(x) :- s:e(x, _).');
});

test('a rule has a limit of values, and one of atoms that read its own table', () => {
  const variables = (index: number): string =>
    Array.from({ length: 40 }, (_, column) => `v${index}_${column}`).join(', ');
  const wide = (atoms: number): string =>
    `p(v0_0) :-\n${Array.from({ length: atoms }, (_, index) => `s:wide(${variables(index)})`).join(',\n')}.`;
  assert.deepEqual(errorsOf(wide(RULE_VALUES_MAX / 40)), []);
  const [error] = errorsOf(`p(1).\n${wide(RULE_VALUES_MAX / 40 + 1)}`);
  assert.match(error ?? '', /^limit-exceeded 2: the rule has 1040 different variables/);

  const chain = (atoms: number): string =>
    `p(x, y) :- s:e(x, y).\np(x0, x${atoms}) :- ` +
    `${Array.from({ length: atoms }, (_, index) => `p(x${index}, x${index + 1})`).join(', ')}.`;
  assert.deepEqual(errorsOf(chain(RULE_RECURSIVE_ATOMS_MAX)), []);
  const [tooLong] = errorsOf(chain(RULE_RECURSIVE_ATOMS_MAX + 1));
  assert.match(tooLong ?? '', /^limit-exceeded 2: the body reads tables/);
});

test('a table has a limit of indexes; the others are made do with', () => {
  const text = lines(60, (index) => {
    const column = index % 38;
    const terms = Array.from({ length: 40 }, (_, at) =>
      at === column || (index >= 38 && at === 39) ? 'x' : '_',
    );
    return `p${index}(x) :- s:a(x), s:wide(${terms.join(', ')}), s:e(x, y), y != ${index}.`;
  });
  const { relations, units } = lower(programOf(text, SOURCES), { batchOnly: true });
  const wide = relations.findIndex((one) => one.name === 's:wide');
  assert.ok((relations[wide]?.indexes.length ?? 0) <= TABLE_INDEXES_MAX);
  assert.ok(units.length > 60);
});
