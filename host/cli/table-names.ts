/**
 * The names of a program's tables as people write them, seen from its own policy.
 *
 *   table               printed             file
 *   own `t`             `t`                 `t`
 *   `inv:t`             `inv:t`             `inv.t`
 *   action `svc:act`    `execute[svc:act]`  `execute.svc.act`
 */
import { SYSTEM_TABLES } from '../compiler/catalog.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { StratifiedProgram, Table, TableKey } from '../compiler/stratified.ts';
import { inputError } from './problem.ts';

export interface NamedTable extends Table {
  readonly key: TableKey;
  readonly printed: string;
  readonly file: string;
  /** Has rules, or facts in the text. */
  readonly defined: boolean;
}

export class TableNames {
  readonly program: StratifiedProgram;
  readonly tables: readonly NamedTable[];
  private readonly byFile = new Map<string, NamedTable>();
  private readonly byName = new Map<string, NamedTable>();

  constructor(program: StratifiedProgram, policy: string) {
    this.program = program;
    const defined = new Set(program.rules.map((rule) => rule.head));
    const mentioned = new Set(program.tables.map(tableKey));
    const system = SYSTEM_TABLES.map((table): Table => ({
      ...table,
      owner: 'system',
      kind: 'system',
    }));
    const all = [...program.tables, ...system.filter((table) => !mentioned.has(tableKey(table)))];
    this.tables = all.map((table, index) => ({
      ...table,
      key: tableKey(table),
      printed: printedName(table, policy),
      file: fileName(table, policy),
      defined: defined.has(index),
    }));
    for (const table of this.tables) {
      this.byName.set(table.key, table);
      // The policy's own table wins where `a.b` and `a:b` would share a file.
      if (table.owner === policy || !this.byFile.has(table.file))
        this.byFile.set(table.file, table);
    }
    for (const table of this.tables) this.byName.set(table.printed, table);
  }

  find(name: string): NamedTable | undefined {
    return this.byName.get(name);
  }

  findByFile(file: string): NamedTable | undefined {
    return this.byFile.get(file);
  }

  /** Refuses two tables of one file: nothing may overwrite another's rows. */
  checkFiles(tables: readonly NamedTable[]): void {
    const seen = new Map<string, NamedTable>();
    for (const table of tables) {
      const other = seen.get(table.file);
      if (other !== undefined) {
        throw inputError(
          'file-name-taken',
          `\`${other.printed}\` and \`${table.printed}\` would both be written to \`${table.file}.csv\``,
          { note: 'rename one of the tables, or name only one of them in `--output`' },
        );
      }
      seen.set(table.file, table);
    }
  }
}

function printedName(table: Table, policy: string): string {
  if (table.owner === policy) return table.name;
  if (table.kind === 'execute') return `execute[${table.name}]`;
  return tableKey(table);
}

function fileName(table: Table, policy: string): string {
  const name = table.owner === policy ? table.name : `${table.owner}.${table.name}`;
  return name.replaceAll(':', '.');
}
