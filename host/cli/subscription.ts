/**
 * One subscription of a server, followed for ever: connects, collects transactions, takes a lost
 * connection up again after the last token. What the frames mean is in docs/PROTOCOL.md.
 *
 *   connecting   the socket opens, `hello` goes out, `welcome` and `subOk` come back
 *   following    transactions and progress; each moves the token
 *   waiting      the connection was lost: pause, then connecting
 */
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { ERROR_KINDS } from '../errors.ts';
import { parseJson, stringifyJson, valueOfJson } from '../value/json.ts';
import type { JsonObject, JsonValue } from '../value/json.ts';
import type { Row } from '../value/value.ts';
import { isObject, notCaucus, problemsOfAnswer, retryOf, textOf, unreachable } from './client.ts';
import { ProblemsError, UnavailableError } from './problem.ts';

const SUBPROTOCOL = 'caucus.v1';
const PROTOCOL_VERSION = 1n;
const SUBSCRIPTION_ID = 's';

/** First pause before a new attempt, ms; doubles up to the second. */
const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 10_000;
/** Time for the socket to open and `welcome` to come, ms. */
const CONNECT_MS_MAX = 10_000;
/** So many heartbeats without a frame, and the server counts as lost. */
const HEARTBEATS_MISSED_MAX = 2;

export interface SubscriptionOptions {
  readonly url: string;
  readonly query: string;
  readonly policy?: string;
  /** Token to go on after. */
  readonly from?: string;
  readonly signal: AbortSignal;
}

export type RowChange = readonly ['+' | '-', Row];

export interface SubscriptionTransaction {
  readonly revision: bigint;
  readonly token: string;
  /** The rows are the whole view and replace what was there. */
  readonly snapshot: boolean;
  readonly changes: readonly RowChange[];
}

export interface SubscriptionListener {
  onColumns(columns: readonly string[]): void;
  /** Nothing more is read until the promise resolves. */
  onTransaction(transaction: SubscriptionTransaction): Promise<void>;
  /** Everything up to the revision is known. */
  onProgress(revision: bigint): void;
  onConnectionLost(reason: string, retryMs: number): void;
  onConnected(): void;
}

/**
 * Resolves when the signal aborts; rejects when the server refuses or cannot be reached at the
 * start.
 */
export async function follow(
  options: SubscriptionOptions,
  listener: SubscriptionListener,
): Promise<void> {
  let token = options.from;
  let attempt = 0;
  let connectedOnce = false;
  while (!options.signal.aborted) {
    const connection = new Connection(options, token, listener);
    const lost = await connection.run();
    if (options.signal.aborted) return;
    token = connection.token;
    if (connection.following) {
      attempt = 0;
      connectedOnce = true;
    }
    if (!connectedOnce) throw lost.error;
    if (!(lost.error instanceof UnavailableError)) throw lost.error;
    const pauseMs = lost.pauseMs ?? backoffMs(attempt);
    attempt++;
    listener.onConnectionLost(lost.error.message, pauseMs);
    await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => {});
  }
}

/**
 * Between half and the whole of the doubled pause, so that many clients do not come back at once.
 */
function backoffMs(attempt: number): number {
  const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt, 10));
  return Math.round(most / 2 + (Math.random() * most) / 2);
}

interface Lost {
  readonly error: ProblemsError;
  /** Asked for by the server, ms. */
  readonly pauseMs?: number;
}

interface OpenTransaction {
  readonly snapshot: boolean;
  readonly changes: RowChange[];
}

/** One socket, from opening to closing. */
class Connection {
  token: string | undefined;
  following = false;
  private readonly options: SubscriptionOptions;
  private readonly listener: SubscriptionListener;
  private readonly socket: WebSocket;
  private transaction: OpenTransaction | undefined;
  private lost: Lost | undefined;
  private silence: NodeJS.Timeout | undefined;
  private silenceMs = CONNECT_MS_MAX;
  /** Frames that came while a transaction was being delivered: a paused socket still has some. */
  private readonly arrived: Buffer[] = [];
  private isPumping = false;
  private pumped = Promise.resolve();

  constructor(
    options: SubscriptionOptions,
    token: string | undefined,
    listener: SubscriptionListener,
  ) {
    this.options = options;
    this.token = token;
    this.listener = listener;
    this.socket = new WebSocket(`${options.url.replace(/^http/, 'ws')}/v1/ws`, SUBPROTOCOL, {
      perMessageDeflate: false,
      maxPayload: 0,
    });
  }

  run(): Promise<Lost> {
    const { socket, options } = this;
    return new Promise((resolve) => {
      const abort = (): void => this.end(new UnavailableError([]));
      options.signal.addEventListener('abort', abort, { once: true });
      if (options.signal.aborted) abort();
      this.heard();
      socket.on('open', () => this.send({ type: 'hello', proto: [PROTOCOL_VERSION] }));
      socket.on('message', (data) => this.frameOnArrival(data as Buffer));
      socket.on('unexpected-response', (_request, response) => {
        // A server that starts says so on every path; it is there in a moment.
        const isStarting = response.statusCode === ERROR_KINDS.not_ready.status;
        const answer = `it answered ${response.statusCode} to a WebSocket`;
        const { url } = options;
        this.end(isStarting ? connectionLost(url, 'it is not ready') : notCaucus(url, answer));
      });
      socket.on('error', (error) => this.end(unreachable(options.url, error)));
      socket.on('close', (code, reason) => {
        clearTimeout(this.silence);
        options.signal.removeEventListener('abort', abort);
        const why = reason.length > 0 ? reason.toString() : `close code ${code}`;
        const done = (): void => resolve(this.lost ?? { error: connectionLost(options.url, why) });
        // What is being delivered decides where the next connection goes on.
        if (options.signal.aborted) done();
        else void this.pumped.finally(done);
      });
    });
  }

  private end(error: ProblemsError, pauseMs?: number): void {
    this.lost ??= pauseMs === undefined ? { error } : { error, pauseMs };
    this.socket.terminate();
  }

  /** Something came; the next silence is counted from here. */
  private heard(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.end(connectionLost(this.options.url, 'it has gone silent'));
    }, this.silenceMs);
  }

  private send(frame: Parameters<typeof stringifyJson>[0]): void {
    this.socket.send(stringifyJson(frame));
  }

  private frameOnArrival(data: Buffer): void {
    if (this.lost !== undefined) return;
    this.arrived.push(data);
    if (this.isPumping) return;
    this.heard();
    this.pumped = this.pump();
  }

  /** Frames one after another; without a wait for those that need none. */
  private async pump(): Promise<void> {
    this.isPumping = true;
    try {
      for (let data = this.arrived.shift(); data !== undefined; data = this.arrived.shift()) {
        if (this.lost !== undefined) return;
        const frame = parseJson(data);
        if (!isObject(frame)) throw new TypeError('a frame is an object');
        const delivered = this.frame(frame);
        if (delivered === undefined) continue;
        clearTimeout(this.silence);
        this.socket.pause();
        await delivered;
        this.heard();
        this.socket.resume();
      }
    } catch (error) {
      if (error instanceof ProblemsError) this.end(error);
      else this.end(notCaucus(this.options.url, 'it sent a frame that cannot be read'));
    } finally {
      this.isPumping = false;
    }
  }

  /** A promise where nothing more may be read until it resolves. */
  private frame(frame: JsonObject): Promise<void> | undefined {
    switch (frame['type']) {
      case 'welcome':
        this.welcomeOnArrival(frame);
        return undefined;
      case 'subOk':
        this.following = true;
        this.listener.onColumns(frame['columns'] as readonly string[]);
        this.listener.onConnected();
        return undefined;
      case 'txBegin': {
        const snapshotFor = frame['snapshotFor'];
        const snapshot = Array.isArray(snapshotFor) && snapshotFor.includes(SUBSCRIPTION_ID);
        this.transaction = { snapshot, changes: [] };
        return undefined;
      }
      case 'rows':
        this.rowsOnArrival(frame);
        return undefined;
      case 'txEnd':
        return this.transactionOnEnd(frame);
      case 'progress':
        this.progressOnArrival(frame);
        return undefined;
      case 'gap':
        // The rows in between are lost; a snapshot follows, and until then no token holds.
        this.token = undefined;
        return undefined;
      case 'goaway':
        this.goAwayOnArrival(frame);
        return undefined;
      case 'error':
        this.errorOnArrival(frame);
        return undefined;
      default:
        // A later server may say more.
        return undefined;
    }
  }

  private welcomeOnArrival(frame: JsonObject): void {
    const heartbeatMs = Number(frame['heartbeatMs'] ?? CONNECT_MS_MAX);
    this.silenceMs = heartbeatMs * HEARTBEATS_MISSED_MAX;
    this.heard();
    const { query, policy } = this.options;
    this.send({
      type: 'subs',
      add: [
        {
          id: SUBSCRIPTION_ID,
          query,
          ...(policy === undefined ? {} : { policy }),
          ...(this.token === undefined ? {} : { from: this.token }),
        },
      ],
    });
  }

  private rowsOnArrival(frame: JsonObject): void {
    const sign = frame['sign'] === 1n ? '+' : '-';
    for (const row of frame['rows'] as readonly JsonValue[]) {
      this.transaction?.changes.push([sign, (row as readonly JsonValue[]).map(valueOfJson)]);
    }
  }

  private async transactionOnEnd(frame: JsonObject): Promise<void> {
    const { transaction } = this;
    const token = textOf(frame['to']);
    if (transaction === undefined || token === undefined)
      throw new TypeError('txEnd without txBegin');
    this.transaction = undefined;
    const revision = frame['revision'] as bigint;
    try {
      await this.listener.onTransaction({ revision, token, ...transaction });
    } catch (error) {
      throw error instanceof ProblemsError ? error : internal(error);
    }
    this.token = token;
  }

  private progressOnArrival(frame: JsonObject): void {
    const token = textOf(frame['to']);
    if (token === undefined) return;
    this.token = token;
    this.listener.onProgress(frame['revision'] as bigint);
  }

  private goAwayOnArrival(frame: JsonObject): void {
    const least = Number(frame['minBackoffMs'] ?? BACKOFF_MS_MIN);
    const most = Number(frame['maxBackoffMs'] ?? BACKOFF_MS_MAX);
    const pauseMs = Math.round(least + Math.random() * Math.max(0, most - least));
    this.end(connectionLost(this.options.url, 'it is shutting down'), pauseMs);
  }

  private errorOnArrival(frame: JsonObject): void {
    const problems = problemsOfAnswer(frame, { name: 'query', content: this.options.query });
    if (retryOf(frame) === 'never') this.end(new ProblemsError(problems));
    else this.end(new UnavailableError(problems), Number(frame['afterMs'] ?? BACKOFF_MS_MIN));
  }
}

function connectionLost(url: string, why: string): UnavailableError {
  const message = `the connection to \`${url}\` was lost: ${why}`;
  return new UnavailableError([{ severity: 'error', code: 'connection-lost', message }]);
}

function internal(error: unknown): ProblemsError {
  const message = error instanceof Error ? error.message : String(error);
  return new ProblemsError([{ severity: 'error', code: 'output', message }]);
}
