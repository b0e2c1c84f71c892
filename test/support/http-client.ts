/** Requests that send exactly what a test says: any header, any bytes. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { parseJson } from '../../host/value/json.ts';
import type { JsonObject } from '../../host/value/json.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON. */
  readonly json: JsonObject;
}

export function send(
  url: string,
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string | Uint8Array } = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}${path}`, {
      method,
      headers: options.headers ?? {},
      agent: false,
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          get json() {
            return parseJson(text) as JsonObject;
          },
        });
      });
    });
    outgoing.end(options.body);
  });
}

export function sendJson(
  url: string,
  method: string,
  path: string,
  body: string,
): Promise<HttpAnswer> {
  return send(url, method, path, { headers: { 'content-type': 'application/json' }, body });
}

/**
 * Writes the bytes to a bare socket and resolves with all that comes back until the server closes
 * it.
 */
export function sendBytes(url: string, bytes: Uint8Array | string, end = true): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname.replace(/[[\]]/g, ''));
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
    if (end) socket.end(bytes);
    else socket.write(bytes);
  });
}
