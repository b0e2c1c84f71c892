/** What is missing is said; it is skipped for people and fails in CI. The cache; processes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cached } from '../../deploy/loopback/cache.ts';
import {
  COMPONENTS,
  givenBrokers,
  missingComponents,
  missingPrograms,
  missingText,
} from '../../deploy/loopback/components.ts';
import { freePorts } from '../../deploy/loopback/ports.ts';
import { ComponentProcess } from '../../deploy/loopback/processes.ts';
import type { ProcessSpec } from '../../deploy/loopback/processes.ts';

function folder(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'caucus-test-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function withVariable(t: TestContext, name: string, value: string | undefined): void {
  const before = process.env[name];
  const set = (text: string | undefined): void => {
    if (text === undefined) delete process.env[name];
    else process.env[name] = text;
  };
  set(value);
  t.after(() => set(before));
}

/** Runs a test file by hand that wants what is asked for, on a machine that has no program. */
function runWithoutPrograms(env: Record<string, string>): ReturnType<typeof spawnSync> {
  const file = fileURLToPath(new URL('needs-components.js', import.meta.url));
  return spawnSync(process.execPath, [file], { env: { PATH: '/nowhere', ...env } });
}

test('what is missing has a remedy; what runs elsewhere is not missing', (t) => {
  withVariable(t, 'PATH', '/nowhere');
  const missing = missingPrograms(['kafka']);
  assert.deepEqual(
    missing.map(({ what }) => what),
    ['java', 'mvn'],
  );
  assert.equal(
    missingText(missing),
    'missing: `java` for kafka, `mvn` for kafka; to get it: ' +
      'apt-get install --no-install-recommends openjdk-17-jre-headless maven',
  );
  withVariable(t, 'KAFKA_BROKERS', 'one:9092, two:9092');
  assert.deepEqual(givenBrokers(), ['one:9092', 'two:9092']);
  assert.deepEqual(missingComponents(['kafka']), []);
  assert.equal(missingPrograms(['kafka']).length, 2, 'to kill a broker it takes an own one');
  assert.ok(COMPONENTS.includes('kafka'));
});

test('without components a test is skipped and says so once; in CI it fails', () => {
  const skipped = runWithoutPrograms({});
  assert.equal(skipped.status, 0, String(skipped.stdout));
  assert.match(String(skipped.stdout), /^# skipped 2$/m);
  assert.equal(String(skipped.stderr).match(/NOT TESTED/g)?.length, 1);
  const failed = runWithoutPrograms({ CI: 'true' });
  assert.notEqual(failed.status, 0);
  assert.match(String(failed.stdout), /^# fail 2$/m);
});

test('a folder of the cache is complete or absent, whoever comes at the same time', async (t) => {
  withVariable(t, 'XDG_CACHE_HOME', folder(t));
  let fills = 0;
  const fill = async (directory: string): Promise<void> => {
    fills++;
    writeFileSync(path.join(directory, 'first'), 'x');
    await new Promise(setImmediate);
    writeFileSync(path.join(directory, 'second'), 'x');
  };
  const places = await Promise.all([cached('things-1', fill), cached('things-1', fill)]);
  assert.equal(places[0], places[1]);
  assert.deepEqual(readdirSync(places[0]).toSorted(), ['first', 'second']);
  const before = fills;
  await cached('things-1', fill);
  assert.equal(fills, before, 'what is there is not fetched again');
  const failing = cached('things-2', async (directory) => {
    await fill(directory);
    throw new Error('no network');
  });
  await assert.rejects(failing, /no network/);
  assert.deepEqual(readdirSync(path.dirname(places[0])), ['things-1'], 'no draft is left');
});

test('free ports are different, and in the range that was asked for', async (t) => {
  withVariable(t, 'COMPONENT_PORTS', '21990-21999');
  const ports = await freePorts(4);
  assert.equal(new Set(ports).size, 4);
  assert.ok(ports.every((port) => port >= 21_990 && port <= 21_999));
  withVariable(t, 'COMPONENT_PORTS', 'some');
  await assert.rejects(freePorts(1), /write `FROM-TO`/);
});

function shell(t: TestContext, script: string, more: Partial<ProcessSpec> = {}): ComponentProcess {
  const shell = new ComponentProcess({
    name: 'shell',
    directory: folder(t),
    program: () => ({ command: 'sh', args: ['-c', script] }),
    isReady: (log) => log.has('ready'),
    ...more,
  });
  t.after(() => shell.kill());
  return shell;
}

test('a process that ends before it is ready is an error with the end of its log', async (t) => {
  const broken = shell(t, 'echo one; echo bad setting >&2; exit 3');
  const text =
    /^shell ended \(code 3\): it was not ready; .*shell\.log ends with\n {2}one\n {2}bad/;
  await assert.rejects(broken.start(), { message: text });
  assert.equal(broken.state, 'stopped');
  const absent = shell(t, '', { program: () => ({ command: 'no-such-program', args: [] }) });
  await assert.rejects(absent.start(), /no-such-program/);
});

test('a process that is not ready in time is killed', async (t) => {
  const slow = shell(t, 'echo waiting; exec sleep 1000', { startLimitMs: 50 });
  await assert.rejects(slow.start(), /^Error: shell was not ready after 0.05 s/);
  assert.equal(slow.state, 'stopped');
});

test('stop is asked for first, and forced on those who do not listen', async (t) => {
  const polite = shell(t, 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.01; done');
  await polite.start();
  await polite.stop();
  assert.match(readFileSync(polite.logFile, 'utf8'), /bye/);
  const deaf = shell(t, 'trap "" TERM; echo ready; while :; do sleep 0.01; done', {
    stopLimitMs: 50,
  });
  await deaf.start();
  await deaf.pause();
  assert.equal(deaf.state, 'paused');
  await deaf.stop();
  assert.equal(deaf.state, 'stopped');
});

test('a second start looks at its own lines only', async (t) => {
  let starts = 0;
  const twice = shell(t, '', {
    program: () => {
      const script = starts++ === 0 ? 'echo ready; exec sleep 1000' : 'echo broken';
      return { command: 'sh', args: ['-c', script] };
    },
  });
  await twice.start();
  await twice.kill();
  await assert.rejects(twice.start(), /ends with\n {2}broken$/);
});
