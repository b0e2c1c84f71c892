/**
 * What `caucus run` writes: `OUT/<table>.csv`, `OUT/deltas.tsv`. Temporary names until all is
 * there.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { TableDelta } from '../engine/engine.ts';
import { compareRows } from '../value/value.ts';
import { blockRows } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { inputError } from './problem.ts';
import { BlockCursor, TextFileWriter } from './row-text.ts';
import type { NamedTable } from './table-names.ts';

const FLUSH_BYTES = 1 << 20;

/** Files of a directory that appear together at the end, or not at all. */
export class OutputDirectory {
  private readonly directory: string;
  private readonly pending: { readonly temporary: string; readonly final: string }[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Refuses early what cannot be written to, so that nobody waits for an evaluation in vain. */
  static async open(directory: string): Promise<OutputDirectory> {
    const found = await stat(directory).catch(() => undefined);
    if (found !== undefined && !found.isDirectory()) {
      throw inputError('not-a-directory', `\`${directory}\` is not a directory`, {
        note: 'name a directory after `--out`; it is made where it does not exist',
      });
    }
    return new OutputDirectory(directory);
  }

  async create(name: string): Promise<TextFileWriter> {
    await mkdir(this.directory, { recursive: true });
    const final = path.join(this.directory, name);
    const temporary = path.join(this.directory, `.${name}.${process.pid}.tmp`);
    this.pending.push({ temporary, final });
    return TextFileWriter.create(temporary);
  }

  async commit(): Promise<void> {
    for (const { temporary, final } of this.pending) await rename(temporary, final);
    this.pending.length = 0;
  }

  async discard(): Promise<void> {
    for (const { temporary } of this.pending) await rm(temporary, { force: true });
    this.pending.length = 0;
  }

  /** For the end of the process, which waits for nothing. */
  discardNow(): void {
    for (const { temporary } of this.pending) rmSync(temporary, { force: true });
  }
}

export async function writeTable(
  output: OutputDirectory,
  table: NamedTable,
  rows: RowBlock,
): Promise<void> {
  const file = await output.create(`${table.file}.csv`);
  try {
    await file.block(rows);
  } finally {
    await file.close();
  }
}

/** `deltas` of one batch, of the tables in the order of their printed names. */
export async function writeDeltas(
  file: TextFileWriter,
  batch: number,
  deltas: readonly { readonly printed: string; readonly delta: TableDelta }[],
): Promise<void> {
  for (const { printed, delta } of deltas) {
    const prefix = { insert: `${batch}\t+\t${printed}`, delete: `${batch}\t-\t${printed}` };
    const cursors = {
      insert: new BlockCursor(delta.insert),
      delete: new BlockCursor(delta.delete),
    };
    for (const sign of mergedSigns(delta)) {
      const cursor = cursors[sign];
      file.text.text(prefix[sign]);
      if (cursor.arity > 0) file.text.tab();
      file.text.row(cursor);
      file.text.endLine();
      if (file.text.byteLength >= FLUSH_BYTES) await file.flush();
    }
  }
}

/** Both blocks are sorted and disjoint: from which the next row of the whole comes. */
function* mergedSigns(delta: TableDelta): Generator<'insert' | 'delete'> {
  const inserts = blockRows(delta.insert);
  const deletes = blockRows(delta.delete);
  let inserted = inserts.next();
  let deleted = deletes.next();
  while (inserted.done !== true || deleted.done !== true) {
    if (
      deleted.done === true ||
      (inserted.done !== true && compareRows(inserted.value, deleted.value) < 0)
    ) {
      yield 'insert';
      inserted = inserts.next();
    } else {
      yield 'delete';
      deleted = deletes.next();
    }
  }
}
