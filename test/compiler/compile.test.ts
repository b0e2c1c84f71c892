import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Catalog } from '../../host/compiler/catalog.ts';
import { compile } from '../../host/compiler/compile.ts';
import { nearestName } from '../../host/compiler/nearest-name.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import {
  DIAGNOSTICS_MAX,
  POLICY_BYTES_MAX,
  STATEMENTS_MAX,
  SUGGESTIONS_MAX,
} from '../../host/limits.ts';
import { codesOf, compileText, errorsOf, programOf } from './compile-text.ts';

const COLUMNS = [
  { name: 'id', type: 'string' },
  { name: 'n', type: 'int' },
] as const;

test('the same catalog gives the same program, in any order of its parts', () => {
  const policies = [
    { name: 'b', text: 'q(x) :- a:p(x), src:t(x, _), not inv:u(x).' },
    { name: 'a', text: 'p(1). p(x) :- b:q(x).' },
  ];
  const sources = [
    { name: 'src', declared: true, tables: [{ name: 't', arity: 2, columns: COLUMNS }] },
    {
      name: 'inv',
      declared: false,
      tables: [
        { name: 'v', arity: 1 },
        { name: 'u', arity: 1 },
      ],
    },
  ];
  const first = compile({ policies, sources });
  const second = compile({
    policies: structuredClone(policies).reverse(),
    sources: structuredClone(sources)
      .map((one) => ({ ...one, tables: one.tables.slice().reverse() }))
      .reverse(),
  });
  assert.ok(first.program !== undefined);
  assert.deepEqual(second, first);
});

test('the tables of a program: declared, defined, mentioned, and all of the sources', () => {
  const catalog: Catalog = {
    policies: [
      { name: 'p', text: 'table d(a)\nr(x) :- e(x), gone:t(x), src:t(x, _), new:s(x).' },
      { name: 'z', text: 'table new:s(k: int)\nexecute[nova:act(x)] :- new:s(x).' },
    ],
    sources: [
      {
        name: 'src',
        declared: false,
        tables: [
          { name: 't', arity: 2 },
          { name: 'x', arity: 1 },
        ],
      },
    ],
  };
  const { program } = compile(catalog);
  const shown = program?.tables.map((one) => `${tableKey(one)}/${one.arity} ${one.kind}`);
  assert.deepEqual(shown, [
    'execute:nova:act/1 execute',
    'gone:t/1 unresolved',
    'new:s/1 source',
    'p:d/1 policy',
    'p:e/1 policy',
    'p:r/1 policy',
    'src:t/2 source',
    'src:x/1 source',
  ]);
  assert.deepEqual(program?.tables[2]?.columns, [{ name: 'k', type: 'int' }]);
});

test('an unresolved name binds when its owner appears', () => {
  const policy = 'p(x) :- inv:t(x, y), y > 3.';
  assert.deepEqual(codesOf(compileText(policy).diagnostics), ['unresolved-table']);
  const undeclared = [{ name: 'inv', declared: false, tables: [] }];
  assert.deepEqual(codesOf(compileText(policy, undeclared).diagnostics), ['unresolved-table']);
  const there = [{ name: 'inv', declared: false, tables: [{ name: 't', arity: 2 }] }];
  assert.deepEqual(codesOf(compileText(policy, there).diagnostics), []);
  const other = [{ name: 'inv', declared: false, tables: [{ name: 't', arity: 3 }] }];
  assert.deepEqual(codesOf(compileText(policy, other).diagnostics), ['arity']);
  const without = [{ name: 'inv', declared: true, tables: [{ name: 'u', arity: 2 }] }];
  assert.deepEqual(codesOf(compileText(policy, without).diagnostics), ['unknown-table']);
});

test("the owner's use of a table fixes its arity, whatever the names of the policies", () => {
  const errors = errorsOf({ a: 'q(x) :- b:t(x, x).', b: 't(1).' });
  assert.deepEqual(
    errors.map(({ code, source, note }) => [code, source, note]),
    [['arity', 'a', 'it is first used at b:1:1 with 1 column']],
  );
});

test('a policy that cannot be read does not cause errors in others', () => {
  const { diagnostics } = compileText({ a: 'q(1). r(x :- s(x).', b: 't(x) :- a:r(x), a:q(x).' });
  assert.deepEqual(codesOf(diagnostics), ['syntax']);
});

test('a policy that names its own tables with its own name', () => {
  assert.deepEqual(codesOf(compileText('q(1). r(x) :- p:q(x).').diagnostics), []);
});

test('the builtin name is suggested for an unknown table', () => {
  const { diagnostics } = compileText('q(1). r(x) :- q(x), lteqq(x, 3).');
  assert.equal(diagnostics[0]?.note, 'did you mean `lteq`?');
});

test('two policies with one name, a text that is too long', () => {
  const twice = compile({
    policies: [
      { name: 'p', text: '' },
      { name: 'p', text: 'q(1)' },
    ],
    sources: [],
  });
  assert.deepEqual(codesOf(twice.diagnostics), ['duplicate-name']);
  const long = `q(1).${' '.repeat(POLICY_BYTES_MAX)}`;
  assert.deepEqual(codesOf(compileText(long).diagnostics), ['limit-exceeded']);
  assert.deepEqual(codesOf(compileText(long.slice(0, POLICY_BYTES_MAX)).diagnostics), []);
});

test('too many statements', () => {
  const text = 'p(1)'.repeat(STATEMENTS_MAX + 1);
  const errors = errorsOf(text);
  assert.deepEqual(codesOf(errors), ['limit-exceeded']);
  assert.equal(errors[0]?.span.start, 4 * STATEMENTS_MAX);
});

test('an empty policy and an empty catalog are programs', () => {
  assert.deepEqual(programOf(''), {
    tables: [],
    rules: [],
    strata: [],
    policies: [{ name: 'p', kind: 'nonrecursive', imports: [] }],
  });
  assert.deepEqual(compile({ policies: [], sources: [] }).program, {
    tables: [],
    rules: [],
    strata: [],
    policies: [],
  });
});

test('a chain of 20 000 rules needs no stack', () => {
  const text = Array.from({ length: 20_000 }, (_, at) => `t${at}(x) :- t${at + 1}(x).`).join('\n');
  const program = programOf(`t20000(1).\n${text}`);
  assert.equal(program.strata.length, 20_001);
  assert.deepEqual(
    program.strata[0]?.tables.map((one) => program.tables[one]?.name),
    ['t20000'],
  );
});

test('work grows with the text, not with its square', () => {
  // Counted, not timed: what looks at every other name is bounded.
  const text = Array.from({ length: 2000 }, (_, at) => `p${at}(x) :- wrong${at}(x).`).join('\n');
  const { diagnostics } = compileText(text);
  const unknown = diagnostics.filter((one) => one.code === 'unknown-table');
  assert.equal(unknown.length, 1000, 'DIAGNOSTICS_MAX');
  const guessed = unknown.filter((one) => one.note?.startsWith('did you mean'));
  assert.ok(guessed.length <= SUGGESTIONS_MAX);
});

test('a text that is all mistakes is given up at the limit', () => {
  for (const text of ['.'.repeat(1e5), 'p:-(\n'.repeat(1e5), '$'.repeat(1e5)]) {
    const { diagnostics } = compileText(text);
    assert.equal(diagnostics.length, DIAGNOSTICS_MAX);
  }
});

test('nesting, signs and long expressions need no stack', () => {
  const count = 1e5;
  for (const text of ['('.repeat(count), '-'.repeat(count), `x = 1${' + 1'.repeat(count)}`]) {
    const [error] = errorsOf(`p(x) :- ${text.startsWith('x') ? '' : 'x = '}${text}`);
    assert.equal(error?.code, 'limit-exceeded');
  }
  assert.equal(errorsOf(`p(x) :- ${'!'.repeat(count)}`)[0]?.code, 'double-negation');
  assert.equal(errorsOf(`p(x) :- ${'('.repeat(count)}x < 1`)[0]?.code, 'limit-exceeded');
});

test('nearest names', () => {
  const names = ['servers', 'flavors', 'id', 'name', 'edge'];
  const cases: [string, string | undefined][] = [
    ['server', 'servers'],
    ['servres', 'servers'],
    ['Servers', 'servers'],
    ['nme', 'name'],
    ['di', 'id'],
    ['eg', undefined],
    ['volumes', undefined],
    ['xy', undefined],
  ];
  for (const [name, expected] of cases) assert.equal(nearestName(name, names), expected, name);
});
