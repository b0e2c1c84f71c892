import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CatalogSource } from '../../host/compiler/catalog.ts';
import type { Column } from '../../host/compiler/stratified.ts';
import { printRows } from './evaluate-text.ts';
import { codesOf, compileText, errorsOf, programOf, showRules } from './compile-text.ts';
import type { Policies } from './compile-text.ts';

// What Congress' own tests assert of its language, as far as this subset has it; where we decide
// otherwise (recursion, padding, `_`), the comment says so.

const columns = (names: string): Column[] =>
  names.split(' ').map((name) => ({ name, type: 'any' }));

const NOVA: readonly CatalogSource[] = [
  {
    name: 'nova',
    declared: true,
    tables: [
      { name: 'p', arity: 3, columns: columns('id name status') },
      { name: 'q', arity: 4, columns: columns('a b c d') },
    ],
  },
];

test('1 names: table, policy, action', () => {
  assert.deepEqual(showRules(programOf('p. q :- nova:p. execute[nova:p] :- q.')), [
    'p:p()',
    'p:q() :- nova:p()',
    'execute:nova:p() :- p:q()',
  ]);
});

test('2 event statements are refused', () => {
  const events = [
    'insert[p(1) :- true]',
    'delete[p(x) :- q(x)]',
    'insert[execute[p(x)] :- q(x)]',
    'insert[p(x) :- q(x); "policy"]',
  ];
  for (const text of events) assert.equal(errorsOf(text)[0]?.code, 'unsupported-event', text);
});

test('3 malformed modals are refused', () => {
  const cases: [text: string, code: string][] = [
    ['execute[p(x)', 'syntax'],
    ['execute[p(x)] p(x)', 'fact-not-ground'],
    ['execute[p(x) :- q(x)', 'syntax'],
    ['execute[execute[p(1)]] :- true', 'misplaced-modal'],
    ['foo[p(1)] :- true', 'misplaced-modal'],
    ['p(x) :- execute[q(x)]', 'misplaced-modal'],
    ['execute[p(x), q(x)] :- r(x)', 'syntax'],
    ['execute(1)', 'reserved-name'],
    ['insert(1)', 'reserved-name'],
    ['delete(1)', 'reserved-name'],
    ['not(1)', 'negated-head'],
    ['execute[nova:pause(1)]', 'execute-fact'],
  ];
  for (const [text, code] of cases) assert.ok(codesOf(errorsOf(text)).includes(code), text);
});

test('4 column references that contradict themselves', () => {
  for (const args of [
    'id=x, id=y',
    '0=x, 0=y',
    'x, 0=y',
    'id=x, y',
    'x, y, 1=x',
    '1=x, y, name=z',
  ]) {
    const errors = errorsOf(`h(x) :- nova:p(${args})`, NOVA);
    assert.deepEqual(codesOf(errors), ['column-arguments'], args);
  }
});

test('5 column references that the table contradicts', () => {
  const cases: [atom: string, code: string][] = [
    ['nova:missing(id=x)', 'unknown-table'],
    ['nova:p(nme=x)', 'unknown-column'],
    ['nova:p(3=x)', 'unknown-column'],
    ['nova:p(id=x, 0=x)', 'column-arguments'],
    ['nova:p(x, id=x)', 'column-arguments'],
    ['nova:p(x, x, x, id=x)', 'column-arguments'],
    ['nova:p(x, x, x, x)', 'arity'],
  ];
  for (const [atom, code] of cases) {
    assert.deepEqual(codesOf(errorsOf(`h(x) :- ${atom}`, NOVA)), [code], atom);
  }
  assert.deepEqual(codesOf(errorsOf('h(x) :- q(x), own(id=x)')), ['undeclared-columns']);
});

test('6 column references: names, numbers, constants, order, mixing', () => {
  const cases: [atom: string, resolved: string][] = [
    ['nova:p(id=x)', 'nova:p(x, _, _)'],
    ['nova:p(status=y, id=x)', 'nova:p(x, _, y)'],
    ['nova:p(1=y, id=x)', 'nova:p(x, y, _)'],
    ['nova:p(x, status="on")', 'nova:p(x, _, "on")'],
    ['nova:p(x, 2=y, name="a")', 'nova:p(x, "a", y)'],
    ['nova:p(x, y, 5)', 'nova:p(x, y, 5)'],
    ['nova:q(x, c=x)', 'nova:q(x, _, x, _)'],
  ];
  for (const [atom, resolved] of cases) {
    const [rule] = showRules(programOf(`h(x) :- ${atom}`, NOVA));
    assert.equal(rule, `p:h(x) :- ${resolved}`);
  }
});

test('6 too few arguments are an error, not padded in silence', () => {
  assert.deepEqual(codesOf(errorsOf('h(x) :- nova:p(x)', NOVA)), ['arity']);
});

test('7 the columns left out differ from atom to atom', () => {
  const text = 'h(x) :- nova:p(id=x), nova:p(id=x), nova:q(a=x), not nova:q(b=x)';
  assert.deepEqual(showRules(programOf(text, NOVA)), [
    'p:h(x) :- nova:p(x, _, _), nova:p(x, _, _), nova:q(x, _, _, _), not nova:q(_, x, _, _)',
  ]);
});

const INVALID: [text: string, codes: string][] = [
  ['p(x) :- q(y)', 'unbound-head-variable'],
  ['p(x, y) :- q(z)', 'unbound-head-variable unbound-head-variable'],
  ['p(x, y, z) :- q(x, w)', 'unbound-head-variable unbound-head-variable'],
  ['p(x) :- q(x), not r(y)', 'unbound-variable'],
  ['p(x) :- not q(x)', 'unbound-variable'],
  ['p(x) :- q(x), lt(x, y)', 'unbound-variable'],
  ['p(x) :- q(x), not lt(y, x)', 'unbound-variable'],
  ['p(x), r(x) :- q(x)', 'multiple-heads'],
  ['not p(x) :- q(x)', 'negated-head'],
  ['p(x) :- execute[q(x)]', 'misplaced-modal'],
  ['nova:p(x) :- q(x)', 'policy-in-head'],
  ['nova:p(1)', 'policy-in-head'],
  ['p(x)', 'fact-not-ground'],
  ['equal(x, y) :- q(x, y)', 'reserved-name'],
  ['lt(1, 2)', 'reserved-name'],
  ['now(x) :- q(x)', 'reserved-name'],
  ['p(x) :- q(x, y), nosuch:r(y), builtin:nosuch(x)', 'unknown-builtin'],
];
for (const [text, codes] of INVALID) {
  test(`8 refused: ${text}`, () => {
    assert.deepEqual(codesOf(errorsOf(text)).sort(), codes.split(' ').sort());
  });
}

const VALID = [
  'p(x) :- q(x)',
  'p(1) p(2); p(3).',
  'p(x) :- q(x), not r(x)',
  'p(x) :- q(x), not r(x, _)',
  'p(x) :- nova:q(x)',
  'execute[nova:p(x)] :- q(x)',
  'execute[p(x)] :- q(x)',
  'p(x) :- q(x), plus(x, 1, y), lt(y, 3)',
  'p(x) :- lt(x, 3), q(x)',
  'p(x,y) :- q(x), plus(x, 1, y)',
  'p :- true',
  'Execute(1). P(X) :- Q(X). p.q(x) :- r.s(x), t(x)',
  '# comment\np(1) // comment\n/* comment */ q(2) # the last one needs no line end',
];
for (const text of VALID) {
  test(`8 accepted: ${text.replaceAll('\n', ' ')}`, () => assert.deepEqual(errorsOf(text), []));
}

test('9 widths against declared and inferred tables', () => {
  const cases: [text: string, codes: string[]][] = [
    ['h(x) :- nova:p(x, y, z)', []],
    ['h(x) :- nova:p(x, y)', ['arity']],
    ['h(x) :- nova:none(x)', ['unknown-table']],
    ['h(x) :- own(x, y). own(1).', ['arity']],
    ['h(x) :- own(x). i(x) :- own(x, _).', ['arity']],
    ['h(x) :- other:t(x). i(x) :- other:t(x, _).', ['arity']],
  ];
  for (const [text, codes] of cases) assert.deepEqual(codesOf(errorsOf(text, NOVA)), codes, text);
});

test('10 recursion is allowed, negation in it is not', () => {
  const cases: [text: string, accepted: boolean][] = [
    ['p(x) :- q(x)', true],
    ['p(x) :- q(x). q(x) :- r(x)', true],
    ['p(x) :- p(x)', true],
    ['p(x) :- q(x). q(x) :- p(x)', true],
    ['p(x) :- q(x). q(x) :- r(x). r(x) :- p(x)', true],
    ['p(x) :- q(x), not r(x)', true],
    ['p(x) :- q(x), not r(x). r(x) :- q(x)', true],
    ['p(x) :- q(x), not r(x). q(x) :- p(x)', true],
    ['p(x) :- s(x), not p(x)', false],
    ['p(x) :- s(x), not q(x). q(x) :- p(x)', false],
    ['p(x) :- s(x), not q(x). q(x) :- s(x), not p(x)', false],
    ['p(x) :- q(x). q(x) :- r(x). r(x) :- s(x), not p(x)', false],
    ['p(x) :- q(x), s(x). q(x) :- r(x). r(x) :- s(x), not t(x). t(x) :- s(x)', true],
    ['p(x) :- s(x), not q(x). q(x) :- s(x), not r(x). r(x) :- s(x)', true],
  ];
  for (const [text, accepted] of cases) {
    const codes = new Set(codesOf(errorsOf(text)));
    assert.deepEqual([...codes], accepted ? [] : ['negative-cycle'], text);
  }
});

test('15 facts, rules, actions', () => {
  const text = 'p(1). p(2). q(x) :- p(x), lt(x, 2). execute[s:a(x)] :- q(x). p(1).';
  assert.equal(printRows(text), 'execute:s:a(1) p:p(1) p:p(2) p:q(1)');
});

test('15 conflicts of width, in both orders', () => {
  const pairs: [string, string][] = [
    ['p(1).', 'p(1, 2).'],
    ['p(1).', 'p(x, y) :- q(x, y).'],
    ['p(1).', 'q(x) :- p(x, _).'],
    ['q(x) :- p(x).', 'q(x, y) :- p(x), p(y).'],
    ['q(x) :- p(x).', 'r(x) :- p(x, _).'],
    ['p(1).', 'p.'],
    ['execute[s:a(x)] :- q(x).', 'execute[s:a(x, x)] :- q(x).'],
  ];
  for (const [first, second] of pairs) {
    for (const text of [`${first} ${second}`, `${second} ${first}`]) {
      assert.deepEqual(codesOf(errorsOf(text)), ['arity'], text);
    }
  }
});

test('16 what is deleted is gone, and nothing else', () => {
  const statements = ['p(1).', 'p(2).', 'q(x) :- p(x).', 'execute[s:a(x)] :- q(x).'];
  assert.equal(
    printRows(statements.join(' ')),
    'execute:s:a(1) execute:s:a(2) p:p(1) p:p(2) p:q(1) p:q(2)',
  );
  assert.equal(printRows(statements.toSpliced(0, 1).join(' ')), 'execute:s:a(2) p:p(2) p:q(2)');
  assert.equal(printRows(statements.toSpliced(2, 1).join(' ')), 'p:p(1) p:p(2)');
  assert.equal(printRows(statements.toSpliced(3, 1).join(' ')), 'p:p(1) p:p(2) p:q(1) p:q(2)');
});

const SELECTED: [name: string, text: string, table: string, rows: string][] = [
  ['join', 'h(x, z) :- q(x, y), q(y, z). q(1, 2). q(2, 3). q(2, 4).', 'h', 'h(1, 3) h(1, 4)'],
  ['disjunction', 'h(x) :- q(x). h(x) :- r(x). q(1). r(2). r(1).', 'h', 'h(1) h(2)'],
  ['existential', 'h(x) :- q(x, _). q(1, 1). q(1, 2).', 'h', 'h(1)'],
  ['tower', 'a(x) :- b(x). b(x) :- c(x). c(x) :- d(x). d(1).', 'a', 'a(1)'],
  ['repeated variable', 'h(x) :- q(x, x). q(1, 1). q(1, 2).', 'h', 'h(1)'],
  ['each `_` its own', 'h(x) :- q(x, _, _). q(1, 2, 3).', 'h', 'h(1)'],
  [
    'scope of variables',
    'h(x) :- q(x, y), r(y). i(y) :- q(y, x), r(x). q(1, 2). r(2).',
    'i',
    'i(1)',
  ],
  ['constants', 'h(x) :- q(x, "a"). q(1, "a"). q(2, "b").', 'h', 'h(1)'],
  ['product', 'h(x, y) :- q(x), q(y). q(1). q(2).', 'h', 'h(1, 1) h(1, 2) h(2, 1) h(2, 2)'],
  ['identity of type', 'h(x) :- q(x), r(x). q(1). r(1.0).', 'h', ''],
  ['propositions', 'h :- q, r. q. r.', 'h', 'h()'],
  ['negation, unary', 'h(x) :- q(x), not r(x). q(1). q(2). r(2).', 'h', 'h(1)'],
  ['negation, binary', 'h(x) :- q(x), s(y), not r(x, y). q(1). s(2). s(3). r(1, 2).', 'h', 'h(1)'],
  ['negation, none', 'h(x) :- q(x), not r(x, _). q(1). q(2). r(1, 5).', 'h', 'h(2)'],
  [
    'negation, deep',
    'h(x) :- q(x), not a(x). a(x) :- q(x), not b(x). b(1). q(1). q(2).',
    'h',
    'h(1)',
  ],
  [
    'negation in the middle',
    'h(x) :- q(x), not r(x), s(x). q(1). q(2). r(1). s(1). s(2).',
    'h',
    'h(2)',
  ],
  ['negation first', 'h(x) :- not r(x), q(x). q(1). q(2). r(1).', 'h', 'h(2)'],
  ['arithmetic', 'h(x, y) :- q(x), plus(x, 10, y). q(1). q(2).', 'h', 'h(1, 11) h(2, 12)'],
  ['arithmetic, output bound', 'h(x) :- q(x), q(y), plus(x, 1, y). q(1). q(2).', 'h', 'h(1)'],
];
for (const [name, text, table, rows] of SELECTED) {
  test(`17, 18 ${name}`, () => {
    assert.equal(
      printRows(text, new Set([`p:${table}`])),
      rows === '' ? '' : rows.replaceAll(/\b(?=[a-z]+\()/g, 'p:'),
    );
  });
}

test('24 references through three policies; local names shadow nothing', () => {
  const policies: Policies = {
    a: 'p(x) :- b:q(x), r(x). r(1). r(2).',
    b: 'q(x) :- c:s(x). r(9).',
    c: 's(x) :- r(x). r(2). r(3).',
  };
  assert.equal(printRows(policies, new Set(['a:p', 'b:q'])), 'a:p(2) b:q(2) b:q(3)');
});

test('25 policies in heads and facts are refused, recursion across policies is not', () => {
  assert.deepEqual(codesOf(errorsOf({ a: 'b:p(x) :- q(x)', b: 'p(1)' })), ['policy-in-head']);
  assert.deepEqual(codesOf(errorsOf({ a: 'b:p(1)', b: 'p(1)' })), ['policy-in-head']);
  assert.deepEqual(codesOf(errorsOf({ a: 'p+(x) :- q(x)' })), ['action-policy']);
  const recursive: Policies = { a: 'p(x) :- b:q(x). p(1).', b: 'q(x) :- a:p(x).' };
  assert.equal(printRows(recursive), 'a:p(1) b:q(1)');
});

test('27 forward references, and references to what was deleted', () => {
  const a = 'p(x) :- b:q(x). n(x) :- r(x), not b:q(x). r(1). r(2).';
  const alone = compileText({ a });
  assert.deepEqual(codesOf(alone.diagnostics), ['unresolved-table']);
  assert.equal(printRows({ a }, new Set(['a:p', 'a:n'])), 'a:n(1) a:n(2)');
  assert.equal(printRows({ a, b: 'q(1).' }, new Set(['a:p', 'a:n'])), 'a:n(2) a:p(1)');
});
