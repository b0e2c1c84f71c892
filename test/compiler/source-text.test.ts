import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiagnosticList, renderDiagnostic } from '../../host/compiler/diagnostic.ts';
import { caretLines, SourceText, exceedsUtf8 } from '../../host/compiler/source-text.ts';
import { DIAGNOSTICS_MAX } from '../../host/limits.ts';

test('positions count code points, from any direction', () => {
  const source = new SourceText('ab\n😀é x\r\n\nlast');
  const expected: [offset: number, line: number, column: number][] = [
    [0, 1, 1],
    [2, 1, 3],
    [3, 2, 1],
    [5, 2, 2],
    [6, 2, 3],
    [10, 3, 1],
    [11, 4, 1],
    [15, 4, 5],
    [99, 4, 5],
  ];
  for (const [offset, line, column] of [...expected, ...expected.toReversed()]) {
    assert.deepEqual(source.position(offset), { line, column }, `offset ${offset}`);
  }
  assert.equal(source.line(2), '😀é x');
  assert.equal(source.line(4), 'last');
  assert.equal(source.lineCount, 4);
});

test('carets stand under the span, tabs and wide characters before it kept', () => {
  const text = '\tp("😀") :- q(x)';
  const start = text.indexOf('q(x)');
  const { line, carets } = caretLines(new SourceText(text), { start, end: start + 4 });
  assert.equal(line, text);
  assert.equal(carets, `\t${' '.repeat(10)}^^^^`);
});

test('an empty span has one caret, a span over lines ends with its line', () => {
  const source = new SourceText('abc\ndef');
  assert.equal(caretLines(source, { start: 3, end: 3 }).carets, '   ^');
  assert.equal(caretLines(source, { start: 1, end: 6 }).carets, ' ^^');
});

test('a long line is cut around the span', () => {
  const text = `${'a'.repeat(500)}HERE${'b'.repeat(500)}`;
  const { line, carets } = caretLines(new SourceText(text), { start: 500, end: 504 });
  assert.ok(line.length < 130, `${line.length} columns`);
  assert.equal(line.slice(carets.indexOf('^'), carets.length), 'HERE');
});

test('what is shown cannot write to the terminal', () => {
  const { line } = caretLines(new SourceText('p("\u001b[2J\u202e")'), { start: 0, end: 1 });
  assert.equal(line, 'p("�[2J�")');
});

test('exceedsUtf8 agrees with the encoder', () => {
  for (const text of ['', 'abc', 'é€😀', 'x'.repeat(100)]) {
    const { length } = new TextEncoder().encode(text);
    assert.equal(exceedsUtf8(text, length), false, text);
    assert.equal(exceedsUtf8(text, length - 1), true, text);
  }
});

test('a rendered diagnostic has title, place, line, carets and note', () => {
  const text = 'p(1).\nq(x) :- r(y).';
  const list = new DiagnosticList(text, 'net');
  list.error('unbound-head-variable', { start: 8, end: 9 }, 'variable `x` is not bound', 'bind it');
  const [diagnostic] = list.finish();
  assert.ok(diagnostic !== undefined);
  assert.equal(
    renderDiagnostic(diagnostic, text),
    [
      'error[unbound-head-variable]: variable `x` is not bound',
      '  --> net:2:3',
      '  |',
      '2 | q(x) :- r(y).',
      '  |   ^',
      '  = bind it',
    ].join('\n'),
  );
  const upper = (part: string): string => part.toUpperCase();
  const same = (part: string): string => part;
  const styled = renderDiagnostic(diagnostic, text, {
    error: upper,
    warning: same,
    strong: same,
    dim: same,
  });
  assert.match(styled, /^ERROR\[UNBOUND-HEAD-VARIABLE\]: variable/);
});

test('beyond the limit, errors go before warnings and the rest is counted', () => {
  const list = new DiagnosticList('x'.repeat(10));
  for (let at = 0; at < DIAGNOSTICS_MAX; at++) {
    list.warning('singleton-variable', { start: 0, end: 1 }, 'warning', 'note');
  }
  list.error('syntax', { start: 5, end: 6 }, 'error', 'note');
  const found = list.finish();
  assert.equal(found.length, DIAGNOSTICS_MAX);
  assert.equal(found.at(-1)?.code, 'syntax');
  assert.match(found.at(-1)?.note ?? '', /1 more/);
});
