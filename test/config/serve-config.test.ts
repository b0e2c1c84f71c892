/** Flags, environment and file → what one process is to be. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { isLoopback } from '../../host/config/address-kinds.ts';
import { ConfigError } from '../../host/config/problem.ts';
import type { ConfigProblem } from '../../host/config/problem.ts';
import type { Environment, ServeFlags } from '../../host/config/settings.ts';
import { parseServeConfig } from '../../host/config.ts';
import type { ServeConfig } from '../../host/config.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'caucus-config-'));
test.after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const full = path.join(folder, name);
  writeFileSync(full, text);
  return full;
}

function parse(flags: ServeFlags, env: Environment = {}): ServeConfig {
  return parseServeConfig(flags, env, { hostName: 'box' });
}

function parseYaml(text: string, flags: ServeFlags = {}, env: Environment = {}): ServeConfig {
  return parse({ config: file('caucus.yaml', text), ...flags }, env);
}

function problems(work: () => unknown): readonly ConfigProblem[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The only problem. */
function problem(work: () => unknown): ConfigProblem {
  const found = problems(work);
  assert.equal(found.length, 1, JSON.stringify(found, null, 1));
  return found[0] as ConfigProblem;
}

const REPLICA: ServeFlags = {
  api: true,
  policyEngine: true,
  nodeId: 'pe1',
  kafkaBrokers: ['k1:9092'],
  database: 'mariadb://caucus@db/caucus',
};
const SECRET: Environment = { CAUCUS_CLUSTER_SECRET: 'a secret of the cluster' };

test('defaults', () => {
  assert.deepEqual(parse({}), {
    shape: 'single',
    nodeId: 'box',
    dataDirectory: 'caucus-data',
    host: '127.0.0.1',
    port: 1789,
    allowOrigins: [],
    allowHosts: [],
    authStrategy: 'noauth',
    policies: [],
    datasources: [],
    sources: [],
    executeActions: true,
    checkpointRevisions: 20_000,
    checkpointRecordBytes: 64 * 1024 * 1024,
    log: { level: 'info' },
  });
});

test('a flag wins over the environment, the environment over the file, the file over the default', () => {
  const text = 'api: {port: 1, allowed_hosts: [x]}\ndata_directory: d\nbus_id: b\n';
  const env = { CAUCUS_PORT: '2', CAUCUS_ALLOW_HOST: 'a.example, B.example:81', CAUCUS_DATA: '' };
  assert.equal(parseYaml(text, { port: '3' }, env).port, 3);
  const config = parseYaml(text, {}, env);
  assert.equal(config.port, 2);
  assert.deepEqual(config.allowHosts, ['a.example', 'b.example:81']);
  assert.equal(config.dataDirectory, path.join(folder, 'd'), 'an empty variable is not set');
  assert.equal(parseYaml(text).port, 1);
  assert.equal(parseYaml('').port, 1789);
});

test('the file is named by the flag, else by the variable', () => {
  const one = file('one.yaml', 'api: {port: 1}\n');
  const two = file('two.yaml', 'api: {port: 2}\n');
  assert.equal(parse({ config: one }, { CAUCUS_CONFIG: two }).port, 1);
  assert.equal(parse({}, { CAUCUS_CONFIG: two }).port, 2);
});

test('policies and sources, from flags and from a file', () => {
  const config = parse({
    policy: ['x/net.policy', 'inv.dl'],
    source: ['vm=data/vm.csv', 'a=b=c'],
  });
  assert.deepEqual(config.policies, [
    { name: 'net', file: 'x/net.policy' },
    { name: 'inv', file: 'inv.dl' },
  ]);
  const sources = [
    { name: 'vm', path: 'data/vm.csv' },
    { name: 'a', path: 'b=c' },
  ];
  assert.deepEqual(config.sources, sources);
  assert.deepEqual(
    config.datasources,
    sources.map(({ name, path: target }) => ({ name, driver: 'file', settings: { path: target } })),
  );
  const text = [
    'policies: [p.policy, /etc/q.policy]',
    'drivers: file, packages',
    'datasources:',
    '  - {name: inv, driver: file, path: data, header: false, poll_interval: 2}',
    '  - name: pkg',
    '    driver: packages',
    '    poll_interval: 1m',
  ].join('\n');
  const ofFile = parseYaml(text);
  assert.deepEqual(ofFile.policies, [
    { name: 'p', file: path.join(folder, 'p.policy') },
    { name: 'q', file: '/etc/q.policy' },
  ]);
  assert.deepEqual(ofFile.datasources, [
    {
      name: 'inv',
      driver: 'file',
      settings: { path: path.join(folder, 'data'), header: 'false', pollMs: 2000 },
    },
    { name: 'pkg', driver: 'packages', settings: { pollMs: 60_000 } },
  ]);
  assert.deepEqual(ofFile.sources, [{ name: 'inv', path: path.join(folder, 'data') }]);
  assert.deepEqual(parseYaml(text, { source: ['b=c'] }).sources, [{ name: 'b', path: 'c' }]);
});

test('a replica', () => {
  const config = parse(REPLICA, SECRET);
  assert.ok(config.shape === 'replica');
  assert.deepEqual(config.kafka, {
    brokers: ['k1:9092'],
    busId: 'caucus',
    clientId: 'caucus-pe1',
    replicationFactor: 3,
    minInsyncReplicas: 2,
  });
  assert.deepEqual(config.database, {
    host: 'db',
    port: 3306,
    user: 'caucus',
    password: '',
    database: 'caucus',
    poolSize: 10,
  });
  assert.equal(config.clusterSecret, 'a secret of the cluster');
  assert.deepEqual([config.syncPeriodMs, config.digestRevisions], [5000, 100]);
});

test('a datasource node: no policies, and what replicas need it does not', () => {
  const { api: _api, policyEngine: _engine, ...rest } = REPLICA;
  const config = parse(
    { ...rest, datasources: true, source: ['a=b'] },
    { CAUCUS_POLICY: 'shared.policy', CAUCUS_CLUSTER_LEASE_TTL: '2.5s' },
  );
  assert.ok(config.shape === 'datasources');
  assert.deepEqual(config.policies, []);
  assert.equal(config.sources.length, 1);
  assert.equal(config.leaseTtlMs, 2500);
  assert.equal(config.clusterSecret, undefined);
});

test('one file for all nodes of a cluster: what is not for a node is not used', () => {
  const text = [
    'transport_url: kafka://k1:9092,k2:9093',
    'policies: [p.policy]',
    'datasources: [{name: a, driver: push}]',
    'database: {connection: "mysql+pymysql://u:p%40ss@[::1]:3307/c?charset=utf8"}',
    'cluster: {secret: 0123456789abcdef}',
  ].join('\n');
  const replica = parseYaml(text, { api: true, policyEngine: true });
  assert.ok(replica.shape === 'replica');
  assert.deepEqual([replica.policies.length, replica.datasources.length], [1, 0]);
  assert.deepEqual(replica.kafka.brokers, ['k1:9092', 'k2:9093']);
  assert.deepEqual(
    [replica.database.host, replica.database.port, replica.database.password],
    ['::1', 3307, 'p@ss'],
  );
  const node = parseYaml(text, { datasources: true });
  assert.deepEqual([node.policies.length, node.datasources.length], [0, 1]);
  const alone = problems(() => parseYaml(text));
  assert.deepEqual(
    alone.map(({ code, line }) => [code, line]),
    [
      ['conflicting-options', 1],
      ['conflicting-options', 4],
    ],
    'without roles it would be a world of its own',
  );
});

test('all roles together are the single process, some are none', () => {
  const all = { api: true, policyEngine: true, datasources: true };
  assert.equal(parse(all).shape, 'single');
  assert.equal(parse({}, { CAUCUS_ROLES: 'datasources,api,policy-engine' }).shape, 'single');
  for (const flags of [
    { api: true },
    { policyEngine: true },
    { api: true, datasources: true },
    { policyEngine: true, datasources: true },
  ]) {
    const { code, message } = problem(() => parse(flags));
    assert.equal(code, 'usage');
    assert.match(message, /^`--/);
  }
});

test('what a cluster needs', () => {
  const found = problems(() => parse({ api: true, policyEngine: true }));
  assert.deepEqual(
    found.map(({ message }) => /needs (.*)$/.exec(message)?.[1]),
    ['Kafka', 'the database of the cluster', 'the secret of the cluster'],
  );
  assert.ok(found.every(({ note }) => note !== undefined));
  assert.equal(problems(() => parse({ datasources: true })).length, 2);
});

test('flags that another shape has', () => {
  assert.match(
    problem(() => parse({ ...REPLICA, source: ['a=b'] }, SECRET)).message,
    /^`--source`: not an option of a replica/,
  );
  assert.match(problem(() => parse({ busId: 'x' })).message, /^`--bus-id`: not an option of the s/);
});

test('TLS and login of Kafka', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
  file('ca.pem', pem);
  file('cert.pem', pem);
  file('key.pem', pem);
  file('password', 'p w\n');
  const base = 'roles: [datasources]\ndatabase: {connection: mariadb://u@h/d}\n';
  const tls = 'ssl: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}';
  const config = parseYaml(
    `${base}kafka: {brokers: [a:1], ${tls}, sasl: {mechanism: scram-sha-512, username: u, password_file: password}}\n`,
  );
  assert.ok(config.shape === 'datasources');
  assert.deepEqual(config.kafka.ssl, { ca: pem, cert: pem, key: pem, rejectUnauthorized: true });
  assert.deepEqual(config.kafka.sasl, {
    mechanism: 'scram-sha-512',
    username: 'u',
    password: 'p w',
  });
  const url = parseYaml(`${base}transport_url: kafka://u%40x:p%3aw@a:1,u%40x:p%3aw@b\n`);
  assert.ok(url.shape === 'datasources');
  assert.deepEqual(url.kafka.brokers, ['a:1', 'b:9092']);
  assert.deepEqual(url.kafka.sasl, { mechanism: 'plain', username: 'u@x', password: 'p:w' });
  const bare = parseYaml(
    `${base}kafka: {brokers: [a:1], ssl: {enabled: true, reject_unauthorized: false}}\n`,
  );
  assert.ok(bare.shape === 'datasources');
  assert.deepEqual(bare.kafka.ssl, { rejectUnauthorized: false });
});

test('the secret of the cluster in a file', () => {
  const secret = file('secret', '0123456789abcdef\n');
  const config = parse({ ...REPLICA, clusterSecretFile: secret });
  assert.ok(config.shape === 'replica');
  assert.equal(config.clusterSecret, '0123456789abcdef');
  const short = file('short', 'hunter2\n');
  const found = problem(() => parse({ ...REPLICA, clusterSecretFile: short }));
  assert.match(found.message, /is no secret/);
  assert.doesNotMatch(JSON.stringify(found), /hunter2/);
});

test('a database file of the single process', () => {
  const config = parse({ database: 'sqlite:////var/lib/x.db' });
  assert.ok(config.shape === 'single');
  assert.equal(config.databaseFile, '/var/lib/x.db');
  assert.match(problem(() => parse({ database: 'mariadb://u@h/d' })).message, /SQLite/);
  assert.match(
    problem(() => parse({ ...REPLICA, database: 'sqlite:///x' }, SECRET)).message,
    /cannot share/,
  );
});

test('replication', () => {
  const one = parse(REPLICA, { ...SECRET, CAUCUS_KAFKA_REPLICATION_FACTOR: '1' });
  assert.ok(one.shape === 'replica');
  assert.equal(one.kafka.minInsyncReplicas, 1);
  const env = { ...SECRET, CAUCUS_KAFKA_MIN_INSYNC_REPLICAS: '4' };
  assert.match(problem(() => parse(REPLICA, env)).message, /`4` is more than the replication f/);
});

test('level of the log', () => {
  const level = (flags: ServeFlags): string => parse(flags).log.level;
  assert.equal(level({ logLevel: 'error' }), 'error');
  assert.equal(level({ logLevel: 'error', verbose: true }), 'info');
  assert.equal(level({ logLevel: 'debug', verbose: true }), 'debug');
  assert.equal(level({ logLevel: 'error', verbose: true, debug: true }), 'debug');
  assert.equal(parse({}, { CAUCUS_DEBUG: 'True', CAUCUS_LOG_FORMAT: 'json' }).log.format, 'json');
});

test('addresses', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]']) {
    assert.ok(isLoopback(host), host);
    assert.equal(parse({ host }).host, host);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'example']) {
    assert.ok(!isLoopback(host), host);
    assert.match(problem(() => parse({ host })).note ?? '', /--insecure-listen/);
    assert.equal(parse({ host, insecureListen: true }).host, host);
  }
  const open = parseYaml('api: {host: 0.0.0.0, allow_noauth_on_network: true}\n');
  assert.equal(open.host, '0.0.0.0');
  assert.equal(parse({ publicUrl: 'https://pe1.example/' }).publicUrl, 'https://pe1.example');
});

test('variables that Kubernetes sets for a service are left alone, others have to be known', () => {
  parse({}, { CAUCUS_SERVICE_HOST: 'x', CAUCUS_PORT_1789_TCP: 'y', CAUCUS_URL: 'z' });
  assert.match(problem(() => parse({}, { CAUCUS_PORT: 'tcp://10.0.0.1:1' })).note ?? '', /Kubern/);
  const { message, note, code } = problem(() => parse({}, { CAUCUS_PROT: '1' }));
  assert.deepEqual(
    [code, message, note],
    ['usage', '`CAUCUS_PROT`: unknown variable', 'did you mean `CAUCUS_PORT`?'],
  );
});

const REFUSED: Readonly<Record<string, ServeFlags>> = {
  'an empty directory': { data: '' },
  'a port with text': { port: '80x' },
  'a negative port': { port: '-1' },
  'a port too large': { port: '65536' },
  'an address with a space': { host: 'a b', insecureListen: true },
  'a policy without a name': { policy: ['9.policy'] },
  'a policy twice': { policy: ['a.policy', 'b/a.dl'] },
  'a source without a name': { source: ['=x'] },
  'a source without a path': { source: ['x='] },
  'a source twice': { source: ['x=a', 'x=b'] },
  'an origin with a path': { allowOrigin: ['https://a.example/x'] },
  'an origin without a scheme': { allowOrigin: ['a.example'] },
  'any origin': { allowOrigin: ['*'] },
  'a host with a scheme': { allowHost: ['http://a.example'] },
  'a node id with a space': { nodeId: 'a b' },
  'a public address with a path': { publicUrl: 'http://a/b' },
  'a public address with a password': { publicUrl: 'http://u:p@a' },
  'a level that is none': { logLevel: 'trace' },
  'a format that is none': { logFormat: 'xml' },
};
for (const [name, flags] of Object.entries(REFUSED)) {
  test(`refused with its flag: ${name}`, () => {
    const { code, message, note } = problem(() => parse(flags));
    const [flag = ''] = Object.keys(flags);
    const written = flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    assert.equal(code, 'usage');
    assert.ok(message.startsWith(`\`--${written}\`: `), message);
    assert.ok((note ?? '') !== '');
  });
}

test('everything that is wrong is said at once', () => {
  const found = problems(() =>
    parseYaml('api: {prt: 1}\nlog: {level: loud}\n', { port: 'x' }, { CAUCUS_DEBUG: 'maybe' }),
  );
  assert.deepEqual(
    found.map(({ code, line }) => [code, line]),
    [
      ['usage', undefined],
      ['usage', undefined],
      ['unknown-option', 1],
      ['bad-option', 2],
    ],
  );
});

test('passwords on the command line are refused, and not repeated', () => {
  for (const flags of [
    { ...REPLICA, database: 'mariadb://u:hunter2@h/d' },
    { ...REPLICA, kafkaBrokers: undefined, transportUrl: 'kafka://u:hunter2@k:1' },
  ]) {
    const found = problem(() => parse(flags, SECRET));
    assert.match(found.message, /every user of this machine can read/);
    assert.doesNotMatch(JSON.stringify(found), /hunter2/);
  }
});
