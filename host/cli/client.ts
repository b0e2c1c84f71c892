/**
 * HTTP client of the commands. Numbers stay what the server sent: ints are `bigint`, floats
 * `number`. What the server refuses comes back as problems with the server's own words.
 */
import { ERROR_KINDS } from '../errors.ts';
import { parseJson, stringifyJson } from '../value/json.ts';
import type { JsonInput, JsonObject, JsonValue } from '../value/json.ts';
import { inputError, ProblemsError, UnavailableError } from './problem.ts';
import type { Problem } from './problem.ts';

/** Depth of nesting that an answer may have; rows are two levels deep. */
const ANSWER_DEPTH_MAX = 64;

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: JsonInput;
  /** Instead of `body`: pieces of NDJSON, sent as they come. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** Text that positions in errors refer to: the query or policy that was sent. */
  readonly text?: SentText;
}

export interface SentText {
  readonly name: string;
  readonly content: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: JsonValue;
}

/** Resolves with any answer below 400; throws `ProblemsError` or `UnavailableError` otherwise. */
export async function request(url: string, options: HttpRequest): Promise<JsonObject> {
  const answer = await send(url, options);
  if (answer.status >= 400) throw refusal(answer, url, options);
  return expectObject(answer.body, url);
}

/** Resolves with any answer that is JSON. */
export async function send(url: string, options: HttpRequest): Promise<HttpAnswer> {
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(url + options.path, requestInit(options));
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw unreachable(url, error);
  }
  try {
    const body = bytes.length === 0 ? {} : parseJson(bytes, { depthMax: ANSWER_DEPTH_MAX });
    return { status: response.status, body };
  } catch {
    throw notCaucus(url, `it answered ${response.status} with something that is no JSON`);
  }
}

function requestInit(options: HttpRequest): RequestInit {
  const { method, body, stream } = options;
  if (stream !== undefined) {
    // `duplex` is what a request with a streamed body must say; the types do not know it.
    const init = {
      method,
      headers: { 'content-type': 'application/x-ndjson' },
      body: stream as unknown as ReadableStream,
      duplex: 'half' as const,
    };
    return init;
  }
  if (body === undefined) return { method };
  return { method, headers: { 'content-type': 'application/json' }, body: stringifyJson(body) };
}

/** The server's refusal, with carets where it speaks of the text that was sent. */
function refusal(answer: HttpAnswer, url: string, options: HttpRequest): ProblemsError {
  const error = isObject(answer.body) ? answer.body['error'] : undefined;
  if (!isObject(error))
    throw notCaucus(url, `it answered ${answer.status} without an error object`);
  const problems = problemsOfAnswer(error, options.text);
  const retry = retryOf(error);
  return retry === 'never' ? new ProblemsError(problems) : new UnavailableError(problems);
}

/** Problems of an error object, as in HTTP answers and in error frames. `text` is what was sent. */
export function problemsOfAnswer(error: JsonObject, text?: SentText): Problem[] {
  const diagnostics = error['diagnostics'];
  if (Array.isArray(diagnostics)) {
    const found = diagnostics.filter(isObject).map((item) => problemOfItem(item, text));
    if (found.length > 0) return found;
  }
  const note = textOf(error['remedy']) ?? textOf(error['note']);
  return [
    {
      severity: 'error',
      code: textOf(error['code']) ?? 'internal',
      message: textOf(error['message']) ?? 'the server gave no reason',
      ...(note === undefined ? {} : { note }),
    },
  ];
}

/** A diagnostic of an answer: line and column, no span. */
function problemOfItem(item: JsonObject, text: SentText | undefined): Problem {
  const line = Number(item['line'] ?? 1);
  const note = textOf(item['note']);
  const rendered = textOf(item['rendered']);
  const excerpt = text?.content.split(/\r?\n/)[line - 1];
  return {
    severity: item['severity'] === 'warning' ? 'warning' : 'error',
    code: textOf(item['code']) ?? 'error',
    message: textOf(item['message']) ?? '',
    file: textOf(item['source']) ?? text?.name ?? 'text',
    line,
    column: Number(item['column'] ?? 1),
    ...(excerpt === undefined ? {} : { excerpt }),
    ...(note === undefined ? {} : { note }),
    ...(rendered === undefined ? {} : { rendered }),
  };
}

export function retryOf(error: JsonObject): string {
  const retry = textOf(error['retry']);
  if (retry !== undefined) return retry;
  const code = textOf(error['code']) ?? '';
  return Object.hasOwn(ERROR_KINDS, code)
    ? ERROR_KINDS[code as keyof typeof ERROR_KINDS].retry
    : 'never';
}

export function unreachable(url: string, error: unknown): UnavailableError {
  const cause =
    error instanceof Error ? ((error.cause ?? error) as NodeJS.ErrnoException) : undefined;
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nothing listens there',
    ENOTFOUND: 'the name is not known',
    EAI_AGAIN: 'the name cannot be looked up now',
    ECONNRESET: 'the connection was closed',
    ETIMEDOUT: 'it does not answer',
    UND_ERR_SOCKET: 'the connection was closed',
  };
  const reason = reasons[cause?.code ?? ''] ?? cause?.message ?? String(error);
  return new UnavailableError([
    {
      severity: 'error',
      code: 'unreachable',
      message: `the server at \`${url}\` cannot be reached: ${reason}`,
      note: 'start one with `caucus serve`, or name another with `--url`',
    },
  ]);
}

export function notCaucus(url: string, what: string): ProblemsError {
  return inputError('not-caucus', `\`${url}\` is no Caucus server: ${what}`, {
    note: 'name the server with `--url`, such as `http://127.0.0.1:1789`',
  });
}

export function expectObject(value: JsonValue | undefined, url: string): JsonObject {
  if (isObject(value)) return value;
  throw notCaucus(url, 'its answer is no JSON object');
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
