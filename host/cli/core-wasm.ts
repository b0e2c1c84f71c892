/**
 * Where the engine's core is: beside the packaged command, or in the build folder of the checkout.
 */
import { readFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inputError } from './problem.ts';

/** The bytes of `core.wasm`. */
export async function readCoreWasm(): Promise<Uint8Array> {
  return readFile(findCoreWasm(path.dirname(fileURLToPath(import.meta.url))));
}

/** `core.wasm` beside `directory`'s bundle, else `build/core.wasm` of the package above it. */
export function findCoreWasm(directory: string): string {
  const beside = path.join(directory, 'core.wasm');
  if (existsSync(beside)) return beside;
  const root = packageRoot(directory);
  const built = root === undefined ? undefined : path.join(root, 'build', 'core.wasm');
  if (built !== undefined && existsSync(built)) return built;
  throw inputError('core-missing', 'the engine core `core.wasm` is not there', {
    note: 'build it with `npm run build`, or install the package again',
  });
}

/** The folder of caucus' own `package.json` above `directory`. */
export function packageRoot(directory: string): string | undefined {
  for (let folder = directory; ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (existsSync(file) && packageName(file) === 'caucus') return folder;
    if (path.dirname(folder) === folder) return undefined;
  }
}

export function packageVersion(): string {
  const root = packageRoot(path.dirname(fileURLToPath(import.meta.url)));
  if (root === undefined) return 'unknown';
  const parsed = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    version?: string;
  };
  return parsed.version ?? 'unknown';
}

function packageName(file: string): string | undefined {
  return (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name;
}
