/** `caucus config` as people run it, and the log lines of the server. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { createLogger, LOG_EVENTS } from '../../host/observe/log.ts';
import { finished, inFolder, runCli, startCli } from './run-cli.ts';

const BAD = 'api:\n  prot: 1\ncluster:\n  secret: hunter2\n';

test('config sample: what it prints is right', async () => {
  const sample = await runCli(['config', 'sample']);
  assert.deepEqual([sample.code, sample.stderr], [0, '']);
  const check = await runCli(['config', 'check', '-'], { stdin: sample.stdout });
  assert.deepEqual([check.code, check.stderr], [0, '']);
  assert.match(check.stdout, /^stdin: \d+ options, no errors\n$/);
});

test('config check: every error with its line; for machines as JSON', async () => {
  await inFolder({ 'c.yaml': BAD, 'good.yaml': 'debug: true\n' }, async (cwd) => {
    const result = await runCli(['config', 'check', 'c.yaml'], { cwd });
    assert.equal(result.code, 1);
    assert.equal(result.stdout, 'c.yaml: 1 option, 2 errors\n');
    assert.equal(
      result.stderr,
      [
        'error[unknown-option]: unknown option `api.prot`',
        '  --> c.yaml:2:3',
        '  |',
        '2 |   prot: ********',
        '  |   ^^^^',
        '  = did you mean `api.port`?',
        'error[bad-option]: `cluster.secret`: the value is no secret',
        '  --> c.yaml:4:11',
        '  |',
        '4 |   secret: ********',
        '  |           ^',
        '  = give 16 characters or more in one line, as `openssl rand -hex 32` makes them',
        '',
      ].join('\n'),
    );
    const machine = await runCli(['config', 'check', '--json', 'c.yaml'], { cwd });
    assert.deepEqual([machine.code, machine.stderr], [1, '']);
    const { diagnostics, options } = JSON.parse(machine.stdout) as {
      diagnostics: Record<string, unknown>[];
      options: number;
    };
    assert.equal(options, 1);
    assert.deepEqual(
      diagnostics.map(({ code, file, line, column }) => [code, file, line, column]),
      [
        ['unknown-option', 'c.yaml', 2, 3],
        ['bad-option', 'c.yaml', 4, 11],
      ],
    );
    const good = await runCli(['config', 'check', 'good.yaml'], { cwd });
    assert.deepEqual([good.code, good.stdout], [0, 'good.yaml: 1 option, no errors\n']);
    const missing = await runCli(['config', 'check', 'nope.yaml'], { cwd });
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /^error\[enoent\]: .*`nope\.yaml` does not exist/);
  });
});

test('config show: value and origin of each option, secrets blotted out', async () => {
  const files = { 'c.yaml': 'transport_url: kafka://u:hunter2@k:1\nbus_id: b\n' };
  const env = {
    CAUCUS_DATABASE: 'mariadb://u:hunter2@h/d',
    CAUCUS_CLUSTER_SECRET: 'hunter2hunter2hunter2',
    CAUCUS_CONFIG: 'c.yaml',
  };
  const args = ['config', 'show', '--api', '--policy-engine', '--node-id', 'pe1'];
  await inFolder(files, async (cwd) => {
    const people = await runCli(args, { cwd, env });
    assert.deepEqual([people.code, people.stderr], [0, '']);
    assert.match(people.stdout, /would be a replica/);
    assert.match(people.stdout, /^bus_id +b +c\.yaml:2:9$/m);
    assert.match(people.stdout, /^node_id +pe1 +--node-id$/m);
    assert.match(people.stdout, /^cluster\.secret +\*+ +CAUCUS_CLUSTER_SECRET$/m);
    assert.match(people.stdout, /^kafka\.client_id +caucus-pe1 +found$/m);
    assert.match(people.stdout, /^drivers +default, not used here$/m);
    const machine = await runCli([...args, '--json'], { cwd, env });
    const { shape, options } = JSON.parse(machine.stdout) as {
      shape: string;
      options: { key: string; value: unknown; origin: string; from?: string }[];
    };
    assert.equal(shape, 'replica');
    const url = options.find(({ key }) => key === 'transport_url');
    assert.deepEqual(
      [url?.value, url?.origin, url?.from],
      ['kafka://u:********@k:1', 'file', 'c.yaml:1:16'],
    );
    assert.doesNotMatch(people.stdout + machine.stdout, /hunter2/);
  });
});

test('serve: a bad file is bad input, a bad flag or variable bad usage, all are shown', async () => {
  await inFolder({ 'c.yaml': BAD }, async (cwd) => {
    const both = await runCli(['serve', '--config', 'c.yaml', '--port', 'x'], { cwd });
    assert.equal(both.code, 1);
    assert.equal(both.stderr.match(/^error/gm)?.length, 3, both.stderr);
    assert.match(both.stderr, /`--port`: `x` is no port/);
    const variable = await runCli(['serve'], { cwd, env: { CAUCUS_PORT: 'x' } });
    assert.equal(variable.code, 2);
    assert.match(variable.stderr, /^error\[usage\]: `CAUCUS_PORT`: `x` is no port/);
    const machine = await runCli(['serve', '--json', '--config', 'c.yaml'], { cwd });
    const lines = machine.stderr.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { code: string }).code),
      ['unknown-option', 'bad-option'],
    );
    assert.doesNotMatch(both.stderr + machine.stderr, /hunter2/);
  });
});

test('serve: a replica without its cluster says what it needs', async () => {
  const { code, stderr } = await runCli(['serve', '--api', '--policy-engine']);
  assert.equal(code, 2);
  for (const flag of ['--kafka-brokers', '--database', '--cluster-secret-file']) {
    assert.ok(stderr.includes(flag), stderr);
  }
});

test('serve: level and format of the log come from the file', async () => {
  const files = { 'c.yaml': 'debug: true\nlog: {format: json}\napi: {port: 0}\n' };
  await inFolder(files, async (cwd) => {
    const server = startCli(['serve', '--config', 'c.yaml'], { cwd });
    server.stdout.once('data', () => server.kill('SIGTERM'));
    const { code, stderr } = await finished(server);
    assert.equal(code, 0, stderr);
    const levels = stderr
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { level: string }).level);
    assert.ok(levels.includes('debug'), stderr);
  });
});

test('serve: datasources of the file, with options of their drivers', async () => {
  const files = {
    'conf/c.yaml': [
      'api: {port: 0}',
      'datasources:',
      '  - {name: inv, driver: file, path: ../rows, header: false, poll_interval: 100ms}',
      '  - {name: pk, driver: packages, path: package-lock.json}',
    ].join('\n'),
    'conf/package-lock.json': JSON.stringify({ lockfileVersion: 3, packages: {} }),
    'rows/vm.csv': 'a,b\n',
  };
  await inFolder(files, async (cwd) => {
    const server = startCli(['serve', '--json', '--config', 'conf/c.yaml'], { cwd });
    const fresh = new Set<string>();
    let url = '';
    for await (const line of createInterface({ input: server.stdout })) {
      const { event, ...fields } = JSON.parse(line) as Record<string, string>;
      if (event === 'server-ready') url = fields['url'] ?? '';
      if (event === 'source-fresh') fresh.add(fields['source'] ?? '');
      if (fresh.size === 2) break;
    }
    const status = await runCli(['status', '--json', '--url', url]);
    const { sources } = JSON.parse(status.stdout) as { sources: Record<string, unknown>[] };
    const inv = sources.find(({ name }) => name === 'inv');
    assert.deepEqual(inv?.['tables'], { vm: 1 }, 'the first line is a row');
  });
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
