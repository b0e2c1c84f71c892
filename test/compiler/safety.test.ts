import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileText, programOf, showRules } from './compile-text.ts';

// The order moves only what has to move.
const ORDERED: [text: string, rule: string][] = [
  ['p(x) :- not r(x), q(x)', 'p:p(x) :- p:q(x), not p:r(x)'],
  ['p(x) :- not r(x), q(y), q(x), s(y)', 'p:p(x) :- p:q(y), p:q(x), not p:r(x), p:s(y)'],
  ['p(z) :- z = y + 1, y = x + 1, q(x)', 'p:p(z) :- p:q(x), y = x + 1, z = y + 1'],
  ['p(x) :- x = y, y = z, z = 3', 'p:p(x) :- z = 3, y = z, x = y'],
  ['p(x) :- y < x, q(x), y = 2', 'p:p(x) :- p:q(x), y = 2, y < x'],
  ['p(x) :- plus(x, y, z), lt(z, 9), q(x), q(y)', 'p:p(x) :- p:q(x), p:q(y), z = x + y, z < 9'],
  ['p(x) :- not r(x, _), q(x)', 'p:p(x) :- p:q(x), not p:r(x, _)'],
  ['p(1) :- not r(2)', 'p:p(1) :- not p:r(2)'],
  ['p(x) :- r(x + 1), q(x)', 'p:p(x) :- p:r($1), p:q(x), $1 = x + 1'],
];
for (const [text, expected] of ORDERED) {
  test(`order: ${text}`, () => assert.deepEqual(showRules(programOf(text)), [expected]));
}

const UNSAFE: [text: string, variables: string][] = [
  ['p(x) :- not q(x)', 'x'],
  ['p(x, y) :- not q(x, y)', 'x y'],
  ['p(x) :- x = y', 'y x'],
  ['p(x) :- x = x', 'x'],
  ['p(x) :- x = y + 1, y = x - 1', 'y x'],
  ['p(x) :- x = z + 1, y = x - 1', 'z'],
  ['p(1) :- x < y', 'x y'],
  ['p(z) :- q(x), plus(x, y, z)', 'y'],
  ['p(x) :- q(x), not r(y + 1)', 'y'],
  ['p(x) :- q(x), not plus(x, 1, y)', 'y'],
  ['p(x) :- q(x), y != x', 'y'],
  ['p(x, y, z) :- q(x)', 'y z'],
];
for (const [text, variables] of UNSAFE) {
  test(`unsafe: ${text}`, () => {
    const { program, diagnostics } = compileText(text);
    assert.equal(program, undefined);
    const errors = diagnostics.filter((one) => one.severity === 'error');
    const named = errors.map((one) => /`([^`]+)`/.exec(one.message)?.[1]);
    assert.deepEqual(new Set(named), new Set(variables.split(' ')), JSON.stringify(errors));
    assert.equal(named.length, new Set(named).size, 'each once');
    assert.ok(errors.every((one) => one.code.startsWith('unbound')));
  });
}
