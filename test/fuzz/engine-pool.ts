/**
 * Engines that are used again: making one costs more than a small test. A plan without tables
 * empties an engine; what it keeps (memory, values not collected yet) is what a long run has as
 * well.
 */
import type { StratifiedProgram } from '../../host/compiler/stratified.ts';
import type { Engine } from '../../host/engine/engine.ts';
import type { EngineKind } from './engine-kind.ts';

const NO_PROGRAM: StratifiedProgram = { tables: [], rules: [], strata: [] };

const idle = new Map<EngineKind, Engine[]>();

/** An empty engine; give it back with `releaseEngine`. */
export async function acquireEngine(kind: EngineKind): Promise<Engine> {
  return idle.get(kind)?.pop() ?? (await kind.create());
}

/** An engine that cannot be emptied is closed: the failure before is what counts. */
export async function releaseEngine(kind: EngineKind, engine: Engine): Promise<void> {
  try {
    await emptyEngine(kind, engine);
  } catch {
    engine.close();
    return;
  }
  const engines = idle.get(kind) ?? [];
  engines.push(engine);
  idle.set(kind, engines);
}

export async function emptyEngine(kind: EngineKind, engine: Engine): Promise<void> {
  const result = await engine.transact({ plan: kind.lower(NO_PROGRAM, {}), changes: [] });
  if (!result.ok) throw new Error(`no engine can fail to be emptied: ${result.message}`);
}
