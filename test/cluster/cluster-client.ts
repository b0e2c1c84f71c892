/**
 * A client of a real cluster, over HTTP and the WebSocket. What it asks and what it was answered
 * goes into the history, in the words of the simulated clients, so that the same checks read both.
 */
import { jsonOf } from '../../host/api/json-text.ts';
import { parseJson } from '../../host/value/json.ts';
import type { JsonObject, JsonValue } from '../../host/value/json.ts';
import type { Row } from '../../host/value/value.ts';
import { rowKey } from '../oracle/row-set.ts';
import type { BatchCall, Call } from '../support/history.ts';
import { WsClient } from '../support/ws-client.ts';
import { rowChangeTexts } from '../simulation/world.ts';
import type { Rows } from '../simulation/world.ts';
import type { ClusterNode } from './cluster-node.ts';
import type { Recorder } from './recorder.ts';

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly revision: number;
  readonly token: string;
  /** Of queries: as texts, sorted. */
  readonly rows: readonly string[];
}

export interface Batch {
  readonly source: string;
  readonly id: string | null;
  readonly snapshot: boolean;
  readonly changes: readonly Rows[];
}

export type Wanted = 'any' | 'latest' | 'atLeast' | 'exact';

export interface ClientOptions {
  readonly name: string;
  readonly recorder: Recorder;
  /** The negative control: tokens are named in the history and not sent. */
  readonly ignoresTokens?: boolean;
  /** Until a request without an answer is given up. */
  readonly requestMs?: number;
}

const REQUEST_MS = 8_000;
const WAIT_MS = 4_000;

export class ClusterClient {
  readonly name: string;
  readonly #options: ClientOptions;
  readonly #recorder: Recorder;
  /** Of the newest answer. */
  token: string | undefined;
  revision = 0;
  #ops = 0;
  #views = 0;

  constructor(options: ClientOptions) {
    this.name = options.name;
    this.#options = options;
    this.#recorder = options.recorder;
  }

  /** Number of the next operation. */
  get op(): number {
    return this.#ops;
  }

  async batch(node: ClusterNode, batch: Batch): Promise<Answer | undefined> {
    const { source, id, snapshot, changes } = batch;
    const call: BatchCall = {
      kind: 'batch',
      source,
      id,
      snapshot: false,
      changes: rowChangeTexts(changes).map((change) => ({ ...change, replace: snapshot })),
    };
    const path = `/v1/sources/${source}/batches`;
    return await this.#call(call, node, () => this.#post(node, path, batchBody(batch)));
  }

  /** `text` null: delete. */
  async policy(node: ClusterNode, name: string, text: string | null): Promise<Answer | undefined> {
    const call: Call = { kind: 'policy', writes: [{ name, text }] };
    return await this.#call(call, node, () =>
      this.#ask(node, `/v1/policies/${name}/text`, {
        method: text === null ? 'DELETE' : 'PUT',
        ...(text === null ? {} : { headers: { 'content-type': 'text/plain' }, body: text }),
      }),
    );
  }

  async query(
    node: ClusterNode,
    query: string,
    wanted: Wanted = this.token === undefined ? 'any' : 'atLeast',
    waitMs = WAIT_MS,
  ): Promise<Answer | undefined> {
    const token = wanted === 'any' || wanted === 'latest' ? null : (this.token ?? null);
    const call: Call = { kind: 'query', query, consistency: wanted, token };
    const asked = token === null ? wanted : { [wanted]: token };
    const consistency = this.#options.ignoresTokens === true ? 'any' : asked;
    return await this.#call(call, node, () =>
      this.#post(node, '/v1/query', { query, consistency, waitMs: BigInt(waitMs) }),
    );
  }

  /** A copy of a query that outlives connections. */
  follow(query: string): FollowedView {
    return new FollowedView(this, this.#recorder, query, this.#views++);
  }

  nextOp(): number {
    return this.#ops++;
  }

  async #post(node: ClusterNode, path: string, body: unknown): Promise<Reply> {
    const headers = { 'content-type': 'application/json' };
    return await this.#ask(node, path, { method: 'POST', headers, body: jsonOf(body) });
  }

  async #ask(node: ClusterNode, path: string, init: RequestInit): Promise<Reply> {
    const signal = AbortSignal.timeout(this.#options.requestMs ?? REQUEST_MS);
    const response = await fetch(`${node.url}${path}`, { ...init, signal });
    const body = parseJson(await response.text()) as JsonObject;
    return { status: response.status, body };
  }

  /** Undefined: an error, or no answer. */
  async #call(
    call: Call,
    node: ClusterNode,
    run: () => Promise<Reply>,
  ): Promise<Answer | undefined> {
    const { name: client } = this;
    const op = this.#ops++;
    this.#recorder.add({ event: 'invoke', client, op, node: node.id, call });
    let reply: Reply;
    try {
      reply = await run();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#recorder.add({ event: 'error', client, op, code: 'unknown', message });
      return undefined;
    }
    const { status, body } = reply;
    const problem = body['error'] as JsonObject | undefined;
    if (problem !== undefined) {
      const [code, message] = [String(problem['code']), String(problem['message'])];
      this.#recorder.add({ event: 'error', client, op, code, message });
      return { status, body, revision: 0, token: '', rows: [] };
    }
    const isPending = body['pending'] === true;
    const token = String(body['token']);
    const revision = isPending ? this.revision : Number(body['revision']);
    const rows = rowTexts(body['rows']);
    this.#recorder.add({
      event: 'ok',
      client,
      op,
      revision,
      token,
      ...(call.kind === 'query' ? { rows } : {}),
      ...(isPending ? { isPending } : {}),
    });
    if (isPending || revision >= this.revision) Object.assign(this, { token, revision });
    return { status, body, revision, token, rows };
  }
}

interface Reply {
  readonly status: number;
  readonly body: JsonObject;
}

/** A query's rows, kept by snapshot and deltas, over connections to one node after another. */
export class FollowedView {
  readonly query: string;
  /** As texts. */
  rows = new Set<string>();
  revision = 0;
  token: string | undefined;
  readonly #client: ClusterClient;
  readonly #recorder: Recorder;
  readonly #view: number;
  #kept = new Set<string>();
  #socket: WsClient | undefined;

  constructor(client: ClusterClient, recorder: Recorder, query: string, view: number) {
    this.#client = client;
    this.#recorder = recorder;
    this.query = query;
    this.#view = view;
  }

  /** False: the node does not take it. */
  async connect(node: ClusterNode): Promise<boolean> {
    const { query, token } = this;
    const op = this.#client.nextOp();
    const client = this.#client.name;
    const call: Call = { kind: 'open', query, view: this.#view, from: token ?? null };
    this.#recorder.add({ event: 'invoke', client, op, node: node.id, call });
    try {
      const socket = await inTime(WsClient.open(node.url), (late) => void late.terminate());
      this.#socket = socket;
      if (token !== undefined) {
        const { revision } = this;
        socket.views.set(ID, { rows: new Set(this.#kept), valid: true, revision, token });
      }
      socket.onFrame = (frame) => this.#frameOnSeen(socket, node, frame);
      void socket.closed.then(() => this.#closeOnSeen(socket, op));
      const add = { id: ID, query, ...(token === undefined ? {} : { from: token }) };
      socket.send({ type: 'subs', add: [add] });
      const started = await inTime(
        socket.nextThat(({ id, type }) => id === ID && (type === 'subOk' || type === 'error')),
      );
      if (started['type'] === 'error') throw new Error(String(started['code']));
      const at = { revision: Number(started['revision']), token: String(started['token']) };
      this.#recorder.add({ event: 'ok', client, op, ...at });
      return true;
    } catch (error) {
      const code = (error as Error).message;
      this.#recorder.add({ event: 'error', client, op, code, message: 'no subscription' });
      this.disconnect();
      return false;
    }
  }

  disconnect(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.onFrame = undefined;
    void socket.terminate();
  }

  /** Resolves when it stands at the revision or a later one; rejects when the connection ends. */
  async at(revision: number): Promise<void> {
    await this.#socket?.at(revision);
  }

  /** A promise of the protocol that was broken is a defect of the server. */
  #closeOnSeen(socket: WsClient, op: number): void {
    const { failure } = socket;
    if (failure === undefined) return;
    const { name: client } = this.#client;
    const { message } = failure;
    this.#recorder.add({ event: 'error', client, op, code: 'defect', message });
  }

  #frameOnSeen(
    socket: WsClient,
    node: ClusterNode,
    frame: { readonly [name: string]: JsonValue },
  ): void {
    const { type } = frame;
    const base = {
      event: 'view',
      client: this.#client.name,
      view: this.#view,
      node: node.id,
      query: this.query,
    } as const;
    if (type === 'error' && frame['id'] === ID) {
      const { revision, token } = this;
      // It had not begun: the answer to `open` tells.
      if (token === undefined) return;
      this.#recorder.add({ ...base, what: 'end', revision, insert: [], delete: [] });
      return;
    }
    if (type === 'txBegin') {
      const named = (frame['snapshotFor'] ?? []) as readonly string[];
      this.#isSnapshot = named.includes(ID);
    }
    const isPosition = type === 'txEnd' || (type === 'progress' && frame['to'] !== undefined);
    const view = socket.views.get(ID);
    if (!isPosition || view?.token === undefined || !view.valid) return;
    const isSnapshot = type === 'txEnd' && this.#isSnapshot;
    // Both brought up to date together, or not yet.
    if (view.revision !== socket.revision) return;
    const before = isSnapshot ? new Set<string>() : this.#kept;
    const insert = [...view.rows].filter((row) => !before.has(row)).map(textOf);
    const gone = [...before].filter((row) => !view.rows.has(row)).map(textOf);
    this.#kept = new Set(view.rows);
    this.rows = new Set([...view.rows].map(textOf));
    this.revision = Number(view.revision);
    this.token = view.token;
    const what = isSnapshot ? 'snapshot' : insert.length + gone.length === 0 ? 'at' : 'delta';
    this.#recorder.add({ ...base, what, revision: this.revision, insert, delete: gone });
  }

  #isSnapshot = false;
}

/** Of the only subscription of a connection. */
const ID = 'view';

async function inTime<T>(promise: Promise<T>, onLate?: (value: T) => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let isLate = false;
  promise.then(
    (value) => {
      if (isLate) onLate?.(value);
    },
    () => undefined,
  );
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(new Error('unknown'));
    }, REQUEST_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function batchBody({ id, snapshot, changes }: Batch): unknown {
  const rowsOf = (which: 'insert' | 'delete'): Record<string, unknown> =>
    Object.fromEntries(
      changes
        .filter((change) => change[which].length > 0)
        .map((change) => [change.table, change[which]]),
    );
  const key = id === null ? {} : { id };
  if (snapshot) {
    return { ...key, snapshot: Object.fromEntries(changes.map((one) => [one.table, one.insert])) };
  }
  return { ...key, insert: rowsOf('insert'), delete: rowsOf('delete') };
}

function rowTexts(rows: JsonValue | undefined): string[] {
  if (rows === undefined) return [];
  return (rows as unknown as readonly Row[]).map(rowKey).sort();
}

/** A row as the WebSocket client keeps it, as a text of the history. */
function textOf(row: string): string {
  return rowKey(parseJson(row) as unknown as Row);
}
