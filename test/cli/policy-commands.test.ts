/** `test`: the commands about policies that need no server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inFolder, runCli } from './run-cli.ts';

const POLICY = `exposed(s) :- port(_, s, true).
exposed(s) :- exposed(t), link(t, s).

test "an open port" {
  given port("a", "vm1", true), link("vm1", "vm2").
  expect exposed("vm2").
}
`;
const WRONG = `test "a closed one" {
  given port("a", "vm1", false).
  expect only exposed("vm1").
}
`;

test('caucus test: 0 where all pass, 1 where one fails, with what was found', async () => {
  await inFolder({ 'net.policy': POLICY, 'both/net.policy': POLICY + WRONG }, async (cwd) => {
    const passed = await runCli(['test', 'net.policy'], { cwd });
    assert.equal(passed.code, 0, passed.stderr);
    assert.equal(passed.stdout, 'ok an open port  net.policy:4\n1 passed\n');
    const failed = await runCli(['test', 'both/net.policy'], { cwd });
    assert.equal(failed.code, 1);
    assert.match(failed.stdout, /^failed a closed one {2}both\/net.policy:8$/m);
    assert.match(failed.stdout, /^ {2}expect only exposed\("vm1"\)\. {2}both\/net\.policy:10$/m);
    assert.match(failed.stdout, /^ {4}- exposed\("vm1"\)$/m);
    assert.match(failed.stdout, /fails: port\(_, "vm1", true\): no such row/);
    assert.match(failed.stdout, /^1 passed, 1 failed$/m);
    const chosen = await runCli(['test', 'both/net.policy', '--filter', 'open'], { cwd });
    assert.equal(chosen.code, 0);
    const none = await runCli(['test', 'net.policy', '--filter', 'closed'], { cwd });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no name of the 1 tests contains `closed`/);
  });
});

test('caucus test --json, and the threshold of the coverage', async () => {
  await inFolder({ 'net.policy': POLICY + WRONG, 'none.policy': 'p(1).' }, async (cwd) => {
    const failed = await runCli(['test', 'net.policy', '--json', '--coverage'], { cwd });
    assert.equal(failed.code, 1);
    const report = JSON.parse(failed.stdout) as {
      tests: { name: string; line: number; passed: boolean; failures: { tables: object[] }[] }[];
      coverage: { percent: number; rules: { fired: boolean; literals: object[] }[] };
    };
    assert.deepEqual(
      report.tests.map(({ name, line, passed }) => [name, line, passed]),
      [
        ['an open port', 4, true],
        ['a closed one', 8, false],
      ],
    );
    assert.deepEqual(report.tests[1]?.failures[0]?.tables, [
      { table: 'net:exposed', missing: [['vm1']], unexpected: [] },
    ]);
    assert.equal(report.coverage.percent, 100);
    assert.deepEqual(report.coverage.rules[1]?.literals, [
      { literal: 'exposed(t)', held: true },
      { literal: 'link(t, s)', held: true, failed: true },
    ]);
    const open = ['test', 'net.policy', '--filter', 'closed', '--coverage-min'];
    const low = await runCli([...open, '50'], { cwd });
    assert.match(low.stderr, /the tests cover \d+ %, less than 50 %/);
    assert.match(low.stdout, /^never fired exposed\(s\) :- exposed\(t\), link\(t, s\)\./m);
    const usage = await runCli([...open, '101'], { cwd });
    assert.equal(usage.code, 2);
    const none = await runCli(['test', 'none.policy'], { cwd });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /the files have no tests/);
  });
});

test('caucus check reads tests too', async () => {
  const bad = `${POLICY}test "x" { given port(1). expect exposed(_). }\n`;
  await inFolder({ 'net.policy': bad }, async (cwd) => {
    const { code, stderr } = await runCli(['check', 'net.policy'], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /error\[arity\].*\n {2}--> net\.policy:8:18/);
  });
});

test('caucus run --explain and --why-not, and what they refuse', async () => {
  const facts = { 'f/port.facts': 'a\tvm1\ttrue\n', 'f/link.facts': 'vm1\tvm2\n' };
  const text = `table port(id, server, open: bool)\n${POLICY}`;
  await inFolder({ 'net.policy': text, ...facts }, async (cwd) => {
    const run = async (...flags: string[]) =>
      runCli(['run', 'net.policy', '--facts', 'f', ...flags], { cwd });
    const proof = await run('--explain', 'exposed("vm2")');
    assert.equal(proof.code, 0, proof.stderr);
    assert.equal(
      proof.stdout,
      [
        'exposed("vm2")  <- exposed(s) :- exposed(t), link(t, s). (rule 2, line 3)',
        '  exposed("vm1")  <- exposed(s) :- port(_, s, true). (rule 1, line 2)',
        '    port("a", "vm1", true)  <- given',
        '  link("vm1", "vm2")  <- given',
        '',
      ].join('\n'),
    );
    const absent = await run('--why-not', 'exposed("vm3")');
    assert.match(absent.stdout, /fails: link\("vm\d", "vm3"\): no such row/);
    const gone = await run('--explain', 'exposed("vm3")');
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /`exposed\("vm3"\)` is not there[\s\S]*--why-not/);
    const there = await run('--why-not', 'exposed("vm2")');
    assert.match(there.stderr, /is there[\s\S]*--explain/);
    assert.match((await run('--explain', 'exposed(x)')).stdout, /^exposed\("vm1"\) {2}<-/);
    assert.match((await run('--explain', 'exposed(x), link(x, y)')).stderr, /is no row/);
    assert.match((await run('--explain', 'exposd(1)')).stderr, /did you mean/);
    assert.equal((await run('--explain', 'exposed(_)', '--batch-only')).code, 2);
  });
});
