/**
 * What the parser reads tokens with: look-ahead, comments set aside, and errors that give up a
 * statement.
 */
import type { DiagnosticCode, DiagnosticList } from './diagnostic.ts';
import type { Comment, Token } from './lexer.ts';
import type { Span } from './source-text.ts';

/** Thrown after its diagnostic is recorded; caught where the parser can go on. */
export class ParseFailure extends Error {}

export class TokenReader {
  readonly diagnostics: DiagnosticList;
  readonly #tokens: readonly Token[];
  #index = 0;
  /** Comments passed since they were last taken. */
  #comments: Comment[] = [];
  /** A token since the last `beginStatement` is in error already. */
  #broken = false;

  constructor(tokens: readonly Token[], diagnostics: DiagnosticList) {
    this.#tokens = tokens;
    this.diagnostics = diagnostics;
    this.#comments.push(...this.token.comments);
  }

  get token(): Token {
    return this.peek(0);
  }

  get previousEnd(): number {
    return this.#tokens[this.#index - 1]?.end ?? 0;
  }

  /** The token `distance` after the current one; the end token behind the last. */
  peek(distance = 1): Token {
    const at = Math.min(this.#index + distance, this.#tokens.length - 1);
    const token = this.#tokens[at];
    if (token === undefined) throw new Error('a token list ends with an end token');
    return token;
  }

  beginStatement(): void {
    this.#broken = false;
  }

  advance(): Token {
    const token = this.token;
    if (token.broken) this.#broken = true;
    if (token.kind !== 'end') {
      this.#index++;
      for (const comment of this.token.comments) this.#comments.push(comment);
    }
    return token;
  }

  /**
   * Whether the first comment before the current token, or else the token, has a blank line
   * before it.
   */
  firstTrivia(): { blankLineBefore: boolean } {
    return this.#comments[0] ?? this.token;
  }

  /** The comments passed so far, as long as they qualify. */
  takeComments(qualifies: (comment: Comment) => boolean = () => true): Comment[] {
    if (this.#comments.length === 0) return [];
    const stop = this.#comments.findIndex((comment) => !qualifies(comment));
    return this.#comments.splice(0, stop < 0 ? this.#comments.length : stop);
  }

  /** Comments inside of what began at `start`: those before the end of the last token read. */
  takeInnerComments(start: number): Comment[] {
    const end = this.previousEnd;
    return this.takeComments((comment) => comment.span.start >= start && comment.span.start < end);
  }

  isMark(text: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token.kind === 'mark' && token.text === text;
  }

  isKind(kind: Token['kind']): boolean {
    return this.token.kind === kind;
  }

  isName(text: string): boolean {
    return this.token.kind === 'name' && this.token.text === text;
  }

  isNegation(): boolean {
    return this.isMark('!') || this.isName('not') || this.isName('NOT');
  }

  span(): Span {
    return { start: this.token.start, end: this.token.end };
  }

  /** Offset of the current token in its line, in UTF-16 units. */
  column(): number {
    const text = this.diagnostics.source.text;
    return this.token.start - (text.lastIndexOf('\n', this.token.start - 1) + 1);
  }

  expect(mark: string, purpose: string): Token {
    if (!this.isMark(mark)) {
      const note = `write \`${mark}\` before it, or take it away`;
      this.failExpected(`\`${mark}\` ${purpose}`, this.isKind('end') ? `write \`${mark}\`` : note);
    }
    return this.advance();
  }

  fail(code: DiagnosticCode, span: Span, message: string, note: string): never {
    if (code !== 'syntax' || !(this.#broken || this.token.broken)) {
      this.diagnostics.error(code, span, message, note);
    }
    throw new ParseFailure(message);
  }

  failExpected(what: string, note: string): never {
    this.fail('syntax', this.span(), `expected ${what}, found ${describe(this.token)}`, note);
  }
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'the end of the text';
  if (token.kind === 'string') return 'a string';
  return `\`${token.text}\``;
}
