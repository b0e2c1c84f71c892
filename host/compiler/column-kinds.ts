/**
 * Which kinds of values each column and variable can have: from declarations and constants through
 * rules, to a least fixpoint. A column of which nothing is known can hold all.
 *
 * `declared` takes what declarations say and nothing else: facts and constants may be others
 * tomorrow. Whoever contradicts that is wrong; whoever contradicts the rest is suspicious.
 */
import { isNullable, tableKey } from './stratified.ts';
import type { Column, HeadTerm, Literal, Operand, Rule, Table, TableKey } from './stratified.ts';
import type { ColumnType } from '../value/column-type.ts';
import { kindOf } from '../value/value.ts';
import type { Value } from '../value/value.ts';

/** A set of kinds, as bits. */
export type Kinds = number;

const NULL = 1;
const BOOL = 2;
const INT = 4;
const FLOAT = 8;
const STRING = 16;
const DATETIME = 32;
const IP = 64;
const NETWORK = 128;
const LIST = 256;
const DOCUMENT = 512;
export const NUMBERS: Kinds = INT | FLOAT;
export const ALL: Kinds = 1023;

const NAMES: readonly (readonly [Kinds, string])[] = [
  [INT, 'an int'],
  [FLOAT, 'a float'],
  [STRING, 'a string'],
  [BOOL, 'a bool'],
  [DATETIME, 'a date-time'],
  [IP, 'an address'],
  [NETWORK, 'a network'],
  [LIST, 'a list'],
  [DOCUMENT, 'a document'],
  [NULL, 'null'],
];

/** `an int or null` */
export function kindsText(kinds: Kinds): string {
  const names = NAMES.filter(([bit]) => (kinds & bit) !== 0).map(([, name]) => name);
  return names.length < 2
    ? (names[0] ?? 'nothing')
    : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

export function kindsOfValue(value: Value): Kinds {
  const kind = kindOf(value);
  return kind === 'null' ? NULL : BITS[kind];
}

const BITS: Readonly<Record<ColumnType, Kinds>> = {
  string: STRING,
  int: INT,
  float: FLOAT,
  bool: BOOL,
  datetime: DATETIME,
  ip: IP,
  network: NETWORK,
  list: LIST,
  document: DOCUMENT,
  any: ALL & ~NULL,
  json: ALL & ~NULL,
};

export function kindsOfColumn(column: Column): Kinds {
  return BITS[column.type] | (isNullable(column) ? NULL : 0);
}

export type Knowledge = 'declared' | 'all';

export class ColumnKinds {
  readonly knowledge: Knowledge;
  readonly #tables: readonly Table[];
  readonly #columns: Kinds[][];

  constructor(
    tables: readonly Table[],
    rules: readonly Rule[],
    external: ReadonlySet<TableKey>,
    knowledge: Knowledge,
  ) {
    this.knowledge = knowledge;
    this.#tables = tables;
    const derived = new Set(rules.map((rule) => rule.head));
    this.#columns = tables.map((table, index) => {
      const isOpen = !derived.has(index) || external.has(tableKey(table));
      return Array.from({ length: table.arity }, (_, column) => {
        const declared = table.columns?.[column];
        if (declared !== undefined) return kindsOfColumn(declared);
        return isOpen ? ALL : 0;
      });
    });
    this.#propagate(rules);
  }

  /** The same for these tables: those that this one knows, and others behind them without rules. */
  withTables(tables: readonly Table[]): ColumnKinds {
    if (tables.length === this.#tables.length) return this;
    const wider = new ColumnKinds(tables, [], new Set(), this.knowledge);
    this.#columns.forEach((columns, table) => (wider.#columns[table] = columns));
    return wider;
  }

  of(table: number, column: number): Kinds {
    return this.#columns[table]?.[column] ?? ALL;
  }

  /** Nothing is known of what the table holds. */
  isUnknown(table: number): boolean {
    return this.#columns[table]?.every((kinds) => kinds === ALL) !== false;
  }

  isDeclared(table: number, column: number): boolean {
    return this.#tables[table]?.columns?.[column] !== undefined;
  }

  /** Of an operand where a body has given its variables these kinds. */
  ofOperand(term: Operand, variables: readonly Kinds[]): Kinds {
    if (term.kind === 'variable') return variables[term.index] ?? ALL;
    return this.knowledge === 'all' ? kindsOfValue(term.value) : ALL;
  }

  ofHead(term: HeadTerm, variables: readonly Kinds[]): Kinds {
    if (term.kind !== 'aggregate') return this.ofOperand(term, variables);
    const argument = term.argument === undefined ? ALL : (variables[term.argument.index] ?? ALL);
    switch (term.function) {
      case 'count':
        return INT;
      case 'sum':
        return argument & NUMBERS;
      case 'min':
      case 'max':
        return argument;
      case 'collect':
        return LIST;
      default:
        return ALL;
    }
  }

  /** What the body leaves of each variable; undefined where it leaves nothing of one. */
  variables(rule: Rule): Kinds[] | undefined {
    const variables: Kinds[] = rule.variables.map(() => ALL);
    for (let before = -1, sum = 0; sum !== before;) {
      before = sum;
      for (const literal of rule.body) this.narrow(literal, variables);
      if (variables.includes(0)) return undefined;
      sum = variables.reduce((total, kinds) => total + kinds, 0);
    }
    return variables;
  }

  /** What a literal leaves of its variables. */
  narrow(literal: Literal, variables: Kinds[]): void {
    const meet = (term: Operand, kinds: Kinds): void => {
      if (term.kind === 'variable') variables[term.index] = this.ofOperand(term, variables) & kinds;
    };
    switch (literal.kind) {
      case 'atom':
        if (literal.negated) return;
        literal.terms.forEach((term, column) => {
          if (term.kind !== 'wildcard') meet(term, this.of(literal.table, column));
        });
        return;
      case 'comparison': {
        const { operator, left, right } = literal;
        if (operator !== '=') return;
        const both = this.ofOperand(left, variables) & this.ofOperand(right, variables);
        meet(left, both);
        meet(right, both);
        return;
      }
      case 'compute': {
        // What a computation takes and gives is no declaration.
        if (this.knowledge === 'declared') return;
        const { left, right, output } = literal;
        meet(left, NUMBERS);
        meet(right, NUMBERS);
        const kinds = this.ofOperand(left, variables) | this.ofOperand(right, variables);
        // An int with a float gives a float.
        meet(output, kinds === INT ? INT : NUMBERS);
        return;
      }
      case 'call':
      case 'each':
        // What a function takes is checked where its call is resolved.
        return;
    }
  }

  #propagate(rules: readonly Rule[]): void {
    const readers = new Map<number, Rule[]>();
    for (const rule of rules) {
      for (const literal of rule.body) {
        if (literal.kind !== 'atom' || literal.negated) continue;
        const known = readers.get(literal.table);
        if (known === undefined) readers.set(literal.table, [rule]);
        else if (known.at(-1) !== rule) known.push(rule);
      }
    }
    const waiting = [...rules];
    const isWaiting = new Set(rules);
    for (let at = 0; at < waiting.length; at++) {
      const rule = waiting[at] as Rule;
      isWaiting.delete(rule);
      if (!this.#derive(rule)) continue;
      for (const reader of readers.get(rule.head) ?? []) {
        if (isWaiting.has(reader)) continue;
        isWaiting.add(reader);
        waiting.push(reader);
      }
    }
  }

  /** Whether the rule's head can hold more than was known. */
  #derive(rule: Rule): boolean {
    const columns = this.#columns[rule.head];
    const variables = this.variables(rule);
    if (columns === undefined || variables === undefined) return false;
    let grown = false;
    rule.headTerms.forEach((term, column) => {
      if (this.isDeclared(rule.head, column)) return;
      const before = columns[column] ?? ALL;
      const isNumber = term.kind === 'aggregate' && this.knowledge === 'declared';
      const after = before | (isNumber ? ALL : this.ofHead(term, variables));
      if (after !== before) grown = true;
      columns[column] = after;
    });
    return grown;
  }
}
