/**
 * The one part of kafkajs 2.2.4 that is used: a connection, with framing, TLS and SASL. The package
 * declares no types for it. Read in its source; the version is pinned.
 */
declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net';

  interface ConnectionLogger {
    namespace(name: string): ConnectionLogger;
    debug(message: string, extra?: object): void;
    info(message: string, extra?: object): void;
    warn(message: string, extra?: object): void;
    error(message: string, extra?: object): void;
  }

  interface ConnectionOptions {
    host: string;
    port: number;
    clientId: string;
    logger: ConnectionLogger;
    socketFactory: (target: {
      host: string;
      port: number;
      ssl: object | null;
      onConnect: () => void;
    }) => Socket;
    ssl: object | null;
    sasl: object | null;
    requestTimeout: number;
    enforceRequestTimeout: boolean;
    connectionTimeout: number;
  }

  interface RequestQueue {
    throttledUntil: number;
    pending: readonly unknown[];
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    checkPendingRequests(): void;
    scheduleCheckPendingRequests(): void;
    rejectAll(error: Error): void;
    maybeThrottle(throttleMs: number | null): void;
    destroy(): void;
  }

  interface Exchange<T> {
    request: {
      apiKey: number;
      apiVersion: number;
      apiName: string;
      /** What the frame is made of: only these two are looked at. */
      encode: () => Promise<{ buf: Buffer; buffer: Buffer }>;
    };
    response: {
      decode: (payload: Buffer) => Promise<T>;
      parse: (decoded: T) => Promise<T>;
    };
    logResponseError: boolean;
  }

  export default class Connection {
    constructor(options: ConnectionOptions);
    readonly requestQueue: RequestQueue;
    connectionStatus: string;
    connect(): Promise<unknown>;
    authenticate(): Promise<void>;
    setVersions(versions: Record<number, { minVersion: number; maxVersion: number }>): void;
    setSupportAuthenticationProtocol(isSupported: boolean): void;
    send<T>(exchange: Exchange<T>): Promise<T>;
  }
}
