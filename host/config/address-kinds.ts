/** Kinds of values that name something on a network, and names of the language. */
import { BadValue } from './kind.ts';
import type { Kind } from './kind.ts';

const PORT_MAX = 65_535;

/** `localhost`, `127.0.0.0/8` and `::1`: addresses that no other machine reaches. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
  );
}

/** Names of policies and sources: a letter or `_`, then letters, digits, `_`, `-` and `.`. */
export function isOwnerName(name: string): boolean {
  return /^[\p{L}_][\p{L}\p{N}_.-]*$/u.test(name);
}

export const PORT: Kind<number> = {
  type: 'port, 0 to 65535',
  json: 'number',
  read(value) {
    const port = /^\d{1,5}$/.test(value) ? Number(value) : PORT_MAX + 1;
    if (port <= PORT_MAX) return port;
    throw new BadValue(
      'is no port',
      value.startsWith('tcp://')
        ? 'Kubernetes sets it for a service that is called `caucus`: set `enableServiceLinks: false`'
        : 'give a number from 0 to 65535; 0 takes a free port',
    );
  },
};

export const ADDRESS: Kind<string> = {
  type: 'address',
  read(value) {
    if (/^[\p{L}\p{N}._:[\]%-]+$/u.test(value)) return value;
    throw new BadValue('is no address', 'give an address such as `127.0.0.1` or `::1`');
  },
};

export const BROKER: Kind<string> = {
  type: 'host:port',
  read(value) {
    const match = /^([\p{L}\p{N}._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/u.exec(value);
    const port = Number(match?.[2] ?? 0);
    if (match !== null && port >= 1 && port <= PORT_MAX) return value;
    throw new BadValue('is no broker', 'give host and port, such as `kafka1.example:9092`');
  },
};

export const ORIGIN: Kind<string> = {
  type: 'origin of a web page',
  read(value) {
    const origin = urlOf(value)?.origin;
    if (origin !== undefined && origin !== 'null' && origin === value.replace(/\/$/, '')) {
      return origin;
    }
    throw new BadValue(
      'is no origin',
      'give scheme, host and port without a path, such as `https://app.example`',
    );
  },
};

export const HOST_NAME: Kind<string> = {
  type: 'name, with or without port',
  read(value) {
    if (/^[\p{L}\p{N}.-]+(:\d{1,5})?$|^\[[0-9a-fA-F:]+\](:\d{1,5})?$/u.test(value)) {
      return value.toLowerCase();
    }
    throw new BadValue(
      'is no host',
      'give a name as in the `Host` header, such as `caucus.example`',
    );
  },
};

/** Without `/` at its end. */
export const BASE_URL: Kind<string> = {
  type: 'URL',
  read(value) {
    const url = urlOf(value);
    const isPlain = url !== undefined && url.search + url.hash + url.username + url.password === '';
    if (isPlain && /^https?:$/.test(url.protocol) && url.pathname === '/') return url.origin;
    throw new BadValue(
      'is no URL of a node',
      'give scheme, host and port only, such as `http://10.0.0.5:1789`',
    );
  },
};

/** Undefined where the text is none. */
export function urlOf(value: string): URL | undefined {
  try {
    return new URL(value);
  } catch {
    return undefined;
  }
}
