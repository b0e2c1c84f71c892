/** `caucus query TEXT`: one answer of a server, as a table or as JSON. */
import { formatValue } from '../value/value.ts';
import type { Value } from '../value/value.ts';
import { stringifyJson, valueOfJson } from '../value/json.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';
import { notCaucus, request } from './client.ts';
import { renderTable } from './terminal.ts';
import type { Colors, Terminal } from './terminal.ts';

export interface QueryOptions {
  readonly url: string;
  readonly policy?: string;
  readonly consistency?:
    | 'any'
    | 'latest'
    | { readonly atLeast: string }
    | { readonly exact: string };
}

export interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
  readonly revision: string;
  readonly token: string;
}

export async function query(
  text: string,
  options: QueryOptions,
  terminal: Terminal,
): Promise<void> {
  const body = await ask(text, options);
  if (terminal.json) {
    terminal.print(stringifyJson(body));
    return;
  }
  const answer = answerOf(body, options.url);
  terminal.print(renderAnswer(answer.columns, answer.rows, terminal.out));
  const rows = answer.rows.length === 1 ? '1 row' : `${answer.rows.length} rows`;
  if (terminal.errIsTty) terminal.note(terminal.err.dim(`${rows}, revision ${answer.revision}`));
}

export async function ask(text: string, options: QueryOptions): Promise<JsonObject> {
  return request(options.url, {
    method: 'POST',
    path: '/v1/query',
    body: {
      query: text,
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      ...(options.consistency === undefined ? {} : { consistency: options.consistency }),
    },
    text: { name: 'query', content: text },
  });
}

export function answerOf(body: JsonObject, url: string): Answer {
  const { columns, rows, revision, token } = body as Record<string, JsonValue>;
  if (!Array.isArray(columns) || !Array.isArray(rows)) {
    throw notCaucus(url, 'its answer has no `columns` and `rows`');
  }
  return {
    columns: columns as string[],
    rows: (rows as JsonValue[][]).map((row) => row.map(valueOfJson)),
    revision: String(revision),
    token: String(token),
  };
}

/** A table; a query without columns is answered by `true` or `false`. */
export function renderAnswer(
  columns: readonly string[],
  rows: readonly (readonly Value[])[],
  colors: Colors,
): string {
  if (columns.length === 0) return rows.length > 0 ? colors.green('true') : colors.yellow('false');
  const numeric = columns.map((_name, index) =>
    rows.every((row) => typeof row[index] === 'bigint' || typeof row[index] === 'number'),
  );
  return renderTable(
    columns,
    rows.map((row) => row.map(cell)),
    colors,
    { align: numeric.map((right) => (right && rows.length > 0 ? 'right' : 'left')) },
  );
}

/** Strings bare where nothing else looks like them, else as in the policy language. */
export function cell(value: Value): string {
  if (typeof value !== 'string') return formatValue(value);
  return looksLikeOther(value) ? formatValue(value) : value;
}

function looksLikeOther(text: string): boolean {
  return (
    text === '' ||
    text === 'null' ||
    text === 'true' ||
    text === 'false' ||
    /^[-+.]?\d/.test(text) ||
    /^["\s]|\s$/.test(text)
  );
}
