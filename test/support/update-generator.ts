/** Random batches of base rows for a generated program, and the rows that they leave. */
import { tableKey } from '../../host/compiler/stratified.ts';
import type { TableKey } from '../../host/compiler/stratified.ts';
import { sameValue } from '../../host/value/value.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { between, sample, weighted } from './prng.ts';
import type { GeneratedProgram, GeneratedTable } from './program-generator.ts';
import type { Random } from './random.ts';

/** As `TableChange`, with the rows as values. */
export interface RowChange {
  readonly table: TableKey;
  readonly arity: number;
  readonly replace: boolean;
  readonly delete: readonly Row[];
  readonly insert: readonly Row[];
}
export type RowBatch = readonly RowChange[];

type BatchKind =
  | 'mixed'
  | 'inserts'
  | 'deletes'
  | 'single'
  | 'empty'
  | 'no-op'
  | 'replace'
  | 'flip';

const KINDS: readonly (readonly [number, BatchKind])[] = [
  [10, 'mixed'],
  [5, 'inserts'],
  [5, 'deletes'],
  [12, 'single'],
  [0.5, 'empty'],
  [1, 'no-op'],
  [2, 'replace'],
  [3, 'flip'],
];

/** Wide tables draw from the first few values, so that their rows meet too. */
const WIDE_VALUES = 3;

export class UpdateGenerator {
  readonly #random: Random;
  readonly #program: GeneratedProgram;
  readonly #scale: number;
  readonly #rows = new Map<TableKey, Row[]>();

  /** `scale`: so many times the usual number of rows. */
  constructor(random: Random, program: GeneratedProgram, scale = 1) {
    this.#random = random;
    this.#program = program;
    this.#scale = scale;
  }

  /** The first batch: many rows at once. */
  initial(): RowBatch {
    return this.#program.sourceTables.map((table) =>
      this.#change(table, {
        insert: this.#freshRows(table, this.#scale * between(this.#random, 0, 12)),
      }),
    );
  }

  next(): RowBatch {
    const random = this.#random;
    const kind = weighted(random, KINDS);
    switch (kind) {
      case 'empty':
        return [];
      case 'no-op': {
        const table = this.#table();
        const absent = this.#freshRows(table, 3).filter((row) => !this.#has(table, row));
        const present = sample(random, this.#rowsOf(table), 2);
        return [this.#change(table, { delete: absent, insert: present })];
      }
      case 'replace': {
        const table = this.#table();
        const kept = sample(random, this.#rowsOf(table), random.int(5));
        const insert = [...kept, ...this.#freshRows(table, random.int(4))];
        return [this.#change(table, { replace: true, insert })];
      }
      case 'flip': {
        // Out and in again, in one change and over several of the same table.
        const table = this.#table();
        const rows = sample(random, this.#rowsOf(table), 2);
        const fresh = this.#freshRows(table, 1);
        if (random.chance(0.5)) return [this.#change(table, { delete: rows, insert: rows })];
        return [
          this.#change(table, { insert: fresh, delete: rows }),
          this.#change(table, { insert: rows, delete: fresh }),
        ];
      }
      case 'single': {
        const table = this.#table();
        const rows = this.#rowsOf(table);
        if (random.chance(0.5) && rows.length > 0) {
          return [this.#change(table, { delete: [random.pick(rows)] })];
        }
        return [this.#change(table, { insert: this.#freshRows(table, 1) })];
      }
      default:
        return this.#mixed(kind);
    }
  }

  #mixed(kind: BatchKind): RowBatch {
    const random = this.#random;
    const changes: RowChange[] = [];
    for (let count = between(random, 1, 3); count > 0; count--) {
      const table = this.#table();
      const gone = random.chance(0.1) ? 1000 : this.#scale * random.int(4);
      const insert = kind === 'deletes' ? [] : this.#freshRows(table, this.#scale * random.int(5));
      const remove = kind === 'inserts' ? [] : sample(random, this.#rowsOf(table), gone);
      changes.push(this.#change(table, { delete: remove, insert }));
    }
    return changes;
  }

  #change(
    table: GeneratedTable,
    change: { replace?: boolean; delete?: readonly Row[]; insert?: readonly Row[] },
  ): RowChange {
    const removed = change.delete ?? [];
    const inserted = change.insert ?? [];
    const kept = change.replace === true ? [] : this.#rowsOf(table);
    const rest = kept.filter((row) => !removed.some((other) => isSame(row, other)));
    this.#rows.set(tableKey(table), [
      ...rest,
      ...inserted.filter((row, index) => {
        const isRepeated = inserted.slice(0, index).some((other) => isSame(row, other));
        return !isRepeated && !rest.some((other) => isSame(row, other));
      }),
    ]);
    const { arity } = table;
    const replace = change.replace === true;
    return { table: tableKey(table), arity, replace, delete: removed, insert: inserted };
  }

  /** Mostly a table of the source; now and then one that has rules as well. */
  #table(): GeneratedTable {
    const { sourceTables, tables } = this.#program;
    return this.#random.pick(this.#random.chance(0.85) ? sourceTables : tables);
  }

  #freshRows({ arity }: GeneratedTable, count: number): Row[] {
    const { values } = this.#program;
    const pool = arity > 2 ? values.slice(-WIDE_VALUES) : values;
    const value = (): Value => this.#random.pick(pool);
    return Array.from({ length: count }, () => Array.from({ length: arity }, value));
  }

  #rowsOf(table: GeneratedTable): readonly Row[] {
    return this.#rows.get(tableKey(table)) ?? [];
  }

  #has(table: GeneratedTable, row: Row): boolean {
    return this.#rowsOf(table).some((other) => isSame(row, other));
  }
}

function isSame(a: Row, b: Row): boolean {
  return a.every((value, column) => sameValue(value, b[column] as Value));
}
