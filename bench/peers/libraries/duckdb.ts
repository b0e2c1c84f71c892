/** DuckDB with one thread. */
import { evaluateSql, SQL_PROGRAMS, type Database } from './sql.ts';
import { requireFrom, type Library } from './library.ts';

/** The part of the package that is used. */
interface DuckDb {
  readonly DuckDBInstance: {
    create(
      file: string,
      options: Record<string, string>,
    ): Promise<{ connect(): Promise<Connection> }>;
  };
}
interface Connection {
  run(sql: string): Promise<unknown>;
  runAndReadAll(sql: string): Promise<{ getRows(): unknown[][] }>;
  closeSync(): void;
}

export async function openDuckDb(builds: string): Promise<Library> {
  const { DuckDBInstance } = requireFrom(builds, '@duckdb/node-api') as DuckDb;
  return {
    programs: SQL_PROGRAMS,
    evaluate: async (program, tables) => {
      const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
      const connection = await instance.connect();
      const database: Database = {
        run: async (sql) => void (await connection.run(sql)),
        rows: async (sql) => (await connection.runAndReadAll(sql)).getRows(),
      };
      try {
        return await evaluateSql(database, program, tables);
      } finally {
        connection.closeSync();
      }
    },
  };
}
