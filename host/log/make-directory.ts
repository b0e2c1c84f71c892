/**
 * `mkdir` with `recursive` does not return where the parent is there and takes no directories, such
 * as `/proc`: it tries for ever. This one throws what the system says.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** Makes it with its parents; the first one that was not there, undefined where all were. */
export function makeDirectory(directory: string): string | undefined {
  const resolved = path.resolve(directory);
  try {
    mkdirSync(resolved);
    return resolved;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(resolved).isDirectory()) return undefined;
    if (code !== 'ENOENT' || existsSync(path.dirname(resolved))) throw error;
  }
  const first = makeDirectory(path.dirname(resolved));
  return makeDirectory(resolved) === undefined ? first : (first ?? resolved);
}
