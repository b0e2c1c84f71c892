/**
 * The protocol of one connection, without its socket: frames in, frames out.
 *
 *   state      opens with        leaves with
 *   waiting    the upgrade       `hello` → open; anything else or the deadline → closed
 *   open       `welcome`         close → closed
 *   closed
 *
 * What goes out, in this order: control frames at once (few and small); then, when the socket takes
 * it, one frame of an answer and one frame of a transaction in turn. Transactions also need credit.
 * While the socket is full nothing is read from it either, so the memory of a connection is bounded
 * by `socketBufferBytesMax` + the outbox + `requestsInFlightMax` answers.
 */
import { CaucusError } from '../errors.ts';
import { RECONNECT_MS_MAX, RECONNECT_MS_MIN } from '../limits.ts';
import type { Gap } from '../subscriptions/outbox.ts';
import type { Subscriber, SubscriptionStart } from '../subscriptions/subscriptions.ts';
import type { Subscriptions } from '../subscriptions/subscriptions.ts';
import { encodeFrame, transactionFrames } from '../subscriptions/transaction-frames.ts';
import { decodeFrame } from './client-frames.ts';
import type { ClientFrame, HelloFrame, SubItem, SubsFrame } from './client-frames.ts';
import { errorMembers, jsonOf, withDiagnostics } from './json-text.ts';
import type { ApiContext } from './route-table.ts';
import { SessionQueries } from './session-queries.ts';

export const PROTOCOL_VERSION = 1;

/** Why the server closes a connection; docs/PROTOCOL.md lists them and a test compares. */
export const CLOSE_CODES = {
  goingAway: 1001,
  internal: 1011,
  badFrame: 4400,
  noCommonVersion: 4406,
  silent: 4408,
} as const;

export interface Transport {
  /** One text frame. */
  send(frame: Uint8Array): void;
  /** Bytes given to `send` that the network has not taken yet. */
  bufferedBytes(): number;
  /** No further frames are delivered until `resume`, but for those already read. */
  pause(): void;
  resume(): void;
  ping(): void;
  /** Calls `pump` soon, once for many wakes. */
  wake(): void;
  close(code: number, reason: string): void;
  /** Cuts the connection without a closing handshake. */
  cut(): void;
}

const encoder = new TextEncoder();

export class Session {
  readonly #context: ApiContext;
  readonly #hub: Subscriptions;
  readonly #transport: Transport;
  readonly #onDefect: (error: unknown) => void;
  readonly #subscriber: Subscriber;
  readonly #queries: SessionQueries;
  #state: 'waiting' | 'open' | 'closed' = 'waiting';
  #credit = Number.POSITIVE_INFINITY;
  #answers: Iterator<Uint8Array, void>[] = [];
  #transaction: Iterator<Uint8Array, void> | undefined;
  /** Ids of subscriptions that are being opened. */
  readonly #opening = new Map<string, string>();
  /** Patches of subscriptions run one after another. */
  #patches: Promise<void> = Promise.resolve();
  #inFlight = 0;
  #paused = false;
  #badFrames = 0;
  #heard = true;
  #heartbeatsMissed = 0;
  #sentSinceTick = false;

  constructor(
    context: ApiContext,
    hub: Subscriptions,
    transport: Transport,
    onDefect: (error: unknown) => void,
  ) {
    this.#context = context;
    this.#hub = hub;
    this.#transport = transport;
    this.#onDefect = onDefect;
    this.#subscriber = hub.connect({
      onStart: (start) => this.#subscriptionOnStart(start),
      onEnd: (id, error) => this.#subscriptionOnEnd(id, error),
      onGap: (gap) => this.#subscriptionOnGap(gap),
      onWake: () => transport.wake(),
    });
    this.#queries = new SessionQueries(context, onDefect);
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Bytes of changes and snapshots that wait for this connection. */
  get pendingBytes(): { readonly changes: number; readonly snapshots: number } {
    return this.#subscriber.pendingBytes;
  }

  frameOnText(bytes: Uint8Array): void {
    this.#heard = true;
    if (this.#state === 'closed') return;
    const frame = decodeFrame(bytes, this.#context.limits);
    if (frame.type === 'bad') this.#refuse(frame.id, frame.error);
    else if (frame.type === 'hello') this.#helloOnFrame(frame);
    else if (this.#state === 'waiting') {
      this.#end(CLOSE_CODES.badFrame, 'the first frame is hello');
    } else this.#frame(frame);
    this.#pauseIfFull();
  }

  frameOnBinary(): void {
    this.#end(CLOSE_CODES.badFrame, 'frames are text');
  }

  pongOnArrival(): void {
    this.#heard = true;
  }

  helloOnDeadline(): void {
    if (this.#state === 'waiting') this.#end(CLOSE_CODES.silent, 'no hello in time');
  }

  /**
   * Every half `heartbeatMs`, so that two progress frames are never farther apart than the whole.
   */
  heartbeatOnTick(): void {
    if (this.#state !== 'open') return;
    this.#checkLife();
    if (this.#isFull()) return;
    if (this.#sentSinceTick) this.#sentSinceTick = false;
    else this.#sendProgress();
  }

  transportOnDrain(): void {
    this.pump();
  }

  transportOnClose(): void {
    this.#state = 'closed';
    this.#subscriber.close();
    this.#answers = [];
    this.#transaction = undefined;
  }

  goAway(graceMs: number): void {
    if (this.#state !== 'open') {
      this.#end(CLOSE_CODES.goingAway, 'drain');
      return;
    }
    const [minBackoffMs, maxBackoffMs] = [RECONNECT_MS_MIN, RECONNECT_MS_MAX];
    this.#send('goaway', { reason: 'drain', graceMs, minBackoffMs, maxBackoffMs });
  }

  close(code: number, reason: string): void {
    this.#end(code, reason);
  }

  /** Sends what may be sent now. */
  pump(): void {
    try {
      for (let wrote = true; wrote && this.#state === 'open' && !this.#isFull();) {
        const answered = this.#pumpAnswer();
        wrote = (this.#isFull() ? false : this.#pumpTransaction()) || answered;
      }
    } catch (error) {
      this.#onDefect(error);
      this.#end(CLOSE_CODES.internal, 'internal error');
    }
    if (this.#paused && this.#state !== 'closed' && !this.#mustPause()) {
      this.#paused = false;
      this.#transport.resume();
    }
  }

  #pumpAnswer(): boolean {
    const answer = this.#answers[0];
    if (answer === undefined) return false;
    const { done, value } = answer.next();
    if (done === true) this.#answers.shift();
    else this.#write(value);
    return true;
  }

  #pumpTransaction(): boolean {
    if (this.#credit <= 0) return false;
    if (this.#transaction === undefined) {
      const transaction = this.#subscriber.take();
      if (transaction === undefined) return false;
      const stamps = new Map(transaction.parts.map(({ id }) => [id, this.#subscriber.stamp(id)]));
      this.#transaction = transactionFrames(
        transaction,
        this.#context.limits.rowsFrameBytes,
        (id) => this.#subscriber.stamp(id) === stamps.get(id),
      );
    }
    const { done, value } = this.#transaction.next();
    if (done === true) {
      this.#transaction = undefined;
      return true;
    }
    this.#credit -= value.length;
    this.#write(value);
    return true;
  }

  #frame(frame: Exclude<ClientFrame, HelloFrame>): void {
    switch (frame.type) {
      case 'credit':
        this.#credit = Math.min(this.#credit + frame.bytes, Number.MAX_SAFE_INTEGER);
        this.#transport.wake();
        return;
      case 'subs':
        this.#subsOnFrame(frame);
        return;
      case 'query':
      case 'batch':
      case 'explain':
      case 'whyNot':
      case 'prepare':
      case 'unprepare':
        this.#run(frame.id, () => this.#queries.run(frame));
    }
  }

  #helloOnFrame({ proto, credit }: HelloFrame): void {
    if (this.#state !== 'waiting') {
      this.#end(CLOSE_CODES.badFrame, 'hello comes once');
      return;
    }
    if (!proto.includes(BigInt(PROTOCOL_VERSION))) {
      this.#end(CLOSE_CODES.noCommonVersion, `served is version ${PROTOCOL_VERSION}`);
      return;
    }
    this.#state = 'open';
    if (credit !== undefined) this.#credit = credit;
    const { limits, replica } = this.#context;
    const { logId, revision, token, retainFrom } = replica.status();
    this.#send('welcome', {
      proto: PROTOCOL_VERSION,
      logId,
      head: token,
      revision,
      ...(retainFrom === undefined ? {} : { retainFrom }),
      heartbeatMs: limits.heartbeatMs,
      limits: {
        frameBytes: limits.frameBytesMax,
        subscriptions: limits.subscriptionsMax,
        prepared: limits.preparedMax,
        batchItems: limits.batchItemsMax,
        requestsInFlight: limits.requestsInFlightMax,
        backlogBytes: limits.backlogBytesMax,
      },
    });
  }

  /** Requests run beside each other; each is answered under its id, in any order. */
  #run(id: string, request: () => Promise<Iterable<Uint8Array>>): void {
    if (this.#queries.isRunning(id) || this.#idIsSubscription(id)) {
      this.#sendError(id, duplicateId(id));
      return;
    }
    this.#inFlight++;
    this.#queries.begin(id);
    void request()
      .then(
        (answer) => this.#answers.push(answer[Symbol.iterator]() as Iterator<Uint8Array, void>),
        (error: unknown) => this.#sendError(id, error),
      )
      .finally(() => {
        this.#inFlight--;
        this.#queries.end(id);
        this.#transport.wake();
      });
  }

  #subsOnFrame(frame: SubsFrame): void {
    this.#inFlight++;
    this.#patches = this.#patches
      .then(() => this.#patch(frame))
      .catch((error: unknown) => {
        this.#onDefect(error);
        this.#end(CLOSE_CODES.internal, 'internal error');
      })
      .finally(() => {
        this.#inFlight--;
        this.#transport.wake();
      });
  }

  async #patch({ add, remove }: SubsFrame): Promise<void> {
    if (this.#state !== 'open') return;
    for (const id of remove) {
      if (this.#subscriber.remove(id)) this.#send('subEnd', { id });
      else this.#sendError(id, noSubscription(id));
    }
    const requests = add.flatMap((item) => {
      try {
        this.#checkAdd(item);
        const { query, policy } = this.#queries.textOf(item);
        this.#opening.set(item.id, query);
        const { id, mode, from } = item;
        return {
          id,
          mode,
          query,
          ...(policy === undefined ? {} : { policy }),
          ...(from === undefined ? {} : { from }),
        };
      } catch (error) {
        this.#sendError(item.id, error);
        return [];
      }
    });
    if (requests.length > 0) await this.#subscriber.add(requests);
    this.#opening.clear();
  }

  #checkAdd({ id }: SubItem): void {
    if (this.#idIsSubscription(id) || this.#queries.isRunning(id)) throw duplicateId(id);
    const { subscriptionsMax } = this.#context.limits;
    if (this.#subscriber.count + this.#opening.size >= subscriptionsMax) {
      const message = `a connection has at most ${subscriptionsMax} subscriptions`;
      throw new CaucusError('limit_exceeded', message, {
        remedy: 'remove some, or open another connection',
        details: { subscriptionsMax },
      });
    }
  }

  #idIsSubscription(id: string): boolean {
    return this.#subscriber.has(id) || this.#opening.has(id);
  }

  #subscriptionOnStart({ id, start, columns, position }: SubscriptionStart): void {
    this.#opening.delete(id);
    const { revision, token } = position;
    this.#send('subOk', { id, start, columns, revision, token });
  }

  /** Of one that is lost later the text is not known any more: its diagnostics have no excerpt. */
  #subscriptionOnEnd(id: string, error: unknown): void {
    const text = this.#opening.get(id);
    const render = text === undefined ? undefined : this.#context.renderDiagnostic;
    this.#sendError(id, withDiagnostics(error, text ?? '', render));
  }

  #subscriptionOnGap({ id, lostFrom, lostTo }: Gap): void {
    this.#send('gap', { id, lostFrom, lostTo, reason: 'backlog', action: 'resnapshot' });
  }

  #sendProgress(): void {
    const head = this.#hub.position.revision;
    // Inside a transaction the client is nowhere: the frame only shows that the server lives.
    const to = this.#transaction === undefined ? this.#subscriber.completeTo() : undefined;
    this.#send('progress', { to: to?.token, revision: to?.revision, head });
    this.#sentSinceTick = false;
    if (to !== undefined) this.#subscriber.tell(to);
  }

  #checkLife(): void {
    if (this.#heard || (this.#paused && !this.#isFull())) this.#heartbeatsMissed = 0;
    else this.#heartbeatsMissed += 0.5;
    if (this.#heartbeatsMissed >= this.#context.limits.heartbeatsMissedMax) {
      this.#transport.cut();
      return;
    }
    this.#heard = false;
    this.#transport.ping();
  }

  #refuse(id: string | undefined, error: unknown): void {
    if (this.#state === 'waiting') {
      this.#end(CLOSE_CODES.badFrame, 'the first frame is hello');
      return;
    }
    this.#sendError(id, error);
    this.#badFrames++;
    if (this.#badFrames >= this.#context.limits.badFramesMax) {
      this.#end(CLOSE_CODES.badFrame, 'too many bad frames');
    }
  }

  #sendError(id: string | undefined, error: unknown): void {
    if (!(error instanceof CaucusError)) this.#onDefect(error);
    if (this.#state !== 'open') return;
    const kind = { type: 'error', ...(id === undefined ? {} : { id }) };
    const members = { ...kind, ...errorMembers(error), ...kind };
    this.#write(encoder.encode(jsonOf(members)));
  }

  #send(type: string, members: Readonly<Record<string, unknown>>): void {
    if (this.#state === 'open') this.#write(encodeFrame(type, members));
  }

  #write(frame: Uint8Array): void {
    this.#sentSinceTick = true;
    this.#transport.send(frame);
  }

  #isFull(): boolean {
    return this.#transport.bufferedBytes() >= this.#context.limits.socketBufferBytesMax;
  }

  #mustPause(): boolean {
    const running = this.#inFlight + this.#answers.length;
    return this.#isFull() || running >= this.#context.limits.requestsInFlightMax;
  }

  #pauseIfFull(): void {
    if (this.#paused || this.#state === 'closed' || !this.#mustPause()) return;
    this.#paused = true;
    this.#transport.pause();
  }

  #end(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.transportOnClose();
    this.#transport.close(code, reason);
  }
}

function duplicateId(id: string): CaucusError {
  return new CaucusError('duplicate_id', `the id \`${id}\` is in use on this connection`, {
    remedy: 'use a new id for each request; what runs under this one goes on',
  });
}

function noSubscription(id: string): CaucusError {
  return new CaucusError('invalid_request', `there is no subscription \`${id}\``, {
    remedy: 'remove only what `subOk` named',
  });
}
