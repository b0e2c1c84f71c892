/**
 * `--updates`: `+table<TAB>v1…` inserts, `-table<TAB>v1…` removes a base row; every blank line ends
 * a batch, empty batches count, and what follows the last blank line is a batch if there is any.
 */
import type { TableChange } from '../engine/engine.ts';
import type { TableKey } from '../compiler/stratified.ts';
import type { RowBlock } from '../value/row-block.ts';
import { FieldReader } from './field-reader.ts';
import type { TableShape } from './field-reader.ts';
import { ProblemList, readProblemLines } from './facts-file.ts';
import type { TextFile } from './facts-file.ts';

const TAB = 0x09;
const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;

export interface UpdateTable extends TableShape {
  readonly key: TableKey;
}

/** One batch: at most one change a table, inserts and deletes disjoint. */
export type UpdateBatch = readonly TableChange[];

/** What a name in the file stands for; a text instead says why it stands for nothing. */
export type FindTable = (
  name: string,
) => UpdateTable | { readonly message: string; readonly note?: string };

export async function readUpdatesFile(
  path: string,
  findTable: FindTable,
  onProgress?: (bytesRead: number) => void,
): Promise<TextFile<UpdateBatch[]>> {
  const problems = new ProblemList(path);
  const reader = new UpdatesReader(findTable, problems);
  const lines = await readProblemLines(path, problems, onProgress, (bytes, start, end, line) => {
    reader.line(bytes, start, end, line);
  });
  return { content: reader.finish(), problems: problems.list, lines };
}

class UpdatesReader {
  private readonly findTable: FindTable;
  private readonly problems: ProblemList;
  private readonly batches: UpdateBatch[] = [];
  private readonly tables = new Map<string, TableUpdates | null>();
  /** A line after the last blank one. */
  private open = false;

  constructor(findTable: FindTable, problems: ProblemList) {
    this.findTable = findTable;
    this.problems = problems;
  }

  line(bytes: Buffer, start: number, end: number, line: number): void {
    if (isBlank(bytes, start, end)) {
      this.endBatch();
      return;
    }
    this.open = true;
    const sign = bytes[start];
    let nameEnd = start + 1;
    while (nameEnd < end && bytes[nameEnd] !== TAB) nameEnd++;
    if ((sign !== PLUS && sign !== MINUS) || nameEnd === start + 1) {
      this.problems.add({
        severity: 'error',
        code: 'invalid-update',
        message: 'an update begins with `+` or `-` and the name of a table',
        line,
        column: 1,
        excerpt: bytes.toString('utf8', start, end),
        note: 'write `+table`, a tab and the values, or `-table` for a row to remove; a blank line ends a batch',
      });
      return;
    }
    const table = this.table(bytes, start, nameEnd, end, line);
    table?.add(sign === PLUS, bytes, { start, nameEnd, end, line });
  }

  finish(): UpdateBatch[] {
    if (this.open) this.endBatch();
    return this.batches;
  }

  private endBatch(): void {
    const changes: TableChange[] = [];
    for (const table of this.tables.values()) {
      const change = table?.take();
      if (change !== undefined) changes.push(change);
    }
    this.batches.push(changes);
    this.open = false;
  }

  private table(
    bytes: Buffer,
    start: number,
    nameEnd: number,
    end: number,
    line: number,
  ): TableUpdates | null {
    const name = bytes.toString('utf8', start + 1, nameEnd);
    const known = this.tables.get(name);
    if (known !== undefined && known !== null) return known;
    const found = this.findTable(name);
    if ('key' in found) {
      // Two spellings of one table (`t`, `policy:t`) are one, or the last operation would not be
      // known.
      const other = [...this.tables.values()].find((table) => table?.key === found.key);
      const table = other ?? new TableUpdates(found, this.problems);
      this.tables.set(name, table);
      return table;
    }
    this.problems.add({
      severity: 'error',
      code: 'unknown-table',
      message: found.message,
      line,
      column: 2,
      length: Math.max(1, [...name].length),
      excerpt: bytes.toString('utf8', start, end),
      ...(found.note === undefined ? {} : { note: found.note }),
    });
    return null;
  }
}

class TableUpdates {
  readonly key: TableKey;
  private readonly arity: number;
  private readonly name: string;
  private readonly fields: FieldReader;
  private readonly problems: ProblemList;
  /** Of each row in the batch, whether it inserts, and where its bytes end. */
  private inserts: boolean[] = [];
  private ends: number[] = [];

  constructor(table: UpdateTable, problems: ProblemList) {
    this.key = table.key;
    this.arity = table.arity;
    this.name = table.name;
    this.problems = problems;
    this.fields = new FieldReader(table, (problem) => problems.add(problem));
  }

  add(
    insert: boolean,
    bytes: Buffer,
    at: {
      readonly start: number;
      readonly nameEnd: number;
      readonly end: number;
      readonly line: number;
    },
  ): void {
    // Without a tab there is no field at all; only a table without columns may have none.
    if (at.nameEnd === at.end ? this.arity > 0 : this.arity === 0) {
      this.wrongCount(bytes, at);
      return;
    }
    const first = Math.min(at.nameEnd + 1, at.end);
    if (!this.fields.read(bytes, first, at.end, at.line, at.start)) return;
    this.inserts.push(insert);
    this.ends.push(this.fields.byteLength);
  }

  /** The last operation on each row counts. */
  take(): TableChange | undefined {
    const { inserts, ends } = this;
    const block = this.fields.take();
    this.inserts = [];
    this.ends = [];
    if (block.count === 0 || block.count !== inserts.length) return undefined;
    const bytes = Buffer.from(block.bytes.buffer, block.bytes.byteOffset, block.bytes.length);
    const last = new Map<string, number>();
    for (let row = 0; row < ends.length; row++) {
      last.set(bytes.toString('latin1', row === 0 ? 0 : ends[row - 1], ends[row]), row);
    }
    const pick = (wanted: boolean): RowBlock => {
      const rows = [...last.values()].filter((row) => inserts[row] === wanted);
      const parts = rows.map((row) => bytes.subarray(row === 0 ? 0 : ends[row - 1], ends[row]));
      return { arity: this.arity, count: rows.length, bytes: Buffer.concat(parts) };
    };
    const inserted = pick(true);
    const deleted = pick(false);
    return {
      table: this.key,
      ...(deleted.count > 0 ? { delete: deleted } : {}),
      ...(inserted.count > 0 ? { insert: inserted } : {}),
    };
  }

  private wrongCount(
    bytes: Buffer,
    at: { readonly start: number; readonly end: number; readonly line: number },
  ): void {
    const expected = this.arity === 1 ? '1 field' : `${this.arity} fields`;
    const found = this.arity === 0 ? 'more' : 'none';
    this.problems.add({
      severity: 'error',
      code: 'wrong-field-count',
      message: `\`${this.name}\` has ${expected}, this line has ${found}`,
      line: at.line,
      column: 1,
      excerpt: bytes.toString('utf8', at.start, at.end),
      note: 'a tab stands before each field',
    });
  }
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== SPACE && bytes[i] !== TAB) return false;
  return true;
}
