/**
 * Rules as the planner sees them: over relations instead of tables, without aggregates, negation
 * only of whole rows, and with the steps that reports of failures and of keys need.
 */
import { valueKey } from '../value/value.ts';
import type { Value } from '../value/value.ts';
import { literalOperands } from './stratified.ts';
import type {
  AtomLiteral,
  ComparisonOperator,
  ComputeOperator,
  HeadTerm,
  Literal,
  Operand,
  Rule,
  Term,
} from './stratified.ts';

export interface CoreAtom {
  readonly kind: 'atom';
  readonly relation: number;
  readonly negated: boolean;
  /** Wildcards in positive atoms only, but for queries. */
  readonly terms: readonly Term[];
}

/** By the total order, in which 1 stands before 1.0. */
export type OrderOperator = 'not before' | 'not behind';

export type CoreLiteral =
  | CoreAtom
  | {
      readonly kind: 'comparison';
      readonly operator: ComparisonOperator | OrderOperator;
      readonly left: Operand;
      readonly right: Operand;
    }
  | {
      readonly kind: 'compute';
      readonly operator: ComputeOperator;
      readonly left: Operand;
      readonly right: Operand;
      readonly output: Operand;
    }
  | {
      readonly kind: 'call';
      readonly function: string;
      readonly inputs: readonly Operand[];
      readonly output: Operand;
    }
  | { readonly kind: 'each'; readonly list: Operand; readonly output: Operand }
  /** Two lists of one length: some value is not the one in its place. */
  | {
      readonly kind: 'differ';
      readonly left: readonly Operand[];
      readonly right: readonly Operand[];
    }
  /** These hold where the computation or call fails. */
  | { readonly kind: 'callFails'; readonly function: string; readonly inputs: readonly Operand[] }
  | {
      readonly kind: 'fails';
      readonly operator: ComputeOperator;
      readonly left: Operand;
      readonly right: Operand;
    }
  /** The text of a JSON array of the inputs. */
  | { readonly kind: 'format'; readonly inputs: readonly Operand[]; readonly output: Operand };

export interface CoreRule {
  readonly head: number;
  readonly headTerms: readonly Operand[];
  readonly body: readonly CoreLiteral[];
  readonly variableCount: number;
  /** The rule of the text that it comes from, with the same variables: for people only. */
  readonly source?: Rule;
}

export function constant(value: Value): Operand {
  return { kind: 'constant', value };
}

export function variable(index: number): Operand {
  return { kind: 'variable', index };
}

export function variablesOfTerms(terms: readonly Term[]): number[] {
  // Planning asks for little else: no array in between.
  const found: number[] = [];
  for (const term of terms) if (term.kind === 'variable') found.push(term.index);
  return found;
}

/** Variables of a head's term; of an aggregate those that it ranges over. */
export function variablesOfHead(term: HeadTerm): number[] {
  const terms = term.kind === 'aggregate' ? [term.argument, term.key] : [term];
  return variablesOfTerms(terms.filter((one) => one !== undefined));
}

/** Operands that a literal needs bound before it can run, and those that it may bind. */
export function operandsOf(literal: Exclude<CoreLiteral, CoreAtom>): {
  inputs: readonly Operand[];
  output?: Operand;
} {
  switch (literal.kind) {
    case 'comparison':
    case 'fails':
      return { inputs: [literal.left, literal.right] };
    case 'differ':
      return { inputs: [...literal.left, ...literal.right] };
    case 'compute':
      return { inputs: [literal.left, literal.right], output: literal.output };
    case 'each':
      return { inputs: [literal.list], output: literal.output };
    case 'callFails':
      return { inputs: literal.inputs };
    case 'call':
    case 'format':
      return { inputs: literal.inputs, output: literal.output };
  }
}

/** Terms of a literal of the language that need a place at run time. */
export function variableOrConstant(literal: Literal): readonly Term[] {
  if (literal.kind === 'atom') return literal.terms;
  const { inputs, output } = literalOperands(literal);
  return output === undefined ? inputs : [...inputs, output];
}

/** The literal as it runs, wherever it stands in a text. */
export function withoutPlace(literal: Exclude<Literal, AtomLiteral>): CoreLiteral {
  if (literal.kind === 'comparison') {
    const { operator, left, right } = literal;
    return { kind: 'comparison', operator, left, right };
  }
  if (literal.kind === 'call') {
    const { inputs, output } = literal;
    return { kind: 'call', function: literal.function, inputs, output };
  }
  if (literal.kind === 'each') {
    return { kind: 'each', list: literal.list, output: literal.output };
  }
  const { operator, left, right, output } = literal;
  return { kind: 'compute', operator, left, right, output };
}

export function variablesOf(literal: CoreLiteral): number[] {
  if (literal.kind === 'atom') return variablesOfTerms(literal.terms);
  const { inputs, output } = operandsOf(literal);
  return variablesOfTerms(output === undefined ? inputs : [...inputs, output]);
}

/** The literal with other variables or terms in place of its own. */
export function withTerms<L extends CoreLiteral>(
  literal: L,
  replace: { term: (term: Term) => Term; operand: (operand: Operand) => Operand },
): L;
export function withTerms(
  literal: CoreLiteral,
  { term, operand }: { term: (term: Term) => Term; operand: (operand: Operand) => Operand },
): CoreLiteral {
  switch (literal.kind) {
    case 'atom':
      return { ...literal, terms: literal.terms.map(term) };
    case 'comparison':
    case 'fails':
      return { ...literal, left: operand(literal.left), right: operand(literal.right) };
    case 'differ': {
      const { left, right } = literal;
      return { ...literal, left: left.map(operand), right: right.map(operand) };
    }
    case 'compute': {
      const { left, right, output } = literal;
      return { ...literal, left: operand(left), right: operand(right), output: operand(output) };
    }
    case 'each':
      return { ...literal, list: operand(literal.list), output: operand(literal.output) };
    case 'callFails':
      return { ...literal, inputs: literal.inputs.map(operand) };
    case 'call':
    case 'format':
      return {
        ...literal,
        inputs: literal.inputs.map(operand),
        output: operand(literal.output),
      };
  }
}

/**
 * Text of a definition: equal texts, equal rules. Names and strings carry their length or quotes,
 * values their type, so that no two definitions meet.
 */
export function printDefinition(
  headTerms: readonly Operand[],
  body: readonly CoreLiteral[],
  nameOf: (relation: number) => string,
): string {
  let text = `(${headTerms.map(printTerm).join()})`;
  for (const literal of body) text += `;${printLiteral(literal, nameOf)}`;
  return text;
}

function printLiteral(literal: CoreLiteral, nameOf: (relation: number) => string): string {
  if (literal.kind === 'atom') {
    const name = nameOf(literal.relation);
    const terms = literal.terms.map(printTerm).join();
    return `${literal.negated ? '!' : ''}${name.length}:${name}(${terms})`;
  }
  const operator =
    'operator' in literal ? literal.operator : 'function' in literal ? literal.function : '';
  const { inputs, output } = operandsOf(literal);
  const to = output === undefined ? '' : printTerm(output);
  return `${literal.kind} ${operator} ${inputs.map(printTerm).join()} ${to}`;
}

function printTerm(term: Term): string {
  if (term.kind === 'variable') return `v${term.index}`;
  if (term.kind === 'wildcard') return '_';
  return valueKey(term.value);
}

/**
 * The literals with their variables numbered anew: the outputs first, in the order in which they
 * appear; what appears once and is no output is a wildcard. `columns`: the outputs by new number.
 */
export function canonical(
  literals: readonly CoreLiteral[],
  outputs: readonly number[],
): { body: CoreLiteral[]; columns: number[]; variableCount: number } {
  const occurrences = literals.flatMap(variablesOf);
  const columns = [...new Set(occurrences)].filter((one) => outputs.includes(one));
  const numbers = new Map(columns.map((one, index) => [one, index]));
  const numberOf = (index: number): number => {
    const known = numbers.get(index) ?? numbers.size;
    numbers.set(index, known);
    return known;
  };
  const isOnce = (index: number): boolean =>
    !outputs.includes(index) && occurrences.filter((one) => one === index).length === 1;
  const operand = (one: Operand): Operand =>
    one.kind === 'variable' ? variable(numberOf(one.index)) : one;
  const term = (one: Term): Term => {
    if (one.kind === 'wildcard') return one;
    return one.kind === 'variable' && isOnce(one.index) ? { kind: 'wildcard' } : operand(one);
  };
  const body = literals.map((literal) => withTerms(literal, { term, operand }));
  return { body, columns, variableCount: numbers.size };
}
