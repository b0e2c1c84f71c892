/**
 * Which requests may come in at all. A page of any web site can make its visitor's browser send
 * requests to a server on the visitor's machine; two headers that a page cannot choose tell:
 *
 *   Host     names the site that the browser believes to talk to. A name that an attacker points at
 *            127.0.0.1 (DNS rebinding) is not on the list
 *   Origin   names the site of the page. Programs other than browsers send none
 */
import type { IncomingHttpHeaders } from 'node:http';
import { CaucusError } from '../errors.ts';

export interface Guard {
  /** Throws `forbidden_origin`. */
  check(headers: IncomingHttpHeaders): void;
  /** The Origin, if the request has one and it is allowed. */
  originOf(headers: IncomingHttpHeaders): string | undefined;
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/**
 * `allowedHosts`: `name` (any port) or `name:port`, besides the loopback names and `host` with the
 * port listened on. `allowedOrigins`: `https://example.org`, as browsers send it; no other is let
 * in.
 */
export function createGuard(options: {
  readonly host: string;
  readonly port: () => number;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
}): Guard {
  const own = new Set([...LOOPBACK_NAMES, bracketed(options.host.toLowerCase())]);
  const hosts = new Set(options.allowedHosts.map((name) => name.toLowerCase()));
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase()));

  const hostIsAllowed = (host: string): boolean => {
    if (hosts.has(host)) return true;
    const match = /^(\[[0-9a-f:.]+\]|[^[\]:/@?#\s]+)(?::(\d{1,5}))?$/.exec(host);
    const name = match?.[1];
    if (name === undefined) return false;
    if (hosts.has(name)) return true;
    return own.has(name) && Number(match?.[2] ?? 80) === options.port();
  };

  return {
    check(headers) {
      const host = headers.host?.toLowerCase() ?? '';
      if (!hostIsAllowed(host)) {
        throw new CaucusError('forbidden_origin', `the host \`${host}\` is not allowed`, {
          remedy:
            'use the address that the server listens on, or allow the name with `--allow-host`',
        });
      }
      const origin = headers.origin?.toLowerCase();
      if (origin !== undefined && !origins.has(origin)) {
        throw new CaucusError(
          'forbidden_origin',
          `pages of \`${origin}\` may not use this server`,
          {
            remedy: 'allow the origin with `--allow-origin`, if you trust all its pages',
          },
        );
      }
    },
    originOf: (headers) => headers.origin,
  };
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
