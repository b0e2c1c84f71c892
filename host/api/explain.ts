/** Why a row is there, and why a query has no solution; docs/PROTOCOL.md has the members. */
import { PROOF_NODES_MAX } from '../limits.ts';
import type {
  Explanation,
  ExplainRequest,
  Replica,
  WhyNotAnswer,
  WhyNotRequest,
} from '../replica/replica.ts';
import { parseJson, stringifyJson } from '../value/json.ts';
import type { JsonInput, JsonObject, JsonValue } from '../value/json.ts';
import { bodyKind, readBody } from './body.ts';
import { withDiagnostics } from './json-text.ts';
import type { RenderDiagnostic } from './json-text.ts';
import {
  objectOf,
  optionalCount,
  optionalString,
  queryOptionsOf,
  stringOf,
} from './request-fields.ts';
import type { Answer, ApiContext, ApiRequest, Route } from './route-table.ts';

const COMMON = ['policy', 'consistency', 'waitMs'];
export const EXPLAIN_MEMBERS: readonly string[] = ['row', 'nodesMax', 'depthMax', ...COMMON];
export const WHY_NOT_MEMBERS: readonly string[] = ['query', ...COMMON];

export const explainRoute: Route = {
  method: 'POST',
  path: '/v1/explain',
  query: [],
  handle: (context, request) =>
    answered(context, request, (body) => {
      const object = objectOf(body, 'an explanation', EXPLAIN_MEMBERS);
      return explain(context, explainRequestOf(object, 'an explanation'));
    }),
};

export const whyNotRoute: Route = {
  method: 'POST',
  path: '/v1/why-not',
  query: [],
  handle: (context, request) =>
    answered(context, request, (body) => {
      const object = objectOf(body, 'a question', WHY_NOT_MEMBERS);
      return whyNot(context, whyNotRequestOf(object, 'a question'));
    }),
};

async function answered(
  { limits }: ApiContext,
  { message }: ApiRequest,
  answer: (body: JsonValue) => Promise<JsonObjectInput>,
): Promise<Answer> {
  bodyKind(message, ['json']);
  const body = await readBody(message, {
    bytesMax: limits.jsonBodyBytesMax,
    idleMsMax: limits.bodyIdleMsMax,
  });
  return { status: 200, body: stringifyJson(await answer(parseJson(body))) };
}

/** Of an object whose members are known ones. */
export function explainRequestOf(object: JsonObject, what: string): ExplainRequest {
  const nodesMax = optionalCount(object, 'nodesMax', what, PROOF_NODES_MAX);
  const depthMax = optionalCount(object, 'depthMax', what, PROOF_NODES_MAX);
  return {
    row: stringOf(object, 'row', what),
    ...whereOf(object, what),
    ...(nodesMax === undefined ? {} : { nodesMax }),
    ...(depthMax === undefined ? {} : { depthMax }),
  };
}

export function whyNotRequestOf(object: JsonObject, what: string): WhyNotRequest {
  return { query: stringOf(object, 'query', what), ...whereOf(object, what) };
}

function whereOf(object: JsonObject, what: string): Omit<WhyNotRequest, 'query'> {
  const policy = optionalString(object, 'policy', what);
  return { ...(policy === undefined ? {} : { policy }), ...queryOptionsOf(object, what) };
}

export interface Explaining {
  readonly replica: Replica;
  readonly renderDiagnostic: RenderDiagnostic | undefined;
}
type JsonObjectInput = Readonly<Record<string, JsonInput | undefined>>;

/** The members of the answer. */
export async function explain(
  { replica, renderDiagnostic }: Explaining,
  request: ExplainRequest,
): Promise<JsonObjectInput> {
  let answer: Explanation;
  try {
    answer = await replica.explain(request);
  } catch (error) {
    throw withDiagnostics(error, request.row, renderDiagnostic);
  }
  const { proof, revision, token } = answer;
  return { found: proof !== undefined, ...members(proof), revision: BigInt(revision), token };
}

/** The members of the answer. */
export async function whyNot(
  { replica, renderDiagnostic }: Explaining,
  request: WhyNotRequest,
): Promise<JsonObjectInput> {
  let answer: WhyNotAnswer;
  try {
    answer = await replica.whyNot(request);
  } catch (error) {
    throw withDiagnostics(error, request.query, renderDiagnostic);
  }
  const { reasons, revision, token } = answer;
  return { holds: reasons === undefined, ...members(reasons), revision: BigInt(revision), token };
}

/** A document is made of nothing but JSON. */
function members(document: object | undefined): JsonObjectInput {
  return document === undefined ? {} : (document as JsonObjectInput);
}
