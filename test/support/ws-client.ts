/**
 * The reference client of the WebSocket protocol: follows docs/PROTOCOL.md and nothing else, and
 * rebuilds views from snapshots and deltas. It is strict: whatever breaks a promise of the protocol
 * (a row that comes twice, a transaction out of order) throws.
 */
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { parseJson } from '../../host/value/json.ts';
import type { JsonObject, JsonValue } from '../../host/value/json.ts';
import { jsonOf } from '../../host/api/json-text.ts';

export type Frame = Readonly<Record<string, JsonValue>>;

export interface WsClientOptions {
  readonly origin?: string;
  readonly protocol?: string;
  /** Drops the n-th `rows` frame (from 0): the negative control of the rebuild check. */
  readonly dropRows?: number;
  /** Do not read from the socket until `resume()`. */
  readonly paused?: boolean;
}

export interface ClientView {
  rows: Set<string>;
  /** False until the first snapshot, and from a gap to the next one. */
  valid: boolean;
  /** Where the rows stand, which is where the view can be resumed. */
  revision?: number;
  token?: string;
  /** `revision` of `subOk`; undefined before it. */
  startedAt?: number;
}

export class WsClient {
  readonly frames: Frame[] = [];
  readonly views = new Map<string, ClientView>();
  /** Revision and token at which all valid views stand; undefined inside the first transaction. */
  revision: number | undefined;
  token: string | undefined;
  closeCode: number | undefined;
  closeReason = '';
  /** Called after each applied transaction and progress with a position. */
  onPosition: (() => void) | undefined;
  onFrame: ((frame: Frame) => void) | undefined;
  /** Bytes of transaction frames received. */
  transactionBytes = 0;
  readonly #socket: WebSocket;
  readonly #dropRows: number | undefined;
  #rowsFrames = 0;
  #open:
    | { tx: bigint; rows: { id: string; sign: bigint; rows: readonly JsonValue[] }[] }
    | undefined;
  #snapshotFor: readonly string[] = [];
  #waiters: {
    test: (frame: Frame) => boolean;
    resolve: (frame: Frame) => void;
    reject: (error: Error) => void;
  }[] = [];
  #seen = 0;
  #failure: Error | undefined;
  readonly closed: Promise<void>;

  constructor(socket: WebSocket, options: WsClientOptions) {
    this.#socket = socket;
    this.#dropRows = options.dropRows;
    socket.on('message', (data: Buffer) => {
      try {
        this.#receive(data);
      } catch (error) {
        this.#fail(error as Error);
      }
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', (code: number, reason: Buffer) => {
        this.closeCode = code;
        this.closeReason = reason.toString();
        for (const { reject } of this.#waiters)
          reject(new Error(`closed with ${code} ${this.closeReason}`));
        this.#waiters = [];
        resolve();
      });
    });
  }

  static async connect(url: string, options: WsClientOptions = {}): Promise<WsClient> {
    const socket = new WebSocket(
      `${url.replace(/^http/, 'ws')}/v1/ws`,
      options.protocol ?? 'caucus.v1',
      {
        perMessageDeflate: false,
        ...(options.origin === undefined ? {} : { origin: options.origin }),
      },
    );
    const client = new WsClient(socket, options);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      socket.once('error', reject);
    });
    if (options.paused === true) socket.pause();
    return client;
  }

  /** Connects and says hello. */
  static async open(
    url: string,
    hello: JsonObject = {},
    options: WsClientOptions = {},
  ): Promise<WsClient> {
    const client = await WsClient.connect(url, options);
    client.send({ type: 'hello', proto: [1n], ...hello });
    if (options.paused !== true) await client.next('welcome');
    return client;
  }

  send(frame: unknown): void {
    this.#socket.send(jsonOf(frame));
  }

  sendRaw(data: string | Uint8Array, binary = typeof data !== 'string'): void {
    this.#socket.send(data, { binary });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /**
   * The next frame, not yet returned by this function, of the type (and id). Rejects when the
   * socket closes first.
   */
  next(type: string, id?: string): Promise<Frame> {
    return this.nextThat(
      (frame) => frame['type'] === type && (id === undefined || frame['id'] === id),
    );
  }

  nextThat(test: (frame: Frame) => boolean): Promise<Frame> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    for (let index = this.#seen; index < this.frames.length; index++) {
      const frame = this.frames[index] as Frame;
      if (!test(frame)) continue;
      this.#seen = index + 1;
      return Promise.resolve(frame);
    }
    this.#seen = this.frames.length;
    if (this.closeCode !== undefined)
      return Promise.reject(new Error(`closed with ${this.closeCode}`));
    return new Promise((resolve, reject) => this.#waiters.push({ test, resolve, reject }));
  }

  /** Resolves when the views stand at `revision` or later. */
  async at(revision: number): Promise<void> {
    while (this.revision === undefined || this.revision < revision) {
      await this.nextThat(
        ({ type, revision: told }) =>
          (type === 'txEnd' || type === 'progress') && told !== undefined,
      );
    }
  }

  close(): Promise<void> {
    this.#socket.close();
    return this.closed;
  }

  terminate(): Promise<void> {
    this.#socket.terminate();
    return this.closed;
  }

  rowsOf(id: string): string[] {
    return [...(this.views.get(id)?.rows ?? [])].sort();
  }

  #receive(data: Buffer): void {
    const frame = parseJson(data) as Frame;
    switch (frame['type']) {
      case 'txBegin':
        assert.equal(this.#open, undefined, 'a transaction inside a transaction');
        if (frame['from'] !== undefined && this.revision !== undefined) {
          assert.equal(
            Number(frame['from']),
            this.revision,
            'a transaction does not follow the last one',
          );
        }
        assert.ok(
          this.revision === undefined || Number(frame['to']) >= this.revision,
          'time goes back',
        );
        this.#open = { tx: frame['tx'] as bigint, rows: [] };
        this.#snapshotFor = (frame['snapshotFor'] ?? []) as string[];
        this.transactionBytes += data.length;
        break;
      case 'rows':
        assert.equal(frame['tx'], this.#open?.tx, 'rows outside of their transaction');
        this.transactionBytes += data.length;
        if (this.#rowsFrames++ === this.#dropRows) break;
        this.#open?.rows.push({
          id: frame['id'] as string,
          sign: frame['sign'] as bigint,
          rows: frame['rows'] as readonly JsonValue[],
        });
        break;
      case 'txEnd':
        this.transactionBytes += data.length;
        this.#apply(frame);
        break;
      case 'progress':
        if (frame['to'] !== undefined)
          this.#moveTo(frame['to'] as string, frame['revision'] as bigint);
        break;
      case 'subOk': {
        const id = frame['id'] as string;
        const startedAt = Number(frame['revision']);
        const held = frame['start'] === 'resume' ? this.views.get(id) : undefined;
        this.views.set(id, { ...(held ?? { rows: new Set(), valid: false }), startedAt });
        break;
      }
      case 'gap': {
        const view = this.views.get(frame['id'] as string);
        if (view !== undefined) view.valid = false;
        break;
      }
      case 'subEnd':
        this.views.delete(frame['id'] as string);
        break;
      case 'error':
        if (frame['code'] !== 'duplicate_id') this.views.delete(frame['id'] as string);
        break;
      default:
    }
    this.frames.push(frame);
    this.onFrame?.(frame);
    if (frame['type'] === 'txEnd' || frame['to'] !== undefined) this.onPosition?.();
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (this.#seen < this.frames.length && waiter.test(frame)) {
        this.#seen = this.frames.length;
        waiter.resolve(frame);
      } else {
        this.#waiters.push(waiter);
      }
    }
    if (this.#waiters.length > 0) this.#seen = this.frames.length;
  }

  #apply(end: Frame): void {
    assert.equal(end['tx'], this.#open?.tx, 'the end of another transaction');
    for (const id of this.#snapshotFor) {
      const view = this.views.get(id);
      if (view === undefined) continue;
      view.rows.clear();
      view.valid = true;
    }
    for (const { id, sign, rows } of this.#open?.rows ?? []) {
      const view = this.views.get(id);
      if (view === undefined) continue;
      for (const row of rows) {
        const key = jsonOf(row);
        if (sign === 1n) {
          assert.ok(!view.rows.has(key), `row ${key} of ${id} comes twice`);
          view.rows.add(key);
        } else {
          assert.ok(view.rows.delete(key), `row ${key} of ${id} goes and was not there`);
        }
      }
    }
    const touched = new Set([
      ...this.#snapshotFor,
      ...(this.#open?.rows ?? []).map(({ id }) => id),
    ]);
    this.#open = undefined;
    this.#moveTo(end['to'] as string, end['revision'] as bigint, touched);
  }

  /** A view moves with transactions that have rows of it, and with all once it has caught up. */
  #moveTo(token: string, told: bigint, touched: ReadonlySet<string> = new Set()): void {
    const revision = Number(told);
    const before = this.revision;
    assert.ok(
      before === undefined || revision >= before,
      `time goes back from ${before} to ${revision}`,
    );
    this.token = token;
    this.revision = revision;
    for (const [id, view] of this.views) {
      const { startedAt } = view;
      if (startedAt === undefined || !(touched.has(id) || revision >= startedAt)) continue;
      view.revision = revision;
      view.token = token;
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters = [];
    this.#socket.terminate();
  }

  get failure(): Error | undefined {
    return this.#failure;
  }
}
