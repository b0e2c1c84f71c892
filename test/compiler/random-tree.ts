/** Random syntax trees, and random ways to write a token list down. */
import type { Random } from '../support/random.ts';
import { policyNameOfPath } from '../../host/compiler/import-path.ts';
import type { Span } from '../../host/compiler/source-text.ts';
import type {
  AnnotationNode,
  ArgumentNode,
  AtomNode,
  ColumnNode,
  ExpectNode,
  ExpressionNode,
  GivenNode,
  LiteralNode,
  NameNode,
  PolicyTree,
  StatementNode,
  TestNode,
} from '../../host/compiler/syntax-tree.ts';
import type { ComparisonOperator, ComputeOperator } from '../../host/compiler/stratified.ts';
import type { Value } from '../../host/value/value.ts';

const span = { start: 0, end: 0 };
const NAMES = ['p', 'q', 'edge', 'a.b', '.x', '_t', 'table', 'count', 'lt', 'Not', 'e1'];
const VARIABLES = ['x', 'y', 'z', '_v', 'X', 'a.b', 'table', 'True'];
const STRINGS = [
  '',
  'a',
  'é😀',
  '"',
  "'",
  '\\',
  '\n\t\r',
  '\u0000\u202e\u2028',
  '// no comment',
  '.',
];
const FLOATS = [0, 1, 1.5, -2.25, 1e21, 5e-324, 1.7976931348623157e308, -0.1];
const INTS = [0n, 1n, -1n, 7n, 2n ** 63n - 1n, -(2n ** 63n)];
const OPERATORS: ComputeOperator[] = ['+', '-', '*', '/', '%'];
const COMPARISONS: ComparisonOperator[] = ['=', '!=', '<', '<=', '>', '>='];

function value(random: Random): Value {
  return random.pick<() => Value>([
    () => random.pick(STRINGS),
    () => random.pick(FLOATS),
    () => random.pick(INTS),
    () => random.pick([true, false, null]),
  ])();
}

/** Calls stand in arguments only: elsewhere they are in error. */
function expression(random: Random, depth: number, calls: boolean): ExpressionNode {
  const kind = depth <= 0 ? random.int(3) : random.int(calls ? 7 : 6);
  if (kind === 0) return { kind: 'variable', name: random.pick(VARIABLES), span };
  if (kind === 1) return { kind: 'constant', value: value(random), span };
  if (kind === 2) return { kind: 'wildcard', span };
  if (kind === 3) return { kind: 'negate', operand: expression(random, depth - 1, calls), span };
  if (kind === 6) {
    const args = Array.from({ length: random.int(3) }, () => expression(random, depth - 1, calls));
    return { kind: 'call', name: random.pick(NAMES), arguments: args, span };
  }
  const left = expression(random, depth - 1, calls);
  const right = expression(random, depth - 1, calls);
  return { kind: 'binary', operator: random.pick(OPERATORS), left, right, span };
}

function name(random: Random): NameNode {
  const own = random.pick(NAMES);
  if (random.chance(0.7)) return { name: own, span };
  return { owner: random.pick(NAMES), name: random.chance(0.8) ? own : `${own}:b`, span };
}

function args(random: Random): ArgumentNode[] {
  const length = random.int(4);
  const named = random.chance(0.2) ? random.int(length + 1) : length;
  return Array.from({ length }, (_, index): ArgumentNode => {
    const argument = expression(random, random.int(3), true);
    if (index < named) return { value: argument, span };
    return { column: random.chance(0.5) ? `c${index}` : index + 10, value: argument, span };
  });
}

function atom(random: Random): AtomNode {
  return { name: name(random), arguments: args(random), span };
}

function literal(random: Random): LiteralNode {
  const negated = random.chance(0.3);
  if (random.chance(0.6)) {
    const plain = atom(random);
    const signed: AtomNode = { ...plain, sign: random.pick(['+', '-']) };
    return { kind: 'atom', negated, atom: random.chance(0.1) ? signed : plain, span };
  }
  const left = expression(random, random.int(4), false);
  const right = expression(random, random.int(4), false);
  return { kind: 'comparison', negated, operator: random.pick(COMPARISONS), left, right, span };
}

function statement(random: Random): StatementNode {
  if (random.chance(0.1)) return test(random);
  const parts = {
    ...(random.chance(0.2) ? { annotations: annotations(random) } : {}),
    blankLineBefore: random.chance(0.2),
    span,
  };
  if (random.chance(0.15)) {
    const columns = Array.from({ length: random.int(12) }, (_, index) => column(random, index));
    return { kind: 'declaration', name: name(random), columns, ...parts };
  }
  if (random.chance(0.08)) return imported(random, parts);
  if (random.chance(0.05)) {
    return { kind: 'policy', policyKind: random.pick(['action', 'z3']), kindSpan: span, ...parts };
  }
  const body = random.chance(0.3)
    ? []
    : Array.from({ length: 1 + random.int(5) }, () => literal(random));
  return { kind: 'rule', head: head(random), body, ...parts, terminated: true, sharesLine: false };
}

function head(random: Random): AtomNode {
  if (random.chance(0.1)) return { ...atom(random), modal: 'execute' };
  return random.chance(0.1) ? { ...atom(random), sign: random.pick(['+', '-']) } : atom(random);
}

function annotations(random: Random): AnnotationNode[] {
  const keys = ['name', 'comment', 'severity', 'table'];
  return Array.from({ length: 1 + random.int(4) }, () => ({
    key: random.pick(keys),
    value: random.pick([...STRINGS, 'x'.repeat(60)]),
    span,
  }));
}

function column(random: Random, index: number): ColumnNode {
  return {
    name: random.pick([`column${index}`, 'key', 'nullable']),
    ...(random.chance(0.7) ? { type: { name: random.pick(['string', 'key']), span } } : {}),
    ...(random.chance(0.2) ? { key: true } : {}),
    ...(random.chance(0.2) ? { nullable: true } : {}),
    ...(random.chance(0.2) ? { description: random.pick(STRINGS) } : {}),
    span,
  };
}

function imported(
  random: Random,
  parts: { readonly blankLineBefore: boolean; readonly span: Span },
): StatementNode {
  const path = random.pick(['lib/common.dl', 'a', '../x/a.b.dl', '/.y']);
  const target = random.chance(0.5) ? { policy: policyNameOfPath(path), path } : { policy: 'a.b' };
  const alias = random.chance(0.3) ? { alias: { name: random.pick(['as', 'c']), span } } : {};
  return { kind: 'import', ...target, ...alias, targetSpan: span, ...parts };
}

function test(random: Random): TestNode {
  const steps = Array.from({ length: random.int(4) }, (): GivenNode | ExpectNode => {
    const blankLineBefore = random.chance(0.2);
    if (random.chance(0.2)) {
      const now = { text: random.pick(STRINGS), span };
      return { kind: 'given', rows: [], now, blankLineBefore, span };
    }
    const atoms = Array.from({ length: 1 + random.int(4) }, () => atom(random));
    if (random.chance(0.4)) return { kind: 'given', rows: atoms, blankLineBefore, span };
    const only = random.chance(0.3);
    const body = atoms.map((one): LiteralNode =>
      only ? { kind: 'atom', negated: false, atom: one, span } : literal(random),
    );
    return { kind: 'expect', only, body, blankLineBefore, span };
  });
  const blankLineBefore = random.chance(0.2);
  const name = random.pick(STRINGS);
  return { kind: 'test', name, nameSpan: span, steps, endComments: [], blankLineBefore, span };
}

export function randomTree(random: Random): PolicyTree {
  const statements = Array.from({ length: random.int(8) }, () => statement(random));
  return { statements, endComments: [], hasErrors: false };
}

/** A tree without what printing does not keep: places, comments and blank lines. */
export function bare(tree: PolicyTree): unknown {
  const dropped = new Set([
    'span',
    'kindSpan',
    'targetSpan',
    'nameSpan',
    'endComments',
    'comments',
    'blankLineBefore',
    'terminated',
    'sharesLine',
  ]);
  return JSON.parse(
    JSON.stringify(tree.statements, (key, part: unknown) => {
      if (dropped.has(key)) return undefined;
      if (typeof part === 'bigint') return `int ${part}`;
      return typeof part === 'number' && key === 'value' ? `float ${part}` : part;
    }),
  );
}

const GAPS = [
  ' ',
  '  ',
  '\n',
  '\n\n',
  '\t',
  ' // c\n',
  '\n# c\n',
  ' /* c */ ',
  '\n/* c\n c */\n',
  '\n\n\n// c\n\n',
];

/** These and what follows them stay on one line, or they would be facts. */
const ONE_LINE: ReadonlySet<string> = new Set(['table', 'policy', 'import', 'as', 'test']);

/** Words with random gaps between them; the number of comments in those. */
export function withRandomGaps(random: Random, words: readonly string[]): [string, number] {
  let comments = 0;
  const parts = words.map((word, index) => {
    const plain = ONE_LINE.has(words[index - 1] ?? '') || word === 'as' || random.chance(0.6);
    const gap = plain ? ' ' : random.pick(GAPS);
    if (gap.includes('c')) comments++;
    return gap + word;
  });
  return [parts.join(''), comments];
}
