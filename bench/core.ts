/** Compiles the programs of the benches and opens fresh engines for them. */
import { readFile } from 'node:fs/promises';
import type { Catalog } from '../host/compiler/catalog.ts';
import { compile } from '../host/compiler/compile.ts';
import { lower, lowerQuery } from '../host/compiler/lower.ts';
import type { Plan, QueryPlan } from '../host/compiler/plan.ts';
import { compileQuery } from '../host/compiler/query.ts';
import type { StratifiedProgram } from '../host/compiler/stratified.ts';
import type { Engine } from '../host/engine/engine.ts';
import { createWasmEngine } from '../host/engine/wasm-engine.ts';
import type { Tables } from './generate.ts';
import { programText } from './workloads.ts';

const CORE = 'build/core.wasm';

/** The tables of `baseTables` are filled from outside, as `caucus run` does it from files. */
export function compileProgram(name: string, baseTables: readonly string[]): StratifiedProgram {
  return compileText(name, programText(name), baseTables);
}

export function compileText(
  name: string,
  text: string,
  baseTables: readonly string[],
): StratifiedProgram {
  const { program, diagnostics } = compile(catalogOf(name, text), {
    externalTables: new Set(baseTables.map((table) => `${name}:${table}`)),
  });
  if (program === undefined) throw new Error(`${name}: ${diagnostics[0]?.message ?? 'no program'}`);
  return program;
}

function catalogOf(name: string, text: string): Catalog {
  return { policies: [{ name, text }], sources: [] };
}

/** The tables of a program without its rules: what is there before an evaluation. */
export function tablesPlanOf(name: string, tables: Tables, batchOnly = false): Plan {
  const declarations = Object.entries(tables).map(([table, rows]) => {
    const columns = (rows[0] ?? []).map((_, column) => `c${column}`);
    return `table ${table}(${columns.join(', ')})`;
  });
  const program = compileText(name, declarations.join('\n'), Object.keys(tables));
  return lower(program, { watched: new Set(), batchOnly });
}

/** A query over a program that runs; `policy` is its text. */
export function queryPlanOf(
  plan: Plan,
  name: string,
  text: string,
  policy = programText(name),
): QueryPlan {
  const { query, diagnostics } = compileQuery(plan.program, catalogOf(name, policy), text);
  if (query === undefined) throw new Error(`${text}: ${diagnostics[0]?.message ?? 'no query'}`);
  return lowerQuery(plan, query);
}

/** Nothing is watched: an evaluation alone, with or without what updates need. */
export function planOf(name: string, baseTables: readonly string[], batchOnly = false): Plan {
  const program = compileProgram(name, baseTables);
  return lower(program, { watched: new Set(), batchOnly });
}

/** The closure, watched and digested. */
export function closurePlan(): Plan {
  const tables = new Set(['tc:tc']);
  return lower(compileProgram('tc', ['edge']), {
    watched: tables,
    digest: tables,
  });
}

export async function openEngine(): Promise<Engine> {
  return createWasmEngine(await readFile(CORE), { yield: yieldToEventLoop });
}

/** As the server does it between two steps of a long evaluation. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
