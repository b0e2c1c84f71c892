/** What fills sources, from `--source NAME=PATH` or the list of a file, and the policy files. */
import path from 'node:path';
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import type { DriverOption, DriverSettings } from '../../drivers/driver-options.ts';
import { nearestName } from '../compiler/nearest-name.ts';
import { isOwnerName } from './address-kinds.ts';
import type { RawItem, RawRecord } from './config-file.ts';
import { choice, duration, FILE_PATH } from './kind.ts';
import type { Kind } from './kind.ts';
import { OPTIONS } from './options.ts';
import { DRIVER } from './own-kinds.ts';
import type { Place, Report } from './problem.ts';
import { readItem } from './settings.ts';
import type { Placed, Settings } from './settings.ts';

/** A source and what fills it: `createDriver` of the drivers makes it run. */
export interface DatasourceConfig {
  readonly name: string;
  readonly driver: string;
  readonly settings: DriverSettings;
}
export interface PolicyFile {
  readonly name: string;
  readonly file: string;
}

const POLL: Kind<number> = duration('100ms', '24h');
const NAME_REMEDY = 'begin it with a letter or `_`; then letters, digits, `_`, `-` and `.`';

export function readDatasources(settings: Settings): readonly DatasourceConfig[] {
  const { report } = settings;
  const found = settings.records(OPTIONS.datasources);
  if (found === undefined) return [];
  const read =
    'items' in found
      ? found.items.map((item) => fileSource(item, report))
      : found.records.map((record) => sourceOf(record, report));
  const sources = read.filter((source) => source !== undefined);
  const names = new Set<string>();
  const permitted = settings.list(OPTIONS.drivers).map(({ value }) => value);
  for (const { value, place, driverPlace } of sources) {
    if (names.has(value.name)) {
      report.add(
        place,
        'conflicting-options',
        `the source \`${value.name}\` is given twice`,
        'put its files into one directory, or give the sources different names',
      );
    }
    names.add(value.name);
    if (permitted.length === 0 || permitted.includes(value.driver)) continue;
    report.add(
      driverPlace,
      'conflicting-options',
      `the driver \`${value.driver}\` is not among those of \`drivers\``,
      'add it there, or leave `drivers` out',
    );
  }
  return sources.map(({ value }) => value);
}

interface ReadSource {
  readonly value: DatasourceConfig;
  readonly place: Place;
  readonly driverPlace: Place;
}

function fileSource({ text, place }: RawItem, report: Report): ReadSource | undefined {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals));
  const target = text.slice(equals + 1);
  if (equals <= 0 || target === '' || !isOwnerName(name)) {
    report.add(
      place,
      'bad-option',
      `\`${text}\` is not \`NAME=PATH\``,
      'write for example `--source inv=data/`',
    );
    return undefined;
  }
  return { value: { name, driver: 'file', settings: { path: target } }, place, driverPlace: place };
}

/** `name`, `driver`, and what the driver's own table has. */
function sourceOf(record: RawRecord, report: Report): ReadSource | undefined {
  const name = field(record, 'name', report);
  const driver = field(record, 'driver', report);
  if (name !== undefined && !isOwnerName(name.text)) {
    report.add(name.place, 'bad-option', `\`${name.text}\` is no name of a source`, NAME_REMEDY);
  }
  if (driver === undefined) return undefined;
  const kind = readItem({ ...driver, key: 'driver', secret: false, kind: DRIVER }, report);
  if (kind === undefined) return undefined;
  const settings = driverSettings(record, kind, report);
  if (name === undefined) return undefined;
  const value = { name: name.text, driver: kind, settings };
  return { value, place: name.place, driverPlace: driver.place };
}

function driverSettings(record: RawRecord, driver: string, report: Report): DriverSettings {
  const table = DRIVER_OPTIONS[driver] ?? [];
  const known = ['name', 'driver', ...table.map(({ key }) => key)];
  for (const [key, { keyPlace }] of record.fields) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    const options = table.length === 0 ? 'none' : table.map((one) => `\`${one.key}\``).join(', ');
    report.add(
      keyPlace,
      'unknown-option',
      `the driver \`${driver}\` has no option \`${key}\``,
      near === undefined ? `its options: ${options}` : `did you mean \`${near}\`?`,
    );
  }
  const settings: Record<string, unknown> = {};
  for (const option of table) {
    const item = record.fields.has(option.key) ? field(record, option.key, report) : undefined;
    if (item !== undefined) {
      const kind = kindOf(option);
      const value = readItem({ ...item, key: option.key, secret: false, kind }, report);
      if (value !== undefined) settings[option.setting] = value;
    } else if (option.isRequired === true && !record.fields.has(option.key)) {
      report.add(
        record.place,
        'missing-option',
        `the driver \`${driver}\` needs \`${option.key}\``,
        option.meaning,
      );
    }
  }
  return settings;
}

function kindOf({ type }: DriverOption): Kind<unknown> {
  if (type === 'path') return FILE_PATH;
  return type === 'duration' ? POLL : choice(type);
}

/** Undefined where it is missing or no single value, which is reported. */
function field(record: RawRecord, key: string, report: Report): RawItem | undefined {
  const found = record.fields.get(key);
  if (found === undefined) {
    report.add(
      record.place,
      'missing-option',
      `a datasource without \`${key}\``,
      `add \`${key}:\``,
    );
    return undefined;
  }
  if (found.items.length > 1) {
    report.add(found.place, 'bad-option', `\`${key}\` is one value, not a list`);
    return undefined;
  }
  return found.items[0];
}

export function namePolicies(files: readonly Placed<string>[], report: Report): PolicyFile[] {
  const byName = new Map<string, string>();
  const policies: PolicyFile[] = [];
  for (const { value: file, place } of files) {
    const name = path.basename(file, path.extname(file));
    const other = byName.get(name);
    if (!isOwnerName(name)) {
      report.add(
        place,
        'bad-option',
        `\`${file}\` gives no name for a policy: \`${name}\``,
        'rename the file; its base name is the name of the policy, such as `inventory.policy`',
      );
    } else if (other !== undefined) {
      report.add(
        place,
        'conflicting-options',
        `\`${other}\` and \`${file}\` are both the policy \`${name}\``,
        'rename one of the files; the base name is the name of the policy',
      );
    }
    byName.set(name, file);
    policies.push({ name, file });
  }
  return policies;
}
