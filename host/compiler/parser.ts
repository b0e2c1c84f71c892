/**
 * Tokens → syntax tree. An error gives up its statement only: the parser goes on after the next
 * statement end, so that all errors of a text come at once. Statement ends are optional in the
 * language; a name in the first column counts as a beginning as well when looking for where to go
 * on.
 *
 *   statement   = {annotation} (declaration | import | kind | rule) ["." | ";"]
 *               | {annotation} test (test-parser.ts)
 *   annotation  = "@" name "(" string ")"
 *   declaration = "table" name "(" column {"," column} ")" ["on" "demand"]
 *   column      = name [":" type] ["key"] ["nullable"] [string]
 *   import      = "import" (name | string) ["as" name]
 *   kind        = "policy" name
 *   rule        = head [":-" literal {"," literal}]
 *   head        = atom | name ("+" | "-") [arguments] | "execute" "[" atom "]"
 *   literal     = ["not" | "NOT" | "!"] (atom | expression comparison expression)
 *   atom        = name [arguments] | name ("+" | "-") arguments | "execute" "[" atom "]"
 *   arguments   = "(" [argument {"," argument}] ")"
 *   argument    = [(column | number) "="] expression
 *   expression  = the usual, over variables, constants, "_", "-", "+ - * / %" and parentheses
 */
import { functionNamed } from '../functions/registry.ts';
import { BODY_LITERALS_MAX, DIAGNOSTICS_MAX, STATEMENTS_MAX } from '../limits.ts';
import { isAggregate } from './builtins.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { isComparison } from './expression-parser.ts';
import type { Comment } from './lexer.ts';
import { lex } from './lexer.ts';
import { commentsOf, splitTail, StatementParser } from './statement-parser.ts';
import type { StatementOpening } from './statement-parser.ts';
import { TestParser } from './test-parser.ts';
import { ParseFailure } from './token-reader.ts';
import type {
  AtomNode,
  LiteralNode,
  PolicyTree,
  QueryTree,
  RuleNode,
  SharedStatements,
  StatementNode,
} from './syntax-tree.ts';

/** `shared`: what the text begins with, read before. */
export function parsePolicy(
  text: string,
  diagnostics: DiagnosticList,
  shared: SharedStatements = NOTHING_SHARED,
): PolicyTree {
  const tokens = lex(text, diagnostics, shared.end);
  return new Parser(tokens, diagnostics).policy(shared.statements);
}

/** A body, with an optional `.`, `;` or `?` behind it. Undefined if it cannot be read. */
export function parseQuery(text: string, diagnostics: DiagnosticList): QueryTree | undefined {
  return new Parser(lex(text, diagnostics), diagnostics).query();
}

const NOTHING_SHARED: SharedStatements = { statements: [], end: 0 };
const NEGATION_NOTE = 'leave out both, or give the inner one a rule of its own';
const OPERATORS = new Set(['+', '-', '*', '/', '%']);

class Parser extends StatementParser {
  policy(shared: readonly StatementNode[]): PolicyTree {
    const statements = [...shared];
    while (this.token.kind !== 'end') {
      if (statements.length >= STATEMENTS_MAX) {
        this.diagnostics.error(
          'limit-exceeded',
          this.span(),
          `the policy has more than ${STATEMENTS_MAX} statements`,
          'facts in such numbers belong into a source',
        );
        return { statements, endComments: [], hasErrors: true };
      }
      const { start } = this.token;
      this.beginStatement();
      try {
        statements.push(this.#statement());
      } catch (failure) {
        if (!(failure instanceof ParseFailure)) throw failure;
        // Who has made so many mistakes has sent no policy; each further one would cost a throw.
        if (this.diagnostics.errorCount >= DIAGNOSTICS_MAX) break;
        this.#recover(start);
      }
    }
    const hasErrors = this.diagnostics.errorCount > 0;
    return { statements, endComments: this.takeComments(), hasErrors };
  }

  query(): QueryTree | undefined {
    try {
      const start = this.token.start;
      const body = this.#body(this.takeComments());
      const span = { start, end: this.previousEnd };
      if (this.isMark('?') || this.isMark('.') || this.isMark(';')) this.advance();
      if (this.isMark(':-')) {
        this.fail('syntax', this.span(), 'a query is a body, not a rule', 'leave out the head');
      }
      if (this.token.kind !== 'end') {
        this.failExpected('`,` or the end of the query', 'a query is one body: `p(x), not q(x)`');
      }
      return { body, span };
    } catch (failure) {
      if (!(failure instanceof ParseFailure)) throw failure;
      return undefined;
    }
  }

  /** To the token after the next `.` or `;`, or to the next name in the first column. */
  #recover(statementStart: number): void {
    this.depth = 0;
    while (this.token.kind !== 'end') {
      const { kind, firstOnLine, start } = this.token;
      const begins = kind === 'name' || this.isMark('@');
      if (begins && firstOnLine && start > statementStart && this.column() === 0) return;
      const ends = this.endsStatement();
      this.advance();
      if (ends) return;
    }
  }

  #statement(): StatementNode {
    const opening = this.opening();
    const isTest = this.isName('test') && this.peek().kind === 'string';
    if (isTest && !this.peek().firstOnLine) {
      return new TestParser(this, {
        atom: () => this.atom('body'),
        body: (leading) => this.#body(leading),
        closing: (before, inner) => this.closing(before, inner),
        takeTrailing: () => this.takeTrailing(),
      }).test(opening);
    }
    return this.wordStatement(opening) ?? this.#rule(opening);
  }

  #rule(opening: StatementOpening): RuleNode {
    const { start } = opening;
    this.#refuseHead();
    const head = this.atom('head');
    if (this.isMark(',')) {
      this.fail(
        'multiple-heads',
        this.span(),
        'a statement has one head',
        'end each fact with `.`; write one rule for each head',
      );
    }
    const inner = this.takeInnerComments(start);
    let body: LiteralNode[] = [];
    if (this.isMark(':-')) {
      this.advance();
      body = this.#body(this.takeComments());
    } else if (this.#isOperator() || isComparison(this.token)) {
      this.failExpected('`:-`, or `.` at the end of a fact', 'conditions stand behind `:-`');
    }
    const { terminated, ...closing } = this.closing(opening, inner);
    const { sharesLine } = opening;
    return { kind: 'rule', head, body, ...closing, terminated, sharesLine };
  }

  /** What cannot begin a statement and deserves better than "expected a table". */
  #refuseHead(): void {
    if (this.isNegation()) {
      const note = 'a row is absent where no rule gives it: write when it is there';
      this.fail('negated-head', this.span(), 'a head cannot be negated', note);
    }
    const word = this.token.text;
    if ((this.isName('insert') || this.isName('delete')) && this.isMark('[', 1)) {
      this.fail(
        'unsupported-event',
        this.span(),
        `\`${word}[…]\` is not a statement of a policy`,
        'change rules by writing the policy, and rows through their source',
      );
    }
    if (this.isMark('.') || this.isMark(';')) {
      const message = `unexpected \`${word}\`: there is no statement before it`;
      this.fail('syntax', this.span(), message, 'take it away');
    }
  }

  #body(firstLeading: Comment[]): LiteralNode[] {
    const body: LiteralNode[] = [];
    let leading = firstLeading;
    for (;;) {
      const start = this.token.start;
      const literal = this.#literal();
      leading.push(...this.takeInnerComments(start));
      if (!this.isMark(',')) {
        body.push(withComments(literal, leading, []));
        break;
      }
      const trailing = this.takeComments();
      this.advance();
      trailing.push(...this.takeTrailing());
      const split = splitTail(leading, trailing);
      body.push(withComments(literal, split?.leading ?? [], split?.trailing ?? []));
      leading = this.takeComments();
      if (body.length >= BODY_LITERALS_MAX) {
        this.fail(
          'limit-exceeded',
          this.span(),
          `the body has more than ${BODY_LITERALS_MAX} literals`,
          'move some of them into a rule of their own',
        );
      }
    }
    return body;
  }

  #literal(): LiteralNode {
    const start = this.token.start;
    if (!this.isNegation()) return this.#plainLiteral(start, false);
    this.advance();
    if (this.isNegation()) {
      this.fail('double-negation', this.span(), 'a negation cannot be negated', NEGATION_NOTE);
    }
    return this.#plainLiteral(start, true);
  }

  #plainLiteral(start: number, negated: boolean): LiteralNode {
    if (this.isMark('(') && this.comparisonInParentheses()) {
      const open = this.advance();
      this.nest(open);
      const inner = this.#literal();
      this.depth--;
      this.expect(')', 'to close the parenthesis');
      if (negated && inner.negated) {
        this.fail('double-negation', inner.span, 'a negation cannot be negated', NEGATION_NOTE);
      }
      return {
        ...inner,
        negated: negated || inner.negated,
        span: { start, end: this.previousEnd },
      };
    }
    if (this.#atomBegins()) {
      const atom = this.atom('body');
      if (isComparison(this.token) || this.#isOperator()) this.#refuseAtomAsValue(atom);
      return { kind: 'atom', negated, atom, span: { start, end: this.previousEnd } };
    }
    const left = this.expression();
    if (!isComparison(this.token)) {
      this.fail(
        'syntax',
        left.span,
        'a literal is a table or a comparison, not a value',
        'compare it with something, as in `x + 1 = y`',
      );
    }
    const operator = this.comparison();
    const right = this.expression();
    if (isComparison(this.token)) {
      this.fail(
        'syntax',
        this.span(),
        'comparisons do not chain',
        'write two comparisons with a `,` between them',
      );
    }
    const span = { start, end: this.previousEnd };
    return { kind: 'comparison', negated, operator, left, right, span };
  }

  #refuseAtomAsValue(atom: AtomNode): never {
    const { owner, name } = atom.name;
    if (owner === undefined && isAggregate(name)) {
      this.fail(
        'misplaced-aggregate',
        atom.span,
        `the aggregate \`${name}(…)\` can only be an argument of a head`,
        'compute it in a rule of its own and compare the column of that table',
      );
    }
    this.fail(
      'not-a-value',
      atom.span,
      `\`${name}(…)\` is a table, not a value`,
      'bind its column to a variable and compare that',
    );
  }

  /** A name that no operator follows: what follows a variable or a constant is one. */
  #atomBegins(): boolean {
    if (this.token.kind !== 'name') return false;
    const next = this.peek();
    if (this.isMark('(', 1) && functionNamed(this.token.text) !== undefined) {
      return !this.callIsOperand();
    }
    if (next.text === '(' || next.text === ':' || next.text === '[') return next.kind === 'mark';
    if (isComparison(next)) return false;
    if (this.signedAtomAt(1)) return true;
    return !(next.kind === 'mark' && OPERATORS.has(next.text));
  }

  #isOperator(): boolean {
    return this.token.kind === 'mark' && OPERATORS.has(this.token.text);
  }
}

function withComments(
  literal: LiteralNode,
  leading: readonly Comment[],
  trailing: readonly Comment[],
): LiteralNode {
  const comments = commentsOf(leading, trailing);
  return comments === undefined ? literal : { ...literal, comments };
}
