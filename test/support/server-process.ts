/** `caucus serve` as a process of its own, spoken to over its sockets only. */
import { createInterface } from 'node:readline';
import { startCli } from '../cli/run-cli.ts';
import type { CliProcess } from '../cli/run-cli.ts';
import { send } from './http-client.ts';
import type { HttpAnswer } from './http-client.ts';

export interface LogLine {
  readonly event: string;
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export class ServerProcess {
  readonly process: CliProcess;
  readonly log: LogLine[] = [];
  /** Exit code; null after a signal. */
  readonly ended: Promise<number | null>;
  stderr = '';
  #waiting: (() => void)[] = [];
  #hasEnded = false;

  /** `data` is relative to `cwd`. Does not wait for anything. */
  constructor(
    cwd: string,
    args: readonly string[] = [],
    data = 'data',
    env: Readonly<Record<string, string>> = {},
  ) {
    const all = ['serve', '--json', '--data', data, '--port', '0', ...args];
    this.process = startCli(all, { cwd, env });
    this.process.stderr.on('data', (piece: Buffer) => {
      this.stderr += piece.toString();
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code) => {
        this.#hasEnded = true;
        this.#wake();
        resolve(code);
      });
    });
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.log.push(JSON.parse(line) as LogLine);
      this.#wake();
    });
  }

  /** Resolves when requests are answered. */
  static async start(cwd: string, ...args: string[]): Promise<ServerProcess> {
    const server = new ServerProcess(cwd, args);
    await server.event('server-ready');
    return server;
  }

  /** The first line of this event, past or to come; rejects when the process ends without one. */
  async event(name: string): Promise<LogLine> {
    return (await this.events(name, 1))[0] as LogLine;
  }

  /** The lines of this event as soon as there are `count`. */
  async events(name: string, count: number): Promise<readonly LogLine[]> {
    for (;;) {
      const found = this.log.filter(({ event }) => event === name);
      if (found.length >= count) return found;
      if (this.#hasEnded) throw new Error(`ended without \`${name}\`: ${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  get url(): string {
    const line = this.log.find(({ event }) => event === 'server-listening');
    if (line === undefined) throw new Error('the server does not listen yet');
    return String(line['url']);
  }

  get(path: string): Promise<HttpAnswer> {
    return send(this.url, 'GET', path);
  }

  post(path: string, body: unknown): Promise<HttpAnswer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return send(this.url, 'POST', path, {
      headers: { 'content-type': 'application/json' },
      body: text,
    });
  }

  batch(source: string, body: unknown): Promise<HttpAnswer> {
    return this.post(`/v1/sources/${encodeURIComponent(source)}/batches`, body);
  }

  query(query: string, more: Readonly<Record<string, unknown>> = {}): Promise<HttpAnswer> {
    return this.post('/v1/query', { query, ...more });
  }

  putPolicy(name: string, text: string): Promise<HttpAnswer> {
    return send(this.url, 'PUT', `/v1/policies/${encodeURIComponent(name)}/text`, {
      headers: { 'content-type': 'text/plain' },
      body: text,
    });
  }

  deletePolicy(name: string): Promise<HttpAnswer> {
    return send(this.url, 'DELETE', `/v1/policies/${encodeURIComponent(name)}/text`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    this.process.kill(signal);
    return await this.ended;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
