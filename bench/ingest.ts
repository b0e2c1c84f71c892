/**
 * A real `caucus serve` on a real disk: a million rows through the batches route, then single rows
 * one by one, each timed from the answer to its batch to the line that `caucus subscribe` prints
 * for it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { percentile } from './measure.ts';
import type { Entry, Figure } from './report.ts';

/** Of the compiled checkout; npm runs the bench from its root. */
const COMMAND = 'build/js/host/cli/main.js';

const LOAD_ROWS = 1_000_000;
const LOAD_BATCH_ROWS = 10_000;
/** Batches under way at once: enough to keep parsing, log and engine busy at the same time. */
const LOAD_CONNECTIONS = 4;
const GROUPS = 1000;
const LATENCY_BATCHES = 500;
const READY_TIMEOUT_MS = 30_000;

/** Sizes are parameters, so that a test can run the whole of it on little. */
export interface IngestSize {
  readonly rows: number;
  readonly batchRows: number;
  readonly latencyBatches: number;
}

const FULL: IngestSize = {
  rows: LOAD_ROWS,
  batchRows: LOAD_BATCH_ROWS,
  latencyBatches: LATENCY_BATCHES,
};

export async function measureIngest(size: IngestSize = FULL): Promise<Entry[]> {
  const data = mkdtempSync(path.join(tmpdir(), 'caucus-bench-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = start(['serve', '--data', data, '--port', String(port)], 'ignore');
  let said = '';
  server.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-10_000);
  });
  try {
    await ready(url, server);
    const load = await loadRows(url, size);
    const single = await singleRows(url, size);
    return [load, single];
  } catch (error) {
    throw new Error(`${String(error)}; the server said:\n${said}`, { cause: error });
  } finally {
    await stop(server);
    rmSync(data, { recursive: true, force: true });
  }
}

async function loadRows(url: string, { rows, batchRows }: IngestSize): Promise<Entry> {
  let next = 0;
  const acknowledged: number[] = [];
  const sendBatches = async (): Promise<void> => {
    while (next < rows) {
      const from = next;
      next = Math.min(rows, from + batchRows);
      const batch = Array.from({ length: next - from }, (_, index) => row(from + index));
      const body = JSON.stringify({ insert: { item: batch } });
      const sent = performance.now();
      await post(`${url}/v1/sources/bench/batches`, body);
      acknowledged.push(performance.now() - sent);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: LOAD_CONNECTIONS }, sendBatches));
  const ms = performance.now() - begin;
  const answer = (await post(
    `${url}/v1/query`,
    JSON.stringify({ query: 'bench:item(id, 0, name)' }),
  )) as { rows: unknown[] };
  const expected = Math.ceil(rows / GROUPS);
  if (answer.rows.length !== expected) {
    throw new Error(`the server has ${answer.rows.length} rows of group 0, not ${expected}`);
  }
  return {
    name: `${rows} rows in batches of ${batchRows}`,
    figures: {
      total: figure(ms, 'ms'),
      'rows/s': figure(rows / (ms / 1000), 'perSecond'),
      ...percentiles(acknowledged),
    },
  };
}

async function singleRows(url: string, { rows, latencyBatches }: IngestSize): Promise<Entry> {
  const subscriber = start(
    ['subscribe', 'bench:item(id, 7, name)', '--json', '--url', url],
    'pipe',
  );
  try {
    const lines = createInterface({ input: subscriber.stdout as NodeJS.ReadableStream });
    const queue = lines[Symbol.asyncIterator]();
    await nextLine(queue, 'a snapshot');
    const times: number[] = [];
    for (let batch = 0; batch < latencyBatches; batch++) {
      const body = JSON.stringify({ insert: { item: [[rows + batch, 7, `single ${batch}`]] } });
      const arrival = nextLine(queue, `the row of batch ${batch}`);
      await post(`${url}/v1/sources/bench/batches`, body);
      const acknowledgedAt = performance.now();
      const { line, at } = await arrival;
      if (!line.includes(`single ${batch}`))
        throw new Error(`expected batch ${batch}, got ${line}`);
      times.push(Math.max(0, at - acknowledgedAt));
    }
    return { name: 'one row, acknowledged → seen by a subscriber', figures: percentiles(times) };
  } finally {
    await stop(subscriber);
  }
}

function row(id: number): readonly unknown[] {
  return [id, id % GROUPS, `name of ${id}`];
}

function percentiles(times: readonly number[]): Record<string, Figure> {
  return {
    p50: figure(percentile(times, 50), 'ms'),
    p99: figure(percentile(times, 99), 'ms'),
    max: figure(Math.max(...times), 'ms'),
  };
}

function figure(value: number, unit: Figure['unit']): Figure {
  return { value, unit };
}

async function nextLine(
  queue: AsyncIterator<string>,
  what: string,
): Promise<{ readonly line: string; readonly at: number }> {
  const { value, done } = await queue.next();
  if (done === true) throw new Error(`the subscriber ended before ${what}`);
  return { line: value, at: performance.now() };
}

async function post(url: string, body: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text);
}

function start(args: readonly string[], stdout: 'ignore' | 'pipe'): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', COMMAND, ...args], {
    stdio: ['ignore', stdout, stdout === 'pipe' ? 'inherit' : 'pipe'],
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function ready(url: string, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline && server.exitCode === null) {
    const response = await fetch(`${url}/healthz/ready`).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the server did not become ready');
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
