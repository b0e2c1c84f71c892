/** Every kind of bad file: code, place, what is said, and that no secret is repeated. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { ConfigError, Report } from '../../host/config/problem.ts';
import type { ConfigProblem } from '../../host/config/problem.ts';
import { withoutSecrets } from '../../host/config/secret-lines.ts';
import { checkConfigText, parseServeConfig, readConfigFile } from '../../host/config.ts';
import { CONFIG_BYTES_MAX } from '../../host/limits.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'caucus-config-'));
test.after(() => rmSync(folder, { recursive: true }));

function check(text: string): readonly ConfigProblem[] {
  return checkConfigText('c.yaml', text).report.problems;
}

/** Text, `code line:column`, what the message or note has. */
type Case = readonly [name: string, text: string, at: string, says: RegExp];

const CASES: readonly Case[] = [
  ['not YAML: a bracket', 'a: [1\n', 'config-syntax 2:1', /indentation/],
  ['not YAML: two colons', 'log: level: info\n', 'config-syntax 1:6', /second `:`/],
  ['not YAML: a tab', 'log:\n\tlevel: info\n', 'config-syntax 2:1', /tab/],
  ['not YAML: a quote', 'node_id: "x\n', 'config-syntax 2:1', /missing/],
  ['not YAML: an escape', 'node_id: "\\q"\n', 'config-syntax 1:11', /escape/],
  ['not YAML: a reserved character', 'node_id: @x\n', 'config-syntax 1:10', /quotes/],
  [
    'not YAML: an indentation',
    'log:\n  level: info\n format: json\n',
    'config-syntax 3:1',
    /column/,
  ],
  ['not YAML: a text only', 'a b\nc: 1\n', 'config-syntax 1:1', /without `:`/],
  ['an alias of nothing', 'node_id: *x\n', 'config-syntax 1:10', /anchor/],
  ['a tag', 'node_id: !env x\n', 'config-syntax 1:10', /tag/],
  ['two documents', 'debug: true\n---\ndebug: true\n', 'config-syntax 2:1', /second document/],
  ['an option twice', 'debug: true\ndebug: false\n', 'config-syntax 2:1', /twice/],
  ['a list instead of a map', '- debug\n', 'config-syntax 1:1', /no map of options/],
  ['a name that is a list', '? [a]\n: 1\n', 'config-syntax 1:3', /plain text/],
  ['an unknown option', 'debgu: true\n', 'unknown-option 1:1', /did you mean `debug`/],
  ['an unknown option of a section', 'api:\n  prot: 1\n', 'unknown-option 2:3', /`api\.port`/],
  ['an unknown section', 'kafak:\n  brokers: [a:1]\n', 'unknown-option 1:1', /`kafka`/],
  ['a name of Congress', 'bind_port: 1\n', 'unknown-option 1:1', /Congress.*`api\.port`/],
  ['a section of Congress', 'DEFAULT:\n  debug: true\n', 'unknown-option 1:1', /top level/],
  ['a dotted name', 'api.port: 1\n', 'unknown-option 1:1', /below `api:`/],
  ['a name in the wrong section', 'kafka:\n  bus_id: x\n', 'unknown-option 2:3', /`bus_id`/],
  ['a merge key', '<<: {debug: true}\n', 'unknown-option 1:1', /config sample/],
  ['an option without a value', 'node_id:\n', 'bad-option 1:1', /no value/],
  ['a section that is a text', 'api: 1789\n', 'bad-option 1:6', /no map of options/],
  ['a list for one value', 'node_id: [a, b]\n', 'bad-option 1:10', /not a list/],
  ['a map for one value', 'node_id: {a: b}\n', 'bad-option 1:10', /a value is a text/],
  ['a list of lists', 'policies: [[a]]\n', 'bad-option 1:12', /a value is a text/],
  ['a port', 'api: {port: 0x10}\n', 'bad-option 1:13', /`0x10` is no port/],
  ['a truth', 'debug: yes\n', 'bad-option 1:8', /`true` or `false`/],
  ['a number', 'kafka: {replication_factor: 2.5}\n', 'bad-option 1:29', /no integer/],
  ['a number out of range', 'kafka: {replication_factor: 0}\n', 'bad-option 1:29', /from 1 to 100/],
  ['a duration', 'datasource_sync_period: 1 day\n', 'bad-option 1:25', /no duration/],
  ['a duration out of range', 'datasource_sync_period: 1.1h\n', 'bad-option 1:25', /from 1s to 1h/],
  [
    'a part of a millisecond',
    'datasource_sync_period: 2000.5ms\n',
    'bad-option 1:25',
    /no duration/,
  ],
  ['a size', 'checkpoint: {bytes: 1MB}\n', 'bad-option 1:21', /no size/],
  ['a size out of range', 'checkpoint: {bytes: 1KiB}\n', 'bad-option 1:21', /from 1MiB/],
  ['a choice', 'log: {level: wran}\n', 'bad-option 1:14', /did you mean `warn`/],
  [
    'an item of a list',
    'kafka:\n  brokers:\n    - a:1\n    - b\n',
    'bad-option 4:7',
    /`b` is no broker/,
  ],
  ['an item between commas', 'kafka: {brokers: "a:1, b"}\n', 'bad-option 1:18', /`b` is no broker/],
  ['a bus', 'bus_id: a_b\n', 'bad-option 1:9', /letters, digits and dots/],
  ['a role', 'roles: [api, engine]\n', 'bad-option 1:14', /`policy-engine`/],
  ['roles that do not fit', 'roles: [api]\n', 'conflicting-options 1:8', /together with/],
  [
    'an open address',
    'api: {host: 0.0.0.0}\n',
    'conflicting-options 1:13',
    /allow_noauth_on_network/,
  ],
  ['keystone', 'auth_strategy: keystone\n', 'bad-option 1:16', /nobody can log in/],
  [
    'a driver of Congress',
    'drivers: [congress.datasources.nova_driver.NovaDriver]\n',
    'bad-option 1:11',
    /class paths/,
  ],
  [
    'two policies of one name',
    'policies: [a.policy, b/a.dl]\n',
    'conflicting-options 1:22',
    /both the policy/,
  ],
  ['no name for a policy', 'policies: [9.policy]\n', 'bad-option 1:12', /gives no name/],
  ['datasources as a map', 'datasources: {inv: file}\n', 'bad-option 1:14', /no list of maps/],
  ['a datasource as a text', 'datasources: [inv]\n', 'bad-option 1:15', /is a map/],
  [
    'a datasource without a name',
    'datasources: [{driver: push}]\n',
    'missing-option 1:15',
    /without `name`/,
  ],
  [
    'a datasource without a driver',
    'datasources: [{name: a}]\n',
    'missing-option 1:15',
    /without `driver`/,
  ],
  [
    'a bad name of a datasource',
    'datasources: [{name: 9, driver: push}]\n',
    'bad-option 1:22',
    /no name of a source/,
  ],
  [
    'an unknown driver',
    'datasources: [{name: a, driver: fil}]\n',
    'bad-option 1:33',
    /did you mean `file`/,
  ],
  [
    'a missing option of a driver',
    'datasources: [{name: a, driver: file}]\n',
    'missing-option 1:15',
    /needs `path`/,
  ],
  [
    'an unknown option of a driver',
    'datasources: [{name: a, driver: push, path: x}]\n',
    'unknown-option 1:39',
    /its options: none/,
  ],
  [
    'a misspelt option of a driver',
    'datasources: [{name: a, driver: packages, pth: x}]\n',
    'unknown-option 1:43',
    /`path`/,
  ],
  [
    'a bad option of a driver',
    'datasources: [{name: a, driver: file, path: x, header: maybe}]\n',
    'bad-option 1:56',
    /`auto`/,
  ],
  [
    'a list for an option of a driver',
    'datasources: [{name: a, driver: file, path: [x, y]}]\n',
    'bad-option 1:45',
    /not a list/,
  ],
  [
    'a datasource twice',
    'datasources: [{name: a, driver: push}, {name: a, driver: push}]\n',
    'conflicting-options 1:47',
    /twice/,
  ],
  [
    'a driver that is not permitted',
    'drivers: [push]\ndatasources: [{name: a, driver: packages}]\n',
    'conflicting-options 2:33',
    /not among/,
  ],
  [
    'RabbitMQ',
    'transport_url: rabbit://u:hunter2@h:5672/\n',
    'bad-option 1:16',
    /RabbitMQ.*[\s\S]*kafka:\/\//,
  ],
  [
    'a transport of no scheme',
    'transport_url: hunter2\n',
    'bad-option 1:16',
    /does not begin with/,
  ],
  ['a virtual host', 'transport_url: kafka://h:1/v\n', 'bad-option 1:16', /`bus_id`/],
  [
    'a broker in an address',
    'transport_url: kafka://h:99999\n',
    'bad-option 1:16',
    /without host and port/,
  ],
  ['an escape in an address', 'transport_url: kafka://u:%hunter2@h:1\n', 'bad-option 1:16', /%25/],
  [
    'brokers twice',
    'transport_url: kafka://h:1\nkafka: {brokers: [h:1]}\n',
    'conflicting-options 1:16',
    /give one/,
  ],
  [
    'a user without a password',
    'kafka: {sasl: {username: u}}\n',
    'missing-option 1:26',
    /without a password/,
  ],
  [
    'a password without a user',
    'kafka: {sasl: {password: hunter2}}\n',
    'missing-option 1:26',
    /sasl\.username/,
  ],
  ['a mechanism', 'kafka: {sasl: {mechanism: gssapi}}\n', 'bad-option 1:27', /scram-sha-512/],
  [
    'a certificate without a key',
    'kafka: {ssl: {cert_file: /dev/null}}\n',
    'missing-option 1:26',
    /come together/,
  ],
  [
    'a certificate that is none',
    'kafka: {ssl: {ca_file: /dev/null}}\n',
    'bad-option 1:24',
    /no PEM/,
  ],
  [
    'TLS off and on',
    'kafka: {ssl: {enabled: false, ca_file: /nope}}\n',
    'conflicting-options 1:40',
    /is false/,
  ],
  ['a file that is not there', 'cluster: {secret_file: nope}\n', 'enoent 1:24', /does not exist/],
  ['a file that is a folder', 'cluster: {secret_file: /}\n', 'eisdir 1:24', /directory/],
  ['a short secret', 'cluster: {secret: hunter2}\n', 'bad-option 1:19', /16 characters/],
  [
    'a secret twice',
    'cluster: {secret: 0123456789hunter2, secret_file: /dev/null}\n',
    'conflicting-options 1:51',
    /give one/,
  ],
  [
    'PostgreSQL',
    'database: {connection: "postgresql://u:hunter2@h/d"}\n',
    'bad-option 1:24',
    /MariaDB/,
  ],
  [
    'a database of no scheme',
    'database: {connection: hunter2}\n',
    'bad-option 1:24',
    /no address of MariaDB/,
  ],
  [
    'a database without a name',
    'database: {connection: "mysql://u:hunter2@h"}\n',
    'bad-option 1:24',
    /no database/,
  ],
  [
    'a database without a user',
    'database: {connection: "mysql://h/d"}\n',
    'bad-option 1:24',
    /no user/,
  ],
  [
    'a database without a host',
    'database: {connection: "mysql://u:hunter2@/d"}\n',
    'bad-option 1:24',
    /cannot be read|no host/,
  ],
  [
    'a parameter of a database',
    'database: {connection: "mysql://u@h/d?ssl_ca=x"}\n',
    'bad-option 1:24',
    /`ssl_ca`/,
  ],
  ['SQLite in memory', 'database: {connection: "sqlite://"}\n', 'bad-option 1:24', /names no file/],
];
for (const [name, text, at, says] of CASES) {
  test(`refused with its place: ${name}`, () => {
    const found = check(text).filter(
      ({ code, line, column }) => `${code} ${line}:${column}` === at,
    );
    const [one] = found;
    assert.ok(one !== undefined, JSON.stringify(check(text), null, 1));
    assert.equal(one.file, 'c.yaml');
    assert.match(`${one.message}\n${one.note ?? ''}`, says);
    assert.doesNotMatch(JSON.stringify(check(text)), /hunter2/);
    assert.match(one.message, /^[^A-Z]/, 'lower case');
    assert.doesNotMatch(one.message, /\.$/);
  });
}

test('a socket, parameters and an alias that are right', () => {
  const text = [
    'database: {connection: "mysql+pymysql://u@/d?unix_socket=/run/m.sock&charset=utf8mb4"}',
    'kafka: {client_id: &id pe1}',
    'node_id: *id',
    'api:',
    'datasource_sync_period: 1 s',
  ];
  assert.deepEqual(check(text.join('\n')), []);
});

test('files that are no text', () => {
  const problemsOf = (name: string, bytes: string | Uint8Array): readonly ConfigProblem[] => {
    const file = path.join(folder, name);
    writeFileSync(file, bytes);
    const report = new Report();
    assert.equal(readConfigFile(file, { kind: 'nowhere' }, report), undefined);
    return report.problems;
  };
  assert.match(problemsOf('binary', Uint8Array.of(0xff, 0xfe))[0]?.message ?? '', /no UTF-8/);
  assert.match(
    problemsOf('large', '#'.repeat(CONFIG_BYTES_MAX + 1))[0]?.message ?? '',
    /more than/,
  );
  const config = path.join(folder, 'nope.yaml');
  assert.throws(
    () => parseServeConfig({ config }),
    (error) =>
      error instanceof ConfigError && !error.isUsage && error.problems[0]?.code === 'enoent',
  );
});

test('excerpts: what stands around is shown, secrets are not, carets do not tell their length', () => {
  const [bad] = check('cluster:\n  secret: hunter2 # mine\n');
  assert.deepEqual([bad?.excerpt, bad?.length], ['  secret: ********', 1]);
  const [port] = check('api:\n  port: 99999  # too large\n');
  assert.deepEqual([port?.excerpt, port?.length], ['  port: 99999  # too large', 5]);
  const [unknown] = check('cluster:\n  pass_phrase: hunter2\n');
  assert.deepEqual([unknown?.excerpt, unknown?.length], ['  pass_phrase: ********', 11]);
});

const LINES: readonly (readonly [line: string, shown: string])[] = [
  ['password: x', 'password: ********'],
  ['  "password": x', '  "password: ********'],
  ['password x', 'password: ********'],
  ['- secret: x', '- secret: ********'],
  ['pasword: x', 'pasword: ********'],
  ['kafka: {sasl: {username: u, password: x}}', 'kafka: {sasl: {username: u, password: ********'],
  ['password_file: x', 'password_file: x'],
  ['port: 1', 'port: 1'],
  ['  - a:1', '  - a:1'],
  ['', ''],
];
test('lines without secrets', () => {
  const known = ['port', 'kafka', 'sasl', 'username', 'password', 'secret', 'password_file'];
  const show = (lines: readonly string[]): string[] =>
    withoutSecrets(lines, (name) => known.includes(name));
  for (const [line, shown] of LINES) assert.deepEqual(show([line]), [shown]);
  assert.deepEqual(show(['password: |', '  x', '', '  y', 'port: 1']), [
    'password: ********',
    '  ********',
    '',
    '  ********',
    'port: 1',
  ]);
});
