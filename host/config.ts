/**
 * The settings of `caucus serve`: one table of names, defaults and meanings, and the check of what
 * a person wrote. A setting comes from its flag, else from its variable of the environment, else
 * from the default. `docs/CLI.md` is held against the table by a test.
 */
import path from 'node:path';

/** Congress' port. */
export const PORT_DEFAULT = 1789;
export const HOST_DEFAULT = '127.0.0.1';
export const DATA_DEFAULT = 'caucus-data';

export interface ServeConfig {
  /** Directory of the log, the store and the checkpoints. */
  readonly dataDirectory: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly policies: readonly PolicyFile[];
  readonly sources: readonly SourcePath[];
  /** Origins that pages may come from; without one, every request with an `Origin` is refused. */
  readonly allowOrigins: readonly string[];
  /** Values of `Host` besides the address listened on. */
  readonly allowHosts: readonly string[];
}
export interface PolicyFile {
  readonly name: string;
  readonly file: string;
}
export interface SourcePath {
  readonly name: string;
  /** A file or a directory of files. */
  readonly path: string;
}

/** What a person wrote; each absent where nothing was. */
export interface ServeFlags {
  readonly data?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly policy?: readonly string[] | undefined;
  readonly source?: readonly string[] | undefined;
  readonly allowOrigin?: readonly string[] | undefined;
  readonly allowHost?: readonly string[] | undefined;
  readonly insecureListen?: boolean | undefined;
}

export interface Setting {
  /** As in `ServeFlags`. */
  readonly key: keyof ServeFlags;
  /** As the argument parser wants it. */
  readonly flag: string;
  /** Variable of the environment; lists are separated by commas. */
  readonly variable?: string;
  readonly defaultText?: string;
  readonly meaning: string;
}

export const SERVE_SETTINGS: readonly Setting[] = [
  {
    key: 'data',
    flag: '--data <dir>',
    variable: 'CAUCUS_DATA',
    defaultText: DATA_DEFAULT,
    meaning: 'directory of the log, the store and the checkpoints; made where it does not exist',
  },
  {
    key: 'policy',
    flag: '--policy <file...>',
    meaning: 'policy files; each replaces the policy of its base name where the text differs',
  },
  {
    key: 'source',
    flag: '--source <name=path...>',
    meaning: 'files or directories (CSV, TSV, JSON, NDJSON) that fill a source and are watched',
  },
  {
    key: 'host',
    flag: '--host <address>',
    variable: 'CAUCUS_HOST',
    defaultText: HOST_DEFAULT,
    meaning: 'address to listen on',
  },
  {
    key: 'port',
    flag: '--port <number>',
    variable: 'CAUCUS_PORT',
    defaultText: String(PORT_DEFAULT),
    meaning: 'port to listen on; 0 takes a free one',
  },
  {
    key: 'allowOrigin',
    flag: '--allow-origin <origin...>',
    variable: 'CAUCUS_ALLOW_ORIGIN',
    meaning: 'origins of web pages that may connect, such as `https://app.example`',
  },
  {
    key: 'allowHost',
    flag: '--allow-host <host...>',
    variable: 'CAUCUS_ALLOW_HOST',
    meaning: 'names that clients may call this server by, besides the loopback ones',
  },
  {
    key: 'insecureListen',
    flag: '--insecure-listen',
    meaning: 'allow an address that other machines reach, although nobody has to log in',
  },
];

/** A setting that cannot be used: bad usage. */
export class ConfigError extends Error {
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.name = 'ConfigError';
    this.remedy = remedy;
  }
}

export function parseServeConfig(
  flags: ServeFlags,
  env: Readonly<Record<string, string | undefined>> = {},
): ServeConfig {
  const merged = withEnvironment(flags, env);
  const host = parseHost(merged.host ?? HOST_DEFAULT, merged.insecureListen === true);
  return {
    dataDirectory: nonEmpty('--data', merged.data ?? DATA_DEFAULT),
    host,
    port: parsePort(merged.port ?? String(PORT_DEFAULT)),
    policies: parsePolicies(merged.policy ?? []),
    sources: parseSources(merged.source ?? []),
    allowOrigins: (merged.allowOrigin ?? []).map(parseOrigin),
    allowHosts: (merged.allowHost ?? []).map(parseAllowedHost),
  };
}

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

function withEnvironment(
  flags: ServeFlags,
  env: Readonly<Record<string, string | undefined>>,
): ServeFlags {
  const variable = (name: string): string | undefined => {
    const value = env[name];
    return value === undefined || value === '' ? undefined : value;
  };
  const list = (name: string): readonly string[] | undefined => {
    return variable(name)
      ?.split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  };
  return {
    ...flags,
    data: flags.data ?? variable('CAUCUS_DATA'),
    host: flags.host ?? variable('CAUCUS_HOST'),
    port: flags.port ?? variable('CAUCUS_PORT'),
    allowOrigin: flags.allowOrigin ?? list('CAUCUS_ALLOW_ORIGIN'),
    allowHost: flags.allowHost ?? list('CAUCUS_ALLOW_HOST'),
  };
}

function nonEmpty(flag: string, value: string): string {
  if (value === '') throw new ConfigError(`\`${flag}\` is empty`, 'name a directory');
  return value;
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535) {
    throw new ConfigError(
      `\`${text}\` is no port`,
      'give a number from 0 to 65535; 0 takes a free port',
    );
  }
  return port;
}

function parseHost(host: string, insecureListen: boolean): string {
  if (!/^[\p{L}\p{N}._:[\]%-]+$/u.test(host)) {
    throw new ConfigError(
      `\`${host}\` is no address`,
      'give an address such as `127.0.0.1` or `::1`',
    );
  }
  if (!isLoopback(host) && !insecureListen) {
    throw new ConfigError(
      `\`${host}\` can be reached from other machines, and nobody has to log in`,
      'listen on `127.0.0.1` behind a proxy that authenticates, or accept the risk with `--insecure-listen`',
    );
  }
  return host;
}

function parsePolicies(files: readonly string[]): PolicyFile[] {
  const byName = new Map<string, string>();
  return files.map((file) => {
    const name = path.basename(file, path.extname(file));
    if (!isOwnerName(name)) {
      throw new ConfigError(
        `\`${file}\` gives no name for a policy: \`${name}\``,
        'rename the file; its base name is the name of the policy, such as `inventory.policy`',
      );
    }
    const other = byName.get(name);
    if (other !== undefined) {
      throw new ConfigError(
        `\`${other}\` and \`${file}\` are both the policy \`${name}\``,
        'rename one of the files; the base name is the name of the policy',
      );
    }
    byName.set(name, file);
    return { name, file };
  });
}

function parseSources(texts: readonly string[]): SourcePath[] {
  const names = new Set<string>();
  return texts.map((text) => {
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(0, equals));
    const target = text.slice(equals + 1);
    if (equals <= 0 || target === '' || !isOwnerName(name)) {
      throw new ConfigError(
        `\`--source ${text}\` is not \`NAME=PATH\``,
        'write for example `--source inv=data/`',
      );
    }
    if (names.has(name)) {
      throw new ConfigError(
        `the source \`${name}\` is given twice`,
        'put its files into one directory, or give the sources different names',
      );
    }
    names.add(name);
    return { name, path: target };
  });
}

function parseOrigin(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Said below.
  }
  if (url === undefined || url.origin === 'null' || url.origin !== text.replace(/\/$/, '')) {
    throw new ConfigError(
      `\`${text}\` is no origin`,
      'give scheme, host and port without a path, such as `https://app.example`',
    );
  }
  return url.origin;
}

function parseAllowedHost(text: string): string {
  if (!/^[\p{L}\p{N}.-]+(:\d{1,5})?$|^\[[0-9a-fA-F:]+\](:\d{1,5})?$/u.test(text)) {
    throw new ConfigError(
      `\`${text}\` is no host`,
      'give a name as in the `Host` header, such as `caucus.example`',
    );
  }
  return text.toLowerCase();
}
