/**
 * Engines of simulated replicas. Making one takes longer than a short run, so they are emptied and
 * used again, those of crashed processes too, unless they were in the middle of something.
 */
import { readFile } from 'node:fs/promises';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import type { ReplicaDependencies } from '../../host/replica/dependencies.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';
import { naivePlan, naiveQueryPlan } from '../oracle/naive-plan.ts';

/** `debug`: another build of the core. */
export type EngineName = 'wasm' | 'debug' | 'naive';

export type Compilers = Pick<ReplicaDependencies, 'lower' | 'lowerQuery'>;

const CORES = { wasm: 'build/core.wasm', debug: 'build/core.debug.wasm' } as const;
const NO_YIELD = (): Promise<void> => Promise.resolve();

export function compilersOf(name: EngineName): Compilers {
  if (name !== 'naive') return { lower, lowerQuery };
  return {
    lower: naivePlan,
    lowerQuery: naiveQueryPlan,
  };
}

interface Slot {
  readonly name: EngineName;
  readonly engine: Engine;
  /** A turn of the process that uses it. */
  yield: () => Promise<void>;
}

/** An engine in the hands of one process. */
export class HeldEngine implements Engine {
  readonly slot: Slot;
  #running = 0;
  #isReleased = false;

  constructor(slot: Slot) {
    this.slot = slot;
  }

  /** True when nothing is under way in it; from now on it is of no use. */
  release(): boolean {
    this.#isReleased = true;
    return this.#running === 0;
  }

  transact(...args: Parameters<Engine['transact']>): ReturnType<Engine['transact']> {
    return this.#counted((engine) => engine.transact(...args));
  }
  query(...args: Parameters<Engine['query']>): ReturnType<Engine['query']> {
    return this.#counted((engine) => engine.query(...args));
  }
  rows(...args: Parameters<Engine['rows']>): ReturnType<Engine['rows']> {
    return this.#counted((engine) => engine.rows(...args));
  }
  prepareCheck(...args: Parameters<Engine['prepareCheck']>): ReturnType<Engine['prepareCheck']> {
    return this.#engine().prepareCheck(...args);
  }
  count(table: string): number {
    return this.#engine().count(table);
  }
  digest(): string {
    return this.#engine().digest();
  }
  scrub(): ReturnType<Engine['scrub']> {
    return this.#engine().scrub();
  }
  stats(): ReturnType<Engine['stats']> {
    return this.#engine().stats();
  }
  close(): void {
    this.#engine().close();
  }

  #engine(): Engine {
    if (this.#isReleased) throw new Error('an engine was used by a process that is gone');
    return this.slot.engine;
  }

  async #counted<T>(call: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = this.#engine();
    this.#running++;
    try {
      return await call(engine);
    } finally {
      this.#running--;
    }
  }
}

const cores = new Map<string, Promise<Uint8Array>>();

function coreBytes(name: keyof typeof CORES): Promise<Uint8Array> {
  const known = cores.get(name) ?? readFile(CORES[name]);
  cores.set(name, known);
  return known;
}

const idle = new Map<EngineName, Slot[]>();

let acquiring: Promise<unknown> = Promise.resolve();

/**
 * In the order of the calls, whatever has to be made first: how long that really takes must not
 * decide who goes on first.
 */
export function acquireEngine(
  name: EngineName,
  yieldTurn: () => Promise<void>,
): Promise<HeldEngine> {
  const acquired = acquiring.then(async () => {
    const slot = idle.get(name)?.pop() ?? (await createSlot(name));
    slot.yield = yieldTurn;
    return new HeldEngine(slot);
  });
  acquiring = acquired.catch(() => undefined);
  return acquired;
}

async function createSlot(name: EngineName): Promise<Slot> {
  if (name === 'naive') return { name, engine: new NaiveEngine(), yield: NO_YIELD };
  const engine = await createWasmEngine(await coreBytes(name), { yield: () => slot.yield() });
  const slot: Slot = { name, engine, yield: NO_YIELD };
  return slot;
}

/** Nothing of the process that held it runs any more. */
export async function releaseEngine(held: HeldEngine): Promise<void> {
  if (!held.release()) return;
  const { slot } = held;
  slot.yield = NO_YIELD;
  const { lower: lowerPlan } = compilersOf(slot.name);
  const plan = lowerPlan({ tables: [], rules: [], strata: [] }, {});
  const result = await slot.engine.transact({ plan, changes: [] });
  if (!result.ok) return;
  idle.set(slot.name, [...(idle.get(slot.name) ?? []), slot]);
}
