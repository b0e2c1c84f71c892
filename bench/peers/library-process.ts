/** `NAME RUNS WORKLOAD`: a package of npm as a contestant. */
import { inputOf, type Workload } from '../workloads.ts';
import { PEERS_VARIABLE } from './contestants.ts';
import type { Answer } from './contestant.ts';
import { openCozo } from './libraries/cozo.ts';
import { openDataScript } from './libraries/datascript.ts';
import { openDuckDb } from './libraries/duckdb.ts';
import type { Library } from './libraries/library.ts';
import { openSqlite } from './libraries/sqlite.ts';

const OPEN: Readonly<Record<string, (builds: string) => Promise<Library>>> = {
  SQLite: openSqlite,
  DuckDB: openDuckDb,
  DataScript: openDataScript,
  Cozo: openCozo,
};

const [name = '', runs = '1', workload = ''] = process.argv.slice(2);
const { program, generator, parameters } = JSON.parse(workload) as Workload;
const tables = inputOf({ generator, parameters });
const library = await OPEN[name]?.(process.env[PEERS_VARIABLE] ?? '');
if (library === undefined) throw new Error(`no library \`${name}\``);
const spent: Answer['runs'][number][] = [];
let sizes: Answer['sizes'] = {};
for (let run = 0; run < Number(runs); run++) {
  const evaluated = await library.evaluate(program, tables);
  spent.push(evaluated.spent);
  sizes = evaluated.sizes;
}
const answer: Answer = { sizes, runs: spent };
console.log(JSON.stringify(answer));
