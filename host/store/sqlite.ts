/**
 * SQLite as this runtime has it: `node:sqlite`, else its build in WebAssembly. Both run in this
 * process and block it while they work; statements are finalized after each use.
 */
import { rmSync } from 'node:fs';
import { CaucusError } from '../errors.ts';

export type SqliteValue = null | number | string;
export type SqliteRow = Readonly<Record<string, SqliteValue | bigint | Uint8Array>>;

export interface Sqlite {
  exec(sql: string): void;
  /** Returns how many rows were changed. */
  run(sql: string, values: readonly SqliteValue[]): number;
  all(sql: string, values: readonly SqliteValue[]): SqliteRow[];
  close(): void;
}

export type SqliteKind = 'node' | 'wasm';

/** Before anything else, in this order: the lock mode decides how the journal is shared. */
const PRAGMAS = [
  'PRAGMA locking_mode = EXCLUSIVE',
  'PRAGMA journal_mode = WAL',
  'PRAGMA synchronous = FULL',
];

/**
 * Opens or makes the file. The caller holds the lock of its directory: the WebAssembly build locks
 * with a directory `<file>.lock`, which stays after a kill and would refuse every later start, so
 * it is removed here.
 */
export async function openSqlite(file: string, kind?: SqliteKind): Promise<Sqlite> {
  const chosen = kind ?? (nodeSqlite() === undefined ? 'wasm' : 'node');
  try {
    const database = chosen === 'node' ? openNode(file) : await openWasm(file);
    for (const pragma of PRAGMAS) database.all(pragma, []);
    return database;
  } catch (error) {
    throw storeError(file, error);
  }
}

/** The kinds that can be opened here. */
export function sqliteKinds(): SqliteKind[] {
  return nodeSqlite() === undefined ? ['wasm'] : ['node', 'wasm'];
}

/** Turns an error of SQLite into one of ours; others stay. */
export function storeError(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof CaucusError) return error;
  const details = { file };
  if (/disk is full|disk I\/O|readonly database|unable to open/i.test(error.message)) {
    return new CaucusError('disk_full', `\`${file}\` cannot be written: ${error.message}`, {
      remedy: 'make space on its disk, or check the rights of the directory',
      details,
      cause: error,
    });
  }
  if (/malformed|not a database|file is encrypted/i.test(error.message)) {
    return new CaucusError('log_damaged', `\`${file}\` is damaged: ${error.message}`, {
      remedy: 'move it away: it is filled again from the log',
      details,
      cause: error,
    });
  }
  if (/database is locked/i.test(error.message)) {
    return new CaucusError('data_locked', `\`${file}\` is used by another process`, {
      remedy: 'stop it, or give this one another directory with --data',
      details,
      cause: error,
    });
  }
  return error;
}

interface NodeStatement {
  run(...values: SqliteValue[]): { changes: number | bigint };
  all(...values: SqliteValue[]): unknown[];
}
interface NodeDatabase {
  exec(sql: string): void;
  prepare(sql: string): NodeStatement;
  close(): void;
}
interface NodeSqlite {
  readonly DatabaseSync: new (file: string) => NodeDatabase;
}

function nodeSqlite(): NodeSqlite | undefined {
  const emitWarning: unknown = Reflect.get(process, 'emitWarning');
  // That the module is new to Node is nothing that whoever runs a server can change.
  process.emitWarning = () => undefined;
  try {
    return process.getBuiltinModule?.('node:sqlite') as NodeSqlite | undefined;
  } finally {
    Reflect.set(process, 'emitWarning', emitWarning);
  }
}

function openNode(file: string): Sqlite {
  const sqlite = nodeSqlite();
  if (sqlite === undefined) throw new Error('this runtime has no node:sqlite');
  const database = new sqlite.DatabaseSync(file);
  return {
    exec: (sql) => database.exec(sql),
    run: (sql, values) => Number(database.prepare(sql).run(...checked(values)).changes),
    all: (sql, values) => database.prepare(sql).all(...checked(values)) as SqliteRow[],
    close: () => database.close(),
  };
}

async function openWasm(file: string): Promise<Sqlite> {
  const { Database } = (await import('node-sqlite3-wasm')).default;
  rmSync(`${file}.lock`, { recursive: true, force: true });
  const database = new Database(file);
  // These calls of the library finalize their statement themselves.
  return {
    exec: (sql) => database.exec(sql),
    run: (sql, values) => database.run(sql, checked(values)).changes,
    all: (sql, values) => database.all(sql, checked(values)) as SqliteRow[],
    close: () => database.close(),
  };
}

/** A NUL character would silently end a text. */
function checked(values: readonly SqliteValue[]): SqliteValue[] {
  for (const value of values) {
    if (typeof value === 'string' && value.includes('\0')) throw new Error('sqlite: NUL in a text');
  }
  return [...values];
}
