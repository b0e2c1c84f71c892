import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codesOf, compileText, programOf, showRules } from './compile-text.ts';

/** Texts whose tables exist elsewhere, so that only the rule under test stands here. */
function rules(text: string): string[] {
  return showRules(programOf(text));
}

const FLATTENED: [text: string, rule: string][] = [
  ['p(x) :- q(x, _, _).', 'p:p(x) :- p:q(x, _, _)'],
  ['p(1, "a", -2.5, true, null).', 'p:p(1, "a", -2.5, true, null)'],
  ['p(x, y + 1) :- q(x, y)', 'p:p(x, $1) :- p:q(x, y), $1 = y + 1'],
  ['p(x) :- q(x), r(x * 2 - 1)', 'p:p(x) :- p:q(x), $1 = x * 2, $2 = $1 - 1, p:r($2)'],
  ['p(x) :- q(x), not r(x + 1, _)', 'p:p(x) :- p:q(x), $1 = x + 1, not p:r($1, _)'],
  ['p(y) :- q(x), y = -x % 7', 'p:p(y) :- p:q(x), $1 = 0 - x, y = $1 % 7'],
  ['p(y) :- q(x), x * 2 = y', 'p:p(y) :- p:q(x), y = x * 2'],
  ['p(x) :- q(x), x + 1 = 2 * x', 'p:p(x) :- p:q(x), $1 = x + 1, $1 = 2 * x'],
  ['p(x) :- q(x), (1 + x) * 2 >= x', 'p:p(x) :- p:q(x), $1 = 1 + x, $2 = $1 * 2, $2 >= x'],
  ['p(1 + 2)', 'p:p($1) :- $1 = 1 + 2'],
  // negated comparisons
  [
    'p(x) :- q(x, y), not (x < y), not x = y, not (x >= 1)',
    'p:p(x) :- p:q(x, y), x >= y, x != y, x < 1',
  ],
  // builtins, with and without their owner
  [
    'p(x) :- q(x, y), lt(x, y), builtin:gteq(x, 1), equal(x, y)',
    'p:p(x) :- p:q(x, y), x < y, x >= 1, x = y',
  ],
  [
    'p(x) :- q(x, y), not lteq(x, y), not equal(x, 2), !gt(x, 3)',
    'p:p(x) :- p:q(x, y), x > y, x != 2, x <= 3',
  ],
  ['p(z) :- q(x, y), plus(x, y, z)', 'p:p(z) :- p:q(x, y), z = x + y'],
  ['p(x) :- q(x, y), minus(x, y, 3), mul(x, y, _)', 'p:p(x) :- p:q(x, y), 3 = x - y, $1 = x * y'],
  ['p(x) :- q(x, y, z), not div(x, y, z)', 'p:p(x) :- p:q(x, y, z), $1 = x / y, $1 != z'],
  ['p(x) :- q(x, y), not builtin:mod(x, y, _)', 'p:p(x) :- p:q(x, y), $1 = x % y, true = false'],
  ['p(x) :- q(x), plus(x + 1, 2, 3 * x)', 'p:p(x) :- p:q(x), $1 = x + 1, $2 = 3 * x, $2 = $1 + 2'],
  // truth
  ['p(1) :- true', 'p:p(1)'],
  ['p(x) :- q(x), true(), not false', 'p:p(x) :- p:q(x)'],
  ['p(x) :- q(x), false', 'p:p(x) :- p:q(x), true = false'],
  ['p(x) :- q(x, true), x != false', 'p:p(x) :- p:q(x, true), x != false'],
  // 0-ary tables, names with dots
  ['p :- q(), not r', 'p:p() :- p:q(), not p:r()'],
  ['a.b(x) :- .c(x)', 'p:a.b(x) :- p:.c(x)'],
  // aggregates
  ['n(s, count()) :- port(p, s)', 'p:n(s, count()) :- p:port(p, s)'],
  ['n(count(p), s) :- port(p, s)', 'p:n(count(), s) :- p:port(p, s)'],
  [
    'm(t, sum(m), min(m), max(m)) :- vm(_v, t, m)',
    'p:m(t, sum(m), min(m), max(m)) :- p:vm(_v, t, m)',
  ],
  ['m(sum(x * 2), sum(1)) :- q(x)', 'p:m(sum($1), sum($2)) :- p:q(x), $1 = x * 2, $2 = 1'],
  // actions
  [
    'execute[nova:servers.pause(x, "now")] :- q(x)',
    'execute:nova:servers.pause(x, "now") :- p:q(x)',
  ],
  ['execute[pause(x)] :- q(x)', 'execute:p:pause(x) :- p:q(x)'],
  ['execute[a:b:c] :- true', 'execute:a:b:c()'],
];

for (const [text, expected] of FLATTENED) {
  test(`resolved: ${text}`, () => assert.deepEqual(rules(text), [expected]));
}

test('column references become positions, each `_` its own', () => {
  const declared = 'table s(id: string, name: string, n: int, b: bool)\n';
  const cases: [atom: string, resolved: string][] = [
    ['s(id=x)', 'p:s(x, _, _, _)'],
    ['s(n=3, id=x)', 'p:s(x, _, 3, _)'],
    ['s(0=x, 3=true)', 'p:s(x, _, _, true)'],
    ['s(x, "a", b=false)', 'p:s(x, "a", _, false)'],
    ['s(x, name=x)', 'p:s(x, x, _, _)'],
    ['s(id=x, n=_)', 'p:s(x, _, _, _)'],
  ];
  for (const [atom, resolved] of cases) {
    assert.deepEqual(rules(`${declared}p(x) :- ${atom}`), [`p:p(x) :- ${resolved}`]);
    const negated = `${declared}p(x) :- q(x), not ${atom}`;
    assert.deepEqual(rules(negated), [`p:p(x) :- p:q(x), not ${resolved}`]);
  }
});

test('an expression in a column reference', () => {
  const text = 'table s(id, n: int)\np(x) :- q(x), s(n=x + 1, id="a")';
  assert.deepEqual(rules(text), ['p:p(x) :- p:q(x), $1 = x + 1, p:s("a", $1)']);
});

test('columns of a table that is not there yet: any place will do, it is empty', () => {
  const { program, diagnostics } = compileText('p(x) :- nova:s(id=x, n=3), nova:s(x, y, n=y)');
  assert.deepEqual(new Set(codesOf(diagnostics)), new Set(['unresolved-table']));
  assert.deepEqual(showRules(program ?? assert.fail()), [
    'p:p(x) :- nova:s(x, 3, _, _), nova:s(x, y, y, _)',
  ]);
});

test('a table filled from a file is there, but its columns have no names', () => {
  const options = { externalTables: new Set(['p:q', 'src:t', 'a:base']) };
  const text = { p: 'r(x) :- q(x), src:t(x, _), a:base(x)', a: 'b(1)' };
  assert.deepEqual(compileText(text, [], options).diagnostics, []);
  const named = compileText('r(x) :- src:t(id=x)', [], options);
  assert.deepEqual(codesOf(named.diagnostics), ['undeclared-columns']);
  // Without the option: one warning each, and the error for a policy that is there without the
  // table.
  assert.deepEqual(codesOf(compileText(text).diagnostics), [
    'unknown-table',
    'unresolved-table',
    'unknown-table',
  ]);
  assert.equal(compileText(text).program, undefined);
});

test('a computation knows the literal it comes from', () => {
  const { rules: found } = programOf('p(x, y * 3) :- q(x, y), x  <  y+1, plus( x,y , _ )');
  const texts = found[0]?.body.flatMap((one) => (one.kind === 'compute' ? [one.text] : []));
  assert.deepEqual(texts, ['x < y + 1', 'plus(x, y, _)', 'y * 3']);
});

test('ordinals count rules and facts, not declarations; duplicates collapse', () => {
  const { rules: found } = programOf('table q(a)\nq(1).\np(x) :- q(x).\nq( 1 ).\np(2).');
  assert.deepEqual(
    found.map(({ ordinal, text }) => [ordinal, text]),
    [
      [1, 'q(1).'],
      [2, 'p(x) :- q(x).'],
      [4, 'p(2).'],
    ],
  );
});

test('no warning for a variable that an aggregate counts', () => {
  assert.deepEqual(codesOf(compileText('q(1, 2). n(count()) :- q(x, y)').diagnostics), []);
  assert.deepEqual(codesOf(compileText('q(1, 2). n(x) :- q(x, y)').diagnostics), [
    'singleton-variable',
  ]);
});
