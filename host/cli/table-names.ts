/**
 * The names of a program's tables as people write them, seen from its own policy.
 *
 *   table               printed             file
 *   own `t`             `t`                 `t`
 *   `inv:t`             `inv:t`             `inv.t`
 *   action `svc:act`    `execute[svc:act]`  `execute.svc.act`
 */
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
  readonly tables: readonly NamedTable[];
  private readonly byFile = new Map<string, NamedTable>();
  private readonly byName = new Map<string, NamedTable>();

  constructor(program: StratifiedProgram, policy: string) {
    const defined = new Set(program.rules.map((rule) => rule.head));
    this.tables = program.tables.map((table, index) => ({
      ...table,
      key: tableKey(table),
      printed: printedName(table, policy),
      file: fileName(table, policy),
      defined: defined.has(index),
    }));
    for (const table of this.tables) {
      this.byName.set(table.key, table);
      // The policy's own table wins where `a.b` and `a:b` would share a file.
      if (table.owner === policy || !this.byFile.has(table.file)) this.byFile.set(table.file, table);
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

/** The nearest of `names` to a word that is none of them, where it is near. */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(word, name, bestDistance);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours; `limit` or more is `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] as number) + 1,
        (current[j - 1] as number) + 1,
        (previous[j - 1] as number) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] as number) + 1);
      }
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return Math.min(limit, previous[b.length] as number);
}
