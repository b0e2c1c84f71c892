/**
 * What `caucus run` writes: `OUT/<table>.csv`, `OUT/deltas.tsv`. Temporary names until all is
 * there.
 */
import { access, constants, rename, rm, stat } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import type { Stats } from 'node:fs';
import path from 'node:path';
import type { TableDelta } from '../engine/engine.ts';
import { compareRows } from '../value/value.ts';
import { blockRows } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { makeDirectory } from '../log/make-directory.ts';
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
    let existing = path.resolve(directory);
    let found = await statIfThere(existing);
    while (found === undefined && existing !== path.dirname(existing)) {
      existing = path.dirname(existing);
      found = await statIfThere(existing);
    }
    const shown = existing === path.resolve(directory) ? directory : existing;
    if (found?.isDirectory() !== true) {
      throw inputError('not-a-directory', `\`${shown}\` is not a directory`, {
        note: 'name a directory after `--out`; it is made where it does not exist',
      });
    }
    await access(shown, constants.W_OK | constants.X_OK);
    return new OutputDirectory(directory);
  }

  async create(name: string): Promise<TextFileWriter> {
    makeOutput(this.directory);
    const final = path.join(this.directory, name);
    const temporary = path.join(this.directory, `.${name}.${process.pid}.tmp`);
    this.pending.push({ temporary, final });
    return TextFileWriter.create(temporary);
  }

  /** Nothing is replaced where one of the files cannot be. */
  async commit(): Promise<void> {
    makeOutput(this.directory);
    for (const { final } of this.pending) {
      if ((await statIfThere(final))?.isDirectory() !== true) continue;
      throw inputError('is-a-directory', `\`${final}\` is a directory where a file is to be`, {
        note: 'remove it, or name another directory after `--out`',
      });
    }
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

async function statIfThere(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function makeOutput(directory: string): void {
  try {
    makeDirectory(directory);
  } catch (error) {
    const { code, path: failed = directory } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw error;
    const parent = path.dirname(failed);
    throw inputError('cannot-create', `\`${failed}\` cannot be made: \`${parent}\` takes none`, {
      note: 'name another directory after `--out`',
    });
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
