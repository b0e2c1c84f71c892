/** What a text asks to be explained: a row to prove, or a body that has no solution. */
import type { StratifiedQuery, Table, TableKey } from '../compiler/stratified.ts';
import { tableKey } from '../compiler/stratified.ts';
import { WHY_NOT_ROWS_MAX } from '../limits.ts';
import { absenceDocument, failingDocument, proofDocument } from './document.ts';
import type { ReasonsDocument, ProofDocument } from './document.ts';
import type { Evidence, Pattern } from './evidence.ts';
import { failingLiterals } from './failing.ts';
import { prove } from './proof.ts';
import type { Proof, ProofOptions } from './proof.ts';
import { ExplanationText } from './text.ts';
import { rowsLike, whyNot } from './why-not.ts';
import type { WhyNot } from './why-not.ts';

export interface AskedRow {
  readonly table: TableKey;
  readonly row: Pattern;
}

/** A table with constants, `_`, and variables that stand for any value; undefined for the rest. */
export function askedRow(query: StratifiedQuery, tables: readonly Table[]): AskedRow | undefined {
  const [literal, ...others] = query.body;
  if (others.length > 0 || literal?.kind !== 'atom' || literal.negated) return undefined;
  const variables = literal.terms.filter((term) => term.kind === 'variable');
  if (new Set(variables.map(({ index }) => index)).size < variables.length) return undefined;
  const row = literal.terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
  return { table: tableKey(tables[literal.table] as Table), row };
}

/** Of the first row that is like it; undefined where there is none. */
export async function proveRow(
  evidence: Evidence,
  { table, row }: AskedRow,
  options: ProofOptions = {},
): Promise<Proof | undefined> {
  const index = evidence.find(table);
  const [found] = index === undefined ? [] : await rowsLike(evidence, index, row, 1);
  return found === undefined ? undefined : await prove(evidence, table, found, options);
}

export async function explainRow(
  evidence: Evidence,
  asked: AskedRow,
  options: ProofOptions = {},
): Promise<ProofDocument | undefined> {
  const proof = await proveRow(evidence, asked, options);
  return proof === undefined
    ? undefined
    : proofDocument(proof, new ExplanationText(evidence.tables));
}

/** Undefined where the body has a solution. */
export async function explainAbsence(
  evidence: Evidence,
  query: StratifiedQuery,
): Promise<ReasonsDocument | undefined> {
  const printer = new ExplanationText(evidence.tables);
  const body = { literals: query.body, variables: query.variables };
  const failing = await failingLiterals(evidence, body, new Map());
  if (failing === undefined) return undefined;
  const absences: WhyNot[] = [];
  for (const { literal, why } of failing.failing) {
    if (literal.kind !== 'atom' || why !== 'missing') continue;
    if (absences.length === WHY_NOT_ROWS_MAX || evidence.isTired) break;
    const row = literal.terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
    const reason = await whyNot(evidence, evidence.key(literal.table), row);
    if (reason !== undefined) absences.push(reason);
  }
  return {
    ...failingDocument(failing, printer),
    absences: absences.map((one) => absenceDocument(one, printer)),
  };
}
