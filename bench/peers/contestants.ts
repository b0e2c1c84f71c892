/** Who takes part: our engine in both modes, and the peers that are found. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mode } from '../engine.ts';
import type { Contestant, Task } from './contestant.ts';
import type { Command, NotRun } from './process.ts';

/** The folder that `bench/peers/build.sh` filled; `--peers` sets it. */
export const PEERS_VARIABLE = 'CAUCUS_BENCH_PEERS';

/** The only peer that takes steps; it evaluates once. */
const DIFFERENTIAL_NAME = 'differential';

/** Enough for the largest input as text and as blocks. */
const HEAP_MIB = 6144;

export const BATCH = own('batch');
export const MAINTAINED = own('maintained');
export const ASCENT = native('Ascent', 'ascent', { fga: false });
export const SOUFFLE = native('Soufflé', 'souffle/$program', { fga: false });
export const DIFFERENTIAL = native(DIFFERENTIAL_NAME, 'differential');

function own(mode: Mode): Contestant {
  return {
    name: mode,
    command: ({ workload, runs, steps, watched }) => {
      const order = JSON.stringify({ workload, mode, runs, steps, watched });
      return nodeCommand('own-process.js', [order]);
    },
  };
}

export const SQLITE = library('SQLite', ['tc', 'sg', 'unreach', 'rbac']);
export const DUCKDB = library('DuckDB', ['tc', 'sg', 'unreach', 'rbac'], '@duckdb/node-api');
export const DATASCRIPT = library('DataScript', ['tc', 'sg'], 'datascript');
export const COZO = library(
  'Cozo',
  ['tc', 'tcn', 'sg', 'triangle', 'andersen', 'cspa'],
  'cozo-lib-wasm',
);

/** Clingo tells its own times, reading included, and rows in a text. */
export const CLINGO: Contestant = {
  name: 'clingo',
  command: ({ workload: { program }, folder }) => {
    const rules = `bench/peers/clingo/${program}.lp`;
    if (!existsSync(CLINGO_BINARY)) return { notRun: `no ${CLINGO_BINARY}` };
    if (!existsSync(rules)) return { notRun: `has no program \`${program}\`` };
    return { file: CLINGO_BINARY, args: ['--outf=2', rules, path.join(folder, 'facts.lp')] };
  },
  endings: [30],
  read: (output) => {
    const { Call, Time } = JSON.parse(output) as ClingoOutput;
    const atoms = Call[0]?.Witnesses[0]?.Value ?? [];
    const sizes = atoms.map((atom) => /^rows\((\w+),(\d+)\)$/.exec(atom) ?? []);
    return {
      sizes: Object.fromEntries(sizes.map(([, table, rows]) => [table, Number(rows)])),
      runs: [{ wallMs: Time.Total * 1000, cpuMs: Time.CPU * 1000 }],
    };
  },
};
const CLINGO_BINARY = '/usr/bin/clingo';
interface ClingoOutput {
  readonly Call: readonly { readonly Witnesses: readonly { readonly Value: string[] }[] }[];
  readonly Time: { readonly Total: number; readonly CPU: number };
}

/** A package that `build.sh` installed; without a package, one that is here anyway. */
function library(name: string, programs: readonly string[], needs?: string): Contestant {
  return {
    name,
    command: ({ workload, runs }) => {
      const { program } = workload;
      if (!programs.includes(program)) return { notRun: `has no program \`${program}\`` };
      const missing = needs === undefined ? undefined : missingPackage(needs);
      if (missing !== undefined) return missing;
      return nodeCommand('library-process.js', [name, String(runs), JSON.stringify(workload)]);
    },
  };
}

function missingPackage(name: string): NotRun | undefined {
  const builds = process.env[PEERS_VARIABLE];
  if (builds === undefined) return { notRun: 'no `--peers` folder' };
  const folder = path.join(builds, 'npm', 'node_modules', name);
  return existsSync(folder) ? undefined : { notRun: `no ${folder}` };
}

/** Takes steps only. */
export const DB_IVM: Contestant = {
  name: 'db-ivm',
  command: ({ workload, steps = '' }) => {
    const missing = missingPackage('@tanstack/db-ivm');
    return missing ?? nodeCommand('db-ivm-process.js', [steps, JSON.stringify(workload)]);
  },
};

/** A module of this folder in a Node of its own. */
export function nodeCommand(module: string, args: readonly string[]): Command {
  const file = fileURLToPath(new URL(module, import.meta.url));
  return { file: process.execPath, args: [`--max-old-space-size=${HEAP_MIB}`, file, ...args] };
}

/** `PROGRAM FOLDER RUNS`, and `PROGRAM FOLDER [STEPS]`. */
function native(
  name: string,
  file: string,
  programs: Readonly<Record<string, boolean>> = {},
): Contestant {
  return {
    name,
    command: ({ workload: { program }, folder, runs, steps }: Task): Command | NotRun => {
      const builds = process.env[PEERS_VARIABLE];
      if (builds === undefined) return { notRun: 'no `--peers` folder' };
      if (programs[program] === false) return { notRun: `has no program \`${program}\`` };
      const binary = path.join(builds, file.replace('$program', program));
      if (!existsSync(binary)) return { notRun: `no ${binary}` };
      const rest =
        name === DIFFERENTIAL_NAME ? (steps === undefined ? [] : [steps]) : [String(runs)];
      return { file: binary, args: [program, folder, ...rest] };
    },
  };
}
