import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompileMemory } from '../../host/compiler/compile-memory.ts';
import { compile } from '../../host/compiler/compile.ts';
import type { Compilation } from '../../host/compiler/compile.ts';
import { lower } from '../../host/compiler/lower.ts';
import type { Plan, PlanOptions, Step, Version } from '../../host/compiler/plan.ts';
import { PlanMemory } from '../../host/compiler/plan-memory.ts';
import type { RuleEntry } from '../../host/compiler/plan-memory.ts';
import type { PolicyScope } from '../../host/compiler/policy-scope.ts';
import type { Rule, StratifiedProgram } from '../../host/compiler/stratified.ts';
import type { RuleNode } from '../../host/compiler/syntax-tree.ts';
import { generateProgram } from '../support/program-generator.ts';
import { between } from '../support/prng.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

const SOURCES = [
  {
    name: 's',
    declared: true,
    tables: [
      { name: 'a', arity: 1 },
      { name: 'b', arity: 1 },
      { name: 'e', arity: 2 },
      { name: 'w', arity: 3 },
    ],
  },
];

/** Statements that make all kinds of relations, and move tables. */
const SOUND = [
  'zz(x) :- s:a(x).',
  'aa(x, y) :- s:e(x, y), not s:w(x, y, _).',
  'aa(x, z) :- aa(x, y), s:e(y, z).',
  'few(x, count()) :- s:e(x, y), s:w(x, y, z).',
  'most(x, max(y), sum(z)) :- s:w(x, y, z), s:e(x, y).',
  'less(z) :- s:e(x, y), z = x - y.',
  'bad(z) :- s:e(x, y), s:a(x), z = y / x.',
  'told(p) :- system:errors(p, _, _, _).',
  'once(x) :- s:e(x, y).',
  'both(x) :- s:a(x), s:b(y), s:w(x, _, z), s:e(z, u).',
  'aa(1, 2).',
  'zz(x) :- aa(x, _), not few(x, 2).',
];

/** Statements with warnings, errors and comments, or that go on on the next line. */
const ODD = [
  'lost(x) :- missing(x), s:a(x).',
  'cut(x) :- s:a(x), s:b(y)',
  '  , s:e(x, y).',
  '// a comment',
  'open(x) :- s:a(x) // behind it',
  '/* two\n lines */ fact(1). fact(2).',
  'wrong(x) :- s:e(x).',
  'table aa(left, right)',
  'broken(x :- s:a(x).',
  '',
];

/** A text that is edited line by line. */
class EditedText {
  readonly #random: Random;
  readonly #pool: readonly string[];
  readonly #lines: string[] = [];

  constructor(random: Random, pool: readonly string[]) {
    this.#random = random;
    this.#pool = pool;
    this.#lines = Array.from({ length: between(random, 1, 12) }, () => random.pick(pool));
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  edit(): void {
    const { length } = this.#lines;
    const at = this.#random.int(length + 1);
    const kind = this.#random.int(this.#pool === SOUND ? 5 : 6);
    if (kind < 3) this.#lines.push(this.#random.pick(this.#pool));
    else if (kind === 3) this.#lines.splice(at, 0, this.#random.pick(this.#pool));
    else if (kind === 4) this.#lines.splice(at, 1);
    else {
      const line = this.#lines[at] ?? '';
      const cut = this.#random.int(line.length + 1);
      this.#lines[at] = line.slice(0, cut) + this.#random.pick(['', ' ', ')', 'x']);
    }
  }
}

function editedTexts(random: Random): [EditedText, EditedText] {
  const generated = generateProgram(random, {});
  const statements = (name: string): string[] =>
    generated.policies.filter((one) => one.name === name).flatMap((one) => [...one.statements]);
  return [
    new EditedText(random, [...SOUND, ...ODD, ...statements('p')]),
    new EditedText(random, [...SOUND, ...ODD, ...statements('q'), 'far(x) :- p:aa(x, _).']),
  ];
}

/** Compiles a text that changes, with a memory and without: the first difference, if any. */
function compileDifference(seed: number, memory: CompileMemory): string | undefined {
  const random = randomFrom(seed);
  const [p, q] = editedTexts(random);
  for (let step = 0; step < 12; step++) {
    const policies = [
      { name: 'p', text: p.text },
      { name: 'q', text: q.text },
    ];
    const catalog = { policies, sources: SOURCES };
    const known = compile(catalog, { memory });
    const anew = compile(catalog);
    if (!isSame(known, anew)) return `seed ${seed}, step ${step}: ${JSON.stringify(policies)}`;
    random.pick([p, p, q]).edit();
  }
  return undefined;
}

function isSame(a: Compilation, b: Compilation): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch (error) {
    if (!(error instanceof assert.AssertionError)) throw error;
    return false;
  }
}

test('a compilation with a memory is the same as one without', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const difference = compileDifference(seed, new CompileMemory());
    assert.equal(difference, undefined, difference);
  }
});

test('a function of before is a table once there is one of its name', () => {
  const memory = new CompileMemory();
  const called = 'called(y) :- s:a(x), upper(x, y).\nother(x) :- s:a(x).\n';
  for (const more of ['', 'upper(x, y) :- s:e(x, y).\n', 'last(x) :- s:a(x).\n']) {
    const catalog = { policies: [{ name: 'p', text: called + more }], sources: SOURCES };
    assert.deepEqual(compile(catalog, { memory }), compile(catalog), more);
  }
});

/** Finds rules whatever has become of their tables. */
class CarelessCompileMemory extends CompileMemory {
  readonly #rules = new WeakMap<RuleNode, Rule>();

  override find(node: RuleNode): Rule | undefined {
    return this.#rules.get(node);
  }

  override note(node: RuleNode, rule: Rule, scope: PolicyScope): void {
    this.#rules.set(node, rule);
    super.note(node, rule, scope);
  }
}

test('the comparison finds a memory that does not look at the tables', () => {
  const seeds = Array.from({ length: 30 }, (_, seed) => seed + 1);
  assert.ok(seeds.some((seed) => compileDifference(seed, new CarelessCompileMemory())));
});

/* Plans. */

/** A plan with names for numbers. */
function printPlan(plan: Plan): string[] {
  const nameOf = (relation: number): string => plan.relations[relation]?.name ?? '?';
  const columnsOf = (relation: number, index: number): string =>
    plan.relations[relation]?.indexes[index]?.join() ?? '?';
  const step = (one: Step): unknown => {
    if (!('relation' in one)) return one;
    const named = { ...one, relation: nameOf(one.relation) };
    if (one.op !== 'lookup') return named;
    return { ...named, index: columnsOf(one.relation, one.index) };
  };
  const version = (one: Version): unknown => ({
    ...one,
    head: nameOf(one.head),
    source: one.source === undefined ? '' : nameOf(one.source),
    steps: one.steps.map(step),
  });
  const show = (value: unknown): string =>
    JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one));
  const relations = plan.relations.map((one) => {
    const indexes = one.indexes.map((columns) => columns.join()).sort();
    return show({ ...one, indexes });
  });
  const units = plan.units.map(({ kind, relations: own, versions, aggregate }) => {
    const { input = -1, output = -1, errors = -1, index = -1, ...shape } = aggregate ?? {};
    const aggregated = { ...shape, read: [input, output, errors].map(nameOf) };
    const group = columnsOf(input, index);
    return show([kind, own.map(nameOf), versions.map(version), aggregated, group]);
  });
  const tables = [...plan.tables].map(([key, relation]) => `${key} ${nameOf(relation)}`);
  return [...relations.sort(), ...units, ...tables];
}

function programsOf(seed: number): StratifiedProgram[] {
  const random = randomFrom(seed);
  const [p, q] = [new EditedText(random, SOUND), new EditedText(random, SOUND)];
  const programs: StratifiedProgram[] = [];
  for (let step = 0; step < 25; step++) {
    const policies = [
      { name: 'p', text: p.text },
      { name: 'q', text: q.text },
    ];
    const { program } = compile({ policies, sources: SOURCES });
    if (program !== undefined) programs.push(program);
    random.pick([p, q]).edit();
  }
  return programs;
}

function planDifference(seed: number, memory: PlanMemory): string | undefined {
  const options: PlanOptions[] = [
    {},
    { batchOnly: true },
    {
      sizes: new Map([
        ['s:e', 3],
        ['s:w', 100_000],
      ]),
    },
  ];
  for (const [number, program] of programsOf(seed).entries()) {
    const option = options[seed % 7 === 0 ? number % 3 : 0] as PlanOptions;
    const known = lower(program, option, memory);
    const before = printPlan(known);
    const anew = printPlan(lower(program, option));
    if (before.join('\n') !== anew.join('\n')) {
      const place = anew.findIndex((line, at) => line !== before[at]);
      return `seed ${seed}, program ${number}:\n${before[place]}\n${anew[place]}`;
    }
    const dense = known.relations.every((one) =>
      one.indexes.every((columns) => columns.length > 0),
    );
    if (!dense || known.relations.includes(undefined as never)) return `seed ${seed}: not dense`;
  }
  return undefined;
}

test('a plan with a memory is the same as one without, but for its numbers', () => {
  for (let seed = 1; seed <= 16; seed++) {
    const difference = planDifference(seed, new PlanMemory());
    assert.equal(difference, undefined, difference);
  }
});

/** Takes rules for the same that differ in their relations only. */
class CarelessPlanMemory extends PlanMemory {
  override rule(key: string): RuleEntry {
    return super.rule(key.replaceAll(/\d+\//g, '/'));
  }
}

test('the comparison finds a memory that mistakes rules', () => {
  const seeds = Array.from({ length: 30 }, (_, seed) => seed + 1);
  assert.ok(seeds.some((seed) => planDifference(seed, new CarelessPlanMemory()) !== undefined));
});

test('a plan that is held is not changed by the next one', () => {
  const memory = new PlanMemory();
  const programs = [1, 2, 3].flatMap(programsOf);
  const plans = programs.map((program) => lower(program, {}, memory));
  const shown = programs.map((program) => printPlan(lower(program)).join('\n'));
  assert.ok(plans.length > 20, 'programs that compile');
  for (const [number, plan] of plans.entries()) {
    assert.equal(printPlan(plan).join('\n'), shown[number]);
  }
});

test('one rule more among many is planned alone', () => {
  const text = Array.from({ length: 50 }, (_, i) => `r${i}(x) :- s:a(x), s:e(x, y), y != ${i}.`);
  const [compiles, plans] = [new CompileMemory(), new PlanMemory()];
  const planOf = (rules: readonly string[]): Plan => {
    const policies = [{ name: 'p', text: rules.join('\n') }];
    const { program } = compile({ policies, sources: SOURCES }, { memory: compiles });
    return lower(program ?? assert.fail('it does not compile'), {}, plans);
  };
  const before = new Set(planOf(text).units.flatMap((unit) => unit.versions));
  const after = planOf([...text, 'more(x) :- s:e(x, y), s:b(y).']);
  const made = after.units.flatMap((unit) => unit.versions.filter((one) => !before.has(one)));
  assert.deepEqual([...new Set(made.map((one) => after.relations[one.head]?.name))], ['p:more']);
});
