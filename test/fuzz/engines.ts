/** The engines that there are to test: the core as it ships, the core with its assertions. */
import { readFile } from 'node:fs/promises';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import type { Engine } from '../../host/engine/engine.ts';
import type { EngineKind } from './engine-kind.ts';

const CORES = [
  { name: 'wasm', file: 'build/core.wasm' },
  { name: 'wasm-debug', file: 'build/core.debug.wasm' },
];

export async function engineKinds(): Promise<EngineKind[]> {
  const kinds: EngineKind[] = [];
  for (const { name, file } of CORES) {
    const core = await readFile(file);
    kinds.push({
      name,
      create: () => createWasmEngine(core, { yield: async () => undefined }),
      lower,
      lowerQuery,
    });
  }
  return kinds;
}

/** The core with one mechanism broken: 1 = rounds as ranks, 2 = no recompute. */
export async function sabotagedKind(name: string, sabotage: number): Promise<EngineKind> {
  const bytes = await readFile('build/core.wasm');
  const create = async (): Promise<Engine> => {
    const engine = await createWasmEngine(bytes, { yield: async () => undefined });
    engine.core.exports.sabotage(sabotage);
    return engine;
  };
  return { name, create, lower, lowerQuery };
}
