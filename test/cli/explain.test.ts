/** `caucus explain` and `caucus why-not` against a server. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ServerProcess } from '../support/server-process.ts';
import { inFolder, runCli } from './run-cli.ts';

const POLICY = `reach(x, y) :- inv:link(x, y).
reach(x, z) :- reach(x, y), inv:link(y, z).
hops(x, count(), max(y)) :- reach(x, y).
@name("nobody near")
alone(x) :- inv:server(x), not reach(x, _).
trusted("a").
`;

test('trees for people, answers for programs, exit codes', async () => {
  await inFolder({ 'net.policy': POLICY }, async (cwd) => {
    const server = await ServerProcess.start(cwd, '--policy', 'net.policy');
    const link = [
      ['a', 'c'],
      ['c', 'b'],
    ];
    await server.batch('inv', { insert: { link, server: [['a'], ['z']] } });
    const run = (...args: string[]) => runCli([...args, '--url', server.url], { cwd });

    const tree = await run('explain', '--policy', 'net', 'reach("a", "b")');
    assert.deepEqual([tree.code, tree.stderr], [0, '']);
    assert.equal(
      tree.stdout,
      [
        'net:reach("a", "b")  <- reach(x, z) :- reach(x, y), inv:link(y, z). (net, rule 2, line 2)',
        '  net:reach("a", "c")  <- reach(x, y) :- inv:link(x, y). (net, rule 1, line 1)',
        '    inv:link("a", "c")  <- given by `inv`',
        '  inv:link("c", "b")  <- given by `inv`',
        '',
      ].join('\n'),
    );
    const cut = await run('explain', 'net:reach("a", "b")', '--depth', '1');
    assert.match(cut.stdout, /"c"\) {2}<- not explained further\n[^]*1 row is not explained/);
    const group = await run('explain', 'net:hops("a", _, _)');
    assert.match(
      group.stdout,
      /^net:hops\("a", 2, "c"\)[^]*\n {2}y = "b"\n {4}net:reach\("a", "b"\)/,
    );
    const fact = await run('explain', 'net:trusted(_)');
    assert.equal(fact.stdout, 'net:trusted("a")  <- trusted("a"). (net, rule 5, line 6)\n');
    const json = await run('explain', '--json', 'net:alone(x)');
    const answer = JSON.parse(json.stdout) as { nodes: object[]; rules: { name: string }[] };
    assert.equal(answer.rules[0]?.name, 'nobody near');
    assert.equal(answer.nodes.length, 2);

    const missing = await run('explain', 'net:reach("b", "a")');
    assert.deepEqual([missing.code, missing.stdout], [1, '']);
    assert.match(missing.stderr, /`net:reach\("b", "a"\)` is not there[^]*caucus why-not/);
    const wrong = await run('explain', 'net:reach("b"');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /text:1:14\n[^]*\^/);
    assert.equal((await run('explain', 'net:reach(_, _)', '--nodes', '0')).code, 2);

    const why = await run('why-not', 'net:alone("a")');
    assert.equal(why.code, 0);
    assert.equal(
      why.stdout,
      [
        'no row net:alone("a")',
        '  alone(x) :- inv:server(x), not reach(x, _). (net, rule 4, line 4)',
        '    holds: inv:server("a")',
        '    fails: not net:reach("a", _): there is net:reach("a", "b")',
        '  there is net:alone("z")',
        '',
      ].join('\n'),
    );
    const body = await run('why-not', 'inv:server(x), net:reach(x, "q")');
    assert.match(
      body.stdout,
      /^holds: inv:server\("a"\)\nfails: net:reach\("a", "q"\)[^]*no row net/,
    );
    const there = await run('why-not', 'net:alone("z")');
    assert.deepEqual([there.code, there.stdout], [1, '']);
    assert.match(there.stderr, /holds[^]*caucus explain/);
    const plan = await run('explain', '--plan');
    assert.deepEqual([plan.code, plan.stderr], [0, '']);
    assert.match(plan.stdout, /net:reach {2}recursive[^]*\(net, rule 2, line 2\)\n {4}each round/);
    const both = await run('explain', '--plan', 'net.policy');
    assert.equal(both.code, 2);
    await server.kill();
    assert.equal((await run('why-not', 'net:alone("z")')).code, 3);
  });
});
