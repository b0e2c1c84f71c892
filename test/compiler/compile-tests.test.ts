import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileWithTests } from '../../host/compiler/compile-tests.ts';
import type { TestCompilation } from '../../host/compiler/compile-tests.ts';
import { compileText, marked, render } from './compile-text.ts';

const PROGRAM = `
table port(id: string, server: string, open: bool)
exposed(s) :- port(_, s, true).
late(x) :- lease(x, t), now(u), t < u.
`;

function compiled(tests: string): TestCompilation {
  return compileWithTests({ policies: [{ name: 'p', text: PROGRAM + tests }], sources: [] });
}

test('a test as data: rows by table, the time, steps with their lines', () => {
  const { tests, diagnostics } = compiled(`test "all" {
  given port("a", "vm", true), lease("x", "1999"). given port(id="b")
  given now "2031-05-01 00:00:00".
  expect exposed(s), s != "x".
  expect only exposed("vm"), late("x").
}`);
  assert.deepEqual(diagnostics, []);
  const [first] = tests;
  assert.deepEqual(first?.given, [
    {
      table: 'p:port',
      arity: 3,
      rows: [
        ['a', 'vm', true],
        ['b', null, null],
      ],
    },
    { table: 'p:lease', arity: 2, rows: [['x', '1999']] },
  ]);
  assert.equal(first?.timeMs, Date.UTC(2031, 4, 1));
  assert.deepEqual(
    first?.steps.map(({ line, text }) => [line, text]),
    [
      [8, 'expect exposed(s), s != "x".'],
      [9, 'expect only exposed("vm"), late("x").'],
    ],
  );
});

test('tests are no part of what is served', () => {
  const served = compileText(`${PROGRAM}test "t" { given nobody(1, 2). expect no_such(x, 2). }`);
  const plain = compileText(PROGRAM);
  assert.deepEqual(served.program, plain.program);
});

const CASES: readonly (readonly [text: string, code: string, message: RegExp])[] = [
  ['test «"t"» { given lease("a", "b"). }', 'bad-test', /expects nothing/],
  ['test «"t"» { }', 'bad-test', /expects nothing/],
  ['test "t" { given now «"2031-02-30 00:00:00"». expect late(_) }', 'bad-test', /is no time/],
  ['test "t" { given now «"tomorrow"». expect late(_) }', 'bad-test', /is no time/],
  [
    'test "t" { given now "2031-02-01 00:00:00". given now «"2031-02-02 00:00:00"» expect late(_) }',
    'bad-test',
    /has a time already/,
  ],
  ['test "t" { given «execute[a:b(1)]». expect late(_) }', 'bad-test', /cannot be given/],
  ['test "t" { given «system:now("a", 1)». expect late(_) }', 'bad-test', /itself/],
  ['test "t" { given lease(«x», "b"). expect late(_) }', 'fact-not-ground', /variable `x`/],
  ['test "t" { given lease(«_», "b"). expect late(_) }', 'fact-not-ground', /not `_`/],
  ['test "t" { given lease(«1 + 1», "b"). expect late(_) }', 'fact-not-ground', /computation/],
  ['test "t" { given «lease("b")». expect late(_) }', 'arity', /2 columns/],
  ['test "t" { given port("a", «1», true). expect late(_) }', 'type-mismatch', /holds strings/],
  [
    'test "t" { given «prot»("a"). expect late(_) }',
    'unknown-table',
    /no policy has a table `prot`/,
  ],
  ['test "t" { given port(«idd="a"»). expect late(_) }', 'unknown-column', /no column/],
  ['test "t" { expect «exposd»(_) }', 'unknown-table', /no policy has a table `exposd`/],
  ['test "t" { expect not exposed(«x») }', 'unbound-variable', /not bound/],
  ['test "t" { expect only «port(id="a")» }', 'column-arguments', /all its columns/],
  ['test "t" { expect late(_) } test «"t"» { expect late(_) }', 'duplicate-name', /on line 5/],
  ['test "t" { «when» x }', 'syntax', /expected `given`, `expect` or `}`/],
  ['test "t" «expect» late(_)', 'syntax', /expected `{` to begin the test/],
  ['test "t" { given «not» lease("a", "b"). expect late(_) }', 'negated-head', /negated/],
];
for (const [text, code, message] of CASES) {
  test(`${code}: ${text}`, () => {
    const { text: plain, span } = marked(PROGRAM + text);
    const { diagnostics, program } = compileWithTests({
      policies: [{ name: 'p', text: plain }],
      sources: [],
    });
    const errors = diagnostics.filter((one) => one.severity === 'error');
    const [error] = errors;
    assert.equal(errors.length, 1, render(diagnostics, plain));
    assert.equal(error?.code, code);
    assert.deepEqual(error?.span, span, render(diagnostics, plain));
    assert.match(error?.message ?? '', message);
    assert.equal(error?.source, 'p');
    assert.equal(program, undefined);
  });
}

test('an error gives up its step, not the test nor what follows', () => {
  const { diagnostics } = compiled(`test "t" {
  given lease("a" "b").
  expect late(,).
  expect exposed(_).
}
also(x) :- .
test "open" {
  given lease("a", "b").
more(x) :- late(x).
`);
  assert.deepEqual(
    diagnostics.map(({ code, line }) => [code, line]),
    [
      ['syntax', 6],
      ['syntax', 7],
      ['syntax', 10],
      ['syntax', 13],
    ],
  );
});

test('`test`, `given`, `expect` and `only` stay names elsewhere', () => {
  const { diagnostics, tests } = compiled(`test(1). given("a"). expect(x) :- test(x). only(1).
test "t" { given given("b"). expect only(1), expect(1). expect only only(1). }`);
  assert.deepEqual(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  );
  assert.equal(tests[0]?.steps.length, 2);
});
