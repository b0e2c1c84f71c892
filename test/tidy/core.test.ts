import assert from 'node:assert/strict';
import test from 'node:test';
import { unreachedInCore, unusedInCore } from './core.ts';
import { importsOf } from './imports.ts';
import { readTree, treeOf } from './source-tree.ts';

const tree = readTree();

test('nothing in the core is declared or exported in vain', () => {
  assert.deepEqual(unusedInCore(tree), []);
});

test('every file of the core is reached from its entry', () => {
  assert.deepEqual(unreachedInCore(tree, importsOf(tree)), []);
});

test('control: vain declarations, exports and files', () => {
  const synthetic = treeOf({
    'engine-as/index.ts': "export { insert } from './relation';\n",
    'engine-as/relation.ts':
      'const ROWS = 1;\nconst GONE = 2;\nexport function insert(): u32 { return ROWS; }\n' +
      'export function lost(): void {}\n',
    'engine-as/abi.ts': 'export const VERSION = 1;\nexport const OPCODE = 2;\n',
    'engine-as/island.ts': 'function alone(): void { alone(); }\n',
    'host/engine/a.ts': "import { VERSION } from '../../engine-as/abi.ts';\n",
  });
  assert.deepEqual(unusedInCore(synthetic), [
    'engine-as/relation.ts declares `GONE` and never uses it',
    'engine-as/relation.ts exports `lost`, which no other file uses',
    'engine-as/abi.ts exports `OPCODE`, which no other file uses',
  ]);
  assert.deepEqual(unreachedInCore(synthetic, importsOf(synthetic)), [
    'engine-as/island.ts is not reached from engine-as/index.ts',
  ]);
});
