import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiagnosticList } from '../../host/compiler/diagnostic.ts';
import { lex } from '../../host/compiler/lexer.ts';
import { parsePolicy } from '../../host/compiler/parser.ts';
import { printPolicy } from '../../host/compiler/printer.ts';
import type { PolicyTree } from '../../host/compiler/syntax-tree.ts';
import { randomFrom } from '../support/random.ts';
import { bare, randomTree, withRandomGaps } from './random-tree.ts';
import { render } from './compile-text.ts';

function parse(text: string): PolicyTree {
  const diagnostics = new DiagnosticList(text);
  const tree = parsePolicy(text, diagnostics);
  assert.deepEqual(diagnostics.finish(), [], render(diagnostics.finish(), text));
  return tree;
}

function format(text: string): string {
  return printPolicy(parse(text));
}

const CASES: [name: string, text: string, printed: string][] = [
  ['facts on their own lines', "p(1) q('a\"b'); r", 'p(1).\nq("a\\"b").\nr.\n'],
  [
    'operators',
    'p(x):-q(x),!r(x),NOT s(x),x<(1+2)*3',
    'p(x) :- q(x), not r(x), not s(x), x < (1 + 2) * 3.\n',
  ],
  [
    'needless parentheses',
    'p:-((1*2)+3)=(4-5)-6,1-(2-3)=x,not(x<3)',
    'p :- 1 * 2 + 3 = 4 - 5 - 6, 1 - (2 - 3) = x, not (x < 3).\n',
  ],
  ['signs', 'p(-1,-x,-(1),- -1,1--1,-(-x))', 'p(-1, -x, -(1), --1, 1 - -1, --x).\n'],
  ['numbers', 'p(1.,.5,1e21,-0.0,00)', 'p(1.0, 0.5, 1e+21, 0.0, 0).\n'],
  ['values', 'p(true,null,"\\u0001\\u{1F600}")', 'p(true, null, "\\u0001😀").\n'],
  ['columns and owners', 'p(x):-a:b:c(x,id = "a",3=x)', 'p(x) :- a:b:c(x, id="a", 3=x).\n'],
  ['actions', 'execute [ nova:pause(x) ] :- q(x)', 'execute[nova:pause(x)] :- q(x).\n'],
  [
    'declarations',
    'table t(a,b:int,)table src:u(c : any) table v',
    'table t(a, b: int).\ntable src:u(c: any).\ntable v.\n',
  ],
  [
    'columns with keys, nulls and descriptions',
    'table t(a:int key \'the id\',b nullable,c:string nullable"x",key key)',
    'table t(a: int key "the id", b nullable, c: string nullable "x", key key).\n',
  ],
  [
    'annotations',
    '@name ( "n" ) // why\n@severity("error")\np(1) @comment("c") q(x):-p(x)',
    '// why\n@name("n") @severity("error")\np(1).\n@comment("c")\nq(x) :- p(x).\n',
  ],
  [
    'long annotations',
    `@name("${'n'.repeat(60)}") @comment("${'c'.repeat(40)}") p`,
    `@name("${'n'.repeat(60)}")\n@comment("${'c'.repeat(40)}")\np.\n`,
  ],
  [
    'kind and imports',
    "policy action;import 'lib/a.dl' as b;import c",
    'policy action.\nimport "lib/a.dl" as b.\nimport c.\n',
  ],
  [
    'effects',
    'p + ( x ) :- a:q - (x), z = p + (x), not r+(1)',
    'p+(x) :- a:q-(x), z = p + x, not r+(1).\n',
  ],
  ['one blank line is kept', '\n\np.\n\n\n\nq.\nr.', 'p.\n\nq.\nr.\n'],
  [
    'comments stay in place',
    '// top\n\n/* a */ p(1). // one\n# two\n\nq(1) /* x */ /* y */ // z\n\n// end\n',
    '// top\n\n/* a */\np(1). // one\n# two\n\nq(1). /* x */ /* y */ // z\n\n// end\n',
  ],
  [
    'comments inside of a rule',
    'p(x) :- // why\n q(x), // first\n // second\n r(x /* deep */, 1) // last\n.',
    'p(x) :-\n  // why\n  q(x), // first\n  // second\n  /* deep */\n  r(x, 1). // last\n',
  ],
  [
    'a long rule is broken',
    `p(x) :- ${'quite_a_long_name(x), '.repeat(5)}q(x)`,
    `p(x) :-\n${'  quite_a_long_name(x),\n'.repeat(5)}  q(x).\n`,
  ],
];

for (const [name, text, printed] of CASES) {
  test(`fmt: ${name}`, () => {
    assert.equal(format(text), printed);
    assert.equal(format(printed), printed);
  });
}

test('a random tree printed and read back is the same tree', () => {
  for (let seed = 1; seed <= 3000; seed++) {
    const tree = randomTree(randomFrom(seed));
    const text = printPolicy(tree);
    const again = parse(text);
    assert.deepEqual(bare(again), bare(tree), `seed ${seed}:\n${text}`);
    assert.equal(printPolicy(again), text, `seed ${seed}`);
  }
});

test('however it is written: the same tree, every comment kept, printing stable', () => {
  let comments = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const random = randomFrom(seed);
    const tree = randomTree(random);
    const printed = printPolicy(tree);
    const words = lex(printed, new DiagnosticList(printed)).map(({ start, end }) =>
      printed.slice(start, end),
    );
    const [written, count] = withRandomGaps(random, words);
    const first = parse(written);
    const once = printPolicy(first);
    const second = parse(once);
    assert.deepEqual(bare(second), bare(tree), `seed ${seed}:\n${written}\n---\n${once}`);
    assert.equal(printPolicy(second), once, `seed ${seed}:\n${written}`);
    const kept = lex(once, new DiagnosticList(once)).reduce(
      (sum, one) => sum + one.comments.length,
      0,
    );
    assert.equal(kept, count, `seed ${seed}: comments\n${written}\n---\n${once}`);
    comments += kept;
  }
  assert.ok(comments > 10_000, `only ${comments} comments were tried`);
});

test('negative control: the comparison of trees sees values, operators and order', () => {
  const original = JSON.stringify(bare(parse('p(1) :- q(x), x < 2 + 3 * 4.')));
  const others = [
    'p(1.0) :- q(x), x < 2 + 3 * 4.',
    'p(1) :- q(x), x < (2 + 3) * 4.',
    'p(1) :- x < 2 + 3 * 4, q(x).',
    'p(1) :- not q(x), x < 2 + 3 * 4.',
  ];
  for (const other of others) assert.notEqual(JSON.stringify(bare(parse(other))), original, other);
});
