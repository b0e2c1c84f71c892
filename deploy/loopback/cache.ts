/**
 * What was fetched, kept outside of the repository: `$XDG_CACHE_HOME/caucus-components`, else
 * `~/.cache/caucus-components`. A folder of it is complete or absent: it is filled under another
 * name and renamed, so that callers at the same time at worst fetch twice.
 */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

export function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? '';
  return path.join(base === '' ? path.join(homedir(), '.cache') : base, 'caucus-components');
}

/** The folder `key`, made by `fill` if it is not there. The key says the version. */
export async function cached(
  key: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const place = path.join(cacheDirectory(), key);
  if (await exists(place)) return place;
  await mkdir(cacheDirectory(), { recursive: true });
  const draft = await mkdtemp(path.join(cacheDirectory(), `${key}.`));
  try {
    await fill(draft);
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Somebody else was first: a full folder is not replaced by a rename.
    if (!(await exists(place))) throw error;
  }
  return place;
}

export async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch {
    return false;
  }
}
