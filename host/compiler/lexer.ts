/**
 * Characters → tokens. Never throws: what is wrong becomes a diagnostic, and a token that stands
 * for it where one can be guessed.
 *
 * Names may hold dots, as in Congress (`servers.pause`), and a dot may also end a statement. It
 * ends one when it follows `)`, `]`, a string or a number directly, when it stands alone, or when
 * it is the last character of a name (`p :- q.`). Hence a name cannot end with a dot, and
 * `p(1).q(2)` is two facts.
 */
import { IDENTIFIER_CHARS_MAX, STRING_BYTES_MAX } from '../limits.ts';
import { INT_MAX } from '../value/value.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { isHighSurrogate, isLowSurrogate, printable, exceedsUtf8 } from './source-text.ts';
import type { Span } from './source-text.ts';

export interface Comment {
  /** As written, without a line end. */
  readonly text: string;
  readonly span: Span;
  /** Nothing but blanks between it and what is before it on its line. */
  readonly sameLine: boolean;
  readonly blankLineBefore: boolean;
}

/** `text` of a name or mark is the word itself, of a number its digits, of a string its value. */
export interface Token {
  readonly kind: 'name' | 'int' | 'float' | 'string' | 'mark' | 'end';
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Comments between the token before and this one. */
  readonly comments: readonly Comment[];
  /** First token of its line. */
  readonly firstOnLine: boolean;
  readonly blankLineBefore: boolean;
  /** It, or what is before it, is in error: what does not fit here is no news. */
  readonly broken: boolean;
}

/**
 * 2⁶³ is let through: with a minus sign before it it is an int, and the parser sees to the rest.
 */
const INT_DIGITS_MAX = INT_MAX + 1n;
const NO_COMMENTS: readonly Comment[] = [];
const LONG_MARKS = [':-', '!=', '<=', '>=', '=='];
const MARKS = '()[]{},.;:=<>+-*/%!?@';
const NAME = /\.?[A-Za-z_][A-Za-z0-9_.]*/y;
const NUMBER = /[0-9]+|\.[0-9]+/y;
const NUMBER_REST = /(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const EXPONENT = /(?:[eE][+-]?[0-9]+)?/y;
const WORD_REST = /[A-Za-z0-9_]*/y;

/** `start`: the beginning of a line, where no statement, string or comment is open. */
export function lex(text: string, diagnostics: DiagnosticList, start = 0): Token[] {
  return new Lexer(text, diagnostics, start).run();
}

class Lexer {
  readonly #text: string;
  readonly #diagnostics: DiagnosticList;
  readonly #tokens: Token[] = [];
  #at = 0;
  #comments: Comment[] = [];
  /** Line ends since the last token or comment, and since the last token. */
  #lineEnds = 1;
  #lineEndsSinceToken = 1;
  #depth = 0;
  #errorCount = 0;

  constructor(text: string, diagnostics: DiagnosticList, start: number) {
    this.#text = text;
    this.#at = start;
    this.#diagnostics = diagnostics;
    this.#errorCount = diagnostics.errorCount;
  }

  run(): Token[] {
    if (this.#at === 0 && this.#text.startsWith('\ufeff')) this.#at = 1;
    while (this.#at < this.#text.length) this.#next();
    this.#push('end', '', this.#at);
    return this.#tokens;
  }

  #next(): void {
    const start = this.#at;
    const char = this.#text.charAt(start);
    if (char === '\n') {
      this.#lineEnds++;
      this.#lineEndsSinceToken++;
      this.#at++;
    } else if (char === ' ' || char === '\t' || char === '\r' || char === '\f') {
      this.#at++;
    } else if (char === '#' || this.#text.startsWith('//', start)) {
      this.#lineComment();
    } else if (this.#text.startsWith('/*', start)) {
      this.#blockComment();
    } else if (char === '"' || char === "'") {
      this.#string(char, start, false);
    } else if (/[0-9]/.test(char)) {
      this.#number();
    } else if (char === '.') {
      this.#dot();
    } else if (/[A-Za-z_]/.test(char)) {
      this.#name();
    } else {
      this.#mark(char);
    }
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? '';
  }

  #push(kind: Token['kind'], text: string, start: number): void {
    this.#tokens.push({
      kind,
      text,
      start,
      end: this.#at,
      comments: this.#comments.length === 0 ? NO_COMMENTS : this.#comments,
      firstOnLine: this.#lineEndsSinceToken > 0,
      blankLineBefore: this.#lineEnds > 1,
      broken: this.#diagnostics.errorCount > this.#errorCount,
    });
    this.#errorCount = this.#diagnostics.errorCount;
    if (this.#comments.length > 0) this.#comments = [];
    this.#lineEnds = 0;
    this.#lineEndsSinceToken = 0;
  }

  #lineComment(): void {
    const lineEnd = this.#text.indexOf('\n', this.#at);
    const end = lineEnd < 0 ? this.#text.length : lineEnd;
    this.#comment(this.#text.slice(this.#at, end).trimEnd(), end);
  }

  #blockComment(): void {
    const close = this.#text.indexOf('*/', this.#at + 2);
    const end = close < 0 ? this.#text.length : close + 2;
    if (close < 0) {
      this.#diagnostics.error(
        'unterminated-comment',
        { start: this.#at, end: this.#at + 2 },
        'the comment is not closed',
        'end it with `*/`',
      );
    }
    this.#comment(this.#text.slice(this.#at, end), end);
  }

  #comment(text: string, end: number): void {
    const lines = text.includes('\n');
    this.#checkSurrogates(this.#at, end);
    this.#comments.push({
      text,
      span: { start: this.#at, end: this.#at + text.length },
      sameLine: this.#lineEndsSinceToken === 0 && !lines,
      blankLineBefore: this.#lineEnds > 1,
    });
    this.#lineEnds = 0;
    if (lines) this.#lineEndsSinceToken++;
    this.#at = end;
  }

  #name(): void {
    const start = this.#at;
    const name = withoutLastDots(this.#match(NAME));
    this.#at += name.length;
    const quote = this.#text.charAt(this.#at);
    if (/^[uUrR]$/.test(name) && (quote === '"' || quote === "'")) {
      return this.#string(quote, start, /r/i.test(name));
    }
    let kept = name;
    if (name.length > IDENTIFIER_CHARS_MAX) {
      this.#diagnostics.error(
        'limit-exceeded',
        { start, end: this.#at },
        `the name is ${name.length} characters long, at most ${IDENTIFIER_CHARS_MAX} are allowed`,
        'choose a shorter one',
      );
      kept = name.slice(0, IDENTIFIER_CHARS_MAX);
    }
    this.#push('name', kept, start);
  }

  #dot(): void {
    const start = this.#at;
    const before = this.#tokens.at(-1);
    const adjacent = before !== undefined && before.end === start && before.kind !== 'end';
    const ends = adjacent && (before.kind !== 'mark' || before.text === ')' || before.text === ']');
    if (!ends && /[0-9]/.test(this.#text.charAt(start + 1))) return this.#number();
    if (ends || !/[A-Za-z_]/.test(this.#text.charAt(start + 1))) {
      this.#at++;
      return this.#push('mark', '.', start);
    }
    this.#name();
  }

  #number(): void {
    const start = this.#at;
    const whole = this.#match(NUMBER);
    this.#at += whole.length;
    let rest = this.#match(whole.startsWith('.') ? EXPONENT : NUMBER_REST);
    this.#at += rest.length;
    // `1.` is a float as in Congress, but only where a statement cannot end: inside parentheses.
    if (rest === '' && this.#depth > 0 && this.#text[this.#at] === '.' && whole[0] !== '.') {
      this.#at++;
      rest = `.0${this.#match(EXPONENT)}`;
      this.#at += rest.length - 2;
    }
    const word = this.#match(WORD_REST);
    this.#at += word.length;
    const written = this.#text.slice(start, this.#at);
    const isFloat = rest !== '' || whole.startsWith('.');
    const span = { start, end: this.#at };
    if (word !== '') {
      this.#diagnostics.error(
        'bad-number',
        span,
        `\`${written}\` is not a number`,
        numberNote(word),
      );
      return this.#push('int', '0', start);
    }
    if (/^0+[1-9]/.test(whole)) {
      this.#diagnostics.error(
        'bad-number',
        span,
        `the number \`${written}\` has a leading zero`,
        `write \`${written.replace(/^0+/, '')}\``,
      );
      return this.#push('int', '0', start);
    }
    if (isFloat) this.#float(whole + rest, written, start);
    else this.#int(whole, start);
  }

  #float(digits: string, written: string, start: number): void {
    let value = Number(digits);
    if (!Number.isFinite(value)) {
      this.#diagnostics.error(
        'bad-number',
        { start, end: this.#at },
        `\`${written}\` is too large for a float`,
        'floats reach about 1.8e308',
      );
      value = 0;
    }
    this.#push('float', String(value), start);
  }

  #int(digits: string, start: number): void {
    let value = digits.length > 20 ? INT_DIGITS_MAX + 1n : BigInt(digits);
    if (value > INT_DIGITS_MAX) {
      this.#diagnostics.error(
        'bad-number',
        { start, end: this.#at },
        `\`${digits.length > 40 ? `${digits.slice(0, 40)}…` : digits}\` does not fit 64 bits`,
        'ints reach from -9223372036854775808 to 9223372036854775807',
      );
      value = 0n;
    }
    this.#push('int', String(value), start);
  }

  /** At the opening quote; `start` may be before it, at `r` or `u`. */
  #string(quote: string, start: number, raw: boolean): void {
    this.#at++;
    let value = '';
    for (;;) {
      const char = this.#text.charAt(this.#at);
      if (char === '' || char === '\n' || char === '\r') {
        this.#diagnostics.error(
          'unterminated-string',
          { start, end: this.#at },
          'the string is not closed on its line',
          `end it with \`${quote}\`; a line end inside is written \`\\n\``,
        );
        break;
      }
      this.#at++;
      if (char === quote) break;
      if (char === '\\' && !raw) {
        value += this.#escape();
        continue;
      }
      const from = this.#at - 1;
      while (!/["'\\\r\n]/.test(this.#text.charAt(this.#at)) && this.#at < this.#text.length) {
        this.#at++;
      }
      this.#checkSurrogates(from, this.#at);
      value += this.#text.slice(from, this.#at);
    }
    if (exceedsUtf8(value, STRING_BYTES_MAX)) {
      this.#diagnostics.error(
        'limit-exceeded',
        { start, end: this.#at },
        `the string is longer than ${STRING_BYTES_MAX} bytes`,
        'give it as a row of a source, which may be longer, or split it',
      );
      value = '';
    }
    this.#push('string', value, start);
  }

  /** At the character after the backslash. */
  #escape(): string {
    const start = this.#at - 1;
    const char = this.#text.charAt(this.#at);
    const simple = SIMPLE_ESCAPES[char];
    if (simple !== undefined) {
      this.#at++;
      return simple;
    }
    const hex = this.#match(/u(?:[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\})/y);
    if (hex === '') {
      const end = char === '' || char === '\n' || char === '\r' ? this.#at : this.#at + 1;
      this.#diagnostics.error(
        'bad-escape',
        { start, end },
        `\`${printable(this.#text.slice(start, end))}\` is not an escape`,
        'escapes are `\\n \\t \\r \\\\ \\" \\\' \\uXXXX \\u{…}`; a backslash itself is `\\\\`',
      );
      this.#at = end;
      return '';
    }
    this.#at += hex.length;
    let point = Number.parseInt(hex.replace(/[u{}]/g, ''), 16);
    if (isHighSurrogate(point)) {
      const low = Number.parseInt(this.#match(/\\u[0-9A-Fa-f]{4}/y).slice(2), 16);
      if (isLowSurrogate(low)) {
        this.#at += 6;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      }
    }
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      const span = { start, end: this.#at };
      const written = this.#text.slice(start, this.#at);
      if (point > 0x10ffff) {
        const message = `\`${written}\` is beyond U+10FFFF`;
        this.#diagnostics.error('bad-escape', span, message, 'write the code point of a character');
      } else {
        this.#diagnostics.error(
          'lone-surrogate',
          span,
          `\`${written}\` is half of a surrogate pair`,
          'write the character itself or `\\u{…}` with its code point',
        );
      }
      return '';
    }
    return String.fromCodePoint(point);
  }

  /** `{` of `test "…" {`: statements end inside it as outside. */
  #isBlock(): boolean {
    const [test, name] = this.#tokens.slice(-2);
    return test?.kind === 'name' && test.text === 'test' && name?.kind === 'string';
  }

  #mark(char: string): void {
    const start = this.#at;
    const long = LONG_MARKS.find((mark) => this.#text.startsWith(mark, start));
    if (long !== undefined || MARKS.includes(char)) {
      this.#at += long?.length ?? 1;
      if (char === '(' || char === '[' || (char === '{' && !this.#isBlock())) this.#depth++;
      if (char === ')' || char === ']' || char === '}') {
        this.#depth = Math.max(0, this.#depth - 1);
      }
      if (long === '==') {
        const span = { start, end: this.#at };
        this.#diagnostics.error('syntax', span, '`==` is written `=`', 'leave out one of the two');
      }
      return this.#push('mark', long === '==' ? '=' : (long ?? char), start);
    }
    const point = this.#text.codePointAt(start) ?? 0;
    this.#at += point > 0xffff ? 2 : 1;
    if (this.#checkSurrogates(start, this.#at)) return;
    const code = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
    const shown = printable(String.fromCodePoint(point));
    this.#diagnostics.error(
      'unexpected-character',
      { start, end: this.#at },
      shown === '\ufffd'
        ? `unexpected character ${code}`
        : `unexpected character \`${shown}\` (${code})`,
      NOTES[shown] ?? 'take it away; a text is written in quotes',
    );
  }

  /** Reports the first lone surrogate of a range. */
  #checkSurrogates(start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit < 0xd800 || unit >= 0xe000) continue;
      if (isHighSurrogate(unit) && isLowSurrogate(this.#text.charCodeAt(at + 1))) {
        at++;
        continue;
      }
      this.#diagnostics.error(
        'lone-surrogate',
        { start: at, end: at + 1 },
        'the text holds half of a surrogate pair',
        'save the text as UTF-8',
      );
      return true;
    }
    return false;
  }
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

const NOTES: Readonly<Record<string, string>> = {
  '“': 'strings are written with `"` or `\'`',
  '”': 'strings are written with `"` or `\'`',
  '‘': 'strings are written with `"` or `\'`',
  '’': 'strings are written with `"` or `\'`',
  '&': 'literals of a body are joined with `,`',
  '|': 'alternatives are separate rules with the same head',
  '~': 'negation is written `not`',
  '¬': 'negation is written `not`',
  '≠': 'write `!=`',
  '≤': 'write `<=`',
  '≥': 'write `>=`',
};

function withoutLastDots(name: string): string {
  let end = name.length;
  while (name[end - 1] === '.') end--;
  return name.slice(0, end);
}

function numberNote(word: string): string {
  if (/^[xob]/i.test(word)) return 'ints are written in decimal';
  return 'a name starts with a letter, a text is written in quotes';
}
