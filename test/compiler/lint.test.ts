import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { lint } from '../../host/compiler/lint.ts';
import { marked, render } from './compile-text.ts';

const findings = (text: string) => lint({ policies: [{ name: 'p', text }], sources: [] });

/** The finding with its span, and the same without it. */
const CASES: readonly (readonly [code: string, text: string, valid: string])[] = [
  ['unused-table', 'table «q»(x)\np(1).', 'table q(x)\np(x) :- q(x).'],
  ['unused-rule', '«p(x) :- q(x), r(x).»\np(x) :- q(x).', 'p(x) :- q(x), r(x).\np(x) :- s(x).'],
  ['never-holds', 'p(x) :- q(x), «x < x».', 'p(x) :- q(x), x <= x.'],
  ['never-holds', 'p(x) :- q(x), x = 1, «x = 2».', 'p(x) :- q(x), x = 1, x < 2.'],
  ['never-holds', 'p(x) :- q(x), «1 = 2».', 'p(x) :- q(x), x = 2.'],
  ['never-holds', 'p(x) :- q(x), «false».', 'p(x) :- q(x), true.'],
  ['never-holds', 'p(x) :- q(x), «not q(x)».', 'p(x) :- q(x), not r(x).'],
  ['cross-product', 'p(x, y) :- q(x), «r(y)».', 'p(x, y) :- q(x), r(y), x < y.'],
  ['cross-product', 'p(x, y) :- q(x), «r(y)».', 'p(x, y) :- q(x), r(y), not s(x, y).'],
  ['cross-product', 'p(x, y) :- q(x), «r(y)».', 'p(x) :- q(x), r(_).'],
  ['cross-product', 'p(x, y) :- q(x), «r(y)».', 'p(x, t) :- q(x), now(t).'],
  [
    'non-linear-recursion',
    'p(x, y) :- e(x, y).\np(x, z) :- p(x, y), «p(y, z)».',
    'p(x, y) :- e(x, y).\np(x, z) :- p(x, y), e(y, z).',
  ],
  ['singleton-variable', 'p(x) :- q(x, «y»).', 'p(x) :- q(x, _).'],
];
for (const [code, withMarks, valid] of CASES) {
  test(`${code}: ${withMarks.replaceAll('\n', ' ')}`, () => {
    const { text, span } = marked(withMarks);
    const found = findings(text).filter((one) => one.code !== 'unknown-table');
    assert.deepEqual(
      found.map((one) => [one.code, one.span]),
      [[code, span]],
      render(found, text),
    );
    assert.ok(found[0]?.note !== undefined, 'a remedy');
    assert.deepEqual(
      findings(valid).filter((one) => one.code !== 'unknown-table'),
      [],
      render(findings(valid), valid),
    );
  });
}

test('a comment at the statement keeps a finding quiet, and only there and only this one', () => {
  const rule = 'p(x, y) :- q(x), r(y), x < x.';
  const codes = (text: string): string[] =>
    findings(text).flatMap(({ code }) => (code === 'unknown-table' ? [] : [code]));
  assert.deepEqual(codes(rule), ['cross-product', 'never-holds']);
  assert.deepEqual(codes(`// lint: allow cross-product\n${rule}`), ['never-holds']);
  assert.deepEqual(codes(`${rule} // lint: allow never-holds, cross-product`), []);
  assert.deepEqual(codes(`// lint: allow cross-product\ns(1).\n${rule}`), [
    'cross-product',
    'never-holds',
  ]);
});

test('the examples and the programs of the bench are quiet, but for recursions that are not linear', () => {
  const files = ['examples', 'bench/programs'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(policy|dl)$/.test(file))
      .map((file) => path.join(folder, file)),
  );
  assert.ok(files.length > 8);
  for (const file of files) {
    const name = path.parse(file).name;
    const policies = [{ name, text: readFileSync(file, 'utf8') }];
    const found = lint({ policies, sources: [] }).filter(
      ({ code }) => !/^un.*-(table|import)$/.test(code),
    );
    const isKnown = ['andersen', 'cspa', 'tcn'].includes(name);
    const codes = new Set(found.map((one) => one.code));
    assert.deepEqual([...codes], isKnown ? ['non-linear-recursion'] : [], file);
  }
});
