/** DataScript: rows of two columns as facts of entities, rules for recursion. */
import type { Tables } from '../../generate.ts';
import { clockedAsync } from '../../measure.ts';
import { requireFrom, type Library } from './library.ts';

/** The part of the package that is used. */
interface DataScript {
  empty_db(schema: object): object;
  db_with(db: object, facts: readonly object[]): object;
  q(query: string, db: object, rules: string): unknown[];
}

const RULES: Readonly<Record<string, { readonly table: string; readonly rules: string }>> = {
  tc: {
    table: 'tc',
    rules: `[[(tc ?x ?y) [?x "edge" ?y]]
             [(tc ?x ?z) [?y "edge" ?z] (tc ?x ?y)]]`,
  },
  sg: {
    table: 'sg',
    rules: `[[(sg ?x ?y) [?p "edge" ?x] [?p "edge" ?y] [(not= ?x ?y)]]
             [(sg ?x ?y) [?a "edge" ?x] (sg ?a ?b) [?b "edge" ?y]]]`,
  },
};

export async function openDataScript(builds: string): Promise<Library> {
  const library = requireFrom(builds, 'datascript') as DataScript;
  return {
    programs: Object.keys(RULES),
    evaluate: async (program, tables) => {
      const { table, rules } = RULES[program] ?? { table: '', rules: '' };
      const db = library.db_with(library.empty_db(SCHEMA), factsOf(tables));
      const query = `[:find ?x ?y :in $ % :where (${table} ?x ?y)]`;
      const { wallMs, cpuMs, result } = await clockedAsync(async () => library.q(query, db, rules));
      return { sizes: { [table]: result.length }, spent: { wallMs, cpuMs } };
    },
  };
}

const SCHEMA = { edge: { ':db/cardinality': ':db.cardinality/many' } };

/** Entities are numbered from 1. */
function factsOf(tables: Tables): object[] {
  return (tables['edge'] ?? []).map(([from, to]) => [
    ':db/add',
    Number(from) + 1,
    'edge',
    Number(to) + 1,
  ]);
}
