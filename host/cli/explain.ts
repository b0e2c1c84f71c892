/** `caucus explain ROW`, `caucus why-not QUERY`: of a server, as a tree or as JSON. */
import type { AbsenceDocument, ProofDocument, ReasonsDocument } from '../explain/document.ts';
import { absenceLines, proofLines, reasonsLines } from '../explain/explanation-lines.ts';
import type { Names } from '../explain/explanation-lines.ts';
import { ExplanationText } from '../explain/text.ts';
import { stringifyJson, valueOfJson } from '../value/json.ts';
import type { JsonInput, JsonObject, JsonValue } from '../value/json.ts';
import type { Value } from '../value/value.ts';
import { isObject, notCaucus, request } from './client.ts';
import { inputError } from './problem.ts';
import type { QueryOptions } from './query.ts';
import type { Terminal } from './terminal.ts';

export interface ExplainOptions extends QueryOptions {
  readonly nodes?: number;
  readonly depth?: number;
}

/** Throws where there is no such row: exit code 1. */
export async function explain(
  text: string,
  options: ExplainOptions,
  terminal: Terminal,
): Promise<void> {
  const { nodes, depth } = options;
  const answer = await ask('/v1/explain', { name: 'row', content: text }, options, {
    row: text,
    ...(nodes === undefined ? {} : { nodesMax: BigInt(nodes) }),
    ...(depth === undefined ? {} : { depthMax: BigInt(depth) }),
  });
  if (terminal.json) terminal.print(stringifyJson(answer));
  if (answer['found'] !== true) {
    throw inputError('no-such-row', `\`${text}\` is not there`, {
      note: `ask why with \`caucus why-not\``,
    });
  }
  if (terminal.json) return;
  print(proofLines(proofOf(answer, options.url), namesOf()), answer, terminal);
}

/** Throws where the query holds: exit code 1. */
export async function whyNot(
  text: string,
  options: QueryOptions,
  terminal: Terminal,
): Promise<void> {
  const sent = { name: 'query', content: text };
  const answer = await ask('/v1/why-not', sent, options, { query: text });
  if (terminal.json) terminal.print(stringifyJson(answer));
  if (answer['holds'] !== false) {
    throw inputError('row-is-there', `\`${text}\` holds`, {
      note: `ask why a row is there with \`caucus explain\``,
    });
  }
  if (terminal.json) return;
  const reasons = reasonsOf(answer, options.url);
  const [absence] = reasons.absences;
  // Of one row that is all there is to say.
  const isRow = reasons.failing.length === 1 && reasons.holding.length === 0;
  const lines =
    isRow && absence !== undefined
      ? absenceLines(absence, namesOf())
      : reasonsLines(reasons, namesOf());
  print(lines, answer, terminal);
}

function print(lines: readonly string[], answer: JsonObject, terminal: Terminal): void {
  for (const line of lines) terminal.print(line);
  if (terminal.errIsTty) terminal.note(terminal.err.dim(`revision ${String(answer['revision'])}`));
}

/** All tables with their owners. */
function namesOf(): Names {
  return new ExplanationText([]);
}

async function ask(
  path: string,
  sent: { readonly name: string; readonly content: string },
  { url, policy, consistency }: QueryOptions,
  body: Readonly<Record<string, JsonInput>>,
): Promise<JsonObject> {
  return request(url, {
    method: 'POST',
    path,
    body: {
      ...body,
      ...(policy === undefined ? {} : { policy }),
      ...(consistency === undefined ? {} : { consistency }),
    },
    text: sent,
  });
}

function proofOf(answer: JsonObject, url: string): ProofDocument {
  const nodes = listOf(answer['nodes'], url).map((node) => ({ ...node, ...rowsOf(node) }));
  return { ...answer, nodes } as unknown as ProofDocument;
}

function reasonsOf(answer: JsonObject, url: string): ReasonsDocument {
  const absences = listOf(answer['absences'], url).map((one): unknown => {
    const failures = listOf(one['failures'], url).map((failure) => {
      return { ...failure, ...rowsOf(failure) };
    });
    return { ...one, failures, ...rowsOf({ near: one['near'] ?? [] }) };
  });
  return { ...answer, absences: absences as AbsenceDocument[] } as unknown as ReasonsDocument;
}

/** Members that hold values of rows: JSON becomes values. */
function rowsOf(object: JsonObject): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const { row, near, found: rows, group } = object;
  if (isList(row)) found['row'] = row.map(valueOfJson);
  if (isList(near)) found['near'] = near.map(valuesOf);
  if (isList(rows)) found['found'] = rows.map(valuesOf);
  if (isObject(group) && isList(group['rows'])) {
    found['group'] = { ...group, rows: group['rows'].map(valuesOf) };
  }
  return found;
}

function valuesOf(row: JsonValue): Value[] {
  return isList(row) ? row.map(valueOfJson) : [];
}

function listOf(value: JsonValue | undefined, url: string): JsonObject[] {
  if (!isList(value)) throw notCaucus(url, 'its answer explains nothing');
  return value.filter(isObject);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
