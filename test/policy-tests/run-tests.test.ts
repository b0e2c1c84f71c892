import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileWithTests } from '../../host/compiler/compile-tests.ts';
import { coverageCounts } from '../../host/policy-tests/coverage.ts';
import { isPassed, runTests } from '../../host/policy-tests/run-tests.ts';
import type { TestRun } from '../../host/policy-tests/run-tests.ts';
import { stringifyJson } from '../../host/value/json.ts';
import { createEngine } from '../engine/engine-pair.ts';

async function runText(text: string, order?: (count: number) => number[]): Promise<TestRun> {
  const { program, tests, diagnostics } = compileWithTests({
    policies: [{ name: 'p', text }],
    sources: [],
  });
  assert.ok(program !== undefined, JSON.stringify(diagnostics));
  const chosen = order?.(tests.length).map((index) => tests[index] ?? tests[0]) ?? tests;
  const engine = await createEngine({ rowsPerTableMax: 10_000 });
  const list = chosen.flatMap((one) => (one === undefined ? [] : [one]));
  return runTests(program, list, engine, { coverage: true, now: () => 0 });
}

const RULES = `
table port(id: string, server: string, open: bool)
exposed(s) :- port(_, s, true).
exposed(s) :- exposed(t), link(t, s).
error(s) :- exposed(s), not allowed(s).
allowed("bastion").
execute[nova:pause(s)] :- error(s), s != "vm9".
ports(s, count()) :- port(p, s, _).
half(s, 10 / n) :- size(s, n).
late(x) :- lease(x, t), now(u), t < u.
`;

/** What passes, and the same with one wrong expectation. */
const STEPS: readonly (readonly [given: string, right: string, wrong: string])[] = [
  ['port("a", "vm1", true)', 'exposed("vm1")', 'exposed("vm2")'],
  ['port("a", "vm1", true)', 'not exposed("vm2")', 'not exposed("vm1")'],
  ['port("a", "vm1", true), link("vm1", "vm2")', 'exposed(x), x > "vm1"', 'exposed(x), x > "vm2"'],
  ['port("a", "vm1", true)', 'only error("vm1")', 'only error("vm2")'],
  ['port("a", "bastion", true)', 'not error(_)', 'error(_)'],
  ['port("a", "vm1", true)', 'execute[nova:pause("vm1")]', 'execute[nova:pause("vm2")]'],
  ['port("a", "vm9", true)', 'not execute[nova:pause(_)]', 'only execute[nova:pause("vm9")]'],
  ['port("a", "v", true), port("b", "v", false)', 'ports("v", 2)', 'ports("v", 1)'],
  ['error("x")', 'only error("x")', 'not error("x")'],
  ['size("s", 0)', 'system:errors(literal="10 / n")', 'half("s", _)'],
  ['size("s", 3)', 'half("s", 3), not system:errors(_, _, _, _)', 'system:errors(_, _, _, _)'],
  ['lease("a", "1999-12-31 00:00:00")', 'late("a")', 'not late("a")'],
  ['lease("a", "2000-01-01 00:00:01")', 'not late("a")', 'late("a")'],
  ['port("a", "vm1", false)', 'not other:table(_)', 'other:table(_)'],
  ['port(id="a", open=true)', 'exposed(null)', 'exposed("a")'],
];

test('expectations hold, and fail where they are wrong', async () => {
  const tests = STEPS.flatMap(([given, right, wrong], index) =>
    [right, wrong].map(
      (expected, place) => `test "${index} ${place}" { given ${given}. expect ${expected}. }`,
    ),
  );
  const { results } = await runText(RULES + tests.join('\n'));
  for (const [index, result] of results.entries()) {
    const { name, steps } = result.test;
    assert.equal(isPassed(result), index % 2 === 0, `${name}: ${steps[0]?.text}`);
    assert.equal(result.failures.length, index % 2);
  }
});

test('the result of a test does not depend on those before it', async () => {
  const text =
    RULES +
    STEPS.map(
      ([given, right], index) =>
        `test "${index}" { given ${given}. expect ${right}. expect only error("none"). }`,
    ).join('\n');
  const verdicts = (run: TestRun): Map<string, string> =>
    new Map(
      run.results.map((one) => [
        one.test.name,
        JSON.stringify([one.failures, one.failedCalls], (_, value: unknown) =>
          typeof value === 'bigint' ? `int ${value}` : value,
        ),
      ]),
    );
  const all = verdicts(await runText(text));
  const reversed = verdicts(
    await runText(text, (count) => Array.from({ length: count }, (_, at) => count - 1 - at)),
  );
  assert.deepEqual(reversed, new Map([...all].reverse()));
  for (let index = 0; index < STEPS.length; index += 4) {
    const alone = verdicts(await runText(text, () => [index]));
    assert.equal(alone.get(String(index)), all.get(String(index)));
  }
});

test('a failure names missing and unexpected rows, and explains them', async () => {
  const { results } = await runText(`${RULES}test "t" {
  given port("a", "vm1", true), port("b", "vm2", true).
  expect only error("vm1"), error("vm3").
  expect error("vm3"), not exposed("vm1").
}`);
  const [only, holds] = results[0]?.failures ?? [];
  assert.ok(only?.kind === 'only' && holds?.kind === 'holds');
  assert.deepEqual(only.tables, [
    { table: 'p:error', missing: [['vm3']], unexpected: [['vm2']], matching: 1 },
  ]);
  assert.deepEqual(
    only.whyNot.map(({ row }) => row),
    [['vm3']],
  );
  assert.deepEqual(
    only.proofs.map(({ nodes }) => nodes[0]?.row),
    [['vm2']],
  );
  assert.deepEqual(
    holds.failing.failing.map(({ why }) => why),
    ['missing', 'present'],
  );
});

test('a recursion without end fails its test, and the next one is not touched by it', async () => {
  const { results } = await runText(`
n(x) :- start(x).
n(x + 1) :- n(x).
q(x) :- r(x).
test "runs away" { given start(1). expect n(2). }
test "is well" { given r(1). expect q(1). }
`);
  assert.match(results[0]?.error ?? '', /row/);
  assert.ok(results[1] !== undefined && isPassed(results[1]));
});

test('coverage by rule and literal', async () => {
  const cover = async (tests: string): Promise<string[]> => {
    const { coverage } = await runText(
      `table q(x, y)
a(x) :- q(x, y), y > 1, not r(x).
b(x) :- a(x), s(x).
c(x) :- q(x, y), t(y + 1).
${tests}`,
    );
    assert.ok(coverage !== undefined);
    const marks = coverage.rules.map(
      ({ fired, literals }) =>
        `${fired ? '+' : '-'} ${literals
          .map(
            ({ held, failed }) =>
              `${held ? 'h' : '.'}${failed === undefined ? '' : failed ? 'f' : '.'}`,
          )
          .join(' ')}`,
    );
    const { covered, total } = coverageCounts(coverage.rules);
    return [...marks, `${covered}/${total}`];
  };
  assert.deepEqual(await cover('test "none" { expect not a(_). }'), [
    '- . .. ..',
    '- . ..',
    '- . ..',
    '0/14',
  ]);
  assert.deepEqual(await cover('test "one" { given q(1, 2). expect a(1). }'), [
    '+ h h. h.',
    '- h .f',
    '- h .f',
    '8/14',
  ]);
  assert.deepEqual(
    await cover(`test "all" {
  given q(1, 2), q(2, 1), q(3, 3), r(3), s(1), q(4, 4), t(3).
  expect only a(1), a(4).
  expect only b(1).
  expect only c(1).
}`),
    ['+ h hf hf', '+ h hf', '+ h hf', '14/14'],
  );
});

test('the tests in the manual pass', async () => {
  const manual = readFileSync('docs/LANGUAGE.md', 'utf8');
  let tests = 0;
  for (const [, text = ''] of manual.matchAll(/^```policy\n([^]*?)^```$/gm)) {
    if (!/^test "/m.test(text)) continue;
    const { results } = await runText(text);
    for (const result of results) {
      assert.ok(isPassed(result), `${result.test.name}: ${stringifyJson(String(result.error))}`);
      assert.deepEqual(result.failedCalls, []);
      tests++;
    }
  }
  assert.ok(tests >= 3, `${tests} tests`);
});
