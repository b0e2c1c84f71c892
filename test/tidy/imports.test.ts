import assert from 'node:assert/strict';
import test from 'node:test';
import { driverNeighbours, forbiddenImports, importCycles, LAYERS, PACKAGES } from './imports.ts';
import { isInside, readTree, treeOf, type SourceTree } from './source-tree.ts';

const tree = readTree();

test('imports follow the table', () => {
  assert.deepEqual(forbiddenImports(tree), []);
});

test('no driver imports another', () => {
  assert.deepEqual(driverNeighbours(tree), []);
});

test('no file imports itself over others', () => {
  assert.deepEqual(importCycles(tree), []);
});

test('run-time dependencies have a place, and places are of dependencies', () => {
  const manifest = JSON.parse(tree.get('package.json') ?? '{}') as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const { dependencies, devDependencies } = manifest;
  assert.deepEqual(
    Object.keys(dependencies).filter((name) => !(name in PACKAGES)),
    [],
  );
  assert.deepEqual(
    Object.keys(PACKAGES).filter((name) => !(name in { ...dependencies, ...devDependencies })),
    [],
  );
});

const FORBIDDEN: Readonly<Record<string, SourceTree>> = {
  'the core imports the host': treeOf({ 'engine-as/a.ts': "import { b } from '../host/b';" }),
  'the core imports host values': treeOf({
    'engine-as/a.ts': "import { b } from '../host/value/value.ts';",
  }),
  'the compiler imports the engine': treeOf({
    'host/compiler/a.ts': "import type { Engine } from '../engine/engine.ts';",
  }),
  'the replica reads files': treeOf({ 'host/replica/a.ts': "import fs from 'node:fs';" }),
  'the engine reads files when asked': treeOf({
    'host/engine/a.ts': "export const load = () => import('node:fs');",
  }),
  'values import the compiler': treeOf({
    'host/value/a.ts': "import type { Plan } from '../compiler/plan.ts';",
  }),
  'the api runs the engine': treeOf({
    'host/api/a.ts': "import { createWasmEngine } from '../engine/wasm-engine.ts';",
  }),
  'a type is not its value': treeOf({
    'host/subscriptions/a.ts': "import { type Engine, create } from '../engine/engine.ts';",
  }),
  'ws outside its file': treeOf({ 'host/api/routes.ts': "import { WebSocket } from 'ws';" }),
  'a file of kafkajs outside its file': treeOf({
    'host/log/kafka-log.ts': "import Cluster from 'kafkajs/src/cluster/index.js';",
  }),
  'an unknown package': treeOf({ 'host/api/a.ts': "import express from 'express';" }),
  'a re-export counts': treeOf({ 'host/log/a.ts': "export { b } from '../replica/b.ts';" }),
  'a folder of no layer': treeOf({ 'host/misc/a.ts': "import { b } from './b.ts';" }),
};
for (const [name, synthetic] of Object.entries(FORBIDDEN)) {
  test(`control: ${name}`, () => {
    assert.equal(forbiddenImports(synthetic).length, 1);
  });
}

test('control: what the table allows', () => {
  const allowed = treeOf({
    'host/api/a.ts': "import type { Engine } from '../engine/engine.ts';\nimport 'node:http';",
    'host/api/websocket.ts': "import { WebSocket } from 'ws';",
    'host/engine/a.ts': "import { OPCODE } from '../../engine-as/abi.ts';",
    'engine-as/b.ts': "import { OPCODE } from './abi';",
  });
  assert.deepEqual(forbiddenImports(allowed), []);
});

test('control: neighbours and cycles', () => {
  const synthetic = treeOf({
    'drivers/file/a.ts': "import { b } from '../push/b.ts';",
    'drivers/push/b.ts': "import { a } from '../file/a.ts';",
    'drivers/push/c.ts': "import type { d } from './d.ts';",
    'drivers/push/d.ts': "import { c } from './c.ts';",
    'engine-as/e.ts': "import { f } from './f';\nexport function e(x: f): i32 { return x.y; }",
    'engine-as/f.ts': "import { e } from './e';\nexport class f { y: i32 = e(this); }",
  });
  assert.equal(driverNeighbours(synthetic).length, 2);
  assert.deepEqual(importCycles(synthetic), [
    'drivers/file/a.ts → drivers/push/b.ts → drivers/file/a.ts',
  ]);
});

test('the table names layers once', () => {
  const places = LAYERS.map(({ place }) => place);
  assert.equal(new Set(places).size, places.length);
  assert.ok(places.some((place) => isInside('host/compiler/parser.ts', place)));
});
