/** Explanations for people: rows and literals as the language writes them, proofs as trees. */
import { printValue } from '../compiler/print-value.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { Literal, Table, TableKey, Term } from '../compiler/stratified.ts';
import type { Value } from '../value/value.ts';
import type { Pattern } from './evidence.ts';
import { absenceDocument, failingDocument, proofDocument } from './document.ts';
import { absenceLines, failingLines, proofLines } from './explanation-lines.ts';
import type { Failing } from './failing.ts';
import type { Proof } from './proof.ts';
import type { WhyNot } from './why-not.ts';

export class ExplanationText {
  readonly #tables: readonly Table[];
  readonly policy?: string;

  /** Tables of `policy` are named without it. */
  constructor(tables: readonly Table[], policy?: string) {
    this.#tables = tables;
    if (policy !== undefined) this.policy = policy;
  }

  row(table: TableKey, row: Pattern): string {
    const name = this.table(table);
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
    const key = this.key(literal.table);
    const name = this.table(key);
    const args = literal.terms.length === 0 ? '' : `(${literal.terms.map(term).join(', ')})`;
    const atom = key.startsWith('execute:') ? `execute[${name}${args}]` : `${name}${args}`;
    return literal.negated ? `not ${atom}` : atom;
  }

  value(value: Value): string {
    return printValue(value);
  }

  /** Two spaces a level; what was shown above is not shown again. */
  proof(proof: Proof): string[] {
    return proofLines(proofDocument(proof, this), this);
  }

  whyNot(reason: WhyNot): string[] {
    return absenceLines(absenceDocument(reason, this), this);
  }

  /** The literals that hold, and those that do not, with why. */
  failing(failing: Failing): string[] {
    return failingLines(failingDocument(failing, this));
  }

  key(table: number): TableKey {
    const found = this.#tables[table];
    return found === undefined ? '?' : tableKey(found);
  }

  table(key: TableKey): string {
    if (key.startsWith('execute:')) return key.slice('execute:'.length);
    const own = `${this.policy}:`;
    return this.policy !== undefined && key.startsWith(own) ? key.slice(own.length) : key;
  }
}

/** Temporaries stand for a computed value that is not known. */
function variableName(name = '?'): string {
  return name.startsWith('$') ? '?' : name;
}
