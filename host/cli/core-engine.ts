/** An engine over the packaged core, for the commands that run without a server. */
import { createWasmEngine } from '../engine/wasm-engine.ts';
import type { Engine } from '../engine/engine.ts';
import { readCoreWasm } from './core-wasm.ts';

export async function createEngine(): Promise<Engine> {
  return createWasmEngine(await readCoreWasm(), {
    yield: yieldToEventLoop,
    now: () => performance.now(),
  });
}

/** Between two steps of a long evaluation: signals and timers get their turn. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
