import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { ConfigError, isLoopback, parseServeConfig, SERVE_SETTINGS } from '../../host/config.ts';
import { createLogger, LOG_EVENTS } from '../../host/observe/log.ts';

test('defaults', () => {
  assert.deepEqual(parseServeConfig({}), {
    dataDirectory: 'caucus-data',
    host: '127.0.0.1',
    port: 1789,
    policies: [],
    sources: [],
    allowOrigins: [],
    allowHosts: [],
  });
});

test('a flag wins over the environment, the environment over the default', () => {
  const env = {
    CAUCUS_PORT: '8080',
    CAUCUS_DATA: '/var/lib/caucus',
    CAUCUS_ALLOW_HOST: 'a.example, B.example:81',
  };
  const config = parseServeConfig({ port: '0' }, env);
  assert.equal(config.port, 0);
  assert.equal(config.dataDirectory, '/var/lib/caucus');
  assert.deepEqual(config.allowHosts, ['a.example', 'b.example:81']);
});

test('policies and sources', () => {
  const config = parseServeConfig({
    policy: ['x/net.policy', 'inv.dl'],
    source: ['vm=data/vm.csv', 'a=b=c'],
  });
  assert.deepEqual(config.policies, [
    { name: 'net', file: 'x/net.policy' },
    { name: 'inv', file: 'inv.dl' },
  ]);
  assert.deepEqual(config.sources, [
    { name: 'vm', path: 'data/vm.csv' },
    { name: 'a', path: 'b=c' },
  ]);
});

test('addresses', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]'])
    assert.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'example']) {
    assert.ok(!isLoopback(host), host);
    assert.throws(() => parseServeConfig({ host }), ConfigError);
    assert.equal(parseServeConfig({ host, insecureListen: true }).host, host);
  }
});

const REFUSED: Readonly<Record<string, Parameters<typeof parseServeConfig>[0]>> = {
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
};
for (const [name, flags] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parseServeConfig(flags),
      (error) => error instanceof ConfigError && error.remedy !== '',
    );
  });
}

test('docs/CLI.md names each setting with its variable and default', () => {
  const manual = readFileSync('docs/CLI.md', 'utf8');
  for (const { flag, variable, defaultText } of SERVE_SETTINGS) {
    const line = manual.split('\n').find((one) => one.startsWith(`| \`${flag}\``));
    assert.ok(line !== undefined, flag);
    if (variable !== undefined) assert.ok(line.includes(variable), `${flag}: ${variable}`);
    if (defaultText !== undefined) assert.ok(line.includes(defaultText), `${flag}: ${defaultText}`);
  }
});

test('docs/CLI.md lists the events of the log', () => {
  const manual = readFileSync('docs/CLI.md', 'utf8');
  for (const event of Object.keys(LOG_EVENTS)) assert.ok(manual.includes(`\`${event}\``), event);
});

test('log lines: JSON for machines, text for people, one line each', () => {
  const lines: string[] = [];
  const options = {
    level: 'info',
    write: (line: string) => lines.push(line),
    now: () => 0,
  } as const;
  const json = createLogger({ ...options, format: 'json' });
  json.info('server-ready', 'ready', { port: 1789, revision: 3n, missing: undefined });
  json.debug('replica-event', 'too small');
  createLogger({ ...options, format: 'text' }).warn('source-stale', 'a\nb', {
    file: 'x y',
    rows: 2,
  });
  assert.deepEqual(lines, [
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"server-ready","message":"ready","port":1789,"revision":"3"}\n',
    '00:00:00 warn  a\\nb  file="x y" rows=2\n',
  ]);
});
