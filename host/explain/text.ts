/** Explanations for people: rows and literals as the language writes them, proofs as trees. */
import { printValue } from '../compiler/print-value.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { Literal, Table, TableKey, Term } from '../compiler/stratified.ts';
import type { Row, Value } from '../value/value.ts';
import type { Pattern } from './evidence.ts';
import type { Failing, FailingLiteral } from './failing.ts';
import type { Group, Proof, ProofNode, RuleName } from './proof.ts';
import type { RuleFailure, WhyNot } from './why-not.ts';

const INDENT = '  ';
/** Solutions of a group that are printed. */
const GROUP_ROWS_SHOWN_MAX = 5;

export class ExplanationText {
  readonly #tables: readonly Table[];
  readonly #policy: string | undefined;

  /** Tables of `policy` are named without it. */
  constructor(tables: readonly Table[], policy?: string) {
    this.#tables = tables;
    this.#policy = policy;
  }

  row(table: TableKey, row: Pattern): string {
    const name = this.#name(table);
    const cells = row.map((value) => (value === undefined ? '_' : printValue(value)));
    const plain = cells.length === 0 ? name : `${name}(${cells.join(', ')})`;
    return table.startsWith('execute:') ? `execute[${plain}]` : plain;
  }

  literal(literal: Literal, variables: readonly string[] = []): string {
    const term = (one: Term): string => {
      if (one.kind === 'constant') return printValue(one.value);
      return one.kind === 'wildcard' ? '_' : variableName(variables[one.index]);
    };
    if (literal.kind === 'comparison') {
      return `${term(literal.left)} ${literal.operator} ${term(literal.right)}`;
    }
    if (literal.kind === 'compute') {
      const { left, operator, right, output } = literal;
      return `${term(output)} = ${term(left)} ${operator} ${term(right)}`;
    }
    if (literal.kind === 'call') {
      const inputs = literal.inputs.map(term).join(', ');
      return `${term(literal.output)} = ${literal.function}(${inputs})`;
    }
    if (literal.kind === 'each') {
      return `member(${term(literal.list)}, ${term(literal.output)})`;
    }
    const table = this.#tables[literal.table];
    const key = table === undefined ? '?' : tableKey(table);
    const name = this.#name(key);
    const args = literal.terms.length === 0 ? '' : `(${literal.terms.map(term).join(', ')})`;
    const atom = key.startsWith('execute:') ? `execute[${name}${args}]` : `${name}${args}`;
    return literal.negated ? `not ${atom}` : atom;
  }

  /** Two spaces a level; what was shown above is not shown again. */
  proof(proof: Proof): string[] {
    const lines: string[] = [];
    const shown = new Set<number>();
    const pending: { text: string; node?: number; depth: number }[] = [
      { text: '', node: 0, depth: 0 },
    ];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { node: number, depth } = next;
      const indent = INDENT.repeat(depth);
      const node = number === undefined ? undefined : proof.nodes[number];
      if (node === undefined || number === undefined) {
        lines.push(indent + next.text);
        continue;
      }
      const isAgain = shown.has(number) && node.reason.kind === 'rule';
      const reason = isAgain ? 'as above' : this.#reason(node);
      lines.push(`${indent}${this.row(node.table, node.row)}  <- ${reason}`);
      if (isAgain) continue;
      shown.add(number);
      const below = this.#below(node).map((one) => ({ ...one, depth: depth + 1 }));
      pending.push(...below.reverse());
    }
    return lines;
  }

  #below({ reason }: ProofNode): { text: string; node?: number }[] {
    if (reason.kind === 'aggregate') {
      return this.#group(reason.group).map((text) => ({ text }));
    }
    if (reason.kind !== 'rule') return [];
    return reason.body.map((literal) => {
      if (literal.kind === 'row') return { text: '', node: literal.node };
      if (literal.kind === 'holds') return { text: this.literal(literal.literal) };
      return { text: `not ${this.row(literal.table, literal.row)}` };
    });
  }

  #reason({ reason }: ProofNode): string {
    switch (reason.kind) {
      case 'base':
        return 'given';
      case 'system':
        return 'kept by the system';
      case 'cut':
        return 'not explained further';
      case 'rule':
      case 'aggregate':
        return this.#rule(reason.rule);
    }
  }

  #rule({ policy, ordinal, text }: RuleName): string {
    const place = policy === this.#policy ? `rule ${ordinal}` : `${policy}, rule ${ordinal}`;
    return `${text} (${place})`;
  }

  #group({ columns, rows, truncated }: Group): string[] {
    const lines = rows.slice(0, GROUP_ROWS_SHOWN_MAX).map((row) => {
      const cells = row.map(
        (value, index) => `${variableName(columns[index])} = ${printed(value)}`,
      );
      return cells.length === 0 ? 'one solution' : cells.join(', ');
    });
    const more = rows.length - lines.length;
    if (more > 0) lines.push(`and ${more}${truncated ? ' and more' : ''} other solutions`);
    return lines;
  }

  whyNot(reason: WhyNot): string[] {
    const lines = [`no row ${this.row(reason.table, reason.row)}`];
    if (reason.isBase) lines.push(`${INDENT}no rule gives rows to ${this.#name(reason.table)}`);
    for (const failure of reason.rules) {
      for (const line of this.#ruleFailure(failure)) lines.push(INDENT + line);
    }
    for (const row of reason.near) lines.push(`${INDENT}there is ${this.row(reason.table, row)}`);
    return lines;
  }

  #ruleFailure(failure: RuleFailure): string[] {
    const rule = this.#rule(failure.rule);
    if (failure.kind === 'head') {
      return [rule, `${INDENT}its head has another value in column ${failure.column + 1}`];
    }
    if (failure.kind === 'aggregate') {
      return [rule, ...failure.found.map((row) => `${INDENT}gives ${this.#cells(row)} instead`)];
    }
    return [rule, ...this.failing(failure).map((line) => INDENT + line)];
  }

  #cells(row: Row): string {
    return `(${row.map(printed).join(', ')})`;
  }

  /** The literals that hold, and those that do not, with why. */
  failing({ failing, holding, variables }: Failing): string[] {
    return [
      ...holding.map((one) => `holds: ${this.literal(one, variables)}`),
      ...failing.map((one) => `fails: ${this.#failingLiteral(one, variables)}`),
    ];
  }

  #failingLiteral({ literal, why, row }: FailingLiteral, variables: readonly string[]): string {
    const text = this.literal(literal, variables);
    if (why === 'present' && row !== undefined && literal.kind === 'atom') {
      const table = this.#tables[literal.table];
      const found = this.row(table === undefined ? '?' : tableKey(table), row);
      return text === `not ${found}` ? `${text}: it is there` : `${text}: there is ${found}`;
    }
    return (
      { missing: `${text}: no such row`, unbound: `${text}: not known without the others` }[
        why as 'missing' | 'unbound'
      ] ?? text
    );
  }

  #name(key: TableKey): string {
    if (key.startsWith('execute:')) return key.slice('execute:'.length);
    const own = `${this.#policy}:`;
    return this.#policy !== undefined && key.startsWith(own) ? key.slice(own.length) : key;
  }
}

function printed(value: Value): string {
  return printValue(value);
}

/** Temporaries stand for a computed value that is not known. */
function variableName(name = '?'): string {
  return name.startsWith('$') ? '?' : name;
}
