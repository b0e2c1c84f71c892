/** `npm run cluster` as a process: up, used, down, and up again on what it kept. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CLI } from '../cli/run-cli.ts';
import { canStartOrSkip, componentDirectory } from '../support/components.ts';

const MAIN = fileURLToPath(new URL('../../deploy/loopback/main.js', import.meta.url));

interface Line {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** The command with `--json`, and the lines that it has printed. */
class Cluster {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly ended: Promise<number | null>;
  stderr = '';
  #wake: () => void = () => undefined;
  #hasEnded = false;

  constructor(t: TestContext, ...args: string[]) {
    this.child = spawn(process.execPath, [MAIN, '--json', '--port', '0', ...args], {
      // The variable would be refused by a node that saw it.
      env: { ...process.env, CLUSTER_CLI: CLI, CAUCUS_NO_OPTION: 'x' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    this.child.stderr?.on('data', (piece: Buffer) => (this.stderr += piece.toString()));
    this.ended = once(this.child, 'close').then(([code]) => {
      this.#hasEnded = true;
      this.#wake();
      return code as number | null;
    });
    const { stdout } = this.child;
    assert.ok(stdout !== null);
    createInterface({ input: stdout }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      this.#wake();
    });
  }

  /** The first such line, past or to come. */
  async line(isIt: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.lines.find(isIt);
      if (found !== undefined) return found;
      if (this.#hasEnded) throw new Error(`ended: ${JSON.stringify(this.lines)} ${this.stderr}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

interface Query {
  readonly rows: readonly unknown[][];
  readonly revision: number;
}

async function exposed(url: string): Promise<Query> {
  const response = await fetch(`${url}/v1/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'network:exposed(host)' }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Query;
}

/** Until the datasource node's rows are there. */
async function exposedHosts(url: string): Promise<Query> {
  for (;;) {
    const answer = await exposed(url);
    if (answer.rows.length > 0) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Command lines that name the directory. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((words) => words.includes(directory));
}

test('a cluster starts, serves, stops on a signal, and goes on from what it kept', async (t) => {
  if (!canStartOrSkip(t, ['kafka', 'mariadb', 'haproxy'])) return;
  const directory = componentDirectory();
  const first = new Cluster(t, '--keep', directory);
  const ready = await first.line(({ event }) => event === 'ready');
  const answer = await exposedHosts(String(ready['url']));
  assert.deepEqual(answer.rows, [['proxy'], ['web']]);
  const state = await first.line(({ event }) => event === 'state');
  const parts = state['parts'] as { name: string; state: string; phase?: string }[];
  assert.deepEqual(parts.map(({ name }) => name).toSorted(), [
    ...['ds1', 'haproxy', 'kafka-1', 'mariadb', 'pe1', 'pe2', 'pe3'],
  ]);
  assert.deepEqual([...new Set(parts.map(({ state }) => state))], ['running']);
  assert.equal(parts.filter(({ phase }) => phase === 'live').length, 3);
  assert.ok(processesOf(directory).length >= parts.length, 'control: they are found');
  const intruder = new Cluster(t, '--keep', directory);
  assert.equal(await intruder.ended, 1);
  const { message } = intruder.lines.find(({ event }) => event === 'failed') as unknown as {
    message: string;
  };
  assert.match(message, /is used by process \d+; give another one with `--keep`$/);
  assert.equal(intruder.lines.length, 1, 'it has begun nothing');
  // As a terminal and npm do: twice.
  first.child.kill('SIGINT');
  first.child.kill('SIGINT');
  assert.equal(await first.ended, 0);
  assert.equal(first.lines.at(-1)?.event, 'stopped');
  assert.deepEqual(processesOf(directory), []);

  const second = new Cluster(t, '--keep', directory);
  const url = String((await second.line(({ event }) => event === 'ready'))['url']);
  const again = await exposed(url);
  assert.deepEqual(again.rows, answer.rows);
  assert.ok(again.revision >= answer.revision);
  second.child.kill('SIGTERM');
  assert.equal(await second.ended, 0);
});

test('a cluster that is killed leaves no process behind', async (t) => {
  if (process.platform !== 'linux') {
    t.skip('only Linux ends children with their parent');
    return;
  }
  if (!canStartOrSkip(t, ['kafka', 'mariadb', 'haproxy'])) return;
  const directory = componentDirectory();
  const cluster = new Cluster(t, '--keep', directory);
  await cluster.line(({ text }) => String(text).startsWith('mariadb: ready'));
  assert.notDeepEqual(processesOf(directory), []);
  cluster.child.kill('SIGKILL');
  await cluster.ended;
  while (processesOf(directory).length > 0) await new Promise(setImmediate);
});

for (const [args, text] of [
  [['--brokers', '2'], 'error: `--brokers 2`: write 1 or 3\n'],
  [['--port', 'x'], 'error: `--port x` is no port\n'],
] as const) {
  test(`\`${args.join(' ')}\` is refused`, async (t) => {
    const cluster = new Cluster(t, ...args);
    assert.equal(await cluster.ended, 2);
    assert.equal(cluster.stderr, text);
  });
}
