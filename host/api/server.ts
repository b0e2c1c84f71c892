/**
 * The HTTP server: guard → route → handler → answer, and the upgrade to the WebSocket.
 *
 * Closing goes in this order: readiness off, no new connections, notice to the sockets, running
 * requests get `drainMs` to finish, then everything is cut.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CaucusError, ERROR_KINDS } from '../errors.ts';
import { HEADER_BYTES_MAX, HEADERS_CHECK_MS } from '../limits.ts';
import type { Replica } from '../replica/replica.ts';
import { Subscriptions } from '../subscriptions/subscriptions.ts';
import { API_LIMITS } from './api-limits.ts';
import type { ApiLimits } from './api-limits.ts';
import type { ClusterAccess } from './cluster.ts';
import { createGuard } from './guard.ts';
import type { Guard } from './guard.ts';
import { errorMembers, jsonOf } from './json-text.ts';
import type { RenderDiagnostic } from './json-text.ts';
import { allowOf, findRoute, methodsOf } from './route-table.ts';
import type { Answer, ApiContext, ApiLog } from './route-table.ts';
import { ROUTES, SOCKET_PATH } from './routes.ts';
import { createSocketServer } from './websocket.ts';
import type { SocketServer } from './websocket.ts';

export interface ApiServerOptions {
  readonly replica: Replica;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Values of `Host` besides the loopback names and `host`, as `name` or `name:port`. */
  readonly allowedHosts?: readonly string[];
  /** Origins of pages that may use the server; by default none may. */
  readonly allowedOrigins?: readonly string[];
  /** Throws `not_ready` while there is no state to answer from. */
  readonly expectStarted?: () => void;
  /** What other nodes may ask for. */
  readonly cluster?: ClusterAccess;
  readonly limits?: Partial<ApiLimits>;
  readonly log?: ApiLog;
  /** Shows a diagnostic with its line and carets. */
  readonly renderDiagnostic?: RenderDiagnostic;
}

export interface ApiServer {
  readonly address: { readonly host: string; readonly port: number; readonly url: string };
  /** Resolves when all connections are gone; `drainMs` overrides the limit. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/** What is read of a body after an early answer, so that its sender gets to read the answer. */
const DISCARD_BYTES_MAX = 64 * 1024 * 1024;
const DISCARD_MS_MAX = 5_000;

/** Resolves when the server listens; rejects with the error of the system (`EADDRINUSE` …). */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const limits: ApiLimits = { ...API_LIMITS, ...options.limits };
  const log: ApiLog = options.log ?? (() => {});
  let draining = false;
  let port = options.port;
  const guard = createGuard({
    host: options.host,
    port: () => port,
    allowedHosts: options.allowedHosts ?? [],
    allowedOrigins: options.allowedOrigins ?? [],
  });
  const context: ApiContext = {
    replica: options.replica,
    limits,
    renderDiagnostic: options.renderDiagnostic,
    isDraining: () => draining,
    expectStarted: options.expectStarted ?? (() => undefined),
    cluster: options.cluster,
  };
  const subscriptions = new Subscriptions(options.replica, limits);
  const sockets = createSocketServer({ context, subscriptions, log });
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: limits.headersMsMax,
    connectionsCheckingInterval: Math.min(limits.headersMsMax, HEADERS_CHECK_MS),
    requestTimeout: limits.bodyMsMax,
    keepAliveTimeout: limits.keepAliveMs,
  });
  server.maxConnections = limits.connectionsMax;
  server.on('request', (message, response) => void serve(message, response));
  server.on('upgrade', (message, socket, head) =>
    upgrade({ message, socket, head, guard, sockets, context }),
  );
  server.on('clientError', (error, socket) => refuseBroken(error, socket as Socket));

  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      guard.check(message.headers);
      if (draining) response.setHeader('connection', 'close');
      const headers = crossOriginHeaders(guard, message);
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      if (message.method === 'OPTIONS') return answerOptions(message, response);
      const { route, request } = findRoute(ROUTES, message);
      if (route.whileStarting !== true) context.expectStarted();
      const answer = await route.handle(context, request);
      await send(message, response, answer);
    } catch (error) {
      await sendError(message, response, error, log);
    }
  };

  await listen(server, options.host, options.port);
  const address = server.address() as AddressInfo;
  port = address.port;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  log('info', 'listening', { host: address.address, port });

  let closing: Promise<void> | undefined;
  return {
    address: { host: address.address, port, url: `http://${name}:${port}` },
    close(closeOptions = {}) {
      closing ??= (async () => {
        draining = true;
        const drainMs = closeOptions.drainMs ?? limits.drainMs;
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeIdleConnections();
        const cut = setTimeout(() => server.closeAllConnections(), drainMs);
        await sockets.close(drainMs);
        await closed;
        clearTimeout(cut);
        subscriptions.close();
      })();
      return closing;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 4_096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A page of an allowed origin may read the answers. */
function crossOriginHeaders(guard: Guard, message: IncomingMessage): Record<string, string> {
  const origin = guard.originOf(message.headers);
  if (origin === undefined) return {};
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'caucus-revision, caucus-token',
    vary: 'origin',
  };
}

function answerOptions(message: IncomingMessage, response: ServerResponse): void {
  const methods = methodsOf(ROUTES, message);
  // Throws `unknown_route` with the nearest one.
  if (methods.length === 0) findRoute(ROUTES, message);
  const allow = allowOf(methods).join(', ');
  response.setHeader('allow', allow);
  if (message.headers.origin !== undefined) {
    response.setHeader('access-control-allow-methods', allow);
    response.setHeader('access-control-allow-headers', 'content-type');
    response.setHeader('access-control-max-age', '600');
  }
  response.writeHead(204).end();
}

const JSON_TYPE = 'application/json; charset=utf-8';

async function send(
  message: IncomingMessage,
  response: ServerResponse,
  { status, headers = {}, body }: Answer,
): Promise<void> {
  response.statusCode = status;
  response.setHeader('content-type', JSON_TYPE);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (typeof body === 'string') {
    const bytes = Buffer.from(body);
    response.setHeader('content-length', bytes.length);
    await finish(message, response, message.method === 'HEAD' ? undefined : bytes);
    return;
  }
  if (message.method !== 'HEAD') {
    for await (const piece of body) {
      if (response.destroyed) return;
      if (!response.write(piece)) await drained(response);
      // A reader that keeps up must not keep others waiting until its answer is made.
      await nextTurn();
    }
  }
  await finish(message, response, undefined);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

/**
 * Ends the answer. Where the body was not read to its end, the rest is read away first: closing the
 * socket while its sender still writes would reset it, and the answer would be lost.
 */
async function finish(
  message: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array | undefined,
): Promise<void> {
  if (message.complete || message.destroyed) {
    response.end(bytes);
    return;
  }
  response.setHeader('connection', 'close');
  if (response.statusCode === ERROR_KINDS.request_timeout.status) {
    response.end(bytes);
    return;
  }
  if (bytes !== undefined) response.write(bytes);
  await discard(message);
  response.end();
}

function discard(message: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, DISCARD_MS_MAX);
    message.on('data', (piece: Uint8Array) => {
      bytes += piece.length;
      if (bytes > DISCARD_BYTES_MAX) done();
    });
    message.once('end', done).once('close', done).once('error', done);
    message.resume();
  });
}

async function sendError(
  message: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  log: ApiLog,
): Promise<void> {
  if (!(error instanceof CaucusError)) {
    log('error', 'request failed', { method: message.method, url: message.url, error });
  }
  if (response.headersSent) {
    // Half an answer must not look like a whole one.
    response.destroy();
    return;
  }
  const allow = error instanceof CaucusError ? error.details['allow'] : undefined;
  try {
    await send(message, response, {
      status: error instanceof CaucusError ? error.status : 500,
      ...(Array.isArray(allow) ? { headers: { allow: allow.join(', ') } } : {}),
      body: errorBody(error),
    });
  } catch (cause) {
    log('error', 'answer failed', { method: message.method, url: message.url, error: cause });
    response.destroy();
  }
}

function errorBody(error: unknown): string {
  return jsonOf({ error: errorMembers(error) });
}

interface UpgradeRequest {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly guard: Guard;
  readonly sockets: SocketServer;
  readonly context: ApiContext;
}

function upgrade({ message, socket, head, guard, sockets, context }: UpgradeRequest): void {
  // Without a listener an error of the client's end would end the process.
  socket.on('error', () => socket.destroy());
  try {
    guard.check(message.headers);
    if ((message.url ?? '').split('?', 1)[0] !== SOCKET_PATH) {
      throw new CaucusError('unknown_route', `there is no WebSocket at \`${message.url}\``, {
        remedy: `connect to \`${SOCKET_PATH}\``,
      });
    }
    if (context.isDraining()) {
      throw new CaucusError('not_ready', 'the server is draining', {
        remedy: 'connect to another replica, or later',
      });
    }
    context.expectStarted();
    sockets.accept(message, socket, head);
  } catch (error) {
    refuse(socket, error);
  }
}

function refuse(socket: Duplex, error: unknown): void {
  const status = error instanceof CaucusError ? error.status : 500;
  socket.end(rawAnswer(status, errorBody(error)), () => socket.destroy());
}

/** The parser of node gave up on the bytes; there is no request to answer, only a socket. */
function refuseBroken(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  refuse(socket, brokenRequest(error.code));
}

function brokenRequest(code: string | undefined): CaucusError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new CaucusError('too_large', `the headers are larger than ${HEADER_BYTES_MAX} bytes`, {
      remedy: 'send fewer or shorter headers',
    });
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new CaucusError('request_timeout', 'the request did not arrive in time', {
      remedy: 'send it again, without pauses',
    });
  }
  return new CaucusError('invalid_request', 'the bytes are no HTTP/1.1 request', {
    remedy: 'use an HTTP client',
  });
}

function rawAnswer(status: number, body: string): string {
  return [
    `HTTP/1.1 ${status} Refused`,
    `content-type: ${JSON_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
