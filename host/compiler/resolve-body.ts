/**
 * Literals of a body as written → literals over numbered variables. Expressions become
 * computations with temporaries `$1`, `$2` …, builtins become comparisons and computations,
 * column references positions, `true` nothing and `false` a comparison that never holds.
 */
import { functionNamed } from '../functions/registry.ts';
import { BODY_LITERALS_MAX } from '../limits.ts';
import {
  BUILTINS,
  CALLABLE_NAMES,
  isBuiltinName,
  isFunctionCall,
  NEGATED,
  systemAtom,
  tableMisuse,
} from './builtins.ts';
import type { Builtin } from './builtins.ts';
import { plainAtom } from './declare.ts';
import { checkConstant } from './check-constant.ts';
import { CallResolver, constantOf } from './resolve-call.ts';
import type { DiagnosticList } from './diagnostic.ts';
import { isFunctionAtom } from './function-atoms.ts';
import { nearestName } from './nearest-name.ts';
import { refuseCall } from './refuse-call.ts';
import { printLiteral, printName } from './printer.ts';
import type { Span } from './source-text.ts';
import type {
  Column,
  ComparisonOperator,
  ComputeOperator,
  Constant,
  Literal,
  Operand,
  Term,
  Variable,
} from './stratified.ts';
import type {
  AtomNode,
  BinaryNode,
  ConstantNode,
  ExpressionNode,
  LiteralNode,
  NegateNode,
} from './syntax-tree.ts';

/** A table as an atom sees it. */
export interface ScopeTable {
  readonly index: number;
  readonly arity: number;
  readonly columns: readonly Column[] | undefined;
  /** Nobody owns it yet: it is empty, so any column will do for a column reference. */
  readonly unresolved: boolean;
}

/** The tables that a body may mention. */
export interface TableScope {
  /** Whether a bare name that is also a function means a table of the policy. */
  hasTable(name: string): boolean;
  /** Undefined once the reason is reported. */
  table(atom: AtomNode): ScopeTable | undefined;
  /** Reports a wrong number of arguments. */
  wrongArity(atom: AtomNode, table: ScopeTable, found: number): void;
}

/** A use of a named variable in the text. */
export interface Occurrence {
  readonly variable: number;
  readonly span: Span;
}

const FALSE: Constant = { kind: 'constant', value: false };
const TRUE: Constant = { kind: 'constant', value: true };
const ZERO: Constant = { kind: 'constant', value: 0n };

export class BodyResolver {
  readonly variables: string[] = [];
  readonly occurrences: Occurrence[] = [];
  readonly literals: Literal[] = [];
  /**
   * Variables of literals that are in error: taken as bound, so that one mistake is one
   * diagnostic.
   */
  readonly assumedBound = new Set<number>();
  /**
   * Where another value of the same kind may stand: arguments of tables and sides of comparisons.
   * Filled if the constants are parameters.
   */
  readonly parameters: ConstantNode[] = [];
  readonly #areParameters: boolean;
  readonly #scope: TableScope;
  readonly #diagnostics: DiagnosticList;
  readonly #indexes = new Map<string, number>();
  #temporaries = 0;
  readonly calls: CallResolver;
  /** The literal of the text that is being resolved. */
  #text: () => string = () => '';
  #span: Span = { start: 0, end: 0 };

  constructor(scope: TableScope, diagnostics: DiagnosticList, areParameters = false) {
    this.#areParameters = areParameters;
    this.#scope = scope;
    this.#diagnostics = diagnostics;
    this.calls = new CallResolver(this, diagnostics);
  }

  /** Where what is being resolved stands, and how it is told of. */
  get place(): { readonly span: Span; readonly text: string } {
    return { span: this.#span, text: this.#text() };
  }

  body(nodes: readonly LiteralNode[]): void {
    for (const node of nodes) this.#literal(node, nodes);
    if (this.literals.length > BODY_LITERALS_MAX) {
      this.#diagnostics.error(
        'limit-exceeded',
        this.#span,
        `the body has ${this.literals.length} literals with those of its expressions, at most ` +
          `${BODY_LITERALS_MAX} are allowed`,
        'move some of them into a rule of their own',
      );
    }
  }

  #literal(node: LiteralNode, body: readonly LiteralNode[]): void {
    this.within(node.span, () => printLiteral(node));
    if (node.kind === 'comparison') {
      const operator = node.negated ? NEGATED[node.operator] : node.operator;
      return this.#comparison(operator, node.left, node.right);
    }
    const { negated } = node;
    const atom = plainAtom(node.atom);
    const { owner, name } = atom.name;
    if (owner === undefined && atom.modal === undefined) {
      if (name === 'true' || name === 'false')
        return this.#truth(atom, (name === 'true') !== negated);
      if (name === 'null') {
        return this.#diagnostics.error(
          'reserved-name',
          atom.span,
          '`null` is a value, not a table',
          'compare with it: `x = null`',
        );
      }
    }
    if (
      owner === 'builtin' ||
      (owner === undefined && !atom.modal && this.#isBuiltin(atom, body))
    ) {
      return this.#builtin(atom, negated);
    }
    this.#atom(atom, negated);
  }

  #isBuiltin(atom: AtomNode, body: readonly LiteralNode[]): boolean {
    if (isBuiltinName(atom.name.name)) return true;
    return isFunctionAtom(atom, body, (name) => this.#scope.hasTable(name));
  }

  /** Computations that follow come from this place of the text. */
  within(span: Span, text: () => string): void {
    this.#span = span;
    this.#text = text;
  }

  variable(name: string, span: Span): Variable {
    let index = this.#indexes.get(name);
    if (index === undefined) {
      index = this.variables.push(name) - 1;
      this.#indexes.set(name, index);
    }
    this.occurrences.push({ variable: index, span });
    return { kind: 'variable', index };
  }

  temporary(): Variable {
    this.#temporaries++;
    return { kind: 'variable', index: this.variables.push(`$${this.#temporaries}`) - 1 };
  }

  /** Stands for what is in error. */
  assumed(): Variable {
    const variable = this.temporary();
    this.assumedBound.add(variable.index);
    return variable;
  }

  /** The value of an expression, as a variable or a constant; its computations join the body. */
  operand(node: ExpressionNode): Operand {
    switch (node.kind) {
      case 'variable':
        return this.variable(node.name, node.span);
      case 'constant':
        return { kind: 'constant', value: node.value };
      case 'negate':
      case 'binary': {
        // Numbered when the outermost operation is reached last, so that they read from inside out.
        const inputs = this.#inputs(node);
        const output = this.temporary();
        this.#compute(inputs, output);
        return output;
      }
      case 'wildcard':
        this.#diagnostics.error(
          'misplaced-wildcard',
          node.span,
          '`_` has no value',
          'give the variable a name',
        );
        return this.assumed();
      case 'list':
      case 'document':
        return this.calls.literal(node);
      case 'call':
        if (isFunctionCall(node)) return this.calls.value(node);
        refuseCall(this.#diagnostics, node);
        return this.assumed();
    }
  }

  /** The same, and a constant by itself is a parameter where constants are. */
  #parameter(node: ExpressionNode): Operand {
    if (!this.#areParameters || node.kind !== 'constant') return this.operand(node);
    const parameter = this.parameters.push(node) - 1;
    return { kind: 'constant', value: node.value, parameter };
  }

  /** An operand as a variable, for places that take no constant. */
  asVariable(node: ExpressionNode): Variable {
    const operand = this.operand(node);
    if (operand.kind === 'variable') return operand;
    const left = this.temporary();
    this.push({ kind: 'comparison', operator: '=', left, right: operand, span: this.#span });
    return left;
  }

  #inputs(node: BinaryNode | NegateNode): [ComputeOperator, Operand, Operand] {
    if (node.kind === 'negate') return ['-', ZERO, this.operand(node.operand)];
    return [node.operator, this.operand(node.left), this.operand(node.right)];
  }

  #compute([operator, left, right]: [ComputeOperator, Operand, Operand], output: Operand): void {
    const text = this.#text();
    this.push({ kind: 'compute', operator, left, right, output, text, span: this.#span });
  }

  push(literal: Literal): void {
    this.literals.push(literal);
  }

  #truth(atom: AtomNode, holds: boolean): void {
    if (atom.arguments.length > 0) {
      const { name } = atom.name;
      const message = `\`${name}\` takes no arguments`;
      this.#diagnostics.error('arity', atom.span, message, `write \`${name}\``);
    }
    if (!holds) this.never();
  }

  never(): void {
    this.push({ kind: 'comparison', operator: '=', left: TRUE, right: FALSE, span: this.#span });
  }

  /** `x = y + z` computes into `x` directly, without a temporary. */
  #comparison(operator: ComparisonOperator, left: ExpressionNode, right: ExpressionNode): void {
    if (operator === '=') {
      for (const [one, other] of [
        [left, right],
        [right, left],
      ] as const) {
        if (other.kind !== 'call' || !isFunctionCall(other)) continue;
        if (constantOf(other) !== undefined) continue;
        return this.calls.valueInto(other, this.operand(one));
      }
      if (right.kind === 'binary' || right.kind === 'negate') {
        const output = this.operand(left);
        return this.#compute(this.#inputs(right), output);
      }
      if (left.kind === 'binary' || left.kind === 'negate') {
        const inputs = this.#inputs(left);
        return this.#compute(inputs, this.operand(right));
      }
    }
    const leftOperand = this.#parameter(left);
    const rightOperand = this.#parameter(right);
    this.push({
      kind: 'comparison',
      operator,
      left: leftOperand,
      right: rightOperand,
      span: this.#span,
    });
  }

  #builtin(atom: AtomNode, negated: boolean): void {
    const { name } = atom.name;
    const table = systemAtom(atom);
    if (table !== undefined) {
      const misuse = tableMisuse(atom);
      if (misuse === undefined) return this.#atom(table, negated);
      this.assumeBound(atom);
      return this.#diagnostics.error(misuse.code, atom.span, misuse.message, misuse.note);
    }
    const builtin = BUILTINS.get(name);
    if (builtin === undefined) {
      const definition = functionNamed(name);
      if (definition === undefined) return this.#unknownBuiltin(atom);
      return this.calls.table(atom, definition, negated);
    }
    const inputs = atom.arguments.map((one) => one.value);
    const [first, second, third] = inputs;
    const fits = inputs.length === builtin.arity && first !== undefined && second !== undefined;
    if (!fits || atom.arguments.some((one) => one.column !== undefined)) {
      const shape = builtin.kind === 'comparison' ? 'two inputs' : 'two inputs and an output';
      this.assumeBound(atom);
      return this.#diagnostics.error(
        'arity',
        atom.span,
        fits
          ? `the builtin \`${name}\` has no named columns`
          : `the builtin \`${name}\` takes ${builtin.arity} arguments, found ${inputs.length}`,
        `its arguments are ${shape}`,
      );
    }
    this.#applyBuiltin(builtin, first, second, third, negated);
  }

  #applyBuiltin(
    builtin: Builtin,
    first: ExpressionNode,
    second: ExpressionNode,
    third: ExpressionNode | undefined,
    negated: boolean,
  ): void {
    if (builtin.kind === 'comparison') {
      const operator = negated ? NEGATED[builtin.operator] : builtin.operator;
      return this.#comparison(operator, first, second);
    }
    const left = this.operand(first);
    const right = this.operand(second);
    if (third === undefined) return;
    const ignored = third.kind === 'wildcard';
    if (!negated) {
      const output = ignored ? this.temporary() : this.operand(third);
      return this.#compute([builtin.operator, left, right], output);
    }
    // Computed first, then compared: a failed call has no solution, negated or not.
    const output = this.temporary();
    this.#compute([builtin.operator, left, right], output);
    if (ignored) return this.never();
    const expected = this.operand(third);
    this.push({
      kind: 'comparison',
      operator: '!=',
      left: output,
      right: expected,
      span: this.#span,
    });
  }

  #unknownBuiltin(atom: AtomNode): void {
    this.assumeBound(atom);
    const { name } = atom.name;
    const nearest = nearestName(name, CALLABLE_NAMES);
    this.#diagnostics.error(
      'unknown-builtin',
      atom.name.span,
      `there is no builtin \`${name}\``,
      nearest === undefined
        ? 'the manual lists those that there are (docs/LANGUAGE.md)'
        : `did you mean \`builtin:${nearest}\`?`,
    );
  }

  assumeBound(atom: AtomNode): void {
    for (const { value } of atom.arguments) {
      if (value.kind === 'variable') {
        this.assumedBound.add(this.variable(value.name, value.span).index);
      }
    }
  }

  #atom(atom: AtomNode, negated: boolean): void {
    const table = this.#scope.table(atom);
    if (table === undefined) return this.assumeBound(atom);
    const places = this.places(atom, table);
    if (places === undefined) return this.assumeBound(atom);
    const terms = Array.from({ length: table.arity }, (): Term => ({ kind: 'wildcard' }));
    atom.arguments.forEach(({ value }, index) => {
      const place = places[index] ?? 0;
      if (value.kind === 'wildcard') return;
      const term = this.#parameter(value);
      terms[place] = term;
      if (term.kind === 'constant') {
        const column = table.columns?.[place];
        const shown = printName(atom.name);
        checkConstant(this.#diagnostics, term.value, value.span, shown, column);
      }
    });
    this.push({ kind: 'atom', table: table.index, negated, terms, span: this.#span });
  }

  /** Argument → column; undefined once the reason is reported. */
  places(atom: AtomNode, table: ScopeTable): number[] | undefined {
    const args = atom.arguments;
    const positional = args.filter((one) => one.column === undefined).length;
    if (positional === args.length) {
      if (positional === table.arity) return args.map((_, index) => index);
      this.#scope.wrongArity(atom, table, positional);
      return undefined;
    }
    if (table.columns === undefined) return this.#undeclaredPlaces(atom, table, positional);
    if (positional > table.arity) {
      this.#scope.wrongArity(atom, table, positional);
      return undefined;
    }
    const places: number[] = [];
    for (const [index, { column, span }] of args.entries()) {
      const place = this.#place(atom, table, table.columns, column ?? index, span);
      if (place === undefined) return undefined;
      if (places.includes(place)) {
        this.#diagnostics.error(
          'column-arguments',
          span,
          `column \`${table.columns[place]?.name ?? place}\` is already given`,
          'give each column once, by position, name or number',
        );
        return undefined;
      }
      places.push(place);
    }
    return places;
  }

  #place(
    atom: AtomNode,
    table: ScopeTable,
    columns: readonly Column[],
    column: string | number,
    span: Span,
  ): number | undefined {
    const shown = printName(atom.name);
    if (typeof column === 'number') {
      if (column < table.arity) return column;
      this.#diagnostics.error(
        'unknown-column',
        span,
        `\`${shown}\` has no column number ${column}`,
        `it has ${table.arity} columns, numbered from 0`,
      );
      return undefined;
    }
    const place = columns.findIndex((one) => one.name === column);
    if (place >= 0) return place;
    const names = columns.map((one) => one.name);
    const nearest = nearestName(column, names);
    const listed = names
      .slice(0, 20)
      .map((name) => `\`${name}\``)
      .join(', ');
    this.#diagnostics.error(
      'unknown-column',
      span,
      `\`${shown}\` has no column \`${column}\``,
      nearest === undefined ? `its columns are ${listed}` : `did you mean \`${nearest}\`?`,
    );
    return undefined;
  }

  #undeclaredPlaces(atom: AtomNode, table: ScopeTable, positional: number): number[] | undefined {
    const shown = printName(atom.name);
    if (!table.unresolved) {
      this.#diagnostics.error(
        'undeclared-columns',
        atom.span,
        `the columns of \`${shown}\` have no names: it is not declared`,
        `declare it: \`table ${shown}(…)\` with the names of its columns`,
      );
      return undefined;
    }
    if (atom.arguments.length > table.arity) {
      this.#scope.wrongArity(atom, table, atom.arguments.length);
      return undefined;
    }
    let next = positional;
    return atom.arguments.map((one, index) => (one.column === undefined ? index : next++));
  }
}
