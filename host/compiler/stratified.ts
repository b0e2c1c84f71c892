/**
 * The output of the front end: names resolved, safe, stratified. Input of `lower.ts`, of the naive
 * reference evaluator and of nothing else. Variables are numbers, local to their rule.
 *
 * Guaranteed here and not checked again behind: arities agree, every rule is safe (an order of the
 * body exists in which each negated atom and comparison has its variables bound, each computation
 * its inputs), strata are in dependency order, negation and aggregation never stay inside a
 * stratum, but for `min` or `max` where it is monotone.
 */
import { isOpenType } from '../value/column-type.ts';
import type { ColumnType } from '../value/column-type.ts';
import type { Value } from '../value/value.ts';
import type { PolicyInfo, RuleMetadata } from './policy-info.ts';
import type { Span } from './source-text.ts';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** The key columns together tell rows apart: see `keyColumns`. Never null. */
  readonly key?: true;
  /** null is a value of the column; of `any` it always is. */
  readonly nullable?: true;
  readonly description?: string;
}

/** Whether null is a value of the column. */
export function isNullable(column: Column | undefined): boolean {
  if (column === undefined || column.nullable === true) return true;
  return isOpenType(column.type) && column.key !== true;
}

export interface Table {
  /** Policy, source or, for actions, `execute`. */
  readonly owner: string;
  /** Name without owner; for actions `service:action`. */
  readonly name: string;
  readonly arity: number;
  readonly columns?: readonly Column[];
  readonly description?: string;
  /** Declared so: its rows are computed when they are asked for, where that can be. */
  readonly onDemand?: true;
  /** `unresolved`: named by a rule, nobody owns it yet; empty until it binds. */
  readonly kind: 'policy' | 'source' | 'execute' | 'system' | 'unresolved';
}

/** `owner:name`; the identity of a table. */
export type TableKey = string;

export interface Variable {
  readonly kind: 'variable';
  readonly index: number;
}
export interface Constant {
  readonly kind: 'constant';
  readonly value: Value;
  /** Of a query whose plan serves for other values in its place: nothing may depend on this one. */
  readonly parameter?: number;
}
/**
 * `_` and columns that a column reference leaves out: matches anything, existential inside `not`.
 */
export interface Wildcard {
  readonly kind: 'wildcard';
}
export type Operand = Variable | Constant;
export type Term = Operand | Wildcard;

export type AggregateFunction =
  | 'count'
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'argmin'
  | 'argmax'
  | 'collect';
export interface Aggregate {
  readonly kind: 'aggregate';
  readonly function: AggregateFunction;
  /**
   * Never there for `count`, which counts the distinct solutions of the rule's named variables;
   * always for the others. May be a temporary: a function of named variables.
   */
  readonly argument?: Variable;
  /** What `argmin` and `argmax` compare; of nothing else. */
  readonly key?: Variable;
}
export type HeadTerm = Operand | Aggregate;

export interface AtomLiteral {
  readonly kind: 'atom';
  readonly table: number;
  readonly negated: boolean;
  readonly terms: readonly Term[];
  readonly span: Span;
}
/**
 * `=` and `!=` are identity of type and value; the others compare by the total order, numbers by
 * value.
 */
export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>=';
export interface ComparisonLiteral {
  readonly kind: 'comparison';
  /** `=` with one side unbound binds it. */
  readonly operator: ComparisonOperator;
  readonly left: Operand;
  readonly right: Operand;
  readonly span: Span;
}
export type ComputeOperator = '+' | '-' | '*' | '/' | '%';
/**
 * `output = left operator right`. A bound output is compared. May fail: overflow, division by
 * zero, no number.
 */
export interface ComputeLiteral {
  readonly kind: 'compute';
  readonly operator: ComputeOperator;
  readonly left: Operand;
  readonly right: Operand;
  readonly output: Operand;
  /** The literal of the text it comes from, as printed; shown in `system:errors`. */
  readonly text: string;
  readonly span: Span;
}
/**
 * `output = function(inputs)`, of a function of `host/functions`. A bound output is compared. May
 * fail.
 */
export interface CallLiteral {
  readonly kind: 'call';
  readonly function: string;
  readonly inputs: readonly Operand[];
  readonly output: Operand;
  /** Never fails where its inputs are what the literals before it give. */
  readonly isSafe: boolean;
  /** As of a computation. */
  readonly text: string;
  readonly span: Span;
}
/** `output` is each item of `list` by turns, which is the output of a call that gives lists. */
export interface EachLiteral {
  readonly kind: 'each';
  readonly list: Operand;
  readonly output: Operand;
  readonly span: Span;
}
export type Literal = AtomLiteral | ComparisonLiteral | ComputeLiteral | CallLiteral | EachLiteral;

export interface Rule {
  readonly policy: string;
  /** Position of the rule in its policy, from 1: the `rule` column of `system:errors`. */
  readonly ordinal: number;
  /** The rule as printed by `printer.ts`. */
  readonly text: string;
  readonly metadata?: RuleMetadata;
  readonly head: number;
  readonly headTerms: readonly HeadTerm[];
  /** In an order in which each literal finds its inputs bound; as written otherwise. */
  readonly body: readonly Literal[];
  /**
   * Index → name. Temporaries of flattened expressions are named `$1`, `$2` … and are not "named
   * variables".
   */
  readonly variables: readonly string[];
  readonly span: Span;
}

/** Tables that depend on their own `min` or `max`: each has one row a group, the best of all. */
export interface BestTables {
  readonly function: 'min' | 'max';
  /** Table → the column of its value; all others make the group. */
  readonly columns: ReadonlyMap<number, number>;
}

export interface Stratum {
  /** Tables defined here; a single table unless they depend on each other. */
  readonly tables: readonly number[];
  readonly recursive: boolean;
  /**
   * Recursion through a best value. All rules and base rows of the tables are gathered, a head
   * without an aggregate counts like one with it; a value that is better than one of those that it
   * is computed from counts for nothing.
   */
  readonly best?: BestTables;
  /** Indexes into `rules`. */
  readonly rules: readonly number[];
}

export interface StratifiedProgram {
  readonly tables: readonly Table[];
  readonly rules: readonly Rule[];
  /** In dependency order. Tables without rules are in no stratum. */
  readonly strata: readonly Stratum[];
  /** By name; nothing is computed from them. */
  readonly policies?: readonly PolicyInfo[];
}

/** A query or subscription: a body and the variables it shows, in the order of first appearance. */
export interface StratifiedQuery {
  readonly columns: readonly string[];
  /** Variable index of each column. */
  readonly outputs: readonly number[];
  readonly body: readonly Literal[];
  readonly variables: readonly string[];
  /** Printed form with names resolved: equal text ⇒ equal query. */
  readonly text: string;
  /** Likewise, without constants: queries of one shape differ in nothing else. */
  readonly shape?: string;
  /**
   * `tables[index]` of the body's atoms; begins with the program's tables. Absent: the program's.
   */
  readonly tables?: readonly Table[];
}

/** What a literal without a table reads, and what it binds or compares. */
export function literalOperands(literal: Exclude<Literal, AtomLiteral>): {
  readonly inputs: readonly Operand[];
  readonly output?: Operand;
} {
  switch (literal.kind) {
    case 'comparison':
      return { inputs: [literal.left, literal.right] };
    case 'compute':
      return { inputs: [literal.left, literal.right], output: literal.output };
    case 'call':
      return { inputs: literal.inputs, output: literal.output };
    case 'each':
      return { inputs: [literal.list], output: literal.output };
  }
}

/** The literal with other operands; wildcards stay. */
export function withOperands(literal: Literal, change: (one: Operand) => Operand): Literal {
  if (literal.kind === 'atom') {
    const terms = literal.terms.map((term) => (term.kind === 'wildcard' ? term : change(term)));
    return { ...literal, terms };
  }
  switch (literal.kind) {
    case 'comparison':
      return { ...literal, left: change(literal.left), right: change(literal.right) };
    case 'call':
      return {
        ...literal,
        inputs: literal.inputs.map(change),
        output: change(literal.output),
      };
    case 'each':
      return { ...literal, list: change(literal.list), output: change(literal.output) };
    case 'compute': {
      const [left, right] = [change(literal.left), change(literal.right)];
      return { ...literal, left, right, output: change(literal.output) };
    }
  }
}

/** True for what `system:errors` may tell of. */
export function canFail(literal: Literal): literal is ComputeLiteral | CallLiteral {
  return literal.kind === 'compute' || (literal.kind === 'call' && !literal.isSafe);
}

export function tableKey(table: { readonly owner: string; readonly name: string }): TableKey {
  return `${table.owner}:${table.name}`;
}
