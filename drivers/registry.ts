/**
 * Every driver that a source can be made of, by name. The docs and the command line list what is
 * here.
 */
import { resolve } from 'node:path';
import type { Driver, DriverColumn, DriverMode } from './driver.ts';
import { fileDriver } from './file/file-driver.ts';
import { packagesDriver } from './packages/packages-driver.ts';
import { PushDriver } from './push/push-driver.ts';

export interface DriverKind {
  readonly name: string;
  readonly mode: DriverMode;
  /** One line for the manual. */
  readonly about: string;
  create(options: SourceOptions): Driver;
}

export interface SourceOptions {
  readonly source: string;
  /** File or directory, for the drivers that read one. */
  readonly path?: string;
  readonly declared?: (table: string) => readonly DriverColumn[] | undefined;
}

export const DRIVER_KINDS: readonly DriverKind[] = [
  {
    name: 'file',
    mode: 'poll',
    about: 'rows of a CSV, TSV, JSON or NDJSON file, or of a directory of them, kept up to date',
    create: ({ source, path, declared }) =>
      fileDriver({
        source,
        path: resolve(path ?? '.'),
        ...(declared === undefined ? {} : { declared }),
      }),
  },
  {
    name: 'packages',
    mode: 'poll',
    about: 'the package index of this machine (Debian), or of a package-lock.json',
    create: ({ source, path }) =>
      packagesDriver({ source, ...(path === undefined ? {} : { path }) }),
  },
  {
    name: 'push',
    mode: 'push',
    about: 'rows that arrive through the API, in batches',
    create: ({ source }) => new PushDriver({ source }),
  },
];
