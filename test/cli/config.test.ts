/** `caucus config` as people run it, and the log lines of the server. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { createLogger, LOG_EVENTS } from '../../host/observe/log.ts';

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
