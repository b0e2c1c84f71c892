import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiagnosticList } from '../../host/compiler/diagnostic.ts';
import { lex } from '../../host/compiler/lexer.ts';

function tokens(text: string): string[] {
  const diagnostics = new DiagnosticList(text);
  const found = lex(text, diagnostics).map(({ kind, text: word }) => `${kind[0]}:${word}`);
  assert.deepEqual(diagnostics.finish(), [], text);
  return found.slice(0, -1);
}

const CASES: [text: string, tokens: string][] = [
  // a dot in a name, a dot that ends a statement
  ['p(1).q(2)', 'n:p m:( i:1 m:) m:. n:q m:( i:2 m:)'],
  ['p(1).\nq(2)', 'n:p m:( i:1 m:) m:. n:q m:( i:2 m:)'],
  ['p(1) .\nq', 'n:p m:( i:1 m:) m:. n:q'],
  ['p(1) .q(2)', 'n:p m:( i:1 m:) n:.q m:( i:2 m:)'],
  ['p :- q.\nr.', 'n:p m::- n:q m:. n:r m:.'],
  ['a.b.c(.d)', 'n:a.b.c m:( n:.d m:)'],
  ['x = "s".q', 'n:x m:= s:s m:. n:q'],
  ['execute[p].q', 'n:execute m:[ n:p m:] m:. n:q'],
  // numbers: `1.` is a float inside parentheses only
  ['p(1.)', 'n:p m:( f:1 m:)'],
  ['p(1.e3)', 'n:p m:( f:1000 m:)'],
  ['x = 1.', 'n:x m:= i:1 m:.'],
  ['x = 1.5.', 'n:x m:= f:1.5 m:.'],
  ['x = 1.q(2)', 'n:x m:= i:1 m:. n:q m:( i:2 m:)'],
  ['.5 1e5 1.5E-3 00 0', 'f:0.5 f:100000 f:0.0015 i:0 i:0'],
  ['1-1', 'i:1 m:- i:1'],
  // strings
  [`'a"b' "c'd"`, `s:a"b s:c'd`],
  [String.raw`"\n\t\r\\\"\'\u00e9\u{1F600}\ud83d\ude00"`, `s:\n\t\r\\"'é😀😀`],
  // raw strings for regular expressions; `u` as Python 2 had it
  [String.raw`r"\d\"(r'a"b') u"\t" ur`, String.raw`s:\d\ m:( s:a"b m:) s:` + '\t n:ur'],
  // marks and comments
  ['a:-b:c!=!d<=<>=>', 'n:a m::- n:b m:: n:c m:!= m:! n:d m:<= m:< m:>= m:>'],
  ['a // b\nc # d', 'n:a n:c'],
  ['a /* b // \n * */ c', 'n:a n:c'],
  ['a // no line end', 'n:a'],
  ['\ufeffa\r\nb', 'n:a n:b'],
];

for (const [text, expected] of CASES) {
  test(`tokens of ${JSON.stringify(text)}`, () => {
    assert.equal(tokens(text).join(' '), expected);
  });
}

test('comments know their lines', () => {
  const text = 'a /* 1 */ // 2\n// 3\n\n# 4\nb';
  const [, second] = lex(text, new DiagnosticList(text));
  assert.deepEqual(
    second?.comments.map(({ text: words, sameLine, blankLineBefore }) => [
      words,
      sameLine,
      blankLineBefore,
    ]),
    [
      ['/* 1 */', true, false],
      ['// 2', true, false],
      ['// 3', false, false],
      ['# 4', false, true],
    ],
  );
});
