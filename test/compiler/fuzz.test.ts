import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Catalog } from '../../host/compiler/catalog.ts';
import { compile } from '../../host/compiler/compile.ts';
import { renderDiagnostic } from '../../host/compiler/diagnostic.ts';
import { compileQuery } from '../../host/compiler/query.ts';
import { randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';

const WORDS = (
  'p q edge path x y _ not NOT ! :- , . ; ( ) [ ] : = != < <= > >= + - * / % ? 1 -1 007 1.5 ' +
  '1. .5 1e9 ' +
  '9223372036854775808 "a" \'b\' "\\n" "\\q" "open table string int execute insert ' +
  'nova builtin:lt ' +
  'plus count() sum(x) min true false null // /* */ # \n @ é 😀 \ud800 a.b .c p(x) p(1) q(x,y) ' +
  'policy action database import as b "lib/b.dl" @name("n") @severity("error") key nullable p+(x) r"\\d" $'
).split(' ');

const VALID = [
  'table edge(a: int, b: int)\nedge(1, 2). edge(2, 3).\npath(x, y) :- edge(x, y).\n' +
    'path(x, z) :- path(x, y), edge(y, z). // step\n',
  'alone(x) :- node(x), not edge(x, _), x < 10 * (2 + 3).\nnode(1). edge(1, 2).\n',
  'n(x, count(), sum(y)) :- b:path(x, y), plus(x, 1, z), z != y.\n',
  'policy action\nimport "lib/b.dl" as c\n@name("n")\np+(x) :- c:edge(x, _), not q-(x).\n' +
    'src:t-(x, 1) :- p+(x).\ntable q(a: int key "a", b: string nullable)\n',
  'execute[nova:pause(x, "why")] :- src:server(id=x, status="ACTIVE"), not ok(x).\nok("a\\n").\n',
];

const CONTEXT: Catalog = {
  policies: [{ name: 'b', text: VALID[0] as string }],
  sources: [{ name: 'src', declared: false, tables: [{ name: 't', arity: 2 }] }],
};

function soup(random: Random): string {
  const words = Array.from({ length: random.int(25) }, () => random.pick(WORDS));
  return words.join(random.chance(0.3) ? '' : ' ');
}

function mutated(random: Random): string {
  let text = random.pick(VALID);
  for (let count = 1 + random.int(3); count > 0; count--) {
    const at = random.int(text.length);
    const end = random.chance(0.5) ? at : at + random.int(6);
    const inserted = random.chance(0.3) ? '' : random.pick(WORDS);
    text = text.slice(0, at) + inserted + text.slice(end);
  }
  return text;
}

function check(text: string, seed: number): boolean {
  const policies = [...CONTEXT.policies, { name: 'p', text }];
  const where = `seed ${seed}: ${JSON.stringify(text)}`;
  try {
    const { program, diagnostics } = compile({ policies, sources: CONTEXT.sources });
    const failed = diagnostics.some((one) => one.severity === 'error');
    assert.equal(program === undefined, failed, 'no program if and only if there are errors');
    for (const diagnostic of diagnostics) {
      if (diagnostic.source !== 'p') continue;
      const { start, end } = diagnostic.span;
      assert.ok(start >= 0 && start <= end && end <= text.length, `span ${start}..${end}`);
      assert.match(renderDiagnostic(diagnostic, text), /\^/);
    }
    return !failed;
  } catch (error) {
    throw new Error(where, { cause: error });
  }
}

test('20 000 broken texts: no exception, diagnostics with valid spans', () => {
  let valid = 0;
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = randomFrom(seed);
    if (check(random.chance(0.4) ? soup(random) : mutated(random), seed)) valid++;
  }
  // Both sides of the check are reached.
  assert.ok(valid > 500 && valid < 19_000, `${valid} texts were valid`);
});

test('5 000 broken queries: no exception, a query or an error', () => {
  const { program } = compile(CONTEXT);
  assert.ok(program !== undefined);
  for (let seed = 1; seed <= 5000; seed++) {
    const text = soup(randomFrom(seed));
    const { query, diagnostics } = compileQuery(program, CONTEXT, text);
    const failed = diagnostics.some((one) => one.severity === 'error');
    assert.equal(query === undefined, failed, `seed ${seed}: ${JSON.stringify(text)}`);
  }
});
