/**
 * Every driver that a source can be made of, by name. The docs and the command line list what is
 * here.
 */
import { resolve } from 'node:path';
import type { Driver, DriverColumn, DriverMode } from './driver.ts';
import type { DriverSettings } from './driver-options.ts';
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

/** Each driver takes what it knows of the settings. */
export interface SourceOptions extends DriverSettings {
  readonly source: string;
  readonly declared?: (table: string) => readonly DriverColumn[] | undefined;
}

export const DRIVER_KINDS: readonly DriverKind[] = [
  {
    name: 'file',
    mode: 'poll',
    about: 'rows of a CSV, TSV, JSON or NDJSON file, or of a directory of them, kept up to date',
    create: ({ source, path, header, pollMs, declared }) =>
      fileDriver({
        source,
        path: resolve(path ?? '.'),
        ...(header === undefined ? {} : { header: header === 'auto' ? header : header === 'true' }),
        ...(pollMs === undefined ? {} : { pollMs }),
        ...(declared === undefined ? {} : { declared }),
      }),
  },
  {
    name: 'packages',
    mode: 'poll',
    about: 'the package index of this machine (Debian), or of a package-lock.json',
    create: ({ source, path, lockFile, pollMs }) =>
      packagesDriver({
        source,
        ...(path === undefined ? {} : { path }),
        ...(lockFile === undefined ? {} : { lockFile }),
        ...(pollMs === undefined ? {} : { pollMs }),
      }),
  },
  {
    name: 'push',
    mode: 'push',
    about: 'rows that arrive through the API, in batches',
    create: ({ source }) => new PushDriver({ source }),
  },
];

/** The driver of a source as the configuration has it. */
export function createDriver(
  source: { readonly name: string; readonly driver: string; readonly settings: DriverSettings },
  declared?: SourceOptions['declared'],
): Driver {
  const kind = DRIVER_KINDS.find(({ name }) => name === source.driver);
  if (kind === undefined) throw new Error(`no driver is called ${source.driver}`);
  return kind.create({
    ...source.settings,
    source: source.name,
    ...(declared === undefined ? {} : { declared }),
  });
}
