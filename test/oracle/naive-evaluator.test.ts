import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  Aggregate,
  ComputeOperator,
  HeadTerm,
  Literal,
  Rule,
  StratifiedProgram,
  Table,
  Term,
} from '../../host/compiler/stratified.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { compute, exactMean, exactSum } from './arithmetic.ts';
import { ERRORS_TABLE, evaluate } from './naive-evaluator.ts';
import { RowSet } from './row-set.ts';

// Programs built by hand: the reference must be right before it has a compiler to lean on.

const SPAN = { start: 0, end: 0 };
const TABLES: Table[] = [
  { owner: 'p', name: 'edge', arity: 2, kind: 'policy' },
  { owner: 'p', name: 'path', arity: 2, kind: 'policy' },
  { owner: 'p', name: 'cut', arity: 2, kind: 'policy' },
  { owner: 'p', name: 'out', arity: 2, kind: 'policy' },
];
const EDGE = 0;
const PATH = 1;
const CUT = 2;
const OUT = 3;
const [x, y, z] = [0, 1, 2].map((index) => ({ kind: 'variable', index }) as const) as [
  Term & { kind: 'variable' },
  Term & { kind: 'variable' },
  Term & { kind: 'variable' },
];
const ANY: Term = { kind: 'wildcard' };

function constant(value: Value): { kind: 'constant'; value: Value } {
  return { kind: 'constant', value };
}

function atom(table: number, ...terms: Term[]): Literal {
  return { kind: 'atom', table, negated: false, terms, span: SPAN };
}

function not(table: number, ...terms: Term[]): Literal {
  return { kind: 'atom', table, negated: true, terms, span: SPAN };
}

function rule(head: number, headTerms: HeadTerm[], ...body: Literal[]): Rule {
  const variables = ['x', 'y', 'z'];
  return { policy: 'p', ordinal: 1, text: '', head, headTerms, body, variables, span: SPAN };
}

function run(rules: Rule[], strata: number[][], base: Record<string, Row[]>): Map<string, RowSet> {
  const program: StratifiedProgram = {
    tables: TABLES,
    rules,
    strata: strata.map((indexes) => ({
      tables: [...new Set(indexes.map((index) => rules[index]?.head as number))],
      recursive: true,
      rules: indexes,
    })),
  };
  return evaluate(program, new Map(Object.entries(base).map(([t, rows]) => [t, new RowSet(rows)])));
}

function division(operator: ComputeOperator, text: string): Literal {
  return { kind: 'compute', operator, left: x, right: y, output: z, text, span: SPAN };
}

const edges: Row[] = [
  [1n, 2n],
  [2n, 3n],
  [3n, 1n],
  [3n, 4n],
];

test('recursion reaches its fixpoint, negation with a wildcard is existential', () => {
  const rules = [
    rule(PATH, [x, y], atom(EDGE, x, y)),
    rule(PATH, [x, z], atom(PATH, x, y), atom(EDGE, y, z)),
    rule(CUT, [x, y], atom(PATH, x, y), not(EDGE, y, ANY)),
  ];
  const tables = run(rules, [[0, 1], [2]], { 'p:edge': edges, 'p:path': [[9n, 4n]] });
  assert.equal(tables.get('p:path')?.size, 3 * 4 + 1);
  assert.deepEqual(tables.get('p:cut')?.sorted(), [
    [1n, 4n],
    [2n, 4n],
    [3n, 4n],
    [9n, 4n],
  ]);
});

test('1 and 1.0 do not join, and neither is less than the other', () => {
  const base = { 'p:edge': [[1n, 1]] as Row[] };
  const less: Literal = { kind: 'comparison', operator: '<', left: x, right: y, span: SPAN };
  const atMost: Literal = { ...less, operator: '<=' };
  const joined = [rule(PATH, [x, x], atom(EDGE, x, x))];
  assert.deepEqual(
    run(joined, [[0]], base)
      .get('p:path')
      ?.sorted(),
    [],
  );
  const lessThan = [rule(PATH, [x, y], atom(EDGE, x, y), less)];
  assert.deepEqual(
    run(lessThan, [[0]], base)
      .get('p:path')
      ?.sorted(),
    [],
  );
  const lessOrEqual = [rule(PATH, [x, y], atom(EDGE, x, y), atMost)];
  assert.deepEqual(
    run(lessOrEqual, [[0]], base)
      .get('p:path')
      ?.sorted(),
    [[1n, 1]],
  );
});

test('a call fails for what satisfies all other literals, and only for that', () => {
  const base = {
    'p:edge': [
      [1n, 0n],
      [2n, 0n],
      [6n, 3n],
      ['a', 3n],
    ] as Row[],
    'p:cut': [
      [2n, 2n],
      ['a', 2n],
    ] as Row[],
  };
  const rules = [
    rule(OUT, [x, z], atom(EDGE, x, y), division('/', 'z = x / y'), not(CUT, x, constant(5n))),
    rule(PATH, [x, z], division('/', 'x / y'), atom(CUT, x, ANY), atom(EDGE, x, y)),
  ];
  const tables = run(rules, [[0], [1]], base);
  assert.deepEqual(tables.get('p:out')?.sorted(), [[6n, 2n]]);
  assert.deepEqual(tables.get(ERRORS_TABLE)?.sorted(), [
    ['p', 1n, 'x / y', '["a",3]'],
    ['p', 1n, 'x / y', '[2,0]'],
    ['p', 1n, 'z = x / y', '["a",3]'],
    ['p', 1n, 'z = x / y', '[1,0]'],
    ['p', 1n, 'z = x / y', '[2,0]'],
  ]);
});

test('a failure does not wait for what depends on it', () => {
  const isBig: Literal = {
    kind: 'comparison',
    operator: '>',
    left: z,
    right: constant(3n),
    span: SPAN,
  };
  const rules = [rule(OUT, [x, z], atom(EDGE, x, y), division('%', 'x % y'), isBig)];
  const tables = run(rules, [[0]], { 'p:edge': [[1n, 0n]] });
  assert.deepEqual(tables.get(ERRORS_TABLE)?.sorted(), [['p', 1n, 'x % y', '[1,0]']]);
});

test('aggregates: distinct solutions of named variables, by group; an empty group has no row', () => {
  const count: Aggregate = { kind: 'aggregate', function: 'count' };
  const sum: Aggregate = { kind: 'aggregate', function: 'sum', argument: y };
  const base = {
    'p:edge': [
      [1n, 2n],
      [1n, 3n],
      [2n, 'b'],
    ] as Row[],
  };
  const counted = [rule(OUT, [x, count], atom(EDGE, x, ANY), not(CUT, x, ANY))];
  assert.deepEqual(
    run(counted, [[0]], { ...base, 'p:cut': [[2n, 2n]] })
      .get('p:out')
      ?.sorted(),
    [[1n, 1n]],
  );
  const summed = run([rule(OUT, [x, sum], atom(EDGE, x, y))], [[0]], base);
  assert.deepEqual(summed.get('p:out')?.sorted(), [[1n, 5n]]);
  assert.deepEqual(summed.get(ERRORS_TABLE)?.sorted(), [['p', 1n, 'sum(y)', '[2]']]);
});

test('arithmetic: ints within 64 bits, truncation, the sign of the dividend, no infinities', () => {
  const top = 2n ** 63n - 1n;
  const table: [ComputeOperator, Value, Value, Value | undefined][] = [
    ['+', top, 1n, undefined],
    ['-', -top, 2n, undefined],
    ['*', top, -1n, -top],
    ['/', -top - 1n, -1n, undefined],
    ['%', -top - 1n, -1n, 0n],
    ['/', -7n, 2n, -3n],
    ['%', -7n, 2n, -1n],
    ['%', 7n, -2n, 1n],
    ['/', 1n, 0n, undefined],
    ['/', 1, 0, undefined],
    ['%', 1, 0n, undefined],
    ['+', 1n, 0.5, 1.5],
    ['*', 1e308, 10n, undefined],
    ['*', -1n, 0, 0],
    ['+', 'a', 1n, undefined],
    ['+', null, 1n, undefined],
    ['+', true, 1n, undefined],
  ];
  for (const [operator, left, right, expected] of table) {
    const actual = compute(operator, left, right);
    assert.ok(Object.is(actual, expected), `${left} ${operator} ${right} = ${actual}`);
  }
});

test('sums are exact, in whatever order', () => {
  const top = 2n ** 63n - 1n;
  const table: [Value[], Value | undefined][] = [
    [[top, 1n, -1n], top],
    [[top, 1n], undefined],
    [[1e308, 1e308, -1e308], 1e308],
    [[1e308, 1e308], undefined],
    [[0.1, 0.2, 0.3, -0.6], 2 ** -55],
    [[2 ** 53, 1, 2 ** -1074], 2 ** 53 + 2],
    [[2 ** 53, 1], 2 ** 53],
    [[2 ** 53 + 2, 1], 2 ** 53 + 4],
    [[5e-324, 5e-324], 1e-323],
    [[2n ** 53n + 1n, 0], 2 ** 53],
    [[1.5, -1.5], 0],
    [[1.5, 'a'], undefined],
  ];
  for (const [values, expected] of table) {
    for (const order of [values, [...values].reverse()]) {
      assert.ok(Object.is(exactSum(order), expected), `${order} → ${exactSum(order)}`);
    }
  }
});

test('means are exact, rounded once', () => {
  const top = 2n ** 63n - 1n;
  const table: [Value[], Value | undefined][] = [
    [[1n, 2n], 1.5],
    [[3n], 3],
    [[top, top, top], 2 ** 63],
    [[1e308, 1.5e308], 1.25e308],
    [[5e-324, 0n], 0],
    [[1.5e-323, 0n], 1e-323],
    [[0.1, 0.2, 0.3], 0.2],
    [[1n, 0n, 0n], 1 / 3],
    [[2n, 0n, 0n], 2 / 3],
    [[2n ** 53n + 1n, 2n ** 53n + 2n], 2 ** 53 + 2],
    [[1.5, 'a'], undefined],
  ];
  for (const [values, expected] of table) {
    assert.ok(Object.is(exactMean(values), expected), `${values} → ${exactMean(values)}`);
  }
});
