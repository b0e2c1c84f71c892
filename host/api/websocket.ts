/** WebSockets: the only file that knows the library. The protocol itself is session.ts. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { RawData, WebSocket } from 'ws';
import { CaucusError } from '../errors.ts';
import type { Subscriptions } from '../subscriptions/subscriptions.ts';
import type { ApiContext, ApiLog } from './route-table.ts';
import { CLOSE_CODES, Session } from './session.ts';
import type { Transport } from './session.ts';

export const SUBPROTOCOL = 'caucus.v1';

export interface SocketServer {
  /** Takes the connection over. Throws `invalid_request` before it has written anything. */
  accept(message: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells every client to go, and cuts those that are still there after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

interface Connection {
  readonly session: Session;
  readonly webSocket: WebSocket;
}

export function createSocketServer(options: {
  readonly context: ApiContext;
  readonly subscriptions: Subscriptions;
  readonly log: ApiLog;
}): SocketServer {
  const { context, subscriptions, log } = options;
  const { limits } = context;
  const connections = new Set<Connection>();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: limits.frameBytesMax,
    perMessageDeflate: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  const pumps = new PumpQueue();
  let onEmpty: (() => void) | undefined;

  const heartbeat = setInterval(() => {
    for (const { session } of connections) session.heartbeatOnTick();
  }, limits.heartbeatMs / 2);
  heartbeat.unref();

  const open = (webSocket: WebSocket, socket: Duplex): void => {
    const wake = (): void => pumps.add(session);
    const session: Session = new Session(
      context,
      subscriptions,
      transportOf(webSocket, socket, wake),
      (error) => log('error', 'connection failed', { error }),
    );
    const connection: Connection = { session, webSocket };
    connections.add(connection);
    const hello = setTimeout(() => session.helloOnDeadline(), limits.helloMsMax);
    webSocket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary) session.frameOnBinary();
      else session.frameOnText(data as Buffer);
    });
    webSocket.on('pong', () => session.pongOnArrival());
    // The library closes the connection with the fitting code; there is nothing else to do.
    webSocket.on('error', (error) => log('info', 'connection broken', { error: error.message }));
    webSocket.on('close', () => {
      clearTimeout(hello);
      session.transportOnClose();
      connections.delete(connection);
      if (connections.size === 0) onEmpty?.();
    });
    socket.on('drain', () => session.transportOnDrain());
  };

  return {
    accept(message, socket, head) {
      const offered = (message.headers['sec-websocket-protocol'] ?? '').split(',');
      if (!offered.some((name) => name.trim() === SUBPROTOCOL)) {
        throw new CaucusError('invalid_request', 'no subprotocol that is served was offered', {
          remedy: `offer the WebSocket subprotocol \`${SUBPROTOCOL}\``,
        });
      }
      server.handleUpgrade(message, socket, head, (webSocket) => open(webSocket, socket));
    },
    async close(graceMs) {
      for (const { session } of connections) session.goAway(graceMs);
      if (connections.size > 0) {
        await new Promise<void>((resolve) => {
          const end = setTimeout(() => {
            for (const { session, webSocket } of connections) {
              session.close(CLOSE_CODES.goingAway, 'drain');
              // A closing handshake would wait for clients that do not answer.
              setTimeout(() => webSocket.terminate(), CLOSE_MS_MAX).unref();
            }
          }, graceMs);
          onEmpty = () => {
            clearTimeout(end);
            resolve();
          };
        });
      }
      clearInterval(heartbeat);
    },
  };
}

/** After the close frame. */
const CLOSE_MS_MAX = 1_000;

/**
 * Sessions that have something to send: all are served in one turn of the event loop, each with one
 * write to its socket.
 */
class PumpQueue {
  #sessions = new Set<Session>();

  add(session: Session): void {
    if (this.#sessions.size === 0) setImmediate(() => this.#run());
    this.#sessions.add(session);
  }

  #run(): void {
    const sessions = this.#sessions;
    this.#sessions = new Set();
    for (const session of sessions) session.pump();
  }
}

function transportOf(webSocket: WebSocket, socket: Duplex, wake: () => void): Transport {
  let corked = false;
  return {
    send(frame) {
      if (webSocket.readyState !== webSocket.OPEN) return;
      if (!corked) {
        // What one pump sends becomes one system call, and goes before anything else is done.
        corked = true;
        socket.cork();
        process.nextTick(() => {
          corked = false;
          socket.uncork();
        });
      }
      webSocket.send(frame, { binary: false });
    },
    bufferedBytes: () => webSocket.bufferedAmount,
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    ping() {
      if (webSocket.readyState === webSocket.OPEN) webSocket.ping();
    },
    wake,
    close: (code, reason) => webSocket.close(code, reason),
    cut: () => webSocket.terminate(),
  };
}
