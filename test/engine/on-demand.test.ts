import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import { onDemandTables } from '../../host/compiler/on-demand.ts';
import type { Plan, QueryPlan } from '../../host/compiler/plan.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { StratifiedQuery } from '../../host/compiler/stratified.ts';
import { CaucusError } from '../../host/errors.ts';
import { decodeRows, encodeRows } from '../../host/value/row-block.ts';
import { formatValue } from '../../host/value/value.ts';
import { compileGenerated, compileGeneratedQuery } from '../support/compile-program.ts';
import { generateProgram, generateQuery } from '../support/program-generator.ts';
import type { GeneratedProgram, GeneratedTable } from '../support/program-generator.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { UpdateGenerator } from '../support/update-generator.ts';
import type { RowBatch } from '../support/update-generator.ts';
import { createEngine, planFor, queryFor } from './engine-pair.ts';

const COLUMNS = 'abcdefgh';

/** Some of the tables of the policies are declared on demand. */
function declared(random: Random, generated: GeneratedProgram): GeneratedProgram {
  const share = random.pick([0.6, 1]);
  const policies = generated.policies.map(({ name, statements }) => {
    const own = generated.tables.filter(
      (table) =>
        table.owner === name &&
        !statements.some((statement) => statement.startsWith(`table ${table.name}(`)) &&
        random.chance(share),
    );
    const declarations = own.map((table) => {
      const columns = Array.from({ length: table.arity }, (_, at) => COLUMNS.charAt(at));
      return `table ${table.name}(${columns.join(', ')}) on demand.`;
    });
    return { name, statements: [...declarations, ...statements] };
  });
  return { ...generated, policies };
}

/** An atom with some columns bound, or two, or one under `not`. */
function pointQuery(random: Random, { tables, values }: GeneratedProgram): string {
  const atom = ({ owner, name, arity }: GeneratedTable, names: string): string => {
    const terms = Array.from({ length: arity }, () => {
      if (random.chance(0.4)) return formatValue(random.pick(values));
      return random.chance(0.2) ? '_' : random.pick([...names]);
    });
    return `${owner}:${name}(${terms.join(', ')})`;
  };
  const first = atom(random.pick(tables), 'xyz');
  const bound = [...new Set(first.match(/\b[xyz]\b/g) ?? [])].join('');
  if (random.chance(0.5)) return first;
  if (bound === '' || random.chance(0.5)) return `${first}, ${atom(random.pick(tables), 'xu')}`;
  return `${first}, not ${atom(random.pick(tables), bound)}`;
}

type LowerQuery = (plan: Plan, query: StratifiedQuery) => QueryPlan;

async function compare(seed: number, lowerAsked: LowerQuery): Promise<number> {
  const random = randomFrom(seed);
  // Without arithmetic and aggregates more is left out.
  const plain = random.chance(0.7);
  const kind = { questions: random.chance(0.3), plain, calls: !plain && random.chance(0.6) };
  const generated = declared(random, generateProgram(random, kind));
  const program = compileGenerated(generated);
  const queries = Array.from({ length: 12 }, () =>
    random.chance(0.3) ? generateQuery(random, generated) : pointQuery(random, generated),
  ).flatMap((text) => {
    const query = compileGeneratedQuery(program, generated, text);
    return query === undefined ? [] : [{ text, query }];
  });
  const views = queries.slice(0, 4).map(({ query }, at) => ({ name: `v${at}`, query }));
  const asked = lower(program, { leavesOut: true, views });
  const [lean, full] = [await createEngine(), await createEngine()];
  const kept = lower(program);
  const updates = new UpdateGenerator(random, generated);
  for (let batch = 0; batch < 8; batch++) {
    const changes = changesOf(batch === 0 ? updates.initial() : updates.next());
    const isFirst = batch === 0;
    const results = [
      await lean.transact({ ...(isFirst ? { plan: asked } : {}), changes }),
      await full.transact({ ...(isFirst ? { plan: kept } : {}), changes }),
    ];
    assert.ok(results.every((result) => result.ok));
    for (const [at, { text, query }] of queries.entries()) {
      const where = `seed ${seed}, batch ${batch}: ${text}`;
      const { rows } = await full.query(lowerQuery(kept, query));
      const expected = decodeRows(rows);
      const answer = await lean.query(lowerAsked(asked, query));
      assert.deepEqual(decodeRows(answer.rows), expected, where);
      if (at >= views.length) continue;
      assert.deepEqual(decodeRows(await lean.rows(`$view:v${at}`)), expected, `view, ${where}`);
    }
    const errors = await Promise.all([lean, full].map((engine) => engine.rows('system:errors')));
    assert.deepEqual(errors[0], errors[1], `seed ${seed}, batch ${batch}: failures`);
  }
  lean.close();
  full.close();
  return asked.onDemand?.size ?? 0;
}

function changesOf(batch: RowBatch) {
  // Rows come from sources; tables on demand take none.
  const given = batch.filter(({ table }) => table.startsWith('s:'));
  return given.map(({ table, arity, replace, delete: remove, insert }) => ({
    table,
    replace,
    delete: encodeRows(arity, remove),
    insert: encodeRows(arity, insert),
  }));
}

test('answers over tables on demand are those over tables that are kept', async () => {
  let left = 0;
  for (let seed = 1; seed <= 40; seed++) left += await compare(seed, lowerQuery);
  assert.ok(left > 20, `${left} tables were left out`);
});

test('the comparison finds a rule that is left out, and a negation that is', async () => {
  const withoutRule: LowerQuery = (plan, query) => {
    const last = plan.program.rules.findLastIndex(({ head }) => plan.onDemand?.has(head) === true);
    const rules = plan.program.rules.filter((_, index) => index !== last);
    return lowerQuery({ ...plan, program: { ...plan.program, rules } }, query);
  };
  const withoutNegation: LowerQuery = (plan, query) => {
    const lowered = lowerQuery(plan, query);
    // What is found under `not` is never computed.
    const versions = lowered.versions.filter(({ head }) => head === 0);
    return { ...lowered, versions };
  };
  for (const sabotage of [withoutRule, withoutNegation]) {
    await assert.rejects(async () => {
      for (let seed = 1; seed <= 40; seed++) await compare(seed, sabotage);
    }, assert.AssertionError);
  }
});

test('what a function fails on is told of a table that is not kept', async () => {
  const text = 'table t(x, y) on demand. t(x, y) :- s:a(x), y = upper(x).';
  const engine = await createEngine();
  const plan = planFor(text, ARITIES, { leavesOut: true });
  const rows = encodeRows(1, [['b'], [3n]]);
  assert.ok((await engine.transact({ plan, changes: [{ table: 's:a', insert: rows }] })).ok);
  assert.equal(engine.count('system:errors'), 1);
});

const ARITIES = { e: 2, a: 1 };
const leftOut = (text: string): string[] => {
  const { program } = planFor(text, ARITIES);
  const tables = [...onDemandTables(program)].map((index) => program.tables[index]);
  return tables.map((table) => tableKey(table ?? assert.fail())).sort();
};

test('kept all the same: what is recursive, aggregated, or read by what is kept or may fail', () => {
  const table = 'table t(x, y) on demand. ';
  assert.deepEqual(leftOut(`${table} t(x, y) :- s:e(x, y).`), ['p:t']);
  assert.deepEqual(leftOut(`${table} t(x, y) :- s:e(x, y). t(x, z) :- t(x, y), s:e(y, z).`), []);
  assert.deepEqual(leftOut(`${table} t(x, count()) :- s:e(x, _).`), []);
  assert.deepEqual(leftOut(`${table} t(x, y) :- s:e(x, y). u(x) :- t(x, _).`), []);
  assert.deepEqual(leftOut(`${table} t(x, y) :- s:e(x, y). execute[a:b(x)] :- t(x, _).`), []);
  const above = `${table} t(x, y) :- s:e(x, y). table u(x) on demand. `;
  assert.deepEqual(leftOut(`${above} u(x) :- t(x, _).`), ['p:t', 'p:u']);
  assert.deepEqual(leftOut(`${above} u(x) :- s:a(x), not t(x, _).`), ['p:t', 'p:u']);
  assert.deepEqual(leftOut(`${above} u(z) :- t(x, y), z = x + y.`), ['p:u'], 'failures are told');
  assert.deepEqual(leftOut(`${above} u(z) :- t(x, _), z = upper(x).`), ['p:u'], 'of calls, too');
});

test('a question that unfolds to too much is refused', () => {
  const alternatives = Array.from({ length: 11 }, (_, at) => `t(x) :- s:e(x, ${at}).`).join(' ');
  const text = `table t(x) on demand. ${alternatives}`;
  const plan = planFor(text, ARITIES, { leavesOut: true });
  assert.equal(queryFor(text, ARITIES, plan, 't(x), t(y)').versions.length, 121);
  assert.throws(
    () => queryFor(text, ARITIES, plan, 't(x), t(y), t(z)'),
    (error) => error instanceof CaucusError && error.code === 'limit_exceeded',
  );
});
