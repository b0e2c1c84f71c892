/**
 * The independent opinion: a program without arithmetic and aggregates as an answer set program,
 * which for stratified rules has exactly one answer set. Values become terms whose order is ours:
 * clingo puts ints before functions and compares functions by arity and name first, so strings are
 * functions of their numbers, ranked here.
 */
import { spawnSync } from 'node:child_process';
import { literalOperands, tableKey } from '../../host/compiler/stratified.ts';
import type {
  AtomLiteral,
  Literal,
  Rule,
  StratifiedProgram,
  TableKey,
  Term,
} from '../../host/compiler/stratified.ts';
import { compareStrings } from '../../host/value/string-order.ts';
import type { Row, Value } from '../../host/value/value.ts';
import { RowSet } from './row-set.ts';
import type { Tables } from './naive-evaluator.ts';

/** One evaluation, ms; beyond it the process is ended and the test fails. */
const TIMEOUT_MS = 30_000;

/** `clingo version 5.4.1`, or undefined where it is not installed. */
export function clingoVersion(): string | undefined {
  const { status, stdout } = spawnSync('clingo', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : undefined;
}

/**
 * All tables of the program as clingo derives them. Throws where the program is outside the subset.
 */
export function evaluateWithClingo(
  program: StratifiedProgram,
  base: Tables,
): Map<TableKey, RowSet> {
  const terms = new Terms(stringsOf(program, base));
  const lines: string[] = [];
  for (const [index, table] of program.tables.entries()) {
    for (const row of base.get(tableKey(table)) ?? []) {
      lines.push(
        `${atomText(
          index,
          row.map((value) => terms.print(value)),
        )}.`,
      );
    }
  }
  for (const rule of program.rules) lines.push(ruleText(rule, terms));
  // An atom of an empty table would be unknown to clingo, and a warning.
  for (const [index, { arity }] of program.tables.entries())
    lines.push(`#defined t${index}/${arity}.`);
  const tables = new Map(program.tables.map((table) => [tableKey(table), new RowSet()]));
  for (const atom of answerSet(lines.join('\n'))) {
    const [, index = '', inner = ''] = /^t(\d+)(?:\((.*)\))?$/.exec(atom) ?? [];
    const table = program.tables[Number(index)];
    if (table === undefined) throw new Error(`clingo answers with \`${atom}\``);
    const row = inner === '' ? [] : splitTerms(inner).map((term) => terms.read(term));
    tables.get(tableKey(table))?.add(row);
  }
  return tables;
}

function answerSet(text: string): string[] {
  const result = spawnSync('clingo', ['--outf=2', '--warn=none', '-'], {
    input: text,
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 28,
  });
  if (result.error !== undefined) throw result.error;
  const parsed = JSON.parse(result.stdout) as {
    Call?: { Witnesses?: { Value: string[] }[] }[];
  };
  const witnesses = parsed.Call?.[0]?.Witnesses ?? [];
  const [only] = witnesses;
  if (only === undefined || witnesses.length > 1) {
    throw new Error(`clingo has ${witnesses.length} answer sets for:\n${text}\n${result.stderr}`);
  }
  return only.Value;
}

/** Ints as they are; the nth string, in our order, as `s(n)`. */
class Terms {
  readonly #strings: readonly string[];

  constructor(strings: ReadonlySet<string>) {
    this.#strings = [...strings].sort(compareStrings);
  }

  print(value: Value): string {
    if (typeof value === 'bigint') {
      if (value < -(2n ** 31n) || value >= 2n ** 31n)
        throw new Error(`${value} has more than 32 bits`);
      return String(value);
    }
    if (typeof value !== 'string') throw new Error(`clingo has no value like ${String(value)}`);
    return `s(${this.#strings.indexOf(value)})`;
  }

  read(term: string): Value {
    const string = /^s\((\d+)\)$/.exec(term);
    return string === null ? BigInt(term) : (this.#strings[Number(string[1])] as string);
  }
}

function ruleText(rule: Rule, terms: Terms): string {
  const head = rule.headTerms.map((term) => {
    if (term.kind === 'aggregate') throw new Error('aggregates are not translated');
    return termText(term, terms);
  });
  const body = rule.body.map((literal) => literalText(literal, terms));
  const text = atomText(rule.head, head);
  return body.length === 0 ? `${text}.` : `${text} :- ${body.join(', ')}.`;
}

function literalText(literal: Literal, terms: Terms): string {
  if (literal.kind === 'atom')
    return `${literal.negated ? 'not ' : ''}${literalAtom(literal, terms)}`;
  if (literal.kind !== 'comparison') throw new Error('what computes is not translated');
  const { left, operator, right } = literal;
  return `${termText(left, terms)} ${operator} ${termText(right, terms)}`;
}

/** Both languages mean "no row at all" by a `_` inside a negation. */
function literalAtom({ table, terms: columns }: AtomLiteral, terms: Terms): string {
  return atomText(
    table,
    columns.map((term) => termText(term, terms)),
  );
}

function termText(term: Term, terms: Terms): string {
  if (term.kind === 'wildcard') return '_';
  return term.kind === 'constant' ? terms.print(term.value) : `V${term.index}`;
}

function atomText(table: number, columns: readonly string[]): string {
  return columns.length === 0 ? `t${table}` : `t${table}(${columns.join(',')})`;
}

function splitTerms(text: string): string[] {
  return text.split(',');
}

function stringsOf(program: StratifiedProgram, base: Tables): Set<string> {
  const strings = new Set<string>();
  const add = (row: Iterable<Value>): void => {
    for (const value of row) if (typeof value === 'string') strings.add(value);
  };
  const addTerms = (terms: readonly { kind: string; value?: Value }[]): void => {
    add(terms.flatMap((term) => (term.kind === 'constant' ? [term.value as Value] : [])));
  };
  for (const rows of base.values()) for (const row of rows as Iterable<Row>) add(row);
  for (const rule of program.rules) {
    addTerms(rule.headTerms);
    for (const literal of rule.body) {
      addTerms(literal.kind === 'atom' ? literal.terms : literalOperands(literal).inputs);
    }
  }
  return strings;
}
