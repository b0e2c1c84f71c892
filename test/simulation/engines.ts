/**
 * Engines of simulated replicas. Making one takes longer than a short run, so they are emptied and
 * used again, those of crashed processes too, unless they were in the middle of something.
 */
import { readFile } from 'node:fs/promises';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import type { Plan, QueryPlan } from '../../host/compiler/plan.ts';
import type { Engine } from '../../host/engine/engine.ts';
import { createWasmEngine } from '../../host/engine/wasm-engine.ts';
import type { ReplicaDependencies } from '../../host/replica/dependencies.ts';
import { NaiveEngine } from '../oracle/naive-engine.ts';

export type EngineName = 'wasm' | 'naive';

export type Compilers = Pick<ReplicaDependencies, 'lower' | 'lowerQuery'>;

const CORE = 'build/core.wasm';
const NO_YIELD = (): Promise<void> => Promise.resolve();

export function compilersOf(name: EngineName): Compilers {
  if (name === 'wasm') return { lower, lowerQuery };
  return {
    lower: (program, options) => ({ program, options }) as Plan,
    lowerQuery: (plan, query) =>
      ({ program: { ...plan.program, tables: query.tables }, query }) as unknown as QueryPlan,
  };
}

/** An engine that knows whether it holds still. */
export class PooledEngine implements Engine {
  /** A turn of the process that uses it. */
  yield: () => Promise<void> = NO_YIELD;
  readonly name: EngineName;
  #inner: Engine;
  #running = 0;

  private constructor(name: EngineName, inner: Engine) {
    this.name = name;
    this.#inner = inner;
  }

  static async create(name: EngineName): Promise<PooledEngine> {
    const pooled = new PooledEngine(name, new NaiveEngine());
    if (name === 'wasm') {
      pooled.#inner = await createWasmEngine(await coreBytes(), { yield: () => pooled.yield() });
    }
    return pooled;
  }

  get isIdle(): boolean {
    return this.#running === 0;
  }

  transact(...args: Parameters<Engine['transact']>): ReturnType<Engine['transact']> {
    return this.#counted(this.#inner.transact(...args));
  }
  query(...args: Parameters<Engine['query']>): ReturnType<Engine['query']> {
    return this.#counted(this.#inner.query(...args));
  }
  rows(...args: Parameters<Engine['rows']>): ReturnType<Engine['rows']> {
    return this.#counted(this.#inner.rows(...args));
  }
  count(table: string): number {
    return this.#inner.count(table);
  }
  digest(): string {
    return this.#inner.digest();
  }
  stats(): ReturnType<Engine['stats']> {
    return this.#inner.stats();
  }
  close(): void {
    this.#inner.close();
  }

  async #counted<T>(call: Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await call;
    } finally {
      this.#running--;
    }
  }
}

let core: Promise<Uint8Array> | undefined;

function coreBytes(): Promise<Uint8Array> {
  core ??= readFile(CORE);
  return core;
}

const idle = new Map<EngineName, PooledEngine[]>();

export async function acquireEngine(name: EngineName): Promise<PooledEngine> {
  return idle.get(name)?.pop() ?? (await PooledEngine.create(name));
}

/** Nothing of the process that used it runs any more. */
export async function releaseEngine(engine: PooledEngine): Promise<void> {
  if (!engine.isIdle) return;
  engine.yield = NO_YIELD;
  const { lower: lowerPlan } = compilersOf(engine.name);
  const plan = lowerPlan({ tables: [], rules: [], strata: [] }, {});
  const result = await engine.transact({ plan, changes: [] });
  if (!result.ok) return;
  const engines = idle.get(engine.name) ?? [];
  idle.set(engine.name, [...engines, engine]);
}
