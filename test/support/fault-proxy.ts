/**
 * A TCP proxy that misbehaves on demand, between any two parts: client and API, replica and broker,
 * replica and database. Its mode can be switched at any time and holds for connections that exist
 * as for new ones. Randomness (the jitter) comes from a seed.
 *
 * A stream that lost bytes cannot go on: where a mode loses some (`half-open`, `one-way`) the
 * connection is reset when the mode ends. `hold` loses none: like a network that heals in time.
 */
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { randomFrom } from './random.ts';
import type { Random } from './random.ts';

export type Direction = 'to-server' | 'to-client';

export type FaultMode =
  | { readonly kind: 'pass' }
  /** Each piece arrives so much later, in order. */
  | { readonly kind: 'delay'; readonly delayMs: number; readonly jitterMs?: number }
  /** Each connection is reset (RST) once so many bytes went through, both ways together; 0: now. */
  | { readonly kind: 'cut'; readonly afterBytes?: number }
  /** Connections are accepted, and every byte and every end is swallowed. */
  | { readonly kind: 'half-open' }
  /** Each way of each connection carries so much. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** What goes this way is swallowed. */
  | { readonly kind: 'one-way'; readonly lost: Direction }
  /** Nothing goes through, nothing is lost: it arrives when another mode is set. */
  | { readonly kind: 'hold' };

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface FaultProxyOptions {
  /** Until it is known, connections are cut: see `forwardTo`. */
  readonly target?: Target;
  /** Default: any that is free. */
  readonly port?: number;
  /** Default 1. */
  readonly seed?: number;
}

const HOST = '127.0.0.1';
/** Waiting in one direction of one connection, before the sender is made to wait. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** A slow link sends that often. */
const SLOW_PIECES_PER_SECOND = 50;

export async function startFaultProxy(options: FaultProxyOptions = {}): Promise<FaultProxy> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const proxy = new FaultProxy(server, options);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, HOST, resolve);
  });
  return proxy;
}

export class FaultProxy {
  readonly #server: Server;
  readonly #random: Random;
  readonly #links = new Set<Link>();
  #mode: FaultMode = { kind: 'pass' };
  #target: Target | undefined;

  constructor(server: Server, options: FaultProxyOptions) {
    this.#server = server;
    this.#random = randomFrom(options.seed ?? 1);
    this.#target = options.target;
    server.on('connection', (client) => this.#accept(client));
  }

  get host(): string {
    return HOST;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get mode(): FaultMode {
    return this.#mode;
  }

  /** Open now, clients' side. */
  get connectionCount(): number {
    return this.#links.size;
  }

  forwardTo(target: Target): void {
    this.#target = target;
  }

  set(mode: FaultMode): void {
    this.#mode = mode;
    for (const link of this.#links) link.modeOnChange(mode);
  }

  /** Resets what is open. */
  async close(): Promise<void> {
    for (const link of this.#links) link.reset();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #accept(client: Socket): void {
    const target = this.#target;
    if (target === undefined || isCutNow(this.#mode)) {
      client.on('error', () => undefined);
      reset(client);
      return;
    }
    const server = createConnection({ ...target, allowHalfOpen: true, noDelay: true });
    const link = new Link(client, server, this.#random);
    this.#links.add(link);
    client.once('close', () => this.#links.delete(link));
    link.modeOnChange(this.#mode);
  }
}

function isCutNow(mode: FaultMode): boolean {
  return mode.kind === 'cut' && (mode.afterBytes ?? 0) === 0;
}

/** One connection of a client, and its counterpart to the server. */
class Link {
  readonly #sockets: readonly [client: Socket, server: Socket];
  readonly #pipes: readonly [toServer: Pipe, toClient: Pipe];
  /** That may still go through in mode `cut`. */
  #bytesLeft = Number.POSITIVE_INFINITY;

  constructor(client: Socket, server: Socket, random: Random) {
    this.#sockets = [client, server];
    this.#pipes = [
      new Pipe('to-server', client, server, this, random),
      new Pipe('to-client', server, client, this, random),
    ];
  }

  modeOnChange(mode: FaultMode): void {
    if (this.#pipes.some((pipe) => pipe.hasLost && !pipe.loses(mode))) {
      this.reset();
      return;
    }
    this.#bytesLeft = mode.kind === 'cut' ? (mode.afterBytes ?? 0) : Number.POSITIVE_INFINITY;
    for (const pipe of this.#pipes) pipe.modeOnChange(mode);
    if (isCutNow(mode)) this.reset();
  }

  /** How many of these bytes may go through. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#bytesLeft);
    this.#bytesLeft -= taken;
    return taken;
  }

  get isUsedUp(): boolean {
    return this.#bytesLeft === 0;
  }

  reset(): void {
    for (const pipe of this.#pipes) pipe.stop();
    for (const socket of this.#sockets) reset(socket);
  }
}

/**
 * One that connects cannot be reset, and one that is being shut down stays open for good where it
 * is: libuv refuses, and the process hangs at its exit.
 */
function reset(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

interface Piece {
  /** `end` and `reset` are what the sender did after its bytes. */
  readonly content: Buffer | 'end' | 'reset';
  readonly arrivedAtMs: number;
  /** In [0, 1). */
  readonly jitter: number;
}

/** One direction of a link: what has arrived and waits for its time. */
class Pipe {
  /** Something was swallowed: the stream has a hole. */
  hasLost = false;
  readonly #direction: Direction;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #link: Link;
  readonly #random: Random;
  #mode: FaultMode = { kind: 'pass' };
  #waiting: Piece[] = [];
  #waitingBytes = 0;
  /** When a slow link has carried what it was given. */
  #freeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isBlocked = false;

  constructor(direction: Direction, source: Socket, sink: Socket, link: Link, random: Random) {
    this.#direction = direction;
    this.#source = source;
    this.#sink = sink;
    this.#link = link;
    this.#random = random;
    source.on('data', (bytes) => this.#arrive(bytes));
    source.on('end', () => this.#arrive('end'));
    source.on('error', () => this.#arrive('reset'));
    sink.on('drain', () => {
      this.#isBlocked = false;
      this.#pump();
    });
  }

  loses(mode: FaultMode): boolean {
    return mode.kind === 'half-open' || (mode.kind === 'one-way' && mode.lost === this.#direction);
  }

  modeOnChange(mode: FaultMode): void {
    this.#mode = mode;
    this.#freeAtMs = 0;
    if (this.loses(mode) && this.#waiting.length > 0) {
      this.hasLost = true;
      this.stop();
      this.#source.resume();
    }
    this.#pump();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #arrive(content: Piece['content']): void {
    if (this.loses(this.#mode)) {
      this.hasLost = true;
      return;
    }
    const arrivedAtMs = performance.now();
    this.#waiting.push({ content, arrivedAtMs, jitter: this.#random.next() });
    if (typeof content !== 'string') this.#waitingBytes += content.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#source.pause();
    this.#pump();
  }

  /** Sends what is due, and comes back for the rest. */
  #pump(): void {
    clearTimeout(this.#timer);
    for (;;) {
      const piece = this.#waiting[0];
      if (piece === undefined || this.#isBlocked || this.#sink.destroyed) return;
      const waitMs = this.#dueAtMs(piece) - performance.now();
      if (waitMs > 0) {
        if (waitMs !== Number.POSITIVE_INFINITY) {
          this.#timer = setTimeout(() => this.#pump(), Math.ceil(waitMs));
        }
        return;
      }
      this.#send(piece);
    }
  }

  #dueAtMs(piece: Piece): number {
    switch (this.#mode.kind) {
      case 'delay': {
        const { delayMs, jitterMs = 0 } = this.#mode;
        return piece.arrivedAtMs + delayMs + piece.jitter * jitterMs;
      }
      case 'slow':
        return this.#freeAtMs;
      case 'hold':
        return Number.POSITIVE_INFINITY;
      default:
        return piece.arrivedAtMs;
    }
  }

  #send(piece: Piece): void {
    this.#waiting.shift();
    const { content } = piece;
    if (content === 'reset') this.#link.reset();
    else if (content === 'end') this.#sink.end();
    else this.#sendBytes(piece, content);
  }

  #sendBytes(piece: Piece, bytes: Buffer): void {
    const now = this.#sendable(bytes.length);
    this.#waitingBytes -= now;
    if (now < bytes.length) this.#waiting.unshift({ ...piece, content: bytes.subarray(now) });
    if (this.#waitingBytes <= WAITING_BYTES_MAX) this.#source.resume();
    const allowed = bytes.subarray(0, this.#link.take(now));
    const wasLast = this.#link.isUsedUp;
    const wasTaken = this.#sink.write(allowed, () => {
      if (wasLast) this.#link.reset();
    });
    this.#isBlocked = !wasTaken;
  }

  /** A slow link carries a small piece and is busy for a while. */
  #sendable(bytes: number): number {
    if (this.#mode.kind !== 'slow') return bytes;
    const { bytesPerSecond } = this.#mode;
    const piece = Math.min(bytes, Math.max(1, Math.ceil(bytesPerSecond / SLOW_PIECES_PER_SECOND)));
    const startMs = Math.max(this.#freeAtMs, performance.now());
    this.#freeAtMs = startMs + (piece / bytesPerSecond) * 1_000;
    return piece;
  }
}
