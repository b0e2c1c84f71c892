/** `caucus run --explain ROW --why-not ROW`: after the evaluation, for people or as JSON. */
import type { Plan } from '../compiler/plan.ts';
import { compileQuery } from '../compiler/query.ts';
import type { Engine } from '../engine/engine.ts';
import { absenceDocument, proofDocument } from '../explain/document.ts';
import { Evidence } from '../explain/evidence.ts';
import { askedRow, proveRow } from '../explain/explain-query.ts';
import type { AskedRow } from '../explain/explain-query.ts';
import { ExplanationText } from '../explain/text.ts';
import { whyNot } from '../explain/why-not.ts';
import { stringifyJson } from '../value/json.ts';
import type { JsonInput } from '../value/json.ts';
import type { PolicyText } from './policy-file.ts';
import { inputError, problemOfDiagnostic, ProblemsError } from './problem.ts';
import type { Terminal } from './terminal.ts';

export interface ExplainRequest {
  readonly kind: 'explain' | 'why-not';
  /** A literal of constants and `_`. */
  readonly text: string;
}

/** For people, and for programs. */
interface Shown {
  readonly lines: readonly string[];
  readonly document: object;
}

/** `sources`: the first is the program, whose tables need no owner. */
export async function explainRow(
  request: ExplainRequest,
  engine: Engine,
  plan: Plan,
  sources: readonly PolicyText[],
  terminal: Terminal,
): Promise<void> {
  const { asked, tables } = compileRow(request, plan, sources);
  const evidence = new Evidence(engine, plan, { tables, texts: { policies: sources } });
  const text = new ExplanationText(tables, sources[0]?.name ?? '');
  const { lines, document } = await (request.kind === 'explain'
    ? explanation(evidence, asked, text)
    : absence(evidence, asked, text));
  if (terminal.json) {
    const members = document as Readonly<Record<string, JsonInput>>;
    const row = text.row(asked.table, asked.row);
    terminal.print(stringifyJson({ [request.kind]: row, explanation: lines, ...members }));
  } else for (const line of lines) terminal.print(line);
}

async function explanation(
  evidence: Evidence,
  asked: AskedRow,
  text: ExplanationText,
): Promise<Shown> {
  const proof = await proveRow(evidence, asked);
  if (proof !== undefined)
    return { lines: text.proof(proof), document: proofDocument(proof, text) };
  throw inputError('no-such-row', `\`${text.row(asked.table, asked.row)}\` is not there`, {
    note: 'ask why with `--why-not`',
  });
}

async function absence(
  evidence: Evidence,
  { table, row }: AskedRow,
  text: ExplanationText,
): Promise<Shown> {
  const reason = await whyNot(evidence, table, row);
  if (reason !== undefined) {
    return { lines: text.whyNot(reason), document: absenceDocument(reason, text) };
  }
  throw inputError('row-is-there', `\`${text.row(table, row)}\` is there`, {
    note: 'ask why with `--explain`',
  });
}

function compileRow(
  { kind, text }: ExplainRequest,
  plan: Plan,
  sources: readonly PolicyText[],
): { readonly asked: AskedRow; readonly tables: Plan['program']['tables'] } {
  const policies = sources.map(({ name, text: source }) => ({ name, text: source }));
  const catalog = { policies, sources: [] };
  const policy = sources[0]?.name ?? '';
  const { query, diagnostics } = compileQuery(plan.program, catalog, text, { policy });
  if (query === undefined) {
    throw new ProblemsError(diagnostics.map((one) => problemOfDiagnostic(one, `--${kind}`, text)));
  }
  const asked = askedRow(query, query.tables);
  if (asked !== undefined) return { asked, tables: query.tables };
  throw inputError('no-row', `\`${text}\` is no row of a table`, {
    note: 'write a table with constants, and `_` for any value, as in `p("a", _)`',
  });
}
