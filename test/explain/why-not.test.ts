import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExplanationText } from '../../host/explain/text.ts';
import { whyNot } from '../../host/explain/why-not.ts';
import type { Pattern } from '../../host/explain/evidence.ts';
import type { Row } from '../../host/value/value.ts';
import { worldOf } from './explain-world.ts';

const POLICY = `
table port(id: string, server: string, open: bool)
exposed(s) :- port(_, s, true).
exposed(s) :- exposed(t), link(t, s).
error(s, "high") :- exposed(s), size(s, n), n > 2, not allowed(s).
allowed("bastion").
ports(s, count()) :- port(p, s, _).
`;
const ROWS = {
  'p:port': [
    ['p1', 'vm1', true],
    ['p2', 'vm2', false],
  ] satisfies Row[],
  'p:link': [['vm1', 'bastion']] satisfies Row[],
  'p:size': [
    ['vm1', 1n],
    ['vm2', 9n],
    ['bastion', 9n],
  ] satisfies Row[],
};

/** Of the first rule: the literals that fail. */
const CASES: readonly (readonly [row: Pattern, failing: readonly string[]])[] = [
  [['vm1', 'high'], ['n > 2']],
  [['vm2', 'high'], ['exposed(s)']],
  [['bastion', 'high'], ['not allowed(s)']],
  [
    ['vm9', 'high'],
    ['exposed(s)', 'size(s, n)', 'n > 2'],
  ],
  [['vm1', undefined], ['n > 2']],
];

test('the fewest literals that fail, and all others hold together', async () => {
  const world = await worldOf(POLICY, ROWS);
  for (const [row, expected] of CASES) {
    const reason = await whyNot(world.evidence, 'p:error', row);
    const [rule] = reason?.rules ?? [];
    assert.ok(rule?.kind === 'body', `${String(row)}: ${rule?.kind}`);
    const { text } = rule.rule;
    const failing = rule.failing.map(({ literal }) => literal.span);
    assert.equal(rule.isShortest, true);
    assert.equal(failing.length, expected.length, `${String(row)} ${text}`);
    const shown = failing.map(({ start, end }) => POLICY.slice(start, end));
    assert.deepEqual(shown, expected);
  }
});

test('as text: a head that does not fit, another aggregate, rows that come near', async () => {
  const world = await worldOf(POLICY, ROWS);
  const text = new ExplanationText(world.evidence.tables, 'p');
  const shown = async (table: string, row: Pattern): Promise<string[]> => {
    const reason = await whyNot(world.evidence, table, row);
    assert.ok(reason !== undefined);
    return text.whyNot(reason);
  };
  assert.deepEqual((await shown('p:error', ['vm1', 'low'])).slice(1, 3), [
    '  error(s, "high") :- exposed(s), size(s, n), n > 2, not allowed(s). (rule 3)',
    '    its head has another value in column 2',
  ]);
  assert.deepEqual(await shown('p:ports', ['vm1', 2n]), [
    'no row ports("vm1", 2)',
    '  ports(s, count()) :- port(p, s, _). (rule 5)',
    '    gives ("vm1", 1) instead',
    '  there is ports("vm1", 1)',
  ]);
  assert.deepEqual(await shown('p:port', ['p1', 'vm1', false]), [
    'no row port("p1", "vm1", false)',
    '  no rule gives rows to port',
    '  there is port("p1", "vm1", true)',
  ]);
});

test('control: of a row that is there nothing is said', async () => {
  const world = await worldOf(POLICY, ROWS);
  assert.equal(await whyNot(world.evidence, 'p:exposed', ['bastion']), undefined);
  assert.equal(await whyNot(world.evidence, 'p:port', ['p1', undefined, true]), undefined);
});
