/**
 * Where a MariaDB is and who asks: from options, or from a URL as SQLAlchemy writes it, so that the
 * `database.connection` of Congress' configuration can be used as it is.
 */
import { readFileSync } from 'node:fs';
import { CaucusError } from '../errors.ts';

/** PEM texts. Without `ca` the certificate authorities of the system count. */
export interface MariadbTls {
  readonly ca?: string;
  /** A client certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
  /** Default: true. False encrypts and trusts anybody. */
  readonly verify?: boolean;
}

export interface MariadbAddressOptions {
  /**
   * `mysql://` or `mariadb://`, with or without `+driver`, then `user:password@host:port/database`.
   * Reserved characters are percent-encoded. After `?`: `ssl_ca`, `ssl_cert`, `ssl_key` (files),
   * `ssl_verify_cert`, `unix_socket`, `charset`. The other options win over it.
   */
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly ssl?: boolean | MariadbTls;
}

export interface MariadbAddress {
  readonly host: string;
  readonly port: number;
  /** A socket file; then host and port do not count. */
  readonly socketPath: string | undefined;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Undefined: not encrypted. */
  readonly tls: MariadbTls | undefined;
}

const DEFAULT_PORT = 3306;
const PARAMETERS = [
  'charset',
  'ssl_ca',
  'ssl_cert',
  'ssl_key',
  'ssl_verify_cert',
  'unix_socket',
] as const;
const EXAMPLE = 'mariadb://user:password@host:3306/caucus';

/** Throws `invalid_request`; no message contains the password. */
export function mariadbAddress(options: MariadbAddressOptions): MariadbAddress {
  const url = options.url === undefined ? undefined : parseUrl(options.url);
  const parameters = url === undefined ? new Map<string, string>() : parametersOf(url);
  const decoded = (part: string | undefined): string | undefined =>
    part === undefined || part === '' ? undefined : decode(part);
  const database = options.database ?? decoded(url?.pathname.slice(1));
  if (database === undefined) throw bad('names no database', `write \`${EXAMPLE}\``);
  const port = options.port ?? (url === undefined || url.port === '' ? DEFAULT_PORT : +url.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw bad(`has the port \`${port}\``, 'a port is a number from 1 to 65535');
  }
  return {
    // The brackets of an IPv6 address belong to the URL.
    host: options.host ?? decoded(url?.hostname)?.replace(/^\[(.*)\]$/, '$1') ?? 'localhost',
    port,
    socketPath: parameters.get('unix_socket'),
    user: options.user ?? decoded(url?.username) ?? '',
    password: options.password ?? decoded(url?.password) ?? '',
    database,
    tls: tlsOf(options.ssl, parameters),
  };
}

/** For people: who and where, without the password. */
export function placeOf({ host, port, socketPath, database }: MariadbAddress): string {
  return socketPath === undefined ? `${host}:${port}/${database}` : `${socketPath}/${database}`;
}

function parseUrl(text: string): URL {
  const remedy = `write \`${EXAMPLE}\`, special characters of the password as \`%\` and two digits`;
  if (!/^(mysql|mariadb)(\+\w+)?:\/\//.test(text)) {
    const scheme = /^[\w+.-]+(?=:)/.exec(text)?.[0];
    const what = scheme === undefined ? 'has no scheme' : `has the scheme \`${scheme}\``;
    throw bad(what, remedy);
  }
  try {
    return new URL(text);
  } catch {
    throw bad('cannot be read', remedy);
  }
}

function parametersOf(url: URL): Map<string, string> {
  const parameters = new Map(url.searchParams);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.some((known) => known === name)) {
      throw bad(`has the parameter \`${name}\``, `known are ${PARAMETERS.join(', ')}`);
    }
  }
  const charset = parameters.get('charset');
  if (charset !== undefined && !/^utf-?8(mb[34])?$/i.test(charset)) {
    throw bad(`has the charset \`${charset}\``, 'leave it out: texts are UTF-8');
  }
  return parameters;
}

function tlsOf(
  option: boolean | MariadbTls | undefined,
  parameters: ReadonlyMap<string, string>,
): MariadbTls | undefined {
  if (option !== undefined) {
    if (typeof option === 'object') return option;
    return option ? {} : undefined;
  }
  if (![...parameters.keys()].some((name) => name.startsWith('ssl_'))) return undefined;
  const verify = parameters.get('ssl_verify_cert');
  return {
    ...fileOf('ca', parameters),
    ...fileOf('cert', parameters),
    ...fileOf('key', parameters),
    ...(verify === undefined ? {} : { verify: !/^(false|0|no)$/i.test(verify) }),
  };
}

function fileOf(name: keyof MariadbTls, parameters: ReadonlyMap<string, string>): MariadbTls {
  const file = parameters.get(`ssl_${name}`);
  if (file === undefined) return {};
  try {
    return { [name]: readFileSync(file, 'utf8') };
  } catch (error) {
    const message = `names the file \`${file}\`, which cannot be read: ${(error as Error).message}`;
    throw bad(message, `check \`ssl_${name}\``);
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('has a `%` that is not followed by two digits', 'write a `%` itself as `%25`');
  }
}

function bad(what: string, remedy: string): CaucusError {
  return new CaucusError('invalid_request', `the address of the policy database ${what}`, {
    remedy,
  });
}
