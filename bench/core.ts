/** Compiles the programs of the benches and opens fresh engines for them. */
import { readFile } from 'node:fs/promises';
import { compile } from '../host/compiler/compile.ts';
import { lower } from '../host/compiler/lower.ts';
import type { Plan } from '../host/compiler/plan.ts';
import type { StratifiedProgram } from '../host/compiler/stratified.ts';
import type { Engine } from '../host/engine/engine.ts';
import { createWasmEngine } from '../host/engine/wasm-engine.ts';
import { programText } from './workloads.ts';

const CORE = 'build/core.wasm';

/** The tables of `baseTables` are filled from outside, as `caucus run` does it from files. */
export function compileProgram(
  name: string,
  text: string,
  baseTables: readonly string[],
): StratifiedProgram {
  const { program, diagnostics } = compile(
    { policies: [{ name, text }], sources: [] },
    { externalTables: new Set(baseTables.map((table) => `${name}:${table}`)) },
  );
  if (program === undefined) throw new Error(`${name}: ${diagnostics[0]?.message ?? 'no program'}`);
  return program;
}

/** Nothing is watched: an evaluation alone, with or without what updates need. */
export function planOf(name: string, baseTables: readonly string[], batchOnly = false): Plan {
  const program = compileProgram(name, programText(name), baseTables);
  return lower(program, { watched: new Set(), batchOnly });
}

/** The closure, watched and digested. */
export function closurePlan(): Plan {
  const tables = new Set(['tc:tc']);
  return lower(compileProgram('tc', programText('tc'), ['edge']), {
    watched: tables,
    digest: tables,
  });
}

export async function openEngine(): Promise<Engine> {
  return createWasmEngine(await readFile(CORE));
}
