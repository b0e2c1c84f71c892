/**
 * What a source of each driver can be told in the configuration: data only, so that the command
 * line need not load the drivers to check a file. `registry.ts` makes drivers of it.
 */
import { FILE_POLL_MS, PACKAGES_POLL_MS } from './limits.ts';

export interface DriverOption {
  /** As the configuration calls it. */
  readonly key: string;
  /** As `DriverSettings` calls it. */
  readonly setting: keyof DriverSettings;
  /** A duration becomes milliseconds. */
  readonly type: 'path' | 'duration' | readonly string[];
  readonly isRequired?: boolean;
  readonly defaultText?: string;
  readonly meaning: string;
}

export interface DriverSettings {
  readonly path?: string;
  readonly header?: 'auto' | 'true' | 'false';
  readonly lockFile?: string;
  readonly pollMs?: number;
}

export const DRIVER_OPTIONS: Readonly<Record<string, readonly DriverOption[]>> = {
  file: [
    {
      key: 'path',
      setting: 'path',
      type: 'path',
      isRequired: true,
      meaning: 'a file (CSV, TSV, JSON, NDJSON, `.facts`), or a directory of them',
    },
    {
      key: 'header',
      setting: 'header',
      type: ['auto', 'true', 'false'],
      defaultText: 'auto',
      meaning: 'whether the first line of a CSV or TSV file names columns',
    },
    {
      key: 'poll_interval',
      setting: 'pollMs',
      type: 'duration',
      defaultText: `${FILE_POLL_MS}ms`,
      meaning: 'how often the files are looked at where no event comes',
    },
  ],
  packages: [
    {
      key: 'path',
      setting: 'path',
      type: 'path',
      meaning: 'a package list or `package-lock.json` instead of what the machine has',
    },
    {
      key: 'lock_file',
      setting: 'lockFile',
      type: 'path',
      meaning: 'a `package-lock.json` that is read where the machine has no package index',
    },
    {
      key: 'poll_interval',
      setting: 'pollMs',
      type: 'duration',
      defaultText: `${PACKAGES_POLL_MS}ms`,
      meaning: 'how often the index is looked at',
    },
  ],
  push: [],
};
