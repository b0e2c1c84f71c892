/** A new program over running tables: base rows stay, what did not change is not computed again. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { lower } from '../../host/compiler/lower.ts';
import type { Plan, PlanOptions } from '../../host/compiler/plan.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import type { StratifiedProgram } from '../../host/compiler/stratified.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import type { Engine, TableChange } from '../../host/engine/engine.ts';
import { encodeRows } from '../../host/value/row-block.ts';
import { between, sample } from '../support/prng.ts';
import { catalogOf, compileGenerated } from '../support/compile-program.ts';
import { generateProgram, generateQuery } from '../support/program-generator.ts';
import type { GeneratedProgram } from '../support/program-generator.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { UpdateGenerator } from '../support/update-generator.ts';
import { aritiesOf } from '../oracle/naive-engine.ts';
import {
  createDebugEngine,
  createEngine,
  deletes,
  EnginePair,
  inserts,
  ints,
  planFor,
  queryFor,
} from './engine-pair.ts';
import type { Arities } from './engine-pair.ts';

const ARITIES: Arities = { e: 2, n: 1, v: 2 };
const EDGES = ints([1, 2], [2, 3], [3, 4], [4, 2]);
const NUMBERS = ints([1, 5], [1, 6], [2, 7]);

/** A pair with rows, after a sequence of policies; the last one goes in together with `changes`. */
async function replaced(
  texts: readonly string[],
  changes: readonly TableChange[] = [],
  options: PlanOptions = {},
): Promise<EnginePair> {
  const pair = new EnginePair(await createEngine());
  for (const [index, text] of texts.entries()) {
    const first = index > 0 ? [] : [inserts('s:e', 2, EDGES), inserts('s:v', 2, NUMBERS)];
    const last = index === texts.length - 1 ? changes : [];
    const plan = planFor(text, ARITIES, options);
    await pair.transact([...first, ...last], `program ${index}`, plan);
  }
  return pair;
}

const PATHS = 'path(x, y) :- s:e(x, y). path(x, z) :- path(x, y), s:e(y, z).';

test('rules come, go and change; base rows stay', async () => {
  await replaced([
    'a(x) :- s:e(x, _).',
    'a(x) :- s:e(x, _). b(y) :- s:e(_, y).',
    'a(x) :- s:e(x, _), not b(x). b(y) :- s:e(_, y).',
    'b(y) :- s:e(_, y).',
    PATHS,
    `${PATHS} a(x) :- path(x, x).`,
    'path(x, y) :- s:e(x, y).',
    '',
    PATHS,
  ]);
});

test('a table changes its arity, and its kind', async () => {
  await replaced([
    'a(x) :- s:e(x, _).',
    'a(x, y) :- s:e(x, y).',
    'a(x, count()) :- s:e(x, _).',
    'a(x, y) :- s:e(x, y). a(x, z) :- a(x, y), s:e(y, z).',
    'a() :- s:e(_, _).',
    'a(1). a(2).',
  ]);
});

/** Derivations that one more transaction costs. */
async function costOf(
  engine: { core: { exports: { derivationCount(): bigint } } },
  run: () => Promise<void>,
) {
  const before = engine.core.exports.derivationCount();
  await run();
  return Number(engine.core.exports.derivationCount() - before);
}

test('what a change does not touch is not computed again', async () => {
  const chain = Array.from({ length: 60 }, (_, index) => [index, index + 1]);
  const pair = new EnginePair(await createEngine());
  const costly = `${PATHS} total(x, count()) :- path(x, _).`;
  const change = inserts('s:e', 2, ints(...chain));
  const first = await costOf(pair.engine, () =>
    pair.transact([change], 'first', planFor(costly, ARITIES)),
  );
  assert.ok(first > 1800, `${first} derivations at first`);
  const texts = [
    `small(x) :- s:n(x). ${costly}`,
    `${costly} small(x) :- s:n(x), s:e(x, _).`,
    costly,
  ];
  for (const text of texts) {
    const cost = await costOf(pair.engine, () => pair.transact([], text, planFor(text, ARITIES)));
    assert.ok(cost <= 60, `${cost} derivations for \`${text}\``);
  }
  // Negative control: another definition of the same table is computed.
  const other = costly.replace('path(x, y), s:e(y, z)', 's:e(x, y), path(y, z)');
  const cost = await costOf(pair.engine, () => pair.transact([], other, planFor(other, ARITIES)));
  assert.ok(cost > 1800, `${cost} derivations for another definition`);
});

test('a recursive table is renamed while its partner stays', async () => {
  await replaced([
    'p(x) :- s:e(x, _). p(x) :- q(x). q(x) :- p(x), s:e(_, x).',
    'p(x) :- s:e(x, _). p(x) :- r(x). r(x) :- p(x), s:e(_, x).',
  ]);
});

/**
 * Two aggregates over one set of solutions: one is kept while another, before it in the text, takes
 * its input's place.
 */
test('a kept table whose auxiliary table is new sees the changes of the same transaction', async () => {
  const more = [inserts('s:v', 2, ints([1, 9], [3, 1])), deletes('s:v', 2, ints([2, 7]))];
  await replaced(
    ['z(g, sum(v)) :- s:v(g, v).', 'c(g, count()) :- s:v(g, v). z(g, sum(v)) :- s:v(g, v).'],
    more,
  );
  await replaced(
    [
      'z(x) :- s:v(x, y), s:e(x, w).',
      'c(x, 1) :- s:v(x, y), s:e(x, w). z(x) :- s:v(x, y), s:e(x, w).',
    ],
    more,
  );
  await replaced(
    [
      'z(x) :- s:e(x, _), not s:v(x, _).',
      'c(x) :- s:e(_, x), not s:v(x, _). z(x) :- s:e(x, _), not s:v(x, _).',
    ],
    more,
  );
});

test('a program that moves to batch-only tables and back deletes all the same', async () => {
  const pair = new EnginePair(await createEngine());
  const text = 'a(x, z) :- s:e(x, y), s:e(y, z).';
  await pair.transact(
    [inserts('s:e', 2, EDGES)],
    'batch only',
    planFor(text, ARITIES, { batchOnly: true }),
  );
  await pair.transact([], 'maintained', planFor(text, ARITIES));
  await pair.transact([deletes('s:e', 2, EDGES.slice(1))], 'deletes');
});

test('views come and go, and the watched set changes', async () => {
  const pair = new EnginePair(await createEngine());
  const text = PATHS;
  const bare = planFor(text, ARITIES, { watched: new Set(['p:path']) });
  const view = (name: string, query: string) => {
    const compiled = queryFor(text, ARITIES, bare, query);
    return { name, query: compiled.query };
  };
  const change = (...edges: number[][]) => [inserts('s:e', 2, ints(...edges))];
  await pair.transact(change([1, 2], [2, 3]), 'watched path', bare);
  const views = [view('a', 'path(1, x)'), view('b', 'path(x, y), not s:n(x)')];
  const watched = new Set(['s:e']);
  await pair.transact(change([3, 4]), 'views', planFor(text, ARITIES, { watched, views }));
  await pair.transact([inserts('s:n', 1, ints([1]))], 'a view changes');
  const second = planFor(text, ARITIES, { watched: new Set(), views: views.slice(1) });
  await pair.transact(change([4, 5]), 'one view', second);
  const other = [{ name: 'b', query: views[0]?.query ?? assert.fail() }];
  await pair.transact([], 'a view changes', planFor(text, ARITIES, { views: other }));
  await pair.transact([deletes('s:e', 2, ints([1, 2]))], 'deleted');
});

/* Random sequences. */

const SEEDS = Number(process.env['PROGRAM_CHANGE_SEEDS'] ?? 60);
const STEPS = 6;

function isSound(program: GeneratedProgram): StratifiedProgram | undefined {
  try {
    return compileGenerated(program);
  } catch {
    return undefined;
  }
}

/** The same tables with some statements left out and the others in another order. */
function variantOf(random: Random, program: GeneratedProgram): GeneratedProgram {
  const policies = program.policies.map((policy) => {
    const kept = between(random, 0, policy.statements.length);
    const statements = random.chance(0.5)
      ? sample(random, policy.statements, kept)
      : policy.statements.filter(() => random.chance(0.8));
    return { ...policy, statements };
  });
  return { ...program, policies };
}

function optionsOf(
  random: Random,
  program: StratifiedProgram,
  generated: GeneratedProgram,
): PlanOptions {
  const keys = program.tables.map(tableKey);
  const views = Array.from({ length: random.int(3) }, (_, index) => {
    const text = generateQuery(random, generated);
    const { query } = compileQuery(program, catalogOf(generated), text);
    return query === undefined ? [] : [{ name: `v${index}`, query }];
  }).flat();
  const watched = random.chance(0.5) ? ('all' as const) : new Set(sample(random, keys, 3));
  return { watched, views, digest: new Set(sample(random, keys, random.int(3))) };
}

async function runSequence(seed: number, create: () => Promise<Engine>): Promise<void> {
  const random = randomFrom(seed);
  const generated = generateProgram(random, {});
  const updates = new UpdateGenerator(random, generated);
  const engine = (await create()) as Awaited<ReturnType<typeof createEngine>>;
  const pair = new EnginePair(engine);
  let plan: Plan | undefined;
  for (let step = 0; step < STEPS; step++) {
    const variant = step === 0 ? generated : variantOf(random, generated);
    const program = isSound(variant);
    let next: Plan | undefined;
    if (program !== undefined) next = lower(program, optionsOf(random, program, variant));
    plan = next ?? plan;
    if (plan === undefined) return;
    const arities = aritiesOf(plan.program, plan.options);
    const batch = (step === 0 ? updates.initial() : updates.next())
      .filter((change) => arities.get(change.table) === change.arity)
      .map((change) => ({
        table: change.table,
        replace: change.replace,
        delete: encodeRows(change.arity, change.delete),
        insert: encodeRows(change.arity, change.insert),
      }));
    await pair.transact(random.chance(0.7) ? batch : [], `seed ${seed}, step ${step}`, next);
  }
}

test('random sequences of programs and batches agree with the reference', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const create = seed % 4 === 0 ? createDebugEngine : createEngine;
    await runSequence(seed, create).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
  }
});
