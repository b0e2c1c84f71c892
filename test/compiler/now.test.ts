/**
 * `now` is a table of the system under another name; what comes from it is no argument of an
 * action.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileQuery } from '../../host/compiler/query.ts';
import { codesOf, compileText, errorsOf, programOf } from './compile-text.ts';
import type { Policies } from './compile-text.ts';

const bodiesOf = (text: string): unknown => {
  const { tables, rules } = programOf(text);
  return rules.map(({ body }) =>
    body.map((one) =>
      one.kind === 'atom'
        ? [tables[one.table]?.name, one.negated, one.terms.map((term) => term.kind)]
        : one.kind,
    ),
  );
};

test('`now`, `builtin:now` and the column of `system:now` are the same', () => {
  const expected = [[['now', false, ['variable', 'wildcard']]]];
  for (const atom of ['now(t)', 'builtin:now(t)', 'system:now(time=t)', 'system:now(t, _)']) {
    assert.deepEqual(bodiesOf(`p(t) :- ${atom}`), expected, atom);
  }
  assert.deepEqual(bodiesOf('p(1) :- not now("x")'), [[['now', true, ['constant', 'wildcard']]]]);
  assert.deepEqual(bodiesOf('p(1) :- now(_)'), [[['now', false, ['wildcard', 'wildcard']]]]);
  // The name stays taken, and a table of another owner is another table.
  assert.deepEqual(codesOf(errorsOf('now(1)')), ['reserved-name']);
  const { program } = compileText('p(t) :- q:now(t)');
  assert.deepEqual(
    program?.tables.map(({ owner, name }) => `${owner}:${name}`),
    ['p:p', 'q:now'],
  );
});

test('queries read it, with or without a rule that does', () => {
  for (const text of ['p(1)', 'p(t) :- now(t)']) {
    const program = programOf(text);
    const catalog = { policies: [{ name: 'p', text }], sources: [] };
    for (const query of ['now(t)', 'builtin:now(t)', 'system:now(time=t)']) {
      const { query: compiled, diagnostics } = compileQuery(program, catalog, query);
      assert.deepEqual(diagnostics, []);
      assert.deepEqual(compiled?.columns, ['t']);
      const [atom] = compiled?.body ?? [];
      assert.equal(atom?.kind === 'atom' ? compiled?.tables[atom.table]?.owner : '', 'system');
    }
    assert.deepEqual(codesOf(compileQuery(program, catalog, 'now(x, y)').diagnostics), ['arity']);
  }
});

/** Refused, with the text at the marks. */
const CHANGING: readonly [string, Policies][] = [
  ['t', 'execute[a(t)] :- now(t)'],
  ['s', 'execute[a(1, s)] :- system:now(seconds=s)'],
  ['x', 'execute[a(x)] :- now(t), x = t'],
  ['s + 1', 'execute[a(s + 1)] :- system:now(_, s)'],
  ['y', 'execute[a(y)] :- q(x), system:now(_, s), y = s - x'],
  ['x', 'execute[a(x)] :- r(x)\nr(x) :- r2(x, _)\nr2(t, 1) :- now(t)'],
  ['x', 'execute[a(x)] :- r(x)\nr(x) :- q(x)\nr(t) :- now(t)'],
  [
    'x',
    'execute[a(x)] :- r(x)\nr(x) :- r(x), q(x)\nr(y) :- r(x), w(x, y)\nr(s) :- system:now(_, s)',
  ],
  ['m', 'execute[a(m)] :- r(m)\nr(max(t)) :- now(t)'],
  ['i', 'execute[a(i)] :- system:errors(_, _, _, i)\nr(t + 1) :- now(t)'],
  ['x', { p: 'execute[a(x)] :- q:r(x)', q: 'r(t) :- now(t)' }],
];

/** The same shapes, where what is requested stays the same. */
const FIXED: readonly Policies[] = [
  'execute[a(x)] :- q(x), now(t), x < t',
  'execute[a(x)] :- q(x), now(x)',
  'execute[a(t)] :- now(t), t = "2030-01-01 00:00:00"',
  'execute[a(1)] :- now(_)',
  'execute[a(x)] :- q(x), not now(x)',
  'execute[a(x)] :- r(x)\nr(x) :- q(x), system:now(_, s), s - x > 5',
  'execute[a(x)] :- r(x, _)\nr(x, t) :- q(x), now(t)',
  'execute[a(n)] :- r(n)\nr(count()) :- q(x), now(t), x < t',
  'execute[a(i)] :- system:errors(_, _, _, i)\nr(x + 1) :- q(x), now(t), t > "2030"',
  { p: 'execute[a(x)] :- q:r(x)', q: 'r(x) :- z(x), now(t), x < t\ns(t) :- now(t)' },
];

for (const [word, policies] of CHANGING) {
  test(`an action does not take what comes from the time: ${JSON.stringify(policies)}`, () => {
    const [error, ...others] = errorsOf(policies);
    assert.deepEqual([error?.code, others], ['now-in-action', []]);
    const text = typeof policies === 'string' ? policies : (policies['p'] ?? '');
    assert.equal(error?.source, 'p');
    assert.equal(text.slice(error?.span.start, error?.span.end), word);
    assert.ok(error.span.start < text.indexOf(':-'), 'in the head');
  });
}

for (const policies of FIXED) {
  test(`an action may wait for a time (control): ${JSON.stringify(policies)}`, () => {
    assert.deepEqual(errorsOf(policies), []);
  });
}
