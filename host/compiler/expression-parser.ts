/**
 * Expressions: variables, constants, signs, `+ - * / %` and parentheses; and the comparison
 * signs.
 */
import { EXPRESSION_OPERATORS_MAX, NESTING_MAX } from '../limits.ts';
import { INT_MAX } from '../value/value.ts';
import type { Token } from './lexer.ts';
import type {
  BinaryNode,
  ConstantNode,
  DocumentNode,
  ExpressionNode,
  ListNode,
} from './syntax-tree.ts';
import type { ComparisonOperator, ComputeOperator } from './stratified.ts';
import { TokenReader } from './token-reader.ts';

const COMPARISONS = new Set(['=', '!=', '<', '<=', '>', '>=']);
const KEYWORDS = new Set(['not', 'NOT', 'execute', 'insert', 'delete']);
const VALUES: ReadonlyMap<string, ConstantNode['value']> = new Map<string, ConstantNode['value']>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

export function isComparison(token: Token): boolean {
  return token.kind === 'mark' && COMPARISONS.has(token.text);
}

export function isKeyword(token: Token): boolean {
  return token.kind === 'name' && KEYWORDS.has(token.text);
}

export class ExpressionParser extends TokenReader {
  /** Open parentheses, signs and negations around the current token. */
  protected depth = 0;
  #operators = 0;

  protected nest(token: Token): void {
    this.depth++;
    if (this.depth > NESTING_MAX) {
      this.fail(
        'limit-exceeded',
        { start: token.start, end: token.end },
        `more than ${NESTING_MAX} levels of nesting`,
        'bind a part to a variable of its own: `y = …`',
      );
    }
  }

  protected comparison(): ComparisonOperator {
    return this.advance().text as ComparisonOperator;
  }

  /**
   * At `(`: whether a comparison or negation stands directly inside, so that it is no expression.
   */
  protected comparisonInParentheses(): boolean {
    let open = 0;
    for (let distance = 0; ; distance++) {
      const token = this.peek(distance);
      if (token.kind === 'end' || this.isMark('.', distance) || this.isMark(';', distance)) {
        return false;
      }
      if (token.kind === 'mark' && token.text === '(' && ++open > NESTING_MAX) return false;
      if (token.kind === 'mark' && token.text === ')' && --open === 0) return false;
      if (open === 1 && (isComparison(token) || this.isMark('!', distance))) return true;
      if (open === 1 && token.kind === 'name' && /^(not|NOT)$/.test(token.text)) return true;
    }
  }

  protected expression(): ExpressionNode {
    this.#operators = 0;
    return this.#sum();
  }

  #sum(): ExpressionNode {
    let left = this.#product();
    while (this.isMark('+') || this.isMark('-')) left = this.#binary(left, () => this.#product());
    return left;
  }

  #product(): ExpressionNode {
    let left = this.#signed();
    while (this.isMark('*') || this.isMark('/') || this.isMark('%')) {
      left = this.#binary(left, () => this.#signed());
    }
    return left;
  }

  #binary(left: ExpressionNode, operand: () => ExpressionNode): BinaryNode {
    const token = this.advance();
    this.#operators++;
    if (this.#operators > EXPRESSION_OPERATORS_MAX) {
      this.fail(
        'limit-exceeded',
        { start: token.start, end: token.end },
        `the expression has more than ${EXPRESSION_OPERATORS_MAX} operators`,
        'bind a part to a variable of its own: `y = …`',
      );
    }
    const operator = token.text as ComputeOperator;
    const right = operand();
    const span = { start: left.span.start, end: this.previousEnd };
    return { kind: 'binary', operator, left, right, span };
  }

  #signed(): ExpressionNode {
    if (!this.isMark('-')) return this.#primary();
    const sign = this.advance();
    if (this.token.kind === 'int' || this.token.kind === 'float') return this.#number(sign);
    this.nest(sign);
    const operand = this.#signed();
    this.depth--;
    return { kind: 'negate', operand, span: { start: sign.start, end: this.previousEnd } };
  }

  #number(sign?: Token): ConstantNode {
    const token = this.advance();
    const span = { start: sign?.start ?? token.start, end: token.end };
    if (token.kind === 'float') {
      const value = Number(token.text);
      return { kind: 'constant', value: sign === undefined || value === 0 ? value : -value, span };
    }
    const value = BigInt(token.text);
    if (sign !== undefined) return { kind: 'constant', value: -value, span };
    if (value <= INT_MAX) return { kind: 'constant', value, span };
    this.diagnostics.error(
      'bad-number',
      span,
      `\`${token.text}\` does not fit 64 bits`,
      'ints reach from -9223372036854775808 to 9223372036854775807',
    );
    return { kind: 'constant', value: 0n, span };
  }

  #primary(): ExpressionNode {
    const token = this.token;
    if (token.kind === 'int' || token.kind === 'float') return this.#number();
    if (token.kind === 'string') {
      this.advance();
      return { kind: 'constant', value: token.text, span: { start: token.start, end: token.end } };
    }
    if (token.kind === 'name') return this.#named();
    if (this.isMark('[')) return this.#list();
    if (this.isMark('{')) return this.#document();
    if (!this.isMark('(')) {
      this.failExpected('a value', 'write a variable, a constant or an expression');
    }
    this.nest(this.advance());
    const inner = this.#sum();
    if (isComparison(this.token)) {
      const note = 'write it as a literal of its own';
      this.fail('not-a-value', this.span(), 'a comparison is not a value', note);
    }
    this.expect(')', 'to close the parenthesis');
    this.depth--;
    return inner;
  }

  #named(): ExpressionNode {
    if (isKeyword(this.token)) {
      this.fail(
        'reserved-name',
        this.span(),
        `\`${this.token.text}\` is a word of the language, not a value`,
        'choose another name; a text is written in quotes',
      );
    }
    const token = this.advance();
    const span = { start: token.start, end: token.end };
    if (this.isMark(':') || this.isMark('[')) {
      this.fail(
        'not-a-value',
        { start: token.start, end: this.token.end },
        'a table is not a value',
        'write it as a literal of the body',
      );
    }
    if (this.isMark('(')) return this.#call(token);
    if (token.text === '_') return { kind: 'wildcard', span };
    const value = VALUES.get(token.text);
    if (value !== undefined) return { kind: 'constant', value, span };
    return { kind: 'variable', name: token.text, span };
  }

  #list(): ListNode {
    const { start } = this.token;
    const items: ExpressionNode[] = [];
    this.#separated(']', 'between the items of a list', () => items.push(this.#sum()));
    return { kind: 'list', items, span: { start, end: this.previousEnd } };
  }

  #document(): DocumentNode {
    const { start } = this.token;
    const members: { name: string; value: ExpressionNode }[] = [];
    this.#separated('}', 'between the members of a document', () => {
      if (this.token.kind !== 'string') {
        this.failExpected('a name in quotes', 'a document is written `{"name": value}`');
      }
      const span = this.span();
      const name = this.advance().text;
      if (members.some((one) => one.name === name)) {
        const message = `the name \`${name}\` stands twice in one document`;
        this.fail('syntax', span, message, 'keep one of them');
      }
      this.expect(':', 'behind a name');
      members.push({ name, value: this.#sum() });
    });
    return { kind: 'document', members, span: { start, end: this.previousEnd } };
  }

  /** From an opening mark to the closing one. */
  #separated(close: string, where: string, part: () => void): void {
    this.nest(this.advance());
    if (!this.isMark(close)) part();
    while (!this.isMark(close)) {
      this.expect(',', where);
      part();
    }
    this.advance();
    this.depth--;
  }

  /** At a name and `(`: whether an operator or a comparison follows the closing `)`. */
  protected callIsOperand(): boolean {
    let open = 0;
    for (let distance = 1; ; distance++) {
      const token = this.peek(distance);
      if (token.kind === 'end') return false;
      if (token.kind !== 'mark') continue;
      if ('([{'.includes(token.text)) open++;
      else if (')]}'.includes(token.text) && --open === 0) {
        const next = this.peek(distance + 1);
        return isComparison(next) || (next.kind === 'mark' && '+-*/%'.includes(next.text));
      }
    }
  }

  #call(name: Token): ExpressionNode {
    const args: ExpressionNode[] = [];
    this.#separated(')', 'between arguments', () => args.push(this.#sum()));
    const span = { start: name.start, end: this.previousEnd };
    return { kind: 'call', name: name.text, arguments: args, span };
  }
}
