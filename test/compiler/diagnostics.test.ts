import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DIAGNOSTIC_CODES } from '../../host/compiler/diagnostic.ts';
import type { Diagnostic } from '../../host/compiler/diagnostic.ts';
import { compileText, marked, render } from './compile-text.ts';
import type { Policies } from './compile-text.ts';
import { BEST_CASES } from './diagnostic-best-cases.ts';
import { SOURCES, TEXT_CASES } from './diagnostic-cases.ts';
import { POLICY_CASES } from './diagnostic-policy-cases.ts';
import { RULE_CASES } from './diagnostic-rule-cases.ts';

/** Of `caucus lint` (lint.test.ts). */
const LINT_CODES = [
  'unused-table',
  'unused-rule',
  'never-holds',
  'cross-product',
  'non-linear-recursion',
];

const CASES = [...TEXT_CASES, ...RULE_CASES, ...BEST_CASES, ...POLICY_CASES];

const markedPolicy = (policies: Policies): [name: string, text: string] => {
  const texts = typeof policies === 'string' ? { p: policies } : policies;
  const found = Object.entries(texts).find(([, text]) => text.includes('«'));
  assert.ok(found !== undefined, 'one policy is marked');
  return found;
};

for (const [index, { code, severity = 'error', text, message, note, valid }] of CASES.entries()) {
  const [policy, withMarks] = markedPolicy(text);
  const title = withMarks.length > 60 ? `${withMarks.slice(0, 60)}…` : withMarks;
  test(`${code} ${index}: ${title.replaceAll('\n', ' ')}`, () => {
    const expected = marked(withMarks);
    const policies =
      typeof text === 'string' ? expected.text : { ...text, [policy]: expected.text };
    const { program, diagnostics } = compileText(policies, SOURCES);
    const shown = render(diagnostics, policies);
    const found = diagnostics.find(
      (one) => one.code === code && one.span.start === expected.span.start,
    ) as Diagnostic;
    assert.ok(found !== undefined, `no ${code} at the mark:\n${shown}`);
    assert.deepEqual(found.span, expected.span, shown);
    assert.equal(found.severity, severity);
    assert.match(found.message, message);
    assert.match(found.note ?? '', note ?? /^/);
    assert.equal(found.source, policy);
    assert.equal(program === undefined, severity === 'error');
    assert.doesNotMatch(found.message, /^[A-Z]|\.$/, 'lower case, no full stop');
    const others = diagnostics.filter((one) => one.severity === 'error' && one !== found);
    assert.deepEqual(others, [], `one mistake is one error:\n${shown}`);
    const control = compileText(valid, SOURCES);
    assert.ok(
      control.diagnostics.every((one) => one.code !== code && one.severity !== 'error'),
      `the control has mistakes too:\n${render(control.diagnostics, valid)}`,
    );
  });
}

test('every code is provoked', () => {
  const provoked = new Set<string>(CASES.map((one) => one.code));
  // Of queries (query.test.ts) and of tests in policies (compile-tests.test.ts).
  const others = ['ambiguous', 'unknown-policy', 'bad-test', ...LINT_CODES];
  for (const code of Object.keys(DIAGNOSTIC_CODES)) {
    if (!others.includes(code)) assert.ok(provoked.has(code), `no case for ${code}`);
  }
});

test('all errors of a text come at once, in text order', () => {
  const text = 'p(x :- q(x).\nr(x) :- not s(x).\nt(1. u(2).\nv(y) :- w(x).\n';
  const { diagnostics } = compileText(text);
  const errors = diagnostics.filter((one) => one.severity === 'error');
  assert.deepEqual(
    errors.map(({ code, line, column }) => [code, line, column]),
    [
      ['syntax', 1, 5],
      ['unbound-variable', 2, 15],
      ['syntax', 3, 6],
      ['unbound-head-variable', 4, 3],
    ],
  );
});

test('every mistake comes with what to do about it', () => {
  for (const { code, text } of CASES) {
    for (const one of compileText(text).diagnostics) {
      assert.ok((one.note ?? '').length > 5, `${code}: ${one.message}`);
    }
  }
});

test('a name of one letter is not taken for a slip of another one', () => {
  const { diagnostics } = compileText('p(1).\nr(x, y) :- q(x).\nservers(x) :- p(x), sarvers(x).\n');
  const notes = diagnostics.map(({ note }) => note ?? '');
  assert.equal(notes.length, 3);
  assert.deepEqual(
    notes.filter((note) => note.includes('did you mean')),
    ['did you mean `servers`?'],
  );
});
