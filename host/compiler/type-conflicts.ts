/**
 * Joins, comparisons and computations that can never hold because of the kinds of their values: an
 * error where declarations say so, a warning where facts, constants and other rules do. Queries get
 * the errors: what a query asks of today's rows may be there to see that there is none.
 */
import {
  ALL,
  ColumnKinds,
  kindsOfColumn,
  kindsOfValue,
  kindsText,
  NUMBERS,
} from './column-kinds.ts';
import type { Kinds } from './column-kinds.ts';
import type { Span } from './source-text.ts';
import { tableKey } from './stratified.ts';
import type {
  AtomLiteral,
  ComparisonLiteral,
  ComputeLiteral,
  Literal,
  Operand,
  Rule,
  StratifiedProgram,
  Table,
  TableKey,
} from './stratified.ts';

export interface BodyConflict {
  readonly severity: 'error' | 'warning';
  readonly span: Span;
  readonly message: string;
  readonly note: string;
}

export interface TypeConflict extends BodyConflict {
  readonly rule: Rule;
}

interface Body {
  readonly body: readonly Literal[];
  readonly variables: readonly string[];
}

/** What declarations say of the tables of these rules: made once a program, for its queries. */
const declaredKinds = new WeakMap<readonly Rule[], ColumnKinds>();

/** At most one a literal and one a head, in the order of the rules. */
export function typeConflicts(
  tables: readonly Table[],
  rules: readonly Rule[],
  external: ReadonlySet<TableKey>,
): TypeConflict[] {
  const declared = new ColumnKinds(tables, rules, external, 'declared');
  declaredKinds.set(rules, declared);
  const all = new ColumnKinds(tables, rules, external, 'all');
  return rules.flatMap((rule) => {
    if (rule.body.length === 0) return [];
    const errors = isUntold(tables, rule, declared)
      ? []
      : new Conflicts(tables, rule, declared).find(rule);
    const seen = new Set(errors.map((one) => one.span));
    const suspects = new Conflicts(tables, rule, all).find(rule);
    const warnings = suspects.filter((one) => !seen.has(one.span)).map(asWarning);
    return [...errors, ...warnings].map((one) => ({ ...one, rule }));
  });
}

/** At most one a literal, by declarations. `tables`: those of the program, and the query's own. */
export function queryConflicts(
  program: StratifiedProgram,
  tables: readonly Table[],
  query: Body,
): BodyConflict[] {
  const known = declaredKinds.get(program.rules);
  const declared = known ?? new ColumnKinds(program.tables, program.rules, new Set(), 'declared');
  if (known === undefined) declaredKinds.set(program.rules, declared);
  return new Conflicts(tables, query, declared.withTables(tables)).find();
}

/** No declaration says anything of what the rule reads or gives. */
function isUntold(tables: readonly Table[], rule: Rule, declared: ColumnKinds): boolean {
  if (tables[rule.head]?.columns !== undefined) return false;
  return rule.body.every((one) => one.kind !== 'atom' || declared.isUnknown(one.table));
}

function asWarning(conflict: BodyConflict): BodyConflict {
  return { ...conflict, severity: 'warning' };
}

class Conflicts {
  readonly #tables: readonly Table[];
  readonly #body: Body;
  readonly #kinds: ColumnKinds;
  /** What the literals before leave of each variable. */
  readonly #variables: Kinds[];
  readonly #found: BodyConflict[] = [];

  constructor(tables: readonly Table[], body: Body, kinds: ColumnKinds) {
    this.#tables = tables;
    this.#body = body;
    this.#kinds = kinds;
    this.#variables = body.variables.map(() => ALL);
  }

  /** Of the body, and of the head that a rule has. */
  find(rule?: Rule): BodyConflict[] {
    for (const literal of this.#body.body) {
      // A table that never has a row makes no type wrong.
      if (literal.kind === 'atom' && !literal.negated && this.#isEmpty(literal)) return [];
      if (this.#literal(literal)) return this.#found;
      this.#kinds.narrow(literal, this.#variables);
    }
    if (rule !== undefined) this.#head(rule);
    return this.#found;
  }

  #isEmpty({ table }: AtomLiteral): boolean {
    const arity = this.#tables[table]?.arity ?? 0;
    return Array.from({ length: arity }, (_, column) => column).some(
      (column) => this.#kinds.of(table, column) === 0,
    );
  }

  /** Whether the literal never holds, so that nothing follows from it. */
  #literal(literal: Literal): boolean {
    switch (literal.kind) {
      case 'atom':
        return this.#atom(literal);
      case 'comparison':
        return this.#comparison(literal);
      case 'compute':
        return this.#compute(literal);
      case 'call':
      case 'each':
        // What a function takes is checked where its call is resolved.
        return false;
    }
  }

  #atom({ table, terms, negated, span }: AtomLiteral): boolean {
    // A variable may be in several columns.
    const before = new Map<number, Kinds>();
    for (const [column, term] of terms.entries()) {
      if (term.kind === 'wildcard') continue;
      // A constant in a declared column is checked where it is read.
      if (term.kind === 'constant' && this.#kinds.isDeclared(table, column)) continue;
      const known = term.kind === 'variable' ? (before.get(term.index) ?? ALL) : ALL;
      const own = this.#kindsOf(term) & known;
      const held = this.#kinds.of(table, column);
      if (term.kind === 'variable') before.set(term.index, own & held);
      if ((own & held) !== 0 || own === 0 || held === 0) continue;
      const where = this.#columnName(table, column);
      const text = `${this.#shown(term)} is ${kindsText(own)}, ${where} holds ${kindsText(held)}`;
      if (negated) {
        this.#add('warning', span, `the negation always holds: ${text}`, MIX_NOTE);
        return false;
      }
      this.#add('error', span, `the atom never holds: ${text}`, MIX_NOTE);
      return true;
    }
    return false;
  }

  #comparison({ operator, left, right, span }: ComparisonLiteral): boolean {
    const isConstant = left.kind === 'constant' && right.kind === 'constant';
    const [a, b] = [this.#kindsOf(left), this.#kindsOf(right)];
    // What somebody writes with two constants is meant so: `false` is such a comparison.
    if (isConstant || a === 0 || b === 0) return false;
    const isIdentity = operator === '=' || operator === '!=';
    if (((isIdentity ? a : byOrder(a)) & (isIdentity ? b : byOrder(b))) !== 0) return false;
    const sides = `${this.#shown(left)} is ${kindsText(a)}, ${this.#shown(right)} ${kindsText(b)}`;
    if (operator === '=') {
      const numbers = (a & NUMBERS) !== 0 && (b & NUMBERS) !== 0;
      this.#add(
        'error',
        span,
        `the comparison never holds: ${sides}`,
        numbers ? 'an int equals no float: write both as one of them' : MIX_NOTE,
      );
      return true;
    }
    const message =
      operator === '!='
        ? `the comparison always holds: ${sides}`
        : `the comparison is between types, not values: ${sides}`;
    this.#add('warning', span, message, MIX_NOTE);
    return false;
  }

  #compute({ left, right, operator, span }: ComputeLiteral): boolean {
    for (const input of [left, right]) {
      const kinds =
        input.kind === 'constant' && this.#kinds.knowledge === 'declared'
          ? ALL
          : this.#kindsOf(input);
      if (kinds === 0 || (kinds & NUMBERS) !== 0) continue;
      const message = `\`${operator}\` always fails: ${this.#shown(input)} is ${kindsText(kinds)}`;
      this.#add('error', span, message, 'it computes with numbers only');
      return true;
    }
    return false;
  }

  /** Against the declaration of the table that the rule defines. */
  #head(rule: Rule): void {
    const { head, headTerms, span } = rule;
    const variables = this.#kinds.variables(rule);
    if (variables === undefined) return;
    for (const [column, term] of headTerms.entries()) {
      const declared = this.#tables[head]?.columns?.[column];
      if (declared === undefined || term.kind === 'constant') continue;
      const kinds = this.#kinds.ofHead(term, variables);
      const fitting = kindsOfColumn(declared);
      if (kinds === ALL || kinds === 0 || (kinds & ~fitting) === 0) continue;
      const shown = term.kind === 'aggregate' ? `\`${term.function}\`` : this.#shown(term);
      const where = this.#columnName(head, column);
      const text = `${where} holds ${kindsText(fitting)}, ${shown} is ${kindsText(kinds)}`;
      const never = (kinds & fitting) === 0;
      this.#add(never ? 'error' : 'warning', span, text, 'change the rule or the declaration');
    }
  }

  /** Of constants whatever is known of variables: they are in the rule itself. */
  #kindsOf(term: Operand): Kinds {
    return term.kind === 'constant'
      ? kindsOfValue(term.value)
      : this.#kinds.ofOperand(term, this.#variables);
  }

  #shown(term: Operand): string {
    if (term.kind === 'constant') return 'the constant';
    const name = this.#body.variables[term.index] ?? '';
    return name.startsWith('$') ? 'the expression' : `\`${name}\``;
  }

  #columnName(table: number, column: number): string {
    const known = this.#tables[table];
    const key = known === undefined ? '' : tableKey(known);
    const name = known?.columns?.[column]?.name;
    return name === undefined
      ? `column number ${column} of \`${key}\``
      : `column \`${name}\` of \`${key}\``;
  }

  #add(severity: BodyConflict['severity'], span: Span, message: string, note: string): void {
    this.#found.push({ severity, span, message, note });
  }
}

const MIX_NOTE = 'values of different types are never equal; look at the declarations';

/** `<` compares ints with floats by value. */
function byOrder(kinds: Kinds): Kinds {
  return (kinds & NUMBERS) === 0 ? kinds : kinds | NUMBERS;
}
