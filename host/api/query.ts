/** One query, one answer at one revision. */
import type { QueryRequest } from '../replica/replica.ts';
import { RawJson, parseJson } from '../value/json.ts';
import type { JsonValue } from '../value/json.ts';
import { bodyKind, readBody } from './body.ts';
import { jsonOf, rowsJson, withDiagnostics } from './json-text.ts';
import { objectOf, optionalString, queryOptionsOf, stringOf } from './request-fields.ts';
import type { Route } from './route-table.ts';

const WHAT = 'a query';
const ROWS_MARK = '\u0000';
const encoder = new TextEncoder();

export const queryRoute: Route = {
  method: 'POST',
  path: '/v1/query',
  query: [],
  async handle({ replica, limits, renderDiagnostic }, { message }) {
    bodyKind(message, ['json']);
    const body = await readBody(message, {
      bytesMax: limits.jsonBodyBytesMax,
      idleMsMax: limits.bodyIdleMsMax,
    });
    const request = queryRequestOf(parseJson(body));
    try {
      const { columns, rows, truncated, revision, token } = await replica.query(request);
      const head = { columns, rows: new RawJson(ROWS_MARK) };
      const rest = { revision, token, ...(truncated ? { truncated } : {}) };
      const [before = '', after = ''] = jsonOf({ ...head, ...rest }).split(ROWS_MARK);
      return {
        status: 200,
        body: (function* () {
          yield encoder.encode(before);
          yield* rowsJson(rows, limits.answerPieceBytes);
          yield encoder.encode(after);
        })(),
      };
    } catch (error) {
      throw withDiagnostics(error, request.query, renderDiagnostic);
    }
  },
};

function queryRequestOf(value: JsonValue): QueryRequest {
  const known = ['query', 'policy', 'consistency', 'rowsMax', 'waitMs'];
  const object = objectOf(value, WHAT, known);
  const policy = optionalString(object, 'policy', WHAT);
  return {
    query: stringOf(object, 'query', WHAT),
    ...(policy === undefined ? {} : { policy }),
    ...queryOptionsOf(object, WHAT),
  };
}
