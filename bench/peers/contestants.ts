/** Who takes part: our engine in both modes, and the peers that are found. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mode } from '../engine.ts';
import type { Contestant, Task } from './contestant.ts';
import type { Command, NotRun } from './process.ts';

/** The folder that `bench/peers/build.sh` filled; `--peers` sets it. */
export const PEERS_VARIABLE = 'CAUCUS_BENCH_PEERS';

/** Enough for the largest input as text and as blocks. */
const HEAP_MIB = 6144;

export const BATCH = own('batch');
export const MAINTAINED = own('maintained');
export const ASCENT = native('Ascent', 'ascent', { fga: false });
export const SOUFFLE = native('Soufflé', 'souffle/$program', { fga: false });
export const DIFFERENTIAL = native('differential', 'differential');

function own(mode: Mode): Contestant {
  return {
    name: mode,
    command: ({ workload, runs, steps, watched }) => {
      const order = JSON.stringify({ workload, mode, runs, steps, watched });
      return nodeCommand('own-process.js', [order]);
    },
  };
}

/** A module of this folder in a Node of its own. */
export function nodeCommand(module: string, args: readonly string[]): Command {
  const file = fileURLToPath(new URL(module, import.meta.url));
  return { file: process.execPath, args: [`--max-old-space-size=${HEAP_MIB}`, file, ...args] };
}

/** `PROGRAM FOLDER RUNS`, and `PROGRAM FOLDER STEPS` for updates. */
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
      return { file: binary, args: [program, folder, steps ?? String(runs)] };
    },
  };
}
