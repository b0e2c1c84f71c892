/**
 * Peers that are packages of npm: `build.sh` installs them beside the other peers, so that nobody
 * has them who only works on this project.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Tables } from '../../generate.ts';
import type { Answer } from '../contestant.ts';

export interface Library {
  readonly programs: readonly string[];
  /** Loads the tables, evaluates once, counts. The clock runs in between. */
  readonly evaluate: (program: string, tables: Tables) => Promise<Evaluated>;
}

export interface Evaluated {
  readonly sizes: Answer['sizes'];
  readonly spent: Answer['runs'][number];
}

/** A package out of the folder of the builds; throws where it is not. */
export function requireFrom(builds: string, name: string): unknown {
  return createRequire(path.join(builds, 'npm', 'index.js'))(name);
}

/** A file of such a package. */
export function fileOf(builds: string, name: string): string {
  return path.join(builds, 'npm', 'node_modules', name);
}
