/**
 * Explanations as programs get them, and as the command line draws them (explanation-lines.ts):
 * rows with their values, everything else as text. docs/PROTOCOL.md tells the members. Ints are
 * `bigint`, so that a document is JSON of `host/value/json.ts` as it stands.
 */
import type { Literal } from '../compiler/stratified.ts';
import type { Row, Value } from '../value/value.ts';
import type { Pattern } from './evidence.ts';
import type { Failing, FailingLiteral } from './failing.ts';
import type { Group, Proof, ProofLiteral, ProofNode, RuleName } from './proof.ts';
import type { RuleFailure, WhyNot } from './why-not.ts';

/** Rows and literals as the language writes them. */
export interface Printer {
  row(table: string, row: Pattern): string;
  /** Of a table by its number. */
  key(table: number): string;
  literal(literal: Literal, variables?: readonly string[]): string;
}

export interface RuleDocument {
  readonly policy: string;
  readonly ordinal: bigint;
  readonly line?: bigint;
  readonly name?: string;
  readonly text: string;
}

/** What holds is a row, an absence, a comparison or computation. */
export type BodyDocument =
  | { readonly node: bigint }
  | { readonly absent: string }
  | { readonly holds: string };

export interface GroupDocument {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly bodies: readonly (readonly BodyDocument[])[];
  readonly count: bigint;
  readonly truncated?: true;
}

export interface NodeDocument {
  readonly table: string;
  readonly row: Row;
  /** `source`: put there from outside; `cut`: a limit of the proof is reached. */
  readonly by: 'rule' | 'fact' | 'aggregate' | 'source' | 'system' | 'cut';
  readonly rank?: bigint;
  /** Place in `rules`. */
  readonly rule?: bigint;
  readonly values?: Readonly<Record<string, Value>>;
  readonly body?: readonly BodyDocument[];
  readonly group?: GroupDocument;
}

export interface ProofDocument {
  /** The first is the row that was asked for. */
  readonly nodes: readonly NodeDocument[];
  readonly rules: readonly RuleDocument[];
  /** Nodes that are not explained. */
  readonly cut: bigint;
}

export interface FailingDocument {
  /** Literals that fail, with the values of the others. */
  readonly failing: readonly {
    readonly literal: string;
    readonly why: FailingLiteral['why'];
    /** The row that must not be there. */
    readonly there?: string;
  }[];
  /** Literals that hold together. */
  readonly holding: readonly string[];
  readonly isShortest: boolean;
}

export type RuleFailureDocument = { readonly rule: bigint } & (
  | { readonly kind: 'head'; readonly column: bigint }
  | ({ readonly kind: 'body' } & FailingDocument)
  | { readonly kind: 'aggregate'; readonly found: readonly Row[] }
);

export interface AbsenceDocument {
  readonly table: string;
  /** As the language writes it. */
  readonly row: string;
  /** Those that come nearest stand first; those of no rule came from outside. */
  readonly failures: readonly RuleFailureDocument[];
  readonly rules: readonly RuleDocument[];
  /** Rules that were not looked at, and facts of the text. */
  readonly rulesLeft: bigint;
  readonly facts: bigint;
  /** Rows of the table that agree with it in most columns. */
  readonly near: readonly Row[];
}

/** Of a body without a solution. */
export interface ReasonsDocument extends FailingDocument {
  /** Of the rows that are missing. */
  readonly absences: readonly AbsenceDocument[];
}

/** Rules by place: a proof names the same ones again and again. */
class RuleList {
  readonly rules: RuleDocument[] = [];
  readonly #places = new Map<string, bigint>();

  place({ policy, ordinal, text, line, name }: RuleName): bigint {
    const key = `${ordinal} ${policy}`;
    let place = this.#places.get(key);
    if (place === undefined) {
      place = BigInt(this.rules.length);
      this.#places.set(key, place);
      this.rules.push({
        policy,
        ordinal: BigInt(ordinal),
        ...(line === undefined ? {} : { line: BigInt(line) }),
        ...(name === undefined ? {} : { name }),
        text,
      });
    }
    return place;
  }
}

export function proofDocument(proof: Proof, printer: Printer): ProofDocument {
  const list = new RuleList();
  const nodes = proof.nodes.map((node) => nodeDocument(node, list, printer));
  const cut = nodes.filter(({ by }) => by === 'cut').length;
  return { nodes, rules: list.rules, cut: BigInt(cut) };
}

function nodeDocument(
  { table, row, rank, reason }: ProofNode,
  list: RuleList,
  printer: Printer,
): NodeDocument {
  const start = { table, row, ...(rank === undefined ? {} : { rank: BigInt(rank) }) };
  const bodyOf = (body: readonly ProofLiteral[]): BodyDocument[] =>
    body.map((literal) => bodyDocument(literal, printer));
  switch (reason.kind) {
    case 'base':
      return { ...start, by: 'source' };
    case 'system':
    case 'cut':
      return { ...start, by: reason.kind };
    case 'rule': {
      const rule = list.place(reason.rule);
      if (reason.body.length === 0) return { ...start, by: 'fact', rule };
      const values = Object.fromEntries(reason.bindings);
      return { ...start, by: 'rule', rule, values, body: bodyOf(reason.body) };
    }
    case 'aggregate': {
      const values = Object.fromEntries(reason.bindings);
      const group = groupDocument(reason.group, bodyOf);
      return { ...start, by: 'aggregate', rule: list.place(reason.rule), values, group };
    }
  }
}

function groupDocument(
  { columns, rows, bodies, count, truncated }: Group,
  bodyOf: (body: readonly ProofLiteral[]) => BodyDocument[],
): GroupDocument {
  return {
    columns: columns.map((name) => (name.startsWith('$') ? '?' : name)),
    rows,
    bodies: bodies.map(bodyOf),
    count: BigInt(count),
    ...(truncated ? { truncated } : {}),
  };
}

function bodyDocument(literal: ProofLiteral, printer: Printer): BodyDocument {
  if (literal.kind === 'row') return { node: BigInt(literal.node) };
  if (literal.kind === 'holds') return { holds: printer.literal(literal.literal) };
  return { absent: printer.row(literal.table, literal.row) };
}

export function absenceDocument(reason: WhyNot, printer: Printer): AbsenceDocument {
  const list = new RuleList();
  return {
    table: reason.table,
    row: printer.row(reason.table, reason.row),
    failures: reason.rules.map((one) => failureDocument(one, list, printer)),
    rules: list.rules,
    rulesLeft: BigInt(reason.rulesLeft),
    facts: BigInt(reason.facts),
    near: reason.near,
  };
}

function failureDocument(
  failure: RuleFailure,
  list: RuleList,
  printer: Printer,
): RuleFailureDocument {
  const rule = list.place(failure.rule);
  if (failure.kind === 'head') return { rule, kind: 'head', column: BigInt(failure.column) };
  if (failure.kind === 'aggregate') return { rule, kind: 'aggregate', found: failure.found };
  return { rule, kind: 'body', ...failingDocument(failure, printer) };
}

export function failingDocument(failing: Failing, printer: Printer): FailingDocument {
  const { variables } = failing;
  return {
    failing: failing.failing.map((one) => ({
      literal: printer.literal(one.literal, variables),
      why: one.why,
      ...thereOf(one, printer),
    })),
    holding: failing.holding.map((one) => printer.literal(one, variables)),
    isShortest: failing.isShortest,
  };
}

function thereOf({ literal, why, row }: FailingLiteral, printer: Printer): { there?: string } {
  if (why !== 'present' || row === undefined || literal.kind !== 'atom') return {};
  return { there: printer.row(printer.key(literal.table), row) };
}
