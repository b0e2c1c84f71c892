/**
 * What every request does, on benny: rows to bytes and back, JSON, compiling, looking one row up.
 */
import { add, suite } from 'benny';
import { lowerQuery } from '../host/compiler/lower.ts';
import type { Plan } from '../host/compiler/plan.ts';
import { compileQuery } from '../host/compiler/query.ts';
import type { Engine } from '../host/engine/engine.ts';
import { QueryCache } from '../host/replica/query-cache.ts';
import type { FreshQuery } from '../host/replica/query-cache.ts';
import { blockToJsonBytes } from '../host/value/block-json.ts';
import { parseJsonRows } from '../host/value/json.ts';
import { decodeRows, encodeRows, RowBlockWriter } from '../host/value/row-block.ts';
import type { Row } from '../host/value/value.ts';
import { compileProgram, openEngine, planOf, queryPlanOf } from './core.ts';
import { generate, toBlock } from './generate.ts';
import type { Entry } from './report.ts';
import { programText } from './workloads.ts';

const ROWS = 1000;
const INPUT = generate('rbac', 100);
const BASE_TABLES = Object.keys(INPUT);

export async function measureMicro(): Promise<Entry[]> {
  const engine = await rbacEngine();
  try {
    return [
      ...(await measureValues()),
      ...(await measureCompiler()),
      ...(await measureLookup(engine)),
    ];
  } finally {
    engine.close();
  }
}

async function measureValues(): Promise<Entry[]> {
  const rows: Row[] = Array.from({ length: ROWS }, (_, index) => [
    BigInt(index) * 1_000_003n,
    `server-${index}.example.org`,
    index / 7,
    index % 2 === 0,
    null,
  ]);
  const block = encodeRows(5, rows);
  const json = blockToJsonBytes(block);
  return entries(
    await suite(
      'values',
      add(`encode ${ROWS} rows`, () => void encodeRows(5, rows)),
      add(`decode ${ROWS} rows`, () => void decodeRows(block)),
      add(`${ROWS} rows to JSON`, () => void blockToJsonBytes(block)),
      add(`${ROWS} rows from JSON`, () => {
        const writer = new RowBlockWriter(5);
        parseJsonRows(json, writer);
        writer.finish();
      }),
    ),
  );
}

async function measureCompiler(): Promise<Entry[]> {
  const plan = planOf('rbac', BASE_TABLES);
  return entries(
    await suite(
      'compiler',
      add('compile rbac, 13 rules', () => void compileProgram('rbac', BASE_TABLES)),
      add('compile and plan rbac', () => void planOf('rbac', BASE_TABLES)),
      add('compile and plan a query', () => void queryPlanOf(plan, 'rbac', POINT_QUERY)),
      add('plan of a query that differs in constants', sharedQuery(plan)),
    ),
  );
}

/** The second of two queries that differ in constants only, again and again. */
function sharedQuery(plan: Plan): () => void {
  const cache = new QueryCache();
  const compile = (): FreshQuery => {
    const catalog = { policies: [{ name: 'rbac', text: programText('rbac') }], sources: [] };
    const options = { areParameters: true };
    const { query } = compileQuery(plan.program, catalog, POINT_QUERY, options);
    if (query === undefined) throw new Error('no query');
    return { query, plan: lowerQuery(plan, query), parameters: query.parameters };
  };
  let number = 0;
  return () => {
    const text = `rbac:allow("u${number++ % 100}", a, "f123")`;
    const { template, values } = cache.prepare(1, undefined, text, compile);
    template.planWith(values);
  };
}

const POINT_QUERY = 'rbac:allow("u7", a, "f123")';
const JOIN_QUERY = 'rbac:in_group("u7", g), rbac:grant_role(g, r)';

async function measureLookup(engine: Engine): Promise<Entry[]> {
  const plan = planOf('rbac', BASE_TABLES);
  const point = queryPlanOf(plan, 'rbac', POINT_QUERY);
  const join = queryPlanOf(plan, 'rbac', JOIN_QUERY);
  return entries(
    await suite(
      'queries on 275 k rows',
      add('point query', async () => void (await engine.query(point))),
      add('join of two tables from one user', async () => void (await engine.query(join))),
    ),
  );
}

async function rbacEngine(): Promise<Engine> {
  const engine = await openEngine();
  const changes = Object.entries(INPUT).map(([table, rows]) => ({
    table: `rbac:${table}`,
    insert: toBlock(rows),
  }));
  const result = await engine.transact({ plan: planOf('rbac', BASE_TABLES), changes });
  if (!result.ok) throw new Error(result.message);
  return engine;
}

/** What benny says of a suite: operations a second and their margin in percent. */
interface Summary {
  readonly name: string;
  readonly results: readonly {
    readonly name: string;
    readonly ops: number;
    readonly margin: number;
  }[];
}

function entries({ results }: Summary): Entry[] {
  return results.map(({ name, ops, margin }) => ({
    name,
    figures: {
      'per second': { value: ops, unit: 'perSecond' },
      each: { value: 1000 / ops, unit: 'ms' },
      'margin %': { value: margin, unit: 'count' },
    },
  }));
}
