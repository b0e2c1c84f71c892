/**
 * One connection to one broker. The only file that knows kafkajs, and of it only the connection:
 * frames, TLS, SASL. Its cluster, producer and consumer are not used: they jump over gaps without a
 * word, stand still before empty batches, and wait for a silent broker without bound.
 *
 * A connection that failed, or did not answer in time, is cut off and never used again.
 */
import net from 'node:net';
import tls from 'node:tls';
import Connection from 'kafkajs/src/network/connection.js';
import { KAFKA_CONNECT_MS_MAX } from '../../limits.ts';
import { failureOf, misconfigured, TransientFailure } from './broker-errors.ts';
import { apiVersions, SPOKEN } from './requests.ts';
import type { ApiVersion, WireRequest } from './requests.ts';

export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: 'oauthbearer';
      /** Called for each connection and before its token ends; it may cache. */
      readonly token: () => Promise<string>;
    };

export interface ConnectionSettings {
  readonly clientId: string;
  /** Options of `tls.connect`; absent: no TLS. */
  readonly ssl?: tls.ConnectionOptions | undefined;
  readonly sasl?: KafkaSasl | undefined;
  /** What the connection has to say, for the log. */
  readonly onEvent: (level: EventLevel, message: string) => void;
}

export type EventLevel = 'info' | 'warn' | 'error';

/** As kafkajs wants it: it holds back requests for so long. */
interface Answer<T> {
  readonly value: T;
  readonly clientSideThrottleTime: number;
}

const SASL_AUTHENTICATE_KEY = 36;
const KEEP_ALIVE_MS = 30_000;
/** What Node says when it does not trust a peer. */
const CERTIFICATE_CODES = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/;

export class BrokerConnection {
  readonly address: string;
  readonly #connection: Connection;
  #socket: net.Socket | undefined;
  #failure: Error | undefined;
  /** What waits, each with its end. */
  readonly #waiting = new Set<(error: Error) => void>();

  private constructor(host: string, port: number, settings: ConnectionSettings) {
    this.address = `${host}:${port}`;
    this.#connection = new Connection({
      host,
      port,
      clientId: settings.clientId,
      // What follows from our own cutting off is no news.
      logger: loggerOf((level, message) => {
        if (this.#failure === undefined) settings.onEvent(level, `${this.address}: ${message}`);
      }),
      socketFactory: (target) => this.#connectSocket(target, settings),
      ssl: settings.ssl ?? null,
      sasl: saslOf(settings.sasl),
      // Time is kept here: after it the whole connection goes, not one request.
      requestTimeout: 0,
      enforceRequestTimeout: false,
      connectionTimeout: KAFKA_CONNECT_MS_MAX,
    });
    this.#mendTimers();
  }

  /**
   * Connects, asks what the broker speaks, authenticates. Throws `log_misconfigured` for what will
   * not go away by itself, `TransientFailure` else.
   */
  static async open(
    host: string,
    port: number,
    settings: ConnectionSettings,
    signal: AbortSignal,
  ): Promise<BrokerConnection> {
    const connection = new BrokerConnection(host, port, settings);
    const stop = (): void => connection.destroy(new TransientFailure('the log was closed'));
    signal.addEventListener('abort', stop, { once: true });
    try {
      await connection.#inTime('connecting', KAFKA_CONNECT_MS_MAX, () => connection.#open());
      return connection;
    } catch (error) {
      connection.destroy(error as Error);
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Rejects with `TransientFailure` when the connection fails or `timeoutMs` pass. */
  async send<T>(request: WireRequest<T>, timeoutMs: number): Promise<T> {
    const { key: apiKey, version: apiVersion, name: apiName } = request;
    const exchange = {
      request: {
        apiKey,
        apiVersion,
        apiName,
        encode: () => {
          const buffer = request.encode();
          return Promise.resolve({ buf: buffer, buffer });
        },
      },
      response: {
        // oxlint-disable-next-line require-await -- what decoding throws is to be a rejection
        decode: async (payload: Buffer) => {
          const { value, throttleMs } = request.decode(payload);
          return { value, clientSideThrottleTime: throttleMs };
        },
        parse: (decoded: Answer<T>) => Promise.resolve(decoded),
      },
      logResponseError: false,
    };
    const send = (): Promise<Answer<T>> => this.#connection.send(exchange);
    return (await this.#inTime(apiName, timeoutMs, send)).value;
  }

  /** Ends it at once; what waits for an answer is rejected. */
  destroy(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#connection.requestQueue.rejectAll(error);
    this.#connection.requestQueue.destroy();
    this.#connection.connectionStatus = 'disconnected';
    // With an error, so that an attempt to connect ends, too, and its timer with it.
    this.#socket?.destroy(error);
    for (const fail of this.#waiting) fail(error);
  }

  async #open(): Promise<void> {
    await this.#connection.connect();
    const { error, versions } = await this.send(apiVersions(), KAFKA_CONNECT_MS_MAX);
    if (error !== 0) throw failureOf(error, `connecting to ${this.address}`);
    this.#checkVersions(versions);
    this.#connection.setVersions(
      Object.fromEntries(
        versions.map(({ key, min, max }) => [key, { minVersion: min, maxVersion: max }]),
      ),
    );
    const speaks = versions.some(({ key }) => key === SASL_AUTHENTICATE_KEY);
    this.#connection.setSupportAuthenticationProtocol(speaks);
    await this.#connection.authenticate();
  }

  #checkVersions(versions: readonly ApiVersion[]): void {
    for (const { name, key, version } of SPOKEN) {
      const spoken = versions.find((one) => one.key === key);
      if (spoken !== undefined && spoken.min <= version && version <= spoken.max) continue;
      const found = spoken === undefined ? 'none' : `${spoken.min} to ${spoken.max}`;
      throw misconfigured(
        `the broker ${this.address} speaks ${found} of ${name}, and ${version} is needed`,
        'use Kafka 3.1 or newer',
      );
    }
  }

  /** Runs `body`; a connection that takes longer is cut off. */
  async #inTime<T>(doing: string, timeoutMs: number, body: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    const timer = setTimeout(() => {
      const what = `did not answer in ${timeoutMs} ms (${doing})`;
      this.destroy(new TransientFailure(`the broker ${this.address} ${what}`));
    }, timeoutMs);
    let fail: (error: Error) => void = () => undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        fail = reject;
        this.#waiting.add(fail);
        body().then(resolve, reject);
      });
    } catch (error) {
      throw this.#failure ?? this.#mapped(error);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(fail);
    }
  }

  #mapped(error: unknown): Error {
    const { name, message, code } = error as { name: string; message: string; code?: unknown };
    if (name === 'KafkaJSSASLAuthenticationError') {
      return misconfigured(
        `the broker ${this.address} does not let us in: ${lowerFirst(message)}`,
        'check user, password or token, and that the listener of the broker has this mechanism',
      );
    }
    if (name === 'KafkaJSProtocolError' && typeof code === 'number') {
      return failureOf(code, `connecting to ${this.address}`, message);
    }
    if (typeof code === 'string' && CERTIFICATE_CODES.test(code)) {
      return misconfigured(
        `the certificate of the broker ${this.address} is not trusted: ${code}`,
        'give the certificate of its authority as `ca`, and connect by a name that it holds',
      );
    }
    if (name === 'KafkaJSConnectionError' || name === 'KafkaJSConnectionClosedError') {
      return new TransientFailure(`the broker ${this.address}: ${lowerFirst(message)}`);
    }
    // Bytes that are no answer, and what nobody thought of: this connection is worth nothing now.
    return new TransientFailure(`the broker ${this.address}: ${message}`);
  }

  #connectSocket(
    target: { host: string; port: number; ssl: object | null; onConnect: () => void },
    settings: ConnectionSettings,
  ): net.Socket {
    const { host, port, onConnect } = target;
    const socket =
      settings.ssl === undefined
        ? net.connect({ host, port }, onConnect)
        : tls.connect({ host, port, ...serverName(host), ...settings.ssl }, onConnect);
    // Frames are written whole; waiting for more only delays them.
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // Not all that ends a socket reaches those who wait: a peer that closes in the handshake does
    // not.
    socket.once('close', () => {
      this.destroy(new TransientFailure(`the broker ${this.address} closed the connection`));
    });
    this.#socket = socket;
    return socket;
  }

  /**
   * kafkajs sets a timer after each answer, mostly with a time in the past; Node warns of that from
   * 24 on. A timer is needed only while requests are held back.
   */
  #mendTimers(): void {
    const queue = this.#connection.requestQueue;
    queue.scheduleCheckPendingRequests = () => {
      if (queue.pending.length === 0 || queue.throttleCheckTimeoutId !== null) return;
      const waitMs = Math.max(1, queue.throttledUntil - Date.now());
      queue.throttleCheckTimeoutId = setTimeout(() => {
        queue.throttleCheckTimeoutId = null;
        queue.checkPendingRequests();
      }, waitMs);
    };
  }
}

function serverName(host: string): { servername?: string } {
  return net.isIP(host) === 0 ? { servername: host } : {};
}

function saslOf(sasl: KafkaSasl | undefined): object | null {
  if (sasl === undefined) return null;
  if (sasl.mechanism !== 'oauthbearer') return { ...sasl };
  const { mechanism, token } = sasl;
  return { mechanism, oauthBearerProvider: async () => ({ value: await token() }) };
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

function loggerOf(say: (level: EventLevel, message: string) => void): ConnectionLogger {
  const logger = {
    namespace: () => logger,
    debug: () => undefined,
    info: (message: string) => say('info', message),
    warn: (message: string) => say('warn', message),
    error: (message: string) => say('error', message),
  };
  return logger;
}

interface ConnectionLogger {
  namespace(): ConnectionLogger;
  debug(): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
