/**
 * A plan for all queries that differ in constants only. A text is cut into what stays and its
 * numbers and strings, without being parsed; queries whose texts stay alike share a template, into
 * whose plan the values are put.
 *
 *   allow("u1", "read", f)     allow(⟨s⟩, ⟨s⟩, f)     "u1", "read"
 *
 * Which numbers and strings are constants of the body, the compiler says (`parameters`). The
 * others (a column's number, what a function is called with here and now) belong to the template:
 * a text that differs in one of them is compiled by itself.
 */
import { INT_MAX, isWellFormed } from '../value/value.ts';
import type { Value } from '../value/value.ts';
import type { QueryPlan, VersionConstant } from './plan.ts';
import { withOperands } from './stratified.ts';
import type { Operand, StratifiedQuery } from './stratified.ts';
import type { ConstantNode } from './syntax-tree.ts';

export interface CutText {
  /** The text with a mark for each number and string that tells its kind. */
  readonly shape: string;
  readonly literals: readonly CutLiteral[];
}
export interface CutLiteral {
  readonly value: bigint | number | string;
  /** In the text: of its first character, and behind its last one. */
  readonly start: number;
  readonly end: number;
}

/** Longer texts are compiled as they are. */
const CUT_UNITS_MAX = 4096;
/** Blanks, names, strings without escapes, numbers, marks. No comments, no lone dots, no `/`. */
const PIECE =
  /([ \t\r\n\f]+|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*|[()[\]{},;:=<>+\-*%!?@])|"([^"\\\r\n]*)"|'([^'\\\r\n]*)'|((?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])/y;

/** Undefined for a text that is not made of what is simple to tell apart. */
export function cutText(text: string): CutText | undefined {
  if (text.length > CUT_UNITS_MAX) return undefined;
  const literals: CutLiteral[] = [];
  let shape = '';
  PIECE.lastIndex = 0;
  while (PIECE.lastIndex < text.length) {
    const start = PIECE.lastIndex;
    const match = PIECE.exec(text);
    if (match === null) return undefined;
    const [, kept, double, single, digits] = match;
    if (kept !== undefined) {
      shape += kept;
      continue;
    }
    const value = digits === undefined ? (double ?? single ?? '') : numberOf(digits);
    if (value === undefined || (typeof value === 'string' && !isWellFormed(value))) {
      return undefined;
    }
    shape += MARKS[typeof value as keyof typeof MARKS];
    literals.push({ value, start, end: PIECE.lastIndex });
  }
  return { shape, literals };
}

/** Of no text that is cut: control characters are in no piece. */
const MARKS = { string: '\u0001', bigint: '\u0002', number: '\u0003' };

function numberOf(digits: string): bigint | number | undefined {
  if (!/^[0-9]+$/.test(digits)) {
    const value = Number(digits);
    return Number.isFinite(value) ? value : undefined;
  }
  if (digits.length > 19) return undefined;
  const value = BigInt(digits);
  return value > INT_MAX ? undefined : value;
}

/** A parameter and the literal that it takes its value from. */
interface Place {
  readonly parameter: number;
  readonly isNegative: boolean;
}

export class QueryTemplate<Q extends StratifiedQuery> {
  readonly query: Q;
  readonly plan: QueryPlan;
  /** By literal; a value is one that has to be the same. */
  readonly #places: readonly (Place | CutLiteral)[];
  /** By parameter. */
  readonly #values: readonly Value[];

  /** `parameters`: of the query, which was compiled with them. */
  constructor(
    query: Q,
    plan: QueryPlan,
    literals: readonly CutLiteral[],
    parameters: readonly ConstantNode[],
  ) {
    this.query = query;
    this.plan = plan;
    this.#values = parameters.map(({ value }) => value);
    this.#places = literals.map((literal) => placeOf(literal, parameters));
  }

  /** The constants of a text of this shape; undefined for one that differs in more than those. */
  valuesOf(literals: readonly CutLiteral[]): readonly Value[] | undefined {
    const values = [...this.#values];
    for (const [index, { value }] of literals.entries()) {
      const place = this.#places[index] as Place | CutLiteral;
      if ('value' in place) {
        if (place.value !== value) return undefined;
      } else values[place.parameter] = place.isNegative ? negated(value) : value;
    }
    return values;
  }

  /** The plan with other constants. */
  planWith(values: readonly Value[]): QueryPlan {
    const { query, plan } = this;
    const change = (one: Operand): Operand => {
      if (one.kind !== 'constant' || one.parameter === undefined) return one;
      return { kind: 'constant', value: values[one.parameter] as Value };
    };
    const body = query.body.map((literal) => withOperands(literal, change));
    const constant = (one: VersionConstant): VersionConstant =>
      one.parameter === undefined
        ? one
        : { register: one.register, value: values[one.parameter] as Value };
    const versions = plan.versions.map((version) =>
      version.constants.length === 0
        ? version
        : { ...version, constants: version.constants.map(constant) },
    );
    return { ...plan, query: { ...query, body }, versions, template: plan };
  }
}

function placeOf(literal: CutLiteral, parameters: readonly ConstantNode[]): Place | CutLiteral {
  const { value, start, end } = literal;
  const parameter = parameters.findIndex(({ span }) => span.end === end);
  const found = parameters[parameter];
  if (found === undefined) return literal;
  // The sign is part of the constant, and of the shape.
  const isNegative = found.span.start < start;
  return found.value === (isNegative ? negated(value) : value)
    ? { parameter, isNegative }
    : literal;
}

function negated(value: CutLiteral['value']): Value {
  if (typeof value === 'string') return value;
  return typeof value === 'bigint' ? -value : 0 - value;
}
