import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Catalog } from '../../host/compiler/catalog.ts';
import { compile } from '../../host/compiler/compile.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import type { QueryCompilation, QueryOptions } from '../../host/compiler/query.ts';
import { tableKey } from '../../host/compiler/stratified.ts';
import { ARITY_MAX, QUERY_UNITS_MAX } from '../../host/limits.ts';
import { showBody } from './compile-text.ts';

const CATALOG: Catalog = {
  policies: [
    {
      name: 'a',
      text: 'table s(id: string, n: int)\np(1). named(x) :- s(x, _). both(1). q(x) :- p(x), elsewhere:t(x).',
    },
    { name: 'b', text: 'both(2). r(x) :- a:q(x), inv:host(x, _). execute[nova:pause(x)] :- r(x).' },
  ],
  sources: [
    { name: 'inv', declared: false, tables: [{ name: 'host', arity: 2 }] },
    {
      name: 'nova',
      declared: true,
      tables: [{ name: 'servers', arity: 1, columns: [{ name: 'id', type: 'string' }] }],
    },
  ],
};

function query(text: string, options?: QueryOptions): QueryCompilation {
  const { program } = compile(CATALOG);
  assert.ok(program !== undefined);
  return compileQuery(program, CATALOG, text, options);
}

const RESOLVED: [text: string, columns: string, body: string, policy?: string][] = [
  ['p(x)', 'x', 'a:p(x)'],
  ['a:p(x)?', 'x', 'a:p(x)'],
  ['inv:host(y, 3), not p(y).', 'y', 'inv:host(y, 3), not a:p(y)'],
  [
    'not p(y), y < z, inv:host(y, z), x = y + 1',
    'y z x',
    'inv:host(y, z), not a:p(y), y < z, x = y + 1',
  ],
  ['p(1);', '', 'a:p(1)'],
  ['both(x)', 'x', 'a:both(x)', 'a'],
  ['both(x), r(y)', 'x y', 'b:both(x), b:r(y)', 'b'],
  ['p(x)', 'x', 'a:p(x)', 'b'],
  ['s(n=x, id="k")', 'x', 'a:s("k", x)'],
  ['p(_), p(_v)', '_v', 'a:p(_), a:p(_v)'],
  ['p(x + 1), q(x)', 'x', 'a:p($1), a:q(x), $1 = x + 1'],
  ['execute[nova:pause(x)]', 'x', 'execute:nova:pause(x)'],
  ['p(x), true, not lt(x, 3)', 'x', 'a:p(x), x >= 3'],
];
for (const [text, columns, body, policy] of RESOLVED) {
  test(`query: ${text}${policy === undefined ? '' : ` in ${policy}`}`, () => {
    const { query: found, diagnostics } = query(text, policy === undefined ? {} : { policy });
    assert.deepEqual(diagnostics, []);
    assert.ok(found !== undefined);
    assert.equal(found.columns.join(' '), columns);
    assert.deepEqual(
      found.outputs.map((index) => found.variables[index]),
      found.columns,
    );
    assert.equal(showBody(found.body, found, found.tables), body);
  });
}

test('equal queries have equal texts, others other texts', () => {
  const text = (written: string): string | undefined => query(written).query?.text;
  assert.equal(text('p( x ),x<3 // c\n?'), 'a:p(x), x < 3');
  assert.equal(text('a:p(x), x < 3'), text('p(x) , x<3'));
  assert.equal(text('true, p(x), lt(x, 3)'), 'true, a:p(x), lt(x, 3)');
  assert.notEqual(text('p(y), y < 3'), text('p(x), x < 3'));
  assert.equal(text('execute[nova:pause(x)]'), 'execute[nova:pause(x)]');
});

test('tables that are not there yet are appended, empty', () => {
  const { query: found, diagnostics } = query('p(x), new:t(x, y), new:u(y), new:t(y, x)');
  assert.deepEqual(
    diagnostics.map(({ code, severity }) => `${severity} ${code}`),
    ['warning unresolved-table', 'warning unresolved-table'],
  );
  const { program } = compile(CATALOG);
  assert.ok(found !== undefined && program !== undefined);
  assert.deepEqual(found.tables.slice(0, program.tables.length), program.tables);
  assert.deepEqual(
    found.tables
      .slice(program.tables.length)
      .map((one) => `${tableKey(one)}/${one.arity} ${one.kind}`),
    ['new:t/2 unresolved', 'new:u/1 unresolved'],
  );
  assert.equal(
    showBody(found.body, found, found.tables),
    'a:p(x), new:t(x, y), new:u(y), new:t(y, x)',
  );
});

const REFUSED: [text: string, code: string, at: number, note?: RegExp, policy?: string][] = [
  ['both(x)', 'ambiguous', 0, /`a:both`, `b:both`/],
  ['nope(x)', 'unknown-table', 0],
  ['bot(x)', 'unknown-table', 0, /`both`/],
  ['host(x, y)', 'unknown-table', 0, /`inv:host`/],
  ['a:pp(x)', 'unknown-table', 0, /`a:p`/],
  ['nova:server(x)', 'unknown-table', 0, /`nova:servers`/],
  ['p(x), q(x, y)', 'arity', 6],
  ['new:t(x), new:t(x, x)', 'arity', 10],
  ['p(x', 'syntax', 3],
  ['', 'syntax', 0],
  ['p(x), ', 'syntax', 6],
  ['p(x) q(x)', 'syntax', 5],
  ['p(x) :- q(x)', 'syntax', 5],
  ['p(x). q(x).', 'syntax', 6],
  ['p(x), not q(y)', 'unbound-variable', 12],
  ['p(x), x < y', 'unbound-variable', 10],
  ['p(count())', 'misplaced-aggregate', 2],
  ['p(x)', 'unknown-policy', 0, /`a`/, 'A'],
  ['s("k", 1.5)', 'type-mismatch', 7],
  ['s(x, x)', 'type-conflict', 0, /declarations/],
  ['s(id, n), nova:servers(n)', 'type-conflict', 10],
  ['s(id, n), n = 1.5', 'type-conflict', 10, /an int equals no float/],
  ['s(id, _), id = 3', 'type-conflict', 10],
  ['s(id, n), n + id > 3', 'type-conflict', 10, /numbers only/],
  ['named(s), s(_, s)', 'type-conflict', 10],
  ['s(_, n), system:now(n, _)', 'type-conflict', 9],
  ['s(_, n), n = [1]', 'type-conflict', 9],
];
for (const [text, code, at, note = /^/, policy] of REFUSED) {
  test(`refused: ${text === '' ? 'nothing' : text}`, () => {
    const { query: found, diagnostics } = query(text, policy === undefined ? {} : { policy });
    assert.equal(found, undefined);
    const errors = diagnostics.filter((one) => one.severity === 'error');
    assert.deepEqual(
      errors.map((one) => [one.code, one.span.start]),
      [[code, at]],
    );
    assert.match(errors[0]?.note ?? '', note);
  });
}

test('a query that is too long', () => {
  const text = 'p(x)'.padEnd(QUERY_UNITS_MAX);
  assert.deepEqual(query(text).diagnostics, []);
  assert.equal(query(`${text} `).diagnostics[0]?.code, 'limit-exceeded');
});

test('query: as many columns as a table, and one more', () => {
  const variables = (count: number): string =>
    Array.from({ length: count }, (_, index) => `p(x${index})`).join(', ');
  const most = query(variables(ARITY_MAX));
  assert.deepEqual(most.diagnostics, []);
  assert.equal(most.query?.columns.length, ARITY_MAX);
  const [found, ...more] = query(variables(ARITY_MAX + 1)).diagnostics;
  assert.deepEqual(more, []);
  assert.equal(found?.code, 'limit-exceeded');
  assert.equal(found.message, 'the query has 65 variables, at most 64 can be columns');
  assert.equal(found.column, variables(ARITY_MAX).length + ', p('.length + 1);
  assert.deepEqual(query(`${variables(ARITY_MAX)}, p(_)`).diagnostics, []);
});

test('what facts and rules have today makes no query wrong, nor what a declared table lacks', () => {
  for (const text of ['p("a")', 'p(x), x = "a"', 'both(x), p(y), x = y, x = ip("::1")']) {
    assert.deepEqual(query(text, { policy: 'a' }).diagnostics, [], text);
  }
  // Always true is a warning, and the query is answered.
  const { query: found, diagnostics } = query('s(id, n), not nova:servers(n)');
  assert.ok(found !== undefined);
  assert.deepEqual(
    diagnostics.map(({ code, severity }) => `${severity} ${code}`),
    ['warning type-conflict'],
  );
});
