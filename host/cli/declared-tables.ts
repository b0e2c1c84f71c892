/**
 * What policies declare of the tables of sources (`table inv:vm(id: string)`), for the drivers that
 * read untyped files. Every policy write of this process passes here, so the declarations are those
 * in force.
 */
import { DiagnosticList } from '../compiler/diagnostic.ts';
import { parsePolicy } from '../compiler/parser.ts';
import { COLUMN_TYPES } from '../value/column-type.ts';
import type { ColumnType } from '../value/column-type.ts';
import type { PolicyPosition, PolicyWrite, Replica } from '../replica/replica.ts';

export interface DeclaredColumn {
  readonly name: string;
  readonly type: ColumnType;
}

const TYPES: ReadonlySet<string> = new Set(COLUMN_TYPES);

export class DeclaredTables {
  private readonly byPolicy = new Map<string, ReadonlyMap<string, readonly DeclaredColumn[]>>();

  /** Columns of `source:table`; undefined where no policy declares it. */
  columns(source: string, table: string): readonly DeclaredColumn[] | undefined {
    for (const tables of this.byPolicy.values()) {
      const columns = tables.get(`${source}:${table}`);
      if (columns !== undefined) return columns;
    }
    return undefined;
  }

  /** Reads the policies that a replica has. */
  async load(replica: Replica): Promise<void> {
    for (const { name } of replica.status().policies) {
      this.set(name, (await replica.readPolicy(name)).text);
    }
  }

  /** The replica's own method with what it writes taken down. */
  async write(replica: Replica, writes: readonly PolicyWrite[]): Promise<PolicyPosition> {
    const position = await replica.writePolicies(writes);
    for (const { name, text } of writes) this.set(name, text);
    return position;
  }

  private set(policy: string, text: string | null): void {
    if (text === null) this.byPolicy.delete(policy);
    else this.byPolicy.set(policy, declarationsOf(policy, text));
  }
}

export function declarationsOf(
  policy: string,
  text: string,
): ReadonlyMap<string, readonly DeclaredColumn[]> {
  const tables = new Map<string, readonly DeclaredColumn[]>();
  for (const statement of parsePolicy(text, new DiagnosticList(text)).statements) {
    if (statement.kind !== 'declaration') continue;
    const { owner = policy, name } = statement.name;
    const columns = statement.columns.map((column) => ({
      name: column.name,
      type: typeOf(column.type?.name),
    }));
    tables.set(`${owner}:${name}`, columns);
  }
  return tables;
}

function typeOf(name: string | undefined): ColumnType {
  return name !== undefined && TYPES.has(name) ? (name as ColumnType) : 'any';
}
