/** Plans: what is split and shared, what a fingerprint depends on, join orders and indexes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { lower, lowerQuery } from '../../host/compiler/lower.ts';
import type { Plan, PlanOptions, PlanRelation, Step, Version } from '../../host/compiler/plan.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import { programOf } from './compile-text.ts';

const TABLES = [
  { name: 'a', arity: 1 },
  { name: 'b', arity: 1 },
  { name: 'c', arity: 1 },
  { name: 'e', arity: 2 },
  { name: 'w', arity: 3 },
];
const SOURCES = [{ name: 's', declared: true, tables: TABLES }];

function plan(text: string, options: PlanOptions = {}): Plan {
  return lower(programOf(text, SOURCES), options);
}

function relationNames(from: Plan, prefix: string): string[] {
  return from.relations.map((one) => one.name).filter((name) => name.startsWith(prefix));
}

function relation(from: Plan, name: string): PlanRelation {
  return from.relations.find((one) => one.name === name) ?? assert.fail(`no relation ${name}`);
}

/** Versions of a table's unit, by purpose. */
function versionsOf(from: Plan, table: string, purpose: Version['purpose']): Version[] {
  const number = from.relations.findIndex((one) => one.name === table);
  const unit = from.units.find((one) => one.relations.includes(number));
  return (unit?.versions ?? []).filter((one) => one.purpose === purpose);
}

/** `delta`, `scan s:e`, `lookup s:e [0]`, `probe s:b`, … */
function showSteps(from: Plan, { steps }: Version): string[] {
  const name = (number: number): string => from.relations[number]?.name ?? '?';
  return steps.map((step: Step) => {
    if (step.op === 'lookup') {
      const columns = from.relations[step.relation]?.indexes[step.index]?.join() ?? '?';
      return `lookup ${name(step.relation)} [${columns}]`;
    }
    return step.op === 'scan' || step.op === 'probe'
      ? `${step.op} ${name(step.relation)}`
      : step.op;
  });
}

/** What stands for parts of bodies: projections of one literal, and of several. */
function partNames(from: Plan): string[] {
  return [...relationNames(from, '$some'), ...relationNames(from, '$part')];
}

test('parts of a body that share no variable become relations; one part stays as it is', () => {
  const split = plan('alarm() :- s:a(x), s:b(y), s:e(y, z).');
  const parts = partNames(split);
  assert.equal(parts.length, 2);
  const [full] = versionsOf(split, 'p:alarm', 'full');
  assert.ok(full !== undefined);
  assert.deepEqual(
    showSteps(split, full)
      .filter((step) => step !== 'emit')
      .sort(),
    parts.map((part) => `probe ${part}`).sort(),
    'parts without columns are asked for as whole rows',
  );
  for (const text of [
    'alarm() :- s:a(x), s:e(x, y), s:b(y).',
    'alarm() :- s:a(x), s:b(y), x < y.',
    'alarm(x, y) :- s:a(x), s:b(y).',
    'alarm() :- s:a(x).',
  ]) {
    assert.deepEqual(partNames(plan(text)), [], text);
  }
  const outputs = plan('p(x) :- s:e(x, y), s:e(x, z), s:w(x, u, v).');
  assert.deepEqual(
    partNames(outputs).map((part) => relation(outputs, part).arity),
    [1, 1],
    'a part keeps the variables of the head, and equal ones are one',
  );
});

test('what is only asked, beside several rows of its key, becomes a relation', () => {
  for (const [text, parts] of [
    ['p(g, x) :- s:e(_, g), s:e(x, g).', 1],
    ['p(g, count()) :- s:e(_, g), s:e(x, g).', 1],
    ['p(x) :- s:e(x, g), s:e(g, _).', 1],
    // The whole chain, each link a relation of its own.
    ['p(x) :- s:e(x, y), s:e(y, z), s:w(z, u, v), v > 3.', 2],
    // The call that reports failures asks the same.
    ['p(g, n) :- s:e(_, g), s:e(x, g), n = x + 1.', 1],
    // An exit rule, and a rule of the recursion itself.
    ['p(x) :- s:e(x, g), s:e(g, _). p(x) :- p(y), s:e(x, y), s:e(_, x).', 2],
    ['p(x) :- s:a(x), s:e(x, _).', 0],
    ['p(x, z) :- s:e(x, _), s:e(z, _), x < z.', 1],
    // Each row of `w` is needed for itself, and a row of `e` answers for a key of its own.
    ['p(x, y, z) :- s:w(x, y, _), s:e(y, z).', 0],
    // More pairs are joined by `y` than `w` may have.
    ['p(u) :- s:w(u, x, z), s:e(x, y), s:e(z, y).', 0],
    // What reads the recursion is no part, what hangs on it is one.
    ['p(x) :- s:a(x), p(y), s:b(y), p(z), s:e(z, x).', 0],
    ['p(x) :- s:a(x), p(y), s:e(y, _), p(z), s:e(z, x).', 1],
  ] as const) {
    assert.equal(partNames(plan(text)).length, parts, text);
    assert.equal(partNames(plan(text, { batchOnly: true })).length, parts, text);
  }
});

test('negated and asked projections are shared by pattern', () => {
  const count = (text: string): number => relationNames(plan(text), '$some').length;
  assert.equal(count('p(x) :- s:a(x), not s:e(x, _). q(y) :- s:b(y), not s:e(y, _).'), 1);
  assert.equal(count('p(x) :- s:a(x), not s:e(x, _). q(z, y) :- s:e(z, y), s:e(y, u).'), 1);
  assert.equal(count('p(x) :- s:a(x), not s:e(x, _). q(y) :- s:b(y), not s:e(_, y).'), 2);
  assert.equal(count('p(x) :- s:a(x), not s:w(x, 1, _). q(x) :- s:a(x), not s:w(x, 1.0, _).'), 2);
  assert.equal(count('p(x) :- s:a(x), not s:w(x, 1, _). q(x) :- s:a(x), not s:w(x, "i1", _).'), 2);
  assert.equal(
    count('p(x) :- s:a(x), not s:w(x, x, _). q(x, y) :- s:e(x, y), not s:w(x, y, _).'),
    2,
  );
  assert.equal(count('p(x) :- s:a(x), not s:e(x, x).'), 0, 'a whole row needs none');
});

test('where rows are not counted, what the head does not depend on is passed once', () => {
  const backOf = (version: Version | undefined): number | undefined => {
    const last = version?.steps.at(-1);
    return last?.op === 'emit' ? last.back : assert.fail('no `emit`');
  };
  const text = 'p(x) :- s:e(x, y), s:e(y, x), s:w(y, z, u), s:w(u, z, y).';
  assert.equal(backOf(versionsOf(plan(text), 'p:p', 'full')[0]), undefined, 'counted');
  assert.equal(backOf(versionsOf(plan(text, { batchOnly: true }), 'p:p', 'full')[0]), 0);
  const one = plan('p(1) :- s:w(y, z, u), s:w(u, z, y).', { batchOnly: true });
  assert.equal(backOf(versionsOf(one, 'p:p', 'full')[0]), -1, 'one row is all');
  const recursive = plan('p(x) :- s:a(x). p(y) :- p(x), s:e(x, y), s:w(y, z, u), s:w(u, z, x).');
  assert.equal(backOf(versionsOf(recursive, 'p:p', 'round')[0]), 1);
  for (const version of versionsOf(recursive, 'p:p', 'candidate')) {
    if (version.rankCount > 0) assert.equal(backOf(version), undefined, 'ranks matter');
  }
});

const RULES = [
  'path(x, y) :- s:e(x, y). path(x, z) :- path(x, y), s:e(y, z).',
  'few(x, count()) :- path(x, _), not s:e(x, _).',
  'top(max(y)) :- few(_, y).',
  'alarm(x) :- s:a(x), s:b(y), s:c(z).',
];

function fingerprints(from: Plan): Map<string, string> {
  return new Map(from.relations.map((one) => [one.name, one.fingerprint]));
}

test('fingerprints stay when rules of different tables move, and when others come', () => {
  const first = fingerprints(plan(RULES.join('\n')));
  const moved = fingerprints(plan([...RULES].reverse().join('\n')));
  assert.deepEqual([...moved].sort(), [...first].sort());
  const more = fingerprints(plan(`other(x) :- s:e(x, x). ${RULES.join('\n')}`));
  for (const [name, print] of first) assert.equal(more.get(name), print, name);
  const renamed = RULES.map((rule) => rule.replaceAll(/\b([xyz])\b/g, '$1$1'));
  assert.deepEqual([...fingerprints(plan(renamed.join('\n')))].sort(), [...first].sort());
});

test('a fingerprint changes with the definition, and with that of what it reads', () => {
  const first = fingerprints(plan(RULES.join('\n')));
  const text = RULES.join('\n').replace('path(x, y), s:e(y, z)', 's:e(x, y), path(y, z)');
  const second = fingerprints(plan(text));
  for (const name of ['p:path', 'p:few', 'p:top']) {
    assert.notEqual(second.get(name), first.get(name), name);
  }
  for (const name of ['p:alarm', 's:e', 's:a']) assert.equal(second.get(name), first.get(name));
  const one = (rule: string): string | undefined => fingerprints(plan(rule)).get('p:q');
  const different = [
    'q(x) :- s:a(x), x = 1.',
    'q(x) :- s:a(x), x = 1.0.',
    'q(x) :- s:a(x), x = "1".',
    'q(x) :- s:a(x), not s:b(x).',
    'q(x) :- s:a(x), s:b(x).',
    'q(x) :- s:b(x).',
    'q(y) :- s:a(_), s:b(y).',
  ];
  assert.equal(new Set(different.map(one)).size, different.length);
});

test('the join order prefers bound columns, and indexes are those that it uses', () => {
  const joined = plan('q(x, u) :- s:e(x, y), s:w(u, _, z), s:e(y, z), s:a(x).');
  const ofW = versionsOf(joined, 'p:q', 'delta').find(
    ({ source }) => joined.relations[source ?? -1]?.name === 's:w',
  );
  assert.ok(ofW !== undefined);
  // From z backwards: the edge into it, the edge before that one, then only a question.
  assert.deepEqual(showSteps(joined, ofW), [
    'delta',
    'lookup s:e [1]',
    'lookup s:e [1]',
    'probe s:a',
    'emit',
  ]);
  for (const one of joined.relations) {
    for (const columns of one.indexes) {
      assert.deepEqual([...columns].sort(), columns, 'columns ascend');
      assert.ok(columns.length > 0 && columns.length < one.arity, 'a part of the columns');
    }
  }
  const used = new Set(
    joined.units.flatMap(({ versions }) =>
      versions.flatMap(({ steps }) =>
        steps.flatMap((step) => (step.op === 'lookup' ? [`${step.relation}/${step.index}`] : [])),
      ),
    ),
  );
  for (const [number, one] of joined.relations.entries()) {
    for (const index of one.indexes.keys()) assert.ok(used.has(`${number}/${index}`), one.name);
  }
});

test('a filter comes as soon as its variables are bound', () => {
  const filtered = plan('q(x, z) :- s:e(x, y), s:e(y, z), x != y, y < 10.');
  const [full] = versionsOf(filtered, 'p:q', 'full');
  assert.ok(full !== undefined);
  const steps = showSteps(filtered, full);
  assert.deepEqual(steps.slice(1, 3), ['compare', 'compare']);
});

test('recursion has ranks and a version for each purpose; batch-only has neither', () => {
  const text = RULES[0] ?? '';
  const maintained = plan(text);
  assert.equal(relation(maintained, 'p:path').ranked, true);
  assert.equal(relation(maintained, 's:e').ranked, false);
  const count = (from: Plan, purpose: Version['purpose']): number =>
    versionsOf(from, 'p:path', purpose).length;
  const purposes = ['full', 'delta', 'candidate', 'insert', 'round', 'support'] as const;
  // The exit rule: full, delta. The other: candidate for both atoms, insert for the edge.
  assert.deepEqual(
    purposes.map((purpose) => count(maintained, purpose)),
    [1, 1, 2, 1, 1, 1],
  );
  const batch = plan(text, { batchOnly: true });
  assert.equal(relation(batch, 'p:path').ranked, false);
  assert.deepEqual(
    purposes.map((purpose) => count(batch, purpose)),
    [1, 0, 0, 0, 1, 0],
  );
});

test('units come after all that they read', () => {
  const ordered = plan(
    `${RULES.join('\n')} z(y) :- s:a(x), y = x + 1. bad(n) :- system:errors(_, _, n, _).`,
  );
  const done = new Set<number>();
  for (const { relations, versions, aggregate } of ordered.units) {
    for (const one of relations) {
      assert.ok(!done.has(one), 'a relation has one unit');
      done.add(one);
    }
    const reads = versions.flatMap(({ steps, source }) => [
      ...(source === undefined ? [] : [source]),
      ...steps.flatMap((step) => ('relation' in step ? [step.relation] : [])),
    ]);
    if (aggregate !== undefined) reads.push(aggregate.input);
    for (const one of reads) assert.ok(done.has(one), ordered.relations[one]?.name);
  }
  assert.equal(done.size, ordered.relations.length, 'every relation has a unit');
});

test('a query is one version over tables by name', () => {
  const running = plan(RULES.join('\n'));
  const catalog = { policies: [{ name: 'p', text: RULES.join('\n') }], sources: SOURCES };
  const { query } = compileQuery(running.program, catalog, 'path(1, x), not s:e(x, _)');
  assert.ok(query !== undefined);
  const lowered = lowerQuery(running, query);
  assert.deepEqual(
    lowered.relations.map(({ table, arity }) => `${table}/${arity}`),
    ['/1', 'p:path/2', 's:e/2'],
  );
  const [version, ...others] = lowered.versions;
  assert.ok(version !== undefined && others.length === 0);
  const ops = version.steps.map((step) => step.op);
  assert.deepEqual(ops, ['lookup', 'lookup', 'emit']);
  const absent = version.steps[1];
  assert.ok(absent?.op === 'lookup' && absent.match === 'absent');
});

test('what a group answers is asked right behind its lookup, and has an index from scratch', () => {
  const text = 'q(x, y, z) :- s:e(x, y), s:e(y, z), x != z, not s:w(x, z, x), s:e(x, z).';
  const cyclic = plan(text);
  const [full] = versionsOf(cyclic, 'p:q', 'full');
  assert.ok(full !== undefined);
  const steps = ['scan s:e', 'lookup s:e [0]', 'probe s:w', 'probe s:e', 'compare', 'emit'];
  assert.deepEqual(showSteps(cyclic, full), steps);
  assert.deepEqual(relation(cyclic, 's:w').indexes.map(String), ['0,2']);
  // An index that only a probe from scratch would use is not for a table that is much larger.
  const sizes = new Map([
    ['s:a', 2],
    ['s:e', 10],
    ['s:w', 1_000_000],
  ]);
  const open = 'q(x, z) :- s:a(x), s:e(x, y), s:e(y, z), not s:w(x, z, 1).';
  const columns = (from: Plan): string[] => relation(from, 's:w').indexes.map(String);
  assert.deepEqual(columns(plan(open, { sizes, batchOnly: true })), []);
  assert.deepEqual(columns(plan(open, { batchOnly: true })), ['0,2']);
});
