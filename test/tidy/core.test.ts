import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { exportedByCore, methodsOf, unreachedInCore, unusedInCore } from './core.ts';
import { importsOf } from './imports.ts';
import { readTree, treeOf } from './source-tree.ts';

const tree = readTree();

test('nothing in the core is declared or exported in vain', () => {
  assert.deepEqual(unusedInCore(tree), []);
});

test('every file of the core is reached from its entry', () => {
  assert.deepEqual(unreachedInCore(tree, importsOf(tree)), []);
});

/** The part of the interface that is used; the types of the language without a browser lack it. */
interface ModuleInterface {
  new (bytes: Uint8Array): object;
  exports(module: object): { readonly name: string }[];
  imports(module: object): { readonly module: string; readonly name: string }[];
}
const { Module } = (globalThis as unknown as { WebAssembly: { Module: ModuleInterface } })
  .WebAssembly;

const hostSide = methodsOf(tree.get('host/engine/core.ts') ?? '', 'CoreExports');

test('the host calls the core with the types that it exports', () => {
  const coreSide = exportedByCore(tree.get('engine-as/index.ts') ?? '');
  assert.ok(coreSide.size > 0);
  assert.deepEqual(Object.fromEntries(hostSide), Object.fromEntries(coreSide));
});

/** What `engine-as/env.ts` declares. */
const KNOWN_IMPORTS: ReadonlySet<string> = new Set(
  ['formatFloat', 'formatEncoded', 'callFunction', 'takeValue', 'callWork', 'abort'].map(
    (name) => `env.${name}`,
  ),
);

for (const file of ['build/core.wasm', 'build/core.debug.wasm']) {
  test(`${file} exports these functions and its memory, and imports nothing unknown`, () => {
    const module = new Module(readFileSync(file));
    const functions = Module.exports(module).map(({ name }) => name);
    assert.deepEqual(functions.sort(), [...hostSide.keys(), 'memory'].sort());
    const imports = Module.imports(module).map(({ module: from, name }) => `${from}.${name}`);
    assert.deepEqual(
      imports.filter((name) => !KNOWN_IMPORTS.has(name)),
      [],
    );
  });
}

test('control: a missing call, and a u64 that the host takes for a number', () => {
  const core =
    'export function count(of: u64): u32 { return 0; }\nexport function stop(): void {}\n';
  const host =
    'interface CoreExports {\n  readonly memory: object;\n  count(of: number): number;\n}\n';
  assert.deepEqual(Object.fromEntries(exportedByCore(core)), {
    count: '(bigint) => number',
    stop: '() => void',
  });
  assert.deepEqual(Object.fromEntries(methodsOf(host, 'CoreExports')), {
    count: '(number) => number',
  });
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
