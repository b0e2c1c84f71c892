/**
 * The configuration of `caucus serve`: flags, environment and file → what one process is to be. The
 * options are `config/options.ts`; this puts them together and refuses what does not fit together.
 * docs/CONFIGURATION.md is held against the table by a test.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isLoopback } from './config/address-kinds.ts';
import { readConfigText } from './config/config-file.ts';
import type { ConfigFile } from './config/config-file.ts';
import {
  isSqlite,
  readClusterSecret,
  readDatabase,
  readKafka,
  readSqliteFile,
} from './config/connections.ts';
import type { DatabaseConfig, KafkaConfig } from './config/connections.ts';
import { bareFlag, flagName, isOfShape, SHAPE_NAMES } from './config/option.ts';
import type { Option, Shape } from './config/option.ts';
import { CONFIG_FLAG, CONFIG_VARIABLE, OPTION_LIST, OPTIONS } from './config/options.ts';
import { Report, subjectOf } from './config/problem.ts';
import type { Place } from './config/problem.ts';
import { NOWHERE, Settings } from './config/settings.ts';
import type { Environment, ServeFlags } from './config/settings.ts';
import { namePolicies, readDatasources } from './config/sources.ts';
import type { DatasourceConfig, PolicyFile } from './config/sources.ts';
import { CONFIG_BYTES_MAX } from './limits.ts';

export interface SourcePath {
  readonly name: string;
  /** A file or a directory of files. */
  readonly path: string;
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error';

/** What processes of all shapes have. */
export interface NodeConfig {
  readonly nodeId: string;
  /** Directory of the log, the store and the checkpoints. */
  readonly dataDirectory: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Under which others reach this node, without `/` at its end; absent: where it listens. */
  readonly publicUrl?: string;
  /** Origins that pages may come from; without one, every request with an `Origin` is refused. */
  readonly allowOrigins: readonly string[];
  /** Values of `Host` besides the address listened on. */
  readonly allowHosts: readonly string[];
  readonly authStrategy: 'noauth';
  /** Empty for a datasource node. */
  readonly policies: readonly PolicyFile[];
  /** Empty for a replica of a cluster. */
  readonly datasources: readonly DatasourceConfig[];
  /** Those of `datasources` that are files. */
  readonly sources: readonly SourcePath[];
  readonly executeActions: boolean;
  readonly checkpointRevisions: number;
  readonly checkpointRecordBytes: number;
  readonly log: {
    readonly level: LogLevelName;
    /** Absent: as the command line says. */
    readonly format?: 'text' | 'json';
  };
}

export interface SingleConfig extends NodeConfig {
  readonly shape: 'single';
  /** Absent: in the data directory. */
  readonly databaseFile?: string;
}

interface ClusterConfig extends NodeConfig {
  readonly kafka: KafkaConfig;
  readonly database: DatabaseConfig;
  /** Between two looks into the database for what was not published. */
  readonly syncPeriodMs: number;
  readonly digestRevisions: number;
}

export interface ReplicaConfig extends ClusterConfig {
  readonly shape: 'replica';
  readonly clusterSecret: string;
}

export interface DatasourceNodeConfig extends ClusterConfig {
  readonly shape: 'datasources';
  readonly clusterSecret?: string;
  readonly leaseTtlMs: number;
}

export type ServeConfig = SingleConfig | ReplicaConfig | DatasourceNodeConfig;

/** What is read besides flags and environment. */
export interface ConfigSurroundings {
  readonly hostName?: string;
}

/** With the settings that it came from, for `config show`. */
export interface ResolvedConfig {
  readonly config: ServeConfig;
  readonly settings: Settings;
}

/** Throws `ConfigError` with everything that is wrong. */
export function parseServeConfig(
  flags: ServeFlags,
  env: Environment = {},
  surroundings: ConfigSurroundings = {},
): ServeConfig {
  return resolveServeConfig(flags, env, surroundings).config;
}

export function resolveServeConfig(
  flags: ServeFlags,
  env: Environment = {},
  { hostName = hostname() }: ConfigSurroundings = {},
): ResolvedConfig {
  refuseUnknownFlags(flags);
  const report = new Report();
  const file = readNamedFile(flags, env, report);
  const settings = new Settings({ flags, env, ...(file === undefined ? {} : { file }) }, report);
  const shape = shapeOf(settings);
  if (shape !== undefined) refuseForeignFlags(settings, shape);
  const config = buildConfig(settings, shape ?? 'single', hostName);
  report.throwIfAny();
  if (config === undefined) throw new Error('a configuration without problems is complete');
  return { config, settings };
}

/**
 * What is wrong with a file by itself: roles, nodes and secrets may come from elsewhere, so nothing
 * is missing. Returns the number of options that it sets.
 */
export function checkConfigText(
  name: string,
  text: string,
): { readonly report: Report; readonly optionCount: number } {
  const report = new Report();
  const file = readConfigText(name, text, report);
  const settings = new Settings({ flags: {}, env: {}, file }, report);
  checkHost(settings);
  namePolicies(settings.list(OPTIONS.policies), report);
  readDatasources(settings);
  if (settings.isGiven(OPTIONS.roles)) shapeOf(settings);
  readKafka(settings, 'node');
  if (isSqlite(settings)) readSqliteFile(settings);
  else readDatabase(settings);
  readClusterSecret(settings);
  return { report, optionCount: file.settings.size + file.records.size };
}

function readNamedFile(
  flags: ServeFlags,
  env: Environment,
  report: Report,
): ConfigFile | undefined {
  const flag = flags[flagName(CONFIG_FLAG)];
  const variable = env[CONFIG_VARIABLE];
  const name = typeof flag === 'string' ? flag : variable;
  if (name === undefined || (name === '' && flag === undefined)) return undefined;
  const place: Place =
    typeof flag === 'string'
      ? { kind: 'flag', flag: bareFlag(CONFIG_FLAG) }
      : { kind: 'variable', name: CONFIG_VARIABLE };
  const text = readConfigFile(name, place, report);
  return text === undefined ? undefined : readConfigText(name, text, report);
}

/** Undefined where it cannot be read, which is reported. */
export function readConfigFile(name: string, place: Place, report: Report): string | undefined {
  try {
    const bytes = readFileSync(name);
    if (bytes.length <= CONFIG_BYTES_MAX) {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    }
    report.add(
      place,
      'config-syntax',
      `\`${name}\` has more than ${CONFIG_BYTES_MAX} bytes`,
      'name a YAML file of options',
    );
  } catch (error) {
    if (!(error instanceof TypeError))
      report.addUnreadable(place, bareFlag(CONFIG_FLAG), name, error);
    else
      report.add(
        place,
        'config-syntax',
        `\`${name}\` is no UTF-8 text`,
        'name a YAML file of options',
      );
  }
  return undefined;
}

/** Undefined where the roles do not fit together, which is reported. */
function shapeOf(settings: Settings): Shape | undefined {
  const roles = new Set(settings.list(OPTIONS.roles).map(({ value }) => value));
  const isApi = roles.has('api');
  const isEngine = roles.has('policy-engine');
  const isSources = roles.has('datasources');
  if (isApi === isEngine && isApi === isSources) return 'single';
  if (isApi && isEngine && !isSources) return 'replica';
  if (!isApi && !isEngine) return 'datasources';
  const [message, remedy] = isSources
    ? [
        'the datasource node of a cluster is a process of its own',
        'start two processes, or leave all roles out for everything in one process without Kafka',
      ]
    : [
        `\`${isApi ? 'api' : 'policy-engine'}\` works only together with \`${isApi ? 'policy-engine' : 'api'}\``,
        'a replica needs both: `--api --policy-engine`',
      ];
  settings.problemAt(OPTIONS.roles, 'conflicting-options', message, remedy);
  return undefined;
}

/** In a file or the environment, which several nodes may share, they are just not used. */
function refuseForeignFlags(settings: Settings, shape: Shape): void {
  for (const option of OPTION_LIST) {
    if (isOfShape(option, shape) || settings.origin(option) !== 'flag') continue;
    const shapes = (option.shapes ?? []).map((one) => SHAPE_NAMES[one]).join(', ');
    settings.problemAt(
      option,
      'conflicting-options',
      `not an option of ${SHAPE_NAMES[shape]}`,
      `it is for ${shapes}`,
    );
  }
}

/** Undefined only where something was reported. */
function buildConfig(settings: Settings, shape: Shape, hostName: string): ServeConfig | undefined {
  const node = nodeConfig(settings, shape, hostName);
  if (shape === 'single') {
    refuseCluster(settings);
    const databaseFile = isSqlite(settings) ? readSqliteFile(settings) : undefined;
    return { shape, ...node, ...(databaseFile === undefined ? {} : { databaseFile }) };
  }
  const kafka = readKafka(settings, node.nodeId);
  const database = readDatabase(settings);
  const clusterSecret = readClusterSecret(settings);
  const missing = (what: string, options: readonly Option[], remedy: string): void => {
    if (options.some((option) => settings.isGiven(option))) return;
    settings.report.add(NOWHERE, 'missing-option', `${SHAPE_NAMES[shape]} needs ${what}`, remedy);
  };
  missing(
    'Kafka',
    [OPTIONS.brokers, OPTIONS.transportUrl],
    'name brokers with `--kafka-brokers`, or `kafka.brokers` in the file',
  );
  missing(
    'the database of the cluster',
    [OPTIONS.connection],
    'name it with `--database`, or `database.connection` in the file',
  );
  if (shape === 'replica') {
    missing(
      'the secret of the cluster',
      [OPTIONS.clusterSecret, OPTIONS.clusterSecretFile],
      'name a file with `--cluster-secret-file`; `openssl rand -hex 32` makes one',
    );
  }
  if (kafka === undefined || database === undefined) return undefined;
  const cluster = {
    ...node,
    kafka,
    database,
    syncPeriodMs: settings.get(OPTIONS.syncPeriod),
    digestRevisions: settings.get(OPTIONS.digestInterval),
  };
  if (shape === 'replica') {
    return clusterSecret === undefined ? undefined : { shape, ...cluster, clusterSecret };
  }
  const leaseTtlMs = settings.get(OPTIONS.leaseTtl);
  return {
    shape,
    ...cluster,
    leaseTtlMs,
    ...(clusterSecret === undefined ? {} : { clusterSecret }),
  };
}

function nodeConfig(settings: Settings, shape: Shape, hostName: string): NodeConfig {
  const nodeId = settings.get(OPTIONS.nodeId) ?? hostName;
  settings.compute(OPTIONS.nodeId, nodeId);
  const publicUrl = settings.get(OPTIONS.publicUrl);
  const format = settings.get(OPTIONS.logFormat);
  const policies = namePolicies(settings.list(OPTIONS.policies), settings.report);
  const allSources = readDatasources(settings);
  const datasources = isOfShape(OPTIONS.datasources, shape) ? allSources : [];
  return {
    nodeId,
    dataDirectory: settings.get(OPTIONS.data),
    host: checkHost(settings),
    port: settings.get(OPTIONS.port),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    allowOrigins: settings.list(OPTIONS.allowOrigins).map(({ value }) => value),
    allowHosts: settings.list(OPTIONS.allowHosts).map(({ value }) => value),
    authStrategy: settings.get(OPTIONS.authStrategy),
    policies: isOfShape(OPTIONS.policies, shape) ? policies : [],
    datasources,
    sources: datasources.flatMap(({ name, driver, settings: { path } }) =>
      driver === 'file' && path !== undefined ? [{ name, path }] : [],
    ),
    executeActions: settings.get(OPTIONS.executeActions),
    checkpointRevisions: settings.get(OPTIONS.checkpointRevisions),
    checkpointRecordBytes: settings.get(OPTIONS.checkpointBytes),
    log: { level: logLevel(settings), ...(format === undefined ? {} : { format }) },
  };
}

function checkHost(settings: Settings): string {
  const host = settings.get(OPTIONS.host);
  if (!isLoopback(host) && !settings.get(OPTIONS.insecureListen)) {
    const place = settings.place(OPTIONS.host);
    settings.report.add(
      place,
      'conflicting-options',
      `${subjectOf(place, OPTIONS.host.key)}\`${host}\` can be reached from other machines, and nobody has to log in`,
      'listen on `127.0.0.1` behind a proxy that authenticates, or accept the risk with `--insecure-listen` (`api.allow_noauth_on_network: true` in a file)',
    );
  }
  return host;
}

/** One file without roles that names a cluster would start a world of its own. */
function refuseCluster(settings: Settings): void {
  for (const option of [OPTIONS.brokers, OPTIONS.transportUrl, OPTIONS.connection] as const) {
    if (!settings.isGiven(option) || settings.origin(option) === 'flag') continue;
    if (option === OPTIONS.connection && isSqlite(settings)) continue;
    settings.problemAt(
      option,
      'conflicting-options',
      `\`${option.key}\` is of a cluster, and this would be a process by itself`,
      'say what it is to be: `--api --policy-engine` or `--datasources`',
    );
  }
  if (settings.origin(OPTIONS.connection) === 'flag' && !isSqlite(settings)) {
    settings.problemAt(
      OPTIONS.connection,
      'conflicting-options',
      'the single process keeps its policies in SQLite',
      'write `sqlite:///FILE`, or leave it out; a cluster begins with `--api --policy-engine`',
    );
  }
}

function logLevel(settings: Settings): LogLevelName {
  const level = settings.get(OPTIONS.logLevel);
  if (settings.get(OPTIONS.debug)) return 'debug';
  return settings.get(OPTIONS.verbose) && level !== 'debug' ? 'info' : level;
}

/** The argument parser lets no other flags through; this finds a slip in the code. */
function refuseUnknownFlags(flags: ServeFlags): void {
  const known = OPTION_LIST.flatMap(({ flag, switches = [] }) =>
    [flag, ...switches.map((one) => one.flag)].filter((one) => one !== undefined),
  );
  const names = [...known, CONFIG_FLAG].map(flagName);
  const unknown = Object.keys(flags).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`no flag is called ${unknown}`);
}
