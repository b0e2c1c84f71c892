/** Atoms: the name of a table with its owner, arguments by position and by column, `execute[…]`. */
import { ARITY_MAX, IDENTIFIER_CHARS_MAX, NESTING_MAX } from '../limits.ts';
import { ExpressionParser, isComparison, isKeyword } from './expression-parser.ts';
import type { Token } from './lexer.ts';
import type { ArgumentNode, AtomNode, NameNode } from './syntax-tree.ts';

export class AtomParser extends ExpressionParser {
  protected atom(place: 'head' | 'body' | 'modal'): AtomNode {
    const start = this.token.start;
    if (this.token.kind === 'name' && this.isMark('[', 1)) return this.#modalAtom(place);
    const name = this.tableName();
    const sign = this.#sign(place);
    const args: ArgumentNode[] = [];
    if (this.isMark('(')) {
      this.nest(this.advance());
      if (!this.isMark(')')) args.push(this.#argument());
      while (!this.isMark(')')) {
        this.expect(',', 'between arguments');
        args.push(this.#argument());
      }
      this.advance();
      this.depth--;
    }
    const span = { start, end: this.previousEnd };
    if (args.length > ARITY_MAX) {
      const message = arityMessage(name.name, args.length);
      this.fail('limit-exceeded', name.span, message, ARITY_NOTE);
    }
    this.#checkArguments(args);
    return { name, ...(sign === undefined ? {} : { sign }), arguments: args, span };
  }

  /** In a body `p+(x)` is an atom only where `signedAtomAt` says so; `p + (x)` is a sum. */
  #sign(place: 'head' | 'body' | 'modal'): '+' | '-' | undefined {
    if (!this.isMark('+') && !this.isMark('-')) return undefined;
    if (place === 'modal') {
      const message = 'an action has no effect on another one';
      this.fail('action-policy', this.span(), message, 'leave out the sign');
    }
    if (place === 'body' && !this.signedAtomAt(0)) return undefined;
    return this.advance().text as '+' | '-';
  }

  /** `+(…)` or `-(…)` after which a literal ends: what an action adds or takes away. */
  protected signedAtomAt(distance: number): boolean {
    if (!this.isMark('+', distance) && !this.isMark('-', distance)) return false;
    if (!this.isMark('(', distance + 1)) return false;
    let open = 0;
    for (let at = distance + 1; ; at++) {
      const token = this.peek(at);
      if (token.kind === 'end' || open > NESTING_MAX) return false;
      if (token.kind !== 'mark') continue;
      if (token.text === '(') open++;
      if (token.text === ')' && --open === 0) return this.#endsLiteral(at + 1);
    }
  }

  #endsLiteral(distance: number): boolean {
    const token = this.peek(distance);
    if (token.kind !== 'mark') return true;
    return ['.', ';', ',', '?', ')', '@'].includes(token.text);
  }

  #modalAtom(place: 'head' | 'body' | 'modal'): AtomNode {
    const modal = this.advance();
    const span = { start: modal.start, end: modal.end };
    if (modal.text !== 'execute' || place === 'modal') {
      const known = ['execute', 'insert', 'delete'].includes(modal.text);
      this.fail(
        'misplaced-modal',
        span,
        known && place === 'modal'
          ? `\`${modal.text}[…]\` cannot stand inside another one`
          : `\`${modal.text}[…]\` cannot stand here`,
        'the only one is `execute[service:action(…)]`, as the head of a rule',
      );
    }
    this.advance();
    const atom = this.atom('modal');
    this.expect(']', 'to close `execute[`');
    return { ...atom, modal: 'execute', span: { start: modal.start, end: this.previousEnd } };
  }

  #argument(): ArgumentNode {
    const start = this.token.start;
    let column: string | number | undefined;
    if ((this.token.kind === 'name' || this.token.kind === 'int') && this.isMark('=', 1)) {
      const token = this.advance();
      column = token.kind === 'int' ? Number(token.text) : token.text;
      this.advance();
    }
    const value = this.expression();
    if (isComparison(this.token)) {
      this.fail(
        'syntax',
        this.span(),
        'a comparison cannot be an argument',
        'write it as a literal of the body',
      );
    }
    const span = { start, end: this.previousEnd };
    return column === undefined ? { value, span } : { column, value, span };
  }

  #checkArguments(args: readonly ArgumentNode[]): void {
    const seen = new Set<string | number>();
    const positional = args.findIndex((one) => one.column !== undefined);
    for (const { column, span } of args.slice(Math.max(positional, 0))) {
      if (positional < 0) return;
      if (column === undefined) {
        const message = 'an argument by position stands after a column reference';
        this.fail('column-arguments', span, message, 'write the arguments by position first');
      }
      const shown = typeof column === 'number' ? `number ${column}` : `\`${column}\``;
      if (seen.has(column)) {
        const message = `column ${shown} is given twice`;
        this.fail('column-arguments', span, message, 'keep one of them');
      }
      if (typeof column === 'number' && column < positional) {
        const message = `column ${shown} is already given by position`;
        this.fail('column-arguments', span, message, 'columns are numbered from 0');
      }
      seen.add(column);
    }
  }

  protected tableName(): NameNode {
    if (this.token.kind !== 'name') {
      this.failExpected('a table', 'a table is written `name(x, y)`, a comparison `x < y`');
    }
    const parts = [this.#namePart()];
    const start = parts[0]?.start ?? 0;
    while (this.isMark(':')) {
      this.advance();
      if (this.token.kind !== 'name') {
        this.failExpected('a table after `:`', 'write its name, as in `policy:table(x)`');
      }
      parts.push(this.#namePart());
    }
    const span = { start, end: this.previousEnd };
    if (span.end - span.start > 2 * IDENTIFIER_CHARS_MAX && parts.length > 2) {
      const message = `the name has ${parts.length} parts and is too long`;
      this.fail('limit-exceeded', span, message, `at most ${2 * IDENTIFIER_CHARS_MAX} characters`);
    }
    const [first, ...rest] = parts.map((part) => part.text);
    if (rest.length === 0) return { name: first ?? '', span };
    return { owner: first ?? '', name: rest.join(':'), span };
  }

  #namePart(): Token {
    if (isKeyword(this.token)) {
      this.fail(
        'reserved-name',
        this.span(),
        `\`${this.token.text}\` is a word of the language, not a name`,
        this.token.text === 'execute'
          ? 'actions are written `execute[service:action(…)]`'
          : 'choose another name',
      );
    }
    return this.advance();
  }
}

export const ARITY_NOTE = 'split it into several tables that share a key';

export function arityMessage(name: string, count: number): string {
  return `\`${name}\` has ${count} columns, at most ${ARITY_MAX} are allowed`;
}
