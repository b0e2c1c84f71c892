/** SQLite, compiled to WASM: a package that Caucus itself stands on. */
import sqlite from 'node-sqlite3-wasm';
import { evaluateSql, SQL_PROGRAMS, type Database } from './sql.ts';
import type { Library } from './library.ts';

export async function openSqlite(): Promise<Library> {
  return {
    programs: SQL_PROGRAMS,
    evaluate: async (program, tables) => {
      const connection = new sqlite.Database(':memory:');
      const database: Database = {
        run: async (sql) => connection.exec(sql),
        rows: async (sql) => connection.all(sql).map((row) => Object.values(row)),
      };
      try {
        return await evaluateSql(database, program, tables);
      } finally {
        connection.close();
      }
    },
  };
}
