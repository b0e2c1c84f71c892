import assert from 'node:assert/strict';
import test from 'node:test';
import { isInside, readTree, treeOf, type Findings, type SourceTree } from './source-tree.ts';

const FILE_LINES_MAX = 500;
const LINE_COLUMNS_MAX = 100;
/** The formatter cannot break a text. */
const TEXT_LINE_COLUMNS_MAX = 200;
/** A drawn layout or table keeps its lines. */
const DRAWN_LINE_COLUMNS_MAX = 120;

/** Files that are longer, and why they are better in one piece. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'engine-as/dense-translate.ts':
    'one translation: its steps share the registers of the version at hand',
  'engine-as/dense.ts': 'one state machine: its stages share the plan and the place in it',
  'engine-as/maintenance.ts': 'one state machine: its phases share the cursor and the unit at hand',
  'engine-as/program-decoder.ts': 'the only reader of untrusted bytes is read in one piece',
  'host/log/file-log.ts': 'one class: what it promises holds for all of its state',
  'host/replica/local-replica.ts': 'the parts of a replica are put together here, each call a line',
  'host/value/json.ts': 'one reader, by hand for speed',
  'test/api/websocket.test.ts': 'the conformance of the protocol, one conversation a test',
};

const CODE = /\.(ts|dl)$/;

function tooLong(tree: SourceTree, exceptions: Readonly<Record<string, string>>): Findings {
  const findings: string[] = [];
  for (const [file, text] of tree) {
    if (!CODE.test(file)) continue;
    const lines = text.split('\n');
    const count = lines.length - 1;
    if (count > FILE_LINES_MAX && exceptions[file] === undefined) {
      findings.push(`${file} has ${count} lines; split it, or say in LONG_FILES why not`);
    }
    for (const [index, line] of lines.entries()) {
      // A column is a code point here. Addresses cannot be broken.
      const isComment = /^\s*(\*|\/\*|\/\/)/.test(line);
      const hasText = !isComment && /['"`/].{30,}['"`/]/.test(line);
      const isDrawn = isComment && / {3,}/.test(line.trimStart());
      const wide = isDrawn ? DRAWN_LINE_COLUMNS_MAX : LINE_COLUMNS_MAX;
      const max = hasText ? TEXT_LINE_COLUMNS_MAX : wide;
      if ([...line].length > max && !/https?:\/\/\S+$/.test(line)) {
        findings.push(`${file}:${index + 1} is longer than ${max} columns`);
      }
    }
  }
  for (const file of Object.keys(exceptions)) {
    const lines = tree.get(file)?.split('\n').length ?? 0;
    if (lines <= FILE_LINES_MAX) findings.push(`${file} needs no entry in LONG_FILES`);
  }
  return findings;
}

test('files and lines stay short', () => {
  const tree = new Map([...readTree()].filter(([file]) => !isInside(file, 'test/language')));
  assert.deepEqual(tooLong(tree, LONG_FILES), []);
});

test('control: a long file, a long line, an entry without need', () => {
  const long = treeOf({ 'host/a.ts': '\n'.repeat(501) });
  assert.equal(tooLong(long, {}).length, 1);
  assert.equal(tooLong(long, { 'host/a.ts': 'a table' }).length, 0);
  assert.equal(tooLong(treeOf({ 'host/a.ts': '//\n' }), { 'host/a.ts': 'a table' }).length, 1);
  assert.equal(tooLong(treeOf({ 'host/a.ts': `// ${'é'.repeat(97)}\n` }), {}).length, 0);
  assert.equal(tooLong(treeOf({ 'host/a.ts': `// ${'é'.repeat(98)}\n` }), {}).length, 1);
  assert.equal(tooLong(treeOf({ 'host/a.ts': `f('${'e'.repeat(190)}');\n` }), {}).length, 0);
  assert.equal(tooLong(treeOf({ 'host/a.ts': `f('${'e'.repeat(200)}');\n` }), {}).length, 1);
});
