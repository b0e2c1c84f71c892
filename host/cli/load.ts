/** `caucus load SOURCE FILE`: the rows of a file as one batch of a source, sent as NDJSON. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceError } from '../../drivers/driver.ts';
import { formatOf, readTable, tableNameOf } from '../../drivers/file/read-table.ts';
import type { FileFormat } from '../../drivers/file/read-table.ts';
import { stringifyJson } from '../value/json.ts';
import { blockRows } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { isObject, request, textOf } from './client.ts';
import { declarationsOf } from './declared-tables.ts';
import type { DeclaredColumn } from './declared-tables.ts';
import { ProblemsError, UnavailableError, UsageError } from './problem.ts';
import { readStdin, STDIN } from './policy-file.ts';
import type { Progress, Terminal } from './terminal.ts';

export interface LoadOptions {
  readonly url: string;
  readonly table?: string;
  readonly format?: 'csv' | 'tsv' | 'json' | 'ndjson' | 'facts';
  /** Whether the first line of a CSV or TSV file names columns; without it decided by the file. */
  readonly header?: boolean;
  readonly snapshot?: boolean;
  readonly insert?: boolean;
  readonly delete?: boolean;
  /** Idempotency id of the batch; random without it. */
  readonly id?: string;
}

type Mode = 'snapshot' | 'insert' | 'delete';

/** Size of the pieces that a body is sent in. */
const PIECE_BYTES = 1 << 16;
/** Pauses before the batch is sent again, ms; its id makes that harmless. */
const RETRY_PAUSES_MS = [200, 1000, 3000];

export async function load(
  source: string,
  file: string,
  options: LoadOptions,
  terminal: Terminal,
): Promise<void> {
  const mode: Mode =
    options.insert === true ? 'insert' : options.delete === true ? 'delete' : 'snapshot';
  const format = formatOfFile(file, options);
  const table = options.table ?? (file === STDIN ? undefined : tableNameOf(file));
  if (table === undefined) {
    throw new UsageError('standard input has no name for a table', 'name it with `--table`');
  }
  const progress = terminal.progress();
  try {
    progress.update(`reading ${file}`);
    const declared = await declaredColumns(options.url, source, table);
    const rows = await readRows(file, table, format, declared, options.header ?? 'auto');
    const id = options.id ?? randomUUID();
    const answer = await sendBatch({ source, table, rows, mode, id, url: options.url }, progress);
    progress.done();
    const { revision, token } = answer;
    if (terminal.json) {
      const count = BigInt(rows.count);
      terminal.print(stringifyJson({ source, table, rows: count, mode, id, ...answer }));
    } else {
      const { out } = terminal;
      const done = { snapshot: 'now holds', insert: 'was given', delete: 'was asked to drop' }[
        mode
      ];
      terminal.print(
        `${out.bold(`${source}:${table}`)} ${done} ${rows.count} rows at revision ${String(revision)}`,
      );
      terminal.print(out.dim(`token ${String(token)}`));
    }
  } finally {
    progress.done();
  }
}

function formatOfFile(file: string, options: LoadOptions): FileFormat {
  if (options.format !== undefined) return options.format === 'facts' ? 'tsv' : options.format;
  const format = file === STDIN ? undefined : formatOf(file);
  if (format !== undefined) return format;
  throw new UsageError(
    `the format of \`${file}\` is not known`,
    'name it with `--format csv`, `tsv`, `json`, `ndjson` or `facts`',
  );
}

/** What the server's policies declare of the table: it decides how fields are read. */
async function declaredColumns(
  url: string,
  source: string,
  table: string,
): Promise<readonly DeclaredColumn[] | undefined> {
  const { policies } = await request(url, { method: 'GET', path: '/v1/policies' });
  for (const policy of Array.isArray(policies) ? policies.filter(isObject) : []) {
    const name = textOf(policy['name']) ?? '';
    const path = `/v1/policies/${encodeURIComponent(name)}/text`;
    const text = textOf((await request(url, { method: 'GET', path }))['text']) ?? '';
    const columns = declarationsOf(name, text).get(`${source}:${table}`);
    if (columns !== undefined) return columns;
  }
  return undefined;
}

async function readRows(
  file: string,
  table: string,
  format: FileFormat,
  declared: readonly DeclaredColumn[] | undefined,
  header: boolean | 'auto',
): Promise<RowBlock> {
  let folder: string | undefined;
  try {
    let readFrom = file;
    if (file === STDIN) {
      folder = await mkdtemp(path.join(tmpdir(), 'caucus-load-'));
      readFrom = path.join(folder, 'stdin');
      await writeFile(readFrom, await readStdin());
    } else {
      await stat(file);
    }
    const { signal } = new AbortController();
    const read = await readTable({
      path: readFrom,
      table,
      format,
      declared,
      header,
      signal,
    });
    return read.rows;
  } catch (error) {
    if (error instanceof SourceError) throw problemsOfSource(error, file);
    throw error;
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

function problemsOfSource(error: SourceError, file: string): ProblemsError {
  return new ProblemsError(
    error.problems.map((problem) => ({
      severity: 'error',
      code: 'invalid-file',
      message: problem.message,
      file: file === STDIN ? 'stdin' : file,
      ...(problem.line === undefined ? {} : { line: problem.line }),
      ...(problem.column === undefined ? {} : { column: problem.column }),
      ...(problem.remedy === undefined ? {} : { note: problem.remedy }),
    })),
  );
}

interface BatchOfFile {
  readonly url: string;
  readonly source: string;
  readonly table: string;
  readonly rows: RowBlock;
  readonly mode: Mode;
  readonly id: string;
}

async function sendBatch(batch: BatchOfFile, progress: Progress): ReturnType<typeof request> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await request(batch.url, {
        method: 'POST',
        path: `/v1/sources/${encodeURIComponent(batch.source)}/batches`,
        stream: batchPieces(batch, progress),
      });
    } catch (error) {
      const pauseMs = RETRY_PAUSES_MS[attempt];
      if (!(error instanceof UnavailableError) || pauseMs === undefined) throw error;
      progress.update(`${error.message}; trying again`);
      await sleep(pauseMs);
    }
  }
}

async function* batchPieces(batch: BatchOfFile, progress: Progress): AsyncGenerator<Uint8Array> {
  const { table, rows, mode, id } = batch;
  const header = { id, ...(mode === 'snapshot' ? { snapshot: [table] } : {}) };
  const prefix = `["${mode === 'delete' ? '-' : '+'}",${stringifyJson(table)},`;
  let piece = `${stringifyJson(header)}\n`;
  let sent = 0;
  for (const row of blockRows(rows)) {
    piece += `${prefix}${stringifyJson([...row])}]\n`;
    sent++;
    if (piece.length < PIECE_BYTES) continue;
    yield Buffer.from(piece);
    piece = '';
    progress.update(`sending ${sent} of ${rows.count} rows`);
  }
  progress.update('waiting for the server');
  yield Buffer.from(piece);
}
