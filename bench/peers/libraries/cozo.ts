/** Cozo, compiled to WASM: Datalog over stored relations in memory. */
import { readFileSync } from 'node:fs';
import type { Cells, Tables } from '../../generate.ts';
import { clockedAsync } from '../../measure.ts';
import { fileOf, type Library } from './library.ts';

interface CozoDb {
  run(script: string, parameters: string, immutable: boolean): string;
  import_relations(rows: string): string;
}
/** The part of the package that is used. */
interface Cozo {
  readonly CozoDb: { readonly new: () => CozoDb };
  readonly initSync: (bytes: Uint8Array) => unknown;
}

interface Program {
  readonly rules: string;
  /** Columns of the tables that are counted. */
  readonly tables: Readonly<Record<string, number>>;
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  tc: {
    rules: `tc[x, y] := *edge[x, y]
            tc[x, z] := tc[x, y], *edge[y, z]`,
    tables: { tc: 2 },
  },
  tcn: {
    rules: `tc[x, y] := *edge[x, y]
            tc[x, z] := tc[x, y], tc[y, z]`,
    tables: { tc: 2 },
  },
  sg: {
    rules: `sg[x, y] := *edge[p, x], *edge[p, y], x != y
            sg[x, y] := *edge[a, x], sg[a, b], *edge[b, y]`,
    tables: { sg: 2 },
  },
  triangle: {
    rules: 'tri[x, y, z] := *edge[x, y], *edge[y, z], *edge[x, z]',
    tables: { tri: 3 },
  },
  andersen: {
    rules: `pointsTo[y, x] := *addressOf[y, x]
            pointsTo[y, x] := *assign[y, z], pointsTo[z, x]
            pointsTo[y, w] := *load[y, x], pointsTo[x, z], pointsTo[z, w]
            pointsTo[z, w] := *store[y, x], pointsTo[y, z], pointsTo[x, w]`,
    tables: { pointsTo: 2 },
  },
  cspa: {
    rules: `valueFlow[y, x] := *assign[y, x]
            valueFlow[x, y] := *assign[x, z], memoryAlias[z, y]
            valueFlow[x, y] := valueFlow[x, z], valueFlow[z, y]
            memoryAlias[x, w] := *dereference[y, x], valueAlias[y, z], *dereference[z, w]
            valueAlias[x, y] := valueFlow[z, x], valueFlow[z, y]
            valueAlias[x, y] := valueFlow[z, x], memoryAlias[z, w], valueFlow[w, y]
            valueFlow[x, x] := *assign[x, _]
            valueFlow[x, x] := *assign[_, x]
            memoryAlias[x, x] := *assign[_, x]
            memoryAlias[x, x] := *assign[x, _]`,
    tables: { valueFlow: 2, valueAlias: 2, memoryAlias: 2 },
  },
};

export async function openCozo(builds: string): Promise<Library> {
  const cozo = await load(builds);
  return {
    programs: Object.keys(PROGRAMS),
    evaluate: async (name, tables) => {
      const db = cozo.CozoDb.new();
      store(db, tables);
      // Answers are counted where they are: nobody pays for taking them out.
      const script = scriptOf(PROGRAMS[name] as Program);
      const { wallMs, cpuMs, result } = await clockedAsync(async () => run(db, script));
      return { sizes: Object.fromEntries(result), spent: { wallMs, cpuMs } };
    },
  };
}

/** The package is written for browsers: a module in a file that Node takes for none. */
async function load(builds: string): Promise<Cozo> {
  const text = readFileSync(fileOf(builds, 'cozo-lib-wasm/cozo_lib_wasm.js'));
  const url = `data:text/javascript;base64,${text.toString('base64')}`;
  const cozo = (await import(url)) as Cozo;
  cozo.initSync(readFileSync(fileOf(builds, 'cozo-lib-wasm/cozo_lib_wasm_bg.wasm')));
  return cozo;
}

function scriptOf({ rules, tables }: Program): string {
  const lines = Object.entries(tables).flatMap(([table, arity]) => {
    const variables = Array.from({ length: arity }, (_, column) => `v${column}`).join();
    return [
      `rows_of_${table}[count(v0)] := ${table}[${variables}]`,
      `?[table, rows] := rows_of_${table}[rows], table = "${table}"`,
    ];
  });
  return `${rules}\n${lines.join('\n')}`;
}

function store(db: CozoDb, tables: Tables): void {
  const relations: Record<string, { headers: string[]; rows: readonly Cells[] }> = {};
  for (const [table, rows] of Object.entries(tables)) {
    const headers = (rows[0] ?? []).map((_, column) => `c${column}`);
    run(db, `:create ${table} {${headers.join()}}`);
    relations[table] = { headers, rows };
  }
  const { ok, message } = JSON.parse(db.import_relations(JSON.stringify(relations))) as Reply;
  if (!ok) throw new Error(`cozo: ${message}`);
}

interface Reply {
  readonly ok: boolean;
  readonly message?: string;
  readonly rows?: readonly [table: string, rows: number][];
}

function run(db: CozoDb, script: string): readonly [string, number][] {
  const { ok, message, rows } = JSON.parse(db.run(script, '{}', false)) as Reply;
  if (!ok) throw new Error(`cozo: ${message}`);
  return rows ?? [];
}
