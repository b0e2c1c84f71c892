import assert from 'node:assert/strict';
import { test } from 'node:test';
import pc from 'picocolors';
import stringWidth from 'string-width';
import { DemoView } from '../../host/cli/demo-view.ts';
import type { DemoHead } from '../../host/cli/demo-view.ts';

const plain = pc.createColors(false);
const HEAD: DemoHead = {
  url: 'http://127.0.0.1:1789',
  about: 'Debian package index',
  state: 'fresh',
  problem: undefined,
  suggestion: 'zlib1g',
};
const SIZE = { width: 100, height: 40 };

function filled(): DemoView {
  const view = new DemoView();
  view.apply('totals', {
    revision: 3,
    snapshot: true,
    changes: [
      ['+', ['packages', 63_682n]],
      ['+', ['installed', 712n]],
    ],
  });
  view.apply('users', {
    revision: 3,
    snapshot: true,
    changes: [
      ['+', ['dash', 3n]],
      ['+', ['libc6', 606n]],
      ['+', ['zlib1g', 250n]],
    ],
  });
  view.apply('critical', {
    revision: 3,
    snapshot: true,
    changes: [
      ['+', ['libc6', 9n]],
      ['+', ['zlib1g', 5n]],
    ],
  });
  return view;
}

test('the screen shows what the transactions add up to', () => {
  const view = filled();
  assert.equal(view.suggestion(), 'zlib1g');
  view.apply('forbidden', { revision: 4, snapshot: false, changes: [['+', ['zlib1g']]] });
  view.apply('alarms', {
    revision: 4,
    snapshot: false,
    changes: [
      ['+', ['dpkg', 'zlib1g', 'forbidden']],
      ['+', ['dash', 'zlib1g', 'forbidden']],
    ],
  });
  view.apply('alarms', {
    revision: 5,
    snapshot: false,
    changes: [['-', ['dash', 'zlib1g', 'forbidden']]],
  });
  const screen = view.lines(SIZE, HEAD, plain).join('\n');
  assert.match(screen, /63,682 packages {2}· {2}712 installed/);
  assert.match(screen, /606 {2}libc6.*\n.*250 {2}zlib1g.*\n.*3 {2}dash/);
  assert.match(screen, /zlib1g \(forbidden\) {2}dpkg\n/);
  assert.match(screen, / 4 \+ packages:alarm\("dash", "zlib1g", "forbidden"\)/);
  assert.match(screen, / 5 - packages:alarm\("dash", "zlib1g", "forbidden"\)/);
  assert.match(screen, /revision 5/);
  assert.match(screen, /f forbid zlib1g {3}a allow all again {3}q quit/);
});

test('tables that change with nearly everything are not in the change log', () => {
  const view = filled();
  view.apply('users', { revision: 4, snapshot: false, changes: [['+', ['sed', 2n]]] });
  assert.match(view.lines(SIZE, HEAD, plain).join('\n'), /changes {2}none yet/);
});

test('a snapshot replaces what was shown and is no change', () => {
  const view = filled();
  view.apply('users', { revision: 9, snapshot: true, changes: [['+', ['only', 1n]]] });
  const screen = view.lines(SIZE, HEAD, plain).join('\n');
  assert.doesNotMatch(screen, /libc6/);
  assert.match(screen, /changes {2}none yet/);
});

test('the screen fits, whatever is in the rows and however small it is', () => {
  const view = filled();
  const nasty = `\u001b[2J\n${'寬'.repeat(80)}`;
  for (let index = 0; index < 50; index++) {
    const changes = [['+', [nasty, nasty, BigInt(index)]]] as const;
    view.apply('exposure', { revision: index, snapshot: false, changes });
  }
  for (const colors of [plain, pc.createColors(true)]) {
    for (const size of [SIZE, { width: 40, height: 10 }, { width: 20, height: 3 }]) {
      const lines = view.lines(size, { ...HEAD, problem: 'x'.repeat(200) }, colors);
      assert.ok(lines.length <= size.height, `${lines.length} lines`);
      for (const line of lines) {
        assert.ok(stringWidth(line) <= size.width, `${stringWidth(line)} columns: ${line}`);
        assert.ok(!line.includes('\n') && !line.includes('\u001b[2J'));
      }
    }
  }
});
