/** `caucus run --explain ROW --why-not ROW`: after the evaluation, for people or as JSON. */
import type { Plan } from '../compiler/plan.ts';
import { compileQuery } from '../compiler/query.ts';
import { tableKey } from '../compiler/stratified.ts';
import type { Table, TableKey } from '../compiler/stratified.ts';
import type { Engine } from '../engine/engine.ts';
import { Evidence } from '../explain/evidence.ts';
import type { Pattern } from '../explain/evidence.ts';
import { prove } from '../explain/proof.ts';
import { ExplanationText } from '../explain/text.ts';
import { rowsLike, whyNot } from '../explain/why-not.ts';
import { stringifyJson } from '../value/json.ts';
import type { PolicyText } from './policy-file.ts';
import { inputError, problemOfDiagnostic, ProblemsError } from './problem.ts';
import type { Terminal } from './terminal.ts';

export interface ExplainRequest {
  readonly kind: 'explain' | 'why-not';
  /** A literal of constants and `_`. */
  readonly text: string;
}

interface Asked {
  readonly table: TableKey;
  readonly row: Pattern;
  readonly tables: readonly Table[];
}

/** `sources`: the first is the program, whose tables need no owner. */
export async function explainRow(
  request: ExplainRequest,
  engine: Engine,
  plan: Plan,
  sources: readonly PolicyText[],
  terminal: Terminal,
): Promise<void> {
  const policy = sources[0]?.name ?? '';
  const { table, row, tables } = askedRow(request, plan, sources);
  const evidence = new Evidence(engine, plan, tables);
  const text = new ExplanationText(tables, policy);
  const lines = await (request.kind === 'explain'
    ? explanation(evidence, table, row, text)
    : absence(evidence, table, row, text));
  if (terminal.json) {
    terminal.print(stringifyJson({ [request.kind]: text.row(table, row), explanation: lines }));
  } else for (const line of lines) terminal.print(line);
}

async function explanation(
  evidence: Evidence,
  table: TableKey,
  row: Pattern,
  text: ExplanationText,
): Promise<string[]> {
  const index = evidence.find(table);
  const [found] = index === undefined ? [] : await rowsLike(evidence, index, row, 1);
  const proof = found === undefined ? undefined : await prove(evidence, table, found);
  if (proof !== undefined) return text.proof(proof);
  throw inputError('no-such-row', `\`${text.row(table, row)}\` is not there`, {
    note: 'ask why with `--why-not`',
  });
}

async function absence(
  evidence: Evidence,
  table: TableKey,
  row: Pattern,
  text: ExplanationText,
): Promise<string[]> {
  const reason = await whyNot(evidence, table, row);
  if (reason !== undefined) return text.whyNot(reason);
  throw inputError('row-is-there', `\`${text.row(table, row)}\` is there`, {
    note: 'ask why with `--explain`',
  });
}

function askedRow(
  { kind, text }: ExplainRequest,
  plan: Plan,
  sources: readonly PolicyText[],
): Asked {
  const policies = sources.map(({ name, text: source }) => ({ name, text: source }));
  const catalog = { policies, sources: [] };
  const policy = sources[0]?.name ?? '';
  const { query, diagnostics } = compileQuery(plan.program, catalog, text, { policy });
  if (query === undefined) {
    throw new ProblemsError(diagnostics.map((one) => problemOfDiagnostic(one, `--${kind}`, text)));
  }
  const [literal] = query.body;
  const isRow = query.body.length === 1 && query.outputs.length === 0;
  if (!isRow || literal?.kind !== 'atom' || literal.negated) {
    throw inputError('no-row', `\`${text}\` is no row of a table`, {
      note: 'write a table with constants, and `_` for any value, as in `p("a", _)`',
    });
  }
  const table = query.tables[literal.table] as Table;
  const row = literal.terms.map((term) => (term.kind === 'constant' ? term.value : undefined));
  return { table: tableKey(table), row, tables: query.tables };
}
