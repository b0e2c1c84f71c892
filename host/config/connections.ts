/** How a node of a cluster reaches Kafka, the database and its peers. */
import { readFileSync } from 'node:fs';
import { BROKER, urlOf } from './address-kinds.ts';
import { BadValue, FILE_PATH } from './kind.ts';
import type { DefaultOption, FreeOption } from './option.ts';
import { OPTIONS } from './options.ts';
import { SECRET } from './own-kinds.ts';
import { subjectOf } from './problem.ts';
import type { Settings } from './settings.ts';

/** As `node:tls` takes it. */
export interface TlsConfig {
  /** PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

export interface KafkaConfig {
  /** `host:port`. */
  readonly brokers: readonly string[];
  readonly busId: string;
  readonly clientId: string;
  readonly ssl?: TlsConfig;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  readonly replicationFactor: number;
  readonly minInsyncReplicas: number;
}

/** MariaDB. */
export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  /** Instead of host and port. */
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly poolSize: number;
  readonly ssl?: TlsConfig;
}

const DATABASE_PORT = 3306;
const MIN_INSYNC = 2;

/** Undefined where none is given, or it cannot be used, which is reported. */
export function readKafka(settings: Settings, nodeId: string): KafkaConfig | undefined {
  const { report } = settings;
  const transport = readTransport(settings);
  const brokers = settings.list(OPTIONS.brokers).map(({ value }) => value);
  if (settings.isGiven(OPTIONS.brokers) && settings.isGiven(OPTIONS.transportUrl)) {
    settings.problemAt(
      OPTIONS.transportUrl,
      'conflicting-options',
      '`transport_url` and `kafka.brokers` both name the brokers',
      'give one of them',
    );
  }
  const clientId = settings.get(OPTIONS.clientId) ?? `caucus-${nodeId}`.slice(0, 100);
  settings.compute(OPTIONS.clientId, clientId);
  const replicationFactor = settings.get(OPTIONS.replicationFactor);
  const minInsyncReplicas =
    settings.get(OPTIONS.minInsyncReplicas) ?? Math.min(MIN_INSYNC, replicationFactor);
  settings.compute(OPTIONS.minInsyncReplicas, String(minInsyncReplicas));
  if (minInsyncReplicas > replicationFactor) {
    const place = settings.place(OPTIONS.minInsyncReplicas);
    const what = `${subjectOf(place, OPTIONS.minInsyncReplicas.key)}\`${minInsyncReplicas}\``;
    const more = `is more than the replication factor, which is ${replicationFactor}`;
    report.add(place, 'conflicting-options', `${what} ${more}`, 'no record could be acknowledged');
  }
  const sasl = readSasl(settings, transport);
  const ssl = readTls(settings, {
    enabled: OPTIONS.sslEnabled,
    ca: OPTIONS.sslCa,
    cert: OPTIONS.sslCert,
    key: OPTIONS.sslKey,
    reject: OPTIONS.sslReject,
  });
  const all = transport?.brokers ?? brokers;
  if (all.length === 0) return undefined;
  return {
    brokers: all,
    busId: settings.get(OPTIONS.busId),
    clientId,
    replicationFactor,
    minInsyncReplicas,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

interface Transport {
  readonly brokers: readonly string[];
  readonly username?: string;
  readonly password?: string;
}

/** `kafka://[user:password@]host:port,host:port`. What is wrong is said without repeating it. */
function readTransport(settings: Settings): Transport | undefined {
  const text = settings.get(OPTIONS.transportUrl);
  if (text === undefined) return undefined;
  const place = settings.place(OPTIONS.transportUrl);
  const bad = (what: string, remedy: string): undefined => {
    const subject = subjectOf(place, OPTIONS.transportUrl.key);
    settings.report.add(place, 'bad-option', `${subject}the value ${what}`, remedy);
    return undefined;
  };
  const remedy = 'write `kafka://host1:9092,host2:9092`';
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'rabbit' || scheme === 'amqp') {
    return bad(
      'names RabbitMQ, which forgets what it has delivered: no replica could read the history again',
      `start Kafka and ${remedy}`,
    );
  }
  if (scheme !== 'kafka') return bad('does not begin with `kafka://`', remedy);
  const match = /^kafka:\/\/([^/?#]+)(\/?)$/i.exec(text);
  if (match === null) {
    return bad(
      'has more than brokers',
      `${remedy}; what Congress calls a virtual host is \`bus_id\``,
    );
  }
  const brokers: string[] = [];
  let login: { username?: string; password?: string } = {};
  for (const part of (match[1] ?? '').split(',')) {
    const at = part.lastIndexOf('@');
    const [username, password] = part.slice(0, Math.max(0, at)).split(':', 2);
    const broker = part.slice(at + 1);
    const address = /:\d+$/.test(broker) ? broker : `${broker}:9092`;
    if (!isBroker(address)) return bad('names a broker without host and port', remedy);
    brokers.push(address);
    const name = decoded(username ?? '');
    const secret = password === undefined ? undefined : decoded(password);
    if (name === undefined || (password !== undefined && secret === undefined)) {
      return bad('has a `%` that is no escape', 'write a `%` of a name or password as `%25`');
    }
    if (name !== '')
      login = { username: name, ...(secret === undefined ? {} : { password: secret }) };
  }
  return { brokers, ...login };
}

function readSasl(settings: Settings, transport: Transport | undefined): KafkaConfig['sasl'] {
  const { saslMechanism, saslUsername, saslPassword, saslPasswordFile } = OPTIONS;
  if (transport?.username !== undefined && settings.isGiven(saslUsername)) {
    settings.problemAt(
      saslUsername,
      'conflicting-options',
      '`kafka.sasl.username` and `transport_url` both name a user',
      'give one of them',
    );
  }
  const username = settings.get(saslUsername) ?? transport?.username;
  const password =
    readSecret(settings, saslPassword, saslPasswordFile, oneLine) ?? transport?.password;
  const given = [saslMechanism, saslPassword, saslPasswordFile].find((one) =>
    settings.isGiven(one),
  );
  if (username === undefined) {
    if (given === undefined || settings.isGiven(saslUsername)) return undefined;
    const message = `\`${given.key}\` without \`kafka.sasl.username\``;
    settings.problemAt(given, 'missing-option', message, 'name the user, or leave it out');
    return undefined;
  }
  if (password === undefined) {
    if (settings.isGiven(saslPassword) || settings.isGiven(saslPasswordFile)) return undefined;
    const named = settings.isGiven(saslUsername) ? saslUsername : OPTIONS.transportUrl;
    const remedy = 'give `kafka.sasl.password_file` or `kafka.sasl.password`';
    settings.problemAt(named, 'missing-option', 'a user of Kafka without a password', remedy);
    return undefined;
  }
  const mechanism = settings.get(saslMechanism) ?? 'plain';
  settings.compute(saslMechanism, mechanism);
  return { mechanism, username, password };
}

/** For the database of a cluster; undefined where it cannot be used, which is reported. */
export function readDatabase(settings: Settings): DatabaseConfig | undefined {
  const url = readConnection(settings);
  const password = readSecret(settings, undefined, OPTIONS.passwordFile, oneLine);
  const ssl = readTls(settings, {
    enabled: OPTIONS.dbSslEnabled,
    ca: OPTIONS.dbSslCa,
    cert: OPTIONS.dbSslCert,
    key: OPTIONS.dbSslKey,
    reject: OPTIONS.dbSslReject,
  });
  if (url === undefined) return undefined;
  if (url.password !== '' && settings.isGiven(OPTIONS.passwordFile)) {
    settings.problemAt(
      OPTIONS.passwordFile,
      'conflicting-options',
      '`database.password_file` and `database.connection` both have a password',
      'leave it out of the connection',
    );
  }
  return {
    ...url,
    password: password ?? url.password,
    poolSize: settings.get(OPTIONS.poolSize),
    ...(ssl === undefined ? {} : { ssl }),
  };
}

/** The `sqlite:///FILE` of the single process; undefined where nothing usable is given. */
export function readSqliteFile(settings: Settings): string | undefined {
  const text = settings.get(OPTIONS.connection);
  const file = text === undefined ? undefined : /^sqlite:\/\/\/(.+)$/i.exec(text)?.[1];
  if (text === undefined || !/^sqlite:/i.test(text)) return undefined;
  if (file === undefined || file === ':memory:' || file.includes('?')) {
    connectionProblem(settings, 'names no file', 'write `sqlite:///FILE`, or leave it out');
    return undefined;
  }
  const place = settings.place(OPTIONS.connection);
  return FILE_PATH.read(file, place.kind === 'file' ? place.file.folder : '');
}

export function isSqlite(settings: Settings): boolean {
  return /^sqlite:/i.test(settings.get(OPTIONS.connection) ?? '');
}

type Connection = Omit<DatabaseConfig, 'poolSize' | 'ssl'>;

function readConnection(settings: Settings): Connection | undefined {
  const text = settings.get(OPTIONS.connection);
  if (text === undefined) return undefined;
  const bad = (what: string, remedy = CONNECTION_REMEDY): undefined =>
    connectionProblem(settings, what, remedy);
  const scheme = /^([a-z][a-z0-9]*)(\+[a-z0-9]+)?:\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'sqlite') {
    return bad(
      'names SQLite, which several nodes cannot share',
      `start MariaDB and ${CONNECTION_REMEDY}`,
    );
  }
  if (scheme === 'postgresql' || scheme === 'postgres') {
    return bad(
      'names PostgreSQL, which caucus does not speak',
      `start MariaDB and ${CONNECTION_REMEDY}`,
    );
  }
  if (scheme !== 'mysql' && scheme !== 'mariadb') return bad('is no address of MariaDB');
  const hasHost = !/^[^:]*:\/\/[^/?#]*@(:\d*)?\//.test(text);
  // A URL with a user and without a host is none for the parser.
  const url = urlOf(text.replace(/^[^:]*:/, 'mariadb:').replace(/@(?=[:/])/, '@localhost'));
  if (url === undefined)
    return bad(
      'cannot be read',
      'escape `@`, `:`, `/` and `%` of a password as `%40`, `%3A`, `%2F`, `%25`',
    );
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(
    decoded,
  );
  if (user === undefined || password === undefined || database === undefined) {
    return bad('has a `%` that is no escape', 'write a `%` of a name or password as `%25`');
  }
  if (user === '') return bad('names no user');
  if (database === '' || database.includes('/')) return bad('names no database');
  let socketPath: string | undefined;
  for (const [name, value] of url.searchParams) {
    if (name === 'unix_socket') socketPath = value;
    else if (name !== 'charset' || !/^utf8(mb4)?$/i.test(value)) {
      return bad(
        `has the parameter \`${name}\`, which is not known here`,
        'leave it out; TLS is `database.ssl`',
      );
    }
  }
  if ((url.hostname === '' || !hasHost) && socketPath === undefined) return bad('names no host');
  const host = url.hostname.replace(/^\[|\]$/g, '') || 'localhost';
  const port = url.port === '' ? DATABASE_PORT : Number(url.port);
  return {
    host,
    port,
    user,
    password,
    database,
    ...(socketPath === undefined ? {} : { socketPath }),
  };
}

const CONNECTION_REMEDY = 'write `mysql+pymysql://user@host:3306/database`';

function connectionProblem(settings: Settings, what: string, remedy: string): undefined {
  const place = settings.place(OPTIONS.connection);
  const subject = subjectOf(place, OPTIONS.connection.key);
  settings.report.add(place, 'bad-option', `${subject}the value ${what}`, remedy);
}

export function readClusterSecret(settings: Settings): string | undefined {
  const { clusterSecret, clusterSecretFile } = OPTIONS;
  return readSecret(settings, clusterSecret, clusterSecretFile, (text) => SECRET.read(text, ''));
}

/** Given as it is, or in a file, whose last line end does not count. */
function readSecret(
  settings: Settings,
  direct: FreeOption<string> | undefined,
  inFile: FreeOption<string>,
  check: (text: string) => string,
): string | undefined {
  const value = direct === undefined ? undefined : settings.get(direct);
  if (direct !== undefined && settings.isGiven(direct) && settings.isGiven(inFile)) {
    const message = `\`${inFile.key}\` and \`${direct.key}\` are both given`;
    settings.problemAt(inFile, 'conflicting-options', message, 'give one of them');
  }
  const content = fileText(settings, inFile)?.replace(/\r?\n$/, '');
  if (content === undefined) return value;
  try {
    return check(content);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    const message = `what the file of \`${inFile.key}\` holds ${error.what}`;
    settings.problemAt(inFile, 'bad-option', message, error.remedy);
    return value;
  }
}

function oneLine(text: string): string {
  if (/^[^\u0000-\u001f]+$/.test(text)) return text;
  throw new BadValue('is not one line', 'write the password, and nothing else, into one line');
}

function fileText(settings: Settings, option: FreeOption<string>): string | undefined {
  const file = settings.get(option);
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    settings.report.addUnreadable(settings.place(option), option.key, file, error);
    return undefined;
  }
}

interface TlsOptions {
  readonly enabled: FreeOption<boolean>;
  readonly ca: FreeOption<string>;
  readonly cert: FreeOption<string>;
  readonly key: FreeOption<string>;
  readonly reject: DefaultOption<boolean>;
}

function readTls(settings: Settings, options: TlsOptions): TlsConfig | undefined {
  const { enabled, ca, cert, key, reject } = options;
  const files = [ca, cert, key];
  const named = files.filter((option) => settings.isGiven(option));
  const [first] = named;
  const isEnabled = settings.get(enabled) ?? first !== undefined;
  settings.compute(enabled, String(isEnabled));
  if (!isEnabled && first !== undefined) {
    const message = `\`${first.key}\` is given, but \`${enabled.key}\` is false`;
    settings.problemAt(first, 'conflicting-options', message, 'leave one of them out');
  }
  for (const [one, other] of [
    [cert, key],
    [key, cert],
  ] as const) {
    if (!settings.isGiven(one) || settings.isGiven(other)) continue;
    const message = `\`${one.key}\` without \`${other.key}\``;
    settings.problemAt(one, 'missing-option', message, 'a certificate and its key come together');
  }
  const texts = files.map((option) => pemOf(settings, option));
  if (!isEnabled) return undefined;
  const [caText, certText, keyText] = texts;
  return {
    rejectUnauthorized: settings.get(reject),
    ...(caText === undefined ? {} : { ca: caText }),
    ...(certText === undefined ? {} : { cert: certText }),
    ...(keyText === undefined ? {} : { key: keyText }),
  };
}

function pemOf(settings: Settings, option: FreeOption<string>): string | undefined {
  const text = fileText(settings, option);
  if (text === undefined || /-----BEGIN [A-Z0-9 ]+-----/.test(text)) return text;
  const message = `\`${settings.get(option)}\` of \`${option.key}\` is no PEM file`;
  settings.problemAt(option, 'bad-option', message, 'it has to have `-----BEGIN …-----`');
  return undefined;
}

function isBroker(text: string): boolean {
  try {
    BROKER.read(text, '');
    return true;
  } catch {
    return false;
  }
}

/** Undefined where an escape is broken. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
