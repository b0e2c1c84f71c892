/** An engine over the packaged core, for the commands that run without a server. */
import { createWasmEngine } from '../engine/wasm-engine.ts';
import type { Engine } from '../engine/engine.ts';
import type { Layout, WasmEngineOptions } from '../engine/engine-options.ts';
import { ROWS_PER_TABLE_MAX } from '../limits.ts';
import { readCoreWasm } from './core-wasm.ts';

export async function createEngine(
  rowsPerTableMax: WasmEngineOptions['rowsPerTableMax'] & {} = ROWS_PER_TABLE_MAX,
  layout: Layout = 'auto',
): Promise<Engine> {
  return createWasmEngine(await readCoreWasm(), {
    rowsPerTableMax,
    layout,
    yield: yieldToEventLoop,
    now: () => performance.now(),
  });
}

/** Between two steps of a long evaluation: signals and timers get their turn. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
