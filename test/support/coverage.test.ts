import assert from 'node:assert/strict';
import test from 'node:test';
import { instrument } from './coverage-core.ts';
import type { Statement } from './coverage-files.ts';
import { lineRanges, summarise } from './coverage.ts';

test('markers go before every statement and keep the lines', () => {
  const statements: Statement[] = [];
  const text = 'function f(x: i32): i32 {\n  if (x) return 1;\n  else x = 2;\n  return x;\n}\n';
  const marked = instrument('engine-as/operators/scan.ts', text, statements);
  assert.equal(
    marked,
    "import { __cover } from '../coverage-counters';" +
      'function f(x: i32): i32 {\n  __cover(0);if (x) {__cover(1);return 1;}\n' +
      '  else {__cover(2);x = 2;}\n  __cover(3);return x;\n}\n',
  );
  assert.deepEqual(
    statements.map(({ line }) => line),
    [2, 2, 3, 4],
  );
});

test('a chain of else-ifs and cases stays well formed', () => {
  const statements: Statement[] = [];
  const text = 'function f(x: i32): void {\n  if (x) g();\n  else if (y) for (;;) h();\n}\n';
  const marked = instrument('engine-as/a.ts', text, statements);
  assert.match(
    marked,
    /else \{__cover\(2\);if \(y\) \{__cover\(3\);for \(;;\) \{__cover\(4\);h\(\);\}\}\}/,
  );
});

test('constants alone are left as they are', () => {
  assert.equal(
    instrument('engine-as/abi.ts', 'export const A = 1;\n', []),
    'export const A = 1;\n',
  );
});

test('a line counts once and is covered by any of its statements', () => {
  const file = 'engine-as/a.ts';
  const statements = [1, 2, 2, 3].map((line) => ({ file, line }));
  assert.deepEqual(summarise(statements, Uint8Array.of(0, 0, 1, 0)), [
    { file, lines: 3, covered: 1, missed: [1, 3] },
  ]);
  assert.equal(lineRanges([3, 4, 5, 9, 11, 12]), '3-5, 9, 11-12');
});
