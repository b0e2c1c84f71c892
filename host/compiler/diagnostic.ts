import { DIAGNOSTICS_MAX } from '../limits.ts';
import { caretLines, printable, SourceText } from './source-text.ts';
import type { Span } from './source-text.ts';

/** One thing wrong (or doubtful) in a text. `code` is stable, kebab-case: `unbound-variable`. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  /** Lower case, no full stop, the user's words in backticks. */
  readonly message: string;
  readonly span: Span;
  /** 1-based, of `span.start`; columns count Unicode code points. */
  readonly line: number;
  readonly column: number;
  /** What to do about it. */
  readonly note?: string;
  /** Policy or file that the text belongs to. */
  readonly source?: string;
}

/** Every code of the front end with its meaning; the manual is held against it by a test. */
export const DIAGNOSTIC_CODES = {
  // lexer
  'unexpected-character': 'a character that is part of no token',
  'lone-surrogate': 'half of a surrogate pair: the text is not well-formed Unicode',
  'unterminated-string': 'a string without its closing quote on the same line',
  'unterminated-comment': 'a `/*` without its `*/`',
  'bad-escape': 'an escape sequence that does not exist',
  'bad-number': 'a number that is malformed or out of range',
  'limit-exceeded': 'a limit on the size of a text, statement, expression or name',
  // parser
  syntax: 'the text does not follow the grammar',
  'multiple-heads': 'a statement with more than one head',
  'negated-head': 'a negated head',
  'double-negation': 'a negation of a negation',
  'reserved-name': 'a name that the language keeps for itself',
  'action-policy': 'a `p+(…)` or `p-(…)` outside of an action policy',
  'policy-kind': 'a kind of policy that does not exist, or a statement that its kind cannot have',
  'unknown-annotation': 'an annotation that its statement cannot have, or with no value of its own',
  'bad-import': 'an import that names no policy, or under a name that is taken',
  'unknown-import': 'an import of a policy that does not exist',
  'import-cycle': 'policies that import each other',
  'unsupported-event': 'an `insert[…]` or `delete[…]` statement',
  'misplaced-modal': 'an `execute[…]` where none can stand',
  'column-arguments': 'column references that contradict each other or the order of arguments',
  // names
  'unknown-table': 'a table that its owner does not have',
  'unresolved-table': 'a table whose owner is not there yet, or has no declarations',
  'unknown-builtin': 'a builtin that does not exist',
  'unknown-column': 'a column that the table does not have',
  'undeclared-columns': 'a column reference to a table without declared columns',
  'unknown-type': 'a column type that does not exist',
  'unknown-policy': 'a query asked for a policy that does not exist',
  ambiguous: 'an unqualified name in a query is a table of several policies',
  'bad-policy-name': 'a policy name that tables cannot be qualified with',
  'duplicate-name': 'two policies or sources, or tests of a policy, with the same name',
  'duplicate-declaration': 'a table declared twice',
  'duplicate-column': 'two columns of a declaration with the same name',
  'nullable-key': 'a key column that is declared as nullable',
  'foreign-declaration': 'a declaration of a table that belongs to another policy',
  'policy-in-head': 'a qualified table in the head of a rule or in a fact',
  // rules
  arity: 'a table used with a number of columns that is not its own',
  'type-mismatch': 'a constant that does not fit the declared type of its column',
  'type-conflict': 'values of types that never meet: joined, compared, computed with, or declared',
  'fact-not-ground': 'a fact with variables',
  'execute-fact': 'an `execute[…]` without a body',
  'unbound-variable': 'a variable that no positive literal or computation binds',
  'unbound-head-variable': 'a variable of the head that the body does not bind',
  'misplaced-wildcard': 'a `_` where a value is needed',
  'not-a-value': 'a table, function or truth value where a value is needed',
  'unknown-function': 'a function or aggregate that does not exist',
  'misplaced-aggregate': 'an aggregate outside of the arguments of a head',
  'aggregate-arguments': 'an aggregate with the wrong number of arguments',
  'now-in-action': 'an argument of an `execute[…]` that changes with the time',
  'negative-cycle': 'a table that depends on its own negation or aggregate',
  'not-monotone':
    'a recursion through `min` or `max` in which a better value may make another worse',
  'singleton-variable': 'a variable that is used once',
  'duplicate-rule': 'a rule or fact that the policy already has',
  // tests of policies (compile-tests.ts)
  'bad-test': 'a test that expects nothing, or gives what cannot be given',
  // caucus lint (lint.ts)
  'unused-table': 'a declared table that no rule reads or defines',
  'unused-rule': 'a rule that gives nothing that another one does not give',
  'never-holds': 'a literal that no row or value satisfies',
  'cross-product': 'literals of a body that share no variable, while the head has values of both',
  'non-linear-recursion': 'a rule that is recursive in more than one literal',
} as const;

export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES;

/** Collects the diagnostics of one text; lines and columns are computed at the end, in one pass. */
export class DiagnosticList {
  readonly source: SourceText;
  readonly #name: string | undefined;
  readonly #found: Pick<Diagnostic, 'severity' | 'code' | 'message' | 'span' | 'note'>[] = [];
  #errorCount = 0;

  constructor(text: string, name?: string) {
    this.source = new SourceText(text);
    this.#name = name;
  }

  /** Errors and warnings. */
  get count(): number {
    return this.#found.length;
  }

  get errorCount(): number {
    return this.#errorCount;
  }

  error(code: DiagnosticCode, span: Span, message: string, note: string): void {
    this.#errorCount++;
    this.#add('error', code, span, message, note);
  }

  warning(code: DiagnosticCode, span: Span, message: string, note: string): void {
    this.#add('warning', code, span, message, note);
  }

  #add(
    severity: Diagnostic['severity'],
    code: DiagnosticCode,
    span: Span,
    message: string,
    note: string | undefined,
  ): void {
    this.#found.push({ severity, code, message, span, ...(note === undefined ? {} : { note }) });
  }

  /** In text order; errors are kept before warnings where there are too many. */
  finish(): Diagnostic[] {
    let kept = this.#found;
    if (kept.length > DIAGNOSTICS_MAX) {
      const errors = kept.filter((one) => one.severity === 'error');
      const warnings = kept.filter((one) => one.severity === 'warning');
      kept = errors.concat(warnings).slice(0, DIAGNOSTICS_MAX);
    }
    kept = kept.slice().sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
    const omitted = this.#found.length - kept.length;
    return kept.map((one, index) => {
      const isLast = index === kept.length - 1;
      const more = isLast && omitted > 0 ? `${omitted} more diagnostics are not shown` : undefined;
      const note = [one.note, more].filter((part) => part !== undefined).join('; ');
      return {
        ...one,
        ...this.source.position(one.span.start),
        ...(note === '' ? {} : { note }),
        ...(this.#name === undefined ? {} : { source: this.#name }),
      };
    });
  }
}

/** Wraps parts of a rendered diagnostic, for example in colours. */
export interface DiagnosticStyle {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly dim: (text: string) => string;
}

const PLAIN: DiagnosticStyle = {
  error: (text) => text,
  warning: (text) => text,
  strong: (text) => text,
  dim: (text) => text,
};

/**
 * One diagnostic for people, several lines without a final line end:
 *
 *   error[unbound-variable]: variable `x` is not bound by a positive literal
 *     --> net.policy:2:17
 *     |
 *   2 | p(x) :- q(y), not r(x).
 *     |                   ^^^^
 *     = use it in a positive literal, or write `_`
 */
export function renderDiagnostic(
  diagnostic: Diagnostic,
  source: SourceText | string,
  style: DiagnosticStyle = PLAIN,
): string {
  const text = typeof source === 'string' ? new SourceText(source) : source;
  const paint = diagnostic.severity === 'error' ? style.error : style.warning;
  const { line, carets } = caretLines(text, diagnostic.span);
  const number = String(diagnostic.line);
  const gutter = ' '.repeat(number.length);
  const place = `${diagnostic.source ?? 'text'}:${diagnostic.line}:${diagnostic.column}`;
  const title = paint(`${diagnostic.severity}[${diagnostic.code}]`);
  const lines = [
    `${title}: ${style.strong(printable(diagnostic.message))}`,
    `${gutter} ${style.dim('-->')} ${printable(place)}`,
    `${gutter} ${style.dim('|')}`,
    `${style.dim(`${number} |`)} ${line}`,
    `${gutter} ${style.dim('|')} ${paint(carets)}`,
  ];
  if (diagnostic.note !== undefined) {
    lines.push(`${gutter} ${style.dim('=')} ${printable(diagnostic.note)}`);
  }
  return lines.join('\n');
}
