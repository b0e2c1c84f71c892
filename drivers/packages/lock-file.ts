/**
 * An npm lock file (version 2 or 3) as a package index. A package at the top of `node_modules`
 * keeps its name, one that is nested is `name@version`. Dependencies are resolved as Node does, so
 * each clause has one target; what the lock file does not hold stays a name without a package.
 * `essential` is what the project itself asks for at run time. Installed is what `npm ci` installs
 * on this platform.
 */
import { readFile } from 'node:fs/promises';
import { SourceError } from '../driver.ts';
import type { PackageRecord } from './package-tables.ts';

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly deprecated?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  readonly cpu: string;
}

export async function readLockFile(path: string, platform: Platform): Promise<PackageRecord[]> {
  const text = await readFile(path, 'utf8');
  let lock: { readonly packages?: Readonly<Record<string, LockEntry>> };
  try {
    lock = JSON.parse(text) as typeof lock;
  } catch (error) {
    const message = `\`${path}\` is no JSON: ${(error as Error).message}`;
    throw new SourceError([{ message, remedy: 'run `npm install` to write it again', file: path }]);
  }
  if (typeof lock.packages !== 'object' || lock.packages === null) {
    const message = `\`${path}\` is no lock file of version 2 or 3`;
    throw new SourceError([{ message, remedy: 'write it with npm 7 or later', file: path }]);
  }
  return lockRecords(lock.packages, platform);
}

export function lockRecords(
  packages: Readonly<Record<string, LockEntry>>,
  platform: Platform,
): PackageRecord[] {
  const root = packages[''] ?? {};
  const asked = new Set(Object.keys(root.dependencies ?? {}));
  const records = new Map<string, PackageRecord>();
  for (const [path, entry] of Object.entries(packages)) {
    if (path === '' || entry.link === true || entry.version === undefined) continue;
    const name = idOf(path, entry);
    const installed = runsOn(entry, platform) ? entry.version : undefined;
    const other = records.get(name);
    records.set(name, {
      name,
      section: entry.dev === true ? 'dev' : entry.optional === true ? 'optional' : 'prod',
      sizeKb: null,
      available: entry.version,
      installed: installed ?? other?.installed,
      essential: asked.has(name),
      deprecated: entry.deprecated,
      licence: entry.license,
      clauses: [...(other?.clauses ?? []), ...clausesOf(path, entry, packages, platform)],
      provides: [],
    });
  }
  return [...records.values()];
}

/** Optional dependencies count where they can be installed. */
function clausesOf(
  path: string,
  entry: LockEntry,
  packages: Readonly<Record<string, LockEntry>>,
  platform: Platform,
): string[][] {
  const clauses: string[][] = [];
  for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) {
    const at = resolvePath(path, name, packages);
    const target = at === undefined ? undefined : packages[at];
    if (entry.optionalDependencies?.[name] !== undefined) {
      if (target === undefined || !runsOn(target, platform)) continue;
    }
    clauses.push([at === undefined || target === undefined ? name : idOf(at, target)]);
  }
  return clauses;
}

/** Where Node finds `name` from inside the package at `path`. */
function resolvePath(
  path: string,
  name: string,
  packages: Readonly<Record<string, LockEntry>>,
): string | undefined {
  for (let folder = path; ;) {
    const candidate = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (packages[candidate] !== undefined) return candidate;
    if (folder === '') return undefined;
    const up = folder.lastIndexOf('/node_modules/');
    folder = up < 0 ? '' : folder.slice(0, up);
  }
}

function idOf(path: string, entry: LockEntry): string {
  const at = path.lastIndexOf('node_modules/');
  const name = path.slice(at + 'node_modules/'.length);
  return at === 0 ? name : `${name}@${entry.version}`;
}

function runsOn(entry: LockEntry, platform: Platform): boolean {
  return allows(entry.os, platform.os) && allows(entry.cpu, platform.cpu);
}

/** `["linux"]`, or `["!win32"]`. */
function allows(list: readonly string[] | undefined, own: string): boolean {
  if (list === undefined || list.length === 0) return true;
  if (list.includes(`!${own}`)) return false;
  return list.includes(own) || list.every((item) => item.startsWith('!'));
}
