/**
 * The packages of this machine as tables. What is read: the `path` if one is given (a lock file, a
 * file of Debian stanzas, or a directory of `*_Packages*` files); else what apt and dpkg know; else
 * the npm lock file `lockFile`. Files are looked at every `PACKAGES_POLL_MS` and read again when
 * one changed; apt and dpkg replace theirs by renaming, so what is read is whole.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { Driver, DriverTable } from '../driver.ts';
import { problemsOf, SourceError } from '../driver.ts';
import type { SourceProblem } from '../driver.ts';
import { PACKAGES_POLL_MS } from '../limits.ts';
import type { PollResult, PollSource } from '../poll.ts';
import { PollDriver } from '../poll.ts';
import { DebianIndex } from './debian-index.ts';
import { readLockFile } from './lock-file.ts';
import { PACKAGE_TABLES, packageTables } from './package-tables.ts';

const APT_LISTS = '/var/lib/apt/lists';
const DPKG_STATUS = '/var/lib/dpkg/status';

export interface PackagesDriverOptions {
  readonly source: string;
  /** Read this instead of what the machine has. */
  readonly path?: string;
  /** Read this where there is no Debian. */
  readonly lockFile?: string;
  readonly clock?: Clock;
  readonly pollMs?: number;
}

export interface PackageIndex {
  readonly kind: 'debian' | 'npm';
  readonly files: readonly string[];
}

export function packagesDriver(options: PackagesDriverOptions): Driver {
  return new PollDriver(new Packages(options), options.clock);
}

/** Where the packages of this machine are listed. Throws `SourceError` where nothing is. */
export async function findPackageIndex(
  options: Pick<PackagesDriverOptions, 'path' | 'lockFile'>,
): Promise<PackageIndex> {
  const { path, lockFile } = options;
  if (path !== undefined) return namedIndex(path);
  const files = await listsIn(APT_LISTS).catch(() => []);
  if (await exists(DPKG_STATUS)) return { kind: 'debian', files: [...files, DPKG_STATUS] };
  if (lockFile !== undefined && (await exists(lockFile))) return { kind: 'npm', files: [lockFile] };
  throw new SourceError([
    {
      message: 'this machine has no package index that can be read',
      remedy: 'name a `package-lock.json` or a file of Debian package stanzas',
    },
  ]);
}

async function namedIndex(path: string): Promise<PackageIndex> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === true) {
    return { kind: path.endsWith('.json') ? 'npm' : 'debian', files: [path] };
  }
  const files = found === undefined ? [] : await listsIn(path);
  if (files.length > 0) return { kind: 'debian', files };
  const what = found === undefined ? 'is not there' : 'has no `Packages` or `status` files';
  const remedy =
    'name a `package-lock.json`, a file of Debian package stanzas, or a directory of them';
  throw new SourceError([{ message: `\`${path}\` ${what}`, remedy, file: path }]);
}

class Packages implements PollSource {
  readonly name = 'packages';
  readonly source: string;
  readonly #options: PackagesDriverOptions;
  readonly #clock: Clock;
  #readStamp = '';
  #problems: readonly SourceProblem[] = [];

  constructor(options: PackagesDriverOptions) {
    this.#options = options;
    this.source = options.source;
    this.#clock = options.clock ?? systemClock;
  }

  tables(): readonly DriverTable[] {
    return PACKAGE_TABLES;
  }

  async poll(everything: boolean, signal: AbortSignal): Promise<PollResult> {
    const index = await findPackageIndex(this.#options);
    const stamp = await stampOf(index.files);
    if (!everything && stamp === this.#readStamp) {
      return { tables: new Map(), problems: this.#problems };
    }
    let tables: ReadonlyMap<string, RowBlock> = new Map();
    this.#problems = [];
    try {
      tables = await readIndex(index, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#problems = problemsOf(error);
    }
    this.#readStamp = stamp;
    return { tables, problems: this.#problems };
  }

  async changed(signal: AbortSignal): Promise<void> {
    await this.#clock.wait(this.#options.pollMs ?? PACKAGES_POLL_MS, signal);
  }
}

async function readIndex(
  index: PackageIndex,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, RowBlock>> {
  if (index.kind === 'npm') {
    const platform = { os: process.platform, cpu: process.arch };
    return packageTables(await readLockFile(index.files[0] as string, platform));
  }
  const packages = new DebianIndex();
  for (const file of index.files) await packages.read(file, signal);
  return packageTables(packages.records());
}

async function listsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  const lists = names.filter((name) =>
    /(?:^|_)(?:Packages|status)(?:\.[a-z0-9]+)?$/.test(basename(name)),
  );
  return lists.toSorted().map((name) => join(folder, name));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = files.map(async (file) => {
    const { ino, size, mtimeMs } = await stat(file);
    return `${file}:${ino}:${size}:${mtimeMs}`;
  });
  return (await Promise.all(stamps)).join('\n');
}
