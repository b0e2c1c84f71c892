/**
 * One case a mistake: the text with «marks» around the expected span, and the same without the
 * mistake.
 */
import type { CatalogSource } from '../../host/compiler/catalog.ts';
import type { DiagnosticCode } from '../../host/compiler/diagnostic.ts';
import type { Policies } from './compile-text.ts';

export interface Case {
  readonly code: DiagnosticCode;
  readonly severity?: 'warning';
  /** One text, or policies of which one is marked. The «marks» stand around the expected span. */
  readonly text: Policies;
  readonly message: RegExp;
  readonly note?: RegExp;
  /** The negative control: nearly the same without the mistake. */
  readonly valid: Policies;
}

const WIDE = Array.from({ length: 65 }, (_, index) => String(index)).join(', ');

/** As many variables, each bound, each named twice. */
const variables = (count: number): string =>
  Array.from({ length: count }, (_, index) => `q(x${index}), q(x${index})`).join(', ');

export const SOURCES: readonly CatalogSource[] = [
  {
    name: 'nova',
    declared: true,
    tables: [
      {
        name: 'servers',
        arity: 3,
        columns: [
          { name: 'id', type: 'string' },
          { name: 'name', type: 'string' },
          { name: 'cores', type: 'int' },
        ],
      },
    ],
  },
  { name: 'inv', declared: false, tables: [{ name: 'host', arity: 2 }] },
];

export const TEXT_CASES: readonly Case[] = [
  // lexer
  {
    code: 'unexpected-character',
    text: 'p(1) «$» q(2)',
    message: /`\$` \(U\+0024\)/,
    valid: 'p(1) q(2)',
  },
  {
    code: 'unexpected-character',
    text: 'p(«“»1)',
    message: /U\+201C/,
    note: /quote|"/,
    valid: 'p("1")',
  },
  { code: 'lone-surrogate', text: 'p("a«\ud800»b")', message: /surrogate/, valid: 'p("a😀b")' },
  {
    code: 'lone-surrogate',
    text: 'p("«\\ud83d»")',
    message: /surrogate/,
    valid: 'p("\\ud83d\\ude00")',
  },
  {
    code: 'unterminated-string',
    text: 'p(«"abc)»\nq(1)',
    message: /not closed/,
    note: /`"`/,
    valid: 'p("abc")\nq(1)',
  },
  {
    code: 'unterminated-comment',
    text: 'p(1) «/*» q(1)',
    message: /not closed/,
    valid: 'p(1) /* q(1) */',
  },
  { code: 'bad-escape', text: 'p("a«\\d»")', message: /`\\d`/, note: /\\\\/, valid: 'p("a\\\\d")' },
  { code: 'bad-escape', text: 'p("«\\u{110000}»")', message: /10FFFF/, valid: 'p("\\u{10ffff}")' },
  { code: 'bad-number', text: 'p(«007»)', message: /leading zero/, note: /`7`/, valid: 'p(7)' },
  { code: 'bad-number', text: 'p(«0x10»)', message: /`0x10`/, note: /decimal/, valid: 'p(16)' },
  {
    code: 'bad-number',
    text: 'p(«9223372036854775808»)',
    message: /64 bits/,
    valid: 'p(-9223372036854775808)',
  },
  { code: 'bad-number', text: 'p(«1e999»)', message: /too large/, valid: 'p(1e99)' },
  {
    code: 'limit-exceeded',
    text: `«${'a'.repeat(256)}»(1)`,
    message: /256 characters/,
    valid: `${'a'.repeat(255)}(1)`,
  },
  {
    code: 'limit-exceeded',
    text: `«p»(${WIDE})`,
    message: /65 columns/,
    valid: `p(${WIDE.slice(0, WIDE.lastIndexOf(','))})`,
  },
  {
    code: 'limit-exceeded',
    text: `p(x) :- q(x), x = ${'('.repeat(64)}«(»1${')'.repeat(65)}`,
    message: /nesting/,
    valid: `p(x) :- q(x), x = ${'('.repeat(60)}1${')'.repeat(60)}`,
  },
  {
    code: 'limit-exceeded',
    text: `p(x) :- q(x), x = 1${' + 1'.repeat(256)} «+» 1`,
    message: /256 operators/,
    valid: `p(x) :- q(x), x = 1${' + 1'.repeat(200)}`,
  },
  {
    code: 'limit-exceeded',
    text: `p(x) :- ${'q(x), '.repeat(256)}«q»(x)`,
    message: /256 literals/,
    valid: `p(x) :- ${'q(x), '.repeat(255)}q(x)`,
  },
  {
    code: 'limit-exceeded',
    text: `p(x) :- «a${':a'.repeat(255)}»(x)`,
    message: /256 parts/,
    valid: `p(x) :- a${':a'.repeat(254)}(x)`,
  },
  {
    code: 'limit-exceeded',
    text: `«p(count())» :- ${variables(65)}`,
    message: /65 variables, at most 64/,
    valid: `p(count()) :- ${variables(64)}, q(_)`,
  },
  // parser
  {
    code: 'syntax',
    text: 'p(x) :- q(x«.»',
    message: /expected `,` between arguments, found `\.`/,
    valid: 'p(x) :- q(x).',
  },
  { code: 'syntax', text: 'p(1,«)»', message: /expected a value/, valid: 'p(1)' },
  {
    code: 'syntax',
    text: 'q(3). p(x) :- q(x), 1 < x «<» 5',
    message: /chain/,
    note: /two/,
    valid: 'q(3). p(x) :- q(x), 1 < x, x < 5',
  },
  {
    code: 'syntax',
    text: 'p(x) :- q(x), «x + 1».',
    message: /comparison/,
    valid: 'p(x) :- q(x), x + 1 = 3.',
  },
  { code: 'syntax', text: 'p(x) :- q(x), x «==» 1', message: /`=`/, valid: 'p(x) :- q(x), x = 1' },
  {
    code: 'multiple-heads',
    text: 'p(x)«,» r(x) :- q(x)',
    message: /one head/,
    valid: 'p(x) :- q(x)',
  },
  { code: 'negated-head', text: '«not» p(x) :- q(x)', message: /negated/, valid: 'p(x) :- q(x)' },
  {
    code: 'double-negation',
    text: 'p(x) :- q(x), not «not» r(x)',
    message: /negated/,
    valid: 'p(x) :- q(x), not r(x)',
  },
  {
    code: 'double-negation',
    text: 'p(x) :- q(x), not («not x < 3»)',
    message: /negated/,
    valid: 'p(x) :- q(x), not (x < 3)',
  },
  {
    code: 'reserved-name',
    text: '«execute»(1)',
    message: /word of the language/,
    valid: 'Execute(1)',
  },
  { code: 'reserved-name', text: '«equal»(1, 2)', message: /builtin/, valid: 'equals(1, 2)' },
  {
    code: 'reserved-name',
    text: '«max»(x, y) :- q(x, y)',
    message: /builtin/,
    valid: 'maximum(x, y) :- q(x, y)',
  },
  { code: 'reserved-name', text: '«true»(1)', message: /`true`/, valid: 'truth(1)' },
  { code: 'reserved-name', text: 'table «len»(a)', message: /`len`/, valid: 'table length(a)' },
  {
    code: 'action-policy',
    text: '«p+(x)» :- q(x)',
    message: /`p\+`/,
    note: /`policy action`/,
    valid: 'policy action\np+(x) :- q(x)',
  },
  { code: 'action-policy', text: '«p-(x)» :- q(x)', message: /`p-`/, valid: 'p(x) :- q(x)' },
  {
    code: 'unsupported-event',
    text: '«insert»[p(1) :- true]',
    message: /`insert\[…\]`/,
    note: /policy/,
    valid: 'p(1) :- true',
  },
  {
    code: 'misplaced-modal',
    text: 'p(x) :- «execute[nova:q(x)]»',
    message: /body/,
    valid: 'p(x) :- nova:servers(x, _, _)',
  },
  {
    code: 'misplaced-modal',
    text: 'p(x) :- «maybe»[q(x)]',
    message: /`maybe\[…\]`/,
    valid: 'p(x) :- q(x)',
  },
  {
    code: 'column-arguments',
    text: 'p(x) :- nova:servers(id=x, «"a"», _)',
    message: /position/,
    valid: 'p(x) :- nova:servers(x, name="a")',
  },
  {
    code: 'column-arguments',
    text: 'p(x) :- nova:servers(id=x, «id="a"»)',
    message: /twice/,
    valid: 'p(x) :- nova:servers(id=x)',
  },
  {
    code: 'column-arguments',
    text: 'p(x) :- nova:servers(x, «0="a"»)',
    message: /position/,
    valid: 'p(x) :- nova:servers(x, 1="a")',
  },
  {
    code: 'column-arguments',
    text: 'p(x) :- nova:servers(id=x, «0="a"»)',
    message: /already/,
    valid: 'p(x) :- nova:servers(id=x, 1="a")',
  },
  {
    code: 'column-arguments',
    text: 'table p(a: int, b: int)\n«p(a=x)» :- q(x)',
    message: /`b` is left out and not nullable/,
    note: /`nullable`/,
    valid: 'table p(a: int, b: int nullable)\np(a=x) :- q(x)',
  },
];
