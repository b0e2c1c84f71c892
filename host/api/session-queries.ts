/** Queries of one connection: prepared ones, batches at one revision, answers in frames. */
import { CaucusError } from '../errors.ts';
import { BATCH_TRIES_MAX } from '../limits.ts';
import type { QueryAnswer, QueryRequest } from '../replica/replica.ts';
import { encodeFrame, joinBytes } from '../subscriptions/transaction-frames.ts';
import { RawJson, stringifyJson } from '../value/json.ts';
import { splitBlock } from '../value/row-block.ts';
import type { RowBlock } from '../value/row-block.ts';
import { blockToJson, blockToJsonBytes } from '../value/block-json.ts';
import type {
  BatchFrame,
  ExplainFrame,
  PrepareFrame,
  QueryFrame,
  QueryText,
  UnprepareFrame,
  WhyNotFrame,
} from './client-frames.ts';
import { explain, whyNot } from './explain.ts';
import { errorMembers, jsonOf, withDiagnostics } from './json-text.ts';
import { prepareQuery } from './prepared-query.ts';
import type { PreparedQuery } from './prepared-query.ts';
import type { ApiContext } from './route-table.ts';

const encoder = new TextEncoder();

interface BoundQuery {
  readonly query: string;
  readonly policy?: string;
}
type ItemAnswer = QueryAnswer | { readonly error: unknown };

type RequestFrame =
  | QueryFrame
  | BatchFrame
  | ExplainFrame
  | WhyNotFrame
  | PrepareFrame
  | UnprepareFrame;

export class SessionQueries {
  readonly #context: ApiContext;
  readonly #running = new Set<string>();
  readonly #prepared = new Map<string, PreparedQuery>();
  readonly #onDefect: (error: unknown) => void;
  #preparedCount = 0;

  constructor(context: ApiContext, onDefect: (error: unknown) => void) {
    this.#context = context;
    this.#onDefect = onDefect;
  }

  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  begin(id: string): void {
    this.#running.add(id);
  }

  end(id: string): void {
    this.#running.delete(id);
  }

  /** The frames of the answer, built as they are asked for. */
  async run(frame: RequestFrame): Promise<Iterable<Uint8Array>> {
    switch (frame.type) {
      case 'query':
        return this.#query(frame);
      case 'batch':
        return this.#batch(frame);
      case 'explain': {
        const answer = await explain(this.#context, frame.request);
        return [encoder.encode(stringifyJson({ type: 'explanation', id: frame.id, ...answer }))];
      }
      case 'whyNot': {
        const answer = await whyNot(this.#context, frame.request);
        return [encoder.encode(stringifyJson({ type: 'reasons', id: frame.id, ...answer }))];
      }
      case 'prepare':
        return this.#prepare(frame);
      case 'unprepare':
        return this.#unprepare(frame);
    }
  }

  /** Throws `invalid_request` for an unknown prepared query or wrong arguments. */
  textOf({ query, prepared, args, policy }: QueryText): BoundQuery {
    if (prepared === undefined) {
      const template = prepareQuery(query as string, policy);
      return { query: template.bind(args), ...(policy === undefined ? {} : { policy }) };
    }
    const template = this.#prepared.get(prepared);
    if (template === undefined) throw noPrepared(prepared);
    const bound = template.bind(args);
    return { query: bound, ...(template.policy === undefined ? {} : { policy: template.policy }) };
  }

  async #query(frame: QueryFrame): Promise<Iterable<Uint8Array>> {
    const answer = await this.#ask({ ...this.textOf(frame), ...frame.options });
    return resultFrames(frame.id, answer, this.#context.limits.answerPieceBytes);
  }

  async #prepare({ id, query, policy }: PrepareFrame): Promise<Iterable<Uint8Array>> {
    const { preparedMax } = this.#context.limits;
    if (this.#prepared.size >= preparedMax) {
      const message = `a connection has at most ${preparedMax} prepared queries`;
      throw new CaucusError('limit_exceeded', message, {
        remedy: 'drop some with `unprepare`',
        details: { preparedMax },
      });
    }
    const template = prepareQuery(query, policy);
    // Errors of the text should show here. With parameters they show with the first arguments.
    const columns =
      template.parameters.length > 0
        ? undefined
        : (await this.#ask({ ...boundOf(query, policy), rowsMax: 1 })).columns;
    const prepared = `p${++this.#preparedCount}`;
    this.#prepared.set(prepared, template);
    const { parameters } = template;
    return [encodeFrame('prepared', { id, prepared, parameters, columns })];
  }

  async #unprepare({ id, prepared }: UnprepareFrame): Promise<Iterable<Uint8Array>> {
    if (!this.#prepared.delete(prepared)) throw noPrepared(prepared);
    return [encodeFrame('unprepared', { id, prepared })];
  }

  async #batch({ id, items, options }: BatchFrame): Promise<Iterable<Uint8Array>> {
    const bound = items.map((item): BoundQuery | { error: unknown } => {
      try {
        return this.textOf(item);
      } catch (error) {
        return { error };
      }
    });
    let requests = bound.map((item) => ('error' in item ? item : { ...item, ...options }));
    for (let tries = 1; ; tries++) {
      const answers = await Promise.all(requests.map((request) => this.#askItem(request)));
      const positions = answers.flatMap((answer) => ('error' in answer ? [] : answer));
      const newest = positions.reduce<QueryAnswer | undefined>(
        (best, next) => (best === undefined || next.revision > best.revision ? next : best),
        undefined,
      );
      if (positions.every(({ revision }) => revision === newest?.revision)) {
        return [batchFrame(id, items, answers, newest)];
      }
      if (tries === BATCH_TRIES_MAX) {
        throw new CaucusError('not_ready', 'the tables changed while the batch was answered', {
          remedy: 'send it again, or with fewer items',
        });
      }
      // A commit came between: once more, all of them, at the newest revision or a later one.
      const consistency = { atLeast: (newest as QueryAnswer).token };
      requests = bound.map((item) =>
        'error' in item ? item : { ...item, ...options, consistency },
      );
    }
  }

  async #askItem(request: QueryRequest | { readonly error: unknown }): Promise<ItemAnswer> {
    if ('error' in request) return request;
    try {
      return await this.#ask(request);
    } catch (error) {
      if (!(error instanceof CaucusError)) this.#onDefect(error);
      return { error };
    }
  }

  async #ask(request: QueryRequest): Promise<QueryAnswer> {
    try {
      return await this.#context.replica.query(request);
    } catch (error) {
      throw withDiagnostics(error, request.query, this.#context.renderDiagnostic);
    }
  }
}

function boundOf(query: string, policy: string | undefined): BoundQuery {
  return policy === undefined ? { query } : { query, policy };
}

/** One frame, or several of which the last has `complete: true`. Each says where it stands. */
function* resultFrames(
  id: string,
  answer: QueryAnswer,
  pieceBytes: number,
): Generator<Uint8Array, void, undefined> {
  const { columns, rows, revision, token, truncated } = answer;
  const start = { type: 'result', id, columns, revision, token };
  const pieces: Iterable<RowBlock> =
    rows.arity === 0 || rows.bytes.length <= pieceBytes ? [rows] : splitBlock(rows, pieceBytes);
  let left = rows.count;
  for (const piece of pieces) {
    left -= piece.count;
    const complete = left === 0;
    const members = { ...start, complete, ...(complete && truncated ? { truncated } : {}) };
    const head = jsonOf(members);
    yield joinBytes([
      encoder.encode(`${head.slice(0, -1)},"rows":`),
      blockToJsonBytes(piece),
      encoder.encode('}'),
    ]);
  }
}

function batchFrame(
  id: string,
  items: BatchFrame['items'],
  answers: readonly ItemAnswer[],
  position: QueryAnswer | undefined,
): Uint8Array {
  const answered = answers.map((answer, index) => {
    const key = items[index]?.key;
    if ('error' in answer) return { key, error: errorMembers(answer.error) };
    const { columns, truncated } = answer;
    const rows = new RawJson(blockToJson(answer.rows));
    return { key, columns, rows, ...(truncated ? { truncated } : {}) };
  });
  const { revision, token } = position ?? {};
  return encoder.encode(jsonOf({ type: 'batchResult', id, revision, token, items: answered }));
}

function noPrepared(prepared: string): CaucusError {
  return new CaucusError('invalid_request', `there is no prepared query \`${prepared}\``, {
    remedy: 'prepare it on this connection first',
  });
}
