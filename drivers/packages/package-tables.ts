/**
 * The tables of a package source, and packages → rows. Debian's index and an npm lock file give the
 * same tables, so that one policy reads both.
 */
import { RowBlockWriter } from '../../host/value/row-block.ts';
import type { RowBlock } from '../../host/value/row-block.ts';
import type { Value } from '../../host/value/value.ts';
import type { DriverColumn, DriverTable } from '../driver.ts';

/** One package by name: what is installed of it, else what could be. */
export interface PackageRecord {
  readonly name: string;
  readonly section: string;
  /** Installed size; null where the index does not say. */
  readonly sizeKb: bigint | null;
  /** Newest version that an index offers. */
  readonly available: string | undefined;
  readonly installed: string | undefined;
  readonly essential: boolean;
  /** Why it should not be used any more. */
  readonly deprecated: string | undefined;
  readonly licence: string | undefined;
  /** All of them must be met, each by one of its alternatives. */
  readonly clauses: readonly (readonly string[])[];
  /** Other names that it answers to. */
  readonly provides: readonly string[];
}

const COLUMNS = {
  package: ['name: string', 'section: string', 'size_kb: int'],
  available: ['name: string', 'version: string'],
  installed: ['name: string', 'version: string'],
  essential: ['name: string'],
  deprecated: ['name: string', 'why: string'],
  licence: ['name: string', 'licence: string'],
  depends: ['name: string', 'clause: int', 'target: string'],
  provides: ['name: string', 'virtual: string'],
} as const;

type TableName = keyof typeof COLUMNS;

export const PACKAGE_TABLES: readonly DriverTable[] = Object.entries(COLUMNS).map(
  ([name, columns]) => ({
    name,
    columns: columns.map((column): DriverColumn => {
      const [columnName, type] = column.split(': ') as [string, 'string' | 'int'];
      return { name: columnName, type };
    }),
  }),
);

export function packageTables(records: Iterable<PackageRecord>): Map<string, RowBlock> {
  const writers = new Map<TableName, RowBlockWriter>();
  for (const [name, columns] of Object.entries(COLUMNS)) {
    writers.set(name as TableName, new RowBlockWriter(columns.length));
  }
  const add = (table: TableName, ...row: Value[]): void => {
    (writers.get(table) as RowBlockWriter).appendRow(row);
  };
  for (const record of records) {
    const { name } = record;
    add('package', name, record.section, record.sizeKb);
    if (record.available !== undefined) add('available', name, record.available);
    if (record.installed !== undefined) add('installed', name, record.installed);
    if (record.essential) add('essential', name);
    if (record.deprecated !== undefined) add('deprecated', name, record.deprecated);
    if (record.licence !== undefined) add('licence', name, record.licence);
    for (const virtual of new Set(record.provides)) add('provides', name, virtual);
    addClauses(record, add);
  }
  return new Map([...writers].map(([name, writer]) => [name, writer.finish()]));
}

/** Numbered from 1. A clause with the same alternatives as another (two version bounds) is one. */
function addClauses(record: PackageRecord, add: (table: TableName, ...row: Value[]) => void): void {
  const seen = new Set<string>();
  for (const alternatives of record.clauses) {
    const targets = [...new Set(alternatives)];
    const key = targets.toSorted().join(' ');
    if (seen.has(key)) continue;
    seen.add(key);
    for (const target of targets) add('depends', record.name, BigInt(seen.size), target);
  }
}
