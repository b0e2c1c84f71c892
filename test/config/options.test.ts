/** The table of options, and the sample that is printed of it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DRIVER_OPTIONS } from '../../drivers/driver-options.ts';
import { DRIVER_KINDS } from '../../drivers/registry.ts';
import { readConfigText } from '../../host/config/config-file.ts';
import { bareFlag, flagName } from '../../host/config/option.ts';
import { OPTION_LIST, OPTIONS } from '../../host/config/options.ts';
import { Report } from '../../host/config/problem.ts';
import { sampleText } from '../../host/config/sample.ts';
import { Settings } from '../../host/config/settings.ts';
import { shownOptions } from '../../host/config/show.ts';
import { checkConfigText, resolveServeConfig } from '../../host/config.ts';

test('keys, flags and variables are of one option each', () => {
  const flags = OPTION_LIST.flatMap(({ flag, switches = [] }) => [
    ...(flag === undefined ? [] : [bareFlag(flag)]),
    ...switches.map((one) => one.flag),
  ]);
  for (const names of [
    OPTION_LIST.map(({ key }) => key),
    OPTION_LIST.map(({ variable }) => variable),
    flags,
  ]) {
    assert.equal(new Set(names).size, names.length);
  }
});

test('each option has a variable, a meaning, and a default that can be read', () => {
  for (const option of OPTION_LIST) {
    assert.match(option.variable ?? '', /^CAUCUS_[A-Z_]+$/, option.key);
    assert.match(option.meaning, /[^.]$/, option.key);
    assert.doesNotMatch(option.meaning, /^[A-Z](?!a?[A-Z])/, option.key);
    if (option.form !== 'scalar') continue;
    if (option.fallback === undefined) assert.ok(option.example !== undefined, option.key);
    else option.kind.read(option.fallback, '');
    if (option.example !== undefined) option.kind.read(option.example, '');
  }
});

test('secrets have no flag of their own, and a file instead', () => {
  const secrets = OPTION_LIST.filter(({ secret }) => secret === 'all');
  assert.deepEqual(
    secrets.map(({ key }) => key),
    ['kafka.sasl.password', 'cluster.secret'],
  );
  for (const { key, flag } of secrets) {
    assert.equal(flag, undefined);
    assert.ok(OPTION_LIST.some((option) => option.key === `${key}_file`));
  }
  for (const { secret, secretFileKey } of OPTION_LIST) {
    if (secret === 'url') assert.ok(OPTION_LIST.some(({ key }) => key === secretFileKey));
  }
});

test('options of the Congress guide have their counterparts', () => {
  const theirs = OPTION_LIST.flatMap(({ congress = [] }) => congress);
  for (const name of [
    'DEFAULT.drivers',
    'DEFAULT.datasource_sync_period',
    'DEFAULT.enable_execute_action',
    'DEFAULT.auth_strategy',
    'DEFAULT.verbose',
    'DEFAULT.debug',
    'DEFAULT.transport_url',
    'dse.bus_id',
    'database.connection',
  ]) {
    assert.ok(theirs.includes(name), name);
  }
});

test('each driver has its options, and makes a driver of them', () => {
  assert.deepEqual(
    DRIVER_KINDS.map(({ name }) => name).toSorted(),
    Object.keys(DRIVER_OPTIONS).toSorted(),
  );
  for (const kind of DRIVER_KINDS) {
    const driver = kind.create({
      source: 's',
      path: 'x',
      header: 'true',
      lockFile: 'y',
      pollMs: 1000,
    });
    assert.equal(driver.name, kind.name);
  }
});

test('the sample names every option, and sets nothing but the defaults', () => {
  const text = sampleText();
  const report = new Report();
  const file = readConfigText('sample.yaml', text, report);
  const settings = new Settings({ flags: {}, env: {}, file }, report);
  const defaults = new Settings({ flags: {}, env: {} }, report);
  assert.deepEqual(report.problems, []);
  for (const option of OPTION_LIST) {
    const last = option.key.split('.').at(-1) ?? '';
    assert.match(text, new RegExp(`^(#\\? )? *${last}:`, 'm'));
    if (option.form === 'records') continue;
    if (option.form === 'list') assert.deepEqual(settings.list(option), []);
    else if (option.fallback !== undefined) {
      assert.ok(settings.isGiven(option), option.key);
      assert.deepEqual(settings.get(option), defaults.get(option), option.key);
    } else assert.ok(!settings.isGiven(option), option.key);
  }
  assert.deepEqual(checkConfigText('sample.yaml', text).report.problems, []);
});

test('the sample with its examples: each line can be read', () => {
  const text = sampleText().replaceAll(/^#\? /gm, '');
  const report = new Report();
  const file = readConfigText('sample.yaml', text, report);
  const settings = new Settings({ flags: {}, env: {}, file }, report);
  assert.deepEqual(report.problems, []);
  for (const option of OPTION_LIST) {
    if (option.form === 'scalar') assert.ok(settings.isGiven(option), option.key);
  }
});

test('control: a sample with another value is not the defaults', () => {
  const text = sampleText().replace('bus_id: caucus', 'bus_id: other');
  const report = new Report();
  const file = readConfigText('sample.yaml', text, report);
  const settings = new Settings({ flags: {}, env: {}, file }, report);
  assert.notEqual(settings.get(OPTIONS.busId), 'caucus');
});

test('what is shown has every option with its origin, and no secret', () => {
  const env = {
    CAUCUS_DATABASE: 'mysql+pymysql://u:hunter2@h/d',
    CAUCUS_CLUSTER_SECRET: 'hunter2hunter2hunter2',
    CAUCUS_TRANSPORT_URL: 'kafka://a:hunter2@k1:1,b:hunter2@k2:1',
  };
  const found = resolveServeConfig({ datasources: true, port: '0', source: ['a=b'] }, env, {
    hostName: 'box',
  });
  const shown = shownOptions(found.settings, 'datasources', found.config.datasources);
  assert.doesNotMatch(JSON.stringify(shown), /hunter2/);
  const of = (key: string) => shown.find((one) => one.key === key);
  assert.deepEqual(of('api.port'), {
    key: 'api.port',
    value: 0,
    origin: 'flag',
    from: '--port',
    used: true,
  });
  assert.equal(of('database.connection')?.value, 'mysql+pymysql://u:********@h/d');
  assert.equal(of('database.connection')?.from, 'CAUCUS_DATABASE');
  assert.equal(of('cluster.secret')?.value, '********');
  assert.deepEqual(of('node_id'), { key: 'node_id', value: 'box', origin: 'computed', used: true });
  assert.equal(of('kafka.min_insync_replicas')?.value, 2);
  assert.equal(of('policies')?.used, false);
  assert.deepEqual(of('datasources')?.value, [{ name: 'a', driver: 'file', path: 'b' }]);
  assert.equal(shown.length, OPTION_LIST.length);
});

test('flags are named as the argument parser does', () => {
  assert.equal(flagName('--allow-host <host...>'), 'allowHost');
  assert.equal(flagName('--api'), 'api');
});
