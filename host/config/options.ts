/**
 * Every option of `caucus serve`, once: where it stands in the file, its flag and variable, type,
 * default, meaning, and what Congress calls it. Help, sample, docs/CONFIGURATION.md and the reading
 * of all of them come from here.
 */
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import { LEASE_TTL_MS } from '../../drivers/limits.ts';
import {
  CHECKPOINT_RECORD_BYTES,
  CHECKPOINT_REVISIONS,
  DIGEST_REVISIONS,
  POLICY_REPAIR_MS,
} from '../limits.ts';
import { ADDRESS, BASE_URL, BROKER, HOST_NAME, ORIGIN, PORT } from './address-kinds.ts';
import { BOOLEAN, choice, duration, FILE_PATH, integer, size, text } from './kind.ts';
import { free, list, withDefault } from './option.ts';
import type { Option, RecordsOption, Shape } from './option.ts';
import { ANY_TEXT, AUTH, BUS, DRIVER, NODE_ID, SECRET } from './own-kinds.ts';

/** Congress' port. */
export const PORT_DEFAULT = 1789;
export const HOST_DEFAULT = '127.0.0.1';
export const DATA_DEFAULT = 'caucus-data';

const CLUSTER: readonly Shape[] = ['replica', 'datasources'];
const POLICY: readonly Shape[] = ['single', 'replica'];
const SOURCES: readonly Shape[] = ['single', 'datasources'];
const BYTES_PER_MIB = 1024 * 1024;

const DATASOURCES: RecordsOption = {
  form: 'records',
  key: 'datasources',
  flag: '--source <name=path...>',
  variable: 'CAUCUS_SOURCE',
  shapes: SOURCES,
  meaning: `what fills sources: a list of maps with \`name\`, \`driver\` (${Object.keys(DRIVER_OPTIONS).join(', ')}) and the options of the driver`,
  flagMeaning:
    'a file or directory (CSV, TSV, JSON, NDJSON, `.facts`) that fills the source and is watched',
};

const NODE = {
  nodeId: free(NODE_ID, {
    key: 'node_id',
    flag: '--node-id <name>',
    variable: 'CAUCUS_NODE_ID',
    defaultNote: 'the host name',
    example: 'pe1',
    meaning: 'what this node is called; no two nodes of a cluster may have the same name',
    congress: ['--node-id'],
  }),
  roles: list(choice(['api', 'policy-engine', 'datasources']), {
    key: 'roles',
    switches: [
      { flag: '--api', item: 'api', meaning: 'be a replica, together with `--policy-engine`' },
      {
        flag: '--policy-engine',
        item: 'policy-engine',
        meaning: 'be a replica, together with `--api`',
      },
      { flag: '--datasources', item: 'datasources', meaning: 'be a datasource node of a cluster' },
    ],
    variable: 'CAUCUS_ROLES',
    meaning:
      'none or all: everything in one process; api and policy-engine: one replica of a cluster; datasources: its datasource node',
    congress: ['--api', '--policy-engine', '--datasources'],
  }),
  data: withDefault(FILE_PATH, DATA_DEFAULT, {
    key: 'data_directory',
    flag: '--data <dir>',
    variable: 'CAUCUS_DATA',
    meaning: 'directory of the log, the store and the checkpoints; made where it does not exist',
  }),
  policies: list(FILE_PATH, {
    key: 'policies',
    flag: '--policy <file...>',
    variable: 'CAUCUS_POLICY',
    shapes: POLICY,
    meaning:
      'policy files; each replaces the policy of its base name, all in one revision, where the text differs; other policies stay',
  }),
  datasources: DATASOURCES,
  drivers: list(DRIVER, {
    key: 'drivers',
    variable: 'CAUCUS_DRIVERS',
    shapes: SOURCES,
    meaning: 'the only drivers that datasources may have; none named: all',
    congress: ['DEFAULT.drivers'],
  }),
  syncPeriod: withDefault(duration('1s', '1h'), `${POLICY_REPAIR_MS / 1000}s`, {
    key: 'datasource_sync_period',
    variable: 'CAUCUS_DATASOURCE_SYNC_PERIOD',
    shapes: CLUSTER,
    meaning:
      'between two looks into the database for what a node that left did not publish; all else comes through the log at once',
    congress: ['DEFAULT.datasource_sync_period'],
  }),
  executeActions: withDefault(BOOLEAN, 'true', {
    key: 'enable_execute_action',
    variable: 'CAUCUS_ENABLE_EXECUTE_ACTION',
    shapes: SOURCES,
    meaning:
      'carry out what rules with `execute` ask for; false: only log it. No driver has actions yet',
    congress: ['DEFAULT.enable_execute_action'],
  }),
  authStrategy: withDefault(AUTH, 'noauth', {
    key: 'auth_strategy',
    variable: 'CAUCUS_AUTH_STRATEGY',
    meaning: 'how clients log in; nobody has to with noauth, the only one there is',
    congress: ['DEFAULT.auth_strategy'],
  }),
} as const;

const API = {
  host: withDefault(ADDRESS, HOST_DEFAULT, {
    key: 'api.host',
    flag: '--host <address>',
    variable: 'CAUCUS_HOST',
    meaning: 'address to listen on',
    congress: ['DEFAULT.bind_host'],
  }),
  port: withDefault(PORT, String(PORT_DEFAULT), {
    key: 'api.port',
    flag: '--port <number>',
    variable: 'CAUCUS_PORT',
    meaning: 'port to listen on; 0 takes a free one, which is printed',
    congress: ['DEFAULT.bind_port'],
  }),
  publicUrl: free(BASE_URL, {
    key: 'api.public_url',
    flag: '--public-url <url>',
    variable: 'CAUCUS_PUBLIC_URL',
    defaultNote: 'the address listened on',
    example: 'http://10.0.0.5:1789',
    meaning: 'under which other nodes and clients reach this one',
  }),
  allowOrigins: list(ORIGIN, {
    key: 'api.allowed_origins',
    flag: '--allow-origin <origin...>',
    variable: 'CAUCUS_ALLOW_ORIGIN',
    meaning: 'origins of web pages that may connect, such as `https://app.example`',
    congress: ['cors.allowed_origin'],
  }),
  allowHosts: list(HOST_NAME, {
    key: 'api.allowed_hosts',
    flag: '--allow-host <host...>',
    variable: 'CAUCUS_ALLOW_HOST',
    meaning: 'names that clients may call this server by, besides the loopback ones and `--host`',
  }),
  insecureListen: withDefault(BOOLEAN, 'false', {
    key: 'api.allow_noauth_on_network',
    flag: '--insecure-listen',
    variable: 'CAUCUS_ALLOW_NOAUTH_ON_NETWORK',
    meaning: 'allow an address that other machines reach, although nobody has to log in',
  }),
} as const;

const KAFKA = {
  transportUrl: free(ANY_TEXT, {
    key: 'transport_url',
    flag: '--transport-url <url>',
    variable: 'CAUCUS_TRANSPORT_URL',
    shapes: CLUSTER,
    secret: 'url',
    secretFileKey: 'kafka.sasl.password_file',
    example: 'kafka://kafka1:9092,kafka2:9092,kafka3:9092',
    meaning:
      'the brokers as Congress writes them, instead of `kafka.brokers`; only `kafka://` works',
    congress: ['DEFAULT.transport_url'],
  }),
  busId: withDefault(BUS, 'caucus', {
    key: 'bus_id',
    flag: '--bus-id <name>',
    variable: 'CAUCUS_BUS_ID',
    shapes: CLUSTER,
    meaning: 'what the names of the topics begin with: one for each cluster on the same brokers',
    congress: ['dse.bus_id'],
  }),
  brokers: list(BROKER, {
    key: 'kafka.brokers',
    flag: '--kafka-brokers <host:port...>',
    variable: 'CAUCUS_KAFKA_BROKERS',
    shapes: CLUSTER,
    meaning: 'some of the Kafka brokers; the others are learnt',
  }),
  clientId: free(
    text(
      'name',
      /^[\w.-]{1,100}$/,
      'is no client id',
      'use up to 100 letters, digits, `_`, `-` and `.`',
    ),
    {
      key: 'kafka.client_id',
      variable: 'CAUCUS_KAFKA_CLIENT_ID',
      shapes: CLUSTER,
      defaultNote: '`caucus-` and the node id',
      example: 'caucus-pe1',
      meaning: 'what the brokers call this process in their logs and quotas',
    },
  ),
  replicationFactor: withDefault(integer(1, 100), '3', {
    key: 'kafka.replication_factor',
    variable: 'CAUCUS_KAFKA_REPLICATION_FACTOR',
    shapes: CLUSTER,
    meaning: 'brokers that keep each topic; 1 only where losing the cluster does not matter',
  }),
  minInsyncReplicas: free(integer(1, 100), {
    key: 'kafka.min_insync_replicas',
    variable: 'CAUCUS_KAFKA_MIN_INSYNC_REPLICAS',
    shapes: CLUSTER,
    defaultNote: '2, at most the replication factor',
    example: '2',
    meaning: 'brokers that have a record before it is acknowledged',
  }),
  sslEnabled: free(BOOLEAN, {
    key: 'kafka.ssl.enabled',
    variable: 'CAUCUS_KAFKA_SSL_ENABLED',
    shapes: CLUSTER,
    defaultNote: 'true where a certificate is named',
    example: 'true',
    meaning: 'talk to the brokers over TLS',
    congress: ['oslo_messaging_kafka.security_protocol'],
  }),
  sslCa: free(FILE_PATH, {
    key: 'kafka.ssl.ca_file',
    variable: 'CAUCUS_KAFKA_SSL_CA_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/kafka-ca.pem',
    meaning:
      'certificates (PEM) of who signed those of the brokers, instead of the well-known ones',
    congress: ['oslo_messaging_kafka.ssl_cafile'],
  }),
  sslCert: free(FILE_PATH, {
    key: 'kafka.ssl.cert_file',
    variable: 'CAUCUS_KAFKA_SSL_CERT_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/kafka-client.pem',
    meaning: 'certificate (PEM) that this process shows',
    congress: ['oslo_messaging_kafka.ssl_client_cert_file'],
  }),
  sslKey: free(FILE_PATH, {
    key: 'kafka.ssl.key_file',
    variable: 'CAUCUS_KAFKA_SSL_KEY_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/kafka-client.key',
    meaning: 'its key (PEM)',
    congress: ['oslo_messaging_kafka.ssl_client_key_file'],
  }),
  sslReject: withDefault(BOOLEAN, 'true', {
    key: 'kafka.ssl.reject_unauthorized',
    variable: 'CAUCUS_KAFKA_SSL_REJECT_UNAUTHORIZED',
    shapes: CLUSTER,
    meaning: 'refuse brokers whose certificate cannot be verified',
  }),
  saslMechanism: free(choice(['plain', 'scram-sha-256', 'scram-sha-512']), {
    key: 'kafka.sasl.mechanism',
    variable: 'CAUCUS_KAFKA_SASL_MECHANISM',
    shapes: CLUSTER,
    defaultNote: 'plain where a user name is given',
    example: 'scram-sha-512',
    meaning: 'how to log in to the brokers',
    congress: ['oslo_messaging_kafka.sasl_mechanism'],
  }),
  saslUsername: free(ANY_TEXT, {
    key: 'kafka.sasl.username',
    variable: 'CAUCUS_KAFKA_SASL_USERNAME',
    shapes: CLUSTER,
    example: 'caucus',
    meaning: 'the user name there',
  }),
  saslPassword: free(ANY_TEXT, {
    key: 'kafka.sasl.password',
    variable: 'CAUCUS_KAFKA_SASL_PASSWORD',
    shapes: CLUSTER,
    secret: 'all',
    example: 'change-me',
    meaning: 'the password there',
  }),
  saslPasswordFile: free(FILE_PATH, {
    key: 'kafka.sasl.password_file',
    variable: 'CAUCUS_KAFKA_SASL_PASSWORD_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/kafka-password',
    meaning: 'a file that holds the password instead',
  }),
} as const;

const DATABASE = {
  connection: free(ANY_TEXT, {
    key: 'database.connection',
    flag: '--database <url>',
    variable: 'CAUCUS_DATABASE',
    secret: 'url',
    secretFileKey: 'database.password_file',
    defaultNote: 'of the single process: `store.sqlite` in the data directory',
    example: 'mysql+pymysql://caucus@db.example:3306/caucus',
    meaning:
      'the policy database: `mysql+pymysql://` or `mariadb://` (MariaDB, for clusters), `sqlite:///FILE` (for the single process)',
    congress: ['database.connection'],
  }),
  passwordFile: free(FILE_PATH, {
    key: 'database.password_file',
    variable: 'CAUCUS_DATABASE_PASSWORD_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/database-password',
    meaning: 'a file that holds the password, instead of the connection',
  }),
  poolSize: withDefault(integer(1, 1000), '10', {
    key: 'database.pool_size',
    variable: 'CAUCUS_DATABASE_POOL_SIZE',
    shapes: CLUSTER,
    meaning: 'connections that are open at most',
    congress: ['database.max_pool_size'],
  }),
  dbSslEnabled: free(BOOLEAN, {
    key: 'database.ssl.enabled',
    variable: 'CAUCUS_DATABASE_SSL_ENABLED',
    shapes: CLUSTER,
    defaultNote: 'true where a certificate is named',
    example: 'true',
    meaning: 'talk to the database over TLS',
  }),
  dbSslCa: free(FILE_PATH, {
    key: 'database.ssl.ca_file',
    variable: 'CAUCUS_DATABASE_SSL_CA_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/database-ca.pem',
    meaning:
      'certificates (PEM) of who signed that of the database, instead of the well-known ones',
  }),
  dbSslCert: free(FILE_PATH, {
    key: 'database.ssl.cert_file',
    variable: 'CAUCUS_DATABASE_SSL_CERT_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/database-client.pem',
    meaning: 'certificate (PEM) that this process shows',
  }),
  dbSslKey: free(FILE_PATH, {
    key: 'database.ssl.key_file',
    variable: 'CAUCUS_DATABASE_SSL_KEY_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/database-client.key',
    meaning: 'its key (PEM)',
  }),
  dbSslReject: withDefault(BOOLEAN, 'true', {
    key: 'database.ssl.reject_unauthorized',
    variable: 'CAUCUS_DATABASE_SSL_REJECT_UNAUTHORIZED',
    shapes: CLUSTER,
    meaning: 'refuse a database whose certificate cannot be verified',
  }),
} as const;

const STATE = {
  clusterSecret: free(SECRET, {
    key: 'cluster.secret',
    variable: 'CAUCUS_CLUSTER_SECRET',
    shapes: CLUSTER,
    secret: 'all',
    example: 'sixteen-characters-or-more',
    meaning: 'what nodes know each other by; equal on all',
  }),
  clusterSecretFile: free(FILE_PATH, {
    key: 'cluster.secret_file',
    flag: '--cluster-secret-file <file>',
    variable: 'CAUCUS_CLUSTER_SECRET_FILE',
    shapes: CLUSTER,
    example: '/etc/caucus/cluster-secret',
    meaning: 'a file that holds the secret of the cluster, instead of `cluster.secret`',
  }),
  digestInterval: withDefault(integer(1, 1_000_000), String(DIGEST_REVISIONS), {
    key: 'cluster.digest_interval',
    variable: 'CAUCUS_CLUSTER_DIGEST_INTERVAL',
    shapes: CLUSTER,
    meaning: 'replicas compare their digests at each revision that this divides; equal on all',
  }),
  leaseTtl: withDefault(duration('1s', '10m'), `${LEASE_TTL_MS / 1000}s`, {
    key: 'cluster.lease_ttl',
    variable: 'CAUCUS_CLUSTER_LEASE_TTL',
    shapes: ['datasources'],
    meaning: 'a datasource node that has not renewed its lease for so long is replaced by another',
  }),
  checkpointRevisions: withDefault(integer(1, 1_000_000_000), String(CHECKPOINT_REVISIONS), {
    key: 'checkpoint.revisions',
    variable: 'CAUCUS_CHECKPOINT_REVISIONS',
    shapes: POLICY,
    meaning: 'a checkpoint is saved after so many revisions',
  }),
  checkpointBytes: withDefault(
    size('1MiB', '64GiB'),
    `${CHECKPOINT_RECORD_BYTES / BYTES_PER_MIB}MiB`,
    {
      key: 'checkpoint.bytes',
      variable: 'CAUCUS_CHECKPOINT_BYTES',
      shapes: POLICY,
      meaning: 'or after so many bytes of records, if that is first',
    },
  ),
  logLevel: withDefault(choice(['debug', 'info', 'warn', 'error']), 'info', {
    key: 'log.level',
    flag: '--log-level <level>',
    variable: 'CAUCUS_LOG_LEVEL',
    meaning: 'lines below it are left out',
  }),
  logFormat: free(choice(['text', 'json']), {
    key: 'log.format',
    flag: '--log-format <format>',
    variable: 'CAUCUS_LOG_FORMAT',
    defaultNote: 'text; json with `--json`',
    example: 'json',
    meaning: 'lines for people, or JSON objects',
  }),
  verbose: withDefault(BOOLEAN, 'false', {
    key: 'verbose',
    flag: '--verbose',
    variable: 'CAUCUS_VERBOSE',
    meaning: 'log at least what `info` has, whatever `log.level` says',
    congress: ['DEFAULT.verbose'],
  }),
  debug: withDefault(BOOLEAN, 'false', {
    key: 'debug',
    flag: '--debug',
    variable: 'CAUCUS_DEBUG',
    meaning: 'log everything, whatever `log.level` says',
    congress: ['DEFAULT.debug'],
  }),
} as const;

export const OPTIONS = { ...NODE, ...API, ...KAFKA, ...DATABASE, ...STATE } as const;

/** In the order of help, sample and manual: what stands at the top level first. */
export const OPTION_LIST: readonly Option[] = Object.values<Option>(OPTIONS).toSorted(
  (a, b) => Number(a.key.includes('.')) - Number(b.key.includes('.')),
);

export const CONFIG_FLAG = '--config <file>';
export const CONFIG_VARIABLE = 'CAUCUS_CONFIG';
